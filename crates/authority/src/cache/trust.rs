//! How long the cache is believed without news from the change log.
//!
//! A node that has not seen the end of the log for a second no longer knows what
//! others revoked. The second counts from when the confirming read was *sent*: a
//! change that was committed while the answer was under way is not in it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock::Timestamp;

/// How long one confirmation lasts, in microseconds (design rule 8).
const LASTS_MICROS: i64 = 1_000_000;
/// Nobody follows the log: whoever has the store for itself knows every change anyway.
const ALONE: i64 = i64::MAX;
/// The log is to be followed, and its end has not been seen.
const NEVER: i64 = i64::MIN;

/// When the confirming read was sent, in microseconds since the epoch.
///
/// The wall clock on purpose: it goes on while a machine sleeps, which a monotonic one need not.
/// If it is set back, the confirmation lies in the future and counts for nothing.
pub(super) struct Trust {
    confirmed: AtomicI64,
    distrusted: AtomicU64,
}

impl Default for Trust {
    fn default() -> Self {
        Self { confirmed: AtomicI64::new(ALONE), distrusted: AtomicU64::new(0) }
    }
}

impl Trust {
    /// Trusts nothing until the end of the log is seen, the first time this is called.
    pub(super) fn follow(&self) {
        // Whoever follows already goes on from what it has seen.
        let _ = self.confirmed.compare_exchange(ALONE, NEVER, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// All that was in the log at `sent` has been applied.
    pub(super) fn confirm(&self, sent: Timestamp) {
        self.confirmed.store(sent.micros(), Ordering::Release);
    }

    pub(super) fn holds(&self, now: Timestamp) -> bool {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let age = now.micros().saturating_sub(confirmed);
        (0..LASTS_MICROS).contains(&age) || confirmed == ALONE
    }

    pub(super) fn note_distrusted(&self) {
        self.distrusted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn distrusted(&self) -> u64 {
        self.distrusted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + micros)
    }

    #[test]
    fn a_confirmation_lasts_a_second_from_when_it_was_asked_for() {
        let trust = Trust::default();
        assert!(trust.holds(at(0)), "alone");
        trust.follow();
        assert!(!trust.holds(at(0)), "nothing seen yet");
        trust.confirm(at(0));
        trust.follow();
        for (micros, holds) in [(-1, false), (0, true), (999_999, true), (1_000_000, false)] {
            assert_eq!(trust.holds(at(micros)), holds, "{micros}");
        }
    }
}
