//! Leases: which node does the background work, so that not all of them do it.

use async_trait::async_trait;

use super::Unavailable;
use crate::clock::Timestamp;

/// The right to do some work until a moment.
///
/// A node may sleep through the end of its lease and act all the same. So work
/// that must not be done twice is done under the lease: the store looks in the
/// same transaction whether it still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub name: String,
    /// Who holds it; every process has a name of its own.
    pub holder: String,
    /// Rises whenever the lease begins anew. Whoever acts under a lower number was overtaken.
    pub fence: i64,
}

/// Leases.
#[async_trait]
pub trait LeaseStore {
    /// Takes a lease until `until`, or prolongs one that the holder has; `None` while another
    /// one holds it at `now`.
    async fn lease_take(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, Unavailable>;

    /// Gives a lease back before its end. One that was overtaken stays as it is.
    async fn lease_end(&self, lease: &Lease, now: Timestamp) -> Result<(), Unavailable>;
}
