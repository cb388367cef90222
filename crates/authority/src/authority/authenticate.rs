//! Who is calling: a presented credential becomes a [`Caller`].

use std::sync::Arc;

use super::{Active, Authority, Binding, Verdict, VerifyRequest};
use crate::access::Confirmation;
use crate::cache::{Entry, OwnerCell};
use crate::caller::{Caller, Exercised, Powers, ReplayKey, RequestContext, Standing};
use crate::event::Origin;
use crate::keys::KeyPurpose;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, ClientName, RealmName};
use crate::refusal::Refusal;
use crate::scope::{ApiScope, ApiScopes, Scope};
use crate::secret::{Shape, TokenId};
use crate::store::Unavailable;
use crate::subject::{Owner, OwnerFacts};

/// What stands for the token of a caller who presented none. No token has this id by more than
/// chance, and nothing is looked up by it.
pub(super) const NO_TOKEN: &str = "000000000000";

/// Why nobody is authenticated.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthRefusal {
    /// The credential is not good; the presenter learns no more.
    #[error("the credential is not good")]
    Denied {
        /// Whether no right secret was presented: only such an answer is held back.
        guessed: bool,
    },
    /// It could not be looked at. Never a denial.
    #[error(transparent)]
    Unavailable(#[from] Refusal),
}

/// A presented token, as far as it is known before its secret is compared.
pub(super) enum Found {
    /// By its id, which says this kind.
    ById(Kind, Arc<Entry>),
    /// By its keyed hash.
    ByHash {
        /// Its realm.
        realm: RealmName,
        /// Whether it is for the API.
        for_api: bool,
    },
}

impl Found {
    fn realm(&self) -> &RealmName {
        match self {
            Self::ById(_, entry) => &entry.owner.realm,
            Self::ByHash { realm, .. } => realm,
        }
    }

    fn for_api(&self) -> bool {
        match self {
            Self::ById(_, entry) => is_for_api(entry),
            Self::ByHash { for_api, .. } => *for_api,
        }
    }

    pub(super) fn entry(&self) -> Option<(Kind, &Arc<Entry>)> {
        match self {
            Self::ById(kind, entry) => Some((*kind, entry)),
            Self::ByHash { .. } => None,
        }
    }
}

/// What is known of whoever presents a token beside it.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The name of the owner that came with it, if one did: the token of anybody else is refused.
    pub name: Option<&'a str>,
    /// The keys that they have proved to hold.
    pub proved: &'a Confirmation,
}

impl<'a> Sender<'a> {
    /// Somebody who named nobody.
    pub const fn with(proved: &'a Confirmation) -> Self {
        Self { name: None, proved }
    }
}

/// A refresh token asks for access tokens; with itself it may only look at itself.
fn is_for_api(entry: &Entry) -> bool {
    entry.profile.services.includes(COUNTERFOIL) && entry.kind != Kind::AuthToken
}

impl Authority {
    /// Recognises the caller of an API by the token they present.
    ///
    /// Any kind of token is recognised; what it may do there follows from whether it was
    /// issued for `counterfoil`, and from its scopes.
    ///
    /// A token that is bound to a key is not recognised: see [`Self::authenticate_sender`].
    pub async fn authenticate(
        &self,
        presented: &str,
        context: RequestContext,
    ) -> Result<Caller, AuthRefusal> {
        let proved = Confirmation::default();
        self.authenticate_sender(presented, context, Sender::with(&proved)).await
    }

    /// The same for a sender of whom more is known than the token.
    pub async fn authenticate_sender(
        &self,
        presented: &str,
        context: RequestContext,
        sender: Sender<'_>,
    ) -> Result<Caller, AuthRefusal> {
        let anonymous = Origin::anonymous(context);
        // Boxed where the store is asked: see `verify_at_hand`.
        let found = match self.found_in_memory(presented) {
            Some(found) => Some(found),
            None => Box::pin(self.found(presented)).await?,
        };
        let Some(found) = found else {
            // Recorded under the main realm: a credential that is nobody's belongs to none.
            let guessed = AuthRefusal::Denied { guessed: true };
            let Some(realm) = main_realm() else { return Err(guessed) };
            let request = VerifyRequest::of_holder(&realm, presented, Binding::Unbound, &anonymous);
            Box::pin(self.verify_found(request, None)).await?;
            return Err(guessed);
        };
        self.recognised(&found, presented, anonymous, sender).await
    }

    /// The holder of a token that was found, if its secret is right.
    pub(super) async fn recognised(
        &self,
        found: &Found,
        presented: &str,
        anonymous: Origin,
        sender: Sender<'_>,
    ) -> Result<Caller, AuthRefusal> {
        // A token for the API obeys the policy of the service that the API is.
        let (realm, for_api) = (found.realm(), found.for_api());
        let binding = if for_api { Binding::Service(&self.api_service) } else { Binding::Unbound };
        let mut request = VerifyRequest::of_holder(realm, presented, binding, &anonymous);
        request.username = sender.name;
        match self.verify_found(request, found.entry()).await? {
            Verdict::Active(active)
                if active.confirmation().is_some_and(|key| !key.is_met_by(sender.proved)) =>
            {
                self.refused_sender(&active, realm, &anonymous)?;
                Err(AuthRefusal::Denied { guessed: false })
            }
            Verdict::Active(active) => {
                Ok(self.caller_of(&active, realm, for_api, presented, anonymous).await?)
            }
            Verdict::Inactive { token, .. } => {
                Err(AuthRefusal::Denied { guessed: token.is_none() })
            }
        }
    }

    /// The client that a door knows by where its requests come from, for the one thing that such
    /// a door is for: it may verify, whatever else its roles would let it do with its key.
    ///
    /// `None` if there is no such client or it is switched off.
    pub async fn client_by_network(
        &self,
        realm: &RealmName,
        name: &ClientName,
        context: RequestContext,
    ) -> Result<Option<Caller>, Refusal> {
        let Some(client) = self.store.client_find(realm, name).await? else { return Ok(None) };
        if !client.enabled {
            return Ok(None);
        }
        let facts = OwnerFacts::Client(client.into());
        let standing = Arc::new(self.standing_of(realm.clone(), &facts).await?);
        let Some(token) = TokenId::parse(NO_TOKEN) else { return Ok(None) };
        let origin = Origin { actor: Arc::clone(&standing.actor), ..Origin::anonymous(context) };
        Ok(Some(Caller {
            standing,
            token,
            token_expires_at: None,
            former_secret: false,
            for_api: true,
            token_scopes: Some(ApiScopes::from_names([ApiScope::Verify.name()])),
            replay_key: ReplayKey::of(""),
            exercised: None,
            origin,
        }))
    }

    /// A bound token without its key: lost or stolen, and its owner should know.
    fn refused_sender(
        &self,
        active: &Active,
        realm: &RealmName,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        let event = self.event("verify.refused", realm, origin, self.now())?;
        let event = event.with_token(active.root()).with_reason("wrong_sender");
        self.record_refusal(event.refused());
        Ok(())
    }

    /// A presented token whose form tells its id, from memory.
    fn found_in_memory(&self, presented: &str) -> Option<Found> {
        let (kind, id) = match self.shape(presented) {
            Shape::Prefixed { kind, id } => (kind, id),
            Shape::Jwt(Some(id)) => (Kind::AccessToken, id),
            _ => return None,
        };
        let entry = self.cache.peek(self.now(), id, Arc::clone)?;
        Some(Found::ById(kind, entry))
    }

    /// The presented token's realm, for doors whose paths name none.
    async fn found(&self, presented: &str) -> Result<Option<Found>, Refusal> {
        match self.shape(presented) {
            shape @ (Shape::Jwt(_) | Shape::Prefixed { kind: Kind::AccessToken, .. }) => {
                let entry = self.access_entry(presented, &shape, self.now()).await?;
                Ok(entry.map(|entry| Found::ById(Kind::AccessToken, entry)))
            }
            Shape::Prefixed { kind, id } => {
                let entry = self.entry(id).await?;
                Ok(entry.map(|entry| Found::ById(kind, entry)))
            }
            Shape::Grouped(normal) => {
                let keys = self.keys();
                for pepper in keys.peppers() {
                    let mac = crate::secret_hash::keyed_hash(pepper, &normal);
                    if let Some(id) = self.cache.id_by_hash(&mac) {
                        let entry = self.entry(id).await?;
                        return Ok(entry.map(|entry| Found::ByHash {
                            realm: entry.owner.realm.clone(),
                            for_api: is_for_api(&entry),
                        }));
                    }
                    if let Some(record) = self.store.token_record_by_hash(mac).await? {
                        let for_api = record.services.includes(COUNTERFOIL);
                        return Ok(Some(Found::ByHash { realm: record.realm, for_api }));
                    }
                }
                keys.require_all(|of| of == KeyPurpose::Pepper).map_err(Unavailable::from)?;
                Ok(None)
            }
            Shape::BadChecksum | Shape::Other | Shape::Impossible => Ok(None),
        }
    }

    /// What verify needs of a token, from the cache or the store.
    pub(super) async fn entry(&self, id: TokenId) -> Result<Option<Arc<Entry>>, Refusal> {
        let now = self.now();
        let known = self.cache.token(now, id);
        if known.is_some() {
            return Ok(known);
        }
        let tag = self.cache.position(now);
        let record = self.store.token_record(id).await?;
        // A decoy is never remembered: time would tell it from what never was a token.
        let record = record.filter(|record| record.kind != Kind::Decoy);
        Ok(record.map(|record| self.cache.fill(record, tag)))
    }

    async fn caller_of(
        &self,
        active: &Active,
        realm: &RealmName,
        for_api: bool,
        presented: &str,
        anonymous: Origin,
    ) -> Result<Caller, Refusal> {
        let owner = active.owner();
        let standing = match owner.standing.get() {
            Some(standing) => Arc::clone(standing),
            None => Box::pin(self.standing_anew(realm, owner)).await?,
        };
        let token_scopes = match active.kind() {
            Kind::ClientKey => None,
            _ => Some(ApiScopes::from_names(active.scopes().iter().map(Scope::as_str))),
        };
        let exercised = (for_api && token_scopes.is_some()).then(|| {
            let address = anonymous.source.filter(|_| active.is_bound());
            let of = (active.root(), self.now(), anonymous.door, address);
            Arc::new(Exercised::new(Arc::clone(&self.use_notes), of))
        });
        let actor = Arc::clone(&standing.actor);
        let origin = Origin { actor, actor_token: Some(active.root()), ..anonymous };
        Ok(Caller {
            standing,
            token: active.token(),
            token_expires_at: active.issues_until(),
            former_secret: active.former_secret(),
            for_api,
            token_scopes,
            replay_key: ReplayKey::of(presented),
            exercised,
            origin,
        })
    }

    /// What an owner may do, read from the store and kept with them.
    pub(super) async fn standing_anew(
        &self,
        realm: &RealmName,
        owner: &OwnerCell,
    ) -> Result<Arc<Standing>, Refusal> {
        let standing = Arc::new(self.standing_of(realm.clone(), &owner.facts).await?);
        Ok(Arc::clone(owner.standing.get_or_init(|| standing)))
    }

    pub(super) async fn standing_of(
        &self,
        realm: RealmName,
        facts: &OwnerFacts,
    ) -> Result<Standing, Refusal> {
        let (subject, unit, groups) = match facts {
            OwnerFacts::User(user) => {
                (Owner::User(user.username.clone()), user.unit.clone(), user.groups.clone())
            }
            OwnerFacts::Client(client) => {
                (Owner::Client(client.name.clone()), client.unit.clone(), Vec::new())
            }
            OwnerFacts::Gone => return Err(Refusal::NotFound(crate::refusal::Thing::User)),
        };
        let powers = self.powers_of(&realm, facts).await?;
        let actor = subject.actor().into();
        Ok(Standing { realm, subject, unit, groups, powers, actor })
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

fn main_realm() -> Option<RealmName> {
    RealmName::parse(crate::names::MAIN_REALM).ok()
}
