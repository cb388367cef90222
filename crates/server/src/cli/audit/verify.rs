//! `audit verify`: reads files and nothing else.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use counterfoil_authority::audit::export::{Header, last_of};
use counterfoil_authority::audit::note::{Checkpoint, VerifierKey};
use counterfoil_authority::audit::verify::{
    LINE_BYTES_MAX, Unexplained, Verified, Verifier, Wrong,
};
use data_encoding::BASE64;
use serde_json::json;

use super::super::failure::Failure;
use super::super::print;
use super::{VerifyArgs, about, shown};

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes of a file with keys or a checkpoint at most.
const SMALL_BYTES_MAX: u64 = 64 * 1024;
/// Bytes at the end of an export in which its checkpoint is looked for.
const TAIL_BYTES: u64 = 256 * 1024;

/// Runs the command.
pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let mut keys = Vec::new();
    for given in &args.key {
        keys.extend(keys_of(given)?);
    }
    let mut earlier = Vec::new();
    for path in &args.since {
        earlier.push(kept(path, &keys)?);
    }
    in_order(&args.files)?;
    earlier.sort_by_key(|checkpoint: &Checkpoint| checkpoint.size);
    let mut all: Vec<(&PathBuf, Verified)> = Vec::new();
    for (number, path) in args.files.iter().enumerate() {
        // Each file is held against what it reaches to, the last one against all the rest.
        let is_last = number + 1 == args.files.len();
        let end = if is_last { u64::MAX } else { end_of(path)? };
        let rest = earlier.split_off(earlier.partition_point(|one| one.size <= end));
        let mut since = std::mem::replace(&mut earlier, rest);
        // And it goes on from the one before it.
        since.extend(all.last().map(|(_, former)| former.checkpoint.clone()));
        let verified = check(path, keys.clone(), since)?;
        if let Some(why) = verified.unexplained.filter(|_| !args.allow_removed) {
            return Err(about(path, unexplained(why)));
        }
        all.push((path, verified));
    }
    if args.json {
        let one = |(path, verified): &(&PathBuf, Verified)| told(path, verified);
        print::json(&json!({ "verified": all.iter().map(one).collect::<Vec<_>>() }));
    } else {
        for (path, verified) in &all {
            print::line(&in_words(path, verified));
        }
    }
    Ok(())
}

/// Events are missing, and what to do about it.
pub(super) fn unexplained(why: Unexplained) -> String {
    format!(
        "{why}; if the export was made while it did, make another, and if it was an earlier \
         version that removed them, say --allow-removed"
    )
}

/// A key as it stands, or a file of keys.
pub(super) fn keys_of(given: &str) -> Result<Vec<VerifierKey>, Failure> {
    if let Some(key) = VerifierKey::parse(given) {
        return Ok(vec![key]);
    }
    let file = Path::new(given);
    if !file.exists() {
        let what = "is neither a public key, NAME+ID+KEY, nor a file with one";
        return Err(Failure::Usage(format!("--key {}: {what}", shown(file))));
    }
    let text = small(file)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let wrong =
        || Failure::Usage(format!("--key {}: holds a line that is no public key", shown(file)));
    lines.map(|line| VerifierKey::parse(line.trim()).ok_or_else(wrong)).collect()
}

/// A checkpoint that somebody kept: a signed note, the last line of an export, or the export.
pub(super) fn kept(path: &Path, keys: &[VerifierKey]) -> Result<Checkpoint, Failure> {
    let note = match ending(path)? {
        Some(note) => note,
        None => small(path)?,
    };
    let opened = Checkpoint::open(&note, keys);
    opened.map_err(|fault| about(path, Wrong::of_note(fault, &note)))
}

/// The note in the last line of a file that ends as an export does.
fn ending(path: &Path) -> Result<Option<String>, Failure> {
    let unread = |error: std::io::Error| unreadable(path, error);
    let mut file = File::open(path).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).map_err(unread)?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail).map_err(unread)?;
    let tail = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let line = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(std::str::from_utf8(line).ok().and_then(last_of))
}

/// Says so of files that do not begin one behind the other.
fn in_order(files: &[PathBuf]) -> Result<(), Failure> {
    let mut before: Option<Header> = None;
    for path in files {
        let header = header_of(path)?;
        if let (Some(before), Some(header)) = (&before, &header)
            && before.origin == header.origin
            && header.first < before.first
        {
            return Err(Failure::Usage(format!(
                "{} begins with entry {}, and the file before it with entry {}: the files are not \
                 in their order",
                shown(path),
                header.first,
                before.first
            )));
        }
        before = header;
    }
    Ok(())
}

/// Nothing was checked, so nothing is said about the log.
fn unreadable(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("{}: {why}", shown(path)))
}

fn small(path: &Path) -> Result<String, Failure> {
    let unread = |error: std::io::Error| unreadable(path, error);
    if fs::metadata(path).map_err(unread)?.len() > SMALL_BYTES_MAX {
        return Err(unreadable(path, "is too long for a key or a checkpoint"));
    }
    fs::read_to_string(path).map_err(unread)
}

/// The size that the head of an export tells; what is wrong with it is said when it is checked.
fn end_of(path: &Path) -> Result<u64, Failure> {
    Ok(header_of(path)?.map_or(u64::MAX, |header| header.size))
}

/// The head of an export, if it is one.
fn header_of(path: &Path) -> Result<Option<Header>, Failure> {
    let unread = |error: std::io::Error| unreadable(path, error);
    let mut file = BufReader::new(File::open(path).map_err(unread)?).take(LINE_BYTES_MAX as u64);
    let mut line = Vec::new();
    file.read_until(b'\n', &mut line).map_err(unread)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(std::str::from_utf8(line).ok().and_then(Header::parse))
}

fn check(
    path: &Path,
    keys: Vec<VerifierKey>,
    earlier: Vec<Checkpoint>,
) -> Result<Verified, Failure> {
    let unread = |error: std::io::Error| unreadable(path, error);
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(unread)?);
    let mut verifier = Verifier::new(keys, earlier);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut file).take(most).read_until(b'\n', &mut line).map_err(unread)?;
        if read == 0 {
            break;
        }
        verifier.line(&line).map_err(|fault| about(path, fault))?;
    }
    verifier.finish().map_err(|fault| about(path, fault))
}

fn told(path: &Path, verified: &Verified) -> serde_json::Value {
    json!({
        "file": path.display().to_string(),
        "origin": verified.checkpoint.origin,
        "first": verified.first,
        "size": verified.checkpoint.size,
        "root": BASE64.encode(&verified.checkpoint.root),
        "removed": verified.removed,
        "removed_between": verified.removed_between,
        "removed_unexplained": verified.unexplained.map(|why| why.to_string()),
        "continued": verified.continued,
    })
}

fn in_words(path: &Path, verified: &Verified) -> String {
    let Verified { first, checkpoint, removed, removed_between, unexplained, continued } = verified;
    let begin = format!(
        "{}: {} of {}, from {first} to {}",
        shown(path),
        entries(checkpoint.size - first),
        checkpoint.origin,
        checkpoint.size,
    );
    let middle = match removed_between {
        None if checkpoint.size - first == 1 => ", is complete and unaltered".to_owned(),
        None => ", are complete and unaltered".to_owned(),
        Some((from, to)) => {
            let events = if *removed == 1 {
                format!("the event of entry {from} is missing")
            } else {
                format!("{removed} events are missing, of entries from {from} to {to}")
            };
            let why = match unexplained {
                None => "retention removed what is missing, as the log says",
                Some(_) => "the log does not say why, and that was allowed",
            };
            format!(": hashes unaltered; {events}: {why}")
        }
    };
    let on = match continued {
        0 => String::new(),
        1 => "; they go on from the earlier checkpoint".to_owned(),
        more => format!("; they go on from {more} earlier checkpoints"),
    };
    begin + &middle + &on
}

/// So many entries, in words.
pub(super) fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(size: u64, removed: u64, removed_between: Option<(u64, u64)>) -> Verified {
        let checkpoint = Checkpoint { origin: "log/main".into(), size, root: [0; 32] };
        let (first, unexplained, continued) = (0, None, 0);
        Verified { first, checkpoint, removed, removed_between, unexplained, continued }
    }

    #[test]
    fn only_what_is_whole_is_called_complete() {
        let told = |verified: &Verified| in_words(Path::new("a\u{1b}[2J"), verified);
        let whole = told(&verified(1, 0, None));
        assert_eq!(whole, "a[2J: 1 entry of log/main, from 0 to 1, is complete and unaltered");
        let one = told(&verified(3, 1, Some((2, 2))));
        assert!(one.contains("the event of entry 2 is missing: retention removed"), "{one}");
        let some = told(&verified(9, 4, Some((1, 5))));
        assert!(some.contains("4 events are missing, of entries from 1 to 5"), "{some}");
        for text in [one, some] {
            assert!(!text.contains("complete"), "{text}");
        }
    }

    #[test]
    fn what_is_neither_key_nor_file_is_said_to_be_neither() {
        let Err(Failure::Usage(told)) = keys_of("log/main+00000000+AAAA") else { panic!() };
        assert!(told.contains("neither a public key, NAME+ID+KEY, nor a file"), "{told}");
    }
}
