//! The breaker of one repository: what failed often is asked again later, and seldom.

use crate::clock::Timestamp;

/// Failures in a row after which nobody is sent there for a while.
const FAILURES_MAX: u32 = 5;
/// The first pause, in seconds; each that follows is twice as long.
const PAUSE_SECONDS_MIN: i64 = 1;
/// The longest pause, in seconds: a repository that is back is used again within half a minute.
const PAUSE_SECONDS_MAX: i64 = 30;

/// How a repository behaved lately.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    pause_seconds: i64,
    /// Nobody is sent there before.
    closed_until: Option<Timestamp>,
    /// Somebody was sent there to see whether it is back.
    probing_since: Option<Timestamp>,
}

impl Breaker {
    /// Whether one may ask now. After a pause one asks for all, the others wait for the answer.
    pub(super) fn admits(&mut self, now: Timestamp) -> bool {
        let Some(until) = self.closed_until else { return true };
        if now < until {
            return false;
        }
        // Who was sent and never came back holds nobody up for longer than the shortest pause.
        let probing = self.probing_since.is_some_and(|at| now < at.plus_seconds(PAUSE_SECONDS_MIN));
        if probing {
            return false;
        }
        self.probing_since = Some(now);
        true
    }

    /// Whether nobody is sent there at the moment.
    pub(super) fn is_open(&self) -> bool {
        self.closed_until.is_some()
    }

    /// It answered.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It did not answer.
    pub(super) fn failed(&mut self, now: Timestamp) {
        // A call that was under way when the pause began says nothing new.
        if self.closed_until.is_some_and(|until| now < until) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.probing_since = None;
        if self.failures >= FAILURES_MAX {
            let longer = self.pause_seconds.saturating_mul(2);
            self.pause_seconds = longer.clamp(PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX);
            self.closed_until = Some(now.plus_seconds(self.pause_seconds));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_failures_one_at_a_time_asks_whether_it_is_back() {
        let mut breaker = Breaker::default();
        let at = Timestamp::from_seconds;
        for _ in 0..5 {
            assert!(breaker.admits(at(100)));
            breaker.failed(at(100));
        }
        assert!(breaker.is_open() && !breaker.admits(at(100)));
        assert!(breaker.admits(at(101)) && !breaker.admits(at(101)));
        breaker.failed(at(101));
        // Twice as long.
        assert!(!breaker.admits(at(102)) && breaker.admits(at(103)));
        breaker.succeeded();
        assert!(breaker.admits(at(103)) && breaker.admits(at(103)) && !breaker.is_open());
    }

    #[test]
    fn calls_that_were_under_way_together_make_one_pause() {
        let mut breaker = Breaker::default();
        let at = Timestamp::from_seconds;
        for _ in 0..64 {
            breaker.failed(at(100));
        }
        assert!(!breaker.admits(at(100)) && breaker.admits(at(101)));
        breaker.failed(at(101));
        assert!(!breaker.admits(at(102)) && breaker.admits(at(103)), "and the next is longer");
    }

    #[test]
    fn a_success_between_failures_counts_them_anew() {
        let mut breaker = Breaker::default();
        for second in 0..20 {
            breaker.failed(Timestamp::from_seconds(second));
            if second % 4 == 3 {
                breaker.succeeded();
            }
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_pause_is_never_longer_than_half_a_minute() {
        let mut breaker = Breaker::default();
        for second in 0..1000 {
            breaker.failed(Timestamp::from_seconds(second));
        }
        assert!(breaker.admits(Timestamp::from_seconds(999 + PAUSE_SECONDS_MAX)));
    }
}
