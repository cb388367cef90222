//! What commands print: tables for people, JSON for programs.

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// Writes a text and a line end to standard output.
///
/// A reader that has gone away (`| head`) is no error of ours.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a text as it is to standard output.
pub(crate) fn raw(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes a remark to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes JSON, indented.
pub(crate) fn json(value: &Value) {
    line(&format!("{value:#}"));
}

/// One column of a list: its title and the field it shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// The title.
    pub(crate) title: &'static str,
    /// The field, as a JSON pointer without its first slash.
    pub(crate) field: &'static str,
    /// What stands where there is no value.
    pub(crate) empty: &'static str,
}

impl Column {
    /// A column that stays empty where there is no value.
    pub(crate) const fn new(title: &'static str, field: &'static str) -> Self {
        Self { title, field, empty: "" }
    }

    /// Where there is no value, `empty` stands.
    pub(crate) const fn or(self, empty: &'static str) -> Self {
        Self { empty, ..self }
    }

    fn of(self, item: &Value) -> String {
        let text = cell(field(item, self.field));
        if text.is_empty() { self.empty.to_owned() } else { text }
    }
}

/// Prints `items` as a table.
pub(crate) fn table(columns: &[Column], items: &[Value]) {
    let mut table = plain();
    table.set_header(columns.iter().map(|column| column.title));
    for item in items {
        table.add_row(columns.iter().map(|column| column.of(item)));
    }
    line(&table.trim_fmt());
}

/// What names a record comes first, the rest by the alphabet.
const LEADING: [&str; 10] = [
    "id",
    "username",
    "label",
    "name",
    "display_name",
    "kind",
    "user",
    "state",
    "status",
    "version",
];

/// Prints every field of an object that has a value, one per line.
pub(crate) fn record(object: &Value) {
    let mut fields: Vec<(&String, &Value)> = object.as_object().into_iter().flatten().collect();
    let place = |name: &str| LEADING.iter().position(|leading| *leading == name);
    // Stable: fields that do not lead keep their order.
    fields.sort_by_key(|(name, _)| place(name).unwrap_or(LEADING.len()));
    let mut table = plain();
    for (name, value) in fields {
        let text = cell(Some(value));
        if !text.is_empty() {
            table.add_row([name.clone(), text]);
        }
    }
    line(&table.trim_fmt());
}

/// Prints lines of cells, already texts.
pub(crate) fn rows(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = plain();
    table.set_header(titles.iter().copied());
    table.add_rows(rows);
    line(&table.trim_fmt());
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn field<'a>(item: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').try_fold(item, |value, name| value.get(name))
}

/// A value as people read it. Control characters are taken out, so that a stored text cannot
/// move the cursor of who looks at it.
fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => without_fraction(text).unwrap_or_else(|| text.clone()),
        Some(Value::Array(items)) if items.iter().all(|item| !item.is_object()) => {
            items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Object(fields)) if fields.is_empty() => String::new(),
        Some(other) => other.to_string(),
    };
    clean(&text)
}

/// An RFC 3339 time in UTC to the second: nobody reads the microseconds in a table.
fn without_fraction(text: &str) -> Option<String> {
    let (seconds, fraction) = text.strip_suffix('Z')?.split_once('.')?;
    let time = seconds.len() == 19 && seconds.get(10..11) == Some("T");
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    (time && digits).then(|| format!("{seconds}Z"))
}

/// The text without control characters.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_read_well_and_carry_no_control_characters() {
        assert_eq!(cell(Some(&json!(["a", "b"]))), "a, b");
        assert_eq!(cell(Some(&json!(null))), "");
        assert_eq!(cell(Some(&json!("2026-11-21T23:08:04.659625Z"))), "2026-11-21T23:08:04Z");
        assert_eq!(cell(Some(&json!("v1.2Z"))), "v1.2Z");
        assert_eq!(cell(Some(&json!({}))), "");
        assert_eq!(cell(Some(&json!({ "a": 1 }))), r#"{"a":1}"#);
        assert_eq!(cell(Some(&json!("a\u{1b}[2Jb"))), "a[2Jb");
        let ends = Column::new("EXPIRES", "expires_at").or("never");
        assert_eq!(ends.of(&json!({ "expires_at": null })), "never");
        assert_eq!(ends.of(&json!({ "expires_at": "2026-12-31" })), "2026-12-31");
        assert_eq!(
            field(&json!({ "subject": { "user": "a" } }), "subject/user"),
            Some(&json!("a"))
        );
    }
}
