//! Where the answers of an old system differ from ours: a report for who moves an organisation.

use async_trait::async_trait;

use super::{Page, PageRequest, Unavailable};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::{RealmName, ServiceLabel, ShadowName, Username};
use crate::secret::TokenId;
use crate::shadow::Differs;
use crate::verdict::Reason;

/// Differences that are kept of one realm at most: more than anybody reads. Those that were met
/// longest ago make room for new ones.
pub const SHADOW_KEPT_MAX: u32 = 10_000;
/// How many days a difference is kept that is not met any more.
pub const SHADOW_KEPT_DAYS: i64 = 90;

/// A difference. Never a secret, nor anything computed from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowDifference {
    /// Its name; sorts by when it was first stored. The first one that is stored counts.
    pub id: String,
    /// The tenant.
    pub realm: RealmName,
    /// The old system.
    pub shadow: ShadowName,
    /// The service, if one was named.
    pub service: Option<ServiceLabel>,
    /// Which way.
    pub differs: Differs,
    /// The token, as far as we know it.
    pub token: Option<TokenId>,
    /// The person, as far as they are known.
    pub username: Option<Username>,
    /// Why we said no the last time.
    pub reason: Option<Reason>,
    /// How often it was met.
    pub count: u64,
    /// When it was first met.
    pub first_at: Timestamp,
    /// When it was last met.
    pub last_at: Timestamp,
}

/// Which differences.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShadowFilter {
    /// With this old system.
    pub shadow: Option<ShadowName>,
    /// This way.
    pub differs: Option<Differs>,
}

/// The report. Bookkeeping: no verification asks for it.
#[async_trait]
pub trait ShadowStore {
    /// Adds differences to what is known of the same realm, shadow, service, way, token and
    /// person: counts add up, the first time only moves back and the last one only on. Of a realm
    /// that has more than [`SHADOW_KEPT_MAX`] then, those are removed that were met longest ago.
    async fn shadow_note(&self, differences: Vec<ShadowDifference>) -> Result<(), Unavailable>;
    /// Lists differences in the order in which they were first stored.
    async fn shadow_list(
        &self,
        realm: &RealmName,
        filter: ShadowFilter,
        page: PageRequest,
    ) -> Result<Page<ShadowDifference>, Unavailable>;
    /// Removes the differences of a realm, with one old system or with all, and says how many
    /// there were. The event is recorded and [`super::Change::Shadow`] told of even if there was
    /// none: what each node has counted begins anew too.
    async fn shadow_clear(
        &self,
        realm: &RealmName,
        shadow: Option<ShadowName>,
        event: Event,
    ) -> Result<u64, Unavailable>;
}
