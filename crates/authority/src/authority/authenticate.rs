//! Who is calling: a presented credential becomes a [`Caller`].

use std::sync::Arc;

use super::{Active, Authority, Binding, Verdict, VerifyRequest};
use crate::cache::Entry;
use crate::caller::{Caller, Powers, ReplayKey, RequestContext};
use crate::event::Origin;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName, ServiceLabel};
use crate::refusal::Refusal;
use crate::scope::{ApiScopes, Scope};
use crate::secret::{Shape, TokenId};
use crate::subject::{Owner, OwnerFacts};

/// Why nobody is authenticated.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthRefusal {
    /// The credential is not good; the presenter learns no more.
    #[error("the credential is not good")]
    Denied,
    /// It could not be looked at. Never a denial.
    #[error(transparent)]
    Unavailable(#[from] Refusal),
}

impl Authority {
    /// Recognises the caller of an API by the token they present.
    ///
    /// Any kind of token is recognised; what it may do there follows from whether it was
    /// issued for `counterfoil`, and from its scopes.
    pub async fn authenticate(
        &self,
        presented: &str,
        context: RequestContext,
    ) -> Result<Caller, AuthRefusal> {
        let anonymous = Origin {
            actor: "anonymous".into(),
            actor_token: None,
            door: context.door,
            source: context.source,
            request_id: context.request_id,
        };
        let Some((realm, for_api)) = self.realm_of(presented).await? else {
            // Recorded under the main realm: a credential that is nobody's belongs to none.
            let realm = main_realm().ok_or(AuthRefusal::Denied)?;
            self.probe(presented, &realm, &Binding::Unbound, &anonymous).await?;
            return Err(AuthRefusal::Denied);
        };
        // A token for the API obeys the policy of the service that the API is.
        let binding = if for_api { Binding::Service(api_service()?) } else { Binding::Unbound };
        match self.probe(presented, &realm, &binding, &anonymous).await? {
            Verdict::Active(active) => {
                Ok(self.caller_of(&active, realm, presented, anonymous).await?)
            }
            Verdict::Inactive { .. } => Err(AuthRefusal::Denied),
        }
    }

    async fn probe(
        &self,
        presented: &str,
        realm: &RealmName,
        binding: &Binding,
        origin: &Origin,
    ) -> Result<Verdict, Refusal> {
        self.verify(VerifyRequest {
            realm,
            presented,
            username: None,
            binding,
            scopes: &[],
            resource: None,
            action: None,
            client_ip: origin.source,
            consume: true,
            throttled: true,
            origin,
        })
        .await
    }

    /// The realm of the presented token, for doors whose paths name none, and whether the token
    /// is for the API.
    async fn realm_of(&self, presented: &str) -> Result<Option<(RealmName, bool)>, Refusal> {
        match self.shape(presented) {
            Shape::Prefixed { id, .. } => self.realm_by_id(id).await,
            Shape::Grouped(normal) => {
                let keys = self.keys();
                for pepper in keys.peppers() {
                    let mac = crate::secret_hash::keyed_hash(pepper, &normal);
                    if let Some(id) = self.cache.id_by_hash(&mac) {
                        return self.realm_by_id(id).await;
                    }
                    if let Some(record) = self.store.token_record_by_hash(mac).await? {
                        let for_api = record.services.includes(COUNTERFOIL);
                        return Ok(Some((record.realm, for_api)));
                    }
                }
                Ok(None)
            }
            Shape::BadChecksum | Shape::Other | Shape::Impossible => Ok(None),
        }
    }

    async fn realm_by_id(&self, id: TokenId) -> Result<Option<(RealmName, bool)>, Refusal> {
        let facts = |entry: &Entry| {
            (entry.owner.realm.clone(), entry.profile.services.includes(COUNTERFOIL))
        };
        let known = self.cache.with_token(id, facts);
        if known.is_some() {
            return Ok(known);
        }
        let tag = self.cache.position();
        let record = self.store.token_record(id).await?;
        Ok(record.map(|record| facts(&self.cache.fill(record, tag))))
    }

    async fn caller_of(
        &self,
        active: &Active,
        realm: RealmName,
        presented: &str,
        anonymous: Origin,
    ) -> Result<Caller, Refusal> {
        let owner = active.owner();
        let (subject, unit, groups) = match &owner.facts {
            OwnerFacts::User(user) => {
                (Owner::User(user.username.clone()), user.unit.clone(), user.groups.clone())
            }
            OwnerFacts::Client(client) => {
                (Owner::Client(client.name.clone()), client.unit.clone(), Vec::new())
            }
            OwnerFacts::Gone => return Err(Refusal::NotFound(crate::refusal::Thing::User)),
        };
        let powers = if let Some(powers) = owner.powers.get() {
            Arc::clone(powers)
        } else {
            let powers = Arc::new(self.powers_of(&realm, &owner.facts).await?);
            Arc::clone(owner.powers.get_or_init(|| powers))
        };
        let for_api = active.profile().services.includes(COUNTERFOIL);
        let token_scopes = match active.kind() {
            Kind::ClientKey => None,
            _ => Some(ApiScopes::from_names(active.scopes().iter().map(Scope::as_str))),
        };
        let origin =
            Origin { actor: subject.actor(), actor_token: Some(active.token()), ..anonymous };
        Ok(Caller {
            realm,
            subject,
            unit,
            groups,
            token: active.token(),
            token_expires_at: active.expires_at(),
            former_secret: active.former_secret(),
            for_api,
            token_scopes,
            powers,
            replay_key: ReplayKey::of(presented),
            origin,
        })
    }

    async fn powers_of(&self, realm: &RealmName, facts: &OwnerFacts) -> Result<Powers, Refusal> {
        Ok(match facts {
            OwnerFacts::User(user) => {
                Powers::of_user(&self.store.grants_of_user(realm, &user.username).await?)
            }
            OwnerFacts::Client(client) => {
                let grants = self.store.grants_of_client(realm, &client.name).await?;
                Powers::of_client(client, &grants)
            }
            OwnerFacts::Gone => Powers::default(),
        })
    }
}

fn api_service() -> Result<ServiceLabel, Refusal> {
    ServiceLabel::parse(COUNTERFOIL).map_err(|e| Refusal::invalid("service", e))
}

fn main_realm() -> Option<RealmName> {
    RealmName::parse(crate::names::MAIN_REALM).ok()
}
