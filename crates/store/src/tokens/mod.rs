//! Tokens in SQL.

mod change;
mod enrolment;
mod handing;
mod issue;
mod journal;
mod list;
mod listing;
mod moving;
mod record;
mod repository;
mod revoke;
mod rotate;
mod rows;
mod secrets;
mod update;
mod usage;

use std::net::IpAddr;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, RepositoryName, ServiceLabel, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::Mac256;
use counterfoil_authority::store::{
    Assign, Consumed, HandOver, HandedOver, Issued, Listing, ListingRemove, ListingRequest, Moved,
    Page, PageRequest, Promote, Record, Rehash, RepositoryStore, Rotated, TokenChange, TokenFilter,
    TokenIssue, TokenLeak, TokenRotate, TokenStore, TokenUpdate, TokenUpdated, Unavailable,
    Updated, UsageDelta,
};
use counterfoil_authority::token::Token;

use crate::SqlStore;

pub(crate) use change::change;
pub(crate) use enrolment::decide::still_told;
pub(crate) use enrolment::{Draws, newly_heard};
pub(crate) use issue::{Arrival, admit, once, seed};
pub(crate) use list::{in_repository, matches_device};
pub(crate) use listing::{matches as matches_listing, start as start_of_listing};
pub(crate) use moving::{assign, remove};
pub(crate) use revoke::revoke_all_of;
pub(crate) use rows::find_to_change;
pub(crate) use secrets::{insert, purge_retired};
pub(crate) use update::{takes_place, update};
pub(crate) use usage::{add_uses, consume, state};

/// The statements of these files.
pub(crate) fn statements() -> Vec<&'static str> {
    let mut all = [
        change::STATEMENTS,
        handing::STATEMENTS,
        issue::STATEMENTS,
        journal::STATEMENTS,
        list::STATEMENTS,
        moving::STATEMENTS,
        record::STATEMENTS,
        repository::STATEMENTS,
        revoke::STATEMENTS,
        rotate::STATEMENTS,
        rows::STATEMENTS,
        secrets::STATEMENTS,
        update::STATEMENTS,
        usage::STATEMENTS,
    ]
    .concat();
    all.extend(enrolment::statements());
    all.extend(listing::statements());
    all
}

#[async_trait]
impl TokenStore for SqlStore {
    async fn token_issue(&self, issue: TokenIssue) -> Result<Issued, Unavailable> {
        if issue::meets_nobody(&issue) {
            self.write_together(issue, |tx, issue| Box::pin(issue::issue(tx, issue))).await
        } else {
            self.write(issue, |tx, issue| Box::pin(issue::issue(tx, issue))).await
        }
    }

    async fn token_find(
        &self,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Token>, Unavailable> {
        self.point((realm.clone(), id), |tx, (realm, id)| Box::pin(rows::find(tx, realm, *id)))
            .await
    }

    async fn token_list(
        &self,
        realm: &RealmName,
        filter: TokenFilter,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Token>, Unavailable> {
        self.scan((realm.clone(), filter, now, page), |tx, (realm, filter, now, page)| {
            Box::pin(list::list(tx, realm, filter, *now, page))
        })
        .await
    }

    async fn token_hand_over(&self, hand_over: HandOver) -> Result<HandedOver, Unavailable> {
        self.write(hand_over, |tx, hand_over| Box::pin(handing::hand_over(tx, hand_over))).await
    }

    async fn token_update(&self, update: TokenUpdate) -> Result<TokenUpdated, Unavailable> {
        self.write(update, |tx, update| Box::pin(update::update(tx, update))).await
    }

    async fn token_rotate(&self, rotate: TokenRotate) -> Result<Rotated, Unavailable> {
        self.write(rotate, |tx, rotate| Box::pin(rotate::rotate(tx, rotate))).await
    }

    async fn token_change(&self, change: TokenChange) -> Result<Updated<Token>, Unavailable> {
        self.write(change, |tx, change| Box::pin(change::change(tx, change))).await
    }

    async fn token_leaked(&self, leak: TokenLeak) -> Result<bool, Unavailable> {
        self.write(leak, |tx, leak| Box::pin(change::leaked(tx, leak))).await
    }

    async fn token_record(&self, id: TokenId) -> Result<Option<Record>, Unavailable> {
        self.count_record_read();
        self.point(id, |tx, id| Box::pin(record::by_id(tx, *id))).await
    }

    async fn token_record_by_hash(&self, mac: Mac256) -> Result<Option<Record>, Unavailable> {
        self.count_record_read();
        self.point(mac, |tx, mac| Box::pin(record::by_hash(tx, *mac))).await
    }

    async fn token_records_slow(
        &self,
        realm: &RealmName,
        user: &Username,
        service: &ServiceLabel,
    ) -> Result<Vec<Record>, Unavailable> {
        self.count_record_read();
        let parameters = (realm.clone(), user.clone(), service.clone());
        self.point(parameters, |tx, (realm, user, service)| {
            Box::pin(record::slow_of(tx, realm, user, service))
        })
        .await
    }

    async fn token_last_active(&self, id: TokenId) -> Result<Option<Timestamp>, Unavailable> {
        self.point(id, |tx, id| Box::pin(usage::last_active(tx, *id))).await
    }

    async fn token_consume(
        &self,
        id: TokenId,
        now: Timestamp,
        ip: Option<IpAddr>,
    ) -> Result<Consumed, Unavailable> {
        self.write((id, now, ip), |tx, (id, now, ip)| Box::pin(usage::consume(tx, *id, *now, *ip)))
            .await
    }

    async fn usage_flush(
        &self,
        mut usage: Vec<UsageDelta>,
        rehashed: Vec<Rehash>,
        events: Vec<Event>,
    ) -> Result<(), Unavailable> {
        // In the order of the table, so that neighbours share a page while it is at hand.
        usage.sort_unstable_by_key(|delta| *delta.token.as_bytes());
        self.write((usage, rehashed, events), |tx, (usage, rehashed, events)| {
            Box::pin(usage::flush(tx, usage, rehashed, events))
        })
        .await
    }

    async fn usage_settle(&self) -> Result<bool, Unavailable> {
        // Most of the time there is none, and looking costs the writer nothing.
        if !self.point((), |tx, ()| Box::pin(journal::is_waiting(tx))).await? {
            return Ok(false);
        }
        self.write((), |tx, ()| Box::pin(usage::settle(tx))).await
    }
}

#[async_trait]
impl RepositoryStore for SqlStore {
    async fn listing_find(
        &self,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Listing>, Unavailable> {
        self.point((realm.clone(), id), |tx, (realm, id)| Box::pin(listing::find(tx, realm, *id)))
            .await
    }

    async fn listing_page(
        &self,
        request: ListingRequest,
    ) -> Result<(Vec<Listing>, Option<String>), Unavailable> {
        self.scan(request, |tx, request| Box::pin(listing::page(tx, request))).await
    }

    async fn listing_remove(&self, remove: ListingRemove) -> Result<Moved, Unavailable> {
        self.write(remove, |tx, remove| Box::pin(moving::remove(tx, remove))).await
    }

    async fn credential_promote(&self, promote: Promote) -> Result<Option<Listing>, Unavailable> {
        self.write(promote, |tx, promote| Box::pin(moving::promote(tx, promote))).await
    }

    async fn listing_assign(&self, assign: Assign) -> Result<Moved, Unavailable> {
        self.write(assign, |tx, assign| Box::pin(moving::assign(tx, assign))).await
    }

    async fn credentials_due(
        &self,
        repository: &RepositoryName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RealmName, Username, TokenId)>, Unavailable> {
        self.scan((repository.clone(), now, limit), |tx, (repository, now, limit)| {
            Box::pin(moving::due(tx, repository, *now, *limit))
        })
        .await
    }
}
