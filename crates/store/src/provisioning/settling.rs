//! How attempts at deliveries ended.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::provision::{Delivery, DeliveryKey};
use counterfoil_authority::store::{Lease, Settled, Settlement};

use super::deliveries;
use crate::engine::{Failure, Transaction, Value, values};
use crate::{events, leases};

const DONE: &str = "
update delivery
set    state = 'done', due_at = $6, attempts = 0, error = null, place = $7, progress = null,
       unanswered = 0, done_at = $8
where  realm = $1 and target = $2 and object = $3 and message = $4
and    wanted = $5";

/// It was wanted anew meanwhile: it stays due, and only where it stands is noted.
const ARRIVED: &str = "
update delivery
set    place = $6, unanswered = 0
where  realm = $1 and target = $2 and object = $3 and message = $4
and    wanted > $5";

const FORGET: &str = "
delete from delivery
where  realm = $1 and target = $2 and object = $3 and message = $4
and    wanted = $5";

const RETRY: &str = "
update delivery
set    state = 'retrying', due_at = $6, attempts = attempts + 1, error = $7, unanswered = $8
where  realm = $1 and target = $2 and object = $3 and message = $4
and    wanted = $5";

const DEAD: &str = "
update delivery
set    state = 'dead', due_at = null, attempts = attempts + 1, error = $6, unanswered = 0
where  realm = $1 and target = $2 and object = $3 and message = $4
and    wanted = $5";

/// `unanswered` is as it was before the claim.
const WAIT: &str = "
update delivery
set    due_at = $6, unanswered = $7
where  realm = $1 and target = $2 and object = $3 and message = $4
and    wanted = $5";

const PROGRESS: &str = "
update delivery
set    progress = $6, unanswered = 0
where  realm = $1 and target = $2 and object = $3 and message = $4
and    wanted = $5";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[DONE, ARRIVED, FORGET, RETRY, DEAD, WAIT, PROGRESS];

/// Notes how attempts ended; false if the lease was lost.
pub(super) async fn settle(
    tx: &mut Transaction<'_>,
    lease: &Lease,
    settled: &[Settled],
    told: &[Event],
    now: Timestamp,
) -> Result<bool, Failure> {
    if !leases::holds(tx, lease).await? {
        return Ok(false);
    }
    for Settled { delivery, settlement } in settled {
        one(tx, delivery, settlement, now).await?;
    }
    events::append_all(tx, told).await?;
    Ok(true)
}

async fn one(
    tx: &mut Transaction<'_>,
    delivery: &Delivery,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<(), Failure> {
    let Delivery { key, wanted, .. } = delivery;
    match settlement {
        Settlement::Done { place, again_at } => {
            let about = with(key, *wanted, values![*again_at, place.as_ref(), now]);
            tx.push(DONE, &about).await?;
            tx.push(ARRIVED, &with(key, *wanted, values![place.as_ref()])).await
        }
        Settlement::Forget => tx.push(FORGET, &with(key, *wanted, [])).await,
        Settlement::Retry { at, error, unanswered } => {
            let unanswered = if *unanswered { delivery.unanswered } else { 0 };
            tx.push(RETRY, &with(key, *wanted, values![*at, error, unanswered])).await
        }
        Settlement::Dead { error } => tx.push(DEAD, &with(key, *wanted, values![error])).await,
        Settlement::Wait { until } => {
            let before = delivery.unanswered.saturating_sub(1);
            tx.push(WAIT, &with(key, *wanted, values![*until, before])).await
        }
        Settlement::Progress { from, marks } => {
            deliveries::want_all(tx, marks, now).await?;
            tx.push(PROGRESS, &with(key, *wanted, values![from])).await
        }
    }
}

fn with<'a, const N: usize>(
    key: &'a DeliveryKey,
    wanted: i64,
    more: [Value<'a>; N],
) -> Vec<Value<'a>> {
    let mut all =
        values![&key.realm, &key.target, key.object.name(), &key.message, wanted].to_vec();
    all.extend(more);
    all
}
