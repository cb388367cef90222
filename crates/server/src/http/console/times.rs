//! Instants as people read them: how far away, and exactly when.

use counterfoil_authority::clock::Timestamp;

use super::words::Language;
use crate::http::wire::time;

/// An instant on a page.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// How far away it is.
    pub(super) words: String,
    /// RFC 3339, in UTC: for the machine, and shown when somebody points at the words.
    pub(super) exact: String,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Moment {
    /// An instant as seen from `now`.
    pub(super) fn of(language: Language, at: Timestamp, now: Timestamp) -> Self {
        let seconds = (at.micros() - now.micros()) / 1_000_000;
        let (ahead, away) = (seconds > 0, seconds.abs());
        let (id, count) = match (ahead, away) {
            (_, 0..MINUTE) => ("", 0),
            (true, ..HOUR) => ("time-in-minutes", away / MINUTE),
            (true, ..DAY) => ("time-in-hours", away / HOUR),
            (true, _) => ("time-in-days", (away + DAY / 2) / DAY),
            (false, ..HOUR) => ("time-minutes-ago", away / MINUTE),
            (false, ..DAY) => ("time-hours-ago", away / HOUR),
            (false, _) => ("time-days-ago", away / DAY),
        };
        let words =
            if id.is_empty() { language.say("time-now") } else { language.count(id, count) };
        Self { words, exact: time(at) }
    }
}

/// A span, in its largest exact unit.
pub(super) fn span(language: Language, seconds: i64) -> String {
    let (id, unit) = match seconds {
        _ if seconds % DAY == 0 => ("span-days", DAY),
        _ if seconds % HOUR == 0 => ("span-hours", HOUR),
        _ => ("span-minutes", MINUTE),
    };
    language.count(id, (seconds / unit).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_as_far_away_as_it_is() {
        let now = Timestamp::from_seconds(1_000_000_000);
        let words = |away: i64| Moment::of(Language::English, now.plus_seconds(away), now).words;
        assert_eq!(words(0), "just now");
        assert_eq!(words(-59), "just now");
        assert_eq!(words(-60), "1 minute ago");
        assert_eq!(words(-7_300), "2 hours ago");
        assert_eq!(words(86_400 * 90), "in 90 days");
        assert_eq!(words(3_599), "in 59 minutes");
        // Issued a moment ago, for as long as was asked for.
        assert_eq!(words(86_400 * 90 - 5), "in 90 days");
    }

    #[test]
    fn a_span_is_said_in_its_largest_exact_unit() {
        assert_eq!(span(Language::English, 86_400), "1 day");
        assert_eq!(span(Language::German, 7_200), "2 Stunden");
        assert_eq!(span(Language::English, 90), "1 minute");
    }
}
