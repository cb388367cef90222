//! What is recorded of a secret that is refused.

use super::{Authority, Binding, Verdict, VerifyRequest};
use crate::clock::Timestamp;
use crate::names::{RealmName, Username};
use crate::refusal::Refusal;
use crate::secret::TokenId;
use crate::subject::OwnerFacts;
use crate::verdict::Reason;

impl Authority {
    /// Records a refusal and makes the verdict of it.
    pub(super) fn refused(
        &self,
        request: &VerifyRequest<'_>,
        reason: Reason,
        token: Option<TokenId>,
        now: Timestamp,
    ) -> Result<Verdict, Refusal> {
        if request.throttled
            && reason.is_failed_attempt()
            && let Some(source) = request.client_ip
        {
            let service = match request.binding {
                Binding::Service(label) => Some(label.as_str()),
                _ => None,
            };
            self.throttle.failed(source, request.username, service, now);
        }
        let mut origin = request.origin.clone();
        origin.source = request.client_ip.or(origin.source);
        let mut event = self.event("verify.refused", request.realm, &origin, now)?;
        event = event.with_reason(reason.code()).refused();
        if let Some(token) = token {
            event = event.with_token(token);
        }
        if let Some(username) = request.username {
            event = event.with_subject(self.named_in_events(request.realm, username));
        }
        // Only a service that exists, or a mistyped one: a path of forward-auth can hold anything
        // that somebody pasted there, a secret too.
        if let Binding::Service(label) = request.binding {
            if self.cache.knows_service(request.realm, label.as_str()) {
                event = event.with_service(label.as_str());
            } else if self.cache.nearly_knows_service(request.realm, label.as_str()) {
                event = event.with_detail(serde_json::json!({ "no_such_service": label.as_str() }));
            }
        }
        self.ledger.refused(event);
        Ok(Verdict::Inactive { reason, token })
    }

    /// What an event says of a presented user name: a person's whose tokens are in use, and
    /// otherwise nothing, because people type secrets into the wrong field.
    fn named_in_events(&self, realm: &RealmName, username: &str) -> String {
        let known = Username::parse(username).ok().filter(|name| self.cache.knows(realm, name));
        known.map_or_else(|| "user:(unknown)".to_owned(), |name| format!("user:{name}"))
    }

    /// The owner of a token that was just looked at, as an actor name.
    pub(in crate::authority) fn owner_at_hand(
        &self,
        id: TokenId,
        now: Timestamp,
    ) -> Option<String> {
        self.cache.peek(now, id, |entry| match &entry.owner.facts {
            OwnerFacts::User(user) => Some(format!("user:{}", user.username)),
            OwnerFacts::Client(client) => Some(format!("client:{}", client.name)),
            OwnerFacts::Gone => None,
        })?
    }

    /// A former secret after its time: whoever holds it missed a rotation, or stole it.
    pub(super) fn alarm_retired(
        &self,
        request: &VerifyRequest<'_>,
        id: TokenId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let kind = "token.retired-secret-used";
        let mut event = self.event(kind, request.realm, request.origin, now)?.with_token(id);
        event.origin.source = request.client_ip.or(event.origin.source);
        event.subject = self.owner_at_hand(id, now);
        self.ledger.refused(event.refused());
        Ok(())
    }
}
