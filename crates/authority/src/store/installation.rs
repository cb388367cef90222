//! The installation itself: its identity, the fingerprints of its keys, its change log.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Change, ChangeListener, Lease, NewClient, Unavailable};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::keys::{KeyId, KeyPurpose};
use crate::service::{Realm, Service};

/// One installation: a store and a key directory that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Random, fixed at initialisation; bound into backups.
    pub id: String,
    /// When it was initialised.
    pub created_at: Timestamp,
}

/// A key as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Its number.
    pub id: KeyId,
    /// By which a server recognises it in its key directory.
    pub fingerprint: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// How many rows still need a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// What the key is for.
    pub purpose: KeyPurpose,
    /// Its number.
    pub id: KeyId,
    /// Secrets of tokens that are not revoked, or sealed values, under it.
    pub rows: u64,
}

/// Everything a fresh installation starts with.
#[derive(Debug, Clone)]
pub struct NewInstallation {
    /// Its identity.
    pub installation: Installation,
    /// Its keys.
    pub keys: Vec<KeyRecord>,
    /// The realm `main`.
    pub realm: Realm,
    /// The built-in service `counterfoil` of that realm.
    pub service: Service,
    /// The first administrator and its key.
    pub admin: NewClient,
    /// What is recorded of it.
    pub event: Event,
}

/// What came of initialising.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialised {
    /// It is initialised now.
    Done,
    /// It was already; nothing changed.
    Already,
}

/// What a purge removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Rows removed; 0 means there is nothing left to do now.
    pub rows: u64,
}

/// How far a reader of the change log has come. Opaque to everybody but the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlace(pub String);

/// A piece of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesRead {
    /// What changed.
    pub changes: Vec<Change>,
    /// When, by the clocks of those who changed it; for measurements.
    pub made: Vec<Timestamp>,
    /// Where to read on.
    pub place: LogPlace,
    /// Whether there was more than was asked for.
    pub more: bool,
}

impl ChangesRead {
    /// Nothing that was known up to `place` is to be relied on.
    pub fn everything(place: LogPlace) -> Self {
        Self { changes: vec![Change::Everything], made: Vec::new(), place, more: false }
    }

    /// The same changes behind ones that nobody can name any more.
    #[must_use]
    pub fn led_by_everything(mut self) -> Self {
        self.changes.insert(0, Change::Everything);
        self
    }
}

/// A sign of life of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// The time of the database's own clock; `None` if it has no other than ours.
    pub clock: Option<Timestamp>,
}

/// The installation, its keys, its health, and its change log.
#[async_trait]
pub trait InstallationStore {
    /// Proves that the store answers and can be written to.
    async fn ping(&self) -> Result<Pulse, Unavailable>;

    /// The installation, or `None` before initialisation.
    async fn installation(&self) -> Result<Option<Installation>, Unavailable>;

    /// Initialises an empty store.
    async fn initialise(&self, new: NewInstallation) -> Result<Initialised, Unavailable>;

    /// Every key that the installation has ever used, by purpose and number.
    async fn key_list(&self) -> Result<Vec<KeyRecord>, Unavailable>;

    /// Adds a key; adding the same one again changes nothing.
    async fn key_add(&self, key: KeyRecord, event: Event) -> Result<(), Unavailable>;

    /// How many rows each key still holds. May take long on a large store.
    async fn key_use(&self) -> Result<Vec<KeyUse>, Unavailable>;

    /// Registers who is to be told of changes made through this store object.
    fn listen(&self, listener: Arc<dyn ChangeListener>);

    /// The end of the change log: every change that is durable now lies before it.
    async fn changes_end(&self) -> Result<LogPlace, Unavailable>;

    /// Changes that became durable after `place`, at most `limit`, and the place behind them.
    /// Finds what other processes changed. None is left out because it was begun earlier than
    /// one that has been read; changes of one transaction keep their order.
    async fn changes_since(&self, place: &LogPlace, limit: u32)
    -> Result<ChangesRead, Unavailable>;

    /// Removes a bounded batch of what is past its retention at `now`: replayable answers,
    /// old change-log rows, hashes of long retired secrets, codes that ended. Nothing if `under` was taken over.
    async fn purge(&self, now: Timestamp, under: Option<&Lease>) -> Result<Purged, Unavailable>;
}
