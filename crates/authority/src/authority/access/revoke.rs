//! Ending tokens at the OAuth door (RFC 7009): by whoever holds them.

use super::super::{Act, Authority};
use crate::caller::RequestContext;
use crate::event::Origin;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, Shape};
use crate::store::AccessRevoke;

impl Authority {
    /// Ends a presented token, whatever its kind, if it is one of this realm and its secret is
    /// right. Says nothing about it (RFC 7009 section 2.2). A registration token stays: it is
    /// shared, and one holder does not end it for all.
    pub async fn revoke_presented(
        &self,
        realm: &RealmName,
        presented: &ClearSecret,
        context: RequestContext,
    ) -> Result<(), Refusal> {
        let origin = Origin { actor: "holder".into(), ..Origin::anonymous(context) };
        match self.shape(presented.reveal()) {
            Shape::Jwt(_) | Shape::Prefixed { kind: Kind::AccessToken, .. } => {
                self.revoke_access(realm, presented.reveal(), &origin).await
            }
            _ => {
                let record = self.proved(presented).await?.filter(|found| found.realm == *realm);
                let Some(record) = record.filter(|found| found.kind.may_use_self()) else {
                    return Ok(());
                };
                let Some(token) = self.store.token_find(realm, record.id).await? else {
                    return Ok(());
                };
                let reason = Some("revoked by possession".to_owned());
                self.change_token(&origin, &token, Act::Revoke { reason }, None).await.map(drop)
            }
        }
    }

    async fn revoke_access(
        &self,
        realm: &RealmName,
        presented: &str,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let shape = self.shape(presented);
        let Some(entry) = self.access_entry(presented, &shape, now).await? else { return Ok(()) };
        let keys = self.keys();
        let mac_under =
            |id| keys.pepper_by_id(id).map(|key| crate::secret_hash::keyed_hash(key, presented));
        let (Some(access), Some(_)) = (entry.access(), entry.matches(now, &mac_under)) else {
            return Ok(());
        };
        if entry.owner.realm != *realm || access.expires_at <= now {
            return Ok(());
        }
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
        Ok(())
    }
}
