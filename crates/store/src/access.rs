//! Access tokens in SQL: opaque ones, revocations of either form, and proofs that were used.

use std::fmt::Write as _;

use async_trait::async_trait;
use counterfoil_authority::access::AccessRecord;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash};
use counterfoil_authority::store::{
    AccessRevoke, AccessStore, Change, Revocations, Revoked, Unavailable,
};

use crate::engine::{Failure, Row, Transaction, values};
use crate::{SqlStore, codec, events};

const ADD: &str = "
insert into access_token (id, realm, pepper, hash, facts, expires_at)
values ($1, $2, $3, $4, $5, $6)";

const FIND: &str = "
select realm, pepper, hash, facts
from   access_token
where  id = $1";

/// Uses are told by several nodes in any order: the latest stays.
const USED: &str = "
update access_token
set    used_at = $2
where  id = $1
and    (used_at is null or used_at < $2)";

const LAST_USED: &str = "
select used_at
from   access_token
where  id = $1";

/// Refuses by matching no row: the second revocation of a token changes nothing.
const REVOKE: &str = "
insert into access_revocation (id, realm, revoked_at, expires_at)
values ($1, $2, $3, $4)
on conflict do nothing";

const IS_REVOKED: &str = "
select 1
from   access_revocation
where  id = $1";

const REVOKED: &str = "
select id, revoked_at
from   access_revocation
where  realm = $1
and    expires_at > $2
order  by expires_at desc
limit  $3";

const PARENTS: &str = "
select id, revoked_at
from   token
where  realm = $1
and    revoked_at is not null
and    revoked_at >= $2
order  by revoked_at desc
limit  $3";

/// Changes no row while an earlier use of the same proof counts.
const USE_PROOF: &str = "
insert into proof (once, expires_at)
values ($1, $2)
on conflict (once) do update
set    expires_at = excluded.expires_at
where  proof.expires_at <= $3
returning once";

const PURGE_TOKENS: &str = "
delete from access_token
where  id in (select id from access_token where expires_at <= $1 limit $2)";

const PURGE_REVOCATIONS: &str = "
delete from access_revocation
where  id in (select id from access_revocation where expires_at <= $1 limit $2)";

const PURGE_PROOFS: &str = "
delete from proof
where  once in (select once from proof where expires_at <= $1 limit $2)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[
    ADD,
    FIND,
    USED,
    LAST_USED,
    REVOKE,
    IS_REVOKED,
    REVOKED,
    PARENTS,
    USE_PROOF,
    PURGE_TOKENS,
    PURGE_REVOCATIONS,
    PURGE_PROOFS,
];

async fn add(tx: &mut Transaction<'_>, record: &AccessRecord) -> Result<(), Failure> {
    let SecretHash::Keyed { pepper, mac } = &record.hash else {
        return Err(Failure::Overtaken("an access token has a keyed hash"));
    };
    let facts = codec::json(&record.facts);
    let hash = mac.as_bytes();
    let end = record.facts.expires_at;
    tx.push(ADD, &values![&record.id, &record.realm, *pepper, hash, facts, end]).await
}

async fn find(tx: &mut Transaction<'_>, id: TokenId) -> Result<Option<AccessRecord>, Failure> {
    let Some(mut row) = tx.row(FIND, &values![&id]).await? else { return Ok(None) };
    let realm = codec::realm(&mut row, "realm")?;
    let pepper = row.small("pepper")?;
    let mac = Mac256::from_bytes(row.bytes32("hash")?);
    let hash = SecretHash::Keyed { pepper, mac };
    Ok(Some(AccessRecord { realm, id, hash, facts: row.json("facts")? }))
}

async fn note_uses(tx: &mut Transaction<'_>, used: &[(TokenId, Timestamp)]) -> Result<(), Failure> {
    for (id, at) in used {
        tx.push(USED, &values![id, *at]).await?;
    }
    Ok(())
}

async fn last_used(tx: &mut Transaction<'_>, id: TokenId) -> Result<Option<Timestamp>, Failure> {
    match tx.row(LAST_USED, &values![&id]).await? {
        Some(mut row) => Ok(row.time_or_null("used_at")?),
        None => Ok(None),
    }
}

async fn revoke(tx: &mut Transaction<'_>, revoke: &AccessRevoke) -> Result<bool, Failure> {
    let AccessRevoke { realm, id, expires_at, at, event } = revoke;
    if tx.execute(REVOKE, &values![id, realm, *at, *expires_at]).await? == 0 {
        return Ok(false);
    }
    events::append(tx, event).await?;
    tx.changed(Change::Token(*id), *at).await?;
    Ok(true)
}

async fn revocations(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    now: Timestamp,
    parents_since: Timestamp,
    limit: u32,
) -> Result<Revocations, Failure> {
    let own = tx.query(REVOKED, &values![realm, now, limit]).await?;
    let parents = tx.query(PARENTS, &values![realm, parents_since, limit]).await?;
    Ok(Revocations { access_tokens: lines(own)?, parents: lines(parents)? })
}

fn lines(rows: Vec<Row>) -> Result<Vec<Revoked>, Failure> {
    let line = |mut row: Row| -> Result<Revoked, Failure> {
        Ok(Revoked { id: row.token("id")?, at: row.time("revoked_at")? })
    };
    rows.into_iter().map(line).collect()
}

/// Notes that something is done that may be done once; false if it was, and is still known.
pub(crate) async fn use_proof(
    tx: &mut Transaction<'_>,
    once: &[u8; 32],
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<bool, Failure> {
    let once = once.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(tx.row(USE_PROOF, &values![once, expires_at, now]).await?.is_some())
}

/// Removes a batch of rows whose time is over.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    let mut rows = 0;
    for statement in [PURGE_TOKENS, PURGE_REVOCATIONS, PURGE_PROOFS] {
        rows += tx.execute(statement, &values![now, limit]).await?;
    }
    Ok(rows)
}

#[async_trait]
impl AccessStore for SqlStore {
    async fn access_add(&self, record: AccessRecord) -> Result<(), Unavailable> {
        self.write(record, |tx, record| Box::pin(add(tx, record))).await
    }

    async fn access_find(&self, id: TokenId) -> Result<Option<AccessRecord>, Unavailable> {
        self.point(id, |tx, id| Box::pin(find(tx, *id))).await
    }

    async fn access_used(&self, used: Vec<(TokenId, Timestamp)>) -> Result<(), Unavailable> {
        self.write(used, |tx, used| Box::pin(note_uses(tx, used))).await
    }

    async fn access_last_used(&self, id: TokenId) -> Result<Option<Timestamp>, Unavailable> {
        self.point(id, |tx, id| Box::pin(last_used(tx, *id))).await
    }

    async fn access_revoke(&self, asked: AccessRevoke) -> Result<bool, Unavailable> {
        self.write(asked, |tx, asked| Box::pin(revoke(tx, asked))).await
    }

    async fn access_revoked(&self, id: TokenId) -> Result<bool, Unavailable> {
        self.point(id, |tx, id| Box::pin(async move { tx.exists(IS_REVOKED, &values![id]).await }))
            .await
    }

    async fn access_revocations(
        &self,
        realm: &RealmName,
        now: Timestamp,
        parents_since: Timestamp,
        limit: u32,
    ) -> Result<Revocations, Unavailable> {
        self.scan((realm.clone(), now, parents_since, limit), |tx, (realm, now, since, limit)| {
            Box::pin(revocations(tx, realm, *now, *since, *limit))
        })
        .await
    }

    async fn proof_use(
        &self,
        once: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        self.write((once, expires_at, now), |tx, (once, expires_at, now)| {
            Box::pin(use_proof(tx, once, *expires_at, *now))
        })
        .await
    }
}
