//! The outbox: a note with every event, and what becomes of the notes.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::provision::{Mark, routing};

use super::{deliveries, targets};
use crate::engine::{Failure, Transaction, Value, values};
use crate::events;

/// A realm without targets leaves no notes.
const NOTE: &str = "
insert into outbox (realm, event)
select $1, $2
where  exists (select 1 from target where realm = $1)";

/// A note may appear behind one that was given a later number. It is found by the next look. Two
/// processes that look at the same time take turns, and the second one finds nothing.
const NOTES: &str = "
select o.seq, o.realm, o.event
from   outbox o
order  by o.seq
limit  $1
{for_change}";

const DROP: &str = "
delete from outbox
where  seq = $1";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[NOTE, NOTES, DROP];

/// Leaves a note of each event that may concern a target.
pub(crate) async fn note(tx: &mut Transaction<'_>, events: &[Event]) -> Result<(), Failure> {
    for event in events.iter().filter(|event| routing::concerns_targets(event)) {
        tx.push(NOTE, &values![&event.realm, &event.id]).await?;
    }
    Ok(())
}

/// Turns notes into deliveries.
pub(super) async fn route(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u32, Failure> {
    let rows = tx.query(NOTES, &values![limit]).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let targets = targets::all(tx).await?;
    let mut marks: Vec<Mark> = Vec::new();
    let mut drop: Vec<Vec<Value<'_>>> = Vec::new();
    for mut row in rows {
        drop.push(values![row.int("seq")?].to_vec());
        let realm = crate::codec::realm(&mut row, "realm")?;
        let id = row.text("event")?;
        // An event that its retention has removed meanwhile has nothing to tell any more.
        if let Some(event) = events::find(tx, &realm, &id).await? {
            marks.extend(routing::marks(&event, &targets));
        }
    }
    let count = u32::try_from(drop.len()).unwrap_or(u32::MAX);
    deliveries::want_all(tx, &marks, now).await?;
    tx.execute_each(DROP, &drop).await?;
    Ok(count)
}
