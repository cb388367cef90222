//! Named statements on a SQLite file of somebody else: one connection, and one statement at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::custom::RepositoryError;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};
use serde_json::{Map, Value as Json};

use super::placeholders::Statement;
use super::{Bound, Done, ROWS_MAX, Runs};

/// The file.
pub(super) struct Sqlite {
    path: PathBuf,
    timeout: Duration,
    /// Whoever waits for it may stop waiting; only who has it is on a thread of its own.
    connection: Arc<tokio::sync::Mutex<Option<Connection>>>,
}

impl Sqlite {
    pub(super) fn new(path: PathBuf, timeout: Duration) -> Self {
        Self { path, timeout, connection: Arc::default() }
    }
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Flag(flag) => ValueRef::Integer(i64::from(*flag)),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn failed(error: &rusqlite::Error) -> RepositoryError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => RepositoryError::Conflict,
        Some(code) => RepositoryError::unavailable(format!("SQLite says {code:?}")),
        None => RepositoryError::unavailable("the statement does not fit the table"),
    }
}

fn open(path: &PathBuf, timeout: Duration) -> Result<Connection, RepositoryError> {
    // A missing file is not made: a typing error would become an empty table.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(&error))?;
    connection.busy_timeout(timeout).map_err(|error| failed(&error))?;
    Ok(connection)
}

fn json_of(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null | ValueRef::Blob(_) => Json::Null,
        ValueRef::Integer(number) => Json::from(number),
        ValueRef::Real(number) => Json::from(number),
        ValueRef::Text(text) => Json::from(String::from_utf8_lossy(text)),
    }
}

fn run(connection: &Connection, statement: &Statement, values: &[Bound]) -> rusqlite::Result<Done> {
    let mut prepared = connection.prepare_cached(statement.marks())?;
    if !statement.returns_rows() {
        let touched = prepared.execute(rusqlite::params_from_iter(values))?;
        return Ok(Done { rows: Vec::new(), touched: u64::try_from(touched).unwrap_or(0) });
    }
    let names: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let mut found = prepared.query(rusqlite::params_from_iter(values))?;
    let mut rows = Vec::new();
    // To its end: a statement that changes rows is done only then.
    while let Some(row) = found.next()? {
        if rows.len() < ROWS_MAX {
            let mut object = Map::new();
            for (place, name) in names.iter().enumerate() {
                object.insert(name.clone(), json_of(row.get_ref(place)?));
            }
            rows.push(Json::Object(object));
        }
    }
    let touched = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    Ok(Done { rows, touched })
}

#[async_trait]
impl Runs for Sqlite {
    async fn run(&self, statement: &Statement, values: &[Bound]) -> Result<Done, RepositoryError> {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        let (path, timeout) = (self.path.clone(), self.timeout);
        let (statement, values) = (statement.clone(), values.to_vec());
        let done = tokio::task::spawn_blocking(move || {
            if connection.is_none() {
                *connection = Some(open(&path, timeout)?);
            }
            let Some(open) = connection.as_ref() else {
                return Err(RepositoryError::unavailable("the file is not open"));
            };
            run(open, &statement, &values).map_err(|error| failed(&error))
        });
        done.await.map_err(|_| RepositoryError::unavailable("the statement did not end"))?
    }
}
