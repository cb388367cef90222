//! Brown-outs: short refusals before the end of a token, announced beforehand, so that whatever
//! still uses it is noticed while it can be mended.
//!
//! A rule of the clock, the token's beginning and its end alone: nothing is stored, and every node
//! knows the same.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::notice;
use crate::policy::BadPolicy;

const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

/// Seconds from when the first letter about the end is due to the first of them at the earliest.
const NOTICE_SECONDS: i64 = DAY_SECONDS;

/// Days before the end that they may begin: as long as ends are told of.
const DAYS: std::ops::RangeInclusive<u32> = 1..=30;
/// Hours from one to the next: a week at most, so that none of the days is without one.
const EVERY_HOURS: std::ops::RangeInclusive<u32> = 1..=168;

/// When tokens are refused before their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brownout {
    /// In so many last days of a token, 1 to 30.
    pub days: u32,
    /// The first one at the beginning of these days, and then every so many hours, 1 to 168. Those
    /// that would come before the end was told of are left out.
    pub every_hours: u32,
    /// For so many seconds, half of the time between two at most.
    pub seconds: u32,
}

/// A time in which a token is refused, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant behind it.
    pub until: Timestamp,
}

impl Window {
    /// Whether an instant lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

impl Brownout {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), BadPolicy> {
        let bad = |field, why| Err(BadPolicy { field, why });
        if !DAYS.contains(&self.days) {
            return bad("brownout.days", "must be between 1 and 30");
        }
        if !EVERY_HOURS.contains(&self.every_hours) {
            return bad("brownout.every_hours", "must be between 1 and 168");
        }
        if self.seconds == 0 || i64::from(self.seconds) > self.period() / 2 {
            let why = "must be at least 1, and at most half of the time between two";
            return bad("brownout.seconds", why);
        }
        Ok(())
    }

    fn period(&self) -> i64 {
        i64::from(self.every_hours) * HOUR_SECONDS
    }

    /// The brown-out of a token that began and ends then which is on now, or the next one.
    ///
    /// Only tokens whose ends their owners are told of have any, and none before a day after the
    /// first letter about the end is due: so never in the first day of a token.
    pub fn window(
        &self,
        kind: Kind,
        began: Timestamp,
        ends: Timestamp,
        now: Timestamp,
    ) -> Option<Window> {
        if !notice::is_persons(kind) {
            return None;
        }
        let told = notice::first(kind, began, ends, began)?.plus_seconds(NOTICE_SECONDS);
        let first = ends.plus_seconds(-i64::from(self.days) * DAY_SECONDS);
        let period = self.period().max(1) * crate::clock::MICROS_PER_SECOND;
        let left_out = ((told.micros() - first.micros()).max(0) + period - 1) / period;
        let behind = ((now.micros() - first.micros()).max(0) / period).max(left_out);
        let from_number = |number: i64| {
            let from = Timestamp::from_micros(first.micros() + number * period);
            let until = from.plus_seconds(i64::from(self.seconds)).min(ends);
            Window { from, until }
        };
        let windows = [from_number(behind), from_number(behind + 1)];
        windows.into_iter().find(|window| now < window.until && window.from < ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Brownout = Brownout { days: 2, every_hours: 12, seconds: 300 };
    const PAT: Kind = Kind::PersonalAccessToken;

    fn is_on(rule: Brownout, began: Timestamp, ends: Timestamp, now: Timestamp) -> bool {
        rule.window(PAT, began, ends, now).is_some_and(|window| window.contains(now))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// The end of the token.
    const END: i64 = 1_000_000;
    const FIRST: i64 = END - 2 * DAY_SECONDS;
    const PERIOD: i64 = 12 * HOUR_SECONDS;

    #[test]
    fn a_token_is_refused_at_the_beginning_of_each_period_of_its_last_days() {
        let on = |seconds: i64| is_on(RULE, at(END - 90 * DAY_SECONDS), at(END), at(seconds));
        for number in 0..4 {
            let from = FIRST + number * PERIOD;
            assert!(!on(from - 1) && on(from) && on(from + 299) && !on(from + 300), "{number}");
        }
        assert!(!on(FIRST - PERIOD) && !on(END) && !on(END + 1));
    }

    #[test]
    fn the_next_one_is_announced_until_there_is_none() {
        let next = |seconds: i64| {
            let next = RULE.window(PAT, at(END - 90 * DAY_SECONDS), at(END), at(seconds));
            next.map(|w| (w.from.seconds(), w.until.seconds()))
        };
        let of = |from: i64| Some((from, from + 300));
        assert_eq!(next(0), of(FIRST));
        assert_eq!(next(FIRST), of(FIRST));
        assert_eq!(next(FIRST + 300), of(FIRST + PERIOD));
        assert_eq!(next(END - PERIOD + 299), of(END - PERIOD));
        assert_eq!(next(END - PERIOD + 300), None);
    }

    /// A rule for thirty days, and tokens that live for no longer than that.
    #[test]
    fn a_new_token_is_not_refused_before_its_end_was_told_of() {
        let rule = Brownout { days: 30, every_hours: 24, seconds: 3_600 };
        let day = |days: i64| at(days * DAY_SECONDS);
        let next = |lives: i64, now: Timestamp| {
            let window = rule.window(PAT, day(0), day(lives), now)?;
            Some(window.from.seconds() / DAY_SECONDS)
        };
        // The letters are due 30, 14, 7 and 1 days before the end, and each token has a day after
        // the first one that lies behind its issue.
        for (lives, first) in [
            (90, Some(61)),
            (31, Some(2)),
            (30, Some(17)),
            (15, Some(2)),
            (14, Some(8)),
            (8, Some(2)),
            (7, None),
            (2, None),
            (1, None),
        ] {
            assert_eq!(next(lives, day(0)), first, "{lives}");
            for hour in 0..24 {
                let now = at(hour * HOUR_SECONDS);
                assert!(!is_on(rule, day(0), day(lives), now), "{lives} days, hour {hour}");
            }
        }
        assert!(is_on(rule, day(0), day(30), day(17)) && !is_on(rule, day(0), day(30), day(16)));
        assert_eq!(next(30, at(17 * DAY_SECONDS + 3_600)), Some(18));
        // Tokens of whose ends nobody is told have none.
        assert_eq!(rule.window(Kind::Generic, day(0), day(30), day(17)), None);
    }

    #[test]
    fn numbers_that_would_leave_no_time_to_work_are_refused() {
        assert_eq!(RULE.check(), Ok(()));
        let field = |rule: Brownout| rule.check().unwrap_err().field;
        assert_eq!(field(Brownout { days: 0, ..RULE }), "brownout.days");
        assert_eq!(field(Brownout { days: 31, ..RULE }), "brownout.days");
        assert_eq!(field(Brownout { every_hours: 169, ..RULE }), "brownout.every_hours");
        assert_eq!(field(Brownout { seconds: 0, ..RULE }), "brownout.seconds");
        assert_eq!(field(Brownout { seconds: 21_601, ..RULE }), "brownout.seconds");
    }
}
