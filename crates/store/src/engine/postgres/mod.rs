//! The networked engine: PostgreSQL, alone or with standbys.
//!
//! - A transaction that writes has a session to itself, runs at READ COMMITTED
//!   and takes its turn at the rows it decides on (docs/decisions/0015). It is
//!   repeated as a whole when the database asks for it.
//! - Operations that meet no others share transactions when they come at the
//!   same time, and so a commit.
//! - A point read is one statement and one round trip, on a session that many
//!   share. A scan sees one state of the database and has a session to itself.
//! - Every wait has an end: a database that is blocked or frozen is unavailable
//!   after a few seconds, whatever the network says.

mod address;
mod failure;
mod foreign;
mod hosts;
mod kept;
mod migrating;
mod pool;
mod session;
mod tls;
mod together;
mod transaction;
mod value;
mod words;
mod writing;

use std::num::NonZero;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::store::Unavailable;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::failure::failure as failure_of;
use self::hosts::Hosts;
use self::pool::{Lanes, Pool};
use self::together::Company;
use self::transaction::{Open, Shared};
use self::writing::{Late, patience};
use super::{Engine, Failure, Figures, Listeners, Reach, Transaction, Work};
use crate::migrate::Expected;
use crate::{BackupProgress, OpenError};

pub use self::address::BadAddress;
pub(crate) use self::foreign::foreign_client;

/// How long a point read takes before the store is unavailable.
const POINT_WAIT: Duration = Duration::from_secs(3);
/// How long a read of the change log takes: an answer that is older than the second for which a
/// node trusts its cache is worth nothing, and a connection that is blocked is best replaced.
const FEED_WAIT: Duration = Duration::from_secs(1);
/// How long a scan takes before the store is unavailable.
const SCAN_WAIT: Duration = Duration::from_secs(30);
/// Runs of one read whose connection broke.
const RUNS_MAX: usize = 4;
/// Scans at the same time; more would take the sessions that writes need.
const SCANS_MAX: usize = 4;
/// Sessions that point reads share at most: one process of the server serves thousands of them.
const LANES_MAX: usize = 4;

/// How to connect.
pub(crate) struct Connecting<'a> {
    /// The URL.
    pub(crate) url: &'a str,
    /// Whether tables are made where there are none.
    pub(crate) create: bool,
    /// Which state of the schema is accepted.
    pub(crate) expected: Expected,
    /// Sessions for transactions.
    pub(crate) sessions_max: u32,
    /// What the waits between repetitions are drawn from.
    pub(crate) jitter: u64,
}

/// What the engine counts.
#[derive(Default)]
pub(crate) struct Counters {
    waiting: AtomicU64,
    commits: AtomicU64,
    operations: AtomicU64,
    batch_max: AtomicU64,
    failed_commits: AtomicU64,
    round_trips: AtomicU64,
    connections: AtomicU64,
}

impl Counters {
    fn round_trip(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
    }

    fn committed(&self, operations: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(operations as u64, Ordering::Relaxed);
        self.batch_max.fetch_max(operations as u64, Ordering::Relaxed);
    }

    fn failed_commit(&self) {
        self.failed_commits.fetch_add(1, Ordering::Relaxed);
    }

    fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the tasks of the engine share.
struct Inner {
    hosts: Arc<Hosts>,
    pool: Pool,
    lanes: Lanes,
    /// For the change log alone: it is read in time however busy the others are.
    feed: Lanes,
    scans: Semaphore,
    company: Company,
    listeners: Listeners,
    jitter: AtomicU64,
    counters: Arc<Counters>,
}

/// A PostgreSQL database.
pub(crate) struct Postgres(Arc<Inner>);

impl Postgres {
    /// Connects, and brings the schema up to date.
    pub(crate) async fn open(
        connecting: Connecting<'_>,
        listeners: Listeners,
    ) -> Result<Self, OpenError> {
        let address = address::Address::parse(connecting.url)?;
        let counters = Arc::new(Counters::default());
        let hosts = Arc::new(Hosts::new(address, Arc::clone(&counters)));
        let mut session = hosts.connect().await?;
        migrating::run(&mut session, connecting.create, connecting.expected).await?;
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self(Arc::new(Inner {
            pool: Pool::new(Arc::clone(&hosts), connecting.sessions_max.max(2)),
            // The more requests share a session, the more of them travel in one packet: with two
            // processors one session served a fifth more than two.
            lanes: Lanes::new(Arc::clone(&hosts), (processors / 2).clamp(1, LANES_MAX)),
            feed: Lanes::new(Arc::clone(&hosts), 1),
            hosts,
            scans: Semaphore::new(SCANS_MAX),
            company: Company::default(),
            listeners,
            jitter: AtomicU64::new(connecting.jitter),
            counters,
        })))
    }
}

/// The database did not answer in time.
fn late() -> Result<(), Failure> {
    Err(Failure::Broken(Box::new(Late)))
}

impl Inner {
    /// A statement that stands for itself, on one of `lanes` and within `wait`.
    async fn point_within(
        &self,
        wait: Duration,
        lanes: &Lanes,
        work: &dyn Work,
    ) -> Result<(), Failure> {
        let outcome = timeout(wait, self.point(lanes, work)).await;
        if outcome.is_err() {
            // One that does not answer would keep the next readers waiting too.
            lanes.clear();
        }
        outcome.unwrap_or_else(|_| late())
    }

    /// A statement that stands for itself.
    async fn point(&self, lanes: &Lanes, work: &dyn Work) -> Result<(), Failure> {
        let mut runs = 0;
        loop {
            let session = lanes.session().await?;
            let mut connection = Shared(&session);
            let mut tx = Transaction::new(&mut connection);
            match work.run(&mut tx).await {
                Err(failure @ (Failure::Broken(_) | Failure::Again(_))) => {
                    lanes.drop_session(&session);
                    self.suspect(&session, &failure);
                    runs += 1;
                    if runs == RUNS_MAX {
                        return Err(failure);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Statements on one state of the database.
    async fn scan(&self, work: &dyn Work) -> Result<(), Failure> {
        let mut runs = 0;
        loop {
            let taken = self.pool.take().await?;
            let mut open = Open::reading(&taken.session);
            let mut tx = Transaction::new(&mut open);
            let outcome = work.run(&mut tx).await;
            let ended = match &outcome {
                Err(Failure::Broken(_)) => Ok(()),
                _ => open.rollback().await,
            };
            drop(open);
            match outcome.and(ended) {
                Err(failure @ (Failure::Broken(_) | Failure::Again(_))) => {
                    self.suspect(&taken.session, &failure);
                    runs += 1;
                    if runs == RUNS_MAX {
                        return Err(failure);
                    }
                }
                outcome => {
                    self.pool.put_back(taken);
                    return outcome;
                }
            }
        }
    }
}

/// A backup of a server is made with its own tools.
#[derive(Debug, thiserror::Error)]
#[error("a PostgreSQL database is backed up with pg_dump or pg_basebackup")]
struct BackedUpElsewhere;

/// What a broken index or an unchecked rule looks like in the catalogue.
const DAMAGE: &str = "
select 'the index ' || c.relname || ' is not valid'
from   pg_index i
join   pg_class c on c.oid = i.indexrelid
where  not i.indisvalid
and    pg_table_is_visible(c.oid)
union all
select 'the constraint ' || conname || ' was never checked'
from   pg_constraint
where  not convalidated
and    pg_table_is_visible(conrelid)";

#[async_trait]
impl Engine for Postgres {
    async fn write(&self, work: Arc<dyn Work>) -> Result<(), Unavailable> {
        let inner = Arc::clone(&self.0);
        // A task of its own: a caller who goes away must not leave a commit that nobody looks at.
        let task = tokio::spawn(async move {
            inner.counters.waiting.fetch_add(1, Ordering::Relaxed);
            let outcome = inner.write(&*work, pin!(patience())).await;
            inner.counters.waiting.fetch_sub(1, Ordering::Relaxed);
            outcome
        });
        task.await.map_err(Unavailable::new)?
    }

    async fn write_together(&self, work: Arc<dyn Work>) -> Result<(), Unavailable> {
        self.0.write_in_company(work).await
    }

    async fn read(&self, work: Arc<dyn Work>, reach: Reach) -> Result<(), Unavailable> {
        let outcome = match reach {
            Reach::Point => self.0.point_within(POINT_WAIT, &self.0.lanes, &*work).await,
            Reach::Feed => self.0.point_within(FEED_WAIT, &self.0.feed, &*work).await,
            Reach::Scan => {
                let _turn = self.0.scans.acquire().await.map_err(Unavailable::new)?;
                timeout(SCAN_WAIT, self.0.scan(&*work)).await.unwrap_or_else(|_| late())
            }
        };
        Ok(outcome?)
    }

    async fn prepare(&self, statements: Vec<&'static str>) -> Result<(), Unavailable> {
        let taken = self.0.pool.take().await?;
        for sql in statements {
            taken.session.prepare(sql).await?;
        }
        self.0.pool.put_back(taken);
        Ok(())
    }

    async fn examine(&self) -> Result<Vec<String>, Unavailable> {
        let taken = self.0.pool.take().await?;
        let said = taken.session.client.query(DAMAGE, &[]).await.map_err(failure_of)?;
        let found = said.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>();
        self.0.pool.put_back(taken);
        Ok(found.map_err(failure_of)?)
    }

    async fn backup(
        &self,
        _: PathBuf,
        _: Box<dyn Fn(BackupProgress) + Send>,
    ) -> Result<(), Unavailable> {
        Err(Unavailable::new(BackedUpElsewhere))
    }

    async fn close(&self) {
        self.0.pool.close().await;
        self.0.lanes.clear();
        self.0.feed.clear();
    }

    fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.0.counters;
        Figures {
            waiting: read(&counters.waiting),
            commits: read(&counters.commits),
            operations: read(&counters.operations),
            batch_max: read(&counters.batch_max),
            failed_commits: read(&counters.failed_commits),
            round_trips: read(&counters.round_trips),
            connections: read(&counters.connections),
            idle_readers: self.0.pool.idle() as u64,
            ..Figures::default()
        }
    }

    fn gathers_writes(&self) -> bool {
        false
    }
}
