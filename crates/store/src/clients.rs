//! Machine clients in SQL, and the keys that are made with them.

use async_trait::async_trait;
use counterfoil_authority::access::AccessSettings;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{ClientName, RealmName, ServiceLabel};
use counterfoil_authority::scope::{ApiScope, ApiScopes};
use counterfoil_authority::store::{
    Change, ClientCreated, ClientStore, Issued, NewClient, Page, PageRequest, Unavailable, Updated,
};
use counterfoil_authority::subject::{Client, Owner, Role};

use crate::engine::{Failure, Inconsistent, Row, Transaction, Value, values};
use crate::idempotency::{self, Earlier};
use crate::people::{page, realm_exists, service_exists, unit_if_any};
use crate::{SqlStore, codec, events, people, tokens};

const INSERT: &str = "
insert into client (
    realm, name, description, roles, scopes, services, unit, limits, enabled,
    created_at, updated_at, version, access
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict do nothing";

macro_rules! columns {
    () => {
        "
select realm, name, description, roles, scopes, services, unit, limits, enabled,
       created_at, updated_at, version, access
from   client
where  realm = $1
"
    };
}

const FIND: &str = concat!(columns!(), "and name = $2");
const LIST: &str = concat!(columns!(), "and name > $2 order by name limit $3");
const WITH_SERVICES: &str = concat!(columns!(), "and services is not null {for_change}");

const UPDATE: &str = "
update client
set    description = $3, roles = $4, scopes = $5, services = $6, unit = $7, limits = $8,
       enabled = $9, updated_at = $10, access = $12, version = version + 1
where  realm = $1
and    name = $2
and    version = $11";

const SET_SERVICES: &str = "
update client
set    services = $3, version = version + 1
where  realm = $1
and    name = $2";

const DELETE: &str = "
delete from client
where  realm = $1
and    name = $2";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, FIND, LIST, WITH_SERVICES, UPDATE, SET_SERVICES, DELETE];

/// Adds a client and its key, or neither.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    new: &NewClient,
    event: &Event,
) -> Result<ClientCreated, Failure> {
    if let Some(answered) = answered(tx, new).await? {
        return Ok(answered);
    }
    match admit(tx, new, event).await? {
        // The same request may have come at the same time, and be what this one has met.
        ClientCreated::Exists => Ok(answered(tx, new).await?.unwrap_or(ClientCreated::Exists)),
        said => Ok(said),
    }
}

/// What the same request, or another one with its key, was answered.
async fn answered(
    tx: &mut Transaction<'_>,
    new: &NewClient,
) -> Result<Option<ClientCreated>, Failure> {
    let now = new.key.token.created_at;
    Ok(match idempotency::earlier(tx, new.key.idempotency.as_ref(), now).await? {
        Earlier::Answered(answer) => Some(ClientCreated::Replayed(answer)),
        Earlier::Other => Some(ClientCreated::KeyReused),
        Earlier::None => None,
    })
}

async fn admit(
    tx: &mut Transaction<'_>,
    new: &NewClient,
    event: &Event,
) -> Result<ClientCreated, Failure> {
    let NewClient { client, key } = new;
    if !realm_exists(tx, &client.realm).await? {
        return Ok(ClientCreated::Missing("realm"));
    }
    if let Some(missing) = missing(tx, client).await? {
        return Ok(ClientCreated::Missing(missing));
    }
    if tx.execute(INSERT, &row_of(client)).await? == 0 {
        return Ok(ClientCreated::Exists);
    }
    record(tx, client, event).await?;
    match tokens::admit(tx, key).await? {
        Issued::Done { token, .. } => Ok(ClientCreated::Done(token)),
        // Both cannot happen to a new client; asking again draws other random numbers.
        _ => Err(Failure::Overtaken("the client's key could not be stored")),
    }
}

async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &ClientName,
) -> Result<Option<Client>, Failure> {
    let row = tx.row(FIND, &values![realm, name]).await?;
    Ok(row.map(|mut row| client_of(&mut row)).transpose()?)
}

async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    request: &PageRequest,
) -> Result<Page<Client>, Failure> {
    let values = values![realm, page::start(request), page::rows_to_ask(request)];
    let rows = tx.query(LIST, &values).await?;
    page::of(rows, request, |mut row| client_of(&mut row), |client| client.name.to_string())
}

async fn update(
    tx: &mut Transaction<'_>,
    client: &Client,
    event: &Event,
) -> Result<Updated<Client>, Failure> {
    let Some(found) = find(tx, &client.realm, &client.name).await? else {
        return Ok(Updated::NotFound);
    };
    if found.version != client.version {
        return Ok(Updated::VersionMismatch);
    }
    if let Some(missing) = missing(tx, client).await? {
        return Ok(Updated::Missing(missing));
    }
    let values = values![
        &client.realm,
        &client.name,
        client.description.as_ref(),
        codec::words(client.roles.iter().map(|role| role.name())),
        client.scopes.map(scope_words),
        client.services.as_ref().map(codec::words),
        client.unit.as_ref(),
        codec::json(&client.limits),
        client.enabled,
        client.updated_at,
        client.version,
        access_json(&client.access)
    ];
    if tx.execute(UPDATE, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    record(tx, client, event).await?;
    Ok(Updated::Done(Client {
        created_at: found.created_at,
        version: client.version + 1,
        ..client.clone()
    }))
}

async fn delete(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &ClientName,
    at: Timestamp,
    event: &Event,
) -> Result<bool, Failure> {
    if tx.execute(DELETE, &values![realm, name]).await? == 0 {
        return Ok(false);
    }
    people::delete_all_of(tx, realm, "c", name.as_str()).await?;
    tokens::revoke_all_of(tx, realm, &Owner::Client(name.clone()), at, event).await?;
    events::append(tx, event).await?;
    tx.changed(Change::Client(realm.clone(), name.clone()), event.at).await?;
    Ok(true)
}

/// Takes a removed service from every client that names it.
///
/// A list that becomes empty stays a list: the client may then verify for no
/// service, never for all of them.
pub(crate) async fn forget_service(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    label: &ServiceLabel,
    event: &Event,
) -> Result<(), Failure> {
    for mut row in tx.query(WITH_SERVICES, &values![realm]).await? {
        let client = client_of(&mut row)?;
        let Some(services) = client.services.filter(|services| services.contains(label)) else {
            continue;
        };
        let rest = codec::words(services.iter().filter(|named| *named != label));
        tx.push(SET_SERVICES, &values![realm, &client.name, rest]).await?;
        tx.changed(Change::Client(realm.clone(), client.name), event.at).await?;
    }
    Ok(())
}

async fn missing(
    tx: &mut Transaction<'_>,
    client: &Client,
) -> Result<Option<&'static str>, Failure> {
    if !unit_if_any(tx, &client.realm, client.unit.as_ref()).await? {
        return Ok(Some("unit"));
    }
    for label in client.services.iter().flatten() {
        if !service_exists(tx, &client.realm, label).await? {
            return Ok(Some("service"));
        }
    }
    Ok(None)
}

async fn record(tx: &mut Transaction<'_>, client: &Client, event: &Event) -> Result<(), Failure> {
    events::append(tx, event).await?;
    tx.changed(Change::Client(client.realm.clone(), client.name.clone()), event.at).await
}

fn scope_words(scopes: ApiScopes) -> String {
    codec::words(scopes.iter().map(ApiScope::name))
}

fn row_of(client: &Client) -> [Value<'_>; 13] {
    values![
        &client.realm,
        &client.name,
        client.description.as_ref(),
        codec::words(client.roles.iter().map(|role: &Role| role.name())),
        client.scopes.map(scope_words),
        client.services.as_ref().map(codec::words),
        client.unit.as_ref(),
        codec::json(&client.limits),
        client.enabled,
        client.created_at,
        client.updated_at,
        client.version,
        access_json(&client.access)
    ]
}

/// A client that says nothing of its access tokens keeps a null, as older ones have it.
fn access_json(access: &AccessSettings) -> Option<String> {
    (!access.is_empty()).then(|| codec::json(access))
}

/// Reads the thirteen columns of a client.
pub(crate) fn client_of(row: &mut Row) -> Result<Client, Inconsistent> {
    Ok(Client {
        realm: codec::realm(row, "realm")?,
        name: row.parsed("name", |text| ClientName::parse(text).ok())?,
        description: row.text_or_null("description")?,
        roles: codec::roles(row)?,
        scopes: codec::api_scopes(row)?,
        services: row.parsed_or_null("services", |text| codec::unwords(text, codec::label))?,
        unit: row.text_or_null("unit")?,
        limits: row.json("limits")?,
        enabled: row.flag("enabled")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
        access: row.json_or_null("access")?.unwrap_or_default(),
    })
}

#[async_trait]
impl ClientStore for SqlStore {
    async fn client_insert(
        &self,
        new: NewClient,
        event: Event,
    ) -> Result<ClientCreated, Unavailable> {
        self.write((new, event), |tx, (new, event)| Box::pin(insert(tx, new, event))).await
    }

    async fn client_find(
        &self,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Option<Client>, Unavailable> {
        self.point((realm.clone(), name.clone()), |tx, (realm, name)| {
            Box::pin(find(tx, realm, name))
        })
        .await
    }

    async fn client_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Client>, Unavailable> {
        self.scan((realm.clone(), page), |tx, (realm, page)| Box::pin(list(tx, realm, page))).await
    }

    async fn client_update(
        &self,
        client: Client,
        event: Event,
    ) -> Result<Updated<Client>, Unavailable> {
        self.write((client, event), |tx, (client, event)| Box::pin(update(tx, client, event))).await
    }

    async fn client_delete(
        &self,
        realm: &RealmName,
        name: &ClientName,
        at: Timestamp,
        event: Event,
    ) -> Result<bool, Unavailable> {
        self.write((realm.clone(), name.clone(), at, event), |tx, (realm, name, at, event)| {
            Box::pin(delete(tx, realm, name, *at, event))
        })
        .await
    }
}
