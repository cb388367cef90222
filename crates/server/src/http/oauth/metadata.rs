//! What clients find by themselves: metadata (RFC 8414, and in the shape of OpenID Connect
//! Discovery), and the keys that sign (RFC 7517).

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::access::proof::PROOF_ALGS;
use counterfoil_authority::enrolment::SELF_SIGNED_TLS;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::scope::{API_SCOPES, ApiScope};
use serde_json::{Value, json};

use super::token::{DEVICE_CODE, TOKEN_EXCHANGE};
use crate::http::state::AppState;

/// Long enough to spare requests, short enough that a new key is known before it is needed much:
/// a library that meets an unknown `kid` asks again anyway.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The metadata of a realm. Every path to it gives the same document, which names one issuer.
pub(super) fn document(state: &AppState, realm: &RealmName) -> Value {
    let issuer = state.authority.issuer(realm);
    let at = |path: &str| format!("{issuer}/protocol/openid-connect/{path}");
    let algs: Vec<&str> = state.authority.signing_algs().iter().map(|alg| alg.name()).collect();
    let mut grants = vec!["client_credentials", "refresh_token", DEVICE_CODE, TOKEN_EXCHANGE];
    if state.settings.password_grant {
        grants.push("password");
    }
    let certificates =
        state.settings.client_certificates || !state.settings.client_certificate_headers.is_empty();
    let mut methods = vec!["client_secret_basic", "client_secret_post", "none"];
    if certificates {
        methods.push(SELF_SIGNED_TLS);
    }
    let authenticated = json!(["client_secret_basic", "client_secret_post"]);
    json!({
        "issuer": issuer,
        "token_endpoint": at("token"),
        "introspection_endpoint": at("token/introspect"),
        "revocation_endpoint": at("revoke"),
        "device_authorization_endpoint": at("auth/device"),
        "registration_endpoint": format!("{issuer}/clients-registrations/openid-connect"),
        "jwks_uri": at("certs"),
        "revocations_endpoint": at("revocations"),
        "grant_types_supported": grants,
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "scopes_supported": API_SCOPES.map(ApiScope::name),
        "token_endpoint_auth_methods_supported": methods,
        "tls_client_certificate_bound_access_tokens": certificates,
        "introspection_endpoint_auth_methods_supported": authenticated,
        "revocation_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "none"],
        "dpop_signing_alg_values_supported": PROOF_ALGS,
        "access_token_signing_alg_values_supported": algs,
        "id_token_signing_alg_values_supported": algs,
        "service_documentation": format!("{}/api/docs", state.settings.public_url),
    })
}

pub(super) fn metadata(state: &AppState, realm: &RealmName) -> Response {
    cached(Json(document(state, realm)).into_response())
}

/// The public keys whose signatures count now.
pub(super) fn keys(state: &AppState) -> Response {
    let keys: Vec<Value> = state
        .authority
        .public_keys()
        .iter()
        .filter_map(|key| serde_json::to_value(key).ok())
        .collect();
    cached(Json(json!({ "keys": keys })).into_response())
}

fn cached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, CACHED);
    response
}
