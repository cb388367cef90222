//! Looking at tokens and editing what may be edited, within the caller's reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Authority, Expiry};
use crate::cache::ServiceCell;
use crate::caller::{Caller, Reach};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::{COUNTERFOIL, RealmName};
use crate::refusal::{Refusal, Thing};
use crate::scope::{ApiScope, ApiScopes, Scope};
use crate::secret::TokenId;
use crate::service::Services;
use crate::store::{EventFilter, Page, PageRequest, TokenFilter};
use crate::token::Token;
use crate::validity::Validity;
use crate::verdict::Door;

/// Attempts at an unconditional edit that races with others.
const EDIT_ATTEMPTS: usize = 8;

/// What to change of a token. `None` leaves a field as it is; an inner `None` clears it.
#[derive(Debug, Clone, Default)]
pub struct TokenEdit {
    /// What to call it.
    pub name: Option<Option<String>>,
    /// What it is for.
    pub description: Option<Option<String>>,
    /// Free text for filters.
    pub labels: Option<BTreeMap<String, String>>,
    /// When it ends.
    pub expires: Option<Expiry>,
    /// What it is good for.
    pub services: Option<Services>,
    /// What it may ask for there.
    pub scopes: Option<Vec<Scope>>,
    /// Finer permissions.
    pub permissions: Option<Option<serde_json::Value>>,
    /// Networks it may be used from.
    pub networks: Option<Vec<ipnet::IpNet>>,
    /// Doors it may be presented at.
    pub doors: Option<Option<Vec<Door>>>,
    /// The unit it belongs to.
    pub unit: Option<Option<String>>,
    /// Serial id.
    pub serial: Option<Option<String>>,
    /// Tracking id.
    pub tracking_id: Option<Option<String>>,
    /// Free elements 1 to 12.
    pub generic_data: Option<BTreeMap<u8, String>>,
    /// Sentinel's identifier.
    pub identifier: Option<Option<String>>,
    /// First reference id.
    pub ref_id_1: Option<Option<String>>,
    /// Second reference id.
    pub ref_id_2: Option<Option<String>>,
    /// Uses allowed in all.
    pub max_usages: Option<Option<u64>>,
}

impl Authority {
    /// A token within the caller's reach; any other does not exist for them.
    pub async fn token(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensRead)?;
        self.token_within(&reach, realm, id).await
    }

    /// A token that the caller may change.
    pub(super) async fn reachable(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensWrite)?;
        let token = self.token_within(&reach, realm, id).await?;
        // A client key acts with its client's roles: whoever may touch it could take them over.
        if token.owner.user().is_none() && !caller.is(&token.owner, realm) {
            caller.require_whole(realm, ApiScope::ClientsWrite)?;
            self.check_no_stronger(caller, realm, &token).await?;
        }
        // The same holds for a person's token for the API.
        if token.services.includes(COUNTERFOIL) && !caller.is(&token.owner, realm) {
            let carried = ApiScopes::from_names(token.scopes.iter().map(Scope::as_str));
            if !carried.is_subset_of(caller.scopes_in(realm)) {
                return Err(Refusal::BeyondGrant(
                    "the token carries API scopes that the caller lacks",
                ));
            }
        }
        Ok(token)
    }

    /// A realm administrator must not rotate themselves into an operator's key.
    async fn check_no_stronger(
        &self,
        caller: &Caller,
        realm: &RealmName,
        token: &Token,
    ) -> Result<(), Refusal> {
        if caller.require_operator(ApiScope::ClientsWrite).is_ok() {
            return Ok(());
        }
        let crate::subject::Owner::Client(name) = &token.owner else {
            return Ok(());
        };
        let client = self.store.client_find(realm, name).await?;
        let grants = self.store.grants_of_client(realm, name).await?;
        let operator = crate::subject::Role::Operator;
        let strong = client.is_some_and(|client| client.roles.contains(&operator))
            || grants.iter().any(|grant| grant.role == operator);
        if strong {
            return Err(Refusal::BeyondGrant("only an operator changes an operator's key"));
        }
        Ok(())
    }

    async fn token_within(
        &self,
        reach: &Reach,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let found = self.store.token_find(realm, id).await?;
        found.filter(|token| reach.covers_token(token)).ok_or(Refusal::NotFound(Thing::Token))
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
        if !reach.whole {
            narrow(&reach, &mut filter)?;
        }
        Ok(self.store.token_list(realm, filter, self.now(), page).await?)
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

    /// Edits a token. Without `if_match` the edit is repeated on whatever stands there.
    pub async fn edit_token(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        edit: TokenEdit,
        if_match: Option<i64>,
    ) -> Result<Token, Refusal> {
        for _ in 0..EDIT_ATTEMPTS {
            let now = self.now();
            let token = self.reachable(caller, realm, id).await?;
            if if_match.is_some_and(|version| version != token.version) {
                return Err(Refusal::VersionMismatch);
            }
            if let Some(Some(unit)) = &edit.unit {
                let reach = caller.reach(realm, ApiScope::TokensWrite)?;
                if !reach.whole && !reach.units.contains(unit) {
                    return Err(Refusal::NotFound(Thing::Unit));
                }
                self.check_unit(realm, Some(unit)).await?;
            }
            let edited = self.edited(caller, token.clone(), &edit, now).await?;
            let event = self
                .event("token.updated", realm, &caller.origin, now)?
                .with_token(id)
                .with_subject(token.owner.actor());
            let updated = self.store.token_update(edited, event).await?;
            match Refusal::unless_updated(updated, Thing::Token) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                other => return other,
            }
        }
        Err(Refusal::VersionMismatch)
    }

    async fn edited(
        &self,
        caller: &Caller,
        mut token: Token,
        edit: &TokenEdit,
        now: Timestamp,
    ) -> Result<Token, Refusal> {
        if token.revocation.is_some() {
            return Err(Refusal::Ended(crate::token::State::Revoked));
        }
        if let Some(services) = &edit.services {
            token.services = services.clone();
        }
        if let Some(scopes) = &edit.scopes {
            token.scopes.clone_from(scopes);
        }
        if let Some(doors) = &edit.doors {
            token.doors.clone_from(doors);
        }
        let widens = edit.services.is_some() || edit.scopes.is_some() || edit.doors.is_some();
        if widens || edit.expires.is_some() {
            self.check_edit(caller, &mut token, edit, now).await?;
        }
        if let Some(permissions) = &edit.permissions {
            let checked = permissions.as_ref().map(crate::permission::check).transpose();
            token.permissions = checked.map_err(|e| Refusal::invalid("permissions", e))?;
        }
        if let Some(max) = edit.max_usages {
            if max == Some(0) {
                return Err(Refusal::invalid(
                    "max_usages",
                    "must be at least 1; null is unlimited",
                ));
            }
            token.max_usages = max;
        }
        if let Some(networks) = &edit.networks {
            token.networks.clone_from(networks);
        }
        apply_texts(&mut token, edit);
        Ok(token)
    }

    /// What an edit may widen obeys the same policies as issuing.
    async fn check_edit(
        &self,
        caller: &Caller,
        token: &mut Token,
        edit: &TokenEdit,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut policies = Vec::new();
        if let Services::Named(labels) = &token.services {
            for label in labels {
                let cell = self.service_facts(&token.realm, label).await?;
                let why = format!("there is no service {label}");
                policies.push(cell.ok_or_else(|| Refusal::invalid("services", why))?);
            }
        }
        let one_service = matches!(&token.services, Services::Named(labels) if labels.len() == 1);
        if token.kind == crate::kind::Kind::ServiceToken && !one_service {
            return Err(Refusal::invalid("services", "a service token names exactly one service"));
        }
        let asked = ApiScopes::from_names(token.scopes.iter().map(Scope::as_str));
        if token.services.includes(COUNTERFOIL)
            && !asked.is_subset_of(caller.scopes_in(&token.realm))
        {
            return Err(Refusal::BeyondGrant(
                "a token for the API carries no scope that its editor lacks",
            ));
        }
        for cell in &policies {
            if let Some(offered) = &cell.policy.scopes
                && let Some(scope) =
                    token.scopes.iter().find(|s| !offered.iter().any(|o| o == s.as_str()))
            {
                return Err(Refusal::Policy(format!("the scope {scope} is not on offer")));
            }
        }
        let Some(expires) = edit.expires else {
            return Ok(());
        };
        let ends = match expires {
            Expiry::Never => None,
            Expiry::At(end) => Some(end),
            Expiry::After(seconds) => Some(now.plus_seconds(seconds)),
            Expiry::Default => token.validity.expires_at(),
        };
        move_end(caller, token, ends, &policies)
    }
}

/// Moves the end of a token, within its policies and the life of the token that asks for it.
fn move_end(
    caller: &Caller,
    token: &mut Token,
    ends: Option<Timestamp>,
    policies: &[Arc<ServiceCell>],
) -> Result<(), Refusal> {
    let issuer_end = caller.token_expires_at.filter(|_| caller.subject.user().is_some());
    if let Some(issuer_end) = issuer_end
        && ends.is_none_or(|end| issuer_end < end)
        && ends != token.validity.expires_at()
    {
        return Err(Refusal::invalid("expires_at", "lies beyond the end of the presented token"));
    }
    let begins = token.validity.not_before();
    token.validity = Validity::new(begins, ends).map_err(|e| Refusal::invalid("expires_at", e))?;
    let created = token.created_at.micros();
    let allowed =
        |cell: &Arc<ServiceCell>| cell.policy.allows_lifetime(created, ends.map(Timestamp::micros));
    if policies.iter().all(allowed) {
        Ok(())
    } else {
        Err(Refusal::Policy("the end lies beyond the longest lifetime, counted from issue".into()))
    }
}

fn apply_texts(token: &mut Token, edit: &TokenEdit) {
    let texts = [
        (&mut token.name, &edit.name),
        (&mut token.description, &edit.description),
        (&mut token.unit, &edit.unit),
        (&mut token.airlock.serial, &edit.serial),
        (&mut token.airlock.tracking_id, &edit.tracking_id),
        (&mut token.sentinel.identifier, &edit.identifier),
        (&mut token.sentinel.ref_id_1, &edit.ref_id_1),
        (&mut token.sentinel.ref_id_2, &edit.ref_id_2),
    ];
    for (field, wanted) in texts {
        if let Some(wanted) = wanted {
            field.clone_from(wanted);
        }
    }
    if let Some(labels) = &edit.labels {
        token.labels.clone_from(labels);
    }
    if let Some(data) = &edit.generic_data {
        token.airlock.generic_data.clone_from(data);
    }
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
    if let ([unit], []) = (reach.units.as_slice(), reach.services.as_slice()) {
        filter.unit = Some(unit.clone());
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
