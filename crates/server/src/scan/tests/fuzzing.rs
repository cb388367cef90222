//! Anything as a stream, and anything as a report: the corpora in `fuzz/corpus` on every run, and
//! their mutations for as long as `cargo xtask fuzz` says.
//!
//! No file of a corpus holds a whole token, which scanners of this repository would find; `@TOKEN@`
//! in it stands for one.

use std::time::Duration;

use counterfoil_authority::secret::{Shape, shape_of};

use super::*;
use crate::http::leaks;
use crate::http::problem::Sort;
use crate::mutations::{Changes, Dice, PATIENCE, SEED, asked_time, corpus, decided, for_a_while};

/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// The files of a corpus, with a token in its place.
fn filled(name: &str) -> Vec<Vec<u8>> {
    let (whole, _) = token(Kind::ServiceToken, 77);
    let fill = |content: Vec<u8>| {
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
    corpus(name).into_iter().map(fill).collect()
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

/// Bytes that mean something to one of the two.
const TELLING: &[u8] = b"cflpsr_09Zz\n\"\\[]{},:\0\xff";

fn run(time: Duration) -> u64 {
    let changes = Changes { telling: TELLING.as_chunks::<1>().0, bytes_max: INPUT_BYTES_MAX };
    let corpus = [filled("scan"), filled("leak-report")].concat();
    let mut dice = Dice(SEED);
    for_a_while(time, || changes.mutated(&mut dice, &corpus), fuzz)
}

#[test]
fn the_corpora_are_looked_through_and_read() {
    let (streams, reports) = (filled("scan"), filled("leak-report"));
    assert!(streams.len() >= 14 && reports.len() >= 15);
    for input in streams.iter().chain(&reports) {
        decided(input, PATIENCE, fuzz);
    }
}

#[test]
fn mutations_of_streams_and_reports_are_looked_through() {
    assert!(run(Duration::from_secs(2)) > 20);
}

#[test]
#[ignore = "long: mutates streams and reports for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_streams_and_reports_are_looked_through_for_a_long_time() {
    let inputs = run(asked_time());
    println!("{inputs} inputs");
}
