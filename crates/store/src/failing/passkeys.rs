//! The same for passkeys.

use async_trait::async_trait;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::passkey::Passkey;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    PasskeyAdd, PasskeyAdded, PasskeyStore, PasskeysRemove, Unavailable,
};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl PasskeyStore for FailingStore {
    async fn passkey_list(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Vec<Passkey>, Unavailable> {
        pass!(self.passkey_list(realm, username))
    }
    async fn passkey_find(
        &self,
        realm: &RealmName,
        credential_id: &str,
    ) -> Result<Option<Passkey>, Unavailable> {
        pass!(self.passkey_find(realm, credential_id))
    }
    async fn passkey_add(&self, add: PasskeyAdd) -> Result<PasskeyAdded, Unavailable> {
        pass!(self.passkey_add(add))
    }
    async fn passkey_rename(
        &self,
        realm: &RealmName,
        username: &Username,
        id: TokenId,
        name: &str,
        event: Event,
    ) -> Result<bool, Unavailable> {
        pass!(self.passkey_rename(realm, username, id, name, event))
    }
    async fn passkeys_remove(
        &self,
        realm: &RealmName,
        username: &Username,
        which: PasskeysRemove,
        keeps: Option<TokenId>,
        event: Event,
    ) -> Result<u64, Unavailable> {
        pass!(self.passkeys_remove(realm, username, which, keeps, event))
    }
    async fn passkey_require(
        &self,
        realm: &RealmName,
        username: &Username,
        on: bool,
        event: Event,
    ) -> Result<bool, Unavailable> {
        pass!(self.passkey_require(realm, username, on, event))
    }
}
