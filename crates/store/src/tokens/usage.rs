//! Counting: one conditional statement for limits, one upsert per token for bookkeeping.

use std::net::IpAddr;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Consumed, Rehash, UsageDelta};
use counterfoil_authority::token::{State, Usage};

use super::{journal, repository, secrets};
use crate::engine::{Failure, Transaction, Value, values};
use crate::events;

/// The state that the rules derive, for `t` at `$2`; see `StateFacts::state`.
macro_rules! state {
    () => {
        "
case
    when t.revoked_at is not null then 'revoked'
    when t.locked = 1 then 'locked'
    when t.enabled = 0 then 'disabled'
    when t.pending = 1 then 'pending'
    when t.not_before > $2 then 'not_yet_valid'
    when t.expires_at <= $2 then 'expired'
    when case when t.kind = 'registration_token' then t.draw_limit else t.max_usages end
         <= case when t.used + t.reserved > t.returned
                 then t.used + t.reserved - t.returned
                 else 0 end then 'exhausted'
    else 'active'
end"
    };
}
pub(crate) use state;

/// Refuses by matching no row, so that the check and the count are one statement.
const CONSUME: &str = concat!(
    "
update token as t
set    used = used + 1
where  t.id = $1
and    ",
    state!(),
    " = 'active'
returning used, kind"
);

const STATE: &str = concat!(
    "
select ",
    state!(),
    "
from   token t
where  t.id = $1"
);

/// What becomes of a row of uses when more of them arrive: the earliest instant stays first and the
/// latest last, whatever the order in which flushes arrive, and the address belongs to the latest.
macro_rules! add_uses {
    ($table:literal) => {
        concat!(
            "first_at = case
           when ",
            $table,
            ".first_at <= excluded.first_at or excluded.first_at is null
           then ",
            $table,
            ".first_at
           else excluded.first_at
       end,
       last_ip = case
           when ",
            $table,
            ".last_at >= excluded.last_at or excluded.last_at is null
           then ",
            $table,
            ".last_ip
           else excluded.last_ip
       end,
       last_at = case
           when ",
            $table,
            ".last_at >= excluded.last_at or excluded.last_at is null
           then ",
            $table,
            ".last_at
           else excluded.last_at
       end,
       total = ",
            $table,
            ".total + excluded.total,
       denied = ",
            $table,
            ".denied + excluded.denied"
        )
    };
}
pub(crate) use add_uses;

const COUNT: &str = concat!(
    "
insert into token_usage (token, first_at, last_at, last_ip, total, denied)
values ($1, $2, $3, $4, $5, $6)
on conflict (token) do update
set    ",
    add_uses!("token_usage")
);

/// When a token was issued, activated, used and last given a secret.
const LAST_ACTIVE: &str = "
select t.created_at, t.activated_at, u.last_at,
       (select max(s.created_at) from token_secret s where s.token = t.id)
from   token t
left   join token_usage u on u.token = t.id
where  t.id = $1";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[CONSUME, STATE, COUNT, LAST_ACTIVE];

/// When a token was last of use to anybody.
pub(super) async fn last_active(
    tx: &mut Transaction<'_>,
    id: TokenId,
) -> Result<Option<Timestamp>, Failure> {
    let Some(mut row) = tx.row(LAST_ACTIVE, &values![&id]).await? else { return Ok(None) };
    let created = row.time("created_at")?;
    let mut last = created;
    for column in ["activated_at", "last_at", "secret"] {
        last = row.time_or_null(column)?.unwrap_or(created).max(last);
    }
    Ok(Some(last))
}

/// Counts one use of a limited token, or says why not. A token that is gone counts as revoked.
pub(crate) async fn consume(
    tx: &mut Transaction<'_>,
    id: TokenId,
    now: Timestamp,
    ip: Option<IpAddr>,
) -> Result<Consumed, Failure> {
    if let Some(mut row) = tx.row(CONSUME, &values![&id, now]).await? {
        let used = row.count("used")?;
        tx.push(COUNT, &values![&id, now, now, ip, 1_i64, 0_i64]).await?;
        if row.parsed("kind", Kind::from_name)? == Kind::Generic {
            repository::follow(tx, std::iter::once(&id)).await?;
        }
        return Ok(Consumed::Done { used });
    }
    let Some(mut row) = tx.row(STATE, &values![&id, now]).await? else {
        return Ok(Consumed::Refused(State::Revoked));
    };
    match row.parsed("state", State::from_name)? {
        State::Active => Err(Failure::interleaved()),
        state => Ok(Consumed::Refused(state)),
    }
}

/// Stores bookkeeping in the order given, which should be that of the ids.
pub(super) async fn flush(
    tx: &mut Transaction<'_>,
    usage: &[UsageDelta],
    rehashed: &[Rehash],
    events: &[Event],
) -> Result<(), Failure> {
    if usage.len() < journal::MASS {
        add(tx, usage).await?;
    } else {
        journal::append(tx, usage).await?;
    }
    for one in rehashed {
        // The log keeps rows by age; any instant of about now will do.
        let at = usage.iter().filter_map(|delta| delta.last_at).max().unwrap_or_default();
        secrets::rehash(tx, one, at).await?;
    }
    events::append_all(tx, events).await
}

/// Adds what gathered in the journal for one neighbourhood of tokens; false if there was nothing.
pub(super) async fn settle(tx: &mut Transaction<'_>) -> Result<bool, Failure> {
    let Some(usage) = journal::take(tx).await? else { return Ok(false) };
    add(tx, &usage).await?;
    Ok(true)
}

async fn add(tx: &mut Transaction<'_>, usage: &[UsageDelta]) -> Result<(), Failure> {
    let sets: Vec<Vec<Value<'_>>> = usage.iter().map(|delta| row_of(delta).into()).collect();
    tx.execute_each(COUNT, &sets).await?;
    let listed = usage.iter().filter(|delta| delta.is_listed).map(|delta| &delta.token);
    repository::follow(tx, listed).await
}

/// Stores what is known of a token's use before it came here.
pub(super) async fn store(
    tx: &mut Transaction<'_>,
    id: TokenId,
    usage: &Usage,
) -> Result<(), Failure> {
    if *usage == Usage::default() {
        return Ok(());
    }
    let Usage { first_at, last_at, last_ip, total, denied_total } = usage;
    let values = values![&id, *first_at, *last_at, *last_ip, *total, *denied_total];
    tx.push(COUNT, &values).await
}

fn row_of(delta: &UsageDelta) -> [Value<'_>; 6] {
    values![
        &delta.token,
        delta.first_at,
        delta.last_at,
        delta.last_ip,
        delta.accepted,
        delta.denied
    ]
}
