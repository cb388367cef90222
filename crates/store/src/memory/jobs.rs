//! Jobs, in memory.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    JOB_RETENTION_SECONDS, Job, JobApplied, JobApply, JobChange, JobCounts, JobItem, JobItemState,
    JobState, JobStore, Lease, Page, PageRequest, Unavailable,
};

use super::{MemoryStore, State, page_down};
use crate::jobs::{moved, switched, updated};

/// A job with its items, by their places.
#[derive(Clone)]
pub(super) struct Kept {
    job: Job,
    items: Vec<JobItem>,
}

impl Kept {
    fn shown(&self) -> Job {
        let mut counts = JobCounts::default();
        for item in &self.items {
            counts.add(item.state, 1);
        }
        Job { counts, ..self.job.clone() }
    }
}

impl State {
    /// The item of a place, if it waits and its job runs.
    fn waiting(&mut self, lease: &Lease, job: &str, place: u32) -> Option<&mut JobItem> {
        if !self.holds(lease) {
            return None;
        }
        let kept = self.jobs.get_mut(job).filter(|kept| kept.job.state == JobState::Running)?;
        let item = kept.items.iter_mut().find(|item| item.place == place)?;
        (item.state == JobItemState::Waiting).then_some(item)
    }

    /// Forgets one job that is past its retention.
    pub(super) fn forget_job(&mut self, now: Timestamp) -> usize {
        let before = now.plus_seconds(-JOB_RETENTION_SECONDS);
        let old =
            self.jobs.iter().find(|(_, kept)| kept.job.ended_at.is_some_and(|at| at <= before));
        let Some(id) = old.map(|(id, _)| id.clone()) else { return 0 };
        self.jobs.remove(&id).map_or(0, |kept| kept.items.len() + 1)
    }

    fn apply_job(&mut self, apply: &JobApply) -> JobApplied {
        let JobApply { lease, job, place, change } = apply;
        if self.waiting(lease, job, *place).is_none() {
            return JobApplied::Overtaken;
        }
        let before = self.clone();
        let applied = match change {
            JobChange::Switch(change) => switched(&self.change(change)),
            JobChange::Remove(removal) => moved(&self.remove_listing(removal)),
            JobChange::Assign(assign) => moved(&self.assign(assign)),
            JobChange::Update(update) => updated(&self.update(update)),
        };
        if applied != JobApplied::Done {
            *self = before;
        } else if let Some(item) = self.waiting(lease, job, *place) {
            item.state = JobItemState::Done;
        }
        applied
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn job_create(
        &self,
        job: Job,
        items: Vec<JobItem>,
        event: Event,
    ) -> Result<(), Unavailable> {
        self.write(|state| {
            state.jobs.insert(job.id.clone(), Kept { job, items });
            state.record(&event);
        });
        Ok(())
    }

    async fn job_find(&self, realm: &RealmName, id: &str) -> Result<Option<Job>, Unavailable> {
        Ok(self.read(|state| {
            state.jobs.get(id).filter(|kept| kept.job.realm == *realm).map(Kept::shown)
        }))
    }

    async fn job_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Job>, Unavailable> {
        Ok(self.read(|state| {
            let of_realm = state.jobs.values().filter(|kept| kept.job.realm == *realm);
            page_down(of_realm.map(Kept::shown).collect(), &page, |job| job.id.clone())
        }))
    }

    async fn job_next(&self) -> Result<Option<Job>, Unavailable> {
        Ok(self.read(|state| {
            let mut all = state.jobs.values();
            all.find(|kept| kept.job.state == JobState::Running).map(|kept| kept.job.clone())
        }))
    }

    async fn job_items(
        &self,
        job: &str,
        state: JobItemState,
        from: u32,
        limit: u32,
    ) -> Result<Vec<JobItem>, Unavailable> {
        Ok(self.read(|all| {
            let items = all.jobs.get(job).map_or(&[][..], |kept| &kept.items);
            let found = items.iter().filter(|item| item.state == state && item.place >= from);
            found.take(limit as usize).cloned().collect()
        }))
    }

    async fn job_apply(&self, apply: JobApply) -> Result<JobApplied, Unavailable> {
        Ok(self.write(|state| state.apply_job(&apply)))
    }

    async fn job_settle(
        &self,
        lease: Lease,
        job: &str,
        place: u32,
        state: JobItemState,
        reason: String,
    ) -> Result<(), Unavailable> {
        self.write(|all| {
            if let Some(item) = all.waiting(&lease, job, place) {
                (item.state, item.reason) = (state, Some(reason));
            }
        });
        Ok(())
    }

    async fn job_end(
        &self,
        realm: &RealmName,
        id: &str,
        state: JobState,
        at: Timestamp,
        event: Event,
    ) -> Result<Option<Job>, Unavailable> {
        Ok(self.write(|all| {
            let kept = all.jobs.get_mut(id).filter(|kept| kept.job.realm == *realm)?;
            if kept.job.state != JobState::Running {
                return None;
            }
            (kept.job.state, kept.job.ended_at) = (state, Some(at));
            let shown = kept.shown();
            all.record(&event);
            Some(shown)
        }))
    }
}
