//! The same for the networks that tokens were used from.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{NetworkStore, Sighting, Unavailable};
use ipnet::IpNet;

use super::{FailingStore, Fate, Told};

#[async_trait]
impl NetworkStore for FailingStore {
    async fn networks_note(&self, sightings: Vec<Sighting>) -> Result<Vec<Event>, Unavailable> {
        pass!(self.networks_note(sightings))
    }
    async fn networks_of(
        &self,
        token: TokenId,
    ) -> Result<Vec<(IpNet, Timestamp, Timestamp)>, Unavailable> {
        pass!(self.networks_of(token))
    }
}
