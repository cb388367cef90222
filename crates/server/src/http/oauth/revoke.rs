//! Revocation (RFC 7009), and the feed of what was revoked for who reads JWTs without asking.

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::store::Revoked;
use counterfoil_authority::verdict::Door;
use serde_json::{Value, json};

use super::error::OauthError;
use super::form::{self, Form};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;

/// Ends a token. Whoever holds one may end it; a client that authenticates must be who it says.
/// The answer is the same whatever it was (RFC 7009 section 2.2), only later for who guesses.
pub(super) async fn revoke(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    form: &Form<'_>,
) -> Result<Response, OauthError> {
    let presented = ClearSecret::new(form.require("token")?.to_owned());
    let authenticates =
        parts.headers.contains_key(header::AUTHORIZATION) || form.find("client_secret").is_some();
    if authenticates {
        form::caller(state, arrival, parts, form).await?;
    }
    let context = arrival.context(Door::Oauth);
    if state.authority.revoke_presented(realm, &presented, context).await? {
        state.authority.hold_back(arrival.source, None, None).await;
    }
    Ok(StatusCode::OK.into_response())
}

/// What ended before its time, for who reads JWTs without asking about each.
pub(super) async fn feed(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
) -> Result<Response, OauthError> {
    let caller = form::caller(state, arrival, parts, &Form::parse(b"")?).await?;
    state.authority.verifiable(&caller, realm)?;
    let feed = state.authority.revocations(realm).await?;
    let lines = |lines: Vec<Revoked>| -> Vec<Value> {
        let line = |line: Revoked| json!({ "id": line.id.as_str(), "at": line.at.seconds() });
        lines.into_iter().map(line).collect()
    };
    let body = json!({
        "iss": state.authority.issuer(realm),
        "jti": lines(feed.access_tokens),
        "cfl_parent": lines(feed.parents),
    });
    Ok(axum::Json(body).into_response())
}
