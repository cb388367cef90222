//! The audit logs: sealing, and what auditors are given.

mod continuity;
mod replay;
mod seal;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::Authority;
use crate::audit::export::entry_line;
use crate::audit::leaf;
use crate::audit::note::{SigningKey, VerifierKey, origin};
use crate::audit::tree::{Frontier, Hash, Plan, TILE_WIDTH, leaf_hash};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::keys::{KeyNotHere, KeyPurpose};
use crate::names::RealmName;
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::store::{AuditHead, AuditTile, Unavailable};

pub use replay::Replayed;
pub use seal::WitnessFailure;

/// Entries of one page of an export at most.
pub const AUDIT_ENTRIES_MAX: u32 = 1000;

/// What the sealing worker remembers.
#[derive(Default)]
pub(super) struct Sealing {
    /// The id of the installation, which never changes.
    installation: OnceLock<String>,
    /// The lease on sealing and its end, while this process has it.
    pub(super) lease: parking_lot::Mutex<Option<(crate::store::Lease, Timestamp)>>,
    /// The longest log of each realm that was signed or seen here.
    seen: parking_lot::Mutex<BTreeMap<RealmName, continuity::Seen>>,
}

/// The log does not hold what its own head says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit log of {realm} is damaged: {what}; `counterfoil doctor --deep` says where")]
pub struct DamagedLog {
    /// The realm.
    pub realm: RealmName,
    /// What is wrong.
    pub what: String,
}

impl DamagedLog {
    /// The damaged log that an error is about, if it is about one: the store answers, and what it
    /// says is not a log.
    pub fn behind(error: &Unavailable) -> Option<&Self> {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&*error.0);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

impl From<DamagedLog> for Unavailable {
    fn from(error: DamagedLog) -> Self {
        Self::new(error)
    }
}

/// The checkpoint of a realm's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheckpoint {
    /// How many events are in the log.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// How many events the witness's checkpoint has.
    pub witnessed: u64,
    /// When the witness last took one.
    pub witnessed_at: Option<Timestamp>,
}

impl From<AuditHead> for AuditCheckpoint {
    fn from(head: AuditHead) -> Self {
        Self {
            size: head.tree.size(),
            root: head.tree.root(),
            note: head.note,
            sealed_at: head.sealed_at,
            witnessed: head.witnessed,
            witnessed_at: head.witnessed_at,
        }
    }
}

/// That an event is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Its place, from 0.
    pub place: u64,
    /// The size of the tree that it is proved for.
    pub size: u64,
    /// The hash of its leaf.
    pub leaf: Hash,
    /// What is hashed for the leaf; `None` if retention has removed the event.
    pub text: Option<String>,
    /// The path (RFC 6962 section 2.1.1).
    pub hashes: Vec<Hash>,
}

impl InclusionProof {
    /// Whether the event is still the one that was sealed.
    pub fn is_unaltered(&self) -> bool {
        self.text.as_ref().is_none_or(|text| leaf_hash(text.as_bytes()) == self.leaf)
    }
}

/// How an event stands to its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    /// It waits to be sealed.
    Waits,
    /// It is in it.
    Sealed(InclusionProof),
}

/// Some entries of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntries {
    /// The tree of all entries before them.
    pub before: Frontier,
    /// Their lines in an export.
    pub lines: Vec<String>,
}

impl Authority {
    async fn audited(&self, caller: &Caller, realm: &RealmName) -> Result<(), Refusal> {
        caller.require_whole(realm, ApiScope::AuditRead)?;
        self.realm_facts(realm).await?;
        Ok(())
    }

    async fn audit_head(&self, caller: &Caller, realm: &RealmName) -> Result<AuditHead, Refusal> {
        self.audited(caller, realm).await?;
        let head = self.store.audit_head(realm).await?;
        head.ok_or(Refusal::NotFound(Thing::Checkpoint))
    }

    /// The latest checkpoint of a realm's log. Needs `audit:read` for the whole realm, as
    /// everything about the log does.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] before the first event was sealed.
    pub async fn audit_checkpoint(
        &self,
        caller: &Caller,
        realm: &RealmName,
    ) -> Result<AuditCheckpoint, Refusal> {
        Ok(self.audit_head(caller, realm).await?.into())
    }

    /// The public keys under which checkpoints of a realm's log are or were signed, the present
    /// one first.
    ///
    /// # Errors
    ///
    /// As [`Authority::audit_checkpoint`].
    pub async fn audit_keys(
        &self,
        caller: &Caller,
        realm: &RealmName,
    ) -> Result<Vec<VerifierKey>, Refusal> {
        self.audited(caller, realm).await?;
        Ok(self.verifiers(realm).await?)
    }

    /// The proof that an event is in the log when it has `size` entries, by default now.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] for an event that is not known, [`Refusal::Invalid`] for a size that
    /// the log does not have or at which the event was not in it.
    pub async fn audit_inclusion(
        &self,
        caller: &Caller,
        realm: &RealmName,
        event: &str,
        size: Option<u64>,
    ) -> Result<Proved, Refusal> {
        self.audited(caller, realm).await?;
        let Some(place) = self.store.audit_place(realm, event).await? else {
            let found = self.store.event_find(realm, event).await?;
            return found.map(|_| Proved::Waits).ok_or(Refusal::NotFound(Thing::Event));
        };
        let head = self.audit_head(caller, realm).await?;
        let size = size.unwrap_or(head.tree.size());
        if size <= place || size > head.tree.size() {
            let why = format!("lies between {} and {} for this event", place + 1, head.tree.size());
            return Err(Refusal::invalid("size", why));
        }
        let damaged = |what: &str| damaged(realm, what);
        let plan = Plan::inclusion(place, size).ok_or_else(|| damaged("a place is wrong"))?;
        let read = self.store.audit_hashes(realm, plan.spans()).await?;
        let hashes = plan.hashes(&read).ok_or_else(|| damaged("hashes are missing"))?;
        let tile = self.store.audit_tile(realm, place / TILE_WIDTH).await?.unwrap_or_default();
        let leaf = usize::try_from(place % TILE_WIDTH).ok().and_then(|at| tile.hashes.get(at));
        let leaf = *leaf.ok_or_else(|| damaged("a leaf is missing"))?;
        let text = self.store.event_find(realm, event).await?.map(|event| leaf::text_of(&event));
        Ok(Proved::Sealed(InclusionProof { place, size, leaf, text, hashes }))
    }

    /// The proof that the log with `to` entries, by default all, begins with the one with `from`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for sizes that the log does not have.
    pub async fn audit_consistency(
        &self,
        caller: &Caller,
        realm: &RealmName,
        from: u64,
        to: Option<u64>,
    ) -> Result<(u64, Vec<Hash>), Refusal> {
        let head = self.audit_head(caller, realm).await?;
        let to = to.unwrap_or(head.tree.size());
        if to > head.tree.size() {
            let why = format!("the log has {} entries", head.tree.size());
            return Err(Refusal::invalid("to", why));
        }
        let plan = Plan::consistency(from, to);
        let plan = plan.ok_or_else(|| Refusal::invalid("from", format!("is more than {to}")))?;
        let read = self.store.audit_hashes(realm, plan.spans()).await?;
        let damaged = || damaged(realm, "hashes are missing");
        Ok((to, plan.hashes(&read).ok_or_else(damaged)?))
    }

    /// At most `limit` entries from the place `from`, as an export has them.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for a place behind the end of the log.
    pub async fn audit_entries(
        &self,
        caller: &Caller,
        realm: &RealmName,
        from: u64,
        limit: u32,
    ) -> Result<AuditEntries, Refusal> {
        let head = self.audit_head(caller, realm).await?;
        if from > head.tree.size() {
            let why = format!("the log has {} entries", head.tree.size());
            return Err(Refusal::invalid("from", why));
        }
        let damaged = |what: &str| damaged(realm, what);
        let plan = Plan::frontier(from);
        let read = self.store.audit_hashes(realm, plan.spans()).await?;
        let roots = plan.hashes(&read).ok_or_else(|| damaged("hashes are missing"))?;
        let before = Frontier::of(from, roots).ok_or_else(|| damaged("hashes are missing"))?;
        let end = head.tree.size().min(from + u64::from(limit.min(AUDIT_ENTRIES_MAX)));
        let mut lines = Vec::new();
        let mut next = from;
        while next < end {
            let tile = self.store.audit_tile(realm, next / TILE_WIDTH).await?.unwrap_or_default();
            let first = next;
            let AuditTile { events, hashes, .. } = tile;
            let rows = (next / TILE_WIDTH * TILE_WIDTH..).zip(hashes.into_iter().zip(events));
            let wanted = rows.filter(|(place, _)| (next..end).contains(place));
            let (rows, ids): (Vec<_>, Vec<_>) =
                wanted.map(|(place, (hash, id))| ((place, hash), id)).unzip();
            let events = self.store.audit_events(realm, ids).await?;
            for ((place, hash), event) in rows.into_iter().zip(events) {
                lines.push(entry_line(place, &hash, event.as_ref()));
                next = place + 1;
            }
            if next == first {
                return Err(damaged("a tile is missing").into());
            }
        }
        Ok(AuditEntries { before, lines })
    }

    async fn origin(&self, realm: &RealmName) -> Result<String, Unavailable> {
        if let Some(id) = self.sealing.installation.get() {
            return Ok(origin(id, realm));
        }
        let found = self.store.installation().await?;
        let id = found.ok_or_else(|| damaged(realm, "there is no installation"))?.id;
        Ok(origin(self.sealing.installation.get_or_init(|| id), realm))
    }

    async fn verifiers(&self, realm: &RealmName) -> Result<Vec<VerifierKey>, Unavailable> {
        let origin = self.origin(realm).await?;
        let keys = self.keys();
        let signers = keys.keys(KeyPurpose::Checkpoint).iter().rev().filter_map(SigningKey::new);
        Ok(signers.map(|key| key.verifier(&origin)).collect())
    }

    fn checkpoint_key(&self) -> Result<SigningKey, Unavailable> {
        let missing = KeyNotHere { purpose: KeyPurpose::Checkpoint, id: 1 };
        let keys = self.keys();
        let key = keys.checkpoint().and_then(SigningKey::new);
        key.ok_or_else(|| missing.into())
    }
}

fn damaged(realm: &RealmName, what: &str) -> Unavailable {
    DamagedLog { realm: realm.clone(), what: what.to_owned() }.into()
}
