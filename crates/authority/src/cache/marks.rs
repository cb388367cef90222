//! Which tokens of other keepers changed since they were read: what is remembered of them lies with
//! their repositories, and what happened to them is heard of here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::secret::TokenId;

/// Whether one token is still what was read of it; shared by everything that is remembered of it.
#[derive(Debug, Default)]
pub(crate) struct Mark(AtomicBool);

impl Mark {
    /// Whether it changed since.
    pub(crate) fn is_stale(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The marks of tokens that are remembered. One that nothing points to any more is swept out when
/// their number has doubled.
#[derive(Default)]
pub(super) struct Marks(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    marks: HashMap<TokenId, Weak<Mark>>,
    sweep_at: usize,
}

impl Marks {
    /// The mark of a token, unless it changed since it was read. `moved` is asked while no change
    /// can be applied, so that none is missed in between.
    pub(super) fn of(&self, id: TokenId, moved: impl FnOnce() -> bool) -> Option<Arc<Mark>> {
        let mut kept = self.0.lock();
        if moved() {
            return None;
        }
        if let Some(mark) = kept.marks.get(&id).and_then(Weak::upgrade) {
            return Some(mark);
        }
        if kept.marks.len() >= kept.sweep_at {
            kept.marks.retain(|_, mark| mark.strong_count() > 0);
            kept.sweep_at = (kept.marks.len() * 2).max(1024);
        }
        let mark = Arc::new(Mark::default());
        kept.marks.insert(id, Arc::downgrade(&mark));
        Some(mark)
    }

    /// The token changed.
    pub(super) fn changed(&self, id: TokenId) {
        if let Some(mark) = self.0.lock().marks.remove(&id).and_then(|mark| mark.upgrade()) {
            mark.0.store(true, Ordering::Release);
        }
    }

    /// Perhaps all of them did.
    pub(super) fn all_changed(&self) {
        for (_, mark) in self.0.lock().marks.drain() {
            if let Some(mark) = mark.upgrade() {
                mark.0.store(true, Ordering::Release);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reaches_what_is_remembered_and_what_was_read_before_it_is_not_kept() {
        let marks = Marks::default();
        let id = TokenId::of_digest(&[7; 32]);
        let mark = marks.of(id, || false).unwrap();
        assert!(Arc::ptr_eq(&mark, &marks.of(id, || false).unwrap()));
        marks.changed(id);
        assert!(mark.is_stale());
        assert!(marks.of(id, || true).is_none());
        let next = marks.of(id, || false).unwrap();
        assert!(!next.is_stale());
        marks.all_changed();
        assert!(next.is_stale());
    }
}
