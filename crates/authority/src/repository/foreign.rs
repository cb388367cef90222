//! What a token of another keeper says of itself, and what is written to it, in the spelling of the
//! protocol: the mapping shows it like a token of ours.

use std::collections::BTreeMap;

use serde_json::{Number, Value as Json};

use super::{Attribute, Mapped, Value, ValueType, Values, Writes};
use crate::clock::Timestamp;
use crate::custom::{ForeignToken, UsageKept, instant};
use crate::store::ForeignUsage;
use crate::token::State;

/// Everything that a token of another keeper says of itself, as far as the mapping names it.
/// `usage`: what was counted here; it is believed before what is told, unless uses are counted
/// `there`.
pub(crate) fn values_of_foreign(
    token: &ForeignToken,
    mapped: &[Mapped],
    usage: Option<&ForeignUsage>,
    counted: UsageKept,
) -> Values {
    let mut values = Values::new();
    for shown in mapped {
        let told = token.attributes.get(&shown.attribute.name());
        let told = || told.and_then(|json| value_of(json, shown));
        let ours = match shown.attribute {
            Attribute::FirstUsageDate => usage.and_then(|u| u.first_at).map(Value::Instant),
            Attribute::LatestUsageDate => usage.and_then(|u| u.last_at).map(Value::Instant),
            Attribute::TotalUsages => Some(Value::Count(usage.map_or(0, |u| u.total))),
            _ => None,
        };
        let value = match (shown.attribute, counted) {
            (Attribute::Enabled, _) => Some(Value::Flag(token.enabled)),
            (
                Attribute::FirstUsageDate | Attribute::LatestUsageDate | Attribute::TotalUsages,
                UsageKept::Here,
            ) => ours,
            _ => told().or(ours),
        };
        values.extend(value.map(|value| (shown.attribute, value)));
    }
    values
}

/// A value as it is mapped; what is no such value is shown as the text that it is.
fn value_of(json: &Json, mapped: &Mapped) -> Option<Value> {
    let read = match (mapped.value_type, json) {
        (_, Json::Null | Json::Array(_) | Json::Object(_)) => return None,
        (ValueType::Text, _) => None,
        (ValueType::Count, json) => json.as_u64().map(Value::Count),
        (ValueType::Instant, json) => instant(json).map(Value::Instant),
        (ValueType::Flag, Json::Bool(flag)) => Some(Value::Flag(*flag)),
        (ValueType::Flag, json) => json.as_u64().filter(|n| *n <= 1).map(|n| Value::Flag(n == 1)),
    };
    read.or_else(|| match json {
        // A database keeps a free element as text, whatever its type here.
        Json::String(text) if matches!(mapped.attribute, Attribute::Element(_)) => {
            Some(Value::of_kept(text, mapped))
        }
        Json::String(text) => Some(Value::Text(text.clone())),
        other => Some(Value::Text(other.to_string())),
    })
}

/// What is written, under the names of the protocol; null clears.
pub(crate) fn told_of(writes: &Writes) -> BTreeMap<String, Json> {
    let json = |value: &Value| match value {
        Value::Text(text) => Json::String(text.clone()),
        Value::Count(number) => Json::Number(Number::from(*number)),
        Value::Instant(at) => Json::String(at.to_string()),
        Value::Flag(flag) => Json::Bool(*flag),
    };
    let told = |value: &Option<Value>| value.as_ref().map_or(Json::Null, json);
    writes.iter().map(|(attribute, value)| (attribute.name(), told(value))).collect()
}

/// An instant among the attributes of a token, whether or not the mapping shows it.
pub(crate) fn instant_of(token: &ForeignToken, attribute: Attribute) -> Option<Timestamp> {
    token.attributes.get(&attribute.name()).and_then(instant)
}

/// The state that verify would find, from what is told and what was counted here.
pub(crate) fn state_of_foreign(
    token: &ForeignToken,
    usage: Option<&ForeignUsage>,
    counted: UsageKept,
    now: Timestamp,
) -> State {
    let limit = token.attributes.get(&Attribute::MaxUsages.name()).and_then(Json::as_u64);
    let used = match counted {
        UsageKept::Here => usage.map_or(0, |usage| usage.used),
        // Only the repository knows, and refuses the next use.
        UsageKept::There => 0,
    };
    let begins = instant_of(token, Attribute::ValidFrom);
    let ends = instant_of(token, Attribute::ValidTo);
    if token.revoked {
        State::Revoked
    } else if !token.enabled {
        State::Disabled
    } else if begins.is_some_and(|at| now < at) {
        State::NotYetValid
    } else if ends.is_some_and(|at| at <= now) {
        State::Expired
    } else if limit.is_some_and(|limit| limit <= used) {
        State::Exhausted
    } else {
        State::Active
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::repository::Mapping;

    fn token(attributes: &Json) -> ForeignToken {
        let told = json!({"id": "7", "user": "alice", "attributes": attributes});
        ForeignToken::read(&told).unwrap()
    }

    fn all() -> Vec<Mapped> {
        Mapping::new(Attribute::all().map(Mapped::plain).collect()).unwrap().all().to_vec()
    }

    #[test]
    fn attributes_are_read_by_their_type_and_written_as_they_are_read() {
        let told = json!({"serialId": 17, "validTo": "2027-01-01T00:00:00Z", "maxUsages": 3,
            "genericDataElement1": "phone", "genericDataElement2": {"no": "value"}});
        let token = token(&told);
        let mut values = values_of_foreign(&token, &all(), None, UsageKept::There);
        assert_eq!(values.remove(&Attribute::Enabled), Some(Value::Flag(true)));
        assert_eq!(values.remove(&Attribute::TotalUsages), Some(Value::Count(0)));
        assert_eq!(values.get(&Attribute::Serial), Some(&Value::Text("17".into())));
        assert_eq!(values.len(), 4, "{values:?}");
        let writes = values.into_iter().map(|(name, value)| (name, Some(value))).collect();
        let written = json!(told_of(&writes));
        let expected = json!({"serialId": "17", "validTo": "2027-01-01T00:00:00Z", "maxUsages": 3,
            "genericDataElement1": "phone"});
        assert_eq!(written, expected);
    }

    #[test]
    fn what_the_mapping_does_not_name_is_not_shown() {
        let token = token(&json!({"serialId": "A-17", "trackingId": "order 5"}));
        let only = Mapping::new(vec![Mapped::plain(Attribute::TrackingId)]).unwrap();
        let values = values_of_foreign(&token, only.all(), None, UsageKept::Here);
        assert_eq!(values.into_keys().collect::<Vec<_>>(), [Attribute::TrackingId]);
    }

    #[test]
    fn the_state_is_the_one_that_verify_would_find() {
        let at = Timestamp::from_seconds(1_790_000_000);
        let state =
            |attributes: Json| state_of_foreign(&token(&attributes), None, UsageKept::Here, at);
        assert_eq!(state(json!({})), State::Active);
        assert_eq!(state(json!({"validTo": 1_790_000_000})), State::Expired);
        assert_eq!(state(json!({"validTo": 1_790_000_001})), State::Active);
        assert_eq!(state(json!({"validFrom": 1_790_000_001})), State::NotYetValid);
        assert_eq!(state(json!({"maxUsages": 0})), State::Exhausted);
    }
}
