//! Access tokens: opaque ones, those that were revoked before their end, and proofs that were used.

use async_trait::async_trait;

use super::Unavailable;
use crate::access::AccessRecord;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::RealmName;
use crate::secret::TokenId;

/// The end of an access token before its time.
#[derive(Debug, Clone)]
pub struct AccessRevoke {
    /// The tenant.
    pub realm: RealmName,
    /// The token: its `jti`.
    pub id: TokenId,
    /// When it would have ended: until then its revocation is remembered.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub at: Timestamp,
    /// What is recorded, if it was not revoked before.
    pub event: Event,
}

/// One line of the feed of revocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The `jti` of an access token, or the id of the token that others were made from.
    pub id: TokenId,
    /// When it was revoked.
    pub at: Timestamp,
}

/// What the feed of a realm says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revocations {
    /// Access tokens, the one that would have lived longest first.
    pub access_tokens: Vec<Revoked>,
    /// Tokens whose access tokens ended with them, latest first.
    pub parents: Vec<Revoked>,
}

/// Access tokens of every realm. None of these rows outlives the token that it is about.
#[async_trait]
pub trait AccessStore {
    /// Stores an opaque access token.
    async fn access_add(&self, record: AccessRecord) -> Result<(), Unavailable>;
    /// An opaque access token, in one read, revoked or not.
    async fn access_find(&self, id: TokenId) -> Result<Option<AccessRecord>, Unavailable>;
    /// Notes when opaque access tokens were last used. A later use that is known already stays,
    /// and what there is not is passed over.
    async fn access_used(&self, used: Vec<(TokenId, Timestamp)>) -> Result<(), Unavailable>;
    /// When an opaque access token was last noted as used; `None` if it never was.
    async fn access_last_used(&self, id: TokenId) -> Result<Option<Timestamp>, Unavailable>;
    /// Ends an access token. True if it was not revoked before; only then the event is recorded.
    async fn access_revoke(&self, revoke: AccessRevoke) -> Result<bool, Unavailable>;
    /// Whether an access token was revoked.
    async fn access_revoked(&self, id: TokenId) -> Result<bool, Unavailable>;
    /// What was revoked in a realm and could still be believed in at `now`: access tokens that
    /// have not ended, and tokens revoked since `parents_since`. At most `limit` of each.
    async fn access_revocations(
        &self,
        realm: &RealmName,
        now: Timestamp,
        parents_since: Timestamp,
        limit: u32,
    ) -> Result<Revocations, Unavailable>;
    /// Notes that a proof was used. False if it was used before and its time is not over:
    /// one conditional statement, so that of any number of copies one is accepted.
    async fn proof_use(
        &self,
        once: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Unavailable>;
}
