//! How far a reader of the change log has come: which transactions had ended.

use counterfoil_authority::store::LogPlace;

use crate::codec;

/// A set of transactions by their numbers: those below `next` that are not in `running`.
///
/// Invariant: every number in `running` is below `next`; they ascend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The number of the newest row, by which a reader notices that rows were purged unread.
    pub(super) number: i64,
    /// Whose numbers they are; another one's mean nothing here.
    pub(super) source: String,
    /// The first transaction that had not begun.
    pub(super) next: i64,
    /// Earlier ones that had not ended.
    pub(super) running: Vec<i64>,
}

impl Place {
    /// The place of a snapshot as engines write it: `source:first-running:next:running,..`.
    pub(super) fn at(number: i64, snapshot: &str) -> Option<Self> {
        let mut parts = snapshot.splitn(4, ':');
        let source = parts.next()?.to_owned();
        parts.next()?;
        let next = parts.next()?.parse().ok()?;
        let running = parts.next()?;
        let numbers = running.split(',').filter(|text| !text.is_empty());
        let running = numbers.map(|text| text.parse().ok()).collect::<Option<Vec<i64>>>()?;
        Some(Self { number, source, next, running })
    }

    /// The place that was given out as a text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, snapshot) = text.split_once('/')?;
        Self::at(number.parse().ok()?, snapshot)
    }

    /// Whether `now` can be later in the same log. A restored copy begins anew at lower numbers.
    pub(super) fn is_before(&self, now: &Self) -> bool {
        self.source == now.source && self.number <= now.number && self.next <= now.next
    }

    /// This place, with what the transactions up to `last` have changed by `now`.
    pub(super) fn behind(&self, last: i64, now: &Self) -> Self {
        let is_unread = |id: &i64| *id >= self.next || self.running.contains(id);
        let late = now.running.iter().copied().filter(|id| *id <= last && is_unread(id));
        let mut running: Vec<i64> = late.collect();
        running.extend(self.running.iter().copied().filter(|id| *id > last));
        running.sort_unstable();
        Self {
            number: self.number,
            source: now.source.clone(),
            next: self.next.max(last + 1),
            running,
        }
    }
}

impl From<Place> for LogPlace {
    fn from(place: Place) -> Self {
        let Place { number, source, next, running } = place;
        let first = running.first().copied().unwrap_or(next);
        Self(format!("{number}/{source}:{first}:{next}:{}", codec::joined(&running, ",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(snapshot: &str) -> Place {
        Place::at(7, snapshot).unwrap()
    }

    #[test]
    fn a_place_survives_being_written_down() {
        for snapshot in ["0:8:8:", "00000001:700:812:700,705,811"] {
            let place = place(snapshot);
            assert_eq!(Place::parse(&LogPlace::from(place.clone()).0), Some(place));
        }
        for bad in ["", "7", "7/", "x/0:1:1:", "7/0:1:1:2,x", "7/0:1"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_that_go_back_are_those_of_another_log() {
        let before = place("a:10:10:");
        assert!(before.is_before(&before) && before.is_before(&place("a:10:12:11")));
        assert!(!before.is_before(&place("b:10:12:")), "another primary");
        assert!(!before.is_before(&place("a:9:9:")), "a copy of an earlier day");
        let purged = Place { number: 6, ..place("a:12:12:") };
        assert!(!before.is_before(&purged), "rows that were there are not");
    }

    #[test]
    fn a_page_that_ends_in_between_leaves_the_rest_unread() {
        let before = place("a:3:10:3,5,8");
        let now = place("a:5:40:5,12,30");
        // All of 3 has been read, 5 runs still, 8 has ended and is on the next page.
        assert_eq!(before.behind(3, &now), place("a:5:10:5,8"));
        assert_eq!(before.behind(8, &now), place("a:5:10:5"));
        // 12 runs still, and what lies behind 20 has not been looked at.
        assert_eq!(before.behind(20, &now), place("a:5:21:5,12"));
    }
}
