//! Jobs: acts on many tokens that outlive the request that asked for them, and the process that
//! worked on them.

use async_trait::async_trait;

use super::{
    Assign, Lease, ListingRemove, Page, PageRequest, TokenChange, TokenUpdate, Unavailable,
};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::{RealmName, Username};
use crate::secret::TokenId;

/// Tokens of one job at most.
pub const JOB_TOKENS_MAX: usize = 10_000;

/// How long a job is remembered after its end.
pub const JOB_RETENTION_SECONDS: i64 = 90 * 86_400;

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It is worked on, or waits for its turn.
    Running,
    /// Every token of it was looked at.
    Done,
    /// Somebody stopped it.
    Cancelled,
    /// Who asked for it may not do it any more.
    Stopped,
}

impl JobState {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
        }
    }

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Running, Self::Done, Self::Cancelled, Self::Stopped];
        all.into_iter().find(|state| state.name() == name)
    }
}

/// What became of one token of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobItemState {
    /// Nothing yet.
    Waiting,
    /// It was changed, in the very transaction that says so.
    Done,
    /// It was so already.
    Skipped,
    /// It was refused.
    Failed,
}

impl JobItemState {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Waiting, Self::Done, Self::Skipped, Self::Failed];
        all.into_iter().find(|state| state.name() == name)
    }
}

/// How many tokens of a job are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobCounts {
    /// Not looked at.
    pub waiting: u64,
    /// Changed.
    pub done: u64,
    /// So already.
    pub skipped: u64,
    /// Refused.
    pub failed: u64,
}

impl JobCounts {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.waiting + self.done + self.skipped + self.failed
    }

    /// Counts so many more in a state.
    pub const fn add(&mut self, state: JobItemState, number: u64) {
        match state {
            JobItemState::Waiting => self.waiting += number,
            JobItemState::Done => self.done += number,
            JobItemState::Skipped => self.skipped += number,
            JobItemState::Failed => self.failed += number,
        }
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name; sorts by time.
    pub id: String,
    /// The tenant.
    pub realm: RealmName,
    /// What is done to each token, as the authority wrote it: JSON.
    pub act: String,
    /// Who asked for it, as the authority wrote it: JSON.
    pub asked_by: String,
    /// The same for people, `user:alice`.
    pub actor: String,
    /// How it stands.
    pub state: JobState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How far it is.
    pub counts: JobCounts,
}

/// One token of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobItem {
    /// Its place in the job, from 0.
    pub place: u32,
    /// The token.
    pub token: TokenId,
    /// To whom it goes, if it is assigned.
    pub to: Option<Username>,
    /// What became of it.
    pub state: JobItemState,
    /// Why it was skipped or refused.
    pub reason: Option<String>,
}

/// What is done to a token.
#[derive(Debug, Clone)]
pub enum JobChange {
    /// Its state is switched.
    Switch(TokenChange),
    /// It leaves its repository.
    Remove(ListingRemove),
    /// It is given to a person.
    Assign(Assign),
    /// It is edited.
    Update(Box<TokenUpdate>),
}

/// A change of one token of a job.
#[derive(Debug, Clone)]
pub struct JobApply {
    /// Under which the work is done.
    pub lease: Lease,
    /// The job.
    pub job: String,
    /// The item.
    pub place: u32,
    /// What is done.
    pub change: JobChange,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobApplied {
    /// The token is changed, and the item says so.
    Done,
    /// The job was stopped, the item is not waiting, or another node works on it: nothing was
    /// done.
    Overtaken,
    /// Somebody changed the token since it was read: nothing was done.
    Again,
    /// It cannot be done, for this reason: nothing was done.
    Refused(String),
}

/// Jobs of every realm.
#[async_trait]
pub trait JobStore {
    /// Stores a job with its items.
    async fn job_create(
        &self,
        job: Job,
        items: Vec<JobItem>,
        event: Event,
    ) -> Result<(), Unavailable>;
    /// Finds a job.
    async fn job_find(&self, realm: &RealmName, id: &str) -> Result<Option<Job>, Unavailable>;
    /// Lists jobs, the newest first.
    async fn job_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Job>, Unavailable>;
    /// The oldest running job of any realm.
    async fn job_next(&self) -> Result<Option<Job>, Unavailable>;
    /// Items of a job in a state, from a place on.
    async fn job_items(
        &self,
        job: &str,
        state: JobItemState,
        from: u32,
        limit: u32,
    ) -> Result<Vec<JobItem>, Unavailable>;
    /// Changes a token and marks its item, in one transaction: whatever breaks in between, each
    /// token is changed once.
    async fn job_apply(&self, apply: JobApply) -> Result<JobApplied, Unavailable>;
    /// Notes why a waiting item is skipped or refused.
    async fn job_settle(
        &self,
        lease: Lease,
        job: &str,
        place: u32,
        state: JobItemState,
        reason: String,
    ) -> Result<(), Unavailable>;
    /// Ends a running job; `None` if it does not run (any more).
    async fn job_end(
        &self,
        realm: &RealmName,
        id: &str,
        state: JobState,
        at: Timestamp,
        event: Event,
    ) -> Result<Option<Job>, Unavailable>;
}
