//! The same for the days on which tokens were used.

use async_trait::async_trait;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Unavailable, UseDay, UseDayStore};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl UseDayStore for FailingStore {
    async fn use_days_add(&self, days: Vec<UseDay>) -> Result<(), Unavailable> {
        pass!(self.use_days_add(days))
    }
    async fn use_days_find(
        &self,
        tokens: Vec<TokenId>,
        from: i64,
    ) -> Result<Vec<UseDay>, Unavailable> {
        pass!(self.use_days_find(tokens, from))
    }
}
