//! Operations on tokens of repositories, of a store that is down on command.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::{RealmName, RepositoryName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    Assign, Listing, ListingRemove, ListingRequest, Moved, Promote, RepositoryStore, Unavailable,
};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl RepositoryStore for FailingStore {
    async fn listing_find(
        &self,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Listing>, Unavailable> {
        pass!(self.listing_find(realm, id))
    }
    async fn listing_page(
        &self,
        request: ListingRequest,
    ) -> Result<(Vec<Listing>, Option<String>), Unavailable> {
        pass!(self.listing_page(request))
    }
    async fn listing_remove(&self, remove: ListingRemove) -> Result<Moved, Unavailable> {
        pass!(self.listing_remove(remove))
    }
    async fn credential_promote(&self, promote: Promote) -> Result<Option<Listing>, Unavailable> {
        pass!(self.credential_promote(promote))
    }
    async fn listing_assign(&self, assign: Assign) -> Result<Moved, Unavailable> {
        pass!(self.listing_assign(assign))
    }
    async fn credentials_due(
        &self,
        repository: &RepositoryName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RealmName, Username, TokenId)>, Unavailable> {
        pass!(self.credentials_due(repository, now, limit))
    }
}
