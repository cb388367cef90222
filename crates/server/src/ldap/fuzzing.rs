//! Messages as nobody means them: the corpus in `fuzz/corpus/ldap` on every run, and its mutations
//! for as long as `cargo xtask fuzz` says.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::fuzz;
use crate::clock::Stopwatch;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/ldap");

/// How long a single input may take: it is decided without the store, so it is work on a few KiB.
const PATIENCE: Duration = Duration::from_millis(500);

fn corpus() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(Path::new(CORPUS)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn the_corpus_is_decided_about() {
    let corpus = corpus();
    assert!(corpus.len() >= 28, "only {} inputs", corpus.len());
    for input in corpus {
        fuzz(&input);
    }
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

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }
}

/// Bytes that mean something in BER and in LDAP.
const TELLING: [u8; 24] = [
    0x00, 0x01, 0x02, 0x04, 0x0a, 0x30, 0x31, 0x42, 0x4a, 0x60, 0x63, 0x77, 0x7f, 0x80, 0x81, 0x82,
    0x84, 0x87, 0xa0, 0xa2, 0xa3, 0xa4, 0xa9, 0xff,
];

/// Changes an input in a few places.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        match dice.below(8) {
            0 if at < input.len() => input[at] = dice.byte(),
            1 if at < input.len() => input[at] = TELLING[dice.below(TELLING.len())],
            2 if at < input.len() => input[at] ^= 1 << dice.below(8),
            3 => input.insert(at, TELLING[dice.below(TELLING.len())]),
            4 if at < input.len() => drop(input.remove(at)),
            5 => input.truncate(at),
            6 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                let to = from + dice.below(other.len() - from + 1);
                input.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let end = at + dice.below(input.len() - at + 1);
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece.repeat(1 + dice.below(40)));
            }
        }
        input.truncate(super::limits::MESSAGE_BYTES_MAX);
    }
    // Often enough the length is right again, so that what is behind it is reached.
    if dice.below(4) > 0 && input.len() > 4 {
        let content = u16::try_from(input.len() - 4).unwrap_or(u16::MAX).to_be_bytes();
        input.splice(0..4, [0x30, 0x82, content[0], content[1]]);
    }
    input
}

fn hex(input: &[u8]) -> String {
    input.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Mutates for some time; shows the input of a panic, which belongs into the corpus then.
fn run(patience: Duration) -> u64 {
    let corpus = corpus();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (whole, mut inputs) = (Stopwatch::start(), 0);
    while whole.elapsed() < patience {
        let input = mutated(&mut dice, &corpus);
        let one = Stopwatch::start();
        let decided = std::panic::catch_unwind(|| fuzz(&input));
        assert!(decided.is_ok(), "a panic over {}", hex(&input));
        assert!(one.elapsed() < PATIENCE, "{:?} over {}", one.elapsed(), hex(&input));
        inputs += 1;
    }
    inputs
}

#[test]
fn mutations_of_messages_are_decided_about() {
    assert!(run(Duration::from_secs(2)) > 100);
}

#[test]
#[ignore = "long: mutates messages for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_messages_are_decided_about_for_a_long_time() {
    let asked = std::env::var("COUNTERFOIL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let inputs = run(Duration::from_secs(asked.unwrap_or(600)));
    println!("{inputs} inputs");
}
