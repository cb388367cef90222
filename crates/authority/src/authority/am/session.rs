//! Sessions of the AM door. One is an opaque access token that opens no other door: it is stored
//! as a hash, remembered like any token, and dies with the credential it was made from.

use super::super::authenticate::Found;
use super::super::{AuthRefusal, Authority, Binding, Verdict, VerifyRequest};
use crate::access::{AccessFacts, Confirmation};
use crate::caller::{Caller, RequestContext};
use crate::clock::Timestamp;
use crate::event::Origin;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName};
use crate::refusal::Refusal;
use crate::scope::{API_SCOPES, ApiScope, Scope};
use crate::secret::{ClearSecret, Shape, TokenId};
use crate::verdict::Door;

/// Who wants a session.
#[derive(Debug, Clone, Copy)]
pub struct AmLogin<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// The name of a client or person.
    pub username: &'a str,
    /// The client's key, or a personal access token of that person for `counterfoil`.
    pub password: &'a str,
    /// How long the session lasts at most, in seconds.
    pub lifetime_seconds: i64,
    /// Whether there is to be a session at all, or only an answer.
    pub keeps_session: bool,
}

/// A session that was made.
#[derive(Debug)]
pub struct AmSession {
    /// What its holder presents; `None` if none was asked for.
    pub secret: Option<ClearSecret>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Authority {
    /// Lets a client in by its key, or a person by a token of theirs that was issued for the API.
    ///
    /// # Errors
    ///
    /// [`AuthRefusal`].
    pub async fn am_login(
        &self,
        login: AmLogin<'_>,
        context: RequestContext,
    ) -> Result<AmSession, AuthRefusal> {
        let origin = Origin::anonymous(context);
        let request = VerifyRequest {
            realm: login.realm,
            presented: login.password,
            username: Some(login.username),
            binding: Binding::Service(&self.api_service),
            scopes: &[],
            resource: None,
            action: None,
            client_ip: origin.source,
            consume: true,
            throttled: true,
            origin: &origin,
        };
        let active = match self.verify(request).await? {
            Verdict::Active(active) => active,
            Verdict::Inactive { token, .. } => {
                return Err(AuthRefusal::Denied { guessed: token.is_none() });
            }
        };
        let is_key = active.kind() == Kind::ClientKey;
        if !is_key && active.kind() != Kind::PersonalAccessToken {
            return Err(AuthRefusal::Denied { guessed: false });
        }
        let now = self.now();
        let end = now.plus_seconds(login.lifetime_seconds);
        let expires_at = active.expires_at().map_or(end, |own| own.min(end));
        if !login.keeps_session {
            return Ok(AmSession { secret: None, expires_at });
        }
        // A key has every scope of its roles; those are asked again with each use.
        let scope = if is_key {
            API_SCOPES.map(ApiScope::name).join(" ")
        } else {
            active.scopes().iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
        };
        let name = active.username().or(active.client()).unwrap_or_default();
        let subject = if is_key { format!("client:{name}") } else { name.to_owned() };
        let facts = AccessFacts {
            parent: active.root(),
            subject,
            client_id: name.to_owned(),
            scope,
            audience: vec![COUNTERFOIL.to_owned()],
            confirmation: Confirmation::default(),
            door: Some(Door::Am),
            issued_at: now,
            expires_at,
        };
        let id = TokenId::generate(self.entropy()).map_err(Refusal::from)?;
        let (secret, record) = self.referred(login.realm, id, facts)?;
        self.store.access_add(record).await.map_err(Refusal::from)?;
        Ok(AmSession { secret: Some(secret), expires_at })
    }

    /// Recognises the holder of a session, and says from when to when it counts.
    ///
    /// # Errors
    ///
    /// [`AuthRefusal`]: also for a credential that is good elsewhere.
    pub async fn am_caller(
        &self,
        presented: &str,
        context: RequestContext,
    ) -> Result<(Caller, Timestamp, Timestamp), AuthRefusal> {
        let shape = self.shape(presented);
        let entry = match shape {
            Shape::Prefixed { kind: Kind::AccessToken, .. } => {
                self.access_entry(presented, &shape, self.now()).await?
            }
            _ => None,
        };
        let session = entry.and_then(|entry| {
            let facts = entry.access().filter(|facts| facts.door == Some(Door::Am))?;
            Some((facts.issued_at, facts.expires_at, entry))
        });
        let Some((from, to, entry)) = session else {
            self.reject(context.source);
            return Err(AuthRefusal::Denied { guessed: true });
        };
        let found = Found::ById(Kind::AccessToken, entry);
        let anonymous = Origin::anonymous(context);
        let proved = Confirmation::default();
        let caller = self.recognised(found, presented, anonymous, &proved).await?;
        let to = caller.token_expires_at.map_or(to, |end| end.min(to));
        Ok((caller, from, to))
    }

    /// Ends a session; true if there was none to end.
    ///
    /// # Errors
    ///
    /// Only that the store could not be asked.
    pub async fn am_logout(
        &self,
        presented: &str,
        context: RequestContext,
    ) -> Result<bool, Refusal> {
        match self.am_caller(presented, context).await {
            Ok((caller, ..)) => {
                self.end_access(None, presented, &caller.origin).await?;
                Ok(false)
            }
            Err(AuthRefusal::Denied { .. }) => Ok(true),
            Err(AuthRefusal::Unavailable(refusal)) => Err(refusal),
        }
    }
}
