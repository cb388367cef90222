//! Introspection (RFC 7662): is this token good, asked by who has to accept it. Looks, and counts
//! nothing.

use std::io::Write as _;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use counterfoil_authority::authority::{Active, Binding, Verdict, VerifyRequest};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::verdict::Door;
use serde::Serialize;

use super::error::OauthError;
use super::form::{self, Form};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;
use crate::http::wire::json_bytes;

/// Nothing more is said of a token that is not good (RFC 7662 section 2.2).
const INACTIVE: &[u8] = br#"{"active":false}"#;
/// Room for an answer of usual size.
const ANSWER_BYTES: usize = 512;

/// What is said of a good token.
#[derive(Serialize)]
struct Answer<'a> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    aud: Vec<&'a str>,
    iss: &'a str,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<&'a counterfoil_authority::access::Confirmation>,
    /// The token that its owner knows: itself, or what it was made from.
    cfl_token: &'a str,
    cfl_kind: &'static str,
}

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
    arrival.recognise(&caller.realm, &caller.origin);
    let services = state.authority.verifiable(&caller, realm)?;
    let presented = form.require("token")?;
    let binding = match services.as_deref() {
        None => Binding::Unbound,
        Some([one]) => Binding::Service(one),
        Some(several) => Binding::AnyOf(several),
    };
    let question = VerifyRequest {
        realm,
        presented,
        username: None,
        binding,
        scopes: &[],
        resource: None,
        action: None,
        client_ip: None,
        consume: false,
        throttled: false,
        origin: &caller.origin,
    };
    let verdict = state.authority.verify(question).await?;
    state.metrics.verified(Door::Oauth, &verdict);
    Ok(match verdict {
        Verdict::Active(active) => {
            let issuer = state.authority.issuer(realm);
            json_bytes(StatusCode::OK, described(&active, &issuer))
        }
        Verdict::Inactive { .. } => json_bytes(StatusCode::OK, INACTIVE.to_vec()),
    })
}

fn described(active: &Active, issuer: &str) -> Vec<u8> {
    let access = active.access();
    let joined;
    let scope = if let Some(access) = access {
        access.scope.as_str()
    } else {
        joined = active.scopes().iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
        &joined
    };
    let token = active.token();
    let root = active.root();
    let answer = Answer {
        active: true,
        scope: (!scope.is_empty()).then_some(scope),
        client_id: access.map(|access| access.client_id.as_str()).or(active.client()),
        username: active.username(),
        token_type: match (active.kind(), access) {
            (_, Some(access)) => access.confirmation.token_type(),
            (Kind::AuthToken, None) => "refresh_token",
            (_, None) => "Bearer",
        },
        exp: active.expires_at().map(counterfoil_authority::clock::Timestamp::seconds),
        iat: access.map(|access| access.issued_at.seconds()),
        sub: access.map(|access| access.subject.as_str()).or(active.username()),
        aud: match access {
            Some(access) => access.audience.iter().map(String::as_str).collect(),
            None => active.services().labels(),
        },
        iss: issuer,
        jti: token.as_str(),
        cnf: active.confirmation(),
        cfl_token: root.as_str(),
        cfl_kind: active.kind().name(),
    };
    let mut body = Vec::with_capacity(ANSWER_BYTES);
    // Strings and numbers cannot fail to be written into a vector.
    drop(serde_json::to_writer(&mut body, &answer));
    let _ = body.flush();
    body
}
