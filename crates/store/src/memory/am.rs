//! Documents of the AM door, in memory.

use async_trait::async_trait;
use counterfoil_authority::am::{AmKind, AmObject, OBJECTS_PER_REALM_MAX, builtin};
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    AmChange, AmChanged, AmDeleted, AmStore, Change, Inserted, Unavailable, Updated,
};

use super::{MemoryStore, State};

type Key = (RealmName, AmKind, String);

fn key_of(object: &AmObject) -> Key {
    (object.realm.clone(), object.kind(), object.name.clone())
}

impl State {
    fn am_has(&self, realm: &RealmName, kind: AmKind, name: &str) -> bool {
        let key = (realm.clone(), kind, name.to_owned());
        builtin::is_built_in(kind, name) || self.am.contains_key(&key)
    }

    fn am_missing(&self, object: &AmObject) -> Option<&'static str> {
        let realm = &object.realm;
        let has = |id: &String| self.am_has(realm, AmKind::ResourceType, id);
        if !object.document.resource_types().iter().all(has) {
            return Some("resource type");
        }
        let set = object.document.policy_set();
        set.is_some_and(|set| !self.am_has(realm, AmKind::PolicySet, set)).then_some("policy set")
    }

    fn am_name_is_taken(&self, object: &AmObject) -> bool {
        let Some(own) = object.resource_type() else { return false };
        self.am_of(&object.realm).any(|other| {
            let same = other.resource_type().is_some_and(|it| it.name == own.name);
            same && other.name != object.name
        })
    }

    fn am_of(&self, realm: &RealmName) -> impl Iterator<Item = &AmObject> {
        self.am.values().filter(move |object| object.realm == *realm)
    }

    fn am_insert(&mut self, object: AmObject, event: &Event) -> Inserted {
        if !self.realms.contains_key(&object.realm) {
            return Inserted::Missing("realm");
        }
        if let Some(missing) = self.am_missing(&object) {
            return Inserted::Missing(missing);
        }
        if self.am_name_is_taken(&object) || self.am.contains_key(&key_of(&object)) {
            return Inserted::Exists;
        }
        if self.am_of(&object.realm).count() >= OBJECTS_PER_REALM_MAX as usize {
            return Inserted::Missing("room for more documents");
        }
        let realm = object.realm.clone();
        self.am.insert(key_of(&object), object);
        self.am_changed(&realm, event);
        Inserted::Done
    }

    fn am_delete(
        &mut self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
        version: Option<i64>,
        event: &Event,
    ) -> AmDeleted {
        let names = |other: &&AmObject| match kind {
            AmKind::Policy => false,
            AmKind::PolicySet => other.document.policy_set() == Some(name),
            AmKind::ResourceType => other.document.resource_types().iter().any(|id| id == name),
        };
        let named_by = self.am_of(realm).filter(names).count();
        if named_by > 0 {
            return AmDeleted::InUse(named_by as u64);
        }
        let key = (realm.clone(), kind, name.to_owned());
        let Some(stands) = self.am.get(&key) else { return AmDeleted::NotFound };
        if version.is_some_and(|version| version != stands.version) {
            return AmDeleted::VersionMismatch;
        }
        self.am.remove(&key);
        self.am_changed(realm, event);
        AmDeleted::Done
    }

    fn am_changed(&mut self, realm: &RealmName, event: &Event) {
        self.record(event);
        self.changed(Change::Realm(realm.clone()), event.at);
    }
}

#[async_trait]
impl AmStore for MemoryStore {
    async fn am_insert(&self, object: AmObject, event: Event) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| state.am_insert(object, &event)))
    }

    async fn am_find(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
    ) -> Result<Option<AmObject>, Unavailable> {
        Ok(self.read(|state| state.am.get(&(realm.clone(), kind, name.to_owned())).cloned()))
    }

    async fn am_list(&self, realm: &RealmName) -> Result<Vec<AmObject>, Unavailable> {
        Ok(self.read(|state| {
            let mut found: Vec<AmObject> = state.am_of(realm).cloned().collect();
            found.sort_by(|a, b| (a.kind().name(), &a.name).cmp(&(b.kind().name(), &b.name)));
            found
        }))
    }

    async fn am_update(
        &self,
        object: AmObject,
        event: Event,
    ) -> Result<Updated<AmObject>, Unavailable> {
        Ok(self.write(|state| {
            let Some(found) = state.am.get(&key_of(&object)) else { return Updated::NotFound };
            if found.version != object.version {
                return Updated::VersionMismatch;
            }
            if let Some(missing) = state.am_missing(&object) {
                return Updated::Missing(missing);
            }
            if state.am_name_is_taken(&object) {
                return Updated::Exists;
            }
            let changed = AmObject {
                created_at: found.created_at,
                created_by: found.created_by.clone(),
                version: object.version + 1,
                ..object
            };
            state.am.insert(key_of(&changed), changed.clone());
            state.am_changed(&changed.realm, &event);
            Updated::Done(changed)
        }))
    }

    async fn am_delete(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
        version: Option<i64>,
        event: Event,
    ) -> Result<AmDeleted, Unavailable> {
        Ok(self.write(|state| state.am_delete(realm, kind, name, version, &event)))
    }

    async fn am_change(
        &self,
        realm: &RealmName,
        changes: Vec<AmChange>,
    ) -> Result<AmChanged, Unavailable> {
        Ok(self.write(|state| {
            let before = state.clone();
            for one in changes {
                let said = match one {
                    AmChange::Insert(object, event) => match state.am_insert(object, &event) {
                        Inserted::Done => continue,
                        refused => AmChanged::NotInserted(refused),
                    },
                    AmChange::Delete(kind, name, event) => {
                        match state.am_delete(realm, kind, &name, None, &event) {
                            AmDeleted::Done => continue,
                            refused => AmChanged::NotDeleted(refused),
                        }
                    }
                };
                *state = before;
                return said;
            }
            AmChanged::Done
        }))
    }
}
