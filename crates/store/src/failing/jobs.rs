//! Operations on activation letters and jobs, of a store that is down on command.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret_hash::Mac256;
use counterfoil_authority::store::{
    Job, JobApplied, JobApply, JobItem, JobItemState, JobState, JobStore, Lease, Letter,
    LetterFilter, LetterOrdered, LetterPrint, LetterRedeem, LetterStore, Page, PageRequest,
    Unavailable,
};
use counterfoil_authority::token::Token;

use super::{FailingStore, Fate, Told};

#[async_trait]
impl LetterStore for FailingStore {
    async fn letter_order(
        &self,
        letter: Letter,
        event: Event,
    ) -> Result<LetterOrdered, Unavailable> {
        pass!(self.letter_order(letter, event))
    }
    async fn letter_find(
        &self,
        realm: &RealmName,
        id: &str,
    ) -> Result<Option<Letter>, Unavailable> {
        pass!(self.letter_find(realm, id))
    }
    async fn letter_by_hash(&self, mac: Mac256) -> Result<Option<Letter>, Unavailable> {
        pass!(self.letter_by_hash(mac))
    }
    async fn letter_list(
        &self,
        realm: &RealmName,
        filter: LetterFilter,
        page: PageRequest,
    ) -> Result<Page<Letter>, Unavailable> {
        pass!(self.letter_list(realm, filter, page))
    }
    async fn letter_print(&self, print: LetterPrint) -> Result<Option<Letter>, Unavailable> {
        pass!(self.letter_print(print))
    }
    async fn letter_cancel(
        &self,
        realm: &RealmName,
        id: &str,
        at: Timestamp,
        event: Event,
    ) -> Result<Option<Letter>, Unavailable> {
        pass!(self.letter_cancel(realm, id, at, event))
    }
    async fn letter_redeem(&self, redeem: LetterRedeem) -> Result<Option<Token>, Unavailable> {
        pass!(self.letter_redeem(redeem))
    }
}

#[async_trait]
impl JobStore for FailingStore {
    async fn job_create(
        &self,
        job: Job,
        items: Vec<JobItem>,
        event: Event,
    ) -> Result<(), Unavailable> {
        pass!(self.job_create(job, items, event))
    }
    async fn job_find(&self, realm: &RealmName, id: &str) -> Result<Option<Job>, Unavailable> {
        pass!(self.job_find(realm, id))
    }
    async fn job_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Job>, Unavailable> {
        pass!(self.job_list(realm, page))
    }
    async fn job_next(&self) -> Result<Option<Job>, Unavailable> {
        pass!(self.job_next())
    }
    async fn job_items(
        &self,
        job: &str,
        state: JobItemState,
        from: u32,
        limit: u32,
    ) -> Result<Vec<JobItem>, Unavailable> {
        pass!(self.job_items(job, state, from, limit))
    }
    async fn job_apply(&self, apply: JobApply) -> Result<JobApplied, Unavailable> {
        pass!(self.job_apply(apply))
    }
    async fn job_settle(
        &self,
        lease: Lease,
        job: &str,
        place: u32,
        state: JobItemState,
        reason: String,
    ) -> Result<(), Unavailable> {
        pass!(self.job_settle(lease, job, place, state, reason))
    }
    async fn job_end(
        &self,
        realm: &RealmName,
        id: &str,
        state: JobState,
        at: Timestamp,
        event: Event,
    ) -> Result<Option<Job>, Unavailable> {
        pass!(self.job_end(realm, id, state, at, event))
    }
}
