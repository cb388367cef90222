//! Sessions that are kept: some to have for oneself, and a few that point reads share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::hosts::Hosts;
use super::session::Session;
use crate::engine::Failure;

/// The pool was closed, because the store was.
#[derive(Debug, thiserror::Error)]
#[error("the store is closed")]
struct Closed;

/// Sessions for transactions, each used by one at a time.
pub(super) struct Pool {
    hosts: Arc<Hosts>,
    turns: Arc<Semaphore>,
    sessions_max: u32,
    idle: Mutex<Vec<Session>>,
}

/// A session to oneself, and the turn to have it.
pub(super) struct Taken {
    pub(super) session: Session,
    _turn: OwnedSemaphorePermit,
}

impl Pool {
    /// No session yet.
    pub(super) fn new(hosts: Arc<Hosts>, sessions_max: u32) -> Self {
        let turns = Arc::new(Semaphore::new(sessions_max as usize));
        Self { hosts, turns, sessions_max, idle: Mutex::default() }
    }

    /// Waits for a turn, and for a connection if none lies idle.
    pub(super) async fn take(&self) -> Result<Taken, Failure> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Failure::Broken(Box::new(Closed)))?;
        while let Some(session) = self.pop() {
            if self.hosts.is_current(&session) {
                return Ok(Taken { session, _turn: turn });
            }
        }
        Ok(Taken { session: self.hosts.connect().await?, _turn: turn })
    }

    fn pop(&self) -> Option<Session> {
        self.idle.lock().pop()
    }

    /// Keeps a session for the next one. One that is not given back is closed.
    pub(super) fn put_back(&self, taken: Taken) {
        if self.hosts.is_current(&taken.session) && !self.turns.is_closed() {
            self.idle.lock().push(taken.session);
        }
    }

    /// Closes what lies idle: where one connection broke, the others did too.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }

    /// How many lie idle.
    pub(super) fn idle(&self) -> usize {
        self.idle.lock().len()
    }

    /// Waits for those who have a turn, and lets nobody in any more.
    pub(super) async fn close(&self) {
        if let Ok(all) = self.turns.acquire_many(self.sessions_max).await {
            self.turns.close();
            drop(all);
        }
        self.clear();
    }
}

/// Sessions for point reads. The driver sends one request behind the other without waiting, so
/// that many readers share few connections and a few of the server's processes.
pub(super) struct Lanes {
    hosts: Arc<Hosts>,
    all: Vec<Lane>,
    next: AtomicUsize,
}

#[derive(Default)]
struct Lane {
    session: RwLock<Option<Arc<Session>>>,
    /// Held by the one who connects, so that others wait for that connection.
    opening: tokio::sync::Mutex<()>,
}

impl Lanes {
    /// `count` lanes without a connection yet.
    pub(super) fn new(hosts: Arc<Hosts>, count: usize) -> Self {
        let all = (0..count.max(1)).map(|_| Lane::default()).collect();
        Self { hosts, all, next: AtomicUsize::new(0) }
    }

    /// The next lane's session.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Failure> {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let lane = &self.all[place];
        if let Some(session) = self.current(lane) {
            return Ok(session);
        }
        let _opening = lane.opening.lock().await;
        if let Some(session) = self.current(lane) {
            return Ok(session);
        }
        let session = Arc::new(self.hosts.connect().await?);
        *lane.session.write() = Some(Arc::clone(&session));
        Ok(session)
    }

    fn current(&self, lane: &Lane) -> Option<Arc<Session>> {
        let session = lane.session.read().clone();
        session.filter(|session| self.hosts.is_current(session))
    }

    /// Closes a session that did not answer.
    pub(super) fn drop_session(&self, broken: &Arc<Session>) {
        for lane in &self.all {
            let mut session = lane.session.write();
            if session.as_ref().is_some_and(|session| Arc::ptr_eq(session, broken)) {
                *session = None;
            }
        }
    }

    /// Closes all of them.
    pub(super) fn clear(&self) {
        for lane in &self.all {
            *lane.session.write() = None;
        }
    }
}
