//! Unkey's keys: what its API lists of them, with the hash or the key itself beside it.
//!
//! Unkey keeps of each key its SHA-256, in base64. The file is a JSON array, an object with `keys`
//! or `data`, or an object in each line; the fields have the names of its API, of both versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use counterfoil_authority::authority::{IncomingFacts, IncomingSecret, UserDraft};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::foreign::ForeignKey;
use counterfoil_authority::names::Username;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::text;
use serde_json::{Map, Value};

use super::comanage::Read;
use super::lines::{Line, Options, Sheet};
use super::rows::Place;

/// Microseconds of a millisecond, in which Unkey counts.
const MICROS_PER_MILLI: i64 = 1_000;
/// Labels of what has no field of its own.
const META: &str = "unkey-meta-";
const ROLES: &str = "unkey-roles";
const ENVIRONMENT: &str = "unkey-environment";
/// Labels that a token has at most.
const LABELS_MAX: usize = 100;

/// Reads the text of a file.
///
/// # Errors
///
/// Where it is no JSON; nothing of it is repeated.
pub(crate) fn map(text: &str, file: &str, options: &Options) -> Result<Read, String> {
    let file: Arc<str> = file.into();
    let mut sheet = Sheet::new(options);
    for (place, number, key) in keys(text, &file)? {
        let read = match key {
            Value::Object(key) => of_key(&key, (&place, number), options),
            _ => Err("is no JSON object".to_owned()),
        };
        match read {
            Err(why) => sheet.refuse(&place, number, why),
            Ok((line, lost)) => {
                for why in lost {
                    sheet.remark(&place, number, why);
                }
                sheet.take(line);
            }
        }
    }
    Ok(sheet.finish())
}

/// The keys of a file, each with the line or, inside one document, the place in the list.
fn keys(text: &str, file: &Arc<str>) -> Result<Vec<(Place, i64, Value)>, String> {
    let place = |line| Place { file: Arc::clone(file), line };
    if let Ok(whole) = serde_json::from_str::<Value>(text) {
        let list = match whole {
            Value::Array(list) => list,
            Value::Object(mut object) => {
                match object.remove("keys").or_else(|| object.remove("data")) {
                    Some(Value::Array(list)) => list,
                    Some(Value::Object(mut inner)) => match inner.remove("keys") {
                        Some(Value::Array(list)) => list,
                        _ => return Err(format!("{file}: has no list of keys")),
                    },
                    _ => vec![Value::Object(object)],
                }
            }
            _ => return Err(format!("{file}: has no list of keys")),
        };
        let numbered = (1..).zip(list);
        return Ok(numbered.map(|(number, key)| (place(1), number, key)).collect());
    }
    let mut found = Vec::new();
    for (number, line) in (1_i64..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let key =
            serde_json::from_str(line).map_err(|_| format!("{}: is no JSON", place(index)))?;
        found.push((place(index), number, key));
    }
    Ok(found)
}

/// A key, and what of it has no counterpart.
fn of_key(
    key: &Map<String, Value>,
    (place, number): (&Place, i64),
    options: &Options,
) -> Result<(Line, Vec<String>), String> {
    let id = ["keyId", "id"].iter().find_map(|name| key.get(*name)?.as_str());
    let id = id.ok_or("has no keyId")?.to_owned();
    text::check_line(&id).map_err(|why| format!("keyId: {why}"))?;
    let service = options.service.clone().ok_or("no service is named")?;
    let mut lost = Vec::new();
    let name = line_of(key, "name")?;
    let (scopes, labels) = (scopes(key)?, labels(key, &mut lost));
    let facts = IncomingFacts {
        one_of_several: true,
        name,
        scopes,
        labels,
        expires_at: instant(key, "expires")?,
        max_usages: remaining(key, &mut lost)?,
        disabled: key.get("enabled") == Some(&Value::Bool(false)),
        ..IncomingFacts::default()
    };
    for (field, what) in [
        ("ratelimit", "its rate limit: limit the verifier, or the front door"),
        ("ratelimits", "its rate limits: limit the verifier, or the front door"),
        ("refill", "the refill of its uses"),
    ] {
        if key.get(field).is_some_and(is_something) {
            lost.push(format!("{id}: nothing here is like {what}"));
        }
    }
    let line = Line {
        place: place.clone(),
        number,
        person: UserDraft::new(owner(key, options)?),
        service,
        secret: secret(key)?,
        identity: id,
        locked: false,
        facts,
    };
    Ok((line, lost))
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    }
}

fn line_of(key: &Map<String, Value>, field: &str) -> Result<Option<String>, String> {
    let Some(found) = key.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text::check_line(found).map_err(|why| format!("{field}: {why}"))?;
    Ok(Some(found.to_owned()))
}

fn owner(key: &Map<String, Value>, options: &Options) -> Result<Username, String> {
    let identity = key.get("identity").and_then(|identity| identity.get("externalId"));
    let named = [identity, key.get("externalId"), key.get("ownerId")];
    let named = named.into_iter().flatten().find_map(Value::as_str);
    match named {
        Some(name) => Username::parse(name).map_err(|bad| format!("externalId: {bad}")),
        None => options.owner.clone().ok_or_else(|| {
            "belongs to nobody (externalId); say --owner to name a person".to_owned()
        }),
    }
}

fn secret(key: &Map<String, Value>) -> Result<IncomingSecret, String> {
    let text = |field: &str| key.get(field).and_then(Value::as_str);
    if let Some(clear) = text("plaintext").or_else(|| text("key")) {
        let key = ForeignKey::of(clear).ok_or("plaintext: is too short to be a key")?;
        return Ok(IncomingSecret::Key(key));
    }
    let hash = match key.get("hash") {
        Some(Value::String(hash)) => hash,
        Some(Value::Object(hash)) => {
            let variant = hash.get("variant").and_then(Value::as_str).unwrap_or("sha256_base64");
            if !matches!(variant, "sha256_base64" | "sha256_hex") {
                return Err("hash: is of a variant that is not taken over".to_owned());
            }
            hash.get("value").and_then(Value::as_str).ok_or("hash: has no value")?
        }
        _ => return Err("has neither hash nor plaintext".to_owned()),
    };
    ForeignKey::parse(hash).map(IncomingSecret::Key).map_err(|bad| format!("hash: {bad}"))
}

fn instant(key: &Map<String, Value>, field: &str) -> Result<Option<Timestamp>, String> {
    match key.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let millis = value.as_i64().filter(|millis| *millis >= 0);
            let millis = millis.ok_or_else(|| format!("{field}: is no time in milliseconds"))?;
            // Unkey writes 0 for a key that never ends.
            let at = Timestamp::from_micros(millis.saturating_mul(MICROS_PER_MILLI));
            Ok(Some(at).filter(|_| millis > 0))
        }
    }
}

/// The uses that are left; nothing here fills them up again.
fn remaining(key: &Map<String, Value>, lost: &mut Vec<String>) -> Result<Option<u64>, String> {
    let credits = key.get("credits");
    if credits.and_then(|credits| credits.get("refill")).is_some_and(is_something) {
        lost.push("nothing here is like the refill of its credits".to_owned());
    }
    let left =
        credits.and_then(|credits| credits.get("remaining")).or_else(|| key.get("remaining"));
    match left {
        None | Some(Value::Null) => Ok(None),
        Some(number) => {
            number.as_u64().map(Some).ok_or_else(|| "remaining: is no number of uses".to_owned())
        }
    }
}

/// Its permissions, which are scopes here.
fn scopes(key: &Map<String, Value>) -> Result<Vec<Scope>, String> {
    let mut scopes = Vec::new();
    for name in names(key, "permissions") {
        scopes.push(Scope::parse(&name).map_err(|bad| format!("permissions: {bad}"))?);
    }
    Ok(scopes)
}

/// The names of a list, whose entries are texts or objects with a name.
fn names(key: &Map<String, Value>, field: &str) -> Vec<String> {
    let list = key.get(field).and_then(Value::as_array);
    let name = |one: &Value| one.as_str().or_else(|| one.get("name")?.as_str()).map(str::to_owned);
    list.into_iter().flatten().filter_map(name).collect()
}

/// What has no field of its own, for whoever looks for it; what does not fit is told.
fn labels(key: &Map<String, Value>, lost: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut put = |name: String, value: String| {
        let fits = labels.len() < LABELS_MAX
            && [&name, &value].iter().all(|text| text::check_line(text).is_ok());
        if fits {
            labels.insert(name, value);
        } else {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
            lost.push(format!("{shown} does not fit into a label"));
        }
    };
    let roles = names(key, "roles");
    if !roles.is_empty() {
        put(ROLES.to_owned(), roles.join(" "));
    }
    if let Some(environment) = key.get("environment").and_then(Value::as_str) {
        put(ENVIRONMENT.to_owned(), environment.to_owned());
    }
    for (name, value) in key.get("meta").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        put(format!("{META}{name}"), text);
    }
    labels
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::authority::Incoming;
    use counterfoil_authority::names::ServiceLabel;
    use serde_json::json;

    use super::*;

    fn options() -> Options {
        Options {
            system: "unkey",
            realm: "main".into(),
            zone: "UTC".into(),
            service: Some(ServiceLabel::parse("api").unwrap()),
            owner: None,
            existing_people: false,
            plain: false,
        }
    }

    /// As the API shows a key, with every field that it may have.
    fn key() -> Value {
        json!({
            "keyId": "key_1234abcd", "start": "prod_3ZW2", "enabled": false, "name": "Billing",
            "createdAt": 1_704_067_200_000_i64, "expires": 1_893_456_000_000_i64,
            "hash": "YFp5QwSFmfdPrOvQuJnrnE1VEcx5hLXbcYHpHKdEVXQ=",
            "permissions": ["documents.read", { "id": "p_1", "name": "documents.write" }],
            "roles": ["admin"], "credits": { "remaining": 7, "refill": { "interval": "daily" } },
            "identity": { "id": "id_1", "externalId": "ann" },
            "meta": { "plan": "pro", "seats": 3 },
            "ratelimits": [{ "name": "requests", "limit": 10, "duration": 1000 }]
        })
    }

    #[test]
    fn every_field_has_its_counterpart_or_is_told() {
        for text in [
            json!([key()]).to_string(),
            json!({ "keys": [key()] }).to_string(),
            json!({ "meta": {}, "data": [key()] }).to_string(),
            json!({ "data": { "keys": [key()] } }).to_string(),
            format!("{}\n{}\n", key(), json!({ "keyId": "key_2" })),
        ] {
            let read = map(&text, "keys.json", &options()).unwrap();
            let tokens: Vec<_> = read
                .items
                .iter()
                .filter_map(|item| match &item.incoming {
                    Incoming::Token(token) => Some(token),
                    _ => None,
                })
                .collect();
            let [token] = tokens[..] else { panic!("{text}") };
            assert_eq!((token.user.as_str(), &*token.row), ("ann", "unkey key_1234abcd"));
            let facts = &token.facts;
            assert_eq!(facts.name.as_deref(), Some("Billing"));
            assert!(facts.disabled && facts.max_usages == Some(7));
            assert_eq!(facts.expires_at.unwrap().to_string(), "2030-01-01T00:00:00Z");
            let scopes: Vec<&str> = facts.scopes.iter().map(Scope::as_str).collect();
            assert_eq!(scopes, ["documents.read", "documents.write"]);
            let labels: Vec<(&str, &str)> =
                facts.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            let meta = [("unkey-meta-plan", "pro"), ("unkey-meta-seats", "3")];
            assert_eq!(labels, [meta[0], meta[1], ("unkey-roles", "admin")]);
            assert_eq!(read.remarks.len(), 2, "{:?}", read.remarks);
        }
    }

    #[test]
    fn what_is_no_key_is_told_without_its_secret() {
        for (field, value, why) in [
            ("hash", json!("hunter2"), "hash: is no SHA-256 in hexadecimal digits or base64"),
            ("hash", json!({ "value": "x", "variant": "md5" }), "hash: is of a variant"),
            ("hash", json!(null), "has neither hash nor plaintext"),
            ("plaintext", json!("hunter2"), "plaintext: is too short to be a key"),
            ("expires", json!("soon"), "expires: is no time in milliseconds"),
            ("identity", json!(null), "belongs to nobody (externalId)"),
            ("keyId", json!(null), "has no keyId"),
        ] {
            let mut one = key();
            one[field] = value;
            let read = map(&json!([one]).to_string(), "keys.json", &options()).unwrap();
            assert!(read.skipped[0].why.starts_with(why), "{:?}", read.skipped);
            assert!(!read.skipped[0].why.contains("hunter2"));
        }
        assert!(map("[", "keys.json", &options()).is_err());
    }
}
