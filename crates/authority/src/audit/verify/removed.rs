//! Entries of which only the hash is there: what the log itself says about why.
//!
//! A hash is as good a leaf as the event it is of, so the tree says nothing about who took the
//! event away. What says it are the events `events.removed` further down in the same log: they are
//! signed with it, each with how many were removed and what they were older than.

use serde::Deserialize;

use crate::clock::{DayEdge, Timestamp};

/// The kind of the event that tells of a removal.
const REMOVED_KIND: &str = "events.removed";
/// Entries stand in the order in which they were sealed, which is not quite that of their times:
/// transactions take a while, and clocks of nodes differ. One that was removed may stand so far
/// behind one that was not.
const DISORDER_SECONDS: i64 = 3600;

/// Removals that nothing in the export accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// There are more than the log tells of, or they stand behind where it does.
    #[error(
        "the events of {missing} entries are missing, the last of them entry {last}, and no \
         `events.removed` behind them in the log accounts for {unexplained} of them: that \
         retention removed those is not proved"
    )]
    Count {
        /// Entries without their event.
        missing: u64,
        /// How many of them nothing accounts for.
        unexplained: u64,
        /// The place of the last one.
        last: u64,
    },
    /// One stands behind an event that was too young to be removed.
    #[error(
        "the event of entry {place} is missing, and stands behind one of {behind}; retention \
         removed only what is older than {before}: that it removed this one is not proved"
    )]
    Young {
        /// The place of the entry.
        place: u64,
        /// When the event before it happened.
        behind: Timestamp,
        /// What the log says that removed events are older than.
        before: Timestamp,
    },
}

/// Goes along with the entries, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Removals {
    count: u64,
    between: Option<(u64, u64)>,
    /// Removals so far that no later event accounts for yet.
    open: u64,
    /// Until when events were removed, at most.
    before: Option<Timestamp>,
    /// The text of the last event, as long as none was missing since.
    last: String,
    /// The first place behind the youngest event that has a missing one behind it, and its time.
    youngest: Option<(u64, Timestamp)>,
}

/// The fields of an event that matter here.
#[derive(Deserialize)]
struct Told {
    at: String,
    kind: String,
    count: u64,
    #[serde(default)]
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    before: Option<String>,
}

/// Only the time: what another event has in its `detail` may be anything.
#[derive(Deserialize)]
struct Dated {
    at: String,
}

fn instant(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text, "UTC", DayEdge::Start).ok()
}

impl Removals {
    /// The next entry has its event, with this text, which is the one that was sealed.
    pub(super) fn there(&mut self, text: &str) {
        self.last.clear();
        self.last.push_str(text);
        if !text.contains(REMOVED_KIND) {
            return;
        }
        let Ok(told) = serde_json::from_str::<Told>(text) else { return };
        // An event of another kind may have the words in its reason.
        if told.kind != REMOVED_KIND {
            return;
        }
        let before = told.detail.and_then(|detail| instant(&detail.before?));
        // Nobody removes what has not happened yet.
        let before = before.filter(|before| instant(&told.at).is_some_and(|at| *before <= at));
        if let Some(before) = before {
            self.open = self.open.saturating_sub(told.count);
            self.before = self.before.max(Some(before));
        }
    }

    /// Of the next entry, at `place`, there is only the hash.
    pub(super) fn gone(&mut self, place: u64) {
        self.count += 1;
        self.open += 1;
        let (from, _) = self.between.unwrap_or((place, place));
        self.between = Some((from, place));
        if self.last.is_empty() {
            return;
        }
        let at = serde_json::from_str::<Dated>(&self.last).ok().and_then(|told| instant(&told.at));
        if let Some(at) = at
            && self.youngest.is_none_or(|(_, youngest)| youngest < at)
        {
            self.youngest = Some((place, at));
        }
        self.last.clear();
    }

    /// How many there were.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The places of the first and the last.
    pub(super) const fn between(&self) -> Option<(u64, u64)> {
        self.between
    }

    /// What is left unexplained at the end.
    pub(super) fn unexplained(&self) -> Option<Unexplained> {
        let (_, last) = self.between?;
        let (missing, unexplained) = (self.count, self.open);
        let Some(before) = self.before.filter(|_| unexplained == 0) else {
            return Some(Unexplained::Count { missing, unexplained, last });
        };
        let (place, behind) = self.youngest?;
        (behind >= before.plus_seconds(DISORDER_SECONDS)).then_some(Unexplained::Young {
            place,
            behind,
            before,
        })
    }
}
