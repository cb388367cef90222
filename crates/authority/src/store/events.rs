//! Events: what happened, in order.

use async_trait::async_trait;

use super::{Page, PageRequest, Unavailable};
use crate::clock::Timestamp;
use crate::event::{Event, Outcome};
use crate::names::RealmName;
use crate::secret::TokenId;

/// Which events to list. `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// About this token.
    pub token: Option<TokenId>,
    /// That ended like this.
    pub outcome: Option<Outcome>,
    /// Of this kind, `token.issued`.
    pub kind: Option<String>,
    /// By this actor, `user:alice`.
    pub actor: Option<String>,
    /// About this subject, `user:alice`.
    pub subject: Option<String>,
    /// About this service.
    pub service: Option<String>,
    /// At or after this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
}

/// The events of every realm.
#[async_trait]
pub trait EventStore {
    /// Adds events that belong to no other change.
    async fn event_append(&self, events: Vec<Event>) -> Result<(), Unavailable>;
    /// Lists events, newest first.
    async fn event_list(
        &self,
        realm: &RealmName,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Unavailable>;
}
