//! Notices before an end: when somebody is told that a token will not be good for much longer, and
//! that it is no longer.
//!
//! A token has one notice that waits, for the next threshold that lies ahead. Whoever comes to it
//! late, after an outage say, tells of the nearest threshold that was reached and skips the others,
//! so that a pause is followed by one letter and never by a burst.

use crate::clock::Timestamp;
use crate::enrolment::NOTICE_SECONDS;
use crate::kind::Kind;

const DAY_SECONDS: i64 = 86_400;

/// How many days before its end a token of a person is told of, each once (design rule: 30, 14, 7
/// and 1 days), and that it has ended.
pub const NOTICES_DAYS: [i64; 5] = [30, 14, 7, 1, 0];

/// Days before its end on which a registration token is told of.
const REGISTRATION_DAYS: i64 = NOTICE_SECONDS / DAY_SECONDS;

/// The event of an end that is near.
pub const ENDS_SOON: &str = "token.ends-soon";
/// The event of an end that has come.
pub const ENDED: &str = "token.ended";

/// When the end of a token that was made at `made` is told of first; `None`: never.
///
/// A registration token that is issued later than that is told of at once: whoever counts on it
/// has to hear it. A person's token that lives for a day at most was asked for like that.
pub fn first(kind: Kind, made: Timestamp, ends: Timestamp, now: Timestamp) -> Option<Timestamp> {
    match kind {
        Kind::RegistrationToken => Some(ends.plus_seconds(-NOTICE_SECONDS)),
        _ if ends <= made.plus_seconds(DAY_SECONDS) => None,
        _ => next(kind, ends, now),
    }
}

/// When it is told of again, after it was told of at `told`.
pub fn next(kind: Kind, ends: Timestamp, told: Timestamp) -> Option<Timestamp> {
    if !is_persons(kind) {
        return None;
    }
    let due = NOTICES_DAYS.into_iter().map(|days| ends.plus_seconds(-days * DAY_SECONDS));
    due.filter(|due| *due > told).min()
}

/// Which event tells of the end at `now`, and the threshold in days: the nearest one that was
/// reached. `None`: there is nothing to tell any more.
pub fn told(kind: Kind, ends: Timestamp, now: Timestamp) -> Option<(&'static str, i64)> {
    if now >= ends {
        return is_persons(kind).then_some((ENDED, 0));
    }
    if !is_persons(kind) {
        return Some((ENDS_SOON, REGISTRATION_DAYS));
    }
    let reached = |days: &i64| ends.plus_seconds(-days * DAY_SECONDS) <= now;
    NOTICES_DAYS.into_iter().filter(reached).min().map(|days| (ENDS_SOON, days))
}

/// Whether the notices of a kind are kept only where somebody could be told: people's tokens are
/// many, and each notice is a row.
pub const fn needs_listeners(kind: Kind) -> bool {
    !matches!(kind, Kind::RegistrationToken)
}

/// Whether it is a kind whose ends its owner has to prepare for.
pub const fn is_persons(kind: Kind) -> bool {
    matches!(kind, Kind::PersonalAccessToken | Kind::ServiceToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: i64) -> Timestamp {
        Timestamp::from_seconds(days * DAY_SECONDS)
    }

    #[test]
    fn a_persons_token_is_told_of_30_14_7_and_1_days_before_its_end_and_at_it() {
        let kind = Kind::ServiceToken;
        let mut told_at = Vec::new();
        let mut due = first(kind, day(0), day(90), day(0));
        while let Some(at) = due {
            told_at.push((at, told(kind, day(90), at).unwrap()));
            due = next(kind, day(90), at);
        }
        let soon = |days| (ENDS_SOON, days);
        let expected = [
            (day(60), soon(30)),
            (day(76), soon(14)),
            (day(83), soon(7)),
            (day(89), soon(1)),
            (day(90), (ENDED, 0)),
        ];
        assert_eq!(told_at, expected);
    }

    #[test]
    fn whoever_comes_late_tells_of_the_nearest_threshold_only() {
        let kind = Kind::PersonalAccessToken;
        assert_eq!(told(kind, day(90), day(59)), None);
        assert_eq!(told(kind, day(90), day(84)), Some((ENDS_SOON, 7)));
        assert_eq!(next(kind, day(90), day(84)), Some(day(89)));
        assert_eq!(told(kind, day(90), day(200)), Some((ENDED, 0)));
        assert_eq!(next(kind, day(90), day(200)), None);
        assert_eq!(told(Kind::RegistrationToken, day(30), day(31)), None);
    }

    #[test]
    fn what_is_behind_when_it_is_issued_is_not_told_of() {
        let kind = Kind::PersonalAccessToken;
        assert_eq!(first(kind, day(0), day(10), day(0)), Some(day(3)));
        assert_eq!(first(kind, day(0), day(1), day(0)), None);
        // Somebody moved the end to today: that was not asked for when it was made.
        assert_eq!(first(kind, day(0), day(10), day(9)), Some(day(10)));
    }

    #[test]
    fn a_registration_token_is_told_of_once_and_other_kinds_never() {
        let kind = Kind::RegistrationToken;
        assert_eq!(first(kind, day(0), day(30), day(0)), Some(day(27)));
        assert_eq!(first(kind, day(0), day(1), day(0)), Some(day(-2)));
        assert_eq!(told(kind, day(30), day(27)), Some((ENDS_SOON, 3)));
        assert_eq!(next(kind, day(30), day(27)), None);
        assert_eq!(first(Kind::ClientKey, day(0), day(90), day(0)), None);
    }
}
