//! Whether somebody may have what they ask for, before it is drawn: one judgement for tokens of ours
//! and for those of other keepers.

use std::sync::Arc;

use super::wishes::{check_issuer, check_reach, check_wishes, unit_within};
use super::{Asking, IssueRequest, owner_of};
use crate::authority::Authority;
use crate::cache::{RealmCell, ServiceCell};
use crate::caller::{Caller, Reach};
use crate::kind::Kind;
use crate::names::RealmName;
use crate::policy::EffectivePolicy;
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::service::Services;
use crate::subject::Owner;

/// A request that its issuer may make.
pub(in crate::authority) struct Judged {
    /// How far the issuer reaches.
    pub(in crate::authority) reach: Reach,
    /// Whose the token will be.
    pub(in crate::authority) owner: Owner,
    /// Whether that is the issuer.
    pub(in crate::authority) own: bool,
    pub(in crate::authority) services: Services,
    pub(in crate::authority) cells: Vec<Arc<ServiceCell>>,
    pub(in crate::authority) realm: Arc<RealmCell>,
}

impl Judged {
    /// The policies that hold: those of the services, or the realm's where there is none.
    pub(in crate::authority) fn policies(&self) -> Vec<&EffectivePolicy> {
        if self.cells.is_empty() {
            return vec![&self.realm.policy];
        }
        self.cells.iter().map(|cell| &cell.policy).collect()
    }
}

impl Authority {
    /// Whether somebody may have what they ask for: for that person, for these services, to this
    /// extent. What it costs in time and number is judged by who goes on.
    pub(in crate::authority) async fn may_issue(
        &self,
        caller: &Caller,
        realm: &RealmName,
        request: &IssueRequest,
    ) -> Result<Judged, Refusal> {
        let scope = match request.kind {
            Kind::RegistrationToken => ApiScope::RegistrationTokensWrite,
            _ => ApiScope::TokensWrite,
        };
        let reach = caller.reach(realm, scope)?;
        let owner = owner_of(caller, realm, request)?;
        let own = caller.is(&owner, realm);
        let asking = Asking { caller, reach: &reach, owner: &owner, kind: request.kind, own };
        let (services, cells) = self.services_of(realm, request, &asking).await?;
        let owner_unit =
            if reach.whole || own { None } else { self.unit_of_owner(realm, &owner).await? };
        check_reach(&reach, owner_unit.as_ref(), &services, request, own)?;
        self.check_open(realm, &asking, &cells).await?;
        self.check_unit(realm, request.unit.as_deref()).await?;
        unit_within(&reach, caller, request.unit.as_ref())?;
        let realm = self.realm_facts(realm).await?;
        let judged = Judged { reach, owner, own, services, cells, realm };
        check_issuer(&judged.policies(), caller, own)?;
        self.refuse_tokens_in_scopes(&request.scopes)?;
        check_wishes(&judged.policies(), request)?;
        Ok(judged)
    }
}
