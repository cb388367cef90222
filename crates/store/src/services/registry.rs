//! Services: what tokens are good for, and why one in use cannot be removed.

use counterfoil_authority::event::Event;
use counterfoil_authority::names::{GroupName, RealmName, ServiceLabel};
use counterfoil_authority::service::{Service, ServiceStatus, Visibility};
use counterfoil_authority::store::{Change, Inserted, Page, PageRequest, ServiceDeleted, Updated};

use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::people::{group_exists, page, realm_exists, unit_if_any};
use crate::{clients, codec, events, people};

const INSERT: &str = "
insert into service (
    realm, label, name, description, url, contact, logo_url, visibility, grp,
    entitlement_uri, status, unit, token_policy, forward_auth, created_at, updated_at, version,
    locked
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
on conflict do nothing";

macro_rules! columns {
    () => {
        "
select realm, label, name, description, url, contact, logo_url, visibility, grp,
       entitlement_uri, status, locked, unit, token_policy, forward_auth, created_at, updated_at,
       version
from   service
where  realm = $1
"
    };
}

const FIND: &str = concat!(columns!(), "and label = $2");
const LIST: &str = concat!(columns!(), "and label > $2 order by label limit $3");

const UPDATE: &str = "
update service
set    name = $3, description = $4, url = $5, contact = $6, logo_url = $7, visibility = $8,
       grp = $9, entitlement_uri = $10, status = $11, unit = $12, token_policy = $13,
       forward_auth = $14, updated_at = $15, locked = $17, version = version + 1
where  realm = $1
and    label = $2
and    version = $16";

/// `cross join`: begin with the service's own rows, not with every token of the realm.
const LIVE_TOKENS: &str = "
select count(*)
from   token_service s
cross  join token t
where  s.realm = $1
and    s.service = $2
and    t.realm = s.realm
and    t.sort_key = s.sort_key
and    t.revoked_at is null";

/// Nobody receives a token for a service that is about to go.
const TURN: &str = "
select 1
from   service
where  realm = $1
and    label = $2
{for_removal}";

const DELETE: &str = "
delete from service
where  realm = $1
and    label = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[INSERT, FIND, LIST, UPDATE, LIVE_TOKENS, TURN, DELETE];

/// Adds a service.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    service: &Service,
    event: &Event,
) -> Result<Inserted, Failure> {
    if !realm_exists(tx, &service.realm).await? {
        return Ok(Inserted::Missing("realm"));
    }
    if let Some(missing) = missing(tx, service).await? {
        return Ok(Inserted::Missing(missing));
    }
    if store(tx, service).await? == 0 {
        return Ok(Inserted::Exists);
    }
    record(tx, service, event).await?;
    Ok(Inserted::Done)
}

/// Stores the row alone; says whether the label was free.
pub(super) async fn store(tx: &mut Transaction<'_>, service: &Service) -> Result<u64, Failure> {
    let values = values![
        &service.realm,
        &service.label,
        &service.name,
        service.description.as_ref(),
        service.url.as_ref(),
        service.contact.as_ref(),
        service.logo_url.as_ref(),
        service.visibility.name(),
        service.group.as_ref(),
        service.entitlement_uri.as_ref(),
        service.status.name(),
        service.unit.as_ref(),
        codec::json(&service.token_policy),
        codec::json(&service.forward_auth),
        service.created_at,
        service.updated_at,
        service.version,
        service.locked
    ];
    tx.execute(INSERT, &values).await
}

/// Finds a service.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    label: &ServiceLabel,
) -> Result<Option<Service>, Failure> {
    let row = tx.row(FIND, &values![realm, label]).await?;
    Ok(row.map(service_of).transpose()?)
}

/// Lists services by label.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    request: &PageRequest,
) -> Result<Page<Service>, Failure> {
    let values = values![realm, page::start(request), page::rows_to_ask(request)];
    let rows = tx.query(LIST, &values).await?;
    page::of(rows, request, service_of, |service| service.label.to_string())
}

/// Replaces a service.
pub(super) async fn update(
    tx: &mut Transaction<'_>,
    service: &Service,
    event: &Event,
) -> Result<Updated<Service>, Failure> {
    let Some(found) = find(tx, &service.realm, &service.label).await? else {
        return Ok(Updated::NotFound);
    };
    if found.version != service.version {
        return Ok(Updated::VersionMismatch);
    }
    if let Some(missing) = missing(tx, service).await? {
        return Ok(Updated::Missing(missing));
    }
    let values = values![
        &service.realm,
        &service.label,
        &service.name,
        service.description.as_ref(),
        service.url.as_ref(),
        service.contact.as_ref(),
        service.logo_url.as_ref(),
        service.visibility.name(),
        service.group.as_ref(),
        service.entitlement_uri.as_ref(),
        service.status.name(),
        service.unit.as_ref(),
        codec::json(&service.token_policy),
        codec::json(&service.forward_auth),
        service.updated_at,
        service.version,
        service.locked
    ];
    if tx.execute(UPDATE, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    record(tx, service, event).await?;
    Ok(Updated::Done(Service {
        created_at: found.created_at,
        version: service.version + 1,
        ..service.clone()
    }))
}

/// Removes a service that no live token names, and whatever a namesake must not inherit.
pub(super) async fn delete(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    label: &ServiceLabel,
    event: &Event,
) -> Result<ServiceDeleted, Failure> {
    tx.lock(TURN, &values![realm, label]).await?;
    let live = match tx.row(LIVE_TOKENS, &values![realm, label]).await? {
        Some(mut row) => row.count("count")?,
        None => 0,
    };
    if live > 0 {
        return Ok(ServiceDeleted::InUse(live));
    }
    if tx.execute(DELETE, &values![realm, label]).await? == 0 {
        return Ok(ServiceDeleted::NotFound);
    }
    people::delete_all_of_service(tx, realm, label, event).await?;
    clients::forget_service(tx, realm, label, event).await?;
    events::append(tx, event).await?;
    tx.changed(Change::Service(realm.clone(), label.clone()), event.at).await?;
    Ok(ServiceDeleted::Done)
}

async fn missing(
    tx: &mut Transaction<'_>,
    service: &Service,
) -> Result<Option<&'static str>, Failure> {
    match &service.group {
        Some(group) if !group_exists(tx, &service.realm, group).await? => Ok(Some("group")),
        _ if !unit_if_any(tx, &service.realm, service.unit.as_ref()).await? => Ok(Some("unit")),
        _ => Ok(None),
    }
}

async fn record(tx: &mut Transaction<'_>, service: &Service, event: &Event) -> Result<(), Failure> {
    events::append(tx, event).await?;
    tx.changed(Change::Service(service.realm.clone(), service.label.clone()), event.at).await
}

fn service_of(mut row: Row) -> Result<Service, Inconsistent> {
    Ok(Service {
        realm: codec::realm(&mut row, "realm")?,
        label: row.parsed("label", codec::label)?,
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        url: row.text_or_null("url")?,
        contact: row.text_or_null("contact")?,
        logo_url: row.text_or_null("logo_url")?,
        visibility: row.parsed("visibility", Visibility::from_name)?,
        group: row.parsed_or_null("grp", |text| GroupName::parse(text).ok())?,
        entitlement_uri: row.text_or_null("entitlement_uri")?,
        status: row.parsed("status", ServiceStatus::from_name)?,
        locked: row.flag("locked")?,
        unit: row.text_or_null("unit")?,
        token_policy: row.json("token_policy")?,
        forward_auth: row.json("forward_auth")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
    })
}
