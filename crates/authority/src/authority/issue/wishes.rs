//! What may be asked for: by whom, with which scopes and doors, with which chosen secret.

use std::sync::Arc;

use super::{IssueRequest, no_such_service};
use crate::authority::Authority;
use crate::cache::ServiceCell;
use crate::caller::{Caller, Reach};
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName, ServiceLabel};
use crate::policy::{EffectivePolicy, SecretSource};
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::{ClearSecret, Shape, entropy_bits_chosen};
use crate::service::{Service, ServiceStatus, Services, Viewer};
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

/// Who asks for a token of some services, by issuing one or by an edit that leads there.
pub(in crate::authority) struct Asking<'a> {
    caller: &'a Caller,
    reach: &'a Reach,
    /// The field that names the services.
    field: &'static str,
    /// Whether a person asks on their own behalf.
    for_themselves: bool,
}

impl<'a> Asking<'a> {
    /// Somebody who asks for a token of this kind, of their own or not.
    pub(in crate::authority) fn new(
        caller: &'a Caller,
        reach: &'a Reach,
        (kind, own): (Kind, bool),
        field: &'static str,
    ) -> Self {
        let person = caller.subject.user().is_some();
        let for_themselves = own && person && kind != Kind::RegistrationToken;
        Self { caller, reach, field, for_themselves }
    }

    /// Whether visibility and unit have a say in what they ask for.
    fn is_bound_by(&self, service: &Service) -> bool {
        self.for_themselves
            && service.label.as_str() != COUNTERFOIL
            && !self.reach.covers_service(&service.label, service.unit.as_ref())
    }

    /// To somebody who may not see a service it does not exist, whether it is active or not.
    fn knows(&self, service: &Service) -> bool {
        let Caller { standing, .. } = self.caller;
        let viewer = Viewer::Person { groups: &standing.groups, unit: standing.unit.as_deref() };
        !self.is_bound_by(service) || service.exists_for(viewer)
    }

    /// Whether one of the services takes new tokens, and all are for this person.
    pub(in crate::authority) fn check(&self, cells: &[Arc<ServiceCell>]) -> Result<(), Refusal> {
        // Of several, those that are not will take the token.
        let suspended = |cell: &Arc<ServiceCell>| cell.service.status != ServiceStatus::Active;
        if let Some(first) = cells.first()
            && cells.iter().all(suspended)
        {
            let label = &first.service.label;
            return Err(Refusal::NotOpen(format!("the service {label} is suspended")));
        }
        let bound = cells.iter().map(|cell| &cell.service).filter(|s| self.is_bound_by(s));
        let mut groups = bound.filter_map(|service| service.group.as_ref());
        if groups.all(|group| self.caller.groups.contains(group)) {
            return Ok(());
        }
        let said = "only members of its group have tokens for a service";
        Err(Refusal::NotOpen(said.to_owned()))
    }
}

impl Authority {
    /// The services that somebody names, with their policies. One that they may not see is as
    /// unknown as one that does not exist, whatever stands beside it.
    pub(in crate::authority) async fn cells_known_to(
        &self,
        realm: &RealmName,
        labels: &[&ServiceLabel],
        asking: &Asking<'_>,
    ) -> Result<Vec<Arc<ServiceCell>>, Refusal> {
        let mut cells = Vec::with_capacity(labels.len());
        for &label in labels {
            let found = self.service_facts(realm, label).await?;
            let known = found.filter(|cell| asking.knows(&cell.service));
            cells.push(known.ok_or_else(|| no_such_service(asking.field, label))?);
        }
        Ok(cells)
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
