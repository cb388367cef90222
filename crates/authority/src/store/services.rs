//! Realms and services.

use async_trait::async_trait;

use super::{Inserted, Page, PageRequest, Unavailable, Updated};
use crate::event::Event;
use crate::names::{RealmName, ServiceLabel};
use crate::service::{Realm, Service};

/// What came of removing a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceDeleted {
    /// It is gone.
    Done,
    /// There is no such service.
    NotFound,
    /// So many tokens that are not revoked still name it; suspend it, or revoke them first.
    InUse(u64),
}

/// Realms and services. Lists are ordered by name.
#[async_trait]
pub trait ServiceStore {
    /// Adds a realm together with its built-in service.
    async fn realm_insert(
        &self,
        realm: Realm,
        builtin: Service,
        event: Event,
    ) -> Result<Inserted, Unavailable>;
    /// Finds a realm.
    async fn realm_find(&self, name: &RealmName) -> Result<Option<Realm>, Unavailable>;
    /// Lists realms.
    async fn realm_list(&self, page: PageRequest) -> Result<Page<Realm>, Unavailable>;
    /// Replaces a realm if it still has `realm.version`, and raises the version.
    async fn realm_update(&self, realm: Realm, event: Event)
    -> Result<Updated<Realm>, Unavailable>;

    /// Adds a service. [`Inserted::Missing`] if its group or unit does not exist.
    async fn service_insert(&self, service: Service, event: Event)
    -> Result<Inserted, Unavailable>;
    /// Finds a service.
    async fn service_find(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<Option<Service>, Unavailable>;
    /// Lists services.
    async fn service_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Service>, Unavailable>;
    /// Replaces a service if it still has `service.version`, and raises the version.
    async fn service_update(
        &self,
        service: Service,
        event: Event,
    ) -> Result<Updated<Service>, Unavailable>;
    /// Removes a service that no live token names, so that a later namesake inherits none.
    async fn service_delete(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
        event: Event,
    ) -> Result<ServiceDeleted, Unavailable>;
}
