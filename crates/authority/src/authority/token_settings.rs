//! The token settings of a service as one resource: what it states, and what comes of it.

use super::{Authority, Hits, PolicyEdit, ServiceEdit};
use crate::caller::Caller;
use crate::names::{RealmName, ServiceLabel};
use crate::policy::{EffectivePolicy, TokenPolicy};
use crate::refusal::Refusal;
use crate::service::Service;
use crate::store::PageRequest;

impl Authority {
    /// A service that the caller sees, and what its policy comes to inside its realm's.
    pub async fn token_settings(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<(Service, EffectivePolicy), Refusal> {
        let service = self.service(caller, realm, label).await?;
        self.with_effective(realm, service).await
    }

    /// Replaces what a service states about its tokens: what is left out, it inherits.
    pub async fn set_token_settings(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
        policy: TokenPolicy,
        if_match: Option<i64>,
    ) -> Result<(Service, EffectivePolicy), Refusal> {
        let token_policy = Some(PolicyEdit::Replace(Box::new(policy)));
        let edit = ServiceEdit { token_policy, ..ServiceEdit::default() };
        let service = self.edit_service(caller, realm, label, edit, if_match).await?;
        self.with_effective(realm, service).await
    }

    /// Which tokens such a replacement would have refused at use; nothing is changed.
    pub async fn preview_token_settings(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
        policy: TokenPolicy,
        page: PageRequest,
    ) -> Result<Hits, Refusal> {
        let token_policy = Some(PolicyEdit::Replace(Box::new(policy)));
        let edit = ServiceEdit { token_policy, ..ServiceEdit::default() };
        self.preview_service(caller, realm, label, edit, page).await
    }

    async fn with_effective(
        &self,
        realm: &RealmName,
        service: Service,
    ) -> Result<(Service, EffectivePolicy), Refusal> {
        let cell = self.realm_facts(realm).await?;
        let effective = service.token_policy.effective(&cell.realm.token_policy);
        Ok((service, effective))
    }
}
