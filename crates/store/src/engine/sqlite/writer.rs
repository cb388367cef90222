//! The writer: one thread that commits whatever waits as one transaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use counterfoil_authority::store::{Change, Unavailable};
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::{self, Checkpointer};
use super::connection::SqliteConnection;
use super::file::DatabaseFile;
use super::{Closed, Counters};
use crate::engine::{Failure, Listeners, Work};
use crate::migrate::OpenError;

/// Operations in one transaction at most; bounds how long the first of them waits.
const BATCH_OPERATIONS_MAX: usize = 1_024;
/// Runs of one batch while another process holds the lock, each waiting for it.
const RUNS_MAX: usize = 3;

/// What the writer is told.
pub(super) enum Message {
    /// Run this and answer when it is durable.
    Work {
        /// The operation.
        work: Arc<dyn Work>,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// Finish what came before and end.
    Close {
        /// Where the answer goes.
        answer: oneshot::Sender<()>,
    },
}

/// An operation that waits for its transaction.
struct Job {
    work: Arc<dyn Work>,
    answer: oneshot::Sender<Result<(), Unavailable>>,
}

/// What became of one operation of a batch that was committed.
type Outcome = Result<(), Failure>;

/// The thread's state.
pub(super) struct Writer {
    queue: mpsc::Receiver<Message>,
    file: Arc<DatabaseFile>,
    listeners: Listeners,
    counters: Arc<Counters>,
    connection: Option<SqliteConnection>,
    checkpointer: Option<Checkpointer>,
}

impl Writer {
    /// A writer that has not started.
    pub(super) const fn new(
        queue: mpsc::Receiver<Message>,
        file: Arc<DatabaseFile>,
        listeners: Listeners,
        counters: Arc<Counters>,
    ) -> Self {
        Self { queue, file, listeners, counters, connection: None, checkpointer: None }
    }

    /// Starts the thread on a connection that has been opened for it.
    pub(super) fn start(mut self, connection: SqliteConnection) -> Result<(), OpenError> {
        self.adopt(connection)?;
        let checkpointer = Checkpointer::start(Arc::clone(&self.file), Arc::clone(&self.counters));
        self.checkpointer = Some(checkpointer.map_err(OpenError::Thread)?);
        let thread = thread::Builder::new().name("store-writer".into());
        thread.spawn(move || self.run()).map(drop).map_err(OpenError::Thread)
    }

    fn run(mut self) {
        let mut closing = None;
        while closing.is_none() {
            // Ends when every handle on the store is gone.
            let Some(first) = self.queue.blocking_recv() else { break };
            let mut next = Some(first);
            let mut batch = Vec::new();
            while let Some(message) = next {
                match message {
                    Message::Work { work, answer } => batch.push(Job { work, answer }),
                    Message::Close { answer } => closing = Some(answer),
                }
                let full = batch.len() == BATCH_OPERATIONS_MAX || closing.is_some();
                next = if full { None } else { self.queue.try_recv().ok() };
            }
            self.commit(batch);
        }
        self.finish();
        if let Some(answer) = closing {
            // Nobody waits any more when this fails.
            let _ = answer.send(());
        }
    }

    /// Ends for good: refuses what came too late and writes the log back.
    fn finish(&mut self) {
        self.queue.close();
        while let Ok(message) = self.queue.try_recv() {
            if let Message::Work { answer, .. } = message {
                let _ = answer.send(Err(Unavailable::new(Closed)));
            }
        }
        if let Some(checkpointer) = self.checkpointer.take() {
            checkpointer.stop();
        }
        if let Some(mut connection) = self.connection.take()
            && let Err(failure) = checkpoint::truncate(&mut connection)
        {
            // Another process still reads; it will write the log back.
            tracing::debug!(?failure, "the write-ahead log stays for later");
        }
    }

    /// Commits a batch and answers each of its operations.
    fn commit(&mut self, batch: Vec<Job>) {
        if batch.is_empty() {
            return;
        }
        let mut run = 1;
        let outcome = loop {
            match self.transaction(&batch) {
                Err(Failure::Again(_)) if run < RUNS_MAX => run += 1,
                outcome => break outcome,
            }
        };
        match outcome {
            Ok((outcomes, changes)) => {
                self.count(batch.len());
                // Before any answer: whoever is told "revoked" must find it so at once.
                self.listeners.tell(&changes);
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    let _ = job.answer.send(outcome.map_err(Unavailable::from));
                }
            }
            Err(failure) => {
                Counters::add(&self.counters.failed_commits, 1);
                tracing::warn!(error = &failure as &dyn std::error::Error, "a commit failed");
                let unavailable = Unavailable::from(failure);
                for job in batch {
                    let _ = job.answer.send(Err(unavailable.clone()));
                }
            }
        }
        self.keep_log_short();
    }

    fn count(&self, operations: usize) {
        Counters::add(&self.counters.commits, 1);
        Counters::add(&self.counters.operations, operations);
        self.counters.batch_max.fetch_max(operations as u64, Ordering::Relaxed);
    }

    /// One attempt. An error means that nothing of the batch happened.
    fn transaction(&mut self, batch: &[Job]) -> Result<Group, Failure> {
        let mut connection = self.take_connection()?;
        let outcome = group(&mut connection, batch);
        // A broken one is dropped: the next batch opens another, as soon as the disk lets it.
        if !matches!(outcome, Err(Failure::Broken(_))) {
            self.connection = Some(connection);
        }
        outcome
    }

    fn take_connection(&mut self) -> Result<SqliteConnection, Failure> {
        self.file.look()?;
        if let Some(connection) = self.connection.take()
            && connection.generation() == self.file.generation()
        {
            return Ok(connection);
        }
        let mut connection = SqliteConnection::open(&self.file)?;
        checkpoint::count_frames(&mut connection, &self.counters)?;
        Ok(connection)
    }

    fn adopt(&mut self, mut connection: SqliteConnection) -> Result<(), Failure> {
        checkpoint::count_frames(&mut connection, &self.counters)?;
        self.connection = Some(connection);
        Ok(())
    }

    fn keep_log_short(&mut self) {
        let (Some(checkpointer), Some(connection)) = (&self.checkpointer, &mut self.connection)
        else {
            return;
        };
        if let Err(failure) = checkpointer.after_commit(connection) {
            tracing::warn!(?failure, "the write-ahead log could not be written back");
        }
    }
}

/// What came of a batch: each operation's outcome, and what all of them changed.
type Group = (Vec<Outcome>, Vec<Change>);

/// Commits the batch, each operation for itself.
///
/// A savepoint makes the engine set aside every page that the operation is the
/// first to touch, a sixth of the cost of issuing. So the batch is tried without
/// them, and only if an operation has something to take back, once more with them.
fn group(connection: &mut SqliteConnection, batch: &[Job]) -> Result<Group, Failure> {
    let group = match attempt(connection, batch, run_bare)? {
        None => attempt(connection, batch, run_guarded)?,
        group => group,
    };
    group.ok_or_else(Failure::interleaved)
}

/// One way to run a batch inside a transaction; `None` if the transaction must not stand.
type Way = fn(&mut SqliteConnection, &[Job]) -> Result<Option<Group>, Failure>;

/// One transaction. After an error, as after `None`, nothing of it happened.
fn attempt(
    connection: &mut SqliteConnection,
    batch: &[Job],
    way: Way,
) -> Result<Option<Group>, Failure> {
    connection.command("begin immediate")?;
    let outcome = way(connection, batch).and_then(|group| {
        connection.command(if group.is_some() { "commit" } else { "rollback" })?;
        Ok(group)
    });
    if outcome.is_err() && !connection.is_idle() {
        connection.command("rollback")?;
    }
    outcome
}

/// Runs the batch; `None` if one of its operations has something to take back.
fn run_bare(connection: &mut SqliteConnection, batch: &[Job]) -> Result<Option<Group>, Failure> {
    let mut changes = Vec::new();
    for job in batch {
        match connection.run(&*job.work, |tx| (tx.is_undone(), tx.into_changes())) {
            Ok((false, made)) => changes.extend(made),
            Err(failure) if is_everybodys(connection, &failure) => return Err(failure),
            Ok((true, _)) | Err(_) => return Ok(None),
        }
    }
    Ok(Some((batch.iter().map(|_| Ok(())).collect(), changes)))
}

/// Runs the batch, each operation in its own savepoint.
fn run_guarded(connection: &mut SqliteConnection, batch: &[Job]) -> Result<Option<Group>, Failure> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut changes = Vec::new();
    for job in batch {
        connection.command("savepoint operation")?;
        let outcome = connection.run(&*job.work, |tx| (tx.is_undone(), tx.into_changes()));
        let outcome = match outcome {
            Ok((false, made)) => {
                changes.extend(made);
                Ok(())
            }
            Ok((true, _)) => {
                connection.command("rollback to operation")?;
                Ok(())
            }
            Err(failure) if is_everybodys(connection, &failure) => return Err(failure),
            Err(failure) => {
                connection.command("rollback to operation")?;
                Err(failure)
            }
        };
        connection.command("release operation")?;
        outcomes.push(outcome);
    }
    Ok(Some((outcomes, changes)))
}

/// Some errors take the whole transaction back, and with it everybody's work.
fn is_everybodys(connection: &SqliteConnection, failure: &Failure) -> bool {
    connection.is_idle() || matches!(failure, Failure::Broken(_))
}
