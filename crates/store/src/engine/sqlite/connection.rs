//! One connection: its settings, its prepared statements, and what its errors mean.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, params_from_iter};

use super::file::DatabaseFile;
use crate::engine::{
    Connection, Failure, Row, Transaction, Value, Waited, Words, Work, in_words, poll_once,
};
use crate::migrate::{self, Migrating, OpenError};

/// Bytes of a page, the default of the format.
pub(super) const PAGE_BYTES: u64 = 4_096;
/// How long a connection waits for a lock of another process.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Statements kept prepared per connection; more than there are.
const STATEMENTS_KEPT_MAX: usize = 512;
/// Bytes to which the write-ahead log is cut back when it starts over.
const WAL_KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// A connection to the database file.
pub(super) struct SqliteConnection {
    raw: rusqlite::Connection,
    /// Statements as the engine wants them, by the address of the shared text.
    texts: HashMap<(usize, usize), Box<str>>,
    generation: u64,
}

impl SqliteConnection {
    /// Opens the file as it stands, refusing one whose schema is not ours.
    pub(super) fn open(file: &DatabaseFile) -> Result<Self, Failure> {
        let mut connection = Self::open_unchecked(file)?;
        let version = poll_once(Box::pin(migrate::version_of(&mut connection)));
        let version = version.ok_or_else(|| Failure::Statement(Box::new(Waited)))??;
        if version == file.version() {
            Ok(connection)
        } else {
            Err(Failure::Broken(Box::new(migrate::OtherSchema)))
        }
    }

    /// Opens the file before its schema is known, and makes it use a write-ahead log.
    pub(super) fn open_first(file: &DatabaseFile) -> Result<Self, OpenError> {
        let connection = Self::open_unchecked(file)?;
        let mode = connection
            .raw
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
        match mode.map_err(failure)?.as_str() {
            "wal" => Ok(connection),
            _ => Err(OpenError::NoLog { path: file.path().to_owned() }),
        }
    }

    fn open_unchecked(file: &DatabaseFile) -> Result<Self, Failure> {
        let generation = file.generation();
        // Never `CREATE`: a file that vanished must not come back empty.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let raw = rusqlite::Connection::open_with_flags(file.path(), flags).map_err(failure)?;
        let connection = Self { raw, texts: HashMap::new(), generation };
        connection.settle(file).map_err(failure)?;
        Ok(connection)
    }

    fn settle(&self, file: &DatabaseFile) -> rusqlite::Result<()> {
        let raw = &self.raw;
        raw.busy_timeout(BUSY_WAIT)?;
        raw.set_prepared_statement_cache_capacity(STATEMENTS_KEPT_MAX);
        // Closing must not remove the log by name: the name may belong to a new file by then.
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // A plan must not depend on the values bound: with the guarantee of a stable plan a
        // statement is prepared once, without it again for many an id.
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        raw.pragma_update(None, "synchronous", "full")?;
        raw.pragma_update(None, "foreign_keys", true)?;
        raw.pragma_update(None, "temp_store", "memory")?;
        let cache_kib = i64::try_from(file.memory().cache_bytes / 1024).unwrap_or(i64::MAX);
        // A negative number counts KiB, a positive one would count pages.
        raw.pragma_update(None, "cache_size", -cache_kib)?;
        let mmap_bytes = i64::try_from(file.memory().mmap_bytes).unwrap_or(i64::MAX);
        self.set_and_ignore_answer("mmap_size", mmap_bytes)?;
        self.set_and_ignore_answer("journal_size_limit", WAL_KEPT_BYTES.cast_signed())?;
        self.set_and_ignore_answer("wal_autocheckpoint", 0)
    }

    fn set_and_ignore_answer(&self, pragma: &str, value: i64) -> rusqlite::Result<()> {
        self.raw.pragma_update_and_check(None, pragma, value, |_| Ok(()))
    }

    /// The driver's connection.
    pub(super) const fn raw(&mut self) -> &mut rusqlite::Connection {
        &mut self.raw
    }

    /// Which state of the file it was opened on.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether no transaction is open; inside one that means the engine took it back.
    pub(super) fn is_idle(&self) -> bool {
        self.raw.is_autocommit()
    }

    /// Runs a statement without values and without rows.
    pub(super) fn command(&mut self, sql: &'static str) -> Result<(), Failure> {
        let mut statement = self.raw.prepare_cached(sql).map_err(failure)?;
        statement.raw_execute().map(drop).map_err(failure)
    }

    /// Runs `work` to its end inside whatever transaction is open.
    pub(super) fn run<T>(
        &mut self,
        work: &dyn Work,
        then: impl FnOnce(Transaction<'_>) -> T,
    ) -> Result<T, Failure> {
        let mut tx = Transaction::new(self);
        poll_once(work.run(&mut tx)).ok_or_else(|| Failure::Statement(Box::new(Waited)))??;
        Ok(then(tx))
    }

    /// Prepares each text, which finds whatever does not fit the schema.
    pub(super) fn prepare_all(&mut self, statements: &[&'static str]) -> Result<(), Failure> {
        for sql in statements {
            let text = in_own_words(sql);
            self.raw.prepare(&text).map_err(failure)?;
        }
        Ok(())
    }

    /// The engine's own look at the whole file, and at references.
    pub(super) fn examine(&mut self) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        for sql in ["pragma integrity_check", "pragma foreign_key_check"] {
            let mut statement = self.raw.prepare(sql).map_err(failure)?;
            let mut rows = statement.query([]).map_err(failure)?;
            while let Some(row) = rows.next().map_err(failure)? {
                let line: String = row.get(0).map_err(failure)?;
                if line != "ok" {
                    found.push(line);
                }
            }
        }
        Ok(found)
    }

    fn with_statement<T>(
        &mut self,
        sql: &'static str,
        run: impl FnOnce(&mut rusqlite::Statement<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let key = (sql.as_ptr().addr(), sql.len());
        let text = self.texts.entry(key).or_insert_with(|| in_own_words(sql));
        let mut statement = self.raw.prepare_cached(text).map_err(failure)?;
        run(&mut statement).map_err(failure)
    }
}

/// `$1` is a name to `SQLite`, numbered in order of appearance; `?1` is what we mean by it.
pub(crate) fn in_own_words(sql: &str) -> Box<str> {
    in_words(sql, WORDS).replace('$', "?").into()
}

/// Types and table options of the migrations, and the clauses of statements.
///
/// The writer is alone, so rows need no locks, and numbers of the change log appear in their
/// order: each row is its own transaction, and a snapshot is the next number.
const WORDS: Words = &[
    ("{text}", "text"),
    ("{int}", "integer"),
    ("{blob}", "blob"),
    ("{serial}", "integer primary key autoincrement"),
    ("{table}", "strict"),
    ("{clustered}", "strict, without rowid"),
    ("{by_token}", "indexed by event_by_token"),
    ("{for_keeping}", ""),
    ("{for_change}", ""),
    ("{for_removal}", ""),
    ("{log_owner}", "integer not null generated always as (seq) virtual"),
    (
        "{log_snapshot}",
        "(select '0:' || n || ':' || n || ':'
        from (select coalesce(max(seq), 0) + 1 as n from change_log))",
    ),
    ("{clock}", "null"),
    // Inserting a number is enough for the ones after it.
    ("{number_on}", "coalesce($1, $2)"),
    ("{in_list_2}", "in (select value from json_each('[' || $2 || ']'))"),
    ("{in_names_2}", "in (select value from json_each($2))"),
];

#[async_trait]
impl Connection for SqliteConnection {
    async fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        self.with_statement(sql, |statement| {
            let columns = statement.column_count();
            let mut rows = statement.query(params_from_iter(values))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let column = |i| row.get_ref(i).map(owned);
                found.push(Row::new((0..columns).map(column).collect::<Result<_, _>>()?));
            }
            Ok(found)
        })
    }

    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Failure> {
        let touched = self.with_statement(sql, |s| s.execute(params_from_iter(values)))?;
        Ok(touched as u64)
    }

    async fn push(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure> {
        self.execute(sql, values).await.map(drop)
    }

    async fn lock(&mut self, _: &'static str, _: &[Value<'_>]) -> Result<(), Failure> {
        Ok(())
    }

    async fn execute_each(
        &mut self,
        sql: &'static str,
        sets: &[Vec<Value<'_>>],
    ) -> Result<(), Failure> {
        self.with_statement(sql, |statement| {
            sets.iter().try_for_each(|set| statement.execute(params_from_iter(set)).map(drop))
        })
    }
}

#[async_trait]
impl Migrating for SqliteConnection {
    fn words(&self) -> Words {
        WORDS
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        self.command("begin immediate")
    }

    async fn script(&mut self, sql: &str) -> Result<(), Failure> {
        self.raw.execute_batch(sql).map_err(failure)
    }

    async fn number(&mut self, sql: &str) -> Result<i64, Failure> {
        self.raw.query_row(sql, [], |row| row.get(0)).map_err(failure)
    }
}

fn owned(value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        // Text that is not UTF-8 stays bytes, and the getter reports its column.
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(Cow::Owned(text.to_owned())),
            Err(_) => Value::Bytes(Cow::Owned(text.to_vec())),
        },
        ValueRef::Blob(bytes) => Value::Bytes(Cow::Owned(bytes.to_vec())),
        // No column is a real number; empty bytes make the getter report it.
        ValueRef::Real(_) => Value::Bytes(Cow::Borrowed(&[])),
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// What an error of the driver means for the transaction and the connection.
pub(super) fn failure(error: rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Again(error.into()),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::NotADatabase
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory
            | ErrorCode::InternalMalfunction,
        ) => Failure::Broken(error.into()),
        _ => Failure::Statement(error.into()),
    }
}
