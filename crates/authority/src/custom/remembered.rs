//! Secrets of a repository that were just found right, for a few seconds: a yes only, never a no.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ForeignId;
use crate::cache::{Entry, Mark};
use crate::clock::Timestamp;
use crate::secret_hash::Mac256;

/// Secrets remembered of one repository at most: a few megabytes.
const REMEMBERED_MAX: usize = 20_000;

/// What was found.
#[derive(Clone)]
pub(crate) struct Known {
    /// The token there.
    pub(crate) id: ForeignId,
    /// The token as verify judges it.
    pub(crate) entry: Arc<Entry>,
    mark: Arc<Mark>,
    until: Timestamp,
}

/// What one repository is known to have said yes to.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<[u8; 32], Known>>);

impl Remembered {
    /// What is known of a secret, by a keyed code of it. The token or its owner may have changed
    /// since; that is a miss like any other.
    pub(crate) fn find(&self, code: &Mac256, now: Timestamp) -> Option<Known> {
        let known = self.0.lock();
        let found = known.get(code.as_bytes())?;
        let stands = !found.entry.owner.is_stale() && !found.mark.is_stale();
        (now < found.until && stands).then(|| found.clone())
    }

    /// Remembers until an instant.
    pub(crate) fn keep(
        &self,
        code: Mac256,
        id: ForeignId,
        (entry, mark): (Arc<Entry>, Arc<Mark>),
        until: Timestamp,
    ) {
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(*code.as_bytes(), Known { id, entry, mark, until });
    }

    /// Forgets everything, because something there was changed from here.
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }
}
