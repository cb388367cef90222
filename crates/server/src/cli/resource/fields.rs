//! Fields of a record as flags: what they take, and the JSON that they become.

use clap::ArgMatches;
use serde_json::{Map, Value};

use crate::cli::failure::Failure;
use crate::cli::secret_input::{self, Wanted};

/// A larger body is no record.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A text; empty clears the field.
    Text,
    /// May be given several times; one empty text is the empty list.
    List,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words.
    Choices(&'static [&'static str]),
    /// JSON.
    Json,
    /// A JSON object that is merged with the one that is there; empty clears all of that.
    Merged,
    /// A whole number.
    Number,
    /// A secret, from a file or from standard input.
    Secret,
}

/// Which commands take a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// `create` and `update`.
    Both,
    /// `update` alone: new records have it set.
    Update,
}

/// A field of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// The flag without its dashes.
    pub(crate) flag: &'static str,
    /// The field in the body; a dot leads into an object.
    pub(crate) json: &'static str,
    /// What stands for the value in the help.
    pub(crate) value: &'static str,
    /// What it takes.
    pub(crate) sort: Sort,
    /// Whether `create` needs it.
    pub(crate) required: bool,
    /// Which commands take it.
    pub(crate) on: On,
    /// What it means.
    pub(crate) help: &'static str,
}

/// The value of a field, `None` if it was not given.
pub(crate) fn value_of(field: &Field, matches: &ArgMatches) -> Result<Option<Value>, Failure> {
    let text = |name| matches.get_one::<String>(name);
    Ok(match field.sort {
        Sort::Flag => matches.get_one::<bool>(field.flag).map(|&flag| Value::Bool(flag)),
        Sort::List | Sort::Choices(_) => matches.get_many::<String>(field.flag).map(|texts| {
            texts.filter(|text| !text.is_empty()).map(|text| Value::from(text.as_str())).collect()
        }),
        Sort::Text | Sort::Choice(_) => text(field.flag).map(|text| match text.as_str() {
            "" => Value::Null,
            text => text.into(),
        }),
        Sort::Number => match text(field.flag) {
            None => None,
            Some(text) => Some(
                text.parse::<i64>()
                    .map(Value::from)
                    .map_err(|error| Failure::Usage(format!("--{}: {error}", field.flag)))?,
            ),
        },
        Sort::Secret => match text(field.flag) {
            None => None,
            Some(from) => {
                let secret = secret_input::secret(Some(from), Wanted::TargetSecret)?;
                Some(Value::from(secret.reveal()))
            }
        },
        Sort::Json | Sort::Merged => match text(field.flag) {
            None => None,
            Some(text) if text.is_empty() && field.sort == Sort::Merged => Some(Value::Null),
            Some(text) => Some(serde_json::from_str(text).map_err(|error| {
                Failure::Usage(format!("--{}: this is no JSON: {error}", field.flag))
            })?),
        },
    })
}

/// Puts `value` under `path`, making objects on the way.
pub(crate) fn put(fields: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(fields.insert(path.to_owned(), value)),
        Some((outer, inner)) => {
            let object = fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(object) = object {
                put(object, inner, value);
            }
        }
    }
}

/// A JSON object from a file or, for `-`, from standard input.
pub(crate) fn object_from(from: &str) -> Result<Map<String, Value>, Failure> {
    use std::io::Read as _;
    let wrong = |error: std::io::Error| Failure::about(from, error);
    let mut text = String::new();
    let read = match from {
        "-" => std::io::stdin().take(BODY_BYTES_MAX).read_to_string(&mut text),
        path => std::fs::File::open(path)
            .and_then(|file| file.take(BODY_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(wrong)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{from}: this is no JSON object: {error}")))
}
