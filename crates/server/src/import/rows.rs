//! Rows of another system's tables, each with the line it was read from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// Rows of all tables together at most: some hundred thousand people with everything of theirs.
pub(crate) const ROWS_MAX: usize = 4_000_000;

/// Where a row was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: Arc<str>,
    /// The line, counted from 1.
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A value; `None` is NULL.
pub(crate) type Value = Option<Zeroizing<String>>;

/// A row. Its values may be secrets, so it shows none of them.
pub(crate) struct Row {
    /// Where it was read.
    pub(crate) place: Place,
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({}, ..)", self.place)
    }
}

impl Row {
    /// A row of these columns; `None` if it has more or fewer values.
    pub(crate) fn new(place: Place, columns: &Arc<[String]>, values: Vec<Value>) -> Option<Self> {
        let fits = columns.len() == values.len();
        fits.then(|| Self { place, columns: Arc::clone(columns), values })
    }

    /// A value that is there and not empty.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.values.get(index)?.as_ref().map(|text| text.as_str()).filter(|text| !text.is_empty())
    }

    /// A value as an owned text.
    pub(crate) fn owned(&self, column: &str) -> Option<String> {
        self.text(column).map(str::to_owned)
    }

    /// A number.
    pub(crate) fn number(&self, column: &str) -> Option<i64> {
        self.text(column)?.parse().ok()
    }

    /// Whether a truth value is true, as MySQL, PostgreSQL and their CSV write it.
    pub(crate) fn is_true(&self, column: &str) -> bool {
        self.text(column).is_some_and(|text| {
            ["1", "t", "true", "y", "yes"].iter().any(|word| text.eq_ignore_ascii_case(word))
        })
    }

    /// The number of the row, 0 if it has none.
    pub(crate) fn id(&self) -> i64 {
        self.number("id").unwrap_or_default()
    }
}

/// Rows by the names of their tables.
#[derive(Debug, Default)]
pub(crate) struct Tables(BTreeMap<&'static str, Vec<Row>>);

impl Tables {
    /// The rows of a table, none if it was not there.
    pub(crate) fn of(&self, table: &str) -> &[Row] {
        self.0.get(table).map_or(&[], Vec::as_slice)
    }

    /// Whether the table was there, even if it was empty.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }

    /// Notes that a table is there, and gives its rows.
    pub(crate) fn entry(&mut self, table: &'static str) -> &mut Vec<Row> {
        self.0.entry(table).or_default()
    }

    /// Rows in all.
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}
