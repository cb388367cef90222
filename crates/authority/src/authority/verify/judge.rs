//! The judgement on one token whose record is at hand: pure, and in the order of the design.

use std::net::IpAddr;
use std::sync::Arc;

use super::answer::Found;
use super::idle::policy_of;
use super::{Active, Binding, Decision, Good, Surroundings, VerifyRequest};
use crate::brownout::Window;
use crate::cache::{Entry, Matched, ServiceCell};
use crate::clock::Timestamp;
use crate::keys::KeyId;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, Username};
use crate::policy::EffectivePolicy;
use crate::scope::{Scope, any_covers};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::service::{ServiceStatus, Services};
use crate::store::Rehash;
use crate::subject::{OwnerFacts, UserStatus};
use crate::token::State;
use crate::verdict::{Door, Reason};

/// Compares the secret, then judges the token.
pub(super) fn decide(
    entry: &Arc<Entry>,
    kind: Option<Kind>,
    canonical: &str,
    around: &Surroundings<'_>,
) -> Decision {
    let mac_under = |id: KeyId| around.keys.pepper_by_id(id).map(|key| keyed_hash(key, canonical));
    let matched = entry.matches(around.now, &mac_under);
    let foreign = entry.owner.realm != *around.request.realm;
    let Some((matched, pepper, old)) = matched else {
        // It may be the right secret, under a key that only other nodes have yet.
        if !foreign && let Err(lost) = around.keys.require_peppers(entry.peppers()) {
            return Decision::Keyless(lost);
        }
        return Decision::Bad { reason: Reason::Unknown, right_secret: false, retired: false };
    };
    // A foreign realm's token answers exactly as an unknown one, and so does a wrong letter.
    if foreign || kind.is_some_and(|kind| kind != entry.kind) {
        return Decision::Bad { reason: Reason::Unknown, right_secret: false, retired: false };
    }
    let current = around.keys.pepper();
    let rehash = (pepper != current.id()).then(|| Rehash {
        token: entry.id,
        old: SecretHash::Keyed { pepper, mac: old },
        new: SecretHash::Keyed { pepper: current.id(), mac: keyed_hash(current, canonical) },
    });
    decide_matched(entry, matched, rehash, around)
}

/// Judges a token whose right secret was presented.
pub(super) fn decide_matched(
    entry: &Arc<Entry>,
    matched: Matched,
    rehash: Option<Rehash>,
    around: &Surroundings<'_>,
) -> Decision {
    let bad = |reason| Decision::Bad { reason, right_secret: true, retired: false };
    let found = match judge(entry, around) {
        Ok(found) => found,
        Err(reason) => return bad(reason),
    };
    match matched {
        Matched::Good | Matched::Former => {}
        Matched::Early => return bad(Reason::NotYetValid),
        Matched::Retired => {
            return Decision::Bad { reason: Reason::Expired, right_secret: true, retired: true };
        }
    }
    let active = Active {
        entry: Arc::clone(entry),
        narrowed: None,
        remaining: None,
        former_secret: matched == Matched::Former,
        issues_until: entry.validity.expires_at(),
        brown_out: brown_out(entry, policy_of(&found, around), around.now),
        found,
        method: None,
        kept_by: None,
        bound_above: false,
    };
    Decision::Good(Good { active, limit: entry.max_usages(), rehash })
}

/// Everything after the hash and before the limits, in the order of the design.
pub(super) fn judge(entry: &Entry, around: &Surroundings<'_>) -> Result<Found, Reason> {
    let request = &around.request;
    // Redeemed for other tokens, never presented in place of one.
    if matches!(entry.kind, Kind::RegistrationToken | Kind::Link) {
        return Err(Reason::WrongDoor);
    }
    // Exchanged for access tokens (RFC 6749 section 1.5), never good for a service by itself.
    let exchanged = request.binding == Binding::Unbound || request.origin.door == Door::Oauth;
    if entry.kind == Kind::AuthToken && !exchanged {
        return Err(Reason::WrongDoor);
    }
    judge_owner_name(entry, request)?;
    judge_reach(entry, around)?;
    if !door_allowed(entry.profile.doors.as_ref(), request) {
        return Err(Reason::WrongDoor);
    }
    if let Some(reason) = entry.state_facts().state(around.now).refusal() {
        return Err(reason);
    }
    if entry.rest.as_ref().is_some_and(|rest| rest.parent_revoked) {
        return Err(Reason::ParentRevoked);
    }
    if !around.realm.realm.enabled {
        return Err(Reason::RealmInactive);
    }
    match &entry.owner.facts {
        OwnerFacts::User(user) if user.counts() => {}
        OwnerFacts::User(user) if user.status == UserStatus::Active => return Err(Reason::Locked),
        OwnerFacts::Client(client) if client.enabled => {}
        _ => return Err(Reason::OwnerInactive),
    }
    let found = judge_services(entry, around)?;
    if !network_allowed(&entry.profile.networks, request.client_ip) {
        return Err(Reason::NetworkDenied);
    }
    judge_scopes(entry, request)?;
    judge_permissions(entry, request)?;
    Ok(found)
}

/// Judges the token that an access token was made from, or what that one was derived from. Whether
/// its owner, its services and their policies are good is judged of the access token itself.
pub(super) fn judge_origin(entry: &Entry, around: &Surroundings<'_>) -> Result<(), Reason> {
    let request = &around.request;
    let gone = entry.rest.as_ref().is_some_and(|rest| rest.parent_revoked);
    if entry.kind == Kind::AccessToken || gone {
        return Err(Reason::ParentRevoked);
    }
    // What a key may do stands in its client's roles, and so does what is made with it.
    let of_key = entry.is_of_key();
    if !of_key {
        judge_reach(entry, around)?;
    }
    if !door_allowed(entry.profile.doors.as_ref(), request) {
        return Err(Reason::WrongDoor);
    }
    match entry.state_facts().state(around.now) {
        // That its uses are all taken ends a counted token, not what was made from it.
        State::Active | State::Exhausted => {}
        State::Revoked => return Err(Reason::ParentRevoked),
        other => return Err(other.refusal().unwrap_or(Reason::ParentRevoked)),
    }
    if !network_allowed(&entry.profile.networks, request.client_ip) {
        return Err(Reason::NetworkDenied);
    }
    if !of_key {
        judge_scopes(entry, request)?;
    }
    judge_permissions(entry, request)
}

fn judge_scopes(entry: &Entry, request: &VerifyRequest<'_>) -> Result<(), Reason> {
    let profile = &entry.profile;
    let exact = || profile.services.includes(COUNTERFOIL);
    let lacks = |scope: &Scope| {
        !profile.scopes.contains(scope) && !any_covers(&profile.scopes, scope, exact())
    };
    if request.scopes.iter().any(lacks) { Err(Reason::InsufficientScope) } else { Ok(()) }
}

fn judge_permissions(entry: &Entry, request: &VerifyRequest<'_>) -> Result<(), Reason> {
    let permissions = entry.profile.permissions.as_deref();
    if crate::permission::allows(permissions, request.resource, request.action) {
        Ok(())
    } else {
        Err(Reason::PermissionDenied)
    }
}

fn judge_owner_name(entry: &Entry, request: &VerifyRequest<'_>) -> Result<(), Reason> {
    let Some(named) = request.username else {
        return Ok(());
    };
    let owner = match &entry.owner.facts {
        OwnerFacts::User(user) => user.username.as_str(),
        OwnerFacts::Client(client) => client.name.as_str(),
        OwnerFacts::Gone => return Err(Reason::OwnerInactive),
    };
    // Most clients send the canonical spelling; only the others pay for parsing.
    let same = named == owner || Username::parse(named).is_ok_and(|name| name.as_str() == owner);
    if same { Ok(()) } else { Err(Reason::WrongUser) }
}

/// The services of the binding that the token names.
fn named<'a>(
    entry: &Entry,
    around: &'a Surroundings<'_>,
) -> impl Iterator<Item = &'a Arc<ServiceCell>> {
    let services = &entry.profile.services;
    around.services.iter().filter(|cell| services.includes(cell.service.label.as_str()))
}

fn judge_reach(entry: &Entry, around: &Surroundings<'_>) -> Result<(), Reason> {
    let unbound = around.request.binding == Binding::Unbound;
    if unbound || named(entry, around).next().is_some() {
        Ok(())
    } else {
        Err(Reason::WrongService)
    }
}

/// The first service of the binding that takes the token; the reason of the first one, if none
/// does. Whoever asks for several must not be told no because one of them is suspended.
fn judge_services(entry: &Entry, around: &Surroundings<'_>) -> Result<Found, Reason> {
    if around.request.binding == Binding::Unbound {
        return judge_policy(entry, &around.realm.policy, around).map(|()| Found::Unchecked);
    }
    let mut first = None;
    for cell in named(entry, around) {
        match judge_service_state(entry, cell, around) {
            Ok(()) => {
                return Ok(match around.request.binding {
                    Binding::AnyOf(_) => Found::Among(Arc::clone(cell)),
                    Binding::Service(_) | Binding::Unbound => Found::AsAsked,
                });
            }
            Err(reason) => first = first.or(Some(reason)),
        }
    }
    Err(first.unwrap_or(Reason::WrongService))
}

/// The service's own conditions: its status, its group, its policy.
fn judge_service_state(
    entry: &Entry,
    cell: &ServiceCell,
    around: &Surroundings<'_>,
) -> Result<(), Reason> {
    if cell.service.status != ServiceStatus::Active {
        return Err(Reason::ServiceInactive);
    }
    if cell.is_locked_for(&entry.owner.facts) {
        return Err(Reason::Locked);
    }
    if let (Some(group), OwnerFacts::User(user)) = (&cell.service.group, &entry.owner.facts)
        && !user.groups.contains(group)
    {
        return Err(Reason::NotInGroup);
    }
    // Everything is what its owner could have a token for; what they may not see is no part of it.
    if entry.profile.services == Services::All && !entry.owner.facts.may_see(&cell.service) {
        return Err(Reason::WrongService);
    }
    judge_policy(entry, &cell.policy, around)
}

/// What a policy says of a token at use, however it was issued.
fn judge_policy(
    entry: &Entry,
    policy: &EffectivePolicy,
    around: &Surroundings<'_>,
) -> Result<(), Reason> {
    // Client keys are bounded by their role; a policy about people's tokens must not be able
    // to lock the last administrator out. What a client merely owns, a device's tokens say, is
    // under the policy like anybody's.
    if entry.is_of_key() {
        return Ok(());
    }
    let created = entry.created_at.micros();
    let expires = entry.validity.expires_at().map(Timestamp::micros);
    let for_everything = entry.profile.services == Services::All;
    if policy.blocks(created, expires, for_everything, &entry.profile.scopes).is_some() {
        return Err(Reason::PolicyBlocked);
    }
    if brown_out(entry, policy, around.now).is_some_and(|window| window.contains(around.now)) {
        return Err(Reason::BrownOut);
    }
    let derived = for_everything && entry.kind == Kind::DerivedToken;
    if derived && !policy.takes_derived_for_everything() {
        return Err(Reason::PolicyBlocked);
    }
    if !door_allowed(policy.doors.as_ref(), &around.request) {
        return Err(Reason::WrongDoor);
    }
    let denied = |networks: &Vec<_>| !network_allowed(networks, around.request.client_ip);
    if policy.networks.iter().any(denied) {
        return Err(Reason::NetworkDenied);
    }
    Ok(())
}

/// The brown-out that the token is in, or the next one that waits for it. Nearly no policy has any.
fn brown_out(entry: &Entry, policy: &EffectivePolicy, now: Timestamp) -> Option<Window> {
    let (rule, ends) = (policy.brownout.as_ref()?, entry.validity.expires_at()?);
    let began = entry.created_at.max(entry.validity.not_before());
    rule.window(entry.kind, began, ends, now)
}

fn door_allowed(doors: Option<&Vec<Door>>, request: &VerifyRequest<'_>) -> bool {
    doors.is_none_or(|doors| doors.contains(&request.origin.door))
}

/// An unknown address is inside no network: a token that is bound to one is refused then.
pub(in crate::authority) fn network_allowed(
    networks: &[ipnet::IpNet],
    client: Option<IpAddr>,
) -> bool {
    networks.is_empty()
        || client.is_some_and(|address| {
            let address = address.to_canonical();
            networks.iter().any(|network| network.contains(&address))
        })
}
