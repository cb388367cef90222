//! Targets as rows.

use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, TargetName};
use counterfoil_authority::provision::{Target, TargetKind, TargetMode};
use counterfoil_authority::store::{Change, Inserted, TARGETS_PER_REALM_MAX, Updated};

use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::people::realm_exists;
use crate::tokens::newly_heard;
use crate::{codec, events};

macro_rules! columns {
    () => {
        "
select realm, name, kind, mode, place_order, config, secret, created_at, updated_at, version
from   target
"
    };
}

const INSERT: &str = "
insert into target (
    realm, name, kind, mode, place_order, config, secret, created_at, updated_at, version
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing";

const FIND: &str = concat!(columns!(), "where realm = $1 and name = $2");
const LIST: &str = concat!(columns!(), "where realm = $1 order by name");
/// A few per realm at most, and few realms have any.
const ALL: &str = concat!(columns!(), "order by realm, name");

const UPDATE: &str = "
update target
set    mode = $3, place_order = $4, config = $5, secret = $6, updated_at = $7,
       version = version + 1
where  realm = $1
and    name = $2
and    version = $8";

const DELETE: &str = "
delete from target
where  realm = $1
and    name = $2";

const DELETE_DELIVERIES: &str = "
delete from delivery
where  realm = $1
and    target = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[INSERT, FIND, LIST, ALL, UPDATE, DELETE, DELETE_DELIVERIES];

/// Adds a target.
pub(super) async fn insert(
    tx: &mut Transaction<'_>,
    target: &Target,
    event: &Event,
) -> Result<Inserted, Failure> {
    if !realm_exists(tx, &target.realm).await? {
        return Ok(Inserted::Missing("realm"));
    }
    let known = list(tx, &target.realm).await?;
    if known.iter().any(|one| one.name == target.name) {
        return Ok(Inserted::Exists);
    }
    if known.len() >= TARGETS_PER_REALM_MAX as usize {
        return Ok(Inserted::Missing("place for one more target"));
    }
    let values = values![
        &target.realm,
        &target.name,
        target.kind.name(),
        target.mode.name(),
        target.order,
        codec::json(&target.config),
        target.secret.as_deref(),
        target.created_at,
        target.updated_at,
        target.version
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(Inserted::Exists);
    }
    newly_heard(tx, &target.realm, event.at).await?;
    record(tx, &target.realm, event).await?;
    Ok(Inserted::Done)
}

/// Finds a target.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &TargetName,
) -> Result<Option<Target>, Failure> {
    let row = tx.row(FIND, &values![realm, name]).await?;
    Ok(row.map(target_of).transpose()?)
}

/// The targets of a realm.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
) -> Result<Vec<Target>, Failure> {
    let rows = tx.query(LIST, &values![realm]).await?;
    Ok(rows.into_iter().map(target_of).collect::<Result<_, _>>()?)
}

/// Every target.
pub(super) async fn all(tx: &mut Transaction<'_>) -> Result<Vec<Target>, Failure> {
    let rows = tx.query(ALL, &[]).await?;
    Ok(rows.into_iter().map(target_of).collect::<Result<_, _>>()?)
}

/// Replaces a target.
pub(super) async fn update(
    tx: &mut Transaction<'_>,
    target: &Target,
    event: &Event,
) -> Result<Updated<Target>, Failure> {
    let Some(found) = find(tx, &target.realm, &target.name).await? else {
        return Ok(Updated::NotFound);
    };
    if found.version != target.version {
        return Ok(Updated::VersionMismatch);
    }
    let values = values![
        &target.realm,
        &target.name,
        target.mode.name(),
        target.order,
        codec::json(&target.config),
        target.secret.as_deref(),
        target.updated_at,
        target.version
    ];
    if tx.execute(UPDATE, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    record(tx, &target.realm, event).await?;
    Ok(Updated::Done(Target {
        kind: found.kind,
        created_at: found.created_at,
        version: target.version + 1,
        ..target.clone()
    }))
}

/// Removes a target, and what was on its way there.
pub(super) async fn delete(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &TargetName,
    event: &Event,
) -> Result<bool, Failure> {
    if tx.execute(DELETE, &values![realm, name]).await? == 0 {
        return Ok(false);
    }
    tx.push(DELETE_DELIVERIES, &values![realm, name]).await?;
    record(tx, realm, event).await?;
    Ok(true)
}

/// What is derived at issue follows from the targets, and is remembered with the realm.
async fn record(tx: &mut Transaction<'_>, realm: &RealmName, event: &Event) -> Result<(), Failure> {
    events::append(tx, event).await?;
    tx.changed(Change::Realm(realm.clone()), event.at).await
}

fn target_of(mut row: Row) -> Result<Target, Inconsistent> {
    Ok(Target {
        realm: codec::realm(&mut row, "realm")?,
        name: row.parsed("name", |text| TargetName::parse(text).ok())?,
        kind: row.parsed("kind", TargetKind::from_name)?,
        mode: row.parsed("mode", TargetMode::from_name)?,
        order: row.int("place_order")?,
        config: row.json("config")?,
        secret: row.bytes_or_null("secret")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
    })
}
