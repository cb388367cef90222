//! Looking for our own token strings where they should not be: files, directories, the history of
//! git repositories, standard input.
//!
//! Nothing is passed over in silence: what cannot be read, and links that are not followed, are
//! told of. Names are looked at as contents are. Invariant: a [`Hit`] shows its clear text to nobody
//! who does not ask for it by [`Hit::secret`], and neither a place nor a reason ever holds one,
//! whatever a file is called.

mod git;
pub mod rules;
mod stream;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use counterfoil_authority::secret::{FoundToken, Prefix, TokenFinder};

pub use stream::Hit;
use stream::Pieces;

/// Things that are listed by name at most of those that could not be read; all of them count.
const UNREAD_LISTED_MAX: usize = 1000;

/// What of a place a token string stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is in it.
    Content,
    /// What it is called.
    Name,
    /// In a history: what something in this directory is called.
    Entry,
    /// In a history: what a branch, a tag or another reference is called.
    Reference,
    /// In a history: the text of a commit or of an annotated tag, its heading included.
    Message,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or `-`. A token string in a name is taken out, as are control characters.
    pub path: String,
    /// Which part of it.
    pub part: Part,
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
            if seen.is_ok() {
                // What stands before the name of something below was looked at with it.
                let name = if named { Some(path.as_os_str()) } else { path.file_name() };
                let name = name.unwrap_or_default().as_encoded_bytes();
                self.name((Part::Name, &path.to_string_lossy()), name, sink);
            }
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
        let path = self.shown(name);
        let place = Place { path, part: Part::Content, object: None, commit: None };
        self.tally.files += 1;
        let read = self.pieces.look(&self.finder, from, &mut |hit| sink.found(&place, hit));
        self.tally.bytes += read.bytes;
        sink.progressed(read.bytes);
        if let Some(error) = read.error {
            self.unread(name, &error.to_string());
        }
    }

    /// Looks through every blob, tree, commit and tag that any reference of a git repository leads
    /// to, each once, and at the names of the references. Runs the `git` of this machine, which
    /// fetches nothing and runs nothing that the repository names.
    pub fn history(&mut self, repository: &Path, sink: &mut dyn Sink) {
        let shown = repository.to_string_lossy();
        match git::look(self, repository, sink) {
            Ok(()) => {
                let name = repository.as_os_str().as_encoded_bytes();
                self.name((Part::Name, &shown), name, sink);
            }
            Err(why) => self.unread(&shown, &why),
        }
    }

    /// Looks at what something is called. A name has no lines: both numbers are 0.
    fn name(&self, (part, path): (Part, &str), name: &[u8], sink: &mut dyn Sink) {
        for FoundToken { start, end, kind, id } in self.finder.find(name) {
            let clear = name.get(start..end).unwrap_or_default();
            let place = Place { path: self.shown(path), part, object: None, commit: None };
            sink.found(&place, Hit { line: 0, column: 0, kind, id, clear });
        }
    }

    fn shown(&self, text: &str) -> String {
        shown(&self.finder, text)
    }

    fn unread(&mut self, what: &str, why: &str) {
        self.tally.unread += 1;
        if self.tally.unread_listed.len() < UNREAD_LISTED_MAX {
            let (what, why) = (self.shown(what), self.shown(why));
            self.tally.unread_listed.push((what, why));
        }
    }
}

/// A text as it may be printed: without token strings, and without what moves a cursor. Something
/// stands in the place of each control character, or a string that one had broken in two would be
/// whole again.
pub(crate) fn shown(finder: &TokenFinder, text: &str) -> String {
    let plain = |one: char| if one.is_control() { char::REPLACEMENT_CHARACTER } else { one };
    finder.redacted(&text.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests;
