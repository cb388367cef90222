//! `/api/v1/realms`: the tenants of the installation.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{RealmDraft, RealmEdit};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::service::Realm;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::compliance::{TriedBody, tried_page};
use super::policy::{PolicyBody, PolicyPatch};
use super::precondition::IfMatch;
use super::problem::Problem;
use super::query::{At, Paging, StrictQuery, Trying};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::{
    Change, LineWord, PageBody, RealmWord, TitleWord, created, not_null, present, time, versioned,
};

/// A realm.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Realm)]
pub struct RealmBody {
    /// Its name, unique in the installation.
    name: String,
    /// What to call it.
    display_name: Option<String>,
    /// Whether anything in it counts.
    enabled: bool,
    /// IANA time zone of dates without time.
    zone: String,
    /// Limits for all its services.
    #[schema(value_type = PolicyBody)]
    token_policy: TokenPolicy,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

impl From<Realm> for RealmBody {
    fn from(realm: Realm) -> Self {
        Self {
            name: realm.name.to_string(),
            display_name: realm.display_name,
            enabled: realm.enabled,
            zone: realm.zone,
            token_policy: realm.token_policy,
            created_at: time(realm.created_at),
            updated_at: time(realm.updated_at),
        }
    }
}

/// A realm to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RealmCreate {
    name: RealmWord,
    display_name: Option<LineWord>,
    /// IANA time zone of dates without time; `UTC` unless given.
    zone: Option<TitleWord>,
    #[serde(default)]
    #[schema(value_type = Option<PolicyBody>)]
    token_policy: Option<TokenPolicy>,
}

/// What to change of a realm; `null` clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RealmPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    display_name: Change<LineWord>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = TitleWord, required = false)]
    zone: Option<TitleWord>,
    /// Merged into the policy (RFC 7396).
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = PolicyBody, required = false)]
    token_policy: Option<PolicyPatch>,
}

/// What an edit of a realm answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum RealmEdited {
    /// It is changed.
    Changed(RealmBody),
    /// Nothing is changed: these tokens would be refused.
    Tried(TriedBody),
}

/// Lists realms: all for an operator, else one's own.
#[utoipa::path(
    get, path = "/api/v1/realms", tag = "realms", params(Paging),
    responses((status = 200, description = "A page", body = PageBody<RealmBody>), Looks)
)]
pub async fn realm_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<RealmBody>>, Problem> {
    let page = state.authority.realms(&caller, paging.page()?).await?;
    Ok(Json(PageBody::of(page, RealmBody::from)))
}

/// Creates a realm. Operators only.
#[utoipa::path(
    post, path = "/api/v1/realms", tag = "realms", request_body = RealmCreate,
    responses((status = 201, description = "Created", body = RealmBody), Acts)
)]
pub async fn realm_create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Payload { value, .. }: Payload<RealmCreate>,
) -> Result<Response, Problem> {
    let draft = RealmDraft {
        name: value.name.0,
        display_name: value.display_name.map(|text| text.0.0),
        zone: value.zone.map_or_else(|| "UTC".to_owned(), |zone| zone.0.0),
        token_policy: value.token_policy.unwrap_or_default(),
    };
    let realm = state.authority.create_realm(&caller, draft).await?;
    let location = format!("/api/v1/realms/{}", realm.name);
    Ok(created(&location, Some(realm.version), RealmBody::from(realm)))
}

/// Shows a realm.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}", tag = "realms",
    params(("realm" = String, Path, description = "The realm")),
    responses((status = 200, description = "The realm", body = RealmBody), Looks)
)]
pub async fn realm_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
) -> Result<Response, Problem> {
    let realm = state.authority.realm(&caller, &realm).await?;
    Ok(versioned(StatusCode::OK, realm.version, RealmBody::from(realm)))
}

/// Changes a realm.
#[utoipa::path(
    patch, path = "/api/v1/realms/{realm}", tag = "realms",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
        Trying,
    ),
    request_body = RealmPatch,
    responses(
        (status = 200, description = "The realm as it is now, or what a dry run found",
         body = RealmEdited),
        Acts
    )
)]
pub async fn realm_edit(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(trying): StrictQuery<Trying>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<RealmPatch>,
) -> Result<Response, Problem> {
    let dry = trying.page()?;
    let edit = RealmEdit {
        display_name: value.display_name.map(|text| text.map(|text| text.0.0)),
        enabled: value.enabled,
        zone: value.zone.map(|zone| zone.0.0),
        token_policy: value.token_policy.map(|patch| patch.0),
    };
    if let Some(page) = dry {
        let hit = state.authority.preview_realm(&caller, &realm, edit, page).await?;
        return Ok(Json(tried_page(hit, state.authority.now())).into_response());
    }
    let realm = state.authority.edit_realm(&caller, &realm, edit, version).await?;
    Ok(versioned(StatusCode::OK, realm.version, RealmBody::from(realm)))
}
