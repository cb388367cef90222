//! `audit verify`: reads files and nothing else.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use counterfoil_authority::audit::export::Header;
use counterfoil_authority::audit::note::{Checkpoint, VerifierKey};
use counterfoil_authority::audit::verify::{LINE_BYTES_MAX, Verified, Verifier};
use data_encoding::BASE64;
use serde_json::json;

use super::super::failure::Failure;
use super::super::print;
use super::VerifyArgs;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes of a file with keys or a checkpoint at most.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// Runs the command.
pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let mut keys = Vec::new();
    for given in &args.key {
        keys.extend(keys_of(given)?);
    }
    let mut earlier = Vec::new();
    for path in &args.since {
        let note = small(path)?;
        let opened = Checkpoint::open(&note, &keys);
        earlier.push(opened.map_err(|fault| {
            Failure::Refused(format!("{}: the checkpoint {fault}", path.display()))
        })?);
    }
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
        all.push((path, check(path, keys.clone(), since)?));
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

/// A key as it stands, or a file of keys.
pub(super) fn keys_of(given: &str) -> Result<Vec<VerifierKey>, Failure> {
    if let Some(key) = VerifierKey::parse(given) {
        return Ok(vec![key]);
    }
    let text = small(Path::new(given))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let wrong = || Failure::Usage(format!("--key {given}: holds a line that is no public key"));
    lines.map(|line| VerifierKey::parse(line.trim()).ok_or_else(wrong)).collect()
}

pub(super) fn small(path: &Path) -> Result<String, Failure> {
    let about = |error: std::io::Error| Failure::about(path.display(), error);
    if fs::metadata(path).map_err(about)?.len() > SMALL_BYTES_MAX {
        return Err(Failure::about(path.display(), "is too long for a key or a checkpoint"));
    }
    fs::read_to_string(path).map_err(about)
}

/// The size that the head of an export tells; what is wrong with it is said when it is checked.
fn end_of(path: &Path) -> Result<u64, Failure> {
    let about = |error: std::io::Error| Failure::about(path.display(), error);
    let mut file = BufReader::new(File::open(path).map_err(about)?).take(LINE_BYTES_MAX as u64);
    let mut line = String::new();
    file.read_line(&mut line).map_err(about)?;
    Ok(Header::parse(line.trim_end_matches('\n')).map_or(u64::MAX, |header| header.size))
}

fn check(
    path: &Path,
    keys: Vec<VerifierKey>,
    earlier: Vec<Checkpoint>,
) -> Result<Verified, Failure> {
    let about = |error: std::io::Error| Failure::about(path.display(), error);
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(about)?);
    let mut verifier = Verifier::new(keys, earlier);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut file).take(most).read_until(b'\n', &mut line).map_err(about)?;
        if read == 0 {
            break;
        }
        verifier.line(&line).map_err(|fault| Failure::about(path.display(), fault))?;
    }
    verifier.finish().map_err(|fault| Failure::about(path.display(), fault))
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
        "continued": verified.continued,
    })
}

fn in_words(path: &Path, verified: &Verified) -> String {
    let Verified { first, checkpoint, removed, removed_between, continued } = verified;
    let count = checkpoint.size - first;
    let text = format!(
        "{}: {count} entries of {}, from {first} to {}, are complete and unaltered",
        path.display(),
        checkpoint.origin,
        checkpoint.size,
    );
    let cut = removed_between.map(|(from, to)| {
        format!("; the events of {removed} between {from} and {to} were removed")
    });
    let on = match continued {
        0 => String::new(),
        1 => "; they go on from the earlier checkpoint".to_owned(),
        more => format!("; they go on from {more} earlier checkpoints"),
    };
    text + &cut.unwrap_or_default() + &on
}
