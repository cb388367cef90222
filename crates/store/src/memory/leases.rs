//! Leases, in memory.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::store::{Lease, LeaseStore, Unavailable};

use super::{MemoryStore, State};

/// A lease and its end.
#[derive(Clone)]
pub(super) struct Held {
    lease: Lease,
    expires_at: Timestamp,
}

impl State {
    /// Whether nobody has taken the lease over.
    pub(super) fn holds(&self, lease: &Lease) -> bool {
        self.leases.get(&lease.name).is_some_and(|held| held.lease == *lease)
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn lease_take(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, Unavailable> {
        Ok(self.write(|state| {
            let before = state.leases.get(name);
            let (runs, same, last) = before.map_or((false, false, 0), |held| {
                (held.expires_at > now, held.lease.holder == holder, held.lease.fence)
            });
            if runs && !same {
                return None;
            }
            let fence = if runs { last } else { last + 1 };
            let lease = Lease { name: name.to_owned(), holder: holder.to_owned(), fence };
            let held = Held { lease: lease.clone(), expires_at: until };
            state.leases.insert(name.to_owned(), held);
            Some(lease)
        }))
    }

    async fn lease_end(&self, lease: &Lease, now: Timestamp) -> Result<(), Unavailable> {
        self.write(|state| {
            if let Some(held) = state.leases.get_mut(&lease.name)
                && held.lease == *lease
            {
                held.expires_at = held.expires_at.min(now);
            }
        });
        Ok(())
    }
}
