//! Files that only their owner may read, and that appear whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Owner reads and writes, nobody else does anything.
const FILE_MODE: u32 = 0o600;
/// The same for a directory.
const DIRECTORY_MODE: u32 = 0o700;

/// Makes a directory with its parents, if it does not exist. New ones are private.
pub fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// A file that is being written under a passing name beside its final one.
///
/// Dropped without [`NewFile::keep`] it disappears.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    passing: PathBuf,
    last: PathBuf,
}

impl NewFile {
    /// Begins a file that will be called `path`.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when there is one: nothing is ever overwritten.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let passing = path.with_file_name(name);
        // Left behind by a process of the same number that was killed.
        let _ = fs::remove_file(&passing);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(FILE_MODE).open(&passing)?;
        Ok(Self { file, passing, last: path.to_owned() })
    }

    /// Gives the file to whoever the directory belongs to, if that is somebody else.
    ///
    /// # Errors
    ///
    /// When the file system refuses, as it does to all but root.
    pub fn belong_to_owner_of(&self, directory: &Path) -> io::Result<()> {
        let (own, wanted) = (self.file.metadata()?, fs::metadata(directory)?);
        if own.uid() == wanted.uid() {
            return Ok(());
        }
        fchown(&self.file, Some(wanted.uid()), Some(wanted.gid()))
    }

    /// Makes the file durable under its final name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when somebody made one in the meantime.
    pub fn keep(self) -> io::Result<()> {
        self.file.sync_all()?;
        // A link, unlike a rename, refuses to replace a file.
        match fs::hard_link(&self.passing, &self.last) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(&self.last));
            }
            // File systems without links; the check in `create` has to do there.
            Err(_) => fs::rename(&self.passing, &self.last)?,
        }
        sync_parent(&self.last)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After a rename it is gone already.
        let _ = fs::remove_file(&self.passing);
    }
}

/// Writes a small private file at once.
///
/// # Errors
///
/// `AlreadyExists` when there is one.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(content)?;
    file.keep()
}

/// Whether people other than the owner's group may do anything with the file.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o007 != 0)
}

/// Whether people other than the owner may write to a directory, and so replace what is in it.
pub fn is_writable_by_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o022 != 0)
}

/// Makes a new name in the directory of `path` survive a power failure.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn exists(path: &Path) -> io::Error {
    let what = format!("{} exists and is not overwritten", path.display());
    io::Error::new(io::ErrorKind::AlreadyExists, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_whole_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_new(&path, b"one").unwrap();
        assert_eq!(write_new(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!is_open_to_others(&path).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_not_kept_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = NewFile::create(&directory.path().join("file")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_comes_second_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let late = NewFile::create(&path).unwrap();
        fs::write(&path, b"first").unwrap();
        assert_eq!(late.keep().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }
}
