//! What a client says of itself when it registers (RFC 7591 section 2): what is kept of it, and
//! what must not stand in it.

use counterfoil_authority::authority::Authority;
use counterfoil_authority::enrolment::SELF_SIGNED_TLS;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::ClearSecret;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::body::named_twice;
use crate::http::oauth::error::{ErrorCode, OauthError};

/// Members that are kept and shown again.
const KEPT: [&str; 10] = [
    "client_name",
    "client_uri",
    "contacts",
    "software_id",
    "software_version",
    "grant_types",
    "token_endpoint_auth_method",
    "tls_client_auth_subject_dn",
    "scope",
    "jwks",
];
/// Those of them that are texts.
const TEXTS: [&str; 7] = [
    "client_name",
    "client_uri",
    "software_id",
    "software_version",
    "token_endpoint_auth_method",
    "tls_client_auth_subject_dn",
    "scope",
];
/// Those that are lists of texts.
const LISTS: [&str; 2] = ["contacts", "grant_types"];
/// Ways to authenticate at the token endpoint that anybody may register.
const METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "none", SELF_SIGNED_TLS];
/// How a client authenticates that does not say so (RFC 7591 section 2).
const METHOD_DEFAULT: &str = "client_secret_basic";
/// Members of a JWK that only its owner may have (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Bytes of what is kept of a description at most.
const BYTES_MAX: usize = 8192;

pub(super) fn invalid(description: impl Into<String>) -> OauthError {
    OauthError::new(ErrorCode::InvalidClientMetadata, description)
}

/// What an update says beside the description (RFC 7592 section 2.2).
#[derive(Deserialize)]
pub(super) struct Names {
    pub(super) client_id: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) client_secret: Option<ClearSecret>,
}

fn secret<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<ClearSecret>, D::Error> {
    Ok(Option::<String>::deserialize(reader)?.map(ClearSecret::new))
}

/// The client that an update is about.
pub(super) fn names(body: &[u8]) -> Result<Names, OauthError> {
    object(body)?;
    serde_json::from_slice(body).map_err(|_| invalid("client_id and client_secret are texts"))
}

/// The description in an update, which names the client's own secret beside it.
pub(super) fn read_own(
    authority: &Authority,
    body: &[u8],
) -> Result<Map<String, Value>, OauthError> {
    let mut all = object(body)?;
    // RFC 7592 section 2.2: the server's own members are no part of the description, and a client
    // that sends back what it was shown means no harm.
    for name in ["client_secret", "registration_access_token", "refresh_token"] {
        all.remove(name);
    }
    kept_of(authority, all)
}

/// What a client says of itself, as far as it is kept.
pub(super) fn read(authority: &Authority, body: &[u8]) -> Result<Map<String, Value>, OauthError> {
    let all = object(body)?;
    for name in ["client_secret", "registration_access_token"] {
        if all.contains_key(name) {
            return Err(invalid(format!("{name} is made by the server")));
        }
    }
    kept_of(authority, all)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, OauthError> {
    if let Some(path) = named_twice(body) {
        return Err(invalid(format!("{path} is given twice")));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(all)) => Ok(all),
        _ => Err(invalid("send a JSON object")),
    }
}

fn kept_of(
    authority: &Authority,
    all: Map<String, Value>,
) -> Result<Map<String, Value>, OauthError> {
    if let Some(name) = all.iter().find_map(|(name, value)| holding(authority, name, value)) {
        return Err(invalid(format!("{name} holds a token; a secret is no part of a description")));
    }
    let kept: Map<String, Value> = all
        .into_iter()
        .filter(|(name, value)| KEPT.contains(&name.as_str()) && !value.is_null())
        .collect();
    if Value::Object(kept.clone()).to_string().len() > BYTES_MAX {
        return Err(invalid(format!("the description has more than {BYTES_MAX} bytes")));
    }
    let is_text = |name: &&str| kept.get(*name).is_none_or(Value::is_string);
    if let Some(name) = TEXTS.iter().find(|name| !is_text(name)) {
        return Err(invalid(format!("{name} must be a text")));
    }
    let is_list = |name: &&str| {
        let texts = |list: &Vec<Value>| list.iter().all(Value::is_string);
        kept.get(*name).is_none_or(|value| value.as_array().is_some_and(texts))
    };
    if let Some(name) = LISTS.iter().find(|name| !is_list(name)) {
        return Err(invalid(format!("{name} must be a list of texts")));
    }
    if !METHODS.contains(&method(&kept)) {
        return Err(invalid("token_endpoint_auth_method: the metadata lists what there is"));
    }
    check_keys(kept.get("jwks"))?;
    Ok(kept)
}

/// The name of a member that holds one of our tokens, in its own name or anywhere below.
fn holding(authority: &Authority, name: &str, value: &Value) -> Option<String> {
    if authority.holds_token(name) {
        return Some("the name of a member".to_owned());
    }
    let below = match value {
        Value::String(text) => authority.holds_token(text).then(String::new),
        Value::Array(list) => list.iter().find_map(|value| holding(authority, "", value)),
        Value::Object(all) => all.iter().find_map(|(name, value)| holding(authority, name, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    };
    below.map(|below| match below.as_str() {
        "" => name.to_owned(),
        _ if name.is_empty() => below,
        _ => format!("{name}: {below}"),
    })
}

/// A set of public keys (RFC 7517 section 5). A private one was published by mistake, and would
/// be shown to everybody who may look at the client.
fn check_keys(keys: Option<&Value>) -> Result<(), OauthError> {
    let Some(keys) = keys else { return Ok(()) };
    let list = keys.get("keys").and_then(Value::as_array);
    let list = list.ok_or_else(|| invalid("jwks must be an object with a list of keys"))?;
    for (place, key) in list.iter().enumerate() {
        let Some(members) = key.as_object().filter(|key| key.get("kty").is_some()) else {
            return Err(invalid(format!("jwks.keys[{place}] is no key")));
        };
        if let Some(name) = PRIVATE.iter().find(|name| members.contains_key(**name)) {
            let why = "belongs to a private key; send public ones, and replace this one";
            return Err(invalid(format!("jwks.keys[{place}].{name} {why}")));
        }
    }
    Ok(())
}

/// How the client authenticates.
pub(super) fn method(kept: &Map<String, Value>) -> &str {
    let named = kept.get("token_endpoint_auth_method").and_then(Value::as_str);
    named.unwrap_or(METHOD_DEFAULT)
}

/// The scopes that are asked for; `None` if none are named.
pub(super) fn scopes(kept: &Map<String, Value>) -> Result<Option<Vec<Scope>>, OauthError> {
    let Some(text) = kept.get("scope").and_then(Value::as_str) else { return Ok(None) };
    let words = text.split(' ').filter(|word| !word.is_empty());
    let scopes = words.map(Scope::parse).collect::<Result<_, _>>();
    scopes.map(Some).map_err(|_| invalid("scope: one of them has another form"))
}
