//! Company: operations that meet no others share a transaction, and so its commit.
//!
//! Whoever finds a free place goes at once, alone when nobody else is there.
//! Whoever comes while all places are taken goes with the next group, together
//! with everybody who came meanwhile, so that nobody waits for company.
//! In a group nobody waits for another one's answers either: the statements of
//! all follow each other on the connection, and a group has one round trip more
//! than an operation for itself.
//! Where anything goes wrong the group is taken back and each runs alone.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use counterfoil_authority::store::{Change, Unavailable};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::kept::Kept;
use super::session::Session;
use super::transaction::Open;
use super::writing::{Run, before, patience};
use super::{Counters, Inner};
use crate::engine::{BoxFuture, Failure, Transaction, Work};

/// Operations in one group at most; bounds what is taken back when one of them fails.
const GROUP_MAX: usize = 32;
/// Groups under way at the same time. While one waits for its commit the other is worked on.
const PLACES: usize = 2;

/// An operation has an answer for its caller, and nothing that it wrote may stay.
#[derive(Debug, thiserror::Error)]
#[error("an operation of the group takes back what it wrote")]
struct Undone;

/// An operation that waits for its group.
pub(super) struct Member {
    work: Arc<dyn Work>,
    patience: Pin<Box<Sleep>>,
    answer: oneshot::Sender<Result<(), Unavailable>>,
    _waits: Waits,
}

/// Counts one who waits, also if nobody is left to answer.
struct Waits(Arc<Counters>);

impl Waits {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Those who wait for a place, and how many places are taken.
#[derive(Default)]
pub(super) struct Company(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Member>,
    taken: usize,
}

impl Company {
    /// Lets one more wait; whether there is a place, which is now taken.
    fn join(&self, member: Member) -> bool {
        let mut state = self.0.lock();
        state.waiting.push_back(member);
        let is_free = state.taken < PLACES;
        state.taken += usize::from(is_free);
        is_free
    }

    /// The next group of a place; none if nobody waits, and the place is free again.
    fn next(&self) -> Option<Vec<Member>> {
        let mut state = self.0.lock();
        if state.waiting.is_empty() {
            state.taken -= 1;
            return None;
        }
        let count = state.waiting.len().min(GROUP_MAX);
        Some(state.waiting.drain(..count).collect())
    }
}

impl Inner {
    /// Runs an operation that meets no others, with those who come at the same time.
    pub(super) async fn write_in_company(
        self: &Arc<Self>,
        work: Arc<dyn Work>,
    ) -> Result<(), Unavailable> {
        let (answer, told) = oneshot::channel();
        let waits = Waits::new(&self.counters);
        let member = Member { work, patience: Box::pin(patience()), answer, _waits: waits };
        if self.company.join(member) {
            // A task of its own: a caller who goes away must not take the group along.
            tokio::spawn(Arc::clone(self).lead());
        }
        told.await.map_err(Unavailable::new)?
    }

    /// Runs one group after the other until nobody waits.
    async fn lead(self: Arc<Self>) {
        while let Some(group) = self.company.next() {
            // Whoever panics is reported to the callers, and must not keep the place.
            let _ = tokio::spawn(Arc::clone(&self).write_group(group)).await;
        }
    }

    /// Answers everybody of a group.
    async fn write_group(self: Arc<Self>, mut group: Vec<Member>) {
        if group.len() > 1 {
            match self.write_as_one(&mut group).await {
                Ok(None) => return answer(group, &Ok(())),
                Ok(Some(failure)) => {
                    self.counters.failed_commit();
                    tracing::debug!(?failure, "a group is taken back and each runs alone");
                }
                // What is not known of the group is not known of anybody in it.
                Err(unavailable) => return answer(group, &Err(unavailable)),
            }
        }
        let last = group.pop();
        for member in group {
            tokio::spawn(Arc::clone(&self).write_alone(member));
        }
        if let Some(member) = last {
            self.write_alone(member).await;
        }
    }

    async fn write_alone(self: Arc<Self>, mut member: Member) {
        let outcome = self.write(&*member.work, member.patience.as_mut()).await;
        answer(vec![member], &outcome);
    }

    /// Runs a group in one transaction. A failure that comes back is one after which nothing of
    /// the group has happened.
    async fn write_as_one(&self, group: &mut [Member]) -> Result<Option<Failure>, Unavailable> {
        let works: Vec<Arc<dyn Work>> = group.iter().map(|m| Arc::clone(&m.work)).collect();
        // The one who came first has waited longest.
        let Some(first) = group.first_mut() else { return Ok(None) };
        match self.run_as_one(&works, first.patience.as_mut()).await {
            Ok(run) => self.settle(run, works.len()).await,
            Err(failure) => Ok(Some(failure)),
        }
    }

    /// One run of a group, to its commit.
    async fn run_as_one(
        &self,
        works: &[Arc<dyn Work>],
        mut patience: Pin<&mut Sleep>,
    ) -> Result<Run, Failure> {
        let taken = before(patience.as_mut(), self.pool.take()).await?;
        let mut open = Open::writing(&taken.session);
        let said = before(patience, side_by_side(&mut open, &taken.session, works)).await;
        let outcome = self.end(open, &taken.session, said.map(Some)).await;
        self.let_go(taken, &outcome);
        outcome
    }
}

/// Gives everybody the same answer. Who has gone away needs none.
fn answer(group: Vec<Member>, outcome: &Result<(), Unavailable>) {
    for member in group {
        let _ = member.answer.send(outcome.clone());
    }
}

/// Runs operations inside one transaction, each with statements of its own order, and says what
/// they changed once all their statements are answered.
async fn side_by_side(
    open: &mut Open<'_>,
    session: &Session,
    works: &[Arc<dyn Work>],
) -> Result<Vec<Change>, Failure> {
    let kept = Kept::default();
    let running = works.iter().map(|work| Box::pin(share(session, &kept, &**work)) as _).collect();
    let (begun, ended) = tokio::join!(open.begun_for_certain(), all(running));
    begun?;
    let mut changes = Vec::new();
    let mut failed = None;
    for outcome in ended {
        match outcome {
            Ok(more) => changes.extend(more),
            // The others hear only that the transaction has failed.
            Err(failure @ Failure::Broken(_)) => return Err(failure),
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    failed.map_or(Ok(changes), Err)
}

/// One operation's share of a transaction, until all of it is answered.
async fn share(session: &Session, kept: &Kept, work: &dyn Work) -> Result<Vec<Change>, Failure> {
    let mut open = Open::within(session, kept);
    let mut tx = Transaction::new(&mut open);
    work.run(&mut tx).await?;
    if tx.is_undone() {
        return Err(Failure::Again(Box::new(Undone)));
    }
    let changes = tx.into_changes();
    open.catch_up().await?;
    Ok(changes)
}

/// What came of each. All of them are polled until the last has ended, because the driver hands
/// out no later answer before an earlier one.
async fn all<T>(mut running: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut ended: Vec<Option<T>> = running.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut is_over = true;
        for (future, outcome) in running.iter_mut().zip(&mut ended) {
            if outcome.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(said) => *outcome = Some(said),
                    Poll::Pending => is_over = false,
                }
            }
        }
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    ended.into_iter().flatten().collect()
}
