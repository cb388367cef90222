//! What may be asked for: by whom, with which scopes and doors, with which chosen secret.

use super::IssueRequest;
use crate::authority::Authority;
use crate::caller::{Caller, Reach};
use crate::kind::Kind;
use crate::policy::{EffectivePolicy, SecretSource};
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::{ClearSecret, Shape, entropy_bits_chosen};
use crate::service::Services;
use crate::verdict::Door;

/// Bits that a chosen secret must show (NIST SP 800-63B asks 20 of a look-up secret).
const CHOSEN_BITS_MIN: u32 = 20;

/// Whether the caller may issue for that person and those services, and to this extent.
///
/// A unit administrator's reach is the unit that the *person* belongs to; the unit that the
/// token is put into is the caller's own word and gives nothing.
pub(super) fn check_reach(
    reach: &Reach,
    owner_unit: Option<&String>,
    services: &Services,
    request: &IssueRequest,
    own: bool,
) -> Result<(), Refusal> {
    let by_unit = owner_unit.is_some_and(|unit| reach.units.contains(unit));
    let registers = request.kind == Kind::RegistrationToken
        && request.unit.as_ref().is_some_and(|unit| reach.units.contains(unit));
    let allowed = reach.whole
        || (own && (reach.own.is_some() || registers))
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
    let by_own_right = own && reach.own.is_some() && request.kind != Kind::RegistrationToken;
    if by_own_right || reach.limits.iter().any(within) {
        Ok(())
    } else {
        Err(Refusal::BeyondGrant("this exceeds the limits of the caller's grant"))
    }
}

/// Whether the policies let this caller issue. Administrators act through their reach; the
/// lists speak of people who issue for themselves.
pub(in crate::authority) fn check_issuer(
    policies: &[&EffectivePolicy],
    caller: &Caller,
    own: bool,
) -> Result<(), Refusal> {
    let administrates = !caller.powers.0.is_empty();
    for policy in policies {
        if !policy.enabled {
            return Err(Refusal::NotOpen("tokens are switched off for this service".into()));
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

/// Whether a token may be put into a unit: one within reach, or the person's own.
pub(in crate::authority) fn unit_within(
    reach: &Reach,
    caller: &Caller,
    unit: Option<&String>,
) -> Result<(), Refusal> {
    match unit {
        Some(unit)
            if !reach.whole
                && !reach.units.contains(unit)
                && caller.unit.as_ref() != Some(unit) =>
        {
            Err(Refusal::invalid("unit", "there is no such unit"))
        }
        _ => Ok(()),
    }
}

/// Scopes and doors must be on offer.
pub(in crate::authority) fn check_offer(
    policies: &[&EffectivePolicy],
    scopes: &[Scope],
    doors: Option<&Vec<Door>>,
) -> Result<(), Refusal> {
    for policy in policies {
        if let Some(scope) = scopes.iter().find(|scope| !policy.offers(scope)) {
            return Err(Refusal::Policy(format!("the scope {scope} is not on offer")));
        }
        if let (Some(offered), Some(wanted)) = (&policy.doors, doors)
            && let Some(door) = wanted.iter().find(|door| !offered.contains(door))
        {
            return Err(Refusal::Policy(format!("the door {} is not on offer", door.name())));
        }
    }
    Ok(())
}

/// What is asked for must be on offer, and make sense for its kind.
pub(super) fn check_wishes(
    policies: &[&EffectivePolicy],
    request: &IssueRequest,
) -> Result<(), Refusal> {
    check_offer(policies, &request.scopes, request.doors.as_ref())?;
    let all_services = matches!(request.services, Some(Services::All));
    if request.max_usages == Some(0) {
        return Err(Refusal::invalid("max_usages", "must be at least 1; null is unlimited"));
    }
    let may_name_all = request.kind == Kind::PersonalAccessToken || request.otp.is_some();
    if all_services && !may_name_all {
        let why = "only a personal access token or an authentication token may name *";
        return Err(Refusal::invalid("services", why));
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
