//! Request ids: ordered by time, never repeated, and never taken from a stranger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use counterfoil_authority::clock::{Entropy, NoEntropy, Timestamp};

/// Characters of an id.
const ID_LEN: usize = 30;

/// Numbers the requests of one process.
///
/// A random half tells processes apart and a counter tells requests apart, so that no request
/// has to ask the operating system for randomness.
#[derive(Debug)]
pub struct RequestIds {
    process: u32,
    next: AtomicU32,
}

impl RequestIds {
    /// Ids of a process that draws its half from `entropy`.
    pub fn new(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut process = [0; 4];
        entropy.fill(&mut process)?;
        Ok(Self { process: u32::from_le_bytes(process), next: AtomicU32::new(0) })
    }

    /// The id of a request that arrived at `at`: 30 hexadecimal digits, microseconds first.
    pub fn issue(&self, at: Timestamp) -> Arc<str> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [_, micros @ ..] = at.micros().max(0).to_be_bytes();
        let mut id = [0; ID_LEN];
        let bytes =
            micros.into_iter().chain(self.process.to_be_bytes()).chain(number.to_be_bytes());
        for (digits, byte) in id.chunks_exact_mut(2).zip(bytes) {
            digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        // Digits are text.
        std::str::from_utf8(&id).unwrap_or_default().into()
    }
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::testing::SeededEntropy;

    use super::*;

    #[test]
    fn ids_rise_within_one_microsecond_and_with_time() {
        let ids = RequestIds::new(&SeededEntropy::new(1)).unwrap();
        let first = ids.issue(Timestamp::from_seconds(10));
        let second = ids.issue(Timestamp::from_seconds(10));
        let later = ids.issue(Timestamp::from_seconds(11));
        assert!(first < second && second < later);
        assert_eq!(first.len(), 30);
    }
}
