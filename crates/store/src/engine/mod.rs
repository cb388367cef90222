//! The seam between the operations and the databases that run them.
//!
//! An operation is written once, as an async function over a [`Transaction`]
//! and in the SQL that all engines share. An engine decides how transactions
//! begin, end, are batched and repeated. `SQLite` runs an operation to its end
//! in one poll, on the thread that owns the connection; a networked engine
//! awaits, and may run the same operation again from its start when the
//! database asks for that.

pub(crate) mod postgres;
pub(crate) mod sqlite;
mod transaction;
mod value;

use std::error::Error as StdError;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use counterfoil_authority::store::{Change, ChangeListener, Unavailable};
use parking_lot::{Mutex, RwLock};

use crate::BackupProgress;

pub(crate) use transaction::{Asked, Connection, Transaction};
pub(crate) use value::{Inconsistent, Row, Value, values};

/// A future without a name, as operations return it.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An operation: a function of its parameters that can be run again from the start.
pub(crate) type Operation<P, T> =
    for<'a> fn(&'a mut Transaction<'_>, &'a P) -> BoxFuture<'a, Result<T, Failure>>;

/// An engine's own words for the ones in braces, of which an SQL text of the program holds some.
pub(crate) type Words = &'static [(&'static str, &'static str)];

/// An SQL text of the program in an engine's own words.
pub(crate) fn in_words(sql: &str, words: Words) -> String {
    words.iter().fold(sql.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
}

/// Why an operation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Somebody else holds the lock, or changed a row in between: run it again.
    #[error("the transaction has to be repeated")]
    Again(#[source] Source),
    /// The connection is of no more use.
    #[error("the connection is broken")]
    Broken(#[source] Source),
    /// The statement failed; the connection is sound.
    #[error("a statement failed")]
    Statement(#[source] Source),
    /// A row holds what no version of this program writes.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// The world is not as the caller found it a moment ago; asking again will tell.
    #[error("{0}")]
    Overtaken(&'static str),
}

/// What an engine's driver said.
pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// A row changed between two statements of one operation.
#[derive(Debug, thiserror::Error)]
#[error("a row changed between two statements")]
struct Interleaved;

impl Failure {
    /// A conditional statement matched no row although the row was just read.
    pub(crate) fn interleaved() -> Self {
        Self::Again(Box::new(Interleaved))
    }
}

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Self {
        Self::new(failure)
    }
}

/// How much a read may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One indexed statement: cheap enough for the thread that asks.
    Point,
    /// The change log: one statement too, and nobody else's traffic may hold it up.
    Feed,
    /// Anything that may scan: goes to a thread that may block.
    Scan,
}

/// An operation with its parameters and a place for its outcome, without their types.
pub(crate) trait Work: Send + Sync {
    /// Runs it from the start and keeps the outcome.
    fn run<'a>(&'a self, tx: &'a mut Transaction<'_>) -> BoxFuture<'a, Result<(), Failure>>;
}

/// The one implementation of [`Work`].
pub(crate) struct Task<P, T> {
    parameters: P,
    operation: Operation<P, T>,
    outcome: Mutex<Option<T>>,
}

impl<P, T> Task<P, T> {
    /// An operation that has not run yet.
    pub(crate) fn new(parameters: P, operation: Operation<P, T>) -> Arc<Self> {
        Arc::new(Self { parameters, operation, outcome: Mutex::new(None) })
    }

    /// The outcome of the last run.
    pub(crate) fn outcome(&self) -> Result<T, Unavailable> {
        self.outcome.lock().take().ok_or_else(|| Unavailable::new(Unanswered))
    }
}

/// The engine reported success without running the operation.
#[derive(Debug, thiserror::Error)]
#[error("the engine did not run the operation")]
struct Unanswered;

impl<P: Send + Sync, T: Send> Work for Task<P, T> {
    fn run<'a>(&'a self, tx: &'a mut Transaction<'_>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let outcome = (self.operation)(tx, &self.parameters).await?;
            *self.outcome.lock() = Some(outcome);
            Ok(())
        })
    }
}

/// A database that runs operations.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// Runs `work` in a transaction that may write, and returns when it is durable and the
    /// listeners know of its changes.
    async fn write(&self, work: Arc<dyn Work>) -> Result<(), Unavailable>;
    /// The same for `work` that meets no others: it inserts rows whose keys nobody else draws, and
    /// locks rows in a way that keeps out only their removal. An engine may let such operations
    /// share a transaction; none of them takes another one along.
    async fn write_together(&self, work: Arc<dyn Work>) -> Result<(), Unavailable> {
        self.write(work).await
    }
    /// Runs `work` on one consistent state of the database.
    async fn read(&self, work: Arc<dyn Work>, reach: Reach) -> Result<(), Unavailable>;
    /// Prepares each text without running it; the first that is refused is the error.
    async fn prepare(&self, statements: Vec<&'static str>) -> Result<(), Unavailable>;
    /// Looks for damage in the whole database; an empty list is a clean bill.
    async fn examine(&self) -> Result<Vec<String>, Unavailable>;
    /// Copies the database, as it stands at one instant, to a file that does not exist yet.
    async fn backup(
        &self,
        to: PathBuf,
        progress: Box<dyn Fn(BackupProgress) + Send>,
    ) -> Result<(), Unavailable>;
    /// Finishes what is queued and lets go of the database.
    async fn close(&self);
    /// What the engine counts.
    fn figures(&self) -> Figures;
    /// Whether writes that wait share a transaction without being asked to.
    fn gathers_writes(&self) -> bool;
}

/// What an engine counts, for metrics and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Write operations that wait for the writer or for their commit.
    pub waiting: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Operations in those transactions.
    pub operations: u64,
    /// Most operations in one transaction so far.
    pub batch_max: u64,
    /// Transactions repeated or given up.
    pub failed_commits: u64,
    /// Checkpoints of the write-ahead log.
    pub checkpoints: u64,
    /// Bytes of the write-ahead log in use after the last commit.
    pub wal_bytes: u64,
    /// Questions put to a database server and waited for, those sent ahead not among them.
    pub round_trips: u64,
    /// Connections to a database server.
    pub connections: u64,
    /// Connections for reading that lie idle.
    pub idle_readers: u64,
}

/// Who is told of changes.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Arc<RwLock<Vec<Arc<dyn ChangeListener>>>>);

impl Listeners {
    /// Adds one more.
    pub(crate) fn add(&self, listener: Arc<dyn ChangeListener>) {
        self.0.write().push(listener);
    }

    /// Tells all of them.
    pub(crate) fn tell(&self, changes: &[Change]) {
        if !changes.is_empty() {
            self.0.read().iter().for_each(|listener| listener.changed(changes));
        }
    }
}

/// The result of a future that never waits; `None` if it does, which is a defect.
pub(crate) fn poll_once<T>(mut future: BoxFuture<'_, T>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// An operation waited on an engine whose statements never do.
#[derive(Debug, thiserror::Error)]
#[error("an operation waited for something that is no statement")]
pub(crate) struct Waited;
