//! Who stands above whom: the one comparison of what two callers may do.
//!
//! Scopes alone say little: `tokens:write` over one service and over a whole
//! realm have the same name. Whoever issues for, rotates for, suspends or
//! removes somebody else, or hands out a role, is compared power by power,
//! reach included.

use super::Authority;
use crate::caller::{Caller, Power, Powers};
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName};
use crate::refusal::Refusal;
use crate::scope::{ApiScopes, Scope};
use crate::subject::{Limits, Owner, Role};
use crate::token::Token;

/// Why the comparison failed, in words for the caller.
const ABOVE: &str = "this would touch somebody who may do more than the caller";

/// The same, for what is handed out.
const MORE: &str = "a role of the caller must have all of this: its scopes, its reach, its limits";

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
        // What a key can do stands in its client's roles, not in the token; of everything else,
        // whoever owns it, the scopes are what it hands on to its holder or to what is drawn.
        if token.kind == Kind::ClientKey {
            let powers = self.powers_of_owner(&token.realm, &token.owner).await?;
            let above = outranks(caller, &powers, ApiScopes::ALL);
            return if above { Ok(()) } else { Err(Refusal::BeyondGrant(ABOVE)) };
        }
        let carried = ApiScopes::from_names(token.scopes.iter().map(Scope::as_str));
        if !carried.is_subset_of(caller.scopes_in(&token.realm)) {
            return Err(Refusal::BeyondGrant("the token carries API scopes that the caller lacks"));
        }
        if caller.is(&token.owner, &token.realm) {
            return Ok(());
        }
        if let Owner::Client(_) = &token.owner {
            return self.require_above(caller, &token.realm, &token.owner).await;
        }
        let powers = self.powers_of_owner(&token.realm, &token.owner).await?;
        if outranks(caller, &powers, carried) { Ok(()) } else { Err(Refusal::BeyondGrant(ABOVE)) }
    }
}

/// Refuses unless the caller has every one of `powers`: nobody gives more than they have, and
/// nobody takes what they could not have given (design rule 6).
pub(super) fn may_give(caller: &Caller, powers: &Powers) -> Result<(), Refusal> {
    let operates = |powers: &Powers| powers.0.iter().any(|power| power.role == Role::Operator);
    // Even one without any scope: it would grow with the scopes that it is given later.
    if operates(powers) && !operates(&caller.powers) {
        return Err(Refusal::BeyondGrant("only an operator makes or changes an operator"));
    }
    if outranks(caller, powers, ApiScopes::ALL) { Ok(()) } else { Err(Refusal::BeyondGrant(MORE)) }
}

/// Whether each of `powers`, cut down to `carried`, lies within one of the caller's own.
fn outranks(caller: &Caller, powers: &Powers, carried: ApiScopes) -> bool {
    powers.0.iter().all(|power| {
        let cut = power.scopes.expanded().intersection(carried.expanded());
        cut == ApiScopes::NONE || caller.powers.0.iter().any(|own| covers(caller, own, power, cut))
    })
}

fn covers(caller: &Caller, own: &Power, power: &Power, cut: ApiScopes) -> bool {
    caller.exercises_all();
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

/// Whether `asked` bounds at least as much as `bound`.
fn is_within(asked: &Limits, bound: &Limits) -> bool {
    let units = match (&asked.units, &bound.units) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(asked), Some(bound)) => asked.iter().all(|unit| bound.contains(unit)),
    };
    let count = bound.count_max.is_none_or(|max| asked.count_max.is_some_and(|n| n <= max));
    let lifetime = bound
        .lifetime_seconds_max
        .is_none_or(|max| asked.lifetime_seconds_max.is_some_and(|n| n <= max));
    units && count && lifetime
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::caller::{ReplayKey, Standing};
    use crate::event::Origin;
    use crate::names::{ClientName, ServiceLabel};
    use crate::secret::TokenId;
    use crate::verdict::Door;

    fn realm(name: &str) -> RealmName {
        RealmName::parse(name).unwrap()
    }

    fn power(role: Role) -> Power {
        let realm = (role != Role::Operator).then(|| realm("main"));
        let (unit, services, limits) = (None, None, Limits::default());
        Power { role, scopes: role.scopes(), realm, unit, services, limits }
    }

    fn over(role: Role, label: &str) -> Power {
        Power { services: Some(vec![ServiceLabel::parse(label).unwrap()]), ..power(role) }
    }

    fn of_unit(unit: &str) -> Power {
        Power { unit: Some(unit.into()), ..power(Role::UnitAdmin) }
    }

    fn bounded(power: Power, lifetime_seconds_max: i64) -> Power {
        let lifetime_seconds_max = Some(lifetime_seconds_max);
        Power { limits: Limits { lifetime_seconds_max, ..Limits::default() }, ..power }
    }

    fn caller(powers: Vec<Power>) -> Caller {
        Caller {
            standing: Arc::new(Standing {
                realm: realm("main"),
                subject: Owner::Client(ClientName::parse("robot").unwrap()),
                unit: None,
                groups: Vec::new(),
                powers: Powers(powers),
                actor: "client:robot".into(),
            }),
            token: TokenId::parse("000000000000").unwrap(),
            token_expires_at: None,
            former_secret: false,
            for_api: true,
            token_scopes: None,
            replay_key: ReplayKey::of("x"),
            exercised: None,
            origin: Origin::system(Door::Cli),
        }
    }

    #[track_caller]
    fn gives(own: &[Power], wanted: Power, allowed: bool) {
        let outcome = may_give(&caller(own.to_vec()), &Powers(vec![wanted]));
        assert_eq!(outcome.is_ok(), allowed, "{outcome:?}");
    }

    #[test]
    fn a_role_is_given_by_who_has_all_of_it() {
        let (operator, admin) = ([power(Role::Operator)], [power(Role::RealmAdmin)]);
        for own in [&operator, &admin] {
            for role in [Role::RealmAdmin, Role::Auditor, Role::Verifier] {
                gives(own, power(role), true);
            }
            gives(own, over(Role::ServiceManager, "git"), true);
            gives(own, of_unit("u1"), true);
        }
        gives(&operator, power(Role::Operator), true);
        gives(&[of_unit("u1")], of_unit("u1"), true);
        gives(&[over(Role::Verifier, "git")], over(Role::Verifier, "git"), true);
        gives(&[], Power { scopes: ApiScopes::NONE, ..power(Role::Auditor) }, true);
    }

    #[test]
    fn nobody_gives_a_wider_role_than_one_of_their_own() {
        let admin = [power(Role::RealmAdmin)];
        gives(&admin, power(Role::Operator), false);
        gives(&admin, Power { scopes: ApiScopes::NONE, ..power(Role::Operator) }, false);
        gives(&admin, Power { realm: Some(realm("other")), ..power(Role::Auditor) }, false);
        gives(&[of_unit("u1")], of_unit("u2"), false);
        gives(&[over(Role::Verifier, "git")], over(Role::Verifier, "wiki"), false);
        gives(&[over(Role::Verifier, "git")], power(Role::Verifier), false);
        gives(&[power(Role::Auditor)], power(Role::Verifier), false);
        // Two halves are not a whole: the scopes of one role over the reach of another.
        let halves = [power(Role::Auditor), over(Role::ServiceManager, "git")];
        gives(&halves, over(Role::ServiceManager, "wiki"), false);
        gives(&[bounded(power(Role::RealmAdmin), 60)], power(Role::Auditor), false);
        gives(&[bounded(power(Role::RealmAdmin), 60)], bounded(power(Role::Auditor), 60), true);
    }

    #[test]
    fn a_token_gives_no_more_than_its_own_scopes() {
        let mut caller = caller(vec![power(Role::Operator)]);
        let auditor = Powers(vec![power(Role::Auditor)]);
        caller.token_scopes = Some(Role::Auditor.scopes());
        assert!(may_give(&caller, &auditor).is_ok());
        caller.token_scopes = Some(Role::Verifier.scopes());
        assert!(may_give(&caller, &auditor).is_err());
        caller.token_scopes = None;
        caller.for_api = false;
        assert!(may_give(&caller, &auditor).is_err());
    }

    #[test]
    fn limits_may_only_get_narrower() {
        let none = Limits::default();
        let week = Limits { lifetime_seconds_max: Some(604_800), ..Limits::default() };
        let day = Limits { lifetime_seconds_max: Some(86_400), ..Limits::default() };
        assert!(is_within(&none, &none));
        assert!(is_within(&day, &week));
        assert!(!is_within(&week, &day));
        assert!(!is_within(&none, &week), "no limit is wider than any");
        let unit = Limits { units: Some(vec!["u1".into()]), ..Limits::default() };
        assert!(is_within(&unit, &none));
        assert!(!is_within(&none, &unit));
    }
}
