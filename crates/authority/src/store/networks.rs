//! From which networks tokens were used, where a policy watches that.

use async_trait::async_trait;
use ipnet::IpNet;

use super::Unavailable;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::secret::TokenId;

/// Networks that are kept of one token at most: what is used from more is shared or public, and
/// the alarm about that was raised long before.
pub const NETWORKS_KEPT_MAX: u32 = 64;
/// How many days back a network is known: as long as the days of use.
pub const NETWORKS_KEPT_DAYS: i64 = 90;
/// Within so many seconds networks count together.
pub const NETWORKS_WINDOW_SECONDS: i64 = 86_400;

/// That a token was used from a network, and what to tell if that is remarkable.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The token.
    pub token: TokenId,
    /// The network.
    pub network: IpNet,
    /// When.
    pub at: Timestamp,
    /// Recorded if the token was used before, and never from there as far as is known.
    pub first: Option<Event>,
    /// Recorded if it was used from more networks than so many within the window; once in such a
    /// time.
    pub many: Option<(u32, Event)>,
}

/// Where tokens were used. Bookkeeping: no verification asks for it.
#[async_trait]
pub trait NetworkStore {
    /// Notes sightings with their events, all or none. The events that were recorded.
    async fn networks_note(&self, sightings: Vec<Sighting>) -> Result<Vec<Event>, Unavailable>;
    /// The networks that a token was used from, the latest first, with the instants of the first
    /// and the latest use as far as they were noted.
    async fn networks_of(
        &self,
        token: TokenId,
    ) -> Result<Vec<(IpNet, Timestamp, Timestamp)>, Unavailable>;
}
