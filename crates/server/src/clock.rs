//! The machine's own clock and generator: the only place in the server that touches them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use counterfoil_authority::clock::{Clock, Entropy, NoEntropy, Timestamp};

/// The operating system's clock, UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsClock;

impl Clock for OsClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others ask")]
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
        };
        Timestamp::from_micros(micros)
    }
}

/// The operating system's random generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the generator that all others ask")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(bytes).map_err(|_| NoEntropy)
    }
}

/// Measures how long something takes, for logs and metrics. Decides nothing.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "a measurement, not a decision")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start; never negative and unmoved by changes of the wall clock.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
