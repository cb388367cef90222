//! AM's `SimpleTime`: hours of the day, days of the week and dates, in a zone.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The days of the week as AM writes them.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Certain times. Each pair that is given must hold; both ends are inside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SimpleTime {
    /// `HH:MM`, from its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// `HH:MM`, to its end; before the start it is that of the next day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// `mon` to `sun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_day: Option<String>,
    /// `mon` to `sun`; before the start it is that of the next week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_day: Option<String>,
    /// `YYYY:MM:DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<String>,
    /// `YYYY:MM:DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<String>,
    /// The IANA zone in which all that is read; the request's or the realm's if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforcement_time_zone: Option<String>,
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

fn day(text: &str) -> Option<Weekday> {
    let text = text.to_ascii_lowercase();
    DAYS.iter().find(|(name, _)| *name == text).map(|(_, day)| *day)
}

fn date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, [':', '-']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// A pair of texts; `Err` if there is only one of them, or one is not what it should be.
fn pair<T>(
    from: Option<&String>,
    to: Option<&String>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<(T, T)>, ()> {
    match (from, to) {
        (None, None) => Ok(None),
        (Some(from), Some(to)) => Ok(Some((parse(from).ok_or(())?, parse(to).ok_or(())?))),
        _ => Err(()),
    }
}

impl SimpleTime {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), &'static str> {
        self.times().map_err(|()| "startTime and endTime are HH:MM, both or neither")?;
        self.days().map_err(|()| "startDay and endDay are mon to sun, both or neither")?;
        match self.dates().map_err(|()| "startDate and endDate are YYYY:MM:DD, both or neither")? {
            Some((from, to)) if to < from => return Err("endDate is before startDate"),
            _ => {}
        }
        match &self.enforcement_time_zone {
            Some(zone) if TimeZone::get(zone).is_err() => {
                Err("enforcementTimeZone is no zone of the IANA time zone database")
            }
            _ => Ok(()),
        }
    }

    fn times(&self) -> Result<Option<(Time, Time)>, ()> {
        pair(self.start_time.as_ref(), self.end_time.as_ref(), time)
    }

    fn days(&self) -> Result<Option<(Weekday, Weekday)>, ()> {
        pair(self.start_day.as_ref(), self.end_day.as_ref(), day)
    }

    fn dates(&self) -> Result<Option<(Date, Date)>, ()> {
        pair(self.start_date.as_ref(), self.end_date.as_ref(), date)
    }

    fn local(&self, now: Timestamp, zone: &str) -> Option<Zoned> {
        let zone = TimeZone::get(self.enforcement_time_zone.as_deref().unwrap_or(zone)).ok()?;
        Some(jiff::Timestamp::from_microsecond(now.micros()).ok()?.to_zoned(zone))
    }

    /// Whether it holds. What cannot be read does not.
    pub fn holds(&self, now: Timestamp, zone: &str) -> bool {
        let Some(local) = self.local(now, zone) else { return false };
        let (Ok(times), Ok(days), Ok(dates)) = (self.times(), self.days(), self.dates()) else {
            return false;
        };
        let minute = local.time().with().second(0).subsec_nanosecond(0).build();
        let Ok(minute) = minute else { return false };
        let by_time = times.is_none_or(|(from, to)| {
            if from <= to { (from..=to).contains(&minute) } else { minute >= from || minute <= to }
        });
        let by_day = days.is_none_or(|(from, to)| {
            let place = |day: Weekday| day.to_monday_zero_offset();
            let (from, to, today) = (place(from), place(to), place(local.weekday()));
            if from <= to { (from..=to).contains(&today) } else { today >= from || today <= to }
        });
        let by_date = dates.is_none_or(|(from, to)| (from..=to).contains(&local.date()));
        by_time && by_day && by_date
    }

    /// The next instant at which the answer may change: an hour that is named, or midnight.
    pub fn next_edge(&self, now: Timestamp, zone: &str) -> Option<Timestamp> {
        let local = self.local(now, zone)?;
        let today = local.start_of_day().ok()?;
        let midnight = local.tomorrow().ok()?.start_of_day().ok()?;
        let at = |time: Time| local.date().to_datetime(time).to_zoned(local.time_zone().clone());
        let mut edges = vec![midnight];
        if let Ok(Some((from, to))) = self.times() {
            edges.extend(at(from).ok());
            // The last minute is inside.
            edges.extend(at(to).ok().and_then(|end| end.checked_add(1.minute()).ok()));
        }
        let next = edges.into_iter().filter(|edge| *edge > local && *edge > today).min()?;
        Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
    }
}
