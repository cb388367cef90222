//! The steps that run beside requests: each idempotent, each a bounded batch.
//!
//! Production loops them, tests call them; the next run is the retry.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Authority;
use crate::clock::Timestamp;
use crate::store::{Change, ChangeListener, Unavailable};

/// Changes read per step of following the log.
const CHANGES_PER_STEP: u32 = 1000;
/// Tokens whose usage is stored in one transaction, so that a flush never holds the writer long:
/// so many are appended to the store's journal within some ten milliseconds.
const USAGE_PER_TRANSACTION: usize = 65_536;
/// Days of tokens that are stored in one transaction, so that it never holds the writer long.
const DAYS_PER_TRANSACTION: usize = 1000;
/// Tokens in a flush from which on the store is taken to be busy with them.
const BUSY_TOKENS: usize = 512;

/// The lease under which old rows are removed.
const PURGE_LEASE: &str = "purge";
/// Two rounds of the work and a half: a node that died is replaced by the third.
const PURGE_LEASE_SECONDS: i64 = 150;

impl Authority {
    /// Stores gathered usage, re-hashed secrets and refusals. Returns how many tokens it was
    /// about. Called at least once a second.
    ///
    /// # Errors
    ///
    /// What could not be stored is kept for the next time.
    pub async fn flush_usage(&self) -> Result<usize, Unavailable> {
        self.flush(false).await
    }

    /// Stores what tokens were used for. Beside [`Authority::flush_usage`], which alarms and locks
    /// wait for. Called about once a second.
    ///
    /// # Errors
    ///
    /// What could not be stored is kept for the next time.
    pub async fn flush_notes(&self) -> Result<(), Unavailable> {
        self.flush_use_notes(false).await
    }

    /// Whether the last flush was about so many tokens that gathering for longer saves work.
    pub fn is_used_in_masses(&self) -> bool {
        self.flushed_last.load(Ordering::Relaxed) >= BUSY_TOKENS
    }

    /// The last flush: also writes refusals that are still being counted, and gives the lease on
    /// purging back, so that another node need not wait for its end.
    pub async fn close(&self) -> Result<usize, Unavailable> {
        let flushed = self.flush(true).await;
        let leases = [
            self.purging.lock().take(),
            self.delivering_lease.lock().take(),
            self.working_lease.lock().take(),
            self.sealing.lease.lock().take().map(|(lease, _)| lease),
        ];
        for lease in leases.into_iter().flatten() {
            self.store.lease_end(&lease, self.now()).await?;
        }
        flushed
    }

    async fn flush(&self, closing: bool) -> Result<usize, Unavailable> {
        self.tell_session_uses().await?;
        let flushed = self.flush_ours(closing).await;
        self.flush_elsewhere().await?;
        self.flush_days(closing).await?;
        self.flush_sightings(closing).await?;
        self.lock_alarmed().await?;
        self.flush_shadows(closing).await?;
        if closing {
            self.flush_use_notes(true).await?;
        }
        flushed
    }

    async fn flush_ours(&self, closing: bool) -> Result<usize, Unavailable> {
        for rehash in std::mem::take(&mut *self.upgraded.lock()) {
            self.ledger.rehash(rehash);
        }
        let mut batch = self.ledger.drain(self.now(), closing, |day| self.diary.note(day));
        if batch.is_empty() {
            self.flushed_last.store(0, Ordering::Relaxed);
            return Ok(0);
        }
        let tokens = batch.usage.len();
        self.flushed_last.store(tokens, Ordering::Relaxed);
        // In the order of the key, so that one pass through the tree serves a whole batch.
        batch.usage.sort_unstable_by_key(|delta| delta.token);
        loop {
            let rest = batch.usage.split_off(batch.usage.len().min(USAGE_PER_TRANSACTION));
            let usage = std::mem::replace(&mut batch.usage, rest);
            let rehashed = std::mem::take(&mut batch.rehashed);
            let events = std::mem::take(&mut batch.events);
            let stored =
                self.store.usage_flush(usage.clone(), rehashed.clone(), events.clone()).await;
            if let Err(unavailable) = stored {
                batch.usage.extend(usage);
                batch.rehashed = rehashed;
                batch.events = events;
                self.ledger.restore(batch);
                return Err(unavailable);
            }
            self.ask_locks(events.iter());
            if batch.usage.is_empty() {
                return Ok(tokens);
            }
        }
    }

    /// Stores what is known of days. While masses of tokens are used, now and then only and a part
    /// at a time: what gathers longer costs less. The last flush stores all of it.
    async fn flush_days(&self, closing: bool) -> Result<(), Unavailable> {
        let busy = self.is_used_in_masses() && !closing;
        loop {
            let mut days = self.diary.take(self.now(), busy);
            if days.is_empty() {
                return Ok(());
            }
            while !days.is_empty() {
                let rest = days.split_off(days.len().min(DAYS_PER_TRANSACTION));
                if let Err(unavailable) = self.store.use_days_add(days.clone()).await {
                    self.diary.restore(days.into_iter().chain(rest));
                    return Err(unavailable);
                }
                days = rest;
            }
            if !closing {
                return Ok(());
            }
        }
    }

    /// Adds usage that the store kept aside to its tokens. True if more should be added at once:
    /// while masses arrive, a part per call is enough, because what gathers longer costs less.
    pub async fn settle_usage(&self) -> Result<bool, Unavailable> {
        let more = self.store.usage_settle().await?;
        Ok(more && !self.is_used_in_masses())
    }

    /// Trusts the cache from now on only while [`Authority::follow_changes`] sees the end of the
    /// log.
    pub fn follow(&self) {
        self.cache.follow();
    }

    /// Takes note of what was changed in the store, here or elsewhere, and returns how long ago
    /// each change was made; nodes compare their clocks there, so it is a measurement only.
    ///
    /// From the first call on, the cache is trusted only for a second after the end of the log
    /// was seen: a process that has the store for itself does not call this.
    ///
    /// # Errors
    ///
    /// The next call goes on where this one has come to.
    pub async fn follow_changes(&self) -> Result<Vec<Duration>, Unavailable> {
        self.cache.follow();
        let known = self.followed.lock().clone();
        let Some(mut place) = known else {
            // The first time there is nothing cached that could be out of date but what this
            // very process filled since it began; forget it and start from here.
            let sent = self.now();
            let place = self.store.changes_end().await?;
            self.cache.changed(&[Change::Everything]);
            *self.followed.lock() = Some(place);
            self.cache.confirm(sent);
            return Ok(Vec::new());
        };
        let mut lags = Vec::new();
        loop {
            let sent = self.now();
            let read = self.store.changes_since(&place, CHANGES_PER_STEP).await?;
            self.cache.changed(&read.changes);
            self.begin_shadows_anew(&read);
            let now = self.now();
            lags.extend(read.made.iter().map(|made| since(*made, now)));
            place = read.place;
            *self.followed.lock() = Some(place.clone());
            if !read.more {
                self.cache.confirm(sent);
                return Ok(lags);
            }
        }
    }

    /// Takes note of what other nodes were told of the report on old systems up to this instant. A
    /// process that has the store for itself was told all of it.
    pub(super) async fn learn_of_shadows(&self) -> Result<(), Unavailable> {
        let known = self.followed.lock().clone();
        let Some(mut place) = known.filter(|_| self.shadows.get().is_some()) else {
            return Ok(());
        };
        loop {
            let read = self.store.changes_since(&place, CHANGES_PER_STEP).await?;
            self.begin_shadows_anew(&read);
            if !read.more {
                return Ok(());
            }
            place = read.place;
        }
    }

    /// Removes one batch of what is past its retention. True if there may be more for this
    /// process; another one may hold the lease on this work.
    pub async fn purge(&self) -> Result<bool, Unavailable> {
        let now = self.now();
        let until = now.plus_seconds(PURGE_LEASE_SECONDS);
        match self.store.lease_take(PURGE_LEASE, &self.node, now, until).await? {
            Some(lease) => {
                *self.purging.lock() = Some(lease.clone());
                Ok(self.store.purge(now, Some(&lease)).await?.rows > 0)
            }
            None => Ok(false),
        }
    }
}

/// Zero if the other clock is ahead of this one.
fn since(made: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(now.micros() - made.micros()).unwrap_or(0))
}
