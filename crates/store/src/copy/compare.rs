//! What a table adds up to, on whichever engine: its rows, and a checksum over their text.

use std::fmt::Write as _;

use counterfoil_authority::store::Unavailable;
use sha2::{Digest, Sha256};

use super::rows;
use super::tables::Copied;
use crate::SqlStore;
use crate::engine::Value;

/// Rows read at a time.
const PAGE_ROWS: u32 = 2_000;

/// A table in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    /// Its rows.
    pub(super) rows: u64,
    /// SHA-256 over them in the order of the key, in hexadecimal.
    pub(super) checksum: String,
}

/// Reads a whole table.
pub(super) async fn sum(
    store: &SqlStore,
    table: &'static Copied,
    told: impl Fn(u64),
) -> Result<Sum, Unavailable> {
    let mut hash = Sha256::new();
    let (mut rows, mut key) = (0, Vec::new());
    let mut text = Vec::new();
    loop {
        let page = rows::page(store, table, &key, PAGE_ROWS).await?;
        for row in &page {
            text.clear();
            write_row(row, &mut text);
            hash.update(&text);
        }
        rows += page.len() as u64;
        told(rows);
        let Some(last) = page.last().filter(|_| page.len() == PAGE_ROWS as usize) else { break };
        key = last.iter().take(table.table.key_columns).cloned().collect();
    }
    let mut checksum = String::new();
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(checksum, "{byte:02x}");
    }
    Ok(Sum { rows, checksum })
}

/// The text of a row. Every value tells its sort and length, so that no two rows share a text.
fn write_row(row: &[Value<'_>], out: &mut Vec<u8>) {
    for value in row {
        match value {
            Value::Null => out.push(b'-'),
            Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Text(text) => write_sized(b't', text.as_bytes(), out),
            Value::Bytes(bytes) => write_sized(b'b', bytes, out),
        }
        out.push(b' ');
    }
    out.push(b'\n');
}

fn write_sized(sort: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(sort);
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::values;

    #[test]
    fn no_two_rows_share_a_text() {
        let rows = [
            values![1_i64, "a b"].to_vec(),
            values![1_i64, "a", "b"].to_vec(),
            values!["1", "a b"].to_vec(),
            values![1_i64, &b"a b"[..]].to_vec(),
            values![1_i64, Option::<i64>::None].to_vec(),
            values![1_i64, ""].to_vec(),
        ];
        let text = |row: &Vec<Value<'_>>| {
            let mut out = Vec::new();
            write_row(row, &mut out);
            out
        };
        for (place, one) in rows.iter().enumerate() {
            for other in &rows[place + 1..] {
                assert_ne!(text(one), text(other), "{one:?} {other:?}");
            }
        }
    }
}
