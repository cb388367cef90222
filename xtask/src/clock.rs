//! The only place of the automation that reads a clock.
//!
//! Tools that measure may; everything that decides takes time as a parameter.

use std::time::{Duration, Instant};

/// A point on the machine's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "automation measures how long steps take")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The instant after which a run must stop, or never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// No end.
    pub(crate) const NEVER: Self = Self(None);

    /// Ends `limit` from now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self(now().checked_add(limit))
    }

    /// The time left; a very long one when there is no end.
    pub(crate) fn left(self) -> Duration {
        const A_DAY: Duration = Duration::from_hours(24);
        self.0.map_or(A_DAY, |end| end.saturating_duration_since(now()))
    }

    /// Whether the end has passed.
    pub(crate) fn passed(self) -> bool {
        self.left().is_zero()
    }
}
