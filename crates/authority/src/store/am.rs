//! Documents of the AM door: resource types, policy sets and policies.

use async_trait::async_trait;

use super::{Inserted, Unavailable, Updated};
use crate::am::{AmKind, AmObject};
use crate::event::Event;
use crate::names::RealmName;

/// What came of removing a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmDeleted {
    /// It is gone.
    Done,
    /// There is no such document.
    NotFound,
    /// It is of another version.
    VersionMismatch,
    /// So many others still name it.
    InUse(u64),
}

/// One of several changes that are made together.
#[derive(Debug, Clone)]
pub enum AmChange {
    /// Adds a document.
    Insert(AmObject, Event),
    /// Removes a document that no other names.
    Delete(AmKind, String, Event),
}

/// What came of several changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AmChanged {
    /// All are made.
    Done,
    /// None is made, because a document could not be added.
    NotInserted(Inserted),
    /// None is made, because a document could not be removed.
    NotDeleted(AmDeleted),
}

/// Documents of every realm, but for the built-in ones that nobody changed: those are not stored,
/// and exist all the same for whoever names them. Each change of a realm's documents is a
/// [`super::Change::Realm`].
#[async_trait]
pub trait AmStore {
    /// Adds a document. [`Inserted::Exists`] if its key is taken, or its name is that of another
    /// resource type; [`Inserted::Missing`] if it names what does not exist, or there is no room
    /// for more ([`crate::am::OBJECTS_PER_REALM_MAX`]).
    async fn am_insert(&self, object: AmObject, event: Event) -> Result<Inserted, Unavailable>;
    /// Finds a document.
    async fn am_find(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
    ) -> Result<Option<AmObject>, Unavailable>;
    /// All documents of a realm, by kind and key.
    async fn am_list(&self, realm: &RealmName) -> Result<Vec<AmObject>, Unavailable>;
    /// Replaces a document if it still has `object.version`, and raises the version.
    async fn am_update(
        &self,
        object: AmObject,
        event: Event,
    ) -> Result<Updated<AmObject>, Unavailable>;
    /// Makes several changes of one realm, in their order: all of them or none.
    async fn am_change(
        &self,
        realm: &RealmName,
        changes: Vec<AmChange>,
    ) -> Result<AmChanged, Unavailable>;
    /// Removes a document that no other names.
    async fn am_delete(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
        version: Option<i64>,
        event: Event,
    ) -> Result<AmDeleted, Unavailable>;
}
