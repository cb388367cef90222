//! Acts on many tokens as jobs: planned when they are asked for, worked on beside the requests.
//!
//! Which tokens a job is about is settled when it is asked for, and so is that the caller may do
//! it; whether they may still, and whether the token is still so, is looked at again when its turn
//! comes. The change of a token and the note that it was changed are one transaction, so a process
//! that dies leaves nothing half done, and nothing is done twice.

mod asked;
mod plan;
mod work;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::asked::AskedBy;
pub use self::plan::JobPlan;
use super::{Act, Authority};
use crate::caller::Caller;
use crate::event::time_ordered_id;
use crate::names::{RealmName, RepositoryName, Username};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::store::{
    Job, JobCounts, JobItem, JobItemState, JobState, ListingFilter, Page, PageRequest, TokenFilter,
};

/// What a job does to each token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum JobAct {
    /// Switches it on.
    Enable,
    /// Switches it off.
    Disable,
    /// Locks it.
    Lock,
    /// Unlocks it.
    Unlock,
    /// Ends it for good.
    Revoke {
        /// Why.
        reason: Option<String>,
    },
    /// Ends it, and takes it out of its repository.
    Delete,
    /// Gives it to a person.
    Assign,
    /// Writes attributes.
    Set(JobSet),
}

/// Attributes that a job writes. Absent ones stay; an empty text clears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSet {
    /// What it is for.
    pub description: Option<String>,
    /// Tracking id.
    pub tracking_id: Option<String>,
    /// When it ends, in microseconds.
    pub expires_at: Option<i64>,
    /// Labels, beside those that are there.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl JobAct {
    /// The name on the wire and in events.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Revoke { .. } => "revoke",
            Self::Delete => "delete",
            Self::Assign => "assign",
            Self::Set(_) => "set",
        }
    }

    /// The switch that it is, if it is one.
    pub(in crate::authority) fn switch(&self) -> Option<Act> {
        Some(match self {
            Self::Enable => Act::Enable,
            Self::Disable => Act::Disable,
            Self::Lock => Act::Lock,
            Self::Unlock => Act::Unlock,
            Self::Revoke { reason } => Act::Revoke { reason: reason.clone() },
            Self::Delete | Self::Assign | Self::Set(_) => return None,
        })
    }
}

/// Which tokens a job is about.
#[derive(Debug, Clone)]
pub enum JobSelection {
    /// These.
    Ids(Vec<TokenId>),
    /// Those of a filter, which names whose.
    Tokens(Box<TokenFilter>),
    /// Those of a repository.
    Repository(RepositoryName, Box<ListingFilter>),
}

/// A job that somebody asks for.
#[derive(Debug, Clone)]
pub struct JobWish {
    /// What is done.
    pub act: JobAct,
    /// To which tokens.
    pub selection: JobSelection,
    /// To whom they go, one each, if they are assigned.
    pub users: Vec<Username>,
}

impl Authority {
    /// Whether a caller may ask for jobs at all: who may not, learns nothing about what a request
    /// lacks.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`], or that there is no such realm.
    pub fn may_ask_for_jobs(caller: &Caller, realm: &RealmName) -> Result<(), Refusal> {
        caller.reach(realm, ApiScope::TokensRead)?;
        Self::reach_to_write(caller, realm).map(drop)
    }

    /// Says what a job would be about.
    pub async fn job_preview(
        &self,
        caller: &Caller,
        realm: &RealmName,
        wish: &JobWish,
    ) -> Result<JobPlan, Refusal> {
        self.plan_job(caller, realm, wish).await
    }

    /// Asks for a job. It is worked on beside the requests; [`Authority::job`] says how far it is.
    pub async fn job_start(
        &self,
        caller: &Caller,
        realm: &RealmName,
        wish: &JobWish,
    ) -> Result<(Job, JobPlan), Refusal> {
        let plan = self.plan_job(caller, realm, wish).await?;
        let now = self.now();
        let id = time_ordered_id(now, self.entropy())?;
        let items: Vec<JobItem> = plan
            .tokens
            .iter()
            .zip(0..)
            .map(|((token, to), place)| JobItem {
                place,
                token: token.id,
                to: to.clone(),
                state: JobItemState::Waiting,
                reason: None,
            })
            .collect();
        let counts = JobCounts { waiting: items.len() as u64, ..JobCounts::default() };
        let written =
            |what: serde_json::Result<String>| what.map_err(|error| Refusal::invalid("act", error));
        let job = Job {
            id,
            realm: realm.clone(),
            act: written(serde_json::to_string(&wish.act))?,
            asked_by: written(serde_json::to_string(&AskedBy::of(caller)))?,
            actor: caller.origin.actor.to_string(),
            state: JobState::Running,
            created_at: now,
            ended_at: None,
            counts,
        };
        let detail = serde_json::json!({
            "job": job.id, "act": wish.act.name(), "tokens": items.len(),
        });
        let event = self.event("job.started", realm, &caller.origin, now)?.with_detail(detail);
        self.store.job_create(job.clone(), items, event).await?;
        Ok((job, plan))
    }

    /// A job of the realm.
    pub async fn job(&self, caller: &Caller, realm: &RealmName, id: &str) -> Result<Job, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensRead)?;
        let found = self.store.job_find(realm, id).await?;
        let theirs = |job: &Job| reach.whole || *job.actor == *caller.origin.actor;
        found.filter(theirs).ok_or(Refusal::NotFound(Thing::Job))
    }

    /// The tokens of a job that were refused, or skipped, at most a thousand.
    pub async fn job_failures(&self, job: &Job) -> Result<Vec<JobItem>, Refusal> {
        let mut items =
            self.store.job_items(&job.id, JobItemState::Failed, 0, FAILURES_SHOWN).await?;
        let skipped =
            self.store.job_items(&job.id, JobItemState::Skipped, 0, FAILURES_SHOWN).await?;
        items.extend(skipped);
        items.truncate(FAILURES_SHOWN as usize);
        Ok(items)
    }

    /// Jobs of the realm, the newest first.
    pub async fn jobs(
        &self,
        caller: &Caller,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Job>, Refusal> {
        caller.require_whole(realm, ApiScope::TokensRead)?;
        self.realm_facts(realm).await?;
        Ok(self.store.job_list(realm, page).await?)
    }

    /// Stops a job: what it has done stays done, the rest is left alone. Idempotent.
    pub async fn job_cancel(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
    ) -> Result<Job, Refusal> {
        let (reach, _) = Self::reach_to_write(caller, realm)?;
        let found = self.store.job_find(realm, id).await?;
        let theirs = |job: &Job| reach.whole || *job.actor == *caller.origin.actor;
        let job = found.filter(theirs).ok_or(Refusal::NotFound(Thing::Job))?;
        let now = self.now();
        let detail = serde_json::json!({ "job": job.id });
        let event = self.event("job.cancelled", realm, &caller.origin, now)?.with_detail(detail);
        let ended = self.store.job_end(realm, id, JobState::Cancelled, now, event).await?;
        Ok(ended.unwrap_or(job))
    }
}

/// Refused or skipped tokens that are shown of one job at most.
const FAILURES_SHOWN: u32 = 1000;
