//! On which days tokens were used: one upsert for each token, day and door.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{USE_DAYS_KEPT, Unavailable, UseDay, UseDayStore, day_of};
use counterfoil_authority::verdict::Door;

use crate::SqlStore;
use crate::engine::{Failure, Inconsistent, Row, Transaction, Value, values};

const ADD: &str = "
insert into use_day (token, day, door, uses, last_at, last_ip)
values ($1, $2, $3, $4, $5, $6)
on conflict (token, day, door) do update
set    uses = use_day.uses + excluded.uses,
       last_ip = case
           when use_day.last_at > excluded.last_at then use_day.last_ip
           else excluded.last_ip
       end,
       last_at = case
           when use_day.last_at > excluded.last_at then use_day.last_at
           else excluded.last_at
       end";

const FIND: &str = "
select token, day, door, uses, last_at, last_ip
from   use_day
where  token = $1
and    day >= $2
order  by day, door";

const PURGE: &str = "
delete from use_day
where  (token, day, door) in (
    select token, day, door
    from   use_day
    where  day < $1
    limit  $2
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[ADD, FIND, PURGE];

fn row_of(one: &UseDay) -> Vec<Value<'_>> {
    values![&one.token, one.day, one.door.name(), one.uses, one.last_at, one.last_ip].into()
}

fn day(mut row: Row) -> Result<UseDay, Inconsistent> {
    Ok(UseDay {
        token: row.token("token")?,
        day: row.int("day")?,
        door: row.parsed("door", Door::from_name)?,
        uses: row.count("uses")?,
        last_at: row.time("last_at")?,
        last_ip: row.parsed_or_null("last_ip", |text| text.parse().ok())?,
    })
}

async fn find(
    tx: &mut Transaction<'_>,
    tokens: &[TokenId],
    from: i64,
) -> Result<Vec<UseDay>, Failure> {
    let mut found = Vec::new();
    for token in tokens {
        for row in tx.query(FIND, &values![token, from]).await? {
            found.push(day(row)?);
        }
    }
    Ok(found)
}

/// Removes a batch of days that nobody is shown any more.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![day_of(now) - USE_DAYS_KEPT, limit]).await
}

#[async_trait]
impl UseDayStore for SqlStore {
    async fn use_days_add(&self, mut days: Vec<UseDay>) -> Result<(), Unavailable> {
        // In the order of the key, so that two nodes never wait for each other.
        days.sort_unstable_by_key(|one| (one.token, one.day, one.door.name()));
        self.write(days, |tx, days| {
            Box::pin(async move {
                let sets: Vec<Vec<Value<'_>>> = days.iter().map(row_of).collect();
                tx.execute_each(ADD, &sets).await
            })
        })
        .await
    }

    async fn use_days_find(
        &self,
        tokens: Vec<TokenId>,
        from: i64,
    ) -> Result<Vec<UseDay>, Unavailable> {
        self.point((tokens, from), |tx, (tokens, from)| Box::pin(find(tx, tokens, *from))).await
    }
}
