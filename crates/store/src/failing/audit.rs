//! Operations on audit logs, of a store that is down on command.

use async_trait::async_trait;
use counterfoil_authority::audit::tree::{Hash, Span};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    AuditHead, AuditSeal, AuditStore, AuditTile, Lease, Unavailable, Unsealed,
};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl AuditStore for FailingStore {
    async fn audit_unsealed(
        &self,
        except: Vec<RealmName>,
        limit: u32,
    ) -> Result<Vec<Unsealed>, Unavailable> {
        pass!(self.audit_unsealed(except, limit))
    }
    async fn audit_waiting_since(&self) -> Result<Option<Timestamp>, Unavailable> {
        pass!(self.audit_waiting_since())
    }
    async fn audit_seal(
        &self,
        under: &Lease,
        seals: Vec<AuditSeal>,
        sealed: Vec<i64>,
    ) -> Result<bool, Unavailable> {
        pass!(self.audit_seal(under, seals, sealed))
    }
    async fn audit_head(&self, realm: &RealmName) -> Result<Option<AuditHead>, Unavailable> {
        pass!(self.audit_head(realm))
    }
    async fn audit_heads(&self) -> Result<Vec<AuditHead>, Unavailable> {
        pass!(self.audit_heads())
    }
    async fn audit_tile(
        &self,
        realm: &RealmName,
        index: u64,
    ) -> Result<Option<AuditTile>, Unavailable> {
        pass!(self.audit_tile(realm, index))
    }
    async fn audit_hashes(
        &self,
        realm: &RealmName,
        spans: Vec<Span>,
    ) -> Result<Vec<Vec<Hash>>, Unavailable> {
        pass!(self.audit_hashes(realm, spans))
    }
    async fn audit_place(
        &self,
        realm: &RealmName,
        event: &str,
    ) -> Result<Option<u64>, Unavailable> {
        pass!(self.audit_place(realm, event))
    }
    async fn audit_events(
        &self,
        realm: &RealmName,
        ids: Vec<String>,
    ) -> Result<Vec<Option<Event>>, Unavailable> {
        pass!(self.audit_events(realm, ids))
    }
    async fn audit_witnessed(
        &self,
        realm: &RealmName,
        size: u64,
        at: Timestamp,
    ) -> Result<(), Unavailable> {
        pass!(self.audit_witnessed(realm, size, at))
    }
    async fn audit_forget(
        &self,
        under: &Lease,
        before: Timestamp,
        limit: u32,
        event: Event,
    ) -> Result<u64, Unavailable> {
        pass!(self.audit_forget(under, before, limit, event))
    }
}
