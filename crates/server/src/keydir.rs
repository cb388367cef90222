//! The key directory: peppers, sealing keys and signing keys as files, outside the database.
//!
//! One file per key, `pepper-1.key`, written once and never changed. The store
//! knows a fingerprint of each; [`reconcile`] compares the two, so that a server
//! with the wrong directory refuses to start instead of refusing everybody.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use counterfoil_authority::access::SigningAlg;
use counterfoil_authority::access::signing::{BadSigningKey, Signer, SigningKeys, generate_rsa};
use counterfoil_authority::clock::{Clock, Entropy, NoEntropy, Timestamp};
use counterfoil_authority::event::{Event, Origin};
use counterfoil_authority::keys::{KEY_PURPOSES, Key, KeyId, KeyPurpose, KeyRing, NoKey};
use counterfoil_authority::names::{BadName, MAIN_REALM, RealmName};
use counterfoil_authority::store::{InstallationStore, KeyRecord, Unavailable};
use counterfoil_authority::verdict::Door;
use zeroize::Zeroizing;

use crate::private_file::{self, NewFile};

pub mod export;

/// A key file has two lines, of which a private key of RSA is the longest; anything longer is
/// something else.
const FILE_BYTES_MAX: u64 = 8192;
/// How long a new pepper only verifies: by then every node has heard of it, and one that lacks its
/// file answers that it cannot tell, instead of refusing.
const PEPPER_GRACE_SECONDS: i64 = 5;
/// Keys per purpose at most: one rotation a day for over ten years.
const KEYS_MAX: usize = 4096;

/// A key and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Number and material.
    pub key: Key,
}

impl KeyFile {
    fn name(&self) -> String {
        file_name(self.purpose, self.key.id())
    }

    /// A fresh key.
    fn generate(purpose: KeyPurpose, id: KeyId, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let key = match purpose {
            KeyPurpose::SignRs256 => Key::of_document(id, generate_rsa().ok_or(NoEntropy)?),
            _ => Key::generate(id, entropy)?,
        };
        Ok(Self { purpose, key })
    }

    /// Whether the material is a key of its purpose.
    fn is_usable(&self) -> bool {
        SigningAlg::of_purpose(self.purpose).is_none() || self.signer(&[]).is_ok()
    }

    /// The key pair, if it signs; one that the store does not know yet counts from the beginning.
    fn signer(&self, known: &[KeyRecord]) -> Result<Signer, BadSigningKey> {
        let record =
            known.iter().find(|known| (known.purpose, known.id) == (self.purpose, self.key.id()));
        let added_at = record.map_or(Timestamp::EPOCH, |record| record.created_at);
        Signer::new(self.purpose, self.key.clone(), added_at)
    }

    /// What the store is told of it.
    fn record(&self, clock: &dyn Clock) -> KeyRecord {
        KeyRecord {
            purpose: self.purpose,
            id: self.key.id(),
            fingerprint: self.key.fingerprint(self.purpose),
            created_at: clock.now(),
        }
    }

    /// The text of its file.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * self.key.material().len() + 64));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "counterfoil-key 1 {}-{}", self.purpose, self.key.id());
        for byte in self.key.material() {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        text
    }

    /// Reads the texts of several key files, one after the other.
    pub(crate) fn parse_list(text: &str) -> Option<Vec<Self>> {
        let lines: Vec<&str> = text.lines().collect();
        lines.chunks(2).map(|pair| Self::parse(&Zeroizing::new(pair.join("\n")))).collect()
    }

    /// Reads the text of a key file.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (purpose, id) = lines.next()?.strip_prefix("counterfoil-key 1 ")?.rsplit_once('-')?;
        let bytes = material(lines.next()?)?;
        let id = id.parse::<KeyId>().ok().filter(|&id| id > 0)?;
        let purpose = KeyPurpose::from_name(purpose)?;
        let key = match purpose {
            KeyPurpose::SignRs256 => Key::of_document(id, bytes.to_vec()),
            _ => Key::new(id, bytes.as_slice().try_into().ok()?),
        };
        let file = lines.next().is_none().then_some(Self { purpose, key })?;
        file.is_usable().then_some(file)
    }
}

/// Bytes from hexadecimal digits.
fn material(hex: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    hex.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

/// `pepper-1.key`.
fn file_name(purpose: KeyPurpose, id: KeyId) -> String {
    format!("{purpose}-{id}.key")
}

/// Why the keys cannot be used. Every text says what to do or to look for.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The store has an installation, the directory has no key.
    #[error(
        "the key directory {dir} {what}, but the database belongs to an installation with keys: \
         {missing}; put the directory of this installation there, or restore a backup"
    )]
    NoKeys {
        /// The directory.
        dir: PathBuf,
        /// Whether it is missing or empty.
        what: &'static str,
        /// The keys that are needed.
        missing: String,
    },
    /// A key that the store needs is not there.
    #[error(
        "the key directory {dir} lacks {missing}; tokens made under a missing key cannot be \
         verified, so no server starts like this, and one that runs is not ready: copy the file \
         from the node where the key was made"
    )]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// The keys, with their fingerprints.
        missing: String,
    },
    /// A key is another one than the store knows under its number.
    #[error(
        "the key directory {dir} belongs to another installation: {name} has the fingerprint \
         {found}, the database expects {expected}"
    )]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// The file.
        name: String,
        /// What the store expects.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A key file is not one.
    #[error("{0} is not a key file of its name")]
    Malformed(PathBuf),
    /// A key file can be read by everybody.
    #[error("{0} may be read by other users; run chmod 600 on it")]
    OpenToOthers(PathBuf),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A signing key is none.
    #[error(transparent)]
    Signing(#[from] BadSigningKey),
    /// There is no key for some purpose.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// The machine gives no randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The store could not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The name of the realm `main` is wrong, which cannot be.
    #[error(transparent)]
    Realm(#[from] BadName),
}

/// The directory of an installation's keys.
#[derive(Debug, Clone)]
pub struct KeyDirectory {
    path: PathBuf,
}

impl KeyDirectory {
    /// The directory at `path`, whether it exists or not.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Every key in it, by purpose and number. A missing directory holds none.
    ///
    /// # Errors
    ///
    /// When a file that is named like a key is none, or is open to other users.
    pub fn read(&self) -> Result<Vec<KeyFile>, KeyError> {
        if !self.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.path).map_err(|error| io_error(&self.path, error))?;
        let mut keys = Vec::new();
        for entry in entries.take(KEYS_MAX) {
            let path = entry.map_err(|error| io_error(&self.path, error))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // A leading dot: a key that another process is just writing.
            if !name.starts_with('.') && path.extension().is_some_and(|end| end == "key") {
                keys.push(read_key(&path)?);
            }
        }
        keys.sort_by_key(|file| (file.purpose, file.key.id()));
        Ok(keys)
    }

    /// Stores a key in a file of its own.
    ///
    /// # Errors
    ///
    /// When there is one with its number, or the file system refuses.
    pub fn add(&self, file: &KeyFile) -> Result<(), KeyError> {
        private_file::create_directory(&self.path).map_err(|error| io_error(&self.path, error))?;
        let path = self.path.join(file.name());
        let written = NewFile::create(&path).and_then(|mut new| {
            new.write_all(file.text().as_bytes())?;
            // Whoever rotates as root has a server in mind that runs under another account.
            new.belong_to_owner_of(&self.path)?;
            new.keep()
        });
        written.map_err(|error| io_error(&path, error))
    }

    /// Makes the next key of a purpose. Running servers take it up by themselves.
    ///
    /// # Errors
    ///
    /// As [`KeyDirectory::add`].
    pub fn rotate(&self, purpose: KeyPurpose, entropy: &dyn Entropy) -> Result<KeyFile, KeyError> {
        let keys = self.read()?;
        let newest = keys.iter().filter(|file| file.purpose == purpose).map(|file| file.key.id());
        let file = KeyFile::generate(purpose, newest.max().unwrap_or(0) + 1, entropy)?;
        self.add(&file)?;
        Ok(file)
    }

    /// Makes a first key for each purpose that every installation has and this one does not.
    ///
    /// # Errors
    ///
    /// As [`KeyDirectory::add`].
    pub fn complete(&self, entropy: &dyn Entropy) -> Result<Vec<KeyFile>, KeyError> {
        self.add_missing(&[], |_| true, entropy)?;
        self.read()
    }

    /// Makes the first signing keys of an installation that was made before there were any.
    ///
    /// Only where the store does not know of such a key: one that was lost is missed, not
    /// replaced. Another node that shares the directory may do the same at the same time.
    ///
    /// # Errors
    ///
    /// As [`KeyDirectory::add`].
    pub fn add_signing(&self, known: &[KeyRecord], entropy: &dyn Entropy) -> Result<(), KeyError> {
        // Nor in a directory that is not this installation's.
        if self.read()?.is_empty() {
            return Ok(());
        }
        let signs = |purpose| {
            purpose == KeyPurpose::Checkpoint || SigningAlg::of_purpose(purpose).is_some()
        };
        self.add_missing(known, signs, entropy)
    }

    fn add_missing(
        &self,
        known: &[KeyRecord],
        wanted: impl Fn(KeyPurpose) -> bool,
        entropy: &dyn Entropy,
    ) -> Result<(), KeyError> {
        let present = self.read()?;
        for purpose in KEY_PURPOSES.into_iter().filter(|purpose| purpose.is_made_at_once()) {
            let is_there = present.iter().any(|file| file.purpose == purpose)
                || known.iter().any(|record| record.purpose == purpose);
            if is_there || !wanted(purpose) {
                continue;
            }
            match self.rotate(purpose, entropy) {
                Err(KeyError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                made => drop(made?),
            }
        }
        Ok(())
    }
}

fn read_key(path: &Path) -> Result<KeyFile, KeyError> {
    let error = |source| io_error(path, source);
    if private_file::is_open_to_others(path).map_err(error)? {
        return Err(KeyError::OpenToOthers(path.to_owned()));
    }
    if fs::metadata(path).map_err(error)?.len() > FILE_BYTES_MAX {
        return Err(KeyError::Malformed(path.to_owned()));
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(error)?);
    let file = std::str::from_utf8(&bytes).ok().and_then(KeyFile::parse);
    // A renamed file would be taken for a key that it is not.
    file.filter(|file| path.file_name().is_some_and(|name| name == file.name().as_str()))
        .ok_or_else(|| KeyError::Malformed(path.to_owned()))
}

fn io_error(path: &Path, source: io::Error) -> KeyError {
    KeyError::Io { path: path.to_owned(), source }
}

/// The ring of `found` keys, of which the store knows some.
///
/// # Errors
///
/// When a purpose has none.
pub fn ring(found: &[KeyFile], known: &[KeyRecord]) -> Result<KeyRing, KeyError> {
    let of = |purpose| {
        let keys = found.iter().filter(move |file| file.purpose == purpose);
        keys.map(|file| file.key.clone()).collect()
    };
    let signs = |file: &&KeyFile| SigningAlg::of_purpose(file.purpose).is_some();
    let signers = found.iter().filter(signs).map(|file| file.signer(known));
    let signing = SigningKeys::new(signers.collect::<Result<_, _>>()?);
    let ring = KeyRing::new(of(KeyPurpose::Pepper), of(KeyPurpose::Seal))?;
    Ok(ring.with_signing(signing).with_checkpoints(of(KeyPurpose::Checkpoint)))
}

/// Compares the keys found in `dir` with those that the store knows; returns the new ones.
///
/// # Errors
///
/// When a known key is missing or is another one.
pub fn reconcile<'a>(
    dir: &KeyDirectory,
    found: &'a [KeyFile],
    known: &[KeyRecord],
) -> Result<Vec<&'a KeyFile>, KeyError> {
    let lost: Vec<&KeyRecord> =
        known.iter().filter(|record| find(found, record).is_none()).collect();
    if !lost.is_empty() {
        let missing = lost.iter().map(|record| described(record)).collect::<Vec<_>>().join(", ");
        let path = dir.path.clone();
        return Err(match (dir.exists(), found.is_empty()) {
            (false, _) => KeyError::NoKeys { dir: path, what: "does not exist", missing },
            (true, true) => KeyError::NoKeys { dir: path, what: "is empty", missing },
            (true, false) => KeyError::Missing { dir: path, missing },
        });
    }
    for record in known {
        let file = find(found, record);
        let print = file.map(|file| file.key.fingerprint(file.purpose)).unwrap_or_default();
        if print != record.fingerprint {
            return Err(KeyError::Foreign {
                dir: dir.path.clone(),
                name: file_name(record.purpose, record.id),
                expected: record.fingerprint.clone(),
                found: print,
            });
        }
    }
    let is_new = |file: &&KeyFile| {
        !known.iter().any(|record| (record.purpose, record.id) == (file.purpose, file.key.id()))
    };
    Ok(found.iter().filter(is_new).collect())
}

fn find<'a>(found: &'a [KeyFile], record: &KeyRecord) -> Option<&'a KeyFile> {
    found.iter().find(|file| (file.purpose, file.key.id()) == (record.purpose, record.id))
}

fn described(record: &KeyRecord) -> String {
    format!("{} (fingerprint {})", file_name(record.purpose, record.id), record.fingerprint)
}

/// Reads the directory, tells the store of new keys, and returns the ring to use from now on.
///
/// One idempotent step: at start, and again every second, which is how a rotated
/// key reaches a running server. A new key is known to the store before anything
/// is hashed under it.
///
/// # Errors
///
/// When the directory and the store do not belong together, or either cannot be read.
pub async fn reload(
    dir: &KeyDirectory,
    store: &(dyn InstallationStore + Send + Sync),
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<KeyRing, KeyError> {
    let found = dir.read()?;
    let known = store.key_list().await?;
    let new: Vec<KeyRecord> =
        reconcile(dir, &found, &known)?.into_iter().map(|file| file.record(clock)).collect();
    let mut known = known;
    for record in new {
        store.key_add(record.clone(), key_added(&record, clock, entropy)?).await?;
        known.push(record);
    }
    let ring = ring(&found, &known)?;
    let heard_of = |record: &&KeyRecord| {
        record.purpose == KeyPurpose::Pepper
            && record.created_at.plus_seconds(PEPPER_GRACE_SECONDS) <= clock.now()
    };
    let current = known.iter().filter(heard_of).map(|record| record.id).max();
    let first = ring.keys(KeyPurpose::Pepper).first().map(Key::id);
    Ok(match current.or(first) {
        Some(id) => ring.with_current_pepper(id),
        None => ring,
    })
}

/// The keys that the store knows and `ring` lacks.
///
/// # Errors
///
/// When the store does not answer.
pub async fn lacking(
    ring: &KeyRing,
    store: &(dyn InstallationStore + Send + Sync),
) -> Result<Vec<(KeyPurpose, KeyId)>, Unavailable> {
    let known = store.key_list().await?.into_iter();
    let lost = known.filter(|record| !ring.holds(record.purpose, record.id));
    Ok(lost.map(|record| (record.purpose, record.id)).collect())
}

/// The records of a fresh installation's keys.
pub fn records(found: &[KeyFile], clock: &dyn Clock) -> Vec<KeyRecord> {
    found.iter().map(|file| file.record(clock)).collect()
}

fn key_added(
    record: &KeyRecord,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Event, KeyError> {
    let realm = RealmName::parse(MAIN_REALM)?;
    let origin = Origin::system(Door::Cli);
    let event = Event::new("key.added", &realm, &origin, clock.now(), entropy)?;
    Ok(event.with_subject(format!("key:{}-{}", record.purpose, record.id)))
}

#[cfg(test)]
mod tests;
