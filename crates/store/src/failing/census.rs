//! The same for counts of tokens and refusals.

use async_trait::async_trait;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    CensusCount, CensusPart, CensusStore, RefusalTally, Unavailable,
};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl CensusStore for FailingStore {
    async fn census_tokens(&self, part: CensusPart) -> Result<CensusCount, Unavailable> {
        pass!(self.census_tokens(part))
    }
    async fn census_refusals(
        &self,
        realm: &RealmName,
        after: String,
        limit: u32,
    ) -> Result<(Vec<RefusalTally>, Option<String>), Unavailable> {
        pass!(self.census_refusals(realm, after, limit))
    }
}
