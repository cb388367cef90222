//! Tokens of repositories: found, listed and moved within their repository.

use async_trait::async_trait;

use super::{ActiveLimit, Unavailable};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::{RealmName, RepositoryName, Username};
use crate::repository::Place;
use crate::secret::TokenId;
use crate::subject::Owner;
use crate::token::{State, Token};

/// A token in its repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The token.
    pub token: Token,
    /// Since when its owner has it; `None` of stock.
    pub held_since: Option<Timestamp>,
    /// First accepted use for its owner.
    pub first_at: Option<Timestamp>,
    /// Latest accepted use for its owner.
    pub last_at: Option<Timestamp>,
    /// Accepted uses for its owner.
    pub total: u64,
    /// The payload that is shown again, sealed to the token.
    pub sealed: Option<Vec<u8>>,
}

/// What a list is ordered by; tokens that are equal in it come in the order of their issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListedBy {
    /// When it was issued.
    #[default]
    Age,
    /// Its latest use; never used ones count as used at the epoch.
    LastUse,
    /// How often it was used.
    Total,
    /// When it ends; endless ones count as ending at the epoch.
    End,
}

/// Numbers or instants, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The least.
    pub from: i64,
    /// The greatest.
    pub to: i64,
}

impl Default for Span {
    fn default() -> Self {
        Self { from: i64::MIN, to: i64::MAX }
    }
}

impl Span {
    /// Whether a number is inside.
    pub const fn contains(self, number: i64) -> bool {
        self.from <= number && number <= self.to
    }

    /// What is inside both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

/// Which tokens of a repository. Spans hold everything by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListingFilter {
    /// Of this person.
    pub owner: Option<Username>,
    /// In this place.
    pub place: Option<Place>,
    /// With this serial.
    pub serial: Option<String>,
    /// With this tracking id.
    pub tracking: Option<String>,
    /// With this value of a free element.
    pub element: Option<(u8, String)>,
    /// Last used then, in microseconds; 0: never.
    pub last_use: Span,
    /// Used so often.
    pub total: Span,
    /// Ending then; 0: never.
    pub ends: Span,
    /// Beginning then.
    pub begins: Span,
    /// Issued then.
    pub issued: Span,
    /// Switched on or not.
    pub enabled: Option<bool>,
    /// In this state.
    pub state: Option<State>,
}

/// A page of a repository's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingRequest {
    /// The tenant.
    pub realm: RealmName,
    /// The repository.
    pub repository: RepositoryName,
    /// Which of its tokens.
    pub filter: ListingFilter,
    /// In which order.
    pub by: ListedBy,
    /// The greatest first.
    pub descending: bool,
    /// How many at most.
    pub limit: u32,
    /// Where the page begins: `next` of the one before.
    pub after: Option<String>,
    /// What state is derived at.
    pub now: Timestamp,
}

/// A token to be taken out of its repository, for good.
#[derive(Debug, Clone)]
pub struct ListingRemove {
    /// The tenant.
    pub realm: RealmName,
    /// The token.
    pub id: TokenId,
    /// `If-Match`.
    pub expected_version: Option<i64>,
    /// Whether the next credential takes the place of a current one.
    pub promote: bool,
    /// When.
    pub at: Timestamp,
    /// What is recorded; a promotion adds a `token.promoted`.
    pub event: Event,
}

/// The next credential is to become the current one.
#[derive(Debug, Clone)]
pub struct Promote {
    /// The tenant.
    pub realm: RealmName,
    /// The repository.
    pub repository: RepositoryName,
    /// Whose.
    pub owner: Username,
    /// Only if this is the next one.
    pub next: Option<TokenId>,
    /// Until when the former current one still counts; it ends at once if that is now.
    pub retire_at: Timestamp,
    /// When.
    pub at: Timestamp,
    /// What is recorded of the one that is promoted.
    pub event: Event,
}

/// A token that changes hands.
#[derive(Debug, Clone)]
pub struct Assign {
    /// The tenant.
    pub realm: RealmName,
    /// The token.
    pub id: TokenId,
    /// Whom it goes to; `None`: back to the stock.
    pub to: Option<Username>,
    /// Who is named as the owner of what is in stock.
    pub keeper: Owner,
    /// Limits that hold in the same transaction.
    pub limits: Vec<ActiveLimit>,
    /// Whether it waits for its activation letter.
    pub pending: bool,
    /// `If-Match`.
    pub expected_version: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// What is recorded.
    pub event: Event,
}

/// What came of moving a token.
#[derive(Debug, Clone, PartialEq)]
pub enum Moved {
    /// It is so now.
    Done(Listing),
    /// There is no such token in a repository.
    NotFound,
    /// Somebody changed it since it was read.
    VersionMismatch,
    /// The person holds as many as allowed.
    AtLimit(u32),
    /// There is no such person.
    OwnerGone,
    /// Somebody has it.
    Assigned,
    /// Nobody has it.
    Unassigned,
    /// It was revoked.
    Ended,
}

/// Tokens of repositories.
#[async_trait]
pub trait RepositoryStore {
    /// Finds a token that is in a repository.
    async fn listing_find(
        &self,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Listing>, Unavailable>;
    /// Lists a repository's tokens, and says where the next page begins.
    async fn listing_page(
        &self,
        request: ListingRequest,
    ) -> Result<(Vec<Listing>, Option<String>), Unavailable>;
    /// Revokes a token and takes it out of its repository; the promoted one if there was any.
    /// `NotFound` and `VersionMismatch` are the refusals.
    async fn listing_remove(&self, remove: ListingRemove) -> Result<Moved, Unavailable>;
    /// Makes the next credential the current one: one conditional statement, so that of many who
    /// ask at the same time one does. `None`: there is no such next one (any more).
    async fn credential_promote(&self, promote: Promote) -> Result<Option<Listing>, Unavailable>;
    /// Gives a token of the stock to a person, or takes it back.
    async fn listing_assign(&self, assign: Assign) -> Result<Moved, Unavailable>;
    /// Next credentials whose own time has begun, of one repository.
    async fn credentials_due(
        &self,
        repository: &RepositoryName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RealmName, Username, TokenId)>, Unavailable>;
}
