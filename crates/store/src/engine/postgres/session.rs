//! One connection to the database: its settings, its prepared statements, its end.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error, SimpleQueryMessage, Socket, Statement,
};

use super::Counters;
use super::failure::failure;
use super::hosts::NotWritable;
use super::tls::Trust;
use super::value::row_of;
use super::words::{WORDS, life};
use crate::engine::{Failure, Row, Value, in_words};

/// How long the server works on one statement.
pub(super) const STATEMENT_WAIT: Duration = Duration::from_secs(30);
/// How long a statement waits for somebody else's lock.
const LOCK_WAIT: Duration = Duration::from_secs(4);
/// How long the server waits for the next statement of a transaction: longer than this program
/// ever thinks, short enough that a node that froze does not hold its locks for long.
const THINKING_MAX: Duration = Duration::from_secs(15);

/// A connection that takes writes.
pub(super) struct Session {
    pub(super) client: Client,
    driver: AbortHandle,
    /// By the address of the shared text.
    statements: Mutex<HashMap<(usize, usize), Statement>>,
    warned: Arc<AtomicBool>,
    timeline: String,
    life: String,
    generation: u64,
    pub(super) counters: Arc<Counters>,
}

impl Session {
    /// Connects, and makes sure that the other side takes writes.
    pub(super) async fn open(
        config: &Config,
        trust: &Trust,
        generation: u64,
        counters: &Arc<Counters>,
    ) -> Result<Self, Failure> {
        let (client, connection) = config.connect(trust.connector()).await.map_err(failure)?;
        let warned = Arc::new(AtomicBool::new(false));
        let driver = tokio::spawn(drive(connection, Arc::clone(&warned))).abort_handle();
        counters.connected();
        let mut session = Self {
            client,
            driver,
            statements: Mutex::default(),
            warned,
            timeline: String::new(),
            life: String::new(),
            generation,
            counters: Arc::clone(counters),
        };
        session.settle().await?;
        Ok(session)
    }

    /// Sets the limits of the session and asks what it is connected to, in one round trip.
    ///
    /// A plan must depend neither on the values bound nor on how old the statistics are: every
    /// statement follows indexes from one row to the next, and a table that was empty when a
    /// statement was planned may have a million rows before anybody counts them. Nor is a plan
    /// compiled: for a page of fifty that takes a hundred times as long as reading it.
    async fn settle(&mut self) -> Result<(), Failure> {
        let ask = format!(
            "set default_transaction_isolation = 'read committed';
             set plan_cache_mode = force_generic_plan;
             set enable_seqscan = off;
             set enable_bitmapscan = off;
             set enable_hashjoin = off;
             set enable_mergejoin = off;
             set jit = off;
             set statement_timeout = {};
             set lock_timeout = {};
             set idle_in_transaction_session_timeout = {};
             select set_config('synchronous_commit', 'on', false)
             where  current_setting('synchronous_commit') = 'off';
             select current_setting('transaction_read_only'),
                    case when not pg_is_in_recovery()
                    then substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end,
                    {}",
            STATEMENT_WAIT.as_millis(),
            LOCK_WAIT.as_millis(),
            THINKING_MAX.as_millis(),
            life!(),
        );
        let said = self.simple(&ask).await.map_err(failure)?;
        let last = said.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) if row.len() == 3 => Some(row),
            _ => None,
        });
        match last.map(|row| (row.get(0), row.get(1), row.get(2))) {
            Some((Some("off"), Some(timeline), Some(life))) => {
                timeline.clone_into(&mut self.timeline);
                life.clone_into(&mut self.life);
                Ok(())
            }
            _ => Err(Failure::Broken(Box::new(NotWritable))),
        }
    }

    /// Which pool it belongs to; see [`super::hosts::Hosts::generation`].
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Counts it among the sessions of `generation`.
    pub(super) fn join(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// The timeline of the server's log: a number that another primary does not share.
    pub(super) fn timeline(&self) -> &str {
        &self.timeline
    }

    /// The life of the server: after a crash it has another one.
    pub(super) fn life(&self) -> &str {
        &self.life
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether the server has warned of something since it was asked last.
    pub(super) fn was_warned(&self) -> bool {
        self.warned.swap(false, Ordering::AcqRel)
    }

    /// Runs one or more statements without values.
    pub(super) async fn simple(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        self.counters.round_trip();
        self.client.simple_query(sql).await
    }

    /// The statement as it was prepared on this connection, if it was.
    pub(super) fn prepared(&self, sql: &'static str) -> Option<Statement> {
        self.statements.lock().get(&(sql.as_ptr().addr(), sql.len())).cloned()
    }

    /// Prepares a statement and keeps it. There are a few hundred in the program.
    pub(super) async fn prepare(&self, sql: &'static str) -> Result<Statement, Failure> {
        if let Some(statement) = self.prepared(sql) {
            return Ok(statement);
        }
        self.counters.round_trip();
        let statement = self.client.prepare(&in_words(sql, WORDS)).await.map_err(failure)?;
        let key = (sql.as_ptr().addr(), sql.len());
        self.statements.lock().insert(key, statement.clone());
        Ok(statement)
    }

    /// Runs a prepared statement that returns rows.
    pub(super) async fn query(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let rows = self.client.query(statement, &as_parameters(values)).await.map_err(failure)?;
        rows.iter().map(|row| row_of(row).map_err(failure)).collect()
    }

    /// Runs a prepared statement and says how many rows it touched.
    pub(super) async fn execute(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        self.client.execute(statement, &as_parameters(values)).await.map_err(failure)
    }
}

/// Ends the connection at once: a server that is frozen would never say goodbye.
impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
        self.counters.disconnected();
    }
}

fn as_parameters<'a>(
    values: &'a [Value<'_>],
) -> Vec<&'a (dyn tokio_postgres::types::ToSql + Sync)> {
    values.iter().map(|value| value as _).collect()
}

/// Moves bytes until the connection ends, and remembers warnings.
async fn drive<T>(mut connection: Connection<Socket, T>, warned: Arc<AtomicBool>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if notice.severity() == "WARNING" => {
                tracing::warn!(notice = notice.message(), "the database warns");
                warned.store(true, Ordering::Release);
            }
            Ok(_) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "a connection to the database ended");
                return;
            }
        }
    }
}
