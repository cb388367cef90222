//! Introspection (RFC 7662): is this token good, asked by who has to accept it. Looks, and counts
//! nothing.

use std::io::Write as _;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use counterfoil_authority::authority::{Active, Binding, Verdict, VerifyRequest};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::verdict::Door;

use super::error::OauthError;
use super::form::{self, Form};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;
use crate::http::sunset;
use crate::http::wire::json_bytes;

/// Nothing more is said of a token that is not good (RFC 7662 section 2.2).
const INACTIVE: &[u8] = br#"{"active":false}"#;
/// Room for an answer of usual size.
const ANSWER_BYTES: usize = 512;

/// Answers one question.
pub async fn answer(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    body: &[u8],
) -> Result<Response, OauthError> {
    let form = Form::parse(body)?;
    let caller = form::caller(state, arrival, parts, &form).await?;
    let answered = answer_to(state, &caller, realm, &form).await;
    // Only the record of a refusal asks who called.
    answered.inspect_err(|_| arrival.recognise(&caller.realm, &caller.origin))
}

async fn answer_to(
    state: &AppState,
    caller: &Caller,
    realm: &RealmName,
    form: &Form<'_>,
) -> Result<Response, OauthError> {
    let services = state.authority.verifiable(caller, realm)?;
    let presented = form.require("token")?;
    let binding = match services.as_deref() {
        None => Binding::Unbound,
        Some([one]) => Binding::Service(one),
        Some(several) => Binding::AnyOf(several),
    };
    // To ask is no use of the token, and the caller is none of those who guess.
    let question = VerifyRequest {
        client_ip: None,
        consume: false,
        throttled: false,
        ..VerifyRequest::of_holder(realm, presented, binding, &caller.origin)
    };
    let verdict = state.authority.verify(question).await?;
    state.metrics.verified(Door::Oauth, &verdict);
    state.authority.heard(&question, &verdict);
    Ok(match verdict {
        Verdict::Active(active) => {
            let issuer = state.authority.issuer(realm);
            let mut response = json_bytes(StatusCode::OK, described(&active, &issuer));
            sunset::tell(&mut response, active.expires_at());
            response
        }
        Verdict::Inactive { .. } => json_bytes(StatusCode::OK, INACTIVE.to_vec()),
    })
}

/// Writes what is said of a good token. By hand, because this is the answer that is given most
/// often.
fn described(active: &Active, issuer: &str) -> Vec<u8> {
    let access = active.access();
    let mut out = Vec::with_capacity(ANSWER_BYTES);
    // Ids, kinds and types are plain ASCII by their types and need no escaping.
    out.extend_from_slice(br#"{"active":true,"#);
    match access {
        Some(access) if !active.is_narrowed() && access.scope.is_empty() => {}
        Some(access) if !active.is_narrowed() => member(&mut out, "scope", Some(&access.scope)),
        _ if active.scopes().is_empty() => {}
        _ => {
            let joined = active.scopes().iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
            member(&mut out, "scope", Some(&joined));
        }
    }
    let client = access.map(|access| access.client_id.as_str()).or(active.client());
    member(&mut out, "client_id", client);
    member(&mut out, "username", active.username());
    out.extend_from_slice(br#""token_type":""#);
    let token_type = match (active.kind(), access) {
        (_, Some(access)) => access.confirmation.token_type(),
        (Kind::AuthToken, None) => "refresh_token",
        (_, None) => "Bearer",
    };
    out.extend_from_slice(token_type.as_bytes());
    out.extend_from_slice(br#"","#);
    instant(&mut out, "exp", active.expires_at());
    instant(&mut out, "iat", access.map(|access| access.issued_at));
    member(&mut out, "sub", access.map(|access| access.subject.as_str()).or(active.username()));
    out.extend_from_slice(br#""aud":"#);
    // Strings and numbers cannot fail to be written into a vector.
    drop(match access {
        Some(access) if !active.is_narrowed() => serde_json::to_writer(&mut out, &access.audience),
        _ => serde_json::to_writer(&mut out, &active.services().labels()),
    });
    out.push(b',');
    member(&mut out, "iss", Some(issuer));
    out.extend_from_slice(br#""jti":""#);
    out.extend_from_slice(active.token().as_bytes());
    out.push(b'"');
    if let Some(permissions) = active.permissions() {
        // JSON text already.
        out.extend_from_slice(br#","permissions":"#);
        out.extend_from_slice(permissions.as_bytes());
    }
    if let Some(confirmation) = active.confirmation() {
        out.extend_from_slice(br#","cnf":"#);
        drop(serde_json::to_writer(&mut out, confirmation));
    }
    // The token that its owner knows: itself, or what it was made from.
    out.extend_from_slice(br#","cfl_token":""#);
    out.extend_from_slice(active.root().as_bytes());
    out.extend_from_slice(br#"","cfl_kind":""#);
    out.extend_from_slice(active.kind().name().as_bytes());
    out.extend_from_slice(br#""}"#);
    out
}

/// A text that is there, and the comma behind it.
fn member(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(br#"":"#);
    drop(serde_json::to_writer(&mut *out, text));
    out.push(b',');
}

/// Seconds since 1970, if any, and the comma behind them.
fn instant(out: &mut Vec<u8>, name: &str, at: Option<Timestamp>) {
    let Some(at) = at else { return };
    let _ = write!(out, r#""{name}":{},"#, at.seconds());
}
