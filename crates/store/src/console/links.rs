//! Links by which people choose a password.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::console::{SIGN_IN_LINK_RETENTION_SECONDS, SignInLink, SignInLinkEnd};
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    FirstAdministrator, Inserted, SignInLinkAdded, SignInLinkUse, SignInLinkUsed,
};

use super::{accounts, sessions};
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events, people};

/// One after the other, so that of two first administrators one is the first.
const TURN_AT_REALM: &str = "
select 1
from   realm
where  name = $1
{for_change}";

const DELETE_UNUSED: &str = "
delete from sign_in_link
where  realm = $1
and    username = $2
and    used_at is null";

const DELETE_UNUSED_FIRST: &str = "
delete from sign_in_link
where  realm = $1
and    username is null
and    used_at is null";

const INSERT: &str = "
insert into sign_in_link (
    id, realm, username, created_at, created_by, expires_at, pepper, hash, used_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const FIND: &str = "
select id, realm, username, created_at, created_by, expires_at, pepper, hash, null as cost, used_at
from   sign_in_link
where  id = $1";

/// Of any number of uses one matches the row.
const USE: &str = "
update sign_in_link
set    used_at = $2
where  id = $1
and    used_at is null
and    expires_at > $2";

const DELETE_OF_PERSON: &str = "
delete from sign_in_link
where  realm = $1
and    username = $2";

const PURGE: &str = "
delete from sign_in_link
where  id in (
    select id
    from   sign_in_link
    where  expires_at <= $1
    order  by expires_at
    limit  $2
)";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[
    TURN_AT_REALM,
    DELETE_UNUSED,
    DELETE_UNUSED_FIRST,
    INSERT,
    FIND,
    USE,
    DELETE_OF_PERSON,
    PURGE,
];

pub(super) async fn add(
    tx: &mut Transaction<'_>,
    link: &SignInLink,
    event: &Event,
) -> Result<SignInLinkAdded, Failure> {
    if let Some(username) = &link.username {
        if !people::user_exists(tx, &link.realm, username).await? {
            return Ok(SignInLinkAdded::Refused);
        }
        tx.push(DELETE_UNUSED, &values![&link.realm, username]).await?;
    } else {
        tx.lock(TURN_AT_REALM, &values![&link.realm]).await?;
        if accounts::any(tx, &link.realm).await? {
            return Ok(SignInLinkAdded::Refused);
        }
        tx.push(DELETE_UNUSED_FIRST, &values![&link.realm]).await?;
    }
    let values = values![
        &link.id,
        &link.realm,
        link.username.as_ref(),
        link.created_at,
        link.created_by.as_str(),
        link.expires_at,
        link.hash.pepper(),
        codec::hash_bytes(&link.hash),
        link.used_at
    ];
    tx.push(INSERT, &values).await?;
    events::append(tx, event).await?;
    Ok(SignInLinkAdded::Done)
}

pub(super) async fn find(
    tx: &mut Transaction<'_>,
    id: TokenId,
) -> Result<Option<SignInLink>, Failure> {
    let row = tx.row(FIND, &values![&id]).await?;
    Ok(row.map(link_of).transpose()?)
}

pub(super) async fn use_up(
    tx: &mut Transaction<'_>,
    using: &SignInLinkUse,
) -> Result<SignInLinkUsed, Failure> {
    let SignInLinkUse { id, account, first, at, event } = using;
    let (realm, username) = (&account.realm, &account.username);
    tx.lock(TURN_AT_REALM, &values![realm]).await?;
    if tx.execute(USE, &values![id, *at]).await? == 0 {
        let end = end_of(find(tx, *id).await?.as_ref(), *at);
        return Ok(SignInLinkUsed::Refused(end));
    }
    let superseded = if let Some(first) = first {
        let late = accounts::any(tx, realm).await?;
        if !late {
            make_first(tx, first).await?;
        }
        late
    } else {
        people::turn_at_user(tx, realm, username).await?;
        !people::user_exists(tx, realm, username).await?
    };
    if superseded {
        tx.undo();
        return Ok(SignInLinkUsed::Refused(SignInLinkEnd::Superseded));
    }
    let account = accounts::put(tx, account).await?;
    sessions::delete_all_of(tx, realm, username).await?;
    events::append(tx, event).await?;
    Ok(SignInLinkUsed::Done(account))
}

/// The first administrator may be somebody who is known already.
async fn make_first(tx: &mut Transaction<'_>, first: &FirstAdministrator) -> Result<(), Failure> {
    let FirstAdministrator { user, user_event, grant, grant_event } = first;
    people::user_insert(tx, user, user_event).await?;
    match people::grant_insert(tx, grant, grant_event).await? {
        Inserted::Done => Ok(()),
        Inserted::Exists | Inserted::Missing(_) => Err(Failure::interleaved()),
    }
}

/// Why a link that did not match is of no use.
pub(crate) fn end_of(link: Option<&SignInLink>, at: Timestamp) -> SignInLinkEnd {
    match link {
        Some(link) if link.used_at.is_some() => SignInLinkEnd::Used,
        Some(link) if link.expires_at <= at => SignInLinkEnd::Expired,
        Some(_) | None => SignInLinkEnd::Superseded,
    }
}

pub(super) async fn delete_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<(), Failure> {
    tx.push(DELETE_OF_PERSON, &values![realm, username]).await
}

pub(super) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now.plus_seconds(-SIGN_IN_LINK_RETENTION_SECONDS), limit]).await
}

fn link_of(mut row: Row) -> Result<SignInLink, Inconsistent> {
    Ok(SignInLink {
        id: row.token("id")?,
        realm: codec::realm(&mut row, "realm")?,
        username: row.parsed_or_null("username", |text| Username::parse(text).ok())?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        expires_at: row.time("expires_at")?,
        hash: codec::hash(&mut row)?,
        used_at: row.time_or_null("used_at")?,
    })
}
