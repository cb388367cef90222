//! The same for the report about an old system.

use async_trait::async_trait;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, ShadowName};
use counterfoil_authority::store::{
    Page, PageRequest, ShadowDifference, ShadowFilter, ShadowStore, Unavailable,
};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl ShadowStore for FailingStore {
    async fn shadow_note(&self, differences: Vec<ShadowDifference>) -> Result<(), Unavailable> {
        pass!(self.shadow_note(differences))
    }
    async fn shadow_list(
        &self,
        realm: &RealmName,
        filter: ShadowFilter,
        page: PageRequest,
    ) -> Result<Page<ShadowDifference>, Unavailable> {
        pass!(self.shadow_list(realm, filter, page))
    }
    async fn shadow_clear(
        &self,
        realm: &RealmName,
        shadow: Option<ShadowName>,
        event: Event,
    ) -> Result<u64, Unavailable> {
        pass!(self.shadow_clear(realm, shadow, event))
    }
}
