//! Handing a token over to another owner.

use counterfoil_authority::store::{Change, Counted, HandOver, HandedOver};
use counterfoil_authority::subject::Owner;

use super::{issue, rows};
use crate::engine::{Failure, Transaction, values};
use crate::{codec, events, people};

const HAND_OVER: &str = "
update token
set    owner_kind = $3, owner = $4, changed_at = $5, version = version + 1
where  id = $1
and    version = $2";

/// Whether one of its secrets has few bits: it is found by the person and the service, and its
/// salt is theirs.
const IS_BOUND: &str = "
select 1
from   token_secret
where  token = $1
and    cost is not null";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[HAND_OVER, IS_BOUND];

/// Gives a token another owner.
pub(super) async fn hand_over(
    tx: &mut Transaction<'_>,
    HandOver { token, limits, events: told }: &HandOver,
) -> Result<HandedOver, Failure> {
    let at = told[0].at;
    // Before the token, as issuing does: what is counted below must still be so at the end.
    issue::turn_at_owner(tx, token).await?;
    let is_there = match &token.owner {
        Owner::User(name) => people::user_exists(tx, &token.realm, name).await?,
        Owner::Client(name) => people::client_exists(tx, &token.realm, name).await?,
    };
    if !is_there {
        return Ok(HandedOver::OwnerGone);
    }
    let Some(found) = rows::find_to_change(tx, &token.realm, token.id).await? else {
        return Ok(HandedOver::NotFound);
    };
    if found.version != token.version {
        return Ok(HandedOver::VersionMismatch);
    }
    if tx.exists(IS_BOUND, &values![&token.id]).await? {
        return Ok(HandedOver::Bound);
    }
    let lives =
        found.revocation.is_none() && found.validity.expires_at().is_none_or(|end| at < end);
    let of_people = limits.iter().filter(|limit| !matches!(limit.of, Counted::Repository(_)));
    for limit in of_people.filter(|_| lives) {
        if issue::held(tx, token, limit, at).await?.len() >= limit.max as usize {
            return Ok(HandedOver::AtLimit(limit.max));
        }
    }
    let kind = codec::owner_kind(&token.owner);
    let values = values![&token.id, token.version, kind, token.owner.name(), at];
    if tx.execute(HAND_OVER, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    events::append_all(tx, told).await?;
    tx.changed(Change::Token(token.id), at).await?;
    match rows::find(tx, &token.realm, token.id).await? {
        Some(token) => Ok(HandedOver::Done(token)),
        None => Err(Failure::interleaved()),
    }
}
