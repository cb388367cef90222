//! Exports, checkpoints, keys and proofs as nobody means them: the corpus in `fuzz/corpus/audit`
//! and a sound export on every run, and their mutations for as long as `cargo xtask fuzz` says.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil_authority::audit::export::{Entry, Header, entry_line, last_line, last_of};
use counterfoil_authority::audit::note::{Checkpoint, SigningKey, VerifierKey};
use counterfoil_authority::audit::tree::{
    Frontier, Hash, leaf_hash, proves_consistency, proves_inclusion,
};
use counterfoil_authority::audit::verify::Verifier;
use counterfoil_authority::keys::Key;

use crate::mutations::{Changes, Dice, PATIENCE, SEED, asked_time, corpus, decided, for_a_while};

const ORIGIN: &str = "counterfoil.0d6f1c2e9a7b4453/main";
/// Bytes that mean something in an export, in a key and in a proof.
const TELLING: &[u8] = b"\n\"{}+=,: ";
/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 16 * 1024;

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

/// The corpus, and the export that verifies.
fn inputs() -> Vec<Vec<u8>> {
    corpus("audit").into_iter().chain([sound()]).collect()
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

/// An export with the signature of its own key, once: other keys may sign a checkpoint as well
/// and say nothing else, also under this name, and a line that is there twice says it once.
fn of_its_own(text: &str) -> String {
    let id_of = |line: &str| {
        let signature = line.strip_prefix(&format!("\u{2014} {ORIGIN} "))?.trim_end();
        STANDARD.decode(signature).ok()?.first_chunk::<4>().copied()
    };
    let (sound, mut own) = (String::from_utf8(sound()).unwrap(), None);
    last_of(sound.lines().last().unwrap()).unwrap().lines().for_each(|line| own = id_of(line));
    assert!(own.is_some(), "the sound export is signed");
    let line = |line: &str| match last_of(line.trim_end_matches('\n')) {
        None => line.to_owned(),
        Some(note) => {
            let mut seen = BTreeSet::new();
            let counts = |line: &&str| {
                let signs = line.starts_with('\u{2014}');
                !signs || (id_of(line) == own && seen.insert((*line).to_owned()))
            };
            last_line(&note.split_inclusive('\n').filter(counts).collect::<String>()) + "\n"
        }
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Reads an input as everything it could be. Nothing but the sound export may verify.
fn fuzz(input: &[u8], sound: &[u8]) {
    let text = String::from_utf8_lossy(input);
    assert!(
        !verified(input) || input == sound || of_its_own(&text).as_bytes() == sound,
        "a changed export verifies"
    );
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

fn run(time: Duration) -> u64 {
    let changes = Changes { telling: TELLING.as_chunks::<1>().0, bytes_max: INPUT_BYTES_MAX };
    let (corpus, sound, mut dice) = (inputs(), sound(), Dice(SEED));
    for_a_while(time, || changes.mutated(&mut dice, &corpus), |input| fuzz(input, &sound))
}

#[test]
fn the_corpus_is_read_and_only_a_sound_export_verifies() {
    let (corpus, sound) = (inputs(), sound());
    assert!(corpus.len() >= 8 && verified(&sound), "{} inputs", corpus.len());
    for input in corpus {
        decided(&input, PATIENCE, |input| fuzz(input, &sound));
    }
}

#[test]
fn mutations_of_exports_are_decided_about() {
    assert!(run(Duration::from_secs(2)) > 100);
}

#[test]
#[ignore = "long: mutates exports for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_exports_are_decided_about_for_a_long_time() {
    let inputs = run(asked_time());
    println!("{inputs} inputs");
}
