//! The mark on a database that a copy fills: who began it, and how far every table is.
//!
//! The mark is a version of the schema that no program serves, and a table that
//! is there only as long. Both come with the beginning of a copy and go with its end,
//! each time in one transaction.

use super::tables;
use crate::engine::{Failure, Inconsistent, Transaction, Value, values};
use crate::migrate::UNFINISHED;

const CREATE: &str = "
create table unfinished_copy (
    tbl             {text} not null primary key,
    installation    {text} not null,
    -- What the source looked like.
    state           {text} not null,
    -- The key of the last row that was copied, as a JSON array; empty before the first.
    place           {text} not null,
    -- How many were.
    copied          {int}  not null
) {clustered}";

const DROP: &str = "drop table unfinished_copy";

const MARK: &str = "insert into schema_version (version) values ($1)";

const UNMARK: &str = "delete from schema_version where version = $1";

const ADD: &str = "
insert into unfinished_copy (tbl, installation, state, place, copied)
values ($1, $2, $3, '', 0)";

const PLACES: &str = "
select tbl, installation, state, place, copied
from   unfinished_copy
order  by tbl";

/// Only from the place that is known: what travels twice arrives once.
const ADVANCE: &str = "
update unfinished_copy
set    place = $3,
       copied = $4
where  tbl = $1
and    place = $2";

/// What every server moves while it works: the change log with each edit, the journal and the
/// leases in the background, the heartbeat when it is asked whether it is ready.
const STATE: &str = "
select coalesce((select max(seq) from change_log), 0),
       coalesce((select max(seq) from usage_journal), 0),
       coalesce((select max(fence) from lease), 0),
       coalesce((select max(expires_at) from lease), 0),
       coalesce((select max(beats) from heartbeat), 0)";

const LEASE_END: &str = "select max(expires_at) from lease";

const NUMBER_ON: &str = "select {number_on}";

/// How far a table is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The key of the last row that is there; empty before the first.
    pub(super) key: Vec<Value<'static>>,
    /// How many are.
    pub(super) rows: u64,
}

impl Place {
    /// The key as it is stored.
    pub(super) fn written(&self) -> Result<String, Failure> {
        if self.key.is_empty() {
            return Ok(String::new());
        }
        let json = |value: &Value<'_>| match value {
            Value::Int(number) => Ok(serde_json::Value::from(*number)),
            Value::Text(text) => Ok(serde_json::Value::from(text.as_ref())),
            Value::Null | Value::Bytes(_) => Err(Inconsistent { column: "primary key" }),
        };
        let key: Vec<_> = self.key.iter().map(json).collect::<Result<_, _>>()?;
        Ok(serde_json::Value::Array(key).to_string())
    }

    fn read(text: &str, rows: u64) -> Option<Self> {
        if text.is_empty() {
            return Some(Self { key: Vec::new(), rows });
        }
        let value = |json: serde_json::Value| match json {
            serde_json::Value::String(text) => Some(Value::from(text)),
            json => json.as_i64().map(Value::Int),
        };
        let key: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
        Some(Self { key: key.into_iter().map(value).collect::<Option<_>>()?, rows })
    }
}

/// What a database that is being filled says of itself.
pub(super) struct Filled {
    /// Whose copy it is.
    pub(super) installation: String,
    /// What the source looked like when it was begun.
    pub(super) state: String,
    /// The place in each table.
    pub(super) places: Vec<Place>,
    tables: Vec<String>,
}

impl Filled {
    /// How far a table is.
    pub(super) fn place_of(&self, table: &str) -> Place {
        let place = self.tables.iter().position(|name| name == table);
        place.and_then(|place| self.places.get(place)).cloned().unwrap_or_default()
    }
}

/// Whether a copy was begun.
pub(super) enum Begun {
    /// It was.
    Done,
    /// There are rows in this table.
    NotEmpty(&'static str),
}

/// Marks an empty database.
pub(super) async fn begin(
    tx: &mut Transaction<'_>,
    installation: &str,
    state: &str,
) -> Result<Begun, Failure> {
    for table in tables::ALL.iter() {
        if tx.exists(&table.any, &[]).await? {
            return Ok(Begun::NotEmpty(table.table.name));
        }
    }
    tx.execute(MARK, &values![UNFINISHED]).await?;
    tx.execute(CREATE, &[]).await?;
    for table in tables::ALL.iter() {
        tx.execute(ADD, &values![table.table.name, installation, state]).await?;
    }
    Ok(Begun::Done)
}

/// Reads the mark.
pub(super) async fn filled(tx: &mut Transaction<'_>) -> Result<Filled, Failure> {
    let (mut installation, mut state) = (String::new(), String::new());
    let (mut names, mut places) = (Vec::new(), Vec::new());
    for mut row in tx.query(PLACES, &[]).await? {
        names.push(row.text("tbl")?);
        installation = row.text("installation")?;
        state = row.text("state")?;
        let place = row.text("place")?;
        let rows = row.count("copied")?;
        places.push(Place::read(&place, rows).ok_or(Inconsistent { column: "place" })?);
    }
    Ok(Filled { installation, state, places, tables: names })
}

/// Notes that a table is at `to`, if it is still at `from`.
pub(super) async fn advance(
    tx: &mut Transaction<'_>,
    table: &str,
    from: &Place,
    to: &Place,
) -> Result<bool, Failure> {
    let values = values![table, from.written()?, to.written()?, to.rows];
    Ok(tx.execute(ADVANCE, &values).await? == 1)
}

/// Lets the numbers go on, and takes the mark away: from now on the database may be served.
pub(super) async fn finish(tx: &mut Transaction<'_>) -> Result<(), Failure> {
    for table in tables::ALL.iter().filter(|table| table.table.numbered) {
        let last = tx.row(&table.last, &[]).await?;
        if let Some(last) = last.map(|mut row| row.int_or_null("seq")).transpose()?.flatten() {
            tx.query(NUMBER_ON, &values![table.table.name, last]).await?;
        }
    }
    tx.execute(DROP, &[]).await?;
    tx.execute(UNMARK, &values![UNFINISHED]).await.map(drop)
}

/// What the database looks like, to find out whether it is served.
pub(super) async fn state(tx: &mut Transaction<'_>) -> Result<String, Failure> {
    let Some(mut row) = tx.row(STATE, &[]).await? else { return Err(Failure::interleaved()) };
    let mut state = String::new();
    for column in ["change_log", "usage_journal", "fence", "expires_at", "beats"] {
        state = format!("{state}{column} {} ", row.int(column)?);
    }
    Ok(state.trim_end().to_owned())
}

/// When the last lease ends, in microseconds since 1970 UTC.
pub(super) async fn lease_end(tx: &mut Transaction<'_>) -> Result<Option<i64>, Failure> {
    let row = tx.row(LEASE_END, &[]).await?;
    Ok(row.map(|mut row| row.int_or_null("expires_at")).transpose()?.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_being_written_down() {
        let key = values!["main", "it's \"quoted\", [and] ü", i64::MAX].to_vec();
        for key in [Vec::new(), key] {
            let place = Place { key, rows: 7 };
            let written = place.written().unwrap();
            assert_eq!(Place::read(&written, 7), Some(place));
        }
        assert_eq!(Place::read("[null]", 7), None);
        assert!(Place { key: vec![Value::Null], rows: 0 }.written().is_err());
    }
}
