//! Notices before an end: when somebody is told that a token will not be good for much longer.

use crate::clock::Timestamp;
use crate::enrolment::NOTICE_SECONDS;
use crate::kind::Kind;

const DAY_SECONDS: i64 = 86_400;

/// How long before its end a token of a person is told of, each once (design rule: 30, 14, 7 and 1
/// days).
pub const NOTICES_SECONDS: [i64; 4] =
    [30 * DAY_SECONDS, 14 * DAY_SECONDS, 7 * DAY_SECONDS, DAY_SECONDS];

/// When the end of a token is told of first; `None`: never.
///
/// A registration token that is issued later than that is told of at once: whoever counts on it
/// has to hear it. A person's token that lives for a day was asked for like that.
pub fn first(kind: Kind, ends: Timestamp, now: Timestamp) -> Option<Timestamp> {
    match kind {
        Kind::RegistrationToken => Some(ends.plus_seconds(-NOTICE_SECONDS)),
        Kind::PersonalAccessToken | Kind::ServiceToken => next(kind, ends, now),
        _ => None,
    }
}

/// When it is told of again, after it was told of at `told`.
pub fn next(kind: Kind, ends: Timestamp, told: Timestamp) -> Option<Timestamp> {
    if !matches!(kind, Kind::PersonalAccessToken | Kind::ServiceToken) {
        return None;
    }
    let due = NOTICES_SECONDS.into_iter().map(|before| ends.plus_seconds(-before));
    due.filter(|due| *due > told).min()
}

/// Whether the notices of a kind are kept only where somebody could be told: people's tokens are
/// many, and each notice is a row.
pub const fn needs_listeners(kind: Kind) -> bool {
    !matches!(kind, Kind::RegistrationToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: i64) -> Timestamp {
        Timestamp::from_seconds(days * DAY_SECONDS)
    }

    #[test]
    fn a_persons_token_is_told_of_30_14_7_and_1_days_before_its_end() {
        let kind = Kind::ServiceToken;
        let mut told = Vec::new();
        let mut due = first(kind, day(90), day(0));
        while let Some(at) = due {
            told.push(at);
            due = next(kind, day(90), at);
        }
        assert_eq!(told, [day(60), day(76), day(83), day(89)]);
    }

    #[test]
    fn what_is_behind_when_it_is_issued_is_not_told_of() {
        let kind = Kind::PersonalAccessToken;
        assert_eq!(first(kind, day(10), day(0)), Some(day(3)));
        assert_eq!(first(kind, day(1), day(0)), None);
    }

    #[test]
    fn a_registration_token_is_told_of_once_and_other_kinds_never() {
        assert_eq!(first(Kind::RegistrationToken, day(30), day(0)), Some(day(27)));
        assert_eq!(first(Kind::RegistrationToken, day(1), day(0)), Some(day(-2)));
        assert_eq!(next(Kind::RegistrationToken, day(30), day(27)), None);
        assert_eq!(first(Kind::ClientKey, day(90), day(0)), None);
    }
}
