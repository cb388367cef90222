//! What verify would say of a token whose secret nobody presents: for explanations, and for what
//! was made from a token and has to be worth what that one is worth.

use std::sync::Arc;

use super::judge::decide_matched;
use super::{Authority, Decision, Good, Surroundings, Verdict, VerifyRequest, asks_more};
use crate::cache::{Entry, Matched};
use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::store::Unavailable;
use crate::token::State;

impl Authority {
    /// What verify would say if the secret of this token were presented. Counts nothing, and no
    /// refusal is recorded: nobody presented anything.
    pub(in crate::authority) async fn verify_supposed(
        &self,
        request: VerifyRequest<'_>,
        entry: &Arc<Entry>,
    ) -> Result<Verdict, Refusal> {
        let now = self.now();
        let (realm, services) = match self.surroundings_read(&request).await? {
            Ok(found) => found,
            Err(reason) => return Ok(Verdict::Inactive { reason, token: None }),
        };
        let keys = self.keys.load();
        let surroundings =
            Surroundings { request, services: &services, realm: &realm, keys: &keys, now };
        let supposed = decide_matched(entry, Matched::Good, None, &surroundings);
        let bad = |reason| Ok(Verdict::Inactive { reason, token: Some(entry.id) });
        let (mut active, limit) = match supposed {
            Decision::Good(Good { active, limit, .. }) => (active, limit),
            Decision::Bad { reason, .. } => return bad(reason),
            Decision::Keyless(lost) => return Err(Unavailable::from(lost).into()),
        };
        // An access token asks its parent even where nothing else is asked.
        if asks_more(&surroundings, &active) || active.kind() == Kind::AccessToken {
            match self.left_beyond(&surroundings, &active).await? {
                Ok(Some(left)) => active = active.under(left),
                Ok(None) => {}
                Err(reason) => return bad(reason),
            }
        }
        if limit.is_some() {
            let found = self.store.token_find(request.realm, entry.id).await?;
            let state = found.map_or(State::Revoked, |token| token.state(now));
            if let Some(reason) = state.refusal() {
                return bad(reason);
            }
        }
        Ok(Verdict::Active(active))
    }
}
