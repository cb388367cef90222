//! What verify remembers: tokens, their owners, services and realms, within a memory budget.
//!
//! The fill rule (design rule 8): a fill is tagged with the position of the
//! change log *before* its read, and dropped if the log has since moved past
//! anything it read. Without it a row read before a revocation could be put
//! back after the invalidation, and a revoked token would live on in memory.
//!
//! The trust rule: what other processes changed is heard of through the log. While
//! its end has not been seen for a second, every look-up is a miss, and what is
//! read then is used once and not kept.
//!
//! Length: every change has to reach every part of what is remembered, and is seen to here alone.

mod changes;
mod labels;
mod marks;
mod profiles;
mod table;
mod tokens;
mod trust;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

pub use self::changes::Position;
use self::changes::RecentChanges;
use self::labels::Labels;
pub(crate) use self::marks::Mark;
use self::marks::Marks;
pub(crate) use self::tokens::{Access, Entry, Matched, Tokens, matched};
use self::trust::Trust;
use crate::authority::Needs;
use crate::caller::Standing;
use crate::clock::Timestamp;
use crate::names::{RealmName, ServiceLabel, Username};
use crate::policy::EffectivePolicy;
use crate::secret::TokenId;
use crate::secret_hash::Mac256;
use crate::service::{Realm, Service};
use crate::store::{Change, ChangeListener, Record};
use crate::subject::{Owner, OwnerFacts};

/// Bytes that one cached token is reckoned to cost: its entry, its place and a share of its owner.
/// `cargo xtask bench` measures the real figure.
const TOKEN_COST_BYTES: u64 = 192;

/// A token's owner, shared by all their cached tokens.
///
/// In this order, because every verify reads the first of it, and waits for each line of memory.
#[derive(Debug)]
#[repr(C)]
pub struct OwnerCell {
    stale: AtomicBool,
    /// The owner's realm.
    pub realm: RealmName,
    /// How the owner stands.
    pub facts: OwnerFacts,
    /// What the owner is as a caller of the API, once they were one.
    pub(crate) standing: OnceLock<Arc<Standing>>,
}

impl OwnerCell {
    fn new(realm: RealmName, facts: OwnerFacts) -> Arc<Self> {
        Arc::new(Self { realm, facts, standing: OnceLock::new(), stale: AtomicBool::new(false) })
    }

    /// Whether the owner changed since: every token that points here is a miss then.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }
}

/// A realm as verify needs it.
#[derive(Debug)]
pub struct RealmCell {
    /// The realm.
    pub realm: Realm,
    /// What its own policy says for a service that says nothing.
    pub policy: EffectivePolicy,
    /// What its targets need of new secrets.
    pub needs: Needs,
    /// The documents of the AM door, once read. A change of them is one of the realm.
    pub(crate) am: OnceLock<Arc<crate::am::Compiled>>,
}

/// A service as verify needs it, its realm's policy applied.
#[derive(Debug)]
pub struct ServiceCell {
    /// The service.
    pub service: Service,
    /// What holds for it.
    pub policy: EffectivePolicy,
}

/// Every realm and service that is known. Read as a whole without a lock, replaced as a whole.
pub(crate) type Realms = HashMap<RealmName, Arc<RealmEntry>>;

/// What is known of one realm.
#[derive(Debug, Default, Clone)]
pub(crate) struct RealmEntry {
    realm: Option<Arc<RealmCell>>,
    services: HashMap<ServiceLabel, Arc<ServiceCell>>,
}

/// Sizes and hit counts, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Tokens held.
    pub tokens: u64,
    /// Tokens that fit the budget.
    pub capacity: u64,
    /// Look-ups answered from memory.
    pub hits: u64,
    /// Look-ups that went to the store.
    pub misses: u64,
    /// Fills that were dropped because something changed meanwhile.
    pub dropped_fills: u64,
    /// Verifications that found the cache not to be trusted.
    pub distrusted: u64,
}

/// Everything that verify remembers.
pub struct Cache {
    trust: Trust,
    recent: RecentChanges,
    tokens: Tokens,
    profiles: profiles::Profiles,
    by_hash: RwLock<HashMap<[u8; 32], TokenId>>,
    owners: Mutex<Owners>,
    elsewhere: Marks,
    realms: ArcSwap<Realms>,
    labels: Labels,
    /// Held by who replaces the realms.
    replacing_realms: Mutex<()>,
    misses: AtomicU64,
    dropped_fills: AtomicU64,
}

#[derive(Default)]
struct Owners {
    cells: HashMap<(RealmName, Owner), Weak<OwnerCell>>,
    sweep_at: usize,
}

impl RealmEntry {
    /// The realm with the one service that a token must be good for; `None` if anything of it
    /// has to be read first.
    pub(crate) fn with_service(
        &self,
        label: Option<&ServiceLabel>,
    ) -> Option<(&RealmCell, &[Arc<ServiceCell>])> {
        let services = match label {
            Some(label) => std::slice::from_ref(self.services.get(label)?),
            None => &[],
        };
        Some((self.realm.as_deref()?, services))
    }
}

impl Cache {
    /// A cache that keeps to `budget_bytes`, at least a handful of tokens.
    pub fn new(budget_bytes: u64) -> Self {
        let capacity = usize::try_from(budget_bytes / TOKEN_COST_BYTES).unwrap_or(usize::MAX);
        Self {
            trust: Trust::default(),
            recent: RecentChanges::default(),
            tokens: Tokens::new(capacity),
            profiles: profiles::Profiles::default(),
            by_hash: RwLock::default(),
            owners: Mutex::default(),
            elsewhere: Marks::default(),
            realms: ArcSwap::default(),
            labels: Labels::default(),
            replacing_realms: Mutex::default(),
            misses: AtomicU64::new(0),
            dropped_fills: AtomicU64::new(0),
        }
    }

    /// The position to tag a fill with: read it before the store.
    pub fn position(&self, now: Timestamp) -> Position {
        self.recent.position(self.is_trusted(now))
    }

    /// From now on the cache is trusted only while the log is followed.
    pub(crate) fn follow(&self) {
        self.trust.follow();
    }

    /// Everything that the log held at `sent` has been applied.
    pub(crate) fn confirm(&self, sent: Timestamp) {
        self.trust.confirm(sent);
    }

    /// Whether what is cached can be relied on: one load and one comparison.
    pub(crate) fn is_trusted(&self, now: Timestamp) -> bool {
        self.trust.holds(now)
    }

    /// The same for a verification, which is counted if it has to ask the store.
    pub(crate) fn is_trusted_to_verify(&self, now: Timestamp) -> bool {
        let trusted = self.trust.holds(now);
        if !trusted {
            self.trust.note_distrusted();
        }
        trusted
    }

    /// Looks at a cached token under a read lock; `None` on a miss. `look` must not block.
    pub(crate) fn with_token<T>(
        &self,
        now: Timestamp,
        id: TokenId,
        look: impl FnOnce(&Arc<Entry>) -> T,
    ) -> Option<T> {
        self.look(now, id, look)
    }

    /// The same by who asks once more if it is a miss, and has that one counted.
    pub(crate) fn peek<T>(
        &self,
        now: Timestamp,
        id: TokenId,
        look: impl FnOnce(&Arc<Entry>) -> T,
    ) -> Option<T> {
        let seen = |entry: &Arc<Entry>| (!entry.owner.is_stale()).then(|| look(entry));
        self.is_trusted(now).then(|| self.tokens.with(id, seen).flatten()).flatten()
    }

    /// A cached token to keep for one request; `None` on a miss.
    pub(crate) fn token(&self, now: Timestamp, id: TokenId) -> Option<Arc<Entry>> {
        self.look(now, id, Arc::clone)
    }

    fn look<T>(
        &self,
        now: Timestamp,
        id: TokenId,
        look: impl FnOnce(&Arc<Entry>) -> T,
    ) -> Option<T> {
        let seen = self.peek(now, id, look);
        if seen.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        seen
    }

    /// The cached token with this hash, for secrets whose form carries no id, and for slow ones
    /// that are remembered.
    pub(crate) fn id_by_hash(&self, mac: &Mac256) -> Option<TokenId> {
        self.by_hash.read().get(mac.as_bytes()).copied()
    }

    /// Makes an entry of a record and keeps it unless something it rests on changed since `tag`.
    pub(crate) fn fill(&self, mut record: Record, tag: Position) -> Arc<Entry> {
        // One name in memory for all tokens of a realm: a verify then reads no copy of its own.
        if let Some((realm, _)) = self.realms.load().get_key_value(&record.realm) {
            record.realm = realm.clone();
        }
        let owner_key = (record.realm.clone(), record.owner.clone());
        let by_hash = record.secrets.iter().filter(|secret| secret.found_by_hash);
        let hashes: Vec<[u8; 32]> = by_hash.filter_map(tokens::keyed_bytes).collect();
        let id = record.id;
        let cell = self.owner_cell(&owner_key, &record, tag);
        let entry = Arc::new(Entry::new(record, cell, &self.profiles));
        if !tag.keeps() {
            return entry;
        }
        let moved = || {
            self.recent.moved_past(tag, |change| match change {
                Change::Token(changed) => *changed == id,
                Change::User(realm, name) => {
                    owner_key.0 == *realm && owner_key.1.user() == Some(name)
                }
                Change::Client(realm, name) => {
                    owner_key.0 == *realm && owner_key.1 == Owner::Client(name.clone())
                }
                Change::Everything => true,
                Change::Service(..) | Change::Realm(_) | Change::Shadow(..) => false,
            })
        };
        if self.tokens.insert_unless(&entry, moved) {
            self.index(hashes, id);
        } else {
            self.dropped_fills.fetch_add(1, Ordering::Relaxed);
        }
        entry
    }

    /// Notes where a slow secret that verified leads. Whether it still is good, its entry says.
    pub(crate) fn remember(&self, mac: Mac256, id: TokenId) {
        self.index(vec![*mac.as_bytes()], id);
    }

    fn index(&self, hashes: Vec<[u8; 32]>, id: TokenId) {
        if hashes.is_empty() {
            return;
        }
        let mut index = self.by_hash.write();
        if index.len() >= self.tokens.capacity() {
            index.clear();
        }
        index.extend(hashes.into_iter().map(|mac| (mac, id)));
    }

    /// The same of an access token; if the owner of its parent changed, both entries are misses.
    pub(crate) fn fill_access(&self, access: Access, parent: &Entry, tag: Position) -> Arc<Entry> {
        let id = access.id;
        let entry = Arc::new(Entry::of_access(access, parent, &self.profiles));
        let moved = || {
            self.recent.moved_past(tag, |change| match change {
                Change::Token(changed) => *changed == id,
                Change::Everything => true,
                _ => false,
            })
        };
        if tag.keeps() && !self.tokens.insert_unless(&entry, moved) {
            self.dropped_fills.fetch_add(1, Ordering::Relaxed);
        }
        entry
    }

    /// The entry of a token that somebody else keeps, which is remembered elsewhere; and whether it
    /// may be: neither it nor its owner changed since `tag`, and a later change marks them.
    pub(crate) fn of_elsewhere(
        &self,
        record: Record,
        tag: Position,
    ) -> (Arc<Entry>, Option<Arc<Mark>>) {
        let key = (record.realm.clone(), record.owner.clone());
        let id = record.id;
        let cell = self.owner_cell(&key, &record, tag);
        let entry = Arc::new(Entry::new(record, cell, &self.profiles));
        if !tag.keeps() {
            return (entry, None);
        }
        let concerns =
            |change: &Change| *change == Change::Token(id) || owner_changed(change, &key);
        let mark = self.elsewhere.of(id, || self.recent.moved_past(tag, concerns));
        (entry, mark)
    }

    /// The owner's shared cell; a private one if the owner changed since `tag`.
    fn owner_cell(
        &self,
        key: &(RealmName, Owner),
        record: &Record,
        tag: Position,
    ) -> Arc<OwnerCell> {
        if !tag.keeps() {
            // A shared one may carry a standing that was read while the cache was trusted.
            return OwnerCell::new(key.0.clone(), record.owner_facts.clone());
        }
        let mut owners = self.owners.lock();
        let known = owners.cells.get(key).and_then(Weak::upgrade);
        if let Some(cell) = known
            && !cell.is_stale()
            && cell.facts == record.owner_facts
        {
            return cell;
        }
        let fresh = OwnerCell::new(key.0.clone(), record.owner_facts.clone());
        let moved = self.recent.moved_past(tag, |change| owner_changed(change, key));
        if !moved {
            if owners.cells.len() >= owners.sweep_at {
                owners.cells.retain(|_, cell| cell.strong_count() > 0);
                owners.sweep_at = (owners.cells.len() * 2).max(1024);
            }
            if let Some(old) = owners.cells.insert(key.clone(), Arc::downgrade(&fresh))
                && let Some(old) = old.upgrade()
            {
                old.stale.store(true, Ordering::Release);
            }
        }
        fresh
    }

    /// Whether tokens of this person are cached.
    pub(crate) fn knows(&self, realm: &RealmName, name: &Username) -> bool {
        self.owners.lock().cells.contains_key(&(realm.clone(), Owner::User(name.clone())))
    }

    /// The cached service, if it is known.
    pub(crate) fn service(
        &self,
        now: Timestamp,
        realm: &RealmName,
        label: &str,
    ) -> Option<Arc<ServiceCell>> {
        if !self.is_trusted(now) {
            return None;
        }
        let realms = self.realms.load();
        let entry = realms.get(realm)?;
        // Labels are few per realm and compare by bytes; a parsed label would allocate.
        entry.services.iter().find(|(known, _)| known.as_str() == label).map(|(_, c)| Arc::clone(c))
    }

    /// The cached realm, if it is known.
    pub(crate) fn realm(&self, now: Timestamp, realm: &RealmName) -> Option<Arc<RealmCell>> {
        self.is_trusted(now).then(|| self.realms.load().get(realm)?.realm.clone()).flatten()
    }

    /// Every realm and service that is known at this moment, whether or not that is trusted.
    pub(crate) fn realms(&self) -> Guard<Arc<Realms>> {
        self.realms.load()
    }

    /// Replaces what is known of the realms unless `change` says, while nobody else replaces it,
    /// that there is nothing to do.
    fn replace_realms(&self, change: impl FnOnce(&mut Realms) -> bool) {
        let _alone = self.replacing_realms.lock();
        let mut realms = Realms::clone(&self.realms.load());
        if change(&mut realms) {
            self.realms.store(Arc::new(realms));
        }
    }

    /// Keeps a realm unless it changed since `tag`.
    pub(crate) fn fill_realm(&self, realm: Realm, needs: Needs, tag: Position) -> Arc<RealmCell> {
        let policy = crate::policy::TokenPolicy::default().effective(&realm.token_policy);
        let name = realm.name.clone();
        let cell = Arc::new(RealmCell { realm, policy, needs, am: OnceLock::new() });
        if !tag.keeps() {
            return cell;
        }
        self.replace_realms(|realms| {
            let moved = self.recent.moved_past(tag, |change| match change {
                Change::Realm(changed) => *changed == name,
                Change::Everything => true,
                _ => false,
            });
            if !moved {
                let entry = realms.entry(name.clone()).or_default();
                Arc::make_mut(entry).realm = Some(Arc::clone(&cell));
            }
            !moved
        });
        cell
    }

    /// Keeps a service unless it or its realm changed since `tag`, or the realm whose policy was
    /// applied is no longer the one that is known: a change is noted before it is applied, and
    /// in between the former realm is still at hand under a tag that is past the change.
    pub(crate) fn fill_service(
        &self,
        service: Service,
        realm: &RealmCell,
        tag: Position,
    ) -> Arc<ServiceCell> {
        let policy = service.token_policy.effective(&realm.realm.token_policy);
        let (name, label) = (service.realm.clone(), service.label.clone());
        self.labels.note(&name, &label);
        let cell = Arc::new(ServiceCell { service, policy });
        if !tag.keeps() {
            return cell;
        }
        self.replace_realms(|realms| {
            let moved = self.recent.moved_past(tag, |change| match change {
                Change::Service(realm, changed) => *realm == name && *changed == label,
                Change::Realm(changed) => *changed == name,
                Change::Everything => true,
                _ => false,
            });
            let Some(entry) = realms.get_mut(&name).filter(|_| !moved) else { return false };
            let same = entry.realm.as_deref().is_some_and(|known| std::ptr::eq(known, realm));
            if same {
                let services = &mut Arc::make_mut(entry).services;
                services.insert(label.clone(), Arc::clone(&cell));
            }
            same
        });
        cell
    }

    /// Sizes and counts.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            tokens: self.tokens.len(),
            capacity: u64::try_from(self.tokens.capacity()).unwrap_or(u64::MAX),
            hits: self.tokens.hits(),
            misses: self.misses.load(Ordering::Relaxed),
            dropped_fills: self.dropped_fills.load(Ordering::Relaxed),
            distrusted: self.trust.distrusted(),
        }
    }

    fn apply(&self, change: &Change) {
        match change {
            Change::Token(id) => {
                self.tokens.remove(*id);
                self.elsewhere.changed(*id);
            }
            Change::User(realm, name) => {
                self.forget_owner(&(realm.clone(), Owner::User(name.clone())));
            }
            Change::Client(realm, name) => {
                self.forget_owner(&(realm.clone(), Owner::Client(name.clone())));
            }
            Change::Service(realm, label) => {
                self.replace_realms(|realms| {
                    let entry = realms.get_mut(realm).filter(|e| e.services.contains_key(label));
                    entry.is_some_and(|entry| Arc::make_mut(entry).services.remove(label).is_some())
                });
            }
            Change::Realm(realm) => {
                self.replace_realms(|realms| realms.remove(realm).is_some());
            }
            Change::Shadow(..) => {}
            Change::Everything => {
                self.tokens.clear();
                self.elsewhere.all_changed();
                self.by_hash.write().clear();
                self.replace_realms(|realms| {
                    realms.clear();
                    true
                });
                for (_, cell) in self.owners.lock().cells.drain() {
                    if let Some(cell) = cell.upgrade() {
                        cell.stale.store(true, Ordering::Release);
                    }
                }
            }
        }
    }

    fn forget_owner(&self, key: &(RealmName, Owner)) {
        if let Some(cell) = self.owners.lock().cells.remove(key).and_then(|cell| cell.upgrade()) {
            cell.stale.store(true, Ordering::Release);
        }
    }
}

fn owner_changed(change: &Change, key: &(RealmName, Owner)) -> bool {
    match change {
        Change::User(realm, name) => key.0 == *realm && key.1.user() == Some(name),
        Change::Client(realm, name) => key.0 == *realm && key.1 == Owner::Client(name.clone()),
        Change::Everything => true,
        Change::Token(_) | Change::Service(..) | Change::Realm(_) | Change::Shadow(..) => false,
    }
}

/// First the log, then the entries: a fill that misses the one meets the other.
impl ChangeListener for Cache {
    fn changed(&self, changes: &[Change]) {
        self.recent.push(changes);
        for change in changes {
            self.apply(change);
        }
    }
}

#[cfg(test)]
mod tests;
