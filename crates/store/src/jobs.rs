//! Jobs in SQL.
//!
//! Invariant: a token and the item that stands for it change in one transaction, under a guard that
//! the item waits and the job runs; so whatever breaks, each token is changed once.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::store::{
    JOB_RETENTION_SECONDS, Job, JobApplied, JobApply, JobChange, JobCounts, JobItem, JobItemState,
    JobState, JobStore, Lease, Moved, Page, PageRequest, TokenUpdated, Unavailable, Updated,
};

use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::people::page;
use crate::{SqlStore, codec, events, leases, tokens};

macro_rules! columns {
    () => {
        "
select id, realm, act, asked_by, actor, state, created_at, ended_at
from   job
"
    };
}

const FIND: &str = concat!(columns!(), "where realm = $1 and id = $2");
const LIST: &str = concat!(columns!(), "where realm = $1 and id < $2 order by id desc limit $3");
const NEXT: &str = concat!(columns!(), "where state = 'running'\norder  by id\nlimit  1");

const COUNTS: &str = "
select state, count(*) as number
from   job_item
where  job = $1
group  by state
order  by state";

const INSERT: &str = "
insert into job (id, realm, act, asked_by, actor, state, created_at)
values ($1, $2, $3, $4, $5, $6, $7)";

const ADD_ITEM: &str = "
insert into job_item (job, place, token, recipient, state, reason)
values ($1, $2, $3, $4, $5, $6)";

const ITEMS: &str = "
select place, token, recipient, state, reason
from   job_item
where  job = $1
and    state = $2
and    place >= $3
order  by place
limit  $4";

const MARK: &str = "
update job_item
set    state = $3, reason = $4
where  job = $1
and    place = $2
and    state = 'waiting'
and    exists (
    select 1
    from   job j
    where  j.id = $1
    and    j.state = 'running'
)";

const END: &str = "
update job
set    state = $3, ended_at = $4
where  realm = $1
and    id = $2
and    state = 'running'";

/// The oldest job that nobody asks about any more.
const FORGOTTEN: &str = "
select id
from   job
where  ended_at <= $1
order  by ended_at
limit  1";

const FORGET_ITEMS: &str = "
delete from job_item
where  job = $1";

const FORGET: &str = "
delete from job
where  id = $1";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[
    FIND,
    LIST,
    NEXT,
    COUNTS,
    INSERT,
    ADD_ITEM,
    ITEMS,
    MARK,
    END,
    FORGOTTEN,
    FORGET_ITEMS,
    FORGET,
];

/// Removes one job that is past its retention.
pub(crate) async fn purge(tx: &mut Transaction<'_>, now: Timestamp) -> Result<u64, Failure> {
    let before = now.plus_seconds(-JOB_RETENTION_SECONDS);
    let Some(mut row) = tx.row(FORGOTTEN, &values![before]).await? else { return Ok(0) };
    let id = row.text("id")?;
    let items = tx.execute(FORGET_ITEMS, &values![&id]).await?;
    Ok(items + tx.execute(FORGET, &values![&id]).await?)
}

fn job_of(mut row: Row) -> Result<Job, Inconsistent> {
    Ok(Job {
        id: row.text("id")?,
        realm: codec::realm(&mut row, "realm")?,
        act: row.text("act")?,
        asked_by: row.text("asked_by")?,
        actor: row.text("actor")?,
        state: row.parsed("state", JobState::from_name)?,
        created_at: row.time("created_at")?,
        ended_at: row.time_or_null("ended_at")?,
        counts: JobCounts::default(),
    })
}

fn item_of(mut row: Row) -> Result<JobItem, Inconsistent> {
    Ok(JobItem {
        place: row.small("place")?,
        token: row.token("token")?,
        to: row.parsed_or_null("recipient", |name| Username::parse(name).ok())?,
        state: row.parsed("state", JobItemState::from_name)?,
        reason: row.text_or_null("reason")?,
    })
}

async fn counted(tx: &mut Transaction<'_>, job: Job) -> Result<Job, Failure> {
    let mut counts = JobCounts::default();
    for mut row in tx.query(COUNTS, &values![&job.id]).await? {
        let state = row.parsed("state", JobItemState::from_name)?;
        counts.add(state, row.count("number")?);
    }
    Ok(Job { counts, ..job })
}

async fn one(tx: &mut Transaction<'_>, row: Option<Row>) -> Result<Option<Job>, Failure> {
    match row {
        Some(row) => counted(tx, job_of(row)?).await.map(Some),
        None => Ok(None),
    }
}

async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
) -> Result<Option<Job>, Failure> {
    let row = tx.row(FIND, &values![realm, id]).await?;
    one(tx, row).await
}

async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    request: &PageRequest,
) -> Result<Page<Job>, Failure> {
    let values = values![realm, page::top(request), page::rows_to_ask(request)];
    let rows = tx.query(LIST, &values).await?;
    let found = page::of(rows, request, job_of, |job| job.id.clone())?;
    let mut items = Vec::with_capacity(found.items.len());
    for job in found.items {
        items.push(counted(tx, job).await?);
    }
    Ok(Page { items, next: found.next })
}

async fn create(
    tx: &mut Transaction<'_>,
    job: &Job,
    items: &[JobItem],
    event: &Event,
) -> Result<(), Failure> {
    let Job { id, realm, act, asked_by, actor, state, created_at, .. } = job;
    let values = values![id, realm, act, asked_by, actor, state.name(), *created_at];
    tx.execute(INSERT, &values).await?;
    for item in items {
        let JobItem { place, token, to, state, reason } = item;
        let to = to.as_ref().map(Username::as_str);
        tx.push(ADD_ITEM, &values![id, *place, token, to, state.name(), reason.as_ref()]).await?;
    }
    events::append(tx, event).await
}

async fn apply(tx: &mut Transaction<'_>, apply: &JobApply) -> Result<JobApplied, Failure> {
    let JobApply { lease, job, place, change } = apply;
    if !leases::holds(tx, lease).await? {
        return Ok(JobApplied::Overtaken);
    }
    let done = values![job, *place, JobItemState::Done.name(), None::<&str>];
    if tx.execute(MARK, &done).await? == 0 {
        return Ok(JobApplied::Overtaken);
    }
    let applied = match change {
        JobChange::Switch(change) => switched(&tokens::change(tx, change).await?),
        JobChange::Remove(removal) => moved(&tokens::remove(tx, removal).await?),
        JobChange::Assign(assign) => moved(&tokens::assign(tx, assign).await?),
        JobChange::Update(update) => updated(&tokens::update(tx, update).await?),
    };
    if applied != JobApplied::Done {
        tx.undo();
    }
    Ok(applied)
}

/// What a switch came to.
pub(crate) fn switched<T>(updated: &Updated<T>) -> JobApplied {
    match updated {
        Updated::Done(_) => JobApplied::Done,
        Updated::VersionMismatch => JobApplied::Again,
        Updated::NotFound => JobApplied::Refused("there is no such token".to_owned()),
        Updated::Exists => JobApplied::Refused("the name is taken".to_owned()),
        Updated::Missing(what) => JobApplied::Refused(format!("there is no such {what}")),
    }
}

/// What a move came to.
pub(crate) fn moved(moved: &Moved) -> JobApplied {
    let refused = |why: &str| JobApplied::Refused(why.to_owned());
    match moved {
        Moved::Done(_) => JobApplied::Done,
        Moved::VersionMismatch => JobApplied::Again,
        Moved::NotFound => refused("there is no such token in a repository"),
        Moved::AtLimit(max) => {
            JobApplied::Refused(format!("the limit of {max} tokens per person is reached"))
        }
        Moved::OwnerGone => refused("there is no such user"),
        Moved::Assigned => refused("somebody has it already"),
        Moved::Unassigned => refused("nobody has it"),
        Moved::Ended => refused("the token is revoked"),
    }
}

/// What an edit came to.
pub(crate) fn updated(updated: &TokenUpdated) -> JobApplied {
    let refused = |why: &str| JobApplied::Refused(why.to_owned());
    match updated {
        TokenUpdated::Done(_) => JobApplied::Done,
        TokenUpdated::VersionMismatch | TokenUpdated::UsedSince => JobApplied::Again,
        TokenUpdated::NotFound => refused("there is no such token"),
        TokenUpdated::UnitGone => refused("there is no such unit"),
        TokenUpdated::ServiceGone(_) => refused("there is no such service"),
        TokenUpdated::SerialTaken => refused("another token of the repository has this serial"),
        TokenUpdated::AtLimit(max) => {
            JobApplied::Refused(format!("the limit of {max} tokens per person is reached"))
        }
        TokenUpdated::CountTaken(_) => refused("more draws are taken than would be left"),
    }
}

async fn settle(
    tx: &mut Transaction<'_>,
    lease: &Lease,
    job: &str,
    place: u32,
    (state, reason): (JobItemState, &str),
) -> Result<(), Failure> {
    if leases::holds(tx, lease).await? {
        tx.execute(MARK, &values![job, place, state.name(), Some(reason)]).await?;
    }
    Ok(())
}

async fn end(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
    state: JobState,
    at: Timestamp,
    event: &Event,
) -> Result<Option<Job>, Failure> {
    if tx.execute(END, &values![realm, id, state.name(), at]).await? == 0 {
        return Ok(None);
    }
    events::append(tx, event).await?;
    find(tx, realm, id).await
}

#[async_trait]
impl JobStore for SqlStore {
    async fn job_create(
        &self,
        job: Job,
        items: Vec<JobItem>,
        event: Event,
    ) -> Result<(), Unavailable> {
        self.write((job, items, event), |tx, (job, items, event)| {
            Box::pin(create(tx, job, items, event))
        })
        .await
    }

    async fn job_find(&self, realm: &RealmName, id: &str) -> Result<Option<Job>, Unavailable> {
        self.point((realm.clone(), id.to_owned()), |tx, (realm, id)| Box::pin(find(tx, realm, id)))
            .await
    }

    async fn job_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Job>, Unavailable> {
        self.scan((realm.clone(), page), |tx, (realm, page)| Box::pin(list(tx, realm, page))).await
    }

    async fn job_next(&self) -> Result<Option<Job>, Unavailable> {
        self.point((), |tx, ()| {
            Box::pin(async move {
                let row = tx.row(NEXT, &[]).await?;
                Ok(row.map(job_of).transpose()?)
            })
        })
        .await
    }

    async fn job_items(
        &self,
        job: &str,
        state: JobItemState,
        from: u32,
        limit: u32,
    ) -> Result<Vec<JobItem>, Unavailable> {
        self.point((job.to_owned(), state, from, limit), |tx, (job, state, from, limit)| {
            Box::pin(async move {
                let rows = tx.query(ITEMS, &values![job, state.name(), *from, *limit]).await?;
                Ok(rows.into_iter().map(item_of).collect::<Result<_, _>>()?)
            })
        })
        .await
    }

    async fn job_apply(&self, applying: JobApply) -> Result<JobApplied, Unavailable> {
        self.write(applying, |tx, applying| Box::pin(apply(tx, applying))).await
    }

    async fn job_settle(
        &self,
        lease: Lease,
        job: &str,
        place: u32,
        state: JobItemState,
        reason: String,
    ) -> Result<(), Unavailable> {
        let asked = (lease, job.to_owned(), place, state, reason);
        self.write(asked, |tx, (lease, job, place, state, reason)| {
            Box::pin(settle(tx, lease, job, *place, (*state, reason)))
        })
        .await
    }

    async fn job_end(
        &self,
        realm: &RealmName,
        id: &str,
        state: JobState,
        at: Timestamp,
        event: Event,
    ) -> Result<Option<Job>, Unavailable> {
        let asked = (realm.clone(), id.to_owned(), state, at, event);
        self.write(asked, |tx, (realm, id, state, at, event)| {
            Box::pin(end(tx, realm, id, *state, *at, event))
        })
        .await
    }
}
