//! People, groups, units and grants, in memory.
//!
//! Length: each act is short, and all of them change the same few maps.

use async_trait::async_trait;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{ClientName, GroupName, RealmName, ServiceLabel, Username};
use counterfoil_authority::store::{
    Change, Entrant, GroupBasis, GroupChange, GroupChanged, GroupRemoval, Inserted, MemberChange,
    Page, PageRequest, PeopleStore, Unavailable, Updated, UserFilter, UserRemoval,
};
use counterfoil_authority::subject::{Grant, GrantSubject, Group, Owner, Unit, User, UserStatus};

use super::{MemoryStore, State, page_up};

impl State {
    fn user_with_groups(&self, user: &User) -> User {
        let theirs = self
            .members
            .iter()
            .filter(|(realm, _, name)| *realm == user.realm && *name == user.username);
        User { groups: theirs.map(|(_, group, _)| group.clone()).collect(), ..user.clone() }
    }

    fn group_with_count(&self, group: &Group) -> Group {
        let members = self.members_of(&group.realm, &group.name).count() as u64;
        Group { members, ..group.clone() }
    }

    fn members_of<'a>(
        &'a self,
        realm: &'a RealmName,
        group: &'a GroupName,
    ) -> impl Iterator<Item = &'a Username> {
        let of_group = self.members.iter().filter(move |(r, g, _)| r == realm && g == group);
        of_group.map(|(_, _, user)| user)
    }

    pub(super) fn user_facts(&self, realm: &RealmName, name: &Username) -> Option<User> {
        let user = self.users.get(&(realm.clone(), name.clone()))?;
        Some(self.user_with_groups(user))
    }

    pub(super) fn group_insert(&mut self, group: &Group, event: &Event) -> Inserted {
        if !self.realms.contains_key(&group.realm) {
            return Inserted::Missing("realm");
        }
        let name = (group.realm.clone(), group.name.clone());
        if self.groups.contains_key(&name) {
            return Inserted::Exists;
        }
        self.groups.insert(name, group.clone());
        self.record(event);
        Inserted::Done
    }

    fn group_change(&mut self, change: &GroupChange) -> GroupChanged {
        let group = &change.group;
        let key = (group.realm.clone(), group.name.clone());
        let record = match (self.groups.get(&key), change.basis) {
            (_, GroupBasis::New) if !self.realms.contains_key(&group.realm) => {
                return GroupChanged::NoRealm;
            }
            (Some(_), GroupBasis::New) => return GroupChanged::Exists,
            (None, GroupBasis::New) => group.clone(),
            (None, _) => return GroupChanged::NotFound,
            (Some(found), GroupBasis::Any | GroupBasis::Version(_))
                if found.created_at != group.created_at =>
            {
                return GroupChanged::NotFound;
            }
            (Some(found), GroupBasis::Version(version)) if found.version != version => {
                return GroupChanged::VersionMismatch;
            }
            (Some(found), GroupBasis::Version(version)) => {
                let (open, created_at) = (found.open, found.created_at);
                Group { version: version + 1, open, created_at, ..group.clone() }
            }
            (Some(found), GroupBasis::Any) => {
                let version = found.version + 1;
                Group { version, updated_at: group.updated_at, ..found.clone() }
            }
        };
        let person = |name: &Username| self.users.get(&(group.realm.clone(), name.clone()));
        let is_known = |entrant: &&Entrant| {
            person(&entrant.username).is_some_and(|user| user.created_at == entrant.created_at)
        };
        if let Some(unknown) = change.entering.iter().find(|entrant| !is_known(entrant)) {
            return GroupChanged::NoUser(unknown.username.clone());
        }
        self.groups.insert(key.clone(), record);
        self.record(&change.event);
        let entering = change.entering.iter().map(|one| (&one.username, true, &one.event));
        let leaving = change.leaving.iter().map(|(user, event)| (user, false, event));
        for (user, member, event) in entering.chain(leaving) {
            let membership = (key.0.clone(), key.1.clone(), user.clone());
            let moved = if member {
                self.members.insert(membership)
            } else {
                self.members.remove(&membership)
            };
            if moved {
                self.record(event);
                self.changed(Change::User(key.0.clone(), user.clone()), event.at);
            }
        }
        let changed = self.groups.get(&key).map(|group| self.group_with_count(group));
        changed.map_or(GroupChanged::NotFound, GroupChanged::Done)
    }

    pub(super) fn unit_insert(&mut self, unit: &Unit, event: &Event) -> Inserted {
        if !self.realms.contains_key(&unit.realm) {
            return Inserted::Missing("realm");
        }
        if !self.has_unit(&unit.realm, unit.parent.as_ref()) {
            return Inserted::Missing("parent");
        }
        let taken = |other: &Unit| {
            other.realm == unit.realm && (other.id == unit.id || other.name == unit.name)
        };
        if self.units.values().any(taken) {
            return Inserted::Exists;
        }
        self.units.insert((unit.realm.clone(), unit.id.clone()), unit.clone());
        self.record(event);
        Inserted::Done
    }

    pub(super) fn member_set(
        &mut self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: &Event,
    ) -> MemberChange {
        if !self.groups.contains_key(&(realm.clone(), group.clone())) {
            return MemberChange::NoGroup;
        }
        if !self.users.contains_key(&(realm.clone(), user.clone())) {
            return MemberChange::NoUser;
        }
        let membership = (realm.clone(), group.clone(), user.clone());
        let changed =
            if member { self.members.insert(membership) } else { self.members.remove(&membership) };
        if !changed {
            return MemberChange::Unchanged;
        }
        if let Some(found) = self.groups.get_mut(&(realm.clone(), group.clone())) {
            found.version += 1;
            found.updated_at = event.at;
        }
        self.record(event);
        self.changed(Change::User(realm.clone(), user.clone()), event.at);
        MemberChange::Done
    }

    pub(super) fn user_insert(&mut self, user: &User, event: &Event) -> Inserted {
        if !self.realms.contains_key(&user.realm) {
            return Inserted::Missing("realm");
        }
        if !self.has_unit(&user.realm, user.unit.as_ref()) {
            return Inserted::Missing("unit");
        }
        let name = (user.realm.clone(), user.username.clone());
        if self.users.contains_key(&name) {
            return Inserted::Exists;
        }
        self.users.insert(name.clone(), User { groups: Vec::new(), ..user.clone() });
        self.record(event);
        self.changed(Change::User(name.0, name.1), event.at);
        Inserted::Done
    }

    fn user_update(&mut self, user: &User, event: &Event) -> Updated<User> {
        let has_unit = self.has_unit(&user.realm, user.unit.as_ref());
        let name = (user.realm.clone(), user.username.clone());
        let Some(found) = self.users.get_mut(&name) else { return Updated::NotFound };
        if found.created_at != user.created_at {
            return Updated::NotFound;
        }
        if found.version != user.version {
            return Updated::VersionMismatch;
        }
        if !has_unit {
            return Updated::Missing("unit");
        }
        let counts = [found.status, user.status].iter().all(|one| *one == UserStatus::Active);
        let version = user.version + 1;
        *found = User { created_at: found.created_at, version, ..user.clone() };
        let updated = found.clone();
        if !counts {
            self.end_other_sessions(&name.0, &name.1, None);
        }
        self.record(event);
        self.changed(Change::User(name.0, name.1), event.at);
        Updated::Done(self.user_with_groups(&updated))
    }

    fn unit_update(&mut self, unit: &Unit, event: &Event) -> Updated<Unit> {
        let name = (unit.realm.clone(), unit.id.clone());
        let Some(found) = self.units.get(&name) else { return Updated::NotFound };
        if found.version != unit.version {
            return Updated::VersionMismatch;
        }
        if !self.has_unit(&unit.realm, unit.parent.as_ref()) || self.is_below_itself(unit) {
            return Updated::Missing("parent");
        }
        let namesake = |other: &Unit| {
            other.realm == unit.realm && other.name == unit.name && other.id != unit.id
        };
        if self.units.values().any(namesake) {
            return Updated::Exists;
        }
        let version = unit.version + 1;
        let updated = Unit { created_at: found.created_at, version, ..unit.clone() };
        self.units.insert(name, updated.clone());
        self.record(event);
        Updated::Done(updated)
    }

    fn is_below_itself(&self, unit: &Unit) -> bool {
        let mut above = unit.parent.clone();
        while let Some(id) = above {
            if id == unit.id {
                return true;
            }
            let found = self.units.get(&(unit.realm.clone(), id));
            above = found.and_then(|unit| unit.parent.clone());
        }
        false
    }

    fn unit_is_used(&self, realm: &RealmName, id: &str) -> bool {
        let is = |r: &RealmName, unit: &Option<String>| r == realm && unit.as_deref() == Some(id);
        self.users.values().any(|user| is(&user.realm, &user.unit))
            || self.services.values().any(|service| is(&service.realm, &service.unit))
            || self.clients.values().any(|client| is(&client.realm, &client.unit))
            || self.tokens.values().any(|held| is(&held.token.realm, &held.token.unit))
            || self.grants.values().any(|grant| is(&grant.realm, &grant.unit))
            || self.units.values().any(|unit| is(&unit.realm, &unit.parent))
    }

    pub(super) fn grant_delete(&mut self, realm: &RealmName, id: &str, event: &Event) -> bool {
        let Some(grant) = self.grants.remove(&(realm.clone(), id.to_owned())) else {
            return false;
        };
        self.record(event);
        for change in self.changes_by_grant(&grant) {
            self.changed(change, event.at);
        }
        true
    }

    pub(super) fn grant_insert(&mut self, grant: &Grant, event: &Event) -> Inserted {
        if !self.realms.contains_key(&grant.realm) {
            return Inserted::Missing("realm");
        }
        if let Some(missing) = self.missing_subject(grant) {
            return Inserted::Missing(missing);
        }
        if !self.has_unit(&grant.realm, grant.unit.as_ref()) {
            return Inserted::Missing("unit");
        }
        let service = grant.service.as_ref();
        if service.is_some_and(|label| !self.has_service(&grant.realm, label)) {
            return Inserted::Missing("service");
        }
        let id = (grant.realm.clone(), grant.id.clone());
        if self.grants.contains_key(&id) {
            return Inserted::Exists;
        }
        self.grants.insert(id, grant.clone());
        self.record(event);
        for change in self.changes_by_grant(grant) {
            self.changed(change, event.at);
        }
        Inserted::Done
    }

    fn group_remove(&mut self, removal: &GroupRemoval) -> Updated<()> {
        let GroupRemoval { realm, name, created_at, version, event } = removal;
        let key = (realm.clone(), name.clone());
        let Some(found) = self.groups.get(&key) else { return Updated::NotFound };
        if created_at.is_some_and(|meant| meant != found.created_at) {
            return Updated::NotFound;
        }
        if version.is_some_and(|meant| meant != found.version) {
            return Updated::VersionMismatch;
        }
        self.groups.remove(&key);
        let members: Vec<Username> = self.members_of(realm, name).cloned().collect();
        self.members.retain(|(r, g, _)| r != realm || g != name);
        let theirs = GrantSubject::Group(name.clone());
        self.grants.retain(|(r, _), grant| r != realm || grant.subject != theirs);
        self.record(event);
        for member in members {
            self.changed(Change::User(realm.clone(), member), event.at);
        }
        Updated::Done(())
    }

    fn user_remove(&mut self, removal: &UserRemoval) -> Updated<()> {
        let UserRemoval { realm, username: name, created_at, version, at, event } = removal;
        let key = (realm.clone(), name.clone());
        let Some(found) = self.users.get(&key) else { return Updated::NotFound };
        if created_at.is_some_and(|meant| meant != found.created_at) {
            return Updated::NotFound;
        }
        if version.is_some_and(|meant| meant != found.version) {
            return Updated::VersionMismatch;
        }
        self.users.remove(&key);
        let left = self.members.iter().filter(|(r, _, user)| r == realm && user == name);
        let left: Vec<GroupName> = left.map(|(_, group, _)| group.clone()).collect();
        for group in left {
            if let Some(found) = self.groups.get_mut(&(realm.clone(), group)) {
                found.version += 1;
                found.updated_at = *at;
            }
        }
        self.members.retain(|(r, _, user)| r != realm || user != name);
        let theirs = GrantSubject::User(name.clone());
        self.grants.retain(|(r, _), grant| r != realm || grant.subject != theirs);
        self.forget_signer(realm, name);
        self.revoke_all_of(realm, &Owner::User(name.clone()), *at, event);
        self.record(event);
        self.changed(Change::User(realm.clone(), name.clone()), event.at);
        Updated::Done(())
    }
}

#[async_trait]
impl PeopleStore for MemoryStore {
    async fn user_insert(&self, user: User, event: Event) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| state.user_insert(&user, &event)))
    }

    async fn user_find(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Option<User>, Unavailable> {
        Ok(self.read(|state| state.user_facts(realm, name)))
    }

    async fn user_list(
        &self,
        realm: &RealmName,
        filter: UserFilter,
        page: PageRequest,
    ) -> Result<Page<User>, Unavailable> {
        Ok(self.read(|state| {
            let of_realm = state.users.values().filter(|user| user.realm == *realm);
            let whole: Vec<User> = of_realm.map(|user| state.user_with_groups(user)).collect();
            let prefix = filter.prefix.as_deref().unwrap_or("");
            let matching = whole.iter().filter(|user| {
                filter.status.is_none_or(|status| user.status == status)
                    && filter.group.as_ref().is_none_or(|group| user.groups.contains(group))
                    && filter.unit.as_ref().is_none_or(|unit| user.unit.as_ref() == Some(unit))
                    && user.username.as_str().starts_with(prefix)
                    && filter.external_id.as_ref().is_none_or(|id| user.provisioned.is(id))
            });
            page_up(matching, &page, |user| user.username.to_string())
        }))
    }

    async fn user_update(&self, user: User, event: Event) -> Result<Updated<User>, Unavailable> {
        Ok(self.write(|state| state.user_update(&user, &event)))
    }

    async fn user_remove(&self, removal: UserRemoval) -> Result<Updated<()>, Unavailable> {
        Ok(self.write(|state| state.user_remove(&removal)))
    }

    async fn group_insert(&self, group: Group, event: Event) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| state.group_insert(&group, &event)))
    }

    async fn group_find(
        &self,
        realm: &RealmName,
        name: &GroupName,
    ) -> Result<Option<Group>, Unavailable> {
        Ok(self.read(|state| {
            let group = state.groups.get(&(realm.clone(), name.clone()))?;
            Some(state.group_with_count(group))
        }))
    }

    async fn group_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Group>, Unavailable> {
        Ok(self.read(|state| {
            let of_realm = state.groups.values().filter(|group| group.realm == *realm);
            let whole: Vec<Group> = of_realm.map(|group| state.group_with_count(group)).collect();
            page_up(whole.iter(), &page, |group| group.name.to_string())
        }))
    }

    async fn group_change(&self, change: GroupChange) -> Result<GroupChanged, Unavailable> {
        Ok(self.write(|state| state.group_change(&change)))
    }

    async fn group_remove(&self, removal: GroupRemoval) -> Result<Updated<()>, Unavailable> {
        Ok(self.write(|state| state.group_remove(&removal)))
    }

    async fn group_member_set(
        &self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: Event,
    ) -> Result<MemberChange, Unavailable> {
        Ok(self.write(|state| state.member_set(realm, group, user, member, &event)))
    }

    async fn group_join(
        &self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: Event,
    ) -> Result<MemberChange, Unavailable> {
        Ok(self.write(|state| {
            let known = state.groups.get(&(realm.clone(), group.clone()));
            if !known.is_some_and(|group| group.open) {
                return MemberChange::NoGroup;
            }
            state.member_set(realm, group, user, member, &event)
        }))
    }

    async fn group_members(
        &self,
        realm: &RealmName,
        group: &GroupName,
        page: PageRequest,
    ) -> Result<Page<Username>, Unavailable> {
        Ok(self.read(|state| page_up(state.members_of(realm, group), &page, ToString::to_string)))
    }

    async fn unit_insert(&self, unit: Unit, event: Event) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| state.unit_insert(&unit, &event)))
    }

    async fn unit_find(&self, realm: &RealmName, id: &str) -> Result<Option<Unit>, Unavailable> {
        Ok(self.read(|state| state.units.get(&(realm.clone(), id.to_owned())).cloned()))
    }

    async fn unit_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Unit>, Unavailable> {
        Ok(self.read(|state| {
            let of_realm = state.units.values().filter(|unit| unit.realm == *realm);
            let mut by_name: Vec<&Unit> = of_realm.collect();
            by_name.sort_by_key(|unit| unit.name.as_str());
            page_up(by_name.into_iter(), &page, |unit| unit.name.clone())
        }))
    }

    async fn unit_update(&self, unit: Unit, event: Event) -> Result<Updated<Unit>, Unavailable> {
        Ok(self.write(|state| state.unit_update(&unit, &event)))
    }

    async fn unit_delete(
        &self,
        realm: &RealmName,
        id: &str,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| {
            let name = (realm.clone(), id.to_owned());
            if !state.units.contains_key(&name) {
                return Inserted::Missing("unit");
            }
            if state.unit_is_used(realm, id) {
                return Inserted::Exists;
            }
            state.units.remove(&name);
            state.record(&event);
            Inserted::Done
        }))
    }

    async fn grant_insert(&self, grant: Grant, event: Event) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| state.grant_insert(&grant, &event)))
    }

    async fn grant_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Grant>, Unavailable> {
        Ok(self.read(|state| {
            let of_realm = state.grants.values().filter(|grant| grant.realm == *realm);
            page_up(of_realm, &page, |grant| grant.id.clone())
        }))
    }

    async fn grant_find(&self, realm: &RealmName, id: &str) -> Result<Option<Grant>, Unavailable> {
        Ok(self.read(|state| state.grants.get(&(realm.clone(), id.to_owned())).cloned()))
    }

    async fn grant_delete(
        &self,
        realm: &RealmName,
        id: &str,
        event: Event,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| state.grant_delete(realm, id, &event)))
    }

    async fn grants_of_user(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Vec<Grant>, Unavailable> {
        Ok(self.read(|state| {
            let has = |grant: &&Grant| match &grant.subject {
                GrantSubject::User(user) => user == name,
                GrantSubject::Client(_) => false,
                GrantSubject::Group(group) => {
                    let membership = (realm.clone(), group.clone(), name.clone());
                    state.members.contains(&membership)
                }
            };
            let of_realm = state.grants.values().filter(|grant| grant.realm == *realm);
            of_realm.filter(has).cloned().collect()
        }))
    }

    async fn service_keepers(
        &self,
        realm: &RealmName,
        service: &ServiceLabel,
        limit: u32,
    ) -> Result<Vec<Username>, Unavailable> {
        Ok(self.read(|state| state.keepers(realm, service, limit)))
    }

    async fn grants_of_client(
        &self,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Vec<Grant>, Unavailable> {
        Ok(self.read(|state| {
            let theirs = GrantSubject::Client(name.clone());
            let of_realm = state.grants.values().filter(|grant| grant.realm == *realm);
            of_realm.filter(|grant| grant.subject == theirs).cloned().collect()
        }))
    }
}
