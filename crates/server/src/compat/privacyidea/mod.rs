//! The privacyIDEA door, `POST /validate/check`: is this the password or code of this person?
//! docs/compat/privacyidea.md says what is the same.
//!
//! Unlike the product, it answers clients only that it knows, and every refusal is the same.

mod answer;

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::post;
use counterfoil_authority::authority::{
    Binding, Challenge, Challenged, Selected, Verdict, VerifyRequest,
};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::verdict::Door;
use serde_json::Value;

use self::answer::{Fault, accepted, challenged, rejected};
use crate::http::authz::credential::{self, Credential};
use crate::http::authz::realm_of;
use crate::http::body::{any_bytes_of, media_type};
use crate::http::caller::{Arrived, Bearer, bearer};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;

/// Bytes of a parameter at most; what people type into a password field is far shorter.
const TEXT_BYTES_MAX: usize = 4096;
/// Parameters at most: clients add a few of their own.
const PARAMETERS_MAX: usize = 64;

/// The routes of the door.
pub fn routes() -> Router<AppState> {
    Router::new().route("/validate/check", post(check))
}

/// What is read of a request; everything else that clients send is not looked at.
#[derive(Default)]
struct Asked {
    user: Option<String>,
    pass: Option<ClearSecret>,
    realm: Option<String>,
    serial: Option<String>,
    service: Option<String>,
    transaction: Option<String>,
    client: Option<String>,
}

impl Asked {
    fn take(&mut self, name: &str, value: String) {
        let text = Some(value).filter(|value| !value.is_empty());
        match name {
            "user" | "username" => self.user = text,
            // An empty password is one: it asks for a challenge.
            "pass" | "password" => self.pass = Some(ClearSecret::new(text.unwrap_or_default())),
            "realm" => self.realm = text,
            "serial" => self.serial = text,
            "service_id" => self.service = text,
            "transaction_id" | "state" => self.transaction = text,
            "client" => self.client = text,
            _ => {}
        }
    }

    /// A form, or an object of texts in JSON.
    fn read(is_json: bool, bytes: &[u8]) -> Result<Self, Fault> {
        let mut asked = Self::default();
        let pairs: Vec<(String, String)> = if is_json {
            let Ok(Value::Object(object)) = serde_json::from_slice(bytes) else {
                return Err(Fault::parameter("the body is not an object in JSON"));
            };
            let text = |(name, value): (String, Value)| match value {
                Value::String(text) => Some((name, text)),
                Value::Number(number) => Some((name, number.to_string())),
                _ => None,
            };
            object.into_iter().filter_map(text).collect()
        } else {
            let words = form_urlencoded::parse(bytes).take(PARAMETERS_MAX + 1);
            words.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
        };
        if pairs.len() > PARAMETERS_MAX {
            return Err(Fault::parameter("there are too many parameters"));
        }
        for (name, value) in pairs {
            if value.len() > TEXT_BYTES_MAX || value.contains('\0') {
                return Err(Fault::parameter("a parameter is too long or holds a zero byte"));
            }
            asked.take(&name, value);
        }
        Ok(asked)
    }
}

async fn check(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    request: Request,
) -> Response {
    let now = state.authority.now();
    match answered(&state, &arrival, request).await {
        Ok(response) => response,
        Err(fault) => fault.answer(now),
    }
}

async fn answered(
    state: &AppState,
    arrival: &Arrival,
    request: Request<Body>,
) -> Result<Response, Fault> {
    let (parts, body) = request.into_parts();
    let realm = realm_of(state, &parts);
    let caller = caller_of(state, arrival, &parts, realm).await?;
    arrival.recognise(&caller.realm, &caller.origin);
    let is_json = match media_type(&parts.headers) {
        Some("application/json") => true,
        Some("application/x-www-form-urlencoded") => false,
        _ => return Err(Fault::parameter("the body is a form or JSON")),
    };
    let bytes = any_bytes_of(state, body).await.map_err(|problem| Fault::body(&problem))?;
    let asked = Asked::read(is_json, &bytes)?;
    decide(state, &caller, realm, asked).await
}

/// The client that asks: by its key, or by where it asks from if it sends no credential.
async fn caller_of(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
) -> Result<Caller, Fault> {
    let authority = &state.authority;
    let context = || arrival.context(Door::Validate);
    if let Some((name, key)) = presented(parts)? {
        let denied = match authority.authenticate(key.reveal(), context()).await {
            Ok(caller) => {
                let named =
                    name.is_none_or(|name| *caller.origin.actor == *format!("client:{name}"));
                if named {
                    return Ok(caller);
                }
                Fault::nobody()
            }
            Err(refusal) => Fault::from(refusal),
        };
        if denied.is_nobody() {
            authority.hold_back(arrival.source, None, None).await;
        }
        return Err(denied);
    }
    // Of a proxy's requests that name no client it is the proxy that asks, and it is nobody's.
    let source = arrival.source.map(|source| source.to_canonical());
    let mapped = &state.settings.validate_clients;
    let found = source.and_then(|ip| mapped.iter().find(|(network, _)| network.contains(&ip)));
    let Some((_, client)) = found else { return Err(Fault::nobody()) };
    let known = authority.client_by_network(realm, client, context()).await?;
    known.ok_or_else(Fault::nobody)
}

/// The credential of the client: a key, with the client's name if it came by `Basic`.
fn presented(parts: &Parts) -> Result<Option<(Option<String>, ClearSecret)>, Fault> {
    match bearer(&parts.headers) {
        Bearer::Token(token) => return Ok(Some((None, ClearSecret::new(token.to_owned())))),
        Bearer::Unreadable => return Err(Fault::nobody()),
        Bearer::Absent => {}
    }
    match credential::basic(&parts.headers) {
        Some(Credential::Token { username, token }) => Ok(Some((username, token))),
        Some(_) => Err(Fault::nobody()),
        // privacyIDEA's own clients send what they have without a scheme.
        None => match parts.headers.get(header::AUTHORIZATION) {
            None => Ok(None),
            Some(line) => {
                let bare = line.to_str().ok().filter(|text| !text.contains(' '));
                let bare = bare.ok_or_else(Fault::nobody)?;
                Ok(Some((None, ClearSecret::new(bare.to_owned()))))
            }
        },
    }
}

async fn decide(
    state: &AppState,
    caller: &Caller,
    realm: &RealmName,
    asked: Asked,
) -> Result<Response, Fault> {
    let authority = &state.authority;
    let now = authority.now();
    let user = asked.user.ok_or_else(|| Fault::parameter("Missing parameter: 'user'"))?;
    let pass = asked.pass.ok_or_else(|| Fault::parameter("Missing parameter: 'pass'"))?;
    let service = asked.service.map(|text| ServiceLabel::parse(&text.to_ascii_lowercase()));
    let verifiable = authority.verifiable(caller, realm)?;
    let binding = match (&service, &verifiable) {
        (Some(Ok(label)), _) => authority.binding(caller, realm, Some(label))?,
        // A service that cannot be: nothing is good for it.
        (Some(Err(_)), _) => Binding::AnyOf(&[]),
        (None, Some(labels)) => Binding::AnyOf(labels),
        (None, None) => Binding::Unbound,
    };
    // People of another realm are unknown here.
    if asked.realm.is_some_and(|named| named != realm.as_str()) {
        return Ok(rejected(now));
    }
    if pass.reveal().is_empty() && asked.transaction.is_none() {
        return challenge(state, caller, realm, &user).await;
    }
    // An authenticated client says who asks it.
    let client_ip: Option<IpAddr> = asked.client.and_then(|text| text.parse().ok());
    let request = VerifyRequest {
        realm,
        presented: pass.reveal(),
        username: Some(&user),
        binding,
        scopes: &[],
        resource: None,
        action: None,
        client_ip,
        consume: true,
        throttled: client_ip.is_some(),
        origin: &caller.origin,
    };
    let verdict = match (&asked.transaction, &asked.serial) {
        (Some(id), _) => authority.verify_selected(request, Selected::Challenge(id)).await?,
        (None, Some(serial)) => {
            authority.verify_selected(request, Selected::Serial(serial)).await?
        }
        (None, None) => authority.verify(request).await?,
    };
    state.metrics.verified(Door::Validate, &verdict);
    // A token that is bound to a key is refused below; of such a one no shadow is told.
    authority.heard(&request, &verdict);
    Ok(match verdict {
        Verdict::Active(active) if active.is_bearer() => accepted(&active, now),
        Verdict::Active(_) | Verdict::Inactive { .. } => rejected(now),
    })
}

/// An empty password: a code is sent to who has a token for that, where this is switched on.
async fn challenge(
    state: &AppState,
    caller: &Caller,
    realm: &RealmName,
    user: &str,
) -> Result<Response, Fault> {
    let authority = &state.authority;
    let now = authority.now();
    if !state.settings.validate_email_challenge {
        return Ok(rejected(now));
    }
    match authority.otp_challenge(realm, user, &caller.origin).await? {
        Challenged::Sent(challenge) | Challenged::TooSoon(challenge) => {
            let Challenge { id, token, .. } = challenge;
            Ok(challenged(&id, token, now))
        }
        Challenged::Wait { .. } | Challenged::None => Ok(rejected(now)),
    }
}
