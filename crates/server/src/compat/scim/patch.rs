//! PATCH: what its operations do to a resource (RFC 7644 section 3.5.2), also as Microsoft Entra and
//! Okta write them: `Add` for `add`, `"False"` for `false`, objects instead of paths whose names are
//! paths, and what is to be removed beside the path.

use scim_v2::filter::{AttrExp, CompValue, CompareOp, ValFilter};
use serde_json::{Map, Value};

use super::fault::Fault;
use super::matching::matches_value;
use super::path::{self, Place, Spot};
use super::schema::{Mutability, Resources, Schema};
use super::values::{self, VALUES_MAX, demote_others, is_primary};

/// Changes of a person in one request at most, however they are put into operations: each of them
/// goes through all that is said of the person. There are some sixty attributes and parts, and of
/// addresses and numbers a hundred at most, so that whoever says more says it twice.
const STEPS_OF_PERSON_MAX: usize = 1_000;
/// Changes of a group at most: some providers give everybody who enters or leaves an operation of
/// their own. How many people one operation names is counted where they enter.
const STEPS_OF_GROUP_MAX: usize = 10_000;

/// How many changes one request may hold.
fn steps_max(resources: &Resources) -> usize {
    match resources.name {
        "User" => STEPS_OF_PERSON_MAX,
        _ => STEPS_OF_GROUP_MAX,
    }
}

/// The steps of a request as they are read.
struct Reader {
    steps: Vec<Step>,
    /// Operations and names of places so far: what leads nowhere is work as well.
    read: usize,
    most: usize,
}

impl Reader {
    /// Counts one more place, before it is read.
    fn count(&mut self) -> Result<(), Fault> {
        self.read += 1;
        if self.read > self.most {
            return Err(Fault::too_many(format!("at most {} changes in one request", self.most)));
        }
        Ok(())
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Remove,
    Replace,
}

/// One change of one place.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) spot: Spot,
    /// Which of many values it is about; `None`: all.
    pub(super) filter: Option<ValFilter>,
    /// As it came; null if nothing did.
    pub(super) value: Value,
}

/// The steps of a request.
pub(super) fn steps(
    resources: &'static Resources,
    body: &Map<String, Value>,
) -> Result<Vec<Step>, Fault> {
    let operations = field(body, "Operations").and_then(Value::as_array);
    let operations = operations.ok_or_else(|| Fault::syntax("Operations is a list"))?;
    if operations.is_empty() {
        return Err(Fault::syntax("Operations holds nothing"));
    }
    let mut reader = Reader { steps: Vec::new(), read: 0, most: steps_max(resources) };
    for operation in operations {
        let operation = operation.as_object();
        let operation = operation.ok_or_else(|| Fault::syntax("an operation is an object"))?;
        read(resources, operation, &mut reader)?;
    }
    Ok(reader.steps)
}

/// A member of an object, its name in any case.
pub(super) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

fn read(
    resources: &'static Resources,
    operation: &Map<String, Value>,
    reader: &mut Reader,
) -> Result<(), Fault> {
    let op = match field(operation, "op").and_then(Value::as_str) {
        Some(op) if op.eq_ignore_ascii_case("add") => Op::Add,
        Some(op) if op.eq_ignore_ascii_case("remove") => Op::Remove,
        Some(op) if op.eq_ignore_ascii_case("replace") => Op::Replace,
        _ => return Err(Fault::syntax("op is add, remove or replace")),
    };
    let value = field(operation, "value").unwrap_or(&Value::Null);
    let text = match field(operation, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.trim().is_empty() => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(Fault::path("path is a string")),
    };
    let Some(text) = text else {
        return read_whole(resources, op, value, reader);
    };
    reader.count()?;
    match path::place(resources, text)? {
        Place::Unknown => Ok(()),
        Place::Extension(schema) => read_extension(schema, op, value, reader),
        Place::Spot(spot, filter) => {
            if is_read_only(spot) {
                let why = "only the server says it";
                return Err(Fault::mutability(spot.attribute.name, why));
            }
            if value.is_null() && op == Op::Add {
                return Err(Fault::value("value", "is missing"));
            }
            reader.steps.push(Step { op, spot, filter, value: value.clone() });
            Ok(())
        }
    }
}

/// An operation without a path: its value is an object of what it is about, by names or paths.
fn read_whole(
    resources: &'static Resources,
    op: Op,
    value: &Value,
    reader: &mut Reader,
) -> Result<(), Fault> {
    if op == Op::Remove {
        return Err(Fault::no_target("remove names a path"));
    }
    let Value::Object(said) = value else {
        return Err(Fault::value("value", "is an object where there is no path"));
    };
    // An operation that says nothing is one, too.
    if said.is_empty() {
        reader.count()?;
    }
    for (name, value) in said {
        reader.count()?;
        match path::place(resources, name)? {
            Place::Extension(schema) => read_extension(schema, op, value, reader)?,
            // Okta repeats the id.
            Place::Spot(spot, filter) if !is_read_only(spot) => {
                reader.steps.push(Step { op, spot, filter, value: value.clone() });
            }
            Place::Spot(..) | Place::Unknown => {}
        }
    }
    Ok(())
}

fn read_extension(
    schema: &'static Schema,
    op: Op,
    value: &Value,
    reader: &mut Reader,
) -> Result<(), Fault> {
    let mut step = |attribute, value| -> Result<(), Fault> {
        reader.count()?;
        let spot = Spot { extension: Some(schema), attribute, part: None };
        reader.steps.push(Step { op, spot, filter: None, value });
        Ok(())
    };
    if op == Op::Remove {
        return schema.attributes.iter().try_for_each(|attribute| step(attribute, Value::Null));
    }
    let Value::Object(said) = value else {
        return Err(Fault::value(schema.id, "is an object"));
    };
    for (name, value) in said {
        if let Some(attribute) = super::schema::named(schema.attributes, name) {
            step(attribute, value.clone())?;
        }
    }
    Ok(())
}

fn is_read_only(spot: Spot) -> bool {
    let fixed = |one: &super::schema::Attribute| one.mutability == Mutability::ReadOnly;
    fixed(spot.attribute) || spot.part.is_some_and(fixed)
}

/// Applies a step to a resource.
pub(super) fn apply(resource: &mut Map<String, Value>, step: &Step) -> Result<(), Fault> {
    let Some(schema) = step.spot.extension else { return apply_within(resource, step) };
    let held = resource.remove(schema.id);
    let mut inner = match held {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    };
    apply_within(&mut inner, step)?;
    if !inner.is_empty() {
        resource.insert(schema.id.to_owned(), inner.into());
    }
    Ok(())
}

fn apply_within(holder: &mut Map<String, Value>, step: &Step) -> Result<(), Fault> {
    let name = step.spot.attribute.name;
    let held = holder.remove(name).unwrap_or(Value::Null);
    let changed = if step.spot.attribute.many {
        let held = match held {
            Value::Array(held) => held,
            _ => Vec::new(),
        };
        let before = held.len();
        let values = of_many(held, step)?;
        // Whoever has more from earlier days may lose some of them.
        if values.len() > VALUES_MAX && values.len() > before {
            return Err(Fault::value(name, format!("has at most {VALUES_MAX} values")));
        }
        (!values.is_empty()).then_some(Value::Array(values))
    } else {
        of_one(held, step)?
    };
    if let Some(changed) = changed {
        holder.insert(name.to_owned(), changed);
    }
    Ok(())
}

/// What becomes of an attribute with one value.
fn of_one(held: Value, step: &Step) -> Result<Option<Value>, Fault> {
    let attribute = step.spot.attribute;
    let Some(part) = step.spot.part else {
        let said = if step.op == Op::Remove { None } else { values::one(attribute, &step.value)? };
        return Ok(match (held, said) {
            // What is not said of a complex value stays (RFC 7644 sections 3.5.2.1 and 3.5.2.3).
            (Value::Object(mut held), Some(Value::Object(said))) => {
                held.extend(said);
                Some(held.into())
            }
            (_, said) => said,
        });
    };
    let mut parts = match held {
        Value::Object(parts) => parts,
        _ => Map::new(),
    };
    set_part(&mut parts, part, step)?;
    Ok((!parts.is_empty()).then(|| parts.into()))
}

fn set_part(
    parts: &mut Map<String, Value>,
    part: &'static super::schema::Attribute,
    step: &Step,
) -> Result<(), Fault> {
    let said = if step.op == Op::Remove { None } else { values::one(part, &step.value)? };
    match said {
        Some(value) => drop(parts.insert(part.name.to_owned(), value)),
        None => drop(parts.remove(part.name)),
    }
    Ok(())
}

/// What becomes of an attribute with many values.
fn of_many(mut held: Vec<Value>, step: &Step) -> Result<Vec<Value>, Fault> {
    let attribute = step.spot.attribute;
    if let (None, None) = (&step.filter, step.spot.part) {
        return of_all(held, step);
    }
    let chosen = |value: &Value| {
        step.filter.as_ref().is_none_or(|filter| matches_value(attribute, filter, value))
    };
    if step.op == Op::Remove && step.spot.part.is_none() {
        held.retain(|value| !chosen(value));
        return Ok(held);
    }
    if step.op != Op::Remove && !held.iter().any(chosen) {
        // Entra adds the parts of an address one by one, before there is such an address.
        if step.op == Op::Replace && step.filter.is_some() {
            return Err(Fault::no_target("no value is as the path says"));
        }
        let fresh = begun(step.filter.as_ref(), attribute);
        if !chosen(&fresh) {
            // Of an attribute that there is not, for example.
            return Err(Fault::no_target("no value is as the path says, and none can be"));
        }
        held.push(fresh);
    }
    for index in 0..held.len() {
        let Some(Value::Object(parts)) = held.get_mut(index) else { continue };
        let is_chosen = chosen(&Value::Object(parts.clone()));
        if !is_chosen {
            continue;
        }
        match step.spot.part {
            Some(part) => set_part(parts, part, step)?,
            None => {
                if let Some(Value::Object(said)) = values::one(attribute, &step.value)? {
                    parts.extend(said);
                }
            }
        }
        if held.get(index).is_some_and(is_primary) {
            demote_others(&mut held, index);
        }
    }
    held.retain(|value| value.as_object().is_none_or(|parts| !parts.is_empty()));
    Ok(held)
}

/// The same where the operation is about all values.
fn of_all(mut held: Vec<Value>, step: &Step) -> Result<Vec<Value>, Fault> {
    let said = match values::whole(step.spot.attribute, &step.value)? {
        Some(Value::Array(said)) => said,
        _ => Vec::new(),
    };
    match step.op {
        Op::Replace => Ok(said),
        Op::Remove if said.is_empty() => Ok(Vec::new()),
        // Those that stand beside the path, as Entra names them.
        Op::Remove => {
            held.retain(|value| !said.iter().any(|one| is_same(one, value)));
            Ok(held)
        }
        Op::Add => {
            // Each is looked for among all: there are VALUES_MAX of either, and who had more before
            // gets no more.
            for value in said {
                if held.contains(&value) {
                    continue;
                }
                held.push(value);
                let last = held.len() - 1;
                if held.get(last).is_some_and(is_primary) {
                    demote_others(&mut held, last);
                }
            }
            Ok(held)
        }
    }
}

/// Whether a value is the one that is meant: by its `value`, or as a whole.
fn is_same(meant: &Value, value: &Value) -> bool {
    match meant.get("value") {
        Some(meant) => value.get("value") == Some(meant),
        None => meant == value,
    }
}

/// A new value of which a filter holds, if the filter says what it is.
fn begun(filter: Option<&ValFilter>, attribute: &'static super::schema::Attribute) -> Value {
    fn fill(
        filter: &ValFilter,
        attribute: &'static super::schema::Attribute,
        parts: &mut Map<String, Value>,
    ) {
        match filter {
            ValFilter::And(all) => all.iter().for_each(|one| fill(one, attribute, parts)),
            ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, value)) => {
                let value = match value {
                    CompValue::Str(text) => Value::from(text.as_str()),
                    CompValue::True => true.into(),
                    CompValue::False => false.into(),
                    CompValue::Null | CompValue::Number(_) => return,
                };
                if let Some(part) = attribute.part(&path.name)
                    && let Ok(Some(value)) = values::one(part, &value)
                {
                    parts.insert(part.name.to_owned(), value);
                }
            }
            _ => {}
        }
    }
    let mut parts = Map::new();
    if let Some(filter) = filter {
        fill(filter, attribute, &mut parts);
    }
    parts.into()
}
