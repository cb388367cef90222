//! Provisioning in SQL: targets, the outbox, deliveries, and what was derived for directories.

mod deliveries;
mod hashes;
mod outbox;
mod settling;
mod targets;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, TargetName, Username};
use counterfoil_authority::provision::{Delivery, DeliveryKey, Mark, Target};
use counterfoil_authority::store::{
    Backlog, DeliveryFilter, DirectoryToken, Inserted, Lease, Page, PageRequest, ProvisioningStore,
    Settled, Unavailable, Updated,
};

use crate::{SqlStore, events};

pub(crate) use deliveries::place_of;
pub(crate) use hashes::{forget as forget_hashes, insert as insert_hashes, tidy as tidy_hashes};
pub(crate) use outbox::note;

/// The statements of these files.
pub(crate) fn statements() -> Vec<&'static str> {
    [
        deliveries::STATEMENTS,
        hashes::STATEMENTS,
        outbox::STATEMENTS,
        settling::STATEMENTS,
        targets::STATEMENTS,
    ]
    .concat()
}

#[async_trait]
impl ProvisioningStore for SqlStore {
    async fn target_insert(&self, target: Target, event: Event) -> Result<Inserted, Unavailable> {
        self.write((target, event), |tx, (target, event)| {
            Box::pin(targets::insert(tx, target, event))
        })
        .await
    }

    async fn target_find(
        &self,
        realm: &RealmName,
        name: &TargetName,
    ) -> Result<Option<Target>, Unavailable> {
        self.point((realm.clone(), name.clone()), |tx, (realm, name)| {
            Box::pin(targets::find(tx, realm, name))
        })
        .await
    }

    async fn target_list(&self, realm: &RealmName) -> Result<Vec<Target>, Unavailable> {
        self.point(realm.clone(), |tx, realm| Box::pin(targets::list(tx, realm))).await
    }

    async fn target_all(&self) -> Result<Vec<Target>, Unavailable> {
        self.point((), |tx, ()| Box::pin(targets::all(tx))).await
    }

    async fn target_update(
        &self,
        target: Target,
        event: Event,
    ) -> Result<Updated<Target>, Unavailable> {
        self.write((target, event), |tx, (target, event)| {
            Box::pin(targets::update(tx, target, event))
        })
        .await
    }

    async fn target_delete(
        &self,
        realm: &RealmName,
        name: &TargetName,
        event: Event,
    ) -> Result<bool, Unavailable> {
        self.write((realm.clone(), name.clone(), event), |tx, (realm, name, event)| {
            Box::pin(targets::delete(tx, realm, name, event))
        })
        .await
    }

    async fn delivery_is_due(&self, now: Timestamp) -> Result<bool, Unavailable> {
        self.point(now, |tx, now| Box::pin(deliveries::is_due(tx, *now))).await
    }

    async fn outbox_route(&self, now: Timestamp, limit: u32) -> Result<u32, Unavailable> {
        // Most of the time there is none, and looking costs the writer nothing.
        if !self.point((), |tx, ()| Box::pin(deliveries::note_waits(tx))).await? {
            return Ok(0);
        }
        self.write((now, limit), |tx, (now, limit)| Box::pin(outbox::route(tx, *now, *limit))).await
    }

    async fn delivery_claim(
        &self,
        lease: &Lease,
        realm: &RealmName,
        target: &TargetName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Unavailable> {
        let asked = (lease.clone(), realm.clone(), target.clone(), now, limit);
        self.write(asked, |tx, (lease, realm, target, now, limit)| {
            Box::pin(deliveries::claim(tx, lease, realm, target, *now, *limit))
        })
        .await
    }

    async fn delivery_rivals(
        &self,
        key: &DeliveryKey,
        now: Timestamp,
    ) -> Result<Vec<TargetName>, Unavailable> {
        self.point((key.clone(), now), |tx, (key, now)| Box::pin(deliveries::rivals(tx, key, *now)))
            .await
    }

    async fn delivery_settle(
        &self,
        lease: &Lease,
        settled: Vec<Settled>,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        let asked = (lease.clone(), settled, events, now);
        self.write(asked, |tx, (lease, settled, events, now)| {
            Box::pin(settling::settle(tx, lease, settled, events, *now))
        })
        .await
    }

    async fn delivery_want(&self, marks: Vec<Mark>, now: Timestamp) -> Result<(), Unavailable> {
        self.write((marks, now), |tx, (marks, now)| Box::pin(deliveries::want_all(tx, marks, *now)))
            .await
    }

    async fn delivery_list(
        &self,
        realm: &RealmName,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Unavailable> {
        self.scan((realm.clone(), filter, page), |tx, (realm, filter, page)| {
            Box::pin(deliveries::list(tx, realm, filter, page))
        })
        .await
    }

    async fn delivery_backlog(&self) -> Result<Vec<Backlog>, Unavailable> {
        self.scan((), |tx, ()| Box::pin(deliveries::backlog(tx))).await
    }

    async fn event_find(&self, realm: &RealmName, id: &str) -> Result<Option<Event>, Unavailable> {
        self.point((realm.clone(), id.to_owned()), |tx, (realm, id)| {
            Box::pin(events::find(tx, realm, id))
        })
        .await
    }

    async fn directory_tokens(
        &self,
        realm: &RealmName,
        user: &Username,
        now: Timestamp,
    ) -> Result<Vec<DirectoryToken>, Unavailable> {
        self.point((realm.clone(), user.clone(), now), |tx, (realm, user, now)| {
            Box::pin(hashes::of_user(tx, realm, user, *now))
        })
        .await
    }
}
