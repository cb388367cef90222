//! Tables out of a dump of MySQL, MariaDB or PostgreSQL, or out of CSV files named after them.
//!
//! Not a database: of everything that a dump says, `CREATE TABLE`, `INSERT` and `COPY` of the
//! wanted tables are read, and the rest is stepped over, quoted texts included.

mod sql;

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use self::sql::Dump;
use super::rows::{Place, Row, Tables};

/// A dump at most, in bytes: it is read as a whole.
pub(crate) const DUMP_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError {
    /// The file system refused.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is longer than is read.
    #[error("{0}: longer than 1 GiB; dump only the tables that are named in the guide")]
    TooLong(String),
    /// It has another shape than dumps have.
    #[error("{place}: {why}")]
    Shape {
        /// Where.
        place: Place,
        /// What is wrong.
        why: &'static str,
    },
}

/// Reads a file into `tables`: CSV if its name ends so, a dump otherwise.
pub(crate) fn read(
    path: &Path,
    wanted: &[&'static str],
    tables: &mut Tables,
) -> Result<(), DumpError> {
    let file = path.display().to_string();
    let io = |source| DumpError::Io { file: file.clone(), source };
    if std::fs::metadata(path).map_err(io)?.len() > DUMP_BYTES_MAX {
        return Err(DumpError::TooLong(file));
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(io)?);
    let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    if is_csv {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return read_csv(&bytes, &file, &stem, wanted, tables);
    }
    Dump::new(&bytes, &file, wanted).read(tables)
}

fn read_csv(
    bytes: &[u8],
    file: &str,
    stem: &str,
    wanted: &[&'static str],
    tables: &mut Tables,
) -> Result<(), DumpError> {
    let file: Arc<str> = file.into();
    let shape =
        |line, why| DumpError::Shape { place: Place { file: Arc::clone(&file), line }, why };
    let name = wanted.iter().find(|name| stem.eq_ignore_ascii_case(name));
    let name = *name.ok_or_else(|| shape(1, "is named after none of the tables of the guide"))?;
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let head = reader.headers().map_err(|_| shape(1, "has no line with the names of columns"))?;
    let columns: Arc<[String]> =
        head.iter().map(|name| name.trim_start_matches('\u{feff}').to_ascii_lowercase()).collect();
    let rows = tables.entry(name);
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(1, csv::Position::line);
            shape(usize::try_from(line).unwrap_or(usize::MAX), "is no line of this table")
        })?;
        let line = record.position().map_or(1, csv::Position::line);
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let values = record.iter().map(|text| match text {
            "" | "\\N" | "NULL" => None,
            text => Some(Zeroizing::new(text.to_owned())),
        });
        let place = Place { file: Arc::clone(&file), line };
        let row = Row::new(place, &columns, values.collect());
        rows.push(row.ok_or_else(|| shape(line, "has another number of values"))?);
    }
    Ok(())
}
