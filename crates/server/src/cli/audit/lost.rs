//! What an export has that the log of a restored store has not: where the two part, and what
//! happened behind that place.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use counterfoil_authority::audit::export::{Entry, Header};
use counterfoil_authority::audit::note::{Checkpoint, VerifierKey};
use counterfoil_authority::audit::replay::{Lost, Undone};
use counterfoil_authority::audit::tree::{Frontier, Hash, TILE_WIDTH};
use counterfoil_authority::audit::verify::{LINE_BYTES_MAX, Verifier};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{AuditStore, AuditTile};
use counterfoil_store::SqlStore;

use super::super::failure::Failure;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Events that the store is asked for at once.
const BATCH: usize = 500;

/// What was lost of the log of a realm.
pub(super) struct LostLog {
    /// The realm.
    pub(super) realm: RealmName,
    /// The first entry that is not here.
    pub(super) from: u64,
    /// The last checkpoint of the exports.
    pub(super) to: u64,
    /// Its root.
    pub(super) root: Hash,
    /// Entries of the log here behind that place: it went on by itself.
    pub(super) own: u64,
    /// Entries whose events retention had removed before the export was made.
    pub(super) removed: u64,
    /// When the last of it happened.
    pub(super) until: Option<String>,
    /// What is to be done again.
    pub(super) undone: Undone,
    /// When this very log was done again before, if it was.
    pub(super) before: Option<Timestamp>,
}

/// The log that was done again before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// Its entries.
    pub(super) size: u64,
    /// Its root.
    pub(super) root: Hash,
    /// When that was.
    pub(super) at: Timestamp,
}

/// What an export is held against.
pub(super) struct Against<'a> {
    pub(super) store: &'a SqlStore,
    pub(super) realm: RealmName,
    pub(super) keys: Vec<VerifierKey>,
    /// Checkpoints that were kept elsewhere.
    pub(super) since: Vec<Checkpoint>,
    /// What was done again before.
    pub(super) done: Option<Done>,
    /// Whether events may be missing that no entry says were removed.
    pub(super) allow_removed: bool,
}

/// The log as it is here.
struct Here<'a> {
    store: &'a SqlStore,
    realm: &'a RealmName,
    size: u64,
    tile: AuditTile,
}

impl Here<'_> {
    /// The hash of an entry; `None` behind the end.
    async fn hash(&mut self, place: u64) -> Result<Option<Hash>, Failure> {
        if place >= self.size {
            return Ok(None);
        }
        let index = place / TILE_WIDTH;
        if self.tile.hashes.is_empty() || self.tile.index != index {
            self.tile = self.store.audit_tile(self.realm, index).await?.unwrap_or_default();
        }
        let at = usize::try_from(place % TILE_WIDTH).unwrap_or(usize::MAX);
        Ok(self.tile.hashes.get(at).copied())
    }
}

/// Reads the exports of a realm, each going on where the one before it ends.
///
/// # Errors
///
/// When one of them does not prove itself, or none tells what comes behind the log that is here.
pub(super) async fn read(against: Against<'_>, files: &[&PathBuf]) -> Result<LostLog, Failure> {
    let head = against.store.audit_head(&against.realm).await?;
    let size = head.map_or(0, |head| head.tree.size());
    let realm = against.realm.clone();
    let here = Here { store: against.store, realm: &realm, size, tile: AuditTile::default() };
    let mut reading = Reading {
        against: &against,
        here,
        tree: None,
        fork: None,
        batch: Vec::new(),
        removed: 0,
        until: None,
        undone: Undone::default(),
    };
    let mut last: Option<Checkpoint> = None;
    let mut since = against.since.clone();
    since.sort_by_key(|checkpoint| checkpoint.size);
    for (number, path) in files.iter().enumerate() {
        // As `audit verify`: each file is held against what it reaches to, the last against all.
        let is_last = number + 1 == files.len();
        let header = header_of(path)?;
        let end = if is_last { u64::MAX } else { header.size };
        let rest = since.split_off(since.partition_point(|one| one.size <= end));
        let mut earlier = std::mem::replace(&mut since, rest);
        earlier.extend(last.take());
        last = Some(reading.file(path, &header, earlier).await?);
    }
    let path = files.last().map_or_else(String::new, |path| super::shown(path));
    let Some(checkpoint) = last else { return Err(Failure::Usage("no export".to_owned())) };
    reading.flush().await?;
    let same = |done: &Done| (done.size, done.root) == (checkpoint.size, checkpoint.root);
    let before = against.done.filter(same).map(|done| done.at);
    if before.is_none() && reading.fork.is_none() && checkpoint.size < size {
        let end = checkpoint.size;
        return Err(Failure::about(
            path,
            format!(
                "ends with {end} entries, and the log here has these and {} more: it is older than \
                 the backup, and says nothing of what came after it",
                size - end
            ),
        ));
    }
    let from = reading.fork.unwrap_or(checkpoint.size);
    let Reading { removed, until, undone, .. } = reading;
    let own = size.saturating_sub(from);
    let (to, root) = (checkpoint.size, checkpoint.root);
    Ok(LostLog { realm, from, to, root, own, removed, until, undone, before })
}

struct Reading<'a> {
    against: &'a Against<'a>,
    here: Here<'a>,
    /// All that was read, from the first entry on.
    tree: Option<Frontier>,
    /// Where the export and the log here part.
    fork: Option<u64>,
    batch: Vec<Lost>,
    removed: u64,
    until: Option<String>,
    undone: Undone,
}

impl Reading<'_> {
    async fn file(
        &mut self,
        path: &Path,
        header: &Header,
        earlier: Vec<Checkpoint>,
    ) -> Result<Checkpoint, Failure> {
        let about = |error: std::io::Error| super::about(path, error);
        if self.tree.is_none() {
            self.tree = Some(self.begin(path, header).await?);
        }
        let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(about)?);
        let mut verifier = Verifier::new(self.against.keys.clone(), earlier);
        let mut line = Vec::new();
        loop {
            line.clear();
            let most = LINE_BYTES_MAX as u64 + 1;
            let read = (&mut file).take(most).read_until(b'\n', &mut line).map_err(about)?;
            if read == 0 {
                break;
            }
            verifier.line(&line).map_err(|fault| super::about(path, fault))?;
            let text = std::str::from_utf8(&line).unwrap_or_default().trim_end_matches('\n');
            if let Some(entry) = Entry::parse(text) {
                self.entry(path, &entry).await?;
            }
        }
        let proved = verifier.finish().map_err(|fault| super::about(path, fault))?;
        // What is here anyway may be missing there.
        match proved.unexplained.filter(|_| self.removed > 0 && !self.against.allow_removed) {
            Some(why) => Err(super::about(path, super::verify::unexplained(why))),
            None => Ok(proved.checkpoint),
        }
    }

    /// What stands before the first entry of the first file has to be what stands here.
    async fn begin(&mut self, path: &Path, header: &Header) -> Result<Frontier, Failure> {
        let (first, size) = (header.first, self.here.size);
        if first > size {
            let why = format!(
                "begins with entry {first}, and the log here ends before entry {size}: give the \
                 export with what is between first"
            );
            return Err(super::about(path, why));
        }
        let mut tree = Frontier::default();
        while tree.size() < first {
            let Some(hash) = self.here.hash(tree.size()).await? else { break };
            tree.push(hash, drop);
        }
        if header.before().is_some_and(|before| before == tree) {
            return Ok(tree);
        }
        let why = format!(
            "begins with entry {first}, and the log here has other entries before that: give an \
             export from an earlier entry on"
        );
        Err(super::about(path, why))
    }

    async fn entry(&mut self, path: &Path, entry: &Entry<'_>) -> Result<(), Failure> {
        let Some(tree) = &mut self.tree else { return Ok(()) };
        // Of files that overlap.
        if entry.place < tree.size() {
            return Ok(());
        }
        tree.push(entry.hash, drop);
        let done = self.against.done;
        let is_done = done.is_some_and(|done| done.size == tree.size() && done.root == tree.root());
        if self.fork.is_none() && self.here.hash(entry.place).await? != Some(entry.hash) {
            if entry.place == 0 && self.here.size > 0 {
                let why = "has not a single entry of the log here: it is another installation's \
                           that has its keys";
                return Err(super::about(path, why));
            }
            self.fork = Some(entry.place);
        }
        if self.fork.is_some() {
            match entry.text.map(Lost::parse) {
                Some(Some(lost)) => {
                    self.until = Some(lost.at.clone());
                    self.batch.push(lost);
                }
                _ => self.removed += 1,
            }
        }
        if self.batch.len() >= BATCH {
            self.flush().await?;
        }
        if is_done {
            // So far it was done before; who undid any of it meant to.
            self.batch.clear();
            (self.undone, self.removed) = (Undone::default(), 0);
        }
        Ok(())
    }

    /// What waited to be sealed when the backup was made is behind the fork, and known here.
    async fn flush(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        let against = self.against;
        note_unknown(against.store, &against.realm, batch, &mut self.undone).await.map(drop)
    }
}

/// Takes note of the events that the store does not have.
pub(super) async fn note_unknown(
    store: &SqlStore,
    realm: &RealmName,
    batch: Vec<Lost>,
    undone: &mut Undone,
) -> Result<u64, Failure> {
    let ids = batch.iter().map(|lost| lost.id.clone()).collect();
    let known = store.audit_events(realm, ids).await?;
    let mut count = 0;
    for (lost, _) in batch.iter().zip(known).filter(|(_, known)| known.is_none()) {
        undone.note(lost);
        count += 1;
    }
    Ok(count)
}

/// The first line of an export.
pub(super) fn header_of(path: &Path) -> Result<Header, Failure> {
    let about = |error: std::io::Error| super::about(path, error);
    let mut file = BufReader::new(File::open(path).map_err(about)?).take(LINE_BYTES_MAX as u64);
    let mut line = String::new();
    file.read_line(&mut line).map_err(about)?;
    Header::parse(line.trim_end_matches('\n')).ok_or_else(|| {
        let list = "; a list that `counterfoil events --json` printed is given to `counterfoil \
                    audit replay --unproved`, and nothing proves it";
        let hint = if line.trim_start().starts_with('{') { list } else { "" };
        super::about(path, format!("line 1: this is no export of an audit log{hint}"))
    })
}
