//! Files as nobody means them: the corpus in `fuzz/corpus/import` on every run, and its mutations
//! for as long as `cargo xtask fuzz` says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use counterfoil_authority::foreign::{ForeignHash, ForeignKey, Recipe};
use counterfoil_authority::names::{ServiceLabel, Username};

use super::lines::Options;
use super::privacyidea::Reading;
use super::{htpasswd, ldif, privacyidea, table, unkey, user_password};
use crate::clock::Stopwatch;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/import");
/// How long a single input may take: nothing is hashed while a file is read.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Characters that mean something in these files.
const TELLING: &[u8] = b"$:{}[]\",;=\n\r\\/.0x\xff\x00";

fn corpus() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(Path::new(CORPUS)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Gives the input to every reader. Each token that comes of it names somebody.
fn read(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let options = Options {
        system: "fuzz",
        realm: "main".into(),
        zone: "Europe/Berlin".into(),
        service: ServiceLabel::parse("wiki").ok(),
        owner: Username::parse("ann").ok(),
        existing_people: false,
        plain: true,
    };
    let mut reads = vec![htpasswd::map(&text, "file", &options)];
    reads.extend(table::map(&text, "file", &options));
    reads.extend(unkey::map(&text, "file", &options));
    let reading = Reading { key: None, from_realm: None, drop_pins: true };
    reads.extend(privacyidea::map(&text, "file", reading, &options));
    if let Ok(entries) = ldif::entries(&text, &"file".into()) {
        reads.push(user_password::map(&entries, ("uid", "userpassword"), &options));
    }
    for read in reads {
        let lines = read.rows.values().sum::<usize>();
        assert!(read.skipped.len() <= lines + 1, "{} of {lines}", read.skipped.len());
    }
    for line in text.lines() {
        drop(ForeignKey::parse(line));
        let Ok(hash) = ForeignHash::of_any(line) else { continue };
        assert_eq!(Recipe::from_text(&hash.recipe.text()), Some(hash.recipe));
    }
}

#[test]
fn the_corpus_is_read_or_refused() {
    let corpus = corpus();
    assert!(corpus.len() >= 8, "only {} inputs", corpus.len());
    for input in corpus {
        read(&input);
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
}

/// Changes an input in a few places.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        match dice.below(6) {
            0 if at < input.len() => input[at] = TELLING[dice.below(TELLING.len())],
            1 if at < input.len() => input[at] ^= 1 << dice.below(8),
            2 => input.insert(at, TELLING[dice.below(TELLING.len())]),
            3 if at < input.len() => drop(input.remove(at)),
            4 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                let to = from + dice.below(other.len() - from + 1);
                input.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let end = at + dice.below(input.len() - at + 1);
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece.repeat(1 + dice.below(8)));
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

/// Mutates for some time; shows the input of a panic, which belongs into the corpus then.
fn run(patience: Duration) -> u64 {
    let corpus = corpus();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (whole, mut inputs) = (Stopwatch::start(), 0);
    while whole.elapsed() < patience {
        let input = mutated(&mut dice, &corpus);
        let one = Stopwatch::start();
        let decided = std::panic::catch_unwind(|| read(&input));
        let shown = || data_encoding::HEXLOWER.encode(&input);
        assert!(decided.is_ok(), "a panic over {}", shown());
        assert!(one.elapsed() < PATIENCE, "{:?} over {}", one.elapsed(), shown());
        inputs += 1;
    }
    inputs
}

#[test]
fn mutations_of_files_are_read_or_refused() {
    assert!(run(Duration::from_secs(2)) > 100);
}

#[test]
#[ignore = "long: mutates files for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_files_are_read_or_refused_for_a_long_time() {
    let asked = std::env::var("COUNTERFOIL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let inputs = run(Duration::from_secs(asked.unwrap_or(600)));
    println!("{inputs} inputs");
}
