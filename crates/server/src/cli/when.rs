//! Times on the command line: a length from now, a date, an instant, or never.

use counterfoil_authority::clock::{DayEdge, TimeError, Timestamp};

/// What a time that may be `never` looks like.
const END: &str = "write 12h, 30d, 4w, 2026-12-31, an RFC 3339 time, or never";
/// What any other time looks like.
const MOMENT: &str = "write 12h, 30d, 4w, 2026-12-31, or an RFC 3339 time";
/// What a time that no clock shifts looks like.
const FIXED: &str = "write 2026-12-31 or an RFC 3339 time";

/// A time as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    /// No time at all.
    Never,
    /// So many seconds away from now; which way, the flag says.
    Away(u64),
    /// A date or an RFC 3339 time, for the server to read: a date is a day in the realm's zone.
    At(String),
}

impl When {
    /// As the API takes it, a length counted forward; `None` is never.
    pub(crate) fn ahead(&self, now: Timestamp) -> Option<String> {
        self.counted(|seconds| now.plus_seconds(seconds))
    }

    /// As the API takes it, a length counted back; `None` is never.
    pub(crate) fn back(&self, now: Timestamp) -> Option<String> {
        self.counted(|seconds| now.plus_seconds(-seconds))
    }

    fn counted(&self, from_now: impl Fn(i64) -> Timestamp) -> Option<String> {
        match self {
            Self::Never => None,
            Self::Away(seconds) => {
                Some(from_now(i64::try_from(*seconds).unwrap_or(i64::MAX)).to_string())
            }
            Self::At(text) => Some(text.clone()),
        }
    }
}

/// Seconds of `90s`, `15m`, `12h`, `30d`, `4w`; `None` for anything else.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(each)
}

/// Reads when something ends.
pub(crate) fn end(text: &str) -> Result<When, String> {
    if text == "never" { Ok(When::Never) } else { away_or_at(text, END) }
}

/// Reads a time to compare with.
pub(crate) fn moment(text: &str) -> Result<When, String> {
    away_or_at(text, MOMENT)
}

/// Reads a date or an instant.
pub(crate) fn fixed(text: &str) -> Result<String, String> {
    readable(text, FIXED).map(|()| text.to_owned())
}

fn away_or_at(text: &str, expected: &str) -> Result<When, String> {
    match seconds(text) {
        Some(seconds) => Ok(When::Away(seconds)),
        None => readable(text, expected).map(|()| When::At(text.to_owned())),
    }
}

/// Only whether it can be read: which zone a date belongs to, the server knows.
fn readable(text: &str, expected: &str) -> Result<(), String> {
    match Timestamp::parse(text, "UTC", DayEdge::Start) {
        Ok(_) => Ok(()),
        Err(TimeError::Malformed) => Err(expected.to_owned()),
        Err(other) => Err(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_length_a_time_or_never() {
        assert_eq!(end("30d"), Ok(When::Away(2_592_000)));
        assert_eq!(end("2026-12-31"), Ok(When::At("2026-12-31".into())));
        assert_eq!(end("never"), Ok(When::Never));
        for wrong in ["30x", "", "d", "soon", "-3d", "99999999999999999999w", "2026-13-01"] {
            assert_eq!(end(wrong), Err(END.to_owned()), "{wrong}");
        }
        assert!(end("2026-12-31T10:00:00").unwrap_err().contains("offset"));
        assert_eq!(moment("never"), Err(MOMENT.to_owned()));
        assert_eq!(fixed("30d"), Err(FIXED.to_owned()));
    }

    #[test]
    fn a_length_counts_from_now_either_way() {
        let day = When::Away(86_400);
        let now = Timestamp::from_seconds(86_400);
        assert_eq!(day.back(now).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(day.ahead(now).as_deref(), Some("1970-01-03T00:00:00Z"));
        assert_eq!(When::Never.ahead(now), None);
    }
}
