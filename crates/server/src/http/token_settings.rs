//! `R/services/{label}/token-settings`: everything about a service's tokens in one place.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::policy::{EffectivePolicy, TokenPolicy};
use counterfoil_authority::service::Service;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::compliance::{TriedBody, tried_page};
use super::policy::PolicyBody;
use super::precondition::IfMatch;
use super::problem::Problem;
use super::query::{At, StrictQuery, Trying};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::versioned;

/// What a service states about its tokens, and what comes of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenSettings {
    /// What the service itself states.
    #[schema(value_type = PolicyBody)]
    policy: TokenPolicy,
    /// What holds, with the realm's policy and the defaults applied; what restricts nothing is
    /// left out.
    #[schema(value_type = PolicyBody)]
    effective: TokenPolicy,
}

/// What replacing them answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SettingsReplaced {
    /// They are replaced.
    Changed(TokenSettings),
    /// Nothing is changed: these tokens would be refused.
    Tried(TriedBody),
}

fn answer((service, effective): (Service, EffectivePolicy)) -> Response {
    let effective = effective.stated(&service.token_policy);
    let body = TokenSettings { policy: service.token_policy, effective };
    versioned(StatusCode::OK, service.version, body)
}

/// Shows what a service states about its tokens, and what comes of it.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/services/{label}/token-settings", tag = "services",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("label" = String, Path, description = "The service"),
    ),
    responses((status = 200, description = "The settings", body = TokenSettings), Looks)
)]
pub async fn token_settings_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, label)): At<(RealmName, ServiceLabel)>,
) -> Result<Response, Problem> {
    Ok(answer(state.authority.token_settings(&caller, &realm, &label).await?))
}

/// Replaces what a service states about its tokens; what is left out, it inherits.
#[utoipa::path(
    put, path = "/api/v1/realms/{realm}/services/{label}/token-settings", tag = "services",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("label" = String, Path, description = "The service"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
        Trying,
    ),
    request_body = PolicyBody,
    responses(
        (status = 200, description = "The settings as they are now, or what a dry run found",
         body = SettingsReplaced),
        Acts
    )
)]
pub async fn token_settings_replace(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, label)): At<(RealmName, ServiceLabel)>,
    StrictQuery(trying): StrictQuery<Trying>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<TokenPolicy>,
) -> Result<Response, Problem> {
    let authority = &state.authority;
    if let Some(page) = trying.page()? {
        let hit = authority.preview_token_settings(&caller, &realm, &label, value, page).await?;
        return Ok(Json(tried_page(hit, authority.now())).into_response());
    }
    let settings = authority.set_token_settings(&caller, &realm, &label, value, version).await?;
    Ok(answer(settings))
}
