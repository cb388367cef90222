//! Where an old system answers otherwise than we do, in memory.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, ServiceLabel, ShadowName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::shadow::Differs;
use counterfoil_authority::store::{
    Change, Page, PageRequest, SHADOW_KEPT_DAYS, SHADOW_KEPT_MAX, ShadowDifference, ShadowFilter,
    ShadowStore, Unavailable,
};

use super::{MemoryStore, State, page_up};

/// What makes differences one and the same.
pub(super) type Key =
    (RealmName, ShadowName, Option<ServiceLabel>, Differs, Option<TokenId>, Option<Username>);

fn key_of(one: &ShadowDifference) -> Key {
    let ShadowDifference { realm, shadow, service, differs, token, username, .. } = one.clone();
    (realm, shadow, service, differs, token, username)
}

impl State {
    fn note_difference(&mut self, one: ShadowDifference) {
        let Some(known) = self.differences.get_mut(&key_of(&one)) else {
            self.differences.insert(key_of(&one), one);
            return;
        };
        known.count += one.count;
        known.first_at = known.first_at.min(one.first_at);
        if one.last_at >= known.last_at {
            (known.last_at, known.reason) = (one.last_at, one.reason);
        }
    }

    fn trim_differences(&mut self, realm: &RealmName) {
        let of_realm = self.differences.values().filter(|one| one.realm == *realm);
        let mut all: Vec<ShadowDifference> = of_realm.cloned().collect();
        all.sort_unstable_by(|a, b| (b.last_at, &b.id).cmp(&(a.last_at, &a.id)));
        for one in all.split_off(all.len().min(SHADOW_KEPT_MAX as usize)) {
            self.differences.remove(&key_of(&one));
        }
    }

    /// Removes differences that were not met for long.
    pub(super) fn purge_differences(&mut self, now: Timestamp) -> usize {
        let before = self.differences.len();
        let end = now.plus_seconds(-SHADOW_KEPT_DAYS * 86_400);
        self.differences.retain(|_, one| one.last_at >= end);
        before - self.differences.len()
    }
}

#[async_trait]
impl ShadowStore for MemoryStore {
    async fn shadow_note(&self, differences: Vec<ShadowDifference>) -> Result<(), Unavailable> {
        self.write(|state| {
            let mut realms: Vec<RealmName> = Vec::new();
            for one in differences {
                if !realms.contains(&one.realm) {
                    realms.push(one.realm.clone());
                }
                state.note_difference(one);
            }
            for realm in &realms {
                state.trim_differences(realm);
            }
        });
        Ok(())
    }

    async fn shadow_list(
        &self,
        realm: &RealmName,
        filter: ShadowFilter,
        page: PageRequest,
    ) -> Result<Page<ShadowDifference>, Unavailable> {
        let ShadowFilter { shadow, differs } = filter;
        Ok(self.read(|state| {
            let found = state.differences.values().filter(|one| {
                one.realm == *realm
                    && shadow.as_ref().is_none_or(|name| one.shadow == *name)
                    && differs.is_none_or(|way| one.differs == way)
            });
            let mut found: Vec<&ShadowDifference> = found.collect();
            found.sort_unstable_by_key(|one| &one.id);
            page_up(found.into_iter(), &page, |one| one.id.clone())
        }))
    }

    async fn shadow_clear(
        &self,
        realm: &RealmName,
        shadow: Option<ShadowName>,
        event: Event,
    ) -> Result<u64, Unavailable> {
        Ok(self.write(|state| {
            let before = state.differences.len();
            let goes = |one: &ShadowDifference| {
                one.realm == *realm && shadow.as_ref().is_none_or(|name| one.shadow == *name)
            };
            state.differences.retain(|_, one| !goes(one));
            let gone = before - state.differences.len();
            state.record(&event);
            state.changed(Change::Shadow(realm.clone(), shadow.clone()), event.at);
            gone as u64
        }))
    }
}
