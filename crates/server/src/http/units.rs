//! `R/units`: organisational units and customers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{UnitDraft, UnitEdit};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::subject::Unit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::precondition::IfMatch;
use super::problem::Problem;
use super::query::{At, Paging, StrictQuery, UnitId};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::{
    Change, LineWord, PageBody, TitleWord, created, not_null, present, time, versioned,
};

/// A unit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Unit)]
pub struct UnitBody {
    /// Its opaque id.
    id: String,
    /// Its name, unique in the realm.
    name: String,
    /// The customer's identifier.
    identifier: Option<String>,
    /// The customer's id in another system.
    external_id: Option<String>,
    /// The id of the unit above it.
    parent: Option<String>,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

impl From<Unit> for UnitBody {
    fn from(unit: Unit) -> Self {
        Self {
            id: unit.id,
            name: unit.name,
            identifier: unit.identifier,
            external_id: unit.external_id,
            parent: unit.parent,
            created_at: time(unit.created_at),
            updated_at: time(unit.updated_at),
        }
    }
}

/// A unit to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitCreate {
    name: TitleWord,
    identifier: Option<LineWord>,
    external_id: Option<LineWord>,
    parent: Option<LineWord>,
}

/// What to change of a unit; `null` clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitPatch {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = TitleWord, required = false)]
    name: Option<TitleWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    identifier: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    external_id: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    parent: Change<LineWord>,
}

/// Lists units.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/units", tag = "units",
    params(("realm" = String, Path, description = "The realm"), Paging),
    responses((status = 200, description = "A page", body = PageBody<UnitBody>), Looks)
)]
pub async fn unit_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<UnitBody>>, Problem> {
    let page = state.authority.units(&caller, &realm, paging.page()?).await?;
    Ok(Json(PageBody::of(page, UnitBody::from)))
}

/// Creates a unit.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/units", tag = "units",
    params(("realm" = String, Path, description = "The realm")),
    request_body = UnitCreate,
    responses((status = 201, description = "Created", body = UnitBody), Acts)
)]
pub async fn unit_create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<UnitCreate>,
) -> Result<Response, Problem> {
    let draft = UnitDraft {
        name: value.name.0.0,
        identifier: value.identifier.map(|text| text.0.0),
        external_id: value.external_id.map(|text| text.0.0),
        parent: value.parent.map(|text| text.0.0),
    };
    let unit = state.authority.create_unit(&caller, &realm, draft).await?;
    let location = format!("/api/v1/realms/{realm}/units/{}", unit.id);
    Ok(created(&location, Some(unit.version), UnitBody::from(unit)))
}

/// Shows a unit.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/units/{id}", tag = "units",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The unit"),
    ),
    responses((status = 200, description = "The unit", body = UnitBody), Looks)
)]
pub async fn unit_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, UnitId)>,
) -> Result<Response, Problem> {
    let unit = state.authority.unit(&caller, &realm, &id.0).await?;
    Ok(versioned(StatusCode::OK, unit.version, UnitBody::from(unit)))
}

/// Changes a unit.
#[utoipa::path(
    patch, path = "/api/v1/realms/{realm}/units/{id}", tag = "units",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The unit"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
    ),
    request_body = UnitPatch,
    responses((status = 200, description = "The unit as it is now", body = UnitBody), Acts)
)]
pub async fn unit_edit(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, UnitId)>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<UnitPatch>,
) -> Result<Response, Problem> {
    let cleared = |text: Change<LineWord>| text.map(|text| text.map(|text| text.0.0));
    let edit = UnitEdit {
        name: value.name.map(|name| name.0.0),
        identifier: cleared(value.identifier),
        external_id: cleared(value.external_id),
        parent: cleared(value.parent),
    };
    let unit = state.authority.edit_unit(&caller, &realm, &id.0, edit, version).await?;
    Ok(versioned(StatusCode::OK, unit.version, UnitBody::from(unit)))
}

/// Removes a unit to which nothing belongs any more.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/units/{id}", tag = "units",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The unit"),
    ),
    responses(
        (status = 204, description = "Gone"),
        (status = 409, response = super::responses::Conflict),
        Looks,
    )
)]
pub async fn unit_delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, UnitId)>,
) -> Result<StatusCode, Problem> {
    state.authority.delete_unit(&caller, &realm, &id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
