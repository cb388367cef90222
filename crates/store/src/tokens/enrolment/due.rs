//! What falls due by itself: requests that nobody decided, auth tokens that were idle too long,
//! ends that are near, successors past their grace.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::ISSUE_APPROVAL_SECONDS;
use counterfoil_authority::event::{Event, Outcome};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::notice;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::token::Token;

use super::super::revoke::{self, Sentence};
use crate::codec;
use crate::engine::{Failure, Inconsistent, Transaction, values};
use crate::events::{self, Ending};

/// Who ends what nobody ended.
const SYSTEM: &str = "system";

/// How the kind of a notice begins that stands for all tokens of a realm: it goes through them, and
/// the place of the token is how far it has come.
const HEARD: &str = "heard ";
/// Tokens that one step goes through.
const HEARD_PER_STEP: u32 = 500;
/// No transaction that issues a token lasts as long as this.
const HEARD_AFTER_SECONDS: i64 = 60;

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
select expires_at, kind, owner_kind, owner, services
from   token
where  id = $1
and    revoked_at is null
and    expires_at is not null";

/// Tokens of a realm that got a target, from one on.
const WITHOUT_NOTICE: &str = "
select id, sort_key, kind, created_at, expires_at
from   token
where  realm = $1
and    sort_key > $2
order  by sort_key
limit  $3";

const TELL_UNTOLD: &str = "
insert into notice (token, kind, realm, due_at)
values ($1, 'ends', $2, $3)
on conflict (token, kind) do nothing";

const NEWLY_HEARD: &str = "
insert into notice (token, kind, realm, due_at)
values ($1, $2, $3, $4)
on conflict (token, kind) do nothing";

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
    WITHOUT_NOTICE,
    TELL_UNTOLD,
    NEWLY_HEARD,
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
        let place = row.text("token")?;
        let (realm, kind) = (codec::realm(&mut row, "realm")?, row.text("kind")?);
        if kind.starts_with(HEARD) {
            let more = hear_of_some(tx, &place, &realm, now).await?;
            done += if more { u64::from(limit) } else { 1 };
            continue;
        }
        let token = TokenId::parse(&place).ok_or(Inconsistent { column: "token" })?;
        done += 1;
        if kind == "undecided" {
            undecided(tx, token, now, &Event { realm, ..cause.clone() }).await?;
        } else {
            end_is_near(tx, token, realm, now, cause).await?;
        }
    }
    Ok(done + tx.execute(FORGET, &values![now, limit]).await?)
}

/// Tells of an end, once, and notes when it is told of next.
async fn end_is_near(
    tx: &mut Transaction<'_>,
    id: TokenId,
    realm: RealmName,
    now: Timestamp,
    cause: &Event,
) -> Result<(), Failure> {
    let Some(mut row) = tx.row(STILL_ENDS, &values![&id]).await? else { return Ok(()) };
    let ends = row.time("expires_at")?;
    let kind = row.parsed("kind", Kind::from_name)?;
    let (owner, services) = (codec::owner(&mut row)?, codec::services(&mut row)?);
    if let Some(due) = notice::next(kind, ends, now) {
        tx.push(TELL_END, &values![&id, &realm, due]).await?;
    }
    match events::ending(cause, &Ending { id, realm, kind, owner, services }, ends, now) {
        Some(told) => events::append(tx, &told).await,
        None => Ok(()),
    }
}

/// Notes the ends of some tokens of a realm that got a target. True if there are more of them.
async fn hear_of_some(
    tx: &mut Transaction<'_>,
    place: &str,
    realm: &RealmName,
    now: Timestamp,
) -> Result<bool, Failure> {
    let mut rows = tx.query(WITHOUT_NOTICE, &values![realm, place, HEARD_PER_STEP]).await?;
    let more = rows.len() >= HEARD_PER_STEP as usize;
    let mut last = None;
    for row in &mut rows {
        let token = row.token("id")?;
        last = Some(row.text("sort_key")?);
        let kind = row.parsed("kind", Kind::from_name)?;
        let (made, ends) = (row.time("created_at")?, row.time_or_null("expires_at")?);
        let due = ends.and_then(|ends| notice::first(kind, made, ends, now));
        if let Some(due) = due.filter(|_| notice::needs_listeners(kind)) {
            tx.push(TELL_UNTOLD, &values![&token, realm, due]).await?;
        }
    }
    if let Some(last) = last.filter(|_| more) {
        tx.push(NEWLY_HEARD, &values![&*last, &*heard_kind(realm), realm, now]).await?;
    }
    Ok(more)
}

fn heard_kind(realm: &RealmName) -> String {
    format!("{HEARD}{realm}")
}

/// Notes that a realm got somebody who is told of ends: its tokens are gone through in a while,
/// when whatever was being issued meanwhile is there to be found.
pub(crate) async fn newly_heard(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    now: Timestamp,
) -> Result<(), Failure> {
    let due = now.plus_seconds(HEARD_AFTER_SECONDS);
    tx.push(NEWLY_HEARD, &values!["", &*heard_kind(realm), realm, due]).await
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
    let made = token.created_at;
    if let Some(due) = ends.and_then(|ends| notice::first(token.kind, made, ends, now)) {
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
