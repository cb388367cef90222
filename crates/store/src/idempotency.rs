//! Answers kept so that a repeated request comes out the same.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::store::Idempotency;
use counterfoil_authority::token::Token;

use crate::engine::{Failure, Transaction, values};

const FIND: &str = "
select fingerprint, answer
from   idempotency
where  caller = $1
and    idem_key = $2
and    expires_at > $3";

/// Replaces an answer only when its time was over, which [`FIND`] has just seen.
const KEEP: &str = "
insert into idempotency (caller, idem_key, fingerprint, answer, expires_at)
values ($1, $2, $3, $4, $5)
on conflict (caller, idem_key) do update
set    fingerprint = excluded.fingerprint,
       answer = excluded.answer,
       expires_at = excluded.expires_at
where  idempotency.expires_at <= $6";

const PURGE: &str = "
delete from idempotency
where  (caller, idem_key) in (
    select caller, idem_key
    from   idempotency
    where  expires_at <= $1
    limit  $2
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[FIND, KEEP, PURGE];

/// What is known of a request's key.
pub(crate) enum Earlier {
    /// Nothing: go on.
    None,
    /// The same request was answered so.
    Answered(Vec<u8>),
    /// The key belongs to another request.
    Other,
}

/// Looks for an earlier answer.
pub(crate) async fn earlier(
    tx: &mut Transaction<'_>,
    idempotency: Option<&Idempotency>,
    now: Timestamp,
) -> Result<Earlier, Failure> {
    let Some(asked) = idempotency else { return Ok(Earlier::None) };
    earlier_of(tx, &asked.caller, &asked.key, asked.fingerprint, now).await
}

/// The same, of a key and its request.
pub(crate) async fn earlier_of(
    tx: &mut Transaction<'_>,
    caller: &str,
    key: &str,
    fingerprint: [u8; 32],
    now: Timestamp,
) -> Result<Earlier, Failure> {
    let row = tx.row(FIND, &values![caller, key, now]).await?;
    let Some(mut row) = row else { return Ok(Earlier::None) };
    if row.bytes32("fingerprint")? == fingerprint {
        Ok(Earlier::Answered(row.bytes("answer")?))
    } else {
        Ok(Earlier::Other)
    }
}

/// Keeps the answer to be given for `token`.
pub(crate) async fn keep(
    tx: &mut Transaction<'_>,
    idempotency: Option<&Idempotency>,
    token: &Token,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(asked) = idempotency else { return Ok(()) };
    let answer = (asked.answer)(token);
    let kept = (&asked.fingerprint, answer.as_slice());
    keep_for(tx, &asked.caller, &asked.key, kept, asked.expires_at, now).await
}

/// Keeps an answer that is sealed already, with the fingerprint of its request.
pub(crate) async fn keep_for(
    tx: &mut Transaction<'_>,
    caller: &str,
    key: &str,
    (fingerprint, answer): (&[u8; 32], &[u8]),
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), Failure> {
    let values = values![caller, key, fingerprint, answer, expires_at, now];
    match tx.execute(KEEP, &values).await? {
        0 => Err(Failure::interleaved()),
        _ => Ok(()),
    }
}

/// Removes a batch of answers whose time is over.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now, limit]).await
}
