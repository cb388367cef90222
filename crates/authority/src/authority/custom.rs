//! The repositories that somebody else keeps: which there are, and how they stand.

use std::sync::Arc;

use super::Authority;
use crate::custom::{Elsewhere, Guarded, Health};
use crate::names::RealmName;

impl Authority {
    /// Uses these repositories from now on.
    pub fn set_elsewhere(&self, repositories: Elsewhere) {
        self.custom.store(Arc::new(repositories));
    }

    /// The repositories in use.
    pub fn elsewhere(&self) -> Arc<Elsewhere> {
        self.custom.load_full()
    }

    /// One by its realm and name.
    pub fn repository_elsewhere(&self, realm: &RealmName, name: &str) -> Option<Arc<Guarded>> {
        self.custom.load().find(realm, name).cloned()
    }

    /// How each of them stands.
    pub fn repository_health(&self) -> Vec<Health> {
        self.custom.load().all().iter().map(|one| one.health()).collect()
    }
}
