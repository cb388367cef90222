//! Refreshing: a refresh secret becomes the next one, once.
//!
//! A client that lost the answer asks again within the grace and gets the same successor. Whoever
//! comes later with a secret that was exchanged holds a copy: the family ends, and its siblings
//! of the same registration token live on (RFC 9700 section 4.14.2).

use super::Authority;
use super::audience::Holder;
use crate::caller::{ReplayKey, RequestContext};
use crate::clock::Timestamp;
use crate::enrolment::{Confirmation, Grant, REFRESH_GRACE_SECONDS};
use crate::event::Origin;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::{ClearSecret, Shape, TokenId, mark};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::service::Services;
use crate::store::{Refresh, Refreshed, Unavailable};
use crate::token::{State, Token};

/// Draws of a successor before giving up.
const DRAW_ATTEMPTS: usize = 3;

/// A refresh secret, or the `device_code` of a request that waits (RFC 8628 section 3.4).
#[derive(Debug, Clone)]
pub struct RefreshRequest<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// The presented secret.
    pub presented: &'a str,
    /// The key that was proved with it.
    pub confirmation: Option<Confirmation>,
    /// Scopes that the access token is to have; `None`: all that the auth token has.
    pub scopes: Option<Vec<Scope>>,
    /// Where the request came from.
    pub context: RequestContext,
}

/// The successor of a refresh secret.
#[derive(Debug, Clone)]
pub struct Refreshment {
    /// The auth token as it stands.
    pub token: Box<Token>,
    /// What its access tokens need.
    pub grant: Grant,
    /// The refresh secret from now on.
    pub secret: ClearSecret,
    /// Whether this answers a retry: the successor was given out before.
    pub again: bool,
}

/// Why there is no successor. Doors that speak OAuth answer all of it but `WrongKey`, `Waiting`,
/// `Declined`, `TimedOut` and `Other` with `invalid_grant` (RFC 6749 section 5.2).
#[derive(Debug, Clone, thiserror::Error)]
pub enum RefreshRefusal {
    /// No refresh secret of ours.
    #[error("the refresh token is not good")]
    Denied,
    /// The auth token is not active.
    #[error("the auth token is {}", .0.name())]
    State(State),
    /// Whose it is, is not active; or the realm is not.
    #[error("whose auth token it is, is not active")]
    OwnerInactive,
    /// It went too long without a refresh.
    #[error("the auth token was idle too long")]
    Idle,
    /// It was exchanged long ago; the family has ended.
    #[error("the refresh token was used before; the auth token has ended")]
    Reused,
    /// Retried too often inside the grace.
    #[error("the refresh token was retried too often")]
    TooOften,
    /// More was asked for than it has: `invalid_scope`.
    #[error("the auth token does not have every scope that is asked for")]
    Scope,
    /// None of its services takes tokens: `invalid_target`.
    #[error("no service of the auth token takes tokens now")]
    NoService,
    /// The key that is pinned was not proved: `invalid_dpop_proof`.
    #[error("the key of the auth token was not proved")]
    WrongKey,
    /// The request waits for approval: `authorization_pending`, or `slow_down`.
    #[error("the request waits for approval")]
    Waiting {
        /// Whether it is asked about too often.
        too_soon: bool,
        /// Seconds to leave between two questions from now on.
        interval_seconds: i64,
    },
    /// Somebody said no: `access_denied`.
    #[error("the request was denied")]
    Declined,
    /// Nobody decided in time: `expired_token`.
    #[error("nobody decided about the request in time")]
    TimedOut,
    /// Anything that can be wrong with any request.
    #[error(transparent)]
    Other(#[from] Refusal),
}

impl RefreshRefusal {
    /// The reason in events; `None` of what is no refusal.
    fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Denied => "unknown",
            Self::State(state) => state.name(),
            Self::OwnerInactive => "owner_inactive",
            Self::Idle => "idle",
            Self::TooOften => "retried_too_often",
            Self::Scope => "insufficient_scope",
            Self::NoService => "no_service",
            Self::WrongKey => "wrong_key",
            Self::Declined => "denied",
            Self::TimedOut => "timed_out",
            // The store records the end of a family with it.
            Self::Reused | Self::Waiting { .. } | Self::Other(_) => return None,
        })
    }
}

impl Authority {
    /// Exchanges a refresh secret for its successor, durably, or says whether a request that
    /// waits has been decided. The door adds an access token for [`Refreshment::grant`].
    ///
    /// # Errors
    ///
    /// [`RefreshRefusal`]. All but `Reused` leave the family as it was; every refusal is
    /// recorded.
    pub async fn refresh(
        &self,
        request: RefreshRequest<'_>,
    ) -> Result<Refreshment, RefreshRefusal> {
        let now = self.now();
        let origin =
            Origin { actor: "refresh".into(), ..Origin::anonymous(request.context.clone()) };
        let Shape::Prefixed { kind: Kind::AuthToken, id } = self.shape(request.presented) else {
            self.notice_decoy(request.presented, &origin).await?;
            return self.refuse_refresh(&request, None, &origin, now, RefreshRefusal::Denied);
        };
        if !self.realm_facts(request.realm).await?.realm.enabled {
            let refusal = RefreshRefusal::OwnerInactive;
            return self.refuse_refresh(&request, None, &origin, now, refusal);
        }
        for _ in 0..DRAW_ATTEMPTS {
            match self.exchange(&request, id, &origin, now).await {
                Ok(Some(refreshment)) => {
                    self.ledger.accepted(id, now, request.context.source, request.context.door);
                    self.note_use_of(
                        &refreshment.token,
                        now,
                        &request.context,
                        request.scopes.as_deref().unwrap_or_default(),
                    );
                    return Ok(refreshment);
                }
                Ok(None) => {}
                Err(refusal) => {
                    return self.refuse_refresh(&request, Some(id), &origin, now, refusal);
                }
            }
        }
        Err(RefreshRefusal::Other(Refusal::NoEntropy(crate::clock::NoEntropy)))
    }

    /// One attempt; `None`: the generator repeated itself.
    async fn exchange(
        &self,
        request: &RefreshRequest<'_>,
        id: TokenId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Refreshment>, RefreshRefusal> {
        let keys = self.keys();
        let hash = |pepper: &crate::keys::Pepper| SecretHash::Keyed {
            pepper: pepper.id(),
            mac: keyed_hash(pepper, request.presented),
        };
        let key = ReplayKey::of(request.presented).derive();
        let row = format!("refresh {id}");
        let next = self.refresh_secret(id, now)?;
        let clear = next.0.reveal().as_bytes();
        let sealed = crate::keys::seal_under(&key, &row, clear, self.entropy());
        let event = self.event("token.refresh-reused", request.realm, origin, now);
        let services = self.services_of_auth_token(request, id).await?;
        let refresh = Refresh {
            realm: request.realm.clone(),
            id,
            presented: keys.peppers().map(hash).collect(),
            made_here: mark::is_ours(keys.peppers(), request.presented),
            confirmation: request.confirmation.clone(),
            scopes: request.scopes.clone(),
            no_service: services.is_none(),
            secret: next.1,
            sealed: sealed.map_err(Refusal::from)?,
            grace_seconds: REFRESH_GRACE_SECONDS,
            at: now,
            event: {
                let mut event = event.map_err(Refusal::from)?.with_token(id).refused();
                event.subject = self.owner_at_hand(id, now);
                event
            },
        };
        let (token, secret, again) =
            match self.store.refresh(refresh).await.map_err(Refusal::from)? {
                Refreshed::Rotated(token) => (token, next.0, false),
                Refreshed::Again { token, sealed } => {
                    let opened = crate::keys::open_under(&key, &row, &sealed);
                    let opened = opened.map_err(|_| RefreshRefusal::TooOften)?;
                    let clear = String::from_utf8(opened.to_vec());
                    (token, ClearSecret::new(clear.map_err(|_| RefreshRefusal::TooOften)?), true)
                }
                Refreshed::Unknown => return Err(self.unknown_refresh(request.realm, id).await),
                Refreshed::Scope => return Err(RefreshRefusal::Scope),
                Refreshed::NoService => return Err(RefreshRefusal::NoService),
                Refreshed::WrongKey => return Err(RefreshRefusal::WrongKey),
                Refreshed::Waiting { too_soon, interval_seconds } => {
                    return Err(RefreshRefusal::Waiting { too_soon, interval_seconds });
                }
                Refreshed::Refused { state: State::Revoked, reason } => {
                    return Err(match reason.as_deref() {
                        Some("denied") => RefreshRefusal::Declined,
                        Some("timed out") => RefreshRefusal::TimedOut,
                        _ => RefreshRefusal::State(State::Revoked),
                    });
                }
                Refreshed::Refused { state, .. } => return Err(RefreshRefusal::State(state)),
                Refreshed::OwnerInactive => return Err(RefreshRefusal::OwnerInactive),
                Refreshed::Idle => return Err(RefreshRefusal::Idle),
                Refreshed::Reused => return Err(RefreshRefusal::Reused),
                Refreshed::TooOften => return Err(RefreshRefusal::TooOften),
                Refreshed::Collision => return Ok(None),
            };
        let mut grant = Grant::of(&token).ok_or(RefreshRefusal::Denied)?;
        grant.services = services.unwrap_or(grant.services);
        grant.scopes = request.scopes.clone().unwrap_or(grant.scopes);
        Ok(Some(Refreshment { token, grant, secret, again }))
    }

    /// Why a secret is not known: it is not good, or it is under a key that only other nodes have
    /// yet.
    async fn unknown_refresh(&self, realm: &RealmName, id: TokenId) -> RefreshRefusal {
        let entry = match self.entry(id).await {
            Ok(entry) => entry.filter(|entry| entry.owner.realm == *realm),
            Err(down) => return down.into(),
        };
        let peppers = entry.iter().flat_map(|entry| entry.peppers());
        match self.keys().require_peppers(peppers) {
            Ok(()) => RefreshRefusal::Denied,
            Err(lost) => RefreshRefusal::Other(Unavailable::from(lost).into()),
        }
    }

    /// The services of an auth token that take tokens now; `None` if not one of them does.
    async fn services_of_auth_token(
        &self,
        request: &RefreshRequest<'_>,
        id: TokenId,
    ) -> Result<Option<Services>, Refusal> {
        let Some(entry) = self.entry(id).await? else { return Ok(None) };
        let holder = Holder::of(&entry, Some(&request.context));
        self.living_services(request.realm, &entry.profile.services, &holder).await
    }

    /// Records a refusal, and passes it on.
    fn refuse_refresh(
        &self,
        request: &RefreshRequest<'_>,
        id: Option<TokenId>,
        origin: &Origin,
        now: Timestamp,
        refusal: RefreshRefusal,
    ) -> Result<Refreshment, RefreshRefusal> {
        let Some(reason) = refusal.reason() else { return Err(refusal) };
        let proved = !matches!(refusal, RefreshRefusal::Denied);
        if !proved && let Some(source) = request.context.source {
            self.throttle.failed(source, None, None, now);
        }
        let event = self.event("refresh.refused", request.realm, origin, now);
        let mut event = event.map_err(Refusal::from)?.with_reason(reason).refused();
        if let Some(id) = id.filter(|_| proved) {
            self.ledger.denied(id);
            event = event.with_token(id);
        }
        self.ledger.refused(event);
        Err(refusal)
    }
}
