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

#[derive(Clone, Copy)]
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

#[cfg(test)]
mod tests {
    use super::*;

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
