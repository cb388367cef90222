//! Dynamic client registration (RFC 7591) and its management (RFC 7592): the initial access token
//! is a registration token, and every client that registers draws one auth token from it.
//!
//! The client's secret is the auth token's, and is also its registration access token: one secret
//! to keep, which a refresh replaces.

mod description;

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::HttpBody;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use counterfoil_authority::authority::{
    AccessRefusal, Drawn, EnrolAnswer, EnrolRequest, Presented, RenderEnrolment,
};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{DeviceFacts, SELF_SIGNED_TLS};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;
use serde_json::{Map, Value, json};

use super::error::{ErrorCode, OauthError};
use super::form::{self, ProofOfDraw};
use super::token::{pinned, waiting};
use crate::http::body::{any_bytes_of, media_type};
use crate::http::caller::{Bearer, bearer, with_proof};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;
use crate::http::wire::json_bytes;

fn invalid_token() -> OauthError {
    OauthError::new(ErrorCode::InvalidToken, "the presented token is not good")
}

/// The bearer of the request: a registration token.
fn presented(parts: &Parts) -> Result<ClearSecret, OauthError> {
    match bearer(&parts.headers) {
        Bearer::Token(token) => Ok(ClearSecret::new(token.to_owned())),
        Bearer::Absent | Bearer::Unreadable => Err(invalid_token()),
    }
}

/// Reads a description, which must say that it is JSON (RFC 7591 section 3.1).
pub(super) async fn bytes_of(
    state: &AppState,
    headers: &HeaderMap,
    body: impl HttpBody<Data = Bytes>,
) -> Result<Bytes, OauthError> {
    let bytes = any_bytes_of(state, body).await?;
    match media_type(headers) {
        Some(name) if name.eq_ignore_ascii_case("application/json") => Ok(bytes),
        _ => Err(OauthError::new(ErrorCode::NoForm, "send Content-Type: application/json")),
    }
}

/// Registers a client.
pub(super) async fn register(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    body: &[u8],
) -> Result<Response, OauthError> {
    let secret = presented(parts)?;
    let kept = description::read(&state.authority, body)?;
    let text = |name: &str| kept.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let scopes = description::scopes(&kept)?;
    if description::method(&kept) == SELF_SIGNED_TLS && arrival.certificate.is_none() {
        return Err(description::invalid(
            "a client that authenticates by certificate registers with it",
        ));
    }
    let subject = text("client_name").or_else(|| text("software_id"));
    let proof = ProofOfDraw::of(state, arrival, parts)?;
    if description::method(&kept) == SELF_SIGNED_TLS && proof.confirmation().jkt.is_some() {
        let why = "a client is bound to its certificate or to a DPoP key, not to both";
        return Err(description::invalid(why));
    }
    let request = EnrolRequest {
        realm,
        presented: secret.reveal(),
        facts: DeviceFacts {
            subject: subject.unwrap_or_else(|| "client".to_owned()),
            identifier: text("software_id"),
            ..DeviceFacts::default()
        },
        labels: std::collections::BTreeMap::new(),
        confirmation: pinned(&proof.confirmation()),
        scopes,
        client: Some(Value::Object(kept.clone()).to_string()),
        replay: None,
        context: arrival.context(Door::Oauth),
    };
    let render = Registered { state, kept, proof: &proof };
    match state.authority.enrol(request, &render).await {
        Ok(answered) => {
            let status =
                if answered.is_waiting() { StatusCode::ACCEPTED } else { StatusCode::CREATED };
            Ok(json_bytes(status, answered.into_body()))
        }
        Err(refusal) => {
            let error = proof.refused(refusal);
            // Here the grant is the bearer of the request (RFC 7591 section 3).
            let of_bearer = error.code == ErrorCode::InvalidGrant;
            Err(if of_bearer { error.coded(ErrorCode::InvalidToken) } else { error })
        }
    }
}

struct Registered<'a> {
    state: &'a AppState,
    kept: Map<String, Value>,
    proof: &'a ProofOfDraw<'a>,
}

#[async_trait]
impl EnrolAnswer for Registered<'_> {
    async fn prepare(&self, drawn: &Drawn) -> Result<RenderEnrolment, Refusal> {
        self.proof.take().await?;
        let base = base_of(self.state, &drawn.grant.realm);
        let (kept, secret) = (self.kept.clone(), drawn.secret.clone());
        let public_url = self.state.settings.public_url.clone();
        Ok(Arc::new(move |token: &Token, _| {
            let body = if token.pending {
                waiting(token, &secret, &public_url)
            } else {
                client(&kept, token, &base, Some(&secret))
            };
            serde_json::to_vec(&body).unwrap_or_default()
        }))
    }
}

fn base_of(state: &AppState, realm: &RealmName) -> String {
    format!("{}/clients-registrations/openid-connect", state.authority.issuer(realm))
}

/// RFC 7591 section 3.2.1.
fn client(
    kept: &Map<String, Value>,
    token: &Token,
    base: &str,
    secret: Option<&ClearSecret>,
) -> Map<String, Value> {
    let mut body = kept.clone();
    let id = token.id.as_str();
    body.insert("client_id".to_owned(), json!(id));
    body.insert("client_id_issued_at".to_owned(), json!(token.created_at.seconds()));
    body.insert("registration_client_uri".to_owned(), json!(format!("{base}/{id}")));
    let method = kept.get("token_endpoint_auth_method").and_then(Value::as_str);
    let method = method.unwrap_or("client_secret_basic").to_owned();
    if let Some(secret) = secret {
        body.insert("registration_access_token".to_owned(), json!(secret.reveal()));
        if method == "none" {
            body.insert("refresh_token".to_owned(), json!(secret.reveal()));
        } else if method != SELF_SIGNED_TLS {
            let ends = token.validity.expires_at().map_or(0, Timestamp::seconds);
            body.insert("client_secret".to_owned(), json!(secret.reveal()));
            body.insert("client_secret_expires_at".to_owned(), json!(ends));
        }
    }
    body.insert("token_endpoint_auth_method".to_owned(), json!(method));
    body.entry("grant_types".to_owned())
        .or_insert_with(|| json!(["client_credentials", "refresh_token"]));
    body
}

/// What is known of the client that presents its secret (RFC 7592 section 2.1).
pub(super) async fn show(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    id: &str,
) -> Result<Response, OauthError> {
    let (token, secret) = managed(state, arrival, parts, realm, id).await?;
    Ok(shown(state, realm, &token, &secret))
}

fn shown(state: &AppState, realm: &RealmName, token: &Token, secret: &ClearSecret) -> Response {
    let body = client(&kept_of(token), token, &base_of(state, realm), Some(secret));
    let mut response = axum::Json(Value::Object(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn kept_of(token: &Token) -> Map<String, Value> {
    let text = token.device.as_deref().and_then(|device| device.client.as_deref());
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Replaces the description of the client that presents its secret (RFC 7592 section 2.2). What
/// is left out is forgotten, scopes can only become fewer, and how it authenticates stays: a
/// stolen refresh token must not turn a public client into one that need not rotate.
pub(super) async fn replace(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    id: &str,
    body: &[u8],
) -> Result<Response, OauthError> {
    let (token, secret) = managed(state, arrival, parts, realm, id).await?;
    let named = description::names(body)?;
    if named.client_id.as_deref() != Some(id) {
        return Err(description::invalid("client_id must be the client's own"));
    }
    if named.client_secret.is_some_and(|named| named != secret) {
        return Err(description::invalid("client_secret must be the client's own, or left out"));
    }
    let kept = description::read_own(&state.authority, body)?;
    if description::method(&kept) != description::method(&kept_of(&token)) {
        return Err(description::invalid("token_endpoint_auth_method cannot be changed"));
    }
    let scopes = description::scopes(&kept)?;
    let text = Value::Object(kept).to_string();
    let context = arrival.context(Door::Oauth);
    let described = state.authority.describe_client(&token, text, scopes, context).await;
    Ok(shown(state, realm, &described?, &secret))
}

/// Ends the client that presents its secret (RFC 7592 section 2.3).
pub(super) async fn remove(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    id: &str,
) -> Result<Response, OauthError> {
    let (_, secret) = managed(state, arrival, parts, realm, id).await?;
    let context = arrival.context(Door::Oauth);
    state.authority.revoke_presented(realm, &secret, context).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The auth token whose secret was presented, with a proof of its key if it is bound to one (RFC
/// 9449 section 7.1). A client that is not there and one that is another's look alike (RFC 7592
/// section 2).
async fn managed(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    id: &str,
) -> Result<(Token, ClearSecret), OauthError> {
    let (secret, proof) = match with_proof(&parts.headers) {
        Some(token) => {
            let proof = form::proof_in(state, parts, Some(token))?.ok_or_else(invalid_token)?;
            (ClearSecret::new(token.to_owned()), Some(proof))
        }
        None => (presented(parts)?, None),
    };
    let context = arrival.context(Door::Oauth);
    let proved = pinned(&form::confirmed(arrival, proof.as_ref()));
    let presented = Presented { client_id: id, secret: secret.reveal(), proved: proved.clone() };
    let found = state.authority.grant_presented(realm, presented, context).await;
    let grant = found.map_err(|refusal| match refusal {
        AccessRefusal::Token { guessed } => invalid_token().guess(guessed),
        other => other.into(),
    })?;
    // Who enrolled at another door is no client that manages itself here.
    if grant.client.is_none() || (grant.confirmation.is_some() && grant.confirmation != proved) {
        return Err(invalid_token());
    }
    form::used(state, proof.as_ref()).await?;
    let token = state.authority.store().token_find(realm, grant.auth_token).await;
    let token = token.map_err(Refusal::from)?.ok_or_else(invalid_token)?;
    Ok((token, secret))
}
