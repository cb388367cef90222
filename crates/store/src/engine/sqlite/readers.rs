//! Connections for reading, kept while they are good.

use std::sync::Arc;

use parking_lot::Mutex;

use super::connection::SqliteConnection;
use super::file::DatabaseFile;
use crate::engine::{Failure, Reach, Work};

/// Idle connections kept; each holds its page cache.
const IDLE_MAX: usize = 8;
/// Runs of one read: the second one on a fresh connection.
const RUNS_MAX: usize = 3;

/// A stack of idle connections. There are never more than threads that read at once.
pub(super) struct Readers {
    file: Arc<DatabaseFile>,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Readers {
    /// No connection yet.
    pub(super) const fn new(file: Arc<DatabaseFile>) -> Self {
        Self { file, idle: Mutex::new(Vec::new()) }
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
        if idle.len() < IDLE_MAX && connection.is_idle() {
            idle.push(connection);
        }
    }
}

/// A point read is one statement and thereby consistent; a scan takes a snapshot first.
fn read(connection: &mut SqliteConnection, work: &dyn Work, reach: Reach) -> Result<(), Failure> {
    if reach == Reach::Point {
        return connection.run(work, |_| ());
    }
    connection.command("begin")?;
    let outcome = connection.run(work, |_| ());
    connection.command("rollback")?;
    outcome
}
