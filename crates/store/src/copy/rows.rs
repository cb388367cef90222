//! Rows on their way: read a page behind a key, stored together with the place they reach.

use counterfoil_authority::store::Unavailable;

use super::marker::{self, Place};
use super::tables::Copied;
use crate::SqlStore;
use crate::engine::{Failure, Row, Transaction, Value};

/// The columns of one row.
pub(super) type Columns = Vec<Value<'static>>;

/// The first rows behind `key`, at most `limit`, in the order of the key.
pub(super) async fn page(
    store: &SqlStore,
    table: &'static Copied,
    key: &[Value<'static>],
    limit: u32,
) -> Result<Vec<Columns>, Unavailable> {
    let sql: &'static str = if key.is_empty() { &table.first } else { &table.next };
    let mut values = key.to_vec();
    values.push(Value::from(limit.max(1)));
    let asked = (sql, values);
    let read = store.scan(asked, |tx, (sql, values)| Box::pin(tx.query(sql, values))).await?;
    Ok(read.into_iter().map(Row::into_values).collect())
}

/// Rows of one table that arrive together.
pub(super) struct Batch {
    /// Where they go.
    pub(super) table: &'static Copied,
    /// Where the table has to be for that.
    before: Place,
    /// Where it is with them.
    pub(super) behind: Place,
    rows: Vec<Columns>,
}

impl Batch {
    /// The rows that follow `before`; `None` if there are none.
    pub(super) fn new(table: &'static Copied, before: &Place, rows: Vec<Columns>) -> Option<Self> {
        let key = rows.last()?.iter().take(table.table.key_columns).cloned().collect();
        let behind = Place { key, rows: before.rows + rows.len() as u64 };
        Some(Self { table, before: before.clone(), behind, rows })
    }
}

/// Stores a batch; false if the table is elsewhere, and nothing is stored then.
pub(super) async fn store(tx: &mut Transaction<'_>, batch: &Batch) -> Result<bool, Failure> {
    let Batch { table, before, behind, rows } = batch;
    if !marker::advance(tx, table.table.name, before, behind).await? {
        return Ok(false);
    }
    tx.execute_each(&table.insert, rows).await?;
    Ok(true)
}
