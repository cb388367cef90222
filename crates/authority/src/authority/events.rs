//! Events of a realm, for those who audit it.

use super::Authority;
use crate::caller::Caller;
use crate::event::Event;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::store::{EventFilter, Page, PageRequest};

impl Authority {
    /// Lists events, newest first. Needs `audit:read` for the whole realm.
    pub async fn events(
        &self,
        caller: &Caller,
        realm: &RealmName,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Refusal> {
        caller.require_whole(realm, ApiScope::AuditRead)?;
        self.realm_facts(realm).await?;
        Ok(self.store().event_list(realm, filter, page).await?)
    }
}
