//! Messages as nobody means them: the corpus in `fuzz/corpus/ldap` on every run, and its mutations
//! for as long as `cargo xtask fuzz` says.

use std::time::Duration;

use super::fuzz;
use super::limits::MESSAGE_BYTES_MAX;
use crate::mutations::{Changes, Dice, PATIENCE, SEED, asked_time, corpus, decided, for_a_while};

#[test]
fn the_corpus_is_decided_about() {
    let corpus = corpus("ldap");
    assert!(corpus.len() >= 28, "only {} inputs", corpus.len());
    for input in corpus {
        decided(&input, PATIENCE, fuzz);
    }
}

/// Bytes that mean something in BER and in LDAP.
const TELLING: [u8; 24] = [
    0x00, 0x01, 0x02, 0x04, 0x0a, 0x30, 0x31, 0x42, 0x4a, 0x60, 0x63, 0x77, 0x7f, 0x80, 0x81, 0x82,
    0x84, 0x87, 0xa0, 0xa2, 0xa3, 0xa4, 0xa9, 0xff,
];

/// Changes an input in a few places. Often enough its length is right again, so that what is
/// behind it is reached.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let changes = Changes { telling: TELLING.as_chunks::<1>().0, bytes_max: MESSAGE_BYTES_MAX };
    let mut input = changes.mutated(dice, corpus);
    if dice.below(4) > 0 && input.len() > 4 {
        let content = u16::try_from(input.len() - 4).unwrap_or(u16::MAX).to_be_bytes();
        input.splice(0..4, [0x30, 0x82, content[0], content[1]]);
    }
    input
}

fn run(time: Duration) -> u64 {
    let (corpus, mut dice) = (corpus("ldap"), Dice(SEED));
    for_a_while(time, || mutated(&mut dice, &corpus), fuzz)
}

#[test]
fn mutations_of_messages_are_decided_about() {
    assert!(run(Duration::from_secs(2)) > 100);
}

#[test]
#[ignore = "long: mutates messages for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_messages_are_decided_about_for_a_long_time() {
    let inputs = run(asked_time());
    println!("{inputs} inputs");
}
