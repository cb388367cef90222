//! Answers of peers as nobody means them: what tests of parsers change texts with.

use serde_json::Value;

/// A generator that needs no seed from outside: the same run finds the same.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % end.max(1)
    }
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
