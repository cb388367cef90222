//! Which labels are those of services, also while what is remembered of the services themselves
//! does not count: a refusal says what was asked for, and a shadow hears what is for its services.

use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;

use super::Cache;
use crate::names::{RealmName, ServiceLabel};
use crate::text::distance;

/// Typing errors in a label by which it is still known for what it should have been. No secret is
/// that near to the name of a service.
const TYPING_ERRORS_MAX: usize = 2;

/// Labels of services that the store had when it was last asked for them.
#[derive(Default)]
pub(super) struct Labels(RwLock<HashMap<RealmName, HashSet<ServiceLabel>>>);

impl Labels {
    fn any(&self, realm: &RealmName, is_one: impl Fn(&str) -> bool) -> bool {
        let known = self.0.read();
        known.get(realm).is_some_and(|labels| labels.iter().any(|label| is_one(label.as_str())))
    }

    /// Takes note of a service that was read.
    pub(super) fn note(&self, realm: &RealmName, label: &ServiceLabel) {
        // Mostly it is known, and who knows it waits for nobody.
        if !self.0.read().get(realm).is_some_and(|labels| labels.contains(label)) {
            self.0.write().entry(realm.clone()).or_default().insert(label.clone());
        }
    }
}

impl Cache {
    /// Whether such a service was ever read, and was there when it was last asked for.
    pub(crate) fn knows_service(&self, realm: &RealmName, label: &str) -> bool {
        // Labels are few per realm and compare by bytes; a parsed label would allocate.
        self.labels.any(realm, |known| known == label)
    }

    /// Whether a label is one that was ever read, but for a typing error or two.
    pub(crate) fn nearly_knows_service(&self, realm: &RealmName, label: &str) -> bool {
        self.labels.any(realm, |known| {
            known.len().abs_diff(label.len()) <= TYPING_ERRORS_MAX
                && distance(known, label) <= TYPING_ERRORS_MAX
        })
    }

    /// Takes note that the store has no such service.
    pub(crate) fn no_such_service(&self, realm: &RealmName, label: &ServiceLabel) {
        if self.knows_service(realm, label.as_str())
            && let Some(labels) = self.labels.0.write().get_mut(realm)
        {
            labels.remove(label);
        }
    }
}
