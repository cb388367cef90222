//! Access tokens of auth tokens: what a grant says of them, in one place for every door.

use super::Authority;
use crate::access::{self, AccessGrant, AccessSettings, DEVICE_PREFIX, MintedAccess};
use crate::clock::Timestamp;
use crate::enrolment::{AccessFormat, Confirmation, Grant};
use crate::refusal::Refusal;
use crate::service::Services;

impl Authority {
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
        let audience = match &grant.services {
            Services::Named(labels) => labels.as_slice(),
            Services::All => &[],
        };
        let form = match grant.access {
            AccessFormat::Jwt => access::AccessFormat::Jwt,
            AccessFormat::Opaque => access::AccessFormat::Opaque,
        };
        let settings =
            AccessSettings { access_token_format: Some(form), ..AccessSettings::default() };
        let confirmation = match &grant.confirmation {
            Some(Confirmation::Jkt(key)) => access::Confirmation::of_key(key.clone()),
            Some(Confirmation::X5tS256(certificate)) => access::Confirmation {
                x5t_s256: Some(certificate.clone()),
                ..access::Confirmation::default()
            },
            None => access::Confirmation::default(),
        };
        // A grant that is about to be idle too long still gets its whole access token: the
        // refresh that follows finds it.
        let wanted = AccessGrant {
            realm: &grant.realm,
            subject: &format!("{DEVICE_PREFIX}{}", grant.subject),
            client_id: grant.auth_token.as_str(),
            scopes: &grant.scopes,
            audience,
            confirmation,
            parent: grant.auth_token,
            parent_expires_at: grant.expires_at,
            has_permissions: grant.has_permissions,
            settings: &settings,
        };
        self.issue_access(&wanted, now).await
    }
}
