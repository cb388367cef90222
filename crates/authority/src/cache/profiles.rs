//! What many tokens have in common, kept once for all of them.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::scope::Scope;
use crate::service::Services;
use crate::verdict::Door;

/// What many tokens have in common, kept once.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Profile {
    pub(crate) services: Services,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) permissions: Option<String>,
    pub(crate) networks: Vec<ipnet::IpNet>,
    pub(crate) doors: Option<Vec<Door>>,
}

/// Profiles remembered for sharing; beyond it those that no token uses are forgotten.
const PROFILES_MAX: usize = 16_384;

/// Keeps equal profiles once: a fleet of tokens differs in owner and secret, rarely in this.
#[derive(Default)]
pub(super) struct Profiles(Mutex<HashSet<Arc<Profile>>>);

impl Profiles {
    pub(super) fn shared(&self, profile: Profile) -> Arc<Profile> {
        let mut known = self.0.lock();
        if let Some(shared) = known.get(&profile) {
            return Arc::clone(shared);
        }
        if known.len() >= PROFILES_MAX {
            known.retain(|profile| Arc::strong_count(profile) > 1);
        }
        let fresh = Arc::new(profile);
        if known.len() < PROFILES_MAX {
            known.insert(Arc::clone(&fresh));
        }
        fresh
    }
}
