//! Passkeys of people.

use async_trait::async_trait;

use super::Unavailable;
use crate::event::Event;
use crate::names::{RealmName, Username};
use crate::passkey::Passkey;
use crate::secret::TokenId;

/// A passkey to be added.
#[derive(Debug, Clone)]
pub struct PasskeyAdd {
    /// The passkey.
    pub passkey: Passkey,
    /// The version that the person's account must still have if it is added on their way in; it
    /// has to be their first one then. `None`: somebody adds it who is signed in.
    pub first_under: Option<i64>,
    /// What is recorded.
    pub event: Event,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyAdded {
    /// It can be used.
    Done,
    /// Somebody of the realm has one that the device calls so.
    Known,
    /// The person has as many as anybody may have, or one though it had to be the first.
    TooMany,
    /// There is no such person, or the account has another version.
    Gone,
}

/// Which passkeys of a person are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeysRemove {
    /// This one.
    One(TokenId),
    /// All of them.
    All,
}

/// Whatever is known of passkeys. Removing a person removes theirs.
///
/// A use is no method of its own: it is stored with the session that it begins or proves, on
/// condition that the passkey is there and its count goes on.
#[async_trait]
pub trait PasskeyStore {
    /// Every passkey of a person, the first one first.
    async fn passkey_list(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Vec<Passkey>, Unavailable>;
    /// The passkey that a device calls so.
    async fn passkey_find(
        &self,
        realm: &RealmName,
        credential_id: &str,
    ) -> Result<Option<Passkey>, Unavailable>;
    /// Adds one. A person never has more than
    /// [`crate::passkey::PASSKEYS_PER_PERSON_MAX`], and never two by the same id.
    async fn passkey_add(&self, add: PasskeyAdd) -> Result<PasskeyAdded, Unavailable>;
    /// Gives one of a person another name. False if they have none of that id.
    async fn passkey_rename(
        &self,
        realm: &RealmName,
        username: &Username,
        id: TokenId,
        name: &str,
        event: Event,
    ) -> Result<bool, Unavailable>;
    /// Removes passkeys of a person and says how many. If that is any, the event is recorded, every
    /// session of the person but `keeps` ends, and who has none left is not asked for one by their
    /// own wish any more.
    async fn passkeys_remove(
        &self,
        realm: &RealmName,
        username: &Username,
        which: PasskeysRemove,
        keeps: Option<TokenId>,
        event: Event,
    ) -> Result<u64, Unavailable>;
    /// Sets whether a person with a password is asked for a passkey as well, and makes it the next
    /// version of the account, so that no sign-in that is under way misses it. False if there is no
    /// account, or no passkey to ask for.
    async fn passkey_require(
        &self,
        realm: &RealmName,
        username: &Username,
        on: bool,
        event: Event,
    ) -> Result<bool, Unavailable>;
}
