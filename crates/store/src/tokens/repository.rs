//! What a repository's tokens are found, filtered and sorted by, beside the rows of the token.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::repository::Place;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::token::Token;

use crate::codec;
use crate::engine::{Failure, Transaction, Value, values};

/// A credential that has ended leaves its place to the next one.
const CLEAR_PLACE: &str = "
delete from repository_token
where  realm = $1
and    repository = $2
and    owner = $3
and    place = $4
and    token in (select id from token where id = repository_token.token and revoked_at is not null)";

const INSERT: &str = "
insert into repository_token (
    token, realm, repository, sort_key, owner, place, serial, tracking, ends_at, last_at, total,
    first_at, held_since, base_total
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict do nothing";

const SERIAL_TAKEN: &str = "
select 1
from   repository_token
where  realm = $1
and    repository = $2
and    serial = $3
and    token <> $4";

/// Matches no row when another token has the serial.
const EDIT: &str = "
update repository_token
set    serial = $4, tracking = $5, ends_at = $6
where  token = $1
and    not exists (
    select 1
    from   repository_token other
    where  other.realm = $2 and other.repository = $3 and other.serial = $4
    and    other.token <> $1
)";

const KNOWN: &str = "
select 1
from   repository_token
where  token = $1";

const ADD_VALUE: &str = "
insert into repository_value (realm, repository, element, value, sort_key)
values ($1, $2, $3, $4, $5)
on conflict do nothing";

pub(super) const DROP_VALUES: &str = "
delete from repository_value
where  realm = $1
and    repository = $2
and    element = $3
and    value = $4
and    sort_key = $5";

const ADD_DATA: &str = "
insert into token_data (token, sealed)
values ($1, $2)
on conflict (token) do update
set    sealed = excluded.sealed";

/// Follows what was counted, after it was.
/// What a former owner did with it is not this one's: only uses since they have it count.
const FOLLOW: &str = "
update repository_token
set    last_at = coalesce((
           select u.last_at
           from   token_usage u
           where  u.token = $1
           and    u.last_at >= coalesce(repository_token.held_since, 0)
       ), last_at),
       first_at = coalesce(first_at, (
           select case when u.first_at >= repository_token.held_since
                       then u.first_at else u.last_at end
           from   token_usage u
           where  u.token = $1
           and    u.last_at >= coalesce(repository_token.held_since, 0)
       )),
       total = coalesce((select u.total from token_usage u where u.token = $1), 0) - base_total
where  token = $1";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[CLEAR_PLACE, INSERT, SERIAL_TAKEN, EDIT, KNOWN, ADD_VALUE, DROP_VALUES, ADD_DATA, FOLLOW];

/// What is to be unique in a repository and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The serial.
    Serial,
    /// The owner's place.
    Place,
}

/// The place of a new token in its repository, if it is in one.
pub(super) async fn arrive(
    tx: &mut Transaction<'_>,
    token: &Token,
    data: Option<&[u8]>,
) -> Result<Result<(), Taken>, Failure> {
    if let Some(sealed) = data {
        keep_data(tx, token.id, sealed).await?;
    }
    let Some(membership) = &token.repository else { return Ok(Ok(())) };
    let name = membership.name.as_str();
    let owner = (membership.place != Place::Stock).then(|| token.owner.name());
    if matches!(membership.place, Place::Current | Place::Next) {
        let place = membership.place.name();
        let values = values![&token.realm, name, token.owner.name(), place];
        tx.execute(CLEAR_PLACE, &values).await?;
    }
    let key = codec::sort_key(token.created_at, token.id);
    let usage = &token.usage;
    let values = values![
        &token.id,
        &token.realm,
        name,
        key,
        owner,
        membership.place.name(),
        token.airlock.serial.as_ref(),
        token.airlock.tracking_id.as_ref(),
        or_zero(token.validity.expires_at()),
        or_zero(usage.last_at),
        usage.total,
        usage.first_at,
        owner.map(|_| token.created_at),
        0_i64
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        let serial = token.airlock.serial.as_ref();
        let values = values![&token.realm, name, serial, &token.id];
        let by_serial = serial.is_some() && tx.exists(SERIAL_TAKEN, &values).await?;
        return Ok(Err(if by_serial { Taken::Serial } else { Taken::Place }));
    }
    add_values(tx, token).await?;
    Ok(Ok(()))
}

/// What changed of a token that is in a repository. A token that was deleted from its repository
/// has no place there any more, and none to follow.
pub(super) async fn edit(
    tx: &mut Transaction<'_>,
    before: &Token,
    token: &Token,
) -> Result<Result<(), Taken>, Failure> {
    let Some(membership) = &before.repository else { return Ok(Ok(())) };
    if !tx.exists(KNOWN, &values![&token.id]).await? {
        return Ok(Ok(()));
    }
    let values = values![
        &token.id,
        &token.realm,
        membership.name.as_str(),
        token.airlock.serial.as_ref(),
        token.airlock.tracking_id.as_ref(),
        or_zero(token.validity.expires_at())
    ];
    if tx.execute(EDIT, &values).await? == 0 {
        return Ok(Err(Taken::Serial));
    }
    drop_values(tx, before).await?;
    let after = Token {
        repository: before.repository.clone(),
        created_at: before.created_at,
        ..token.clone()
    };
    add_values(tx, &after).await?;
    Ok(Ok(()))
}

/// Keeps what is shown again, sealed.
pub(super) async fn keep_data(
    tx: &mut Transaction<'_>,
    token: TokenId,
    sealed: &[u8],
) -> Result<(), Failure> {
    tx.push(ADD_DATA, &values![&token, sealed]).await
}

/// Lets the places in lists follow what was counted.
pub(super) async fn follow(
    tx: &mut Transaction<'_>,
    tokens: impl Iterator<Item = &TokenId>,
) -> Result<(), Failure> {
    let sets: Vec<Vec<Value<'_>>> = tokens.map(|token| values![token].into()).collect();
    if sets.is_empty() { Ok(()) } else { tx.execute_each(FOLLOW, &sets).await }
}

async fn add_values(tx: &mut Transaction<'_>, token: &Token) -> Result<(), Failure> {
    let Some(membership) = &token.repository else { return Ok(()) };
    let key = codec::sort_key(token.created_at, token.id);
    for (element, value) in &token.airlock.generic_data {
        let name = membership.name.as_str();
        let element = i64::from(*element);
        tx.push(ADD_VALUE, &values![&token.realm, name, element, value, &key]).await?;
    }
    Ok(())
}

async fn drop_values(tx: &mut Transaction<'_>, token: &Token) -> Result<(), Failure> {
    let Some(membership) = &token.repository else { return Ok(()) };
    let key = codec::sort_key(token.created_at, token.id);
    for (element, value) in &token.airlock.generic_data {
        let name = membership.name.as_str();
        let element = i64::from(*element);
        tx.push(DROP_VALUES, &values![&token.realm, name, element, value, &key]).await?;
    }
    Ok(())
}

fn or_zero(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::micros)
}
