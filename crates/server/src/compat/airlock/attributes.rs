//! The attributes of a resource: shown under the names of the mapping, and read back.

use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::repository::{
    Attribute, Mapped, Mapping, Value, ValueType, Values, Writes,
};
use serde_json::{Map, Number, Value as Json};

use super::fault::Fault;

/// What is shown of a token: every attribute that the mapping names and that is no secret.
pub(super) fn shown(mapping: &[Mapped], values: &Values) -> Json {
    let mut fields = Map::new();
    for mapped in mapping.iter().filter(|mapped| !mapped.write_only) {
        let value = values.get(&mapped.attribute).map_or(Json::Null, json_of);
        fields.insert(mapped.name.clone(), value);
    }
    Json::Object(fields)
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::String(text.clone()),
        Value::Count(number) => Json::Number(Number::from(*number)),
        Value::Instant(at) => Json::String(millis(*at)),
        Value::Flag(flag) => Json::Bool(*flag),
    }
}

/// An instant with milliseconds, as the product writes them.
pub(super) fn millis(at: Timestamp) -> String {
    let whole = Timestamp::from_seconds(at.seconds()).to_string();
    let rest = at.micros().rem_euclid(1_000_000) / 1_000;
    format!("{}.{rest:03}Z", whole.trim_end_matches('Z'))
}

/// What a body writes. `zone`: in which a date is a day.
pub(super) fn written(
    mapping: &Mapping,
    fields: &Map<String, Json>,
    zone: &str,
    now: Timestamp,
) -> Result<Writes, Fault> {
    let mut writes = Writes::new();
    for (name, json) in fields {
        let mapped = mapping.by_name(name).ok_or_else(|| Fault::unknown_attribute(mapping))?;
        if mapped.attribute.is_read_only() {
            return Err(Fault::read_only(name));
        }
        let value = if json.is_null() { None } else { Some(value(mapped, json, zone, now)?) };
        writes.insert(mapped.attribute, value);
    }
    Ok(writes)
}

fn value(mapped: &Mapped, json: &Json, zone: &str, now: Timestamp) -> Result<Value, Fault> {
    let wrong = |why: &str| Fault::attribute(&mapped.name, why);
    let value = match (mapped.value_type, json) {
        (ValueType::Text, Json::String(text)) => Value::Text(text.clone()),
        (ValueType::Flag, Json::Bool(flag)) => Value::Flag(*flag),
        (ValueType::Count, Json::Number(number)) => {
            let number = number.as_u64().ok_or_else(|| wrong("must be a whole number"))?;
            Value::Count(number)
        }
        (ValueType::Instant, Json::String(text)) => {
            let ends = mapped.attribute == Attribute::ValidTo;
            let edge = if ends { DayEdge::End } else { DayEdge::Start };
            let at = Timestamp::parse(text, zone, edge).map_err(|why| wrong(&why.to_string()))?;
            // Finer than a millisecond is cut off: what is shown is what counts.
            Value::Instant(Timestamp::from_micros(at.micros() - at.micros().rem_euclid(1_000)))
        }
        (kind, _) => return Err(wrong(&format!("must be a {}", kind.name()))),
    };
    check(mapped, &value, now)?;
    Ok(value)
}

fn check(mapped: &Mapped, value: &Value, now: Timestamp) -> Result<(), Fault> {
    let wrong = |why: String| Err(Fault::attribute(&mapped.name, &why));
    match value {
        Value::Text(text) if text.is_empty() => wrong("must not be empty; null clears it".into()),
        Value::Text(text) if text.chars().count() > mapped.max_len as usize => {
            wrong(format!("takes up to {} characters", mapped.max_len))
        }
        Value::Text(text)
            if mapped.attribute != Attribute::Data && text.chars().any(char::is_control) =>
        {
            wrong("must not hold control characters".into())
        }
        Value::Text(text)
            if mapped.attribute == Attribute::Encoding
                && !matches!(text.as_str(), "STRING" | "BINARY") =>
        {
            wrong("must be STRING or BINARY".into())
        }
        Value::Count(0) if mapped.attribute == Attribute::MaxUsages => {
            wrong("must be at least 1; null is unlimited".into())
        }
        Value::Instant(at)
            if mapped.max_ahead_seconds.is_some_and(|max| now.plus_seconds(max) < *at) =>
        {
            wrong("lies too far ahead".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_with_milliseconds() {
        let at = Timestamp::from_micros(1_790_000_000_123_456);
        assert_eq!(millis(at), "2026-09-21T14:13:20.123Z");
        assert_eq!(millis(Timestamp::from_seconds(0)), "1970-01-01T00:00:00.000Z");
    }
}
