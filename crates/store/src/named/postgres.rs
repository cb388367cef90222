//! Named statements on a PostgreSQL database of somebody else, over one connection.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use counterfoil_authority::custom::RepositoryError;
use parking_lot::Mutex;
use serde_json::Value as Json;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement as Prepared};

use super::placeholders::Statement;
use super::{Bound, Done, ROWS_MAX, Runs};
use crate::engine::postgres::foreign_client;

/// The database.
pub(super) struct Postgres {
    url: String,
    password: Option<String>,
    timeout: Duration,
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
}

/// A connection and what was prepared on it.
struct Session {
    client: Client,
    prepared: Mutex<HashMap<String, Prepared>>,
}

/// The statement in one that gives its rows as JSON, which the database itself writes, whatever
/// types the columns have. A comment may end the text, and hides nothing in the next line.
fn as_json(statement: &Statement) -> String {
    format!(
        "with found as ({}\n) select row_to_json(found)::text from found limit {ROWS_MAX}",
        statement.dollars()
    )
}

/// A value as text: the database reads it as the type that the statement has there.
#[derive(Debug)]
struct AsText<'a>(&'a Bound);

impl ToSql for AsText<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self.0 {
            Bound::Null => return Ok(IsNull::Yes),
            Bound::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Bound::Flag(flag) => out.extend_from_slice(if *flag { b"1" } else { b"0" }),
            Bound::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl Postgres {
    pub(super) fn new(url: &str, password: Option<String>, timeout: Duration) -> Self {
        Self { url: url.to_owned(), password, timeout, session: tokio::sync::Mutex::default() }
    }

    async fn session(&self) -> Result<Arc<Session>, RepositoryError> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.as_ref().filter(|open| !open.client.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let limit = self.timeout.as_millis();
        let set = format!("set statement_timeout = {limit}; set lock_timeout = {limit}");
        let client = foreign_client(&self.url, self.password.as_deref(), &set).await;
        let client = client.map_err(|_| RepositoryError::unavailable("it cannot be reached"))?;
        let opened = Arc::new(Session { client, prepared: Mutex::default() });
        *session = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

impl Session {
    async fn prepared(&self, text: String) -> Result<Prepared, tokio_postgres::Error> {
        let known = self.prepared.lock().get(&text).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let prepared = self.client.prepare(&text).await?;
        self.prepared.lock().insert(text, prepared.clone());
        Ok(prepared)
    }

    async fn run(
        &self,
        statement: &Statement,
        values: &[Bound],
    ) -> Result<Done, tokio_postgres::Error> {
        let values: Vec<AsText<'_>> = values.iter().map(AsText).collect();
        let bound: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        if !statement.returns_rows() {
            let prepared = self.prepared(statement.dollars().to_owned()).await?;
            let touched = self.client.execute(&prepared, &bound).await?;
            return Ok(Done { rows: Vec::new(), touched });
        }
        let prepared = self.prepared(as_json(statement)).await?;
        let found = self.client.query(&prepared, &bound).await?;
        let mut rows = Vec::with_capacity(found.len());
        for row in found {
            let text: &str = row.try_get(0)?;
            rows.push(serde_json::from_str(text).unwrap_or(Json::Null));
        }
        let touched = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok(Done { rows, touched })
    }
}

#[async_trait]
impl Runs for Postgres {
    async fn run(&self, statement: &Statement, values: &[Bound]) -> Result<Done, RepositoryError> {
        let session = self.session().await?;
        session.run(statement, values).await.map_err(|error| match error.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => RepositoryError::Conflict,
            Some(code) => RepositoryError::unavailable(format!("PostgreSQL says {}", code.code())),
            None => RepositoryError::unavailable("the connection broke"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_at_the_end_hides_nothing_and_no_answer_is_boundless() {
        let statement =
            Statement::parse("select id from token where owner = :user -- all").unwrap();
        assert_eq!(
            as_json(&statement),
            "with found as (select id from token where owner = $1 -- all\n) \
             select row_to_json(found)::text from found limit 1001"
        );
    }
}
