//! Moves an installation from one database to another, whatever their engines.
//!
//! Rows travel in the order of their primary keys, a batch at a time, and the
//! place where the next batch begins is stored in the transaction of the rows.
//! So a copy that is interrupted at any point goes on where it ended, and no
//! row arrives twice. Until all tables have been compared on both sides the
//! target is marked as unfinished, and nothing serves it.
//!
//! The source is only read. It must not be served meanwhile: a caller who can
//! lock servers out does, and otherwise the copy looks at leases and at what
//! every server moves. What escapes both shows when the tables are compared,
//! because for that the source is read once more.

mod compare;
mod error;
mod marker;
mod rows;
mod tables;

use std::io;
use std::sync::Arc;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::store::{InstallationStore, Unavailable};

use self::compare::Sum;
use self::marker::{Begun, Filled};
use self::rows::Batch;
use self::tables::Copied as CopiedTable;
use crate::migrate::{Expected, Older};
use crate::sql_store::open_expecting;
use crate::{DatabaseUrl, OpenError, OpenOptions, SqlStore, open};

pub use self::error::{CopyError, Side};

/// How to copy.
#[derive(Debug, Clone, Copy)]
pub struct CopyOptions {
    /// The instant at which a lease counts as live.
    pub now: Timestamp,
    /// Whether the caller has locked servers out of the source. If not, a live lease in it is
    /// a refusal.
    pub source_is_locked: bool,
    /// Rows that travel in one transaction, at least 1.
    pub batch_rows: u32,
    /// Where the waits between repetitions of a transaction are drawn from.
    pub jitter: u64,
}

impl CopyOptions {
    /// The usual size of a batch: a few hundred KiB.
    pub const BATCH_ROWS: u32 = 500;
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyPhase {
    /// Rows travel.
    Copying,
    /// Both sides are read and compared.
    Comparing,
}

/// How far a copy is. Both phases go through all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress {
    /// What is being done.
    pub phase: CopyPhase,
    /// The table it is being done to.
    pub table: &'static str,
    /// Rows of all tables that this phase is through with.
    pub rows_done: u64,
    /// Rows of all tables.
    pub rows_total: u64,
    /// Whether the table is complete with this.
    pub is_last_of_table: bool,
}

/// A table that is the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedRows {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over all rows in the order of the key, in hexadecimal. It depends on the values
    /// alone, not on the engine.
    pub checksum: String,
}

/// A copy that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The id of the installation.
    pub installation: String,
    /// Rows that an earlier run had copied already.
    pub rows_resumed: u64,
    /// Every table, in the order of the copy.
    pub tables: Vec<CopiedRows>,
}

/// Says which database did not do what.
fn failed(side: Side, doing: &'static str) -> impl Fn(Unavailable) -> CopyError {
    move |source| CopyError::Unavailable { side, doing, source }
}

/// Copies the installation in `from` to `to`, or goes on with a copy that was interrupted.
///
/// `to` is made if it does not exist. Its numbers go on behind those of `from`, and nothing that
/// a server keeps in memory outlives the move, because no server runs on either side.
///
/// # Errors
///
/// [`CopyError`]; `to` is not served by anything then, unless it was refused untouched.
pub async fn copy(
    from: &DatabaseUrl,
    to: &DatabaseUrl,
    options: CopyOptions,
    progress: impl Fn(CopyProgress) + Send + Sync,
) -> Result<Copied, CopyError> {
    let source = open_source(from, options).await?;
    let outcome = match prepare(&source, to, options).await {
        Ok((target, begun)) => {
            let copying = Copying { source: &source, target: &target, options, progress };
            let outcome = copying.run(begun).await;
            target.close().await;
            outcome
        }
        Err(error) => Err(error),
    };
    source.close().await;
    outcome
}

fn opening(options: CopyOptions, create: bool) -> OpenOptions {
    OpenOptions {
        create,
        older: Older::Refuse,
        connections_max: 4,
        jitter: options.jitter,
        ..OpenOptions::default()
    }
}

async fn open_source(from: &DatabaseUrl, options: CopyOptions) -> Result<Arc<SqlStore>, CopyError> {
    let opened = open(from, opening(options, false)).await;
    opened.map_err(|source| CopyError::Open { side: Side::Source, source })
}

/// Where a copy begins.
struct Beginning {
    installation: String,
    /// What the source looked like.
    state: String,
}

/// Looks at the source, and marks the target as unfinished if it is not yet.
async fn prepare(
    source: &SqlStore,
    to: &DatabaseUrl,
    options: CopyOptions,
) -> Result<(Arc<SqlStore>, Beginning), CopyError> {
    let read = failed(Side::Source, "read");
    let Some(installation) = source.installation().await.map_err(&read)? else {
        return Err(CopyError::Open { side: Side::Source, source: OpenError::Empty });
    };
    if !options.source_is_locked {
        let until = source.scan((), |tx, ()| Box::pin(marker::lease_end(tx))).await;
        let seconds =
            until.map_err(&read)?.map_or(0, |end| (end - options.now.micros()) / 1_000_000);
        if seconds > 0 {
            return Err(CopyError::SourceServed { seconds });
        }
    }
    let state = source.scan((), |tx, ()| Box::pin(marker::state(tx))).await.map_err(&read)?;
    let beginning = Beginning { installation: installation.id, state };
    let target = open_target(to, &beginning, options).await?;
    match target.scan((), |tx, ()| Box::pin(marker::filled(tx))).await {
        Ok(Filled { installation, .. }) if installation != beginning.installation => {
            target.close().await;
            Err(CopyError::OtherInstallation { installation })
        }
        Ok(Filled { state, .. }) if state != beginning.state => {
            target.close().await;
            Err(CopyError::SourceChanged)
        }
        Ok(_) => Ok((target, beginning)),
        Err(error) => Err(failed(Side::Target, "read")(error)),
    }
}

/// Opens the target as one that a copy fills; an empty one becomes one.
async fn open_target(
    to: &DatabaseUrl,
    beginning: &Beginning,
    options: CopyOptions,
) -> Result<Arc<SqlStore>, CopyError> {
    let refused = |source| CopyError::Open { side: Side::Target, source };
    let unfinished = || open_expecting(to, opening(options, false), Expected::UnfinishedCopy);
    let whole = match open(to, opening(options, false)).await {
        Err(OpenError::UnfinishedCopy) => return unfinished().await.map_err(refused),
        Err(error) if is_missing(&error) => {
            let made = OpenOptions { older: Older::Migrate, ..opening(options, true) };
            open(to, made).await.map_err(refused)?
        }
        opened => opened.map_err(refused)?,
    };
    let asked = (beginning.installation.clone(), beginning.state.clone());
    let begun = whole.write(asked, |tx, (id, state)| Box::pin(marker::begin(tx, id, state))).await;
    whole.close().await;
    match begun.map_err(failed(Side::Target, "marked as unfinished"))? {
        Begun::Done => unfinished().await.map_err(refused),
        Begun::NotEmpty(table) => Err(CopyError::NotEmpty { table }),
    }
}

fn is_missing(error: &OpenError) -> bool {
    match error {
        OpenError::Empty => true,
        OpenError::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// A copy at work.
struct Copying<'a, F> {
    source: &'a SqlStore,
    target: &'a SqlStore,
    options: CopyOptions,
    progress: F,
}

impl<F: Fn(CopyProgress) + Send + Sync> Copying<'_, F> {
    async fn run(&self, begun: Beginning) -> Result<Copied, CopyError> {
        let filled = self.filled().await?;
        let rows_resumed = filled.places.iter().map(|place| place.rows).sum();
        let total = self.count().await?;
        let mut done = 0;
        for table in tables::ALL.iter() {
            done = self.fill(table, &filled, done, total).await?;
        }
        self.require_unchanged(&begun).await?;
        let tables = self.compare(total).await?;
        // Once more, because a table may have changed behind the comparison.
        self.require_unchanged(&begun).await?;
        let finished = self.target.write((), |tx, ()| Box::pin(marker::finish(tx))).await;
        finished.map_err(failed(Side::Target, "finished"))?;
        Ok(Copied { installation: begun.installation, rows_resumed, tables })
    }

    async fn filled(&self) -> Result<Filled, CopyError> {
        let filled = self.target.scan((), |tx, ()| Box::pin(marker::filled(tx))).await;
        filled.map_err(failed(Side::Target, "read"))
    }

    async fn count(&self) -> Result<u64, CopyError> {
        let mut total = 0;
        for table in tables::ALL.iter() {
            let counted = self.source.scan(&table.count, |tx, sql| {
                Box::pin(async move {
                    let row = tx.row(sql, &[]).await?;
                    Ok(row.map(|mut row| row.count("count")).transpose()?.unwrap_or(0))
                })
            });
            total += counted.await.map_err(failed(Side::Source, "counted"))?;
        }
        Ok(total)
    }

    /// Copies what is missing of a table; says how many rows of all tables are there then.
    async fn fill(
        &self,
        table: &'static CopiedTable,
        filled: &Filled,
        done: u64,
        rows_total: u64,
    ) -> Result<u64, CopyError> {
        let mut place = filled.place_of(table.table.name);
        loop {
            let read = rows::page(self.source, table, &place.key, self.options.batch_rows).await;
            let page = read.map_err(failed(Side::Source, "read"))?;
            let mut is_last_of_table = page.len() < self.options.batch_rows.max(1) as usize;
            if let Some(batch) = Batch::new(table, &place, page) {
                let behind = batch.behind.clone();
                if self.store(batch).await? {
                    place = behind;
                } else {
                    // A run that was cut off had sent its last batch already, and it arrived
                    // after the look at the place: go on behind it, however much is left there.
                    place = self.filled().await?.place_of(table.table.name);
                    is_last_of_table = false;
                }
            }
            let rows_done = done + place.rows;
            (self.progress)(CopyProgress {
                phase: CopyPhase::Copying,
                table: table.table.name,
                rows_done,
                rows_total,
                is_last_of_table,
            });
            if is_last_of_table {
                return Ok(rows_done);
            }
        }
    }

    /// Stores a batch; false, and nothing is stored, if the table is elsewhere by now.
    async fn store(&self, batch: Batch) -> Result<bool, CopyError> {
        let stored = self.target.write(batch, |tx, batch| Box::pin(rows::store(tx, batch))).await;
        stored.map_err(failed(Side::Target, "written to"))
    }

    async fn require_unchanged(&self, begun: &Beginning) -> Result<(), CopyError> {
        let state = self.source.scan((), |tx, ()| Box::pin(marker::state(tx))).await;
        let is_same = state.map_err(failed(Side::Source, "read"))? == begun.state;
        if is_same { Ok(()) } else { Err(CopyError::SourceChanged) }
    }

    /// Reads every table on both sides.
    async fn compare(&self, rows_total: u64) -> Result<Vec<CopiedRows>, CopyError> {
        let mut same = Vec::new();
        let mut rows_done = 0;
        for table in tables::ALL.iter() {
            let name = table.table.name;
            let told = |rows, is_last_of_table| {
                (self.progress)(CopyProgress {
                    phase: CopyPhase::Comparing,
                    table: name,
                    rows_done: rows_done + rows,
                    rows_total,
                    is_last_of_table,
                });
            };
            let (source, target) = tokio::join!(
                compare::sum(self.source, table, |rows| told(rows, false)),
                compare::sum(self.target, table, |_| ()),
            );
            let Sum { rows, checksum } = source.map_err(failed(Side::Source, "read"))?;
            let target = target.map_err(failed(Side::Target, "read"))?;
            if (rows, &checksum) != (target.rows, &target.checksum) {
                return Err(CopyError::Differs {
                    table: name,
                    source_rows: rows,
                    source_checksum: checksum,
                    target_rows: target.rows,
                    target_checksum: target.checksum,
                });
            }
            told(rows, true);
            rows_done += rows;
            same.push(CopiedRows { table: name, rows, checksum });
        }
        Ok(same)
    }
}

/// Every table with its columns, and how many of them are its key, as a copy takes them over.
///
/// For tests, which compare it with the schema of each engine.
pub fn copied_columns() -> Vec<(&'static str, Vec<&'static str>, usize)> {
    let described = |copied: &CopiedTable| {
        let table = copied.table;
        (table.name, table.columns().collect(), table.key_columns)
    };
    tables::ALL.iter().map(described).collect()
}
