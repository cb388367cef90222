//! On which days tokens were used, gathered in memory until it is stored.
//!
//! Bookkeeping for people who look at their tokens. A flush stores a part of what waits, first
//! come, first served, so masses of tokens used at once burden no single flush and are all noted
//! in the end.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::secret::TokenId;
use crate::store::{UseDay, day_of};
use crate::verdict::Door;

/// Days of tokens that wait at most, some 80 MB. Further ones are counted as lost: a store that
/// is down for hours must not take the node with it.
const HELD_MAX: usize = 500_000;
/// Days that one flush takes out; the others wait for the next one.
const TAKEN_MAX: usize = 20_000;
/// How long they are held while masses of tokens are used.
const HELD_SECONDS: i64 = 10;

/// Token, day and door: one entry of the diary.
type Key = (TokenId, i64, Door);

#[derive(Default)]
struct Held {
    days: HashMap<Key, UseDay>,
    /// The keys of `days` in the order in which they came. A map alone has an order of its own,
    /// by which the same tokens would come last each time.
    order: VecDeque<Key>,
    taken_at: Timestamp,
    lost: u64,
}

/// The diary of one node.
#[derive(Default)]
pub(crate) struct Diary {
    held: Mutex<Held>,
}

impl Diary {
    /// Notes one use.
    pub(crate) fn used(&self, token: TokenId, at: Timestamp, ip: Option<IpAddr>, door: Door) {
        let (day, uses) = (day_of(at), 1);
        self.note(UseDay { token, day, door, uses, last_at: at, last_ip: ip });
    }

    /// Notes what is known of a day.
    pub(crate) fn note(&self, one: UseDay) {
        self.held.lock().note(one);
    }

    /// Notes days that could not be stored.
    pub(crate) fn restore(&self, days: impl IntoIterator<Item = UseDay>) {
        let mut held = self.held.lock();
        days.into_iter().for_each(|one| held.note(one));
    }

    /// Takes out what is to be stored, the first come first; nothing while it is busy and took
    /// some a moment ago.
    pub(crate) fn take(&self, now: Timestamp, busy: bool) -> Vec<UseDay> {
        let mut held = self.held.lock();
        if busy && now < held.taken_at.plus_seconds(HELD_SECONDS) {
            return Vec::new();
        }
        held.taken_at = now;
        let Held { days, order, .. } = &mut *held;
        let number = order.len().min(TAKEN_MAX);
        let taken = order.drain(..number).filter_map(|key| days.remove(&key)).collect();
        if order.is_empty() {
            // What masses have needed is given back.
            (*days, *order) = Default::default();
        }
        taken
    }

    /// Days that could not be noted because too many waited already.
    pub(crate) fn lost(&self) -> u64 {
        self.held.lock().lost
    }
}

impl Held {
    fn note(&mut self, one: UseDay) {
        let key = (one.token, one.day, one.door);
        if let Some(known) = self.days.get_mut(&key) {
            known.uses += one.uses;
            if one.last_at >= known.last_at {
                (known.last_at, known.last_ip) = (one.last_at, one.last_ip);
            }
        } else if self.days.len() < HELD_MAX {
            self.order.push_back(key);
            self.days.insert(key, one);
        } else {
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_of_one_day_and_door_are_one_entry_with_the_latest_place() {
        let diary = Diary::default();
        let id = TokenId::parse("0123456789AB").unwrap();
        let at = Timestamp::from_seconds;
        let ip = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
        diary.used(id, at(50), ip(1), Door::Ldap);
        diary.used(id, at(40), ip(2), Door::Ldap);
        diary.used(id, at(60), ip(3), Door::Api);
        diary.used(id, at(86_400), ip(4), Door::Ldap);
        let mut days = diary.take(at(70), true);
        days.sort_by_key(|one| (one.day, one.door.name()));
        let seen: Vec<_> = days.iter().map(|one| (one.day, one.uses, one.last_ip)).collect();
        assert_eq!(seen, [(0, 1, ip(3)), (0, 2, ip(1)), (1, 1, ip(4))]);
    }

    /// Also those that a single flush does not take, in the order in which they came.
    #[test]
    fn masses_are_all_noted_and_wait_for_the_next_flush() {
        let diary = Diary::default();
        let at = Timestamp::from_seconds(100);
        let id = |number: usize| TokenId::parse(&format!("{number:012}")).unwrap();
        let number = 2 * TAKEN_MAX + 7;
        for one in 0..number {
            diary.used(id(one), at, None, Door::Api);
        }
        // One that is used all the time comes no sooner for it, and pushes nobody back.
        diary.used(id(number - 1), at, None, Door::Api);
        let mut seen = Vec::new();
        // The first one is used again after each flush, and waits behind the others.
        for taken in [TAKEN_MAX, TAKEN_MAX, 8, 1] {
            let days = diary.take(at, false);
            assert_eq!(days.len(), taken);
            seen.extend(days);
            diary.used(id(0), at, None, Door::Api);
        }
        let ids: Vec<TokenId> = seen.iter().take(number).map(|one| one.token).collect();
        assert_eq!(ids, (0..number).map(id).collect::<Vec<_>>());
        assert_eq!(diary.lost(), 0);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let diary = Diary::default();
        let at = Timestamp::from_seconds(100);
        for one in 0..HELD_MAX + 3 {
            let id = TokenId::parse(&format!("{one:012}")).unwrap();
            diary.used(id, at, None, Door::Api);
        }
        assert_eq!(diary.lost(), 3);
        diary.take(at, false);
        diary.used(TokenId::parse("0123456789AB").unwrap(), at, None, Door::Api);
        assert_eq!(diary.lost(), 3);
    }

    #[test]
    fn while_it_is_busy_more_is_gathered_before_it_is_taken() {
        let diary = Diary::default();
        let id = TokenId::parse("0123456789AB").unwrap();
        let at = Timestamp::from_seconds;
        diary.used(id, at(100), None, Door::Api);
        assert_eq!(diary.take(at(100), true).len(), 1);
        diary.used(id, at(101), None, Door::Api);
        assert_eq!(diary.take(at(101), true), []);
        assert_eq!(diary.take(at(101), false).len(), 1);
        diary.used(id, at(102), None, Door::Api);
        assert_eq!(diary.take(at(111), true).len(), 1);
    }
}
