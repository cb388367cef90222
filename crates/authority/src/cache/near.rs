//! Labels that are known but for a typing error, so that a refusal can say what was asked for.

use super::Cache;
use crate::names::RealmName;
use crate::text::distance;

/// Typing errors in a label by which it is still known for what it should have been. No secret is
/// that near to the name of a service.
const TYPING_ERRORS_MAX: usize = 2;

impl Cache {
    /// Whether a label is one that was ever read, but for a typing error or two.
    pub(crate) fn nearly_knows_service(&self, realm: &RealmName, label: &str) -> bool {
        let near = |known: &str| {
            known.len().abs_diff(label.len()) <= TYPING_ERRORS_MAX
                && distance(known, label) <= TYPING_ERRORS_MAX
        };
        let realms = self.realms.load();
        let entry = realms.get(realm);
        entry.is_some_and(|entry| entry.services.iter().any(|(known, _)| near(known.as_str())))
    }
}
