//! What is counted of tokens that somebody else keeps, in memory.

use std::net::IpAddr;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    Change, ForeignChanged, ForeignKey, ForeignUsage, ForeignUseDelta, ForeignUseStore, Unavailable,
};

use super::{MemoryStore, State};

impl State {
    fn foreign_usage(&mut self, key: &ForeignKey) -> &mut ForeignUsage {
        let none = ForeignUsage {
            key: key.clone(),
            first_at: None,
            last_at: None,
            last_ip: None,
            total: 0,
            denied_total: 0,
            used: 0,
        };
        let usage = self.foreign_uses.entry(key.token).or_insert(none);
        usage.key.user.clone_from(&key.user);
        usage
    }
}

fn add(usage: &mut ForeignUsage, delta: &ForeignUseDelta) {
    usage.total += delta.accepted;
    usage.denied_total += delta.denied;
    usage.first_at = match (usage.first_at, delta.first_at) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    if delta.last_at > usage.last_at {
        usage.last_at = delta.last_at;
        usage.last_ip = delta.last_ip;
    }
}

#[async_trait]
impl ForeignUseStore for MemoryStore {
    async fn foreign_use_add(&self, uses: Vec<ForeignUseDelta>) -> Result<(), Unavailable> {
        self.write(|state| {
            for delta in &uses {
                add(state.foreign_usage(&delta.key), delta);
            }
        });
        Ok(())
    }

    async fn foreign_use_consume(
        &self,
        key: ForeignKey,
        limit: u64,
        at: Timestamp,
        ip: Option<IpAddr>,
    ) -> Result<Option<u64>, Unavailable> {
        Ok(self.write(|state| {
            let taken = state.foreign_uses.get(&key.token).map_or(0, |usage| usage.used);
            if taken >= limit {
                return None;
            }
            let (first_at, last_at) = (Some(at), Some(at));
            let usage = state.foreign_usage(&key);
            let accepted = 1;
            add(
                usage,
                &ForeignUseDelta { key, accepted, denied: 0, first_at, last_at, last_ip: ip },
            );
            usage.used += 1;
            Some(usage.used)
        }))
    }

    async fn foreign_use_find(
        &self,
        realm: &RealmName,
        tokens: Vec<TokenId>,
    ) -> Result<Vec<ForeignUsage>, Unavailable> {
        Ok(self.read(|state| {
            let known = tokens.iter().filter_map(|token| state.foreign_uses.get(token));
            known.filter(|usage| usage.key.realm == *realm).cloned().collect()
        }))
    }

    async fn foreign_changed(&self, changed: ForeignChanged) -> Result<(), Unavailable> {
        self.write(|state| {
            let ours = state.foreign_uses.get(&changed.token);
            if changed.removed && ours.is_some_and(|one| one.key.realm == changed.realm) {
                state.foreign_uses.remove(&changed.token);
            }
            state.changed(Change::Token(changed.token), changed.event.at);
            state.record(&changed.event);
        });
        Ok(())
    }
}
