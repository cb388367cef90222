//! Groups and who is in them.

use counterfoil_authority::event::Event;
use counterfoil_authority::names::{GroupName, RealmName, Username};
use counterfoil_authority::store::{Change, Inserted, MemberChange, Page, PageRequest};
use counterfoil_authority::subject::Group;

use super::{group_exists, group_is, page, realm_exists, user_exists};
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events, people};

const INSERT: &str = "
insert into grp (realm, name, description, created_at, open)
values ($1, $2, $3, $4, $5)
on conflict do nothing";

macro_rules! columns {
    () => {
        "
select g.realm, g.name, g.description, g.created_at, g.open,
       (select count(*) from group_member m where m.realm = g.realm and m.grp = g.name)
from   grp g
where  g.realm = $1
"
    };
}

const FIND: &str = concat!(columns!(), "and g.name = $2");
const LIST: &str = concat!(columns!(), "and g.name > $2 order by g.name limit $3");

const DELETE: &str = "
delete from grp
where  realm = $1
and    name = $2";

/// Nobody joins a group that is about to go.
const TURN: &str = "
select 1
from   grp
where  realm = $1
and    name = $2
{for_removal}";

const ADD_MEMBER: &str = "
insert into group_member (realm, grp, username)
values ($1, $2, $3)
on conflict do nothing";

const REMOVE_MEMBER: &str = "
delete from group_member
where  realm = $1
and    grp = $2
and    username = $3";

const MEMBERS: &str = "
select username
from   group_member
where  realm = $1
and    grp = $2
and    username > $3
order  by username
limit  $4";

const EVERY_MEMBER: &str = "
select username
from   group_member
where  realm = $1
and    grp = $2";

const GROUPS_OF: &str = "
select grp
from   group_member
where  realm = $1
and    username = $2
order  by grp";

const COPY_GROUPS: &str = "
update person
set    group_names = $3
where  realm = $1
and    username = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[
    INSERT,
    FIND,
    LIST,
    DELETE,
    TURN,
    ADD_MEMBER,
    REMOVE_MEMBER,
    MEMBERS,
    EVERY_MEMBER,
    GROUPS_OF,
    COPY_GROUPS,
];

/// Adds a group.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    group: &Group,
    event: &Event,
) -> Result<Inserted, Failure> {
    if !realm_exists(tx, &group.realm).await? {
        return Ok(Inserted::Missing("realm"));
    }
    let values = values![
        &group.realm,
        &group.name,
        group.description.as_ref(),
        group.created_at,
        group.open
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(Inserted::Exists);
    }
    events::append(tx, event).await?;
    Ok(Inserted::Done)
}

/// Finds a group.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &GroupName,
) -> Result<Option<Group>, Failure> {
    let row = tx.row(FIND, &values![realm, name]).await?;
    Ok(row.map(group_of).transpose()?)
}

/// Lists groups by name.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    request: &PageRequest,
) -> Result<Page<Group>, Failure> {
    let values = values![realm, page::start(request), page::rows_to_ask(request)];
    let rows = tx.query(LIST, &values).await?;
    page::of(rows, request, group_of, |group| group.name.to_string())
}

/// Removes a group, its memberships and its grants.
pub(super) async fn delete(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &GroupName,
    event: &Event,
) -> Result<bool, Failure> {
    tx.lock(TURN, &values![realm, name]).await?;
    let mut members = every_member(tx, realm, name).await?;
    // One order for all who take turns at several people.
    members.sort_unstable();
    for member in &members {
        people::turn_at_user(tx, realm, member).await?;
    }
    if tx.execute(DELETE, &values![realm, name]).await? == 0 {
        return Ok(false);
    }
    people::delete_all_of(tx, realm, "g", name.as_str()).await?;
    for member in &members {
        copy_groups(tx, realm, member).await?;
    }
    events::append(tx, event).await?;
    let changes = members.into_iter().map(|member| Change::User(realm.clone(), member)).collect();
    tx.all_changed(changes, event.at).await?;
    Ok(true)
}

/// Puts a person in or takes them out.
pub(crate) async fn set_member(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    group: &GroupName,
    user: &Username,
    member: bool,
    event: &Event,
) -> Result<MemberChange, Failure> {
    if !group_exists(tx, realm, group).await? {
        return Ok(MemberChange::NoGroup);
    }
    if !user_exists(tx, realm, user).await? {
        return Ok(MemberChange::NoUser);
    }
    // The copy of the memberships below is made from all of them.
    people::turn_at_user(tx, realm, user).await?;
    let statement = if member { ADD_MEMBER } else { REMOVE_MEMBER };
    if tx.execute(statement, &values![realm, group, user]).await? == 0 {
        return Ok(MemberChange::Unchanged);
    }
    copy_groups(tx, realm, user).await?;
    events::append(tx, event).await?;
    tx.changed(Change::User(realm.clone(), user.clone()), event.at).await?;
    Ok(MemberChange::Done)
}

/// The same by oneself, if the group is open.
pub(super) async fn join(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    group: &GroupName,
    user: &Username,
    member: bool,
    event: &Event,
) -> Result<MemberChange, Failure> {
    if !group_is(tx, realm, group, true).await? {
        return Ok(MemberChange::NoGroup);
    }
    set_member(tx, realm, group, user, member, event).await
}

/// Lists the people of a group by name.
pub(super) async fn members(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    group: &GroupName,
    request: &PageRequest,
) -> Result<Page<Username>, Failure> {
    let values = values![realm, group, page::start(request), page::rows_to_ask(request)];
    let rows = tx.query(MEMBERS, &values).await?;
    page::of(rows, request, |mut row| username(&mut row), ToString::to_string)
}

/// Everybody in a group.
pub(super) async fn every_member(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    group: &GroupName,
) -> Result<Vec<Username>, Failure> {
    let rows = tx.query(EVERY_MEMBER, &values![realm, group]).await?;
    let names: Result<Vec<_>, _> = rows.into_iter().map(|mut row| username(&mut row)).collect();
    Ok(names?)
}

async fn copy_groups(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    user: &Username,
) -> Result<(), Failure> {
    let rows = tx.query(GROUPS_OF, &values![realm, user]).await?;
    let names: Result<Vec<String>, _> = rows.into_iter().map(|mut row| row.text("grp")).collect();
    tx.push(COPY_GROUPS, &values![realm, user, codec::json(&names?)]).await
}

fn username(row: &mut Row) -> Result<Username, Inconsistent> {
    row.parsed("username", |text| Username::parse(text).ok())
}

fn group_of(mut row: Row) -> Result<Group, Inconsistent> {
    Ok(Group {
        realm: codec::realm(&mut row, "realm")?,
        name: row.parsed("name", |text| GroupName::parse(text).ok())?,
        description: row.text_or_null("description")?,
        created_at: row.time("created_at")?,
        open: row.flag("open")?,
        members: row.count("members")?,
    })
}
