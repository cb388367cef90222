//! What tokens are used for, gathered in memory until it is stored.
//!
//! Beside the requests: a use whose like was noted today costs one look under a lock that nobody
//! waits for long, and nothing here decides whether a token is good. What finds no room is not
//! forgotten silently: the watch begins anew, and nobody is told that something was never used.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, RandomState};
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::store::{UseNote, day_of};
use crate::usage::IdHasher;
use crate::verdict::Door;

/// Shards, so that busy cores do not meet.
const SHARDS: usize = 16;
/// Uses that a shard remembers as noted, together some 30 MB. Beyond it all of a shard are noted
/// anew, which costs a write each and changes nothing.
const REMEMBERED_MAX: usize = 100_000;
/// What waits to be stored in a shard at most, together some 30 MB.
const WAITING_MAX: usize = 10_000;

/// One use.
pub(crate) struct Use<'a> {
    pub(crate) token: TokenId,
    pub(crate) at: Timestamp,
    pub(crate) door: Door,
    pub(crate) asked: &'a [Scope],
    /// Whether somebody may have needed other scopes than they named.
    pub(crate) unasked: bool,
    /// Where it came from, where that may matter.
    pub(crate) address: Option<IpAddr>,
}

#[derive(Default)]
struct Shard {
    /// Prints of what was noted. Keyed by chance, so nobody can make one use look like another.
    noted: HashSet<u64, BuildHasherDefault<IdHasher>>,
    waiting: Vec<UseNote>,
    /// Whether something found no room since this was asked last.
    has_lost: bool,
}

/// What a flush carries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) notes: Vec<UseNote>,
    /// Whether others were lost.
    pub(crate) has_lost: bool,
}

/// The notes of one node.
pub(crate) struct UseNotes {
    print: RandomState,
    shards: Vec<Mutex<Shard>>,
}

impl Default for UseNotes {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { print: RandomState::new(), shards }
    }
}

impl UseNotes {
    /// Notes a use, unless its like was noted on the same day.
    pub(crate) fn used(&self, one: &Use<'_>) {
        let day = day_of(one.at);
        let address = one.address.map(|address| address.to_canonical());
        let print =
            self.print.hash_one((one.token, day, one.door, one.asked, one.unasked, address));
        let place = usize::try_from(print >> 60).unwrap_or(0);
        let Some(shard) = self.shards.get(place) else { return };
        let mut shard = shard.lock();
        if shard.noted.contains(&print) {
            return;
        }
        if shard.waiting.len() >= WAITING_MAX {
            shard.has_lost = true;
            return;
        }
        if shard.noted.len() >= REMEMBERED_MAX {
            shard.noted.clear();
        }
        shard.noted.insert(print);
        let Use { token, door, unasked, .. } = *one;
        let asked = one.asked.to_vec();
        shard.waiting.push(UseNote { token, day, door, asked, unasked, address });
    }

    /// Takes out at most so many of what is to be stored, and what is known of a loss.
    pub(crate) fn take(&self, most: usize) -> Taken {
        let mut taken = Taken::default();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let kept = shard.waiting.len().saturating_sub(most - taken.notes.len());
            taken.notes.extend(shard.waiting.drain(kept..));
            taken.has_lost |= std::mem::take(&mut shard.has_lost);
        }
        taken
    }

    /// Puts back what could not be stored.
    pub(crate) fn restore(&self, taken: Taken) {
        let mut places = (0..SHARDS).cycle();
        let mut has_lost = taken.has_lost;
        for note in taken.notes {
            // Whichever has room: what is remembered is found by its print alone.
            let mut note = Some(note);
            for place in places.by_ref().take(SHARDS) {
                let Some(shard) = self.shards.get(place) else { continue };
                let mut shard = shard.lock();
                if shard.waiting.len() < WAITING_MAX {
                    shard.waiting.extend(note.take());
                    break;
                }
            }
            has_lost |= note.is_some();
        }
        if let Some(shard) = self.shards.first().filter(|_| has_lost) {
            shard.lock().has_lost = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn id(number: usize) -> TokenId {
        TokenId::parse(&format!("{number:012}")).unwrap()
    }

    fn scopes(words: &[&str]) -> Vec<Scope> {
        words.iter().map(|word| Scope::parse(word).unwrap()).collect()
    }

    fn use_of(asked: &[Scope], door: Door, seconds: i64, last: u8) -> Use<'_> {
        let (at, address) = (Timestamp::from_seconds(seconds), Some([10, 0, 0, last].into()));
        Use { token: id(1), at, door, asked, unasked: asked.is_empty(), address }
    }

    #[test]
    fn a_use_is_noted_once_a_day_and_another_one_by_itself() {
        let notes = UseNotes::default();
        let (none, read, both) = (scopes(&[]), scopes(&["read"]), scopes(&["read", "push"]));
        let stored = |asked: &[Scope], door, seconds, last| {
            notes.used(&use_of(asked, door, seconds, last));
            notes.take(10).notes.len()
        };
        assert_eq!(stored(&none, Door::Api, 5, 1), 1);
        assert_eq!(stored(&none, Door::Api, DAY - 1, 1), 0);
        assert_eq!(stored(&none, Door::Ldap, 6, 1), 1);
        assert_eq!(stored(&read, Door::Api, 6, 1), 1);
        assert_eq!(stored(&both, Door::Api, 6, 1), 1);
        assert_eq!(stored(&none, Door::Api, 6, 2), 1);
        assert_eq!(stored(&none, Door::Api, DAY, 1), 1);
        for (asked, door, last) in [(&none, Door::Api, 1), (&both, Door::Api, 1)] {
            assert_eq!(stored(asked, door, 7, last), 0);
        }
    }

    #[test]
    fn what_could_not_be_stored_waits_again() {
        let notes = UseNotes::default();
        notes.used(&use_of(&[], Door::Api, 5, 1));
        let taken = notes.take(10);
        assert_eq!((taken.notes.len(), taken.has_lost), (1, false));
        notes.restore(taken);
        assert_eq!(notes.take(10).notes.len(), 1);
        assert_eq!(notes.take(10), Taken::default());
    }

    /// Nobody may be told that something was never used which was.
    #[test]
    fn what_finds_no_room_is_told_of_and_noted_with_its_next_use() {
        let notes = UseNotes::default();
        let at = Timestamp::from_seconds(5);
        let used = |number: usize| {
            let (token, door) = (id(number), Door::Api);
            notes.used(&Use { token, at, door, asked: &[], unasked: true, address: None });
        };
        let number = SHARDS * WAITING_MAX + SHARDS;
        (0..number).for_each(used);
        let mut seen = Vec::new();
        let first = notes.take(1_000);
        assert_eq!((first.notes.len(), first.has_lost), (1_000, true));
        seen.extend(first.notes);
        let rest = notes.take(usize::MAX);
        assert!(!rest.has_lost);
        seen.extend(rest.notes);
        assert!(seen.len() <= SHARDS * WAITING_MAX, "{}", seen.len());
        (0..number).for_each(used);
        let again = notes.take(usize::MAX);
        assert_eq!(seen.len() + again.notes.len(), number);
        assert!(!again.has_lost);
    }

    #[test]
    fn what_finds_no_room_when_it_comes_back_is_told_of() {
        let notes = UseNotes::default();
        let at = Timestamp::from_seconds(5);
        let full = SHARDS * WAITING_MAX;
        let note = |number| {
            let (token, day, door) = (id(number), day_of(at), Door::Api);
            UseNote { token, day, door, asked: Vec::new(), unasked: true, address: None }
        };
        notes.restore(Taken { notes: (0..full).map(note).collect(), has_lost: false });
        let held = notes.take(usize::MAX);
        assert_eq!((held.notes.len(), held.has_lost), (full, false));
        notes.restore(Taken { notes: (0..=full).map(note).collect(), has_lost: false });
        let held = notes.take(usize::MAX);
        assert_eq!((held.notes.len(), held.has_lost), (full, true));
    }
}
