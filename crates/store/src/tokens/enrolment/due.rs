//! What falls due by itself: requests that nobody decided, auth tokens that were idle too long,
//! ends that are near, successors past their grace.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::ISSUE_APPROVAL_SECONDS;
use counterfoil_authority::event::{Event, Outcome};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::notice;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::token::Token;

use super::super::revoke::{self, Sentence};
use crate::codec;
use crate::engine::{Failure, Transaction, values};
use crate::events;

/// Who ends what nobody ended.
const SYSTEM: &str = "system";

const ANY: &str = "
select 1 from auth_token where request_ends_at <= $1
union all
select 1 from auth_token where idle_ends_at <= $1
union all
select 1 from notice where due_at <= $1
union all
select 1 from refresh_successor where expires_at <= $1
limit 1";

const LATE: &str = "
select token, realm
from   auth_token
where  request_ends_at <= $1
order  by request_ends_at
limit  $2";

const IDLE: &str = "
select token, realm
from   auth_token
where  idle_ends_at <= $1
order  by idle_ends_at
limit  $2";

/// Only one of those who end the same idle token does.
const IDLE_ENDS: &str = "
update auth_token
set    idle_ends_at = null
where  token = $1
and    idle_ends_at <= $2";

const DECIDED: &str = "
update auth_token
set    request_ends_at = null
where  token = $1
and    request_ends_at is not null";

const DECIDED_LATE: &str = "
update auth_token
set    request_ends_at = null
where  token = $1
and    request_ends_at <= $2";

const RELEASE: &str = "
update token
set    reserved = reserved - 1
where  id = (
    select registration
    from   auth_token
    where  token = $1
)
and    reserved > 0";

/// What somebody ended before its time was over needs no second end.
const LIVES: &str = "
select 1
from   token
where  id = $1
and    revoked_at is null";

const NEAR: &str = "
delete from notice
where  (token, kind) in (
    select token, kind
    from   notice
    where  due_at <= $1
    order  by due_at
    limit  $2
)
returning token, realm, kind";

const STILL_ENDS: &str = "
select expires_at, kind, owner_kind, owner
from   token
where  id = $1
and    revoked_at is null
and    expires_at > $2";

/// Takes the row, so that nobody approves it at this moment.
const STILL_WAITS: &str = "
update token
set    told = told
where  id = $1
and    pending = 1
and    repository is null
and    revoked_at is null";

const FORGET: &str = "
delete from refresh_successor
where  (token, secret) in (
    select token, secret
    from   refresh_successor
    where  expires_at <= $1
    order  by expires_at
    limit  $2
)";

const TELL_END: &str = "
insert into notice (token, kind, realm, due_at)
values ($1, 'ends', $2, $3)
on conflict (token, kind) do update
set    due_at = excluded.due_at";

/// The same where the realm has a target that could tell somebody.
const TELL_END_TO_LISTENERS: &str = "
insert into notice (token, kind, realm, due_at)
select $1, 'ends', $2, $3
where  exists (select 1 from target where realm = $2)
on conflict (token, kind) do update
set    due_at = excluded.due_at";

const TELL_UNDECIDED: &str = "
insert into notice (token, kind, realm, due_at)
values ($1, 'undecided', $2, $3)
on conflict (token, kind) do nothing";

const FORGET_END: &str = "
delete from notice
where  token = $1
and    kind = 'ends'";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[
    ANY,
    LATE,
    IDLE,
    IDLE_ENDS,
    DECIDED,
    DECIDED_LATE,
    RELEASE,
    LIVES,
    NEAR,
    STILL_ENDS,
    STILL_WAITS,
    FORGET,
    TELL_END,
    TELL_END_TO_LISTENERS,
    TELL_UNDECIDED,
    FORGET_END,
];

/// Whether anything is due.
pub(super) async fn is_any(tx: &mut Transaction<'_>, now: Timestamp) -> Result<bool, Failure> {
    tx.exists(ANY, &values![now]).await
}

/// Does what is due, at most `limit` of each sort.
pub(super) async fn due(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
    cause: &Event,
) -> Result<u64, Failure> {
    let mut done = 0;
    for mut row in tx.query(LATE, &values![now, limit]).await? {
        let token = row.token("token")?;
        let cause = Event { realm: codec::realm(&mut row, "realm")?, ..cause.clone() };
        done += time_out(tx, token, now, &cause).await?;
    }
    for mut row in tx.query(IDLE, &values![now, limit]).await? {
        let token = row.token("token")?;
        let cause = Event { realm: codec::realm(&mut row, "realm")?, ..cause.clone() };
        done += end_idle(tx, token, now, &cause).await?;
    }
    for mut row in tx.query(NEAR, &values![now, limit]).await? {
        let token = row.token("token")?;
        let realm = codec::realm(&mut row, "realm")?;
        done += 1;
        if row.text("kind")? == "undecided" {
            undecided(tx, token, now, &Event { realm, ..cause.clone() }).await?;
            continue;
        }
        if let Some(mut row) = tx.row(STILL_ENDS, &values![&token, now]).await? {
            let ends = row.time("expires_at")?;
            let (kind, owner) = (row.parsed("kind", Kind::from_name)?, codec::owner(&mut row)?);
            let told = events::consequence(cause, "token.ends-soon", token, &ends.to_string());
            if let Some(due) = notice::next(kind, ends, now) {
                tx.push(TELL_END, &values![&token, &realm, due]).await?;
            }
            let subject = Some(owner.actor());
            events::append(tx, &Event { realm, subject, ..told }).await?;
        }
    }
    Ok(done + tx.execute(FORGET, &values![now, limit]).await?)
}

/// Lets a request go whose time is over; 0 if somebody was faster.
pub(super) async fn time_out(
    tx: &mut Transaction<'_>,
    token: TokenId,
    now: Timestamp,
    cause: &Event,
) -> Result<u64, Failure> {
    if tx.execute(DECIDED_LATE, &values![&token, now]).await? == 0 {
        return Ok(0);
    }
    tx.push(RELEASE, &values![&token]).await?;
    if !tx.exists(LIVES, &values![&token]).await? {
        return Ok(1);
    }
    end_in_time(tx, token, now, cause).await?;
    Ok(1)
}

/// Ends a token whose issue nobody approved in time, unless somebody decided after all.
async fn undecided(
    tx: &mut Transaction<'_>,
    token: TokenId,
    now: Timestamp,
    cause: &Event,
) -> Result<(), Failure> {
    if tx.execute(STILL_WAITS, &values![&token]).await? == 0 {
        return Ok(());
    }
    end_in_time(tx, token, now, cause).await
}

async fn end_in_time(
    tx: &mut Transaction<'_>,
    token: TokenId,
    now: Timestamp,
    cause: &Event,
) -> Result<(), Failure> {
    let told = events::consequence(cause, "token.request-timed-out", token, "timed out");
    let told = Event { origin: system(cause), outcome: Outcome::Done, ..told };
    events::append(tx, &told).await?;
    let sentence = Sentence { at: now, by: SYSTEM, reason: Some("timed out") };
    revoke::revoke(tx, token, &sentence, &told).await
}

/// Ends an auth token that went too long without a refresh; 0 if it has been refreshed.
pub(super) async fn end_idle(
    tx: &mut Transaction<'_>,
    token: TokenId,
    now: Timestamp,
    cause: &Event,
) -> Result<u64, Failure> {
    if tx.execute(IDLE_ENDS, &values![&token, now]).await? == 0 {
        return Ok(0);
    }
    if !tx.exists(LIVES, &values![&token]).await? {
        return Ok(1);
    }
    let told = events::consequence(cause, "token.idle-ended", token, "idle");
    let told = Event { origin: system(cause), outcome: Outcome::Done, ..told };
    events::append(tx, &told).await?;
    let sentence = Sentence { at: now, by: SYSTEM, reason: Some("idle") };
    revoke::revoke(tx, token, &sentence, &told).await?;
    Ok(1)
}

/// Whoever asked at that moment has not done it.
fn system(cause: &Event) -> counterfoil_authority::event::Origin {
    counterfoil_authority::event::Origin::system(cause.origin.door)
}

/// Gives the draw back that a request held which ends undecided; does nothing for any other token.
pub(in crate::tokens) async fn release(
    tx: &mut Transaction<'_>,
    token: TokenId,
) -> Result<(), Failure> {
    if tx.execute(DECIDED, &values![&token]).await? > 0 {
        tx.push(RELEASE, &values![&token]).await?;
    }
    Ok(())
}

/// Notes what falls due for a new token: that its end is to be told of, or that it ends if nobody
/// approves it. An auth token's request has a time of its own.
pub(in crate::tokens) async fn tell_end(
    tx: &mut Transaction<'_>,
    token: &Token,
    now: Timestamp,
) -> Result<(), Failure> {
    let ends = token.validity.expires_at();
    if let Some(due) = ends.and_then(|ends| notice::first(token.kind, ends, now)) {
        let listened = notice::needs_listeners(token.kind);
        let statement = if listened { TELL_END_TO_LISTENERS } else { TELL_END };
        tx.push(statement, &values![&token.id, &token.realm, due]).await?;
    }
    // What waits in stock, or for its activation letter, waits for nobody's approval.
    if token.pending && token.kind != Kind::AuthToken && token.repository.is_none() {
        let due = token.created_at.plus_seconds(ISSUE_APPROVAL_SECONDS);
        tx.push(TELL_UNDECIDED, &values![&token.id, &token.realm, due]).await?;
    }
    Ok(())
}

/// Notes that a token no longer ends when it did.
pub(in crate::tokens) async fn forget_end(
    tx: &mut Transaction<'_>,
    token: &Token,
) -> Result<(), Failure> {
    tx.push(FORGET_END, &values![&token.id]).await
}
