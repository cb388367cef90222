//! How often verify was asked lately: samples of the counters, one a minute, for an hour.

use std::collections::VecDeque;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::verdict::{DOORS, REASONS};
use parking_lot::Mutex;

use super::Metrics;

/// Samples that are kept: an hour of them and one to begin with.
const SAMPLES_MAX: usize = 61;
/// What samples are apart at least, in microseconds: nearly a minute.
const APART_MICROS: i64 = 55_000_000;

/// The counters at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Verifications since the start that said yes.
    pub accepted: u64,
    /// Verifications since the start that said no.
    pub refused: u64,
}

/// The samples of the last hour.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<VecDeque<Sample>>);

/// How many verifications a second there were between two samples, in tenths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The end of the time.
    pub at: Timestamp,
    /// Tenths of accepted ones per second.
    pub accepted: u64,
    /// Tenths of refused ones per second.
    pub refused: u64,
}

/// The rates between the samples, the oldest first.
fn rates(samples: &[Sample]) -> Vec<Rate> {
    let between = samples.windows(2).filter_map(|pair| {
        let [before, after] = pair else { return None };
        let millis = u64::try_from((after.at.micros() - before.at.micros()) / 1_000).ok()?;
        let tenths = |from: u64, to: u64| to.saturating_sub(from) * 10_000 / millis.max(1);
        Some(Rate {
            at: after.at,
            accepted: tenths(before.accepted, after.accepted),
            refused: tenths(before.refused, after.refused),
        })
    });
    between.collect()
}

impl Metrics {
    fn sample_at(&self, at: Timestamp) -> Sample {
        let counted =
            |reason| DOORS.iter().map(|door| self.verify_count(*door, reason)).sum::<u64>();
        let refused = REASONS.iter().map(|reason| counted(Some(*reason))).sum();
        Sample { at, accepted: counted(None), refused }
    }

    /// Notes how often verify was asked so far. Called once a minute.
    pub fn sample(&self, at: Timestamp) {
        let sample = self.sample_at(at);
        let mut samples = self.samples.0.lock();
        let apart = |last: &Sample| at.micros() - last.at.micros() >= APART_MICROS;
        if samples.back().is_none_or(apart) {
            samples.push_back(sample);
        }
        while samples.len() > SAMPLES_MAX {
            samples.pop_front();
        }
    }

    /// How often verify was asked each minute of the last hour, and how often it has been asked
    /// since the start.
    pub fn verify_rates(&self, now: Timestamp) -> (Vec<Rate>, Sample) {
        let total = self.sample_at(now);
        let samples: Vec<Sample> = self.samples.0.lock().iter().copied().collect();
        (rates(&samples), total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_was_added_over_the_time_it_took() {
        let sample = |seconds, accepted, refused| Sample {
            at: Timestamp::from_seconds(seconds),
            accepted,
            refused,
        };
        let found = rates(&[sample(0, 0, 0), sample(60, 600, 6), sample(90, 603, 6)]);
        let numbers: Vec<(u64, u64)> = found.iter().map(|r| (r.accepted, r.refused)).collect();
        assert_eq!(numbers, [(100, 1), (1, 0)]);
        assert_eq!(rates(&[sample(0, 1, 1)]), []);
    }
}
