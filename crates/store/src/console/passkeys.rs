//! Passkeys of people.

use async_trait::async_trait;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::passkey::{PASSKEYS_PER_PERSON_MAX, Passkey, PasskeyUse};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    PasskeyAdd, PasskeyAdded, PasskeyStore, PasskeysRemove, SessionAdded, Unavailable,
};

use super::{accounts, sessions};
use crate::SqlStore;
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events, people};

macro_rules! columns {
    () => {
        "
select id, realm, username, credential_id, handle, name, credential, counter, created_at, used_at
from   passkey
"
    };
}

const OF_PERSON: &str =
    concat!(columns!(), "where realm = $1 and username = $2 order by created_at, id");
const FIND: &str = concat!(columns!(), "where realm = $1 and credential_id = $2");

/// A device calls one passkey of a realm so.
const INSERT: &str = "
insert into passkey (
    id, realm, username, credential_id, handle, name, credential, counter, created_at, used_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing";

/// Of any number of uses with one count, one matches the row. Devices that do not count say 0.
const USE: &str = "
update passkey
set    counter = $4, credential = $5, used_at = $6
where  id = $1
and    realm = $2
and    username = $3
and    (counter < $4 or (counter = 0 and $4 = 0))";

const IS_OF: &str = "
select 1
from   passkey
where  id = $1
and    realm = $2
and    username = $3";

const RENAME: &str = "
update passkey
set    name = $4
where  id = $1
and    realm = $2
and    username = $3";

const DELETE: &str = "
delete from passkey
where  id = $1
and    realm = $2
and    username = $3";

const DELETE_OF_PERSON: &str = "
delete from passkey
where  realm = $1
and    username = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[OF_PERSON, FIND, INSERT, USE, IS_OF, RENAME, DELETE, DELETE_OF_PERSON];

async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<Vec<Passkey>, Failure> {
    let rows = tx.query(OF_PERSON, &values![realm, username]).await?;
    Ok(rows.into_iter().map(passkey_of).collect::<Result<_, _>>()?)
}

async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    credential_id: &str,
) -> Result<Option<Passkey>, Failure> {
    let row = tx.row(FIND, &values![realm, credential_id]).await?;
    Ok(row.map(passkey_of).transpose()?)
}

async fn add(tx: &mut Transaction<'_>, add: &PasskeyAdd) -> Result<PasskeyAdded, Failure> {
    let PasskeyAdd { passkey, first_under, event } = add;
    let (realm, username) = (&passkey.realm, &passkey.username);
    people::turn_at_user(tx, realm, username).await?;
    let stands = match first_under {
        Some(version) => accounts::has_version(tx, realm, username, *version).await?,
        None => people::user_exists(tx, realm, username).await?,
    };
    if !stands {
        return Ok(PasskeyAdded::Gone);
    }
    let most = if first_under.is_some() { 1 } else { PASSKEYS_PER_PERSON_MAX };
    if list(tx, realm, username).await?.len() >= most {
        return Ok(PasskeyAdded::TooMany);
    }
    let values = values![
        &passkey.id,
        realm,
        username,
        passkey.credential_id.as_str(),
        passkey.handle.as_str(),
        passkey.name.as_str(),
        passkey.credential.as_slice(),
        i64::from(passkey.counter),
        passkey.created_at,
        passkey.used_at
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(PasskeyAdded::Known);
    }
    events::append(tx, event).await?;
    Ok(PasskeyAdded::Done)
}

/// Notes a use, if the passkey is still there and its count goes on.
pub(super) async fn used(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
    used: &PasskeyUse,
) -> Result<SessionAdded, Failure> {
    let values = values![
        &used.id,
        realm,
        username,
        i64::from(used.counter),
        used.credential.as_slice(),
        used.at
    ];
    if tx.execute(USE, &values).await? > 0 {
        return Ok(SessionAdded::Done);
    }
    let is_there = tx.exists(IS_OF, &values![&used.id, realm, username]).await?;
    Ok(if is_there { SessionAdded::Counted } else { SessionAdded::Gone })
}

async fn rename(
    tx: &mut Transaction<'_>,
    (realm, username): (&RealmName, &Username),
    id: TokenId,
    name: &str,
    event: &Event,
) -> Result<bool, Failure> {
    if tx.execute(RENAME, &values![&id, realm, username, name]).await? == 0 {
        return Ok(false);
    }
    events::append(tx, event).await?;
    Ok(true)
}

async fn remove(
    tx: &mut Transaction<'_>,
    (realm, username): (&RealmName, &Username),
    which: PasskeysRemove,
    keeps: Option<TokenId>,
    event: &Event,
) -> Result<u64, Failure> {
    // Who signs in by it at the same time waits, and is refused.
    people::turn_at_user(tx, realm, username).await?;
    let removed = match which {
        PasskeysRemove::One(id) => tx.execute(DELETE, &values![&id, realm, username]).await?,
        PasskeysRemove::All => tx.execute(DELETE_OF_PERSON, &values![realm, username]).await?,
    };
    if removed > 0 {
        if list(tx, realm, username).await?.is_empty() {
            accounts::passkey_require(tx, realm, username, false).await?;
        }
        sessions::delete_others_of(tx, realm, username, keeps).await?;
        events::append(tx, event).await?;
    }
    Ok(removed)
}

async fn require(
    tx: &mut Transaction<'_>,
    (realm, username): (&RealmName, &Username),
    on: bool,
    event: &Event,
) -> Result<bool, Failure> {
    people::turn_at_user(tx, realm, username).await?;
    if on && list(tx, realm, username).await?.is_empty() {
        return Ok(false);
    }
    if !accounts::passkey_require(tx, realm, username, on).await? {
        return Ok(false);
    }
    events::append(tx, event).await?;
    Ok(true)
}

pub(super) async fn delete_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<(), Failure> {
    tx.push(DELETE_OF_PERSON, &values![realm, username]).await
}

fn passkey_of(mut row: Row) -> Result<Passkey, Inconsistent> {
    Ok(Passkey {
        id: row.token("id")?,
        realm: codec::realm(&mut row, "realm")?,
        username: row.parsed("username", |text| Username::parse(text).ok())?,
        credential_id: row.text("credential_id")?,
        handle: row.text("handle")?,
        name: row.text("name")?,
        credential: row.bytes("credential")?,
        counter: row.small("counter")?,
        created_at: row.time("created_at")?,
        used_at: row.time_or_null("used_at")?,
    })
}

#[async_trait]
impl PasskeyStore for SqlStore {
    async fn passkey_list(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Vec<Passkey>, Unavailable> {
        self.point((realm.clone(), username.clone()), |tx, (realm, username)| {
            Box::pin(list(tx, realm, username))
        })
        .await
    }

    async fn passkey_find(
        &self,
        realm: &RealmName,
        credential_id: &str,
    ) -> Result<Option<Passkey>, Unavailable> {
        self.point((realm.clone(), credential_id.to_owned()), |tx, (realm, credential_id)| {
            Box::pin(find(tx, realm, credential_id))
        })
        .await
    }

    async fn passkey_add(&self, adding: PasskeyAdd) -> Result<PasskeyAdded, Unavailable> {
        self.write(adding, |tx, adding| Box::pin(add(tx, adding))).await
    }

    async fn passkey_rename(
        &self,
        realm: &RealmName,
        username: &Username,
        id: TokenId,
        name: &str,
        event: Event,
    ) -> Result<bool, Unavailable> {
        let asked = (realm.clone(), username.clone(), id, name.to_owned(), event);
        self.write(asked, |tx, (realm, username, id, name, event)| {
            Box::pin(rename(tx, (realm, username), *id, name, event))
        })
        .await
    }

    async fn passkeys_remove(
        &self,
        realm: &RealmName,
        username: &Username,
        which: PasskeysRemove,
        keeps: Option<TokenId>,
        event: Event,
    ) -> Result<u64, Unavailable> {
        let asked = (realm.clone(), username.clone(), which, keeps, event);
        self.write(asked, |tx, (realm, username, which, keeps, event)| {
            Box::pin(remove(tx, (realm, username), *which, *keeps, event))
        })
        .await
    }

    async fn passkey_require(
        &self,
        realm: &RealmName,
        username: &Username,
        on: bool,
        event: Event,
    ) -> Result<bool, Unavailable> {
        let asked = (realm.clone(), username.clone(), on, event);
        self.write(asked, |tx, (realm, username, on, event)| {
            Box::pin(require(tx, (realm, username), *on, event))
        })
        .await
    }
}
