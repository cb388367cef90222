//! `R/grants`: roles given to people, clients and groups.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::GrantDraft;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::subject::{Grant, GrantSubject, Limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::problem::Problem;
use super::query::{At, GrantId, Paging, StrictQuery};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::{
    ClientWord, GroupWord, LineWord, PageBody, RoleWord, ServiceWord, UserWord, created, time,
};

/// Who receives a grant: exactly one of the three.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = GrantSubject)]
pub struct SubjectBody {
    /// A person.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// A client.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// Everybody in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

/// Bounds on what a grant or client may hand out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub struct LimitsBody {
    /// Units that tokens may be issued for.
    units: Option<Vec<String>>,
    /// Largest `count` of a registration token.
    count_max: Option<u64>,
    /// Longest life of an issued token.
    lifetime_seconds_max: Option<i64>,
}

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantBody {
    /// Its opaque id.
    id: String,
    /// Who has it.
    subject: SubjectBody,
    /// What they have.
    role: &'static str,
    /// The unit it is limited to.
    unit: Option<String>,
    /// The service it is limited to.
    service: Option<String>,
    /// Further bounds.
    #[schema(value_type = LimitsBody)]
    limits: Limits,
    /// When it was made.
    created_at: String,
    /// Who made it.
    created_by: String,
}

impl From<Grant> for GrantBody {
    fn from(grant: Grant) -> Self {
        let subject = match &grant.subject {
            GrantSubject::User(name) => {
                SubjectBody { user: Some(name.to_string()), ..SubjectBody::default() }
            }
            GrantSubject::Client(name) => {
                SubjectBody { client: Some(name.to_string()), ..SubjectBody::default() }
            }
            GrantSubject::Group(name) => {
                SubjectBody { group: Some(name.to_string()), ..SubjectBody::default() }
            }
        };
        Self {
            id: grant.id,
            subject,
            role: grant.role.name(),
            unit: grant.unit,
            service: grant.service.map(|label| label.to_string()),
            limits: grant.limits,
            created_at: time(grant.created_at),
            created_by: grant.created_by,
        }
    }
}

/// Who is to receive a grant: exactly one of the three.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectChoice {
    user: Option<UserWord>,
    client: Option<ClientWord>,
    group: Option<GroupWord>,
}

impl SubjectChoice {
    fn one(self) -> Result<GrantSubject, Problem> {
        match (self.user, self.client, self.group) {
            (Some(user), None, None) => Ok(GrantSubject::User(user.0)),
            (None, Some(client), None) => Ok(GrantSubject::Client(client.0)),
            (None, None, Some(group)) => Ok(GrantSubject::Group(group.0)),
            _ => Err(Problem::invalid("subject", "name exactly one user, client or group")),
        }
    }
}

/// A grant to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantCreate {
    subject: SubjectChoice,
    role: RoleWord,
    /// Required for `unit-admin`.
    unit: Option<LineWord>,
    /// Required for `service-manager`, possible for `verifier`.
    service: Option<ServiceWord>,
    #[schema(value_type = Option<LimitsBody>)]
    limits: Option<Limits>,
}

/// Lists grants.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/grants", tag = "grants",
    params(("realm" = String, Path, description = "The realm"), Paging),
    responses((status = 200, description = "A page", body = PageBody<GrantBody>), Looks)
)]
pub async fn grant_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<GrantBody>>, Problem> {
    let page = state.authority.grants(&caller, &realm, paging.page()?).await?;
    Ok(Json(PageBody::of(page, GrantBody::from)))
}

/// Gives a role. Nobody gives more than they have.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/grants", tag = "grants",
    params(("realm" = String, Path, description = "The realm")),
    request_body = GrantCreate,
    responses((status = 201, description = "Given", body = GrantBody), Acts)
)]
pub async fn grant_create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<GrantCreate>,
) -> Result<Response, Problem> {
    let draft = GrantDraft {
        subject: value.subject.one()?,
        role: value.role.0,
        unit: value.unit.map(|unit| unit.0.0),
        service: value.service.map(|label| label.0),
        limits: value.limits.unwrap_or_default(),
    };
    let grant = state.authority.create_grant(&caller, &realm, draft).await?;
    let location = format!("/api/v1/realms/{realm}/grants/{}", grant.id);
    Ok(created(&location, None, GrantBody::from(grant)))
}

/// Takes a role away.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/grants/{id}", tag = "grants",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The grant"),
    ),
    responses((status = 204, description = "Taken"), Looks)
)]
pub async fn grant_delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, GrantId)>,
) -> Result<StatusCode, Problem> {
    state.authority.delete_grant(&caller, &realm, &id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
