//! Limits on guessing: delays that grow with failures, and never a lock that a stranger can cause.
//!
//! A throttled presenter gets the same answer as any refusal, only later. A
//! right secret of ours is never delayed, because the delay applies to refusals
//! only; a chosen one waits before it is hashed, because the hash is what a
//! guess costs us.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::names::Username;

/// Failures that cost nothing, per source network and half-life.
const FREE_PER_SOURCE: f64 = 60.0;
/// Failures that cost nothing, per source, user and service and half-life.
const FREE_PER_USER: f64 = 10.0;
/// A count halves in this time.
const HALF_LIFE_SECONDS: f64 = 60.0;
/// The first delay; it doubles with each further handful of failures.
const DELAY_FIRST: Duration = Duration::from_millis(100);
/// The longest delay: long enough to make guessing hopeless, short enough not to hold
/// connections for ever.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// Sources remembered; beyond it the least guilty half is forgotten.
const SOURCES_MAX: usize = 100_000;

/// A source, or a source aiming at one user of one service. Hashed, because what a stranger
/// typed as a user name can be as long as a header.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
pub(crate) struct Key {
    network: IpAddr,
    aim: Option<u64>,
}

impl Key {
    /// Whoever sits in the source's network.
    pub(crate) fn of_source(source: IpAddr) -> Self {
        Self { network: network_of(source), aim: None }
    }

    /// Whoever aims at this user of this service from there.
    pub(crate) fn of_aim(source: IpAddr, user: &str, service: Option<&str>) -> Self {
        let mut aim = DefaultHasher::new();
        // One person has many spellings; each must not have failures of its own to spend.
        match Username::parse(user) {
            Ok(name) => name.as_str().hash(&mut aim),
            Err(_) => user.to_lowercase().hash(&mut aim),
        }
        service.hash(&mut aim);
        Self { network: network_of(source), aim: Some(aim.finish()) }
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: f64,
    at: Timestamp,
}

impl Count {
    fn decayed(self, now: Timestamp) -> f64 {
        let micros = (now.micros() - self.at.micros()).max(0);
        #[expect(clippy::cast_precision_loss, reason = "a rate limit needs no exact microseconds")]
        let seconds = micros as f64 / 1e6;
        self.failures * (-seconds / HALF_LIFE_SECONDS).exp2()
    }

    /// The delay that these failures have earned.
    fn delay(self, key: Key, now: Timestamp) -> Duration {
        let free = if key.aim.is_some() { FREE_PER_USER } else { FREE_PER_SOURCE };
        let excess = (self.decayed(now) - free) / free;
        if excess <= 0.0 {
            return Duration::ZERO;
        }
        DELAY_FIRST.mul_f64((excess * 4.0).min(16.0).exp2()).min(DELAY_MAX)
    }

    fn elapsed(self, now: Timestamp) -> Duration {
        let micros = now.micros().saturating_sub(self.at.micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

/// Counts failed attempts by source.
#[derive(Default)]
pub(crate) struct Throttle {
    counts: Mutex<HashMap<Key, Count>>,
}

/// One subscriber's network: an IPv4 address, or an IPv6 /64.
fn network_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits())),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl Throttle {
    /// Notes a failed attempt.
    pub(crate) fn failed(
        &self,
        source: IpAddr,
        user: Option<&str>,
        service: Option<&str>,
        now: Timestamp,
    ) {
        let mut counts = self.counts.lock();
        if counts.len() >= SOURCES_MAX {
            counts.retain(|_, count| count.decayed(now) >= 1.0);
            if counts.len() >= SOURCES_MAX {
                counts.clear();
            }
        }
        for key in keys(source, user, service) {
            let count = counts.entry(key).or_insert(Count { failures: 0.0, at: now });
            *count = Count { failures: count.decayed(now) + 1.0, at: now };
        }
    }

    /// How long to hold back a refusal.
    pub(crate) fn delay(
        &self,
        source: IpAddr,
        user: Option<&str>,
        service: Option<&str>,
        now: Timestamp,
    ) -> Duration {
        let counts = self.counts.lock();
        let delays = keys(source, user, service)
            .into_iter()
            .filter_map(|key| Some(counts.get(&key)?.delay(key, now)));
        delays.max().unwrap_or_default()
    }

    /// What is left of that delay, counted from the last failure: for askers who speak for many
    /// and must not be held back themselves.
    pub(crate) fn rest(
        &self,
        source: IpAddr,
        user: Option<&str>,
        service: Option<&str>,
        now: Timestamp,
    ) -> Duration {
        let counts = self.counts.lock();
        let rests = keys(source, user, service).into_iter().filter_map(|key| {
            let count = counts.get(&key)?;
            Some(count.delay(key, now).saturating_sub(count.elapsed(now)))
        });
        rests.max().unwrap_or_default()
    }
}

fn keys(source: IpAddr, user: Option<&str>, service: Option<&str>) -> Vec<Key> {
    let aim = user.map(|user| Key::of_aim(source, user, service));
    std::iter::once(Key::of_source(source)).chain(aim).collect()
}

/// Wrong codes that cost nothing, per person and half-life: mistyped, or read too late.
const FREE_CODES: f64 = 10.0;
/// A count of wrong codes halves in this time: long enough that a minute between two guesses does
/// not make the waits shorter again.
const CODES_HALF_LIFE_SECONDS: f64 = 900.0;
/// The wait after the first wrong code too many; it doubles with each further one.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait, and so the longest time for which a stranger's guesses keep a person out who
/// comes from somewhere new: some 1450 guesses a day at a code of six digits.
pub(crate) const CODE_WAIT_MAX: Duration = Duration::from_mins(1);
/// How long a source is remembered from which somebody's code was right.
const TRUSTED_SECONDS: i64 = 30 * 86_400;

/// Limits on guessing codes. Of six digits a distributed guesser would soon have one, so wrong
/// codes are counted for the person, wherever they come from; and a source from which a code of
/// theirs was right before has a count of its own, so that strangers cannot keep them out.
#[derive(Default)]
pub(crate) struct CodeThrottle {
    counts: Mutex<HashMap<Key, Count>>,
    trusted: Mutex<HashMap<Key, Timestamp>>,
}

/// A wrong code that was counted.
#[derive(Debug)]
pub(crate) struct Miss([Option<Noted>; 2]);

/// What it did to one count.
#[derive(Debug)]
struct Noted {
    key: Key,
    before: Option<Count>,
    after: Count,
}

impl Count {
    fn decayed_codes(self, now: Timestamp) -> f64 {
        let seconds = self.elapsed(now).as_secs_f64();
        self.failures * (-seconds / CODES_HALF_LIFE_SECONDS).exp2()
    }

    /// What is left of the wait that these wrong codes have earned.
    fn code_wait(self, now: Timestamp) -> Duration {
        // As it stood at the latest one: the wait is for what was done, and ends.
        let excess = self.failures - FREE_CODES;
        if excess <= 0.0 {
            return Duration::ZERO;
        }
        let whole = WAIT_FIRST.mul_f64((excess - 1.0).clamp(0.0, 16.0).exp2()).min(CODE_WAIT_MAX);
        whole.saturating_sub(self.elapsed(now))
    }
}

impl CodeThrottle {
    /// Whom wrong codes are counted for.
    fn keys(source: Option<IpAddr>, realm: &str, user: &str) -> (Option<Key>, Key) {
        let anywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        (
            source.map(|source| Key::of_aim(source, user, Some(realm))),
            Key::of_aim(anywhere, user, Some(realm)),
        )
    }

    /// How long no further code of this person is looked at from there.
    pub(crate) fn wait(
        &self,
        source: Option<IpAddr>,
        realm: &str,
        user: &str,
        now: Timestamp,
    ) -> Duration {
        let (own, person) = Self::keys(source, realm, user);
        let trusted = own.is_some_and(|own| {
            let known = self.trusted.lock().get(&own).copied();
            known.is_some_and(|at| at.plus_seconds(TRUSTED_SECONDS) > now)
        });
        let counts = self.counts.lock();
        let wait = |key: &Key| counts.get(key).map_or(Duration::ZERO, |c| c.code_wait(now));
        let here = own.as_ref().map_or(Duration::ZERO, wait);
        if trusted { here } else { here.max(wait(&person)) }
    }

    /// Notes a wrong code, until [`CodeThrottle::forgiven`].
    pub(crate) fn failed(
        &self,
        source: Option<IpAddr>,
        realm: &str,
        user: &str,
        now: Timestamp,
    ) -> Miss {
        let (own, person) = Self::keys(source, realm, user);
        let mut counts = self.counts.lock();
        if counts.len() >= SOURCES_MAX {
            counts.retain(|_, count| count.decayed_codes(now) >= 1.0);
            if counts.len() >= SOURCES_MAX {
                counts.clear();
            }
        }
        let mut note = |key| {
            let before = counts.get(&key).copied();
            let failures = before.map_or(0.0, |count| count.decayed_codes(now)) + 1.0;
            let after = Count { failures, at: now };
            counts.insert(key, after);
            Noted { key, before, after }
        };
        Miss([own.map(&mut note), Some(note(person))])
    }

    /// Takes a wrong code back that was no guess: it has the form of a code, and was a right secret
    /// of another sort. Counted it is all the same while that is looked for, because otherwise any
    /// number of guesses at a time would be free.
    pub(crate) fn forgiven(&self, miss: &Miss) {
        let mut counts = self.counts.lock();
        for Noted { key, before, after } in miss.0.iter().flatten() {
            let Some(count) = counts.get_mut(key) else { continue };
            let untouched = (count.failures, count.at) == (after.failures, after.at);
            match before {
                // As if it had never been, so that a wait does not begin anew.
                Some(before) if untouched => *count = *before,
                _ => count.failures = (count.failures - 1.0).max(0.0),
            }
        }
    }

    /// Notes a right one: the source has nothing to make good any more, and is trusted.
    pub(crate) fn accepted(&self, source: Option<IpAddr>, realm: &str, user: &str, now: Timestamp) {
        let (Some(own), _) = Self::keys(source, realm, user) else { return };
        self.counts.lock().remove(&own);
        let mut trusted = self.trusted.lock();
        if trusted.len() >= SOURCES_MAX {
            trusted.retain(|_, at| at.plus_seconds(TRUSTED_SECONDS) > now);
            if trusted.len() >= SOURCES_MAX {
                trusted.clear();
            }
        }
        trusted.insert(own, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_codes_of_strangers_keep_nobody_out_of_where_they_were_let_in() {
        let throttle = CodeThrottle::default();
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        let at = Timestamp::from_seconds(0);
        throttle.accepted(Some(home), "main", "alice", at);
        for n in 0..1_000_u32 {
            let stranger = IpAddr::V4(Ipv4Addr::from_bits(0xc633_6400 + n % 200));
            throttle.failed(Some(stranger), "main", "alice", at);
        }
        let wait = |source, user, now| throttle.wait(source, "main", user, now);
        assert_eq!(wait(Some(home), "alice", at), Duration::ZERO);
        // From anywhere else, and from nowhere in particular, it is a minute and no more.
        let elsewhere = Some("203.0.113.9".parse().unwrap());
        for source in [elsewhere, None] {
            assert_eq!(wait(source, "alice", at), CODE_WAIT_MAX);
            assert_eq!(wait(source, "alice", at.plus_seconds(60)), Duration::ZERO);
            assert_eq!(wait(source, "bob", at), Duration::ZERO);
        }
        assert_eq!(throttle.wait(elsewhere, "other", "alice", at), Duration::ZERO);
        // The trusted source has a count of its own.
        for _ in 0..30 {
            throttle.failed(Some(home), "main", "alice", at);
        }
        assert_eq!(wait(Some(home), "alice", at), CODE_WAIT_MAX);
    }

    /// Decision 0027 says so, and three codes of a million are right at any time.
    #[test]
    fn whoever_guesses_as_often_as_they_may_has_fifteen_hundred_guesses_a_day() {
        let throttle = CodeThrottle::default();
        let (mut now, mut guesses) = (Timestamp::from_seconds(0), 0);
        while now < Timestamp::from_seconds(86_400) {
            throttle.failed(None, "main", "alice", now);
            guesses += 1;
            let wait = throttle.wait(None, "main", "alice", now).as_micros();
            now = Timestamp::from_micros(now.micros() + i64::try_from(wait).unwrap());
        }
        assert!(guesses <= 1_500, "{guesses}");
    }

    #[test]
    fn a_few_wrong_codes_cost_nothing_and_each_further_one_twice_as_much() {
        let throttle = CodeThrottle::default();
        let at = Timestamp::from_seconds(0);
        let mut waits = Vec::new();
        for _ in 0..14 {
            throttle.failed(None, "main", "alice", at);
            waits.push(throttle.wait(None, "main", "alice", at).as_secs());
        }
        assert_eq!(waits[..10], [0; 10]);
        assert_eq!(waits[10..], [1, 2, 4, 8]);
        assert_eq!(throttle.wait(None, "main", "alice", at.plus_seconds(8)), Duration::ZERO);
        throttle.failed(None, "main", "alice", at.plus_seconds(3_600));
        assert_eq!(throttle.wait(None, "main", "alice", at.plus_seconds(3_600)), Duration::ZERO);
    }

    #[test]
    fn what_was_no_guess_is_taken_back_with_the_wait_that_it_made() {
        let throttle = CodeThrottle::default();
        let at = Timestamp::from_seconds(0);
        let source = Some("192.0.2.1".parse().unwrap());
        let wait = |now| throttle.wait(source, "main", "alice", now).as_secs();
        for _ in 0..14 {
            throttle.failed(source, "main", "alice", at);
        }
        assert_eq!(wait(at), 8);
        // At the same time, and one after another.
        let later = at.plus_seconds(5);
        let both = [(); 2].map(|()| throttle.failed(source, "main", "alice", later));
        assert!(wait(later) > 8);
        both.iter().rev().for_each(|miss| throttle.forgiven(miss));
        assert_eq!(wait(later), 3);
        let miss = throttle.failed(source, "main", "alice", later);
        throttle.failed(source, "main", "alice", later);
        throttle.forgiven(&miss);
        let earned = wait(later);
        assert!((8..=16).contains(&earned), "{earned}: one more than there were");
        // What a right code made good stays so.
        let miss = throttle.failed(source, "main", "bob", later);
        throttle.accepted(source, "main", "bob", later);
        throttle.forgiven(&miss);
        assert_eq!(throttle.wait(source, "main", "bob", later), Duration::ZERO);
    }

    #[test]
    fn delays_grow_with_failures_and_fade_with_time() {
        let throttle = Throttle::default();
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let at = Timestamp::from_seconds(0);
        let delay = |source, now| throttle.delay(source, Some("alice"), Some("git"), now);
        for _ in 0..10 {
            throttle.failed(source, Some("alice"), Some("git"), at);
        }
        assert_eq!(delay(source, at), Duration::ZERO);
        for _ in 0..10 {
            throttle.failed(source, Some("Ａlice"), Some("git"), at);
        }
        let first = delay(source, at);
        assert!(first > Duration::ZERO && first <= DELAY_MAX);
        assert_eq!(delay(other, at), Duration::ZERO);
        assert_eq!(throttle.delay(source, Some("bob"), Some("git"), at), Duration::ZERO);
        assert_eq!(delay(source, at.plus_seconds(600)), Duration::ZERO);
        let rest = |now| throttle.rest(source, Some("alice"), Some("git"), now);
        assert_eq!(rest(at), first);
        assert!(rest(at.plus_seconds(1)) < first);
        assert_eq!(rest(at.plus_seconds(6)), Duration::ZERO);
    }

    #[test]
    fn one_ipv6_subscriber_is_one_source() {
        let throttle = Throttle::default();
        let at = Timestamp::from_seconds(0);
        for n in 0..200_u16 {
            let source = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n));
            throttle.failed(source, None, None, at);
        }
        let fresh: IpAddr = "2001:db8:0:1::ffff".parse().unwrap();
        assert!(throttle.delay(fresh, None, None, at) > Duration::ZERO);
    }
}
