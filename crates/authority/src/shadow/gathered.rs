//! Differences, gathered in memory until they are stored.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Differs;
use crate::clock::Timestamp;
use crate::names::{RealmName, ServiceLabel, ShadowName, Username};
use crate::secret::TokenId;
use crate::verdict::Reason;

/// Differences that wait at most, some 5 MB. Further ones are counted as lost: a store that is
/// down for hours must not take the node with it.
const HELD_MAX: usize = 10_000;
/// Differences that one flush takes.
const TAKEN_MAX: usize = 500;

/// Whose presentation it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    /// Nobody was named.
    Nobody,
    /// Somebody who is known by that name, here or at the old system.
    Known(Username),
    /// What stood in the field of the name: perhaps a name, perhaps a secret in the wrong field.
    /// It is stored only if it turns out to be a person's.
    Claimed(Username),
}

/// What makes differences one and the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) realm: RealmName,
    pub(crate) shadow: ShadowName,
    pub(crate) service: Option<ServiceLabel>,
    pub(crate) differs: Differs,
    pub(crate) token: Option<TokenId>,
    pub(crate) named: Named,
}

/// How often and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Met {
    /// Why we said no the last time.
    pub(crate) reason: Option<Reason>,
    pub(crate) count: u64,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
}

/// The differences of one node that wait.
#[derive(Default)]
pub(crate) struct Gathered {
    held: Mutex<HashMap<Key, Met>>,
    lost: AtomicU64,
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathered")
    }
}

impl Gathered {
    /// Notes a difference.
    pub(crate) fn note(&self, key: Key, met: Met) {
        let mut held = self.held.lock();
        if let Some(known) = held.get_mut(&key) {
            known.count += met.count;
            known.first_at = known.first_at.min(met.first_at);
            if met.last_at >= known.last_at {
                (known.last_at, known.reason) = (met.last_at, met.reason);
            }
        } else if held.len() < HELD_MAX {
            held.insert(key, met);
        } else {
            self.lost.fetch_add(met.count, Ordering::Relaxed);
        }
    }

    /// Takes out what is to be stored next.
    pub(crate) fn take(&self) -> Vec<(Key, Met)> {
        let mut held = self.held.lock();
        let keys: Vec<Key> = held.keys().take(TAKEN_MAX).cloned().collect();
        keys.into_iter().filter_map(|key| held.remove_entry(&key)).collect()
    }

    /// Puts back what could not be stored.
    pub(crate) fn restore(&self, taken: Vec<(Key, Met)>) {
        for (key, met) in taken {
            self.note(key, met);
        }
    }

    /// Forgets what waits of a realm, with one old system or with all.
    pub(crate) fn forget(&self, realm: &RealmName, shadow: Option<&ShadowName>) {
        let is_meant =
            |key: &Key| key.realm == *realm && shadow.is_none_or(|name| key.shadow == *name);
        self.held.lock().retain(|key, _| !is_meant(key));
    }

    /// Differences that could not be noted because too many waited already.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key {
            realm: RealmName::parse("main").unwrap(),
            shadow: ShadowName::parse("old").unwrap(),
            service: None,
            differs: Differs::OnlyThere,
            token: None,
            named: Named::Claimed(Username::parse(&format!("user-{number}")).unwrap()),
        }
    }

    fn met(at: i64, reason: Reason) -> Met {
        let at = Timestamp::from_seconds(at);
        Met { reason: Some(reason), count: 1, first_at: at, last_at: at }
    }

    #[test]
    fn the_same_difference_is_one_with_its_first_and_its_last_time() {
        let gathered = Gathered::default();
        gathered.note(key(1), met(50, Reason::Unknown));
        gathered.note(key(1), met(70, Reason::Expired));
        gathered.note(key(1), met(40, Reason::Revoked));
        let taken = gathered.take();
        let [(_, one)] = taken.as_slice() else { panic!("{taken:?}") };
        let at = Timestamp::from_seconds;
        let all =
            Met { reason: Some(Reason::Expired), count: 3, first_at: at(40), last_at: at(70) };
        assert_eq!(*one, all);
        assert!(gathered.take().is_empty());
        gathered.restore(taken);
        assert_eq!(gathered.take().len(), 1);
    }

    #[test]
    fn what_is_forgotten_waits_no_more_and_what_is_of_others_does() {
        let gathered = Gathered::default();
        gathered.note(key(1), met(50, Reason::Unknown));
        let (main, other) = (key(1).realm, RealmName::parse("other").unwrap());
        let elsewhere = ShadowName::parse("elsewhere").unwrap();
        gathered.forget(&other, None);
        gathered.forget(&main, Some(&elsewhere));
        assert_eq!(gathered.held.lock().len(), 1);
        gathered.forget(&main, Some(&key(1).shadow));
        assert!(gathered.take().is_empty());
    }

    #[test]
    fn what_finds_no_room_is_counted_and_what_has_some_is_not_pushed_out() {
        let gathered = Gathered::default();
        for number in 0..HELD_MAX + 3 {
            gathered.note(key(number), met(50, Reason::Unknown));
        }
        gathered.note(key(0), met(51, Reason::Unknown));
        assert_eq!(gathered.lost(), 3);
        let mut seen = 0;
        loop {
            let taken = gathered.take();
            assert!(taken.len() <= TAKEN_MAX);
            if taken.is_empty() {
                break;
            }
            seen += taken.len();
        }
        assert_eq!(seen, HELD_MAX);
    }
}
