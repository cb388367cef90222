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
    /// So many others still name it.
    InUse(u64),
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
    /// Removes a document that no other names.
    async fn am_delete(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
        event: Event,
    ) -> Result<AmDeleted, Unavailable>;
}
