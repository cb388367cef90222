//! The note in a data directory that what it holds was restored from a backup, and that what was
//! revoked since is good again: it stays until that was done again, or somebody says to know.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::private_file;

/// Its name in the data directory.
pub const RESTORED_FILE: &str = "restored";
/// The name it is written under.
const PASSING: &str = ".restored.new";

/// What is not known of the time after a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The state that the backup holds, RFC 3339.
    pub backup_created_at: String,
    /// The realms in which nothing has been done again yet.
    pub realms: Vec<String>,
}

impl Restored {
    /// Whether nothing has been done again in a realm yet.
    pub fn names(&self, realm: &str) -> bool {
        self.realms.iter().any(|one| one == realm)
    }

    /// What it means, for logs and for `doctor`.
    pub fn in_words(&self) -> String {
        format!(
            "restored from a backup of {}: what was revoked, locked or rotated since is good again \
             in {}",
            self.backup_created_at,
            self.realms.join(", ")
        )
    }
}

/// The note of a directory, if there is one. One that cannot be read counts.
pub fn left(dir: &Path) -> Option<Restored> {
    let unreadable = || Restored {
        backup_created_at: "an unknown time".to_owned(),
        realms: vec!["every realm".to_owned()],
    };
    match fs::read(dir.join(RESTORED_FILE)) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| unreadable())),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => Some(unreadable()),
    }
}

/// Writes the note.
///
/// # Errors
///
/// When the file system refuses.
pub fn write(dir: &Path, restored: &Restored) -> io::Result<()> {
    let passing = dir.join(PASSING);
    match fs::remove_file(&passing) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    private_file::write_new(&passing, &serde_json::to_vec(restored)?)?;
    fs::rename(&passing, dir.join(RESTORED_FILE))
}

/// Takes a realm from the note; with the last one the note goes. `None`: all of them.
///
/// # Errors
///
/// When the file system refuses.
pub fn settle(dir: &Path, realm: Option<&str>) -> io::Result<()> {
    let Some(mut restored) = left(dir) else { return Ok(()) };
    match realm {
        Some(realm) => restored.realms.retain(|one| one != realm),
        None => restored.realms.clear(),
    }
    if !restored.realms.is_empty() {
        return write(dir, &restored);
    }
    fs::remove_file(dir.join(RESTORED_FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_goes_with_the_last_realm() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        assert_eq!(left(at), None);
        settle(at, Some("main")).unwrap();
        let realms = vec!["main".to_owned(), "lab".to_owned()];
        let restored = Restored { backup_created_at: "2026-11-23T00:00:00Z".to_owned(), realms };
        write(at, &restored).unwrap();
        assert!(left(at).unwrap().in_words().ends_with("good again in main, lab"));
        settle(at, Some("main")).unwrap();
        let rest = left(at).unwrap();
        assert_eq!((rest.names("main"), rest.names("lab")), (false, true));
        settle(at, Some("elsewhere")).unwrap();
        settle(at, Some("lab")).unwrap();
        assert_eq!(left(at), None);
        write(at, &restored).unwrap();
        settle(at, None).unwrap();
        assert_eq!((left(at), fs::read_dir(at).unwrap().count()), (None, 0));
    }

    #[test]
    fn a_note_that_cannot_be_read_is_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(RESTORED_FILE), "{").unwrap();
        assert!(left(dir.path()).unwrap().in_words().contains("every realm"));
    }
}
