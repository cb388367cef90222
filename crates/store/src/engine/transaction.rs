//! What an operation sees of a database: statements, and a list of what it changed.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::store::Change;

use super::{Failure, Row, Value};
use crate::changes;

/// A statement and its values.
pub(crate) struct Asked<'a> {
    /// The statement.
    pub(crate) sql: &'static str,
    /// What is bound to it.
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> Asked<'a> {
    /// A statement that has not run.
    pub(crate) fn new(sql: &'static str, values: impl Into<Vec<Value<'a>>>) -> Self {
        Self { sql, values: values.into() }
    }
}

/// Statements on one connection, inside one transaction.
#[async_trait]
pub(crate) trait Connection: Send {
    /// Runs a statement that returns rows.
    async fn query(&mut self, sql: &'static str, values: &[Value<'_>])
    -> Result<Vec<Row>, Failure>;
    /// Runs statements none of which depends on another one's answer: in this order, and where
    /// the database is far away at the price of one.
    async fn query_all(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<Row>>, Failure> {
        let mut answers = Vec::with_capacity(asked.len());
        for one in asked {
            answers.push(self.query(one.sql, &one.values).await?);
        }
        Ok(answers)
    }
    /// Runs a statement and says how many rows it touched.
    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Failure>;
    /// Runs two statements at the price of one, the second also if the first touched nothing,
    /// and says how many rows each touched.
    async fn execute_both(
        &mut self,
        one: Asked<'_>,
        other: Asked<'_>,
    ) -> Result<[u64; 2], Failure> {
        let first = self.execute(one.sql, &one.values).await?;
        Ok([first, self.execute(other.sql, &other.values).await?])
    }
    /// Runs a statement of which nobody needs to know how many rows it touched. An engine may
    /// send it ahead; an error then shows with a later statement or the commit.
    async fn push(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure>;
    /// Takes turns with others who are about to decide on the same rows, until the end of the
    /// transaction. An engine with one writer has nothing to do.
    async fn lock(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure>;
    /// Runs one statement for each set of values, prepared once.
    async fn execute_each(
        &mut self,
        sql: &'static str,
        sets: &[Vec<Value<'_>>],
    ) -> Result<(), Failure>;
}

/// One operation's transaction, or its share of a larger one.
pub(crate) struct Transaction<'c> {
    connection: &'c mut dyn Connection,
    changes: Vec<Change>,
    undone: bool,
}

impl<'c> Transaction<'c> {
    /// A transaction that has been begun on `connection`.
    pub(crate) fn new(connection: &'c mut dyn Connection) -> Self {
        Self { connection, changes: Vec::new(), undone: false }
    }

    /// Whether the operation wants its writes taken back although it has an answer.
    pub(crate) const fn is_undone(&self) -> bool {
        self.undone
    }

    /// What the operation changed.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// Runs a statement that returns rows.
    pub(crate) async fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        self.connection.query(sql, values).await
    }

    /// Runs a statement that returns at most one row.
    pub(crate) async fn row(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, Failure> {
        Ok(self.connection.query(sql, values).await?.into_iter().next())
    }

    /// Whether a statement returns any row.
    pub(crate) async fn exists(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<bool, Failure> {
        Ok(!self.connection.query(sql, values).await?.is_empty())
    }

    /// Runs a statement and says how many rows it touched.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        self.connection.execute(sql, values).await
    }

    /// Runs statements none of which depends on another one's answer.
    pub(crate) async fn query_all(
        &mut self,
        asked: &[Asked<'_>],
    ) -> Result<Vec<Vec<Row>>, Failure> {
        self.connection.query_all(asked).await
    }

    /// Runs two statements, the second also if the first touched nothing.
    pub(crate) async fn execute_both(
        &mut self,
        one: Asked<'_>,
        other: Asked<'_>,
    ) -> Result<[u64; 2], Failure> {
        self.connection.execute_both(one, other).await
    }

    /// Runs a statement of which nobody needs to know how many rows it touched.
    pub(crate) async fn push(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<(), Failure> {
        self.connection.push(sql, values).await
    }

    /// Takes turns with others who are about to decide on the same rows.
    pub(crate) async fn lock(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<(), Failure> {
        self.connection.lock(sql, values).await
    }

    /// Runs one statement for each set of values.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &'static str,
        sets: &[Vec<Value<'_>>],
    ) -> Result<(), Failure> {
        self.connection.execute_each(sql, sets).await
    }

    /// Notes a change for this process's listeners and, in the log, for other processes.
    pub(crate) async fn changed(&mut self, change: Change, at: Timestamp) -> Result<(), Failure> {
        changes::log(self.connection, &change, at).await?;
        self.changes.push(change);
        Ok(())
    }

    /// Notes many changes, as one [`Change::Everything`] when they are too many to name.
    pub(crate) async fn all_changed(
        &mut self,
        changes: Vec<Change>,
        at: Timestamp,
    ) -> Result<(), Failure> {
        if changes.len() > changes::NAMED_CHANGES_MAX {
            return self.changed(Change::Everything, at).await;
        }
        for change in changes {
            self.changed(change, at).await?;
        }
        Ok(())
    }

    /// Takes back everything that this operation wrote; its answer still counts.
    pub(crate) fn undo(&mut self) {
        self.undone = true;
        self.changes.clear();
    }
}
