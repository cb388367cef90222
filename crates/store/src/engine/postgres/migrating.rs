//! The schema on PostgreSQL: one node migrates, the others wait and find it done.

use async_trait::async_trait;
use tokio_postgres::SimpleQueryMessage;

use super::failure::failure;
use super::session::Session;
use super::words::WORDS;
use crate::engine::{Failure, Words};
use crate::migrate::{self, Expected, Migrating, Older, OpenError};

/// Serialises nodes that migrate; the number is this program's own ("cntrfoil" in ASCII).
/// Where advisory locks do nothing the primary key of `schema_version` refuses the second one.
///
/// Who waits for another's migration waits for its end, and a migration takes the time it needs;
/// only for a lock that somebody else's statement holds it does not keep all others waiting.
const LOCK: &str = "
begin;
set local statement_timeout = 0;
set local lock_timeout = 0;
select pg_advisory_xact_lock(7164792091886709100);
set local lock_timeout = '4s'";

/// Brings the schema up to date, or makes sure that it is.
pub(super) async fn run(
    session: &mut Session,
    create: bool,
    expected: Expected,
) -> Result<(), OpenError> {
    // Looked at first: a node that has nothing to do needs neither the lock nor the right to it.
    let is_there =
        session.number("select (to_regclass('schema_version') is not null)::int").await?;
    if is_there == 0 {
        let made = if create {
            migrate::settle(session, Expected::Whole(Older::Migrate)).await
        } else {
            Err(OpenError::Empty)
        };
        return made;
    }
    if migrate::version_of(session).await? == expected.version()
        && expected != Expected::UnfinishedCopy
    {
        return Ok(());
    }
    migrate::settle(session, expected).await
}

#[async_trait]
impl Migrating for Session {
    fn words(&self) -> Words {
        WORDS
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        self.simple(LOCK).await.map(drop).map_err(failure)
    }

    async fn script(&mut self, sql: &str) -> Result<(), Failure> {
        self.simple(sql).await.map(drop).map_err(failure)
    }

    async fn number(&mut self, sql: &str) -> Result<i64, Failure> {
        let said = self.simple(sql).await.map_err(failure)?;
        let number = said.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        number.ok_or_else(Failure::interleaved)
    }
}
