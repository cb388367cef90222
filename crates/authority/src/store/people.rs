//! People, groups, units and grants.

use async_trait::async_trait;

use super::{Inserted, Page, PageRequest, Unavailable, Updated};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::{ClientName, GroupName, RealmName, ServiceLabel, Username};
use crate::subject::{Grant, Group, Unit, User, UserStatus};

/// Which people to list. `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserFilter {
    /// With this status.
    pub status: Option<UserStatus>,
    /// In this group.
    pub group: Option<GroupName>,
    /// In this unit.
    pub unit: Option<String>,
    /// Whose user name begins with this text.
    pub prefix: Option<String>,
    /// Whom an identity provider calls so.
    pub external_id: Option<String>,
}

/// Somebody who enters a group, as whoever says so knows them.
#[derive(Debug, Clone, PartialEq)]
pub struct Entrant {
    /// Their name.
    pub username: Username,
    /// When their record was made: a later namesake is somebody else.
    pub created_at: Timestamp,
    /// What tells of it.
    pub event: Event,
}

/// What a change of a group goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBasis {
    /// It is a new one.
    New,
    /// It must still have this version; its record is replaced.
    Version(i64),
    /// It may be as it is, and its record stays so; only people enter and leave.
    Any,
}

/// What is to become of a group and of who is in it, all at once.
#[derive(Debug, Clone)]
pub struct GroupChange {
    /// Its record. Of one that exists, its name and whether it is open stay as they are; the
    /// number of members and the version are the store's.
    pub group: Group,
    /// What the change goes by.
    pub basis: GroupBasis,
    /// Who enters. Whoever is in it already stays, and nothing is told of it.
    pub entering: Vec<Entrant>,
    /// Who leaves, with what tells of it. Of whom is not in it nothing is told.
    pub leaving: Vec<(Username, Event)>,
    /// What tells of the group's own change.
    pub event: Event,
}

/// What came of changing a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChanged {
    /// It is as asked.
    Done(Group),
    /// There is no such group.
    NotFound,
    /// It was changed since it was read.
    VersionMismatch,
    /// A new one of this name exists already.
    Exists,
    /// There is no such realm.
    NoRealm,
    /// Somebody who enters does not exist, or is a later namesake.
    NoUser(Username),
}

/// A person to remove.
#[derive(Debug, Clone)]
pub struct UserRemoval {
    /// Whose they are.
    pub realm: RealmName,
    /// Their name.
    pub username: Username,
    /// When the record of who is meant was made: a later namesake is somebody else. `None`:
    /// whoever has the name.
    pub created_at: Option<Timestamp>,
    /// The version that the record must still have; `None`: whichever it has.
    pub version: Option<i64>,
    /// When they go.
    pub at: Timestamp,
    /// What tells of it.
    pub event: Event,
}

/// A group to remove.
#[derive(Debug, Clone)]
pub struct GroupRemoval {
    /// Whose it is.
    pub realm: RealmName,
    /// Its name.
    pub name: GroupName,
    /// When the record of the one that is meant was made; `None`: whichever has the name.
    pub created_at: Option<Timestamp>,
    /// The version that it must still have; `None`: whichever it has.
    pub version: Option<i64>,
    /// What tells of it.
    pub event: Event,
}

/// What came of changing a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// It is as asked now, and was not before.
    Done,
    /// It was so already.
    Unchanged,
    /// There is no such group.
    NoGroup,
    /// There is no such person.
    NoUser,
}

/// People, groups, units and grants of a realm. Lists are ordered by name, grants by id.
#[async_trait]
pub trait PeopleStore: Send + Sync {
    /// Adds a person. [`Inserted::Missing`] if their unit does not exist.
    async fn user_insert(&self, user: User, event: Event) -> Result<Inserted, Unavailable>;
    /// Finds a person, with their groups.
    async fn user_find(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Option<User>, Unavailable>;
    /// Lists people.
    async fn user_list(
        &self,
        realm: &RealmName,
        filter: UserFilter,
        page: PageRequest,
    ) -> Result<Page<User>, Unavailable>;
    /// Replaces a person's record if it still has `user.version`, and raises the version.
    /// [`Updated::NotFound`] also for a namesake, whose record was made at another instant than
    /// `user.created_at`. Who does not count before it, or does not after it, is signed out of the
    /// console with it.
    async fn user_update(&self, user: User, event: Event) -> Result<Updated<User>, Unavailable>;
    /// Removes a person and revokes every token of theirs, so that a later namesake gets none
    /// of them. [`Updated::NotFound`] also if a namesake has taken the place of who is meant.
    async fn user_remove(&self, removal: UserRemoval) -> Result<Updated<()>, Unavailable>;
    /// The same for whoever has the name. False if there is no such person.
    async fn user_delete(
        &self,
        realm: &RealmName,
        name: &Username,
        at: Timestamp,
        event: Event,
    ) -> Result<bool, Unavailable> {
        let (realm, username) = (realm.clone(), name.clone());
        let removal = UserRemoval { realm, username, created_at: None, version: None, at, event };
        Ok(self.user_remove(removal).await? == Updated::Done(()))
    }

    /// Adds a group.
    async fn group_insert(&self, group: Group, event: Event) -> Result<Inserted, Unavailable>;
    /// Finds a group.
    async fn group_find(
        &self,
        realm: &RealmName,
        name: &GroupName,
    ) -> Result<Option<Group>, Unavailable>;
    /// Lists groups.
    async fn group_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Group>, Unavailable>;
    /// Adds or changes a group together with who is in it: all of it or none. Unlike
    /// [`PeopleStore::group_member_set`] it is one transaction for however many.
    /// [`GroupChanged::NotFound`] also for a namesake, whose record was made at another instant.
    async fn group_change(&self, change: GroupChange) -> Result<GroupChanged, Unavailable>;
    /// Removes a group and its memberships. [`Updated::NotFound`] also if a namesake has taken
    /// the place of the one that is meant.
    async fn group_remove(&self, removal: GroupRemoval) -> Result<Updated<()>, Unavailable>;
    /// The same for whichever group has the name. False if there is no such group.
    async fn group_delete(
        &self,
        realm: &RealmName,
        name: &GroupName,
        event: Event,
    ) -> Result<bool, Unavailable> {
        let (realm, name) = (realm.clone(), name.clone());
        let removal = GroupRemoval { realm, name, created_at: None, version: None, event };
        Ok(self.group_remove(removal).await? == Updated::Done(()))
    }
    /// Puts a person into a group (`member`) or takes them out.
    async fn group_member_set(
        &self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: Event,
    ) -> Result<MemberChange, Unavailable>;
    /// The same for somebody who does it by themselves: [`MemberChange::NoGroup`] also if the
    /// group is not open.
    async fn group_join(
        &self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: Event,
    ) -> Result<MemberChange, Unavailable>;
    /// The people of a group.
    async fn group_members(
        &self,
        realm: &RealmName,
        group: &GroupName,
        page: PageRequest,
    ) -> Result<Page<Username>, Unavailable>;

    /// Adds a unit. Its name is unique in the realm.
    async fn unit_insert(&self, unit: Unit, event: Event) -> Result<Inserted, Unavailable>;
    /// Finds a unit.
    async fn unit_find(&self, realm: &RealmName, id: &str) -> Result<Option<Unit>, Unavailable>;
    /// Lists units.
    async fn unit_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Unit>, Unavailable>;
    /// Replaces a unit if it still has `unit.version`, and raises the version.
    async fn unit_update(&self, unit: Unit, event: Event) -> Result<Updated<Unit>, Unavailable>;
    /// Removes a unit. [`Inserted::Missing`] if there is none, [`Inserted::Exists`] if people,
    /// services, clients, tokens, grants or other units still belong to it.
    async fn unit_delete(
        &self,
        realm: &RealmName,
        id: &str,
        event: Event,
    ) -> Result<Inserted, Unavailable>;

    /// Adds a grant. [`Inserted::Missing`] if its subject, unit or service does not exist, or its
    /// subject is an open group.
    async fn grant_insert(&self, grant: Grant, event: Event) -> Result<Inserted, Unavailable>;
    /// Lists grants.
    async fn grant_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Grant>, Unavailable>;
    /// Finds a grant.
    async fn grant_find(&self, realm: &RealmName, id: &str) -> Result<Option<Grant>, Unavailable>;
    /// Removes a grant. False if there is no such grant.
    async fn grant_delete(
        &self,
        realm: &RealmName,
        id: &str,
        event: Event,
    ) -> Result<bool, Unavailable>;
    /// The grants that a person has, by name or through a group.
    async fn grants_of_user(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Vec<Grant>, Unavailable>;
    /// Who looks after a service, by name and at most so many: its active managers, or, where it
    /// has none, the active administrators of its unit.
    async fn service_keepers(
        &self,
        realm: &RealmName,
        service: &ServiceLabel,
        limit: u32,
    ) -> Result<Vec<Username>, Unavailable>;
    /// The grants that a client has.
    async fn grants_of_client(
        &self,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Vec<Grant>, Unavailable>;
}
