//! A tree of files that nobody wrote: every planted token is found, nothing else is, and how fast.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::clock::Stopwatch;
use crate::mutations::{Dice, SEED};

/// Bytes of a file of the tree.
const FILE_BYTES: usize = 2 << 20;
/// Tokens that are planted in each.
const PLANTED: u64 = 25;
/// Megabytes per second that one core looks through at least, with optimisation.
const RATE_MIN: f64 = 500.0;

/// Bytes without any order, as in an archive or a picture.
fn noise(dice: &mut Dice) -> Vec<u8> {
    let mut content = Vec::with_capacity(FILE_BYTES);
    while content.len() < FILE_BYTES {
        content.extend_from_slice(&dice.next().to_le_bytes());
    }
    content
}

/// Text as people write it for machines.
fn source(dice: &mut Dice) -> Vec<u8> {
    let words = include_str!("../git.rs");
    let lines: Vec<&str> = words.lines().collect();
    let mut content = String::with_capacity(FILE_BYTES + 200);
    while content.len() < FILE_BYTES {
        content.push_str(lines[dice.below(lines.len())]);
        content.push('\n');
    }
    content.into_bytes()
}

/// Nothing but what looks like a token and is none.
fn near_misses(dice: &mut Dice) -> Vec<u8> {
    let mut content = String::with_capacity(FILE_BYTES + 200);
    while content.len() < FILE_BYTES {
        let (text, _) = token(Kind::PersonalAccessToken, dice.next());
        match dice.below(6) {
            0 => content.push_str(&text[..text.len() - 1]),
            1 => content.push_str("cflp_cfls_cflcflr_"),
            2 => content.push_str(&text.replace("cfl", "cfx")),
            3 => content.push_str(&text.to_uppercase()),
            _ => {
                // Another character in one place: the checksum is wrong.
                let at = 5 + dice.below(text.len() - 5);
                let other = if text.as_bytes()[at] == b'7' { "8" } else { "7" };
                let _ = write!(content, "{}{other}{}", &text[..at], &text[at + 1..]);
            }
        }
        content.push_str(["\n", " ", "\"", "\\n"][dice.below(4)]);
    }
    content.into_bytes()
}

/// Writes a tree of so many bytes; gives which tokens are where.
fn tree(dir: &Path, bytes: usize) -> BTreeMap<String, Vec<TokenId>> {
    let mut dice = Dice(SEED);
    let mut planted = BTreeMap::new();
    let kinds: Vec<Kind> = kinds().collect();
    for number in 0..bytes.div_ceil(FILE_BYTES) {
        let mut content = match number % 3 {
            0 => noise(&mut dice),
            1 => source(&mut dice),
            _ => near_misses(&mut dice),
        };
        // Each in a part of its own, so that none writes over another.
        let part = content.len() / usize::try_from(PLANTED).unwrap();
        let mut ids = Vec::new();
        for place in 0..PLANTED {
            let kind = kinds[dice.below(kinds.len())];
            let (text, id) = token(kind, dice.next());
            let at = usize::try_from(place).unwrap() * part + dice.below(part - text.len());
            content[at..at + text.len()].copy_from_slice(text.as_bytes());
            ids.push(id);
        }
        let below = dir.join(format!("d{}", number % 7));
        fs::create_dir_all(&below).unwrap();
        let path = below.join(format!("f{number}"));
        fs::write(&path, content).unwrap();
        planted.insert(path.to_string_lossy().into_owned(), ids);
    }
    planted
}

/// Looks through a tree of so many bytes; gives the rate in megabytes per second.
fn looked_through(bytes: usize) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let planted = tree(dir.path(), bytes);
    let (mut scanner, mut told) = (scanner(), Told::default());
    let watch = Stopwatch::start();
    scanner.path(dir.path(), &mut told);
    let took = watch.elapsed();
    let mut found: BTreeMap<String, Vec<TokenId>> = BTreeMap::new();
    for (path, _, _, _, id, _) in told.0 {
        found.entry(path).or_default().push(id);
    }
    assert_eq!(found.values().map(Vec::len).sum::<usize>(), planted.len() * 25);
    assert!(found == planted, "something else was found than was planted");
    let tally = scanner.tally();
    assert!(tally.bytes >= u64::try_from(bytes).unwrap() && tally.unread == 0);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = tally.bytes as f64 / 1e6 / took.as_secs_f64();
    println!(
        "{} files, {} bytes, {} tokens planted and found, nothing else, {rate:.0} MB/s",
        tally.files,
        tally.bytes,
        planted.len() * 25
    );
    rate
}

#[test]
fn every_planted_token_of_a_small_tree_is_found_and_nothing_else() {
    looked_through(20_000_000);
}

#[test]
#[ignore = "long: writes and looks through a tree of 1 GB"]
fn every_planted_token_of_a_large_tree_is_found_at_500_megabytes_a_second() {
    let rate = looked_through(1_000_000_000);
    // Without optimisation it says nothing about what people run.
    assert!(cfg!(debug_assertions) || rate >= RATE_MIN, "{rate:.0} MB/s");
}
