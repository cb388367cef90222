//! Brings a database to the schema of this version, and refuses one from the future.

use std::cmp::Ordering;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use counterfoil_authority::store::Unavailable;

use crate::engine::postgres::BadAddress;
use crate::engine::{Failure, Words, in_words};

/// One step of the schema. Never edited once released; `CHECKSUMS` holds us to that.
struct Migration {
    version: i64,
    sql: &'static str,
}

/// Every step, in order.
const MIGRATIONS: [Migration; 26] = [
    Migration { version: 1, sql: include_str!("../migrations/0001_first_schema.sql") },
    Migration { version: 2, sql: include_str!("../migrations/0002_usage_journal.sql") },
    Migration { version: 3, sql: include_str!("../migrations/0003_many_nodes.sql") },
    Migration { version: 4, sql: include_str!("../migrations/0004_enrolment.sql") },
    Migration { version: 5, sql: include_str!("../migrations/0005_access_tokens.sql") },
    Migration { version: 6, sql: include_str!("../migrations/0006_links.sql") },
    Migration { version: 7, sql: include_str!("../migrations/0007_changes_of_tokens.sql") },
    Migration { version: 9, sql: include_str!("../migrations/0009_provisioning.sql") },
    Migration { version: 10, sql: include_str!("../migrations/0010_letters_and_locks.sql") },
    Migration { version: 12, sql: include_str!("../migrations/0012_am_documents.sql") },
    Migration { version: 13, sql: include_str!("../migrations/0013_repositories.sql") },
    Migration { version: 14, sql: include_str!("../migrations/0014_authentication_tokens.sql") },
    Migration { version: 15, sql: include_str!("../migrations/0015_foreign_use.sql") },
    Migration { version: 16, sql: include_str!("../migrations/0016_sessions.sql") },
    Migration { version: 17, sql: include_str!("../migrations/0017_stock_and_jobs.sql") },
    Migration { version: 18, sql: include_str!("../migrations/0018_console.sql") },
    Migration { version: 20, sql: include_str!("../migrations/0020_ends_of_codes.sql") },
    Migration { version: 21, sql: include_str!("../migrations/0021_single_sign_on.sql") },
    Migration { version: 22, sql: include_str!("../migrations/0022_pages_for_people.sql") },
    Migration { version: 23, sql: include_str!("../migrations/0023_registrations.sql") },
    Migration { version: 24, sql: include_str!("../migrations/0024_passkeys.sql") },
    Migration { version: 25, sql: include_str!("../migrations/0025_audit_logs.sql") },
    Migration { version: 26, sql: include_str!("../migrations/0026_provisioned_people.sql") },
    Migration { version: 28, sql: include_str!("../migrations/0028_expiry.sql") },
    Migration { version: 29, sql: include_str!("../migrations/0029_shadow.sql") },
    Migration { version: 30, sql: include_str!("../migrations/0030_what_tokens_are_used_for.sql") },
];

/// What [`version_of`] finds while a copy fills the database. To every version of this program it
/// is a schema of the future, so that none of them serves half an installation.
pub(crate) const UNFINISHED: i64 = i64::MAX;

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
    /// A copy from another database has not come to its end.
    #[error(
        "the database holds an unfinished copy, which is not served: run `counterfoil store copy` \
         with the same databases again, and it goes on where it ended"
    )]
    UnfinishedCopy,
    /// Its installation was copied to another database, where it goes on.
    #[error(
        "{what}; set data.database in the configuration, or give --database. To go back, \
         `counterfoil store copy` it back; if it is to go on here and nowhere else, remove {}",
        mark.display()
    )]
    Moved {
        /// Where it was moved to, and when.
        what: String,
        /// The file that says so.
        mark: PathBuf,
    },
    /// There are no tables of this program, and none were to be made.
    #[error("the database holds no installation; `counterfoil init` makes one")]
    Empty,
    /// The URL cannot be used.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// No thread could be started.
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),
    /// The database answered with an error.
    #[error("the database cannot be used")]
    Unavailable(#[from] Unavailable),
    /// The server of the database answered with an error, or did not answer.
    #[error("the database {url} cannot be used")]
    Away {
        /// Its host, port and name.
        url: String,
        /// What it said.
        #[source]
        source: Unavailable,
    },
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

/// Which database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// One that may be served.
    Whole(Older),
    /// One that a copy is to fill.
    UnfinishedCopy,
}

impl Expected {
    /// What [`version_of`] finds in it from then on.
    pub(crate) fn version(self) -> i64 {
        match self {
            Self::Whole(_) => latest_version(),
            Self::UnfinishedCopy => UNFINISHED,
        }
    }
}

/// What a migration needs of an engine.
#[async_trait]
pub(crate) trait Migrating: Send {
    /// The engine's words for the types and table options in braces.
    fn words(&self) -> Words;
    /// Begins a transaction that may write.
    async fn begin(&mut self) -> Result<(), Failure>;
    /// Runs several statements.
    async fn script(&mut self, sql: &str) -> Result<(), Failure>;
    /// Runs a statement whose answer is one number.
    async fn number(&mut self, sql: &str) -> Result<i64, Failure>;
}

/// The version that [`run`] brings a database to.
pub(crate) fn latest_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The version of a database that has been migrated before.
pub(crate) async fn version_of(database: &mut impl Migrating) -> Result<i64, Failure> {
    database.number("select coalesce(max(version), 0) from schema_version").await
}

/// Brings the schema up to date, or refuses one that is not.
pub(crate) async fn settle(
    database: &mut impl Migrating,
    expected: Expected,
) -> Result<(), OpenError> {
    match expected {
        Expected::Whole(Older::Migrate) => run(database).await,
        Expected::Whole(Older::Refuse) => require_latest(database).await,
        Expected::UnfinishedCopy => require_unfinished(database).await,
    }
}

async fn require_latest(database: &mut impl Migrating) -> Result<(), OpenError> {
    let found = match version_of(database).await {
        // The statement is right, so what it asks for is not there.
        Err(Failure::Statement(_)) => return Err(OpenError::Empty),
        found => found?,
    };
    compare(found)
}

fn compare(found: i64) -> Result<(), OpenError> {
    let known = latest_version();
    match found.cmp(&known) {
        Ordering::Less => Err(OpenError::Older { found, known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater if found == UNFINISHED => Err(OpenError::UnfinishedCopy),
        Ordering::Greater => Err(OpenError::Newer { found, known }),
    }
}

/// The schema below the mark must be this program's: a copy is finished by the version that began.
async fn require_unfinished(database: &mut impl Migrating) -> Result<(), OpenError> {
    let below = format!(
        "select coalesce(max(version), 0) from schema_version where version < {UNFINISHED}"
    );
    compare(database.number(&below).await?)
}

/// Applies the steps that are missing, all of them or none.
async fn run(database: &mut impl Migrating) -> Result<(), OpenError> {
    let table = in_words(VERSION_TABLE, database.words());
    database.begin().await?;
    let outcome = match database.script(&table).await {
        Ok(()) => apply_missing(database).await,
        Err(failure) => Err(failure.into()),
    };
    let end = if outcome.is_ok() { "commit" } else { "rollback" };
    database.script(end).await?;
    outcome
}

async fn apply_missing(database: &mut impl Migrating) -> Result<(), OpenError> {
    let found = version_of(database).await?;
    if found > latest_version() {
        return compare(found);
    }
    for Migration { version, sql } in MIGRATIONS.iter().filter(|m| m.version > found) {
        let sql = in_words(sql, database.words());
        database.script(&sql).await?;
        let note = format!("insert into schema_version (version) values ({version})");
        database.script(&note).await?;
        tracing::info!(version, "the schema was brought up to date");
    }
    Ok(())
}
