//! Tokens that leave their repository, change hands, or take another one's place.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, RepositoryName, Username};
use counterfoil_authority::repository::Place;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Assign, Change, Listing, ListingRemove, Moved, Promote};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::Token;

use super::revoke::{self, Sentence};
use super::{issue, listing, repository, rows, state};
use crate::engine::{Failure, Transaction, values};
use crate::{codec, events, letters, people};

const LEAVE: &str = "
delete from repository_token
where  token = $1";

const FORGET_DATA: &str = "
delete from token_data
where  token = $1";

const IN_PLACE: &str = "
select token
from   repository_token
where  realm = $1
and    repository = $2
and    owner = $3
and    place = $4";

/// The one statement that decides among all who promote at the same time.
const TAKE_PLACE: &str = "
update repository_token
set    place = 'current'
where  token = $1
and    place = 'next'";

const MARK_CURRENT: &str = "
update token
set    place = 'current', version = version + 1
where  id = $1";

/// Never later than it would have ended anyway.
const RETIRE: &str = "
update token
set    expires_at = case when expires_at is null or expires_at > $2 then $2 else expires_at end,
       version = version + 1
where  id = $1
and    revoked_at is null
and    not_before < $2";

const HAND_OVER: &str = "
update token
set    owner_kind = $2, owner = $3, place = $4, pending = $5,
       activated_at = case
           when cast($5 as {int}) = 1 then activated_at
           else coalesce(activated_at, $6)
       end,
       changed_at = $6, version = version + 1
where  id = $1";

const TAKE_OVER: &str = "
update repository_token
set    owner = $2, place = $3, held_since = $4, last_at = 0, total = 0, first_at = null,
       base_total = coalesce((select u.total from token_usage u where u.token = $1), 0)
where  token = $1";

const REMEMBER: &str = "
insert into repository_assignment (token, since, realm, owner, until, first_at, last_at, total)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing";

/// What does not work must not take the place of what does.
const DUE: &str = concat!(
    "
select r.realm, r.owner, r.token
from   repository_token r
join   token t on t.id = r.token
where  r.place = 'next'
and    r.repository = $1
and    ",
    state!(),
    " = 'active'
order  by r.token
limit  $3"
);

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[
    LEAVE,
    FORGET_DATA,
    IN_PLACE,
    TAKE_PLACE,
    MARK_CURRENT,
    RETIRE,
    HAND_OVER,
    TAKE_OVER,
    REMEMBER,
    DUE,
];

/// Takes a token's row out of its repository. What it did stays with the token.
async fn leave(tx: &mut Transaction<'_>, token: &Token) -> Result<(), Failure> {
    tx.push(LEAVE, &values![&token.id]).await?;
    tx.push(FORGET_DATA, &values![&token.id]).await?;
    let Some(membership) = &token.repository else { return Ok(()) };
    let key = codec::sort_key(token.created_at, token.id);
    for (element, value) in &token.airlock.generic_data {
        let (name, element) = (membership.name.as_str(), i64::from(*element));
        let values = values![&token.realm, name, element, value, &key];
        tx.push(repository::DROP_VALUES, &values).await?;
    }
    Ok(())
}

/// Revokes a token and takes it out of its repository.
pub(crate) async fn remove(
    tx: &mut Transaction<'_>,
    remove: &ListingRemove,
) -> Result<Moved, Failure> {
    let ListingRemove { realm, id, expected_version, promote, at, event } = remove;
    if let Some(found) = listing::find(tx, realm, *id).await? {
        // Before the token, as issuing does.
        issue::turn_at_owner(tx, &found.token).await?;
    }
    rows::find_to_change(tx, realm, *id).await?;
    let Some(found) = listing::find(tx, realm, *id).await? else { return Ok(Moved::NotFound) };
    if expected_version.is_some_and(|expected| expected != found.token.version) {
        return Ok(Moved::VersionMismatch);
    }
    leave(tx, &found.token).await?;
    letters::let_go(tx, *id, *at).await?;
    if found.token.revocation.is_none() {
        let by = &event.origin.actor;
        let sentence = Sentence { at: *at, by, reason: Some("deleted from its repository") };
        revoke::revoke(tx, *id, &sentence, event).await?;
    }
    events::append(tx, event).await?;
    let membership = found.token.repository.as_ref();
    if let (true, Some(membership), Owner::User(owner)) = (promote, membership, &found.token.owner)
        && membership.place == Place::Current
        && let Some(next) = in_place(tx, realm, &membership.name, owner, Place::Next).await?
    {
        tx.execute(TAKE_PLACE, &values![&next]).await?;
        let told = events::consequence(event, "token.promoted", next, "current one deleted");
        mark(tx, next, &told).await?;
    }
    Ok(Moved::Done(found))
}

async fn in_place(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    repository: &RepositoryName,
    owner: &Username,
    place: Place,
) -> Result<Option<TokenId>, Failure> {
    let values = values![realm, repository.as_str(), owner.as_str(), place.name()];
    let row = tx.row(IN_PLACE, &values).await?;
    Ok(row.map(|mut row| row.token("token")).transpose()?)
}

/// Notes on the token itself that it is the current one.
async fn mark(tx: &mut Transaction<'_>, next: TokenId, event: &Event) -> Result<(), Failure> {
    tx.push(MARK_CURRENT, &values![&next]).await?;
    events::append(tx, event).await?;
    tx.changed(Change::Token(next), event.at).await
}

/// Makes the next credential the current one.
pub(super) async fn promote(
    tx: &mut Transaction<'_>,
    promote: &Promote,
) -> Result<Option<Listing>, Failure> {
    let Promote { realm, repository, owner, next, retire_at, at, event } = promote;
    people::turn_at_user(tx, realm, owner).await?;
    let found = in_place(tx, realm, repository, owner, Place::Next).await?;
    let Some(id) = found.filter(|found| next.is_none_or(|next| next == *found)) else {
        return Ok(None);
    };
    if let Some(former) = in_place(tx, realm, repository, owner, Place::Current).await? {
        let Some(token) = rows::find_to_change(tx, realm, former).await? else {
            return Err(Failure::interleaved());
        };
        leave(tx, &token).await?;
        let graced =
            *at < *retire_at && tx.execute(RETIRE, &values![&former, *retire_at]).await? > 0;
        let told = events::consequence(event, "token.superseded", former, "next one promoted");
        if !graced && token.revocation.is_none() {
            let by = &event.origin.actor;
            let sentence = Sentence { at: *at, by, reason: Some("superseded") };
            revoke::revoke(tx, former, &sentence, &told).await?;
        }
        events::append(tx, &told).await?;
        tx.changed(Change::Token(former), *at).await?;
    }
    if tx.execute(TAKE_PLACE, &values![&id]).await? == 0 {
        return Err(Failure::interleaved());
    }
    mark(tx, id, event).await?;
    listing::find(tx, realm, id).await
}

/// Gives a token of the stock to a person, or takes it back.
pub(crate) async fn assign(tx: &mut Transaction<'_>, assign: &Assign) -> Result<Moved, Failure> {
    let Assign { realm, id, to, keeper, limits, pending, expected_version, at, event } = assign;
    if let Some(user) = to {
        people::turn_at_user(tx, realm, user).await?;
        if !people::user_exists(tx, realm, user).await? {
            return Ok(Moved::OwnerGone);
        }
    }
    rows::find_to_change(tx, realm, *id).await?;
    let Some(found) = listing::find(tx, realm, *id).await? else { return Ok(Moved::NotFound) };
    if expected_version.is_some_and(|expected| expected != found.token.version) {
        return Ok(Moved::VersionMismatch);
    }
    if found.token.revocation.is_some() {
        return Ok(Moved::Ended);
    }
    let is_stock = found.held_since.is_none();
    match to {
        Some(_) if !is_stock => return Ok(Moved::Assigned),
        None if is_stock => return Ok(Moved::Unassigned),
        _ => {}
    }
    let place = if to.is_some() { Place::Held } else { Place::Stock };
    let owner = to.clone().map_or_else(|| keeper.clone(), Owner::User);
    let counted = Token { owner: owner.clone(), ..found.token.clone() };
    for limit in limits {
        if issue::held(tx, &counted, limit, *at).await?.len() >= limit.max as usize {
            return Ok(Moved::AtLimit(limit.max));
        }
    }
    if let Some(since) = found.held_since {
        let (name, total) = (found.token.owner.name(), found.total);
        let (first, last) = (found.first_at, found.last_at);
        tx.push(REMEMBER, &values![id, since, realm, name, *at, first, last, total]).await?;
    }
    let kind = codec::owner_kind(&owner);
    let values = values![id, kind, owner.name(), place.name(), *pending, *at];
    tx.push(HAND_OVER, &values).await?;
    let (held_by, since) = (to.as_ref().map(Username::as_str), to.as_ref().map(|_| *at));
    tx.push(TAKE_OVER, &values![id, held_by, place.name(), since]).await?;
    letters::let_go(tx, *id, *at).await?;
    events::append(tx, event).await?;
    tx.changed(Change::Token(*id), *at).await?;
    match listing::find(tx, realm, *id).await? {
        Some(listing) => Ok(Moved::Done(listing)),
        None => Err(Failure::interleaved()),
    }
}

/// Next credentials whose own time has begun.
pub(super) async fn due(
    tx: &mut Transaction<'_>,
    repository: &RepositoryName,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(RealmName, Username, TokenId)>, Failure> {
    let mut due = Vec::new();
    for mut row in tx.query(DUE, &values![repository.as_str(), now, limit]).await? {
        let realm = codec::realm(&mut row, "realm")?;
        let owner = row.parsed("owner", |name| Username::parse(name).ok())?;
        due.push((realm, owner, row.token("token")?));
    }
    Ok(due)
}
