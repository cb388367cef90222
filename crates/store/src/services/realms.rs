//! Realms: the tenants that hold everything else.

use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::service::{Realm, Service};
use counterfoil_authority::store::{Change, Inserted, Page, PageRequest, Updated};

use super::registry;
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::people::page;
use crate::{codec, events};

const INSERT: &str = "
insert into realm (
    name, display_name, enabled, zone, token_policy, created_at, updated_at, version
)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing";

macro_rules! columns {
    () => {
        "
select name, display_name, enabled, zone, token_policy, created_at, updated_at, version
from   realm
"
    };
}

const FIND: &str = concat!(columns!(), "where name = $1");
const LIST: &str = concat!(columns!(), "where name > $1 order by name limit $2");

const UPDATE: &str = "
update realm
set    display_name = $2, enabled = $3, zone = $4, token_policy = $5, updated_at = $6,
       version = version + 1
where  name = $1
and    version = $7";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[INSERT, FIND, LIST, UPDATE];

/// Adds a realm together with its built-in service.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    realm: &Realm,
    builtin: &Service,
    event: &Event,
) -> Result<Inserted, Failure> {
    let values = values![
        &realm.name,
        realm.display_name.as_ref(),
        realm.enabled,
        &realm.zone,
        codec::json(&realm.token_policy),
        realm.created_at,
        realm.updated_at,
        realm.version
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(Inserted::Exists);
    }
    registry::store(tx, builtin).await?;
    events::append(tx, event).await?;
    tx.changed(Change::Realm(realm.name.clone()), event.at).await?;
    Ok(Inserted::Done)
}

/// Finds a realm.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    name: &RealmName,
) -> Result<Option<Realm>, Failure> {
    let row = tx.row(FIND, &values![name]).await?;
    Ok(row.map(realm_of).transpose()?)
}

/// Lists realms by name.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    request: &PageRequest,
) -> Result<Page<Realm>, Failure> {
    let rows = tx.query(LIST, &values![page::start(request), page::rows_to_ask(request)]).await?;
    page::of(rows, request, realm_of, |realm| realm.name.to_string())
}

/// Replaces a realm.
pub(super) async fn update(
    tx: &mut Transaction<'_>,
    realm: &Realm,
    event: &Event,
) -> Result<Updated<Realm>, Failure> {
    let Some(found) = find(tx, &realm.name).await? else { return Ok(Updated::NotFound) };
    if found.version != realm.version {
        return Ok(Updated::VersionMismatch);
    }
    let values = values![
        &realm.name,
        realm.display_name.as_ref(),
        realm.enabled,
        &realm.zone,
        codec::json(&realm.token_policy),
        realm.updated_at,
        realm.version
    ];
    if tx.execute(UPDATE, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    events::append(tx, event).await?;
    tx.changed(Change::Realm(realm.name.clone()), event.at).await?;
    Ok(Updated::Done(Realm {
        created_at: found.created_at,
        version: realm.version + 1,
        ..realm.clone()
    }))
}

fn realm_of(mut row: Row) -> Result<Realm, Inconsistent> {
    Ok(Realm {
        name: codec::realm(&mut row, "name")?,
        display_name: row.text_or_null("display_name")?,
        enabled: row.flag("enabled")?,
        zone: row.text("zone")?,
        token_policy: row.json("token_policy")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
    })
}
