//! Realms and services in SQL.

mod realms;
mod registry;

use async_trait::async_trait;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::service::{Realm, Service};
use counterfoil_authority::store::{
    Inserted, Page, PageRequest, ServiceDeleted, ServiceStore, Unavailable, Updated,
};

use crate::SqlStore;

pub(crate) use realms::insert as realm_insert;
pub(crate) use registry::insert as service_insert;

/// The statements of these files.
pub(crate) fn statements() -> Vec<&'static str> {
    [realms::STATEMENTS, registry::STATEMENTS].concat()
}

#[async_trait]
impl ServiceStore for SqlStore {
    async fn realm_insert(
        &self,
        realm: Realm,
        builtin: Service,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        self.write((realm, builtin, event), |tx, (realm, builtin, event)| {
            Box::pin(realms::insert(tx, realm, builtin, event))
        })
        .await
    }

    async fn realm_find(&self, name: &RealmName) -> Result<Option<Realm>, Unavailable> {
        self.point(name.clone(), |tx, name| Box::pin(realms::find(tx, name))).await
    }

    async fn realm_list(&self, page: PageRequest) -> Result<Page<Realm>, Unavailable> {
        self.scan(page, |tx, page| Box::pin(realms::list(tx, page))).await
    }

    async fn realm_update(
        &self,
        realm: Realm,
        event: Event,
    ) -> Result<Updated<Realm>, Unavailable> {
        self.write((realm, event), |tx, (realm, event)| Box::pin(realms::update(tx, realm, event)))
            .await
    }

    async fn service_insert(
        &self,
        service: Service,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        self.write((service, event), |tx, (service, event)| {
            Box::pin(registry::insert(tx, service, event))
        })
        .await
    }

    async fn service_find(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<Option<Service>, Unavailable> {
        self.point((realm.clone(), label.clone()), |tx, (realm, label)| {
            Box::pin(registry::find(tx, realm, label))
        })
        .await
    }

    async fn service_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Service>, Unavailable> {
        self.scan((realm.clone(), page), |tx, (realm, page)| {
            Box::pin(registry::list(tx, realm, page))
        })
        .await
    }

    async fn service_update(
        &self,
        service: Service,
        event: Event,
    ) -> Result<Updated<Service>, Unavailable> {
        self.write((service, event), |tx, (service, event)| {
            Box::pin(registry::update(tx, service, event))
        })
        .await
    }

    async fn service_delete(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
        event: Event,
    ) -> Result<ServiceDeleted, Unavailable> {
        self.write((realm.clone(), label.clone(), event), |tx, (realm, label, event)| {
            Box::pin(registry::delete(tx, realm, label, event))
        })
        .await
    }
}
