//! On which days tokens were used, and through which doors: for people who look at their tokens.

use std::net::IpAddr;

use async_trait::async_trait;

use super::Unavailable;
use crate::clock::Timestamp;
use crate::secret::TokenId;
use crate::verdict::Door;

/// How many days back uses are kept; what is older is purged.
pub const USE_DAYS_KEPT: i64 = 90;

const DAY_MICROS: i64 = 86_400_000_000;

/// The day of an instant, in days since 1970-01-01, UTC.
pub const fn day_of(at: Timestamp) -> i64 {
    at.micros().div_euclid(DAY_MICROS)
}

/// Uses of one token on one day through one door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseDay {
    /// The token.
    pub token: TokenId,
    /// The day, in days since 1970-01-01, UTC.
    pub day: i64,
    /// The door.
    pub door: Door,
    /// Accepted uses.
    pub uses: u64,
    /// The latest of them.
    pub last_at: Timestamp,
    /// Where that one came from.
    pub last_ip: Option<IpAddr>,
}

/// The days on which tokens were used. Bookkeeping: no limit is decided by it.
#[async_trait]
pub trait UseDayStore {
    /// Adds uses to what is known of their token, day and door. `last_at` only moves on.
    async fn use_days_add(&self, days: Vec<UseDay>) -> Result<(), Unavailable>;
    /// What is known of tokens from a day on: in the order asked for, by day, then by the name of
    /// the door.
    async fn use_days_find(
        &self,
        tokens: Vec<TokenId>,
        from: i64,
    ) -> Result<Vec<UseDay>, Unavailable>;
}
