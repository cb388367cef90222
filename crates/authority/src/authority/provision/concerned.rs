//! Whom an event concerns beyond its subject, found out when they are to be told.

use std::collections::BTreeSet;

use crate::authority::Authority;
use crate::event::{ALARMS, Event, LEAKED};
use crate::names::ServiceLabel;
use crate::provision::letter::keepers_letter;
use crate::provision::{Delivery, DeliveryKey, Mark, Object, Target};
use crate::store::{EventFilter, PageRequest, Settlement, Unavailable};
use crate::subject::Owner;

/// People who are written to about one service at most: more than so many look after none.
const KEEPERS_MAX: u32 = 100;
/// Of an alarm about a token its owner reads once in so long. A program that goes on with a secret
/// that was replaced would fill their box in an hour.
const ALARM_AGAIN_SECONDS: i64 = 86_400;

impl Authority {
    /// Turns a message for whom it concerns into one for each of them.
    pub(super) async fn concerned(
        &self,
        target: &Target,
        delivery: &Delivery,
    ) -> Result<Settlement, Unavailable> {
        let key = &delivery.key;
        // They were found out before.
        if delivery.progress.is_some() {
            return Ok(Settlement::Forget);
        }
        let found = self.store.event_find(&key.realm, &key.message).await?;
        let Some(event) = found else { return Ok(Settlement::Forget) };
        let mut objects = BTreeSet::new();
        if ALARMS.contains(&&*event.kind) {
            objects.extend(self.alarmed(&event).await?);
        }
        if keepers_letter(&event.kind).is_some() {
            objects.extend(self.keepers(target, &event).await?);
        }
        let mark = |object| Mark { key: DeliveryKey { object, ..key.clone() }, held: false };
        let marks: Vec<Mark> = objects.into_iter().map(mark).collect();
        Ok(match marks.last() {
            None => Settlement::Forget,
            Some(last) => Settlement::Progress { from: last.key.object.name(), marks },
        })
    }

    /// The owner of the token that an alarm is about, unless they were told of the same lately.
    async fn alarmed(&self, event: &Event) -> Result<Option<Object>, Unavailable> {
        let Some(id) = event.token else { return Ok(None) };
        let Some(token) = self.store.token_find(&event.realm, id).await? else { return Ok(None) };
        let Owner::User(name) = &token.owner else { return Ok(None) };
        // Each place where it was found is news.
        if event.kind == LEAKED {
            return Ok(Some(Object::User(name.to_string())));
        }
        let filter = EventFilter {
            token: Some(id),
            kind: Some(event.kind.to_string()),
            from: Some(event.at.plus_seconds(-ALARM_AGAIN_SECONDS)),
            to: Some(event.at),
            ..EventFilter::default()
        };
        let page = PageRequest::first(1);
        let before = self.store.event_list(&event.realm, filter, page).await?;
        Ok(before.items.is_empty().then(|| Object::User(name.to_string())))
    }

    /// Who looks after the services of an event, but for whom it is about: they are told anyway.
    async fn keepers(&self, target: &Target, event: &Event) -> Result<Vec<Object>, Unavailable> {
        let labels = event.service.as_deref().unwrap_or_default().split(' ');
        let labels = labels.filter(|label| target.config.is_for(label));
        let mut objects = Vec::new();
        for label in labels.filter_map(|label| ServiceLabel::parse(label).ok()) {
            let names = self.store.service_keepers(&event.realm, &label, KEEPERS_MAX).await?;
            objects.extend(names.iter().map(|name| Object::User(name.to_string())));
        }
        objects.retain(|object| Some(object.name()) != event.subject);
        Ok(objects)
    }
}
