//! Passwords of people.

use counterfoil_authority::console::Account;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::store::PasswordChange;

use super::sessions;
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events, people};

const FIND: &str = "
select realm, username, pepper, hash, cost, changed_at, version, passkey_required
from   account
where  realm = $1
and    username = $2";

const ANY: &str = "
select 1
from   account
where  realm = $1
union all
select 1
from   external_identity as known
where  known.realm = $1
and    exists (select 1
               from   role_grant as given
               where  given.realm = known.realm
               and    given.subject_kind = 'user'
               and    given.subject = known.username
               and    given.role = 'operator')
limit  1";

/// A new password, whatever there was.
const PUT: &str = "
insert into account (realm, username, pepper, hash, cost, changed_at, version)
values ($1, $2, $3, $4, $5, $6, 1)
on conflict (realm, username) do update
set    pepper = excluded.pepper, hash = excluded.hash, cost = excluded.cost,
       changed_at = excluded.changed_at, version = account.version + 1
returning version, passkey_required";

const CHANGE: &str = "
update account
set    pepper = $3, hash = $4, cost = $5, changed_at = $6, version = version + 1
where  realm = $1
and    username = $2
and    version = $7";

/// The same password by other means: it stays the version that it was.
const REHASH: &str = "
update account
set    pepper = $3, hash = $4, cost = $5
where  realm = $1
and    username = $2
and    version = $6";

/// Whoever signs in at the same time finds another version.
const PASSKEY_REQUIRE: &str = "
update account
set    passkey_required = $3, version = version + 1
where  realm = $1
and    username = $2";

const HAS_VERSION: &str = "
select 1
from   account
where  realm = $1
and    username = $2
and    version = $3";

const DELETE: &str = "
delete from account
where  realm = $1
and    username = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[FIND, ANY, PUT, CHANGE, REHASH, PASSKEY_REQUIRE, HAS_VERSION, DELETE];

pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<Option<Account>, Failure> {
    let row = tx.row(FIND, &values![realm, username]).await?;
    Ok(row.map(account_of).transpose()?)
}

pub(super) async fn any(tx: &mut Transaction<'_>, realm: &RealmName) -> Result<bool, Failure> {
    tx.exists(ANY, &values![realm]).await
}

/// Makes an account or replaces its password, and says how it stands then.
pub(super) async fn put(tx: &mut Transaction<'_>, account: &Account) -> Result<Account, Failure> {
    let values = values![
        &account.realm,
        &account.username,
        account.password.pepper(),
        codec::hash_bytes(&account.password),
        codec::cost(&account.password),
        account.changed_at
    ];
    let Some(mut row) = tx.row(PUT, &values).await? else { return Err(Failure::interleaved()) };
    let version = row.int("version")?;
    Ok(Account { version, passkey_required: required(&mut row)?, ..account.clone() })
}

pub(super) async fn change(
    tx: &mut Transaction<'_>,
    change: &PasswordChange,
) -> Result<bool, Failure> {
    let PasswordChange { account, keeps, event } = change;
    // Who signs in with the former password meanwhile waits, and is refused.
    people::turn_at_user(tx, &account.realm, &account.username).await?;
    let values = values![
        &account.realm,
        &account.username,
        account.password.pepper(),
        codec::hash_bytes(&account.password),
        codec::cost(&account.password),
        account.changed_at,
        account.version
    ];
    if tx.execute(CHANGE, &values).await? == 0 {
        return Ok(false);
    }
    sessions::delete_others_of(tx, &account.realm, &account.username, *keeps).await?;
    events::append(tx, event).await?;
    Ok(true)
}

/// Whether the account still has the version under which its password was compared.
pub(super) async fn has_version(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
    version: i64,
) -> Result<bool, Failure> {
    tx.exists(HAS_VERSION, &values![realm, username, version]).await
}

pub(super) async fn rehash(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
    version: i64,
    hash: &SecretHash,
) -> Result<(), Failure> {
    let values = values![
        realm,
        username,
        hash.pepper(),
        codec::hash_bytes(hash),
        codec::cost(hash),
        version
    ];
    tx.push(REHASH, &values).await
}

/// Sets whether a passkey is asked for after the password. False if there is no account.
pub(super) async fn passkey_require(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
    on: bool,
) -> Result<bool, Failure> {
    Ok(tx.execute(PASSKEY_REQUIRE, &values![realm, username, on]).await? > 0)
}

pub(super) async fn delete(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<(), Failure> {
    tx.push(DELETE, &values![realm, username]).await
}

fn account_of(mut row: Row) -> Result<Account, Inconsistent> {
    Ok(Account {
        realm: codec::realm(&mut row, "realm")?,
        username: row.parsed("username", |text| Username::parse(text).ok())?,
        password: codec::hash(&mut row)?,
        changed_at: row.time("changed_at")?,
        version: row.int("version")?,
        passkey_required: required(&mut row)?,
    })
}

fn required(row: &mut Row) -> Result<bool, Inconsistent> {
    Ok(row.int_or_null("passkey_required")? == Some(1))
}
