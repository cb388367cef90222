//! `R/users/{username}/hand-over`: a token that outlives its person gets another owner.

use axum::Json;
use axum::extract::State;
use counterfoil_authority::names::{RealmName, Username};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::problem::Problem;
use super::query::At;
use super::responses::Acts;
use super::state::AppState;
use super::tokens::TokenBody;
use super::wire::{LineWord, UserWord};

/// Which token goes to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOverRequest {
    /// The token, by its id.
    token: LineWord,
    /// Whose it is to be.
    to: UserWord,
}

/// Gives a token of a person to another one. Its id, its secret and what it is good for stay the
/// same: rotate it if the person who leaves knows the secret.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/users/{username}/hand-over", tag = "users",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("username" = String, Path, description = "Whose token it is"),
    ),
    request_body = HandOverRequest,
    responses((status = 200, description = "The token as it is now", body = TokenBody), Acts)
)]
pub async fn user_hand_over(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, from)): At<(RealmName, Username)>,
    Payload { value, .. }: Payload<HandOverRequest>,
) -> Result<Json<TokenBody>, Problem> {
    let (authority, id) = (&state.authority, &value.token.0.0);
    let token = authority.hand_over_token(&caller, &realm, &from, id, &value.to.0).await?;
    Ok(Json(TokenBody::of(&token, authority.now())))
}
