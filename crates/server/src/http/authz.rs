//! Forward-auth, `/authz/{service}`: a reverse proxy asks about each request that it lets through.
//!
//! Contracts: nginx `auth_request`, Traefik `ForwardAuth`, Caddy `forward_auth`, Envoy
//! `ext_authz`. What a request needs is the service's configuration; nothing in its query or
//! headers changes that. Answers are 200, 401, 403 and 503 only, because nginx turns any other
//! status into its own 500.
//!
//! An unknown service answers like a token that is not good for it: 401, with the name that was
//! asked for as realm. A 404 would let everybody list the services. A request whose original
//! method or path cannot be told safely is refused with 403, but only to who presents a good
//! token, and without counting a use; for all others it is a 401 as always.

pub(crate) mod credential;
mod origin;

use std::fmt::Write as _;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{Active, Binding, Verdict, VerifyRequest};
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::verdict::{Door, Reason};

use super::caller::Arrived;
use super::envelope::Arrival;
use super::problem::Problem;
use super::state::AppState;
use super::sunset;
use credential::Credential;

/// Where the door is.
pub const PREFIX: &str = "/authz/";

const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
const REMOTE_NAME: HeaderName = HeaderName::from_static("remote-name");
const REMOTE_EMAIL: HeaderName = HeaderName::from_static("remote-email");
const REMOTE_GROUPS: HeaderName = HeaderName::from_static("remote-groups");
const X_AUTH_TOKEN_ID: HeaderName = HeaderName::from_static("x-auth-token-id");
const X_AUTH_SCOPES: HeaderName = HeaderName::from_static("x-auth-scopes");
const X_AUTH_EXPIRES: HeaderName = HeaderName::from_static("x-auth-expires");
const X_AUTH_KIND: HeaderName = HeaderName::from_static("x-auth-kind");
const X_AUTH_PERMISSIONS: HeaderName = HeaderName::from_static("x-auth-permissions");

/// Tells Envoy which headers of the client to take away before the backend sees the request.
const HEADERS_TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Bytes of permissions in a header at most: proxies give all headers of an answer together four
/// kilobytes of room, and refuse everything beyond.
const PERMISSIONS_BYTES_MAX: usize = 2_048;
/// Stands for permissions that do not fit: a backend that obeys them then allows nothing.
const NO_PERMISSIONS: &str = "{}";

/// What a request needs, as far as its original method and path can be told.
enum Need {
    Scopes(Vec<Scope>),
    Unreadable,
}

/// One request of a proxy.
struct Asked<'a> {
    realm: &'a RealmName,
    label: &'a ServiceLabel,
    arrival: &'a Arrival,
    credential: Credential,
}

/// Decides whether a reverse proxy lets a request through. Any method, any sub-path.
///
/// The credential is `Authorization: Bearer`, or `Basic` with `user:token` or the token as user
/// and an empty password, or a configured API-key header; never the query. Identity headers are
/// all present on 200, empty where there is nothing to say. Their values are ASCII: other
/// characters, and `%` itself, are percent-encoded UTF-8. A client's own key is
/// `Remote-User: client:<name>`, which no person's name can be. An access token that is bound to
/// a key is refused: nobody can prove to hold the key here.
#[utoipa::path(
    get, path = "/authz/{service}", tag = "forward-auth", operation_id = "authz",
    params(("service" = String, Path, description = "The service's label")),
    security((), ("bearer" = []), ("basic" = [])),
    responses(
        (status = 200, description = "Let it through", headers(
            ("Remote-User" = String, description = "User name"),
            ("Remote-Name" = String, description = "What to call them"),
            ("Remote-Email" = String, description = "First address"),
            ("Remote-Groups" = String, description = "Groups, comma-separated"),
            ("X-Auth-Token-Id" = String, description = "The token's id"),
            ("X-Auth-Scopes" = String, description = "Scopes, separated by spaces"),
            ("X-Auth-Expires" = String, description = "When the token ends, or empty"),
            ("Sunset" = String, description = "The same as an HTTP-date (RFC 8594), if it ends"),
            ("X-Auth-Kind" = String, description = "The token's kind"),
            ("X-Auth-Permissions" = String,
             description = "The token's permissions as JSON, or empty: they restrict nothing"),
        )),
        (status = 401, description = "Not let through; two `WWW-Authenticate` headers"),
        (status = 403, description = "The token is good, but lacks a scope"),
        (status = 503, response = super::responses::Unavailable),
    )
)]
pub async fn authz(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    request: Request,
) -> Response {
    // The body is nobody's business here, and a request with one cannot be shared.
    answer(&state, &arrival, &request.into_parts().0).await
}

/// Decides about a request by its head.
pub async fn answer(state: &AppState, arrival: &Arrival, request: &Parts) -> Response {
    let path = request.uri.path();
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    let (name, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Ok(label) = ServiceLabel::parse(name) else {
        // No service has such a name; whatever was presented is not good for it.
        let presented = !matches!(credential_of(state, request), Credential::Absent);
        return denied("counterfoil", presented);
    };
    let realm = realm_of(state, request);
    let credential = credential_of(state, request);
    let asked = Asked { realm, label: &label, arrival, credential };
    match decide(state, request, below, asked).await {
        Ok(response) => response,
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

fn credential_of(state: &AppState, request: &Parts) -> Credential {
    credential::read(&request.headers, &state.settings.api_key_headers)
}

/// The realm that the host name stands for. `X-Forwarded-Host` is not asked.
pub fn realm_of<'a>(state: &'a AppState, request: &Parts) -> &'a RealmName {
    if state.settings.realm_by_host.is_empty() {
        return &state.main_realm;
    }
    let header = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri.host().or(header).unwrap_or_default();
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let known = state.settings.realm_by_host.get(&bare.to_ascii_lowercase());
    known.unwrap_or(&state.main_realm)
}

async fn decide(
    state: &AppState,
    request: &Parts,
    below: &str,
    asked: Asked<'_>,
) -> Result<Response, Refusal> {
    let (username, presented) = match &asked.credential {
        Credential::Absent => return Ok(denied(asked.label.as_str(), false)),
        Credential::Unreadable => return Ok(denied(asked.label.as_str(), true)),
        Credential::Token { username, token } => (username.as_deref(), token.reveal()),
    };
    let authority = &state.authority;
    let facts = authority.service_facts(asked.realm, asked.label).await?;
    let need = match &facts {
        Some(cell) => {
            let trusted = asked.arrival.peer_is_trusted;
            origin::need(&cell.service.forward_auth, request, below, trusted)
        }
        None => Need::Scopes(Vec::new()),
    };
    let (scopes, readable) = match need {
        Need::Scopes(scopes) => (scopes, true),
        Need::Unreadable => (Vec::new(), false),
    };
    let source = asked.arrival.source;
    let origin = asked.arrival.anonymous(Door::ForwardAuth);
    let request = VerifyRequest {
        realm: asked.realm,
        presented,
        username,
        binding: Binding::Service(asked.label),
        scopes: &scopes,
        resource: None,
        action: None,
        client_ip: source,
        consume: readable,
        throttled: true,
        origin: &origin,
    };
    let verdict = authority.verify(request).await?;
    state.metrics.verified(Door::ForwardAuth, &verdict);
    // Of what is refused below although it is good, a shadow is told nothing (a token that is
    // bound to a key) or compares whether it is good, not what for (an origin nobody can read).
    authority.heard(&request, &verdict);
    match verdict {
        // A proxy passes the token on, not the proof of its key: whoever copied it could send it.
        Verdict::Active(active) if !active.is_bearer() => {
            record_refused(state, &asked, &active, "wrong_sender")?;
            Ok(denied(asked.label.as_str(), true))
        }
        Verdict::Active(active) if !readable => {
            record_refused(state, &asked, &active, "unreadable_origin")?;
            Ok(StatusCode::FORBIDDEN.into_response())
        }
        Verdict::Active(active) => Ok(allowed(&active, &state.settings.api_key_headers)),
        Verdict::Inactive { reason, .. } if reason.is_only_insufficient() => {
            Ok(insufficient(asked.label, &scopes, reason))
        }
        Verdict::Inactive { .. } => {
            authority.hold_back(source, username, Some(asked.label.as_str())).await;
            Ok(denied(asked.label.as_str(), true))
        }
    }
}

/// A good token was refused, because nobody trustworthy said what it is for or who sends it: the
/// operator must be able to find out why.
fn record_refused(
    state: &AppState,
    asked: &Asked<'_>,
    active: &Active,
    reason: &'static str,
) -> Result<(), Refusal> {
    let authority = &state.authority;
    let origin = asked.arrival.anonymous(Door::ForwardAuth);
    let event = authority.event("verify.refused", asked.realm, &origin, authority.now())?;
    let event = event.with_token(active.root()).with_service(asked.label.as_str());
    authority.record_refusal(event.with_reason(reason).refused());
    Ok(())
}

/// 401, the same bytes whatever the reason. A credential that was there is `invalid_token`; one
/// that was not has no error code (RFC 6750 section 3.1).
fn denied(realm: &str, presented: bool) -> Response {
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    let error = if presented { r#", error="invalid_token""# } else { "" };
    let challenges = [
        // Basic first: browsers and git take the first scheme that they know.
        format!(r#"Basic realm="{realm}", charset="UTF-8""#),
        format!(r#"Bearer realm="{realm}"{error}"#),
    ];
    for challenge in challenges {
        // Labels are plain ASCII, so this never fails.
        if let Ok(value) = HeaderValue::try_from(challenge) {
            response.headers_mut().append(header::WWW_AUTHENTICATE, value);
        }
    }
    response
}

/// 403: the token is good and lacks a scope (RFC 6750 section 3.1).
fn insufficient(label: &ServiceLabel, scopes: &[Scope], reason: Reason) -> Response {
    let mut response = StatusCode::FORBIDDEN.into_response();
    let mut challenge = format!(r#"Bearer realm="{label}", error="insufficient_scope""#);
    if reason == Reason::InsufficientScope {
        let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        // Writing to a string cannot fail.
        let _ = write!(challenge, r#", scope="{}""#, names.join(" "));
    }
    if let Ok(value) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

fn allowed(active: &Active, api_key_headers: &[HeaderName]) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    let user = match (active.username(), active.client(), active.access()) {
        (Some(user), ..) => user.to_owned(),
        (None, Some(client), _) => format!("client:{client}"),
        (None, None, Some(device)) => device.subject.clone(),
        (None, None, None) => String::new(),
    };
    let groups: Vec<String> = active.groups().iter().map(|group| ascii(group.as_str())).collect();
    let scopes: Vec<&str> = active.scopes().iter().map(Scope::as_str).collect();
    let expires = active.expires_at().map(|end| end.to_string()).unwrap_or_default();
    put(headers, REMOTE_USER, ascii(&user));
    put(headers, REMOTE_NAME, ascii(active.display_name().unwrap_or_default()));
    put(headers, REMOTE_EMAIL, ascii(active.email().unwrap_or_default()));
    put(headers, REMOTE_GROUPS, groups.join(","));
    put(headers, X_AUTH_TOKEN_ID, active.token().to_string());
    put(headers, X_AUTH_SCOPES, scopes.join(" "));
    put(headers, X_AUTH_EXPIRES, expires);
    put(headers, X_AUTH_KIND, active.kind().name().to_owned());
    put(headers, X_AUTH_PERMISSIONS, permissions_of(active.permissions()));
    // Whatever may carry the credential: the backend must not have it.
    let carriers = api_key_headers.iter().map(HeaderName::as_str);
    let carriers: Vec<&str> = std::iter::once("authorization").chain(carriers).collect();
    put(headers, HEADERS_TO_REMOVE, carriers.join(","));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    sunset::tell(&mut response, active.expires_at());
    response
}

/// Permissions as one line of ASCII that is still JSON. Empty: the token has none, and they
/// restrict nothing.
fn permissions_of(stored: Option<&str>) -> String {
    let Some(stored) = stored else { return String::new() };
    let mut safe = String::with_capacity(stored.len());
    let mut units = [0; 2];
    for c in stored.chars() {
        if (' '..='~').contains(&c) {
            safe.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    if safe.len() > PERMISSIONS_BYTES_MAX { NO_PERMISSIONS.to_owned() } else { safe }
}

/// Sets an identity header; one that were left out could be the client's own.
fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
    headers.insert(name, value);
}

/// Printable ASCII as it is; everything else, and `%`, as percent-encoded UTF-8.
fn ascii(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (0x20..0x7f).contains(&byte) && byte != b'%' {
            safe.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_in_a_header_are_the_same_json_or_allow_nothing() {
        assert_eq!(permissions_of(None), "");
        assert_eq!(permissions_of(Some(r#"{"a":["b"]}"#)), r#"{"a":["b"]}"#);
        let said = permissions_of(Some("{\"größe 🦀\":[\"x\"]}"));
        assert!(said.is_ascii());
        let read: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(read, serde_json::json!({ "größe 🦀": ["x"] }));
        assert_eq!(permissions_of(Some(&format!("{{\"{}\":[]}}", "ä".repeat(400)))), "{}");
    }

    #[test]
    fn identity_headers_are_ascii_and_can_be_read_back() {
        assert_eq!(ascii("Alice Smith"), "Alice Smith");
        assert_eq!(ascii("Zoë 100%"), "Zo%C3%AB 100%25");
        assert_eq!(ascii("a\r\nRemote-User: root"), "a%0D%0ARemote-User: root");
    }
}
