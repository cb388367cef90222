//! What verify would say of a token whose secret nobody presents: for explanations, and for what
//! was made from a token and has to be worth what that one is worth.

use std::sync::Arc;

use super::judge::decide_matched;
use super::{Authority, Decision, Surroundings, Verdict, VerifyRequest, asks_more};
use crate::cache::{Entry, Matched};
use crate::refusal::Refusal;
use crate::store::Unavailable;
use crate::token::State;
use crate::verdict::Reason;

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
        if let Decision::Good { active, .. } = &supposed
            && asks_more(&surroundings, active)
            && let Some(reason) = self.refused_beyond(&surroundings, active).await?
        {
            return Ok(Verdict::Inactive { reason, token: Some(entry.id) });
        }
        Ok(match supposed {
            Decision::Good { active, limit: None, .. } => Verdict::Active(active),
            Decision::Good { active, limit: Some(_), .. } => {
                match self.store.token_find(request.realm, entry.id).await? {
                    Some(token) if token.state(now) == State::Active => Verdict::Active(active),
                    _ => Verdict::Inactive { reason: Reason::Exhausted, token: Some(entry.id) },
                }
            }
            Decision::Bad { reason, .. } => Verdict::Inactive { reason, token: Some(entry.id) },
            Decision::Keyless(lost) => return Err(Unavailable::from(lost).into()),
        })
    }
}
