//! Limits on guessing: delays that grow with failures, and never a lock that a stranger can cause.
//!
//! A throttled presenter gets the same answer as any refusal, only later. A
//! right secret is never delayed, because the delay applies to refusals only.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Timestamp;

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
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
struct Key {
    network: IpAddr,
    aim: Option<u64>,
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
        let excess = keys(source, user, service).into_iter().filter_map(|key| {
            let free = if key.aim.is_some() { FREE_PER_USER } else { FREE_PER_SOURCE };
            let failures = counts.get(&key)?.decayed(now);
            (failures > free).then(|| (failures - free) / free)
        });
        let worst = excess.fold(0.0, f64::max);
        if worst <= 0.0 {
            return Duration::ZERO;
        }
        DELAY_FIRST.mul_f64((worst * 4.0).min(16.0).exp2()).min(DELAY_MAX)
    }
}

fn keys(source: IpAddr, user: Option<&str>, service: Option<&str>) -> Vec<Key> {
    let network = network_of(source);
    let mut keys = vec![Key { network, aim: None }];
    if let Some(user) = user {
        let mut aim = DefaultHasher::new();
        (user.to_lowercase(), service).hash(&mut aim);
        keys.push(Key { network, aim: Some(aim.finish()) });
    }
    keys
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
            throttle.failed(source, Some("Alice"), Some("git"), at);
        }
        let first = delay(source, at);
        assert!(first > Duration::ZERO && first <= DELAY_MAX);
        assert_eq!(delay(other, at), Duration::ZERO);
        assert_eq!(throttle.delay(source, Some("bob"), Some("git"), at), Duration::ZERO);
        assert_eq!(delay(source, at.plus_seconds(600)), Duration::ZERO);
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
