//! What was drawn from a registration token: found again, and counted.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::BlastRadius;
use counterfoil_authority::token::Token;

use super::super::rows;
use crate::engine::{Failure, Transaction, values};

const LIVING_OF_DEVICE: &str = "
select t.id
from   auth_token a
join   token t on t.id = a.token
where  a.registration = $1
and    a.device_key = $2
and    t.revoked_at is null
and    (t.expires_at is null or t.expires_at > $3)
order  by a.sort_key desc
limit  $4";

/// Stops counting when there are as many as are asked about.
const DRAWN_SINCE: &str = "
select count(*)
from   (
    select 1
    from   auth_token
    where  registration = $1
    and    sort_key > $2
    limit  $3
) made";

const WAITING: &str = "
select token
from   auth_token
where  realm = $1
and    user_code = $2
and    request_ends_at is not null";

const DRAWN: &str = "
select count(*),
       coalesce(sum(case
           when t.revoked_at is null and t.pending = 0
                and (t.expires_at is null or t.expires_at > $2) then 1
           else 0
       end), 0),
       coalesce(sum(case
           when t.revoked_at is null and t.pending = 0
                and (t.expires_at is null or t.expires_at > $2)
                and (t.created_at > $3 or a.refreshed_at > $3) then 1
           else 0
       end), 0),
       coalesce(sum(case when t.revoked_at is null and t.pending = 1 then 1 else 0 end), 0)
from   auth_token a
join   token t on t.id = a.token
where  a.registration = $1";

const DERIVED: &str = "
with recursive family (id) as (
    select id
    from   token
    where  parent = $1 and kind = 'derived_token' and revoked_at is null
    union
    select t.id
    from   token t
    join   family f on t.parent = f.id
    where  t.kind = 'derived_token' and t.revoked_at is null
)
select count(*)
from   family";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[LIVING_OF_DEVICE, DRAWN_SINCE, WAITING, DRAWN, DERIVED];

/// The living auth tokens of a device, newest first, at most so many.
pub(super) async fn living_of_device(
    tx: &mut Transaction<'_>,
    registration: TokenId,
    key: &str,
    now: Timestamp,
    most: u64,
) -> Result<Vec<TokenId>, Failure> {
    let rows = tx.query(LIVING_OF_DEVICE, &values![&registration, key, now, most]).await?;
    let mut held = Vec::with_capacity(rows.len());
    for mut row in rows {
        held.push(row.token("id")?);
    }
    Ok(held)
}

/// The newest of them.
pub(super) async fn of_device(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    registration: TokenId,
    key: &str,
    now: Timestamp,
) -> Result<Option<Token>, Failure> {
    match living_of_device(tx, registration, key, now, 1).await?.first() {
        Some(id) => rows::find(tx, realm, *id).await,
        None => Ok(None),
    }
}

/// Draws behind a place in the list of all, counted up to `most`.
pub(super) async fn drawn_since(
    tx: &mut Transaction<'_>,
    registration: TokenId,
    since: &str,
    most: u64,
) -> Result<u64, Failure> {
    match tx.row(DRAWN_SINCE, &values![&registration, since, most]).await? {
        Some(mut row) => Ok(row.count("count")?),
        None => Ok(0),
    }
}

/// The auth token that waits under a user code.
pub(super) async fn waiting(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    user_code: &str,
) -> Result<Option<Token>, Failure> {
    match tx.row(WAITING, &values![realm, user_code]).await? {
        Some(mut row) => rows::find(tx, realm, row.token("token")?).await,
        None => Ok(None),
    }
}

/// What hangs on a token.
pub(super) async fn blast_radius(
    tx: &mut Transaction<'_>,
    id: TokenId,
    now: Timestamp,
) -> Result<BlastRadius, Failure> {
    let mut reach = BlastRadius::default();
    let day = now.plus_seconds(-86_400);
    if let Some(mut row) = tx.row(DRAWN, &values![&id, now, day]).await? {
        reach.auth_tokens = row.count("drawn")?;
        reach.active = row.count("active")?;
        reach.active_last_day = row.count("active_last_day")?;
        reach.waiting = row.count("waiting")?;
    }
    if let Some(mut row) = tx.row(DERIVED, &values![&id]).await? {
        reach.derived = row.count("derived")?;
    }
    Ok(reach)
}
