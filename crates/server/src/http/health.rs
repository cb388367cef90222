//! Whether the process lives, and whether it can do its work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::state::AppState;

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `unavailable` while the store does not answer.
    pub status: &'static str,
}

/// The process runs. Says nothing about the store, so that an orchestrator does not restart a
/// server because its database is away.
#[utoipa::path(
    get, path = "/healthz/live", tag = "operation", operation_id = "live", security(()),
    responses((status = 200, description = "It runs", body = Health))
)]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The store answers and can be written to.
#[utoipa::path(
    get, path = "/healthz/ready", tag = "operation", operation_id = "ready", security(()),
    responses(
        (status = 200, description = "It can do its work", body = Health),
        (status = 503, description = "The store does not answer", body = Health),
    )
)]
pub async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    match state.authority.store().ping().await {
        Ok(()) => (StatusCode::OK, Json(Health { status: "ok" })),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "unavailable" })),
    }
}
