//! The store on a database: every operation of the traits, run by an engine.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use counterfoil_authority::store::{TokenIssue, Unavailable};

use crate::engine::postgres::{Connecting, Postgres};
use crate::engine::sqlite::{Memory, Sqlite};
use crate::engine::{Engine, Figures, Listeners, Operation, Reach, Task};
use crate::migrate::{Expected, Older};
use crate::url::DatabaseUrl;
use crate::{OpenError, migrate, statements, tokens};

/// How to open a store.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Whether a missing database is made; off for tools that must not invent one.
    pub create: bool,
    /// What happens to a schema of an earlier version.
    pub older: Older,
    /// Bytes of the database file that each reading connection maps into memory.
    pub mmap_bytes: u64,
    /// Bytes of pages that each connection keeps in memory.
    pub cache_bytes: u64,
    /// Connections to a database server for transactions; a few more serve point reads.
    pub connections_max: u32,
    /// Where the waits between repetitions of a transaction are drawn from: any number that
    /// other nodes do not have.
    pub jitter: u64,
}

impl Default for OpenOptions {
    /// Makes a missing database, migrates an older one; at most a few tens of MiB per
    /// connection, whatever its size.
    fn default() -> Self {
        Self {
            create: true,
            older: Older::Migrate,
            mmap_bytes: 0,
            cache_bytes: 16 * 1024 * 1024,
            connections_max: 24,
            jitter: 0,
        }
    }
}

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProgress {
    /// Pages copied.
    pub pages_done: u64,
    /// Pages in all.
    pub pages_total: u64,
}

/// Opens a store, and brings its schema up to date unless the options say otherwise.
///
/// # Errors
///
/// [`OpenError`]: missing, of another version than this program, or not usable.
pub async fn open(url: &DatabaseUrl, options: OpenOptions) -> Result<Arc<SqlStore>, OpenError> {
    let expected = Expected::Whole(options.older);
    open_expecting(url, options, expected).await
}

/// Opens a store in the state that is expected of its schema.
pub(crate) async fn open_expecting(
    url: &DatabaseUrl,
    options: OpenOptions,
    expected: Expected,
) -> Result<Arc<SqlStore>, OpenError> {
    let listeners = Listeners::default();
    let told = listeners.clone();
    let OpenOptions { create, mmap_bytes, cache_bytes, connections_max, jitter, .. } = options;
    let engine: Arc<dyn Engine> = match url {
        DatabaseUrl::Sqlite(path) => {
            let path = path.clone();
            let memory = Memory { mmap_bytes, cache_bytes };
            let opening = move || Sqlite::open(&path, create, expected, memory, told);
            let opened = tokio::task::spawn_blocking(opening).await;
            Arc::new(opened.map_err(Unavailable::new)??)
        }
        DatabaseUrl::Postgres(url) => {
            let connecting = Connecting {
                url: url.text(),
                create,
                expected,
                sessions_max: connections_max,
                jitter,
            };
            Arc::new(Postgres::open(connecting, told).await?)
        }
    };
    Ok(Arc::new_cyclic(|own| SqlStore {
        engine,
        listeners,
        record_reads: AtomicU64::new(0),
        draws: tokens::Draws::default(),
        own: Weak::clone(own),
    }))
}

/// A store on a database.
///
/// The last handle that is dropped lets the writer finish in the background;
/// [`SqlStore::close`] waits for it.
pub struct SqlStore {
    engine: Arc<dyn Engine>,
    pub(crate) listeners: Listeners,
    record_reads: AtomicU64,
    pub(crate) draws: tokens::Draws,
    own: Weak<SqlStore>,
}

impl SqlStore {
    /// This store, for work that goes on when who asked for it has gone.
    pub(crate) fn handle(&self) -> Option<Arc<Self>> {
        self.own.upgrade()
    }

    /// Whether the engine puts writes that wait into one transaction by itself.
    pub(crate) fn gathers_writes(&self) -> bool {
        self.engine.gathers_writes()
    }

    /// Runs an operation that writes.
    pub(crate) async fn write<P, T>(
        &self,
        parameters: P,
        operation: Operation<P, T>,
    ) -> Result<T, Unavailable>
    where
        P: Send + Sync + 'static,
        T: Send + 'static,
    {
        let task = Task::new(parameters, operation);
        self.engine.write(Arc::clone(&task) as _).await?;
        task.outcome()
    }

    /// Runs an operation that writes and meets no others; see [`Engine::write_together`].
    pub(crate) async fn write_together<P, T>(
        &self,
        parameters: P,
        operation: Operation<P, T>,
    ) -> Result<T, Unavailable>
    where
        P: Send + Sync + 'static,
        T: Send + 'static,
    {
        let task = Task::new(parameters, operation);
        self.engine.write_together(Arc::clone(&task) as _).await?;
        task.outcome()
    }

    async fn read<P, T>(
        &self,
        reach: Reach,
        parameters: P,
        operation: Operation<P, T>,
    ) -> Result<T, Unavailable>
    where
        P: Send + Sync + 'static,
        T: Send + 'static,
    {
        let task = Task::new(parameters, operation);
        self.engine.read(Arc::clone(&task) as _, reach).await?;
        task.outcome()
    }

    /// Runs one indexed read.
    pub(crate) async fn point<P, T>(
        &self,
        parameters: P,
        operation: Operation<P, T>,
    ) -> Result<T, Unavailable>
    where
        P: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.read(Reach::Point, parameters, operation).await
    }

    /// Runs one read of the change log.
    pub(crate) async fn feed<P, T>(
        &self,
        parameters: P,
        operation: Operation<P, T>,
    ) -> Result<T, Unavailable>
    where
        P: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.read(Reach::Feed, parameters, operation).await
    }

    /// Runs a read that may take long.
    pub(crate) async fn scan<P, T>(
        &self,
        parameters: P,
        operation: Operation<P, T>,
    ) -> Result<T, Unavailable>
    where
        P: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.read(Reach::Scan, parameters, operation).await
    }

    /// Counts a read of a token's record.
    pub(crate) fn count_record_read(&self) {
        self.record_reads.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a token's record was read: what the cache and the checksum save.
    pub fn record_reads(&self) -> u64 {
        self.record_reads.load(Ordering::Relaxed)
    }

    /// What the engine counts.
    pub fn figures(&self) -> Figures {
        self.engine.figures()
    }

    /// The version of the schema: that of this program, or [`open`] would have refused.
    pub fn schema_version(&self) -> i64 {
        migrate::latest_version()
    }

    /// Prepares every statement of the program; says how many there are.
    pub async fn prepare_every_statement(&self) -> Result<usize, Unavailable> {
        let all = statements::all();
        let count = all.len();
        self.engine.prepare(all).await?;
        Ok(count)
    }

    /// Looks for damage in the whole database; an empty list is a clean bill. Takes long.
    pub async fn integrity_check(&self) -> Result<Vec<String>, Unavailable> {
        self.engine.examine().await
    }

    /// Copies the store, as it stands at one instant, to a new file (mode 0600), while it is in
    /// use. The copy holds everything but the keys.
    ///
    /// # Errors
    ///
    /// [`Unavailable`], also when there is a file at `path` already; it is not touched then.
    pub async fn backup_to(
        &self,
        path: &Path,
        progress: impl Fn(BackupProgress) + Send + 'static,
    ) -> Result<(), Unavailable> {
        self.engine.backup(path.to_owned(), Box::new(progress)).await
    }

    /// Stores many tokens in one transaction, for measurements. Limits are not looked at.
    ///
    /// # Errors
    ///
    /// [`Unavailable`], also when an owner or a service is missing; nothing is stored then.
    pub async fn token_seed(&self, issues: Vec<TokenIssue>) -> Result<(), Unavailable> {
        self.write(issues, |tx, issues| Box::pin(tokens::seed(tx, issues))).await
    }

    /// Finishes what is queued, writes the log back and closes the database.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}
