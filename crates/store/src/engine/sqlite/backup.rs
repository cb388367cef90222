//! A copy of the database while it is in use.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::OpenFlags;
use rusqlite::backup::{Backup, StepResult};

use super::connection::{SqliteConnection, failure};
use super::file::DatabaseFile;
use crate::BackupProgress;
use crate::engine::Failure;

/// Pages copied between two looks at the progress: 4 MiB.
const STEP_PAGES: i32 = 1_024;

/// Copies the database as it stands now to a file that must not exist yet.
pub(super) fn copy(
    file: &DatabaseFile,
    to: &Path,
    progress: &dyn Fn(BackupProgress),
) -> Result<(), Failure> {
    file.look()?;
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    created.map_err(|error| Failure::Statement(Box::new(error)))?;
    let mut source = SqliteConnection::open(file)?;
    // Inside a transaction the source stands still. Without it every commit of
    // the writer would send the copy back to its first page.
    source.command("begin")?;
    source
        .raw()
        .query_row("select count(*) from schema_version", [], |_| Ok(()))
        .map_err(failure)?;
    let mut target = rusqlite::Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(failure)?;
    let backup = Backup::new(source.raw(), &mut target).map_err(failure)?;
    loop {
        let step = backup.step(STEP_PAGES).map_err(failure)?;
        let pages = backup.progress();
        let count = |n: i32| u64::try_from(n).unwrap_or(0);
        let total = count(pages.pagecount);
        progress(BackupProgress { pages_done: total - count(pages.remaining), pages_total: total });
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(Failure::interleaved()),
        }
    }
}
