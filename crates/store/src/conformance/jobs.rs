//! Promises about jobs.

use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    JOB_RETENTION_SECONDS, Job, JobApplied, JobApply, JobChange, JobCounts, JobItem, JobItemState,
    JobState, Lease, PageRequest, TokenAct, TokenChange,
};
use counterfoil_authority::subject::User;

use super::World;
use super::world::race;

fn job(world: &World, at: i64) -> Job {
    Job {
        id: world.id(),
        realm: world.realm.clone(),
        act: r#"{"act":"disable"}"#.to_owned(),
        asked_by: "{}".to_owned(),
        actor: "user:root".to_owned(),
        state: JobState::Running,
        created_at: World::at(at),
        ended_at: None,
        counts: JobCounts::default(),
    }
}

/// A job about so many tokens of a person's.
async fn created(world: &World, user: &User, number: u32) -> (Job, Vec<JobItem>) {
    let mut items = Vec::new();
    for place in 0..number {
        let token = world.token_of(user).await.id;
        let (to, state) = (None, JobItemState::Waiting);
        items.push(JobItem { place, token, to, state, reason: None });
    }
    let mut job = job(world, 10);
    let event = world.event("job.started");
    world.store.job_create(job.clone(), items.clone(), event).await.unwrap();
    job.counts.waiting = u64::from(number);
    (job, items)
}

async fn lease(world: &World, name: &str) -> Lease {
    let (now, until) = (World::at(10), World::at(1_000));
    world.store.lease_take(name, "node", now, until).await.unwrap().unwrap()
}

fn disabling(world: &World, lease: &Lease, job: &Job, place: u32, token: TokenId) -> JobApply {
    let change = JobChange::Switch(TokenChange {
        realm: world.realm.clone(),
        id: token,
        act: TokenAct::Disable,
        expected_version: None,
        at: World::at(20),
        event: world.event("token.disabled"),
    });
    JobApply { lease: lease.clone(), job: job.id.clone(), place, change }
}

async fn found(world: &World, job: &Job) -> Job {
    world.store.job_find(&world.realm, &job.id).await.unwrap().unwrap()
}

/// The newest first, and in no other realm.
pub(super) async fn a_job_is_found_with_how_far_it_is(world: World) {
    let alice = world.user("alice").await;
    let (first, items) = created(&world, &alice, 3).await;
    let (second, _) = created(&world, &alice, 0).await;
    assert_eq!(found(&world, &first).await, first);
    let other = counterfoil_authority::names::RealmName::parse("elsewhere").unwrap();
    assert_eq!(world.store.job_find(&other, &first.id).await.unwrap(), None);
    let page = world.store.job_list(&world.realm, PageRequest::first(1)).await.unwrap();
    assert_eq!((page.items.as_slice(), page.next.is_some()), (&[second][..], true));
    let page = PageRequest { limit: 1, after: page.next };
    let page = world.store.job_list(&world.realm, page).await.unwrap();
    assert_eq!((page.items.as_slice(), page.next), (&[first.clone()][..], None));
    let waiting = world.store.job_items(&first.id, JobItemState::Waiting, 1, 9).await.unwrap();
    assert_eq!(waiting, items[1..]);
}

/// However many work on it, each token is changed once, and says so.
pub(super) async fn of_forty_who_work_on_an_item_one_changes_its_token(world: World) {
    let alice = world.user("alice").await;
    let (job, items) = created(&world, &alice, 2).await;
    let lease = lease(&world, "jobs-forty").await;
    let token = items[0].token;
    let applies: Vec<JobApply> =
        (0..40).map(|_| disabling(&world, &lease, &job, 0, token)).collect();
    let answers = race(40, |n| {
        let (store, apply) = (world.store.clone(), applies[n].clone());
        async move { store.job_apply(apply).await.unwrap() }
    })
    .await;
    let done = answers.iter().filter(|said| **said == JobApplied::Done).count();
    let overtaken = answers.iter().filter(|said| **said == JobApplied::Overtaken).count();
    assert_eq!((done, overtaken), (1, 39));
    assert!(!world.token(token).await.enabled);
    assert_eq!(world.count_events("token.disabled").await, 1);
    let counts = JobCounts { waiting: 1, done: 1, ..JobCounts::default() };
    assert_eq!(found(&world, &job).await.counts, counts);
}

/// A change that is refused leaves its item waiting, until somebody notes why.
pub(super) async fn what_a_job_cannot_change_is_noted_with_its_reason(world: World) {
    let alice = world.user("alice").await;
    let (job, items) = created(&world, &alice, 2).await;
    let lease = lease(&world, "jobs-noted").await;
    let unknown = world.issue_to(&alice).token.id;
    let apply = disabling(&world, &lease, &job, 0, unknown);
    let said = world.store.job_apply(apply).await.unwrap();
    assert_eq!(said, JobApplied::Refused("there is no such token".to_owned()));
    let mut stale = disabling(&world, &lease, &job, 1, items[1].token);
    if let JobChange::Switch(change) = &mut stale.change {
        change.expected_version = Some(77);
    }
    assert_eq!(world.store.job_apply(stale).await.unwrap(), JobApplied::Again);
    assert_eq!(found(&world, &job).await.counts, job.counts);
    for (place, state) in [(0, JobItemState::Failed), (1, JobItemState::Skipped)] {
        let why = "why".to_owned();
        world.store.job_settle(lease.clone(), &job.id, place, state, why).await.unwrap();
        let noted = world.store.job_items(&job.id, state, 0, 9).await.unwrap();
        assert_eq!((noted[0].place, noted[0].reason.as_deref()), (place, Some("why")));
    }
    // What is noted is not worked on again.
    let late = disabling(&world, &lease, &job, 1, items[1].token);
    assert_eq!(world.store.job_apply(late).await.unwrap(), JobApplied::Overtaken);
    assert!(world.token(items[1].token).await.enabled);
}

/// By its end, by a cancellation, or by another node.
pub(super) async fn a_job_that_does_not_run_changes_nothing(world: World) {
    let alice = world.user("alice").await;
    let (job, items) = created(&world, &alice, 2).await;
    let lease = lease(&world, "jobs-ended").await;
    let mut overtaken = lease.clone();
    overtaken.fence -= 1;
    let apply = disabling(&world, &overtaken, &job, 0, items[0].token);
    assert_eq!(world.store.job_apply(apply).await.unwrap(), JobApplied::Overtaken);
    let end = async |event| {
        let at = World::at(30);
        let state = JobState::Cancelled;
        world.store.job_end(&world.realm, &job.id, state, at, event).await.unwrap()
    };
    let ended = end(world.event("job.cancelled")).await.unwrap();
    assert_eq!((ended.state, ended.ended_at), (JobState::Cancelled, Some(World::at(30))));
    assert_eq!(end(world.event("job.cancelled")).await, None);
    let apply = disabling(&world, &lease, &job, 0, items[0].token);
    assert_eq!(world.store.job_apply(apply).await.unwrap(), JobApplied::Overtaken);
    let why = "late".to_owned();
    world.store.job_settle(lease, &job.id, 1, JobItemState::Failed, why).await.unwrap();
    let found = found(&world, &job).await;
    assert_eq!((found.counts.waiting, found.counts.failed), (2, 0));
    assert_eq!(world.count_events("token.disabled").await, 0);
    assert_eq!(world.count_events("job.cancelled").await, 1);
    // And after a while nobody asks about it.
    let later = World::at(31 + JOB_RETENTION_SECONDS);
    while world.store.purge(later, None).await.unwrap().rows > 0 {}
    assert_eq!(world.store.job_find(&world.realm, &job.id).await.unwrap(), None);
}

/// One after the other, the oldest first.
pub(super) async fn the_oldest_running_job_is_next(world: World) {
    let alice = world.user("alice").await;
    let (first, _) = created(&world, &alice, 0).await;
    let (second, _) = created(&world, &alice, 0).await;
    // Other worlds have theirs, all of which are older or newer than both of these.
    let next = async || world.store.job_next().await.unwrap().map(|job| job.id);
    assert!(next().await.is_some_and(|id| id <= first.id));
    for job in [&first, &second] {
        let (at, event) = (World::at(30), world.event("job.ended"));
        world.store.job_end(&world.realm, &job.id, JobState::Done, at, event).await.unwrap();
    }
    assert!(next().await.is_none_or(|id| id != first.id && id != second.id));
}
