//! The latest changes, so that a fill can tell whether what it read still stands.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::store::Change;

/// Changes remembered. A fill that took longer than this many changes is dropped: it can be
/// read again, a wrong entry cannot be noticed.
const REMEMBERED_MAX: usize = 4096;

/// A place in the sequence of changes that this process has heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    number: u64,
    /// Whether what is read from here on may be kept: not while the cache is not trusted.
    keeps: bool,
}

impl Position {
    pub(super) const fn keeps(self) -> bool {
        self.keeps
    }
}

/// The latest changes, in order.
#[derive(Default)]
pub(super) struct RecentChanges(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    next: u64,
    changes: VecDeque<Change>,
}

impl RecentChanges {
    pub(super) fn position(&self, keeps: bool) -> Position {
        Position { number: self.0.lock().next, keeps }
    }

    pub(super) fn push(&self, changes: &[Change]) {
        let mut recent = self.0.lock();
        for change in changes {
            if recent.changes.len() == REMEMBERED_MAX {
                recent.changes.pop_front();
            }
            recent.changes.push_back(change.clone());
            recent.next += 1;
        }
    }

    /// Whether a change since `tag` concerns the caller, or might: forgotten ones count.
    pub(super) fn moved_past(&self, tag: Position, concerns: impl Fn(&Change) -> bool) -> bool {
        let recent = self.0.lock();
        let since = recent.next - tag.number;
        if since == 0 {
            return false;
        }
        let remembered = u64::try_from(recent.changes.len()).unwrap_or(u64::MAX);
        if since > remembered {
            return true;
        }
        let newest_first = recent.changes.iter().rev();
        newest_first.take(usize::try_from(since).unwrap_or(usize::MAX)).any(concerns)
    }
}
