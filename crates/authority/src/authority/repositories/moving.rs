//! Tokens that leave their repository, change hands, or take another one's place.

use std::sync::Arc;

use super::{RepositoryEntry, number_of};
use crate::authority::Authority;
use crate::authority::issue::limits_of;
use crate::caller::Caller;
use crate::event::Origin;
use crate::names::{RealmName, Username};
use crate::refusal::{Refusal, Thing};
use crate::repository::{Attribute, Membership, Place, Promotion, Repository, RepositoryKind};
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::store::{ActiveLimit, Assign, Listing, ListingRemove, Moved, Promote};
use crate::subject::Owner;
use crate::token::{State, Token};
use crate::verdict::Door;

/// Credentials that one step promotes because their time has begun.
const PROMOTED_PER_STEP: u32 = 100;

impl Authority {
    /// Deletes a token from its repository: it is revoked, and its place and serial are free.
    pub async fn repository_delete(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (user, id): (Option<&Username>, &str),
        if_match: Option<&str>,
    ) -> Result<(), Refusal> {
        if let RepositoryKind::Custom(_) = &repository.kind {
            return self.delete_elsewhere(caller, realm, repository, (user, id), if_match).await;
        }
        let listing = self.listing(caller, realm, repository, user, id).await?;
        let removal = self.removal(caller, realm, repository, listing.token.id, if_match).await?;
        moved(self.store.listing_remove(removal).await?).map(drop)
    }

    /// What is to be stored when a token leaves its repository.
    async fn removal(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        id: TokenId,
        if_match: Option<&str>,
    ) -> Result<ListingRemove, Refusal> {
        let token = self.endable(caller, realm, id).await?;
        let now = self.now();
        let promote = match &repository.kind {
            RepositoryKind::Credential(rules) => rules.promotes_on(Promotion::Deletion),
            RepositoryKind::Token(_) | RepositoryKind::Custom(_) => false,
        };
        let event = self
            .event("token.deleted", realm, &caller.origin, now)?
            .with_token(token.id)
            .with_subject(token.owner.actor())
            .with_detail(serde_json::json!({ "repository": repository.name.as_str() }));
        Ok(ListingRemove {
            realm: realm.clone(),
            id: token.id,
            expected_version: number_of(if_match),
            promote,
            at: now,
            event,
        })
    }

    /// The same for a job, which names a token by its id alone.
    pub(in crate::authority) async fn job_removal(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<ListingRemove, Refusal> {
        let repository = self.repository_with(caller, realm, id).await?;
        self.removal(caller, realm, &repository, id, None).await
    }

    async fn repository_with(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Arc<Repository>, Refusal> {
        let name = self.repository_name_of(caller, realm, id.as_str()).await?;
        self.repository(caller, realm, &name).await
    }

    /// What is to be stored when a job gives a token to a person.
    pub(in crate::authority) async fn job_assignment(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        to: Option<Username>,
    ) -> Result<Assign, Refusal> {
        let repository = self.repository_with(caller, realm, id).await?;
        self.assignment(caller, realm, &repository, (id.as_str(), to), None).await
    }

    /// Gives a token of the stock to a person, or takes it back (`None`).
    pub async fn repository_assign(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (id, to): (&str, Option<Username>),
        if_match: Option<&str>,
    ) -> Result<RepositoryEntry, Refusal> {
        if let RepositoryKind::Custom(_) = &repository.kind {
            return self.assign_elsewhere(caller, realm, repository, (id, to), if_match).await;
        }
        let assign = self.assignment(caller, realm, repository, (id, to), if_match).await?;
        let now = assign.at;
        let listing = moved(self.store.listing_assign(assign).await?)?;
        self.shown_entry(repository, listing, now)
    }

    /// What is to be stored when a token of the stock is given to a person, or taken back.
    async fn assignment(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (id, to): (&str, Option<Username>),
        if_match: Option<&str>,
    ) -> Result<Assign, Refusal> {
        if !matches!(repository.kind, RepositoryKind::Token(_)) {
            return Err(Refusal::NotSupported("credentials are made for their person"));
        }
        let listing = self.listing(caller, realm, repository, None, id).await?;
        caller.require_whole(realm, ApiScope::TokensWrite)?;
        let now = self.now();
        let kind = if to.is_some() { "token.assigned" } else { "token.unassigned" };
        let subject = to.clone().map_or_else(|| listing.token.owner.clone(), Owner::User);
        let event = self
            .event(kind, realm, &caller.origin, now)?
            .with_token(listing.token.id)
            .with_subject(subject.actor())
            .with_detail(serde_json::json!({ "repository": repository.name.as_str() }));
        let held = Token {
            repository: Some(Membership { name: repository.name.clone(), place: Place::Held }),
            ..listing.token.clone()
        };
        let limits =
            if to.is_some() { self.limits_of_holder(repository, &held).await? } else { Vec::new() };
        Ok(Assign {
            realm: realm.clone(),
            id: listing.token.id,
            pending: to.is_none() || repository.activates_by_letter(),
            to,
            keeper: caller.subject.clone(),
            limits,
            expected_version: number_of(if_match),
            at: now,
            event,
        })
    }

    /// How many tokens somebody may hold who is given this one: as if it were issued to them.
    async fn limits_of_holder(
        &self,
        repository: &Repository,
        held: &Token,
    ) -> Result<Vec<ActiveLimit>, Refusal> {
        let data = repository.attributes.find(Attribute::Data);
        let chosen = data.is_some_and(|data| data.write_only);
        let cells = self.cells_of(held).await?;
        let realm = self.realm_facts(&held.realm).await?;
        let mut limits = limits_of(held.kind, &cells, &realm.policy, chosen);
        limits.extend(self.limit_in_repository(held));
        Ok(limits)
    }

    /// Makes a person's next credential the current one, because somebody says so.
    pub async fn repository_promote(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (user, id): (&Username, &str),
    ) -> Result<RepositoryEntry, Refusal> {
        let listing = self.listing(caller, realm, repository, Some(user), id).await?;
        let token = self.reachable(caller, realm, listing.token.id).await?;
        // It takes the place of one that works: only its own beginning may lie ahead.
        match token.state(self.now()) {
            State::Active | State::NotYetValid => {}
            ended => return Err(Refusal::Ended(ended)),
        }
        let promoted = self.promote(repository, &caller.origin, &token, user).await?;
        let listing = promoted.ok_or(Refusal::NotFound(Thing::Token))?;
        self.shown_entry(repository, listing, self.now())
    }

    async fn promote(
        &self,
        repository: &Repository,
        origin: &Origin,
        token: &Token,
        user: &Username,
    ) -> Result<Option<Listing>, Refusal> {
        self.promote_one(repository, origin, (&token.realm, user, token.id)).await
    }

    async fn promote_one(
        &self,
        repository: &Repository,
        origin: &Origin,
        (realm, user, next): (&RealmName, &Username, TokenId),
    ) -> Result<Option<Listing>, Refusal> {
        let RepositoryKind::Credential(rules) = &repository.kind else {
            return Err(Refusal::NotSupported("only a credential is promoted"));
        };
        let now = self.now();
        let event = self
            .event("token.promoted", realm, origin, now)?
            .with_token(next)
            .with_subject(Owner::User(user.clone()).actor());
        let promote = Promote {
            realm: realm.clone(),
            repository: repository.name.clone(),
            owner: user.clone(),
            next: Some(next),
            retire_at: now.plus_seconds(rules.retire_grace_seconds),
            at: now,
            event,
        };
        Ok(self.store.credential_promote(promote).await?)
    }

    /// The first accepted use of a next credential, where that makes it the current one.
    pub(in crate::authority) async fn promote_on_use(
        &self,
        realm: &RealmName,
        origin: &Origin,
        id: TokenId,
        user: Option<&Username>,
    ) -> Result<(), Refusal> {
        let promotes = |repository: &&Arc<Repository>| match &repository.kind {
            RepositoryKind::Credential(rules) => rules.promotes_on(Promotion::FirstUse),
            RepositoryKind::Token(_) | RepositoryKind::Custom(_) => false,
        };
        let Some(user) = user else { return Ok(()) };
        if !self.repositories().all().any(|repository| promotes(&repository)) {
            return Ok(());
        }
        let known = self.cache.with_token(self.now(), id, |entry| entry.repository().cloned());
        let member = match known {
            Some(member) => member,
            None => self.store.token_record(id).await?.and_then(|record| record.repository),
        };
        let Some(member) = member.filter(|member| member.place == Place::Next) else {
            return Ok(());
        };
        let repository = self.repositories().find(&member.name).filter(promotes);
        if let Some(repository) = repository {
            self.promote_one(repository, origin, (realm, user, id)).await?;
        }
        Ok(())
    }

    /// Promotes a batch of next credentials whose own time has begun; false if there was none.
    ///
    /// # Errors
    ///
    /// When the store could not answer; the next step goes on where this one ended.
    pub async fn promote_due(&self) -> Result<bool, Refusal> {
        let mut promoted = false;
        for repository in self.repositories().all() {
            let RepositoryKind::Credential(rules) = &repository.kind else { continue };
            if !rules.promotes_on(Promotion::AtDate) {
                continue;
            }
            let (name, now) = (&repository.name, self.now());
            for (realm, user, id) in
                self.store.credentials_due(name, now, PROMOTED_PER_STEP).await?
            {
                let origin = Origin::system(Door::Cli);
                let done = self.promote_one(repository, &origin, (&realm, &user, id)).await?;
                promoted |= done.is_some();
            }
        }
        Ok(promoted)
    }
}

fn moved(moved: Moved) -> Result<Listing, Refusal> {
    match moved {
        Moved::Done(listing) => Ok(listing),
        Moved::NotFound => Err(Refusal::NotFound(Thing::Token)),
        Moved::VersionMismatch => Err(Refusal::VersionMismatch),
        Moved::AtLimit(max) => Err(Refusal::AtLimit(max)),
        Moved::OwnerGone => Err(Refusal::NotFound(Thing::User)),
        Moved::Assigned => Err(Refusal::PlaceTaken),
        Moved::Unassigned => Err(Refusal::NotSupported("nobody has this token")),
        Moved::Ended => Err(Refusal::Ended(State::Revoked)),
    }
}
