//! A hash table whose look-up waits for memory as few times as can be: marks of hashes share a line
//! of memory with what they are marks of.
//!
//! With a million tokens every step that follows a pointer is a wait, and a verify is little else.
//! A table that keeps its marks apart, as hash tables usually do, has one more of them.

use std::sync::Arc;

use crate::secret::TokenId;

/// Places of a line: with a mark each, and the count, they fill its 64 bytes.
const WIDTH: usize = 7;
/// Of eight places at most so many are taken.
const TAKEN_OF_EIGHT: usize = 7;
/// The mark of a place that nothing is in.
const EMPTY: u8 = 0;

/// What a table holds.
pub(super) trait Held {
    /// Its id: two with the same one are never held.
    fn id(&self) -> TokenId;

    /// The hash of its id: the low bits say its line, and the second byte from above its mark.
    fn hash(&self) -> u64;
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Line<T> {
    marks: [u8; WIDTH],
    /// How many found no place here and went on; at its height it stays there.
    passed: u8,
    places: [Option<Arc<T>>; WIDTH],
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { marks: [EMPTY; WIDTH], passed: 0, places: [const { None }; WIDTH] }
    }
}

impl<T: Held> Line<T> {
    fn place_of(&self, mark: u8, id: TokenId) -> Option<usize> {
        let is = |(&own, place): (&u8, &Option<Arc<T>>)| {
            own == mark && place.as_ref().is_some_and(|held| held.id() == id)
        };
        self.marks.iter().zip(&self.places).position(is)
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Table<T> {
    /// None, or a power of two.
    lines: Vec<Line<T>>,
    held: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), held: 0 }
    }
}

/// Never [`EMPTY`].
fn mark_of(hash: u64) -> u8 {
    hash.to_be_bytes()[1] | 1
}

impl<T: Held> Table<T> {
    /// How many it holds.
    pub(super) fn len(&self) -> usize {
        self.held
    }

    /// How many places there are, taken or not.
    pub(super) fn places(&self) -> usize {
        self.lines.len() * WIDTH
    }

    /// What is in a place.
    pub(super) fn at(&self, place: usize) -> Option<&Arc<T>> {
        self.lines.get(place / WIDTH)?.places.get(place % WIDTH)?.as_ref()
    }

    pub(super) fn find(&self, hash: u64, id: TokenId) -> Option<&Arc<T>> {
        let (line, place) = self.whereabouts(hash, id)?;
        self.lines.get(line)?.places.get(place)?.as_ref()
    }

    /// Puts in what is not held yet.
    pub(super) fn insert(&mut self, held: Arc<T>) {
        if (self.held + 1) * 8 > self.places() * TAKEN_OF_EIGHT {
            self.grow();
        }
        self.settle(held);
        self.held += 1;
    }

    pub(super) fn remove(&mut self, hash: u64, id: TokenId) {
        let Some((found, place)) = self.whereabouts(hash, id) else { return };
        // Those that it passed are passed by one less.
        for number in self.lines_from(hash).take_while(|number| *number != found) {
            if let Some(line) = self.lines.get_mut(number)
                && line.passed != u8::MAX
            {
                line.passed -= 1;
            }
        }
        let Some(line) = self.lines.get_mut(found) else { return };
        if let (Some(mark), Some(place)) = (line.marks.get_mut(place), line.places.get_mut(place)) {
            (*mark, *place) = (EMPTY, None);
            self.held -= 1;
        }
    }

    /// The lines in which something of this hash may be, each once.
    fn lines_from(&self, hash: u64) -> impl Iterator<Item = usize> + use<T> {
        let number = self.lines.len();
        let low = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0);
        (0..number).map(move |step| (low.wrapping_add(step)) & (number - 1))
    }

    fn whereabouts(&self, hash: u64, id: TokenId) -> Option<(usize, usize)> {
        let mark = mark_of(hash);
        for number in self.lines_from(hash) {
            let line = self.lines.get(number)?;
            if let Some(place) = line.place_of(mark, id) {
                return Some((number, place));
            }
            if line.passed == 0 {
                return None;
            }
        }
        None
    }

    /// Puts it into the first line with room; there is one.
    fn settle(&mut self, held: Arc<T>) {
        let hash = held.hash();
        for number in self.lines_from(hash) {
            let Some(line) = self.lines.get_mut(number) else { return };
            let free = line.places.iter().position(Option::is_none);
            if let Some(free) = free
                && let (Some(mark), Some(place)) =
                    (line.marks.get_mut(free), line.places.get_mut(free))
            {
                (*mark, *place) = (mark_of(hash), Some(held));
                return;
            }
            line.passed = line.passed.saturating_add(1);
        }
    }

    fn grow(&mut self) {
        let number = (self.lines.len() * 2).max(1);
        let lines = std::iter::repeat_with(Line::default).take(number).collect();
        for line in std::mem::replace(&mut self.lines, lines) {
            line.places.into_iter().flatten().for_each(|held| self.settle(held));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    struct One(u32);

    /// Few hashes, of which many share their line, their mark, or both.
    fn hash_of(number: u32) -> u64 {
        u64::from(number % 5) | u64::from(number % 3) << 48
    }

    fn id(number: u32) -> TokenId {
        TokenId::parse(&format!("{number:012}")).unwrap()
    }

    impl Held for One {
        fn id(&self) -> TokenId {
            id(self.0)
        }

        fn hash(&self) -> u64 {
            hash_of(self.0)
        }
    }

    #[test]
    fn a_line_is_a_line_of_memory() {
        assert_eq!(size_of::<Line<One>>(), 64);
    }

    #[test]
    fn lines_that_were_passed_too_often_to_count_still_lead_on() {
        let mut table = Table::default();
        let held = |table: &Table<One>, number| table.find(hash_of(number), id(number)).is_some();
        let all = || (0..3000).step_by(15);
        all().chain((3000..30_000).step_by(15)).for_each(|n| table.insert(Arc::new(One(n))));
        (3000..30_000).step_by(15).for_each(|n| table.remove(hash_of(n), id(n)));
        assert!(all().all(|number| held(&table, number)));
        all().for_each(|number| table.remove(hash_of(number), id(number)));
        assert_eq!((table.len(), all().any(|number| held(&table, number))), (0, false));
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_holds(acts in prop::collection::vec((any::<bool>(), 0_u32..200), 0..600)) {
            let (mut table, mut set) = (Table::default(), HashSet::new());
            for (puts, number) in acts {
                if !puts {
                    table.remove(hash_of(number), id(number));
                    set.remove(&number);
                } else if set.insert(number) {
                    table.insert(Arc::new(One(number)));
                }
                prop_assert_eq!(table.len(), set.len());
            }
            for number in 0..200 {
                let found = table.find(hash_of(number), id(number)).map(|one| one.0);
                prop_assert_eq!(found, set.get(&number).copied());
            }
            let mut seen: Vec<u32> = (0..table.places()).filter_map(|at| Some(table.at(at)?.0)).collect();
            let mut known: Vec<u32> = set.into_iter().collect();
            seen.sort_unstable();
            known.sort_unstable();
            prop_assert_eq!(seen, known);
        }
    }
}
