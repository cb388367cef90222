//! The bounded map from token id to what verify needs of it.
//!
//! Sharded, with a read lock per look-up and CLOCK eviction: a look-up marks its
//! entry, and an insertion into a full shard removes the first one whose mark has
//! gone. A look-up waits for memory as few times as can be (`table.rs`). Memory
//! follows the budget, never the number of tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::OwnerCell;
use super::profiles::{Profile, Profiles};
use super::table::{Held, Table};
use crate::access::AccessFacts;
use crate::clock::Timestamp;
use crate::keys::KeyId;
use crate::kind::Kind;
use crate::repository::{Membership, Place};
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::secret_hash::{Mac256, SecretHash};
use crate::service::Services;
use crate::store::Record;
use crate::token::{Slot, StateFacts, StoredSecret};
use crate::use_notes::LastNote;
use crate::validity::Validity;

/// Shards: enough that two cores rarely meet on one lock.
const SHARDS: usize = 64;

/// What an entry is worth that somebody asked for since the hand last passed.
const ASKED: u8 = 2;
/// The same of one that came since. Less, or the hand, which takes one off whatever it passes,
/// would find nothing else in a shard in which all are new, and take one that is asked for.
const NEW: u8 = 1;
/// Entries that the hand passes at most before one goes, some ten microseconds' worth.
const PASSED_MAX: usize = 256;

/// The switches of a token, one bit each: a byte less here and there keeps an entry, its counts
/// included, within 128 bytes.
#[derive(Debug, Clone, Copy)]
struct Switches(u8);

impl Switches {
    const ENABLED: u8 = 1;
    const LOCKED: u8 = 2;
    const PENDING: u8 = 4;
    const REVOKED: u8 = 8;

    fn of(record: &Record) -> Self {
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        Self(
            bit(record.enabled, Self::ENABLED)
                | bit(record.locked, Self::LOCKED)
                | bit(record.pending, Self::PENDING)
                | bit(record.revoked, Self::REVOKED),
        )
    }

    const fn is(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// A token as verify needs it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: TokenId,
    pub(crate) kind: Kind,
    switches: Switches,
    /// What the hand that looks for the next one to go has left of it.
    worth: AtomicU8,
    pub(crate) validity: Validity,
    pub(crate) created_at: Timestamp,
    pub(crate) owner: Arc<OwnerCell>,
    pub(crate) profile: Arc<Profile>,
    current: Option<(KeyId, Mac256)>,
    /// What it was last used for, as far as that is noted.
    pub(crate) last_note: LastNote,
    /// What most tokens do not have.
    pub(crate) rest: Option<Box<Rest>>,
}

/// The rarer facts of a token.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    pub(crate) max_usages: Option<u64>,
    pub(crate) parent_revoked: bool,
    pub(crate) secrets: Vec<StoredSecret>,
    /// A keyed code of a slow secret that verified, so that the next time is fast. Dies with
    /// the entry, which dies with any change of the token.
    pub(crate) remembered: Mutex<Option<Mac256>>,
    /// The token it was derived from: asked with every use, because what happens to that one is
    /// no change of this one.
    pub(crate) parent: Option<TokenId>,
    /// The repository that it is in, if it is a credential that waits to become the current one.
    pub(crate) repository: Option<Membership>,
    /// Whether an access token was made with a client's key, and is bounded as the key is.
    pub(crate) of_key: bool,
    /// What an access token says of itself.
    pub(crate) access: Option<Arc<AccessFacts>>,
    /// When the use of a session was last noted, in microseconds; zero: not since it is here.
    noted: AtomicI64,
}

/// An access token to be remembered.
pub(crate) struct Access {
    pub(crate) id: TokenId,
    /// The keyed hash of the whole string, of a JWT too: what is remembered is that this very
    /// string was good.
    pub(crate) current: (KeyId, Mac256),
    pub(crate) facts: Arc<AccessFacts>,
    pub(crate) validity: Validity,
    pub(crate) services: Services,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) revoked: bool,
}

/// Which secret of a token was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matched {
    /// One that counts.
    Good,
    /// A former one, inside its overlap: counts, but rotates nothing.
    Former,
    /// A former one, after its time.
    Retired,
    /// `next`, before its time.
    Early,
}

/// The MAC of a keyed secret.
pub(super) fn keyed_bytes(secret: &StoredSecret) -> Option<[u8; 32]> {
    match &secret.hash {
        SecretHash::Keyed { mac, .. } => Some(*mac.as_bytes()),
        SecretHash::Slow { .. } => None,
    }
}

/// A current keyed secret without times of its own: the common case, kept without a box.
fn plain_current(secret: &StoredSecret) -> Option<(KeyId, Mac256)> {
    let timeless = secret.facts.not_before.is_none() && secret.facts.expires_at.is_none();
    match &secret.hash {
        SecretHash::Keyed { pepper, mac } if timeless && secret.facts.slot == Slot::Current => {
            Some((*pepper, *mac))
        }
        _ => None,
    }
}

impl Entry {
    pub(super) fn new(record: Record, owner: Arc<OwnerCell>, profiles: &Profiles) -> Self {
        let switches = Switches::of(&record);
        let current = record.secrets.iter().find_map(plain_current);
        let others = record.secrets.into_iter().filter(|secret| plain_current(secret).is_none());
        let secrets: Vec<StoredSecret> = others.collect();
        let parent = record.parent.filter(|_| record.kind == Kind::DerivedToken);
        let waits = |member: &Membership| member.place == Place::Next;
        let repository = record.repository.filter(waits);
        let plain = record.max_usages.is_none()
            && !record.parent_revoked
            && parent.is_none()
            && repository.is_none()
            && secrets.is_empty();
        let rest = (!plain).then(|| {
            Box::new(Rest {
                max_usages: record.max_usages,
                parent_revoked: record.parent_revoked,
                secrets,
                remembered: Mutex::new(None),
                parent,
                repository,
                of_key: false,
                access: None,
                noted: AtomicI64::new(0),
            })
        });
        Self {
            id: record.id,
            kind: record.kind,
            switches,
            worth: AtomicU8::new(NEW),
            validity: record.validity,
            created_at: record.created_at,
            owner,
            profile: profiles.shared(Profile {
                services: record.services,
                scopes: record.scopes,
                permissions: record.permissions,
                networks: record.networks,
                doors: record.doors,
            }),
            current,
            last_note: LastNote::default(),
            rest,
        }
    }

    /// An access token: its own facts, and of the token it was made from what counts for it too.
    /// Whether that one is still good is asked each time.
    pub(super) fn of_access(access: Access, parent: &Self, profiles: &Profiles) -> Self {
        let Access { id, current, facts, validity, services, scopes, revoked } = access;
        let gone = if revoked { Switches::REVOKED } else { 0 };
        let switches = Switches(Switches::ENABLED | gone);
        let of_key = parent.kind == Kind::ClientKey;
        let doors = match facts.door {
            None => parent.profile.doors.clone(),
            // The session of a door opens that one, where its parent does.
            Some(door) => {
                let opens = parent.profile.doors.as_ref().is_none_or(|all| all.contains(&door));
                Some(if opens { vec![door] } else { Vec::new() })
            }
        };
        let rest = Rest { of_key, access: Some(Arc::clone(&facts)), ..Rest::default() };
        Self {
            id,
            kind: Kind::AccessToken,
            switches,
            worth: AtomicU8::new(NEW),
            validity,
            created_at: facts.issued_at,
            owner: Arc::clone(&parent.owner),
            profile: profiles.shared(Profile {
                services,
                scopes,
                permissions: parent.profile.permissions.clone(),
                networks: parent.profile.networks.clone(),
                doors,
            }),
            current: Some(current),
            last_note: LastNote::default(),
            rest: Some(Box::new(rest)),
        }
    }

    /// What it says of itself, if it is an access token.
    pub(crate) fn access(&self) -> Option<&Arc<AccessFacts>> {
        self.rest.as_ref()?.access.as_ref()
    }

    /// When its use as a session was last noted, as long as it stays here.
    pub(crate) fn noted_at(&self) -> Option<Timestamp> {
        let micros = self.rest.as_ref()?.noted.load(Ordering::Relaxed);
        (micros != 0).then(|| Timestamp::from_micros(micros))
    }

    /// Keeps when its use as a session was noted.
    pub(crate) fn note_at(&self, at: Timestamp) {
        if let Some(rest) = &self.rest {
            rest.noted.store(at.micros(), Ordering::Relaxed);
        }
    }

    /// The repository in which it is a credential that waits to become the current one.
    pub(crate) fn repository(&self) -> Option<&Membership> {
        self.rest.as_ref()?.repository.as_ref()
    }

    /// The token it was derived from.
    pub(crate) fn parent(&self) -> Option<TokenId> {
        self.rest.as_ref().and_then(|rest| rest.parent)
    }

    /// Whether it is a client's key, or an access token that was made with one.
    pub(crate) fn is_of_key(&self) -> bool {
        self.kind == Kind::ClientKey || self.rest.as_ref().is_some_and(|rest| rest.of_key)
    }

    /// The facts of its state; whether uses are left is the store's to say.
    pub(crate) fn state_facts(&self) -> StateFacts {
        StateFacts {
            revoked: self.switches.is(Switches::REVOKED),
            locked: self.switches.is(Switches::LOCKED),
            enabled: self.switches.is(Switches::ENABLED),
            pending: self.switches.is(Switches::PENDING),
            validity: self.validity,
            exhausted: false,
        }
    }

    /// Uses allowed in all, if limited.
    pub(crate) fn max_usages(&self) -> Option<u64> {
        self.rest.as_ref().and_then(|rest| rest.max_usages)
    }

    /// The peppers under which its keyed secrets are hashed.
    pub(crate) fn peppers(&self) -> impl Iterator<Item = KeyId> {
        let current = self.current.iter().map(|(pepper, _)| *pepper);
        let others = self.rest.iter().flat_map(|rest| rest.secrets.iter());
        current.chain(others.map(|secret| secret.hash.pepper()))
    }

    /// Compares with every keyed secret. `mac_under` computes the presented secret's code.
    ///
    /// Returns the pepper it matched under, so that a retired one can be replaced.
    pub(crate) fn matches(
        &self,
        now: Timestamp,
        mac_under: &dyn Fn(KeyId) -> Option<Mac256>,
    ) -> Option<(Matched, KeyId, Mac256)> {
        if let Some((pepper, mac)) = &self.current
            && mac_under(*pepper).as_ref() == Some(mac)
        {
            return Some((Matched::Good, *pepper, *mac));
        }
        self.rest.as_ref()?.secrets.iter().find_map(|secret| {
            let SecretHash::Keyed { pepper, mac } = &secret.hash else {
                return None;
            };
            let right = mac_under(*pepper).as_ref() == Some(mac);
            right.then(|| (matched(secret, now), *pepper, *mac))
        })
    }
}

/// Whether a right secret counts at `now` by its own times.
pub(crate) fn matched(secret: &StoredSecret, now: Timestamp) -> Matched {
    if secret.facts.expires_at.is_some_and(|end| end <= now) {
        Matched::Retired
    } else if secret.facts.not_before.is_some_and(|start| now < start) {
        Matched::Early
    } else if secret.facts.slot == Slot::Previous {
        Matched::Former
    } else {
        Matched::Good
    }
}

/// Alone on its lines of memory, its lock included: who counts here disturbs no other shard.
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    entries: Table<Entry>,
    /// The place in the table at which the next one to go is looked for.
    hand: usize,
    hits: AtomicU64,
}

/// The bounded map.
pub(crate) struct Tokens {
    shards: Vec<RwLock<Shard>>,
    most_per_shard: usize,
}

impl Held for Entry {
    fn id(&self) -> TokenId {
        self.id
    }

    fn hash(&self) -> u64 {
        hash_of(&self.id)
    }
}

/// Ids are random base62, so mixing the bytes is hash enough.
fn hash_of(id: &TokenId) -> u64 {
    let bytes = id.as_bytes();
    let (head, tail) = bytes.split_at(8);
    let head = head.try_into().map_or(0, u64::from_le_bytes);
    let tail = tail.try_into().map_or(0, u32::from_le_bytes);
    let mixed = (head ^ u64::from(tail).rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

impl Tokens {
    pub(super) fn new(capacity: usize) -> Self {
        let most_per_shard = (capacity / SHARDS).max(1);
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), most_per_shard }
    }

    pub(super) fn capacity(&self) -> usize {
        self.most_per_shard * SHARDS
    }

    pub(super) fn len(&self) -> u64 {
        let held = self.shards.iter().map(|shard| shard.read().entries.len());
        u64::try_from(held.sum::<usize>()).unwrap_or(u64::MAX)
    }

    pub(super) fn hits(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().hits.load(Ordering::Relaxed)).sum()
    }

    fn shard(&self, hash: u64) -> Option<&RwLock<Shard>> {
        // The top bits choose the shard; the table uses the low ones.
        self.shards.get(usize::try_from(hash >> 58).unwrap_or(0))
    }

    pub(super) fn with<T>(&self, id: TokenId, look: impl FnOnce(&Arc<Entry>) -> T) -> Option<T> {
        let hash = hash_of(&id);
        let shard = self.shard(hash)?.read();
        let entry = shard.entries.find(hash, id)?;
        // Written only when it changes: a line of memory that nobody writes is shared by all cores.
        if entry.worth.load(Ordering::Relaxed) != ASKED {
            entry.worth.store(ASKED, Ordering::Relaxed);
        }
        shard.hits.fetch_add(1, Ordering::Relaxed);
        Some(look(entry))
    }

    /// Puts the entry in unless `moved` says, under the shard's lock, that it is out of date.
    pub(super) fn insert_unless(&self, entry: &Arc<Entry>, moved: impl FnOnce() -> bool) -> bool {
        let hash = hash_of(&entry.id);
        let Some(shard) = self.shard(hash) else {
            return false;
        };
        let mut shard = shard.write();
        if moved() {
            return false;
        }
        shard.put(hash, Arc::clone(entry), self.most_per_shard);
        true
    }

    pub(super) fn remove(&self, id: TokenId) {
        let hash = hash_of(&id);
        if let Some(shard) = self.shard(hash) {
            shard.write().take(hash, id);
        }
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            let hits = std::mem::take(&mut shard.hits);
            *shard = Shard { hits, ..Shard::default() };
        }
    }
}

impl Shard {
    fn put(&mut self, hash: u64, entry: Arc<Entry>, most: usize) {
        self.take(hash, entry.id);
        if self.entries.len() >= most {
            self.evict();
        }
        self.entries.insert(entry);
    }

    /// Removes the next entry that is worth nothing any more, or the one that is worth the least
    /// of those that the hand passes within its patience: verifies wait meanwhile.
    fn evict(&mut self) {
        let places = self.entries.places();
        let (mut passed, mut least) = (0, None);
        // So many times around, nothing is worth anything.
        for _ in 0..(usize::from(ASKED) + 1) * places {
            let place = self.hand % places;
            self.hand = place + 1;
            let Some(entry) = self.entries.at(place) else { continue };
            let worth = entry.worth.load(Ordering::Relaxed);
            if least.is_none_or(|(least, _)| worth < least) {
                least = Some((worth, entry.id));
            }
            passed += 1;
            if worth == 0 || passed == PASSED_MAX {
                break;
            }
            // Nobody else writes it while the shard is held.
            entry.worth.store(worth - 1, Ordering::Relaxed);
        }
        if let Some((_, id)) = least {
            self.take(hash_of(&id), id);
        }
    }

    fn take(&mut self, hash: u64, id: TokenId) {
        self.entries.remove(hash, id);
    }
}
