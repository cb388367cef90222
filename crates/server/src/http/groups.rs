//! `R/groups`: groups of people, and who is in them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::GroupDraft;
use counterfoil_authority::names::{GroupName, RealmName, Username};
use counterfoil_authority::subject::Group;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::problem::Problem;
use super::query::{At, Paging, StrictQuery};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::{GroupWord, PageBody, ParagraphsWord, created, segment, time};

/// A group.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub struct GroupBody {
    /// Its name, unique in the realm.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// How many people are in it.
    members: u64,
    /// Whether people join and leave it by themselves.
    open: bool,
    /// When it was made.
    created_at: String,
}

impl From<Group> for GroupBody {
    fn from(group: Group) -> Self {
        Self {
            name: group.name.to_string(),
            description: group.description,
            members: group.members,
            open: group.open,
            created_at: time(group.created_at),
        }
    }
}

/// A group to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupCreate {
    name: GroupWord,
    description: Option<ParagraphsWord>,
    /// Whether people join and leave it by themselves, at the page of a service that is for it. No
    /// role can be given to such a group, and it stays as it is made.
    #[serde(default)]
    open: bool,
}

/// Lists groups.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/groups", tag = "groups",
    params(("realm" = String, Path, description = "The realm"), Paging),
    responses((status = 200, description = "A page", body = PageBody<GroupBody>), Looks)
)]
pub async fn group_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<GroupBody>>, Problem> {
    let page = state.authority.groups(&caller, &realm, paging.page()?).await?;
    Ok(Json(PageBody::of(page, GroupBody::from)))
}

/// Creates a group.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/groups", tag = "groups",
    params(("realm" = String, Path, description = "The realm")),
    request_body = GroupCreate,
    responses((status = 201, description = "Created", body = GroupBody), Acts)
)]
pub async fn group_create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<GroupCreate>,
) -> Result<Response, Problem> {
    let draft = GroupDraft {
        name: value.name.0,
        description: value.description.map(|text| text.0.0),
        open: value.open,
    };
    let group = state.authority.create_group(&caller, &realm, draft).await?;
    let location = format!("/api/v1/realms/{realm}/groups/{}", segment(group.name.as_str()));
    Ok(created(&location, None, GroupBody::from(group)))
}

/// Shows a group.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/groups/{name}", tag = "groups",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The group"),
    ),
    responses((status = 200, description = "The group", body = GroupBody), Looks)
)]
pub async fn group_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, GroupName)>,
) -> Result<Response, Problem> {
    let group = state.authority.group(&caller, &realm, &name).await?;
    Ok(Json(GroupBody::from(group)).into_response())
}

/// Removes a group with its memberships.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/groups/{name}", tag = "groups",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The group"),
    ),
    responses((status = 204, description = "Gone"), Looks)
)]
pub async fn group_delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, GroupName)>,
) -> Result<StatusCode, Problem> {
    state.authority.delete_group(&caller, &realm, &name, None, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the user names of a group's members.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/groups/{name}/members", tag = "groups",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The group"),
        Paging,
    ),
    responses((status = 200, description = "A page", body = PageBody<String>), Looks)
)]
pub async fn group_member_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, GroupName)>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<String>>, Problem> {
    let page = state.authority.group_members(&caller, &realm, &name, paging.page()?).await?;
    Ok(Json(PageBody::of(page, |username| username.to_string())))
}

/// Puts a person into a group. The same again changes nothing.
#[utoipa::path(
    put, path = "/api/v1/realms/{realm}/groups/{name}/members/{username}", tag = "groups",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The group"),
        ("username" = String, Path, description = "The person"),
    ),
    responses((status = 204, description = "They are in it"), Looks)
)]
pub async fn group_member_add(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name, username)): At<(RealmName, GroupName, Username)>,
) -> Result<StatusCode, Problem> {
    state.authority.set_group_member(&caller, &realm, &name, &username, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a person out of a group. The same again changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/groups/{name}/members/{username}", tag = "groups",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The group"),
        ("username" = String, Path, description = "The person"),
    ),
    responses((status = 204, description = "They are not in it"), Looks)
)]
pub async fn group_member_remove(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name, username)): At<(RealmName, GroupName, Username)>,
) -> Result<StatusCode, Problem> {
    state.authority.set_group_member(&caller, &realm, &name, &username, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
