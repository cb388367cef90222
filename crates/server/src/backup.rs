//! A backup: the database as it stood at one instant and its keys, sealed in one file.
//!
//! Inside the seal: a length and a manifest in JSON, the list of keys, the
//! database. The two belong together; a database without its keys verifies
//! nothing.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use counterfoil_authority::clock::{Clock, Entropy};
use counterfoil_authority::event::{Event, Origin};
use counterfoil_authority::names::{MAIN_REALM, RealmName};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::store::{
    EventStore, InstallationStore, PageRequest, ServiceStore, UseNoteStore,
};
use counterfoil_authority::verdict::Door;
use counterfoil_store::{DatabaseUrl, SqlStore};
use serde::{Deserialize, Serialize};

use crate::clock::{OsClock, OsEntropy};
use crate::config::Config;
use crate::installation::{InstallationError, migrate_store, open_store};
use crate::keydir::{self, KeyDirectory, KeyError, KeyFile};
use crate::private_file::{self, NewFile};
use crate::restored::{self, Restored};
use crate::sealed_file::{Content, SealedReader, SealedWriter};

/// The version of what is inside the seal.
const FORMAT: u32 = 1;
/// A larger manifest is none of ours.
const MANIFEST_BYTES_MAX: u32 = 64 * 1024;
/// Bytes copied at a time.
const COPY_BYTES: usize = 256 * 1024;

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the layout.
    pub format: u32,
    /// Whose backup it is.
    pub installation: String,
    /// The state that it holds, RFC 3339.
    pub created_at: String,
    /// The program that wrote it.
    pub version: String,
    /// Bytes of the list of keys.
    pub keys_bytes: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
}

/// Why a backup cannot be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The installation cannot be opened.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The place to restore to is taken.
    #[error("{0} is not empty; a restore never overwrites, choose another --data")]
    NotEmpty(PathBuf),
    /// The database is not a file of this machine.
    #[error(
        "a PostgreSQL database is backed up with pg_dump or pg_basebackup, and the key directory \
         with it; this command backs up the embedded database"
    )]
    NotEmbedded,
    /// What is inside is not what it should be.
    #[error("the backup cannot be used: {0}")]
    Content(&'static str),
}

impl From<KeyError> for BackupError {
    fn from(error: KeyError) -> Self {
        Self::Installation(error.into())
    }
}

impl From<counterfoil_authority::store::Unavailable> for BackupError {
    fn from(error: counterfoil_authority::store::Unavailable) -> Self {
        Self::Installation(error.into())
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path: path.clone(), source }
}

/// What is being done, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many pages are copied from the live database.
    Copying(u64, u64),
    /// So many of so many bytes are sealed or opened.
    Sealing(u64, u64),
}

/// Hears of progress.
pub type Reporter<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// A file that goes when this value does.
struct Passing(PathBuf);

impl Drop for Passing {
    fn drop(&mut self) {
        // It may not exist yet.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes a backup of the installation of `config` to the new file `path`, while it is in use.
///
/// # Errors
///
/// When there is a file already, or the installation or the file system refuses.
pub async fn write(
    config: &Config,
    path: &Path,
    passphrase: &ClearSecret,
    report: std::sync::Arc<dyn Fn(Progress) + Send + Sync>,
) -> Result<Manifest, BackupError> {
    if !matches!(config.data.url(), DatabaseUrl::Sqlite(_)) {
        return Err(BackupError::NotEmbedded);
    }
    let out = NewFile::create(path).map_err(at(path))?;
    let keys = KeyDirectory::at(config.data.keys());
    let store = open_store(config, false).await.map_err(InstallationError::from)?;
    let copied = copy(config, &store, &keys, &report).await;
    store.close().await;
    let (installation, found, copy) = copied?;
    let mut database = File::open(&copy.0).map_err(at(&copy.0))?;
    let list: zeroize::Zeroizing<String> =
        zeroize::Zeroizing::new(found.iter().map(|file| file.text().to_string()).collect());
    let manifest = Manifest {
        format: FORMAT,
        installation,
        created_at: OsClock.now().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        keys_bytes: list.len() as u64,
        database_bytes: database.metadata().map_err(at(&copy.0))?.len(),
    };
    let seal = || -> io::Result<()> {
        let mut sealed = SealedWriter::create(out, Content::Backup, passphrase, &OsEntropy)?;
        let header = serde_json::to_vec(&manifest)?;
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        sealed.write_all(&length.to_be_bytes())?;
        sealed.write_all(&header)?;
        sealed.write_all(list.as_bytes())?;
        transfer(&mut database, &mut sealed, manifest.database_bytes, &*report)?;
        sealed.finish()?.keep()
    };
    seal().map_err(at(path))?;
    Ok(manifest)
}

/// Copies the live database beside itself, and reads the keys that belong to the copy.
async fn copy(
    config: &Config,
    store: &SqlStore,
    keys: &KeyDirectory,
    report: &std::sync::Arc<dyn Fn(Progress) + Send + Sync>,
) -> Result<(String, Vec<KeyFile>, Passing), BackupError> {
    let installation = store.installation().await?;
    let uninitialised = || InstallationError::Uninitialised(config.data.dir.clone());
    let id = installation.ok_or_else(uninitialised)?.id;
    let copy = Passing(config.data.dir.join(format!(".backup-{}.db", std::process::id())));
    // Left behind by a backup of the same number that was killed.
    let _ = std::fs::remove_file(&copy.0);
    let told = std::sync::Arc::clone(report);
    store
        .backup_to(&copy.0, move |progress| {
            told(Progress::Copying(progress.pages_done, progress.pages_total));
        })
        .await?;
    // After the copy: the directory then holds every key that a row of the copy may need.
    let found = keys.read()?;
    keydir::reconcile(keys, &found, &store.key_list().await?)?;
    Ok((id, found, copy))
}

fn transfer(
    from: &mut impl Read,
    to: &mut impl Write,
    total: u64,
    report: &(dyn Fn(Progress) + Send + Sync),
) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut done = 0;
    while done < total {
        let wanted = usize::try_from(total - done).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let Some(part) = buffer.get_mut(..wanted) else { break };
        from.read_exact(part)?;
        to.write_all(part)?;
        done += wanted as u64;
        report(Progress::Sealing(done, total));
    }
    Ok(())
}

/// Restores the backup in the file `path` into the empty place that `config` names.
///
/// # Errors
///
/// When the place is not empty, the passphrase is wrong, or the file was altered; nothing is
/// left behind then.
pub async fn restore(
    config: &Config,
    path: &Path,
    passphrase: &ClearSecret,
    report: Reporter<'_>,
) -> Result<Manifest, BackupError> {
    let DatabaseUrl::Sqlite(database) = config.data.url() else {
        return Err(BackupError::NotEmbedded);
    };
    refuse_taken(&config.data.dir, &database)?;
    let file = File::open(path).map_err(at(path))?;
    let sealed = SealedReader::open(BufReader::new(file), Content::Backup, passphrase);
    let mut sealed = sealed.map_err(at(path))?;
    let manifest = read_manifest(&mut sealed).map_err(at(path))?;
    if manifest.format != FORMAT {
        return Err(BackupError::Content("it was written by a newer version, use that one"));
    }
    let keys = KeyDirectory::at(config.data.keys());
    let unpacked = unpack(config, &database, &keys, &mut sealed, &manifest, path, report);
    let proved = match unpacked {
        Ok(()) => prove(config, &keys, &manifest).await,
        Err(error) => Err(error),
    };
    let proved = proved.and_then(|realms| {
        let backup_created_at = manifest.created_at.clone();
        let dir = &config.data.dir;
        restored::write(dir, &Restored { backup_created_at, realms }).map_err(at(dir))
    });
    if proved.is_err() {
        // Half an installation is worse than none: a server would start on it.
        let _ = std::fs::remove_dir_all(keys.path());
        for end in ["", "-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(end);
            let _ = std::fs::remove_file(PathBuf::from(name));
        }
    }
    proved.map(|()| manifest)
}

fn refuse_taken(dir: &Path, database: &Path) -> Result<(), BackupError> {
    let taken = dir.exists() && std::fs::read_dir(dir).map_err(at(dir))?.next().is_some();
    if taken {
        return Err(BackupError::NotEmpty(dir.to_owned()));
    }
    if database.exists() {
        return Err(BackupError::NotEmpty(database.to_owned()));
    }
    Ok(())
}

fn read_manifest(sealed: &mut impl Read) -> io::Result<Manifest> {
    let mut length = [0; 4];
    sealed.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length).min(MANIFEST_BYTES_MAX);
    let mut text = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    sealed.read_exact(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}

fn unpack(
    config: &Config,
    database: &Path,
    keys: &KeyDirectory,
    sealed: &mut impl Read,
    manifest: &Manifest,
    path: &Path,
    report: Reporter<'_>,
) -> Result<(), BackupError> {
    private_file::create_directory(&config.data.dir).map_err(at(&config.data.dir))?;
    let mut list = zeroize::Zeroizing::new(String::new());
    sealed.take(manifest.keys_bytes).read_to_string(&mut list).map_err(at(path))?;
    let found =
        KeyFile::parse_list(&list).ok_or(BackupError::Content("its list of keys is damaged"))?;
    for key in &found {
        keys.add(key)?;
    }
    let mut out = NewFile::create(database).map_err(at(database))?;
    transfer(sealed, &mut out, manifest.database_bytes, report).map_err(at(path))?;
    // Only the end of the stream proves that nothing was cut off.
    let rest = io::copy(sealed, &mut io::sink()).map_err(at(path))?;
    if rest > 0 {
        return Err(BackupError::Content("it holds more than its manifest says"));
    }
    out.keep().map_err(at(database))
}

/// Opens what was restored, compares it with its keys, and records that it was restored. Returns
/// its realms.
async fn prove(
    config: &Config,
    keys: &KeyDirectory,
    manifest: &Manifest,
) -> Result<Vec<String>, BackupError> {
    // It may be the backup of an earlier version.
    migrate_store(config).await.map_err(InstallationError::from)?;
    let store = open_store(config, false).await.map_err(InstallationError::from)?;
    let proved = prove_store(&store, keys, manifest).await;
    store.close().await;
    proved
}

async fn prove_store(
    store: &SqlStore,
    keys: &KeyDirectory,
    manifest: &Manifest,
) -> Result<Vec<String>, BackupError> {
    let installation = store.installation().await?;
    if installation.map(|installation| installation.id).as_ref() != Some(&manifest.installation) {
        return Err(BackupError::Content("its database belongs to another installation"));
    }
    keydir::reload(keys, store, &OsClock, &OsEntropy).await?;
    let event = restored(manifest, &OsClock, &OsEntropy)?;
    store.event_append(vec![event]).await?;
    // What tokens were used for after the backup is not known: nothing is called unused by it.
    store.use_notes_since(OsClock.now(), true).await?;
    let (mut realms, mut request) = (Vec::new(), PageRequest::first(1000));
    loop {
        let page = store.realm_list(request).await?;
        realms.extend(page.items.into_iter().map(|realm| realm.name.as_str().to_owned()));
        let Some(after) = page.next else { return Ok(realms) };
        request = PageRequest { limit: 1000, after: Some(after) };
    }
}

fn restored(
    manifest: &Manifest,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Event, KeyError> {
    let realm = RealmName::parse(MAIN_REALM)?;
    let origin = Origin::system(Door::Cli);
    let event = Event::new("store.restored", &realm, &origin, clock.now(), entropy)?;
    Ok(event.with_detail(serde_json::json!({ "backup_created_at": manifest.created_at })))
}

#[cfg(test)]
mod tests;
