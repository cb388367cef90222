//! Checks an export, line by line and in bounded memory, with nothing but a public key.

mod removed;

use std::fmt;

use super::export::{Entry, Header, last_of};
use super::note::{Checkpoint, NoteFault, VerifierKey, signers_of};
use super::tree::{Frontier, leaf_hash};
use removed::Removals;

pub use removed::Unexplained;

/// Bytes of a line at most; no event comes near it.
pub const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is wrong with an export, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Fault {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: Wrong,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The first line is no head of an export.
    NoHeader,
    /// The line is none of an export, or was written anew.
    NoEntry,
    /// The file ends without a checkpoint, or in the middle of a line.
    CutOff,
    /// Something comes behind the checkpoint.
    BehindTheEnd,
    /// A line is missing, comes twice or stands elsewhere.
    Place {
        /// The place that the line says.
        found: u64,
        /// The place that is next.
        expected: u64,
    },
    /// The text of the event is not the one that was sealed.
    Altered {
        /// Its place.
        place: u64,
    },
    /// There are more or fewer entries than the checkpoint counts.
    Size {
        /// Entries up to here.
        found: u64,
        /// What the checkpoint or the head of the file says.
        expected: u64,
    },
    /// The checkpoint cannot be believed.
    Note(NoteFault),
    /// It is signed by other keys than those that were given.
    Signers {
        /// The ids of those that it says.
        ids: Vec<String>,
    },
    /// The checkpoint is that of another log.
    Origin {
        /// The log of the file.
        file: String,
        /// The log of the checkpoint.
        checkpoint: String,
    },
    /// The entries fit together, and are not those that were signed.
    Root,
    /// The log does not begin with what an earlier checkpoint was about.
    Forked {
        /// The size of the earlier checkpoint.
        size: u64,
    },
    /// The log is shorter than it was.
    Truncated {
        /// The size now.
        now: u64,
        /// The size of the earlier checkpoint.
        earlier: u64,
    },
    /// The file begins behind an earlier checkpoint, so it says nothing about it.
    BeginsLater {
        /// Where the file begins.
        first: u64,
        /// The size of the earlier checkpoint.
        earlier: u64,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("this is no export of an audit log"),
            Self::NoEntry => f.write_str("the line is not as the export wrote it"),
            Self::CutOff => f.write_str("the file ends before its checkpoint: it was cut off"),
            Self::BehindTheEnd => f.write_str("the file goes on behind its checkpoint"),
            Self::Place { found, expected } => write!(
                f,
                "entry {found} stands where entry {expected} belongs: an entry is missing, \
                 repeated or moved"
            ),
            Self::Altered { place } => write!(f, "entry {place} was altered after it was sealed"),
            Self::Size { found, expected } => {
                write!(f, "there are {found} entries, and should be {expected}")
            }
            Self::Note(fault) => write!(f, "the checkpoint {fault}"),
            Self::Signers { ids } => write!(
                f,
                "the checkpoint is signed by the key {}, which is none of the given: after a \
                 rotation of the key that is so; get the new one as you got the first",
                ids.join(" and ")
            ),
            Self::Origin { file, checkpoint } => {
                write!(f, "the export is of {file}, the checkpoint of {checkpoint}")
            }
            Self::Root => f.write_str(
                "the entries are not those that were signed: some were altered, and their hashes \
                 with them",
            ),
            Self::Forked { size } => write!(
                f,
                "the first {size} entries are not those of the earlier checkpoint: the log was \
                 rewritten or forked"
            ),
            Self::Truncated { now, earlier } => write!(
                f,
                "the log has {now} entries, and had {earlier} at the earlier checkpoint: it was \
                 truncated"
            ),
            Self::BeginsLater { first, earlier } => write!(
                f,
                "the file begins with entry {first}, and so proves nothing about the earlier \
                 checkpoint of {earlier} entries"
            ),
        }
    }
}

impl Wrong {
    /// Why `note` is not believed.
    pub fn of_note(fault: NoteFault, note: &str) -> Self {
        let ids = if fault == NoteFault::UnknownKey { signers_of(note) } else { Vec::new() };
        if ids.is_empty() { Self::Note(fault) } else { Self::Signers { ids } }
    }
}

/// What an export proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The place of its first entry.
    pub first: u64,
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
    /// Entries whose event is not there, but only its hash. That retention removed it is believed
    /// as far as the log says so: see `unexplained`.
    pub removed: u64,
    /// The places of the first and the last of those.
    pub removed_between: Option<(u64, u64)>,
    /// What of the removals the log itself does not explain.
    pub unexplained: Option<Unexplained>,
    /// Earlier checkpoints that it continues.
    pub continued: usize,
}

enum State {
    Header,
    Entries { origin: String, size: u64, tree: Frontier },
    Done(Checkpoint),
}

/// Reads an export from its first line to its last.
pub struct Verifier {
    keys: Vec<VerifierKey>,
    earlier: Vec<Checkpoint>,
    state: State,
    line: u64,
    first: u64,
    removals: Removals,
}

impl Verifier {
    /// A verifier with these public keys, and checkpoints that somebody kept.
    pub fn new(keys: Vec<VerifierKey>, mut earlier: Vec<Checkpoint>) -> Self {
        earlier.sort_by_key(|checkpoint| checkpoint.size);
        let removals = Removals::default();
        Self { keys, earlier, state: State::Header, line: 0, first: 0, removals }
    }

    /// Reads the next line, with its line end.
    ///
    /// # Errors
    ///
    /// What is wrong with it; the rest need not be read.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.line += 1;
        let number = self.line;
        self.read(line).map_err(|what| Fault { line: number, what })
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// When there was no checkpoint at its end.
    pub fn finish(self) -> Result<Verified, Fault> {
        let State::Done(checkpoint) = self.state else {
            return Err(Fault { line: self.line + 1, what: Wrong::CutOff });
        };
        Ok(Verified {
            first: self.first,
            checkpoint,
            removed: self.removals.count(),
            removed_between: self.removals.between(),
            unexplained: self.removals.unexplained(),
            continued: self.earlier.len(),
        })
    }

    fn read(&mut self, line: &[u8]) -> Result<(), Wrong> {
        let line = line.strip_suffix(b"\n").ok_or(Wrong::CutOff)?;
        let text = std::str::from_utf8(line).map_err(|_| Wrong::NoEntry)?;
        match &mut self.state {
            State::Header => self.begin(text),
            State::Done(_) => Err(Wrong::BehindTheEnd),
            State::Entries { size, tree, .. } if tree.size() < *size => {
                let Some(entry) = Entry::parse(text) else {
                    let ends = last_of(text).is_some();
                    let (found, expected) = (tree.size(), *size);
                    let missing = Wrong::Size { found, expected };
                    return Err(if ends { missing } else { Wrong::NoEntry });
                };
                let expected = tree.size();
                if entry.place != expected {
                    return Err(Wrong::Place { found: entry.place, expected });
                }
                match entry.text {
                    Some(text) if leaf_hash(text.as_bytes()) != entry.hash => {
                        return Err(Wrong::Altered { place: expected });
                    }
                    Some(text) => self.removals.there(text),
                    None => self.removals.gone(expected),
                }
                tree.push(entry.hash, drop);
                self.compare()
            }
            State::Entries { .. } => self.end(text),
        }
    }

    fn begin(&mut self, text: &str) -> Result<(), Wrong> {
        let header = Header::parse(text).ok_or(Wrong::NoHeader)?;
        let tree = header.before().ok_or(Wrong::NoHeader)?;
        self.first = header.first;
        for earlier in &self.earlier {
            if earlier.origin != header.origin {
                let (file, checkpoint) = (header.origin, earlier.origin.clone());
                return Err(Wrong::Origin { file, checkpoint });
            }
            if earlier.size < header.first {
                let (first, earlier) = (header.first, earlier.size);
                return Err(Wrong::BeginsLater { first, earlier });
            }
            if earlier.size > header.size {
                return Err(Wrong::Truncated { now: header.size, earlier: earlier.size });
            }
        }
        self.state = State::Entries { origin: header.origin, size: header.size, tree };
        self.compare()
    }

    /// Holds the tree against the earlier checkpoints of its size.
    fn compare(&self) -> Result<(), Wrong> {
        let State::Entries { tree, .. } = &self.state else { return Ok(()) };
        let size = tree.size();
        let at = self.earlier.partition_point(|earlier| earlier.size < size);
        let same = self.earlier[at..].iter().take_while(|earlier| earlier.size == size);
        for earlier in same {
            if earlier.root != tree.root() {
                return Err(Wrong::Forked { size });
            }
        }
        Ok(())
    }

    fn end(&mut self, text: &str) -> Result<(), Wrong> {
        let State::Entries { origin, size, tree } = &self.state else { return Ok(()) };
        let Some(note) = last_of(text) else {
            let more = Wrong::Size { found: size + 1, expected: *size };
            return Err(if Entry::parse(text).is_some() { more } else { Wrong::NoEntry });
        };
        let checkpoint =
            Checkpoint::open(&note, &self.keys).map_err(|fault| Wrong::of_note(fault, &note))?;
        if checkpoint.origin != *origin {
            let (file, checkpoint) = (origin.clone(), checkpoint.origin);
            return Err(Wrong::Origin { file, checkpoint });
        }
        if checkpoint.size != *size {
            return Err(Wrong::Size { found: *size, expected: checkpoint.size });
        }
        if checkpoint.root != tree.root() {
            return Err(Wrong::Root);
        }
        self.state = State::Done(checkpoint);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
