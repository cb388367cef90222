//! Inputs as nobody means them: what tests of parsers change files, messages and answers with, and
//! how long they do.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::Value;

use crate::clock::Stopwatch;

/// Where every run begins, unless a test says otherwise.
pub(crate) const SEED: u64 = 0x2545_f491_4f6c_dd1d;
/// How long those that look at a single input of a few KiB may take, without a store.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of a piece that is said again at most.
const PIECE_BYTES_MAX: usize = 200;

/// A generator that needs no seed from outside: the same run finds the same.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to before the end.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(0) % end.max(1)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }
}

/// The files of `fuzz/corpus/NAME` with their names, in the order of those.
pub(crate) fn corpus_files(name: &str) -> Vec<(String, Vec<u8>)> {
    let dir = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// The files of `fuzz/corpus/NAME`.
pub(crate) fn corpus(name: &str) -> Vec<Vec<u8>> {
    corpus_files(name).into_iter().map(|(_, content)| content).collect()
}

/// How the bytes of an input are changed.
pub(crate) struct Changes<'a, T> {
    /// Bytes and words that mean something to the parser.
    pub(crate) telling: &'a [T],
    /// Bytes of an input at most.
    pub(crate) bytes_max: usize,
}

impl<T: AsRef<[u8]>> Changes<'_, T> {
    /// One of the inputs, changed in a few places.
    pub(crate) fn mutated(&self, dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[dice.below(corpus.len())].clone();
        for _ in 0..=dice.below(6) {
            self.place(dice, &mut input, corpus);
        }
        input
    }

    /// Changes an input in one place.
    pub(crate) fn place(&self, dice: &mut Dice, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = dice.below(input.len() + 1);
        match dice.below(8) {
            0 if at < input.len() => input[at] = dice.byte(),
            1 if at < input.len() => input[at] ^= 1 << dice.below(8),
            2 if at < input.len() => drop(input.remove(at)),
            // More often, and little of what is behind would be reached.
            3 if dice.below(3) == 0 => input.truncate(at),
            4 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                let to = from + dice.below(other.len() - from + 1);
                input.splice(at..at, other[from..to].iter().copied());
            }
            5 => {
                let end = at + dice.below((input.len() - at).min(PIECE_BYTES_MAX) + 1);
                let piece = input[at..end].to_vec();
                // Rarely very often: what is nested deeply, or long.
                let most = if dice.below(20) == 0 { 400 } else { 8 };
                input.splice(at..at, piece.repeat(1 + dice.below(most)));
            }
            _ => {
                let telling = self.telling[dice.below(self.telling.len())].as_ref();
                let length = if dice.below(2) == 0 { 0 } else { telling.len() };
                let end = (at + length).min(input.len());
                input.splice(at..end, telling.iter().copied());
            }
        }
        input.truncate(self.bytes_max);
    }
}

/// Gives an input to those that look at it. Shows one over which they panic, or which takes them
/// longer than `patience`: it belongs into the corpus then.
pub(crate) fn decided<A>(input: &[u8], patience: Duration, decide: impl FnOnce(&[u8]) -> A) -> A {
    let watch = Stopwatch::start();
    let answer = catch_unwind(AssertUnwindSafe(|| decide(input)));
    let took = watch.elapsed();
    let Ok(answer) = answer else { panic!("a panic over b\"{}\"", input.escape_ascii()) };
    assert!(took < patience, "{took:?} over b\"{}\"", input.escape_ascii());
    answer
}

/// Has one input after the other decided about for so long; says how many there were.
pub(crate) fn for_a_while(
    time: Duration,
    mut next: impl FnMut() -> Vec<u8>,
    mut decide: impl FnMut(&[u8]),
) -> u64 {
    let (whole, mut inputs) = (Stopwatch::start(), 0);
    while whole.elapsed() < time {
        decided(&next(), PATIENCE, &mut decide);
        inputs += 1;
    }
    inputs
}

/// How long `cargo xtask fuzz` says that a test mutates: 600 seconds, if nothing says so.
pub(crate) fn asked_time() -> Duration {
    let asked = std::env::var("COUNTERFOIL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(600))
}

/// What may stand anywhere in JSON.
const VALUES: [&str; 14] = [
    "null",
    "true",
    "0",
    "-1",
    "1e308",
    "9223372036854775808",
    "18446744073709551616",
    "\"\"",
    "\"\\u0000\"",
    "\"\u{202e}\"",
    "\"2026-02-30T25:00:00Z\"",
    "[]",
    "{}",
    "[[[[[[[[]]]]]]]]",
];

/// A text with a few bytes changed, or a value put in the place of another one.
pub(crate) fn mutated(dice: &mut Dice, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if dice.below(4) == 0 => bytes.truncate(at),
            3 => {
                let end = at + dice.below(bytes.len() - at + 1);
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece.repeat(1 + dice.below(4)));
            }
            _ => {
                // From a colon, a bracket or a comma on, where a value begins.
                let begins = |byte: &u8| matches!(byte, b':' | b'[' | b',');
                let Some(from) = bytes[at.min(bytes.len())..].iter().position(begins) else {
                    continue;
                };
                let from = at + from + 1;
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']');
                let length = bytes[from..].iter().position(ends).unwrap_or(0);
                let value = VALUES[dice.below(VALUES.len())];
                bytes.splice(from..from + length, value.bytes());
            }
        }
    }
    bytes
}

/// Mutations of texts, of which every one is given to `decide`, those that are JSON as such.
/// Most of them are, or little would be tried.
pub(crate) fn try_json(texts: &[String], rounds: usize, mut decide: impl FnMut(Value)) {
    let (mut dice, mut read) = (Dice(0x2545_f491_4f6c_dd1d), 0);
    for round in 0..rounds {
        let bytes = mutated(&mut dice, &texts[round % texts.len()]);
        if let Ok(value) = serde_json::from_slice(&bytes) {
            decide(value);
            read += 1;
        }
    }
    assert!(read * 5 > rounds, "{read} of {rounds} are JSON");
}
