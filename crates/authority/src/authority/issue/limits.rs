//! How many tokens a person may hold for a service at the same time: what the store is to count.

use std::sync::Arc;

use crate::cache::ServiceCell;
use crate::policy::EffectivePolicy;
use crate::store::ActiveLimit;

/// Self-chosen secrets that one person may have active for one service: every attempt at any
/// of them costs the same, so their number must be small.
const SLOW_TOKENS_MAX: u32 = 3;

/// What each service says about the tokens that one person holds for it at the same time; of a
/// token for every service, what the realm says. `slow`: whether its secret was chosen.
pub(in crate::authority) fn limits_of(
    cells: &[Arc<ServiceCell>],
    realm: &EffectivePolicy,
    slow: bool,
) -> Vec<ActiveLimit> {
    let of_services = cells.iter().map(|cell| (Some(cell.service.label.clone()), &cell.policy));
    let of_realm = cells.is_empty().then_some((None, realm));
    let mut limits = Vec::new();
    for (service, policy) in of_services.chain(of_realm) {
        let at_limit = policy.at_limit;
        if let Some(max) = policy.max_active_per_user {
            let service = service.clone();
            limits.push(ActiveLimit { service, max, at_limit, slow_only: false, repository: None });
        }
        if slow {
            let (max, slow_only) = (SLOW_TOKENS_MAX, true);
            limits.push(ActiveLimit { service, max, at_limit, slow_only, repository: None });
        }
    }
    limits
}
