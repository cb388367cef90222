//! Machine clients and the keys that are made with them.

use async_trait::async_trait;

use super::{Page, PageRequest, TokenIssue, Unavailable, Updated};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::{ClientName, RealmName};
use crate::subject::Client;
use crate::token::Token;

/// A client with its first key.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// The client.
    pub client: Client,
    /// Its key; the idempotent answer, if any, belongs to the pair.
    pub key: TokenIssue,
}

/// What came of adding a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientCreated {
    /// Client and key are stored; here is the key's token.
    Done(Token),
    /// The same request was answered before: here is that answer, still sealed.
    Replayed(Vec<u8>),
    /// The idempotency key was used for another request.
    KeyReused,
    /// The name is taken.
    Exists,
    /// Something that the client names does not exist; the text says what.
    Missing(&'static str),
}

/// Clients of a realm. Lists are ordered by name.
#[async_trait]
pub trait ClientStore {
    /// Adds a client and its key. Events: `event` for the client, `new.key.event` for the key.
    async fn client_insert(
        &self,
        new: NewClient,
        event: Event,
    ) -> Result<ClientCreated, Unavailable>;
    /// Finds a client.
    async fn client_find(
        &self,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Option<Client>, Unavailable>;
    /// Lists clients.
    async fn client_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Client>, Unavailable>;
    /// Replaces a client if it still has `client.version`, and raises the version.
    async fn client_update(
        &self,
        client: Client,
        event: Event,
    ) -> Result<Updated<Client>, Unavailable>;
    /// Removes a client and revokes its keys. False if there is no such client.
    async fn client_delete(
        &self,
        realm: &RealmName,
        name: &ClientName,
        at: Timestamp,
        event: Event,
    ) -> Result<bool, Unavailable>;
}
