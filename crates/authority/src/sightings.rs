//! From which networks watched tokens are used, gathered in memory until it is stored.
//!
//! Only where a policy asks for an alarm. A use from a network that was noted within the hour costs
//! one look; nothing here decides whether a token is good.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::names::RealmName;
use crate::policy::Alarms;
use crate::secret::TokenId;
use crate::verdict::Door;

/// Shards, so that busy cores do not meet.
const SHARDS: usize = 16;
/// Tokens and networks that a shard remembers as noted, together some 30 MB. Beyond it all of a
/// shard are noted anew, which costs a write each and raises nothing.
const REMEMBERED_MAX: usize = 20_000;
/// What waits to be stored in a shard at most; further ones are noted with the next use of their
/// token.
const WAITING_MAX: usize = 5_000;
/// A network that was noted so lately is not noted again.
const REMEMBERED_SECONDS: i64 = 3_600;

/// The network of an address: a /24, and of IPv6 a /48, which is what a site is given (RFC 6177).
/// Within it people and machines move without anybody having to be told.
pub(crate) fn network_of(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let address = Ipv4Addr::from_bits(address.to_bits() >> 8 << 8);
            Ipv4Net::new_assert(address, 24).into()
        }
        IpAddr::V6(address) => {
            let address = Ipv6Addr::from_bits(address.to_bits() >> 80 << 80);
            Ipv6Net::new_assert(address, 48).into()
        }
    }
}

/// A use of a watched token, and what to tell of it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) realm: RealmName,
    pub(crate) token: TokenId,
    pub(crate) address: IpAddr,
    pub(crate) at: Timestamp,
    pub(crate) door: Door,
    pub(crate) alarms: Alarms,
    /// Whose token it is.
    pub(crate) owner: String,
    /// What it is for.
    pub(crate) services: String,
}

type Key = (TokenId, IpNet);

#[derive(Default)]
struct Shard {
    /// When each was noted.
    noted: HashMap<Key, Timestamp>,
    waiting: HashMap<Key, Seen>,
}

/// The sightings of one node.
pub(crate) struct Sightings {
    shards: Vec<Mutex<Shard>>,
}

impl Default for Sightings {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Sightings {
    /// Notes a use unless the network is known; `tell` is called only if it is not.
    pub(crate) fn saw(
        &self,
        token: TokenId,
        address: IpAddr,
        now: Timestamp,
        tell: impl FnOnce() -> Seen,
    ) {
        let key = (token, network_of(address));
        let place = token.as_bytes().iter().fold(0, |sum, byte| sum + usize::from(*byte)) % SHARDS;
        let Some(shard) = self.shards.get(place) else { return };
        let mut shard = shard.lock();
        let fresh = now.plus_seconds(-REMEMBERED_SECONDS);
        if shard.noted.get(&key).is_some_and(|noted| *noted > fresh)
            || shard.waiting.len() >= WAITING_MAX
        {
            return;
        }
        if shard.noted.len() >= REMEMBERED_MAX {
            shard.noted.clear();
        }
        shard.noted.insert(key, now);
        shard.waiting.insert(key, tell());
    }

    /// Takes out at most so many of what is to be stored.
    pub(crate) fn take(&self, most: usize) -> Vec<Seen> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let room = most - taken.len();
            let keys: Vec<Key> = shard.waiting.keys().take(room).copied().collect();
            taken.extend(keys.iter().filter_map(|key| shard.waiting.remove(key)));
        }
        taken
    }

    /// Puts back what could not be stored.
    pub(crate) fn restore(&self, seen: Vec<Seen>) {
        for one in seen {
            let key = (one.token, network_of(one.address));
            let place =
                one.token.as_bytes().iter().fold(0, |sum, byte| sum + usize::from(*byte)) % SHARDS;
            if let Some(shard) = self.shards.get(place) {
                let mut shard = shard.lock();
                if shard.waiting.len() < WAITING_MAX {
                    shard.waiting.entry(key).or_insert(one);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_network_of_its_site() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:2:3::4"), "2001:db8:1::/48");
    }

    fn seen(token: TokenId, address: &str, at: Timestamp) -> Seen {
        Seen {
            realm: RealmName::parse("main").unwrap(),
            token,
            address: address.parse().unwrap(),
            at,
            door: Door::Api,
            alarms: Alarms::default(),
            owner: "user:alice".into(),
            services: "git".into(),
        }
    }

    #[test]
    fn a_network_is_noted_once_an_hour_and_again_if_it_could_not_be_stored() {
        let sightings = Sightings::default();
        let token = TokenId::parse("0123456789AB").unwrap();
        let saw = |address: &str, seconds: i64| {
            let at = Timestamp::from_seconds(seconds);
            sightings.saw(token, address.parse().unwrap(), at, || seen(token, address, at));
            sightings.take(10).len()
        };
        assert_eq!(saw("192.0.2.1", 0), 1);
        assert_eq!(saw("192.0.2.2", 3_599), 0);
        assert_eq!(saw("192.0.3.2", 3_599), 1);
        assert_eq!(saw("192.0.2.2", 3_600), 1);
        sightings.restore(vec![seen(token, "192.0.2.2", Timestamp::EPOCH)]);
        assert_eq!(sightings.take(10).len(), 1);
    }

    #[test]
    fn what_waits_is_taken_in_parts_and_bounded() {
        let sightings = Sightings::default();
        let at = Timestamp::EPOCH;
        for number in 0..100_000 {
            let token = TokenId::parse(&format!("{number:012}")).unwrap();
            let tell = || seen(token, "192.0.2.1", at);
            sightings.saw(token, "192.0.2.1".parse().unwrap(), at, tell);
        }
        assert_eq!(sightings.take(1_000).len(), 1_000);
        let left = sightings.take(usize::MAX).len();
        assert!(left <= SHARDS * WAITING_MAX, "{left}");
    }
}
