//! `PUT /users/{user}`: tokens in clear that an administrator puts on a profile, as the seed keeps
//! them. They are taken over, and what was sent is shown to nobody again.

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::refusal::{Refusal, Thing};
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::{Asked, users};
use crate::http::body::parse;
use crate::import::forgerock::clear_pats;

/// Values of the attribute in one request at most.
const VALUES_MAX: usize = 100;

/// Answers one request. What is on the profile already and is sent again says nothing; nothing is
/// revoked because it is missing.
pub(super) async fn put(
    asked: &Asked<'_>,
    caller: &Caller,
    name: &str,
    body: &[u8],
) -> Result<Response, Fault> {
    let settings = &asked.state.settings;
    let Some(service) = &settings.am_import_service else { return Err(Fault::method()) };
    let attribute = settings.am_pat_attribute.as_str();
    let mut sent: Map<String, Value> = parse(body)?;
    let user = users::found(asked, caller, name).await?;
    let values = texts(sent.remove(attribute), attribute)?;
    let known = users::described(asked, &user);
    let other = sent.iter().find(|(field, value)| {
        !field.starts_with('_') && known.get(*field).is_none_or(|known| known != *value)
    });
    if other.is_some() {
        return Err(Fault::invalid(format!("Only {attribute} can be written.")));
    }
    let shown = users::tokens(asked, caller, &user).await?.unwrap_or_default();
    let mut pats = Vec::new();
    for value in &values {
        if is_shown(value, &shown) {
            continue;
        }
        // What stands there may be a secret: the value is not repeated.
        let read = clear_pats(value);
        let read = read.map_err(|why| Fault::invalid(format!("{attribute}: a value {why}")))?;
        pats.extend(read);
    }
    let authority = &asked.state.authority;
    let stored = authority.import_pats(caller, asked.realm, &user.username, service, &pats).await;
    stored.map_err(|refusal| match refusal {
        Refusal::Forbidden(_) => {
            Fault::new(StatusCode::FORBIDDEN, "Permission to perform the update operation denied")
        }
        Refusal::NotFound(Thing::Service) => {
            Fault::invalid("The service of am.import_service is not in this realm.")
        }
        Refusal::Invalid { why, .. } => Fault::invalid(format!("{attribute}: a value {why}")),
        other => other.into(),
    })?;
    let mut fields = users::described(asked, &user);
    if let Some(tokens) = users::tokens(asked, caller, &user).await? {
        fields.insert(attribute.to_owned(), json!(tokens));
    }
    Ok(asked.json(StatusCode::OK, Value::Object(fields)))
}

/// The values of the attribute: a list, or one by itself.
fn texts(sent: Option<Value>, attribute: &str) -> Result<Vec<String>, Fault> {
    let bad = || Fault::invalid(format!("Invalid value {attribute}"));
    let values = match sent {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values,
        Some(one) => vec![one],
    };
    if values.len() > VALUES_MAX {
        return Err(Fault::invalid(format!("{attribute}: more than {VALUES_MAX} values")));
    }
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        _ => Err(bad()),
    };
    values.into_iter().map(text).collect()
}

/// Whether a value is one that a client has read here.
fn is_shown(value: &str, shown: &[String]) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    read(value).is_some_and(|value| shown.iter().any(|known| read(known) == Some(value.clone())))
}
