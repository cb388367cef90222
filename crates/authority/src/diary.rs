//! On which days tokens were used, gathered in memory until it is stored.
//!
//! Bookkeeping for people who look at their tokens: where masses of tokens are used at once it
//! holds a part of them, and the totals beside it hold all.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::secret::TokenId;
use crate::store::{UseDay, day_of};
use crate::verdict::Door;

/// Days of tokens that are held at most, some 3 MB. Beyond it further ones are not noted.
const HELD_MAX: usize = 20_000;
/// How long they are held while masses of tokens are used.
const HELD_SECONDS: i64 = 10;

#[derive(Default)]
struct Held {
    days: HashMap<(TokenId, i64, Door), UseDay>,
    taken_at: Timestamp,
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
        self.note(vec![UseDay { token, day, door, uses, last_at: at, last_ip: ip }]);
    }

    /// Notes what is known of days.
    pub(crate) fn note(&self, days: Vec<UseDay>) {
        let mut held = self.held.lock();
        for one in days {
            let key = (one.token, one.day, one.door);
            if let Some(known) = held.days.get_mut(&key) {
                known.uses += one.uses;
                if one.last_at >= known.last_at {
                    (known.last_at, known.last_ip) = (one.last_at, one.last_ip);
                }
            } else if held.days.len() < HELD_MAX {
                held.days.insert(key, one);
            }
        }
    }

    /// Takes out what is to be stored; nothing while it is busy and took some a moment ago.
    pub(crate) fn take(&self, now: Timestamp, busy: bool) -> Vec<UseDay> {
        let mut held = self.held.lock();
        if busy && now < held.taken_at.plus_seconds(HELD_SECONDS) {
            return Vec::new();
        }
        held.taken_at = now;
        std::mem::take(&mut held.days).into_values().collect()
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
