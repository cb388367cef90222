//! Tokens that nobody used for so long that their service takes them no more.
//!
//! When a token was last used is bookkeeping of the store, and other nodes use it too. So only
//! this much is remembered here: that a token was in use at some instant. While that is recent
//! nobody has to ask the store; when it is not, the store is asked before anybody is refused.

use parking_lot::Mutex;

use super::answer::Found;
use super::{Active, Authority, Surroundings};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::policy::EffectivePolicy;
use crate::refusal::Refusal;
use crate::secret::TokenId;
use crate::usage::ById;
use crate::verdict::Reason;

/// Parts of the memory, so that few wait for each other.
const SHARDS: usize = 16;
/// Tokens remembered per part; beyond it the part is forgotten and the store asked again.
const SEEN_PER_SHARD_MAX: usize = 8_192;

/// Which tokens are known to have been in use, and when.
#[derive(Default)]
pub(in crate::authority) struct SeenLately([Mutex<ById<Timestamp>>; SHARDS]);

impl SeenLately {
    fn shard(&self, id: TokenId) -> Option<&Mutex<ById<Timestamp>>> {
        let sum = id.as_bytes().iter().fold(0_usize, |sum, byte| sum + usize::from(*byte));
        self.0.get(sum % SHARDS)
    }

    /// When a token was last seen, as far as that is remembered.
    pub(in crate::authority) fn last(&self, id: TokenId) -> Option<Timestamp> {
        self.shard(id)?.lock().get(&id).copied()
    }

    /// Whether a token was seen after `since`.
    pub(in crate::authority) fn after(&self, id: TokenId, since: Timestamp) -> bool {
        self.last(id).is_some_and(|at| since < at)
    }

    /// Notes that a token was in use.
    pub(in crate::authority) fn note(&self, id: TokenId, at: Timestamp) {
        let Some(shard) = self.shard(id) else { return };
        let mut seen = shard.lock();
        if seen.len() >= SEEN_PER_SHARD_MAX && !seen.contains_key(&id) {
            seen.clear();
        }
        let known = seen.entry(id).or_insert(at);
        *known = at.max(*known);
    }
}

/// Kinds that end when they are not used. Auth tokens have a rule of their own in their stamp,
/// and a client's key may wait for a disaster.
const fn may_be_idle(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::PersonalAccessToken | Kind::ServiceToken | Kind::DerivedToken | Kind::Generic
    )
}

/// How long the token may rest by what its service says, or the realm where no service is asked.
pub(super) fn window(around: &Surroundings<'_>, active: &Active) -> Option<i64> {
    policy(around, active).idle_expiry_seconds.filter(|_| may_be_idle(active.kind()))
}

/// The policy of the service that it was found good for, or of the realm where none was asked.
pub(super) fn policy<'a>(around: &'a Surroundings<'_>, active: &'a Active) -> &'a EffectivePolicy {
    policy_of(&active.found, around)
}

/// The same before the answer is made.
pub(super) fn policy_of<'a>(found: &'a Found, around: &'a Surroundings<'_>) -> &'a EffectivePolicy {
    let cell = match found {
        Found::Unchecked => None,
        Found::AsAsked => around.services.first(),
        Found::Among(cell) => Some(cell),
    };
    cell.map_or(&around.realm.policy, |cell| &cell.policy)
}

impl Authority {
    /// The reason if the token was not used for longer than it may rest.
    pub(super) async fn idle_refuses(
        &self,
        around: &Surroundings<'_>,
        active: &Active,
    ) -> Result<Option<Reason>, Refusal> {
        let Some(window) = window(around, active) else { return Ok(None) };
        let (id, since) = (active.token(), around.now.plus_seconds(-window));
        if !self.seen_lately.after(id, since) {
            let Some(last) = self.store.token_last_active(id).await? else {
                return Ok(Some(Reason::Unknown));
            };
            if last <= since {
                return Ok(Some(Reason::PolicyBlocked));
            }
            self.seen_lately.note(id, last);
        }
        if around.request.consume {
            self.seen_lately.note(id, around.now);
        }
        Ok(None)
    }
}
