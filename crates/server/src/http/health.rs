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
    /// `ok`, or `unavailable` while it cannot do its work.
    pub status: &'static str,
    /// Why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Health {
    const OK: Self = Self { status: "ok", reason: None };
}

/// The process runs. Says nothing about the store, so that an orchestrator does not restart a
/// server because its database is away.
#[utoipa::path(
    get, path = "/healthz/live", tag = "operation", operation_id = "live", security(()),
    responses((status = 200, description = "It runs", body = Health))
)]
pub async fn live() -> Json<Health> {
    Json(Health::OK)
}

/// The store answers and can be written to, its clock and this node's agree, and no key of the
/// installation is missing here.
#[utoipa::path(
    get, path = "/healthz/ready", tag = "operation", operation_id = "ready", security(()),
    responses(
        (status = 200, description = "It can do its work", body = Health),
        (status = 503, description = "The store does not answer, the clock is more than 2 s off the database's, or a key of the installation is missing here", body = Health),
    )
)]
pub async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    match state.authority.readiness().await {
        Ok(()) => (StatusCode::OK, Json(Health::OK)),
        Err(why) => {
            let health = Health { status: "unavailable", reason: Some(why.to_string()) };
            (StatusCode::SERVICE_UNAVAILABLE, Json(health))
        }
    }
}
