//! Usage and limits of tokens that somebody else keeps, in a table of our own.

use std::net::IpAddr;

use async_trait::async_trait;

use super::Unavailable;
use crate::clock::Timestamp;
use crate::custom::ForeignId;
use crate::event::Event;
use crate::names::RealmName;
use crate::secret::TokenId;

/// Which token it is, there and here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its id here, made from all that follows but the person.
    pub token: TokenId,
    /// The realm.
    pub realm: RealmName,
    /// The repository.
    pub repository: String,
    /// Its id there.
    pub id: ForeignId,
    /// Whose it was when it was last used.
    pub user: Option<String>,
}

impl ForeignKey {
    /// The key of a token of a repository.
    pub fn new(realm: &RealmName, repository: &str, id: &ForeignId, user: Option<&str>) -> Self {
        Self {
            token: id.token_id(realm, repository),
            realm: realm.clone(),
            repository: repository.to_owned(),
            id: id.clone(),
            user: user.map(str::to_owned),
        }
    }
}

/// Uses of one token since the last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignUseDelta {
    /// The token.
    pub key: ForeignKey,
    /// Accepted uses.
    pub accepted: u64,
    /// Refusals of the right secret.
    pub denied: u64,
    /// The first accepted use among them.
    pub first_at: Option<Timestamp>,
    /// The last one.
    pub last_at: Option<Timestamp>,
    /// Where that one came from.
    pub last_ip: Option<IpAddr>,
}

/// How often a token was used, as far as it was used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignUsage {
    /// The token.
    pub key: ForeignKey,
    /// Its first accepted use.
    pub first_at: Option<Timestamp>,
    /// Its last one.
    pub last_at: Option<Timestamp>,
    /// Where that one came from.
    pub last_ip: Option<IpAddr>,
    /// Accepted uses.
    pub total: u64,
    /// Refusals of the right secret.
    pub denied_total: u64,
    /// Uses that count against its limit.
    pub used: u64,
}

/// What happened to a token there, from here.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignChanged {
    /// The tenant.
    pub realm: RealmName,
    /// Its id here.
    pub token: TokenId,
    /// It was removed: what was counted of it is forgotten, so that a later one of the same id
    /// begins anew.
    pub removed: bool,
    /// What is told of it.
    pub event: Event,
}

/// What is counted of tokens that somebody else keeps.
#[async_trait]
pub trait ForeignUseStore {
    /// Adds bookkeeping. `first_at` only moves back and `last_at` only on.
    async fn foreign_use_add(&self, uses: Vec<ForeignUseDelta>) -> Result<(), Unavailable>;
    /// Counts one use of a limited token and says how many there are now; `None` and nothing
    /// counted if `limit` are taken.
    async fn foreign_use_consume(
        &self,
        key: ForeignKey,
        limit: u64,
        at: Timestamp,
        ip: Option<IpAddr>,
    ) -> Result<Option<u64>, Unavailable>;
    /// What is known of these tokens; those without any use are missing. In the order asked for.
    async fn foreign_use_find(
        &self,
        realm: &RealmName,
        tokens: Vec<TokenId>,
    ) -> Result<Vec<ForeignUsage>, Unavailable>;
    /// Stores what happened to a token there, and tells every node that it is not what it was.
    async fn foreign_changed(&self, changed: ForeignChanged) -> Result<(), Unavailable>;
}
