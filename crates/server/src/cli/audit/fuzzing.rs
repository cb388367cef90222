//! Exports, checkpoints, keys and proofs as nobody means them: the corpus in `fuzz/corpus/audit`
//! and a sound export on every run, and their mutations for as long as `cargo xtask fuzz` says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use counterfoil_authority::audit::export::{Entry, Header, entry_line, last_line, last_of};
use counterfoil_authority::audit::note::{Checkpoint, SigningKey, VerifierKey};
use counterfoil_authority::audit::tree::{
    Frontier, Hash, leaf_hash, proves_consistency, proves_inclusion,
};
use counterfoil_authority::audit::verify::Verifier;
use counterfoil_authority::keys::Key;

use crate::clock::Stopwatch;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/audit");
const ORIGIN: &str = "counterfoil.0d6f1c2e9a7b4453/main";
/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 16 * 1024;
/// How long a single input may take.
const PATIENCE: Duration = Duration::from_millis(500);

fn key() -> SigningKey {
    SigningKey::new(&Key::new(1, [5; 32])).unwrap()
}

/// An export that verifies.
fn sound() -> Vec<u8> {
    let mut tree = Frontier::default();
    let leaves: Vec<Hash> = (0..5_u8).map(|number| leaf_hash(&[number])).collect();
    let mut file = Header::new(ORIGIN, &tree, 5).line() + "\n";
    for (place, leaf) in (0..).zip(&leaves) {
        tree.push(*leaf, drop);
        file += &(entry_line(place, leaf, None) + "\n");
    }
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 5, root: tree.root() };
    file += &(last_line(&checkpoint.signed(&key())) + "\n");
    file.into_bytes()
}

fn corpus() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(Path::new(CORPUS)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let files = paths.iter().map(|path| fs::read(path).unwrap());
    files.chain([sound()]).collect()
}

fn verified(input: &[u8]) -> bool {
    let mut verifier = Verifier::new(vec![key().verifier(ORIGIN)], Vec::new());
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        if verifier.line(line).is_err() {
            return false;
        }
    }
    verifier.finish().is_ok()
}

/// Reads an input as everything it could be. Nothing but the sound export may verify.
fn fuzz(input: &[u8], sound: &[u8]) {
    assert!(!verified(input) || input == sound, "a changed export verifies");
    let text = String::from_utf8_lossy(input);
    let keys = [key().verifier(ORIGIN)];
    let _ = Checkpoint::open(&text, &keys);
    if let Some(key) = VerifierKey::parse(&text) {
        assert_eq!(key.to_string(), text, "a key has one way to be written");
    }
    for line in text.lines() {
        let _ = (Entry::parse(line), last_of(line));
        if let Some(header) = Header::parse(line) {
            assert_eq!(header.line(), line);
            let _ = header.before();
        }
    }
    // The bytes as numbers and hashes of a proof.
    let (numbers, rest) = input.split_at(input.len().min(16));
    let number = |at: usize| {
        let bytes = numbers.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    let (hashes, _) = rest.as_chunks::<32>();
    let (from, to) = (number(0), number(8));
    let none = [0; 32];
    assert!(!proves_inclusion(&none, from, to, hashes, &[1; 32]) || hashes.len() > 1);
    assert!(!proves_consistency((from, &none), (to, &[1; 32]), hashes) || hashes.len() > 1);
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

/// Changes an input in a few places.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        match dice.below(7) {
            0 if at < input.len() => input[at] = dice.byte(),
            1 if at < input.len() => input[at] ^= 1 << dice.below(8),
            2 => input.insert(at, b"\n\"{}+=,: "[dice.below(9)]),
            3 if at < input.len() => drop(input.remove(at)),
            4 => input.truncate(at),
            5 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                let to = from + dice.below(other.len() - from + 1);
                input.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let end = at + dice.below(input.len() - at + 1);
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece.repeat(1 + dice.below(4)));
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

/// Mutates for some time; shows the input of a panic, which belongs into the corpus then.
fn run(patience: Duration) -> u64 {
    let (corpus, sound) = (corpus(), sound());
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (whole, mut inputs) = (Stopwatch::start(), 0);
    while whole.elapsed() < patience {
        let input = mutated(&mut dice, &corpus);
        let one = Stopwatch::start();
        let decided = std::panic::catch_unwind(|| fuzz(&input, &sound));
        let shown = || data_encoding::HEXLOWER.encode(&input);
        assert!(decided.is_ok(), "a panic over {}", shown());
        assert!(one.elapsed() < PATIENCE, "{:?} over {}", one.elapsed(), shown());
        inputs += 1;
    }
    inputs
}

#[test]
fn the_corpus_is_read_and_only_a_sound_export_verifies() {
    let (corpus, sound) = (corpus(), sound());
    assert!(corpus.len() >= 8 && verified(&sound), "{} inputs", corpus.len());
    for input in corpus {
        fuzz(&input, &sound);
    }
}

#[test]
fn mutations_of_exports_are_decided_about() {
    assert!(run(Duration::from_secs(2)) > 100);
}

#[test]
#[ignore = "long: mutates exports for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_exports_are_decided_about_for_a_long_time() {
    let asked = std::env::var("COUNTERFOIL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let inputs = run(Duration::from_secs(asked.unwrap_or(600)));
    println!("{inputs} inputs");
}
