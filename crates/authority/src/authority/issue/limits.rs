//! How many tokens a person may hold for a service at the same time: what the store is to count.

use std::sync::Arc;

use crate::cache::ServiceCell;
use crate::kind::Kind;
use crate::policy::{AtLimit, EffectivePolicy};
use crate::store::{ActiveLimit, Counted};

/// Self-chosen secrets that one person may have active for one service: every attempt at any
/// of them costs the same, so their number must be small.
pub(in crate::authority) const SLOW_TOKENS_MAX: u32 = 3;

/// What each service says about the tokens that one person holds for it at the same time; of a
/// token for every service, what the realm says; and what the realm says of all of them together.
/// `slow`: whether its secret was chosen.
pub(in crate::authority) fn limits_of(
    kind: Kind,
    cells: &[Arc<ServiceCell>],
    realm: &EffectivePolicy,
    slow: bool,
) -> Vec<ActiveLimit> {
    let of_services =
        cells.iter().map(|cell| (Counted::Service(cell.service.label.clone()), &cell.policy));
    let of_realm = cells.is_empty().then_some((Counted::EveryService, realm));
    let mut limits = Vec::new();
    for (of, policy) in of_services.chain(of_realm) {
        let at_limit = policy.at_limit;
        if let Some(max) = policy.max_active_per_user {
            limits.push(ActiveLimit { of: of.clone(), max, at_limit, slow_only: false });
        }
        if slow {
            limits.push(ActiveLimit { of, max: SLOW_TOKENS_MAX, at_limit, slow_only: true });
        }
    }
    limits.extend(limit_of_realm(kind, realm));
    limits
}

/// How many tokens of a kind a person may hold in the realm, whatever they are for. What they
/// issue for others to draw from, or keep in stock, is not theirs to use.
pub(in crate::authority) fn limit_of_realm(
    kind: Kind,
    realm: &EffectivePolicy,
) -> Option<ActiveLimit> {
    let theirs =
        matches!(kind, Kind::PersonalAccessToken | Kind::ServiceToken | Kind::DerivedToken);
    let max = realm.max_active_per_user.filter(|_| theirs)?;
    let at_limit = AtLimit::Refuse;
    Some(ActiveLimit { of: Counted::Realm, max, at_limit, slow_only: false })
}
