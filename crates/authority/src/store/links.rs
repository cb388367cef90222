//! One-time links: a token without a secret, and the one opening that makes its secret.

use async_trait::async_trait;

use super::{ActiveLimit, Idempotency, Issued, Unavailable};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::RealmName;
use crate::secret::TokenId;
use crate::secret_hash::SecretHash;
use crate::token::{StoredSecret, Token};

/// How long a link is remembered after its end, so that a second opening raises an alarm.
pub const LINK_RETENTION_SECONDS: i64 = 90 * 86_400;

/// A link as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its public name, the id in its string.
    pub id: TokenId,
    /// The tenant.
    pub realm: RealmName,
    /// Whose secret it delivers.
    pub token: TokenId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be opened, exclusive.
    pub expires_at: Timestamp,
    /// Its hash, always a keyed one.
    pub hash: SecretHash,
    /// When it was opened.
    pub opened_at: Option<Timestamp>,
    /// Its clear text, sealed, where a letter has to hold it; gone once it is opened.
    pub sealed: Option<Vec<u8>>,
}

/// A token to issue whose secret does not exist before its link is opened.
#[derive(Debug, Clone)]
pub struct LinkIssue {
    /// Its record, `secrets` left empty.
    pub token: Token,
    /// The link.
    pub link: Link,
    /// Limits that hold in the same transaction. The token counts from now on.
    pub limits: Vec<ActiveLimit>,
    /// The answer to keep.
    pub idempotency: Option<Idempotency>,
    /// What is recorded.
    pub event: Event,
}

/// An opening.
#[derive(Debug, Clone)]
pub struct LinkOpen {
    /// The link.
    pub id: TokenId,
    /// The token it delivers, as the caller read it.
    pub token: TokenId,
    /// That token's tenant.
    pub realm: RealmName,
    /// The secret that was generated for this opening.
    pub secret: StoredSecret,
    /// When.
    pub at: Timestamp,
    /// What is recorded if it opens.
    pub event: Event,
}

/// Why a link does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// Somebody opened it before.
    Opened,
    /// Its time is over.
    Expired,
    /// Its token was revoked, has expired, or got a secret in another way.
    TokenEnded,
}

impl LinkEnd {
    /// The reason code in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Expired => "expired",
            Self::TokenEnded => "token_ended",
        }
    }
}

/// What came of an opening.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkOpened {
    /// The secret is the token's current one; here is the token with it.
    Done(Token),
    /// Nothing was stored.
    Refused(LinkEnd),
    /// The hash of the secret is taken; draw again. Nothing was stored.
    Collision,
}

/// Links of every realm.
#[async_trait]
pub trait LinkStore {
    /// Stores a new token without a secret together with its link, or refuses as an issue does.
    /// An id that is taken, the token's or the link's, is a collision.
    async fn link_issue(&self, issue: LinkIssue) -> Result<Issued, Unavailable>;
    /// Finds a link, also one that was opened or has ended.
    async fn link_find(&self, id: TokenId) -> Result<Option<Link>, Unavailable>;
    /// Opens a link and gives its token the secret: of any number of openings at the same time
    /// one is [`LinkOpened::Done`], by one conditional statement. The first reason of
    /// [`LinkEnd`] that holds is told.
    async fn link_open(&self, open: LinkOpen) -> Result<LinkOpened, Unavailable>;
}
