//! Sessions of the AM door. One is an opaque access token that opens no other door: it is stored
//! as a hash, remembered like any token, and dies with the credential it was made from.

use super::super::authenticate::{Found, Sender};
use super::super::{AuthRefusal, Authority, Binding, Verdict, VerifyRequest};
use crate::access::{AccessFacts, Confirmation};
use crate::caller::{Caller, RequestContext};
use crate::clock::Timestamp;
use crate::event::Origin;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName};
use crate::refusal::Refusal;
use crate::scope::{API_SCOPES, ApiScope, ApiScopes, Scope};
use crate::secret::{ClearSecret, Shape, TokenId};
use crate::verdict::{Door, Reason};

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

/// What presenting a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmUse {
    /// Seconds after which a session ends that nobody uses.
    pub idle_seconds: i64,
    /// Whether this is a use, and not just a question about the session.
    pub extends: bool,
    /// Whether its last use is wanted as exactly as the nodes know it.
    pub exactly: bool,
}

/// A session that is good.
#[derive(Debug)]
pub struct AmHeld {
    /// Whose it is.
    pub caller: Caller,
    /// When it was made.
    pub from: Timestamp,
    /// When it ends at the latest.
    pub to: Timestamp,
    /// When it was last used before this.
    pub used_at: Timestamp,
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
            username: Some(login.username),
            ..VerifyRequest::of_holder(
                login.realm,
                login.password,
                Binding::Service(&self.api_service),
                &origin,
            )
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

    /// Recognises the holder of a session.
    ///
    /// # Errors
    ///
    /// [`AuthRefusal`]: also for a credential that is good elsewhere.
    pub async fn am_caller(
        &self,
        presented: &str,
        using: AmUse,
        context: RequestContext,
    ) -> Result<AmHeld, AuthRefusal> {
        let now = self.now();
        let shape = self.shape(presented);
        let found = match shape {
            Shape::Prefixed { kind: Kind::AccessToken, .. } => {
                let entry = self.access_entry(presented, &shape, now).await?;
                entry.map(|entry| Found::ById(Kind::AccessToken, entry))
            }
            _ => None,
        };
        let session = found.as_ref().and_then(|found| {
            let (_, entry) = found.entry()?;
            let facts = entry.access().filter(|facts| facts.door == Some(Door::Am))?;
            let of_person = (!entry.is_of_key()).then_some(facts.parent);
            Some((found, entry, of_person, facts.issued_at, facts.expires_at))
        });
        let Some((found, entry, of_person, from, to)) = session else {
            self.reject(context.source);
            return Err(AuthRefusal::Denied { guessed: true });
        };
        let anonymous = Origin::anonymous(context);
        let proved = Confirmation::default();
        let mut caller =
            self.recognised(found, presented, anonymous, Sender::with(&proved)).await?;
        if let Some(token) = of_person {
            caller.token_scopes = Some(Box::pin(self.scopes_now(&caller, token)).await?);
        }
        let to = caller.token_expires_at.map_or(to, |end| end.min(to));
        let since = now.plus_seconds(-using.idle_seconds);
        if !using.exactly
            && let Some(used_at) = Self::session_noted(entry, now, since)
        {
            return Ok(AmHeld { caller, from, to, used_at });
        }
        let id = entry.id;
        let used_at = self.session_last_used(id, from, since, using.exactly).await?;
        if used_at <= since {
            let event = self.event("verify.refused", &caller.realm, &caller.origin, now);
            let event = event.map_err(Refusal::from)?;
            let event = event.with_token(caller.origin.actor_token.unwrap_or(id));
            self.record_refusal(event.with_reason("session_idle").refused());
            return Err(AuthRefusal::Denied { guessed: false });
        }
        if using.extends {
            self.session_used(entry, now);
        }
        Ok(AmHeld { caller, from, to, used_at })
    }

    /// The scopes of the token that a person came in with, if it would let them in now. A session
    /// lasts for hours: what the token loses meanwhile, by whatever edit or policy, it loses, too.
    async fn scopes_now(&self, caller: &Caller, token: TokenId) -> Result<ApiScopes, AuthRefusal> {
        let denied = AuthRefusal::Denied { guessed: false };
        let Some(entry) = self.entry(token).await? else { return Err(denied) };
        let binding = Binding::Service(&self.api_service);
        let question = VerifyRequest {
            consume: false,
            ..VerifyRequest::of_holder(&caller.realm, "", binding, &caller.origin)
        };
        match self.verify_supposed(question, &entry).await? {
            Verdict::Active(active) => {
                Ok(ApiScopes::from_names(active.scopes().iter().map(Scope::as_str)))
            }
            // That its uses are all taken ends a counted token, not what was made from it. It is
            // the last thing that is looked at: everything else about the token is good.
            Verdict::Inactive { reason: Reason::Exhausted, .. } => {
                Ok(ApiScopes::from_names(entry.profile.scopes.iter().map(Scope::as_str)))
            }
            Verdict::Inactive { .. } => Err(denied),
        }
    }

    /// Ends a session; true if there was none to end.
    ///
    /// # Errors
    ///
    /// Only that the store could not be asked.
    pub async fn am_logout(
        &self,
        presented: &str,
        using: AmUse,
        context: RequestContext,
    ) -> Result<bool, Refusal> {
        match self.am_caller(presented, using, context).await {
            Ok(held) => {
                self.end_access(None, presented, &held.caller.origin).await?;
                Ok(false)
            }
            Err(AuthRefusal::Denied { .. }) => Ok(true),
            Err(AuthRefusal::Unavailable(refusal)) => Err(refusal),
        }
    }
}
