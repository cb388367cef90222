//! The audit logs: what of a realm's Merkle tree is kept, and what waits to be put into it.

use async_trait::async_trait;

use super::{Lease, Unavailable};
use crate::audit::leaf;
use crate::audit::tree::{Frontier, Hash, Node, Span};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::RealmName;

/// An event that is in no log yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsealed {
    /// Its place among those that wait.
    pub seq: i64,
    /// Its realm.
    pub realm: RealmName,
    /// The event's id.
    pub event: String,
    /// The hash by which it will stand in the log.
    pub leaf: Hash,
}

impl Unsealed {
    /// An event at its place. Hashed where it is read: the texts of a thousand events are never
    /// held at once.
    pub fn of(seq: i64, event: Event) -> Self {
        Self { seq, leaf: leaf::hash_of(&event), realm: event.realm, event: event.id }
    }
}

/// A log as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The realm.
    pub realm: RealmName,
    /// All of the tree that appending needs.
    pub tree: Frontier,
    /// The latest checkpoint: a signed note.
    pub note: String,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// How many of the events the witness knows of.
    pub witnessed: u64,
    /// Since when.
    pub witnessed_at: Option<Timestamp>,
}

/// Up to 256 neighbouring leaves of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditTile {
    /// Its place: leaves from 256 times this.
    pub index: u64,
    /// The ids of the events, in the order of the leaves.
    pub events: Vec<String>,
    /// The hashes of the leaves.
    pub hashes: Vec<Hash>,
}

/// Events that are to be appended to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// The realm.
    pub realm: RealmName,
    /// How long the log was when this was made.
    pub before: u64,
    /// The tree with them.
    pub tree: Frontier,
    /// The checkpoint of it.
    pub note: String,
    /// Now.
    pub at: Timestamp,
    /// The tiles that are new or longer now, as a whole.
    pub tiles: Vec<AuditTile>,
    /// Roots of subtrees that are complete now.
    pub nodes: Vec<Node>,
}

/// The audit logs of every realm.
///
/// Every event waits from the transaction that stores it until the one that puts it into its
/// realm's log, so each is in the log exactly once, in whatever order transactions end.
#[async_trait]
pub trait AuditStore {
    /// The first `limit` events that are in no log yet, but for those of these realms.
    async fn audit_unsealed(
        &self,
        except: Vec<RealmName>,
        limit: u32,
    ) -> Result<Vec<Unsealed>, Unavailable>;

    /// When the event was made that waits first; `None` if none does.
    async fn audit_waiting_since(&self) -> Result<Option<Timestamp>, Unavailable>;

    /// Appends to logs, and takes the events with the numbers of `sealed` from those that wait:
    /// all of it, or nothing if `under` was taken over, a log is not as long any more as it was, or
    /// one of the events is in its log already.
    async fn audit_seal(
        &self,
        under: &Lease,
        seals: Vec<AuditSeal>,
        sealed: Vec<i64>,
    ) -> Result<bool, Unavailable>;

    /// The log of a realm, if anything was put into it.
    async fn audit_head(&self, realm: &RealmName) -> Result<Option<AuditHead>, Unavailable>;

    /// The logs of all realms, by name.
    async fn audit_heads(&self) -> Result<Vec<AuditHead>, Unavailable>;

    /// A tile, if there is one.
    async fn audit_tile(
        &self,
        realm: &RealmName,
        index: u64,
    ) -> Result<Option<AuditTile>, Unavailable>;

    /// Stored hashes, for each span those that there are.
    async fn audit_hashes(
        &self,
        realm: &RealmName,
        spans: Vec<Span>,
    ) -> Result<Vec<Vec<Hash>>, Unavailable>;

    /// The place of an event in its log, from 0; `None` if it is not in it.
    async fn audit_place(&self, realm: &RealmName, event: &str)
    -> Result<Option<u64>, Unavailable>;

    /// Events by their ids, in that order, `None` for those that are not stored (any more).
    async fn audit_events(
        &self,
        realm: &RealmName,
        ids: Vec<String>,
    ) -> Result<Vec<Option<Event>>, Unavailable>;

    /// Notes that the witness keeps the checkpoint of this size; an older one changes nothing.
    async fn audit_witnessed(
        &self,
        realm: &RealmName,
        size: u64,
        at: Timestamp,
    ) -> Result<(), Unavailable>;

    /// Removes up to `limit` events of a realm that were made before `before` and are in its log,
    /// oldest first, and says how many. `event`, with their number as its `count`, is stored with
    /// it if there were any. Nothing if `under` was taken over.
    async fn audit_forget(
        &self,
        under: &Lease,
        before: Timestamp,
        limit: u32,
        event: Event,
    ) -> Result<u64, Unavailable>;
}
