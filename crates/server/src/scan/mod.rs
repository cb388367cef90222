//! Looking for our own token strings where they should not be: files, directories, the history of
//! git repositories, standard input.
//!
//! Nothing is passed over in silence: what cannot be read, and links that are not followed, are
//! told of. Invariant: a [`Hit`] shows its clear text to nobody who does not ask for it by
//! [`Hit::secret`], and a place never holds one, whatever a file is called.

mod git;
pub mod rules;
mod stream;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use counterfoil_authority::secret::{Prefix, TokenFinder};

pub use stream::Hit;
use stream::Pieces;

/// Things that are listed by name at most of those that could not be read; all of them count.
const UNREAD_LISTED_MAX: usize = 1000;

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or `-`. A token string in a name is taken out.
    pub path: String,
    /// In a history: the object.
    pub object: Option<String>,
    /// In a history: the first commit that has it, as far as git can tell.
    pub commit: Option<String>,
}

/// Who is told of what is found.
pub trait Sink {
    /// A token string was found.
    fn found(&mut self, place: &Place, hit: Hit<'_>);
    /// So many bytes more have been looked through.
    fn progressed(&mut self, _bytes: u64) {}
}

/// What was looked through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files, or objects of a history.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Symbolic links, which are not followed: what they lead to is looked at where it is.
    pub links: u64,
    /// Things that could not be read.
    pub unread: u64,
    /// The first of these, and why.
    pub unread_listed: Vec<(String, String)>,
}

/// Looks through things, one after the other, on one thread.
pub struct Scanner {
    finder: TokenFinder,
    pieces: Pieces,
    tally: Tally,
}

impl Scanner {
    /// A scanner for token strings with these prefixes.
    pub fn new(prefixes: &[Prefix]) -> Self {
        Self {
            finder: TokenFinder::new(prefixes),
            pieces: Pieces::default(),
            tally: Tally::default(),
        }
    }

    /// What was looked through so far.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Looks through a file, or through everything below a directory. A link that is named here is
    /// followed, because somebody named it.
    pub fn path(&mut self, path: &Path, sink: &mut dyn Sink) {
        let mut waiting = vec![path.to_owned()];
        let mut named = true;
        while let Some(path) = waiting.pop() {
            let seen = if named { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
            named = false;
            match seen {
                Err(error) => self.unread(&path.to_string_lossy(), &error.to_string()),
                Ok(seen) if seen.is_symlink() => self.tally.links += 1,
                Ok(seen) if seen.is_dir() => self.directory(&path, &mut waiting),
                Ok(seen) if seen.is_file() => self.file(&path, sink),
                // Opening one of these can wait for ever, or do something.
                Ok(_) => self.unread(&path.to_string_lossy(), "is neither file nor directory"),
            }
        }
    }

    fn directory(&mut self, path: &Path, waiting: &mut Vec<PathBuf>) {
        let below = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        match below {
            Ok(entries) => {
                let mut below: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
                // The first one is taken off the end.
                below.sort_unstable_by(|one, other| other.cmp(one));
                waiting.append(&mut below);
            }
            Err(error) => self.unread(&path.to_string_lossy(), &error.to_string()),
        }
    }

    fn file(&mut self, path: &Path, sink: &mut dyn Sink) {
        let name = path.to_string_lossy();
        match File::open(path) {
            Ok(mut file) => self.reader(&name, &mut file, sink),
            Err(error) => self.unread(&name, &error.to_string()),
        }
    }

    /// Looks through whatever can be read, under a name.
    pub fn reader(&mut self, name: &str, from: &mut dyn Read, sink: &mut dyn Sink) {
        let place = Place { path: self.finder.redacted(name), object: None, commit: None };
        self.tally.files += 1;
        let read = self.pieces.look(&self.finder, from, &mut |hit| sink.found(&place, hit));
        self.tally.bytes += read.bytes;
        sink.progressed(read.bytes);
        if let Some(error) = read.error {
            self.unread(name, &error.to_string());
        }
    }

    /// Looks through every blob, commit and tag that any reference of a git repository leads to,
    /// each once. Runs the `git` of this machine, which fetches nothing.
    pub fn history(&mut self, repository: &Path, sink: &mut dyn Sink) {
        if let Err(why) = git::look(self, repository, sink) {
            self.unread(&repository.to_string_lossy(), &why);
        }
    }

    fn unread(&mut self, what: &str, why: &str) {
        self.tally.unread += 1;
        if self.tally.unread_listed.len() < UNREAD_LISTED_MAX {
            let what = self.finder.redacted(what);
            self.tally.unread_listed.push((what, why.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
