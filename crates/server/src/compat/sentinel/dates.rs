//! Dates as the Sentinel door reads and writes them.

use counterfoil_authority::clock::{DayEdge, Timestamp};

use super::fault::Fault;

/// A time that was given in any of the accepted forms, in one that the rules read.
fn normal(text: &str) -> String {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > 10
        && let Ok(millis) = text.parse::<i64>()
    {
        return Timestamp::from_micros(millis.saturating_mul(1_000)).to_string();
    }
    if let [month, day, year] = text.split('/').collect::<Vec<_>>()[..]
        && [month, day, year].into_iter().all(digits)
    {
        return format!("{year}-{month:0>2}-{day:0>2}");
    }
    match text.split_once(' ') {
        // Without an offset it is UTC, as in every answer.
        Some((date, time)) if time.len() == 5 => format!("{date}T{time}:00Z"),
        Some((date, time)) if time.len() == 8 => format!("{date}T{time}Z"),
        _ => text.to_owned(),
    }
}

/// Reads an end. A date is the last day on which the token can be used.
pub(super) fn end(text: &str, zone: &str) -> Result<Timestamp, Fault> {
    let read = Timestamp::parse(&normal(text), zone, DayEdge::End);
    read.map_err(|why| Fault::field("expirationDate", why))
}

/// The day on which `at` lies.
fn day(at: Timestamp, zone: &str) -> String {
    let instant = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(jiff::Timestamp::MAX);
    let zoned = instant.in_tz(zone).map(|zoned| zoned.date().to_string());
    zoned.unwrap_or_else(|_| instant.strftime("%Y-%m-%d").to_string())
}

/// The end of the day that is so many days after today.
pub(super) fn end_of_day(now: Timestamp, days: u32, zone: &str) -> Result<Timestamp, Fault> {
    let today: Result<jiff::civil::Date, _> = day(now, zone).parse();
    let later = today
        .ok()
        .and_then(|day| day.checked_add(jiff::Span::new().try_days(i64::from(days)).ok()?).ok());
    let later = later.ok_or_else(|| Fault::field("expirationDate", "is too far away"))?;
    end(&later.to_string(), zone)
}

/// The last day on which something that ends at `end` counts.
pub(super) fn last_day(end: Timestamp, zone: &str) -> String {
    day(Timestamp::from_micros(end.micros() - 1), zone)
}

/// `yyyy-MM-dd HH:mm` in UTC.
pub(super) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_form_is_read() {
        let end_of_day = end("2026-12-20", "UTC").unwrap();
        assert_eq!(end("12/20/2026", "UTC").unwrap(), end_of_day);
        assert_eq!(end_of_day.to_string(), "2026-12-21T00:00:00Z");
        let noon = end("2026-12-20T12:00:00Z", "UTC").unwrap();
        for text in ["2026-12-20 12:00", "2026-12-20 12:00:00", "2026-12-20T13:00:00+01:00"] {
            assert_eq!(end(text, "UTC").unwrap(), noon, "{text}");
        }
        assert_eq!(end(&(noon.micros() / 1_000).to_string(), "UTC").unwrap(), noon);
        for text in ["tomorrow", "2026-13-01", "1/2/3/4", "2026-12-20 noon"] {
            assert!(end(text, "UTC").is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_is_one_of_the_realm() {
        let now = end("2026-11-21T23:30:00Z", "UTC").unwrap();
        assert_eq!(minute(now), "2026-11-21 23:30");
        assert_eq!(end_of_day(now, 1, "UTC").unwrap().to_string(), "2026-11-23T00:00:00Z");
        let berlin = end_of_day(now, 1, "Europe/Berlin").unwrap();
        assert_eq!(berlin.to_string(), "2026-11-23T23:00:00Z");
        assert_eq!(last_day(berlin, "Europe/Berlin"), "2026-11-23");
    }
}
