//! Approving what waits, and giving draws back.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::store::{Change, CountReturn, Returned, TokenChange};
use counterfoil_authority::token::{Token, Told};

use super::super::rows;
use super::due;
use crate::engine::{Failure, Transaction, values};
use crate::events;

const APPROVE: &str = "
update token
set    pending = 0, activated_at = $3, version = version + 1
where  id = $1
and    version = $2
and    pending = 1";

/// Only a request that still waits is counted.
const DECIDE: &str = "
update auth_token
set    request_ends_at = null,
       idle_ends_at = case
           when idle_seconds is null then null
           else $2 + idle_seconds * 1000000
       end
where  token = $1
and    request_ends_at > $2";

const TAKE: &str = "
update token
set    used = used + 1, reserved = reserved - 1
where  id = (
    select registration
    from   auth_token
    where  token = $1
)
and    reserved > 0";

/// Giving back more than was drawn would be a way to raise the count. What is left again is told
/// of again when it is taken.
const GIVE_BACK: &str = "
update token
set    returned = returned + $2, told = $3, version = version + 1
where  id = $1
and    kind = 'registration_token'
and    revoked_at is null
and    returned + $2 <= used";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[APPROVE, DECIDE, TAKE, GIVE_BACK];

/// Makes active what waits; false if its time was over, and it has ended instead.
pub(in crate::tokens) async fn approve(
    tx: &mut Transaction<'_>,
    token: &Token,
    change: &TokenChange,
) -> Result<bool, Failure> {
    if token.kind == Kind::AuthToken {
        if tx.execute(DECIDE, &values![&token.id, change.at]).await? == 0 {
            due::time_out(tx, token.id, change.at, &change.event).await?;
            return Ok(false);
        }
        if tx.execute(TAKE, &values![&token.id]).await? == 0 {
            return Err(Failure::Overtaken("the request held no draw"));
        }
    }
    if tx.execute(APPROVE, &values![&token.id, token.version, change.at]).await? == 0 {
        return Err(Failure::interleaved());
    }
    Ok(true)
}

/// Gives draws back, in a column of their own.
pub(super) async fn give_back(
    tx: &mut Transaction<'_>,
    back: &CountReturn,
) -> Result<Returned, Failure> {
    let found = rows::find_to_change(tx, &back.realm, back.id).await?;
    let Some(token) = found.filter(|token| token.kind == Kind::RegistrationToken) else {
        return Ok(Returned::NotFound);
    };
    let told = told_again(&token, back.draws);
    if tx.execute(GIVE_BACK, &values![&back.id, back.draws, told.0]).await? == 0 {
        let most = token.used.saturating_sub(token.sentinel.returned);
        return Ok(Returned::TooMany(if token.revocation.is_some() { 0 } else { most }));
    }
    events::append(tx, &back.event).await?;
    tx.changed(Change::Token(back.id), back.event.at).await?;
    match rows::find(tx, &back.realm, back.id).await? {
        Some(token) => Ok(Returned::Done(Box::new(token))),
        None => Err(Failure::interleaved()),
    }
}

/// Which thresholds stay told of once so many draws are left again.
fn told_again(token: &Token, draws: u64) -> Told {
    let mut after = token.clone();
    after.sentinel.returned = after.sentinel.returned.saturating_add(draws);
    still_told(&after)
}

/// Which thresholds of a registration token stay told of as it stands.
pub(crate) fn still_told(token: &Token) -> Told {
    let counts = counterfoil_authority::enrolment::Counts::of(token);
    let mut told = token.sentinel.told.0;
    if counts.remaining() != Some(0) {
        told &= !(Told::EXHAUSTED | Told::REFUSED);
    }
    if !counts.nearly_used_up() {
        told &= !Told::NEARLY;
    }
    Told(told)
}
