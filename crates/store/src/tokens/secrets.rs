//! The secrets of a token: hashes in slots.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Change, Rehash};
use counterfoil_authority::token::{RETIRED_SECRET_RETENTION_SECONDS, StoredSecret};

use super::rows::secret_row;
use crate::engine::{Asked, Failure, Transaction, values};
use crate::{codec, provisioning};

const INSERT: &str = "
insert into token_secret (
    token, id, slot, created_at, not_before, expires_at, pepper, hash, cost, found_by_hash
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing";

/// A former secret never counts longer than it would have as the current one.
const RETIRE: &str = "
update token_secret
set    slot = 'previous',
       expires_at = case
           when expires_at is null or expires_at > $2 then $2
           else expires_at
       end
where  token = $1
and    slot = 'current'";

/// The newest former secrets stay, as many as fit beside those that are no former ones. Said
/// of the slot in a way that leads no planner to the index of all retired secrets.
const DROP_OLDEST: &str = "
delete from token_secret
where  token = $1
and    slot not in ('current', 'next')
and    id not in (
    select id
    from   token_secret
    where  token = $1
    order  by case when slot = 'previous' then 1 else 0 end, created_at desc, id desc
    limit  $2
)";

const REHASH: &str = "
update token_secret
set    pepper = $4, hash = $5, cost = $6
where  token = $1
and    pepper = $2
and    hash = $3";

const PURGE_RETIRED: &str = "
delete from token_secret
where  (token, id) in (
    select token, id
    from   token_secret
    where  slot = 'previous'
    and    expires_at <= $1
    order  by expires_at
    limit  $2
)
returning token";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[INSERT, RETIRE, DROP_OLDEST, REHASH, PURGE_RETIRED];

/// Stores a secret; touches no row if its id or its hash is taken.
pub(super) fn ask_insert<'a>(token: &'a TokenId, secret: &'a StoredSecret) -> Asked<'a> {
    Asked::new(INSERT, secret_row(token, secret))
}

/// Stores a secret; 0 if its id or its hash is taken.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    token: TokenId,
    secret: &StoredSecret,
) -> Result<u64, Failure> {
    let stored = tx.execute(INSERT, &secret_row(&token, secret)).await?;
    provisioning::insert_hashes(tx, token, secret).await?;
    Ok(stored)
}

/// Makes the current secret a former one that counts until `until`.
pub(super) async fn retire_current(
    tx: &mut Transaction<'_>,
    token: TokenId,
    until: Timestamp,
) -> Result<(), Failure> {
    tx.push(RETIRE, &values![&token, until]).await
}

/// Keeps no more secrets than `most`.
pub(super) async fn drop_oldest(
    tx: &mut Transaction<'_>,
    token: TokenId,
    most: usize,
) -> Result<(), Failure> {
    let most = most as u64;
    tx.push(DROP_OLDEST, &values![&token, most]).await
}

/// Replaces a hash by that of the same secret under another pepper.
pub(super) async fn rehash(
    tx: &mut Transaction<'_>,
    rehash: &Rehash,
    at: Timestamp,
) -> Result<(), Failure> {
    let Rehash { token, old, new } = rehash;
    let values = values![
        token,
        old.pepper(),
        codec::hash_bytes(old),
        new.pepper(),
        codec::hash_bytes(new),
        codec::cost(new)
    ];
    match tx.execute(REHASH, &values).await? {
        0 => Ok(()),
        _ => tx.changed(Change::Token(*token), at).await,
    }
}

/// Removes a batch of former secrets whose use would raise no alarm any more.
pub(crate) async fn purge_retired(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    let end = now.plus_seconds(-RETIRED_SECRET_RETENTION_SECONDS);
    let rows = tx.query(PURGE_RETIRED, &values![end, limit]).await?;
    let removed = rows.len() as u64;
    let mut changes = Vec::new();
    for mut row in rows {
        let token = row.token("token")?;
        provisioning::tidy_hashes(tx, token).await?;
        changes.push(Change::Token(token));
    }
    tx.all_changed(changes, now).await?;
    Ok(removed)
}
