//! Ending tokens at the OAuth door (RFC 7009): by whoever holds them.

use super::super::Authority;
use crate::access::SigningAlg;
use crate::caller::RequestContext;
use crate::event::Origin;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, Shape};
use crate::store::{AccessRevoke, Unavailable};

impl Authority {
    /// Ends a presented token, whatever its kind, if it is one of this realm and its secret is
    /// right. Says nothing about it (RFC 7009 section 2.2) but whether it was a guess, whose
    /// answer the door may hold back. A registration token stays: it is shared, and one holder
    /// does not end it for all.
    pub async fn revoke_presented(
        &self,
        realm: &RealmName,
        presented: &ClearSecret,
        context: RequestContext,
    ) -> Result<bool, Refusal> {
        let origin = Origin { actor: "holder".into(), ..Origin::anonymous(context) };
        self.end_presented(Some(realm), presented, &origin).await
    }

    /// Ends an access token; true if the string was a guess.
    pub(in crate::authority) async fn end_access(
        &self,
        realm: Option<&RealmName>,
        presented: &str,
        origin: &Origin,
    ) -> Result<bool, Refusal> {
        let now = self.now();
        let shape = self.shape(presented);
        let keys = self.keys();
        let Some(entry) = self.access_entry(presented, &shape, now).await? else {
            // A signature of a key that is not here cannot be told from a forged one. One that
            // is ended reads like one that never was, so that a JWT is never called a guess.
            let signs = |of| SigningAlg::of_purpose(of).is_some();
            keys.require_all(signs).map_err(Unavailable::from)?;
            return Ok(!matches!(shape, Shape::Jwt(_)));
        };
        let mac_under =
            |id| keys.pepper_by_id(id).map(|key| crate::secret_hash::keyed_hash(key, presented));
        let (Some(access), Some(_)) = (entry.access(), entry.matches(now, &mac_under)) else {
            keys.require_peppers(entry.peppers()).map_err(Unavailable::from)?;
            return Ok(true);
        };
        let own = &entry.owner.realm;
        if realm.is_some_and(|realm| realm != own) || access.expires_at <= now {
            return Ok(false);
        }
        let realm = own;
        let event = self.event("access-token.revoked", realm, origin, now)?;
        let event = event.with_token(access.parent).with_subject(access.subject.clone());
        let detail = serde_json::json!({ "jti": entry.id.as_str() });
        let revoke = AccessRevoke {
            realm: realm.clone(),
            id: entry.id,
            expires_at: access.expires_at,
            at: now,
            event: event.with_detail(detail),
        };
        self.store.access_revoke(revoke).await?;
        Ok(false)
    }
}
