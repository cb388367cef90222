//! The file that an auditor takes away: one line for each event, in the order of the log.
//!
//! ```text
//! {"counterfoil_audit_export":1,"first":0,"origin":"...","prefix":[],"size":3}
//! {"event":{...},"hash":"...","n":0}
//! {"hash":"...","n":1,"removed":true}
//! {"event":{...},"hash":"...","n":2}
//! {"checkpoint":"..."}
//! ```
//!
//! What stands between `"event":` and `,"hash":` is the canonical text of the event, byte by
//! byte. Each line has one way to be written, so that no byte can be changed unnoticed.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::leaf;
use super::note::is_name;
use super::tree::{Frontier, Hash};
use crate::event::Event;

/// The version of the form.
const VERSION: u32 = 1;
const EVENT: &str = "{\"event\":";
const HASH: &str = ",\"hash\":\"";
const REMOVED: &str = "{\"hash\":\"";
const NUMBER: &str = "\",\"n\":";
const REMOVED_END: &str = ",\"removed\":true}";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    #[serde(rename = "counterfoil_audit_export")]
    version: u32,
    /// The place of the first event in the file.
    pub first: u64,
    /// The name of the log.
    pub origin: String,
    /// The roots of the complete subtrees of what comes before, in base64, the largest first.
    prefix: Vec<String>,
    /// The size of the log at the end of the file.
    pub size: u64,
}

impl Header {
    /// The head of a file that goes on behind `before`, up to `size`.
    pub fn new(origin: &str, before: &Frontier, size: u64) -> Self {
        let prefix = before.roots().iter().map(|root| BASE64.encode(root)).collect();
        Self { version: VERSION, first: before.size(), origin: origin.to_owned(), prefix, size }
    }

    /// The tree of what comes before; `None` if these are no roots of that many leaves.
    pub fn before(&self) -> Option<Frontier> {
        let roots = self.prefix.iter().map(|root| hash_of(root)).collect::<Option<_>>()?;
        Frontier::of(self.first, roots)
    }

    /// Its line.
    pub fn line(&self) -> String {
        text(self)
    }

    /// Reads a line that [`Header::line`] wrote.
    pub fn parse(line: &str) -> Option<Self> {
        let read: Self = serde_json::from_str(line).ok()?;
        // The name is not signed here, and is shown to people.
        let sound = read.version == VERSION && read.first <= read.size && is_name(&read.origin);
        (sound && read.line() == line).then_some(read)
    }
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    checkpoint: String,
}

/// The last line, with the checkpoint as the signed note that it is.
pub fn last_line(note: &str) -> String {
    text(&Last { checkpoint: note.to_owned() })
}

/// The note in the last line; `None` for any other line.
pub fn last_of(line: &str) -> Option<String> {
    let read: Last = serde_json::from_str(line).ok()?;
    (last_line(&read.checkpoint) == line).then_some(read.checkpoint)
}

/// The line of an event, or of one that retention has removed.
pub fn entry_line(place: u64, hash: &Hash, event: Option<&Event>) -> String {
    let hash = BASE64.encode(hash);
    match event {
        Some(event) => {
            format!("{EVENT}{}{HASH}{hash}{NUMBER}{place}}}", leaf::text_of(event))
        }
        None => format!("{REMOVED}{hash}{NUMBER}{place}{REMOVED_END}"),
    }
}

/// A line between the first and the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The place in the log.
    pub place: u64,
    /// The hash of the leaf.
    pub hash: Hash,
    /// The canonical text, unless it was removed.
    pub text: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// Reads a line that [`entry_line`] wrote.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (rest, text) = match line.strip_prefix(EVENT) {
            Some(rest) => {
                let (text, rest) = rest.rsplit_once(HASH)?;
                (rest.strip_suffix('}')?, Some(text))
            }
            None => (line.strip_prefix(REMOVED)?.strip_suffix(REMOVED_END)?, None),
        };
        let (hash, number) = rest.split_once(NUMBER)?;
        let place: u64 = number.parse().ok()?;
        // `+7` and `07` are numbers, too.
        (place.to_string() == number).then_some(())?;
        Some(Self { place, hash: hash_of(hash)?, text })
    }
}

fn hash_of(text: &str) -> Option<Hash> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Text and numbers cannot fail to serialise.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
