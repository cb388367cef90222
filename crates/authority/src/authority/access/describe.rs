//! What a registered client says of itself, replaced by whoever holds its secret (RFC 7592 section
//! 2.2).

use super::super::Authority;
use super::AccessRefusal;
use crate::caller::RequestContext;
use crate::event::Origin;
use crate::refusal::{Refusal, Thing};
use crate::scope::Scope;
use crate::store::{TokenUpdate, TokenUpdated};
use crate::token::Token;

/// Attempts at an edit that meets others.
const ATTEMPTS: usize = 8;

impl Authority {
    /// Replaces the description of a client that has presented its secret, and leaves it with
    /// fewer scopes if it names fewer.
    ///
    /// # Errors
    ///
    /// [`AccessRefusal::Scope`] if it names one that it does not have.
    pub async fn describe_client(
        &self,
        token: &Token,
        description: String,
        scopes: Option<Vec<Scope>>,
        context: RequestContext,
    ) -> Result<Token, AccessRefusal> {
        let origin = Origin { actor: "holder".into(), ..Origin::anonymous(context) };
        for _ in 0..ATTEMPTS {
            let found = self.store.token_find(&token.realm, token.id).await;
            let gone = Refusal::NotFound(Thing::Token);
            let mut after = found.map_err(Refusal::from)?.ok_or(gone)?;
            if after.revocation.is_some() {
                return Err(AccessRefusal::Token { guessed: false });
            }
            if let Some(scopes) = &scopes {
                if scopes.iter().any(|scope| !after.scopes.contains(scope)) {
                    return Err(AccessRefusal::Scope);
                }
                after.scopes.clone_from(scopes);
            }
            if let Some(device) = &mut after.device {
                device.client = Some(description.clone());
            }
            let event = self.event("token.updated", &token.realm, &origin, self.now());
            let event = event.map_err(Refusal::from)?.with_token(token.id);
            let event = event.with_subject(token.owner.actor());
            let update =
                TokenUpdate { token: after, limits: Vec::new(), data: None, as_used: None, event };
            match self.store.token_update(update).await.map_err(Refusal::from)? {
                TokenUpdated::Done(token) => return Ok(token),
                TokenUpdated::VersionMismatch => {}
                TokenUpdated::NotFound => return Err(Refusal::NotFound(Thing::Token).into()),
                // A service or a unit that it had is gone since: nothing of it can be edited.
                TokenUpdated::UnitGone
                | TokenUpdated::ServiceGone(_)
                | TokenUpdated::AtLimit(_)
                | TokenUpdated::SerialTaken
                | TokenUpdated::UsedSince
                | TokenUpdated::CountTaken(_) => return Err(AccessRefusal::Target),
            }
        }
        Err(Refusal::VersionMismatch.into())
    }
}
