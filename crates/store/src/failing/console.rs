//! The same for accounts, sessions and sign-in links of the console.

use std::net::IpAddr;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::console::{Account, ConsoleSession, SignInLink};
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::passkey::PasskeyUse;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::single_sign_on::{Identity, SignInFlow};
use counterfoil_authority::store::{
    ConsoleStore, PasswordChange, PersonVouched, SessionAdd, SessionAdded, SessionsEnd,
    SignInLinkAdded, SignInLinkUse, SignInLinkUsed, Unavailable, VouchedOutcome,
};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl ConsoleStore for FailingStore {
    async fn account_find(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Option<Account>, Unavailable> {
        pass!(self.account_find(realm, username))
    }
    async fn account_any(&self, realm: &RealmName) -> Result<bool, Unavailable> {
        pass!(self.account_any(realm))
    }
    async fn password_change(&self, change: PasswordChange) -> Result<bool, Unavailable> {
        pass!(self.password_change(change))
    }
    async fn account_rehash(
        &self,
        realm: &RealmName,
        username: &Username,
        version: i64,
        hash: SecretHash,
    ) -> Result<(), Unavailable> {
        pass!(self.account_rehash(realm, username, version, hash))
    }
    async fn session_add(&self, add: SessionAdd) -> Result<SessionAdded, Unavailable> {
        pass!(self.session_add(add))
    }
    async fn session_find(&self, id: TokenId) -> Result<Option<ConsoleSession>, Unavailable> {
        pass!(self.session_find(id))
    }
    async fn session_used(
        &self,
        id: TokenId,
        at: Timestamp,
        source: Option<IpAddr>,
    ) -> Result<(), Unavailable> {
        pass!(self.session_used(id, at, source))
    }
    async fn session_list(
        &self,
        realm: &RealmName,
        username: &Username,
        now: Timestamp,
    ) -> Result<Vec<ConsoleSession>, Unavailable> {
        pass!(self.session_list(realm, username, now))
    }
    async fn sessions_end(
        &self,
        realm: &RealmName,
        username: &Username,
        which: SessionsEnd,
        event: Event,
    ) -> Result<u64, Unavailable> {
        pass!(self.sessions_end(realm, username, which, event))
    }
    async fn sign_in_link_add(
        &self,
        link: SignInLink,
        event: Event,
    ) -> Result<SignInLinkAdded, Unavailable> {
        pass!(self.sign_in_link_add(link, event))
    }
    async fn sign_in_link_find(&self, id: TokenId) -> Result<Option<SignInLink>, Unavailable> {
        pass!(self.sign_in_link_find(id))
    }
    async fn sign_in_link_use(&self, using: SignInLinkUse) -> Result<SignInLinkUsed, Unavailable> {
        pass!(self.sign_in_link_use(using))
    }
    async fn session_proved(
        &self,
        id: TokenId,
        at: Timestamp,
        passkey: Option<PasskeyUse>,
        event: Event,
    ) -> Result<SessionAdded, Unavailable> {
        pass!(self.session_proved(id, at, passkey, event))
    }
    async fn identity_find(
        &self,
        realm: &RealmName,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Identity>, Unavailable> {
        pass!(self.identity_find(realm, issuer, subject))
    }
    async fn person_vouched(&self, vouched: PersonVouched) -> Result<VouchedOutcome, Unavailable> {
        pass!(self.person_vouched(vouched))
    }
    async fn flow_add(&self, flow: SignInFlow) -> Result<(), Unavailable> {
        pass!(self.flow_add(flow))
    }
    async fn flow_take(
        &self,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<SignInFlow>, Unavailable> {
        pass!(self.flow_take(id, now))
    }
}
