//! From a long-lived token to an access token that may do no more than it (RFC 8693, and RFC 6749
//! section 4.4).

use super::super::audience::Holder;
use super::super::{Authority, Binding, Verdict, VerifyRequest};
use crate::access::proof::{Proof, ProofFault};
use crate::access::{AccessGrant, AccessSettings, Confirmation, MintedAccess};
use crate::authority::{Active, RefreshRefusal, RefreshRequest};
use crate::cache::Matched;
use crate::caller::{Caller, RequestContext};
use crate::clock::Timestamp;
use crate::enrolment::{self, Grant};
use crate::event::Origin;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName, ServiceLabel};
use crate::refusal::Refusal;
use crate::scope::{ApiScope, Scope, any_covers};
use crate::secret::{Shape, TokenId, mark};
use crate::secret_hash::keyed_hash;
use crate::service::Services;
use crate::subject::{Owner, OwnerFacts};

/// What is asked for at the token endpoint.
#[derive(Debug, Clone, Default)]
pub struct ExchangeRequest {
    /// Scopes; `None`: all that the token has.
    pub scopes: Option<Vec<Scope>>,
    /// Services; empty: those that the token names.
    pub audience: Vec<ServiceLabel>,
    /// What the sender proves to hold: the access token is bound to its key. It is used only
    /// when everything else is good.
    pub proof: Option<Proof>,
    /// The thumbprint of the certificate that the sender has proved to hold: the access token is
    /// bound to it.
    pub certificate: Option<String>,
    /// The user name that came with the token; the owner must be this one.
    pub username: Option<String>,
    /// The client that asks, if one did; the owner of the token otherwise.
    pub client_id: Option<String>,
}

/// A secret that an enrolled client authenticates with.
#[derive(Debug, Clone)]
pub struct Presented<'a> {
    /// The client's id: that of its auth token.
    pub client_id: &'a str,
    /// The secret.
    pub secret: &'a str,
    /// The key that was proved with it.
    pub proved: Option<enrolment::Confirmation>,
}

/// Why there is no access token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccessRefusal {
    /// The presented token is not good for this; the presenter learns no more.
    #[error("the presented token is not good")]
    Token {
        /// Whether no right secret was presented: only such an answer is held back.
        guessed: bool,
    },
    /// It is a public client's, which refreshes and nothing else.
    #[error("a public client has no credentials of its own; use its refresh token")]
    PublicClient,
    /// It has not all the scopes that are asked for.
    #[error("the token does not have every scope that is asked for")]
    Scope,
    /// It is not good for a service that is asked for, or names none.
    #[error("the token is not good for the audience that is asked for")]
    Target,
    /// The proof was used before.
    #[error(transparent)]
    Proof(#[from] ProofFault),
    /// It could not be looked at or made. Not a denial.
    #[error(transparent)]
    Other(#[from] Refusal),
}

/// Kinds that a short-lived token may be made from here.
const fn is_exchanged(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::PersonalAccessToken | Kind::ServiceToken | Kind::DerivedToken | Kind::ClientKey
    )
}

impl Authority {
    /// Exchanges a person's or a machine's token for an access token with a part of its scopes.
    pub async fn exchange_token(
        &self,
        realm: &RealmName,
        presented: &str,
        request: ExchangeRequest,
        context: RequestContext,
    ) -> Result<MintedAccess, AccessRefusal> {
        let origin = Origin::anonymous(context);
        let binding = match request.audience.as_slice() {
            [one] => Binding::Service(one),
            _ => Binding::Unbound,
        };
        let question = VerifyRequest {
            username: request.username.as_deref(),
            ..VerifyRequest::of_holder(realm, presented, binding, &origin)
        };
        let active = match self.verify(question).await? {
            Verdict::Active(active)
                if is_exchanged(active.kind()) && active.kept_by().is_none() =>
            {
                active
            }
            Verdict::Inactive { reason: crate::verdict::Reason::WrongService, .. } => {
                return Err(AccessRefusal::Target);
            }
            Verdict::Active(_) => return Err(AccessRefusal::Token { guessed: false }),
            Verdict::Inactive { token, .. } => {
                return Err(AccessRefusal::Token { guessed: token.is_none() });
            }
        };
        let audience = audience_of(&active, &request.audience)?;
        let audience = self.living_audience(realm, &active, audience, &origin).await?;
        let scopes = match request.scopes {
            None => active.scopes().to_vec(),
            Some(asked) if asked.iter().all(|scope| hands_on(&active, scope)) => asked,
            Some(_) => return Err(AccessRefusal::Scope),
        };
        let subject = subject_of(&active);
        let grant = AccessGrant {
            realm,
            subject: &subject,
            client_id: request.client_id.as_deref().unwrap_or(&subject),
            scopes: &scopes,
            audience: &audience,
            confirmation: self.bound_to(request.proof, request.certificate).await?,
            parent: active.token(),
            parent_expires_at: active.expires_at(),
            has_permissions: active.permissions().is_some(),
            settings: &settings_of(&active.owner().facts),
        };
        Ok(self.issue_access(&grant, self.now()).await?)
    }

    /// The services of an audience that take the token now. Those that do not are left out.
    async fn living_audience(
        &self,
        realm: &RealmName,
        active: &Active,
        audience: Vec<ServiceLabel>,
        origin: &Origin,
    ) -> Result<Vec<ServiceLabel>, AccessRefusal> {
        let gone = AccessRefusal::Token { guessed: false };
        let entry = self.entry(active.token()).await?.ok_or(gone)?;
        let context = RequestContext {
            door: origin.door,
            source: origin.source,
            request_id: origin.request_id.clone(),
        };
        let holder = Holder::of(&entry, Some(&context));
        match self.living_services(realm, &Services::Named(audience), &holder).await? {
            Some(Services::Named(living)) => Ok(living),
            Some(Services::All) | None => Err(AccessRefusal::Target),
        }
    }

    /// The key of a proof that is used herewith, and of a certificate.
    async fn bound_to(
        &self,
        proof: Option<Proof>,
        x5t_s256: Option<String>,
    ) -> Result<Confirmation, AccessRefusal> {
        let Some(proof) = proof else { return Ok(Confirmation { jkt: None, x5t_s256 }) };
        self.use_proof(&proof).await??;
        Ok(Confirmation { jkt: Some(proof.jkt), x5t_s256 })
    }

    /// An access token of an enrolled device, with all its scopes or a part of them.
    pub async fn device_token(
        &self,
        grant: &Grant,
        scopes: Option<Vec<Scope>>,
        now: Timestamp,
    ) -> Result<MintedAccess, AccessRefusal> {
        let scopes = match scopes {
            None => grant.scopes.clone(),
            Some(asked) if asked.iter().all(|scope| grant.scopes.contains(scope)) => asked,
            Some(_) => return Err(AccessRefusal::Scope),
        };
        let services = self.services_of_grant(grant).await?.ok_or(AccessRefusal::Target)?;
        let narrowed = Grant { scopes, services, ..grant.clone() };
        Ok(self.grant_access(&narrowed, now).await?)
    }

    /// The grant of a registered client that authenticates with its secret at the token endpoint
    /// (RFC 6749 section 4.4). A public client has nothing but its refresh secret, which is good
    /// for an exchange and never without one.
    pub async fn client_grant(
        &self,
        realm: &RealmName,
        presented: Presented<'_>,
        context: RequestContext,
    ) -> Result<Grant, AccessRefusal> {
        let grant = self.grant_presented(realm, presented, context).await?;
        if !grant.is_confidential() {
            return Err(AccessRefusal::PublicClient);
        }
        Ok(grant)
    }

    /// The grant of an enrolled client that presents its secret without exchanging it. Only the current secret is good for this:
    /// who holds a former one has missed a rotation, or stole it, and one whose time is over ends
    /// the family as it does at a refresh.
    pub async fn grant_presented(
        &self,
        realm: &RealmName,
        presented: Presented<'_>,
        context: RequestContext,
    ) -> Result<Grant, AccessRefusal> {
        let Presented { client_id, secret, proved } = presented;
        let shape = self.shape(secret);
        let Shape::Prefixed { kind: Kind::AuthToken, id } = shape else {
            self.reject(context.source);
            return Err(AccessRefusal::Token { guessed: true });
        };
        if self.is_former(realm, id, secret).await? {
            let request = RefreshRequest {
                realm,
                presented: secret,
                confirmation: proved,
                scopes: None,
                context,
            };
            return match self.refresh(request).await {
                Err(RefreshRefusal::Other(refusal)) => Err(refusal.into()),
                Ok(_) | Err(_) => Err(AccessRefusal::Token { guessed: false }),
            };
        }
        let origin = Origin::anonymous(context);
        let question = VerifyRequest {
            consume: false,
            ..VerifyRequest::of_holder(realm, secret, Binding::Unbound, &origin)
        };
        let active = match self.verify(question).await? {
            Verdict::Active(active) => active,
            Verdict::Inactive { token, .. } => {
                return Err(AccessRefusal::Token { guessed: token.is_none() });
            }
        };
        let refused = AccessRefusal::Token { guessed: false };
        let current = active.kind() == Kind::AuthToken && !active.former_secret();
        if !current || active.token().as_str() != client_id {
            return Err(refused);
        }
        let found = self.store.token_find(realm, active.token()).await.map_err(Refusal::from)?;
        let grant = found.as_ref().and_then(Grant::of).ok_or(refused)?;
        self.ledger.accepted(active.token(), self.now(), origin.source, origin.door);
        Ok(grant)
    }

    /// Whether a string was a secret of an auth token, and its time is over.
    async fn is_former(
        &self,
        realm: &RealmName,
        id: TokenId,
        presented: &str,
    ) -> Result<bool, Refusal> {
        let Some(entry) = self.entry(id).await? else { return Ok(false) };
        if entry.owner.realm != *realm {
            return Ok(false);
        }
        let keys = self.keys();
        let mac_under = |id| keys.pepper_by_id(id).map(|key| keyed_hash(key, presented));
        Ok(match entry.matches(self.now(), &mac_under) {
            Some((matched, ..)) => matched == Matched::Retired,
            None => mark::is_ours(keys.peppers(), presented),
        })
    }

    /// An access token for the API, for a client that has presented its key. It carries the
    /// client's scopes, or those of them that are asked for.
    pub async fn client_token(
        &self,
        caller: &Caller,
        request: ExchangeRequest,
    ) -> Result<MintedAccess, AccessRefusal> {
        let Owner::Client(name) = &caller.subject else {
            return Err(AccessRefusal::Token { guessed: false });
        };
        // Only a key carries all that its client may: whatever else speaks for the client was
        // made from a key, and what is made here must end with that key.
        if caller.token_scopes.is_some() || caller.origin.actor_token != Some(caller.token) {
            return Err(AccessRefusal::Token { guessed: false });
        }
        let api = std::slice::from_ref(&self.api_service);
        if !request.audience.iter().all(|label| api.contains(label)) {
            return Err(AccessRefusal::Target);
        }
        let own: Vec<Scope> = caller
            .scopes_in(&caller.realm)
            .iter()
            .filter_map(|scope| Scope::parse(ApiScope::name(scope)).ok())
            .collect();
        let scopes = match request.scopes {
            None => own,
            Some(asked) if asked.iter().all(|scope| own.contains(scope)) => asked,
            Some(_) => return Err(AccessRefusal::Scope),
        };
        let client = self.store.client_find(&caller.realm, name).await.map_err(Refusal::from)?;
        let settings = client.map(|client| client.access).unwrap_or_default();
        let grant = AccessGrant {
            realm: &caller.realm,
            subject: &caller.subject.actor(),
            client_id: name.as_str(),
            scopes: &scopes,
            audience: api,
            confirmation: self.bound_to(request.proof, request.certificate).await?,
            parent: caller.token,
            parent_expires_at: caller.token_expires_at,
            has_permissions: false,
            settings: &settings,
        };
        Ok(self.issue_access(&grant, self.now()).await?)
    }
}

/// The services that the access token is for. A token for every service must say for which one
/// this time: an audience of "all" would be good at any of them, and one could use it at the next.
fn audience_of(
    active: &Active,
    asked: &[ServiceLabel],
) -> Result<Vec<ServiceLabel>, AccessRefusal> {
    if asked.iter().any(|label| !active.services().includes(label.as_str())) {
        return Err(AccessRefusal::Target);
    }
    match active.services() {
        _ if !asked.is_empty() => Ok(asked.to_vec()),
        Services::Named(labels) if !labels.is_empty() => Ok(labels.clone()),
        Services::Named(_) | Services::All => Err(AccessRefusal::Target),
    }
}

/// Whether the token may hand a scope on.
fn hands_on(active: &Active, scope: &Scope) -> bool {
    any_covers(active.scopes(), scope, active.services().includes(COUNTERFOIL))
}

/// Who the token speaks for: no person's name can begin with `client:`.
fn subject_of(active: &Active) -> String {
    match (active.username(), active.client()) {
        (Some(user), _) => user.to_owned(),
        (None, Some(client)) => format!("client:{client}"),
        (None, None) => String::new(),
    }
}

fn settings_of(owner: &OwnerFacts) -> AccessSettings {
    match owner {
        OwnerFacts::Client(client) => client.access.clone(),
        OwnerFacts::User(_) | OwnerFacts::Gone => AccessSettings::default(),
    }
}
