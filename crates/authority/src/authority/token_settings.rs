//! The token settings of a service as one resource: what it states, and what comes of it.

use super::compliance::Planned;
use super::realms::{EDIT_ATTEMPTS_MAX, expect_version};
use super::{Authority, Hits};
use crate::caller::Caller;
use crate::names::{RealmName, ServiceLabel};
use crate::policy::{EffectivePolicy, TokenPolicy};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
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
        let reach = caller.reach(realm, ApiScope::ServicesWrite)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let current = self.service_in_reach(&reach, realm, label).await?;
            expect_version(if_match, current.version)?;
            let at = self.now();
            let changed = Service { token_policy: policy.clone(), updated_at: at, ..current };
            self.check_service(&changed).await?;
            let event = self
                .event("service.updated", realm, &caller.origin, at)?
                .with_service(label.as_str());
            let updated = self.store().service_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::Service) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                Ok(service) => return self.with_effective(realm, service).await,
                Err(refusal) => return Err(refusal),
            }
        }
        Err(Refusal::VersionMismatch)
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
        let reach = caller.reach(realm, ApiScope::ServicesWrite)?;
        let current = self.service_in_reach(&reach, realm, label).await?;
        let changed = Service { token_policy: policy, ..current };
        self.check_service(&changed).await?;
        self.hit_by(caller, realm, Planned::Service(Box::new(changed)), page).await
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
