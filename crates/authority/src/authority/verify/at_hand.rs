//! What memory alone can answer, which is nearly everything: without a wait, and so without the
//! room that a question which may wait carries from caller to caller.

use std::sync::Arc;

use super::judge::decide;
use super::{Authority, Binding, Decision, Good, Surroundings, Verdict, VerifyRequest, asks_more};
use crate::cache::{Entry, RealmCell, Realms, ServiceCell};
use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::secret::{Shape, TokenId};
use crate::secret_hash::keyed_hash;
use crate::store::Unavailable;

impl Authority {
    /// The same without a wait: `None`, and nothing has happened, if memory alone cannot say.
    ///
    /// # Errors
    ///
    /// As [`Self::verify`].
    pub fn verify_at_hand(&self, request: &VerifyRequest<'_>) -> Result<Option<Verdict>, Refusal> {
        // Nearly no installation keeps tokens elsewhere, and none of them pays for it.
        if self.custom.load().all().is_empty() {
            self.found_at_hand(request, None)
        } else {
            Ok(None)
        }
    }

    /// The answer where memory alone has it, as it has nearly always: without a wait, and so
    /// without the room that a question which may wait carries from caller to caller. If there is
    /// none, nothing has happened.
    pub(super) fn found_at_hand(
        &self,
        request: &VerifyRequest<'_>,
        found: Option<(Kind, &Arc<Entry>)>,
    ) -> Result<Option<Verdict>, Refusal> {
        let now = self.now();
        if !self.cache.is_trusted(now) {
            return Ok(None);
        }
        let known = self.cache.realms();
        let Some((realm, services)) = surroundings_at_hand(&known, request) else {
            return Ok(None);
        };
        let keys = self.keys.load();
        let around = Surroundings { request: *request, services, realm, keys: &keys, now };
        let look =
            |kind: Kind, entry: &Arc<Entry>| decide(entry, Some(kind), request.presented, &around);
        let seen = if let Some((kind, entry)) = found {
            Some((kind, entry.id, look(kind, entry)))
        } else {
            let (kind, id) = match self.shape(request.presented) {
                Shape::Prefixed { kind, id } => (kind, id),
                Shape::Jwt(Some(id)) => (Kind::AccessToken, id),
                Shape::Grouped(normal) => {
                    let Some((id, decision)) = self.grouped_at_hand(&around, &normal) else {
                        return Ok(None);
                    };
                    return Ok(self.conclude_at_hand(&around, id, decision)?.ok());
                }
                _ => return Ok(None),
            };
            let decision = self.cache.peek(now, id, |entry| look(kind, entry));
            decision.map(|decision| (kind, id, decision))
        };
        let Some((kind, id, decision)) = seen else { return Ok(None) };
        let concluded = match kind {
            Kind::AccessToken => self.conclude_access_at_hand(&around, id, decision)?,
            _ => self.conclude_at_hand(&around, id, decision)?,
        };
        Ok(concluded.ok())
    }

    /// The token in memory that a secret without an id belongs to, and what is to be said of it.
    fn grouped_at_hand(
        &self,
        around: &Surroundings<'_>,
        normal: &str,
    ) -> Option<(TokenId, Decision)> {
        let look = |entry: &Arc<Entry>| decide(entry, None, normal, around);
        around.keys.peppers().find_map(|pepper| {
            let id = self.cache.id_by_hash(&keyed_hash(pepper, normal))?;
            let decision = self.cache.peek(around.now, id, look)?;
            let is_another = matches!(decision, Decision::Bad { right_secret: false, .. });
            (!is_another).then_some((id, decision))
        })
    }

    /// Counts the use, or records the refusal, unless the store has to be asked: a good token
    /// that asks for more than its own record is given back.
    pub(super) fn conclude_at_hand(
        &self,
        around: &Surroundings<'_>,
        id: TokenId,
        decision: Decision,
    ) -> Result<Result<Verdict, Good>, Refusal> {
        let request = &around.request;
        match decision {
            Decision::Good(good) => {
                let Good { active, limit, rehash } = &good;
                // What waits to become the current credential may do so with this use.
                let promotes = active.kind() == Kind::Generic && request.consume;
                if limit.is_some() || promotes || asks_more(around, active) {
                    return Ok(Err(good));
                }
                if let Some(rehash) = rehash {
                    self.ledger.rehash(rehash.clone());
                }
                self.note_use(around, active);
                Ok(Ok(Verdict::Active(good.active)))
            }
            Decision::Keyless(lost) => Err(Unavailable::from(lost).into()),
            Decision::Bad { reason, right_secret, retired } => {
                if right_secret {
                    self.ledger.denied(id);
                }
                if retired {
                    self.alarm_retired(request, id, around.now)?;
                }
                self.refused(request, reason, right_secret.then_some(id), around.now).map(Ok)
            }
        }
    }
}

/// The realm and the one service that a question names, if both are in memory.
pub(super) fn surroundings_at_hand<'a>(
    known: &'a Realms,
    request: &VerifyRequest<'_>,
) -> Option<(&'a RealmCell, &'a [Arc<ServiceCell>])> {
    let entry = known.get(request.realm)?;
    match request.binding {
        Binding::Unbound => entry.with_service(None),
        Binding::Service(label) => entry.with_service(Some(label)),
        Binding::AnyOf(_) => None,
    }
}
