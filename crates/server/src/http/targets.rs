//! `R/targets` and `R/deliveries`: where provisioning leads, and how it stands.

pub mod shape;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::names::{RealmName, TargetName};
use counterfoil_authority::provision::Courier;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::store::{DeliveryFilter, Page, PageRequest};

use self::shape::{
    DeliveryBody, DeliveryQuery, ReconcileRequest, ReconciledBody, TargetBody, TargetObject,
    TargetSettings, TargetTested,
};
use super::body::Payload;
use super::caller::Authenticated;
use super::precondition::IfMatch;
use super::problem::Problem;
use super::query::{At, StrictQuery, page};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::{PageBody, created, versioned};

/// Lists the targets of a realm.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/targets", tag = "targets",
    params(("realm" = String, Path, description = "The realm")),
    responses((status = 200, description = "All of them", body = PageBody<TargetBody>), Looks)
)]
pub async fn target_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
) -> Result<Json<PageBody<TargetBody>>, Problem> {
    let items = state.authority.targets(&caller, &realm).await?;
    Ok(Json(PageBody::of(Page { items, next: None }, TargetBody::from)))
}

/// Sets a target up.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/targets", tag = "targets",
    params(("realm" = String, Path, description = "The realm")),
    request_body = TargetSettings,
    responses((status = 201, description = "Set up", body = TargetBody), Acts)
)]
pub async fn target_create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<TargetObject>,
) -> Result<Response, Problem> {
    caller.require_whole(&realm, ApiScope::TargetsWrite)?;
    let target = state.authority.create_target(&caller, &realm, value.draft()?).await?;
    let location = format!("/api/v1/realms/{realm}/targets/{}", target.name);
    Ok(created(&location, Some(target.version), TargetBody::from(target)))
}

/// Tests a target that is not set up yet. Nothing is stored.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/targets/test", tag = "targets",
    params(("realm" = String, Path, description = "The realm")),
    request_body = TargetSettings,
    responses((status = 200, description = "What was found", body = TargetTested), Acts)
)]
pub async fn target_try(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<TargetObject>,
) -> Result<Json<TargetTested>, Problem> {
    caller.require_whole(&realm, ApiScope::TargetsWrite)?;
    let target = state.authority.drafted_target(&caller, &realm, value.draft()?).await?;
    let found = state.authority.test_target(&caller, &state.courier, &target).await?;
    Ok(Json(found.into()))
}

/// Shows a target, without its password.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/targets/{name}", tag = "targets",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The target"),
    ),
    responses((status = 200, description = "The target", body = TargetBody), Looks)
)]
pub async fn target_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, TargetName)>,
) -> Result<Response, Problem> {
    let target = state.authority.target(&caller, &realm, &name).await?;
    Ok(versioned(StatusCode::OK, target.version, TargetBody::from(target)))
}

/// Changes a target, and brings everybody there anew.
#[utoipa::path(
    patch, path = "/api/v1/realms/{realm}/targets/{name}", tag = "targets",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The target"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
    ),
    request_body = TargetSettings,
    responses((status = 200, description = "The target as it is now", body = TargetBody), Acts)
)]
pub async fn target_edit(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, TargetName)>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<TargetObject>,
) -> Result<Response, Problem> {
    caller.require_whole(&realm, ApiScope::TargetsWrite)?;
    let edit = value.edit()?;
    let target = state.authority.edit_target(&caller, &realm, &name, edit, version).await?;
    Ok(versioned(StatusCode::OK, target.version, TargetBody::from(target)))
}

/// Removes a target and what is on its way there. What stands there stays there.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/targets/{name}", tag = "targets",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The target"),
    ),
    responses((status = 204, description = "Gone"), Looks)
)]
pub async fn target_delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, TargetName)>,
) -> Result<StatusCode, Problem> {
    state.authority.delete_target(&caller, &realm, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks whether a target can be used as it is set up, and says what to do where it cannot.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/targets/{name}/test", tag = "targets",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The target"),
    ),
    responses((status = 200, description = "What was found", body = TargetTested), Looks)
)]
pub async fn target_test(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, TargetName)>,
) -> Result<Json<TargetTested>, Problem> {
    let target = state.authority.target(&caller, &realm, &name).await?;
    let found = state.authority.test_target(&caller, &state.courier, &target).await?;
    Ok(Json(found.into()))
}

/// Holds a part of the people against a target and, if asked to, repairs what differs.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/targets/{name}/reconcile", tag = "targets",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The target"),
    ),
    request_body = ReconcileRequest,
    responses((status = 200, description = "What differs", body = ReconciledBody), Acts)
)]
pub async fn target_reconcile(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, TargetName)>,
    Payload { value, .. }: Payload<ReconcileRequest>,
) -> Result<Json<ReconciledBody>, Problem> {
    caller.require_whole(&realm, ApiScope::TargetsWrite)?;
    let limit = match value.limit {
        None => None,
        Some(limit @ 1..=1000) => Some(limit),
        Some(_) => return Err(Problem::invalid("limit", "is 1 to 1000")),
    };
    let mut page: PageRequest = page(None, value.cursor)?;
    page.limit = limit.unwrap_or(page.limit);
    let courier: &Arc<dyn Courier> = &state.courier;
    let authority = &state.authority;
    let part = authority.reconcile(&caller, courier, &realm, &name, value.repair, page).await?;
    Ok(Json(part.into()))
}

/// Lists deliveries by target and object.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/deliveries", tag = "targets",
    params(("realm" = String, Path, description = "The realm"), DeliveryQuery),
    responses((status = 200, description = "A page", body = PageBody<DeliveryBody>), Looks)
)]
pub async fn delivery_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<DeliveryQuery>,
) -> Result<Json<PageBody<DeliveryBody>>, Problem> {
    let filter = DeliveryFilter {
        target: query.target.map(|target| target.0),
        state: query.state.map(|state| state.0),
    };
    let page = page(query.limit.as_ref(), query.cursor)?;
    let page = state.authority.deliveries(&caller, &realm, filter, page).await?;
    Ok(Json(PageBody::of(page, DeliveryBody::from)))
}
