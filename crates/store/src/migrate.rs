//! Brings a database to the schema of this version, and refuses one from the future.

use std::cmp::Ordering;
use std::io;
use std::path::PathBuf;

use counterfoil_authority::store::Unavailable;

use crate::engine::Failure;

/// One step of the schema. Never edited once released; `CHECKSUMS` holds us to that.
struct Migration {
    version: i64,
    sql: &'static str,
}

/// Every step, in order.
const MIGRATIONS: [Migration; 2] = [
    Migration { version: 1, sql: include_str!("../migrations/0001_first_schema.sql") },
    Migration { version: 2, sql: include_str!("../migrations/0002_usage_journal.sql") },
];

const VERSION_TABLE: &str = "create table if not exists schema_version (
    version {int} not null primary key
) {clustered}";

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is missing or may not be used.
    #[error("the database {} cannot be opened", path.display())]
    File {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file system cannot hold a write-ahead log.
    #[error("the database {} cannot use a write-ahead log on this file system", path.display())]
    NoLog {
        /// Where it lies.
        path: PathBuf,
    },
    /// A newer version of this program has changed the schema.
    #[error(
        "the database has schema version {found}, this program knows up to {known}: \
         it was opened by a newer version, use that one"
    )]
    Newer {
        /// The version found.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// The schema is older than this program, and was not to be changed.
    #[error(
        "the database has schema version {found}, this program works with {known}: \
         `counterfoil migrate` brings it up to date, and so does `counterfoil serve`"
    )]
    Older {
        /// The version found.
        found: i64,
        /// The version needed.
        known: i64,
    },
    /// There are no tables of this program, and none were to be made.
    #[error("the database holds no installation; `counterfoil init` makes one")]
    Empty,
    /// The engine cannot be had in this version.
    #[error("PostgreSQL comes with a later release; use sqlite:PATH")]
    NotYet,
    /// No thread could be started.
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),
    /// The database answered with an error.
    #[error("the database cannot be used")]
    Unavailable(#[from] Unavailable),
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into())
    }
}

/// The file has another schema than this program.
#[derive(Debug, thiserror::Error)]
#[error("the database file was replaced by one with another schema")]
pub(crate) struct OtherSchema;

/// What happens to a database whose schema is older than this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// It is brought up to date.
    Migrate,
    /// It is left as it is, and not opened.
    Refuse,
}

/// What a migration needs of an engine.
pub(crate) trait Migrating {
    /// The engine's words for the types and table options in braces.
    fn words(&self) -> &'static [(&'static str, &'static str)];
    /// Begins a transaction that may write.
    fn begin(&mut self) -> Result<(), Failure>;
    /// Runs several statements.
    fn script(&mut self, sql: &str) -> Result<(), Failure>;
    /// Runs a statement whose answer is one number.
    fn number(&mut self, sql: &str) -> Result<i64, Failure>;
}

/// The version that [`run`] brings a database to.
pub(crate) fn latest_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The version of a database that has been migrated before.
pub(crate) fn version_of(database: &mut impl Migrating) -> Result<i64, Failure> {
    database.number("select coalesce(max(version), 0) from schema_version")
}

/// Brings the schema up to date, or refuses one that is not.
pub(crate) fn settle(database: &mut impl Migrating, older: Older) -> Result<(), OpenError> {
    match older {
        Older::Migrate => run(database),
        Older::Refuse => require_latest(database),
    }
}

fn require_latest(database: &mut impl Migrating) -> Result<(), OpenError> {
    let found = match version_of(database) {
        // The statement is right, so what it asks for is not there.
        Err(Failure::Statement(_)) => return Err(OpenError::Empty),
        found => found?,
    };
    let known = latest_version();
    match found.cmp(&known) {
        Ordering::Less => Err(OpenError::Older { found, known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::Newer { found, known }),
    }
}

/// Applies the steps that are missing, all of them or none.
pub(crate) fn run(database: &mut impl Migrating) -> Result<(), OpenError> {
    let table = in_words_of(database, VERSION_TABLE);
    database.begin()?;
    let outcome = database.script(&table).map_err(OpenError::from);
    let outcome = outcome.and_then(|()| apply_missing(database));
    let end = if outcome.is_ok() { "commit" } else { "rollback" };
    database.script(end)?;
    outcome
}

fn apply_missing(database: &mut impl Migrating) -> Result<(), OpenError> {
    let found = version_of(database)?;
    let known = latest_version();
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for Migration { version, sql } in MIGRATIONS.iter().filter(|m| m.version > found) {
        let sql = in_words_of(database, sql);
        database.script(&sql)?;
        database.script(&format!("insert into schema_version (version) values ({version})"))?;
        tracing::info!(version, "the schema was brought up to date");
    }
    Ok(())
}

fn in_words_of(database: &impl Migrating, sql: &str) -> String {
    let words = database.words().iter();
    words.fold(sql.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
}
