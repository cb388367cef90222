//! Alarms: what somebody should look at, and the lock that a policy may ask for with it.
//!
//! All of it beside the requests: a verification notes what it saw in memory, and the flush that
//! stores usage stores this, too. What is raised is an event in the transaction that makes it true;
//! webhooks and letters follow from it as from any other.

use super::{Act, Active, Authority, VerifyRequest};
use crate::clock::Timestamp;
use crate::event::{ALARMS, Event, MANY_NETWORKS, NEW_NETWORK, Origin};
use crate::kind::Kind;
use crate::policy::Alarms;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::sightings::{Seen, network_of};
use crate::store::{Sighting, Unavailable};
use crate::token::Token;

/// Networks that one flush stores; the others wait for the next one.
const SIGHTINGS_PER_FLUSH: usize = 500;
/// Alarms that wait to be looked at; further ones are left to whoever reads the event.
const LOCKS_ASKED_MAX: usize = 1_000;

/// Kinds that are watched: those that people put into programs. A device speaks for itself, and a
/// client's key is bounded by its role.
const fn is_watched(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::PersonalAccessToken | Kind::ServiceToken | Kind::DerivedToken | Kind::Generic
    )
}

impl Authority {
    /// Notes from where a watched token was used.
    pub(super) fn watch(
        &self,
        alarms: &Alarms,
        request: &VerifyRequest<'_>,
        active: &Active,
        now: Timestamp,
    ) {
        let Some(address) = request.client_ip else { return };
        if !alarms.watches_networks() || !is_watched(active.kind()) {
            return;
        }
        self.sightings.saw(active.token(), address, now, || Seen {
            realm: request.realm.clone(),
            token: active.token(),
            address,
            at: now,
            door: request.origin.door,
            alarms: alarms.clone(),
            owner: match (active.user(), active.client()) {
                (Some(user), _) => format!("user:{user}"),
                (None, client) => format!("client:{}", client.unwrap_or_default()),
            },
            services: active.services().labels().join(" "),
        });
    }

    /// Stores from where watched tokens were used, and raises what is to be raised.
    pub(super) async fn flush_sightings(&self, closing: bool) -> Result<(), Unavailable> {
        loop {
            let seen = self.sightings.take(SIGHTINGS_PER_FLUSH);
            if seen.is_empty() {
                return Ok(());
            }
            let sightings = seen.iter().map(|one| self.sighting(one)).collect::<Result<_, _>>()?;
            match self.store.networks_note(sightings).await {
                Ok(raised) => self.ask_locks(raised.iter()),
                Err(unavailable) => {
                    self.sightings.restore(seen);
                    return Err(unavailable);
                }
            }
            if !closing {
                return Ok(());
            }
        }
    }

    fn sighting(&self, seen: &Seen) -> Result<Sighting, Unavailable> {
        let network = network_of(seen.address);
        let event = |kind| {
            let origin = Origin { source: Some(seen.address), ..Origin::system(seen.door) };
            let event = self.event(kind, &seen.realm, &origin, seen.at);
            let event = event.map_err(Unavailable::new)?.with_token(seen.token);
            let event = event.with_subject(seen.owner.clone()).with_service(seen.services.clone());
            Ok::<_, Unavailable>(event.with_reason(network.to_string()))
        };
        let first = seen.alarms.new_network.then(|| event(NEW_NETWORK)).transpose()?;
        let first = first.map(|event| {
            let detail = serde_json::json!({ "network": network.to_string() });
            event.with_detail(detail)
        });
        let many = match seen.alarms.networks_max {
            Some(most) => Some((most, event(MANY_NETWORKS)?)),
            None => None,
        };
        Ok(Sighting { token: seen.token, network, at: seen.at, first, many })
    }

    /// Notes that the tokens of these events are to be locked, if they are alarms and a policy says
    /// so.
    pub(super) fn ask_locks<'a>(&self, raised: impl Iterator<Item = &'a Event>) {
        let alarms = raised.filter(|event| ALARMS.contains(&&*event.kind));
        let mut asked = self.locks_asked.lock();
        for event in alarms {
            let known =
                asked.iter().any(|one| (one.token, &one.kind) == (event.token, &event.kind));
            if !known && asked.len() < LOCKS_ASKED_MAX {
                asked.push(event.clone());
            }
        }
    }

    /// Locks what alarms asked to be locked. One that is locked or gone already stays as it is.
    ///
    /// # Errors
    ///
    /// What could not be looked at is looked at the next time.
    pub(super) async fn lock_alarmed(&self) -> Result<(), Unavailable> {
        loop {
            let Some(event) = self.locks_asked.lock().last().cloned() else { return Ok(()) };
            self.lock_for(&event).await.or_else(|refusal| match refusal {
                Refusal::Unavailable(unavailable) => Err(unavailable),
                // Somebody was faster, or it has ended.
                _ => Ok(()),
            })?;
            self.locks_asked.lock().retain(|other| other.id != event.id);
        }
    }

    async fn lock_for(&self, event: &Event) -> Result<(), Refusal> {
        let Some(id) = event.token else { return Ok(()) };
        let Some(token) = self.store.token_find(&event.realm, id).await? else { return Ok(()) };
        if token.locked || !self.locks_on(&token, &event.kind).await? {
            return Ok(());
        }
        let origin = Origin::system(event.origin.door);
        let mut change = self.token_change_of(&origin, &token, Act::Lock, None)?;
        change.event.reason = Some(event.kind.to_string());
        self.store.token_change(change).await?;
        Ok(())
    }

    /// Whether a policy that the token is under asks for the lock.
    async fn locks_on(&self, token: &Token, alarm: &str) -> Result<bool, Refusal> {
        let Services::Named(labels) = &token.services else {
            return Ok(self.realm_facts(&token.realm).await?.policy.alarms.locks_on(alarm));
        };
        for label in labels {
            let cell = self.service_facts(&token.realm, label).await?;
            if cell.is_some_and(|cell| cell.policy.alarms.locks_on(alarm)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
