//! Writing: repeated when the database asks for it, and never in doubt about the end.
//!
//! A connection that is lost before the commit was sent takes the transaction
//! with it, so the operation runs again. One that is lost later leaves the
//! question whether the commit took place. The database is asked for what became of the
//! transaction's number, on another connection, and only if it cannot tell either
//! the caller hears that the outcome is unknown.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use counterfoil_authority::store::{Change, Unavailable};
use tokio::time::{Sleep, sleep, timeout};
use tokio_postgres::SimpleQueryMessage;

use super::Inner;
use super::failure::is_demoted;
use super::pool::Taken;
use super::session::Session;
use super::transaction::{Ending, Open};
use crate::engine::{Failure, Source, Transaction, Work};

/// Runs of one operation that meets others; each further one waits longer for its turn.
const RUNS_MAX: u32 = 12;
/// Runs of one operation whose connection broke: an idle one, the next idle one, a fresh one.
const BROKEN_MAX: u32 = 4;
/// How long an operation takes in all, without its commit, before the store is unavailable.
const WRITE_WAIT: Duration = Duration::from_secs(8);
/// How long a commit may take: with synchronous replication it waits for a standby.
const COMMIT_WAIT: Duration = Duration::from_secs(5);
/// How long the outcome of a lost commit is looked for.
const LOOK_WAIT: Duration = Duration::from_secs(4);
/// Between two looks at a commit that still runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The wait before the second run; it doubles with each further one, up to a hundred times it.
const FIRST_PAUSE: Duration = Duration::from_micros(500);

/// Nobody can say whether it took place.
#[derive(Debug, thiserror::Error)]
#[error("the connection was lost during the commit: its outcome is unknown")]
struct OutcomeUnknown(#[source] Source);

/// It took place on this server; whether it survives a failover is not known.
#[derive(Debug, thiserror::Error)]
#[error("no standby has confirmed the commit: whether it outlives a failover is unknown")]
struct Unconfirmed;

/// The database did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer in time")]
pub(super) struct Late;

/// What came of one run.
pub(super) enum Run {
    /// Durable, or taken back as the operation wished; this is what it changed.
    Done(Vec<Change>),
    /// The answer to the commit of this transaction did not come.
    Lost { lost: Lost, changes: Vec<Change>, why: Failure },
    /// Done here, but not yet where it has to be.
    Unconfirmed(Vec<Change>),
}

/// A transaction whose answer did not come, and the server it was put to.
pub(super) struct Lost {
    id: String,
    timeline: String,
    life: String,
}

/// What became of a transaction.
enum Fate {
    Committed,
    Aborted,
    Unknown,
}

impl Inner {
    /// Runs an operation until it is durable, refused, or out of time.
    pub(super) async fn write(
        &self,
        work: &dyn Work,
        mut patience: Pin<&mut Sleep>,
    ) -> Result<(), Unavailable> {
        let (mut runs, mut broken) = (0, 0);
        loop {
            let failure = match self.run(work, patience.as_mut()).await {
                Ok(run) => match self.settle(run, 1).await? {
                    None => return Ok(()),
                    Some(failure) => failure,
                },
                Err(failure) => failure,
            };
            self.counters.failed_commit();
            match failure {
                Failure::Again(_) if runs < RUNS_MAX && !patience.is_elapsed() => {
                    runs += 1;
                    sleep(self.pause(runs)).await;
                }
                Failure::Broken(_) if broken < BROKEN_MAX && !patience.is_elapsed() => {
                    broken += 1;
                }
                failure => return Err(failure.into()),
            }
        }
    }

    /// One run, to its commit.
    async fn run(&self, work: &dyn Work, mut patience: Pin<&mut Sleep>) -> Result<Run, Failure> {
        let taken = before(patience.as_mut(), self.pool.take()).await?;
        let mut open = Open::writing(&taken.session);
        let mut tx = Transaction::new(&mut open);
        let said = before(patience, work.run(&mut tx)).await;
        let (undone, changes) = (tx.is_undone(), tx.into_changes());
        let said = said.map(|()| (!undone).then_some(changes));
        let outcome = self.end(open, &taken.session, said).await;
        self.let_go(taken, &outcome);
        outcome
    }

    /// Ends a transaction as its operations wish: with their changes, or none if nothing of them
    /// is to stay.
    pub(super) async fn end(
        &self,
        mut open: Open<'_>,
        session: &Session,
        said: Result<Option<Vec<Change>>, Failure>,
    ) -> Result<Run, Failure> {
        match said {
            Err(Failure::Broken(why)) => Err(Failure::Broken(why)),
            Ok(Some(changes)) => committed(&mut open, session, changes).await,
            said => {
                let ended = timeout(COMMIT_WAIT, open.rollback()).await;
                let ended = ended.unwrap_or_else(|_| Err(Failure::Broken(Box::new(Late))));
                // The error of the operation is the one that tells something.
                said.and(ended).map(|()| Run::Done(Vec::new()))
            }
        }
    }

    /// Keeps a session for the next one, unless what came of this run speaks against it.
    pub(super) fn let_go(&self, taken: Taken, outcome: &Result<Run, Failure>) {
        match outcome {
            Err(failure @ Failure::Broken(_)) => self.suspect(&taken.session, failure),
            Ok(Run::Lost { .. }) => self.pool.clear(),
            _ => self.pool.put_back(taken),
        }
    }

    /// Tells the listeners, or finds out whether there is anything to tell. A failure that
    /// comes back is one after which nothing of the `operations` has happened.
    pub(super) async fn settle(
        &self,
        run: Run,
        operations: usize,
    ) -> Result<Option<Failure>, Unavailable> {
        match run {
            Run::Done(changes) => {
                self.counters.committed(operations);
                self.listeners.tell(&changes);
                Ok(None)
            }
            Run::Unconfirmed(changes) => {
                self.listeners.tell(&changes);
                Err(Unavailable::new(Unconfirmed))
            }
            Run::Lost { lost, changes, why } => {
                let fate = timeout(LOOK_WAIT, self.fate(&lost)).await;
                match fate.unwrap_or(Fate::Unknown) {
                    Fate::Aborted => Ok(Some(why)),
                    Fate::Committed => {
                        tracing::info!("a commit whose answer was lost took place");
                        self.counters.committed(operations);
                        self.listeners.tell(&changes);
                        Ok(None)
                    }
                    Fate::Unknown => {
                        // Forgetting too much costs a read; forgetting too little a revocation.
                        self.listeners.tell(&changes);
                        Err(Unavailable::new(OutcomeUnknown(Box::new(why))))
                    }
                }
            }
        }
    }

    /// Asks the database what became of a transaction.
    async fn fate(&self, lost: &Lost) -> Fate {
        let ask = format!("select pg_xact_status('{}'::xid8)", lost.id);
        loop {
            if let Ok(session) = self.hosts.connect().await {
                if session.timeline() != lost.timeline {
                    // Another primary gives out the same numbers for other transactions.
                    return Fate::Unknown;
                }
                let said = session.simple(&ask).await.unwrap_or_default();
                let said = said.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("forgotten")),
                    _ => None,
                });
                match said {
                    // A server that crashed may have given the number to another transaction. Had
                    // ours been committed it could not have.
                    Some("committed") if session.life() != lost.life => return Fate::Unknown,
                    Some("committed") => return Fate::Committed,
                    Some("aborted") => return Fate::Aborted,
                    Some("in progress") | None => {}
                    Some(_) => return Fate::Unknown,
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Takes the consequences of a connection that broke.
    pub(super) fn suspect(&self, session: &Session, failure: &Failure) {
        if is_demoted(failure) {
            tracing::warn!("the database takes no writes any more; its successor is looked for");
            self.hosts.give_up(session.generation());
        }
        self.pool.clear();
    }

    /// How long to wait before a further run: longer each time, and not as long as others do.
    fn pause(&self, runs: u32) -> Duration {
        let longest = FIRST_PAUSE * 100;
        let pause = FIRST_PAUSE.saturating_mul(1 << runs.min(16)).min(longest);
        let drawn = self.jitter.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (drawn ^ (drawn >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 48;
        // Between a half and three halves of it.
        pause / 2 + pause.mul_f64(f64::from(u32::try_from(mixed).unwrap_or(0)) / 65_536.0)
    }
}

/// How long an operation that begins now may take.
pub(super) fn patience() -> Sleep {
    sleep(WRITE_WAIT)
}

/// Commits what was done.
async fn committed(
    open: &mut Open<'_>,
    session: &Session,
    changes: Vec<Change>,
) -> Result<Run, Failure> {
    let why = match timeout(COMMIT_WAIT, open.commit()).await {
        Ok(Ok(Ending::Committed)) => return Ok(Run::Done(changes)),
        Ok(Ok(Ending::Unconfirmed)) => return Ok(Run::Unconfirmed(changes)),
        Ok(Ok(Ending::Unknown(why))) => why,
        Ok(Err(failure)) => return Err(failure),
        Err(_) => Failure::Broken(Box::new(Late)),
    };
    match open.id() {
        Some(id) => {
            let lost = Lost {
                id: id.to_owned(),
                timeline: session.timeline().to_owned(),
                life: session.life().to_owned(),
            };
            Ok(Run::Lost { lost, changes, why })
        }
        // The commit is sent only when the number is known.
        None => Err(why),
    }
}

/// The outcome of `work`, unless the caller's patience ends before.
pub(super) async fn before<T>(
    patience: Pin<&mut Sleep>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        outcome = work => outcome,
        () = patience => Err(Failure::Broken(Box::new(Late))),
    }
}
