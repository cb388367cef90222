//! The change log: what other processes must forget.
//!
//! Numbers in the log are given out before the commit, so a lower one may appear
//! after a higher one. A reader therefore remembers which transactions had ended
//! at its last look, and asks for the rows of all others: what appears late is
//! found whatever its number, what was rolled back keeps nobody waiting, and a
//! transaction that runs for hours holds nothing up but itself.

mod place;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::{ClientName, RealmName, ServiceLabel, ShadowName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Change, ChangesRead, LogPlace};

use self::place::Place;
use crate::codec;
use crate::engine::{Connection, Failure, Inconsistent, Row, Transaction, values};

/// Changes that one operation names; beyond, it says "everything" once.
pub(crate) const NAMED_CHANGES_MAX: usize = 1_000;
/// How long the log is kept. Whoever was away for longer is told to forget everything.
pub(crate) const LOG_RETENTION_SECONDS: i64 = 86_400;

const INSERT: &str = "
insert into change_log (at, kind, realm, name)
values ($1, $2, $3, $4)";

const NOW: &str = "
select coalesce(max(seq), 0), {log_snapshot}
from   change_log";

/// One statement, and so one state of the database: what it does not see has not ended by the
/// snapshot it returns. A row without a change tells only how far the log goes.
const SINCE: &str = "
select l.newest, l.oldest, l.snapshot, c.owner, c.at, c.kind, c.realm, c.name
from   (
    select coalesce((select max(seq) from change_log), 0) as newest,
           coalesce((select min(seq) from change_log), 0) as oldest,
           {log_snapshot} as snapshot
) l
left   join (
    select owner, seq, at, kind, realm, name
    from   change_log
    where  owner >= $1
    union  all
    select owner, seq, at, kind, realm, name
    from   change_log
    where  owner < $1 and owner {in_list_2}
    order  by owner, seq
    limit  $3
) c on 1 = 1
order  by c.owner, c.seq";

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
pub(crate) const STATEMENTS: &[&str] = &[INSERT, NOW, SINCE, PURGE];

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
        Change::Shadow(realm, name) => {
            ("shadow", realm.as_str(), name.as_ref().map_or("", ShadowName::as_str))
        }
        Change::Everything => ("everything", "", ""),
    };
    connection.push(INSERT, &values![at, kind, realm, name]).await
}

/// The end of the log: nothing that has been committed lies behind it.
pub(crate) async fn end(tx: &mut Transaction<'_>) -> Result<LogPlace, Failure> {
    let Some(mut row) = tx.row(NOW, &[]).await? else { return Ok(Place::default().into()) };
    let newest = row.int("seq")?;
    Ok(row.parsed("snapshot", |text| Place::at(newest, text))?.into())
}

/// Changes behind `place`, led by "everything" if some of them are no longer known.
pub(crate) async fn since(
    tx: &mut Transaction<'_>,
    place: &LogPlace,
    limit: u32,
) -> Result<ChangesRead, Failure> {
    let Some(place) = Place::parse(&place.0) else {
        // Of another version of this program: begin anew.
        return Ok(ChangesRead::everything(end(tx).await?));
    };
    let running = codec::joined(&place.running, ",");
    // One more, which tells whether the last transaction on the page is on it as a whole.
    let rows = tx.query(SINCE, &values![place.next, running, limit.saturating_add(1)]).await?;
    let mut found = Vec::new();
    let mut log = None;
    for mut row in rows {
        let newest = row.int("newest")?;
        let oldest = row.int("oldest")?;
        let now = row.parsed("snapshot", |text| Place::at(newest, text))?;
        log = Some((oldest, now));
        if let Some(owner) = row.int_or_null("owner")? {
            found.push((owner, row.time("at")?, change(&mut row)?));
        }
    }
    let Some((oldest, now)) = log else { return Err(Failure::interleaved()) };
    // Too careful with a log that was empty and whose first number has not appeared yet.
    let forgotten = place.number + 1 < oldest || !place.is_before(&now);
    let read = page(&place, now, found, limit as usize);
    Ok(if forgotten { read.led_by_everything() } else { read })
}

/// The first `limit` changes of `found`, and the place behind them.
fn page(
    place: &Place,
    now: Place,
    mut found: Vec<(i64, Timestamp, Change)>,
    limit: usize,
) -> ChangesRead {
    let read = |found: Vec<(i64, Timestamp, Change)>, place: Place, more| {
        let (made, changes) = found.into_iter().map(|(_, at, change)| (at, change)).unzip();
        ChangesRead { changes, made, place: place.into(), more }
    };
    if found.len() <= limit {
        return read(found, now, false);
    }
    let cut = found[limit].0;
    // A transaction that does not fit as a whole is told with the next page.
    found.retain(|(owner, ..)| *owner < cut);
    let Some((last, ..)) = found.last() else {
        // It does not fit on any page: that is more than anybody wants to be told one by one.
        return ChangesRead::everything(now.into());
    };
    let place = place.behind(*last, &now);
    read(found, place, true)
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
        "shadow" if name.is_empty() => realm().map(|r| Change::Shadow(r, None)),
        "shadow" => {
            realm().zip(ShadowName::parse(&name).ok()).map(|(r, n)| Change::Shadow(r, Some(n)))
        }
        _ => None,
    };
    // What a newer version changed and this one has no word for may be anything.
    Ok(change.unwrap_or(Change::Everything))
}
