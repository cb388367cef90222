//! What becomes of tokens of other keepers: changed, switched, removed, given and taken back.

use super::creating::request_of;
use super::{There, person};
use crate::authority::Authority;
use crate::authority::issue::{Lifetime, validity_of};
use crate::authority::repositories::{RepositoryEntry, writing};
use crate::caller::Caller;
use crate::custom::{Capability, ForeignChange, ForeignToken};
use crate::names::{RealmName, Username};
use crate::refusal::{Refusal, Thing};
use crate::repository::foreign::{instant_of, told_of};
use crate::repository::{Attribute, Repository, Value, Writes};
use crate::scope::ApiScope;
use crate::service::Services;
use crate::subject::Owner;
use crate::token::State;

impl Authority {
    /// Changes attributes of a token of a custom repository.
    pub(in crate::authority) async fn edit_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        named: (Option<&Username>, &str),
        writes: Writes,
        if_match: Option<&str>,
    ) -> Result<RepositoryEntry, Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.writable_elsewhere(&there, named, if_match).await?;
        if token.revoked {
            return Err(Refusal::Ended(State::Revoked));
        }
        writing::refuse_cleared(repository, &writes)?;
        self.refuse_pasted_writes(repository, &writes)?;
        refuse_inverted(&token, &writes)?;
        self.judge_widening(&there, &token, &writes).await?;
        self.offers(&there, Capability::Update).await?;
        let change = ForeignChange { attributes: told_of(&writes) };
        let asked = there.kept.driver().update(&token.id, &change, if_match);
        let token = self.asked(&there, asked).await?;
        let user = person(&token);
        self.noted(&there, "token.updated", (&token.id, user.as_ref())).await?;
        self.entry_elsewhere(&there, token).await
    }

    /// A later end, or none, is held to what issuing is.
    async fn judge_widening(
        &self,
        there: &There<'_>,
        token: &ForeignToken,
        writes: &Writes,
    ) -> Result<(), Refusal> {
        let Some(end) = writes.get(&Attribute::ValidTo) else { return Ok(()) };
        let before = instant_of(token, Attribute::ValidTo);
        let narrower = match (end, before) {
            (Some(Value::Instant(end)), Some(before)) => *end <= before,
            (Some(Value::Instant(end)), None) => *end <= self.now(),
            _ => false,
        };
        if narrower {
            return Ok(());
        }
        let mut request = request_of(there.repository, person(token), writes);
        request.not_before = None;
        let judged = self.may_issue(there.caller, there.realm, &request).await?;
        let lifetime = Lifetime::of(&request);
        let policies = judged.policies();
        validity_of(&policies, there.caller, &judged.reach, lifetime, self.now()).map(drop)
    }

    /// Switches a token of a custom repository on or off.
    pub async fn repository_switch_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (named, on): ((Option<&Username>, &str), bool),
        if_match: Option<&str>,
    ) -> Result<RepositoryEntry, Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.writable_elsewhere(&there, named, if_match).await?;
        if token.revoked {
            return Err(Refusal::Ended(State::Revoked));
        }
        self.offers(&there, Capability::Enable).await?;
        let before = token.enabled;
        let asked = there.kept.driver().set_enabled(&token.id, on);
        let token = self.asked(&there, asked).await?;
        let kind = if on { "token.enabled" } else { "token.disabled" };
        if before == on {
            // What stands already is no event. Here it may be remembered otherwise.
            there.kept.remembered.forget();
        } else {
            self.noted(&there, kind, (&token.id, person(&token).as_ref())).await?;
        }
        self.entry_elsewhere(&there, token).await
    }

    /// Removes a token from a custom repository.
    pub(in crate::authority) async fn delete_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        named: (Option<&Username>, &str),
        if_match: Option<&str>,
    ) -> Result<(), Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.writable_elsewhere(&there, named, if_match).await?;
        self.offers(&there, Capability::Delete).await?;
        self.asked(&there, there.kept.driver().delete(&token.id, if_match)).await?;
        self.noted(&there, "token.deleted", (&token.id, person(&token).as_ref())).await
    }

    /// Gives a token of a custom repository to a person, or takes it back.
    pub(in crate::authority) async fn assign_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (id, to): (&str, Option<Username>),
        if_match: Option<&str>,
    ) -> Result<RepositoryEntry, Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.told_elsewhere(&there, None, id).await?;
        caller.require_whole(realm, ApiScope::TokensWrite)?;
        if if_match.is_some_and(|version| token.version.as_deref() != Some(version)) {
            return Err(Refusal::VersionMismatch);
        }
        match (&to, person(&token)) {
            (Some(_), Some(_)) => return Err(Refusal::PlaceTaken),
            (None, None) => return Err(Refusal::NotSupported("nobody has this token")),
            _ => {}
        }
        if let Some(user) = &to {
            let known = self.store.user_find(realm, user).await?;
            known.ok_or(Refusal::NotFound(Thing::User))?;
        }
        self.offers(&there, Capability::Assign).await?;
        let asked = there.kept.driver().assign(&token.id, to.as_ref());
        let after = self.asked(&there, asked).await?;
        let kind = if to.is_some() { "token.assigned" } else { "token.unassigned" };
        let subject = to.or_else(|| person(&token));
        self.noted(&there, kind, (&after.id, subject.as_ref())).await?;
        self.entry_elsewhere(&there, after).await
    }

    /// A token that the caller may change; one beyond their reach does not exist for them.
    async fn writable_elsewhere(
        &self,
        there: &There<'_>,
        (user, id): (Option<&Username>, &str),
        if_match: Option<&str>,
    ) -> Result<ForeignToken, Refusal> {
        let token = self.told_elsewhere(there, user, id).await?;
        let reach = there.caller.reach(there.realm, ApiScope::TokensWrite)?;
        let services = Services::Named(there.repository.services.clone());
        if !reach.whole && !reach.covers_services(&services) {
            let nothing = Refusal::NotFound(Thing::Token);
            let owner = person(&token).map(Owner::User).ok_or(nothing.clone())?;
            let unit = self.unit_of_owner(there.realm, &owner).await?;
            if !reach.covers_user(&owner, unit.as_ref()) {
                return Err(nothing);
            }
        }
        match if_match {
            Some(version) if token.version.as_deref() != Some(version) => {
                Err(Refusal::VersionMismatch)
            }
            _ => Ok(token),
        }
    }
}

/// An end that lies before the beginning, whichever of the two is written.
fn refuse_inverted(token: &ForeignToken, writes: &Writes) -> Result<(), Refusal> {
    let after = |attribute| match writes.get(&attribute) {
        Some(Some(Value::Instant(at))) => Some(*at),
        Some(_) => None,
        None => instant_of(token, attribute),
    };
    match (after(Attribute::ValidFrom), after(Attribute::ValidTo)) {
        (Some(begins), Some(ends)) if ends <= begins => Err(writing::inverted()),
        _ => Ok(()),
    }
}
