//! Copies the write-ahead log back into the database, off the writer's path.
//!
//! A passive checkpoint never waits and never makes anybody wait, but under a
//! constant stream of commits it also never finds the log finished, and the
//! log would grow for ever. So the other thread copies all but the tail, and
//! the writer copies the tail between two transactions; the next transaction
//! then starts the log over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::DEFAULT_NAME;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;

use super::Counters;
use super::connection::{SqliteConnection, failure};
use super::file::DatabaseFile;
use crate::engine::Failure;

/// Frames (pages) in the log from which it is copied back: 64 MiB.
const LOG_FRAMES_BOUND: u64 = 16_384;
/// Frames that the writer copies itself: a few milliseconds of work.
const TAIL_FRAMES_MAX: u64 = 512;
/// Passes of the other thread before the writer takes the rest, however long it is.
const PASSES_MAX: usize = 4;
/// How often the file is looked at while nobody writes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Nobody copies.
const IDLE: u8 = 0;
/// The other thread copies; there is one lock for that, so the writer must not try.
const COPYING: u8 = 1;
/// The other thread is done and has left the tail to the writer.
const TAIL: u8 = 2;

/// The other thread, as the writer sees it. It ends when this is dropped.
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    phase: Arc<AtomicU8>,
    counters: Arc<Counters>,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(file: Arc<DatabaseFile>, counters: Arc<Counters>) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let phase = Arc::new(AtomicU8::new(IDLE));
        let (ours, theirs) = (Arc::clone(&phase), Arc::clone(&counters));
        let thread = thread::Builder::new().name("store-checkpoint".into());
        let thread = thread.spawn(move || run(&file, &woken, &ours, &theirs))?;
        Ok(Self { wake, thread, phase, counters })
    }

    /// Ends the thread and waits for it: while it copies, nobody else can finish the log.
    pub(super) fn stop(self) {
        drop(self.wake);
        // It ends by itself; that it may have panicked was reported when it did.
        let _ = self.thread.join();
    }

    /// Wakes the thread when the log is long, or copies the tail that it left.
    pub(super) fn after_commit(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        match self.phase.load(Ordering::Acquire) {
            TAIL => {
                self.phase.store(IDLE, Ordering::Release);
                passive(connection).map(drop)
            }
            IDLE if self.counters.wal_frames.load(Ordering::Relaxed) >= LOG_FRAMES_BOUND => {
                self.phase.store(COPYING, Ordering::Release);
                // There is room: the thread has taken what was sent before, or it has ended.
                let _ = self.wake.try_send(());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn run(file: &DatabaseFile, woken: &Receiver<()>, phase: &AtomicU8, counters: &Counters) {
    let mut connection = None;
    loop {
        match woken.recv_timeout(LOOK_EVERY) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                // The file's going away is noted by looking; there is nothing else to do here.
                let _ = file.look();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Err(failure) = copy_back(file, &mut connection) {
            tracing::warn!(?failure, "the write-ahead log could not be written back");
            connection = None;
        }
        phase.store(TAIL, Ordering::Release);
        Counters::add(&counters.checkpoints, 1);
    }
}

/// Copies until little or nothing is left.
fn copy_back(
    file: &DatabaseFile,
    connection: &mut Option<SqliteConnection>,
) -> Result<(), Failure> {
    if connection.as_ref().is_none_or(|kept| kept.generation() != file.generation()) {
        *connection = Some(SqliteConnection::open(file)?);
    }
    let Some(connection) = connection else { return Ok(()) };
    for _ in 0..PASSES_MAX {
        if passive(connection)? <= TAIL_FRAMES_MAX {
            break;
        }
    }
    Ok(())
}

/// Copies what can be copied without waiting; says how many frames are left.
fn passive(connection: &mut SqliteConnection) -> Result<u64, Failure> {
    let (all, copied) = checkpoint(connection, CheckpointMode::PASSIVE)?;
    Ok(u64::try_from(all - copied).unwrap_or(0))
}

/// Copies everything and cuts the log to nothing.
pub(super) fn truncate(connection: &mut SqliteConnection) -> Result<(), Failure> {
    checkpoint(connection, CheckpointMode::TRUNCATE).map(drop)
}

fn checkpoint(
    connection: &mut SqliteConnection,
    mode: CheckpointMode,
) -> Result<(i32, i32), Failure> {
    connection.raw().wal_checkpoint_v2(DEFAULT_NAME, mode).map_err(failure)
}

/// Makes `connection` note after each commit how long the log is.
pub(super) fn count_frames(
    connection: &mut SqliteConnection,
    counters: &Arc<Counters>,
) -> Result<(), Failure> {
    let counters = Arc::clone(counters);
    let hook = move |_: &mut Wal, frames: i32| {
        counters.wal_frames.store(u64::try_from(frames).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    };
    connection.raw().wal_hook(Some(hook)).map_err(failure)
}
