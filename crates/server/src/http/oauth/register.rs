//! Dynamic client registration (RFC 7591) and its management (RFC 7592): the initial access token
//! is a registration token, and every client that registers draws one auth token from it.
//!
//! The client's secret is the auth token's, and is also its registration access token: one secret
//! to keep, which a refresh replaces.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{Drawn, EnrolAnswer, EnrolRequest, RenderEnrolment};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::DeviceFacts;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;
use serde_json::{Map, Value, json};

use super::error::{ErrorCode, OauthError};
use super::form::{self, ProofOfDraw};
use super::token::{pinned, waiting};
use crate::http::caller::{Bearer, bearer};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;
use crate::http::wire::json_bytes;

/// Members of a client's description that are kept and shown again (RFC 7591 section 2).
const KEPT: [&str; 9] = [
    "client_name",
    "client_uri",
    "contacts",
    "software_id",
    "software_version",
    "grant_types",
    "token_endpoint_auth_method",
    "scope",
    "jwks",
];
/// Bytes of what is kept of a description at most.
const METADATA_BYTES_MAX: usize = 8192;

fn invalid(description: &str) -> OauthError {
    OauthError::new(ErrorCode::InvalidClientMetadata, description)
}

fn invalid_token() -> OauthError {
    OauthError::new(ErrorCode::InvalidToken, "the presented token is not good")
}

/// The bearer of the request; a registration token at the first door, the client's secret at the
/// second.
fn presented(parts: &Parts) -> Result<ClearSecret, OauthError> {
    match bearer(&parts.headers) {
        Bearer::Token(token) => Ok(ClearSecret::new(token.to_owned())),
        Bearer::Absent | Bearer::Unreadable => Err(invalid_token()),
    }
}

/// What a client says of itself, as far as it is kept.
fn described(body: &[u8]) -> Result<Map<String, Value>, OauthError> {
    let value: Value = serde_json::from_slice(body).map_err(|_| invalid("send a JSON object"))?;
    let Value::Object(all) = value else { return Err(invalid("send a JSON object")) };
    let kept: Map<String, Value> = all
        .into_iter()
        .filter(|(name, value)| KEPT.contains(&name.as_str()) && !value.is_null())
        .collect();
    if Value::Object(kept.clone()).to_string().len() > METADATA_BYTES_MAX {
        return Err(invalid("the description is too long"));
    }
    for name in ["client_name", "client_uri", "software_id", "software_version", "scope"] {
        if kept.get(name).is_some_and(|value| !value.is_string()) {
            return Err(invalid("client_name, software_id, scope and their like are texts"));
        }
    }
    let method = kept.get("token_endpoint_auth_method").and_then(Value::as_str);
    let known = ["client_secret_basic", "client_secret_post", "none"];
    if method.is_some_and(|method| !known.contains(&method)) {
        return Err(invalid("token_endpoint_auth_method: the metadata lists what there is"));
    }
    Ok(kept)
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
    let kept = described(body)?;
    let text = |name: &str| kept.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let scopes = text("scope").map(|scopes| {
        scopes
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(Scope::parse)
            .collect::<Result<_, _>>()
    });
    let scopes = scopes.transpose().map_err(|_| invalid("a scope has another form"))?;
    let subject = text("client_name").or_else(|| text("software_id"));
    let proof = ProofOfDraw::of(state, parts)?;
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
            if error.code == ErrorCode::InvalidGrant {
                form::delay(state, arrival).await;
                // Here the grant is the bearer of the request (RFC 7591 section 3).
                return Err(error.coded(ErrorCode::InvalidToken));
            }
            Err(error)
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
        } else {
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

/// What is known of the client that presents its secret.
pub(super) async fn show(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    id: &str,
) -> Result<Response, OauthError> {
    let (token, secret) = managed(state, arrival, parts, realm, id).await?;
    let text = token.device.as_deref().and_then(|device| device.client.as_deref());
    let kept = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let body = client(&kept, &token, &base_of(state, realm), Some(&secret));
    Ok(axum::Json(Value::Object(body)).into_response())
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

/// The auth token whose secret was presented. A client that is not there and one that is
/// another's look alike (RFC 7592 section 2).
async fn managed(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    id: &str,
) -> Result<(Token, ClearSecret), OauthError> {
    let secret = presented(parts)?;
    let context = arrival.context(Door::Oauth);
    let found = state.authority.grant_presented(realm, id, secret.reveal(), context).await?;
    let Some(grant) = found else {
        form::delay(state, arrival).await;
        return Err(invalid_token());
    };
    let token = state.authority.store().token_find(realm, grant.auth_token).await;
    let token = token.map_err(Refusal::from)?.ok_or_else(invalid_token)?;
    Ok((token, secret))
}
