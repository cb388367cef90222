//! The installation itself: its identity, the fingerprints of its keys, its change log.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Change, ChangeListener, NewClient, Unavailable};
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

/// The installation, its keys, its health, and its change log.
#[async_trait]
pub trait InstallationStore {
    /// Proves that the store answers and can be written to.
    async fn ping(&self) -> Result<(), Unavailable>;

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

    /// The number of the latest change in the log, 0 if there is none.
    async fn change_position(&self) -> Result<i64, Unavailable>;

    /// Changes after `position`, oldest first, at most `limit`, each with its number. Finds
    /// what other processes changed.
    async fn changes_since(
        &self,
        position: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Change)>, Unavailable>;

    /// Removes a bounded batch of what is past its retention at `now`: replayable answers,
    /// old change-log rows, hashes of long retired secrets.
    async fn purge(&self, now: Timestamp) -> Result<Purged, Unavailable>;
}
