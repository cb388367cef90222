//! Access tokens among the presented secrets: read once, remembered until they end or change.

use std::sync::Arc;

use super::judge::decide;
use super::lineage::Left;
use super::{Active, Authority, Decision, Good, Surroundings, Verdict};
use crate::access::{AccessFacts, SigningAlg, claims};
use crate::cache::{Access, Entry};
use crate::clock::Timestamp;
use crate::keys::KeyId;
use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::secret::{Shape, TokenId};
use crate::secret_hash::{Mac256, keyed_hash};
use crate::store::Unavailable;
use crate::verdict::Reason;

impl Authority {
    pub(super) async fn verify_access(
        &self,
        around: &Surroundings<'_>,
        shape: &Shape,
    ) -> Result<Verdict, Refusal> {
        let presented = around.request.presented;
        let look = |entry: &Arc<Entry>| {
            (entry.id, decide(entry, Some(Kind::AccessToken), presented, around))
        };
        let known = access_id(shape).and_then(|id| self.cache.with_token(around.now, id, look));
        let found = if known.is_some() {
            known
        } else {
            let entry = Box::pin(self.access_entry(presented, shape, around.now)).await?;
            entry.map(|entry| look(&entry))
        };
        let Some((id, decision)) = found else {
            // A signature of a key that is not here cannot be told from a forged one.
            let signs = |of| SigningAlg::of_purpose(of).is_some();
            around.keys.require_all(signs).map_err(Unavailable::from)?;
            return self.refused(&around.request, Reason::Unknown, None, around.now);
        };
        self.conclude_access(around, id, decision).await
    }

    /// What is known of a presented access token, from memory if it was seen before. Its secret
    /// is not compared yet. `None` if it is none of ours, or its parent does not exist.
    pub(in crate::authority) async fn access_entry(
        &self,
        presented: &str,
        shape: &Shape,
        now: Timestamp,
    ) -> Result<Option<Arc<Entry>>, Refusal> {
        if let Some(entry) = access_id(shape).and_then(|id| self.cache.token(now, id)) {
            return Ok(Some(entry));
        }
        match shape {
            Shape::Jwt(_) => Box::pin(self.jwt_entry(presented, now)).await,
            Shape::Prefixed { kind: Kind::AccessToken, id } => {
                Box::pin(self.opaque_entry(*id, now)).await
            }
            _ => Ok(None),
        }
    }

    /// Verifies a JWT's signature, and asks the store whether it was revoked.
    async fn jwt_entry(
        &self,
        presented: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Entry>>, Refusal> {
        let keys = self.keys();
        let signers = keys.signing().counting(now, self.settings.key_overlap_seconds);
        let Some(decoded) = claims::read(presented, signers) else { return Ok(None) };
        // Long after its end nobody has to read a row to say no.
        if decoded.facts.expires_at <= now {
            return Ok(None);
        }
        let tag = self.cache.position(now);
        let revoked = self.store.access_revoked(decoded.id).await?;
        let Some(parent) = self.origin_of_access(decoded.facts.parent).await? else {
            return Ok(None);
        };
        if decoded.issuer != self.issuer(&parent.owner.realm) {
            return Ok(None);
        }
        let pepper = keys.pepper();
        let current = (pepper.id(), keyed_hash(pepper, presented));
        let access = access_of(decoded.id, current, decoded.facts, revoked);
        Ok(access.map(|access| self.cache.fill_access(access, &parent, tag)))
    }

    async fn opaque_entry(
        &self,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<Arc<Entry>>, Refusal> {
        let tag = self.cache.position(now);
        let Some(record) = self.store.access_find(id).await? else { return Ok(None) };
        let revoked = self.store.access_revoked(id).await?;
        let Some(parent) = self.origin_of_access(record.facts.parent).await? else {
            return Ok(None);
        };
        if record.realm != parent.owner.realm {
            return Ok(None);
        }
        let access = record.keyed().and_then(|keyed| access_of(id, keyed, record.facts, revoked));
        Ok(access.map(|access| self.cache.fill_access(access, &parent, tag)))
    }

    /// The token that an access token says it was made from; never another access token, whose
    /// own parent nobody would ask.
    async fn origin_of_access(&self, parent: TokenId) -> Result<Option<Arc<Entry>>, Refusal> {
        Ok(self.entry(parent).await?.filter(|entry| entry.kind != Kind::AccessToken))
    }

    /// The parent decides with every use, not only when the token was made: what it was made
    /// from may have been revoked, switched off, locked or narrowed since.
    pub(super) async fn conclude_access(
        &self,
        around: &Surroundings<'_>,
        id: TokenId,
        decision: Decision,
    ) -> Result<Verdict, Refusal> {
        match self.conclude_access_at_hand(around, id, decision)? {
            Ok(verdict) => Ok(verdict),
            Err(good) => {
                let left = self.left_by_ancestors(around, &good.active).await?;
                self.access_under(around, id, good.active, left)
            }
        }
    }

    /// The same, unless a token that it was made from has to be read first.
    pub(super) fn conclude_access_at_hand(
        &self,
        around: &Surroundings<'_>,
        id: TokenId,
        decision: Decision,
    ) -> Result<Result<Verdict, Good>, Refusal> {
        let request = &around.request;
        let good = match decision {
            Decision::Good(good) => good,
            Decision::Keyless(lost) => return Err(Unavailable::from(lost).into()),
            Decision::Bad { reason, right_secret, .. } => {
                let token = right_secret.then_some(id);
                return self.refused(request, reason, token, around.now).map(Ok);
            }
        };
        match self.left_at_hand(around, &good.active) {
            Some(left) => self.access_under(around, id, good.active, left).map(Ok),
            None => Ok(Err(good)),
        }
    }

    /// An access token as its ancestors leave it, or the refusal.
    fn access_under(
        &self,
        around: &Surroundings<'_>,
        id: TokenId,
        active: Active,
        left: Result<Option<Left>, Reason>,
    ) -> Result<Verdict, Refusal> {
        let request = &around.request;
        match left {
            Ok(Some(left)) => {
                let active = active.under(left);
                self.note_what_for(request, &active, around.now);
                if request.consume {
                    // A use of the token that its owner knows.
                    let (ip, door) = (request.client_ip, request.origin.door);
                    self.ledger.accepted(active.root(), around.now, ip, door);
                }
                Ok(Verdict::Active(active))
            }
            // Nothing above it: no access token is made of nothing.
            Ok(None) => self.refused(request, Reason::Unknown, None, around.now),
            Err(reason) => self.refused(request, reason, Some(id), around.now),
        }
    }
}

/// What the string says its id is.
fn access_id(shape: &Shape) -> Option<TokenId> {
    match shape {
        Shape::Jwt(hint) => *hint,
        Shape::Prefixed { kind: Kind::AccessToken, id } => Some(*id),
        _ => None,
    }
}

/// `None` if the facts cannot be those of a token.
fn access_of(
    id: TokenId,
    current: (KeyId, Mac256),
    facts: AccessFacts,
    revoked: bool,
) -> Option<Access> {
    Some(Access {
        id,
        current,
        validity: facts.validity()?,
        services: facts.services()?,
        scopes: facts.scopes()?,
        facts: Arc::new(facts),
        revoked,
    })
}
