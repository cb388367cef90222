//! What the holder of a token may do with it just by holding it: look, rotate, end it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::verdict::Door;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{BatchBytes, OptionalPayload, parse};
use super::caller::{Arrived, Authenticated};
use super::precondition::{IdempotencyKey, IfMatch};
use super::problem::Problem;
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::tokens::{RotateRequest, TokenBody, TokenIssued, answer, replay};
use super::wire::versioned;

/// Credentials revoked at once at most.
const CREDENTIALS_MAX: usize = 1000;

/// Shows the presented token.
#[utoipa::path(
    get, path = "/api/v1/self", tag = "self",
    responses((status = 200, description = "The presented token", body = TokenBody), Looks)
)]
pub async fn self_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<Response, Problem> {
    let token = state.authority.self_token(&caller).await?;
    Ok(versioned(StatusCode::OK, token.version, TokenBody::of(&token, state.authority.now())))
}

/// Revokes the presented token.
#[utoipa::path(
    delete, path = "/api/v1/self", tag = "self",
    responses((status = 204, description = "It has ended"), Looks)
)]
pub async fn self_revoke(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<StatusCode, Problem> {
    state.authority.self_revoke(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the presented token a new secret, where its service's policy allows it.
#[utoipa::path(
    post, path = "/api/v1/self/rotate", tag = "self",
    params(
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same key and body give the same answer again"),
    ),
    request_body = Option<RotateRequest>,
    responses((status = 200, description = "The token and its new secret", body = TokenIssued), Acts)
)]
pub async fn self_rotate(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IfMatch(version): IfMatch,
    idempotency: IdempotencyKey,
    OptionalPayload { value, bytes }: OptionalPayload<RotateRequest>,
) -> Result<Response, Problem> {
    let replay = replay(idempotency, &bytes);
    let overlap = value.overlap_seconds;
    let answered = state.authority.self_rotate(&caller, overlap, version, replay).await?;
    Ok(answer(StatusCode::OK, answered))
}

/// Credentials to revoke.
#[derive(Debug, Serialize, ToSchema)]
pub struct Credentials {
    /// Token strings with an id in them, at most 1000.
    #[schema(max_items = 1000)]
    credentials: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Presented {
    credentials: Vec<String>,
}

/// Revokes whatever credentials are given, for whoever found them. Needs no authentication and
/// answers 202 whatever they were, only later to a source that often sends strings that could
/// have been credentials and are not.
#[utoipa::path(
    post, path = "/api/v1/credentials/revoke", tag = "self", security(()),
    request_body = Credentials,
    responses(
        (status = 202, description = "Those that were tokens have ended"),
        (status = 400, response = super::responses::Malformed),
        (status = 408, response = super::responses::RequestTimeout),
        (status = 413, response = super::responses::BodyTooLarge),
        (status = 415, response = super::responses::UnsupportedMediaType),
        (status = 422, response = super::responses::Invalid),
        (status = 503, response = super::responses::Unavailable),
    )
)]
pub async fn credentials_revoke(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    BatchBytes(body): BatchBytes,
) -> Result<StatusCode, Problem> {
    let Presented { credentials } = parse(&body)?;
    if credentials.len() > CREDENTIALS_MAX {
        return Err(Problem::invalid("credentials", format!("at most {CREDENTIALS_MAX} at once")));
    }
    let secrets: Vec<ClearSecret> = credentials.into_iter().map(ClearSecret::new).collect();
    let context = arrival.context(Door::Api);
    if state.authority.revoke_by_possession(&secrets, context).await? {
        state.authority.hold_back(arrival.source, None, None).await;
    }
    Ok(StatusCode::ACCEPTED)
}
