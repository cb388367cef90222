//! People: their records, and what goes with them when they do.

use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::store::{
    Change, Inserted, Page, PageRequest, Updated, UserFilter, UserRemoval,
};
use counterfoil_authority::subject::{Owner, User, UserStatus};

use super::{page, realm_exists, unit_if_any};
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, console, events, people, tokens};

const INSERT: &str = "
insert into person (
    realm, username, display_name, emails, attributes, status, unit, group_names,
    created_at, updated_at, version, locks, external_id, provisioned
)
values ($1, $2, $3, $4, $5, $6, $7, '[]', $8, $9, $10, $11, $12, $13)
on conflict do nothing";

macro_rules! columns {
    () => {
        "
select p.realm, p.username, p.display_name, p.emails, p.attributes, p.status, p.unit,
       p.group_names, p.locks, p.created_at, p.updated_at, p.version, p.external_id, p.provisioned
from   person p
where  p.realm = $1
"
    };
}

const FIND: &str = concat!(columns!(), "and p.username = $2");

macro_rules! list {
    ($condition:literal) => {
        concat!(
            columns!(),
            "
and    p.username > $2
and    p.username >= $4
and    ($4 = '' or p.username < $5)
and    (p.status = $6 or $6 is null)
and    (p.unit = $7 or $7 is null)
",
            $condition,
            "
order  by p.username
limit  $3"
        )
    };
}

const LIST: &str = list!("");

/// From the memberships, so that a small group in a large realm is a short walk.
const LIST_OF_GROUP: &str = "
select p.realm, p.username, p.display_name, p.emails, p.attributes, p.status, p.unit,
       p.group_names, p.locks, p.created_at, p.updated_at, p.version, p.external_id, p.provisioned
from   group_member m
join   person p on p.realm = m.realm and p.username = m.username
where  m.realm = $1
and    m.grp = $8
and    m.username > $2
and    m.username >= $4
and    ($4 = '' or m.username < $5)
and    (p.status = $6 or $6 is null)
and    (p.unit = $7 or $7 is null)
order  by m.username
limit  $3";

/// A column that a provider searches by; a statement of its own, so that its index is used.
const LIST_OF_EXTERNAL_ID: &str = list!("and p.external_id = $8");

const UPDATE: &str = "
update person
set    display_name = $3, emails = $4, attributes = $5, status = $6, unit = $7,
       updated_at = $8, locks = $10, external_id = $11, provisioned = $12,
       version = version + 1
where  realm = $1
and    username = $2
and    version = $9";

/// Whose going changes who is in them.
const TOUCH_GROUPS: &str = "
update grp
set    updated_at = $3, version = version + 1
where  realm = $1
and    name in (select grp from group_member where realm = $1 and username = $2)";

/// The very record that was looked at.
const DELETE: &str = "
delete from person
where  realm = $1
and    username = $2
and    version = $3
and    created_at = $4";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[INSERT, FIND, LIST, LIST_OF_GROUP, LIST_OF_EXTERNAL_ID, UPDATE, TOUCH_GROUPS, DELETE];

/// Adds a person.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    user: &User,
    event: &Event,
) -> Result<Inserted, Failure> {
    if !realm_exists(tx, &user.realm).await? {
        return Ok(Inserted::Missing("realm"));
    }
    if !unit_if_any(tx, &user.realm, user.unit.as_ref()).await? {
        return Ok(Inserted::Missing("unit"));
    }
    let values = values![
        &user.realm,
        &user.username,
        user.display_name.as_ref(),
        codec::json(&user.emails),
        attributes(user),
        user.status.name(),
        user.unit.as_ref(),
        user.created_at,
        user.updated_at,
        user.version,
        user.locks.words(),
        user.provisioned.external_id.as_ref(),
        codec::further(&user.provisioned)
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(Inserted::Exists);
    }
    record(tx, &user.realm, &user.username, event).await?;
    Ok(Inserted::Done)
}

/// Finds a person.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &Username,
) -> Result<Option<User>, Failure> {
    let row = tx.row(FIND, &values![realm, name]).await?;
    Ok(row.map(user_of).transpose()?)
}

/// Lists people by name.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &UserFilter,
    request: &PageRequest,
) -> Result<Page<User>, Failure> {
    let prefix = filter.prefix.as_deref().unwrap_or("");
    let mut values = values![
        realm,
        page::start(request),
        page::rows_to_ask(request),
        prefix,
        // No text sorts behind this code point, so this is the end of the prefix's range.
        format!("{prefix}\u{10ffff}"),
        filter.status.map(UserStatus::name),
        filter.unit.as_ref(),
        filter.group.as_ref()
    ];
    let rows = match (&filter.group, &filter.external_id) {
        (_, Some(id)) => {
            values[7] = id.into();
            tx.query(LIST_OF_EXTERNAL_ID, &values).await?
        }
        (Some(_), None) => tx.query(LIST_OF_GROUP, &values).await?,
        (None, None) => tx.query(LIST, &values[..7]).await?,
    };
    let mut page = page::of(rows, request, user_of, |user| user.username.to_string())?;
    // Both at once: who is called so is one person, or few.
    if let (Some(group), Some(_)) = (&filter.group, &filter.external_id) {
        page.items.retain(|user| user.groups.contains(group));
    }
    Ok(page)
}

/// Replaces a person's record.
pub(super) async fn update(
    tx: &mut Transaction<'_>,
    user: &User,
    event: &Event,
) -> Result<Updated<User>, Failure> {
    let Some(found) = find(tx, &user.realm, &user.username).await? else {
        return Ok(Updated::NotFound);
    };
    // Both may have the version 1.
    if found.created_at != user.created_at {
        return Ok(Updated::NotFound);
    }
    if found.version != user.version {
        return Ok(Updated::VersionMismatch);
    }
    if !unit_if_any(tx, &user.realm, user.unit.as_ref()).await? {
        return Ok(Updated::Missing("unit"));
    }
    let values = values![
        &user.realm,
        &user.username,
        user.display_name.as_ref(),
        codec::json(&user.emails),
        attributes(user),
        user.status.name(),
        user.unit.as_ref(),
        user.updated_at,
        user.version,
        user.locks.words(),
        user.provisioned.external_id.as_ref(),
        codec::further(&user.provisioned)
    ];
    if tx.execute(UPDATE, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    // With those that began while they did not count, by who was faster: coming back, they sign
    // in anew.
    if [found.status, user.status].iter().any(|status| *status != UserStatus::Active) {
        console::delete_sessions_of(tx, &user.realm, &user.username).await?;
    }
    record(tx, &user.realm, &user.username, event).await?;
    Ok(Updated::Done(User {
        groups: found.groups,
        created_at: found.created_at,
        version: user.version + 1,
        ..user.clone()
    }))
}

/// Removes a person, with everything that a namesake must not inherit.
pub(super) async fn remove(
    tx: &mut Transaction<'_>,
    removal: &UserRemoval,
) -> Result<Updated<()>, Failure> {
    let (realm, name, at) = (&removal.realm, &removal.username, removal.at);
    let Some(found) = find(tx, realm, name).await? else {
        return Ok(Updated::NotFound);
    };
    if removal.created_at.is_some_and(|meant| meant != found.created_at) {
        return Ok(Updated::NotFound);
    }
    if removal.version.is_some_and(|meant| meant != found.version) {
        return Ok(Updated::VersionMismatch);
    }
    tx.push(TOUCH_GROUPS, &values![realm, name, at]).await?;
    let looked_at = values![realm, name, found.version, found.created_at];
    if tx.execute(DELETE, &looked_at).await? == 0 {
        return Err(Failure::interleaved());
    }
    people::delete_all_of(tx, realm, "u", name.as_str()).await?;
    console::delete_all_of(tx, realm, name).await?;
    tokens::revoke_all_of(tx, realm, &Owner::User(name.clone()), at, &removal.event).await?;
    record(tx, realm, name, &removal.event).await?;
    Ok(Updated::Done(()))
}

async fn record(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &Username,
    event: &Event,
) -> Result<(), Failure> {
    events::append(tx, event).await?;
    tx.changed(Change::User(realm.clone(), name.clone()), event.at).await
}

fn attributes(user: &User) -> Option<String> {
    (!user.attributes.is_empty()).then(|| codec::json(&user.attributes))
}

fn user_of(mut row: Row) -> Result<User, Inconsistent> {
    Ok(User {
        realm: codec::realm(&mut row, "realm")?,
        username: row.parsed("username", |text| Username::parse(text).ok())?,
        display_name: row.text_or_null("display_name")?,
        emails: row.json("emails")?,
        attributes: row.json_or_null("attributes")?.unwrap_or_default(),
        status: row.parsed("status", UserStatus::from_name)?,
        unit: row.text_or_null("unit")?,
        groups: codec::groups(&mut row)?,
        locks: codec::locks(&mut row)?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
        provisioned: codec::provisioned(&mut row)?,
    })
}
