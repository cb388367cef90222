//! Values as they come, read by the table: names in any case, flags as words, one value where many
//! can be. What the table does not have is dropped.

use serde_json::{Map, Value};

use super::fault::Fault;
use super::path;
use super::schema::{Attribute, Mutability, Resources, Sort, named};

/// Characters of a text at most: a name or an address is far shorter.
const CHARS_MAX: usize = 1024;
/// Values of one attribute of a person at most. Members of groups are counted elsewhere.
pub(super) const VALUES_MAX: usize = 100;

/// A resource as somebody sends it, without what only the server says.
pub(super) fn resource(
    resources: &'static Resources,
    body: &Map<String, Value>,
) -> Result<Map<String, Value>, Fault> {
    let mut read = Map::new();
    for (name, value) in body {
        if let Some(schema) = path::extension_named(resources, name) {
            let Value::Object(said) = value else {
                return Err(Fault::value(schema.id, "is an object"));
            };
            let mut inner = Map::new();
            for (name, value) in said {
                put(&mut inner, named(schema.attributes, name), value)?;
            }
            if !inner.is_empty() {
                read.insert(schema.id.to_owned(), inner.into());
            }
        } else if name.eq_ignore_ascii_case("externalId") {
            put(&mut read, named(super::schema::COMMON, name), value)?;
        } else {
            put(&mut read, named(resources.core.attributes, name), value)?;
        }
    }
    Ok(read)
}

fn put(
    into: &mut Map<String, Value>,
    attribute: Option<&'static Attribute>,
    value: &Value,
) -> Result<(), Fault> {
    // What is only read may be sent back as it was read, and says nothing (RFC 7644 section 3.5.1).
    let Some(attribute) = attribute.filter(|one| one.mutability != Mutability::ReadOnly) else {
        return Ok(());
    };
    if let Some(value) = whole(attribute, value)? {
        into.insert(attribute.name.to_owned(), value);
    }
    Ok(())
}

/// All values of an attribute; `None` if there are none.
pub(super) fn whole(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, Fault> {
    if !attribute.many {
        return one(attribute, value);
    }
    let each = match value {
        Value::Null => return Ok(None),
        Value::Array(each) => each.as_slice(),
        single => std::slice::from_ref(single),
    };
    if each.len() > VALUES_MAX && attribute.name != "members" {
        return Err(Fault::value(attribute.name, format!("has at most {VALUES_MAX} values")));
    }
    let mut values = Vec::with_capacity(each.len());
    for value in each {
        values.extend(one(attribute, value)?);
    }
    let first = values.iter().position(is_primary);
    if let Some(first) = first {
        demote_others(&mut values, first);
    }
    Ok((!values.is_empty()).then_some(Value::Array(values)))
}

/// One value of an attribute; `None` if there is nothing in it.
pub(super) fn one(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, Fault> {
    if value.is_null() {
        return Ok(None);
    }
    let wrong = |what: &str| Err(Fault::value(attribute.name, what));
    match attribute.sort {
        Sort::Text | Sort::Reference(_) | Sort::Time => match value {
            Value::String(text) => text_of(attribute, text).map(Some),
            _ => wrong("is a string"),
        },
        Sort::Flag => match value {
            Value::Bool(_) => Ok(Some(value.clone())),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true.into())),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false.into())),
            _ => wrong("is true or false"),
        },
        Sort::Number => match value {
            Value::Number(_) => Ok(Some(value.clone())),
            _ => wrong("is a number"),
        },
        Sort::Complex(parts) => match value {
            Value::Object(said) => {
                let mut read = Map::new();
                for (name, value) in said {
                    put(&mut read, named(parts, name), value)?;
                }
                Ok((!read.is_empty()).then(|| read.into()))
            }
            // As Entra writes a manager.
            Value::String(_) => match named(parts, "value") {
                Some(part) => {
                    let value = one(part, value)?;
                    Ok(value.map(|value| Map::from_iter([(part.name.to_owned(), value)]).into()))
                }
                None => wrong("is an object"),
            },
            _ => wrong("is an object"),
        },
    }
}

fn text_of(attribute: &Attribute, text: &str) -> Result<Value, Fault> {
    if text.chars().count() > CHARS_MAX {
        return Err(Fault::value(attribute.name, format!("has at most {CHARS_MAX} characters")));
    }
    // Line breaks are usual in the displays of addresses; nothing else that is invisible is.
    let strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(strange) {
        return Err(Fault::value(attribute.name, "holds control characters"));
    }
    Ok(text.into())
}

/// Whether a value is the one of many that counts first.
pub(super) fn is_primary(value: &Value) -> bool {
    value.get("primary").and_then(Value::as_bool) == Some(true)
}

/// There is at most one such value (RFC 7644 section 3.5.2).
pub(super) fn demote_others(values: &mut [Value], kept: usize) {
    for (index, value) in values.iter_mut().enumerate() {
        if index != kept
            && is_primary(value)
            && let Some(parts) = value.as_object_mut()
        {
            parts.insert("primary".to_owned(), false.into());
        }
    }
}
