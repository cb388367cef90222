//! Who stands above whom: the one comparison of what two callers may do.
//!
//! Scopes alone say little: `tokens:write` over one service and over a whole
//! realm have the same name. Whoever issues for, rotates for, suspends or
//! removes somebody else is compared power by power, reach included.

use super::Authority;
use super::clients::is_within;
use crate::caller::{Caller, Power, Powers};
use crate::names::{COUNTERFOIL, RealmName};
use crate::refusal::Refusal;
use crate::scope::{ApiScopes, Scope};
use crate::subject::Owner;
use crate::token::Token;

/// Why the comparison failed, in words for the caller.
const ABOVE: &str = "this would touch somebody who may do more than the caller";

impl Authority {
    /// Everything an owner may do, read afresh.
    pub(super) async fn powers_of_owner(
        &self,
        realm: &RealmName,
        owner: &Owner,
    ) -> Result<Powers, Refusal> {
        Ok(match owner {
            Owner::User(name) => Powers::of_user(&self.store.grants_of_user(realm, name).await?),
            Owner::Client(name) => {
                let grants = self.store.grants_of_client(realm, name).await?;
                match self.store.client_find(realm, name).await? {
                    Some(client) => Powers::of_client(&client, &grants),
                    None => Powers::default(),
                }
            }
        })
    }

    /// Refuses unless the caller may do all that `owner` may.
    pub(super) async fn require_above(
        &self,
        caller: &Caller,
        realm: &RealmName,
        owner: &Owner,
    ) -> Result<(), Refusal> {
        if caller.is(owner, realm) {
            return Ok(());
        }
        let powers = self.powers_of_owner(realm, owner).await?;
        if outranks(caller, &powers, ApiScopes::ALL) {
            Ok(())
        } else {
            Err(Refusal::BeyondGrant(ABOVE))
        }
    }

    /// Refuses unless the caller could have issued what `token` can do in the API.
    ///
    /// Whoever gets a token's secret, or widens it, holds what it can do.
    pub(super) async fn require_api_rank(
        &self,
        caller: &Caller,
        token: &Token,
    ) -> Result<(), Refusal> {
        if !token.services.includes(COUNTERFOIL) {
            return Ok(());
        }
        let Owner::User(_) = &token.owner else {
            return self.require_above(caller, &token.realm, &token.owner).await;
        };
        let carried = ApiScopes::from_names(token.scopes.iter().map(Scope::as_str));
        if !carried.is_subset_of(caller.scopes_in(&token.realm)) {
            return Err(Refusal::BeyondGrant("the token carries API scopes that the caller lacks"));
        }
        if caller.is(&token.owner, &token.realm) {
            return Ok(());
        }
        let powers = self.powers_of_owner(&token.realm, &token.owner).await?;
        if outranks(caller, &powers, carried) { Ok(()) } else { Err(Refusal::BeyondGrant(ABOVE)) }
    }
}

/// Whether each of `powers`, cut down to `carried`, lies within one of the caller's own.
fn outranks(caller: &Caller, powers: &Powers, carried: ApiScopes) -> bool {
    powers.0.iter().all(|power| {
        let cut = power.scopes.expanded().intersection(carried.expanded());
        cut == ApiScopes::NONE || caller.powers.0.iter().any(|own| covers(caller, own, power, cut))
    })
}

fn covers(caller: &Caller, own: &Power, power: &Power, cut: ApiScopes) -> bool {
    let usable = match caller.token_scopes {
        Some(scopes) => own.scopes.expanded().intersection(scopes.expanded()),
        None => own.scopes,
    };
    let realm = own.realm.is_none() || own.realm == power.realm;
    let unit = own.unit.is_none() || own.unit == power.unit;
    let services = match (&own.services, &power.services) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(own), Some(asked)) => asked.iter().all(|label| own.contains(label)),
    };
    caller.for_api
        && cut.is_subset_of(usable)
        && realm
        && unit
        && services
        && is_within(&power.limits, &own.limits)
}
