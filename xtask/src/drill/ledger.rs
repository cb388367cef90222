//! What a load was told: every token it got, and how far each one's revocation went.
//!
//! The books are kept here and not in the cluster, so that they can be compared afterwards. A
//! request that was not answered with success may have been done or not; only answers count.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How far a revocation on one node may lag behind on another (design: guaranteed within one
/// second), for verifies that were sent after it.
pub(crate) const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// How far a token got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Issued, and nobody asked for more.
    Good,
    /// A revocation was sent and not answered yet: both answers are right.
    Asked,
    /// The revocation was answered, by a node at a time.
    Revoked { node: usize, at: Instant },
}

/// One token that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) state: State,
}

/// What kind of request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Issue,
    Revoke,
    Verify,
}

impl Act {
    /// Every kind.
    pub(crate) const ALL: [Self; 3] = [Self::Issue, Self::Revoke, Self::Verify];
}

/// How a request ended, apart from what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was answered with what was asked for.
    Answered,
    /// 503: the store cannot answer.
    Unavailable,
    /// No connection, or one that broke.
    Silent,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) node: usize,
    pub(crate) act: Act,
    pub(crate) end: End,
    pub(crate) sent: Instant,
    pub(crate) done: Instant,
}

#[derive(Debug, Default)]
struct Books {
    entries: Vec<Entry>,
    made: Vec<Made>,
    faults: Vec<String>,
}

/// The books of one load, shared by its workers.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Books>);

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        // A worker that died has written whole entries only.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request.
    pub(crate) fn made(&self, made: Made) {
        self.books().made.push(made);
    }

    /// Notes what must never happen.
    pub(crate) fn fault(&self, fault: String) {
        self.books().faults.push(fault);
    }

    /// Notes a token and returns its place.
    pub(crate) fn issued(&self, id: String, secret: String) -> usize {
        let mut books = self.books();
        books.entries.push(Entry { id, secret, state: State::Good });
        books.entries.len() - 1
    }

    /// Moves a token on.
    pub(crate) fn set(&self, place: usize, state: State) {
        if let Some(entry) = self.books().entries.get_mut(place) {
            entry.state = state;
        }
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.books().entries.len()
    }

    /// A token as it stands now.
    pub(crate) fn entry(&self, place: usize) -> Option<Entry> {
        self.books().entries.get(place).cloned()
    }

    /// All tokens.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.books().entries.clone()
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Made> {
        self.books().made.clone()
    }

    /// What must not have happened, and did.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.books().faults.clone()
    }
}

/// What is wrong with an answer about a token: `before` is how it stood when the question was
/// sent to `node`, `after` when the answer had come.
pub(crate) fn fault_of(
    active: bool,
    node: usize,
    sent: Instant,
    before: State,
    after: State,
) -> Option<&'static str> {
    match (active, before, after) {
        (false, State::Good, State::Good) => Some("a good token was denied"),
        (true, State::Revoked { node: by, at }, _) => {
            let late = sent.saturating_duration_since(at);
            (by == node || late > REVOKED_WITHIN).then_some("a revoked token was accepted")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn only_answers_that_contradict_another_answer_are_faults() {
        let start = now();
        let (soon, late) =
            (start + Duration::from_millis(500), start + Duration::from_millis(1500));
        let revoked = State::Revoked { node: 0, at: start };
        let judge = |active, node, sent, before, after| {
            fault_of(active, node, sent, before, after).is_some()
        };
        assert!(judge(false, 1, soon, State::Good, State::Good));
        assert!(!judge(true, 1, soon, State::Good, State::Good));
        // Asked for while the question was on its way: both are right.
        assert!(!judge(false, 1, soon, State::Good, State::Asked));
        assert!(!judge(true, 1, soon, State::Asked, revoked));
        assert!(!judge(false, 1, soon, revoked, revoked));
        // At once where it was revoked, within a second elsewhere.
        assert!(judge(true, 0, soon, revoked, revoked));
        assert!(!judge(true, 1, soon, revoked, revoked));
        assert!(judge(true, 1, late, revoked, revoked));
    }
}
