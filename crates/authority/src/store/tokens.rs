//! Tokens: issuing, changing, counting, and the one read that a cache miss costs.
//!
//! Length: what an operation is given and what it answers stand beside it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::{AsUsed, Page, PageRequest, Unavailable, Updated};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::kind::Kind;
use crate::names::{RealmName, RepositoryName, ServiceLabel, Username};
use crate::policy::AtLimit;
use crate::repository::{Membership, RepositoryLimit};
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::secret_hash::{Mac256, SecretHash};
use crate::service::Services;
use crate::subject::{Owner, OwnerFacts};
use crate::token::{State, StoredSecret, Token};
use crate::validity::Validity;
use crate::verdict::Door;

/// What verify needs to know of one token: the answer to a cache miss, in one read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The token.
    pub id: TokenId,
    /// Its tenant.
    pub realm: RealmName,
    /// Its kind.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Owner,
    /// How the owner stands.
    pub owner_facts: OwnerFacts,
    /// What it is good for.
    pub services: Services,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
    /// Finer permissions, as JSON text.
    pub permissions: Option<String>,
    /// Networks it may be used from; empty: any.
    pub networks: Vec<ipnet::IpNet>,
    /// Doors it may be presented at; `None`: any.
    pub doors: Option<Vec<Door>>,
    /// Switched on.
    pub enabled: bool,
    /// Locked.
    pub locked: bool,
    /// Waits.
    pub pending: bool,
    /// Revoked for good.
    pub revoked: bool,
    /// When it counts.
    pub validity: Validity,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Uses allowed in all; `None`: unlimited.
    pub max_usages: Option<u64>,
    /// The repository that it is in.
    pub repository: Option<Membership>,
    /// The token it dies with.
    pub parent: Option<TokenId>,
    /// Whether that one is revoked.
    pub parent_revoked: bool,
    /// Its secrets: current, next, and former ones that still count or are still watched.
    pub secrets: Vec<StoredSecret>,
}

/// An answer that must come out the same when the request is repeated.
#[derive(Clone)]
pub struct Idempotency {
    /// Whose key it is: the id of the credential that the caller presented.
    pub caller: String,
    /// The `Idempotency-Key` header.
    pub key: String,
    /// SHA-256 over route and body: the same key with another one is refused.
    pub fingerprint: [u8; 32],
    /// When the answer may be forgotten.
    pub expires_at: Timestamp,
    /// Renders and seals the answer to keep, given the token as stored. Called inside the
    /// transaction; must not block.
    pub answer: SealAnswer,
}

/// Renders and seals an answer, given the token as stored.
pub type SealAnswer = Arc<dyn Fn(&Token) -> Vec<u8> + Send + Sync>;

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// Which tokens of an owner a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// Those that name this service.
    Service(ServiceLabel),
    /// Those for every service (`*`).
    EveryService,
    /// All that they hold in the realm.
    Realm,
    /// Those that they hold in a repository.
    Repository(RepositoryLimit),
}

/// A limit on tokens that one owner holds at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveLimit {
    /// Which tokens are counted.
    pub of: Counted,
    /// Tokens at most, the new one included. Counted are tokens of the same kind and owner
    /// that are neither revoked nor expired.
    pub max: u32,
    /// What happens beyond. A limit of the whole realm always refuses, but for what the limits of
    /// services replace: nobody loses a token of another service.
    pub at_limit: AtLimit,
    /// Count only tokens with a slow hash (self-chosen secrets).
    pub slow_only: bool,
}

/// A token to issue.
#[derive(Debug, Clone)]
pub struct TokenIssue {
    /// Its record, `secrets` left empty.
    pub token: Token,
    /// Its secret.
    pub secret: StoredSecret,
    /// Limits that hold in the same transaction, each for itself.
    pub limits: Vec<ActiveLimit>,
    /// What is kept with it, sealed to its id: the readable data of a repository's token.
    pub data: Option<Vec<u8>>,
    /// The answer to keep.
    pub idempotency: Option<Idempotency>,
    /// What is recorded. For each token that is replaced the store adds a `token.replaced`.
    pub event: Event,
}

/// What came of issuing.
#[derive(Debug, Clone, PartialEq)]
pub enum Issued {
    /// It is stored; these tokens were revoked to make room.
    Done {
        /// The token as stored.
        token: Token,
        /// Revoked in its favour.
        replaced: Vec<TokenId>,
    },
    /// The same request was answered before: here is that answer, still sealed.
    Replayed(Vec<u8>),
    /// The idempotency key was used for another request.
    KeyReused,
    /// The owner holds as many as allowed.
    AtLimit(u32),
    /// The id or the hash is taken; draw again.
    Collision,
    /// The owner does not exist (any more).
    OwnerGone,
    /// A service that the token names does not exist (any more).
    ServiceGone(ServiceLabel),
    /// Another token of the repository has its serial.
    SerialTaken,
    /// The owner's place in the repository, `current` or `next`, is taken.
    PlaceTaken,
}

/// An edit of a token.
#[derive(Debug, Clone)]
pub struct TokenUpdate {
    /// The token as it is to stand, with the version that was read.
    pub token: Token,
    /// Limits that hold in the same transaction, where the edit takes a place: where the token
    /// counts after it and did not before, because it named other services or had expired.
    /// Beyond one the edit is refused, whatever `at_limit` says: nobody else's token ends
    /// because this one was edited.
    pub limits: Vec<ActiveLimit>,
    /// The payload of a repository's token that takes the place of the one before, sealed.
    pub data: Option<Vec<u8>>,
    /// What its use was when the edit was judged: it is refused if that is no longer so.
    pub as_used: Option<AsUsed>,
    /// What is recorded.
    pub event: Event,
}

/// A token that gets another owner, its secrets being the same.
#[derive(Debug, Clone)]
pub struct HandOver {
    /// The token as it was read, with its version, but with its new owner.
    pub token: Token,
    /// Limits of the new owner that hold in the same transaction, whatever `at_limit` says.
    pub limits: Vec<ActiveLimit>,
    /// What tells of it: to who had it, and to who gets it.
    pub events: [Event; 2],
}

/// What came of handing a token over.
#[derive(Debug, Clone, PartialEq)]
pub enum HandedOver {
    /// It has its new owner; here is how it stands now.
    Done(Token),
    /// There is no such token.
    NotFound,
    /// Somebody changed it since it was read.
    VersionMismatch,
    /// The new owner does not exist (any more).
    OwnerGone,
    /// The new owner holds as many as allowed.
    AtLimit(u32),
    /// It has a secret that is stored together with the person who presents it.
    Bound,
}

/// What came of editing a token.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenUpdated {
    /// It is changed; here is how it stands now.
    Done(Token),
    /// There is no such token.
    NotFound,
    /// Somebody changed it since it was read.
    VersionMismatch,
    /// The unit that it is to belong to does not exist (any more).
    UnitGone,
    /// A service that it is to name does not exist (any more).
    ServiceGone(ServiceLabel),
    /// The owner holds as many as allowed.
    AtLimit(u32),
    /// The count would be less than what is taken already, which is so many.
    CountTaken(u64),
    /// Another token of the repository has its serial.
    SerialTaken,
    /// It was used for something else since the edit was judged.
    UsedSince,
}

/// A new secret for a token.
#[derive(Debug, Clone)]
pub struct TokenRotate {
    /// The tenant.
    pub realm: RealmName,
    /// The token.
    pub id: TokenId,
    /// The new current secret.
    pub secret: StoredSecret,
    /// Until when the former current secret counts (never beyond its own earlier end).
    pub previous_until: Timestamp,
    /// `If-Match`: refuse unless the token has this version.
    pub expected_version: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// The answer to keep.
    pub idempotency: Option<Idempotency>,
    /// Give an answer that is kept, or none: whoever asks may not rotate any more.
    pub only_replay: bool,
    /// What is recorded.
    pub event: Event,
}

/// What came of rotating.
#[derive(Debug, Clone, PartialEq)]
pub enum Rotated {
    /// The new secret is current.
    Done(Token),
    /// The same request was answered before: here is that answer, still sealed.
    Replayed(Vec<u8>),
    /// Only a kept answer was asked for, and there is none.
    NotAnswered,
    /// The idempotency key was used for another request.
    KeyReused,
    /// There is no such token.
    NotFound,
    /// Somebody changed it since it was read.
    VersionMismatch,
    /// A token that is revoked or expired gets no new secret.
    Ended(State),
    /// The hash is taken; draw again.
    Collision,
}

/// A switch of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenAct {
    /// Switch on.
    Enable,
    /// Switch off.
    Disable,
    /// Lock.
    Lock,
    /// Unlock.
    Unlock,
    /// End for good, with everything derived from it.
    Revoke {
        /// By whom, as an actor name.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// The same, and with it every auth token that was drawn from it.
    RevokeWithChildren {
        /// By whom, as an actor name.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// Make active what waits. The draw of an auth token is counted; one whose request's time is
    /// over ends instead.
    Approve,
}

/// A switch of state of one token.
#[derive(Debug, Clone)]
pub struct TokenChange {
    /// The tenant.
    pub realm: RealmName,
    /// The token.
    pub id: TokenId,
    /// What to do.
    pub act: TokenAct,
    /// `If-Match`: refuse unless the token has this version.
    pub expected_version: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// What is recorded, if anything changes.
    pub event: Event,
}

/// A report that a token's string was found in public, and what follows from it.
#[derive(Debug, Clone)]
pub struct TokenLeak {
    /// What stands for the report: keyed, and the same each time that it is sent.
    pub once: [u8; 32],
    /// Until when it is known again.
    pub known_until: Timestamp,
    /// What becomes of the token, if anything.
    pub change: Option<TokenChange>,
    /// What is recorded of the leak itself.
    pub event: Event,
    /// When.
    pub at: Timestamp,
}

/// What came of counting one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumed {
    /// This use is counted and durable; so many are taken now.
    Done {
        /// Uses taken, this one included.
        used: u64,
    },
    /// No use was counted: the token is not active at this instant, for this reason.
    Refused(State),
}

/// Bookkeeping gathered for one token since the last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDelta {
    /// The token.
    pub token: TokenId,
    /// Accepted uses.
    pub accepted: u64,
    /// Refusals of the right secret.
    pub denied: u64,
    /// Earliest accepted use among them.
    pub first_at: Option<Timestamp>,
    /// Latest accepted use among them.
    pub last_at: Option<Timestamp>,
    /// The client's address at the latest.
    pub last_ip: Option<IpAddr>,
    /// Whether the token is of a repository, where lists are sorted by use.
    pub is_listed: bool,
}

/// A secret that verified under a retired pepper, hashed under the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehash {
    /// The token.
    pub token: TokenId,
    /// What it was: names the secret, so that a rotation in between is not undone.
    pub old: SecretHash,
    /// What it becomes.
    pub new: SecretHash,
}

/// Which tokens to list. `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenFilter {
    /// Of this owner.
    pub owner: Option<Owner>,
    /// That name this service.
    pub service: Option<ServiceLabel>,
    /// That are for every service (`*`).
    pub for_everything: bool,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In this state at `now`.
    pub state: Option<State>,
    /// With exactly this name.
    pub name: Option<String>,
    /// With all of these labels.
    pub labels: Vec<(String, String)>,
    /// In this repository.
    pub repository: Option<RepositoryName>,
    /// In this unit.
    pub unit: Option<String>,
    /// That somebody who administers a unit looks after.
    pub looked_after: Option<LookedAfter>,
    /// That end before this instant.
    pub expires_before: Option<Timestamp>,
    /// Not used since this instant, or never.
    pub unused_since: Option<Timestamp>,
    /// Only tokens that name some service, and none outside these.
    pub only_services: Option<Vec<ServiceLabel>>,
    /// Drawn from this registration token.
    pub registration: Option<TokenId>,
    /// Derived from this token.
    pub parent: Option<TokenId>,
    /// With this identifier.
    pub identifier: Option<String>,
    /// With this first reference id.
    pub ref_id_1: Option<String>,
    /// With this second reference id.
    pub ref_id_2: Option<String>,
    /// Auth tokens of this subject.
    pub subject: Option<String>,
    /// Auth tokens of a device of this name.
    pub hostname: Option<String>,
    /// Auth tokens of this system user.
    pub system_user: Option<String>,
    /// Auth tokens of a device with this hardware address.
    pub mac_address: Option<String>,
    /// Look at about so many tokens of the realm at most before the page ends, even if it is
    /// empty: its `next` goes on from there. For who has no time to wait for rare ones.
    pub look_at_most: Option<u32>,
}

/// The tokens that somebody who administers a unit looks after: those put into the unit, those of
/// its people whatever unit they were put into, and their own. Registration tokens and what was
/// drawn from them belong to the unit that they were put into, whoever issued them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedAfter {
    /// The unit.
    pub unit: String,
    /// Whose tokens are their own, if they are a person.
    pub own: Option<Owner>,
}

/// Tokens of every realm.
#[async_trait]
pub trait TokenStore {
    /// Stores a new token with its secret, or refuses.
    async fn token_issue(&self, issue: TokenIssue) -> Result<Issued, Unavailable>;
    /// Finds a token of a realm.
    async fn token_find(
        &self,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Token>, Unavailable>;
    /// Lists tokens, newest first. `now` decides the state.
    async fn token_list(
        &self,
        realm: &RealmName,
        filter: TokenFilter,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Token>, Unavailable>;
    /// Gives a token another owner. Those who count the new owner's tokens wait their turn.
    async fn token_hand_over(&self, hand_over: HandOver) -> Result<HandedOver, Unavailable>;
    /// Replaces the editable fields (name, description, labels, end, services, scopes,
    /// permissions, networks, doors, unit, count and attributes) if the token still has
    /// `token.version`, and raises the version. A count is never less than what is taken.
    async fn token_update(&self, update: TokenUpdate) -> Result<TokenUpdated, Unavailable>;
    /// Makes a new secret current and the former one `previous`.
    async fn token_rotate(&self, rotate: TokenRotate) -> Result<Rotated, Unavailable>;
    /// Switches state. Idempotent: what is so already changes nothing and records nothing.
    /// Any act but `Revoke` leaves a revoked token revoked.
    async fn token_change(&self, change: TokenChange) -> Result<Updated<Token>, Unavailable>;
    /// Takes a report of a leak: switches state, as `token_change` does, and records, all of it or
    /// nothing. False, with nothing changed, if it was taken before and is still known: of any
    /// number of copies one is taken. A token that has ended or is gone is recorded all the same.
    async fn token_leaked(&self, leak: TokenLeak) -> Result<bool, Unavailable>;

    /// The record of a token, in one read.
    async fn token_record(&self, id: TokenId) -> Result<Option<Record>, Unavailable>;
    /// The record of the token with a secret that is found by its hash, in one read.
    async fn token_record_by_hash(&self, mac: Mac256) -> Result<Option<Record>, Unavailable>;
    /// The records of a person's live tokens for a service that have a slow hash.
    async fn token_records_slow(
        &self,
        realm: &RealmName,
        user: &Username,
        service: &ServiceLabel,
    ) -> Result<Vec<Record>, Unavailable>;
    /// When a token was last of use to anybody: issued, activated, rotated, or used, as far as
    /// that is added to it. `None` if there is no such token.
    async fn token_last_active(&self, id: TokenId) -> Result<Option<Timestamp>, Unavailable>;
    /// Counts one use of a limited token if it is active at `now`: one conditional statement.
    async fn token_consume(
        &self,
        id: TokenId,
        now: Timestamp,
        ip: Option<IpAddr>,
    ) -> Result<Consumed, Unavailable>;
    /// Stores bookkeeping: usage, re-hashed secrets, and events of refusals.
    ///
    /// A store may keep the usage of many tokens aside, as durable as the rest, and show it
    /// only after [`Self::usage_settle`]; that of few shows at once.
    async fn usage_flush(
        &self,
        usage: Vec<UsageDelta>,
        rehashed: Vec<Rehash>,
        events: Vec<Event>,
    ) -> Result<(), Unavailable>;
    /// Adds a part of the usage that was kept aside to its tokens; false if there was none left.
    /// Takes at most some ten milliseconds of the writer's time.
    async fn usage_settle(&self) -> Result<bool, Unavailable>;
}
