//! Provisioning, in memory.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, TargetName, Username};
use counterfoil_authority::provision::{
    Delivery, DeliveryKey, DeliveryState, Mark, Target, routing,
};
use counterfoil_authority::store::{
    Backlog, Change, DeliveryFilter, DirectorySecret, DirectoryToken, Inserted, Lease, Page,
    PageRequest, ProvisioningStore, Settled, Settlement, TARGETS_PER_REALM_MAX, Unavailable,
    Updated,
};
use counterfoil_authority::subject::Owner;

use super::{Held, MemoryStore, State, page_up};
use crate::provisioning::place_of;

impl State {
    /// Leaves a note of an event that may concern a target.
    pub(super) fn note(&mut self, event: &Event) {
        if self.has_targets(&event.realm) && routing::concerns_targets(event) {
            self.outbox.push((event.realm.clone(), event.id.clone()));
        }
    }

    /// Whether anything is told or brought up to date of what happens in a realm.
    pub(super) fn has_targets(&self, realm: &RealmName) -> bool {
        self.targets.keys().any(|(known, _)| known == realm)
    }

    fn want(&mut self, mark: &Mark, now: Timestamp) {
        if !self.targets.contains_key(&(mark.key.realm.clone(), mark.key.target.clone())) {
            return;
        }
        let state = if mark.held { DeliveryState::Held } else { DeliveryState::Waiting };
        let due_at = (!mark.held).then_some(now);
        let fresh = Delivery {
            key: mark.key.clone(),
            state,
            wanted: 1,
            due_at,
            since: now,
            attempts: 0,
            error: None,
            place: None,
            progress: None,
            unanswered: 0,
            done_at: None,
        };
        match self.deliveries.get_mut(&mark.key) {
            None => {
                self.deliveries.insert(mark.key.clone(), fresh);
            }
            Some(known) => {
                let done = known.state == DeliveryState::Done;
                known.since = if done { now } else { known.since };
                known.wanted += 1;
                known.due_at = due_at;
                known.state = state;
                known.attempts = 0;
                known.error = None;
                known.progress = None;
            }
        }
    }

    fn route(&mut self, now: Timestamp, limit: u32) -> u32 {
        let count = self.outbox.len().min(limit as usize);
        let notes: Vec<_> = self.outbox.drain(..count).collect();
        let targets: Vec<Target> = self.targets.values().cloned().collect();
        for note in notes {
            let event = self.events.get(&note).cloned();
            for mark in event.iter().flat_map(|event| routing::marks(event, &targets)) {
                self.want(&mark, now);
            }
        }
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether an earlier message about the same object still waits.
    fn is_held_back(&self, key: &DeliveryKey) -> bool {
        self.deliveries.values().any(|other| {
            let same = (&other.key.realm, &other.key.target, &other.key.object)
                == (&key.realm, &key.target, &key.object);
            same && !other.key.message.is_empty()
                && other.key.message < key.message
                && matches!(other.state, DeliveryState::Waiting | DeliveryState::Retrying)
        })
    }

    fn claim(
        &mut self,
        lease: &Lease,
        realm: &RealmName,
        target: &TargetName,
        now: Timestamp,
        limit: u32,
    ) -> Vec<Delivery> {
        if !self.holds(lease) {
            return Vec::new();
        }
        let mut due: Vec<Delivery> = self.deliveries.values().cloned().collect();
        due.retain(|delivery| {
            let here = (&delivery.key.realm, &delivery.key.target) == (realm, target);
            let due = delivery.due_at.is_some_and(|at| at <= now);
            here && due && !self.is_held_back(&delivery.key)
        });
        due.sort_by(|a, b| (a.due_at, &a.key).cmp(&(b.due_at, &b.key)));
        due.truncate(limit as usize);
        for delivery in &mut due {
            delivery.unanswered += 1;
            self.deliveries.insert(delivery.key.clone(), delivery.clone());
        }
        due
    }

    fn settle(&mut self, settled: &Settled, now: Timestamp) {
        let Settled { delivery, settlement } = settled;
        let Some(known) = self.deliveries.get_mut(&delivery.key) else { return };
        if known.wanted != delivery.wanted {
            if let Settlement::Done { place, .. } = settlement {
                known.place.clone_from(place);
                known.unanswered = 0;
            }
            if let Settlement::Progress { marks, .. } = settlement {
                for mark in marks {
                    self.want(mark, now);
                }
            }
            return;
        }
        match settlement {
            Settlement::Done { place, again_at } => {
                known.state = DeliveryState::Done;
                known.due_at = *again_at;
                known.attempts = 0;
                known.error = None;
                known.place.clone_from(place);
                known.progress = None;
                known.unanswered = 0;
                known.done_at = Some(now);
            }
            Settlement::Forget => {
                self.deliveries.remove(&delivery.key);
            }
            Settlement::Retry { at, error, unanswered } => {
                known.state = DeliveryState::Retrying;
                known.due_at = Some(*at);
                known.attempts += 1;
                known.error = Some(error.clone());
                known.unanswered = if *unanswered { delivery.unanswered } else { 0 };
            }
            Settlement::Dead { error } => {
                known.state = DeliveryState::Dead;
                known.due_at = None;
                known.attempts += 1;
                known.error = Some(error.clone());
                known.unanswered = 0;
            }
            Settlement::Wait { until } => {
                known.due_at = Some(*until);
                known.unanswered = delivery.unanswered.saturating_sub(1);
            }
            Settlement::Progress { from, marks } => {
                known.progress = Some(from.clone());
                known.unanswered = 0;
                for mark in marks {
                    self.want(mark, now);
                }
            }
        }
    }

    fn record_target(&mut self, realm: &RealmName, event: &Event) {
        self.record(event);
        self.changed(Change::Realm(realm.clone()), event.at);
    }
}

fn directory_token(held: &Held) -> DirectoryToken {
    let token = &held.token;
    let mut secrets: Vec<DirectorySecret> = held
        .secrets
        .iter()
        .map(|secret| {
            let mut hashes = secret.directory.clone();
            hashes.sort_by(|a, b| a.scheme.cmp(&b.scheme));
            DirectorySecret {
                id: secret.id.clone(),
                slot: secret.facts.slot,
                not_before: secret.facts.not_before,
                expires_at: secret.facts.expires_at,
                hashes,
            }
        })
        .collect();
    secrets.sort_by(|a, b| a.id.cmp(&b.id));
    DirectoryToken {
        id: token.id,
        kind: token.kind,
        name: token.name.clone(),
        services: token.services.clone(),
        usable: token.enabled && !token.locked && !token.pending,
        bound_to_networks: !token.networks.is_empty(),
        counted: token.max_usages.is_some(),
        doors: token.doors.clone(),
        validity: token.validity,
        created_at: token.created_at,
        secrets,
    }
}

#[async_trait]
impl ProvisioningStore for MemoryStore {
    async fn target_insert(&self, target: Target, event: Event) -> Result<Inserted, Unavailable> {
        Ok(self.write(|state| {
            if !state.realms.contains_key(&target.realm) {
                return Inserted::Missing("realm");
            }
            let name = (target.realm.clone(), target.name.clone());
            if state.targets.contains_key(&name) {
                return Inserted::Exists;
            }
            let of_realm = state.targets.keys().filter(|(realm, _)| *realm == target.realm);
            if of_realm.count() >= TARGETS_PER_REALM_MAX as usize {
                return Inserted::Missing("place for one more target");
            }
            state.targets.insert(name, target.clone());
            state.newly_heard(&target.realm, event.at);
            state.record_target(&target.realm, &event);
            Inserted::Done
        }))
    }

    async fn target_find(
        &self,
        realm: &RealmName,
        name: &TargetName,
    ) -> Result<Option<Target>, Unavailable> {
        Ok(self.read(|state| state.targets.get(&(realm.clone(), name.clone())).cloned()))
    }

    async fn target_list(&self, realm: &RealmName) -> Result<Vec<Target>, Unavailable> {
        Ok(self.read(|state| {
            state.targets.values().filter(|target| target.realm == *realm).cloned().collect()
        }))
    }

    async fn target_all(&self) -> Result<Vec<Target>, Unavailable> {
        Ok(self.read(|state| state.targets.values().cloned().collect()))
    }

    async fn target_update(
        &self,
        target: Target,
        event: Event,
    ) -> Result<Updated<Target>, Unavailable> {
        Ok(self.write(|state| {
            let name = (target.realm.clone(), target.name.clone());
            let Some(found) = state.targets.get_mut(&name) else { return Updated::NotFound };
            if found.version != target.version {
                return Updated::VersionMismatch;
            }
            let (kind, created_at) = (found.kind, found.created_at);
            *found = Target { kind, created_at, version: target.version + 1, ..target.clone() };
            let updated = found.clone();
            state.record_target(&target.realm, &event);
            Updated::Done(updated)
        }))
    }

    async fn target_delete(
        &self,
        realm: &RealmName,
        name: &TargetName,
        event: Event,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| {
            if state.targets.remove(&(realm.clone(), name.clone())).is_none() {
                return false;
            }
            state.deliveries.retain(|key, _| (&key.realm, &key.target) != (realm, name));
            state.record_target(realm, &event);
            true
        }))
    }

    async fn delivery_is_due(&self, now: Timestamp) -> Result<bool, Unavailable> {
        Ok(self.read(|state| {
            let mut deliveries = state.deliveries.values();
            let due = |delivery: &Delivery| delivery.due_at.is_some_and(|at| at <= now);
            !state.outbox.is_empty() || deliveries.any(due)
        }))
    }

    async fn outbox_route(&self, now: Timestamp, limit: u32) -> Result<u32, Unavailable> {
        Ok(self.write(|state| state.route(now, limit)))
    }

    async fn delivery_claim(
        &self,
        lease: &Lease,
        realm: &RealmName,
        target: &TargetName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Unavailable> {
        Ok(self.write(|state| state.claim(lease, realm, target, now, limit)))
    }

    async fn delivery_rivals(
        &self,
        key: &DeliveryKey,
        now: Timestamp,
    ) -> Result<Vec<TargetName>, Unavailable> {
        Ok(self.read(|state| {
            let rivals = state.deliveries.values().filter(|other| {
                (&other.key.realm, &other.key.object) == (&key.realm, &key.object)
                    && other.key.message.is_empty()
                    && other.key.target != key.target
                    && other.state == DeliveryState::Waiting
                    && other.attempts == 0
                    && other.due_at.is_some_and(|at| at <= now)
            });
            rivals.map(|rival| rival.key.target.clone()).collect()
        }))
    }

    async fn delivery_settle(
        &self,
        lease: &Lease,
        settled: Vec<Settled>,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| {
            let holds = state.holds(lease);
            if holds {
                for one in &settled {
                    state.settle(one, now);
                }
                for event in &events {
                    state.record(event);
                }
            }
            holds
        }))
    }

    async fn delivery_want(&self, marks: Vec<Mark>, now: Timestamp) -> Result<(), Unavailable> {
        self.write(|state| {
            for mark in &marks {
                state.want(mark, now);
            }
        });
        Ok(())
    }

    async fn delivery_list(
        &self,
        realm: &RealmName,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Unavailable> {
        Ok(self.read(|state| {
            let mut found: Vec<&Delivery> = state
                .deliveries
                .values()
                .filter(|delivery| delivery.key.realm == *realm)
                .filter(|one| filter.target.as_ref().is_none_or(|name| *name == one.key.target))
                .filter(|one| filter.state.is_none_or(|state| state == one.state))
                .collect();
            found.sort_by_key(|delivery| place_of(delivery));
            page_up(found.into_iter(), &page, place_of)
        }))
    }

    async fn delivery_backlog(&self) -> Result<Vec<Backlog>, Unavailable> {
        Ok(self.read(|state| {
            let mut found: Vec<Backlog> = Vec::new();
            for one in state.deliveries.values().filter(|one| one.state != DeliveryState::Done) {
                let same = |known: &&mut Backlog| {
                    (&known.realm, &known.target, known.state)
                        == (&one.key.realm, &one.key.target, one.state)
                };
                if let Some(known) = found.iter_mut().find(same) {
                    known.count += 1;
                    known.oldest = known.oldest.min(one.since);
                    continue;
                }
                found.push(Backlog {
                    realm: one.key.realm.clone(),
                    target: one.key.target.clone(),
                    state: one.state,
                    count: 1,
                    oldest: one.since,
                });
            }
            found.sort_by(|a, b| {
                (&a.realm, &a.target, a.state.name()).cmp(&(&b.realm, &b.target, b.state.name()))
            });
            found
        }))
    }

    async fn event_find(&self, realm: &RealmName, id: &str) -> Result<Option<Event>, Unavailable> {
        Ok(self.read(|state| state.events.get(&(realm.clone(), id.to_owned())).cloned()))
    }

    async fn directory_tokens(
        &self,
        realm: &RealmName,
        user: &Username,
        now: Timestamp,
    ) -> Result<Vec<DirectoryToken>, Unavailable> {
        Ok(self.read(|state| {
            let owner = Owner::User(user.clone());
            let mut held: Vec<&Held> = state
                .tokens
                .values()
                .filter(|held| held.token.realm == *realm && held.token.owner == owner)
                .filter(|held| held.token.revocation.is_none() && !held.secrets.is_empty())
                .filter(|held| {
                    matches!(held.token.kind, Kind::ServiceToken | Kind::PersonalAccessToken)
                })
                .filter(|held| held.token.validity.expires_at().is_none_or(|end| end > now))
                .collect();
            held.sort_by_key(|held| crate::codec::sort_key(held.token.created_at, held.token.id));
            held.into_iter().map(directory_token).collect()
        }))
    }
}
