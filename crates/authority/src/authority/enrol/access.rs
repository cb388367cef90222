//! Access tokens of auth tokens: what a grant says of them, in one place for every door.

use super::Authority;
use crate::access::{AccessGrant, AccessSettings, DEVICE_PREFIX, MintedAccess};
use crate::authority::audience::Holder;
use crate::clock::Timestamp;
use crate::enrolment::{Confirmation, Grant};
use crate::refusal::Refusal;
use crate::service::Services;

/// Why an auth token leads to no access token now.
const NO_SERVICE: &str = "no service of the auth token takes tokens now";

impl Authority {
    /// The services of a grant that take tokens now; `None` if not one of them does.
    pub(in crate::authority) async fn services_of_grant(
        &self,
        grant: &Grant,
    ) -> Result<Option<Services>, Refusal> {
        // One that is about to be stored has its registration token only; both have one owner.
        let drawn_from = grant.registration.unwrap_or(grant.auth_token);
        let entry = match self.entry(drawn_from).await? {
            Some(entry) => Some(entry),
            None => self.entry(grant.auth_token).await?,
        };
        let Some(entry) = entry else { return Ok(None) };
        let holder = Holder::of(&entry, None);
        self.living_services(&grant.realm, &grant.services, &holder).await
    }

    /// Makes an access token of an auth token, which ends no later than the auth token. Its
    /// client is the auth token itself: one device, one client.
    ///
    /// # Errors
    ///
    /// [`Refusal::Policy`] if the auth token has ended, and as the store fails.
    pub async fn grant_access(
        &self,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<MintedAccess, Refusal> {
        let living = self.services_of_grant(grant).await?;
        let living = living.ok_or_else(|| Refusal::Policy(NO_SERVICE.to_owned()))?;
        let audience = match &living {
            Services::Named(labels) => labels.as_slice(),
            Services::All => &[],
        };
        let settings =
            AccessSettings { access_token_format: Some(grant.access), ..AccessSettings::default() };
        let confirmation = grant.confirmation.as_ref().map(Confirmation::of_access);
        // A grant that is about to be idle too long still gets its whole access token: the
        // refresh that follows finds it.
        let wanted = AccessGrant {
            realm: &grant.realm,
            subject: &format!("{DEVICE_PREFIX}{}", grant.subject),
            client_id: grant.auth_token.as_str(),
            scopes: &grant.scopes,
            audience,
            confirmation: confirmation.unwrap_or_default(),
            parent: grant.auth_token,
            parent_expires_at: grant.expires_at,
            has_permissions: grant.has_permissions,
            settings: &settings,
        };
        self.issue_access(&wanted, now).await
    }
}
