//! Accounts, sessions and sign-in links of the console in SQL.

mod accounts;
mod links;
mod sessions;

use std::net::IpAddr;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::console::{Account, ConsoleSession, SignInLink};
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    ConsoleStore, PasswordChange, SessionAdd, SessionsEnd, SignInLinkAdded, SignInLinkUse,
    SignInLinkUsed, Unavailable,
};

use crate::SqlStore;
use crate::engine::{Failure, Transaction};

pub(crate) use links::end_of;
pub(crate) use sessions::beyond_limit;

/// The statements of these files.
pub(crate) fn statements() -> Vec<&'static str> {
    [accounts::STATEMENTS, links::STATEMENTS, sessions::STATEMENTS].concat()
}

/// Removes what only the person could use.
pub(crate) async fn delete_all_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<(), Failure> {
    accounts::delete(tx, realm, username).await?;
    sessions::delete_all_of(tx, realm, username).await?;
    links::delete_of(tx, realm, username).await
}

/// Removes a batch of sessions that have ended, and of links that nobody asks about any more.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    Ok(sessions::purge(tx, now, limit).await? + links::purge(tx, now, limit).await?)
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

    async fn session_add(&self, add: SessionAdd) -> Result<bool, Unavailable> {
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
}
