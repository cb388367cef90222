//! Request ids: ordered by time, never repeated, and never taken from a stranger.

use std::sync::atomic::{AtomicU32, Ordering};

use counterfoil_authority::clock::{Entropy, NoEntropy, Timestamp};
use counterfoil_authority::event::RequestId;

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

    /// The id of a request that arrived at `at`.
    pub fn issue(&self, at: Timestamp) -> RequestId {
        RequestId::of(at, self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::testing::SeededEntropy;

    use super::*;

    #[test]
    fn ids_rise_within_one_microsecond_and_with_time() {
        let ids = RequestIds::new(&SeededEntropy::new(1)).unwrap();
        let issue = |seconds| ids.issue(Timestamp::from_seconds(seconds)).to_string();
        let (first, second, later) = (issue(10), issue(10), issue(11));
        assert!(first < second && second < later);
        assert_eq!(first.len(), 30);
    }
}
