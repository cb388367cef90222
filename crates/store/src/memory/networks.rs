//! From which networks tokens were used, in memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    NETWORKS_KEPT_DAYS, NETWORKS_KEPT_MAX, NETWORKS_WINDOW_SECONDS, NetworkStore, Sighting,
    Unavailable,
};
use ipnet::IpNet;

use super::{MemoryStore, State};

/// What is known of one token.
#[derive(Clone, Default)]
pub(super) struct Networks {
    /// The first and the latest use from each.
    seen: BTreeMap<IpNet, (Timestamp, Timestamp)>,
    /// The latest alarm about too many.
    alarmed_at: Option<Timestamp>,
}

impl Networks {
    fn latest_first(&self) -> Vec<(IpNet, Timestamp, Timestamp)> {
        let mut all: Vec<_> =
            self.seen.iter().map(|(network, (first, last))| (*network, *first, *last)).collect();
        all.sort_by_key(|(network, _, last)| (Reverse(*last), network.to_string()));
        all
    }

    /// Notes a use; gives the events to record.
    fn note(&mut self, sighting: &Sighting) -> Vec<Event> {
        let mut told = Vec::new();
        let (used_before, at) = (!self.seen.is_empty(), sighting.at);
        if let Some((_, last)) = self.seen.get_mut(&sighting.network) {
            *last = at.max(*last);
        } else {
            self.seen.insert(sighting.network, (at, at));
            let over = self.latest_first().split_off(self.seen.len().min(MOST));
            for (network, ..) in over {
                self.seen.remove(&network);
            }
            told.extend(sighting.first.clone().filter(|_| used_before));
        }
        if let Some((most, event)) = &sighting.many {
            let since = at.plus_seconds(-NETWORKS_WINDOW_SECONDS);
            let seen = self.seen.values().filter(|(_, last)| *last > since).count();
            if seen > *most as usize && self.alarmed_at.is_none_or(|alarmed| alarmed <= since) {
                self.alarmed_at = Some(at);
                let network = sighting.network.to_string();
                told.push(event.clone().with_detail(
                    serde_json::json!({ "networks": seen, "max": most, "network": network }),
                ));
            }
        }
        told
    }
}

const MOST: usize = NETWORKS_KEPT_MAX as usize;

impl State {
    /// Removes networks that nothing came from for long.
    pub(super) fn purge_networks(&mut self, now: Timestamp) -> usize {
        let since = now.plus_seconds(-NETWORKS_KEPT_DAYS * 86_400);
        let mut gone = 0;
        for known in self.networks.values_mut() {
            let before = known.seen.len();
            known.seen.retain(|_, (_, last)| *last >= since);
            gone += before - known.seen.len();
        }
        self.networks.retain(|_, known| !known.seen.is_empty());
        gone
    }
}

#[async_trait]
impl NetworkStore for MemoryStore {
    async fn networks_note(&self, mut sightings: Vec<Sighting>) -> Result<Vec<Event>, Unavailable> {
        sightings.sort_unstable_by_key(|one| (one.token, one.network));
        Ok(self.write(|state| {
            let mut told = Vec::new();
            for sighting in &sightings {
                if state.tokens.contains_key(&sighting.token) {
                    told.extend(state.networks.entry(sighting.token).or_default().note(sighting));
                }
            }
            for event in &told {
                state.record(event);
            }
            told
        }))
    }

    async fn networks_of(
        &self,
        token: TokenId,
    ) -> Result<Vec<(IpNet, Timestamp, Timestamp)>, Unavailable> {
        Ok(self.read(|state| {
            state.networks.get(&token).map(Networks::latest_first).unwrap_or_default()
        }))
    }
}
