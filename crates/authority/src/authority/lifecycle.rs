//! Rotate, enable, disable, lock, unlock, revoke: what happens to a token after it is issued.
//!
//! Length: what happens to a token after it is issued is one table of acts.

use super::issue::{Drafted, Whose};
use super::{Answered, Authority, Replay};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::event::{Event, Origin};
use crate::kind::Kind;
use crate::names::RealmName;
use crate::policy::{AG_LENGTH, DEFAULT_ROTATION_OVERLAP_SECONDS, EffectivePolicy, SecretForm};
use crate::refusal::{Refusal, Thing};
use crate::secret::TokenId;
use crate::service::{Service, ServiceStatus, Services};
use crate::store::{
    EventFilter, PageRequest, Rotated, TokenAct, TokenChange, TokenFilter, TokenRotate,
};
use crate::subject::{Owner, UserStatus};
use crate::token::{State, Token};

/// Longest overlap that can be asked for: a year. The policy usually allows far less.
const OVERLAP_SECONDS_MAX: i64 = 366 * 86_400;
/// Tokens that a preview of a revocation lists at most.
const PREVIEW_MAX: u32 = 1000;

/// What a former secret is told: whoever has a leaked one would outlive the rotation by it.
const FORMER: Refusal = Refusal::BeyondGrant("a former secret cannot rotate the token");

/// How a token is rotated.
struct RotateWish {
    overlap_seconds: Option<i64>,
    if_match: Option<i64>,
    /// Only an answer that was given before is wanted again.
    is_again: bool,
}

/// A switch of state that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Switch on.
    Enable,
    /// Switch off.
    Disable,
    /// Lock; only administrators unlock.
    Lock,
    /// Unlock.
    Unlock,
    /// End for good.
    Revoke {
        /// Why.
        reason: Option<String>,
    },
    /// The same, with every auth token that was drawn from it.
    RevokeWithChildren {
        /// Why.
        reason: Option<String>,
    },
}

impl Act {
    /// The event that records it.
    const fn event(&self) -> &'static str {
        match self {
            Self::Enable => "token.enabled",
            Self::Disable => "token.disabled",
            Self::Lock => "token.locked",
            Self::Unlock => "token.unlocked",
            Self::Revoke { .. } | Self::RevokeWithChildren { .. } => "token.revoked",
        }
    }
}

/// What the next secret of a token is like.
pub(super) struct Rotation {
    /// Its form, and the length of the form `ag`.
    pub(super) form: (SecretForm, u32),
    /// The longest overlap with the one before.
    pub(super) overlap_seconds: i64,
}

/// Registration tokens and what is drawn from them are administrated by the unit they are in,
/// whoever issued them.
fn administrates_by_unit(reach: &crate::caller::Reach, token: &Token) -> bool {
    matches!(token.kind, Kind::RegistrationToken | Kind::AuthToken)
        && token.unit.as_ref().is_some_and(|unit| reach.units.contains(unit))
}

impl Authority {
    /// Gives a token a new secret; the former one works on for the overlap.
    ///
    /// Rotation never moves `expires_at`: a leaked token must not be able to prolong itself.
    pub async fn rotate(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        overlap_seconds: Option<i64>,
        if_match: Option<i64>,
        replay: Option<Replay>,
    ) -> Result<Answered, Refusal> {
        let token = self.reachable(caller, realm, id).await?;
        self.refuse_to_show(caller, &token).await?;
        let wish = RotateWish { overlap_seconds, if_match, is_again: false };
        self.rotate_token(caller, token, wish, replay).await
    }

    /// A person is shown no secret of somebody else's, unless policy says so; a program that
    /// issues is, and hands it on.
    pub(super) async fn refuse_to_show(
        &self,
        caller: &Caller,
        token: &Token,
    ) -> Result<(), Refusal> {
        let for_another = caller.subject.user().is_some()
            && token.owner.user().is_some()
            && !caller.is(&token.owner, &token.realm);
        if !for_another {
            return Ok(());
        }
        let mut shown = true;
        match &token.services {
            Services::All => shown = self.realm_facts(&token.realm).await?.policy.show_to_issuer,
            Services::Named(labels) => {
                for label in labels {
                    let cell = self.service_facts(&token.realm, label).await?;
                    shown &= cell.is_none_or(|cell| cell.policy.show_to_issuer);
                }
            }
        }
        if shown {
            return Ok(());
        }
        Err(Refusal::BeyondGrant(
            "the secret of somebody else would be shown; issue a new token by link instead",
        ))
    }

    async fn rotate_token(
        &self,
        caller: &Caller,
        token: Token,
        RotateWish { overlap_seconds, if_match, is_again }: RotateWish,
        replay: Option<Replay>,
    ) -> Result<Answered, Refusal> {
        let now = self.now();
        super::decoys::check_rotates(token.kind)?;
        // A secret beside its codes would be a way around them.
        if token.kind == Kind::Generic && self.is_otp(&token).await? {
            return Err(Refusal::invalid(
                "kind",
                "an authentication token has no secret to rotate",
            ));
        }
        self.refuse_secret_if_held(&token).await?;
        let Rotation { form, overlap_seconds: allowed } = self.rotation_policy(&token).await?;
        let overlap = overlap_seconds.unwrap_or(allowed);
        if !(0..=OVERLAP_SECONDS_MAX).contains(&overlap) {
            return Err(Refusal::invalid("overlap_seconds", "must be between 0 and a year"));
        }
        if overlap > allowed {
            return Err(Refusal::Policy(format!("the longest overlap is {allowed} seconds")));
        }
        let drafted = self.next_secret(&token, form, now).await?;
        let Drafted(clear, secret) = self
            .derive_for_directories(
                &token.realm,
                token.id,
                token.kind,
                &token.services,
                false,
                drafted,
            )
            .await?;
        let event = self
            .event("token.rotated", &token.realm, &caller.origin, now)?
            .with_token(token.id)
            .with_subject(token.owner.actor());
        let idempotency =
            replay.map(|r| self.idempotency(&caller.replay_key, caller.token, &r, &clear, now));
        let rotate = TokenRotate {
            realm: token.realm.clone(),
            id: token.id,
            secret,
            previous_until: now.plus_seconds(overlap),
            expected_version: if_match,
            at: now,
            idempotency,
            only_replay: is_again,
            event,
        };
        match self.store.token_rotate(rotate).await? {
            Rotated::Done(token) => Ok(Answered::Fresh { token, secret: clear }),
            Rotated::Replayed(sealed) => super::issue::replayed(caller, &sealed),
            Rotated::NotAnswered => Err(FORMER),
            Rotated::KeyReused => Err(Refusal::KeyReused),
            Rotated::NotFound => Err(Refusal::NotFound(Thing::Token)),
            Rotated::VersionMismatch => Err(Refusal::VersionMismatch),
            Rotated::Ended(state) => Err(Refusal::Ended(state)),
            Rotated::Collision => Err(Refusal::NoEntropy(crate::clock::NoEntropy)),
        }
    }

    /// What is locked or suspended gets no new secret: a lock is there to stop things, and a new
    /// secret would be a way to go on. Of several services one that goes on is enough.
    ///
    /// # Errors
    ///
    /// [`Refusal::Ended`] as locked, for the token; [`Refusal::NotOpen`] for its owner and its
    /// services.
    pub(super) async fn refuse_secret_if_held(&self, token: &Token) -> Result<(), Refusal> {
        if token.locked {
            return Err(Refusal::Ended(State::Locked));
        }
        // What clients own is bounded by their roles, and their keys get them in again.
        let Owner::User(name) = &token.owner else { return Ok(()) };
        let Some(person) = self.store.user_find(&token.realm, name).await? else { return Ok(()) };
        if person.status != UserStatus::Active {
            let status = person.status.name();
            return Err(Refusal::NotOpen(format!("the person is {status}")));
        }
        if person.locks.everywhere {
            return Err(Refusal::NotOpen("the person is locked".to_owned()));
        }
        let Services::Named(labels) = &token.services else { return Ok(()) };
        for label in labels {
            let found = self.service_facts(&token.realm, label).await?;
            let goes_on = |service: &Service| {
                let locked = service.locked || person.locks.hold_at(label);
                service.status == ServiceStatus::Active && !locked
            };
            if found.is_some_and(|cell| goes_on(&cell.service)) {
                return Ok(());
            }
        }
        if labels.is_empty() {
            return Ok(());
        }
        Err(Refusal::NotOpen("the service is suspended or locked".to_owned()))
    }

    /// A further secret of a token.
    pub(super) async fn next_secret(
        &self,
        token: &Token,
        form: (SecretForm, u32),
        now: Timestamp,
    ) -> Result<Drafted, Refusal> {
        let Token { realm, owner, services, .. } = token;
        let whose = Whose { realm, owner, services };
        self.made(form, &whose, token.kind, token.id, now).await
    }

    /// The form of a token's secrets and the longest overlap, by its service's policy.
    pub(super) async fn rotation_policy(&self, token: &Token) -> Result<Rotation, Refusal> {
        let mut form = (SecretForm::Prefixed, AG_LENGTH);
        let mut overlap_seconds = DEFAULT_ROTATION_OVERLAP_SECONDS;
        let Services::Named(labels) = &token.services else {
            return Ok(Rotation { form, overlap_seconds });
        };
        for (number, label) in labels.iter().enumerate() {
            let Some(cell) = self.service_facts(&token.realm, label).await? else {
                continue;
            };
            let stated = cell.policy.rotation_overlap_seconds;
            overlap_seconds = if number == 0 { stated } else { overlap_seconds.min(stated) };
            if token.kind == Kind::ServiceToken {
                form = (cell.policy.form, cell.policy.length);
            }
        }
        Ok(Rotation { form, overlap_seconds })
    }

    /// Switches state. Idempotent.
    pub async fn change(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        act: Act,
        if_match: Option<i64>,
    ) -> Result<Token, Refusal> {
        let token = self.changeable(caller, realm, id, &act).await?;
        self.change_token(&caller.origin, &token, act, if_match).await
    }

    /// A token that the caller may do this to: what a preview shows is what the act does.
    pub(super) async fn changeable(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        act: &Act,
    ) -> Result<Token, Refusal> {
        let token = match act {
            Act::Enable | Act::Unlock => self.reachable(caller, realm, id).await?,
            Act::Disable | Act::Lock | Act::Revoke { .. } | Act::RevokeWithChildren { .. } => {
                self.endable(caller, realm, id).await?
            }
        };
        if let Act::Revoke { reason: Some(reason) }
        | Act::RevokeWithChildren { reason: Some(reason) } = act
        {
            self.refuse_token("reason", reason)?;
        }
        let (reach, _) = Self::reach_to_write(caller, realm)?;
        let owner_unit = self.unit_of_owner(realm, &token.owner).await?;
        let administrates = reach.whole
            || reach.covers_services(&token.services)
            || owner_unit.is_some_and(|unit| reach.units.contains(&unit))
            || administrates_by_unit(&reach, &token);
        if *act == Act::Unlock && !administrates {
            return Err(Refusal::BeyondGrant("only an administrator unlocks a token"));
        }
        if *act == Act::Enable && !administrates {
            self.check_own_switch(caller, &token).await?;
        }
        Ok(token)
    }

    /// Owners switch on what they switched off themselves, not what an administrator did.
    async fn check_own_switch(&self, caller: &Caller, token: &Token) -> Result<(), Refusal> {
        let filter = EventFilter {
            token: Some(token.id),
            kind: Some("token.disabled".into()),
            ..EventFilter::default()
        };
        let page = PageRequest::first(1);
        let latest = self.store.event_list(&token.realm, filter, page).await?;
        let by_other = |event: &Event| event.origin.actor != caller.origin.actor;
        if !token.enabled && latest.items.first().is_some_and(by_other) {
            return Err(Refusal::BeyondGrant("an administrator disabled this token"));
        }
        Ok(())
    }

    pub(super) async fn change_token(
        &self,
        origin: &Origin,
        token: &Token,
        act: Act,
        if_match: Option<i64>,
    ) -> Result<Token, Refusal> {
        let change = self.token_change_of(origin, token, act, if_match)?;
        Refusal::unless_updated(self.store.token_change(change).await?, Thing::Token)
    }

    /// What is to be stored when a token's state is switched.
    pub(super) fn token_change_of(
        &self,
        origin: &Origin,
        token: &Token,
        act: Act,
        if_match: Option<i64>,
    ) -> Result<TokenChange, Refusal> {
        let now = self.now();
        let mut event = self
            .event(act.event(), &token.realm, origin, now)?
            .with_token(token.id)
            .with_subject(token.owner.actor());
        let ends = matches!(act, Act::Revoke { .. } | Act::RevokeWithChildren { .. });
        let ended = token.revocation.is_some() && !ends;
        if ended {
            return Err(Refusal::Ended(State::Revoked));
        }
        let act = match act {
            Act::Enable => TokenAct::Enable,
            Act::Disable => TokenAct::Disable,
            Act::Lock => TokenAct::Lock,
            Act::Unlock => TokenAct::Unlock,
            Act::Revoke { reason } => {
                if let Some(reason) = &reason {
                    event = event.with_reason(reason.clone());
                }
                TokenAct::Revoke { by: origin.actor.to_string(), reason }
            }
            Act::RevokeWithChildren { reason } => {
                if let Some(reason) = &reason {
                    event = event.with_reason(reason.clone());
                }
                TokenAct::RevokeWithChildren { by: origin.actor.to_string(), reason }
            }
        };
        Ok(TokenChange {
            realm: token.realm.clone(),
            id: token.id,
            act,
            expected_version: if_match,
            at: now,
            event,
        })
    }

    /// What a revocation would end: the token, and everything derived from it; with `cascade`
    /// also what was drawn from it, the newest thousand of it.
    pub async fn preview_revoke(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        cascade: bool,
    ) -> Result<Vec<Token>, Refusal> {
        let token = self.reachable(caller, realm, id).await?;
        let mut drawn = Vec::new();
        if cascade {
            let filter = TokenFilter { registration: Some(id), ..TokenFilter::default() };
            let page = PageRequest::first(PREVIEW_MAX);
            let listed = self.store.token_list(realm, filter, self.now(), page).await?.items;
            drawn.extend(listed.into_iter().filter(|token| token.revocation.is_none()));
        }
        let filter = TokenFilter {
            owner: Some(token.owner.clone()),
            kind: Some(Kind::DerivedToken),
            ..TokenFilter::default()
        };
        let page = PageRequest::first(PREVIEW_MAX);
        let derived = self.store.token_list(realm, filter, self.now(), page).await?.items;
        let mut ended = vec![token];
        ended.extend(drawn);
        // Children of children: each round adds those whose parent is already in the list.
        loop {
            let fresh: Vec<Token> = derived
                .iter()
                .filter(|child| child.revocation.is_none())
                .filter(|child| !ended.iter().any(|known| known.id == child.id))
                .filter(|child| ended.iter().any(|known| child.parent == Some(known.id)))
                .cloned()
                .collect();
            if fresh.is_empty() {
                return Ok(ended);
            }
            ended.extend(fresh);
        }
    }

    /// The presented token itself, for its holder: with what it can do now, also where something
    /// that it was derived from has lost some since.
    pub async fn self_token(&self, caller: &Caller) -> Result<Token, Refusal> {
        let token = self.own_token(caller).await?;
        self.as_left(token).await
    }

    /// The same as it is stored.
    async fn own_token(&self, caller: &Caller) -> Result<Token, Refusal> {
        let found = self.store.token_find(&caller.realm, caller.token).await?;
        if found.is_none() && caller.origin.actor_token != Some(caller.token) {
            return Err(Refusal::BeyondGrant("an access token is ended where it was made"));
        }
        let token = found.ok_or(Refusal::NotFound(Thing::Token))?;
        if token.kind.may_use_self() {
            Ok(token)
        } else {
            Err(Refusal::BeyondGrant("a token of this kind cannot be managed by its holder"))
        }
    }

    /// The holder ends the presented token.
    pub async fn self_revoke(&self, caller: &Caller) -> Result<Token, Refusal> {
        let token = self.own_token(caller).await?;
        let reason = Some("revoked by its holder".to_owned());
        self.change_token(&caller.origin, &token, Act::Revoke { reason }, None).await
    }

    /// The holder rotates the presented token, where the service's policy allows it: by
    /// default for personal access tokens and client keys, but not for service tokens, since
    /// the server that sees one could take it over.
    pub async fn self_rotate(
        &self,
        caller: &Caller,
        overlap_seconds: Option<i64>,
        if_match: Option<i64>,
        replay: Option<Replay>,
    ) -> Result<Answered, Refusal> {
        let token = self.own_token(caller).await?;
        // A leaked former secret must not survive the rotation that was meant to kill it; but
        // whoever lost the answer has nothing else to ask for it with.
        if caller.former_secret && replay.is_none() {
            return Err(FORMER);
        }
        let by_default = matches!(token.kind, Kind::PersonalAccessToken | Kind::ClientKey);
        if !self.holder_may(&token, by_default, |policy| policy.self_rotate).await? {
            return Err(Refusal::Policy("the service's policy does not let holders rotate".into()));
        }
        let wish = RotateWish { overlap_seconds, if_match, is_again: caller.former_secret };
        self.rotate_token(caller, token, wish, replay).await
    }

    /// Whether the services' policies let the holder of a token do something with it: none may
    /// say no, and where it is not so by default each has to say yes.
    pub(super) async fn holder_may(
        &self,
        token: &Token,
        by_default: bool,
        said: impl Fn(&EffectivePolicy) -> Option<bool>,
    ) -> Result<bool, Refusal> {
        let Services::Named(labels) = &token.services else {
            let realm = self.realm_facts(&token.realm).await?;
            return Ok(said(&realm.policy).unwrap_or(by_default));
        };
        let mut stated = Vec::new();
        for label in labels {
            let cell = self.service_facts(&token.realm, label).await?;
            stated.extend(cell.and_then(|cell| said(&cell.policy)));
        }
        let all_stated = !labels.is_empty() && stated.len() == labels.len();
        Ok(stated.iter().all(|&yes| yes) && (by_default || all_stated))
    }
}
