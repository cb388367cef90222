//! The change log: what other processes must forget, in order.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::{ClientName, RealmName, ServiceLabel, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::Change;

use crate::engine::{Connection, Failure, Inconsistent, Row, Transaction, values};

/// Changes that one operation names; beyond, it says "everything" once.
pub(crate) const NAMED_CHANGES_MAX: usize = 1_000;
/// How long the log is kept. Whoever was away for longer is told to forget everything.
pub(crate) const LOG_RETENTION_SECONDS: i64 = 86_400;

const INSERT: &str = "
insert into change_log (at, kind, realm, name)
values ($1, $2, $3, $4)";

const POSITION: &str = "
select coalesce(max(seq), 0)
from   change_log";

const OLDEST: &str = "
select coalesce(min(seq), 0)
from   change_log";

const SINCE: &str = "
select seq, kind, realm, name
from   change_log
where  seq > $1
order  by seq
limit  $2";

/// Only from the front, so that what is left has no holes even if clocks disagree; and never
/// the last row, so that the numbers that were given out remain known.
const PURGE: &str = "
delete from change_log
where  seq in (
    select seq
    from   change_log
    where  seq < coalesce(
        (select min(seq) from change_log where at >= $1),
        (select max(seq) from change_log)
    )
    order  by seq
    limit  $2
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[INSERT, POSITION, OLDEST, SINCE, PURGE];

/// Writes one change to the log.
pub(crate) async fn log(
    connection: &mut dyn Connection,
    change: &Change,
    at: Timestamp,
) -> Result<(), Failure> {
    let (kind, realm, name) = match change {
        Change::Token(id) => ("token", "", id.as_str()),
        Change::User(realm, name) => ("user", realm.as_str(), name.as_str()),
        Change::Client(realm, name) => ("client", realm.as_str(), name.as_str()),
        Change::Service(realm, label) => ("service", realm.as_str(), label.as_str()),
        Change::Realm(realm) => ("realm", realm.as_str(), ""),
        Change::Everything => ("everything", "", ""),
    };
    connection.execute(INSERT, &values![at, kind, realm, name]).await.map(drop)
}

/// The number of the latest change.
pub(crate) async fn position(tx: &mut Transaction<'_>) -> Result<i64, Failure> {
    let row = tx.row(POSITION, &[]).await?;
    Ok(row.map(|mut row| row.int("seq")).transpose()?.unwrap_or(0))
}

/// Changes after `position`, led by "everything" if some of them are no longer known.
pub(crate) async fn since(
    tx: &mut Transaction<'_>,
    position: i64,
    limit: u32,
) -> Result<Vec<(i64, Change)>, Failure> {
    let oldest = match tx.row(OLDEST, &[]).await? {
        Some(mut row) => row.int("seq")?,
        None => 0,
    };
    let mut found = Vec::new();
    if position + 1 < oldest {
        found.push((oldest - 1, Change::Everything));
    }
    for mut row in tx.query(SINCE, &values![position, limit]).await? {
        found.push((row.int("seq")?, change(&mut row)?));
    }
    found.truncate(limit as usize);
    Ok(found)
}

/// Removes a batch of rows that are past their retention.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now.plus_seconds(-LOG_RETENTION_SECONDS), limit]).await
}

fn change(row: &mut Row) -> Result<Change, Inconsistent> {
    let kind = row.text("kind")?;
    let realm = row.text("realm")?;
    let name = row.text("name")?;
    let realm = || RealmName::parse(&realm).ok();
    let change = match kind.as_str() {
        "token" => TokenId::parse(&name).map(Change::Token),
        "user" => realm().zip(Username::parse(&name).ok()).map(|(r, n)| Change::User(r, n)),
        "client" => realm().zip(ClientName::parse(&name).ok()).map(|(r, n)| Change::Client(r, n)),
        "service" => {
            realm().zip(ServiceLabel::parse(&name).ok()).map(|(r, n)| Change::Service(r, n))
        }
        "realm" => realm().map(Change::Realm),
        _ => None,
    };
    // What a newer version changed and this one has no word for may be anything.
    Ok(change.unwrap_or(Change::Everything))
}
