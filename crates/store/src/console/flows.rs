//! What people had begun who are on their way to a provider.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::single_sign_on::SignInFlow;

use crate::codec;
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};

const INSERT: &str = "
insert into sign_in_flow (id, realm, sealed, expires_at)
values ($1, $2, $3, $4)
on conflict (id) do update
set    realm = excluded.realm,
       sealed = excluded.sealed,
       expires_at = excluded.expires_at";

/// Of any number who ask one deletes the row.
const TAKE: &str = "
delete from sign_in_flow
where  id = $1
and    expires_at > $2
returning id, realm, sealed, expires_at";

const PURGE: &str = "
delete from sign_in_flow
where  id in (
    select id
    from   sign_in_flow
    where  expires_at <= $1
    order  by expires_at
    limit  $2
)";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[INSERT, TAKE, PURGE];

pub(super) async fn add(tx: &mut Transaction<'_>, flow: &SignInFlow) -> Result<(), Failure> {
    let values = values![&flow.id, &flow.realm, flow.sealed.as_slice(), flow.expires_at];
    tx.push(INSERT, &values).await
}

pub(super) async fn take(
    tx: &mut Transaction<'_>,
    id: TokenId,
    now: Timestamp,
) -> Result<Option<SignInFlow>, Failure> {
    let row = tx.row(TAKE, &values![&id, now]).await?;
    Ok(row.map(flow_of).transpose()?)
}

pub(super) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now, limit]).await
}

fn flow_of(mut row: Row) -> Result<SignInFlow, Inconsistent> {
    Ok(SignInFlow {
        id: row.token("id")?,
        realm: codec::realm(&mut row, "realm")?,
        sealed: row.bytes("sealed")?,
        expires_at: row.time("expires_at")?,
    })
}
