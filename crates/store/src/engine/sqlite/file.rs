//! The database file: made private, and watched for going away.
//!
//! A process that holds a deleted file open can write to it for days and lose
//! everything at its end, so the file's identity is looked at before each
//! transaction.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Memory;
use crate::engine::Failure;
use crate::migrate::OpenError;

/// Device and inode: what makes two paths the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

/// Where the database lies, and which file that was when it was last looked at.
pub(super) struct DatabaseFile {
    path: PathBuf,
    memory: Memory,
    version: i64,
    known: Mutex<Option<Identity>>,
    /// Rises when another file, or none, is found; connections of older ones are dropped.
    generation: AtomicU64,
}

impl DatabaseFile {
    /// Finds the file, or makes it readable by its owner alone.
    /// Its connections find the schema in `version`, or are refused.
    pub(super) fn open(
        path: &Path,
        create: bool,
        memory: Memory,
        version: i64,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::File { path: path.to_owned(), source };
        if create {
            create_privately(path).map_err(failed)?;
        }
        let known = identity(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            memory,
            version,
            known: Mutex::new(Some(known)),
            generation: AtomicU64::new(0),
        })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How connections use memory.
    pub(super) const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The version in which connections must find the schema.
    pub(super) const fn version(&self) -> i64 {
        self.version
    }

    /// Which connections are still of use.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Looks whether the file is still there and still the same.
    ///
    /// # Errors
    ///
    /// [`Failure::Broken`] when there is none.
    pub(super) fn look(&self) -> Result<(), Failure> {
        let found = identity(&self.path);
        let mut known = self.known.lock();
        let now = found.as_ref().ok().copied();
        if *known != now {
            *known = now;
            self.generation.fetch_add(1, Ordering::AcqRel);
            tracing::warn!(path = %self.path.display(), "the database file was moved or replaced");
        }
        drop(known);
        found.map(drop).map_err(|error| Failure::Broken(Box::new(error)))
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok(Identity(metadata.dev(), metadata.ino()))
}

fn create_privately(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
