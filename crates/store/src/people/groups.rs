//! Groups and who is in them.

use std::collections::BTreeMap;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{GroupName, RealmName, Username};
use counterfoil_authority::store::{
    Change, Entrant, GroupBasis, GroupChange, GroupChanged, GroupRemoval, Inserted, MemberChange,
    Page, PageRequest, Updated,
};
use counterfoil_authority::subject::Group;

use super::{group_exists, group_is, page, realm_exists, user_exists};
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events, people};

const INSERT: &str = "
insert into grp (
    realm, name, description, created_at, open, external_id, provisioned, updated_at, version
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict do nothing";

const UPDATE: &str = "
update grp
set    description = $3, external_id = $4, provisioned = $5, updated_at = $6, version = version + 1
where  realm = $1
and    name = $2
and    version = $7";

/// Who is in it belongs to what its version stands for.
const TOUCH: &str = "
update grp
set    updated_at = $3, version = version + 1
where  realm = $1
and    name = $2";

macro_rules! columns {
    () => {
        "
select g.realm, g.name, g.description, g.created_at, g.open, g.external_id, g.provisioned,
       g.updated_at, g.version,
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

/// Who changes a group's members takes a turn at it first: a share of its row could not grow into
/// the right to change it while others hold shares too.
const TURN_TO_CHANGE: &str = "
select 1
from   grp
where  realm = $1
and    name = $2
{for_change}";

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

/// In one order, as all who take turns at several people do.
const CONCERNED: &str = "
select username, created_at, group_names
from   person
where  realm = $1
and    username {in_names_2}
order  by username
{for_change}";

const GROUPS_OF_MANY: &str = "
select username, grp
from   group_member
where  realm = $1
and    username {in_names_2}
order  by username, grp";

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
    UPDATE,
    TOUCH,
    TURN_TO_CHANGE,
    CONCERNED,
    GROUPS_OF_MANY,
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
    if !is_added(tx, group).await? {
        return Ok(Inserted::Exists);
    }
    events::append(tx, event).await?;
    Ok(Inserted::Done)
}

/// Adds a group's row; false if its name is taken.
async fn is_added(tx: &mut Transaction<'_>, group: &Group) -> Result<bool, Failure> {
    let values = values![
        &group.realm,
        &group.name,
        group.description.as_ref(),
        group.created_at,
        group.open,
        group.provisioned.external_id.as_ref(),
        codec::further(&group.provisioned),
        group.updated_at,
        group.version
    ];
    Ok(tx.execute(INSERT, &values).await? > 0)
}

/// Adds or changes a group and who is in it.
pub(super) async fn change(
    tx: &mut Transaction<'_>,
    change: &GroupChange,
) -> Result<GroupChanged, Failure> {
    let (realm, group) = (&change.group.realm, &change.group.name);
    if let Some(refused) = settle_record(tx, change).await? {
        return Ok(refused);
    }
    let concerned = concerned(tx, change).await?;
    let is_known = |entrant: &&Entrant| {
        let found = concerned.get(entrant.username.as_str());
        found.is_some_and(|found| found.created_at == entrant.created_at)
    };
    if let Some(unknown) = change.entering.iter().find(|entrant| !is_known(entrant)) {
        tx.undo();
        return Ok(GroupChanged::NoUser(unknown.username.clone()));
    }
    let is_in = |user: &Username| concerned.get(user.as_str()).is_some_and(|found| found.is_in);
    let entering: Vec<_> = change.entering.iter().filter(|one| !is_in(&one.username)).collect();
    let leaving: Vec<_> = change.leaving.iter().filter(|(user, _)| is_in(user)).collect();
    let row = |user| values![realm, group, user].to_vec();
    let sets: Vec<_> = entering.iter().map(|one| row(&one.username)).collect();
    tx.execute_each(ADD_MEMBER, &sets).await?;
    let sets: Vec<_> = leaving.iter().map(|(user, _)| row(user)).collect();
    tx.execute_each(REMOVE_MEMBER, &sets).await?;
    let entered = entering.iter().map(|one| (&one.username, &one.event));
    let left = leaving.iter().map(|(user, event)| (user, event));
    let (users, told): (Vec<&Username>, Vec<&Event>) = entered.chain(left).unzip();
    copy_groups_of_many(tx, realm, &users).await?;
    let told: Vec<Event> = std::iter::once(&change.event).chain(told).cloned().collect();
    events::append_all(tx, &told).await?;
    let users = users.into_iter().map(|user| Change::User(realm.clone(), user.clone()));
    tx.all_changed(users.collect(), change.event.at).await?;
    match find(tx, realm, group).await? {
        Some(group) => Ok(GroupChanged::Done(group)),
        None => Err(Failure::interleaved()),
    }
}

/// Writes the group's own row; what stood in the way, if anything did.
async fn settle_record(
    tx: &mut Transaction<'_>,
    change: &GroupChange,
) -> Result<Option<GroupChanged>, Failure> {
    let group = &change.group;
    let name = values![&group.realm, &group.name];
    if change.basis == GroupBasis::New {
        if !realm_exists(tx, &group.realm).await? {
            return Ok(Some(GroupChanged::NoRealm));
        }
        return Ok((!is_added(tx, group).await?).then_some(GroupChanged::Exists));
    }
    tx.lock(TURN_TO_CHANGE, &name).await?;
    let Some(found) = find(tx, &group.realm, &group.name).await? else {
        return Ok(Some(GroupChanged::NotFound));
    };
    // Both may have the version 1.
    if found.created_at != group.created_at {
        return Ok(Some(GroupChanged::NotFound));
    }
    let changed = match change.basis {
        GroupBasis::Version(version) if found.version != version => {
            return Ok(Some(GroupChanged::VersionMismatch));
        }
        GroupBasis::Version(version) => {
            let values = values![
                &group.realm,
                &group.name,
                group.description.as_ref(),
                group.provisioned.external_id.as_ref(),
                codec::further(&group.provisioned),
                group.updated_at,
                version
            ];
            tx.execute(UPDATE, &values).await?
        }
        GroupBasis::New | GroupBasis::Any => {
            tx.execute(TOUCH, &values![&group.realm, &group.name, group.updated_at]).await?
        }
    };
    if changed == 0 { Err(Failure::interleaved()) } else { Ok(None) }
}

/// How somebody stands whom a change of a group concerns.
struct Concerned {
    created_at: Timestamp,
    is_in: bool,
}

/// Takes the turn at everybody whom a change concerns.
async fn concerned(
    tx: &mut Transaction<'_>,
    change: &GroupChange,
) -> Result<BTreeMap<String, Concerned>, Failure> {
    let entering = change.entering.iter().map(|entrant| entrant.username.as_str());
    let names: Vec<&str> =
        entering.chain(change.leaving.iter().map(|(user, _)| user.as_str())).collect();
    let mut found = BTreeMap::new();
    if names.is_empty() {
        return Ok(found);
    }
    for mut row in tx.query(CONCERNED, &values![&change.group.realm, codec::json(&names)]).await? {
        let user = row.text("username")?;
        let created_at = row.time("created_at")?;
        let is_in = codec::groups(&mut row)?.contains(&change.group.name);
        found.insert(user, Concerned { created_at, is_in });
    }
    Ok(found)
}

/// Brings the copies of the memberships of many people up to date.
async fn copy_groups_of_many(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    users: &[&Username],
) -> Result<(), Failure> {
    if users.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = users.iter().map(|user| user.as_str()).collect();
    let mut groups: BTreeMap<&str, Vec<String>> =
        names.iter().map(|name| (*name, Vec::new())).collect();
    for mut row in tx.query(GROUPS_OF_MANY, &values![realm, codec::json(&names)]).await? {
        let user = row.text("username")?;
        let group = row.text("grp")?;
        if let Some(of_user) = groups.get_mut(user.as_str()) {
            of_user.push(group);
        }
    }
    let sets: Vec<_> = groups
        .iter()
        .map(|(user, groups)| values![realm, *user, codec::json(groups)].to_vec())
        .collect();
    tx.execute_each(COPY_GROUPS, &sets).await
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
pub(super) async fn remove(
    tx: &mut Transaction<'_>,
    removal: &GroupRemoval,
) -> Result<Updated<()>, Failure> {
    let (realm, name, event) = (&removal.realm, &removal.name, &removal.event);
    tx.lock(TURN, &values![realm, name]).await?;
    let Some(found) = find(tx, realm, name).await? else {
        return Ok(Updated::NotFound);
    };
    if removal.created_at.is_some_and(|meant| meant != found.created_at) {
        return Ok(Updated::NotFound);
    }
    if removal.version.is_some_and(|meant| meant != found.version) {
        return Ok(Updated::VersionMismatch);
    }
    let mut members = every_member(tx, realm, name).await?;
    // One order for all who take turns at several people.
    members.sort_unstable();
    for member in &members {
        people::turn_at_user(tx, realm, member).await?;
    }
    if tx.execute(DELETE, &values![realm, name]).await? == 0 {
        return Err(Failure::interleaved());
    }
    people::delete_all_of(tx, realm, "g", name.as_str()).await?;
    for member in &members {
        copy_groups(tx, realm, member).await?;
    }
    events::append(tx, event).await?;
    let changes = members.into_iter().map(|member| Change::User(realm.clone(), member)).collect();
    tx.all_changed(changes, event.at).await?;
    Ok(Updated::Done(()))
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
    tx.lock(TURN_TO_CHANGE, &values![realm, group]).await?;
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
    tx.push(TOUCH, &values![realm, group, event.at]).await?;
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
    tx.lock(TURN_TO_CHANGE, &values![realm, group]).await?;
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
    let realm = codec::realm(&mut row, "realm")?;
    let name = row.parsed("name", |text| GroupName::parse(text).ok())?;
    let description = row.text_or_null("description")?;
    let created_at = row.time("created_at")?;
    Ok(Group {
        realm,
        name,
        description,
        created_at,
        open: row.flag("open")?,
        provisioned: codec::provisioned(&mut row)?,
        // Of groups that were made before there was such a column it is not known.
        updated_at: row.time("updated_at")?.max(created_at),
        version: row.int("version")?,
        members: row.count("members")?,
    })
}
