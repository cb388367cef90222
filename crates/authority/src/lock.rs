//! Locks that are wider than a token: they hold for whatever is issued while they last.
//!
//! A lock of a person, of a service, or of a person at a service is a fact of the person's or the
//! service's record, where verification looks anyway; so it needs no list of tokens, none can be
//! forgotten, and what a token itself says of being locked is left as it was.

use std::collections::BTreeSet;

use crate::cache::ServiceCell;
use crate::names::ServiceLabel;
use crate::subject::{OwnerFacts, UserFacts};

/// What stands for every service in the store.
const EVERYWHERE: &str = "*";

/// Where a person's tokens are locked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Locks {
    /// Everywhere.
    pub everywhere: bool,
    /// At these services.
    pub services: BTreeSet<ServiceLabel>,
}

impl Locks {
    /// Whether tokens are locked at a service.
    pub fn hold_at(&self, label: &ServiceLabel) -> bool {
        self.everywhere || self.services.contains(label)
    }

    /// The same with the lock at one service, or the one everywhere, put on or taken off.
    #[must_use]
    pub fn with(mut self, service: Option<&ServiceLabel>, on: bool) -> Self {
        match service {
            None => self.everywhere = on,
            Some(label) if on => {
                self.services.insert(label.clone());
            }
            Some(label) => {
                self.services.remove(label);
            }
        }
        self
    }

    /// As the store keeps them; nothing where there are none.
    pub fn words(&self) -> Option<String> {
        let all = self.everywhere.then_some(EVERYWHERE);
        let labels = self.services.iter().map(ServiceLabel::as_str);
        let words: Vec<&str> = all.into_iter().chain(labels).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// As the store kept them.
    pub fn from_words(text: &str) -> Option<Self> {
        let mut locks = Self::default();
        for word in text.split_ascii_whitespace() {
            if word == EVERYWHERE {
                locks.everywhere = true;
            } else {
                locks.services.insert(ServiceLabel::parse(word).ok()?);
            }
        }
        Some(locks)
    }
}

impl ServiceCell {
    /// Whether an owner's tokens are locked here, whenever they were issued.
    pub(crate) fn is_locked_for(&self, owner: &OwnerFacts) -> bool {
        let locked = |user: &UserFacts| user.locks.hold_at(&self.service.label);
        self.service.locked || matches!(owner, OwnerFacts::User(user) if locked(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> ServiceLabel {
        ServiceLabel::parse(text).unwrap()
    }

    #[test]
    fn a_lock_everywhere_and_one_at_a_service_come_and_go_apart() {
        let git = label("git");
        let locks = Locks::default().with(Some(&git), true);
        assert!(locks.hold_at(&git) && !locks.hold_at(&label("wiki")));
        let locks = locks.with(None, true);
        assert!(locks.hold_at(&label("wiki")));
        let locks = locks.with(None, false);
        assert!(locks.hold_at(&git) && !locks.hold_at(&label("wiki")));
        assert_eq!(locks.with(Some(&git), false), Locks::default());
    }

    #[test]
    fn locks_are_kept_as_words() {
        assert_eq!(Locks::default().words(), None);
        let locks = Locks::default().with(Some(&label("wiki")), true).with(None, true);
        let locks = locks.with(Some(&label("git")), true);
        assert_eq!(locks.words().as_deref(), Some("* git wiki"));
        assert_eq!(Locks::from_words("* git wiki"), Some(locks));
        assert_eq!(Locks::from_words("no label!"), None);
    }
}
