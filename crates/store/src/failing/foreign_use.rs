//! The same for what is counted of tokens that somebody else keeps.

use std::net::IpAddr;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    ForeignChanged, ForeignKey, ForeignUsage, ForeignUseDelta, ForeignUseStore, Unavailable,
};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl ForeignUseStore for FailingStore {
    async fn foreign_use_add(&self, uses: Vec<ForeignUseDelta>) -> Result<(), Unavailable> {
        pass!(self.foreign_use_add(uses))
    }
    async fn foreign_use_consume(
        &self,
        key: ForeignKey,
        limit: u64,
        at: Timestamp,
        ip: Option<IpAddr>,
    ) -> Result<Option<u64>, Unavailable> {
        pass!(self.foreign_use_consume(key, limit, at, ip))
    }
    async fn foreign_use_find(
        &self,
        realm: &RealmName,
        tokens: Vec<TokenId>,
    ) -> Result<Vec<ForeignUsage>, Unavailable> {
        pass!(self.foreign_use_find(realm, tokens))
    }
    async fn foreign_changed(&self, changed: ForeignChanged) -> Result<(), Unavailable> {
        pass!(self.foreign_changed(changed))
    }
}
