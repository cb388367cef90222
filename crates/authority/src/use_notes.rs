//! What tokens are used for, gathered in memory until it is stored.
//!
//! Beside the requests: a use whose like was noted today is known by its token, or costs one look
//! under a lock that nobody waits for long, and nothing here decides whether a token is good. What finds no room is not
//! forgotten silently: the watch begins anew, and nobody is told that something was never used.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::clock::Timestamp;
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::store::{UseNote, day_of};
use crate::usage::IdHasher;
use crate::verdict::Door;

/// Shards, so that busy cores do not meet: as many as five bits tell apart.
const SHARDS: usize = 32;
/// How far the first bits of a print are shifted to name its shard.
const SHARD_SHIFT: u32 = 59;
/// Uses that a shard remembers as noted, together some 30 MB. Beyond it all of a shard are noted
/// anew, which costs a write each and changes nothing.
const REMEMBERED_MAX: usize = 50_000;
/// What waits to be stored in a shard at most, together some 30 MB.
const WAITING_MAX: usize = 5_000;
/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

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

impl Use<'_> {
    /// The day it is noted under: its own or, by the hour at which its token's day ends, the next
    /// one. The notes of all tokens would come at the same midnight otherwise, and some find no
    /// room. A day too late calls nothing unused that was used.
    ///
    /// One with an address keeps to its own day: which networks it counts for is looked up when it
    /// is stored, and those that an edit gives are watched from their own day on.
    fn day(&self) -> i64 {
        let phase = if self.address.is_none() { phase_of(self.token) } else { 0 };
        day_of(self.at.plus_seconds(phase))
    }
}

/// So many seconds before midnight the day of a token ends here.
fn phase_of(token: TokenId) -> i64 {
    let mut hasher = IdHasher::default();
    hasher.write(token.as_bytes());
    i64::try_from(hasher.finish() % DAY_SECONDS).unwrap_or(0)
}

/// The print of what was last noted of a token, kept with the token while it is in memory: nearly
/// every use is like the one before it, and is known by this alone.
#[derive(Debug, Default)]
pub(crate) struct LastNote(AtomicU64);

impl LastNote {
    /// Of a token of which nothing was noted.
    const NOTHING: u64 = 0;

    fn is(&self, print: u64) -> bool {
        print != Self::NOTHING && self.0.load(Ordering::Relaxed) == print
    }

    /// Who is used in two ways by turns keeps one of them: memory that nobody writes is shared by
    /// all cores.
    fn keep(&self, print: u64, is_new: bool) {
        if is_new || self.0.load(Ordering::Relaxed) == Self::NOTHING {
            self.0.store(print, Ordering::Relaxed);
        }
    }
}

/// What came of a use.
enum Noted {
    /// Its like was noted before.
    Before,
    Now,
    /// There was no room.
    Not,
}

#[derive(Default)]
struct Shard {
    /// Prints of what was noted. Keyed by chance, so nobody can make one use look like another.
    noted: HashSet<u64, BuildHasherDefault<IdHasher>>,
    waiting: Vec<UseNote>,
    /// Whether something found no room since this was asked last.
    has_lost: bool,
}

impl Shard {
    fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// What is known of a use: that it is noted already, or is lost like others before it.
    fn known(&self, print: u64) -> Option<Noted> {
        if self.noted.contains(&print) {
            Some(Noted::Before)
        } else {
            (self.has_lost && self.is_full()).then_some(Noted::Not)
        }
    }
}

/// What is taken out to be stored.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) notes: Vec<UseNote>,
    /// Whether others were lost.
    pub(crate) has_lost: bool,
}

/// What a flush carries. What of it is not stored when the flush ends waits again, also when it
/// ends because nobody waits for it any more.
pub(crate) struct Carried<'a> {
    home: &'a UseNotes,
    taken: Taken,
}

impl Carried<'_> {
    pub(crate) const fn has_lost(&self) -> bool {
        self.taken.has_lost
    }

    /// That others were lost is known where it has to be.
    pub(crate) const fn told_of_loss(&mut self) {
        self.taken.has_lost = false;
    }

    /// At most so many of the notes. They stay in here until they are stored.
    pub(crate) fn part(&self, most: usize) -> Vec<UseNote> {
        let notes = &self.taken.notes;
        notes.iter().skip(notes.len().saturating_sub(most)).cloned().collect()
    }

    /// The part of so many notes that was handed out last is stored.
    pub(crate) fn stored(&mut self, number: usize) {
        let rest = self.taken.notes.len().saturating_sub(number);
        self.taken.notes.truncate(rest);
    }
}

impl Drop for Carried<'_> {
    fn drop(&mut self) {
        if self.taken.has_lost || !self.taken.notes.is_empty() {
            self.home.restore(std::mem::take(&mut self.taken));
        }
    }
}

/// The notes of one node.
pub(crate) struct UseNotes {
    print: RandomState,
    /// How often notes were lost that had passed for noted. Part of every print, so that none of
    /// before passes for noted any more, wherever it is kept.
    losses: AtomicU64,
    shards: Vec<RwLock<Shard>>,
    /// Held by the flush that runs: who wants to know that everything is stored waits for it. No
    /// use waits here.
    pub(crate) flushing: tokio::sync::Mutex<()>,
    /// Whether the last flush found that notes were lost.
    is_losing: AtomicBool,
}

impl Default for UseNotes {
    fn default() -> Self {
        Self {
            print: RandomState::new(),
            losses: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            flushing: tokio::sync::Mutex::default(),
            is_losing: AtomicBool::new(false),
        }
    }
}

impl UseNotes {
    /// Notes a use, unless its like was noted on the same day.
    pub(crate) fn used(&self, one: &Use<'_>) {
        self.note(one, self.print_of(one));
    }

    /// The same of a token that is in memory.
    pub(crate) fn used_again(&self, one: &Use<'_>, last: &LastNote) {
        let print = self.print_of(one);
        if last.is(print) {
            return;
        }
        match self.note(one, print) {
            Noted::Before => last.keep(print, false),
            Noted::Now => last.keep(print, true),
            Noted::Not => {}
        }
    }

    fn print_of(&self, one: &Use<'_>) -> u64 {
        let losses = self.losses.load(Ordering::Relaxed);
        let address = one.address.map(|address| address.to_canonical());
        let Use { token, door, asked, unasked, .. } = *one;
        self.print.hash_one((losses, token, one.day(), door, asked, unasked, address))
    }

    fn note(&self, one: &Use<'_>, print: u64) -> Noted {
        let place = usize::try_from(print >> SHARD_SHIFT).unwrap_or(0);
        let Some(shard) = self.shards.get(place) else { return Noted::Not };
        // Who only looks keeps nobody from looking. So does who finds no room
        // after others did not: masses of first uses may come for minutes.
        if let Some(known) = shard.read().known(print) {
            return known;
        }
        let Use { token, door, unasked, .. } = *one;
        let (day, asked) = (one.day(), one.asked.to_vec());
        let address = one.address.map(|address| address.to_canonical());
        let note = UseNote { token, day, door, asked, unasked, address };
        let mut shard = shard.write();
        if shard.noted.contains(&print) {
            return Noted::Before;
        }
        if shard.is_full() {
            shard.has_lost = true;
            return Noted::Not;
        }
        if shard.noted.len() >= REMEMBERED_MAX {
            shard.noted.clear();
        }
        shard.noted.insert(print);
        shard.waiting.push(note);
        Noted::Now
    }

    /// Takes out at most so many of what is to be stored, and what is known of a loss.
    pub(crate) fn carry(&self, most: usize) -> Carried<'_> {
        Carried { home: self, taken: self.take(most) }
    }

    /// Keeps whether a flush found that notes were lost; true if the one before did not.
    pub(crate) fn begins_to_lose(&self, is_losing: bool) -> bool {
        !self.is_losing.swap(is_losing, Ordering::Relaxed) && is_losing
    }

    fn take(&self, most: usize) -> Taken {
        let mut taken = Taken::default();
        for shard in &self.shards {
            let mut shard = shard.write();
            let kept = shard.waiting.len().saturating_sub(most - taken.notes.len());
            taken.notes.extend(shard.waiting.drain(kept..));
            if shard.waiting.is_empty() {
                // What masses have needed is given back.
                shard.waiting = Vec::new();
            }
            taken.has_lost |= std::mem::take(&mut shard.has_lost);
        }
        taken
    }

    /// Puts back what could not be stored.
    fn restore(&self, taken: Taken) {
        let mut places = (0..SHARDS).cycle();
        let mut is_full = false;
        for note in taken.notes {
            // Whichever has room: what is remembered is found by its print alone.
            let mut note = Some(note);
            for place in places.by_ref().take(SHARDS) {
                let Some(shard) = self.shards.get(place) else { continue };
                let mut shard = shard.write();
                if !shard.is_full() {
                    shard.waiting.extend(note.take());
                    break;
                }
            }
            is_full |= note.is_some();
        }
        if is_full {
            // What is lost now must not pass for noted: its next use is noted again.
            self.losses.fetch_add(1, Ordering::Relaxed);
            for shard in &self.shards {
                shard.write().noted.clear();
            }
        }
        if let Some(shard) = self.shards.first().filter(|_| is_full || taken.has_lost) {
            shard.write().has_lost = true;
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

    fn use_of(asked: &[Scope], door: Door, seconds: i64, from: u8) -> Use<'_> {
        let (at, address) = (Timestamp::from_seconds(seconds), Some([10, 0, 0, from].into()));
        Use { token: id(1), at, door, asked, unasked: asked.is_empty(), address }
    }

    #[test]
    fn a_use_is_noted_once_a_day_and_another_one_by_itself() {
        let notes = UseNotes::default();
        let (none, read, both) = (scopes(&[]), scopes(&["read"]), scopes(&["read", "push"]));
        let stored = |asked: &[Scope], door, seconds, from| {
            notes.used(&use_of(asked, door, seconds, from));
            notes.take(10).notes.len()
        };
        assert_eq!(stored(&none, Door::Api, 5, 1), 1);
        assert_eq!(stored(&none, Door::Api, DAY - 1, 1), 0);
        assert_eq!(stored(&none, Door::Ldap, 6, 1), 1);
        assert_eq!(stored(&read, Door::Api, 6, 1), 1);
        assert_eq!(stored(&both, Door::Api, 6, 1), 1);
        assert_eq!(stored(&none, Door::Api, 6, 2), 1);
        assert_eq!(stored(&none, Door::Api, DAY, 1), 1);
        for (asked, door, from) in [(&none, Door::Api, 1), (&both, Door::Api, 1)] {
            assert_eq!(stored(asked, door, 7, from), 0);
        }
    }

    /// Each day once, under that day or the next one, and not all tokens at the same instant.
    #[test]
    fn the_days_of_tokens_end_at_hours_of_their_own() {
        let mut ends = HashSet::new();
        for number in 0..100 {
            let notes = UseNotes::default();
            let token = id(number);
            let stored = |seconds| {
                let at = Timestamp::from_seconds(seconds);
                let door = Door::Api;
                notes.used(&Use { token, at, door, asked: &[], unasked: true, address: None });
                notes.take(10).notes.iter().map(|note| note.day).collect::<Vec<_>>()
            };
            let end = 2 * DAY - phase_of(token);
            assert!((DAY + 1..=2 * DAY).contains(&end), "{end}");
            assert_eq!(stored(end - DAY), [1]);
            assert!(stored(end - 1).is_empty());
            assert_eq!(stored(end), [2]);
            assert!(stored(end + DAY - 1).is_empty());
            ends.insert(end / 3_600);
        }
        assert!(ends.len() > 12, "{ends:?}");
    }

    #[test]
    fn what_could_not_be_stored_waits_again() {
        let notes = UseNotes::default();
        for from in 1..=3 {
            notes.used(&use_of(&[], Door::Api, 5, from));
        }
        let mut carried = notes.carry(10);
        assert_eq!((carried.part(2).len(), carried.has_lost()), (2, false));
        // Handed out is not stored.
        assert_eq!(carried.part(10).len(), 3);
        let part = carried.part(2);
        carried.stored(part.len());
        let left = carried.part(10);
        assert_eq!(left.len(), 1);
        assert!(left.iter().all(|note| !part.contains(note)));
        assert_eq!(notes.take(10), Taken::default());
        drop(carried);
        assert_eq!(notes.take(10), Taken { notes: left, has_lost: false });
        assert_eq!(notes.take(10), Taken::default());
    }

    #[test]
    fn a_loss_that_nobody_was_told_of_is_told_of_later() {
        let notes = UseNotes::default();
        notes.restore(Taken { notes: Vec::new(), has_lost: true });
        drop(notes.carry(10));
        let mut carried = notes.carry(10);
        assert!(carried.has_lost());
        carried.told_of_loss();
        drop(carried);
        assert!(!notes.carry(10).has_lost());
        let said = [true, true, false, true].map(|is_losing| notes.begins_to_lose(is_losing));
        assert_eq!(said, [true, false, false, true]);
    }

    #[test]
    fn a_token_in_memory_is_noted_as_often_as_any() {
        let (notes, last) = (UseNotes::default(), LastNote::default());
        let scopes = scopes(&["read"]);
        let written = |asked: &[Scope], seconds| {
            notes.used_again(&use_of(asked, Door::Api, seconds, 1), &last);
            notes.take(10).notes.len()
        };
        let first = [(&[][..], 5), (&scopes, 6), (&[], DAY), (&scopes, DAY)];
        assert!(first.iter().all(|(asked, at)| written(asked, *at) == 1));
        assert!(first.iter().rev().all(|(asked, at)| written(asked, *at) == 0));
        // What it remembers by itself is the latest that was new, whatever the others forget.
        notes.shards.iter().for_each(|shard| shard.write().noted.clear());
        assert_eq!(first.map(|(asked, at)| written(asked, at)), [1, 1, 1, 1]);
        notes.shards.iter().for_each(|shard| shard.write().noted.clear());
        assert_eq!(written(&scopes, DAY), 0);
    }

    #[test]
    fn a_use_without_room_is_not_remembered_as_noted() {
        let (notes, last) = (UseNotes::default(), LastNote::default());
        let once = use_of(&[], Door::Api, 5, 1);
        let note = |_| {
            let (token, at) = (id(7), Timestamp::from_seconds(5));
            UseNote {
                token,
                day: day_of(at),
                door: Door::Api,
                asked: Vec::new(),
                unasked: true,
                address: None,
            }
        };
        let full = SHARDS * WAITING_MAX;
        notes.restore(Taken { notes: (0..full).map(note).collect(), has_lost: false });
        notes.used_again(&once, &last);
        assert!(notes.take(usize::MAX).has_lost);
        notes.used_again(&once, &last);
        assert_eq!(notes.take(10).notes.len(), 1);
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
        let room = |shard: &RwLock<Shard>| shard.read().waiting.capacity();
        assert_eq!(notes.shards.iter().map(room).sum::<usize>(), 0);
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

    /// Or else it would pass for noted for the rest of the day.
    #[test]
    fn what_is_lost_when_it_comes_back_is_noted_with_its_next_use() {
        let (notes, last) = (UseNotes::default(), LastNote::default());
        let once = || notes.used_again(&use_of(&[], Door::Api, 5, 1), &last);
        once();
        let note = notes.take(10).notes.remove(0);
        once();
        assert_eq!(notes.take(10), Taken::default());
        let many = vec![note; SHARDS * WAITING_MAX + 1];
        notes.restore(Taken { notes: many, has_lost: false });
        notes.take(usize::MAX);
        once();
        assert_eq!(notes.take(10).notes.len(), 1);
    }
}
