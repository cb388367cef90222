//! Audit logs, in memory.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use counterfoil_authority::audit::tree::{Hash, Span, TILE_WIDTH};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    AuditHead, AuditSeal, AuditStore, AuditTile, Lease, Unavailable, Unsealed,
};

use super::{MemoryStore, State};

/// The logs, and what waits for them.
#[derive(Clone, Default)]
pub(super) struct Logs {
    waiting: BTreeMap<i64, (RealmName, String)>,
    next: i64,
    heads: BTreeMap<RealmName, AuditHead>,
    /// Leaves are of level 0.
    hashes: BTreeMap<(RealmName, u32, u64), Hash>,
    places: BTreeMap<(RealmName, String), u64>,
    ids: BTreeMap<(RealmName, u64), String>,
}

impl Logs {
    /// Lets an event wait for its log.
    pub(super) fn wait(&mut self, event: &Event) {
        self.next += 1;
        self.waiting.insert(self.next, (event.realm.clone(), event.id.clone()));
    }

    fn tile(&self, realm: &RealmName, index: u64) -> Option<AuditTile> {
        let leaves = index * TILE_WIDTH..(index + 1) * TILE_WIDTH;
        let there = leaves.map_while(|place| {
            let hash = self.hashes.get(&(realm.clone(), 0, place))?;
            Some((self.ids.get(&(realm.clone(), place))?.clone(), *hash))
        });
        let (events, hashes): (Vec<_>, Vec<_>) = there.unzip();
        (!hashes.is_empty()).then_some(AuditTile { index, events, hashes })
    }

    fn append(&mut self, seal: AuditSeal) {
        let realm = &seal.realm;
        for tile in seal.tiles {
            for (number, (id, hash)) in (0..).zip(tile.events.into_iter().zip(tile.hashes)) {
                let place = tile.index * TILE_WIDTH + number;
                self.hashes.insert((realm.clone(), 0, place), hash);
                self.ids.insert((realm.clone(), place), id.clone());
                self.places.insert((realm.clone(), id), place);
            }
        }
        for node in seal.nodes {
            self.hashes.insert((realm.clone(), node.level, node.index), node.hash);
        }
        let known = self.heads.get(realm);
        let witnessed = known.map_or(0, |head| head.witnessed);
        let witnessed_at = known.and_then(|head| head.witnessed_at);
        let head = AuditHead {
            realm: realm.clone(),
            tree: seal.tree,
            note: seal.note,
            sealed_at: seal.at,
            witnessed,
            witnessed_at,
        };
        self.heads.insert(seal.realm, head);
    }
}

impl State {
    fn forget(&mut self, before: Timestamp, limit: u32, event: Event) -> u64 {
        let waits = self.audit.waiting.values();
        let first =
            waits.filter(|(realm, _)| *realm == event.realm).map(|(_, id)| id.clone()).min();
        let end = format!("{:014x}", before.micros().max(0));
        let end = first.map_or(end.clone(), |first| first.min(end));
        let old = self.events.iter().filter(|((realm, id), there)| {
            *realm == event.realm && *id < end && &*there.kind != "events.removed"
        });
        let old: Vec<_> = old.map(|(key, _)| key.clone()).take(limit as usize).collect();
        for key in &old {
            self.events.remove(key);
        }
        let count = old.len() as u64;
        if count > 0 {
            self.record(&Event { count, ..event });
        }
        count
    }
}

#[async_trait]
impl AuditStore for MemoryStore {
    async fn audit_unsealed(
        &self,
        except: Vec<RealmName>,
        limit: u32,
    ) -> Result<Vec<Unsealed>, Unavailable> {
        Ok(self.read(|state| {
            let waiting =
                state.audit.waiting.iter().filter(|(_, (realm, _))| !except.contains(realm));
            let event = |(seq, key): (&i64, &(RealmName, String))| {
                let event = state.events.get(key)?.clone();
                Some(Unsealed::of(*seq, event))
            };
            waiting.filter_map(event).take(limit as usize).collect()
        }))
    }

    async fn audit_waiting_since(&self) -> Result<Option<Timestamp>, Unavailable> {
        Ok(self.read(|state| {
            let first = state.audit.waiting.values().next()?;
            Some(state.events.get(first).map_or(Timestamp::EPOCH, |event| event.at))
        }))
    }

    async fn audit_seal(
        &self,
        under: &Lease,
        seals: Vec<AuditSeal>,
        sealed: Vec<i64>,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| {
            let size =
                |realm: &RealmName| state.audit.heads.get(realm).map_or(0, |head| head.tree.size());
            let once: BTreeSet<&i64> = sealed.iter().collect();
            let waits = once.len() == sealed.len()
                && sealed.iter().all(|seq| state.audit.waiting.contains_key(seq));
            let fits = seals.iter().all(|one| size(&one.realm) == one.before);
            let may = state.holds(under) && waits && fits;
            if may {
                for seal in seals {
                    state.audit.append(seal);
                }
                for seq in sealed {
                    state.audit.waiting.remove(&seq);
                }
            }
            may
        }))
    }

    async fn audit_head(&self, realm: &RealmName) -> Result<Option<AuditHead>, Unavailable> {
        Ok(self.read(|state| state.audit.heads.get(realm).cloned()))
    }

    async fn audit_heads(&self) -> Result<Vec<AuditHead>, Unavailable> {
        Ok(self.read(|state| state.audit.heads.values().cloned().collect()))
    }

    async fn audit_tile(
        &self,
        realm: &RealmName,
        index: u64,
    ) -> Result<Option<AuditTile>, Unavailable> {
        Ok(self.read(|state| state.audit.tile(realm, index)))
    }

    async fn audit_hashes(
        &self,
        realm: &RealmName,
        spans: Vec<Span>,
    ) -> Result<Vec<Vec<Hash>>, Unavailable> {
        Ok(self.read(|state| {
            let hash = |span: &Span, number| {
                state.audit.hashes.get(&(realm.clone(), span.level, span.first + number)).copied()
            };
            let read = |span: &Span| (0..span.count).map_while(|n| hash(span, n)).collect();
            spans.iter().map(read).collect()
        }))
    }

    async fn audit_place(
        &self,
        realm: &RealmName,
        event: &str,
    ) -> Result<Option<u64>, Unavailable> {
        let key = (realm.clone(), event.to_owned());
        Ok(self.read(|state| state.audit.places.get(&key).copied()))
    }

    async fn audit_events(
        &self,
        realm: &RealmName,
        ids: Vec<String>,
    ) -> Result<Vec<Option<Event>>, Unavailable> {
        Ok(self.read(|state| {
            ids.into_iter().map(|id| state.events.get(&(realm.clone(), id)).cloned()).collect()
        }))
    }

    async fn audit_witnessed(
        &self,
        realm: &RealmName,
        size: u64,
        at: Timestamp,
    ) -> Result<(), Unavailable> {
        self.write(|state| {
            if let Some(head) = state.audit.heads.get_mut(realm)
                && head.witnessed <= size
                && head.tree.size() >= size
            {
                (head.witnessed, head.witnessed_at) = (size, Some(at));
            }
        });
        Ok(())
    }

    async fn audit_forget(
        &self,
        under: &Lease,
        before: Timestamp,
        limit: u32,
        event: Event,
    ) -> Result<u64, Unavailable> {
        Ok(self.write(
            |state| {
                if state.holds(under) { state.forget(before, limit, event) } else { 0 }
            },
        ))
    }
}
