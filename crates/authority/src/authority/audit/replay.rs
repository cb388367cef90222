//! Doing again what a restored backup has forgotten: each act on its own, idempotent, and told as
//! an event that names the one it repeats.

use serde_json::json;

use super::super::Authority;
use super::super::issue::Drafted;
use crate::audit::replay::{Cause, Deed, WhichPasskeys};
use crate::clock::{DayEdge, Timestamp};
use crate::console::Account;
use crate::event::{Event, Origin};
use crate::names::{RealmName, ServiceLabel, Username};
use crate::refusal::{Refusal, Thing};
use crate::secret::TokenId;
use crate::secret_hash::{Mac256, SecretHash};
use crate::service::Service;
use crate::store::{
    LinkOpen, LinkOpened, PasskeysRemove, PasswordChange, Rotated, ServiceDeleted, SessionsEnd,
    SignInLinkUse, SignInLinkUsed, TokenAct, TokenChange, TokenRotate,
};
use crate::subject::{User, UserStatus};
use crate::token::{Slot, Token};
use crate::verdict::Door;

/// How often a record that somebody else changes meanwhile is read again.
const ATTEMPTS_MAX: usize = 8;

/// What came of doing something again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It is done; in a rehearsal: it would be.
    Done,
    /// It is so already.
    Already,
    /// What it is about came after the backup, and does not exist here.
    Unknown,
    /// It cannot be done here; the text says why.
    Refused(String),
}

impl Replayed {
    /// The word for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "already",
            Self::Unknown => "unknown",
            Self::Refused(_) => "refused",
        }
    }
}

/// One deed that is done again.
struct Again<'a> {
    realm: &'a RealmName,
    cause: &'a Cause,
    /// When it was done at first.
    first_at: Timestamp,
    now: Timestamp,
    rehearsal: bool,
}

impl Authority {
    /// Does again what a restored store has forgotten. `rehearsal` says what would come of it, and
    /// changes nothing. For who holds the data directory.
    ///
    /// # Errors
    ///
    /// When the store or the generator does not answer. What cannot be done is no error but
    /// [`Replayed::Refused`].
    pub async fn replay(
        &self,
        realm: &RealmName,
        deed: &Deed,
        cause: &Cause,
        rehearsal: bool,
    ) -> Result<Replayed, Refusal> {
        let now = self.now();
        let first_at = Timestamp::parse(&cause.at, "UTC", DayEdge::Start).unwrap_or(now);
        let again = Again { realm, cause, first_at, now, rehearsal };
        match deed {
            Deed::EndSecret(_)
            | Deed::Revoke(_)
            | Deed::Lock(_)
            | Deed::Disable(_)
            | Deed::StopDraws(_) => self.replay_token(&again, deed).await,
            Deed::SpendLink(id) => self.spend_link(&again, *id).await,
            Deed::SpendSignInLink(id) => self.spend_sign_in_link(&again, *id).await,
            Deed::LockPerson(user, service) => {
                let locked = |user: User| {
                    let locks = user.locks.clone().with(service.as_ref(), true);
                    User { locks, ..user }
                };
                self.replay_person(&again, "user.locked", (user, service.as_ref()), &locked).await
            }
            Deed::Suspend(user, status) => {
                let status = UserStatus::from_name(status).unwrap_or(UserStatus::Suspended);
                let held = |user: User| User { status, ..user };
                self.replay_person(&again, "user.updated", (user, None), &held).await
            }
            Deed::LockService(label) => self.replay_service_lock(&again, label).await,
            Deed::EndPassword(user) => self.end_password(&again, user).await,
            other => self.replay_removal(&again, other).await,
        }
    }

    /// Records that what was lost up to here has been done again, or that somebody knows of it.
    ///
    /// # Errors
    ///
    /// When the store or the generator does not answer.
    pub async fn replayed(
        &self,
        realm: &RealmName,
        detail: serde_json::Value,
    ) -> Result<(), Refusal> {
        let origin = Origin::system(Door::Cli);
        let event = self.event("store.replayed", realm, &origin, self.now())?.with_detail(detail);
        Ok(self.store.event_append(vec![event]).await?)
    }

    fn again(&self, again: &Again<'_>, kind: &'static str) -> Result<Event, Refusal> {
        let origin = Origin::system(Door::Cli);
        let event = self.event(kind, again.realm, &origin, again.now)?;
        let Cause { event: former, at, actor, reason } = again.cause;
        let event = event.with_detail(json!({ "at": at, "by": actor, "replayed": former }));
        Ok(match reason {
            Some(reason) => event.with_reason(reason.clone()),
            None => event,
        })
    }

    async fn replay_token(&self, again: &Again<'_>, deed: &Deed) -> Result<Replayed, Refusal> {
        let (Deed::EndSecret(id)
        | Deed::Revoke(id)
        | Deed::Lock(id)
        | Deed::Disable(id)
        | Deed::StopDraws(id)) = deed
        else {
            return Ok(Replayed::Unknown);
        };
        let Some(token) = self.store.token_find(again.realm, *id).await? else {
            return Ok(Replayed::Unknown);
        };
        if token.revocation.is_some() {
            return Ok(Replayed::Already);
        }
        let Cause { actor: by, reason, .. } = again.cause;
        let (done, kind, act) = match deed {
            Deed::EndSecret(_) => return self.end_secret(again, &token).await,
            Deed::Revoke(_) => {
                let act = TokenAct::Revoke { by: by.clone(), reason: reason.clone() };
                (false, "token.revoked", act)
            }
            Deed::Lock(_) => (token.locked, "token.locked", TokenAct::Lock),
            Deed::StopDraws(_) if token.remaining().is_none() => return Ok(Replayed::Already),
            _ => (!token.enabled, "token.disabled", TokenAct::Disable),
        };
        if done {
            return Ok(Replayed::Already);
        }
        if again.rehearsal {
            return Ok(Replayed::Done);
        }
        let event = self.again(again, kind)?.with_token(token.id);
        let change = TokenChange {
            realm: token.realm,
            id: token.id,
            act,
            expected_version: None,
            at: again.now,
            event: event.with_subject(token.owner.actor()),
        };
        Refusal::unless_updated(self.store.token_change(change).await?, Thing::Token)?;
        Ok(Replayed::Done)
    }

    /// The secret that a token had when the backup was made was replaced since. It ends here, too,
    /// in favour of one that nobody has been shown: the owner makes another.
    async fn end_secret(&self, again: &Again<'_>, token: &Token) -> Result<Replayed, Refusal> {
        let current = token.secrets.iter().find(|secret| secret.slot == Slot::Current);
        if current.is_none_or(|secret| secret.created_at >= again.first_at) {
            return Ok(Replayed::Already);
        }
        if again.rehearsal {
            return Ok(Replayed::Done);
        }
        let Drafted(_, secret) = self.generated(token.kind, token.id, again.now)?;
        let event = self.again(again, "token.rotated")?.with_token(token.id);
        let rotate = TokenRotate {
            realm: token.realm.clone(),
            id: token.id,
            secret,
            previous_until: again.now,
            expected_version: None,
            at: again.now,
            idempotency: None,
            only_replay: false,
            event: event.with_subject(token.owner.actor()),
        };
        Ok(match self.store.token_rotate(rotate).await? {
            Rotated::Done(_) => Replayed::Done,
            Rotated::NotFound => Replayed::Unknown,
            Rotated::Ended(_) => Replayed::Already,
            _ => Replayed::Refused("the token was changed meanwhile; run it again".to_owned()),
        })
    }

    async fn spend_link(&self, again: &Again<'_>, id: TokenId) -> Result<Replayed, Refusal> {
        let found = self.store.link_find(id).await?;
        let Some(link) = found.filter(|link| link.realm == *again.realm) else {
            return Ok(Replayed::Unknown);
        };
        if link.opened_at.is_some() || link.expires_at <= again.now {
            return Ok(Replayed::Already);
        }
        let Some(token) = self.store.token_find(&link.realm, link.token).await? else {
            return Ok(Replayed::Unknown);
        };
        if again.rehearsal {
            return Ok(Replayed::Done);
        }
        let Drafted(_, secret) = self.generated(token.kind, token.id, again.now)?;
        let event = self.again(again, "link.opened")?.with_token(token.id);
        let open = LinkOpen {
            id,
            token: token.id,
            realm: link.realm,
            secret,
            at: again.now,
            event: event.with_subject(token.owner.actor()),
        };
        Ok(match self.store.link_open(open).await? {
            LinkOpened::Done(_) => Replayed::Done,
            LinkOpened::Refused(_) => Replayed::Already,
            LinkOpened::Collision => Replayed::Refused("run it again".to_owned()),
        })
    }

    async fn replay_person(
        &self,
        again: &Again<'_>,
        kind: &'static str,
        (name, service): (&Username, Option<&ServiceLabel>),
        narrowed: &(dyn Fn(User) -> User + Send + Sync),
    ) -> Result<Replayed, Refusal> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(user) = self.store.user_find(again.realm, name).await? else {
                return Ok(Replayed::Unknown);
            };
            let changed = narrowed(user.clone());
            if changed == user {
                return Ok(Replayed::Already);
            }
            if again.rehearsal {
                return Ok(Replayed::Done);
            }
            let mut event = self.again(again, kind)?.with_subject(format!("user:{name}"));
            if let Some(label) = service {
                event = event.with_service(label.as_str());
            }
            let changed = User { updated_at: again.now, ..changed };
            let updated = self.store.user_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::User) {
                Err(Refusal::VersionMismatch) => {}
                settled => return settled.map(|_| Replayed::Done),
            }
        }
        Err(Refusal::VersionMismatch)
    }

    async fn replay_service_lock(
        &self,
        again: &Again<'_>,
        label: &ServiceLabel,
    ) -> Result<Replayed, Refusal> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(service) = self.store.service_find(again.realm, label).await? else {
                return Ok(Replayed::Unknown);
            };
            if service.locked {
                return Ok(Replayed::Already);
            }
            if again.rehearsal {
                return Ok(Replayed::Done);
            }
            let event = self.again(again, "service.locked")?.with_service(label.as_str());
            let changed = Service { locked: true, updated_at: again.now, ..service };
            let updated = self.store.service_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::Service) {
                Err(Refusal::VersionMismatch) => {}
                settled => return settled.map(|_| Replayed::Done),
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// Whether there is anything to remove.
    async fn is_there(&self, realm: &RealmName, deed: &Deed) -> Result<bool, Refusal> {
        let store = &self.store;
        Ok(match deed {
            Deed::RemovePerson(user) | Deed::EndSessions(user) | Deed::RemovePasskeys(user, _) => {
                store.user_find(realm, user).await?.is_some()
            }
            Deed::LeaveGroup(user, group) => {
                let found = store.user_find(realm, user).await?;
                found.is_some_and(|user| user.groups.contains(group))
            }
            Deed::RemoveGroup(group) => store.group_find(realm, group).await?.is_some(),
            Deed::TakeGrant(id) => store.grant_find(realm, id).await?.is_some(),
            Deed::RemoveClient(client) => store.client_find(realm, client).await?.is_some(),
            Deed::RemoveService(label) => store.service_find(realm, label).await?.is_some(),
            _ => false,
        })
    }

    async fn replay_removal(&self, again: &Again<'_>, deed: &Deed) -> Result<Replayed, Refusal> {
        let (realm, store) = (again.realm, &self.store);
        if !self.is_there(realm, deed).await? {
            return Ok(Replayed::Unknown);
        }
        if again.rehearsal {
            return Ok(Replayed::Done);
        }
        let about =
            |kind, name: String| Ok::<_, Refusal>(self.again(again, kind)?.with_subject(name));
        let done = match deed {
            Deed::RemovePerson(user) => {
                let event = about("user.deleted", format!("user:{user}"))?;
                store.user_delete(realm, user, again.now, event).await?
            }
            Deed::EndSessions(user) => {
                let event = about("session.ended", format!("user:{user}"))?;
                store.sessions_end(realm, user, SessionsEnd::All, event).await? > 0
            }
            Deed::RemovePasskeys(user, which) => {
                let event = about("passkey.removed", format!("user:{user}"))?;
                let which = match which {
                    WhichPasskeys::One(id) => PasskeysRemove::One(*id),
                    WhichPasskeys::All => PasskeysRemove::All,
                };
                store.passkeys_remove(realm, user, which, None, event).await? > 0
            }
            Deed::LeaveGroup(user, group) => {
                let event = about("group.member-removed", format!("user:{user}"))?;
                store.group_member_set(realm, group, user, false, event).await?;
                true
            }
            Deed::RemoveGroup(group) => {
                let event = about("group.deleted", format!("group:{group}"))?;
                store.group_delete(realm, group, event).await?
            }
            Deed::TakeGrant(id) => {
                let event = self.again(again, "grant.deleted")?;
                store.grant_delete(realm, id, event).await?
            }
            Deed::RemoveClient(client) => {
                let event = about("client.deleted", format!("client:{client}"))?;
                store.client_delete(realm, client, again.now, event).await?
            }
            Deed::RemoveService(label) => return self.remove_service(again, label).await,
            _ => false,
        };
        Ok(if done { Replayed::Done } else { Replayed::Already })
    }

    async fn remove_service(
        &self,
        again: &Again<'_>,
        label: &ServiceLabel,
    ) -> Result<Replayed, Refusal> {
        let event = self.again(again, "service.deleted")?.with_service(label.as_str());
        Ok(match self.store.service_delete(again.realm, label, event).await? {
            ServiceDeleted::Done => Replayed::Done,
            ServiceDeleted::NotFound => Replayed::Unknown,
            ServiceDeleted::InUse(tokens) => {
                Replayed::Refused(format!("{tokens} live tokens name it; revoke or change them"))
            }
        })
    }

    /// A hash that no password has.
    fn no_password(&self) -> Result<SecretHash, Refusal> {
        let mut digest = [0; 32];
        self.entropy().fill(&mut digest)?;
        let pepper = self.keys().pepper().id();
        let (digest, cost) = (Mac256::from_bytes(digest), self.settings.slow_cost);
        Ok(SecretHash::Slow { pepper, digest, cost, recipe: None })
    }

    async fn end_password(&self, again: &Again<'_>, user: &Username) -> Result<Replayed, Refusal> {
        let Some(account) = self.store.account_find(again.realm, user).await? else {
            return Ok(Replayed::Unknown);
        };
        if account.changed_at >= again.first_at {
            return Ok(Replayed::Already);
        }
        if again.rehearsal {
            return Ok(Replayed::Done);
        }
        let account = Account { password: self.no_password()?, changed_at: again.now, ..account };
        let event = self.again(again, "account.password-changed")?;
        let event = event.with_subject(format!("user:{user}"));
        let change = PasswordChange { account, keeps: None, event };
        if self.store.password_change(change).await? {
            return Ok(Replayed::Done);
        }
        Ok(Replayed::Refused("the account was changed meanwhile; run it again".to_owned()))
    }

    async fn spend_sign_in_link(
        &self,
        again: &Again<'_>,
        id: TokenId,
    ) -> Result<Replayed, Refusal> {
        let found = self.store.sign_in_link_find(id).await?;
        let Some(link) = found.filter(|link| link.realm == *again.realm) else {
            return Ok(Replayed::Unknown);
        };
        // The one for the first administrator is of no use as soon as there is one.
        let Some(username) = link.username.filter(|_| link.used_at.is_none()) else {
            return Ok(Replayed::Already);
        };
        if link.expires_at <= again.now {
            return Ok(Replayed::Already);
        }
        if again.rehearsal {
            return Ok(Replayed::Done);
        }
        let account = Account {
            realm: link.realm,
            username: username.clone(),
            password: self.no_password()?,
            changed_at: again.now,
            version: 1,
            passkey_required: false,
        };
        let event = self.again(again, "sign-in-link.used")?;
        let event = event.with_subject(format!("user:{username}"));
        let using = SignInLinkUse { id, account, first: None, at: again.now, event };
        Ok(match self.store.sign_in_link_use(using).await? {
            SignInLinkUsed::Done(_) => Replayed::Done,
            SignInLinkUsed::Refused(_) => Replayed::Already,
        })
    }
}
