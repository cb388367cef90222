//! The worker that puts events into their logs, hands checkpoints to the witness, and removes
//! events that are past their retention.
//!
//! One process has the lease. The lease only saves work: what keeps two from writing the same
//! place twice is that a log grows on condition of its size, in the transaction that takes the
//! events from those that wait. A worker that dies leaves all of it done or none of it.

use std::collections::BTreeMap;

use super::{DamagedLog, damaged};
use crate::audit::Witness;
use crate::audit::check::fits;
use crate::audit::note::{Checkpoint, SigningKey};
use crate::audit::tree::{Hash, TILE_WIDTH};
use crate::authority::Authority;
use crate::clock::Timestamp;
use crate::event::Origin;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::store::{AuditSeal, AuditTile, Lease, Unavailable, Unsealed};
use crate::verdict::Door;

/// The lease under which events are sealed.
const LEASE: &str = "audit";
/// A worker that died is replaced after so long.
const LEASE_SECONDS: i64 = 5;
/// Events sealed in one transaction: hashing them takes a few milliseconds, and so does storing.
const EVENTS_PER_STEP: u32 = 1024;
/// Events removed in one transaction.
const REMOVED_PER_STEP: u32 = 1000;
const DAY_SECONDS: i64 = 86_400;

/// The logs with events at their ends and the numbers of these events, or the realm whose log is
/// damaged and how.
type Prepared = Result<(Vec<AuditSeal>, Vec<i64>), (RealmName, Unavailable)>;

/// A witness did not take a checkpoint, or the store could not tell which it has.
#[derive(Debug, thiserror::Error)]
pub enum WitnessFailure {
    /// The store could not answer.
    #[error(transparent)]
    Unavailable(Unavailable),
    /// A log is damaged, and no witness is told of it.
    #[error(transparent)]
    Damaged(DamagedLog),
    /// The witness did not take it.
    #[error("the witness did not take the checkpoint of {realm}: {why}")]
    Refused {
        /// The realm.
        realm: RealmName,
        /// Why.
        why: String,
    },
}

impl From<Unavailable> for WitnessFailure {
    fn from(error: Unavailable) -> Self {
        match DamagedLog::behind(&error) {
            Some(log) => Self::Damaged(log.clone()),
            None => Self::Unavailable(error),
        }
    }
}

impl Authority {
    /// Puts a batch of events into their logs. True if there is more to do at once.
    ///
    /// A damaged log is never signed over; its events wait, and those of other realms do not wait
    /// with them.
    ///
    /// # Errors
    ///
    /// The store could not answer, this node lacks the key, or a log is damaged.
    pub async fn seal_events(&self) -> Result<bool, Unavailable> {
        if self.store.audit_waiting_since().await?.is_none() {
            return Ok(false);
        }
        let now = self.now();
        let Some(lease) = self.sealing_lease(now).await? else { return Ok(false) };
        let (mut damaged, mut fault) = (Vec::new(), None);
        loop {
            let waiting = self.store.audit_unsealed(damaged.clone(), EVENTS_PER_STEP).await?;
            let full = waiting.len() == EVENTS_PER_STEP as usize;
            let (seals, sealed) = match self.prepared(waiting, now).await? {
                Ok(prepared) => prepared,
                Err((realm, error)) => {
                    damaged.push(realm);
                    fault = Some(error);
                    continue;
                }
            };
            let more = !sealed.is_empty() && self.append(&lease, seals, sealed).await? && full;
            // What is wrong is told once everything else is in its log.
            return match fault {
                Some(error) if !more => Err(error),
                _ => Ok(more),
            };
        }
    }

    /// The logs with these events at their ends.
    async fn prepared(
        &self,
        waiting: Vec<Unsealed>,
        now: Timestamp,
    ) -> Result<Prepared, Unavailable> {
        let mut sealed = Vec::with_capacity(waiting.len());
        let mut of_realms: BTreeMap<RealmName, Vec<(String, Hash)>> = BTreeMap::new();
        for one in waiting {
            sealed.push(one.seq);
            of_realms.entry(one.realm).or_default().push((one.event, one.leaf));
        }
        if sealed.is_empty() {
            return Ok(Ok((Vec::new(), sealed)));
        }
        let key = self.checkpoint_key()?;
        let mut seals = Vec::with_capacity(of_realms.len());
        for (realm, events) in of_realms {
            match self.sealed(&key, realm.clone(), events, now).await {
                Ok(seal) => seals.push(seal),
                Err(error) if DamagedLog::behind(&error).is_some() => {
                    return Ok(Err((realm, error)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ok((seals, sealed)))
    }

    /// Stores what was prepared. False if somebody else did.
    async fn append(
        &self,
        lease: &Lease,
        seals: Vec<AuditSeal>,
        sealed: Vec<i64>,
    ) -> Result<bool, Unavailable> {
        let heads: Vec<_> =
            seals.iter().map(|one| (one.realm.clone(), one.tree.size(), one.tree.root())).collect();
        let done = self.store.audit_seal(lease, seals, sealed).await?;
        if done {
            for (realm, size, root) in heads {
                self.sealing.note(&realm, size, root);
            }
        } else {
            // Overtaken, perhaps by somebody who has the lease now.
            self.sealing.lease.lock().take();
        }
        Ok(done)
    }

    async fn sealing_lease(&self, now: Timestamp) -> Result<Option<Lease>, Unavailable> {
        // A lease is written once for the batches of a second, so that it has nearly all of its
        // time left for whoever has a clock that is ahead. One that seems to last longer than any
        // was taken before the clock was put back.
        let soon = now.plus_seconds(LEASE_SECONDS - 1);
        let until = now.plus_seconds(LEASE_SECONDS);
        if let Some((lease, ends)) = &*self.sealing.lease.lock()
            && (soon..=until).contains(ends)
        {
            return Ok(Some(lease.clone()));
        }
        let lease = self.store.lease_take(LEASE, &self.node, now, until).await?;
        *self.sealing.lease.lock() = lease.clone().map(|lease| (lease, until));
        Ok(lease)
    }

    /// The log of a realm with these events at its end.
    async fn sealed(
        &self,
        key: &SigningKey,
        realm: RealmName,
        events: Vec<(String, Hash)>,
        at: Timestamp,
    ) -> Result<AuditSeal, Unavailable> {
        let head = self.head_to_sign(&realm).await?;
        let mut tree = head.map(|head| head.tree).unwrap_or_default();
        let before = tree.size();
        let mut tile = AuditTile { index: before / TILE_WIDTH, ..AuditTile::default() };
        if !before.is_multiple_of(TILE_WIDTH) {
            let last = self.store.audit_tile(&realm, tile.index).await?.unwrap_or_default();
            if last.hashes.len() as u64 != before % TILE_WIDTH {
                return Err(damaged(&realm, "its last tile has another length"));
            }
            tile = last;
        }
        let (mut tiles, mut nodes) = (Vec::new(), Vec::new());
        for (event, leaf) in events {
            tree.push(leaf, |node| nodes.push(node));
            tile.events.push(event);
            tile.hashes.push(leaf);
            if tile.hashes.len() as u64 == TILE_WIDTH {
                let next = AuditTile { index: tile.index + 1, ..AuditTile::default() };
                tiles.push(std::mem::replace(&mut tile, next));
            }
        }
        if !tile.hashes.is_empty() {
            tiles.push(tile);
        }
        let (size, root) = (tree.size(), tree.root());
        let origin = self.origin(&realm).await?;
        let note = Checkpoint { origin, size, root }.signed(key);
        Ok(AuditSeal { realm, before, tree, note, at, tiles, nodes })
    }

    /// Hands checkpoints that are newer than what the witness has to it, at most one for each
    /// realm in `every_seconds`.
    ///
    /// # Errors
    ///
    /// The last that went wrong; the next call tries again.
    pub async fn tell_witness(
        &self,
        witness: &dyn Witness,
        every_seconds: i64,
    ) -> Result<(), WitnessFailure> {
        let now = self.now();
        if self.sealing_lease(now).await?.is_none() {
            return Ok(());
        }
        let mut failed = None;
        let seen = self.sealing.seen();
        for head in self.store.audit_heads().await? {
            let size = head.tree.size();
            let waits = head.witnessed_at.is_some_and(|at| at.plus_seconds(every_seconds) > now);
            // That a witness has more than there is says that somebody changed the database.
            if size >= head.witnessed && (size == head.witnessed || waits) {
                continue;
            }
            // What the database says now may have been put there by somebody.
            let keys = self.verifiers(&head.realm).await?;
            let damage = match fits(&head, &keys) {
                Ok(()) => self.departs(&head, seen.get(&head.realm)).await?,
                Err(what) => Some(what),
            };
            let told = match damage {
                None => witness.tell(&head.realm, size, &head.note).await,
                Some(what) => Err(format!("the log is damaged: {what}")),
            };
            match told {
                Ok(()) => self.store.audit_witnessed(&head.realm, size, self.now()).await?,
                Err(why) => failed = Some(WitnessFailure::Refused { realm: head.realm, why }),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The instant before which events are removed, if they ever are: whole days, so that it
    /// happens once a day.
    pub fn events_kept_since(days: Option<u32>, now: Timestamp) -> Option<Timestamp> {
        let today = now.seconds().div_euclid(DAY_SECONDS);
        days.map(|days| Timestamp::from_seconds((today - i64::from(days)) * DAY_SECONDS))
    }

    /// Removes a batch of events that are past their retention, of every realm; their hashes stay
    /// in the log. True if there is more to do at once.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn forget_events(&self) -> Result<bool, Refusal> {
        let now = self.now();
        let days = self.settings.event_retention_days;
        let Some(before) = Self::events_kept_since(days, now) else { return Ok(false) };
        let Some(lease) = self.purging.lock().clone() else { return Ok(false) };
        let mut more = false;
        for head in self.store.audit_heads().await? {
            let origin = Origin::system(Door::Cli);
            let event = self.event("events.removed", &head.realm, &origin, now)?;
            let event = event.with_detail(serde_json::json!({ "before": before.to_string() }));
            let removed = self.store.audit_forget(&lease, before, REMOVED_PER_STEP, event).await?;
            more |= removed >= u64::from(REMOVED_PER_STEP);
        }
        Ok(more)
    }
}
