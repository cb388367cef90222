//! Clients, in memory.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{ClientName, RealmName};
use counterfoil_authority::store::{
    Change, ClientCreated, ClientStore, Issued, NewClient, Page, PageRequest, Unavailable, Updated,
};
use counterfoil_authority::subject::{Client, GrantSubject, Owner};

use super::{Earlier, MemoryStore, State, overtaken, page_up};

impl State {
    pub(super) fn client_insert(&mut self, new: &NewClient, event: &Event) -> ClientCreated {
        let NewClient { client, key } = new;
        match self.earlier(key.idempotency.as_ref(), key.token.created_at) {
            Earlier::Answered(answer) => return ClientCreated::Replayed(answer),
            Earlier::Other => return ClientCreated::KeyReused,
            Earlier::None => {}
        }
        if !self.realms.contains_key(&client.realm) {
            return ClientCreated::Missing("realm");
        }
        if let Some(missing) = self.missing_of(client) {
            return ClientCreated::Missing(missing);
        }
        let name = (client.realm.clone(), client.name.clone());
        if self.clients.contains_key(&name) {
            return ClientCreated::Exists;
        }
        self.clients.insert(name.clone(), client.clone());
        let Issued::Done { token, .. } = self.admit(key) else {
            self.clients.remove(&name);
            return ClientCreated::Missing(KEY);
        };
        self.record(event);
        self.changed(Change::Client(name.0, name.1), event.at);
        ClientCreated::Done(token)
    }

    fn missing_of(&self, client: &Client) -> Option<&'static str> {
        if !self.has_unit(&client.realm, client.unit.as_ref()) {
            return Some("unit");
        }
        let mut named = client.services.iter().flatten();
        named.any(|label| !self.has_service(&client.realm, label)).then_some("service")
    }

    fn client_update(&mut self, client: &Client, event: &Event) -> Updated<Client> {
        let name = (client.realm.clone(), client.name.clone());
        let missing = self.missing_of(client);
        let Some(found) = self.clients.get_mut(&name) else { return Updated::NotFound };
        if found.version != client.version {
            return Updated::VersionMismatch;
        }
        if let Some(missing) = missing {
            return Updated::Missing(missing);
        }
        let version = client.version + 1;
        *found = Client { created_at: found.created_at, version, ..client.clone() };
        let updated = found.clone();
        self.record(event);
        self.changed(Change::Client(client.realm.clone(), client.name.clone()), event.at);
        Updated::Done(updated)
    }
}

/// Stands for "the key could not be stored" between two functions of this file.
const KEY: &str = "key";

#[async_trait]
impl ClientStore for MemoryStore {
    async fn client_insert(
        &self,
        new: NewClient,
        event: Event,
    ) -> Result<ClientCreated, Unavailable> {
        match self.write(|state| state.client_insert(&new, &event)) {
            ClientCreated::Missing(KEY) => overtaken("the client's key could not be stored"),
            created => Ok(created),
        }
    }

    async fn client_find(
        &self,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Option<Client>, Unavailable> {
        Ok(self.read(|state| state.clients.get(&(realm.clone(), name.clone())).cloned()))
    }

    async fn client_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Client>, Unavailable> {
        Ok(self.read(|state| {
            let of_realm = state.clients.values().filter(|client| client.realm == *realm);
            page_up(of_realm, &page, |client| client.name.to_string())
        }))
    }

    async fn client_update(
        &self,
        client: Client,
        event: Event,
    ) -> Result<Updated<Client>, Unavailable> {
        Ok(self.write(|state| state.client_update(&client, &event)))
    }

    async fn client_delete(
        &self,
        realm: &RealmName,
        name: &ClientName,
        at: Timestamp,
        event: Event,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| {
            if state.clients.remove(&(realm.clone(), name.clone())).is_none() {
                return false;
            }
            let theirs = GrantSubject::Client(name.clone());
            state.grants.retain(|(r, _), grant| r != realm || grant.subject != theirs);
            state.revoke_all_of(realm, &Owner::Client(name.clone()), at, &event);
            state.record(&event);
            state.changed(Change::Client(realm.clone(), name.clone()), event.at);
            true
        }))
    }
}
