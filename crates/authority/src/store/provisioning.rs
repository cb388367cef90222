//! Targets, the outbox, and deliveries: how what happened here comes to be true elsewhere.
//!
//! Whatever changes something writes its event, and with the event, in the same transaction, a
//! note into the outbox. One leased worker turns notes into deliveries and deliveries into done
//! ones, so a note needs no lock that two issues could meet at.

use async_trait::async_trait;

use super::{Inserted, Lease, Page, PageRequest, Unavailable, Updated};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::kind::Kind;
use crate::names::{RealmName, TargetName, Username};
use crate::provision::{Delivery, DeliveryKey, DeliveryState, Mark, Target};
use crate::secret::TokenId;
use crate::service::Services;
use crate::token::Slot;
use crate::validity::Validity;
use crate::verdict::Door;

/// Targets of one realm at most: each of them is looked at for every event.
pub const TARGETS_PER_REALM_MAX: u32 = 50;

/// One hash of a secret for directories, sealed to its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryHash {
    /// Its scheme, as in `{SSHA512}`.
    pub scheme: String,
    /// The value, sealed.
    pub sealed: Vec<u8>,
}

/// A secret of a token, as far as a directory is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorySecret {
    /// Its row.
    pub id: String,
    /// Which one.
    pub slot: Slot,
    /// From when on it counts, beside the token's own validity.
    pub not_before: Option<Timestamp>,
    /// Until when it counts, beside the token's own validity.
    pub expires_at: Option<Timestamp>,
    /// What was derived of it, by scheme.
    pub hashes: Vec<DirectoryHash>,
}

/// A token that is not revoked, as far as a directory is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryToken {
    /// The token.
    pub id: TokenId,
    /// Its kind: a service token or a personal access token.
    pub kind: Kind,
    /// What it is called.
    pub name: Option<String>,
    /// What it is good for.
    pub services: Services,
    /// Whether it is switched on, not locked, and waits for nothing.
    pub usable: bool,
    /// Whether it may be used from some networks only, which no directory looks at.
    pub bound_to_networks: bool,
    /// Whether its uses are counted, which no directory does.
    pub counted: bool,
    /// Doors it may be presented at; `None`: any.
    pub doors: Option<Vec<Door>>,
    /// When it counts.
    pub validity: Validity,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Its secrets.
    pub secrets: Vec<DirectorySecret>,
}

/// Which deliveries to list. `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// To this target.
    pub target: Option<TargetName>,
    /// In this state.
    pub state: Option<DeliveryState>,
}

/// How an attempt at a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The target is as it should be.
    Done {
        /// Where the object stands there.
        place: Option<String>,
        /// When it will have to be looked at again: something of it begins or ends then.
        again_at: Option<Timestamp>,
    },
    /// The object is gone here and there: nothing is left to be remembered.
    Forget,
    /// It failed and is tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// What the target said.
        error: String,
        /// Whether the target may still act on what it was sent.
        unanswered: bool,
    },
    /// It failed for good, until somebody changes something.
    Dead {
        /// What the target said.
        error: String,
    },
    /// Not tried: it is not its turn.
    Wait {
        /// When it is looked at again.
        until: Timestamp,
    },
    /// A part of an object that stands for many is done.
    Progress {
        /// Where the next part begins.
        from: String,
        /// Deliveries that this part consists of.
        marks: Vec<Mark>,
    },
}

/// How an attempt at one delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub delivery: Delivery,
    /// How.
    pub settlement: Settlement,
}

/// How many deliveries of a target are in a state that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The tenant.
    pub realm: RealmName,
    /// The target.
    pub target: TargetName,
    /// The state.
    pub state: DeliveryState,
    /// How many.
    pub count: u64,
    /// Since when the oldest of them waits.
    pub oldest: Timestamp,
}

/// Targets and deliveries of every realm.
#[async_trait]
pub trait ProvisioningStore {
    /// Adds a target. [`Inserted::Missing`] beyond [`TARGETS_PER_REALM_MAX`] or without a realm.
    async fn target_insert(&self, target: Target, event: Event) -> Result<Inserted, Unavailable>;
    /// Finds a target.
    async fn target_find(
        &self,
        realm: &RealmName,
        name: &TargetName,
    ) -> Result<Option<Target>, Unavailable>;
    /// The targets of a realm, by name.
    async fn target_list(&self, realm: &RealmName) -> Result<Vec<Target>, Unavailable>;
    /// Every target of every realm, by realm and name.
    async fn target_all(&self) -> Result<Vec<Target>, Unavailable>;
    /// Replaces a target if it still has `target.version`, and raises the version.
    async fn target_update(
        &self,
        target: Target,
        event: Event,
    ) -> Result<Updated<Target>, Unavailable>;
    /// Removes a target and its deliveries. False if there is none.
    async fn target_delete(
        &self,
        realm: &RealmName,
        name: &TargetName,
        event: Event,
    ) -> Result<bool, Unavailable>;

    /// Whether the outbox holds a note or a delivery is due. Costs one indexed read.
    async fn delivery_is_due(&self, now: Timestamp) -> Result<bool, Unavailable>;
    /// Turns at most `limit` notes of the outbox into deliveries, and says how many notes there
    /// were. Any process may: what waits is to be seen also while nobody delivers.
    async fn outbox_route(&self, now: Timestamp, limit: u32) -> Result<u32, Unavailable>;
    /// Takes at most `limit` deliveries of a target that are due, the longest due first, and
    /// notes that they are under way. Only the holder of the lease gets any.
    async fn delivery_claim(
        &self,
        lease: &Lease,
        realm: &RealmName,
        target: &TargetName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Unavailable>;
    /// Targets for which the same object is due and was not tried yet.
    async fn delivery_rivals(
        &self,
        key: &DeliveryKey,
        now: Timestamp,
    ) -> Result<Vec<TargetName>, Unavailable>;
    /// Notes how attempts ended, under the lease; false if it was lost, and nothing is noted. A
    /// delivery that was wanted anew meanwhile stays due.
    async fn delivery_settle(
        &self,
        lease: &Lease,
        settled: Vec<Settled>,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<bool, Unavailable>;
    /// Wants objects brought to a target, whether or not something has happened to them.
    async fn delivery_want(&self, marks: Vec<Mark>, now: Timestamp) -> Result<(), Unavailable>;
    /// Lists deliveries by target and object.
    async fn delivery_list(
        &self,
        realm: &RealmName,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Unavailable>;
    /// What is not done, for metrics.
    async fn delivery_backlog(&self) -> Result<Vec<Backlog>, Unavailable>;
    /// Finds one event.
    async fn event_find(&self, realm: &RealmName, id: &str) -> Result<Option<Event>, Unavailable>;
    /// A person's service tokens and personal access tokens that are neither revoked nor expired
    /// at `now`, oldest first, with what was derived of their secrets.
    async fn directory_tokens(
        &self,
        realm: &RealmName,
        user: &Username,
        now: Timestamp,
    ) -> Result<Vec<DirectoryToken>, Unavailable>;
}
