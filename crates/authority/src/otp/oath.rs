//! HOTP (RFC 4226) and TOTP (RFC 6238): what the codes are, and at which place a code stands.
//!
//! A place is a counter or a step. Places only rise: a code is accepted at a place above the last
//! one that was, which is what makes it good once.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq as _;

use super::{
    Algorithm, DRIFT_MAX, HOTP_LOOK_AHEAD, HOTP_RESYNC, Shape, SharedSeed, TOTP_RESYNC, TOTP_WINDOW,
};
use crate::clock::Timestamp;

/// A code that was recognised: where it stands, and what that says of the token's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The counter or step.
    pub at: i64,
    /// How many steps the token's clock is ahead of ours; 0 for a counter.
    pub drift: i64,
}

/// The code at a counter (RFC 4226 section 5.3), with its leading zeros.
pub fn code(seed: &SharedSeed, shape: Shape, counter: i64) -> String {
    let algorithm = match shape.algorithm {
        Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Sha256 => hmac::HMAC_SHA256,
        Algorithm::Sha512 => hmac::HMAC_SHA512,
    };
    let key = hmac::Key::new(algorithm, seed.bytes());
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or(0) & 0x0f);
    let four = bytes.iter().skip(offset).take(4);
    let number = four.fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    let digits = shape.digits as usize;
    format!("{:0digits$}", number % 10_u32.pow(shape.digits))
}

/// The step of an instant (RFC 6238 section 4.2).
pub const fn step_of(shape: Shape, now: Timestamp) -> i64 {
    now.seconds().div_euclid(shape.step_seconds as i64)
}

/// Where a code of HOTP stands: behind the last accepted counter, not further than the look-ahead.
/// The accepted one itself is found too: that it was used is another thing to say than that it is
/// wrong, and nobody is a guesser who sends it twice.
pub fn find_counter(seed: &SharedSeed, shape: Shape, accepted: i64, given: &str) -> Option<Place> {
    if !shape.fits(given) {
        return None;
    }
    find(seed, shape, accepted..=(accepted + HOTP_LOOK_AHEAD), given)
        .map(|at| Place { at, drift: 0 })
}

/// Where a code of TOTP stands: within a step of the token's own clock, which is `drift` steps
/// ahead of ours. A place that is not above the last accepted one is found too; that it was taken
/// is another thing to say than that it is wrong.
pub fn find_step(
    seed: &SharedSeed,
    shape: Shape,
    drift: i64,
    now: Timestamp,
    given: &str,
) -> Option<Place> {
    if !shape.fits(given) {
        return None;
    }
    let ours = step_of(shape, now);
    let its = ours + drift;
    // The nearest first: of two equal codes the present one is meant.
    let nearest = [0, -TOTP_WINDOW, TOTP_WINDOW].into_iter().map(|offset| its + offset);
    let at = find(seed, shape, nearest, given)?;
    // Two codes may have brought it back from further away; from there it only comes nearer.
    Some(Place { at, drift: (at - ours).clamp(drift.min(-DRIFT_MAX), drift.max(DRIFT_MAX)) })
}

/// Where the second of two codes of HOTP stands that follow each other.
pub fn resync_counter(
    seed: &SharedSeed,
    shape: Shape,
    accepted: i64,
    [first, second]: [&str; 2],
) -> Option<Place> {
    let all = (accepted + 1)..=(accepted + HOTP_RESYNC);
    follow(seed, shape, all, [first, second]).map(|at| Place { at, drift: 0 })
}

/// Where the second of two codes of TOTP stands that follow each other. The token's clock may be
/// an hour wrong; the drift that is found is the new one.
pub fn resync_step(
    seed: &SharedSeed,
    shape: Shape,
    now: Timestamp,
    [first, second]: [&str; 2],
) -> Option<Place> {
    let ours = step_of(shape, now);
    let at = follow(seed, shape, (ours - TOTP_RESYNC)..=(ours + TOTP_RESYNC), [first, second])?;
    Some(Place { at, drift: at - ours })
}

fn follow(
    seed: &SharedSeed,
    shape: Shape,
    places: impl Iterator<Item = i64>,
    [first, second]: [&str; 2],
) -> Option<i64> {
    if !(shape.fits(first) && shape.fits(second)) {
        return None;
    }
    let is = |place, given| equal(&code(seed, shape, place), given);
    let mut places = places;
    places.find(|place| is(*place, first) && is(*place + 1, second)).map(|place| place + 1)
}

fn find(
    seed: &SharedSeed,
    shape: Shape,
    mut places: impl Iterator<Item = i64>,
    given: &str,
) -> Option<i64> {
    places.find(|place| *place >= 0 && equal(&code(seed, shape, *place), given))
}

fn equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digits 1 to 0 over and over, as both RFCs take them for a seed.
    fn key(bytes: usize) -> SharedSeed {
        SharedSeed::new(b"1234567890".iter().copied().cycle().take(bytes).collect()).unwrap()
    }

    fn shape(algorithm: Algorithm, digits: u32) -> Shape {
        Shape { algorithm, digits, step_seconds: 30 }
    }

    /// RFC 4226 appendix D.
    #[test]
    fn f1_hotp_computes_the_codes_of_the_standard() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, expected) in (0..).zip(codes) {
            assert_eq!(code(&key(20), Shape::default(), counter), expected);
        }
    }

    /// RFC 6238 appendix B.
    #[test]
    fn f1_totp_computes_the_codes_of_the_standard() {
        let table = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        for (seconds, codes) in table {
            let ways = [(Algorithm::Sha1, 20), (Algorithm::Sha256, 32), (Algorithm::Sha512, 64)];
            for ((algorithm, bytes), expected) in ways.into_iter().zip(codes) {
                let (seed, shape) = (key(bytes), shape(algorithm, 8));
                let now = Timestamp::from_seconds(seconds);
                assert_eq!(code(&seed, shape, step_of(shape, now)), expected, "{seconds}");
                let found = find_step(&seed, shape, 0, now, expected).unwrap();
                assert_eq!(found, Place { at: seconds / 30, drift: 0 });
            }
        }
    }

    #[test]
    fn leading_zeros_belong_to_the_code() {
        let (seed, shape) = (key(20), shape(Algorithm::Sha1, 8));
        let now = Timestamp::from_seconds(1_111_111_109);
        assert!(find_step(&seed, shape, 0, now, "07081804").is_some());
        assert!(find_step(&seed, shape, 0, now, "7081804").is_none());
        assert!(find_step(&seed, shape, 0, now, "007081804").is_none());
    }

    #[test]
    fn a_step_beside_the_present_one_is_accepted_and_one_further_is_not() {
        let (seed, shape) = (key(20), Shape::default());
        let now = Timestamp::from_seconds(3_000);
        for (offset, accepted) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let given = code(&seed, shape, 100 + offset);
            let expected = accepted.then_some(Place { at: 100 + offset, drift: offset });
            assert_eq!(find_step(&seed, shape, 0, now, &given), expected);
        }
        // The window stands around the token's own clock.
        let given = code(&seed, shape, 104);
        let found = find_step(&seed, shape, 3, now, &given);
        assert_eq!(found, Some(Place { at: 104, drift: 4 }));
        assert_eq!(find_step(&seed, shape, 3, now, &code(&seed, shape, 100)), None);
        // And follows it no further than allowed.
        let given = code(&seed, shape, 111);
        assert_eq!(find_step(&seed, shape, 10, now, &given).unwrap().drift, DRIFT_MAX);
    }

    #[test]
    fn a_counter_is_accepted_as_far_as_one_looks_ahead() {
        let (seed, shape) = (key(20), Shape::default());
        for (counter, found) in [(3, false), (4, true), (5, true), (14, true), (15, false)] {
            let given = code(&seed, shape, counter);
            let expected = found.then_some(Place { at: counter, drift: 0 });
            assert_eq!(find_counter(&seed, shape, 4, &given), expected);
        }
    }

    #[test]
    fn two_codes_that_follow_each_other_bring_a_token_back() {
        let (seed, shape) = (key(20), Shape::default());
        let given = [code(&seed, shape, 700), code(&seed, shape, 701)];
        let both = [given[0].as_str(), given[1].as_str()];
        assert_eq!(resync_counter(&seed, shape, 4, both), Some(Place { at: 701, drift: 0 }));
        assert_eq!(resync_counter(&seed, shape, 700, both), None);
        assert_eq!(resync_counter(&seed, shape, 4, [both[1], both[0]]), None);
        assert_eq!(resync_counter(&seed, shape, 4, [both[0], both[0]]), None);
        let now = Timestamp::from_seconds(30 * 650);
        assert_eq!(resync_step(&seed, shape, now, both), Some(Place { at: 701, drift: 51 }));
        let long_ago = Timestamp::from_seconds(30 * 500);
        assert_eq!(resync_step(&seed, shape, long_ago, both), None);
    }
}
