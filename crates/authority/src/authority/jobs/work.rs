//! The worker: one process at a time has the lease, and the store looks at it with every change.

use super::asked::AskedBy;
use super::{JobAct, JobSet};
use crate::authority::bulk::changes;
use crate::authority::{Authority, Expiry, TokenEdit};
use crate::caller::Caller;
use crate::event::Origin;
use crate::refusal::Refusal;
use crate::store::{Job, JobApplied, JobApply, JobChange, JobItem, JobItemState, JobState, Lease};
use crate::token::Token;
use crate::verdict::Door;

/// The lease under which jobs are worked on.
const LEASE: &str = "jobs";
/// A worker that died is replaced after so long. Short, because nothing is written elsewhere: the
/// store refuses every change of a worker that was overtaken.
const LEASE_SECONDS: i64 = 5;
/// Tokens of one step.
const ITEMS_PER_STEP: u32 = 100;
/// A step stops long before its lease does.
const STEP_MICROS_MAX: i64 = 2_000_000;
/// Attempts at a token that others change at the same time.
const ATTEMPTS: usize = 8;

impl Authority {
    /// Works on the oldest job, as far as one step goes. True if there is more to do at once.
    ///
    /// # Errors
    ///
    /// The store could not answer; the next step goes on where this one ended.
    pub async fn work_jobs(&self) -> Result<bool, Refusal> {
        if self.store.job_next().await?.is_none() {
            return Ok(false);
        }
        let began = self.now();
        let until = began.plus_seconds(LEASE_SECONDS);
        let Some(lease) = self.store.lease_take(LEASE, &self.node, began, until).await? else {
            return Ok(false);
        };
        *self.working_lease.lock() = Some(lease.clone());
        // Under the lease: the one before may have been somebody else's last.
        let Some(job) = self.store.job_next().await? else { return Ok(false) };
        let read = serde_json::from_str::<JobAct>(&job.act);
        let asked = serde_json::from_str::<AskedBy>(&job.asked_by);
        let (Ok(act), Ok(asked)) = (read, asked) else {
            self.end_job(&job, JobState::Stopped, "a later version asked for it").await?;
            return Ok(true);
        };
        let items = self.store.job_items(&job.id, JobItemState::Waiting, 0, ITEMS_PER_STEP).await?;
        if items.is_empty() {
            self.end_job(&job, JobState::Done, "").await?;
            return Ok(true);
        }
        let Some(caller) = self.asker(&asked).await? else {
            self.end_job(&job, JobState::Stopped, "who asked for it may not any more").await?;
            return Ok(true);
        };
        for item in items {
            if self.now().micros() - began.micros() > STEP_MICROS_MAX {
                break;
            }
            if !self.work_item(&lease, &job, &act, &caller, &item).await? {
                break;
            }
        }
        Ok(true)
    }

    async fn end_job(&self, job: &Job, state: JobState, why: &str) -> Result<(), Refusal> {
        let now = self.now();
        let detail = serde_json::json!({ "job": job.id });
        let origin = Origin::system(Door::Api);
        let mut event = self.event("job.ended", &job.realm, &origin, now)?.with_detail(detail);
        if !why.is_empty() {
            event = event.with_reason(why);
        }
        self.store.job_end(&job.realm, &job.id, state, now, event).await?;
        Ok(())
    }

    /// Changes one token, or notes why not; false if somebody else works on the job, or stopped it.
    async fn work_item(
        &self,
        lease: &Lease,
        job: &Job,
        act: &JobAct,
        caller: &Caller,
        item: &JobItem,
    ) -> Result<bool, Refusal> {
        let settle = async |state, reason: String| {
            self.store.job_settle(lease.clone(), &job.id, item.place, state, reason).await
        };
        for _ in 0..ATTEMPTS {
            let change = match self.job_change(job, act, caller, item).await {
                Ok(Some(change)) => change,
                Ok(None) => {
                    settle(JobItemState::Skipped, "it was so already".to_owned()).await?;
                    return Ok(true);
                }
                Err(
                    refusal @ (Refusal::Unavailable(_)
                    | Refusal::Overloaded
                    | Refusal::NoEntropy(_)),
                ) => return Err(refusal),
                Err(refusal) => {
                    settle(JobItemState::Failed, refusal.to_string()).await?;
                    return Ok(true);
                }
            };
            let (lease, id, place) = (lease.clone(), job.id.clone(), item.place);
            let apply = JobApply { lease, job: id, place, change };
            match self.store.job_apply(apply).await? {
                JobApplied::Done => return Ok(true),
                JobApplied::Overtaken => return Ok(false),
                JobApplied::Again => {}
                JobApplied::Refused(why) => {
                    settle(JobItemState::Failed, why).await?;
                    return Ok(true);
                }
            }
        }
        settle(JobItemState::Failed, "it is changed all the time".to_owned()).await?;
        Ok(true)
    }

    /// What is to be stored for a token; `None` if it is so already.
    async fn job_change(
        &self,
        job: &Job,
        act: &JobAct,
        caller: &Caller,
        item: &JobItem,
    ) -> Result<Option<JobChange>, Refusal> {
        let (realm, id) = (&job.realm, item.token);
        if let Some(switch) = act.switch() {
            let token = self.changeable(caller, realm, id, &switch).await?;
            if !changes(&switch, &token) {
                return Ok(None);
            }
            let change = self.token_change_of(&caller.origin, &token, switch, None)?;
            return Ok(Some(JobChange::Switch(change)));
        }
        Ok(Some(match act {
            JobAct::Delete => JobChange::Remove(self.job_removal(caller, realm, id).await?),
            JobAct::Assign => {
                JobChange::Assign(self.job_assignment(caller, realm, id, item.to.clone()).await?)
            }
            JobAct::Set(set) => {
                let token = self.reachable(caller, realm, id).await?;
                let edit = edit_of(set, &token);
                let update = self.planned_edit(caller, realm, id, &edit, None).await?;
                JobChange::Update(Box::new(update))
            }
            _ => return Ok(None),
        }))
    }
}

/// The edit of one token: what a job writes beside what the token has.
fn edit_of(set: &JobSet, token: &Token) -> TokenEdit {
    let text = |given: &Option<String>| {
        given.as_ref().map(|text| (!text.is_empty()).then(|| text.clone()))
    };
    let labels = (!set.labels.is_empty()).then(|| {
        let mut labels = token.labels.clone();
        for (name, value) in &set.labels {
            match value.as_str() {
                "" => drop(labels.remove(name)),
                value => drop(labels.insert(name.clone(), value.to_owned())),
            }
        }
        labels
    });
    TokenEdit {
        description: text(&set.description),
        tracking_id: text(&set.tracking_id),
        expires: set.expires_at.map(|at| Expiry::At(crate::clock::Timestamp::from_micros(at))),
        labels,
        ..TokenEdit::default()
    }
}
