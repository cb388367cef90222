//! Connections for reading, kept while they are good.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::SCANS_MAX;
use super::connection::SqliteConnection;
use super::file::DatabaseFile;
use crate::engine::{Failure, Reach, Work};

/// Runs of one read: the second one on a fresh connection.
const RUNS_MAX: usize = 3;

/// A stack of idle connections. There are never more than threads that read at once.
pub(super) struct Readers {
    file: Arc<DatabaseFile>,
    idle: Mutex<Vec<SqliteConnection>>,
    /// Idle connections kept; each holds its page cache.
    idle_max: usize,
}

impl Readers {
    /// No connection yet.
    pub(super) fn new(file: Arc<DatabaseFile>) -> Self {
        // Point reads run on the threads of the runtime, of which there is one per processor.
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self { file, idle: Mutex::new(Vec::new()), idle_max: processors + SCANS_MAX }
    }

    /// How many lie idle.
    pub(super) fn idle(&self) -> usize {
        self.idle.lock().len()
    }

    /// Closes those that lie idle.
    pub(super) fn clear(&self) {
        self.idle.lock().clear();
    }

    /// Runs a read to its end on this thread.
    pub(super) fn run(&self, work: &dyn Work, reach: Reach) -> Result<(), Failure> {
        let mut failure = None;
        for _ in 0..RUNS_MAX {
            let mut connection = self.take()?;
            match read(&mut connection, work, reach) {
                Ok(()) => {
                    self.put_back(connection);
                    return Ok(());
                }
                Err(again @ (Failure::Again(_) | Failure::Broken(_))) => failure = Some(again),
                Err(other) => {
                    self.put_back(connection);
                    return Err(other);
                }
            }
        }
        Err(failure.unwrap_or_else(Failure::interleaved))
    }

    fn take(&self) -> Result<SqliteConnection, Failure> {
        let generation = self.file.generation();
        while let Some(connection) = self.pop() {
            if connection.generation() == generation {
                return Ok(connection);
            }
        }
        SqliteConnection::open(&self.file)
    }

    fn pop(&self) -> Option<SqliteConnection> {
        self.idle.lock().pop()
    }

    fn put_back(&self, connection: SqliteConnection) {
        let mut idle = self.idle.lock();
        if idle.len() < self.idle_max && connection.is_idle() {
            idle.push(connection);
        }
    }
}

/// A point read and one of the log are one statement and thereby consistent; a scan takes a snapshot first.
fn read(connection: &mut SqliteConnection, work: &dyn Work, reach: Reach) -> Result<(), Failure> {
    if reach != Reach::Scan {
        return connection.run(work, |_| ());
    }
    connection.command("begin")?;
    let outcome = connection.run(work, |_| ());
    connection.command("rollback")?;
    outcome
}
