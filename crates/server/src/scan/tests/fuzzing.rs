//! Anything as a stream, and anything as a report: the corpora in `fuzz/corpus` on every run, and
//! their mutations for as long as `cargo xtask fuzz` says.
//!
//! No file of a corpus holds a whole token, which scanners of this repository would find; `@TOKEN@`
//! in it stands for one.

use std::time::Duration;

use counterfoil_authority::secret::{Shape, shape_of};

use super::*;
use crate::clock::Stopwatch;
use crate::http::leaks;
use crate::http::problem::Sort;

/// How long a single input may take: it is a few KiB.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 16 * 1024;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (whole, _) = token(Kind::ServiceToken, 77);
    let read = |path: &PathBuf| {
        let content = fs::read(path).unwrap();
        let mut filled = Vec::new();
        let mut rest = &content[..];
        while let Some(at) = memchr::memmem::find(rest, b"@TOKEN@") {
            filled.extend_from_slice(&rest[..at]);
            filled.extend_from_slice(whole.as_bytes());
            rest = &rest[at + 7..];
        }
        filled.extend_from_slice(rest);
        filled
    };
    paths.iter().map(read).collect()
}

/// Whatever comes, found is what a look at every place finds, and a report is read or refused.
fn fuzz(input: &[u8]) {
    let prefix = Prefix::default();
    let at = |start: usize| {
        let text = std::str::from_utf8(input.get(start..start + 56)?).ok()?;
        let shape = shape_of(text, std::slice::from_ref(&prefix));
        matches!(shape, Shape::Prefixed { .. }).then_some(start)
    };
    let expected: Vec<usize> = (0..input.len()).filter_map(at).collect();
    for step in [1, 7, 4096] {
        let mut told = Told::default();
        let mut stream = Trickle(Cursor::new(input.to_vec()), step);
        scanner().reader("input", &mut stream, &mut told);
        assert_eq!(told.0.len(), expected.len());
        let offsets: Vec<usize> = told.0.iter().map(|one| offset(input, one.1, one.2)).collect();
        assert_eq!(offsets, expected);
    }
    if let Err(problem) = leaks::read(input) {
        assert!(matches!(problem.sort(), Sort::Malformed | Sort::Invalid));
    }
}

/// The byte at a line and column, both from 1.
fn offset(input: &[u8], line: u64, column: u64) -> usize {
    let number = |number: u64| usize::try_from(number - 1).unwrap();
    let lines = input.split(|byte| *byte == b'\n').take(number(line));
    lines.map(|line| line.len() + 1).sum::<usize>() + number(column)
}

/// A generator that needs no seed from outside: the same run finds the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % end.max(1)
    }
}

/// Bytes that mean something to one of the two.
const TELLING: &[u8] = b"cflpsr_09Zz\n\"\\[]{},:\0\xff";

fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(5) {
        let at = dice.below(input.len() + 1);
        match dice.below(6) {
            0 if at < input.len() => input[at] = TELLING[dice.below(TELLING.len())],
            1 if at < input.len() => input[at] ^= 1 << dice.below(8),
            2 => input.insert(at, TELLING[dice.below(TELLING.len())]),
            3 if at < input.len() => drop(input.remove(at)),
            4 => input.truncate(at),
            _ => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                let to = from + dice.below(other.len() - from + 1);
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

fn run(patience: Duration) -> u64 {
    let corpus = [corpus("scan"), corpus("leak-report")].concat();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (whole, mut inputs) = (Stopwatch::start(), 0);
    while whole.elapsed() < patience {
        let input = mutated(&mut dice, &corpus);
        let one = Stopwatch::start();
        let looked = std::panic::catch_unwind(|| fuzz(&input));
        assert!(looked.is_ok(), "a panic over {}", data_encoding::HEXLOWER.encode(&input));
        assert!(one.elapsed() < PATIENCE, "{:?}", one.elapsed());
        inputs += 1;
    }
    inputs
}

#[test]
fn the_corpora_are_looked_through_and_read() {
    let (streams, reports) = (corpus("scan"), corpus("leak-report"));
    assert!(streams.len() >= 14 && reports.len() >= 15);
    for input in streams.iter().chain(&reports) {
        fuzz(input);
    }
}

#[test]
fn mutations_of_streams_and_reports_are_looked_through() {
    assert!(run(Duration::from_secs(2)) > 20);
}

#[test]
#[ignore = "long: mutates streams and reports for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_streams_and_reports_are_looked_through_for_a_long_time() {
    let asked = std::env::var("COUNTERFOIL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let inputs = run(Duration::from_secs(asked.unwrap_or(600)));
    println!("{inputs} inputs");
}
