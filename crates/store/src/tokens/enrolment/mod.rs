//! Enrolment in SQL: draws, families of refresh secrets, requests that wait.

pub(super) mod decide;
pub(super) mod device;
mod draw;
pub(super) mod due;
mod queue;
mod reach;
mod refresh;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    BlastRadius, CountReturn, Enrol, Enrolled, EnrolmentStore, Refresh, Refreshed, Returned,
    Unavailable,
};
use counterfoil_authority::token::Token;

use crate::SqlStore;

pub(crate) use due::newly_heard;
pub(super) use due::{forget_end, tell_end};

/// The statements of these files.
pub(super) fn statements() -> Vec<&'static str> {
    [
        decide::STATEMENTS,
        device::STATEMENTS,
        draw::STATEMENTS,
        due::STATEMENTS,
        reach::STATEMENTS,
        refresh::STATEMENTS,
    ]
    .concat()
}

#[async_trait]
impl EnrolmentStore for SqlStore {
    async fn enrol(&self, enrol: Enrol) -> Result<Enrolled, Unavailable> {
        self.draws.run(self, enrol).await
    }

    async fn enrolled_device(
        &self,
        realm: &RealmName,
        registration: TokenId,
        device_key: &str,
        now: Timestamp,
    ) -> Result<Option<Token>, Unavailable> {
        let asked = (realm.clone(), registration, device_key.to_owned(), now);
        self.scan(asked, |tx, (realm, registration, key, now)| {
            Box::pin(reach::of_device(tx, realm, *registration, key, *now))
        })
        .await
    }

    async fn refresh(&self, refresh: Refresh) -> Result<Refreshed, Unavailable> {
        self.write(refresh, |tx, refresh| Box::pin(refresh::refresh(tx, refresh))).await
    }

    async fn enrolment_waiting(
        &self,
        realm: &RealmName,
        user_code: &str,
    ) -> Result<Option<Token>, Unavailable> {
        self.scan((realm.clone(), user_code.to_owned()), |tx, (realm, code)| {
            Box::pin(reach::waiting(tx, realm, code))
        })
        .await
    }

    async fn count_return(&self, back: CountReturn) -> Result<Returned, Unavailable> {
        self.write(back, |tx, back| Box::pin(decide::give_back(tx, back))).await
    }

    async fn blast_radius(&self, id: TokenId, now: Timestamp) -> Result<BlastRadius, Unavailable> {
        self.scan((id, now), |tx, (id, now)| Box::pin(reach::blast_radius(tx, *id, *now))).await
    }

    async fn enrolment_due(
        &self,
        now: Timestamp,
        limit: u32,
        cause: Event,
    ) -> Result<u64, Unavailable> {
        // Nearly always there is nothing, and looking costs no writer anything.
        if !self.scan(now, |tx, now| Box::pin(due::is_any(tx, *now))).await? {
            return Ok(0);
        }
        self.write((now, limit, cause), |tx, (now, limit, cause)| {
            Box::pin(due::due(tx, *now, *limit, cause))
        })
        .await
    }
}

pub(crate) use queue::Draws;
