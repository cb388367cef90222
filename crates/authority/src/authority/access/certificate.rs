//! A registered client that authenticates with its certificate and with nothing else (RFC 8705
//! section 2.2).

use super::super::Authority;
use super::AccessRefusal;
use crate::caller::RequestContext;
use crate::enrolment::{Confirmation, Grant};
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::secret::TokenId;
use crate::subject::OwnerFacts;
use crate::token::State;

impl Authority {
    /// The grant of a client that registered with a certificate and has proved to hold its key.
    /// The certificate stands in place of the secret; what is judged beside it is the same.
    pub async fn certificate_grant(
        &self,
        realm: &RealmName,
        client_id: &str,
        thumbprint: &str,
        context: RequestContext,
    ) -> Result<Grant, AccessRefusal> {
        let guessed = AccessRefusal::Token { guessed: true };
        let proved = Confirmation::X5tS256(thumbprint.to_owned());
        let id = TokenId::parse(client_id);
        let found = match id {
            Some(id) => self.store.token_find(realm, id).await.map_err(Refusal::from)?,
            None => None,
        };
        let grant = found.as_ref().and_then(Grant::of);
        let grant = grant.filter(|grant| {
            grant.authenticates_by_certificate() && grant.confirmation.as_ref() == Some(&proved)
        });
        let (Some(token), Some(grant)) = (found, grant) else {
            self.reject(context.source);
            return Err(guessed);
        };
        let refused = AccessRefusal::Token { guessed: false };
        let Some(entry) = self.entry(token.id).await? else { return Err(refused) };
        let owner_is_active = match &entry.owner.facts {
            OwnerFacts::User(user) => user.counts(),
            OwnerFacts::Client(client) => client.enabled,
            OwnerFacts::Gone => false,
        };
        let now = self.now();
        if token.state(now) != State::Active
            || !owner_is_active
            || !self.realm_facts(realm).await?.realm.enabled
        {
            self.ledger.denied(token.id);
            return Err(refused);
        }
        self.ledger.accepted(token.id, now, context.source, context.door);
        self.note_use_of(&token, now, &context, &[]);
        Ok(grant)
    }
}
