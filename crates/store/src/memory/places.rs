//! Whether what a record names exists.

use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::store::Change;
use counterfoil_authority::subject::{Grant, GrantSubject};

use super::State;

impl State {
    /// Whether a record's unit, if it names one, exists.
    pub(super) fn has_unit(&self, realm: &RealmName, unit: Option<&String>) -> bool {
        unit.is_none_or(|id| self.units.contains_key(&(realm.clone(), id.clone())))
    }

    /// Whether there is such a service.
    pub(super) fn has_service(&self, realm: &RealmName, label: &ServiceLabel) -> bool {
        self.services.contains_key(&(realm.clone(), label.clone()))
    }

    /// Whether whoever receives a grant exists; if not, what they would be.
    pub(super) fn missing_subject(&self, grant: &Grant) -> Option<&'static str> {
        let realm = grant.realm.clone();
        let (exists, what) = match &grant.subject {
            GrantSubject::User(name) => (self.users.contains_key(&(realm, name.clone())), "user"),
            GrantSubject::Client(name) => {
                (self.clients.contains_key(&(realm, name.clone())), "client")
            }
            GrantSubject::Group(name) => {
                let group = self.groups.get(&(realm, name.clone()));
                (group.is_some_and(|group| !group.open), "group")
            }
        };
        (!exists).then_some(what)
    }

    /// What caches must forget when a grant comes or goes.
    pub(super) fn changes_by_grant(&self, grant: &Grant) -> Vec<Change> {
        let realm = &grant.realm;
        match &grant.subject {
            GrantSubject::User(name) => vec![Change::User(realm.clone(), name.clone())],
            GrantSubject::Client(name) => vec![Change::Client(realm.clone(), name.clone())],
            GrantSubject::Group(name) => {
                let of_group = self.members.iter().filter(|(r, g, _)| r == realm && g == name);
                of_group.map(|(_, _, user)| Change::User(realm.clone(), user.clone())).collect()
            }
        }
    }
}
