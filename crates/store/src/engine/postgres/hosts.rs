//! The hosts of the database, and which of them takes writes.
//!
//! After a failover the old primary is a standby, gone, or frozen. The host
//! that answered last is asked first; when it does not take writes the next one
//! is asked, also by a caller whose patience ends in between.
//!
//! Each promotion begins a new timeline. Whoever meets a later one gives up every
//! session with the former primary, which may still answer and no longer knows
//! what is true; and a primary of an earlier timeline is not taken for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;

use super::Counters;
use super::address::Address;
use super::session::Session;
use crate::engine::Failure;

/// How long a host may take from the first packet to a session that is ready.
const OPEN_WAIT: Duration = Duration::from_secs(3);

/// The host is a standby, or was told to be read only.
#[derive(Debug, thiserror::Error)]
#[error("the database does not take writes")]
pub(super) struct NotWritable;

/// Another primary has taken over from this one.
#[derive(Debug, thiserror::Error)]
#[error("the database was replaced by a later primary")]
struct Replaced;

/// The host did not get through with it in time.
#[derive(Debug, thiserror::Error)]
#[error("the database did not accept a connection in time")]
struct Slow;

/// Where to connect.
pub(super) struct Hosts {
    address: Address,
    /// The host that is asked first.
    first: AtomicUsize,
    generation: AtomicU64,
    /// The latest timeline that was met, as the server writes it: digits of one length.
    timeline: Mutex<String>,
    counters: Arc<Counters>,
}

impl Hosts {
    /// Nobody has been asked yet.
    pub(super) fn new(address: Address, counters: Arc<Counters>) -> Self {
        Self {
            address,
            first: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            timeline: Mutex::default(),
            counters,
        }
    }

    /// Rises when the primary was found to be none any more: older sessions are of no use.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Gives up every session of `generation`.
    pub(super) fn give_up(&self, generation: u64) {
        let next = generation + 1;
        // Whoever comes second speaks of sessions that were given up already.
        let _ =
            self.generation.compare_exchange(generation, next, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether a session is still of use.
    pub(super) fn is_current(&self, session: &Session) -> bool {
        !session.is_closed() && session.generation() == self.generation()
    }

    /// Looks whether the session is with the latest primary that is known.
    fn admit(&self, mut session: Session, generation: u64) -> Result<Session, Failure> {
        let mut latest = self.timeline.lock();
        if session.timeline() < latest.as_str() {
            return Err(Failure::Broken(Box::new(Replaced)));
        }
        if session.timeline() > latest.as_str() {
            if !latest.is_empty() {
                tracing::warn!(timeline = session.timeline(), "the database has a new primary");
                self.give_up(generation);
                session.join(self.generation());
            }
            session.timeline().clone_into(&mut latest);
        }
        Ok(session)
    }

    /// Connects to the host that takes writes.
    pub(super) async fn connect(&self) -> Result<Session, Failure> {
        let count = self.address.hosts.len();
        let mut last = Failure::Broken(Box::new(NotWritable));
        for _ in 0..count {
            let place = self.first.load(Ordering::Acquire) % count;
            // Before the answer: a caller who stops waiting must not leave the next one here.
            self.first.store((place + 1) % count, Ordering::Release);
            let generation = self.generation();
            let host = &self.address.hosts[place];
            let opening = Session::open(host, &self.address.trust, generation, &self.counters);
            match timeout(OPEN_WAIT, opening).await {
                Ok(Ok(session)) => match self.admit(session, generation) {
                    Ok(session) => {
                        self.first.store(place, Ordering::Release);
                        return Ok(session);
                    }
                    Err(failure) => last = failure,
                },
                Ok(Err(failure)) => last = failure,
                Err(_) => last = Failure::Broken(Box::new(Slow)),
            }
        }
        Err(last)
    }
}
