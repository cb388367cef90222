//! Leases in SQL: one conditional statement decides who has the work.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::store::{Lease, LeaseStore, Unavailable};

use crate::SqlStore;
use crate::engine::{Failure, Transaction, values};

/// Changes no row while somebody else holds the lease.
const TAKE: &str = "
insert into lease (name, holder, fence, expires_at)
values ($1, $2, 1, $4)
on conflict (name) do update
set    fence = case
           when lease.holder = excluded.holder and lease.expires_at > $3 then lease.fence
           else lease.fence + 1
       end,
       holder = excluded.holder,
       expires_at = excluded.expires_at
where  lease.holder = excluded.holder
or     lease.expires_at <= $3
returning fence";

/// The row stays, because the next holder's number must be higher.
const END: &str = "
update lease
set    expires_at = $4
where  name = $1
and    holder = $2
and    fence = $3
and    expires_at > $4";

/// Whoever would take the lease over waits until the work under it is done.
const HOLDS: &str = "
select 1
from   lease
where  name = $1
and    holder = $2
and    fence = $3
{for_change}";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[TAKE, END, HOLDS];

async fn take(
    tx: &mut Transaction<'_>,
    name: &str,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Lease>, Failure> {
    let Some(mut row) = tx.row(TAKE, &values![name, holder, now, until]).await? else {
        return Ok(None);
    };
    let fence = row.int("fence")?;
    Ok(Some(Lease { name: name.to_owned(), holder: holder.to_owned(), fence }))
}

/// Whether nobody has taken the lease over, now and until the transaction ends.
pub(crate) async fn holds(tx: &mut Transaction<'_>, lease: &Lease) -> Result<bool, Failure> {
    tx.exists(HOLDS, &values![&lease.name, &lease.holder, lease.fence]).await
}

#[async_trait]
impl LeaseStore for SqlStore {
    async fn lease_take(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, Unavailable> {
        let asked = (name.to_owned(), holder.to_owned(), now, until);
        self.write(asked, |tx, (name, holder, now, until)| {
            Box::pin(take(tx, name, holder, *now, *until))
        })
        .await
    }

    async fn lease_end(&self, lease: &Lease, now: Timestamp) -> Result<(), Unavailable> {
        self.write((lease.clone(), now), |tx, (lease, now)| {
            Box::pin(async move {
                let values = values![&lease.name, &lease.holder, lease.fence, *now];
                tx.push(END, &values).await
            })
        })
        .await
    }
}
