//! Realms and services, in memory.

use async_trait::async_trait;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::service::{Realm, Service};
use counterfoil_authority::store::{
    Change, Inserted, Page, PageRequest, ServiceDeleted, ServiceStore, Unavailable, Updated,
};

use super::{MemoryStore, State, page_up};

impl State {
    pub(super) fn realm_insert(
        &mut self,
        realm: &Realm,
        builtin: &Service,
        event: &Event,
    ) -> Inserted {
        if self.realms.contains_key(&realm.name) {
            return Inserted::Exists;
        }
        self.realms.insert(realm.name.clone(), realm.clone());
        self.services.insert((builtin.realm.clone(), builtin.label.clone()), builtin.clone());
        self.record(event);
        self.changed(Change::Realm(realm.name.clone()), event.at);
        Inserted::Done
    }

    fn missing_of_service(&self, service: &Service) -> Option<&'static str> {
        let realm = &service.realm;
        let group = service.group.as_ref();
        if group.is_some_and(|name| !self.groups.contains_key(&(realm.clone(), name.clone()))) {
            return Some("group");
        }
        (!self.has_unit(realm, service.unit.as_ref())).then_some("unit")
    }

    pub(super) fn service_insert(&mut self, service: &Service, event: &Event) -> Inserted {
        if !self.realms.contains_key(&service.realm) {
            return Inserted::Missing("realm");
        }
        if let Some(missing) = self.missing_of_service(service) {
            return Inserted::Missing(missing);
        }
        let name = (service.realm.clone(), service.label.clone());
        if self.services.contains_key(&name) {
            return Inserted::Exists;
        }
        self.services.insert(name.clone(), service.clone());
        self.record(event);
        self.changed(Change::Service(name.0, name.1), event.at);
        Inserted::Done
    }

    fn service_update(&mut self, service: &Service, event: &Event) -> Updated<Service> {
        let missing = self.missing_of_service(service);
        let name = (service.realm.clone(), service.label.clone());
        let Some(found) = self.services.get_mut(&name) else { return Updated::NotFound };
        if found.version != service.version {
            return Updated::VersionMismatch;
        }
        if let Some(missing) = missing {
            return Updated::Missing(missing);
        }
        let version = service.version + 1;
        *found = Service { created_at: found.created_at, version, ..service.clone() };
        let updated = found.clone();
        self.record(event);
        self.changed(Change::Service(name.0, name.1), event.at);
        Updated::Done(updated)
    }

    fn service_delete(
        &mut self,
        realm: &RealmName,
        label: &ServiceLabel,
        event: &Event,
    ) -> ServiceDeleted {
        let live = self.tokens.values().filter(|held| {
            let token = &held.token;
            token.realm == *realm
                && token.revocation.is_none()
                && token.service_labels().contains(&label.as_str())
        });
        let live = live.count();
        if live > 0 {
            return ServiceDeleted::InUse(live as u64);
        }
        if self.services.remove(&(realm.clone(), label.clone())).is_none() {
            return ServiceDeleted::NotFound;
        }
        let on_it = |grant: &&counterfoil_authority::subject::Grant| {
            grant.realm == *realm && grant.service.as_ref() == Some(label)
        };
        let gone: Vec<_> = self.grants.values().filter(on_it).cloned().collect();
        for grant in gone {
            self.grants.remove(&(grant.realm.clone(), grant.id.clone()));
            for change in self.changes_by_grant(&grant) {
                self.changed(change, event.at);
            }
        }
        let mut changes = Vec::new();
        for client in self.clients.values_mut().filter(|client| client.realm == *realm) {
            let named = client.services.as_mut().filter(|named| named.contains(label));
            if let Some(named) = named {
                named.retain(|service| service != label);
                client.version += 1;
                changes.push(Change::Client(realm.clone(), client.name.clone()));
            }
        }
        for change in changes {
            self.changed(change, event.at);
        }
        self.record(event);
        self.changed(Change::Service(realm.clone(), label.clone()), event.at);
        ServiceDeleted::Done
    }
}

#[async_trait]
impl ServiceStore for MemoryStore {
    async fn realm_insert(
        &self,
        realm: Realm,
        builtin: Service,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| state.realm_insert(&realm, &builtin, &event)))
    }

    async fn realm_find(&self, name: &RealmName) -> Result<Option<Realm>, Unavailable> {
        Ok(self.read(|state| state.realms.get(name).cloned()))
    }

    async fn realm_list(&self, page: PageRequest) -> Result<Page<Realm>, Unavailable> {
        Ok(self.read(|state| page_up(state.realms.values(), &page, |realm| realm.name.to_string())))
    }

    async fn realm_update(
        &self,
        realm: Realm,
        event: Event,
    ) -> Result<Updated<Realm>, Unavailable> {
        Ok(self.write(|state| {
            let Some(found) = state.realms.get_mut(&realm.name) else { return Updated::NotFound };
            if found.version != realm.version {
                return Updated::VersionMismatch;
            }
            let version = realm.version + 1;
            *found = Realm { created_at: found.created_at, version, ..realm.clone() };
            let updated = found.clone();
            state.record(&event);
            state.changed(Change::Realm(realm.name.clone()), event.at);
            Updated::Done(updated)
        }))
    }

    async fn service_insert(
        &self,
        service: Service,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| state.service_insert(&service, &event)))
    }

    async fn service_find(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<Option<Service>, Unavailable> {
        Ok(self.read(|state| state.services.get(&(realm.clone(), label.clone())).cloned()))
    }

    async fn service_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Service>, Unavailable> {
        Ok(self.read(|state| {
            let of_realm = state.services.values().filter(|service| service.realm == *realm);
            page_up(of_realm, &page, |service| service.label.to_string())
        }))
    }

    async fn service_update(
        &self,
        service: Service,
        event: Event,
    ) -> Result<Updated<Service>, Unavailable> {
        Ok(self.write(|state| state.service_update(&service, &event)))
    }

    async fn service_delete(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
        event: Event,
    ) -> Result<ServiceDeleted, Unavailable> {
        Ok(self.write(|state| state.service_delete(realm, label, &event)))
    }
}
