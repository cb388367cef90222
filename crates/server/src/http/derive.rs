//! `/api/v1/self/derive`: a narrower token of the presented one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::DeriveRequest;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::precondition::IdempotencyKey;
use super::problem::Problem;
use super::responses::Acts;
use super::state::AppState;
use super::tokens::{ServiceChoices, TokenIssued, answer, check_count, chosen, expiry, replay};
use super::wire::{
    Change, DoorList, Labels, LineWord, NetworkList, ParagraphsWord, ScopeList, WhenWord, present,
};

/// A narrower token. What is not named is as the presented token has it, but for its life: that
/// is the policy's default, and never beyond the end of the presented token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenDerive {
    name: Option<LineWord>,
    description: Option<ParagraphsWord>,
    /// Some of the services of the presented token.
    services: Option<ServiceChoices>,
    /// Scopes that its scopes cover.
    scopes: Option<ScopeList>,
    /// Permissions within its own.
    #[schema(value_type = Option<Object>)]
    permissions: Option<Value>,
    /// RFC 3339 with offset, or a date whose end it is. `null`: when the presented token ends.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<WhenWord>)]
    expires_at: Change<WhenWord>,
    /// Instead of `expires_at`: seconds from now.
    #[schema(minimum = 1, maximum = 3_162_240_000_i64)]
    lifetime_seconds: Option<i64>,
    /// Uses allowed in all.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    max_usages: Option<u64>,
    /// Networks inside its own.
    networks: Option<NetworkList>,
    /// Some of its doors.
    doors: Option<DoorList>,
    labels: Option<Labels>,
}

/// Derives a narrower token from the presented one, where its services' policies allow it. It
/// dies with the presented token, and can never do more: what that one loses, it loses, too.
#[utoipa::path(
    post, path = "/api/v1/self/derive", tag = "self",
    params(
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same key and body give the same answer again"),
    ),
    request_body = TokenDerive,
    responses((status = 201, description = "The token with its secret", body = TokenIssued), Acts)
)]
pub async fn self_derive(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    idempotency: IdempotencyKey,
    Payload { value, bytes }: Payload<TokenDerive>,
) -> Result<Response, Problem> {
    check_count("max_usages", value.max_usages)?;
    let expires =
        expiry(&state, &caller.realm, value.expires_at.as_ref(), value.lifetime_seconds).await?;
    let request = DeriveRequest {
        name: value.name.map(|text| text.0.0),
        description: value.description.map(|text| text.0.0),
        services: value.services.map(chosen).transpose()?,
        scopes: value.scopes.map(|scopes| scopes.0),
        permissions: value.permissions,
        expires,
        max_usages: value.max_usages,
        networks: value.networks.map(|networks| networks.0),
        doors: value.doors.map(|doors| doors.0),
        labels: value.labels.unwrap_or_default().0,
    };
    let replay = replay(idempotency, &bytes);
    let answered = state.authority.self_derive(&caller, request, replay).await?;
    Ok(answer(StatusCode::CREATED, answered))
}
