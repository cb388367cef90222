//! Usage and refusals, gathered in memory and flushed at most a second later.
//!
//! Bookkeeping only: a crash may lose the last second of it. Limits are never
//! kept here; they are transactions.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::event::Event;
use crate::secret::TokenId;
use crate::store::{Rehash, UsageDelta, UseDay, day_of};
use crate::verdict::Door;

/// Shards of the ledger.
const SHARDS: usize = 64;
/// Tokens with unflushed usage at most: about 100 MB. Beyond it uses of further tokens are
/// counted as lost, because a store that is down for hours must not take the node with it.
const PENDING_TOKENS_MAX: usize = 1_000_000;
/// Equal refusals recorded one by one per minute; more become one event with a count.
const EQUAL_REFUSALS_MAX: u64 = 100;
/// Distinct refusals remembered per minute; beyond it they are counted together by reason.
const DISTINCT_REFUSALS_MAX: usize = 10_000;
/// The window in which equal refusals are counted together.
const REFUSAL_WINDOW_SECONDS: i64 = 60;

/// Token ids are random, so their bytes are hash enough.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (slot, byte) in word.iter_mut().zip(chunk) {
                *slot = *byte;
            }
            let mixed = (self.0.rotate_left(5) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            self.0 = mixed ^ (mixed >> 32);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map by token.
pub(crate) type ById<T> = HashMap<TokenId, T, BuildHasherDefault<IdHasher>>;

#[derive(Default, Clone, Copy)]
struct Pending {
    accepted: u32,
    denied: u32,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    last_ip: Option<IpAddr>,
    is_listed: bool,
    /// Uses since the last flush, whether or not that one could be stored.
    fresh: u32,
    /// Through which door the latest came.
    door: Option<Door>,
}

impl Pending {
    /// What is told of the day: all of it counts as of the latest use, whose door it is.
    fn of_day(&self, token: TokenId) -> Option<UseDay> {
        let (door, last_at) = (self.door?, self.last_at?);
        let uses = u64::from(self.fresh);
        let last_ip = self.last_ip;
        Some(UseDay { token, day: day_of(last_at), door, uses, last_at, last_ip })
    }
}

/// What a flush carries.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) usage: Vec<UsageDelta>,
    pub(crate) rehashed: Vec<Rehash>,
    pub(crate) events: Vec<Event>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.usage.is_empty() && self.rehashed.is_empty() && self.events.is_empty()
    }
}

/// The ledger of one node.
pub(crate) struct Ledger {
    shards: Vec<Mutex<ById<Pending>>>,
    rehashed: Mutex<ById<Rehash>>,
    refusals: Mutex<Refusals>,
    lost: std::sync::atomic::AtomicU64,
}

#[derive(Default)]
struct Refusals {
    window_from: Timestamp,
    seen: HashMap<RefusalKey, Seen>,
    single: Vec<Event>,
}

struct Seen {
    times: u64,
    latest: Option<Box<Event>>,
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct RefusalKey {
    kind: std::borrow::Cow<'static, str>,
    realm: String,
    token: Option<TokenId>,
    service: Option<String>,
    reason: Option<String>,
    source: Option<IpAddr>,
    actor: Arc<str>,
}

impl RefusalKey {
    fn of(event: &Event) -> Self {
        Self {
            kind: event.kind.clone(),
            realm: event.realm.as_str().to_owned(),
            token: event.token,
            service: event.service.clone(),
            reason: event.reason.clone(),
            source: event.origin.source,
            actor: event.origin.actor.clone(),
        }
    }

    /// Without what a flood varies.
    fn coarse(mut self) -> Self {
        self.token = None;
        self.source = None;
        self.actor = "various".into();
        self
    }
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            rehashed: Mutex::default(),
            refusals: Mutex::default(),
            lost: std::sync::atomic::AtomicU64::new(0),
        }
    }

    fn with(&self, id: TokenId, change: impl FnOnce(&mut Pending)) {
        let mut hasher = IdHasher::default();
        hasher.write(id.as_bytes());
        let place = usize::try_from(hasher.finish() >> 58).unwrap_or(0);
        let Some(shard) = self.shards.get(place) else {
            return;
        };
        let mut shard = shard.lock();
        if shard.len() >= PENDING_TOKENS_MAX / SHARDS && !shard.contains_key(&id) {
            self.lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            return;
        }
        change(shard.entry(id).or_default());
    }

    /// Notes an accepted use.
    pub(crate) fn accepted(&self, id: TokenId, now: Timestamp, ip: Option<IpAddr>, door: Door) {
        self.count(id, now, ip, door, false);
    }

    /// The same of a token of a repository, whose lists are sorted by use.
    pub(crate) fn accepted_listed(
        &self,
        id: TokenId,
        now: Timestamp,
        ip: Option<IpAddr>,
        door: Door,
    ) {
        self.count(id, now, ip, door, true);
    }

    fn count(&self, id: TokenId, now: Timestamp, ip: Option<IpAddr>, door: Door, is_listed: bool) {
        self.with(id, |pending| {
            pending.fresh = pending.fresh.saturating_add(1);
            pending.door = Some(door);
            pending.is_listed |= is_listed;
            pending.accepted = pending.accepted.saturating_add(1);
            if pending.first_at.is_none_or(|first| now < first) {
                pending.first_at = Some(now);
            }
            if pending.last_at.is_none_or(|last| last <= now) {
                pending.last_at = Some(now);
                pending.last_ip = ip;
            }
        });
    }

    /// Notes a refusal of the right secret.
    pub(crate) fn denied(&self, id: TokenId) {
        self.with(id, |pending| pending.denied = pending.denied.saturating_add(1));
    }

    /// Notes a hash to replace.
    pub(crate) fn rehash(&self, rehash: Rehash) {
        let mut rehashed = self.rehashed.lock();
        if rehashed.len() < PENDING_TOKENS_MAX / SHARDS {
            rehashed.insert(rehash.token, rehash);
        }
    }

    /// Notes a refusal event. `make` is called only if it will be kept.
    pub(crate) fn refused(&self, event: Event) {
        let mut refusals = self.refusals.lock();
        let mut key = RefusalKey::of(&event);
        if refusals.seen.len() >= DISTINCT_REFUSALS_MAX && !refusals.seen.contains_key(&key) {
            key = key.coarse();
        }
        let seen = refusals.seen.entry(key).or_insert(Seen { times: 0, latest: None });
        seen.times += 1;
        if seen.times > EQUAL_REFUSALS_MAX {
            seen.latest = Some(Box::new(event));
        } else {
            refusals.single.push(event);
        }
    }

    /// Takes everything out. At the end of a refusal window, the counted ones too. `note` is told
    /// of the day of each token, once: not again of what was restored.
    pub(crate) fn drain(
        &self,
        now: Timestamp,
        closing: bool,
        mut note: impl FnMut(UseDay),
    ) -> Batch {
        let mut batch = Batch::default();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let gathered = shard.len();
            batch.usage.extend(shard.drain().map(|(token, pending)| {
                if let Some(day) = pending.of_day(token) {
                    note(day);
                }
                UsageDelta {
                    token,
                    accepted: u64::from(pending.accepted),
                    denied: u64::from(pending.denied),
                    first_at: pending.first_at,
                    last_at: pending.last_at,
                    last_ip: pending.last_ip,
                    is_listed: pending.is_listed,
                }
            }));
            // As much room as was needed: growing again costs more than all the noting.
            shard.shrink_to(gathered);
        }
        batch.rehashed = std::mem::take(&mut *self.rehashed.lock()).into_values().collect();
        let mut refusals = self.refusals.lock();
        batch.events = std::mem::take(&mut refusals.single);
        if closing || refusals.window_from.plus_seconds(REFUSAL_WINDOW_SECONDS) <= now {
            refusals.window_from = now;
            let counted = std::mem::take(&mut refusals.seen).into_values().filter_map(|seen| {
                let event = *seen.latest?;
                Some(Event { count: seen.times - EQUAL_REFUSALS_MAX, ..event })
            });
            batch.events.extend(counted);
        }
        batch
    }

    /// Puts a batch back that could not be stored.
    pub(crate) fn restore(&self, batch: Batch) {
        for delta in batch.usage {
            self.with(delta.token, |pending| {
                let more = |number| u32::try_from(number).unwrap_or(u32::MAX);
                pending.accepted = pending.accepted.saturating_add(more(delta.accepted));
                pending.denied = pending.denied.saturating_add(more(delta.denied));
                pending.first_at = earliest(pending.first_at, delta.first_at);
                if pending.last_at < delta.last_at {
                    pending.last_at = delta.last_at;
                    pending.last_ip = delta.last_ip;
                }
            });
        }
        for rehash in batch.rehashed {
            self.rehash(rehash);
        }
        let mut refusals = self.refusals.lock();
        let room = DISTINCT_REFUSALS_MAX.saturating_sub(refusals.single.len());
        refusals.single.extend(batch.events.into_iter().take(room));
    }

    /// Tokens with unflushed usage.
    pub(crate) fn pending(&self) -> u64 {
        let sizes = self.shards.iter().map(|shard| shard.lock().len());
        u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX)
    }

    /// Uses that could not be noted because the ledger was full.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Origin;
    use crate::names::RealmName;
    use crate::testing::SeededEntropy;

    #[test]
    fn uses_add_up_and_a_failed_flush_loses_none() {
        let ledger = Ledger::new();
        let id = TokenId::parse("0123456789AB").unwrap();
        let at = Timestamp::from_seconds;
        ledger.accepted(id, at(5), None, Door::Api);
        let mut days = Vec::new();
        let batch = ledger.drain(at(6), false, |day| days.push((day.uses, day.door)));
        assert_eq!(days, [(1, Door::Api)]);
        ledger.accepted(id, at(7), None, Door::Ldap);
        ledger.restore(batch);
        let batch = ledger.drain(at(8), false, |day| days.push((day.uses, day.door)));
        // The day was told of the first one before.
        assert_eq!(days[1..], [(1, Door::Ldap)]);
        let delta = batch.usage.first().unwrap();
        assert_eq!((delta.accepted, delta.first_at, delta.last_at), (2, Some(at(5)), Some(at(7))));
        assert!(ledger.drain(at(9), false, |_| {}).usage.is_empty());
    }

    /// However many are used at once.
    #[test]
    fn a_drain_tells_of_the_day_of_every_token() {
        let ledger = Ledger::new();
        let at = Timestamp::from_seconds(5);
        for one in 0..50_000 {
            let id = TokenId::parse(&format!("{one:012}")).unwrap();
            ledger.accepted(id, at, None, Door::Api);
        }
        let mut told = 0;
        ledger.drain(at, false, |day| told += day.uses);
        assert_eq!((told, ledger.lost()), (50_000, 0));
    }

    #[test]
    fn a_flood_of_equal_refusals_becomes_one_event_with_its_number() {
        let ledger = Ledger::new();
        let entropy = SeededEntropy::new(1);
        let realm = RealmName::parse("main").unwrap();
        let origin = Origin::system(Door::Api);
        let at = Timestamp::from_seconds(1000);
        ledger.drain(at, false, |_| {});
        for _ in 0..299 {
            let event = Event::new("verify.refused", &realm, &origin, at, &entropy).unwrap();
            ledger.refused(event.with_reason("unknown").refused());
        }
        assert_eq!(ledger.drain(at.plus_seconds(1), false, |_| {}).events.len(), 100);
        let rest = ledger.drain(at.plus_seconds(60), false, |_| {}).events;
        assert_eq!(rest.iter().map(|event| event.count).collect::<Vec<_>>(), [199]);
    }
}
