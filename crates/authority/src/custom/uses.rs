//! Uses of foreign tokens, gathered in memory and flushed at most a second later.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use super::{ForeignId, ForeignUse};
use crate::clock::Timestamp;
use crate::store::{ForeignKey, ForeignUseDelta};

/// Tokens of one repository with unflushed uses at most; those of further ones are lost, because
/// a store that is down for hours must not take the node with it.
const PENDING_MAX: usize = 100_000;

#[derive(Default)]
struct Gathered {
    ours: HashMap<ForeignId, ForeignUseDelta>,
    theirs: HashMap<ForeignId, ForeignUse>,
}

/// The uses of one repository's tokens.
#[derive(Default)]
pub(crate) struct Uses {
    gathered: Mutex<Gathered>,
}

impl Uses {
    /// Notes an accepted use; `told`: the repository wants to know, too.
    pub(crate) fn accepted(&self, key: ForeignKey, now: Timestamp, ip: Option<IpAddr>, told: bool) {
        let mut gathered = self.gathered.lock();
        if told && gathered.theirs.len() < PENDING_MAX {
            let id = key.id.clone();
            let first = ForeignUse { id: id.clone(), accepted: 0, first_at: now, last_at: now };
            let uses = gathered.theirs.entry(id).or_insert(first);
            uses.accepted += 1;
            uses.last_at = uses.last_at.max(now);
        }
        let delta = ForeignUseDelta {
            key,
            accepted: 1,
            denied: 0,
            first_at: Some(now),
            last_at: Some(now),
            last_ip: ip,
        };
        gathered.add(delta);
    }

    /// Notes a refusal of the right secret.
    pub(crate) fn denied(&self, key: ForeignKey) {
        let none = ForeignUseDelta {
            key,
            accepted: 0,
            denied: 1,
            first_at: None,
            last_at: None,
            last_ip: None,
        };
        self.gathered.lock().add(none);
    }

    /// Takes out what is to be stored here.
    pub(crate) fn take(&self) -> Vec<ForeignUseDelta> {
        std::mem::take(&mut self.gathered.lock().ours).into_values().collect()
    }

    /// Takes out what the repository is to be told.
    pub(crate) fn take_theirs(&self) -> Vec<ForeignUse> {
        std::mem::take(&mut self.gathered.lock().theirs).into_values().collect()
    }

    /// Puts back what could not be stored.
    pub(crate) fn restore(&self, deltas: Vec<ForeignUseDelta>) {
        let mut gathered = self.gathered.lock();
        for delta in deltas {
            gathered.add(delta);
        }
    }

    /// Puts back what could not be told.
    pub(crate) fn restore_theirs(&self, uses: Vec<ForeignUse>) {
        let mut gathered = self.gathered.lock();
        for one in uses {
            if let Some(known) = gathered.theirs.get_mut(&one.id) {
                known.accepted += one.accepted;
                known.first_at = known.first_at.min(one.first_at);
                known.last_at = known.last_at.max(one.last_at);
            } else if gathered.theirs.len() < PENDING_MAX {
                gathered.theirs.insert(one.id.clone(), one);
            }
        }
    }
}

impl Gathered {
    fn add(&mut self, delta: ForeignUseDelta) {
        if let Some(known) = self.ours.get_mut(&delta.key.id) {
            known.accepted += delta.accepted;
            known.denied += delta.denied;
            known.first_at = match (known.first_at, delta.first_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            if known.last_at <= delta.last_at {
                known.last_at = delta.last_at;
                known.last_ip = delta.last_ip;
            }
        } else if self.ours.len() < PENDING_MAX {
            self.ours.insert(delta.key.id.clone(), delta);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::RealmName;

    #[test]
    fn uses_add_up_and_what_could_not_be_stored_comes_back() {
        let uses = Uses::default();
        let id = ForeignId::parse("7").unwrap();
        let realm = RealmName::parse("main").unwrap();
        let key = ForeignKey::new(&realm, "acme", &id, Some("alice"));
        let at = Timestamp::from_seconds;
        uses.accepted(key.clone(), at(5), None, true);
        let taken = uses.take();
        uses.accepted(key.clone(), at(7), None, true);
        uses.denied(key);
        uses.restore(taken);
        let delta = uses.take().pop().unwrap();
        assert_eq!((delta.accepted, delta.denied), (2, 1));
        assert_eq!((delta.first_at, delta.last_at), (Some(at(5)), Some(at(7))));
        let told = uses.take_theirs();
        uses.restore_theirs(told.clone());
        assert_eq!(uses.take_theirs(), told);
        assert_eq!(told[0].accepted, 2);
    }
}
