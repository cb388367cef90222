//! People, groups, units and grants in SQL.

mod grants;
mod groups;
pub(crate) mod page;
mod references;
mod units;
mod users;

use async_trait::async_trait;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{ClientName, GroupName, RealmName, ServiceLabel, Username};
use counterfoil_authority::store::{
    GroupChange, GroupChanged, GroupRemoval, Inserted, MemberChange, Page, PageRequest,
    PeopleStore, Unavailable, Updated, UserFilter, UserRemoval,
};
use counterfoil_authority::subject::{Grant, Group, Unit, User};

use crate::SqlStore;

pub(crate) use grants::{
    delete as grant_delete, delete_all_of, delete_all_of_service, insert as grant_insert,
};
pub(crate) use groups::{insert as group_insert, set_member};
pub(crate) use references::{
    ask_owner, ask_service, client_exists, group_exists, group_is, realm_exists, service_exists,
    turn_at_client, turn_at_user, unit_exists, unit_if_any, user_exists,
};
pub(crate) use units::insert as unit_insert;
pub(crate) use users::insert as user_insert;

/// The statements of these files.
pub(crate) fn statements() -> Vec<&'static str> {
    [
        users::STATEMENTS,
        groups::STATEMENTS,
        units::STATEMENTS,
        grants::STATEMENTS,
        references::STATEMENTS,
    ]
    .concat()
}

#[async_trait]
impl PeopleStore for SqlStore {
    async fn user_insert(&self, user: User, event: Event) -> Result<Inserted, Unavailable> {
        self.write((user, event), |tx, (user, event)| Box::pin(users::insert(tx, user, event)))
            .await
    }

    async fn user_find(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Option<User>, Unavailable> {
        self.point((realm.clone(), name.clone()), |tx, (realm, name)| {
            Box::pin(users::find(tx, realm, name))
        })
        .await
    }

    async fn user_list(
        &self,
        realm: &RealmName,
        filter: UserFilter,
        page: PageRequest,
    ) -> Result<Page<User>, Unavailable> {
        self.scan((realm.clone(), filter, page), |tx, (realm, filter, page)| {
            Box::pin(users::list(tx, realm, filter, page))
        })
        .await
    }

    async fn user_update(&self, user: User, event: Event) -> Result<Updated<User>, Unavailable> {
        self.write((user, event), |tx, (user, event)| Box::pin(users::update(tx, user, event)))
            .await
    }

    async fn user_remove(&self, removal: UserRemoval) -> Result<Updated<()>, Unavailable> {
        self.write(removal, |tx, removal| Box::pin(users::remove(tx, removal))).await
    }

    async fn group_insert(&self, group: Group, event: Event) -> Result<Inserted, Unavailable> {
        self.write((group, event), |tx, (group, event)| Box::pin(groups::insert(tx, group, event)))
            .await
    }

    async fn group_find(
        &self,
        realm: &RealmName,
        name: &GroupName,
    ) -> Result<Option<Group>, Unavailable> {
        self.point((realm.clone(), name.clone()), |tx, (realm, name)| {
            Box::pin(groups::find(tx, realm, name))
        })
        .await
    }

    async fn group_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Group>, Unavailable> {
        self.scan((realm.clone(), page), |tx, (realm, page)| {
            Box::pin(groups::list(tx, realm, page))
        })
        .await
    }

    async fn group_change(&self, change: GroupChange) -> Result<GroupChanged, Unavailable> {
        self.write(change, |tx, change| Box::pin(groups::change(tx, change))).await
    }

    async fn group_remove(&self, removal: GroupRemoval) -> Result<Updated<()>, Unavailable> {
        self.write(removal, |tx, removal| Box::pin(groups::remove(tx, removal))).await
    }

    async fn group_member_set(
        &self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: Event,
    ) -> Result<MemberChange, Unavailable> {
        let parameters = (realm.clone(), group.clone(), user.clone(), member, event);
        self.write(parameters, |tx, (realm, group, user, member, event)| {
            Box::pin(groups::set_member(tx, realm, group, user, *member, event))
        })
        .await
    }

    async fn group_join(
        &self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: Event,
    ) -> Result<MemberChange, Unavailable> {
        let parameters = (realm.clone(), group.clone(), user.clone(), member, event);
        self.write(parameters, |tx, (realm, group, user, member, event)| {
            Box::pin(groups::join(tx, realm, group, user, *member, event))
        })
        .await
    }

    async fn group_members(
        &self,
        realm: &RealmName,
        group: &GroupName,
        page: PageRequest,
    ) -> Result<Page<Username>, Unavailable> {
        self.scan((realm.clone(), group.clone(), page), |tx, (realm, group, page)| {
            Box::pin(groups::members(tx, realm, group, page))
        })
        .await
    }

    async fn unit_insert(&self, unit: Unit, event: Event) -> Result<Inserted, Unavailable> {
        self.write((unit, event), |tx, (unit, event)| Box::pin(units::insert(tx, unit, event)))
            .await
    }

    async fn unit_find(&self, realm: &RealmName, id: &str) -> Result<Option<Unit>, Unavailable> {
        self.point((realm.clone(), id.to_owned()), |tx, (realm, id)| {
            Box::pin(units::find(tx, realm, id))
        })
        .await
    }

    async fn unit_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Unit>, Unavailable> {
        self.scan((realm.clone(), page), |tx, (realm, page)| Box::pin(units::list(tx, realm, page)))
            .await
    }

    async fn unit_update(&self, unit: Unit, event: Event) -> Result<Updated<Unit>, Unavailable> {
        self.write((unit, event), |tx, (unit, event)| Box::pin(units::update(tx, unit, event)))
            .await
    }

    async fn unit_delete(
        &self,
        realm: &RealmName,
        id: &str,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        self.write((realm.clone(), id.to_owned(), event), |tx, (realm, id, event)| {
            Box::pin(units::delete(tx, realm, id, event))
        })
        .await
    }

    async fn grant_insert(&self, grant: Grant, event: Event) -> Result<Inserted, Unavailable> {
        self.write((grant, event), |tx, (grant, event)| Box::pin(grants::insert(tx, grant, event)))
            .await
    }

    async fn grant_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Grant>, Unavailable> {
        self.scan((realm.clone(), page), |tx, (realm, page)| {
            Box::pin(grants::list(tx, realm, page))
        })
        .await
    }

    async fn grant_find(&self, realm: &RealmName, id: &str) -> Result<Option<Grant>, Unavailable> {
        self.point((realm.clone(), id.to_owned()), |tx, (realm, id)| {
            Box::pin(grants::find(tx, realm, id))
        })
        .await
    }

    async fn grant_delete(
        &self,
        realm: &RealmName,
        id: &str,
        event: Event,
    ) -> Result<bool, Unavailable> {
        self.write((realm.clone(), id.to_owned(), event), |tx, (realm, id, event)| {
            Box::pin(grants::delete(tx, realm, id, event))
        })
        .await
    }

    async fn grants_of_user(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Vec<Grant>, Unavailable> {
        self.point((realm.clone(), name.clone()), |tx, (realm, name)| {
            Box::pin(grants::of_user(tx, realm, name))
        })
        .await
    }

    async fn service_keepers(
        &self,
        realm: &RealmName,
        service: &ServiceLabel,
        limit: u32,
    ) -> Result<Vec<Username>, Unavailable> {
        let asked = (realm.clone(), service.clone(), limit);
        self.scan(asked, |tx, (realm, service, limit)| {
            Box::pin(grants::keepers(tx, realm, service, *limit))
        })
        .await
    }

    async fn grants_of_client(
        &self,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Vec<Grant>, Unavailable> {
        self.point((realm.clone(), name.clone()), |tx, (realm, name)| {
            Box::pin(grants::of_client(tx, realm, name))
        })
        .await
    }
}
