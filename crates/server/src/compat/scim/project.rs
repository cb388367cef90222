//! Which attributes of a resource a caller wants to see (RFC 7644 section 3.9).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::path::{self, Place};
use super::schema::Resources;

/// Names in a list of attributes at most.
const NAMES_MAX: usize = 200;

/// What to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Shown {
    /// Everything.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
    /// Everything but these.
    Without(Vec<String>),
}

impl Shown {
    /// Reads both lists.
    pub(super) fn read(only: Vec<String>, without: Vec<String>) -> Result<Self, Fault> {
        if only.len().max(without.len()) > NAMES_MAX {
            return Err(Fault::value("attributes", format!("names at most {NAMES_MAX}")));
        }
        match (only.is_empty(), without.is_empty()) {
            (true, true) => Ok(Self::All),
            (false, true) => Ok(Self::Only(only)),
            (true, false) => Ok(Self::Without(without)),
            (false, false) => {
                Err(Fault::syntax("attributes and excludedAttributes exclude each other"))
            }
        }
    }

    /// Whether an attribute is shown, so that what nobody wants is not looked up.
    pub(super) fn has(&self, resources: &'static Resources, name: &str) -> bool {
        let names = |list: &[String]| {
            list.iter().any(|text| match path::listed(resources, text) {
                Some(Place::Spot(spot, _)) => spot.attribute.name == name,
                _ => false,
            })
        };
        match self {
            Self::All => true,
            Self::Only(list) => names(list),
            Self::Without(list) => !names(list),
        }
    }

    /// The part of a resource that is shown. What it is called is always there.
    pub(super) fn cut(
        &self,
        resources: &'static Resources,
        resource: Map<String, Value>,
    ) -> Map<String, Value> {
        match self {
            Self::All => resource,
            Self::Only(list) => only(resources, list, &resource),
            Self::Without(list) => without(resources, list, resource),
        }
    }
}

/// What is in every answer, whatever was asked for (RFC 7643 section 7, `returned`).
const ALWAYS: [&str; 2] = ["id", "schemas"];

fn only(
    resources: &'static Resources,
    list: &[String],
    resource: &Map<String, Value>,
) -> Map<String, Value> {
    let mut cut = Map::new();
    for name in ALWAYS {
        if let Some(value) = resource.get(name) {
            cut.insert(name.to_owned(), value.clone());
        }
    }
    let mut whole: BTreeSet<(&str, &str)> = BTreeSet::new();
    for text in list {
        match path::listed(resources, text) {
            Some(Place::Extension(schema)) => {
                if let Some(value) = resource.get(schema.id) {
                    cut.insert(schema.id.to_owned(), value.clone());
                }
            }
            Some(Place::Spot(spot, _)) => {
                let holder = spot.extension.map_or("", |schema| schema.id);
                let name = spot.attribute.name;
                let from = match spot.extension {
                    Some(schema) => resource.get(schema.id).and_then(Value::as_object),
                    None => Some(resource),
                };
                let Some(value) = from.and_then(|from| from.get(name)) else { continue };
                if spot.part.is_none() {
                    whole.insert((holder, name));
                } else if whole.contains(&(holder, name)) {
                    continue;
                }
                let into = match spot.extension {
                    Some(schema) => {
                        cut.entry(schema.id).or_insert_with(|| Map::new().into()).as_object_mut()
                    }
                    None => Some(&mut cut),
                };
                let Some(into) = into else { continue };
                match spot.part {
                    None => drop(into.insert(name.to_owned(), value.clone())),
                    Some(part) => {
                        let held = into.entry(name).or_insert_with(|| hollow(value));
                        copy_part(held, value, part.name);
                    }
                }
            }
            Some(Place::Unknown) | None => {}
        }
    }
    cut
}

/// The shape of a value without anything in it.
fn hollow(value: &Value) -> Value {
    match value {
        Value::Array(many) => many.iter().map(hollow).collect(),
        _ => Map::new().into(),
    }
}

fn copy_part(into: &mut Value, from: &Value, part: &str) {
    match (into, from) {
        (Value::Array(into), Value::Array(from)) => {
            into.iter_mut().zip(from).for_each(|(into, from)| copy_part(into, from, part));
        }
        (Value::Object(into), Value::Object(from)) => {
            if let Some(value) = from.get(part) {
                into.insert(part.to_owned(), value.clone());
            }
        }
        _ => {}
    }
}

fn without(
    resources: &'static Resources,
    list: &[String],
    mut resource: Map<String, Value>,
) -> Map<String, Value> {
    for text in list {
        match path::listed(resources, text) {
            Some(Place::Extension(schema)) => drop(resource.remove(schema.id)),
            Some(Place::Spot(spot, _)) if !ALWAYS.contains(&spot.attribute.name) => {
                let from = match spot.extension {
                    Some(schema) => resource.get_mut(schema.id).and_then(Value::as_object_mut),
                    None => Some(&mut resource),
                };
                let Some(from) = from else { continue };
                match spot.part {
                    None => drop(from.remove(spot.attribute.name)),
                    Some(part) => {
                        if let Some(value) = from.get_mut(spot.attribute.name) {
                            remove_part(value, part.name);
                        }
                    }
                }
            }
            Some(Place::Spot(..) | Place::Unknown) | None => {}
        }
    }
    resource
}

fn remove_part(value: &mut Value, part: &str) {
    match value {
        Value::Array(many) => many.iter_mut().for_each(|value| remove_part(value, part)),
        Value::Object(parts) => drop(parts.remove(part)),
        _ => {}
    }
}
