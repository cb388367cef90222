//! The mark beside a SQLite database whose installation went on in another one.
//!
//! A file and not a row: it still warns when the database itself was put away,
//! because then an empty one would be made in its place.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use counterfoil_authority::clock::Timestamp;
use counterfoil_store::{DatabaseUrl, OpenError};

use crate::private_file;

/// How the mark's name ends, behind the name of the database.
const MARK: &str = ".moved";
/// What is read of a mark: one line.
const MARK_BYTES_MAX: usize = 512;

/// The mark of the database at `path`.
fn mark_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(MARK);
    name.into()
}

/// Refuses a database that was moved away from.
///
/// # Errors
///
/// [`OpenError::Moved`] where to and when; a mark that cannot be read counts as one.
pub fn refuse(url: &DatabaseUrl) -> Result<(), OpenError> {
    let DatabaseUrl::Sqlite(path) = url else { return Ok(()) };
    let mark = mark_of(path);
    let what = match fs::read_to_string(&mark) {
        Err(missing)
            if matches!(missing.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Ok(());
        }
        Ok(text) => text.trim().chars().take(MARK_BYTES_MAX).collect(),
        Err(_) => "this installation was moved to another database".to_owned(),
    };
    Err(OpenError::Moved { what, mark })
}

/// Marks the source of a complete copy, and takes the mark from its target.
///
/// # Errors
///
/// What the file system said of which file.
pub fn mark(
    from: &DatabaseUrl,
    to: &DatabaseUrl,
    now: Timestamp,
) -> Result<(), (PathBuf, io::Error)> {
    if let DatabaseUrl::Sqlite(path) = from {
        let mark = mark_of(path);
        let text = format!("this installation was moved to {to} on {now}\n");
        let written = remove(&mark).and_then(|()| private_file::write_new(&mark, text.as_bytes()));
        written.map_err(|error| (mark, error))?;
    }
    let DatabaseUrl::Sqlite(path) = to else { return Ok(()) };
    let mark = mark_of(path);
    remove(&mark).map_err(|error| (mark, error))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
