//! Looking at tokens, and who may touch which, within the caller's reach.

use super::Authority;
use crate::caller::{Caller, Reach};
use crate::event::Event;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName};
use crate::refusal::{Refusal, Thing};
use crate::repository::RepositoryKind;
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::store::{
    EventFilter, LookedAfter, Page, PageRequest, TokenFilter, USE_DAYS_KEPT, UseDay, day_of,
};
use crate::subject::Owner;
use crate::token::Token;

impl Authority {
    /// A token within the caller's reach; any other does not exist for them.
    pub async fn token(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let (reach, only_registration) = match caller.reach(realm, ApiScope::TokensRead) {
            Ok(reach) => (reach, false),
            // Who may issue registration tokens may see what became of them.
            Err(Refusal::Forbidden(_)) => {
                (caller.reach(realm, ApiScope::RegistrationTokensWrite)?, true)
            }
            Err(refusal) => return Err(refusal),
        };
        let token = self.token_within(&reach, realm, id).await?;
        if only_registration && !is_enrolment(&token) {
            return Err(Refusal::NotFound(Thing::Token));
        }
        Ok(token)
    }

    /// How far the caller may change tokens, and whether only registration tokens and what was
    /// drawn from them.
    pub(super) fn reach_to_write(
        caller: &Caller,
        realm: &RealmName,
    ) -> Result<(Reach, bool), Refusal> {
        match caller.reach(realm, ApiScope::TokensWrite) {
            Err(Refusal::Forbidden(scope)) => {
                let reach = caller.reach(realm, ApiScope::RegistrationTokensWrite);
                reach.map(|reach| (reach, true)).map_err(|_| Refusal::Forbidden(scope))
            }
            said => said.map(|reach| (reach, false)),
        }
    }

    /// A token that the caller may end: revoke, disable or lock.
    pub(super) async fn endable(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let (reach, only_registration) = Self::reach_to_write(caller, realm)?;
        let token = self.token_within(&reach, realm, id).await?;
        if only_registration && !is_enrolment(&token) {
            return Err(Refusal::NotFound(Thing::Token));
        }
        let of_client = token.owner.user().is_none() && !caller.is(&token.owner, realm);
        if of_client && !is_enrolment(&token) {
            caller.require_whole(realm, ApiScope::ClientsWrite)?;
        }
        // What is one's own may always be ended, by any token of one's own that reaches it.
        if token.services.includes(COUNTERFOIL) && !caller.is(&token.owner, realm) {
            self.require_api_rank(caller, &token).await?;
        }
        Ok(token)
    }

    /// A token that the caller may make stronger, or whose secret they may receive: rotate,
    /// edit, enable, unlock.
    pub(super) async fn reachable(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let token = self.endable(caller, realm, id).await?;
        if token.id == caller.token {
            return Ok(token);
        }
        self.require_api_rank(caller, &token).await?;
        // A short-lived token must not take over a long-lived one of the same person.
        let issuer_end = caller.token_expires_at.filter(|_| caller.subject.user().is_some());
        let outlives = issuer_end
            .is_some_and(|end| token.validity.expires_at().is_none_or(|other| end < other));
        if outlives && token.services.includes(COUNTERFOIL) {
            return Err(Refusal::BeyondGrant("the token outlives the one that was presented"));
        }
        Ok(token)
    }

    async fn token_within(
        &self,
        reach: &Reach,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let found = self.store.token_find(realm, id).await?;
        let token = found.ok_or(Refusal::NotFound(Thing::Token))?;
        let within = self.reaches(reach, realm, &token).await?;
        if within { Ok(token) } else { Err(Refusal::NotFound(Thing::Token)) }
    }

    /// Whether a token lies within reach, by itself or by whose it is.
    pub(super) async fn reaches(
        &self,
        reach: &Reach,
        realm: &RealmName,
        token: &Token,
    ) -> Result<bool, Refusal> {
        Ok(reach.covers_token(token)
            || (!is_enrolment(token) && self.administers(reach, realm, &token.owner).await?))
    }

    /// Whether somebody belongs to a unit within reach: whoever administers a person's unit looks
    /// after the person's tokens, whichever unit those were put into.
    async fn administers(
        &self,
        reach: &Reach,
        realm: &RealmName,
        owner: &Owner,
    ) -> Result<bool, Refusal> {
        if reach.units.is_empty() {
            return Ok(false);
        }
        let unit = self.unit_of_owner(realm, owner).await?;
        Ok(unit.is_some_and(|unit| reach.units.contains(&unit)))
    }

    /// Tokens within the caller's reach, newest first.
    pub async fn tokens(
        &self,
        caller: &Caller,
        realm: &RealmName,
        mut filter: TokenFilter,
        page: PageRequest,
    ) -> Result<Page<Token>, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensRead)?;
        // An operator who misspells a realm must not read "there are none".
        self.realm_facts(realm).await?;
        if let Some(name) = &filter.repository {
            let repository = self.repository(caller, realm, name).await?;
            if let RepositoryKind::Custom(_) = &repository.kind {
                return Err(Refusal::NotSupported("tokens of this repository are kept elsewhere"));
            }
        }
        let of_person = match &filter.owner {
            Some(owner) if !reach.whole => self.administers(&reach, realm, owner).await?,
            _ => false,
        };
        if !reach.whole && !of_person {
            narrow(&reach, &mut filter)?;
        }
        Ok(self.store.token_list(realm, filter, self.now(), page).await?)
    }

    /// On which days a token within the caller's reach was used, and through which doors: by day,
    /// as far back as it is kept.
    pub async fn token_days(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Vec<UseDay>, Refusal> {
        let token = self.token(caller, realm, id).await?;
        self.days_of(vec![token.id]).await
    }

    /// The same of one's own tokens: of others among these nothing is told.
    pub async fn own_days(
        &self,
        caller: &Caller,
        tokens: &[Token],
    ) -> Result<Vec<UseDay>, Refusal> {
        let own = tokens.iter().filter(|token| caller.is(&token.owner, &token.realm));
        self.days_of(own.map(|token| token.id).collect()).await
    }

    async fn days_of(&self, tokens: Vec<TokenId>) -> Result<Vec<UseDay>, Refusal> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let from = day_of(self.now()) - USE_DAYS_KEPT;
        Ok(self.store.use_days_find(tokens, from).await?)
    }

    /// The events of a token within the caller's reach.
    pub async fn token_events(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Refusal> {
        let token = self.token(caller, realm, id).await?;
        let filter = EventFilter { token: Some(token.id), ..filter };
        Ok(self.store.event_list(realm, filter, page).await?)
    }
}

/// What who administers one unit, and no service beside it, looks after: all of their reach, in
/// one list.
pub(super) fn looked_after(reach: &Reach) -> Option<LookedAfter> {
    match (reach.units.as_slice(), reach.services.as_slice()) {
        ([unit], []) => Some(LookedAfter { unit: unit.clone(), own: reach.own.clone() }),
        _ => None,
    }
}

/// Whether a token is a registration token or was drawn from one.
pub(super) fn is_enrolment(token: &Token) -> bool {
    matches!(token.kind, Kind::RegistrationToken | Kind::AuthToken)
}

/// Cuts a list down to one reach. A caller with several kinds of reach must say which they
/// mean, because a list is one query.
fn narrow(reach: &Reach, filter: &mut TokenFilter) -> Result<(), Refusal> {
    let own = reach.own.as_ref();
    if let Some(owner) = own
        && (filter.owner.as_ref() == Some(owner)
            || (filter.owner.is_none() && reach.units.is_empty() && reach.services.is_empty()))
    {
        filter.owner = Some(owner.clone());
        return Ok(());
    }
    if let Some(unit) = &filter.unit {
        return if reach.units.contains(unit) {
            Ok(())
        } else {
            Err(Refusal::NotFound(Thing::Unit))
        };
    }
    if let Some(looked_after) = looked_after(reach) {
        filter.looked_after = Some(looked_after);
        return Ok(());
    }
    if reach.units.is_empty() && !reach.services.is_empty() {
        filter.only_services = Some(reach.services.clone());
        return Ok(());
    }
    Err(Refusal::invalid(
        "user",
        "name a user, unit or service: this caller's reach has several parts",
    ))
}
