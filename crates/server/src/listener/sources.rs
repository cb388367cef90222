//! How many connections each source holds: nobody may take all places alone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::Mutex;

/// Bits of an IPv6 address by which sources are told apart: whoever has one address of a /64
/// has all of them (RFC 6177 section 2).
const IPV6_SOURCE_BITS: u32 = 64;

/// How many connections each source has; sources without any are not in it.
type Held = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Counts connections by source.
#[derive(Debug)]
pub(crate) struct Sources {
    most: usize,
    exempt: Vec<IpNet>,
    held: Held,
}

/// The share of one connection in its source's count, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share(Option<(IpAddr, Held)>);

impl Sources {
    /// At most `most` connections for each source, but any number for those in `exempt`: all
    /// clients behind a trusted proxy come from its address.
    pub(crate) fn new(most: usize, exempt: Vec<IpNet>) -> Self {
        Self { most, exempt, held: Arc::default() }
    }

    /// A share for a connection from `peer`, or `None` if its source has as many as it may.
    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Share> {
        let peer = peer.to_canonical();
        if self.exempt.iter().any(|network| network.contains(&peer)) {
            return Some(Share(None));
        }
        let source = source_of(peer);
        let mut held = self.held.lock();
        let count = held.entry(source).or_default();
        // A source that has nothing has less than `most`, so no empty entry is left behind.
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Share(Some((source, Arc::clone(&self.held)))))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((source, held)) = self.0.take() else { return };
        let mut held = held.lock();
        let left = held.get(&source).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            held.remove(&source);
        } else {
            held.insert(source, left);
        }
    }
}

fn source_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let network = u128::MAX << (Ipv6Addr::BITS - IPV6_SOURCE_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(sources: &Sources, peer: &str) -> Option<Share> {
        sources.admit(peer.parse().unwrap())
    }

    #[test]
    fn a_source_gets_its_share_and_no_more_until_it_gives_some_back() {
        let sources = Sources::new(2, Vec::new());
        let first = admit(&sources, "192.0.2.1").unwrap();
        let second = admit(&sources, "::ffff:192.0.2.1").unwrap();
        assert!(admit(&sources, "192.0.2.1").is_none());
        let other = admit(&sources, "192.0.2.2").unwrap();
        drop(first);
        let third = admit(&sources, "192.0.2.1").unwrap();
        assert!(admit(&sources, "192.0.2.1").is_none());
        drop((second, third, other));
        assert!(sources.held.lock().is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let sources = Sources::new(1, Vec::new());
        let _held = admit(&sources, "2001:db8::1").unwrap();
        assert!(admit(&sources, "2001:db8::ffff:1").is_none());
        assert!(admit(&sources, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn a_trusted_proxy_speaks_for_many() {
        let sources = Sources::new(1, vec!["192.0.2.0/24".parse().unwrap()]);
        let held: Vec<_> = (0..3).map(|_| admit(&sources, "::ffff:192.0.2.9").unwrap()).collect();
        assert!(sources.held.lock().is_empty());
        drop(held);
    }
}
