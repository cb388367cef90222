//! What a restored backup has forgotten: read from the events that came after it, each act that
//! took power away, once, and what nobody but a person can do again.
//!
//! Only what ends or narrows is played again. Where events cancel each other, a lock and its
//! unlock, the last one counts, and what the backup itself says is never widened.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::names::{ClientName, GroupName, ServiceLabel, Username};
use crate::secret::TokenId;
use crate::subject::UserStatus;

/// An event as an export or a list of events writes it; what is of no use here is passed over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Lost {
    /// Its id.
    pub id: String,
    /// When, RFC 3339.
    pub at: String,
    /// What happened.
    pub kind: String,
    /// By whom.
    pub actor: String,
    /// The token it is about.
    pub token: Option<String>,
    /// Whom it is about.
    pub subject: Option<String>,
    /// The service it is about.
    pub service: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Further facts.
    pub detail: Option<serde_json::Value>,
}

impl Lost {
    /// Reads the text of an event; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn token(&self) -> Option<TokenId> {
        TokenId::parse(self.token.as_deref()?)
    }

    fn user(&self) -> Option<Username> {
        Username::parse(self.subject.as_deref()?.strip_prefix("user:")?).ok()
    }

    fn service(&self) -> Option<ServiceLabel> {
        ServiceLabel::parse(self.service.as_deref()?).ok()
    }

    fn fact(&self, name: &str) -> Option<&str> {
        self.detail.as_ref()?.get(name)?.as_str()
    }

    fn named(&self, name: &str) -> Option<TokenId> {
        TokenId::parse(self.fact(name)?)
    }
}

/// Which passkeys of a person go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhichPasskeys {
    /// This one.
    One(TokenId),
    /// All of them.
    All,
}

/// Something that took power away. They are done in this order: a token that is locked gets no
/// new secret any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// The secret that the token had ends: it was replaced, and the new one is nowhere.
    EndSecret(TokenId),
    /// The one-time link was opened, and opens no more.
    SpendLink(TokenId),
    /// The token ends.
    Revoke(TokenId),
    /// The token is locked.
    Lock(TokenId),
    /// The token is switched off.
    Disable(TokenId),
    /// Draws of a registration token were taken that are not counted here: where they are limited
    /// it is switched off, until somebody has set its count.
    StopDraws(TokenId),
    /// A person's tokens are locked, at a service or everywhere.
    LockPerson(Username, Option<ServiceLabel>),
    /// A person does not count.
    Suspend(Username, &'static str),
    /// A person is removed.
    RemovePerson(Username),
    /// A person is taken out of a group.
    LeaveGroup(Username, GroupName),
    /// A group is removed.
    RemoveGroup(GroupName),
    /// A grant is taken away.
    TakeGrant(String),
    /// A client is removed.
    RemoveClient(ClientName),
    /// Every token at a service is locked.
    LockService(ServiceLabel),
    /// A service is removed.
    RemoveService(ServiceLabel),
    /// The link to choose a password was used, and is of no use any more.
    SpendSignInLink(TokenId),
    /// A person's password ends: it was replaced, and the new one is nowhere.
    EndPassword(Username),
    /// Passkeys of a person are removed.
    RemovePasskeys(Username, WhichPasskeys),
    /// A person's sessions end.
    EndSessions(Username),
}

impl Deed {
    /// What is done, in a word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EndSecret(_) => "end-secret",
            Self::SpendLink(_) => "spend-link",
            Self::Revoke(_) => "revoke",
            Self::Lock(_) => "lock",
            Self::Disable(_) => "disable",
            Self::StopDraws(_) => "stop-draws",
            Self::LockPerson(..) => "lock-person",
            Self::Suspend(..) => "suspend-person",
            Self::RemovePerson(_) => "remove-person",
            Self::LeaveGroup(..) => "leave-group",
            Self::RemoveGroup(_) => "remove-group",
            Self::TakeGrant(_) => "take-grant",
            Self::RemoveClient(_) => "remove-client",
            Self::LockService(_) => "lock-service",
            Self::RemoveService(_) => "remove-service",
            Self::SpendSignInLink(_) => "spend-sign-in-link",
            Self::EndPassword(_) => "end-password",
            Self::RemovePasskeys(..) => "remove-passkeys",
            Self::EndSessions(_) => "end-sessions",
        }
    }

    /// What it is done to.
    pub fn about(&self) -> String {
        match self {
            Self::EndSecret(id)
            | Self::SpendLink(id)
            | Self::SpendSignInLink(id)
            | Self::Revoke(id)
            | Self::Lock(id)
            | Self::Disable(id)
            | Self::StopDraws(id) => id.to_string(),
            Self::LockPerson(user, Some(service)) => format!("user:{user} at {service}"),
            Self::LeaveGroup(user, group) => format!("user:{user} in {group}"),
            Self::RemovePasskeys(user, WhichPasskeys::One(id)) => format!("user:{user} {id}"),
            Self::LockPerson(user, None)
            | Self::Suspend(user, _)
            | Self::RemovePerson(user)
            | Self::EndPassword(user)
            | Self::RemovePasskeys(user, WhichPasskeys::All)
            | Self::EndSessions(user) => format!("user:{user}"),
            Self::RemoveGroup(group) => format!("group:{group}"),
            Self::TakeGrant(id) => id.clone(),
            Self::RemoveClient(name) => format!("client:{name}"),
            Self::LockService(label) | Self::RemoveService(label) => label.to_string(),
        }
    }
}

/// Where a deed comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The id of the event.
    pub event: String,
    /// When it was done, RFC 3339.
    pub at: String,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
}

/// Events of a kind that cannot be played again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByHand {
    /// The kind.
    pub kind: String,
    /// The token, the service or the subject they are about; empty where it is the realm.
    pub about: String,
}

/// All that the events say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    deeds: BTreeMap<Deed, Cause>,
    by_hand: BTreeMap<ByHand, u64>,
}

/// Changes that may have narrowed something, and do not say what: somebody has to look.
const BY_HAND: [&str; 22] = [
    "token.updated",
    "token.handed-over",
    "token.unassigned",
    "token.leaked",
    "user.deleted",
    "group.updated",
    "realm.updated",
    "service.updated",
    "client.updated",
    "unit.updated",
    "unit.deleted",
    "target.updated",
    "target.deleted",
    "am-document.updated",
    "am-document.deleted",
    "letter.cancelled",
    "letter.redeemed",
    "passkey.required",
    "key.added",
    "token.enrolled",
    "access-token.revoked",
    "authenticator.codes-replaced",
];

impl Undone {
    /// Takes note of an event. They come in the order in which they happened.
    pub fn note(&mut self, lost: &Lost) {
        let kind = lost.kind.as_str();
        if kind.starts_with("token.") {
            self.note_token(lost);
        } else {
            self.note_person(lost);
            self.note_place(lost);
        }
        if BY_HAND.contains(&kind) {
            let about = lost.token.as_ref().or(lost.service.as_ref()).or(lost.subject.as_ref());
            let about = about.cloned().unwrap_or_default();
            *self.by_hand.entry(ByHand { kind: kind.to_owned(), about }).or_default() += 1;
        }
    }

    /// The acts, in the order in which they are to be done.
    pub fn deeds(&self) -> impl Iterator<Item = (&Deed, &Cause)> {
        self.deeds.iter().filter(|(deed, _)| match deed {
            // What has ended needs no more.
            Deed::EndSecret(id) | Deed::Lock(id) | Deed::Disable(id) | Deed::StopDraws(id) => {
                !self.deeds.contains_key(&Deed::Revoke(*id))
            }
            Deed::LockPerson(user, _)
            | Deed::Suspend(user, _)
            | Deed::LeaveGroup(user, _)
            | Deed::EndPassword(user)
            | Deed::RemovePasskeys(user, _)
            | Deed::EndSessions(user) => {
                !self.deeds.contains_key(&Deed::RemovePerson(user.clone()))
            }
            _ => true,
        })
    }

    /// What cannot be played again, and how many events of it there were.
    pub fn by_hand(&self) -> impl Iterator<Item = (&ByHand, u64)> {
        self.by_hand.iter().map(|(by_hand, count)| (by_hand, *count))
    }

    fn add(&mut self, deed: Deed, lost: &Lost) {
        let cause = Cause {
            event: lost.id.clone(),
            at: lost.at.clone(),
            actor: lost.actor.clone(),
            reason: lost.reason.clone(),
        };
        self.deeds.insert(deed, cause);
    }

    fn note_token(&mut self, lost: &Lost) {
        let Some(id) = lost.token() else { return };
        match lost.kind.as_str() {
            "token.revoked"
            | "token.replaced"
            | "token.superseded"
            | "token.deleted"
            | "token.denied"
            | "token.request-timed-out"
            | "token.idle-ended"
            | "token.refresh-reused" => self.add(Deed::Revoke(id), lost),
            "token.locked" => self.add(Deed::Lock(id), lost),
            "token.unlocked" => drop(self.deeds.remove(&Deed::Lock(id))),
            "token.disabled" => self.add(Deed::Disable(id), lost),
            "token.enabled" => drop(self.deeds.remove(&Deed::Disable(id))),
            "token.rotated" => self.add(Deed::EndSecret(id), lost),
            "token.enrolled" | "token.enrolment-requested" => self.add(Deed::StopDraws(id), lost),
            _ => {}
        }
    }

    fn note_person(&mut self, lost: &Lost) {
        if lost.kind == "link.opened" {
            if let Some(link) = lost.named("link") {
                self.add(Deed::SpendLink(link), lost);
            }
            return;
        }
        let Some(user) = lost.user() else { return };
        let group = || GroupName::parse(lost.fact("group")?).ok();
        match lost.kind.as_str() {
            "user.locked" => self.add(Deed::LockPerson(user, lost.service()), lost),
            "user.unlocked" => drop(self.deeds.remove(&Deed::LockPerson(user, lost.service()))),
            "user.updated" => {
                let held = |deed: &Deed| matches!(deed, Deed::Suspend(who, _) if *who == user);
                self.deeds.retain(|deed, _| !held(deed));
                let status = lost.fact("status").and_then(UserStatus::from_name);
                if let Some(status) = status.filter(|status| *status != UserStatus::Active) {
                    self.add(Deed::Suspend(user, status.name()), lost);
                }
            }
            "user.deleted" => self.add(Deed::RemovePerson(user), lost),
            "group.member-removed" => {
                if let Some(group) = group() {
                    self.add(Deed::LeaveGroup(user, group), lost);
                }
            }
            "group.member-added" => {
                if let Some(group) = group() {
                    self.deeds.remove(&Deed::LeaveGroup(user, group));
                }
            }
            "account.password-changed" => self.add(Deed::EndPassword(user), lost),
            "sign-in-link.used" => {
                if let Some(link) = lost.named("link") {
                    self.add(Deed::SpendSignInLink(link), lost);
                }
                self.add(Deed::EndPassword(user), lost);
            }
            "passkey.removed" => {
                let which = lost.named("passkey").map_or(WhichPasskeys::All, WhichPasskeys::One);
                self.add(Deed::RemovePasskeys(user, which), lost);
            }
            "session.ended" => self.add(Deed::EndSessions(user), lost),
            _ => {}
        }
    }

    fn note_place(&mut self, lost: &Lost) {
        let subject = |prefix| lost.subject.as_deref().and_then(|text| text.strip_prefix(prefix));
        let deed = match lost.kind.as_str() {
            "group.deleted" => subject("group:")
                .and_then(|name| GroupName::parse(name).ok())
                .map(Deed::RemoveGroup),
            "client.deleted" => subject("client:")
                .and_then(|name| ClientName::parse(name).ok())
                .map(Deed::RemoveClient),
            "grant.deleted" => lost.fact("grant").map(|id| Deed::TakeGrant(id.to_owned())),
            "service.locked" => lost.service().map(Deed::LockService),
            "service.deleted" => lost.service().map(Deed::RemoveService),
            "service.unlocked" => {
                if let Some(label) = lost.service() {
                    self.deeds.remove(&Deed::LockService(label));
                }
                None
            }
            _ => None,
        };
        if let Some(deed) = deed {
            self.add(deed, lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lost(kind: &str, more: &serde_json::Value) -> Lost {
        let mut event = json!({ "id": "e", "at": "2026-11-23T00:00:00Z", "kind": kind,
            "actor": "user:root" });
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        Lost::parse(&event.to_string()).unwrap()
    }

    fn names(events: &[(&str, serde_json::Value)]) -> Vec<String> {
        let mut undone = Undone::default();
        for (kind, more) in events {
            undone.note(&lost(kind, more));
        }
        undone.deeds().map(|(deed, _)| format!("{} {}", deed.name(), deed.about())).collect()
    }

    #[test]
    fn of_acts_that_cancel_each_other_the_last_counts() {
        let token = json!({ "token": "aaaaaaaaaaaa" });
        let alice = json!({ "subject": "user:alice" });
        let there = json!({ "subject": "user:alice", "service": "git" });
        let member = json!({ "subject": "user:alice", "detail": { "group": "devs" } });
        let events = [
            ("token.locked", token.clone()),
            ("token.unlocked", token.clone()),
            ("token.enabled", token.clone()),
            ("token.disabled", token.clone()),
            ("user.locked", alice.clone()),
            ("user.locked", there.clone()),
            ("user.unlocked", alice),
            ("group.member-removed", member.clone()),
            ("group.member-added", member),
            ("service.locked", there.clone()),
            ("service.unlocked", there),
        ];
        assert_eq!(names(&events), ["disable aaaaaaaaaaaa", "lock-person user:alice at git"]);
    }

    #[test]
    fn what_has_ended_is_not_locked_as_well() {
        let token = json!({ "token": "aaaaaaaaaaaa" });
        let person = json!({ "subject": "user:alice", "detail": { "status": "suspended" } });
        let events = [
            ("token.rotated", token.clone()),
            ("token.locked", token.clone()),
            ("token.revoked", token),
            ("user.updated", person.clone()),
            ("session.ended", person.clone()),
            ("user.deleted", person),
        ];
        assert_eq!(names(&events), ["revoke aaaaaaaaaaaa", "remove-person user:alice"]);
    }

    #[test]
    fn a_person_counts_or_not_as_the_last_change_says() {
        let status =
            |status: &str| json!({ "subject": "user:alice", "detail": { "status": status } });
        let there_and_back = [
            ("user.updated", status("suspended")),
            ("user.updated", status("expired")),
            ("user.updated", status("active")),
        ];
        assert_eq!(names(&there_and_back), [""; 0]);
        assert_eq!(names(&there_and_back[..2]), ["suspend-person user:alice"]);
    }

    #[test]
    fn what_cannot_be_played_again_is_counted_by_what_it_is_about() {
        let mut undone = Undone::default();
        undone.note(&lost("token.updated", &json!({ "token": "aaaaaaaaaaaa" })));
        undone.note(&lost("token.updated", &json!({ "token": "aaaaaaaaaaaa" })));
        undone.note(&lost("realm.updated", &json!({})));
        undone.note(&lost("verify.refused", &json!({ "token": "aaaaaaaaaaaa" })));
        let told: Vec<_> = undone.by_hand().map(|(it, n)| (&*it.kind, &*it.about, n)).collect();
        assert_eq!(told, [("realm.updated", "", 1), ("token.updated", "aaaaaaaaaaaa", 2)]);
        assert_eq!(undone.deeds().count(), 0);
    }

    #[test]
    fn what_is_no_event_is_none() {
        for text in ["", "{}", "[]", "{\"kind\":\"token.revoked\"}", "null"] {
            assert_eq!(Lost::parse(text), None, "{text}");
        }
        // Names that nobody can have are about nothing here.
        let strange = json!({ "token": "!", "subject": "user:", "service": "" });
        assert_eq!(names(&[("token.revoked", strange.clone()), ("user.locked", strange)]), [""; 0]);
    }
}
