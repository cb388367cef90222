//! What may be asked for: by whom, with which scopes and doors, with which chosen secret.

use super::IssueRequest;
use crate::authority::Authority;
use crate::caller::{Caller, Reach};
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName};
use crate::policy::{EffectivePolicy, SecretSource};
use crate::refusal::Refusal;
use crate::scope::{ApiScopes, Scope};
use crate::secret::{ClearSecret, Shape, entropy_bits_chosen};
use crate::service::Services;
use crate::subject::Owner;

/// Bits that a chosen secret must show (NIST SP 800-63B asks 20 of a look-up secret).
const CHOSEN_BITS_MIN: u32 = 20;

/// Whether the caller may issue for that person, service and unit, and to this extent.
pub(super) fn check_reach(
    reach: &Reach,
    owner: &Owner,
    services: &Services,
    request: &IssueRequest,
    own: bool,
) -> Result<(), Refusal> {
    let by_unit = request.unit.as_ref().is_some_and(|unit| reach.units.contains(unit));
    let allowed = reach.whole
        || (own && reach.own.as_ref() == Some(owner))
        || by_unit
        || reach.covers_services(services);
    if !allowed {
        return Err(Refusal::BeyondGrant(
            "this caller may not issue for that person, service or unit",
        ));
    }
    let within = |limits: &crate::subject::Limits| {
        let unit_ok = limits
            .units
            .as_ref()
            .is_none_or(|units| request.unit.as_ref().is_some_and(|unit| units.contains(unit)));
        let count_ok = limits.count_max.is_none_or(|max| {
            request.kind != Kind::RegistrationToken
                || request.sentinel.count.is_some_and(|count| count <= max)
        });
        unit_ok && count_ok
    };
    if own || reach.limits.iter().any(within) {
        Ok(())
    } else {
        Err(Refusal::BeyondGrant("this exceeds the limits of the caller's grant"))
    }
}

/// Whether the policies let this caller issue. Administrators act through their reach; the
/// lists speak of people who issue for themselves.
pub(super) fn check_issuer(
    policies: &[&EffectivePolicy],
    caller: &Caller,
    own: bool,
) -> Result<(), Refusal> {
    let administrates = !caller.powers.0.is_empty();
    for policy in policies {
        if !policy.enabled {
            return Err(Refusal::Policy("tokens are switched off for this service".into()));
        }
        let Some(list) = &policy.issue_by else {
            continue;
        };
        let named = list.iter().any(|who| match who.as_str() {
            "self" => own,
            "administrators" => administrates,
            _ => false,
        });
        let by_group = own
            && list
                .iter()
                .filter_map(|who| who.strip_prefix("group:"))
                .any(|group| caller.groups.iter().any(|mine| mine.as_str() == group));
        if !named && !by_group {
            return Err(Refusal::Policy(
                "the service's policy does not let this caller issue".into(),
            ));
        }
    }
    Ok(())
}

/// Nobody gives more than they have: a token for the API itself carries a subset.
pub(super) fn check_grantable(
    caller: &Caller,
    realm: &RealmName,
    services: &Services,
    request: &IssueRequest,
) -> Result<(), Refusal> {
    if !services.includes(COUNTERFOIL) {
        return Ok(());
    }
    let asked = ApiScopes::from_names(request.scopes.iter().map(Scope::as_str));
    if asked.is_subset_of(caller.scopes_in(realm)) {
        Ok(())
    } else {
        Err(Refusal::BeyondGrant("a token for the API carries no scope that its issuer lacks"))
    }
}

/// Scopes and doors must be on offer.
pub(super) fn check_wishes(
    policies: &[&EffectivePolicy],
    request: &IssueRequest,
) -> Result<(), Refusal> {
    for policy in policies {
        if let Some(offered) = &policy.scopes
            && let Some(scope) =
                request.scopes.iter().find(|s| !offered.iter().any(|o| o == s.as_str()))
        {
            return Err(Refusal::Policy(format!("the scope {scope} is not on offer")));
        }
        if let (Some(offered), Some(wanted)) = (&policy.doors, &request.doors)
            && let Some(door) = wanted.iter().find(|door| !offered.contains(door))
        {
            return Err(Refusal::Policy(format!("the door {} is not on offer", door.name())));
        }
    }
    let all_services = matches!(request.services, Some(Services::All));
    if request.max_usages == Some(0) {
        return Err(Refusal::invalid("max_usages", "must be at least 1; null is unlimited"));
    }
    if all_services && request.kind != Kind::PersonalAccessToken {
        return Err(Refusal::invalid("services", "only a personal access token may name *"));
    }
    Ok(())
}

/// A chosen secret must be allowed, long enough, and not look like one of ours.
pub(super) fn check_chosen(
    authority: &Authority,
    chosen: &ClearSecret,
    policies: &[&EffectivePolicy],
) -> Result<(), Refusal> {
    let [policy] = policies else {
        return Err(Refusal::invalid("secret", "only a service token takes a chosen secret"));
    };
    if policy.source == SecretSource::Generated {
        return Err(Refusal::Policy("this service generates its secrets".into()));
    }
    let length = chosen.reveal().chars().count();
    let bounds = policy.self_select;
    if length < bounds.min as usize || length > bounds.max as usize {
        let why = format!("must have {} to {} characters", bounds.min, bounds.max);
        return Err(Refusal::invalid("secret", why));
    }
    if authority.shape(chosen.reveal()) != Shape::Other {
        return Err(Refusal::invalid("secret", "must not look like a generated token"));
    }
    let bits = entropy_bits_chosen(chosen.reveal());
    if bits < CHOSEN_BITS_MIN {
        return Err(Refusal::invalid("secret", "is too simple: use more different characters"));
    }
    Ok(())
}
