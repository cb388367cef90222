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
    /// Look at about so many events of the realm at most before the page ends, even if it is
    /// empty: its `next` goes on from there. What is about one token is found by an index and
    /// needs no such bound.
    pub look_at_most: Option<u32>,
}

impl EventFilter {
    /// Whether an event may be passed over, other than by its time.
    pub const fn is_choosy(&self) -> bool {
        self.outcome.is_some()
            || self.kind.is_some()
            || self.actor.is_some()
            || self.subject.is_some()
            || self.service.is_some()
    }
}

/// The events of every realm.
#[async_trait]
pub trait EventStore {
    /// Adds events that belong to no other change.
    async fn event_append(&self, events: Vec<Event>) -> Result<(), Unavailable>;
    /// Lists events, newest first. What was told before or after the times that are asked for is
    /// not looked at: ids sort by time.
    async fn event_list(
        &self,
        realm: &RealmName,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Unavailable>;
}
