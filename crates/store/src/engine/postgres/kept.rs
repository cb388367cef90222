//! What a group holds in place is asked for once, whoever of the group names it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::engine::{Asked, BoxFuture, Failure, Row, Value};

/// How the shared text ends that holds a row in place until the end of the transaction.
const KEEPING: &str = "{for_keeping}";

/// The answers of one transaction to questions that hold a row in place: they stay the same
/// until it ends, because nobody removes such a row meanwhile.
#[derive(Default)]
pub(super) struct Kept(Mutex<Vec<One>>);

struct One {
    sql: &'static str,
    values: Vec<Value<'static>>,
    rows: Arc<OnceCell<Vec<Row>>>,
}

impl Kept {
    /// The answer to a question: by `query`, or by somebody else who has asked the same. If that
    /// one failed the next one asks.
    pub(super) fn ask<'a>(
        &self,
        asked: &Asked<'_>,
        query: impl Future<Output = Result<Vec<Row>, Failure>> + Send + 'a,
    ) -> BoxFuture<'a, Result<Vec<Row>, Failure>> {
        if !asked.sql.ends_with(KEEPING) {
            return Box::pin(query);
        }
        let rows = self.rows(asked);
        Box::pin(async move { rows.get_or_try_init(|| query).await.cloned() })
    }

    fn rows(&self, asked: &Asked<'_>) -> Arc<OnceCell<Vec<Row>>> {
        let mut all = self.0.lock();
        let same = |one: &&One| std::ptr::eq(one.sql, asked.sql) && one.values == asked.values;
        if let Some(one) = all.iter().find(same) {
            return Arc::clone(&one.rows);
        }
        let values = asked.values.iter().map(Value::detached).collect();
        let rows = Arc::default();
        all.push(One { sql: asked.sql, values, rows: Arc::clone(&rows) });
        rows
    }
}
