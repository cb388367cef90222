//! Sessions that nobody uses end before their time.
//!
//! A decision writes nothing, so a use is remembered here, and told to the store about once a
//! minute for the other nodes. Before a session is refused the store is asked, because it may have
//! been used elsewhere.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::super::Authority;
use super::super::verify::SeenLately;
use crate::cache::Entry;
use crate::clock::Timestamp;
use crate::refusal::Refusal;
use crate::secret::TokenId;
use crate::store::Unavailable;

/// How often the use of one session is told to the store, in seconds: AM's own default.
const TOLD_EVERY_SECONDS: i64 = 60;
/// How often the use of one session is noted here, in microseconds: what asks thousands of times a
/// second waits for nobody who does the same. A session may end that much early.
const NOTED_EVERY_MICROS: i64 = 1_000_000;
/// Uses that wait to be told at most. A session whose use is not told may end up to a minute
/// early on another node, and no harm is done by that.
const UNTOLD_MAX: usize = 65_536;
/// Uses told in one transaction.
const TOLD_AT_ONCE: usize = 1_000;

/// When sessions were last used on this node.
#[derive(Default)]
pub(in crate::authority) struct SessionUses {
    seen: SeenLately,
    told: SeenLately,
    untold: Mutex<HashMap<TokenId, Timestamp>>,
}

impl SessionUses {
    fn note(&self, id: TokenId, at: Timestamp) {
        self.seen.note(id, at);
        if self.told.after(id, at.plus_seconds(-TOLD_EVERY_SECONDS)) {
            return;
        }
        let mut untold = self.untold.lock();
        if untold.len() < UNTOLD_MAX || untold.contains_key(&id) {
            untold.insert(id, at);
            self.told.note(id, at);
        }
    }

    /// What is to be told, in the order of the key: nodes that tell at the same time wait for
    /// each other, and never in a ring.
    fn take(&self) -> Vec<(TokenId, Timestamp)> {
        let mut uses: Vec<_> = self.untold.lock().drain().collect();
        uses.sort_unstable_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        uses
    }

    fn give_back(&self, uses: impl IntoIterator<Item = (TokenId, Timestamp)>) {
        let mut untold = self.untold.lock();
        for (id, at) in uses {
            let known = untold.entry(id).or_insert(at);
            *known = at.max(*known);
        }
    }
}

impl Authority {
    /// The noted use of a session that is so recent that neither a later one has to be noted nor
    /// anybody asked.
    pub(super) fn session_noted(
        entry: &Entry,
        now: Timestamp,
        since: Timestamp,
    ) -> Option<Timestamp> {
        let age = |at: &Timestamp| now.micros().saturating_sub(at.micros());
        entry.noted_at().filter(|at| since < *at && (0..NOTED_EVERY_MICROS).contains(&age(at)))
    }

    /// Notes that a session was used.
    pub(super) fn session_used(&self, entry: &Entry, at: Timestamp) {
        self.session_uses.note(entry.id, at);
        entry.note_at(at);
    }

    /// When a session that was made at `made` was last used. A use after `since` is enough unless
    /// somebody wants to know it `exactly`; then the other nodes' uses are looked at, too.
    pub(super) async fn session_last_used(
        &self,
        id: TokenId,
        made: Timestamp,
        since: Timestamp,
        exactly: bool,
    ) -> Result<Timestamp, Refusal> {
        let here = self.session_uses.seen.last(id).unwrap_or(made).max(made);
        if since < here && !exactly {
            return Ok(here);
        }
        let elsewhere = self.store.access_last_used(id).await?;
        Ok(elsewhere.map_or(here, |at| at.max(here)))
    }

    /// Tells the store which sessions were used.
    pub(in crate::authority) async fn tell_session_uses(&self) -> Result<(), Unavailable> {
        let uses = self.session_uses.take();
        for (nth, part) in uses.chunks(TOLD_AT_ONCE).enumerate() {
            if let Err(unavailable) = self.store.access_used(part.to_vec()).await {
                let kept = uses.iter().skip(nth * TOLD_AT_ONCE).copied();
                self.session_uses.give_back(kept);
                return Err(unavailable);
            }
        }
        Ok(())
    }
}
