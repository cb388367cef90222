//! Documents of the AM door in SQL.

use async_trait::async_trait;
use counterfoil_authority::am::{AmDocument, AmKind, AmObject, OBJECTS_PER_REALM_MAX, builtin};
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    AmChange, AmChanged, AmDeleted, AmStore, Change, Inserted, Unavailable, Updated,
};

use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{SqlStore, codec, events};

macro_rules! columns {
    () => {
        "
select realm, kind, name, document, created_at, created_by, updated_at, updated_by, version
from   am_object
where  realm = $1
"
    };
}

/// Documents name each other, so those of one realm change one after the other.
const TURN: &str = "
select 1
from   realm
where  name = $1
{for_change}";

const INSERT: &str = "
insert into am_object (
    realm, kind, name, policy_set, resource_type, document, created_at, created_by, updated_at,
    updated_by, version
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict do nothing";

const FIND: &str = concat!(columns!(), "and kind = $2 and name = $3");
const LIST: &str = concat!(columns!(), "order by kind, name");
const LIST_KIND: &str = concat!(columns!(), "and kind = $2 order by name");

const EXISTS: &str = "
select 1
from   am_object
where  realm = $1
and    kind = $2
and    name = $3";

const COUNT: &str = "
select count(*) as documents
from   am_object
where  realm = $1";

const COUNT_OF_SET: &str = "
select count(*) as documents
from   am_object
where  realm = $1
and    policy_set = $2";

const COUNT_OF_TYPE: &str = "
select count(*) as documents
from   am_object
where  realm = $1
and    resource_type = $2";

const UPDATE: &str = "
update am_object
set    policy_set = $4, resource_type = $5, document = $6, updated_at = $7, updated_by = $8,
       version = version + 1
where  realm = $1
and    kind = $2
and    name = $3
and    version = $9";

const DELETE: &str = "
delete from am_object
where  realm = $1
and    kind = $2
and    name = $3
and    version = coalesce($4, version)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[
    TURN,
    INSERT,
    FIND,
    LIST,
    LIST_KIND,
    EXISTS,
    COUNT,
    COUNT_OF_SET,
    COUNT_OF_TYPE,
    UPDATE,
    DELETE,
];

async fn exists(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    kind: AmKind,
    name: &str,
) -> Result<bool, Failure> {
    let built_in = builtin::is_built_in(kind, name);
    Ok(built_in || tx.exists(EXISTS, &values![realm, kind.name(), name]).await?)
}

/// What the document names and does not exist.
async fn missing(
    tx: &mut Transaction<'_>,
    object: &AmObject,
) -> Result<Option<&'static str>, Failure> {
    for id in object.document.resource_types() {
        if !exists(tx, &object.realm, AmKind::ResourceType, id).await? {
            return Ok(Some("resource type"));
        }
    }
    match object.document.policy_set() {
        Some(set) if !exists(tx, &object.realm, AmKind::PolicySet, set).await? => {
            Ok(Some("policy set"))
        }
        _ => Ok(None),
    }
}

/// Whether another resource type has the name.
async fn name_is_taken(tx: &mut Transaction<'_>, object: &AmObject) -> Result<bool, Failure> {
    let Some(own) = object.resource_type() else { return Ok(false) };
    let others = list_kind(tx, &object.realm, AmKind::ResourceType).await?;
    Ok(others.iter().any(|other| {
        other.name != object.name && other.resource_type().is_some_and(|it| it.name == own.name)
    }))
}

async fn insert(
    tx: &mut Transaction<'_>,
    object: &AmObject,
    event: &Event,
) -> Result<Inserted, Failure> {
    if !tx.exists(TURN, &values![&object.realm]).await? {
        return Ok(Inserted::Missing("realm"));
    }
    if let Some(missing) = missing(tx, object).await? {
        return Ok(Inserted::Missing(missing));
    }
    if name_is_taken(tx, object).await? {
        return Ok(Inserted::Exists);
    }
    if count(tx, COUNT, &values![&object.realm]).await? >= u64::from(OBJECTS_PER_REALM_MAX) {
        return Ok(Inserted::Missing("room for more documents"));
    }
    let resource_type = object.policy().map(|policy| policy.resource_type_uuid.as_str());
    let values = values![
        &object.realm,
        object.kind().name(),
        object.name.as_str(),
        object.document.policy_set(),
        resource_type,
        document_text(object),
        object.created_at,
        object.created_by.as_str(),
        object.updated_at,
        object.updated_by.as_str(),
        object.version
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(Inserted::Exists);
    }
    record(tx, &object.realm, event).await?;
    Ok(Inserted::Done)
}

async fn count(
    tx: &mut Transaction<'_>,
    statement: &'static str,
    values: &[crate::engine::Value<'_>],
) -> Result<u64, Failure> {
    match tx.row(statement, values).await? {
        Some(mut row) => Ok(row.count("documents")?),
        None => Ok(0),
    }
}

async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    kind: AmKind,
    name: &str,
) -> Result<Option<AmObject>, Failure> {
    let row = tx.row(FIND, &values![realm, kind.name(), name]).await?;
    Ok(row.map(object_of).transpose()?)
}

async fn list(tx: &mut Transaction<'_>, realm: &RealmName) -> Result<Vec<AmObject>, Failure> {
    let rows = tx.query(LIST, &values![realm]).await?;
    Ok(rows.into_iter().map(object_of).collect::<Result<_, _>>()?)
}

async fn list_kind(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    kind: AmKind,
) -> Result<Vec<AmObject>, Failure> {
    let rows = tx.query(LIST_KIND, &values![realm, kind.name()]).await?;
    Ok(rows.into_iter().map(object_of).collect::<Result<_, _>>()?)
}

async fn update(
    tx: &mut Transaction<'_>,
    object: &AmObject,
    event: &Event,
) -> Result<Updated<AmObject>, Failure> {
    tx.lock(TURN, &values![&object.realm]).await?;
    let Some(found) = find(tx, &object.realm, object.kind(), &object.name).await? else {
        return Ok(Updated::NotFound);
    };
    if found.version != object.version {
        return Ok(Updated::VersionMismatch);
    }
    if let Some(missing) = missing(tx, object).await? {
        return Ok(Updated::Missing(missing));
    }
    if name_is_taken(tx, object).await? {
        return Ok(Updated::Exists);
    }
    let resource_type = object.policy().map(|policy| policy.resource_type_uuid.as_str());
    let values = values![
        &object.realm,
        object.kind().name(),
        object.name.as_str(),
        object.document.policy_set(),
        resource_type,
        document_text(object),
        object.updated_at,
        object.updated_by.as_str(),
        object.version
    ];
    if tx.execute(UPDATE, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    record(tx, &object.realm, event).await?;
    Ok(Updated::Done(AmObject {
        created_at: found.created_at,
        created_by: found.created_by,
        version: object.version + 1,
        ..object.clone()
    }))
}

/// How many others name a document.
async fn named_by(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    kind: AmKind,
    name: &str,
) -> Result<u64, Failure> {
    match kind {
        AmKind::Policy => Ok(0),
        AmKind::PolicySet => count(tx, COUNT_OF_SET, &values![realm, name]).await,
        AmKind::ResourceType => {
            let policies = count(tx, COUNT_OF_TYPE, &values![realm, name]).await?;
            let sets = list_kind(tx, realm, AmKind::PolicySet).await?;
            let naming =
                |set: &&AmObject| set.document.resource_types().iter().any(|id| id == name);
            Ok(policies + sets.iter().filter(naming).count() as u64)
        }
    }
}

async fn delete(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    kind: AmKind,
    name: &str,
    version: Option<i64>,
    event: &Event,
) -> Result<AmDeleted, Failure> {
    tx.lock(TURN, &values![realm]).await?;
    let named_by = named_by(tx, realm, kind, name).await?;
    if named_by > 0 {
        return Ok(AmDeleted::InUse(named_by));
    }
    if tx.execute(DELETE, &values![realm, kind.name(), name, version]).await? == 0 {
        let stands = tx.exists(EXISTS, &values![realm, kind.name(), name]).await?;
        return Ok(if stands { AmDeleted::VersionMismatch } else { AmDeleted::NotFound });
    }
    record(tx, realm, event).await?;
    Ok(AmDeleted::Done)
}

async fn change(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    changes: &[AmChange],
) -> Result<AmChanged, Failure> {
    for one in changes {
        let said = match one {
            AmChange::Insert(object, event) => match insert(tx, object, event).await? {
                Inserted::Done => continue,
                refused => AmChanged::NotInserted(refused),
            },
            AmChange::Delete(kind, name, event) => {
                match delete(tx, realm, *kind, name, None, event).await? {
                    AmDeleted::Done => continue,
                    refused => AmChanged::NotDeleted(refused),
                }
            }
        };
        tx.undo();
        return Ok(said);
    }
    Ok(AmChanged::Done)
}

/// The compiled documents are remembered with the realm.
async fn record(tx: &mut Transaction<'_>, realm: &RealmName, event: &Event) -> Result<(), Failure> {
    events::append(tx, event).await?;
    tx.changed(Change::Realm(realm.clone()), event.at).await
}

/// Documents of these types cannot fail to serialise.
fn document_text(object: &AmObject) -> String {
    object.document.to_json().unwrap_or_default()
}

fn object_of(mut row: Row) -> Result<AmObject, Inconsistent> {
    let realm = codec::realm(&mut row, "realm")?;
    let kind = row.parsed("kind", AmKind::from_name)?;
    Ok(AmObject {
        realm,
        name: row.text("name")?,
        document: row.parsed("document", |text| AmDocument::from_json(kind, text).ok())?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        updated_at: row.time("updated_at")?,
        updated_by: row.text("updated_by")?,
        version: row.int("version")?,
    })
}

#[async_trait]
impl AmStore for SqlStore {
    async fn am_insert(&self, object: AmObject, event: Event) -> Result<Inserted, Unavailable> {
        self.write((object, event), |tx, (object, event)| Box::pin(insert(tx, object, event))).await
    }

    async fn am_find(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
    ) -> Result<Option<AmObject>, Unavailable> {
        self.point((realm.clone(), kind, name.to_owned()), |tx, (realm, kind, name)| {
            Box::pin(find(tx, realm, *kind, name))
        })
        .await
    }

    async fn am_list(&self, realm: &RealmName) -> Result<Vec<AmObject>, Unavailable> {
        self.scan(realm.clone(), |tx, realm| Box::pin(list(tx, realm))).await
    }

    async fn am_update(
        &self,
        object: AmObject,
        event: Event,
    ) -> Result<Updated<AmObject>, Unavailable> {
        self.write((object, event), |tx, (object, event)| Box::pin(update(tx, object, event))).await
    }

    async fn am_change(
        &self,
        realm: &RealmName,
        changes: Vec<AmChange>,
    ) -> Result<AmChanged, Unavailable> {
        self.write((realm.clone(), changes), |tx, (realm, changes)| {
            Box::pin(change(tx, realm, changes))
        })
        .await
    }

    async fn am_delete(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
        version: Option<i64>,
        event: Event,
    ) -> Result<AmDeleted, Unavailable> {
        self.write(
            (realm.clone(), kind, name.to_owned(), version, event),
            |tx, (realm, kind, name, version, event)| {
                Box::pin(delete(tx, realm, *kind, name, *version, event))
            },
        )
        .await
    }
}
