//! Accounts, sessions, passkeys and sign-in links of the console in SQL.

mod accounts;
mod flows;
mod identities;
mod links;
mod passkeys;
mod sessions;

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

use crate::SqlStore;
use crate::engine::{Failure, Transaction};

pub(crate) use links::end_of;
pub(crate) use sessions::{beyond_limit, delete_all_of as delete_sessions_of};

/// The statements of these files.
pub(crate) fn statements() -> Vec<&'static str> {
    [
        accounts::STATEMENTS,
        flows::STATEMENTS,
        identities::STATEMENTS,
        links::STATEMENTS,
        passkeys::STATEMENTS,
        sessions::STATEMENTS,
    ]
    .concat()
}

/// Removes what only the person could use.
pub(crate) async fn delete_all_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<(), Failure> {
    accounts::delete(tx, realm, username).await?;
    sessions::delete_all_of(tx, realm, username).await?;
    identities::delete_of(tx, realm, username).await?;
    passkeys::delete_of(tx, realm, username).await?;
    links::delete_of(tx, realm, username).await
}

/// Removes a batch of sessions that have ended, of links that nobody asks about any more, and of
/// what people had begun who did not come back.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    let ended = sessions::purge(tx, now, limit).await? + links::purge(tx, now, limit).await?;
    Ok(ended + flows::purge(tx, now, limit).await?)
}

#[async_trait]
impl ConsoleStore for SqlStore {
    async fn account_find(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Option<Account>, Unavailable> {
        self.point((realm.clone(), username.clone()), |tx, (realm, username)| {
            Box::pin(accounts::find(tx, realm, username))
        })
        .await
    }

    async fn account_any(&self, realm: &RealmName) -> Result<bool, Unavailable> {
        self.point(realm.clone(), |tx, realm| Box::pin(accounts::any(tx, realm))).await
    }

    async fn password_change(&self, change: PasswordChange) -> Result<bool, Unavailable> {
        self.write(change, |tx, change| Box::pin(accounts::change(tx, change))).await
    }

    async fn account_rehash(
        &self,
        realm: &RealmName,
        username: &Username,
        version: i64,
        hash: SecretHash,
    ) -> Result<(), Unavailable> {
        let asked = (realm.clone(), username.clone(), version, hash);
        self.write(asked, |tx, (realm, username, version, hash)| {
            Box::pin(accounts::rehash(tx, realm, username, *version, hash))
        })
        .await
    }

    async fn session_add(&self, add: SessionAdd) -> Result<SessionAdded, Unavailable> {
        self.write(add, |tx, add| Box::pin(sessions::add(tx, add))).await
    }

    async fn session_find(&self, id: TokenId) -> Result<Option<ConsoleSession>, Unavailable> {
        self.point(id, |tx, id| Box::pin(sessions::find(tx, *id))).await
    }

    async fn session_used(
        &self,
        id: TokenId,
        at: Timestamp,
        source: Option<IpAddr>,
    ) -> Result<(), Unavailable> {
        self.write((id, at, source), |tx, (id, at, source)| {
            Box::pin(sessions::used(tx, *id, *at, *source))
        })
        .await
    }

    async fn session_list(
        &self,
        realm: &RealmName,
        username: &Username,
        now: Timestamp,
    ) -> Result<Vec<ConsoleSession>, Unavailable> {
        self.point((realm.clone(), username.clone(), now), |tx, (realm, username, now)| {
            Box::pin(sessions::list(tx, realm, username, *now))
        })
        .await
    }

    async fn sessions_end(
        &self,
        realm: &RealmName,
        username: &Username,
        which: SessionsEnd,
        event: Event,
    ) -> Result<u64, Unavailable> {
        self.write(
            (realm.clone(), username.clone(), which, event),
            |tx, (realm, username, which, event)| {
                Box::pin(sessions::end(tx, realm, username, *which, event))
            },
        )
        .await
    }

    async fn sign_in_link_add(
        &self,
        link: SignInLink,
        event: Event,
    ) -> Result<SignInLinkAdded, Unavailable> {
        self.write((link, event), |tx, (link, event)| Box::pin(links::add(tx, link, event))).await
    }

    async fn sign_in_link_find(&self, id: TokenId) -> Result<Option<SignInLink>, Unavailable> {
        self.point(id, |tx, id| Box::pin(links::find(tx, *id))).await
    }

    async fn sign_in_link_use(&self, using: SignInLinkUse) -> Result<SignInLinkUsed, Unavailable> {
        self.write(using, |tx, using| Box::pin(links::use_up(tx, using))).await
    }

    async fn session_proved(
        &self,
        id: TokenId,
        at: Timestamp,
        passkey: Option<PasskeyUse>,
        event: Event,
    ) -> Result<SessionAdded, Unavailable> {
        self.write((id, at, passkey, event), |tx, (id, at, passkey, event)| {
            Box::pin(sessions::proved(tx, *id, *at, passkey.as_ref(), event))
        })
        .await
    }

    async fn identity_find(
        &self,
        realm: &RealmName,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Identity>, Unavailable> {
        let asked = (realm.clone(), issuer.to_owned(), subject.to_owned());
        self.point(asked, |tx, (realm, issuer, subject)| {
            Box::pin(identities::find(tx, realm, issuer, subject))
        })
        .await
    }

    async fn person_vouched(&self, vouched: PersonVouched) -> Result<VouchedOutcome, Unavailable> {
        self.write(vouched, |tx, vouched| Box::pin(identities::vouched(tx, vouched))).await
    }

    async fn flow_add(&self, flow: SignInFlow) -> Result<(), Unavailable> {
        self.write(flow, |tx, flow| Box::pin(flows::add(tx, flow))).await
    }

    async fn flow_take(
        &self,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<SignInFlow>, Unavailable> {
        self.write((id, now), |tx, (id, now)| Box::pin(flows::take(tx, *id, *now))).await
    }
}
