//! `R/services`: what tokens are good for.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{PolicyEdit, ServiceDraft, ServiceEdit};
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::service::{ForwardAuth, Service, ServiceStatus, Visibility};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::compliance::{TriedBody, tried_page};
use super::policy::{ForwardAuthBody, ForwardAuthPatch, PolicyBody, PolicyPatch};
use super::precondition::IfMatch;
use super::problem::Problem;
use super::query::{At, Paging, StrictQuery, Trying};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::{
    Change, GroupWord, LineWord, PageBody, ParagraphsWord, ServiceStatusWord, ServiceWord,
    TitleWord, VisibilityWord, WebAddressWord, created, not_null, present, time, versioned,
};

/// A service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub struct ServiceBody {
    /// Its label, unique in the realm.
    label: String,
    /// What to call it.
    name: String,
    /// What it is.
    description: Option<String>,
    /// Where it is.
    url: Option<String>,
    /// Whom to ask.
    contact: Option<String>,
    /// Its picture.
    logo_url: Option<String>,
    /// Who sees it: `administrators`, `group`, `realm` or `public`.
    visibility: &'static str,
    /// If set, only members of this group may use it.
    group: Option<String>,
    /// The entitlement that its users receive.
    entitlement_uri: Option<String>,
    /// `active` or `suspended`.
    status: &'static str,
    /// Whether its tokens are locked, also those that are issued later.
    locked: bool,
    /// The unit it belongs to.
    unit: Option<String>,
    /// Its own limits.
    #[schema(value_type = PolicyBody)]
    token_policy: TokenPolicy,
    /// What holds with the realm's limits and the defaults applied; only where one is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PolicyBody>)]
    effective_token_policy: Option<TokenPolicy>,
    /// What forward-auth requires.
    #[schema(value_type = ForwardAuthBody)]
    forward_auth: ForwardAuth,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

impl From<Service> for ServiceBody {
    fn from(service: Service) -> Self {
        Self {
            label: service.label.to_string(),
            name: service.name,
            description: service.description,
            url: service.url,
            contact: service.contact,
            logo_url: service.logo_url,
            visibility: service.visibility.name(),
            group: service.group.map(|group| group.to_string()),
            entitlement_uri: service.entitlement_uri,
            status: service.status.name(),
            locked: service.locked,
            unit: service.unit,
            token_policy: service.token_policy,
            effective_token_policy: None,
            forward_auth: service.forward_auth,
            created_at: time(service.created_at),
            updated_at: time(service.updated_at),
        }
    }
}

/// A service to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceCreate {
    label: ServiceWord,
    /// What to call it; the label unless given.
    name: Option<TitleWord>,
    description: Option<ParagraphsWord>,
    url: Option<WebAddressWord>,
    contact: Option<LineWord>,
    logo_url: Option<WebAddressWord>,
    /// `realm` unless given.
    visibility: Option<VisibilityWord>,
    group: Option<GroupWord>,
    entitlement_uri: Option<LineWord>,
    /// `active` unless given.
    status: Option<ServiceStatusWord>,
    unit: Option<LineWord>,
    #[schema(value_type = Option<PolicyBody>)]
    token_policy: Option<TokenPolicy>,
    #[schema(value_type = Option<ForwardAuthBody>)]
    forward_auth: Option<ForwardAuth>,
}

/// What to change of a service; `null` clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServicePatch {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = TitleWord, required = false)]
    name: Option<TitleWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ParagraphsWord>)]
    description: Change<ParagraphsWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<WebAddressWord>)]
    url: Change<WebAddressWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    contact: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<WebAddressWord>)]
    logo_url: Change<WebAddressWord>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = VisibilityWord, required = false)]
    visibility: Option<VisibilityWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<GroupWord>)]
    group: Change<GroupWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    entitlement_uri: Change<LineWord>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = ServiceStatusWord, required = false)]
    status: Option<ServiceStatusWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    unit: Change<LineWord>,
    /// Merged into the policy (RFC 7396).
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = PolicyBody, required = false)]
    token_policy: Option<PolicyPatch>,
    /// Merged into the settings (RFC 7396); lists are replaced.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = ForwardAuthBody, required = false)]
    forward_auth: Option<ForwardAuthPatch>,
}

/// What an edit of a service answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ServiceEdited {
    /// It is changed.
    Changed(ServiceBody),
    /// Nothing is changed: these tokens would be refused.
    Tried(TriedBody),
}

/// Lists the services that the caller may see.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/services", tag = "services",
    params(("realm" = String, Path, description = "The realm"), Paging),
    responses((status = 200, description = "A page", body = PageBody<ServiceBody>), Looks)
)]
pub async fn service_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<ServiceBody>>, Problem> {
    let page = state.authority.services(&caller, &realm, paging.page()?).await?;
    Ok(Json(PageBody::of(page, ServiceBody::from)))
}

/// Creates a service.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/services", tag = "services",
    params(("realm" = String, Path, description = "The realm")),
    request_body = ServiceCreate,
    responses((status = 201, description = "Created", body = ServiceBody), Acts)
)]
pub async fn service_create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<ServiceCreate>,
) -> Result<Response, Problem> {
    let label = value.label.0;
    let draft = ServiceDraft {
        name: value.name.map_or_else(|| label.to_string(), |name| name.0.0),
        label,
        description: value.description.map(|text| text.0.0),
        url: value.url.map(|text| text.0.0),
        contact: value.contact.map(|text| text.0.0),
        logo_url: value.logo_url.map(|text| text.0.0),
        visibility: value.visibility.map_or(Visibility::Realm, |visibility| visibility.0),
        group: value.group.map(|group| group.0),
        entitlement_uri: value.entitlement_uri.map(|text| text.0.0),
        status: value.status.map_or(ServiceStatus::Active, |status| status.0),
        unit: value.unit.map(|unit| unit.0.0),
        token_policy: value.token_policy.unwrap_or_default(),
        forward_auth: value.forward_auth.unwrap_or_default(),
    };
    let service = state.authority.create_service(&caller, &realm, draft).await?;
    let location = format!("/api/v1/realms/{realm}/services/{}", service.label);
    Ok(created(&location, Some(service.version), ServiceBody::from(service)))
}

/// Shows a service.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/services/{label}", tag = "services",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("label" = String, Path, description = "The service"),
    ),
    responses((status = 200, description = "The service", body = ServiceBody), Looks)
)]
pub async fn service_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, label)): At<(RealmName, ServiceLabel)>,
) -> Result<Response, Problem> {
    let (service, effective) = state.authority.token_settings(&caller, &realm, &label).await?;
    let (version, effective) = (service.version, effective.stated(&service.token_policy));
    let body =
        ServiceBody { effective_token_policy: Some(effective), ..ServiceBody::from(service) };
    Ok(versioned(StatusCode::OK, version, body))
}

/// Changes a service.
#[utoipa::path(
    patch, path = "/api/v1/realms/{realm}/services/{label}", tag = "services",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("label" = String, Path, description = "The service"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
        Trying,
    ),
    request_body = ServicePatch,
    responses(
        (status = 200, description = "The service as it is now, or what a dry run found",
         body = ServiceEdited),
        Acts
    )
)]
pub async fn service_edit(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, label)): At<(RealmName, ServiceLabel)>,
    StrictQuery(trying): StrictQuery<Trying>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<ServicePatch>,
) -> Result<Response, Problem> {
    let dry = trying.page()?;
    let line = |text: Change<LineWord>| text.map(|text| text.map(|text| text.0.0));
    let web = |text: Change<WebAddressWord>| text.map(|text| text.map(|text| text.0.0));
    let edit = ServiceEdit {
        name: value.name.map(|name| name.0.0),
        description: value.description.map(|text| text.map(|text| text.0.0)),
        url: web(value.url),
        contact: line(value.contact),
        logo_url: web(value.logo_url),
        visibility: value.visibility.map(|visibility| visibility.0),
        group: value.group.map(|group| group.map(|group| group.0)),
        entitlement_uri: line(value.entitlement_uri),
        status: value.status.map(|status| status.0),
        unit: line(value.unit),
        token_policy: value.token_policy.map(|patch| PolicyEdit::Merge(patch.0)),
        forward_auth: value.forward_auth.map(|patch| patch.0),
    };
    if let Some(page) = dry {
        let hit = state.authority.preview_service(&caller, &realm, &label, edit, page).await?;
        return Ok(Json(tried_page(hit, state.authority.now())).into_response());
    }
    let service = state.authority.edit_service(&caller, &realm, &label, edit, version).await?;
    Ok(versioned(StatusCode::OK, service.version, ServiceBody::from(service)))
}

/// Removes a service that no live token names.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/services/{label}", tag = "services",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("label" = String, Path, description = "The service"),
    ),
    responses(
        (status = 204, description = "Gone"),
        (status = 409, response = super::responses::Conflict),
        Looks,
    )
)]
pub async fn service_delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, label)): At<(RealmName, ServiceLabel)>,
) -> Result<StatusCode, Problem> {
    state.authority.delete_service(&caller, &realm, &label).await?;
    Ok(StatusCode::NO_CONTENT)
}
