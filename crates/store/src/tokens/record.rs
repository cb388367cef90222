//! The one read that a cache miss costs: token, its person and its secrets in one statement.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ServiceLabel, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::Mac256;
use counterfoil_authority::store::Record;
use counterfoil_authority::subject::{Owner, OwnerFacts, UserFacts, UserStatus};
use counterfoil_authority::token::StoredSecret;

use super::rows;
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{clients, codec};

/// One row per secret. The secret comes first: a second row repeats all that follows.
///
/// What few tokens have, a client as their owner or a parent, is not joined: a server spends more
/// on each table of a statement than on the rows it finds there.
macro_rules! record {
    ($tokens:literal, $condition:literal) => {
        concat!(
            "
select t.id, s.id, s.slot, s.created_at, s.not_before, s.expires_at, s.pepper, s.hash,
       s.cost, s.found_by_hash,
       t.realm, t.kind, t.owner_kind, t.owner, t.services, t.scopes, t.permissions,
       t.networks, t.doors, t.enabled, t.locked, t.pending, t.revoked_at, t.not_before,
       t.expires_at, t.created_at, t.max_usages, t.parent, t.repository, t.place,
       p.username, p.display_name, p.emails, p.status, p.unit, p.group_names, p.locks
from   ",
            $tokens,
            " t
left   join token_secret s on s.token = t.id
left   join person p on t.owner_kind = 'u' and p.realm = t.realm and p.username = t.owner
",
            $condition
        )
    };
}

/// The token with this id or the nearest one below, whose row is then read and dropped: reading
/// nothing for an unknown id would be quicker, and time would tell whoever guesses ids which of
/// them exist.
const BY_ID: &str = record!(
    "(
    select id, realm, kind, owner_kind, owner, services, scopes, permissions, networks, doors,
           enabled, locked, pending, revoked_at, not_before, expires_at, created_at, max_usages,
           parent, repository, place
    from   token
    where  id <= $1
    order  by id desc
    limit  1
)",
    ""
);

const BY_HASH: &str = record!(
    "token",
    "where  t.id = (
    select h.token
    from   token_secret h
    where  h.hash = $1 and h.found_by_hash = 1
)"
);

const SLOW_OF: &str = record!(
    "token",
    "where  t.realm = $1
and    t.owner_kind = 'u'
and    t.owner = $2
and    t.revoked_at is null
and    exists (
    select 1
    from   token_service n
    where  n.realm = t.realm and n.service = $3 and n.sort_key = t.sort_key
)
and    exists (
    select 1
    from   token_secret w
    where  w.token = t.id and w.cost is not null
)
order  by t.sort_key desc"
);

/// A parent that is gone altogether counts as revoked: it has no row here.
const PARENT: &str = "
select 1
from   token
where  id = $1
and    revoked_at is null";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[BY_ID, BY_HASH, SLOW_OF, PARENT];

/// The record of a token.
pub(super) async fn by_id(
    tx: &mut Transaction<'_>,
    id: TokenId,
) -> Result<Option<Record>, Failure> {
    let found = records_of(tx.query(BY_ID, &values![&id]).await?)?;
    // The nearest one is completed too, for the same reason as it is read.
    let mut found = completed(tx, found).await?;
    found.retain(|record| record.id == id);
    Ok(found.pop())
}

/// The record of the token with a secret that is found by its hash.
pub(super) async fn by_hash(
    tx: &mut Transaction<'_>,
    mac: Mac256,
) -> Result<Option<Record>, Failure> {
    let found = records_of(tx.query(BY_HASH, &values![mac.as_bytes()]).await?)?;
    Ok(completed(tx, found).await?.pop())
}

/// The records of a person's tokens for a service that have a slow hash and are not revoked.
pub(super) async fn slow_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    user: &Username,
    service: &ServiceLabel,
) -> Result<Vec<Record>, Failure> {
    let found = records_of(tx.query(SLOW_OF, &values![realm, user, service]).await?)?;
    completed(tx, found).await
}

/// Reads what is not joined. It may be newer than the rest, never older.
async fn completed(
    tx: &mut Transaction<'_>,
    mut records: Vec<Record>,
) -> Result<Vec<Record>, Failure> {
    for record in &mut records {
        if let Owner::Client(name) = &record.owner {
            let client = clients::find(tx, &record.realm, name).await?;
            record.owner_facts =
                client.map_or(OwnerFacts::Gone, |client| OwnerFacts::Client(client.into()));
        }
        if let Some(parent) = &record.parent {
            record.parent_revoked = tx.row(PARENT, &values![parent]).await?.is_none();
        }
    }
    Ok(records)
}

fn records_of(rows: Vec<Row>) -> Result<Vec<Record>, Inconsistent> {
    let mut records: Vec<Record> = Vec::new();
    for mut row in rows {
        let id = row.token("id")?;
        let secret = secret_of(&mut row)?;
        match records.last_mut() {
            Some(last) if last.id == id => last.secrets.extend(secret),
            _ => records.push(record_of(id, secret, &mut row)?),
        }
    }
    for record in &mut records {
        let place =
            |secret: &StoredSecret| (secret.facts.slot, std::cmp::Reverse(secret.facts.created_at));
        record.secrets.sort_by_key(place);
    }
    Ok(records)
}

fn secret_of(row: &mut Row) -> Result<Option<StoredSecret>, Inconsistent> {
    let Some(id) = row.text_or_null("secret")? else {
        for column in ["slot", "created", "begin", "end", "pepper", "hash", "cost", "found"] {
            row.int_or_null(column)?;
        }
        return Ok(None);
    };
    Ok(Some(StoredSecret {
        id,
        facts: rows::facts(row)?,
        hash: codec::hash(row)?,
        found_by_hash: row.flag("found_by_hash")?,
        directory: Vec::new(),
    }))
}

fn record_of(
    id: TokenId,
    secret: Option<StoredSecret>,
    row: &mut Row,
) -> Result<Record, Inconsistent> {
    let realm = codec::realm(row, "realm")?;
    let kind = row.parsed("kind", Kind::from_name)?;
    let owner = codec::owner(row)?;
    let services = codec::services(row)?;
    let scopes = codec::scopes(row)?;
    let permissions = row.text_or_null("permissions")?;
    let networks = codec::networks(row)?;
    let doors = codec::doors(row)?;
    let enabled = row.flag("enabled")?;
    let locked = row.flag("locked")?;
    let pending = row.flag("pending")?;
    let revoked = row.int_or_null("revoked_at")?.is_some();
    let validity = rows::validity(row)?;
    let created_at = row.time("created_at")?;
    let max_usages = row.count_or_null("max_usages")?;
    let parent = row.token_or_null("parent")?;
    let repository = codec::membership(row)?;
    let owner_facts = owner_facts(&owner, row)?;
    Ok(Record {
        id,
        realm,
        kind,
        owner,
        owner_facts,
        services,
        scopes,
        permissions,
        networks,
        doors,
        enabled,
        locked,
        pending,
        revoked,
        validity,
        created_at,
        max_usages,
        parent,
        repository,
        parent_revoked: false,
        secrets: secret.into_iter().collect(),
    })
}

fn owner_facts(owner: &Owner, row: &mut Row) -> Result<OwnerFacts, Inconsistent> {
    let Owner::User(username) = owner else { return Ok(OwnerFacts::Gone) };
    // The join has compared the name already.
    if row.text_or_null("username")?.is_none() {
        return Ok(OwnerFacts::Gone);
    }
    Ok(OwnerFacts::User(UserFacts {
        username: username.clone(),
        display_name: row.text_or_null("display_name")?,
        email: row.json::<Vec<String>>("emails")?.into_iter().next(),
        status: row.parsed("status", UserStatus::from_name)?,
        unit: row.text_or_null("unit")?,
        groups: codec::groups(row)?,
        locks: codec::locks(row)?,
    }))
}
