//! The embedded engine: one file, one writer that commits in groups, readers beside it.
//!
//! - The writer is a thread. It drains a bounded queue and commits what it
//!   found as one transaction, each operation in its own savepoint, so that
//!   sixty-four waiting clients share one `fsync` and one refused operation
//!   takes nobody else along. Answers leave after the commit.
//! - The write-ahead log is copied back by another thread; on the writer it
//!   would show as a pause of several milliseconds for everybody.
//! - Point reads run on the thread that asks: they take a few microseconds,
//!   less than a hand-over to another thread and back.

mod backup;
mod checkpoint;
mod connection;
mod file;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::store::Unavailable;
use tokio::sync::{Semaphore, mpsc, oneshot};

#[cfg(test)]
pub(crate) use self::connection::in_own_words;

use self::connection::SqliteConnection;
use self::file::DatabaseFile;
use self::readers::Readers;
use self::writer::{Message, Writer};
use super::{Engine, Failure, Figures, Listeners, Reach, Waited, Work, poll_once};
use crate::migrate::Expected;
use crate::{BackupProgress, migrate};

/// Write operations that may wait for the writer; beyond, callers wait for a place.
const QUEUE_OPERATIONS_MAX: usize = 4_096;
/// How long a caller waits for a place in the queue before the store counts as unavailable.
const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// Reads that may scan at the same time; more would starve the writer of the disk.
const SCANS_MAX: usize = 4;

/// How the engine uses memory.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    /// Bytes of the file that each connection maps; counted as resident while in use.
    pub(crate) mmap_bytes: u64,
    /// Bytes of pages that each connection keeps.
    pub(crate) cache_bytes: u64,
}

/// What the threads of the engine count.
#[derive(Default)]
struct Counters {
    waiting: AtomicU64,
    commits: AtomicU64,
    operations: AtomicU64,
    batch_max: AtomicU64,
    failed_commits: AtomicU64,
    checkpoints: AtomicU64,
    wal_frames: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// Counts a caller for as long as it waits, also when it stops waiting early.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A database file and the threads that serve it.
pub(crate) struct Sqlite {
    queue: mpsc::Sender<Message>,
    readers: Arc<Readers>,
    scans: Arc<Semaphore>,
    file: Arc<DatabaseFile>,
    counters: Arc<Counters>,
}

impl Sqlite {
    /// Opens the file, sees to its schema and starts the writer. Blocks.
    ///
    /// # Errors
    ///
    /// See [`migrate::OpenError`].
    pub(crate) fn open(
        path: &Path,
        create: bool,
        expected: Expected,
        memory: Memory,
        listeners: Listeners,
    ) -> Result<Self, migrate::OpenError> {
        let file = Arc::new(DatabaseFile::open(path, create, memory, expected.version())?);
        let mut connection = SqliteConnection::open_first(&file)?;
        let migrated = poll_once(Box::pin(migrate::settle(&mut connection, expected)));
        migrated.ok_or_else(|| Failure::Statement(Box::new(Waited)))??;
        let counters = Arc::new(Counters::default());
        let (queue, receiver) = mpsc::channel(QUEUE_OPERATIONS_MAX);
        let writer = Writer::new(receiver, Arc::clone(&file), listeners, Arc::clone(&counters));
        writer.start(connection)?;
        Ok(Self {
            queue,
            readers: Arc::new(Readers::new(Arc::clone(&file))),
            scans: Arc::new(Semaphore::new(SCANS_MAX)),
            file,
            counters,
        })
    }

    /// Runs something that blocks on a thread that may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DatabaseFile) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let file = Arc::clone(&self.file);
        let task = tokio::task::spawn_blocking(move || work(&file));
        Ok(task.await.map_err(Unavailable::new)??)
    }
}

/// The writer has ended, because the store was closed or the process is ending.
#[derive(Debug, thiserror::Error)]
#[error("the store is closed")]
struct Closed;

/// The queue stayed full for [`QUEUE_WAIT`].
#[derive(Debug, thiserror::Error)]
#[error("too many writes are waiting")]
struct Overloaded;

#[async_trait]
impl Engine for Sqlite {
    async fn write(&self, work: Arc<dyn Work>) -> Result<(), Unavailable> {
        let _waiting = Waiting::new(&self.counters.waiting);
        let (answer, outcome) = oneshot::channel();
        let message = Message::Work { work, answer };
        if let Err(refused) = self.queue.try_send(message) {
            let message = match refused {
                mpsc::error::TrySendError::Full(message) => message,
                mpsc::error::TrySendError::Closed(_) => return Err(Unavailable::new(Closed)),
            };
            let sent = self.queue.send_timeout(message, QUEUE_WAIT).await;
            sent.map_err(|_| Unavailable::new(Overloaded))?;
        }
        outcome.await.map_err(|_| Unavailable::new(Closed))?
    }

    async fn read(&self, work: Arc<dyn Work>, reach: Reach) -> Result<(), Unavailable> {
        match reach {
            Reach::Point | Reach::Feed => Ok(self.readers.run(&*work, reach)?),
            Reach::Scan => {
                let _turn = self.scans.acquire().await.map_err(Unavailable::new)?;
                let readers = Arc::clone(&self.readers);
                let task = tokio::task::spawn_blocking(move || readers.run(&*work, reach));
                Ok(task.await.map_err(Unavailable::new)??)
            }
        }
    }

    async fn prepare(&self, statements: Vec<&'static str>) -> Result<(), Unavailable> {
        self.blocking(move |file| SqliteConnection::open(file)?.prepare_all(&statements)).await
    }

    async fn examine(&self) -> Result<Vec<String>, Unavailable> {
        self.blocking(|file| SqliteConnection::open(file)?.examine()).await
    }

    async fn backup(
        &self,
        to: PathBuf,
        progress: Box<dyn Fn(BackupProgress) + Send>,
    ) -> Result<(), Unavailable> {
        self.blocking(move |file| backup::copy(file, &to, &*progress)).await
    }

    async fn close(&self) {
        let (answer, done) = oneshot::channel();
        // Both fail only when the writer has ended already.
        if self.queue.send(Message::Close { answer }).await.is_ok() {
            let _ = done.await;
        }
        self.readers.clear();
    }

    fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            waiting: read(&self.counters.waiting),
            commits: read(&self.counters.commits),
            operations: read(&self.counters.operations),
            batch_max: read(&self.counters.batch_max),
            failed_commits: read(&self.counters.failed_commits),
            checkpoints: read(&self.counters.checkpoints),
            wal_bytes: read(&self.counters.wal_frames) * connection::PAGE_BYTES,
            idle_readers: self.readers.idle() as u64,
            ..Figures::default()
        }
    }

    fn gathers_writes(&self) -> bool {
        true
    }
}
