//! Statements on a connection: inside a transaction, or one for itself.
//!
//! What nobody waits for is sent and looked at later: the beginning of the
//! transaction, locks, and rows whose number is known beforehand travel with
//! the next statement that has an answer, or with the commit. The server works
//! through them in order; the first that fails ends the transaction, and its
//! error is the one that is told.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use async_trait::async_trait;
use tokio_postgres::{Error, SimpleQueryMessage, Statement};

use super::failure::{failure, is_lost_connection};
use super::kept::Kept;
use super::session::Session;
use crate::engine::{Asked, Connection, Failure, Row, Value};

/// Statements sent ahead at most; bounds what both sides keep in memory.
const AHEAD_MAX: usize = 256;

/// Begins a transaction that writes, and says its number. Taking the number first makes sure
/// that whoever draws a number for the change log can be recognised by it.
const BEGIN: &str = "begin; select pg_current_xact_id()::text";
const BEGIN_READ: &str = "begin isolation level repeatable read read only";

type Sent<'s, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 's>>;

/// How a transaction ended.
pub(super) enum Ending {
    /// It is durable.
    Committed,
    /// The connection was lost while nobody knows how far the commit was.
    Unknown(Failure),
    /// The commit stands here, but a standby that should have it may not.
    Unconfirmed,
}

/// A transaction on a session that nobody else uses.
pub(super) struct Open<'s> {
    session: &'s Session,
    ahead: VecDeque<Sent<'s, ()>>,
    beginning: Option<Sent<'s, Vec<SimpleQueryMessage>>>,
    /// The number of the transaction, once the server has told it.
    id: Option<String>,
    /// What others in the same transaction hold in place.
    kept: Option<&'s Kept>,
}

impl<'s> Open<'s> {
    /// Begins a transaction that may write.
    pub(super) fn writing(session: &'s Session) -> Self {
        Self::begun(session, BEGIN)
    }

    /// Begins a transaction that sees one state of the database.
    pub(super) fn reading(session: &'s Session) -> Self {
        Self::begun(session, BEGIN_READ)
    }

    /// Runs statements inside a transaction that somebody else has begun and will end.
    pub(super) fn within(session: &'s Session, kept: &'s Kept) -> Self {
        Self { session, ahead: VecDeque::new(), beginning: None, id: None, kept: Some(kept) }
    }

    fn begun(session: &'s Session, sql: &'static str) -> Self {
        let mut beginning: Sent<'s, _> = Box::pin(session.client.simple_query(sql));
        let beginning = match send(&mut beginning) {
            None => beginning,
            Some(said) => Box::pin(std::future::ready(said)),
        };
        Self { session, ahead: VecDeque::new(), beginning: Some(beginning), id: None, kept: None }
    }

    /// The number of the transaction, if it has one that is known.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Commits. Whatever was sent ahead is answered first.
    pub(super) async fn commit(&mut self) -> Result<Ending, Failure> {
        // Without the number a lost answer could not be looked up.
        self.begun_for_certain().await?;
        let _ = self.session.was_warned();
        self.session.counters.round_trip();
        let mut commit: Sent<'_, ()> = Box::pin(self.session.client.batch_execute("commit"));
        let mut said = send(&mut commit);
        while let Some(sent) = self.ahead.pop_front() {
            match sent.await {
                Ok(()) => {}
                // An error of a statement turns the commit into a rollback.
                Err(error) if !is_lost_connection(&error) => {
                    // Nobody reads the other answers, and the driver may drop them.
                    self.ahead.clear();
                    if said.is_none() {
                        commit.await.map_err(failure)?;
                    }
                    return Err(failure(error));
                }
                Err(error) => return Ok(Ending::Unknown(failure(error))),
            }
        }
        if said.is_none() {
            said = Some(commit.await);
        }
        match said {
            Some(Err(error)) if is_lost_connection(&error) => Ok(Ending::Unknown(failure(error))),
            Some(Err(error)) => Err(failure(error)),
            _ if self.session.was_warned() => Ok(Ending::Unconfirmed),
            _ => Ok(Ending::Committed),
        }
    }

    /// Takes everything back.
    pub(super) async fn rollback(&mut self) -> Result<(), Failure> {
        self.session.counters.round_trip();
        let mut rollback: Sent<'_, ()> = Box::pin(self.session.client.batch_execute("rollback"));
        let said = send(&mut rollback);
        // Errors of statements do not matter any more; a lost connection is found below.
        if let Some(beginning) = self.beginning.take() {
            let _ = beginning.await;
        }
        while let Some(sent) = self.ahead.pop_front() {
            let _ = sent.await;
        }
        match said {
            Some(said) => said.map_err(failure),
            None => rollback.await.map_err(failure),
        }
    }

    /// Waits until the transaction has begun and its number is known.
    pub(super) async fn begun_for_certain(&mut self) -> Result<(), Failure> {
        let Some(beginning) = self.beginning.take() else { return Ok(()) };
        let said = beginning.await.map_err(failure)?;
        self.id = said.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            _ => None,
        });
        Ok(())
    }

    /// Waits for the answers to all that was sent ahead.
    pub(super) async fn catch_up(&mut self) -> Result<(), Failure> {
        self.begun_for_certain().await?;
        while let Some(sent) = self.ahead.pop_front() {
            sent.await.map_err(failure)?;
        }
        Ok(())
    }

    /// Sends a statement whose answer is looked at later.
    async fn send_ahead(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure> {
        if self.ahead.len() >= AHEAD_MAX {
            self.catch_up().await?;
        }
        let statement = self.prepared(sql).await?;
        let client = &self.session.client;
        let values: Vec<Value<'static>> = values.iter().map(Value::detached).collect();
        let mut sent: Sent<'s, ()> =
            Box::pin(async move { client.execute_raw(&statement, &values).await.map(drop) });
        match send(&mut sent) {
            None => self.ahead.push_back(sent),
            Some(said) => said.map_err(failure)?,
        }
        Ok(())
    }

    /// A statement as it was prepared on this connection, for which the answers to all that was
    /// sent ahead must be in if it was not.
    async fn prepared(&mut self, sql: &'static str) -> Result<Statement, Failure> {
        if let Some(statement) = self.session.prepared(sql) {
            return Ok(statement);
        }
        self.catch_up().await?;
        self.session.prepare(sql).await
    }

    /// Runs a statement behind all that was sent ahead, without waiting for that first.
    async fn answer<T>(
        &mut self,
        asked: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, Failure> {
        self.session.counters.round_trip();
        let mut asked = Box::pin(asked);
        let said = send(&mut asked);
        // In this order, because the driver hands out no later answer before an earlier one.
        self.catch_up().await?;
        match said {
            Some(said) => said,
            None => asked.await,
        }
    }
}

/// Has a request put on its way: the driver does that when it is asked for the first time.
fn send<T>(future: &mut Pin<Box<impl Future<Output = T> + ?Sized>>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(said) => Some(said),
        std::task::Poll::Pending => None,
    }
}

#[async_trait]
impl Connection for Open<'_> {
    async fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        let session = self.session;
        self.answer(session.query(&statement, values)).await
    }

    async fn query_all(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<Row>>, Failure> {
        let session = self.session;
        let mut statements = Vec::with_capacity(asked.len());
        for one in asked {
            statements.push(self.prepared(one.sql).await?);
        }
        session.counters.round_trip();
        let mut sent = Vec::with_capacity(asked.len());
        for (one, statement) in asked.iter().zip(&statements) {
            let query = session.query(statement, &one.values);
            let mut query = match self.kept {
                Some(kept) => kept.ask(one, query),
                None => Box::pin(query),
            };
            let said = send(&mut query);
            sent.push((query, said));
        }
        self.catch_up().await?;
        let mut answers = Vec::with_capacity(asked.len());
        for (query, said) in sent {
            answers.push(match said {
                Some(said) => said?,
                None => query.await?,
            });
        }
        Ok(answers)
    }

    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Failure> {
        let statement = self.prepared(sql).await?;
        let session = self.session;
        self.answer(session.execute(&statement, values)).await
    }

    async fn execute_both(
        &mut self,
        one: Asked<'_>,
        other: Asked<'_>,
    ) -> Result<[u64; 2], Failure> {
        let first = self.prepared(one.sql).await?;
        let second = self.prepared(other.sql).await?;
        let session = self.session;
        session.counters.round_trip();
        let mut ahead = Box::pin(session.execute(&first, &one.values));
        let mut behind = Box::pin(session.execute(&second, &other.values));
        let (said, told) = (send(&mut ahead), send(&mut behind));
        self.catch_up().await?;
        let first = match said {
            Some(said) => said?,
            None => ahead.await?,
        };
        let second = match told {
            Some(told) => told?,
            None => behind.await?,
        };
        Ok([first, second])
    }

    async fn execute_each(
        &mut self,
        sql: &'static str,
        sets: &[Vec<Value<'_>>],
    ) -> Result<(), Failure> {
        for values in sets {
            self.send_ahead(sql, values).await?;
        }
        Ok(())
    }

    async fn push(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure> {
        self.send_ahead(sql, values).await
    }

    async fn lock(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure> {
        self.send_ahead(sql, values).await
    }
}

/// A session that others use at the same time: each statement stands for itself.
pub(super) struct Shared<'s>(pub(super) &'s Session);

#[async_trait]
impl Connection for Shared<'_> {
    async fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.0.prepare(sql).await?;
        self.0.counters.round_trip();
        self.0.query(&statement, values).await
    }

    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Failure> {
        let statement = self.0.prepare(sql).await?;
        self.0.counters.round_trip();
        self.0.execute(&statement, values).await
    }

    async fn execute_each(
        &mut self,
        sql: &'static str,
        sets: &[Vec<Value<'_>>],
    ) -> Result<(), Failure> {
        for values in sets {
            self.execute(sql, values).await?;
        }
        Ok(())
    }

    async fn push(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure> {
        self.execute(sql, values).await.map(drop)
    }

    async fn lock(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure> {
        self.execute(sql, values).await.map(drop)
    }
}
