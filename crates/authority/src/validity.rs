//! When a token counts: the one rule about `not_before` and `expires_at`.

use crate::clock::Timestamp;

/// From `not_before`, until just before `expires_at`.
///
/// Half-open, as RFC 7519 has it: `nbf` is the first instant that counts
/// (section 4.1.5), `exp` the first that no longer does (section 4.1.4).
///
/// Invariant: `not_before < expires_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    not_before: Timestamp,
    /// [`Timestamp::NEVER`] without one: an option is eight bytes more, in every token in memory.
    end: Timestamp,
}

/// The end does not lie after the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expires_at must lie after not_before")]
pub struct Inverted;

/// Where an instant lies relative to a validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before `not_before`.
    Before,
    /// Inside.
    Within,
    /// At or after `expires_at`.
    After,
}

impl Validity {
    /// A validity from `not_before` to `expires_at`; `None` never ends.
    pub fn new(not_before: Timestamp, expires_at: Option<Timestamp>) -> Result<Self, Inverted> {
        match expires_at {
            Some(end) if end <= not_before => Err(Inverted),
            _ => Ok(Self { not_before, end: expires_at.unwrap_or(Timestamp::NEVER) }),
        }
    }

    /// The first instant that counts.
    pub const fn not_before(self) -> Timestamp {
        self.not_before
    }

    /// The first instant that no longer counts.
    pub const fn expires_at(self) -> Option<Timestamp> {
        if self.end.micros() == Timestamp::NEVER.micros() { None } else { Some(self.end) }
    }

    /// Where `now` lies.
    pub fn phase(self, now: Timestamp) -> Phase {
        if now < self.not_before {
            Phase::Before
        } else if self.expires_at().is_some_and(|end| end <= now) {
            Phase::After
        } else {
            Phase::Within
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_instant_counts_and_the_last_does_not() {
        let at = Timestamp::from_micros;
        let validity = Validity::new(at(10), Some(at(20))).unwrap();
        assert_eq!(validity.phase(at(9)), Phase::Before);
        assert_eq!(validity.phase(at(10)), Phase::Within);
        assert_eq!(validity.phase(at(19)), Phase::Within);
        assert_eq!(validity.phase(at(20)), Phase::After);
        assert_eq!(Validity::new(at(20), Some(at(20))), Err(Inverted));
    }

    #[test]
    fn one_without_an_end_counts_for_ever() {
        let at = Timestamp::from_micros;
        let validity = Validity::new(at(10), None).unwrap();
        assert_eq!(validity.expires_at(), None);
        assert_eq!(validity.phase(at(i64::MAX)), Phase::Within);
        assert_eq!(
            Validity::new(at(10), Some(at(i64::MAX - 1))).unwrap().phase(at(i64::MAX)),
            Phase::After
        );
    }
}
