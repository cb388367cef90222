//! Deliveries as rows: wanted, claimed, listed, counted.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::{RealmName, TargetName};
use counterfoil_authority::provision::{Delivery, DeliveryKey, DeliveryState, Mark, Object};
use counterfoil_authority::store::{Backlog, DeliveryFilter, Lease, Page, PageRequest};

use crate::engine::{Failure, Inconsistent, Row, Transaction, Value, values};
use crate::people::page;
use crate::{codec, leases};

/// What was given up begins anew: something has changed. What was done is wanted from now on. To a
/// target that is gone nothing is on its way: nobody would ever take it from here.
const WANT: &str = "
insert into delivery (
    realm, target, object, message, state, wanted, due_at, since, attempts, unanswered
)
select $1, $2, $3, $4, $5, 1, cast($6 as {int}), cast($7 as {int}), 0, 0
where  exists (select 1 from target where realm = $1 and name = $2)
on conflict (realm, target, object, message) do update
set    since = case when delivery.state = 'done' then excluded.since else delivery.since end,
       state = excluded.state,
       wanted = delivery.wanted + 1,
       due_at = excluded.due_at,
       attempts = 0,
       error = null,
       progress = null";

const NOTE_WAITS: &str = "
select 1
from   outbox
limit  1";

const IS_DUE: &str = "
select 1
from   delivery
where  due_at <= $1
limit  1";

macro_rules! columns {
    () => {
        "realm, target, object, message, state, wanted, due_at, since, attempts, error, place,
       progress, unanswered, done_at"
    };
}

/// The messages of an object go in their order: one that waits holds back those behind it.
const CLAIM: &str = concat!(
    "
update delivery
set    unanswered = unanswered + 1
where  (realm, target, object, message) in (
    select d.realm, d.target, d.object, d.message
    from   delivery d
    where  d.realm = $1
    and    d.target = $2
    and    d.due_at <= $3
    and    not exists (
        select 1
        from   delivery e
        where  e.realm = d.realm
        and    e.target = d.target
        and    e.object = d.object
        and    e.message < d.message
        and    e.message <> ''
        and    e.state in ('waiting', 'retrying')
    )
    order  by d.due_at
    limit  $4
)
returning ",
    columns!()
);

const RIVALS: &str = "
select target
from   delivery
where  realm = $1
and    object = $2
and    message = ''
and    state = 'waiting'
and    attempts = 0
and    due_at <= $3
and    target <> $4";

const LIST: &str = concat!(
    "
select ",
    columns!(),
    "
from   delivery
where  realm = $1
and    (target, object, message) > ($2, $3, $4)
and    (target = $6 or $6 is null)
and    (state = $7 or $7 is null)
order  by target, object, message
limit  $5"
);

const BACKLOG: &str = "
select realm, target, state, count(*), min(since)
from   delivery
where  state <> 'done'
group  by realm, target, state";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[WANT, NOTE_WAITS, IS_DUE, CLAIM, RIVALS, LIST, BACKLOG];

/// Between the parts of a place in the list: no name holds it.
const BETWEEN: char = '\u{1f}';

/// Wants deliveries.
pub(super) async fn want_all(
    tx: &mut Transaction<'_>,
    marks: &[Mark],
    now: Timestamp,
) -> Result<(), Failure> {
    let sets: Vec<Vec<Value<'_>>> = marks
        .iter()
        .map(|mark| {
            let state = if mark.held { DeliveryState::Held } else { DeliveryState::Waiting };
            let due_at = (!mark.held).then_some(now);
            let key = &mark.key;
            values![
                &key.realm,
                &key.target,
                key.object.name(),
                &key.message,
                state.name(),
                due_at,
                now
            ]
            .to_vec()
        })
        .collect();
    tx.execute_each(WANT, &sets).await
}

/// Whether the outbox holds a note.
pub(super) async fn note_waits(tx: &mut Transaction<'_>) -> Result<bool, Failure> {
    tx.exists(NOTE_WAITS, &[]).await
}

/// Whether there is anything to do.
pub(super) async fn is_due(tx: &mut Transaction<'_>, now: Timestamp) -> Result<bool, Failure> {
    Ok(note_waits(tx).await? || tx.exists(IS_DUE, &values![now]).await?)
}

/// Takes deliveries that are due.
pub(super) async fn claim(
    tx: &mut Transaction<'_>,
    lease: &Lease,
    realm: &RealmName,
    target: &TargetName,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, Failure> {
    if !leases::holds(tx, lease).await? {
        return Ok(Vec::new());
    }
    let rows = tx.query(CLAIM, &values![realm, target, now, limit]).await?;
    let mut claimed: Vec<Delivery> = rows.into_iter().map(delivery_of).collect::<Result<_, _>>()?;
    claimed.sort_by(|a, b| (a.due_at, &a.key).cmp(&(b.due_at, &b.key)));
    Ok(claimed)
}

/// Targets where the same object waits for its first attempt.
pub(super) async fn rivals(
    tx: &mut Transaction<'_>,
    key: &DeliveryKey,
    now: Timestamp,
) -> Result<Vec<TargetName>, Failure> {
    let values = values![&key.realm, key.object.name(), now, &key.target];
    let mut names = Vec::new();
    for mut row in tx.query(RIVALS, &values).await? {
        names.push(row.parsed("target", |text| TargetName::parse(text).ok())?);
    }
    Ok(names)
}

/// Lists deliveries.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &DeliveryFilter,
    request: &PageRequest,
) -> Result<Page<Delivery>, Failure> {
    let mut from = page::start(request).splitn(3, BETWEEN);
    let mut part = || from.next().unwrap_or("");
    let values = values![
        realm,
        part(),
        part(),
        part(),
        page::rows_to_ask(request),
        filter.target.as_ref(),
        filter.state.map(DeliveryState::name)
    ];
    let rows = tx.query(LIST, &values).await?;
    page::of(rows, request, delivery_of, place_of)
}

/// Where the page behind a delivery begins.
pub(crate) fn place_of(delivery: &Delivery) -> String {
    let key = &delivery.key;
    format!("{}{BETWEEN}{}{BETWEEN}{}", key.target, key.object.name(), key.message)
}

/// What is not done.
pub(super) async fn backlog(tx: &mut Transaction<'_>) -> Result<Vec<Backlog>, Failure> {
    let mut found = Vec::new();
    for mut row in tx.query(BACKLOG, &[]).await? {
        found.push(Backlog {
            realm: codec::realm(&mut row, "realm")?,
            target: row.parsed("target", |text| TargetName::parse(text).ok())?,
            state: row.parsed("state", DeliveryState::from_name)?,
            count: row.count("count")?,
            oldest: row.time("oldest")?,
        });
    }
    Ok(found)
}

fn delivery_of(mut row: Row) -> Result<Delivery, Inconsistent> {
    let key = DeliveryKey {
        realm: codec::realm(&mut row, "realm")?,
        target: row.parsed("target", |text| TargetName::parse(text).ok())?,
        object: Object::from_name(&row.text("object")?),
        message: row.text("message")?,
    };
    Ok(Delivery {
        key,
        state: row.parsed("state", DeliveryState::from_name)?,
        wanted: row.int("wanted")?,
        due_at: row.time_or_null("due_at")?,
        since: row.time("since")?,
        attempts: row.small("attempts")?,
        error: row.text_or_null("error")?,
        place: row.text_or_null("place")?,
        progress: row.text_or_null("progress")?,
        unanswered: row.small("unanswered")?,
        done_at: row.time_or_null("done_at")?,
    })
}
