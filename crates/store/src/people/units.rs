//! Units: organisational units or customers inside a realm.

use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{Inserted, Page, PageRequest, Updated};
use counterfoil_authority::subject::Unit;

use super::{page, realm_exists, unit_exists, unit_if_any};
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events};

const INSERT: &str = "
insert into unit (
    realm, id, name, identifier, external_id, parent, created_at, updated_at, version
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict do nothing";

macro_rules! columns {
    () => {
        "
select realm, id, name, identifier, external_id, parent, created_at, updated_at, version
from   unit
where  realm = $1
"
    };
}

const FIND: &str = concat!(columns!(), "and id = $2");
const LIST: &str = concat!(columns!(), "and name > $2 order by name limit $3");

const NAMESAKE: &str = "
select 1
from   unit
where  realm = $1
and    name = $2
and    id <> $3";

/// A unit must not lie below itself.
const IS_BELOW: &str = "
with recursive above (id, parent) as (
    select id, parent
    from   unit
    where  realm = $1 and id = $2
    union
    select u.id, u.parent
    from   unit u
    join   above a on a.parent = u.id
    where  u.realm = $1
)
select 1
from   above
where  id = $3";

const UPDATE: &str = "
update unit
set    name = $3, identifier = $4, external_id = $5, parent = $6, updated_at = $7,
       version = version + 1
where  realm = $1
and    id = $2
and    version = $8";

const IS_USED: &str = "
select 1 from person where realm = $1 and unit = $2
union all
select 1 from service where realm = $1 and unit = $2
union all
select 1 from client where realm = $1 and unit = $2
union all
select 1 from token where realm = $1 and unit = $2
union all
select 1 from role_grant where realm = $1 and unit = $2
union all
select 1 from unit where realm = $1 and parent = $2
limit 1";

const DELETE: &str = "
delete from unit
where  realm = $1
and    id = $2";

/// Who moves a unit below another takes the turn at all of them: two moves that are each in order
/// may make a ring together.
const TURN_AT_ALL: &str = "select 1 from realm where name = $1 {for_change}";

/// Nothing joins a unit that is about to go.
const TURN: &str = "select 1 from unit where realm = $1 and id = $2 {for_removal}";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[INSERT, FIND, LIST, NAMESAKE, IS_BELOW, UPDATE, IS_USED, DELETE, TURN_AT_ALL, TURN];

/// Adds a unit.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    unit: &Unit,
    event: &Event,
) -> Result<Inserted, Failure> {
    if !realm_exists(tx, &unit.realm).await? {
        return Ok(Inserted::Missing("realm"));
    }
    if !unit_if_any(tx, &unit.realm, unit.parent.as_ref()).await? {
        return Ok(Inserted::Missing("parent"));
    }
    let values = values![
        &unit.realm,
        &unit.id,
        &unit.name,
        unit.identifier.as_ref(),
        unit.external_id.as_ref(),
        unit.parent.as_ref(),
        unit.created_at,
        unit.updated_at,
        unit.version
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(Inserted::Exists);
    }
    events::append(tx, event).await?;
    Ok(Inserted::Done)
}

/// Finds a unit.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
) -> Result<Option<Unit>, Failure> {
    let row = tx.row(FIND, &values![realm, id]).await?;
    Ok(row.map(unit_of).transpose()?)
}

/// Lists units by name.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    request: &PageRequest,
) -> Result<Page<Unit>, Failure> {
    let values = values![realm, page::start(request), page::rows_to_ask(request)];
    let rows = tx.query(LIST, &values).await?;
    page::of(rows, request, unit_of, |unit| unit.name.clone())
}

/// Replaces a unit.
pub(super) async fn update(
    tx: &mut Transaction<'_>,
    unit: &Unit,
    event: &Event,
) -> Result<Updated<Unit>, Failure> {
    if unit.parent.is_some() {
        tx.lock(TURN_AT_ALL, &values![&unit.realm]).await?;
    }
    let Some(found) = find(tx, &unit.realm, &unit.id).await? else {
        return Ok(Updated::NotFound);
    };
    if found.version != unit.version {
        return Ok(Updated::VersionMismatch);
    }
    if let Some(parent) = &unit.parent {
        let below = tx.exists(IS_BELOW, &values![&unit.realm, parent, &unit.id]).await?;
        if below || !unit_exists(tx, &unit.realm, parent).await? {
            return Ok(Updated::Missing("parent"));
        }
    }
    if tx.exists(NAMESAKE, &values![&unit.realm, &unit.name, &unit.id]).await? {
        return Ok(Updated::Exists);
    }
    let values = values![
        &unit.realm,
        &unit.id,
        &unit.name,
        unit.identifier.as_ref(),
        unit.external_id.as_ref(),
        unit.parent.as_ref(),
        unit.updated_at,
        unit.version
    ];
    if tx.execute(UPDATE, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    events::append(tx, event).await?;
    Ok(Updated::Done(Unit {
        created_at: found.created_at,
        version: unit.version + 1,
        ..unit.clone()
    }))
}

/// Removes a unit to which nothing belongs.
pub(super) async fn delete(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
    event: &Event,
) -> Result<Inserted, Failure> {
    tx.lock(TURN, &values![realm, id]).await?;
    if !unit_exists(tx, realm, id).await? {
        return Ok(Inserted::Missing("unit"));
    }
    if tx.exists(IS_USED, &values![realm, id]).await? {
        return Ok(Inserted::Exists);
    }
    tx.execute(DELETE, &values![realm, id]).await?;
    events::append(tx, event).await?;
    Ok(Inserted::Done)
}

fn unit_of(mut row: Row) -> Result<Unit, Inconsistent> {
    Ok(Unit {
        realm: codec::realm(&mut row, "realm")?,
        id: row.text("id")?,
        name: row.text("name")?,
        identifier: row.text_or_null("identifier")?,
        external_id: row.text_or_null("external_id")?,
        parent: row.text_or_null("parent")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
    })
}
