//! One installation on this machine: its data directory, its store and its keys, opened together.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use counterfoil_authority::authority::{Authority, FirstKey};
use counterfoil_authority::clock::{Clock, Entropy};
use counterfoil_authority::names::ClientName;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::store::{InstallationStore, Unavailable};
use counterfoil_store::{DatabaseUrl, Older, OpenError, OpenOptions, SqlStore};

use crate::app;
use crate::clock::{OsClock, OsEntropy};
use crate::config::Config;
use crate::keydir::{self, KeyDirectory, KeyError};
use crate::private_file;
use crate::restored::RESTORED_FILE;
use crate::shadow::Asker;

pub mod moved;

/// The file in the data directory by which servers keep each other out.
const LOCK_FILE: &str = "counterfoil.lock";
/// The file that holds the first administrator's key, if nobody was there to read it.
pub const ADMIN_KEY_FILE: &str = "admin-key";
/// The file that holds the link of the console's first administrator, if nobody was there to read
/// it.
pub const SETUP_LINK_FILE: &str = "setup-link";

/// What may lie in a data directory before there is a database; the last is a file system's own.
const OWN_FILES: [&str; 6] =
    [LOCK_FILE, ADMIN_KEY_FILE, SETUP_LINK_FILE, RESTORED_FILE, "counterfoil.toml", "lost+found"];

/// Why an installation cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// A custom repository cannot be set up as configured.
    #[error(transparent)]
    Repository(#[from] crate::custom::NotSetUp),
    /// Another server serves the directory.
    #[error("another counterfoil is running on {0}; stop it first, or choose another --data")]
    Locked(PathBuf),
    /// There is nothing yet.
    #[error(
        "{0} holds no installation yet; give --data or --database if it is elsewhere, \
         `counterfoil serve` or `counterfoil init` makes one"
    )]
    Uninitialised(PathBuf),
    /// There are files of somebody else where a new installation would go.
    #[error(
        "{dir} holds no installation but other files ({file}); a new one is made only in an empty \
         directory, give --data"
    )]
    Foreign {
        /// Where.
        dir: PathBuf,
        /// One of the files.
        file: String,
    },
    /// Others could replace the keys and the database.
    #[error(
        "{0} can be written to by other users than its owner, who could replace the keys; run \
         `chmod go-w` on it, or choose another --data"
    )]
    WritableByOthers(PathBuf),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The keys are missing or wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store could not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The rules could not be set up.
    #[error(transparent)]
    Start(#[from] counterfoil_authority::authority::StartError),
    /// An act was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A lock on a data directory, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, making the directory if needed.
    ///
    /// # Errors
    ///
    /// [`InstallationError::Locked`] when another process holds it,
    /// [`InstallationError::WritableByOthers`] when the directory is not safe to use.
    pub fn take(dir: &Path) -> Result<Self, InstallationError> {
        let path = dir.join(LOCK_FILE);
        let error = |source| InstallationError::Io { path: path.clone(), source };
        private_file::create_directory(dir).map_err(error)?;
        if private_file::is_writable_by_others(dir).map_err(error)? {
            return Err(InstallationError::WritableByOthers(dir.to_owned()));
        }
        let file =
            File::options().create(true).append(true).mode(0o600).open(&path).map_err(error)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(InstallationError::Locked(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(error(source)),
        }
    }
}

/// What happens to an empty directory.
#[derive(Debug, Clone)]
pub enum IfEmpty {
    /// It becomes an installation with an administrator of this name.
    Initialise(ClientName),
    /// It is refused.
    Refuse,
}

/// An opened installation.
pub struct Installation {
    /// The rules over the store.
    pub authority: Arc<Authority>,
    /// The store itself, to be closed at the end.
    pub store: Arc<SqlStore>,
    /// The keys.
    pub keys: KeyDirectory,
    /// Its identity.
    pub id: String,
    /// The first administrator's key, if it was made just now.
    pub first_key: Option<FirstKey>,
    /// What asks old systems beside us, until a server takes it to run it.
    pub askers: parking_lot::Mutex<Vec<Asker>>,
}

/// Refuses a data directory that holds files of others and no installation.
///
/// To be asked before anything is made there, the lock included.
///
/// # Errors
///
/// [`InstallationError::Foreign`] with the first such file, or that the directory cannot be read.
pub fn refuse_foreign(config: &Config) -> Result<(), InstallationError> {
    let DatabaseUrl::Sqlite(database) = config.data.url() else { return Ok(()) };
    moved::refuse(&config.data.url())?;
    if database.exists() {
        return Ok(());
    }
    let dir = &config.data.dir;
    let error = |source| InstallationError::Io { path: dir.clone(), source };
    let entries = match fs::read_dir(dir) {
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(error)?,
    };
    for entry in entries {
        let path = entry.map_err(error)?.path();
        if !is_own(config, &path) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(InstallationError::Foreign { dir: dir.clone(), file });
        }
    }
    Ok(())
}

/// Whether a file in the data directory is ours, or named by the configuration.
fn is_own(config: &Config, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let tls = [&config.server.tls.cert, &config.server.tls.key];
    OWN_FILES.iter().any(|own| name == *own)
        || path == config.data.keys()
        || tls.into_iter().flatten().any(|file| file.starts_with(path))
}

/// Opens the database alone: to serve it, and then a missing one is made and an older schema
/// brought up to date, or to look at it as it is.
///
/// # Errors
///
/// When it cannot be used; without `serve` also when it does not exist or has an older schema.
pub async fn open_store(config: &Config, serve: bool) -> Result<Arc<SqlStore>, OpenError> {
    let older = if serve { Older::Migrate } else { Older::Refuse };
    let mmap_bytes = config.data.mmap_bytes;
    let options = OpenOptions {
        create: serve,
        older,
        mmap_bytes,
        jitter: jitter(),
        ..OpenOptions::default()
    };
    open_whole(&config.data.url(), options).await
}

/// Opens a database that was not moved away from, and says which one does not answer.
async fn open_whole(url: &DatabaseUrl, options: OpenOptions) -> Result<Arc<SqlStore>, OpenError> {
    moved::refuse(url)?;
    counterfoil_store::open(url, options).await.map_err(|error| match (error, url) {
        (OpenError::Unavailable(source), DatabaseUrl::Postgres(_)) => {
            OpenError::Away { url: url.to_string(), source }
        }
        (error, _) => error,
    })
}

/// What the waits of this process between repetitions of a transaction are drawn from.
pub(crate) fn jitter() -> u64 {
    let mut bytes = [0; 8];
    // Without entropy nodes would only be more likely to repeat at the same time.
    let _ = OsEntropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// The versions of a schema before and after it was brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version found.
    pub from: i64,
    /// The version of this program.
    pub to: i64,
}

/// Brings the schema of an existing database up to date.
///
/// # Errors
///
/// When there is none, or it cannot be used; nothing of it has changed then.
pub async fn migrate_store(config: &Config) -> Result<Migrated, OpenError> {
    let from = match open_store(config, false).await {
        Ok(store) => {
            store.close().await;
            store.schema_version()
        }
        Err(OpenError::Older { found, .. }) => found,
        Err(error) => return Err(error),
    };
    let options = OpenOptions { create: false, older: Older::Migrate, ..OpenOptions::default() };
    let store = open_whole(&config.data.url(), options).await?;
    store.close().await;
    Ok(Migrated { from, to: store.schema_version() })
}

/// Opens store and keys, and checks that they belong together.
///
/// # Errors
///
/// When anything is missing or does not fit; nothing is served then.
pub async fn open(config: &Config, if_empty: IfEmpty) -> Result<Installation, InstallationError> {
    open_at(config, if_empty, Arc::new(OsClock)).await
}

/// The same under another clock than the machine's.
///
/// # Errors
///
/// As [`open`].
pub async fn open_at(
    config: &Config,
    if_empty: IfEmpty,
    clock: Arc<dyn Clock>,
) -> Result<Installation, InstallationError> {
    let keys = KeyDirectory::at(config.data.keys());
    let create = matches!(if_empty, IfEmpty::Initialise(_));
    if create {
        private_file::create_directory(&config.data.dir)
            .map_err(|source| InstallationError::Io { path: config.data.dir.clone(), source })?;
    } else if !config.data.dir.exists() {
        return Err(InstallationError::Uninitialised(config.data.dir.clone()));
    }
    let store = open_store(config, create).await?;
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let known = store.installation().await?;
    let ring = match (&known, &if_empty) {
        (Some(_), _) => {
            keys.add_signing(&store.key_list().await?, &*entropy)?;
            keydir::reload(&keys, &*store, &*clock, &*entropy).await?
        }
        (None, IfEmpty::Initialise(_)) => {
            // Keys before the database: whoever dies in between finds keys and goes on with them.
            keydir::ring(&keys.complete(&*entropy)?, &[])?
        }
        (None, IfEmpty::Refuse) => {
            return Err(InstallationError::Uninitialised(config.data.dir.clone()));
        }
    };
    let settings = app::settings(config);
    let shared: Arc<dyn counterfoil_authority::store::Store> = Arc::clone(&store) as _;
    let elsewhere = crate::custom::elsewhere(config, &clock)?;
    let askers = crate::shadow::askers(config)?;
    let authority = Arc::new(Authority::new(shared, clock, entropy, ring, settings)?);
    authority.set_elsewhere(elsewhere);
    authority.set_shadows(askers.iter().map(Asker::shadow).collect());
    let first_key = match (&known, if_empty) {
        (None, IfEmpty::Initialise(admin)) => authority.initialise(&admin).await?,
        _ => None,
    };
    let known = store.installation().await?;
    let id = known.ok_or_else(|| InstallationError::Uninitialised(config.data.dir.clone()))?.id;
    let askers = parking_lot::Mutex::new(askers);
    Ok(Installation { authority, store, keys, id, first_key, askers })
}

impl Installation {
    /// Stores what is only in memory, and closes the database.
    ///
    /// # Errors
    ///
    /// When the last usage cannot be stored; the database is closed all the same.
    pub async fn close(&self) -> Result<(), Unavailable> {
        let flushed = self.authority.close().await;
        self.store.close().await;
        flushed.map(drop)
    }
}

/// Puts the first key where only the owner of the data directory finds it.
///
/// # Errors
///
/// When there is one already, or the file system refuses.
pub fn write_admin_key(dir: &Path, key: &FirstKey) -> Result<PathBuf, InstallationError> {
    let path = dir.join(ADMIN_KEY_FILE);
    let text = zeroize::Zeroizing::new(format!("{}\n", key.secret.reveal()));
    match private_file::write_new(&path, text.as_bytes()) {
        Ok(()) => Ok(path),
        Err(source) => Err(InstallationError::Io { path, source }),
    }
}

/// Keeps the link of the console's first administrator in a file for its owner alone, in place of
/// that of an earlier start, which is not good any more; `None` takes the file away.
///
/// # Errors
///
/// When the file system refuses.
pub fn write_setup_link(dir: &Path, link: Option<&str>) -> Result<PathBuf, InstallationError> {
    let path = dir.join(SETUP_LINK_FILE);
    let gone = match fs::remove_file(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let written = gone.and_then(|()| match link {
        Some(link) => {
            let text = zeroize::Zeroizing::new(format!("{link}\n"));
            private_file::write_new(&path, text.as_bytes())
        }
        None => Ok(()),
    });
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(InstallationError::Io { path, source }),
    }
}

/// The clear key on disk, if it is still there.
pub fn admin_key_left(dir: &Path) -> Option<PathBuf> {
    let path = dir.join(ADMIN_KEY_FILE);
    fs::exists(&path).unwrap_or(false).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("data");
        drop(Lock::take(&dir).unwrap());
        for (mode, refused) in [(0o770, true), (0o702, true), (0o755, false), (0o700, false)] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
            match Lock::take(&dir) {
                Err(error @ InstallationError::WritableByOthers(_)) => {
                    assert!(refused && error.to_string().contains("chmod go-w"), "{mode:o}");
                }
                taken => assert!(!refused && taken.is_ok(), "{mode:o}"),
            }
        }
    }
}
