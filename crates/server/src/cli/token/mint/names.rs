//! The list of names that tokens are minted for: a CSV file, read whole before anything is issued.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::cli::failure::Failure;

/// Names in one file at most: a bar that runs for an hour is a sign of the wrong tool.
const NAMES_MAX: usize = 10_000;
/// Characters of a name at most, so that it is a file name everywhere.
const NAME_LEN_MAX: usize = 64;
/// The column that must be there.
const NAME: &str = "name";
/// Columns that become fields of the token.
const FIELDS: [&str; 5] = ["description", "identifier", "ref_id_1", "ref_id_2", "unit"];

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// What the token and its files are called.
    pub(super) name: String,
    /// Further fields of the token.
    pub(super) fields: Map<String, Value>,
}

/// Reads the file, or says what is wrong with it and in which line. Nothing is left out.
pub(super) fn read(shown: &str, bytes: &[u8]) -> Result<Vec<Named>, Failure> {
    // Spreadsheets begin their files with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let headers = reader.headers().map_err(|error| unreadable(shown, &error))?.clone();
    let columns: Vec<String> = headers.iter().map(str::to_ascii_lowercase).collect();
    check_columns(shown, &columns)?;
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    let mut names = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(shown, &error))?;
        let line = record.position().map_or(0, |position| line_of(bytes, position));
        let at = |why: &str| Failure::about(format!("{shown}: line {line}"), why);
        let read = named(&columns, &record).map_err(|why| at(&why))?;
        // Two files that differ by case alone are one on many disks.
        if let Some(first) = lines.insert(read.name.to_lowercase(), line) {
            return Err(at(&format!("the name `{}` stands in line {first} already", read.name)));
        }
        if names.len() == NAMES_MAX {
            return Err(at(&format!("at most {NAMES_MAX} names at once")));
        }
        names.push(read);
    }
    if names.is_empty() {
        return Err(Failure::about(shown, "holds no names"));
    }
    Ok(names)
}

/// The line in which a record stands: the reader counts the empty ones before it to it.
fn line_of(bytes: &[u8], position: &csv::Position) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = bytes.get(start..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

fn check_columns(shown: &str, columns: &[String]) -> Result<(), Failure> {
    let at = |why: String| Failure::about(format!("{shown}: line 1"), why);
    if !columns.iter().any(|column| column == NAME) {
        return Err(at(format!("the first line names the columns, and one is `{NAME}`")));
    }
    for (place, column) in columns.iter().enumerate() {
        if column != NAME && !FIELDS.contains(&column.as_str()) {
            let known = FIELDS.join(", ");
            return Err(at(format!("no column is called `{column}`; there are {NAME}, {known}")));
        }
        if columns.iter().take(place).any(|other| other == column) {
            return Err(at(format!("the column `{column}` is there twice")));
        }
    }
    Ok(())
}

fn named(columns: &[String], record: &csv::StringRecord) -> Result<Named, String> {
    let mut name = "";
    let mut fields = Map::new();
    for (column, text) in columns.iter().zip(record) {
        if text.chars().any(char::is_control) {
            return Err(format!("`{column}` holds a control character"));
        }
        if column == NAME {
            name = text;
        } else if !text.is_empty() {
            fields.insert(column.clone(), text.into());
        }
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        return Err("the name is missing".to_owned());
    }
    if name.len() > NAME_LEN_MAX || name.starts_with('.') || !name.chars().all(plain) {
        return Err(format!(
            "`{name}` is no name for files: up to {NAME_LEN_MAX} letters, digits, `.`, `_` and \
             `-`, no `.` first"
        ));
    }
    Ok(Named { name: name.to_owned(), fields })
}

fn unreadable(shown: &str, error: &csv::Error) -> Failure {
    let line = error.position().map_or(1, csv::Position::line);
    let why = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields instead of {expected_len}")
        }
        _ => error.to_string(),
    };
    Failure::about(format!("{shown}: line {line}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        read("n.csv", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn names_are_read_with_their_fields() {
        let names =
            read("n.csv", b"\xef\xbb\xbfName,ref_id_1\nws-17,\"a, b\"\n ws-18 ,\n").unwrap();
        assert_eq!((names.len(), names[0].name.as_str()), (2, "ws-17"));
        assert_eq!(names[0].fields["ref_id_1"], "a, b");
        assert_eq!((names[1].name.as_str(), names[1].fields.len()), ("ws-18", 0));
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        assert_eq!(said("name\na\n\nb c\n").split("`b c`").next(), Some("n.csv: line 4: "));
        assert_eq!(said("name\na\nA\n"), "n.csv: line 3: the name `A` stands in line 2 already");
        assert_eq!(said("name,unit\na\n"), "n.csv: line 2: has 1 fields instead of 2");
        assert_eq!(said("name,unit\n,u\n"), "n.csv: line 2: the name is missing");
        assert!(said("name,colour\n").starts_with("n.csv: line 1: no column is called `colour`"));
        assert!(said("host\na\n").starts_with("n.csv: line 1: the first line names the columns"));
        assert_eq!(said("name,name\n"), "n.csv: line 1: the column `name` is there twice");
        assert_eq!(said("name\n"), "n.csv: holds no names");
        let bytes = read("n.csv", b"name\na\n\xff\n").unwrap_err().to_string();
        assert_eq!(bytes, "n.csv: line 3: is not UTF-8");
        for bad in ["../a", ".a", "a/b", &"x".repeat(65)] {
            assert!(said(&format!("name\n{bad}\n")).contains("is no name for files"), "{bad}");
        }
    }
}
