//! Access tokens, in memory.

use async_trait::async_trait;
use counterfoil_authority::access::AccessRecord;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    AccessRevoke, AccessStore, Change, Revocations, Revoked, Unavailable,
};

use super::{MemoryStore, State, overtaken};

/// A revocation and until when it matters.
#[derive(Clone)]
pub(super) struct Ended {
    realm: RealmName,
    at: Timestamp,
    expires_at: Timestamp,
}

impl State {
    /// Forgets what has ended; says how much that was.
    pub(super) fn purge_access(&mut self, now: Timestamp) -> usize {
        let count =
            |state: &Self| state.access.len() + state.access_ended.len() + state.proofs.len();
        let before = count(self);
        self.access.retain(|_, record| record.facts.expires_at > now);
        self.access_used.retain(|id, _| self.access.contains_key(id));
        self.access_ended.retain(|_, ended| ended.expires_at > now);
        self.proofs.retain(|_, end| *end > now);
        before - count(self)
    }

    /// Notes that something is done that may be done once; false if it was, and is still known.
    pub(super) fn use_proof(&mut self, once: [u8; 32], until: Timestamp, now: Timestamp) -> bool {
        if self.proofs.get(&once).is_some_and(|end| *end > now) {
            return false;
        }
        self.proofs.insert(once, until);
        true
    }
}

fn latest_first(mut lines: Vec<(Timestamp, Revoked)>, limit: u32) -> Vec<Revoked> {
    lines.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    lines.into_iter().take(limit as usize).map(|(_, line)| line).collect()
}

#[async_trait]
impl AccessStore for MemoryStore {
    async fn access_add(&self, record: AccessRecord) -> Result<(), Unavailable> {
        let taken = self.write(|state| {
            if state.access.contains_key(&record.id) {
                return true;
            }
            state.access.insert(record.id, record);
            false
        });
        if taken { overtaken("the id is taken") } else { Ok(()) }
    }

    async fn access_find(&self, id: TokenId) -> Result<Option<AccessRecord>, Unavailable> {
        Ok(self.read(|state| state.access.get(&id).cloned()))
    }

    async fn access_used(&self, used: Vec<(TokenId, Timestamp)>) -> Result<(), Unavailable> {
        self.write(|state| {
            for (id, at) in used {
                if state.access.contains_key(&id) {
                    let known = state.access_used.entry(id).or_insert(at);
                    *known = at.max(*known);
                }
            }
        });
        Ok(())
    }

    async fn access_last_used(&self, id: TokenId) -> Result<Option<Timestamp>, Unavailable> {
        Ok(self.read(|state| state.access_used.get(&id).copied()))
    }

    async fn access_revoke(&self, revoke: AccessRevoke) -> Result<bool, Unavailable> {
        Ok(self.write(|state| {
            let AccessRevoke { realm, id, expires_at, at, event } = revoke;
            if state.access_ended.contains_key(&id) {
                return false;
            }
            state.access_ended.insert(id, Ended { realm, at, expires_at });
            state.record(&event);
            state.changed(Change::Token(id), at);
            true
        }))
    }

    async fn access_revoked(&self, id: TokenId) -> Result<bool, Unavailable> {
        Ok(self.read(|state| state.access_ended.contains_key(&id)))
    }

    async fn access_revocations(
        &self,
        realm: &RealmName,
        now: Timestamp,
        parents_since: Timestamp,
        limit: u32,
    ) -> Result<Revocations, Unavailable> {
        Ok(self.read(|state| {
            let ended = state.access_ended.iter();
            let own = ended.filter(|(_, ended)| ended.realm == *realm && ended.expires_at > now);
            let own = own.map(|(id, ended)| (ended.expires_at, Revoked { id: *id, at: ended.at }));
            let parents = state.tokens.values().filter_map(|held| {
                let at = held.token.revocation.as_ref()?.at;
                let wanted = held.token.realm == *realm && at >= parents_since;
                wanted.then_some((at, Revoked { id: held.token.id, at }))
            });
            Revocations {
                access_tokens: latest_first(own.collect(), limit),
                parents: latest_first(parents.collect(), limit),
            }
        }))
    }

    async fn proof_use(
        &self,
        once: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| state.use_proof(once, expires_at, now)))
    }
}
