//! Time and randomness as parameters, so that tests can freeze the one and seed the other.

use std::fmt;

use jiff::{civil, tz::TimeZone};

/// An instant: microseconds since 1970-01-01T00:00:00 UTC.
///
/// Every decision reads the clock once and passes the instant on, so that one
/// request never sees two different times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// The last microsecond that every offset can still write with a year of four digits
/// (RFC 3339 section 5.6): a day before the end of the year 9999.
const MICROS_MAX: i64 = 253_402_207_199_999_999;
/// 0001-01-01T00:00:00Z.
const MICROS_MIN: i64 = -62_135_596_800_000_000;

/// Why a text is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// A local time names a different instant in every zone, so it is refused.
    #[error("a time needs an offset such as Z or +02:00 (RFC 3339)")]
    NoOffset,
    /// Neither a date nor an RFC 3339 date-time.
    #[error("not an RFC 3339 date-time (2026-11-21T21:00:00Z) or date (2026-11-21)")]
    Malformed,
    /// Outside the years 1 to 9999.
    #[error("the instant lies outside the years 1 to 9999")]
    OutOfRange,
    /// The realm names a zone that the tz database does not have.
    #[error("unknown time zone")]
    UnknownZone,
}

/// Which edge of a day a date without time stands for (design rule: a validity
/// that ends "on" a day includes that day).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayEdge {
    /// The first instant of the day.
    Start,
    /// The first instant of the day after.
    End,
}

impl Timestamp {
    /// Later than every instant that can be named.
    pub(crate) const NEVER: Self = Self(i64::MAX);

    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// An instant from microseconds since the epoch, held inside the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(MICROS_MIN, MICROS_MAX))
    }

    /// An instant from whole seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// This instant and `seconds` more, held inside the years 1 to 9999.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_micros(self.0.saturating_add(seconds.saturating_mul(MICROS_PER_SECOND)))
    }

    /// Parses an RFC 3339 date-time with offset, or a date read in `zone` at `edge`.
    pub fn parse(text: &str, zone: &str, edge: DayEdge) -> Result<Self, TimeError> {
        // A date is ten characters; anything longer must carry its offset.
        if text.len() <= 10 {
            return Self::parse_date(text, zone, edge);
        }
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Self::checked(instant.as_microsecond());
        }
        match text.parse::<civil::DateTime>() {
            Ok(_) => Err(TimeError::NoOffset),
            Err(_) => Err(TimeError::Malformed),
        }
    }

    fn parse_date(text: &str, zone: &str, edge: DayEdge) -> Result<Self, TimeError> {
        let date: civil::Date = text.parse().map_err(|_| TimeError::Malformed)?;
        let zone = TimeZone::get(zone).map_err(|_| TimeError::UnknownZone)?;
        let day = match edge {
            DayEdge::Start => date,
            DayEdge::End => date.tomorrow().map_err(|_| TimeError::OutOfRange)?,
        };
        let midnight = day.to_zoned(zone).map_err(|_| TimeError::OutOfRange)?;
        Self::checked(midnight.timestamp().as_microsecond())
    }

    fn checked(micros: i64) -> Result<Self, TimeError> {
        if (MICROS_MIN..=MICROS_MAX).contains(&micros) {
            Ok(Self(micros))
        } else {
            Err(TimeError::OutOfRange)
        }
    }
}

/// Whether the tz database knows `zone` (an IANA name such as `Europe/Berlin`).
pub fn zone_is_known(zone: &str) -> bool {
    TimeZone::get(zone).is_ok()
}

/// RFC 3339 in UTC, with a fraction only where there is one.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            // Unreachable by construction; the number is still the truth.
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// Tells the time. The one real implementation lives in the server.
pub trait Clock: Send + Sync {
    /// The present instant of this node.
    fn now(&self) -> Timestamp;
}

/// A source of secret randomness. The real one is the operating system's generator.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with unpredictable bytes.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`] when the generator failed; nothing may be issued then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The generator of the operating system failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct NoEntropy;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_instant_prints_as_one() {
        let last = Timestamp::from_micros(i64::MAX);
        assert!(last.to_string().starts_with("9999-12-"), "{last}");
        assert_eq!(Timestamp::from_micros(i64::MIN).to_string(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn an_offset_is_required_of_a_time_and_a_date_is_a_day_of_the_zone() {
        let utc = |text| Timestamp::parse(text, "UTC", DayEdge::End);
        assert_eq!(utc("2026-11-21T21:00:00"), Err(TimeError::NoOffset));
        assert_eq!(utc("yesterday"), Err(TimeError::Malformed));
        assert_eq!(utc("2026-11-21T21:00:00+01:00").unwrap().to_string(), "2026-11-21T20:00:00Z");
        assert_eq!(utc("2026-11-21").unwrap().to_string(), "2026-11-22T00:00:00Z");
        let berlin = Timestamp::parse("2026-07-01", "Europe/Berlin", DayEdge::Start).unwrap();
        assert_eq!(berlin.to_string(), "2026-06-30T22:00:00Z");
        let none = Timestamp::parse("2026-07-01", "Mars/Olympus", DayEdge::Start);
        assert_eq!(none, Err(TimeError::UnknownZone));
    }
}
