//! One-time links: who gets one instead of a secret, and what opening it does.
//!
//! Invariant: the secret behind a link does not exist before it is opened. What an issuer, a
//! mail server or a backup could keep of it is the link, and whoever opens it first is seen.

use super::issue::Drafted;
use super::{Answered, Authority, Delivery, IssueRequest};
use crate::caller::{Caller, RequestContext};
use crate::clock::{NoEntropy, Timestamp};
use crate::event::Origin;
use crate::kind::Kind;
use crate::policy::EffectivePolicy;
use crate::refusal::{Refusal, Thing};
use crate::secret::{ClearSecret, Shape};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::store::{
    Issued, Link, LinkEnd, LinkIssue, LinkOpen, LinkOpened, TokenIssue, Unavailable,
};
use crate::token::Token;

/// Draws of a new secret before giving up: a collision of 120 random bits is a broken generator.
const SECRET_ATTEMPTS: usize = 3;

/// Whether a new token's secret is delivered by a link.
pub(super) fn is_by_link(
    policies: &[&EffectivePolicy],
    caller: &Caller,
    request: &IssueRequest,
    own: bool,
) -> Result<bool, Refusal> {
    let chosen = request.secret.is_some();
    let for_another = caller.subject.user().is_some() && !own;
    let shown = policies.iter().all(|policy| policy.show_to_issuer);
    if let Some(otp) = &request.otp {
        return match request.delivery {
            Delivery::Link => {
                Err(Refusal::invalid("delivery", "what an authenticator reads has no link"))
            }
            _ if for_another && !shown && otp.shows_secret() => Err(Refusal::Policy(
                "who enrols for somebody else would see their seed (show_to_issuer)".into(),
            )),
            _ => Ok(false),
        };
    }
    match request.delivery {
        Delivery::Link if chosen => {
            Err(Refusal::invalid("delivery", "a secret that was chosen needs no link"))
        }
        Delivery::Link => Ok(true),
        Delivery::Response if for_another && !shown => Err(Refusal::Policy(
            "who issues for somebody else gets a link for that person (show_to_issuer)".into(),
        )),
        Delivery::Response => Ok(false),
        Delivery::Default => Ok(for_another && !shown && !chosen),
    }
}

impl Authority {
    /// Whether a text is the clear text of a one-time link.
    pub fn is_link(&self, secret: &ClearSecret) -> bool {
        matches!(self.shape(secret.reveal()), Shape::Prefixed { kind: Kind::Link, .. })
    }

    /// Stores a token with its secret or, if that is a link's, with the link.
    pub(super) async fn store_issue(
        &self,
        issue: TokenIssue,
        clear: &ClearSecret,
    ) -> Result<Issued, Refusal> {
        let Shape::Prefixed { kind: Kind::Link, id } = self.shape(clear.reveal()) else {
            return Ok(self.store.token_issue(issue).await?);
        };
        // What comes with a payload is never delivered by a link.
        let TokenIssue { token, secret, limits, data: _, idempotency, event } = issue;
        let link = Link {
            id,
            realm: token.realm.clone(),
            token: token.id,
            created_at: token.created_at,
            expires_at: token.created_at.plus_seconds(self.settings.link_lifetime_seconds),
            hash: secret.hash,
            opened_at: None,
            sealed: self.sealed_link(&token.realm, id, clear).await?,
        };
        let detail = serde_json::json!({ "delivery": "link", "link": id.as_str() });
        let event = event.with_detail(detail);
        let issue = LinkIssue { token, link, limits, idempotency, event };
        Ok(self.store.link_issue(issue).await?)
    }

    /// Opens a one-time link: makes the secret of its token, this once.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] for whatever was never a link of ours; [`Refusal::LinkEnded`] to
    /// who holds the right one too late. The second opening raises the event `link.reopened`:
    /// somebody has read what was meant for another.
    pub async fn open_link(
        &self,
        presented: &ClearSecret,
        context: RequestContext,
    ) -> Result<Answered, Refusal> {
        let now = self.now();
        let origin = Origin { actor: "holder".into(), ..Origin::anonymous(context) };
        let Some(link) = self.proved_link(presented).await? else {
            self.notice_decoy(presented.reveal(), &origin).await?;
            if let Some(source) = origin.source {
                self.throttle.failed(source, None, None, now);
            }
            return Err(Refusal::NotFound(Thing::Link));
        };
        let Some(token) = self.store.token_find(&link.realm, link.token).await? else {
            return self.refuse_link(&link, LinkEnd::TokenEnded, None, &origin, now);
        };
        if link.opened_at.is_some() {
            return self.refuse_link(&link, LinkEnd::Opened, Some(&token), &origin, now);
        }
        if link.expires_at > now && token.revocation.is_none() {
            self.refuse_held(&link, &token, &origin, now).await?;
        }
        for _ in 0..SECRET_ATTEMPTS {
            let form = self.rotation_policy(&token).await?.form;
            let drafted = self.next_secret(&token, form, now).await?;
            let (id, kind) = (token.id, token.kind);
            let Drafted(clear, secret) = self
                .derive_for_directories(&token.realm, id, kind, &token.services, false, drafted)
                .await?;
            let event = self.opening_event("link.opened", &link, &token, &origin, now)?;
            let open = LinkOpen {
                id: link.id,
                token: token.id,
                realm: link.realm.clone(),
                secret,
                at: now,
                event,
            };
            match self.store.link_open(open).await? {
                LinkOpened::Done(token) => return Ok(Answered::Fresh { token, secret: clear }),
                LinkOpened::Refused(end) => {
                    return self.refuse_link(&link, end, Some(&token), &origin, now);
                }
                LinkOpened::Collision => {}
            }
        }
        Err(Refusal::NoEntropy(NoEntropy))
    }

    /// The link whose clear text this is.
    async fn proved_link(&self, presented: &ClearSecret) -> Result<Option<Link>, Unavailable> {
        let Shape::Prefixed { kind: Kind::Link, id } = self.shape(presented.reveal()) else {
            return Ok(None);
        };
        let keys = self.keys();
        let proves = |link: &Link| match &link.hash {
            SecretHash::Keyed { pepper, mac } => keys
                .pepper_by_id(*pepper)
                .is_some_and(|key| keyed_hash(key, presented.reveal()) == *mac),
            SecretHash::Slow { .. } => false,
        };
        let Some(link) = self.store.link_find(id).await? else { return Ok(None) };
        keys.require_peppers([link.hash.pepper()])?;
        Ok(Some(link).filter(proves))
    }

    fn opening_event(
        &self,
        kind: &'static str,
        link: &Link,
        token: &Token,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<crate::event::Event, NoEntropy> {
        let event = self.event(kind, &link.realm, origin, now)?.with_token(token.id);
        let detail = serde_json::json!({ "link": link.id.as_str() });
        Ok(event.with_subject(token.owner.actor()).with_detail(detail))
    }

    /// What gets no new secret by a rotation gets none by its link either, which is not used up:
    /// it opens when the lock is gone.
    async fn refuse_held(
        &self,
        link: &Link,
        token: &Token,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let held = match self.refuse_secret_if_held(token).await {
            Err(held @ (Refusal::Ended(_) | Refusal::NotOpen(_))) => held,
            said => return said,
        };
        let event = self.opening_event("link.refused", link, token, origin, now)?;
        self.record_refusal(event.with_reason("held").refused());
        Err(held)
    }

    /// Records who came too late, and says why to them: they hold the right link.
    fn refuse_link(
        &self,
        link: &Link,
        end: LinkEnd,
        token: Option<&Token>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Answered, Refusal> {
        let kind = match end {
            LinkEnd::Opened => "link.reopened",
            LinkEnd::Expired | LinkEnd::TokenEnded => "link.refused",
        };
        let detail = serde_json::json!({ "link": link.id.as_str() });
        let event = self.event(kind, &link.realm, origin, now)?;
        let mut event = event.with_token(link.token).with_reason(end.name()).with_detail(detail);
        event.subject = token.map(|token| token.owner.actor());
        self.record_refusal(event.refused());
        Err(Refusal::LinkEnded(end))
    }
}
