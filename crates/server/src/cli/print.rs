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
const LEADING: [&str; 11] = [
    "slot",
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

/// Prints every field of an object that has a value, one per line, and below them each list of
/// objects as a table under its name.
pub(crate) fn record(object: &Value) {
    let fields = object.as_object().into_iter().flatten();
    let (lists, fields): (Vec<_>, Vec<_>) = fields.partition(|(_, value)| lists_objects(value));
    let mut table = plain();
    for name in leading_first(fields.iter().map(|(name, _)| name.as_str())) {
        let text = cell(object.get(name));
        if !text.is_empty() {
            table.add_row([name.to_owned(), text]);
        }
    }
    line(&table.trim_fmt());
    for (name, list) in lists {
        line(&format!("\n{name}"));
        line(&list_table(list.as_array().map_or(&[], Vec::as_slice)).trim_fmt());
    }
}

fn lists_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_object))
}

/// Names as they are read best; those that do not lead keep their order.
fn leading_first<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    let place = |name: &&str| LEADING.iter().position(|leading| leading == name);
    names.sort_by_key(|name| place(name).unwrap_or(LEADING.len()));
    names
}

/// Objects of one sort, a column for every field that one of them has.
fn list_table(items: &[Value]) -> Table {
    let objects = || items.iter().filter_map(Value::as_object);
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in objects().flatten() {
        if !names.contains(&name.as_str()) && !cell(Some(value)).is_empty() {
            names.push(name);
        }
    }
    let names = leading_first(names.into_iter());
    let mut table = plain();
    table.set_header(names.iter().map(|name| name.replace('_', " ").to_uppercase()));
    for object in objects() {
        table.add_row(names.iter().map(|name| cell(object.get(*name))));
    }
    table
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
        Some(Value::Object(fields)) if fields.values().all(is_plain) => {
            let pair = |(name, value)| format!("{name}={}", cell(Some(value)));
            fields.iter().map(pair).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    };
    clean(&text)
}

fn is_plain(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// A time of the API as people read it.
pub(crate) fn time(text: &str) -> String {
    without_fraction(text).unwrap_or_else(|| clean(text))
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
        assert_eq!(cell(Some(&json!({ "a": 1, "b": "x" }))), "a=1, b=x");
        assert_eq!(cell(Some(&json!({ "a": { "b": 1 } }))), r#"{"a":{"b":1}}"#);
        assert_eq!(cell(Some(&json!("a\u{1b}[2Jb"))), "a[2Jb");
        let ends = Column::new("EXPIRES", "expires_at").or("never");
        assert_eq!(ends.of(&json!({ "expires_at": null })), "never");
        assert_eq!(ends.of(&json!({ "expires_at": "2026-12-31" })), "2026-12-31");
        assert_eq!(
            field(&json!({ "subject": { "user": "a" } }), "subject/user"),
            Some(&json!("a"))
        );
    }

    #[test]
    fn a_list_of_objects_is_a_table_of_what_they_have() {
        let secrets = json!([
            { "created_at": "2026-11-21T23:08:04.6Z", "expires_at": null, "slot": "current" },
            { "created_at": "2026-11-20T08:00:00Z", "expires_at": "2026-11-22T08:00:00Z",
                "slot": "previous", "not_before": null },
        ]);
        assert!(lists_objects(&secrets));
        assert!(![json!([]), json!(["a"]), json!({})].iter().any(lists_objects));
        let text = list_table(secrets.as_array().unwrap()).trim_fmt();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<Vec<String>> = text.lines().map(words).collect();
        assert_eq!(lines[0], ["SLOT", "CREATED", "AT", "EXPIRES", "AT"]);
        assert_eq!(lines[1], ["current", "2026-11-21T23:08:04Z"]);
        assert_eq!(lines[2], ["previous", "2026-11-20T08:00:00Z", "2026-11-22T08:00:00Z"]);
    }
}
