//! Who looks after a service, in memory.

use counterfoil_authority::names::{RealmName, ServiceLabel, Username};
use counterfoil_authority::subject::{Grant, GrantSubject, Role, User, UserStatus};

use super::State;

impl State {
    /// Who looks after a service.
    pub(super) fn keepers(
        &self,
        realm: &RealmName,
        service: &ServiceLabel,
        limit: u32,
    ) -> Vec<Username> {
        let unit = self.services.get(&(realm.clone(), service.clone()));
        let unit = unit.and_then(|held| held.unit.clone());
        let manages = |grant: &Grant| {
            grant.role == Role::ServiceManager && grant.service.as_ref() == Some(service)
        };
        let administrates = |grant: &Grant| {
            grant.role == Role::UnitAdmin && grant.unit.is_some() && grant.unit == unit
        };
        let found = self.holders(realm, &manages, limit);
        if found.is_empty() { self.holders(realm, &administrates, limit) } else { found }
    }

    /// The active people who have a role, by name or through a group.
    fn holders(
        &self,
        realm: &RealmName,
        is_meant: &dyn Fn(&Grant) -> bool,
        limit: u32,
    ) -> Vec<Username> {
        let meant = self.grants.values().filter(|grant| grant.realm == *realm && is_meant(grant));
        let meant: Vec<&GrantSubject> = meant.map(|grant| &grant.subject).collect();
        let has = |user: &&User| {
            meant.iter().any(|subject| match subject {
                GrantSubject::User(name) => *name == user.username,
                GrantSubject::Client(_) => false,
                GrantSubject::Group(group) => {
                    let membership = (realm.clone(), group.clone(), user.username.clone());
                    self.members.contains(&membership)
                }
            })
        };
        let people = self.users.values().filter(|user| user.realm == *realm);
        let active = people.filter(|user| user.status == UserStatus::Active).filter(has);
        let mut names: Vec<Username> = active.map(|user| user.username.clone()).collect();
        names.sort();
        names.truncate(limit as usize);
        names
    }
}
