//! The durable memory of the authority, as the rules see it.
//!
//! Each method is one transaction: when it returns `Ok` all of it is durable,
//! when it returns `Err` none of it is known to have happened. There is no
//! transaction handle, so nobody can hold one across a network call. Refusals
//! are values; [`Unavailable`] is the only error.
//!
//! One rule for every write: the events given with it are stored in the same
//! transaction, and before the method returns, every [`ChangeListener`] has
//! been told what changed. That order is what makes a revocation hold for the
//! very next verify.

mod access;
mod am;
mod audit;
mod census;
mod clients;
mod console;
mod enrolment;
mod events;
mod foreign_use;
mod import;
mod installation;
mod jobs;
mod leases;
mod letters;
mod links;
mod networks;
mod otp;
mod passkeys;
mod people;
mod provisioning;
mod repositories;
mod services;
mod shadow;
mod tokens;
mod use_days;
mod use_notes;

use std::sync::Arc;

pub use access::{AccessRevoke, AccessStore, Revocations, Revoked};
pub use am::{AmChange, AmChanged, AmDeleted, AmStore};
pub use audit::{AuditHead, AuditSeal, AuditStore, AuditTile, Unsealed};
pub use census::{
    CensusCount, CensusPart, CensusStore, RefusalTally, SCARCE_PER_PART_MAX, Scarce, Tally,
};
pub use clients::{ClientCreated, ClientStore, NewClient};
pub use console::{
    ConsoleStore, FirstAdministrator, PasswordChange, PersonVouched, SessionAdd, SessionAdded,
    SessionsEnd, SignInLinkAdded, SignInLinkUse, SignInLinkUsed, VouchedOutcome,
};
pub use enrolment::{
    BlastRadius, CountReturn, Draw, DrawRules, Enrol, EnrolReplay, Enrolled, EnrolmentStore,
    Refresh, Refreshed, Returned, SealEnrolment,
};
pub use events::{EventFilter, EventStore};
pub use foreign_use::{ForeignChanged, ForeignKey, ForeignUsage, ForeignUseDelta, ForeignUseStore};
pub use import::{Arriving, IMPORT_BATCH_MAX, ImportStore, Imported};
pub use installation::{
    ChangesRead, Initialised, Installation, InstallationStore, KeyRecord, KeyUse, LogPlace,
    NewInstallation, Pulse, Purged,
};
pub use jobs::{
    JOB_RETENTION_SECONDS, JOB_TOKENS_MAX, Job, JobApplied, JobApply, JobChange, JobCounts,
    JobItem, JobItemState, JobState, JobStore,
};
pub use leases::{Lease, LeaseStore};
pub use letters::{
    Letter, LetterFilter, LetterOrdered, LetterPrint, LetterRedeem, LetterState, LetterStore,
};
pub use links::{
    LINK_RETENTION_SECONDS, Link, LinkEnd, LinkIssue, LinkOpen, LinkOpened, LinkStore,
};
pub use networks::{
    NETWORKS_KEPT_DAYS, NETWORKS_KEPT_MAX, NETWORKS_WINDOW_SECONDS, NetworkStore, Sighting,
};
pub use otp::{
    CODE_RETENTION_SECONDS, NOTHING_ACCEPTED, OTPS_PER_PERSON_MAX, Otp, OtpAccept, OtpAccepted,
    OtpCode, OtpCodes, OtpImported, OtpIssue, OtpProof, OtpReplaced, OtpStore, OtpUse, SealedAt,
};
pub use passkeys::{PasskeyAdd, PasskeyAdded, PasskeyStore, PasskeysRemove};
pub use people::{
    Entrant, GroupBasis, GroupChange, GroupChanged, GroupRemoval, MemberChange, PeopleStore,
    UserFilter, UserRemoval,
};
pub use provisioning::{
    Backlog, DeliveryFilter, DirectoryHash, DirectorySecret, DirectoryToken, ProvisioningStore,
    Settled, Settlement, TARGETS_PER_REALM_MAX,
};
pub use repositories::{
    Assign, ListedBy, Listing, ListingFilter, ListingRemove, ListingRequest, Moved, Promote,
    RepositoryStore, Span,
};
pub use services::{ServiceDeleted, ServiceStore};
pub use shadow::{SHADOW_KEPT_DAYS, SHADOW_KEPT_MAX, ShadowDifference, ShadowFilter, ShadowStore};
pub use tokens::{
    ActiveLimit, Consumed, Counted, HandOver, HandedOver, Idempotency, Issued, LookedAfter, Record,
    Rehash, Rotated, SealAnswer, TokenAct, TokenChange, TokenFilter, TokenIssue, TokenLeak,
    TokenRotate, TokenStore, TokenUpdate, TokenUpdated, UsageDelta,
};
pub use use_days::{USE_DAYS_KEPT, UseDay, UseDayStore, day_of};
pub use use_notes::{
    AsUsed, Aspect, KnownUse, KnownUses, SCOPES_KEPT_MAX, USE_NOTE_ANCESTORS_MAX,
    USE_NOTES_KEPT_DAYS, UseNote, UseNoteStore, given, rows_of,
};

use crate::names::{ClientName, RealmName, ServiceLabel, ShadowName, Username};
use crate::secret::TokenId;

/// The store could not answer.
///
/// Not an answer. "There is no such token" is `Ok(None)`; a door that turns
/// this error into a denial locks every user out during a database restart.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store is unavailable")]
pub struct Unavailable(#[source] pub Arc<dyn std::error::Error + Send + Sync>);

impl Unavailable {
    /// Wraps what the engine said.
    pub fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }
}

/// What came of inserting a record with a unique name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored.
    Done,
    /// The name is taken.
    Exists,
    /// Something that the record names does not exist; the text says what.
    Missing(&'static str),
}

/// What came of changing a record on condition of its version.
#[derive(Debug, Clone, PartialEq)]
pub enum Updated<T> {
    /// It is changed; here is how it stands now.
    Done(T),
    /// There is no such record.
    NotFound,
    /// Somebody changed it since it was read.
    VersionMismatch,
    /// The name that it is to have belongs to another record.
    Exists,
    /// Something that the record now names does not exist; the text says what.
    Missing(&'static str),
}

/// One page of a list, in the order of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The records.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one. Opaque to everybody but the store.
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Records at most; the door has checked 1 to 1000.
    pub limit: u32,
    /// Where it begins: `next` of the page before.
    pub after: Option<String>,
}

impl PageRequest {
    /// The first page of at most `limit` records.
    pub const fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// The page behind the record of this name, for lists that are ordered by name: there, a
    /// name is a place.
    pub fn behind(name: &str, limit: u32) -> Self {
        Self { limit, after: Some(name.to_owned()) }
    }
}

/// What a committed transaction changed, as far as caches care.
///
/// Issuing is no change: nothing is cached about a token that did not exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// A token's record or secrets.
    Token(TokenId),
    /// A person, or their memberships.
    User(RealmName, Username),
    /// A client.
    Client(RealmName, ClientName),
    /// A service.
    Service(RealmName, ServiceLabel),
    /// A realm.
    Realm(RealmName),
    /// The report on an old system of a realm, or on all of them, is begun anew. Nothing cached
    /// depends on it; what each node has counted does.
    Shadow(RealmName, Option<ShadowName>),
    /// Perhaps anything: drop every cache.
    Everything,
}

/// Is told of changes after they are durable and before their cause is answered.
pub trait ChangeListener: Send + Sync {
    /// Takes note. Must be quick and must not call the store.
    fn changed(&self, changes: &[Change]);
}

/// The whole store.
pub trait Store:
    InstallationStore
    + LeaseStore
    + PeopleStore
    + ServiceStore
    + ClientStore
    + TokenStore
    + LinkStore
    + OtpStore
    + LetterStore
    + JobStore
    + ImportStore
    + ProvisioningStore
    + EnrolmentStore
    + AccessStore
    + AmStore
    + RepositoryStore
    + EventStore
    + ForeignUseStore
    + ConsoleStore
    + PasskeyStore
    + UseDayStore
    + UseNoteStore
    + NetworkStore
    + ShadowStore
    + CensusStore
    + AuditStore
    + Send
    + Sync
    + 'static
{
}

impl<T> Store for T where
    T: InstallationStore
        + LeaseStore
        + PeopleStore
        + ServiceStore
        + ClientStore
        + TokenStore
        + LinkStore
        + OtpStore
        + LetterStore
        + JobStore
        + ImportStore
        + ProvisioningStore
        + EnrolmentStore
        + AccessStore
        + AmStore
        + RepositoryStore
        + EventStore
        + ForeignUseStore
        + ConsoleStore
        + PasskeyStore
        + UseDayStore
        + UseNoteStore
        + NetworkStore
        + ShadowStore
        + CensusStore
        + AuditStore
        + Send
        + Sync
        + 'static
{
}
