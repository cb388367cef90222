//! What this process has seen of each log, so that nobody makes it sign another one.
//!
//! Every earlier head of a log was signed, too: whoever puts former rows back into the database
//! has a log that fits its checkpoint, and a second entry would be signed for a place that has
//! one. So a log is signed only if it goes on from what was signed or seen here before. The
//! memory ends with the process; over a restart a witness remembers.

use std::collections::BTreeMap;

use super::{Sealing, damaged};
use crate::audit::check::fits;
use crate::audit::tree::{Hash, Plan, Span, TILE_LEVELS, proves_consistency};
use crate::authority::Authority;
use crate::names::RealmName;
use crate::store::{AuditHead, Unavailable};

/// A log as it was: how many entries it had, and its root.
pub(super) type Seen = (u64, Hash);

impl Sealing {
    /// What was seen of every log. Read this before the store: what is read there later is never
    /// shorter, unless somebody made it so.
    pub(super) fn seen(&self) -> BTreeMap<RealmName, Seen> {
        self.seen.lock().clone()
    }

    /// Remembers a log, unless a longer one is known.
    pub(super) fn note(&self, realm: &RealmName, size: u64, root: Hash) {
        let mut seen = self.seen.lock();
        if seen.get(realm).is_none_or(|(known, _)| *known < size) {
            seen.insert(realm.clone(), (size, root));
        }
    }
}

impl Authority {
    /// The head of a realm's log, if something may be sealed behind it; `None` if the log is still
    /// to begin.
    ///
    /// # Errors
    ///
    /// The store could not answer, or the log is damaged: whoever changed it in the database gets
    /// no signature for it.
    pub(super) async fn head_to_sign(
        &self,
        realm: &RealmName,
    ) -> Result<Option<AuditHead>, Unavailable> {
        let seen = self.sealing.seen();
        let Some(head) = self.store.audit_head(realm).await? else {
            return match self.remains(realm, seen.get(realm)).await? {
                Some(what) => Err(damaged(realm, &what)),
                None => Ok(None),
            };
        };
        let keys = self.verifiers(realm).await?;
        fits(&head, &keys).map_err(|what| damaged(realm, &what))?;
        if let Some(what) = self.departs(&head, seen.get(realm)).await? {
            return Err(damaged(realm, &what));
        }
        self.sealing.note(realm, head.tree.size(), head.tree.root());
        Ok(Some(head))
    }

    /// What there is of a log that has no head, in words.
    async fn remains(
        &self,
        realm: &RealmName,
        seen: Option<&Seen>,
    ) -> Result<Option<String>, Unavailable> {
        if let Some((size, _)) = seen {
            return Ok(Some(format!("its head is gone, and it had {size} entries")));
        }
        let node = Span { level: TILE_LEVELS, first: 0, count: 1 };
        let nodes = self.store.audit_hashes(realm, vec![node]).await?;
        let tile = self.store.audit_tile(realm, 0).await?;
        let any = tile.is_some() || nodes.iter().any(|found| !found.is_empty());
        Ok(any.then(|| "its head is gone, and entries of it are there".to_owned()))
    }

    /// How a log does not go on from what was seen of it, in words; `None` if it does.
    pub(super) async fn departs(
        &self,
        head: &AuditHead,
        seen: Option<&Seen>,
    ) -> Result<Option<String>, Unavailable> {
        let Some((size, root)) = seen else { return Ok(None) };
        let (now, present) = (head.tree.size(), head.tree.root());
        // As this process left it, most of the time: nothing has to be read.
        if (now, present) == (*size, *root) {
            return Ok(None);
        }
        if now < *size {
            return Ok(Some(format!(
                "it has {now} entries, and had {size}: it was cut off, or a backup was restored \
                 under a server that runs"
            )));
        }
        let plan = Plan::consistency(*size, now).map(|plan| (plan.spans(), plan));
        let proof = match plan {
            Some((spans, plan)) => plan.hashes(&self.store.audit_hashes(&head.realm, spans).await?),
            None => None,
        };
        let goes_on =
            proof.is_some_and(|proof| proves_consistency((*size, root), (now, &present), &proof));
        let forked = || {
            format!(
                "its first {size} entries are not those that were sealed: it was rewritten or \
                 forked"
            )
        };
        Ok((!goes_on).then(forked))
    }
}
