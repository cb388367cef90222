//! Events of a realm, for those who audit it.

use super::Authority;
use crate::caller::Caller;
use crate::event::Event;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::store::{EventFilter, Page, PageRequest};

/// Events that one page looks at. Nobody holds a reader of the store for long because they ask
/// for what is rare among millions: they are handed the place to go on from.
const LOOKED_AT_MAX: u32 = 20_000;

impl Authority {
    /// Lists events, newest first. Needs `audit:read` for the whole realm. A page that is not full
    /// has a `next` all the same where it has looked at its share and there is more behind.
    pub async fn events(
        &self,
        caller: &Caller,
        realm: &RealmName,
        mut filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Refusal> {
        caller.require_whole(realm, ApiScope::AuditRead)?;
        self.realm_facts(realm).await?;
        filter.look_at_most = Some(LOOKED_AT_MAX);
        Ok(self.store().event_list(realm, filter, page).await?)
    }
}
