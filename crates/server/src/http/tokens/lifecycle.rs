//! Rotate, enable, disable, lock, unlock, revoke.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{Act, Answered, Replay};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::{ClearSecret, TokenId};
use counterfoil_authority::token::Token;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{TokenBody, TokenIssued};
use crate::http::body::OptionalPayload;
use crate::http::caller::Authenticated;
use crate::http::precondition::{IdempotencyKey, IfMatch};
use crate::http::problem::Problem;
use crate::http::query::At;
use crate::http::responses::Acts;
use crate::http::state::AppState;
use crate::http::wire::{LineWord, json_bytes, versioned};

/// How to rotate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// How long the former secret still works; the policy's overlap unless given.
    #[schema(minimum = 0)]
    pub overlap_seconds: Option<i64>,
}

/// Nothing to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// How to revoke.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// Why, in the revoker's words; the owner sees it.
    reason: Option<LineWord>,
    /// Also ends auth tokens drawn from it. Tokens derived from it end in any case.
    cascade: Option<bool>,
    /// Only shows what would end.
    dry_run: Option<bool>,
}

/// What a revocation would end.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevokePreview {
    /// Always true.
    dry_run: bool,
    /// The token itself, and everything that dies with it.
    revoked: Vec<TokenBody>,
}

/// Writes the answer that carries a secret. It shows the token as it stood when that secret was
/// made, so that a fresh answer and a kept one are the same bytes.
fn rendered(token: &Token, secret: &ClearSecret) -> Vec<u8> {
    let now = token.secrets.first().map_or(token.created_at, |facts| facts.created_at);
    let body = TokenIssued { token: TokenBody::of(token, now), secret: secret.reveal().to_owned() };
    // Strings, numbers and JSON values cannot fail to be written.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// What to keep under an idempotency key.
pub(in crate::http) fn replay(idempotency: IdempotencyKey, body: &[u8]) -> Option<Replay> {
    idempotency.over(body).map(|(key, fingerprint)| Replay {
        key,
        fingerprint,
        render: Arc::new(rendered),
    })
}

/// An answer with a secret.
pub(in crate::http) fn answer(status: StatusCode, answered: Answered) -> Response {
    let bytes = match answered {
        Answered::Fresh { token, secret } => rendered(&token, &secret),
        Answered::Replayed(bytes) => bytes,
    };
    json_bytes(status, bytes)
}

/// Gives a token a new secret. The former one works for the overlap; `expires_at` stays.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/rotate", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same key and body give the same answer again"),
    ),
    request_body = Option<RotateRequest>,
    responses((status = 200, description = "The token and its new secret", body = TokenIssued), Acts)
)]
pub async fn token_rotate(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    IfMatch(version): IfMatch,
    idempotency: IdempotencyKey,
    OptionalPayload { value, bytes }: OptionalPayload<RotateRequest>,
) -> Result<Response, Problem> {
    let authority = &state.authority;
    let replay = replay(idempotency, &bytes);
    let overlap = value.overlap_seconds;
    let answered = authority.rotate(&caller, &realm, id, overlap, version, replay).await?;
    Ok(answer(StatusCode::OK, answered))
}

async fn change(
    state: &AppState,
    caller: &Caller,
    realm: &RealmName,
    id: TokenId,
    act: Act,
    version: Option<i64>,
) -> Result<Response, Problem> {
    let token = state.authority.change(caller, realm, id, act, version).await?;
    Ok(versioned(StatusCode::OK, token.version, TokenBody::of(&token, state.authority.now())))
}

/// Declares the handlers of the four plain switches.
macro_rules! switches {
    ($($(#[$meta:meta])* $handler:ident, $path:literal, $act:expr;)*) => {$(
        $(#[$meta])*
        #[utoipa::path(
            post, path = $path, tag = "tokens",
            params(
                ("realm" = String, Path, description = "The realm"),
                ("id" = String, Path, description = "The token"),
                ("If-Match" = Option<String>, Header,
                 description = "The `ETag` it must still have"),
            ),
            request_body = Option<Nothing>,
            responses(
                (status = 200, description = "The token as it is now", body = TokenBody), Acts
            )
        )]
        pub async fn $handler(
            State(state): State<AppState>,
            Authenticated(caller): Authenticated,
            At((realm, id)): At<(RealmName, TokenId)>,
            IfMatch(version): IfMatch,
            OptionalPayload { .. }: OptionalPayload<Nothing>,
        ) -> Result<Response, Problem> {
            change(&state, &caller, &realm, id, $act, version).await
        }
    )*};
}

switches! {
    /// Switches a token on.
    token_enable, "/api/v1/realms/{realm}/tokens/{id}/enable", Act::Enable;
    /// Switches a token off, until it is switched on again.
    token_disable, "/api/v1/realms/{realm}/tokens/{id}/disable", Act::Disable;
    /// Locks a token; only an administrator unlocks it.
    token_lock, "/api/v1/realms/{realm}/tokens/{id}/lock", Act::Lock;
    /// Unlocks a token.
    token_unlock, "/api/v1/realms/{realm}/tokens/{id}/unlock", Act::Unlock;
}

/// Ends a token for good, with everything derived from it.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/revoke", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
    ),
    request_body = Option<RevokeRequest>,
    responses(
        (status = 200, description = "The token as it is now; with `dry_run` what would end",
         body = RevokeAnswer),
        Acts,
    )
)]
pub async fn token_revoke(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    IfMatch(version): IfMatch,
    OptionalPayload { value, .. }: OptionalPayload<RevokeRequest>,
) -> Result<Response, Problem> {
    if value.dry_run == Some(true) {
        let cascade = value.cascade == Some(true);
        let ended = state.authority.preview_revoke(&caller, &realm, id, cascade).await?;
        let now = state.authority.now();
        let revoked = ended.iter().map(|token| TokenBody::of(token, now)).collect();
        return Ok(Json(RevokePreview { dry_run: true, revoked }).into_response());
    }
    let reason = value.reason.map(|reason| reason.0.0);
    let act = match value.cascade {
        Some(true) => Act::RevokeWithChildren { reason },
        _ => Act::Revoke { reason },
    };
    change(&state, &caller, &realm, id, act, version).await
}

/// The token, or with `dry_run` the preview.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only describes the answer")]
enum RevokeAnswer {
    Token(Box<TokenBody>),
    Preview(RevokePreview),
}
