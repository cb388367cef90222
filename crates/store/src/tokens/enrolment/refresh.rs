//! Families of refresh secrets: one successor for each, and an alarm for whoever comes too late.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{
    Confirmation, POLL_SECONDS, REFRESH_RETRIES_MAX, REFRESH_SECRETS_MAX, replaced,
};
use counterfoil_authority::event::Event;
use counterfoil_authority::store::{Change, Refresh, Refreshed};
use counterfoil_authority::token::{SecretFacts, Slot, State, StoredSecret, Token};

use super::super::revoke::{self, Sentence};
use super::super::usage::state;
use super::super::{rows, secrets};
use super::due;
use crate::codec;
use crate::engine::{Failure, Transaction, values};
use crate::events;

/// Everything that decides about one presented secret, in one read, or about the family alone if
/// none of its secrets that are kept is the presented one. `$2` is now.
const MATCH: &str = concat!(
    "
select s.id, s.slot, s.expires_at, ",
    state!(),
    ",
       t.revoked_reason,
       case
           when t.owner_kind = 'u' then case when p.status = 'active' then 1 else 0 end
           else coalesce(c.enabled, 0)
       end,
       a.confirmation, a.idle_ends_at, a.poll_seconds, a.polled_at, a.request_ends_at, r.sealed
from   token t
join   auth_token a on a.token = t.id
left   join token_secret s on s.token = t.id and s.hash = $3
left   join refresh_successor r on r.token = t.id and r.secret = s.id and r.expires_at > $2
left   join person p on t.owner_kind = 'u' and p.realm = t.realm and p.username = t.owner
left   join client c on t.owner_kind = 'c' and c.realm = t.realm and c.name = t.owner
where  t.id = $1
and    t.realm = $4"
);

const ROTATED: &str = "
update auth_token
set    refreshed_at = $2,
       idle_ends_at = case
           when idle_seconds is null then null
           else $2 + idle_seconds * 1000000
       end
where  token = $1";

const KEEP_SUCCESSOR: &str = "
insert into refresh_successor (token, secret, sealed, retries, expires_at)
values ($1, $2, $3, 0, $4)";

/// A secret that leaked long ago must not open a chain of sealed successors up to the present.
const FORGET_FORMER: &str = "
delete from refresh_successor
where  token = $1
and    expires_at <= $2";

const RETRY: &str = "
update refresh_successor
set    retries = retries + 1
where  token = $1
and    secret = $2
and    retries < $3";

const POLLED: &str = "
update auth_token
set    polled_at = $2, poll_seconds = $3
where  token = $1";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[MATCH, ROTATED, KEEP_SUCCESSOR, FORGET_FORMER, RETRY, POLLED];

/// The presented secret and its family.
struct Presented {
    /// `None`: it was exchanged so long ago that its hash is gone.
    secret: Option<String>,
    slot: Slot,
    expires_at: Option<Timestamp>,
    state: State,
    reason: Option<String>,
    owner_is_active: bool,
    confirmation: Option<Confirmation>,
    idle_ends_at: Option<Timestamp>,
    poll_seconds: Option<i64>,
    polled_at: Option<Timestamp>,
    request_ends_at: Option<Timestamp>,
    sealed: Option<Vec<u8>>,
}

/// Exchanges a refresh secret.
pub(super) async fn refresh(
    tx: &mut Transaction<'_>,
    refresh: &Refresh,
) -> Result<Refreshed, Failure> {
    // First, so that of those who present the same secret at the same time one is the first.
    let found = rows::find_to_change(tx, &refresh.realm, refresh.id).await?;
    let (Some(token), Some(presented)) = (found, presented(tx, refresh).await?) else {
        return Ok(Refreshed::Unknown);
    };
    if presented.confirmation.is_some() && presented.confirmation != refresh.confirmation {
        return Ok(Refreshed::WrongKey);
    }
    let timed_out = presented.request_ends_at.is_some_and(|end| end <= refresh.at);
    if timed_out && presented.state == State::Pending {
        due::time_out(tx, token.id, refresh.at, &refresh.event).await?;
        let reason = Some("timed out".to_owned());
        return Ok(Refreshed::Refused { state: State::Revoked, reason });
    }
    match presented.state {
        State::Active => {}
        State::Pending => return poll(tx, refresh, &presented).await,
        state => return Ok(Refreshed::Refused { state, reason: presented.reason }),
    }
    if !presented.owner_is_active {
        return Ok(Refreshed::OwnerInactive);
    }
    if presented.idle_ends_at.is_some_and(|end| end <= refresh.at) {
        due::end_idle(tx, token.id, refresh.at, &refresh.event).await?;
        return Ok(Refreshed::Idle);
    }
    if presented.expires_at == Some(replaced()) {
        return Ok(Refreshed::Unknown);
    }
    let over =
        presented.secret.is_none() || presented.expires_at.is_some_and(|end| end <= refresh.at);
    if !over && let Some(fault) = refresh.fault(&token) {
        return Ok(fault);
    }
    match (presented.slot, over) {
        (Slot::Current, false) => rotate(tx, refresh, token, &presented).await,
        (Slot::Previous, false) => again(tx, token, presented).await,
        _ => end_family(tx, refresh, token).await,
    }
}

async fn presented(
    tx: &mut Transaction<'_>,
    refresh: &Refresh,
) -> Result<Option<Presented>, Failure> {
    let mut family = None;
    for hash in &refresh.presented {
        let values = values![&refresh.id, refresh.at, codec::hash_bytes(hash), &refresh.realm];
        let Some(mut row) = tx.row(MATCH, &values).await? else { return Ok(None) };
        let secret = row.text_or_null("secret")?;
        let slot = row.parsed_or_null("slot", Slot::from_name)?;
        let found = Presented {
            slot: slot.unwrap_or(Slot::Previous),
            expires_at: row.time_or_null("expires_at")?,
            state: row.parsed("state", State::from_name)?,
            reason: row.text_or_null("revoked_reason")?,
            owner_is_active: row.flag("owner")?,
            confirmation: row.parsed_or_null("confirmation", Confirmation::from_stored)?,
            idle_ends_at: row.time_or_null("idle_ends_at")?,
            poll_seconds: row.int_or_null("poll_seconds")?,
            polled_at: row.time_or_null("polled_at")?,
            request_ends_at: row.time_or_null("request_ends_at")?,
            sealed: row.bytes_or_null("sealed")?,
            secret,
        };
        if found.secret.is_some() {
            return Ok(Some(found));
        }
        family = Some(found);
    }
    Ok(family.filter(|found| refresh.made_here && found.state != State::Pending))
}

/// The successor becomes the current secret, and the presented one leads to it for the grace.
async fn rotate(
    tx: &mut Transaction<'_>,
    refresh: &Refresh,
    mut token: Token,
    presented: &Presented,
) -> Result<Refreshed, Failure> {
    let until = refresh.at.plus_seconds(refresh.grace_seconds);
    secrets::retire_current(tx, token.id, until).await?;
    let secret = StoredSecret {
        facts: SecretFacts { slot: Slot::Current, ..refresh.secret.facts.clone() },
        ..refresh.secret.clone()
    };
    if secrets::insert(tx, token.id, &secret).await? == 0 {
        tx.undo();
        return Ok(Refreshed::Collision);
    }
    secrets::drop_oldest(tx, token.id, REFRESH_SECRETS_MAX).await?;
    tx.push(ROTATED, &values![&token.id, refresh.at]).await?;
    tx.push(FORGET_FORMER, &values![&token.id, refresh.at]).await?;
    let sealed = refresh.sealed.as_slice();
    tx.push(KEEP_SUCCESSOR, &values![&token.id, presented.secret.as_ref(), sealed, until]).await?;
    tx.changed(Change::Token(token.id), refresh.at).await?;
    if let Some(device) = &mut token.device {
        device.refreshed_at = Some(refresh.at);
        device.idle_ends_at = device.idle_seconds.map(|idle| refresh.at.plus_seconds(idle));
    }
    for facts in token.secrets.iter_mut().filter(|facts| facts.slot == Slot::Current) {
        facts.slot = Slot::Previous;
        facts.expires_at = Some(facts.expires_at.map_or(until, |end| end.min(until)));
    }
    token.secrets.insert(0, secret.facts);
    token.secrets.truncate(REFRESH_SECRETS_MAX);
    Ok(Refreshed::Rotated(Box::new(token)))
}

/// Inside the grace, whoever lost the answer gets the same successor, never another one.
async fn again(
    tx: &mut Transaction<'_>,
    token: Token,
    presented: Presented,
) -> Result<Refreshed, Failure> {
    let Some(sealed) = presented.sealed else { return Ok(Refreshed::TooOften) };
    let values = values![&token.id, presented.secret.as_ref(), REFRESH_RETRIES_MAX];
    if tx.execute(RETRY, &values).await? == 0 {
        return Ok(Refreshed::TooOften);
    }
    Ok(Refreshed::Again { token: Box::new(token), sealed })
}

/// Two hold what one was given: nobody can say which of them is honest, so the family ends.
async fn end_family(
    tx: &mut Transaction<'_>,
    refresh: &Refresh,
    token: Token,
) -> Result<Refreshed, Failure> {
    let sentence = Sentence { at: refresh.at, by: "system", reason: Some("refresh reused") };
    let told = Event { token: Some(token.id), ..refresh.event.clone() };
    revoke::revoke(tx, token.id, &sentence, &told).await?;
    events::append(tx, &told).await?;
    Ok(Refreshed::Reused)
}

/// A device that asks whether it has been approved; one that asks too often is told to wait five
/// seconds more between two questions, for good (RFC 8628 section 3.5).
async fn poll(
    tx: &mut Transaction<'_>,
    refresh: &Refresh,
    presented: &Presented,
) -> Result<Refreshed, Failure> {
    let interval = presented.poll_seconds.unwrap_or(POLL_SECONDS);
    let too_soon = presented.polled_at.is_some_and(|last| refresh.at < last.plus_seconds(interval));
    let interval_seconds = if too_soon { interval + POLL_SECONDS } else { interval };
    tx.push(POLLED, &values![&refresh.id, refresh.at, interval_seconds]).await?;
    Ok(Refreshed::Waiting { too_soon, interval_seconds })
}
