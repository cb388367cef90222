//! The installation and the events, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::keys::KeyPurpose;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    CODE_RETENTION_SECONDS, Change, ChangeListener, ChangesRead, ClientCreated, EventFilter,
    EventStore, Initialised, Inserted, Installation, InstallationStore, KeyRecord, KeyUse,
    LINK_RETENTION_SECONDS, Lease, LetterState, Link, LogPlace, NewInstallation, Page, PageRequest,
    Pulse, Purged, Unavailable,
};
use counterfoil_authority::token::{RETIRED_SECRET_RETENTION_SECONDS, Slot};

use super::{Held, MemoryStore, State, listen_to, overtaken, page_down};
use crate::changes::LOG_RETENTION_SECONDS;
use crate::people::page;

#[async_trait]
impl InstallationStore for MemoryStore {
    async fn ping(&self) -> Result<Pulse, Unavailable> {
        Ok(Pulse { clock: self.read(|state| state.clock) })
    }

    async fn installation(&self) -> Result<Option<Installation>, Unavailable> {
        Ok(self.read(|state| state.installation.clone()))
    }

    async fn initialise(&self, new: NewInstallation) -> Result<Initialised, Unavailable> {
        self.write(|state| {
            if state.installation.is_some() {
                return Ok(Initialised::Already);
            }
            let realm = state.realm_insert(&new.realm, &new.service, &new.event);
            let arrived = Event {
                id: format!("{}.client", new.event.id),
                kind: "client.created".into(),
                token: None,
                ..new.admin.key.event.clone()
            };
            let admin = state.client_insert(&new.admin, &arrived);
            if !matches!((realm, admin), (Inserted::Done, ClientCreated::Done(_))) {
                return overtaken("the first realm and client could not be stored");
            }
            state.installation = Some(new.installation.clone());
            let keys = new.keys.iter().map(|key| ((key.purpose, key.id), key.clone()));
            state.keys.extend(keys);
            state.changed(Change::Everything, new.event.at);
            Ok(Initialised::Done)
        })
    }

    async fn key_list(&self) -> Result<Vec<KeyRecord>, Unavailable> {
        Ok(self.read(|state| state.keys.values().cloned().collect()))
    }

    async fn key_add(&self, key: KeyRecord, event: Event) -> Result<(), Unavailable> {
        self.write(|state| match state.keys.get(&(key.purpose, key.id)) {
            Some(known) if known.fingerprint == key.fingerprint => Ok(()),
            Some(_) => overtaken("the number belongs to another key"),
            None => {
                state.keys.insert((key.purpose, key.id), key);
                state.record(&event);
                state.changed(Change::Everything, event.at);
                Ok(())
            }
        })
    }

    async fn key_use(&self) -> Result<Vec<KeyUse>, Unavailable> {
        Ok(self.read(|state| {
            let known = state.keys.keys();
            let none = known.map(|(purpose, id)| KeyUse { purpose: *purpose, id: *id, rows: 0 });
            let mut uses: Vec<KeyUse> = none.collect();
            let live = state.tokens.values().filter(|held| held.token.revocation.is_none());
            let live: BTreeMap<TokenId, &Held> = live.map(|held| (held.token.id, held)).collect();
            let secrets = live.values().flat_map(|held| &held.secrets).map(|secret| &secret.hash);
            let waits = |link: &&Link| link.opened_at.is_none() && live.contains_key(&link.token);
            let links = state.links.values().filter(waits).map(|link| &link.hash);
            let passwords = state.accounts.values().map(|account| &account.password);
            let printed = state.letters.values().filter(|l| l.state == LetterState::Printed);
            let letters = printed.filter_map(|letter| letter.hash.as_ref());
            for hash in secrets.chain(links).chain(passwords).chain(letters) {
                let (purpose, id) = (KeyPurpose::Pepper, hash.pepper());
                match uses.iter_mut().find(|key| (key.purpose, key.id) == (purpose, id)) {
                    Some(key) => key.rows += 1,
                    None => uses.push(KeyUse { purpose, id, rows: 1 }),
                }
            }
            let codes = state.otps.values().filter(|otp| live.contains_key(&otp.token));
            let codes = codes.flat_map(|otp| &otp.codes).map(|code| code.pepper);
            let codes = codes.map(|id| (KeyPurpose::Pepper, id));
            let seals = state.otps.values().filter_map(|otp| Some((KeyPurpose::Seal, otp.seal?)));
            for (purpose, id) in codes.chain(seals) {
                match uses.iter_mut().find(|key| (key.purpose, key.id) == (purpose, id)) {
                    Some(key) => key.rows += 1,
                    None => uses.push(KeyUse { purpose, id, rows: 1 }),
                }
            }
            uses.sort_by_key(|key| (key.purpose, key.id));
            uses
        }))
    }

    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        listen_to(self, listener);
    }

    async fn changes_end(&self) -> Result<LogPlace, Unavailable> {
        Ok(self.read(|state| LogPlace(state.position.to_string())))
    }

    async fn changes_since(
        &self,
        place: &LogPlace,
        limit: u32,
    ) -> Result<ChangesRead, Unavailable> {
        Ok(self.read(|state| since(state, place, limit as usize)))
    }

    async fn purge(&self, now: Timestamp, under: Option<&Lease>) -> Result<Purged, Unavailable> {
        Ok(self.write(|state| {
            let may = under.is_none_or(|lease| state.holds(lease));
            Purged { rows: if may { purge(state, now) } else { 0 } }
        }))
    }
}

fn since(state: &State, place: &LogPlace, limit: usize) -> ChangesRead {
    let Ok(position) = place.0.parse::<i64>() else {
        return ChangesRead::everything(LogPlace(state.position.to_string()));
    };
    let later = state.log.iter().filter(|(seq, _, _)| *seq > position);
    let mut found: Vec<_> = later.take(limit + 1).cloned().collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map_or(position, |(seq, _, _)| *seq);
    let (made, changes) = found.into_iter().map(|(_, at, change)| (at, change)).unzip();
    let read = ChangesRead { changes, made, place: LogPlace(last.to_string()), more };
    let oldest = state.log.first().map_or(0, |(seq, _, _)| *seq);
    if position + 1 < oldest { read.led_by_everything() } else { read }
}

fn purge(state: &mut State, now: Timestamp) -> u64 {
    let answers = state.answers.len();
    state.answers.retain(|_, answer| answer.expires_at > now);
    let answers = answers - state.answers.len();
    let access = state.purge_access(now);

    let cutoff = now.plus_seconds(-LOG_RETENTION_SECONDS);
    let last = state.log.len().saturating_sub(1);
    let log = state.log.iter().position(|(_, at, _)| *at >= cutoff).unwrap_or(last);
    state.log.drain(..log);

    let end = now.plus_seconds(-RETIRED_SECRET_RETENTION_SECONDS);
    let mut secrets = 0;
    let mut changes = Vec::new();
    for held in state.tokens.values_mut() {
        let before = held.secrets.len();
        held.secrets.retain(|secret| {
            let retired = secret.facts.slot == Slot::Previous;
            !(retired && secret.facts.expires_at.is_some_and(|at| at <= end))
        });
        if held.secrets.len() < before {
            secrets += before - held.secrets.len();
            changes.push(Change::Token(held.token.id));
        }
    }
    for change in changes {
        state.changed(change, now);
    }
    let links = state.links.len();
    let end = now.plus_seconds(-LINK_RETENTION_SECONDS);
    state.links.retain(|_, link| link.expires_at > end);
    let links = links - state.links.len();
    let letters = state.lapse_letters(end);
    let end = now.plus_seconds(-CODE_RETENTION_SECONDS);
    let mut codes = 0;
    for otp in state.otps.values_mut() {
        let before = otp.codes.len();
        otp.codes.retain(|code| code.expires_at.is_none_or(|at| at > end));
        codes += before - otp.codes.len();
    }
    let console = state.purge_console(now);
    let days = state.purge_use_days(now);
    let jobs = state.forget_job(now);
    let seen = state.purge_networks(now);
    let differing = state.purge_differences(now);
    let rows = answers + log + secrets + access + links + codes + console + letters + jobs;
    let uses = state.uses.purge(now);
    (rows + days + seen + differing + uses) as u64
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn event_append(&self, events: Vec<Event>) -> Result<(), Unavailable> {
        self.write(|state| events.iter().for_each(|event| state.record(event)));
        Ok(())
    }

    async fn event_list(
        &self,
        realm: &RealmName,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Unavailable> {
        Ok(self.read(|state| {
            let mut all: Vec<&Event> =
                state.events.values().filter(|event| event.realm == *realm).collect();
            let mut last = None;
            if let Some(most) = filter.look_at_most.filter(|_| filter.is_choosy()) {
                // As the engines do: those behind the place that was asked for, as many as may be.
                all.retain(|event| event.id.as_str() < page::top(&page));
                all.retain(|event| filter.to.is_none_or(|to| event.at < to));
                all.sort_by(|one, other| other.id.cmp(&one.id));
                all.truncate(most as usize);
                let full = filter.token.is_none() && all.len() == most as usize;
                let lowest = all
                    .last()
                    .filter(|lowest| full && filter.from.is_none_or(|from| lowest.at >= from));
                last = lowest.map(|event| event.id.clone());
            }
            let matching = all.into_iter().filter(|event| matches(event, &filter));
            let mut found = page_down(matching.cloned().collect(), &page, |event| event.id.clone());
            found.next = found.next.or(last);
            found
        }))
    }
}

fn matches(event: &Event, filter: &EventFilter) -> bool {
    let wanted = |asked: &Option<String>, found: Option<&str>| {
        asked.as_deref().is_none_or(|asked| found == Some(asked))
    };
    filter.token.is_none_or(|token| event.token == Some(token))
        && filter.outcome.is_none_or(|outcome| event.outcome == outcome)
        && wanted(&filter.kind, Some(&event.kind))
        && wanted(&filter.actor, Some(&event.origin.actor))
        && wanted(&filter.subject, event.subject.as_deref())
        && wanted(&filter.service, event.service.as_deref())
        && filter.from.is_none_or(|from| event.at >= from)
        && filter.to.is_none_or(|to| event.at < to)
}
