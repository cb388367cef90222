//! Locks of people and services: they hold for every token, whenever it is issued.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::LockAct;
use counterfoil_authority::names::{RealmName, ServiceLabel, Username};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::OptionalPayload;
use super::caller::Authenticated;
use super::problem::Problem;
use super::query::At;
use super::responses::Acts;
use super::services::ServiceBody;
use super::state::AppState;
use super::users::UserBody;
use super::wire::{LineWord, ServiceWord, versioned};

/// Where a person is locked or unlocked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserLock {
    /// At this service; everywhere unless given.
    service: Option<ServiceWord>,
    /// Why, in the words of who does it; stands in the event.
    reason: Option<LineWord>,
}

/// Why a service is locked or unlocked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceLock {
    /// In the words of who does it; stands in the event.
    reason: Option<LineWord>,
}

async fn user(
    state: &AppState,
    caller: &counterfoil_authority::caller::Caller,
    (realm, name): (RealmName, Username),
    lock: UserLock,
    on: bool,
) -> Result<Response, Problem> {
    let act = LockAct { on, reason: lock.reason.map(|reason| reason.0.0) };
    let service = lock.service.map(|label| label.0);
    let user = state.authority.lock_user(caller, &realm, &name, service.as_ref(), &act).await?;
    Ok(versioned(StatusCode::OK, user.version, UserBody::from(user)))
}

/// Locks a person, everywhere or at one service: none of their tokens is good there, also none
/// that is issued later. Their tokens stay as they are.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/users/{username}/lock", tag = "users",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("username" = String, Path, description = "The person"),
    ),
    request_body = Option<UserLock>,
    responses((status = 200, description = "The person as they are now", body = UserBody), Acts)
)]
pub async fn user_lock(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(place): At<(RealmName, Username)>,
    OptionalPayload { value, .. }: OptionalPayload<UserLock>,
) -> Result<Response, Problem> {
    user(&state, &caller, place, value, true).await
}

/// Takes the lock of a person away, the one everywhere or the one at a service.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/users/{username}/unlock", tag = "users",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("username" = String, Path, description = "The person"),
    ),
    request_body = Option<UserLock>,
    responses((status = 200, description = "The person as they are now", body = UserBody), Acts)
)]
pub async fn user_unlock(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(place): At<(RealmName, Username)>,
    OptionalPayload { value, .. }: OptionalPayload<UserLock>,
) -> Result<Response, Problem> {
    user(&state, &caller, place, value, false).await
}

async fn service(
    state: &AppState,
    caller: &counterfoil_authority::caller::Caller,
    (realm, label): (RealmName, ServiceLabel),
    lock: ServiceLock,
    on: bool,
) -> Result<Response, Problem> {
    let act = LockAct { on, reason: lock.reason.map(|reason| reason.0.0) };
    let service = state.authority.lock_service(caller, &realm, &label, &act).await?;
    Ok(versioned(StatusCode::OK, service.version, ServiceBody::from(service)))
}

/// Locks a service: no token is good there, also none that is issued later. Tokens stay as they
/// are, and good for the other services that they name.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/services/{label}/lock", tag = "services",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("label" = String, Path, description = "The service"),
    ),
    request_body = Option<ServiceLock>,
    responses((status = 200, description = "The service as it is now", body = ServiceBody), Acts)
)]
pub async fn service_lock(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(place): At<(RealmName, ServiceLabel)>,
    OptionalPayload { value, .. }: OptionalPayload<ServiceLock>,
) -> Result<Response, Problem> {
    service(&state, &caller, place, value, true).await
}

/// Takes the lock of a service away.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/services/{label}/unlock", tag = "services",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("label" = String, Path, description = "The service"),
    ),
    request_body = Option<ServiceLock>,
    responses((status = 200, description = "The service as it is now", body = ServiceBody), Acts)
)]
pub async fn service_unlock(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(place): At<(RealmName, ServiceLabel)>,
    OptionalPayload { value, .. }: OptionalPayload<ServiceLock>,
) -> Result<Response, Problem> {
    service(&state, &caller, place, value, false).await
}
