//! Counting the tokens and refusals of a realm a part at a time, so that nobody has to read a
//! million rows while somebody waits for a page.

use async_trait::async_trait;

use super::Unavailable;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::secret::TokenId;
use crate::token::State;

/// Registration tokens that one part names at most.
pub const SCARCE_PER_PART_MAX: u32 = 20;

/// A part of a count of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CensusPart {
    /// The tenant.
    pub realm: RealmName,
    /// Where the part begins: `next` of the one before, empty at first.
    pub after: String,
    /// Tokens that are looked at at most.
    pub limit: u32,
    /// The instant that decides about states.
    pub now: Timestamp,
    /// Active tokens that end before this instant are counted as ending soon.
    pub soon: Timestamp,
    /// Active tokens that are older than this, and not used since, are counted as unused.
    pub unused_since: Timestamp,
}

/// Tokens that have these facts in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Their kind.
    pub kind: Kind,
    /// Their state.
    pub state: State,
    /// The unit they were put into.
    pub unit: Option<String>,
    /// The unit of the person whose they are; never of what was enrolled.
    pub owner_unit: Option<String>,
    /// How many.
    pub count: u64,
    /// How many of them are active and end soon.
    pub ending: u64,
    /// How many of them are active and unused.
    pub unused: u64,
}

/// A registration token of which four fifths or more are used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scarce {
    /// The token.
    pub id: TokenId,
    /// Its name.
    pub name: Option<String>,
    /// Its unit.
    pub unit: Option<String>,
    /// Draws taken or promised.
    pub taken: u64,
    /// Draws in all.
    pub most: u64,
}

/// What a part came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CensusCount {
    /// The tokens by what they have in common.
    pub tallies: Vec<Tally>,
    /// Registration tokens that are neither revoked nor expired and nearly used up, the newest of
    /// the part, at most [`SCARCE_PER_PART_MAX`].
    pub scarce: Vec<Scarce>,
    /// Where the next part begins, if there is one.
    pub next: Option<String>,
}

/// Refusals of one kind within one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalTally {
    /// The kind of the events.
    pub kind: String,
    /// Why.
    pub reason: Option<String>,
    /// Hours since 1970 UTC.
    pub hour: i64,
    /// How many; an event may stand for many.
    pub count: u64,
}

/// Counts of every realm.
#[async_trait]
pub trait CensusStore {
    /// Counts a part of a realm's tokens, the oldest first.
    async fn census_tokens(&self, part: CensusPart) -> Result<CensusCount, Unavailable>;
    /// Counts the refusals among the next events behind an id, of which so many are looked at;
    /// and says where the next part begins, if there is one.
    async fn census_refusals(
        &self,
        realm: &RealmName,
        after: String,
        limit: u32,
    ) -> Result<(Vec<RefusalTally>, Option<String>), Unavailable>;
}
