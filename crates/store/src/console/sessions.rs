//! Sessions of people.

use std::net::IpAddr;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::console::{ConsoleSession, SESSIONS_PER_PERSON_MAX, SignInMethod};
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::passkey::PasskeyUse;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{SessionAdd, SessionAdded, SessionsEnd};

use super::{accounts, passkeys};
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events, people};

macro_rules! columns {
    () => {
        "
select id, realm, username, pepper, hash, null as cost, created_at, used_at, expires_at, source,
       agent, method, proved_at
from   console_session
"
    };
}

const INSERT: &str = "
insert into console_session (
    id, realm, username, pepper, hash, created_at, used_at, expires_at, source, agent, method,
    proved_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const FIND: &str = concat!(columns!(), "where id = $1");
const OF_PERSON: &str = concat!(columns!(), "where realm = $1 and username = $2");

const USED: &str = "
update console_session
set    used_at = $2, source = $3
where  id = $1
and    used_at < $2";

const WHOSE: &str = "
select realm, username
from   console_session
where  id = $1";

const PROVED: &str = "
update console_session
set    proved_at = $2
where  id = $1";

const DELETE: &str = "
delete from console_session
where  id = $1
and    realm = $2
and    username = $3";

const DELETE_OF_PERSON: &str = "
delete from console_session
where  realm = $1
and    username = $2";

const DELETE_OTHERS: &str = "
delete from console_session
where  realm = $1
and    username = $2
and    id <> $3";

const PURGE: &str = "
delete from console_session
where  id in (
    select id
    from   console_session
    where  expires_at <= $1
    order  by expires_at
    limit  $2
)";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[INSERT, FIND, OF_PERSON, USED, WHOSE, PROVED, DELETE, DELETE_OF_PERSON, DELETE_OTHERS, PURGE];

pub(super) async fn add(
    tx: &mut Transaction<'_>,
    add: &SessionAdd,
) -> Result<SessionAdded, Failure> {
    let SessionAdd { session, account_version, rehash, passkey, replaces, event } = add;
    let (realm, username) = (&session.realm, &session.username);
    // Whoever changes the password at the same time ends this session, or it does not begin.
    people::turn_at_user(tx, realm, username).await?;
    let stands = match account_version {
        Some(version) => accounts::has_version(tx, realm, username, *version).await?,
        None => people::user_exists(tx, realm, username).await?,
    };
    if !stands {
        return Ok(SessionAdded::Gone);
    }
    if let Some(used) = passkey {
        let noted = passkeys::used(tx, realm, username, used).await?;
        if noted != SessionAdded::Done {
            return Ok(noted);
        }
    }
    if let (Some(version), Some(hash)) = (account_version, rehash) {
        accounts::rehash(tx, realm, username, *version, hash).await?;
    }
    if let Some(former) = replaces {
        tx.push(DELETE, &values![former, realm, username]).await?;
    }
    for resting in beyond_limit(of_person(tx, realm, username).await?) {
        tx.push(DELETE, &values![&resting, realm, username]).await?;
    }
    let values = values![
        &session.id,
        realm,
        username,
        session.hash.pepper(),
        codec::hash_bytes(&session.hash),
        session.created_at,
        session.used_at,
        session.expires_at,
        session.source,
        session.agent.as_deref(),
        session.method.name(),
        session.proved_at
    ];
    tx.push(INSERT, &values).await?;
    events::append(tx, event).await?;
    Ok(SessionAdded::Done)
}

/// Those that give way to one more.
pub(crate) fn beyond_limit(mut sessions: Vec<ConsoleSession>) -> Vec<TokenId> {
    latest_first(&mut sessions);
    sessions.iter().skip(SESSIONS_PER_PERSON_MAX - 1).map(|session| session.id).collect()
}

fn latest_first(sessions: &mut [ConsoleSession]) {
    sessions.sort_by_key(|session| std::cmp::Reverse((session.used_at, session.id)));
}

async fn of_person(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<Vec<ConsoleSession>, Failure> {
    let rows = tx.query(OF_PERSON, &values![realm, username]).await?;
    Ok(rows.into_iter().map(session_of).collect::<Result<_, _>>()?)
}

pub(super) async fn find(
    tx: &mut Transaction<'_>,
    id: TokenId,
) -> Result<Option<ConsoleSession>, Failure> {
    let row = tx.row(FIND, &values![&id]).await?;
    Ok(row.map(session_of).transpose()?)
}

pub(super) async fn used(
    tx: &mut Transaction<'_>,
    id: TokenId,
    at: Timestamp,
    source: Option<IpAddr>,
) -> Result<(), Failure> {
    tx.push(USED, &values![&id, at, source]).await
}

pub(super) async fn proved(
    tx: &mut Transaction<'_>,
    id: TokenId,
    at: Timestamp,
    passkey: Option<&PasskeyUse>,
    event: &Event,
) -> Result<SessionAdded, Failure> {
    if let Some(used) = passkey {
        let Some(mut row) = tx.row(WHOSE, &values![&id]).await? else {
            return Ok(SessionAdded::Gone);
        };
        let realm = codec::realm(&mut row, "realm")?;
        let username = row.parsed("username", |text| Username::parse(text).ok())?;
        people::turn_at_user(tx, &realm, &username).await?;
        let noted = passkeys::used(tx, &realm, &username, used).await?;
        if noted != SessionAdded::Done {
            return Ok(noted);
        }
    }
    if tx.execute(PROVED, &values![&id, at]).await? == 0 {
        // It ended meanwhile, and the passkey was used for nothing.
        tx.undo();
        return Ok(SessionAdded::Gone);
    }
    events::append(tx, event).await?;
    Ok(SessionAdded::Done)
}

pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
    now: Timestamp,
) -> Result<Vec<ConsoleSession>, Failure> {
    let mut sessions = of_person(tx, realm, username).await?;
    sessions.retain(|session| session.expires_at > now);
    latest_first(&mut sessions);
    Ok(sessions)
}

pub(super) async fn end(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
    which: SessionsEnd,
    event: &Event,
) -> Result<u64, Failure> {
    let ended = match which {
        SessionsEnd::One(id) => tx.execute(DELETE, &values![&id, realm, username]).await?,
        SessionsEnd::All => tx.execute(DELETE_OF_PERSON, &values![realm, username]).await?,
    };
    if ended > 0 {
        events::append(tx, event).await?;
    }
    Ok(ended)
}

pub(crate) async fn delete_all_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<(), Failure> {
    tx.push(DELETE_OF_PERSON, &values![realm, username]).await
}

/// Removes the sessions of a person but for one.
pub(super) async fn delete_others_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
    kept: Option<TokenId>,
) -> Result<(), Failure> {
    match kept {
        Some(kept) => tx.push(DELETE_OTHERS, &values![realm, username, &kept]).await,
        None => delete_all_of(tx, realm, username).await,
    }
}

pub(super) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now, limit]).await
}

fn session_of(mut row: Row) -> Result<ConsoleSession, Inconsistent> {
    let id = row.token("id")?;
    let realm = codec::realm(&mut row, "realm")?;
    let username = row.parsed("username", |text| Username::parse(text).ok())?;
    let hash = codec::hash(&mut row)?;
    let created_at = row.time("created_at")?;
    Ok(ConsoleSession {
        id,
        realm,
        username,
        hash,
        created_at,
        used_at: row.time("used_at")?,
        expires_at: row.time("expires_at")?,
        source: row.parsed_or_null("source", |text| text.parse().ok())?,
        agent: row.text_or_null("agent")?,
        // Sessions that an earlier version began came by a password, and were proved by that.
        method: row
            .parsed_or_null("method", SignInMethod::from_name)?
            .unwrap_or(SignInMethod::Password),
        proved_at: row.time_or_null("proved_at")?.unwrap_or(created_at),
    })
}
