//! Rows that the product wrote, to be written again in great number.
//!
//! The benchmark does not repeat the product's SQL, which would drift from it:
//! it looks at which rows one real issue adds to a database, and multiplies
//! them with fresh ids. Whatever tables and indexes a version has, the copies
//! have them too.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::Numbers;

/// The characters of ids, in the order of their value and of their bytes.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A text shorter than this is a word with a meaning, not an id.
const ID_LENGTH_MIN: usize = 12;

/// How a value of a copy comes from the value of the original.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// As it was.
    Same(Value),
    /// The copy's own token id.
    TokenId,
    /// An instant in 16 hexadecimal digits, then the copy's token id: later
    /// copies come later, as later issues do.
    InstantThenId(u64),
    /// Who the copy belongs to, after a fixed beginning.
    Owner(String),
    /// The hash of the copy's secret.
    Hash,
    /// Random bytes of this number: some other hash.
    Bytes(usize),
    /// An id of this length that sorts after those before it, as ids that
    /// begin with a time do.
    Ascending(String, usize),
    /// The next number: an integer key.
    Number,
}

/// What tells one copy from the others.
#[derive(Debug, Default)]
pub struct Copy {
    /// Its token's id.
    pub token_id: String,
    /// Its owner; empty: that of the original.
    pub owner: String,
    /// The stored hash of its secret; empty: random bytes.
    pub hash: Vec<u8>,
}

/// The original by which its rows are recognised.
#[derive(Debug, Default)]
pub struct Original {
    /// Its token's id.
    pub token_id: String,
    /// Its owner.
    pub owner: String,
    /// The stored hash of its secret; empty when that need not be known.
    pub hash: Vec<u8>,
}

/// One row of the original, ready to be copied.
#[derive(Debug)]
struct Row {
    insert: String,
    parts: Vec<Part>,
    next_number: i64,
}

/// What one token consists of in the store.
#[derive(Debug)]
pub struct Template {
    // In an order in which they can be inserted.
    rows: Vec<Row>,
}

impl Template {
    /// The rows that stand in `connection` and not in the database file
    /// `before`, in which the token `original` did not yet exist.
    ///
    /// # Errors
    ///
    /// Fails when there are none, or when the databases cannot be read.
    pub fn between(connection: &Connection, before: &str, original: &Original) -> Result<Self> {
        connection.execute("attach database ?1 as earlier", [before])?;
        let mut rows = Vec::new();
        for table in tables(connection)? {
            let columns = columns(connection, &table)?;
            let unique = unique_columns(connection, &table)?;
            let mut added = connection.prepare(&format!(
                "select * from main.\"{table}\" except select * from earlier.\"{table}\""
            ))?;
            let mut found = added.query([])?;
            while let Some(row) = found.next()? {
                let values = (0..columns.len())
                    .map(|index| row.get::<_, Value>(index))
                    .collect::<Result<Vec<_>, _>>()?;
                if !values.iter().any(|value| names(value, &original.token_id)) {
                    // Written at the same time for another reason: a heartbeat.
                    continue;
                }
                rows.push(Row {
                    parts: parts(&columns, &unique, values, original),
                    next_number: next_number(connection, &table, &columns)?,
                    insert: insert_into(&table, &columns),
                });
            }
        }
        connection.execute("detach database earlier", [])?;
        ensure!(!rows.is_empty(), "the issue of {} added no row", original.token_id);
        Ok(Self { rows })
    }

    /// How many rows one token has.
    pub const fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How many values of the rows are the hash of the original's secret.
    pub fn hashes(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.parts).filter(|part| **part == Part::Hash).count()
    }
}

/// The statement that inserts a copy.
fn insert_into(table: &str, columns: &[String]) -> String {
    let marks = vec!["?"; columns.len()].join(", ");
    let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    format!("insert into \"{table}\" ({}) values ({marks})", names.join(", "))
}

/// Whether a value names a token: as the whole of it or inside.
fn names(value: &Value, token_id: &str) -> bool {
    matches!(value, Value::Text(text) if text.contains(token_id))
}

impl Row {
    /// The values of the next copy.
    fn next(&mut self, copy: &Copy, numbers: &mut Numbers) -> Vec<Value> {
        self.next_number += 1;
        let number = self.next_number;
        self.parts.iter().map(|part| value(part, copy, number, numbers)).collect()
    }
}

fn value(part: &Part, copy: &Copy, number: i64, numbers: &mut Numbers) -> Value {
    let mut random = |length: usize| {
        let mut bytes = vec![0; length];
        numbers.fill(&mut bytes);
        Value::Blob(bytes)
    };
    match part {
        Part::Same(value) => value.clone(),
        Part::TokenId => Value::Text(copy.token_id.clone()),
        Part::InstantThenId(instant) => {
            let instant = instant.saturating_add_signed(number);
            Value::Text(format!("{instant:016x}{}", copy.token_id))
        }
        Part::Owner(beginning) => Value::Text(format!("{beginning}{}", copy.owner)),
        Part::Hash if copy.hash.is_empty() => random(32),
        Part::Hash => Value::Blob(copy.hash.clone()),
        Part::Bytes(length) => random(*length),
        Part::Ascending(beginning, width) => Value::Text(format!("{beginning}z{number:0width$}")),
        Part::Number => Value::Integer(number),
    }
}

/// Random letters and digits.
pub fn letters(length: usize, numbers: &mut Numbers) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (0..length).map(|_| char::from(ALPHABET[numbers.below(ALPHABET.len())])).collect()
}

fn parts(
    columns: &[String],
    unique: &[BTreeSet<String>],
    values: Vec<Value>,
    original: &Original,
) -> Vec<Part> {
    let mut parts: Vec<Part> = values.into_iter().map(|value| part(value, original)).collect();
    for index in unique {
        let inside = |column: &String| index.contains(column);
        let places: Vec<usize> =
            (0..columns.len()).filter(|place| columns.get(*place).is_some_and(inside)).collect();
        let differs = |place: &usize| !matches!(parts.get(*place), Some(Part::Same(_)));
        if places.iter().any(differs) {
            continue;
        }
        // Nothing in the index differs yet between copies: something must. A
        // null never collides; of the rest the most id-like value gives way.
        let id_like = |place: &&usize| match parts.get(**place) {
            Some(Part::Same(Value::Text(text))) if text.len() >= ID_LENGTH_MIN => 2,
            Some(Part::Same(Value::Integer(_))) => 1,
            _ => 0,
        };
        let Some(place) = places.iter().max_by_key(id_like) else {
            continue;
        };
        if let Some(part) = parts.get_mut(*place) {
            match part {
                Part::Same(Value::Text(text)) => *part = ascending(text),
                Part::Same(Value::Integer(_)) => *part = Part::Number,
                _ => {}
            }
        }
    }
    parts
}

fn part(value: Value, original: &Original) -> Part {
    match value {
        Value::Text(text) if text == original.token_id => Part::TokenId,
        Value::Text(text) => {
            if let Some(instant) = text.strip_suffix(original.token_id.as_str())
                && instant.len() == 16
                && let Ok(instant) = u64::from_str_radix(instant, 16)
            {
                return Part::InstantThenId(instant);
            }
            let before_owner = text.strip_suffix(original.owner.as_str());
            match before_owner.filter(|rest| !original.owner.is_empty() && is_qualifier(rest)) {
                Some(beginning) => Part::Owner(beginning.to_owned()),
                None => Part::Same(Value::Text(text)),
            }
        }
        Value::Blob(bytes) if !original.hash.is_empty() && bytes == original.hash => Part::Hash,
        Value::Blob(bytes) if bytes.len() >= 16 => Part::Bytes(bytes.len()),
        other => Part::Same(other),
    }
}

/// What may stand before an owner's name: nothing, or `user:` and its like.
fn is_qualifier(text: &str) -> bool {
    text.is_empty() || text.ends_with(':')
}

/// Keeps the first third, which is a time or chance; the rest counts up.
fn ascending(text: &str) -> Part {
    let kept = text.len() / 3;
    let beginning = text.chars().take(kept).collect();
    Part::Ascending(beginning, text.len().saturating_sub(kept + 1))
}

/// Tables in the order in which they were created: what is referred to comes
/// before what refers to it.
fn tables(connection: &Connection) -> Result<Vec<String>> {
    let mut listed = connection.prepare(
        "select name from main.sqlite_schema
         where type = 'table' and name not like 'sqlite_%' order by rowid",
    )?;
    let names = listed.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut listed = connection.prepare("select name from pragma_table_info(?1) order by cid")?;
    let names = listed.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// The columns of the primary key and of every unique index.
fn unique_columns(connection: &Connection, table: &str) -> Result<Vec<BTreeSet<String>>> {
    let mut listed = connection.prepare("select name from pragma_table_info(?1) where pk > 0")?;
    let key = listed.query_map([table], |row| row.get(0))?.collect::<Result<BTreeSet<_>, _>>()?;
    let mut unique = vec![key];
    let mut listed = connection.prepare(
        "select list.name, info.name from pragma_index_list(?1) list,
         pragma_index_info(list.name) info where list.\"unique\" = 1 order by list.name",
    )?;
    let pairs = listed.query_map([table], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    let mut current = String::new();
    for pair in pairs {
        let (index, column) = pair?;
        if index != current {
            unique.push(BTreeSet::new());
            current = index;
        }
        if let (Some(set), Some(column)) = (unique.last_mut(), column) {
            set.insert(column);
        }
    }
    unique.retain(|set| !set.is_empty());
    Ok(unique)
}

/// The largest integer in the table's first column: copies count on from there.
fn next_number(connection: &Connection, table: &str, columns: &[String]) -> Result<i64> {
    let Some(first) = columns.first() else {
        return Ok(0);
    };
    let largest: Value = connection.query_row(
        &format!("select max(\"{first}\") from main.\"{table}\""),
        [],
        |row| row.get(0),
    )?;
    Ok(match largest {
        Value::Integer(number) => number,
        _ => 0,
    })
}

/// Inserts one copy of every row.
///
/// # Errors
///
/// Fails when a row is refused.
pub fn insert_copy(
    connection: &Connection,
    template: &mut Template,
    copy: &Copy,
    numbers: &mut Numbers,
) -> rusqlite::Result<()> {
    for row in &mut template.rows {
        let values = row.next(copy, numbers);
        connection.prepare_cached(&row.insert)?.execute(params_from_iter(values))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "
create table token (id text primary key, sort_key text unique, realm text, owner text);
create table secret (token text, slot text, hash blob, primary key (token, slot));
create table event (realm text, id text, token text, actor text, primary key (realm, id));
create table log (seq integer primary key, token text);
create table heartbeat (beats integer);";

    const ISSUE: &str = "
insert into token values ('AAAAAAAAAAAA', '00000000000000ffAAAAAAAAAAAA', 'main', 'alice');
insert into secret values ('AAAAAAAAAAAA', 'current', zeroblob(32));
insert into event values ('main', '0123456789abcdef', 'AAAAAAAAAAAA', 'user:alice');
insert into log values (1, 'AAAAAAAAAAAA');
insert into heartbeat values (1);";

    #[test]
    fn what_an_issue_adds_can_be_added_again() {
        let name = format!("counterfoil-rows-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let (before, after) = (directory.join("before.db"), directory.join("after.db"));
        let before = before.to_str().unwrap();
        let connection = Connection::open(&after).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection.execute("vacuum into ?1", [before]).unwrap();
        connection.execute_batch(ISSUE).unwrap();

        let original = Original {
            token_id: "AAAAAAAAAAAA".to_owned(),
            owner: "alice".to_owned(),
            hash: vec![0; 32],
        };
        let mut template = Template::between(&connection, before, &original).unwrap();
        assert_eq!((template.rows(), template.hashes()), (4, 1));
        let mut numbers = Numbers::seeded(1);
        for copy in 0..3 {
            let copy = Copy {
                token_id: format!("BBBBBBBBBBB{copy}"),
                owner: "bob".to_owned(),
                hash: vec![copy; 32],
            };
            insert_copy(&connection, &mut template, &copy, &mut numbers).unwrap();
        }
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("select count(*) from token where owner = 'bob'"), 3);
        assert_eq!(count("select count(*) from token where length(sort_key) = 28"), 4);
        assert_eq!(count("select count(distinct hash) from secret where slot = 'current'"), 3);
        assert_eq!(count("select count(distinct id) from event where actor = 'user:bob'"), 3);
        assert_eq!(count("select max(seq) from log"), 4);
        drop(connection);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
