//! `R/users`: the people of a realm.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{UserDraft, UserEdit};
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::store::UserFilter;
use counterfoil_authority::subject::{Provisioned, User, UserStatus};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::body::Payload;
use super::caller::Authenticated;
use super::precondition::IfMatch;
use super::problem::Problem;
use super::query::{At, PageLimit, StrictQuery, page};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::{
    ATTRIBUTES_BYTES_MAX, Change, Email, EmailList, GroupWord, LineWord, PageBody, Parsed,
    UserStatusWord, UserWord, created, not_null, present, segment, time, versioned,
};

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserBody {
    /// Their name, unique in the realm.
    username: String,
    /// What to call them.
    display_name: Option<String>,
    /// Their addresses, the first one being the one to write to.
    emails: Vec<String>,
    /// Free attributes.
    #[schema(value_type = Object)]
    attributes: BTreeMap<String, Value>,
    /// `active`, `suspended` or `expired`; only what belongs to active people counts.
    status: &'static str,
    /// The unit they belong to.
    unit: Option<String>,
    /// The groups they are in.
    groups: Vec<String>,
    /// Whether their tokens are locked everywhere, also those that are issued later.
    locked: bool,
    /// Services at which their tokens are locked, also those that are issued later.
    locked_services: Vec<String>,
    /// When the record was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            username: user.username.to_string(),
            display_name: user.display_name,
            emails: user.emails,
            attributes: user.attributes,
            status: user.status.name(),
            unit: user.unit,
            groups: user.groups.iter().map(ToString::to_string).collect(),
            locked: user.locks.everywhere,
            locked_services: user.locks.services.iter().map(ToString::to_string).collect(),
            created_at: time(user.created_at),
            updated_at: time(user.updated_at),
        }
    }
}

/// Free attributes, bounded in size and without NUL.
#[derive(Debug, Default)]
pub struct Attributes(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::<String, Value>::deserialize(deserializer)?;
        let text = serde_json::to_string(&map).map_err(serde::de::Error::custom)?;
        if text.len() > ATTRIBUTES_BYTES_MAX {
            let why = format!("must have at most {ATTRIBUTES_BYTES_MAX} bytes as JSON");
            return Err(serde::de::Error::custom(why));
        }
        if text.contains("\\u0000") {
            return Err(serde::de::Error::custom("must not hold NUL"));
        }
        Ok(Self(map.into_iter().collect()))
    }
}

/// A person to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserCreate {
    username: UserWord,
    display_name: Option<LineWord>,
    emails: Option<EmailList>,
    #[schema(value_type = Option<Object>)]
    attributes: Option<Attributes>,
    status: Option<UserStatusWord>,
    unit: Option<LineWord>,
}

/// What to change of a person; `null` clears. Lists and attributes are replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    display_name: Change<LineWord>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = EmailList, required = false)]
    emails: Option<EmailList>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Object, required = false)]
    attributes: Option<Attributes>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = UserStatusWord, required = false)]
    status: Option<UserStatusWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    unit: Change<LineWord>,
}

/// Which people to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// With this status.
    #[param(value_type = Option<String>)]
    status: Option<UserStatusWord>,
    /// In this group.
    #[param(value_type = Option<String>)]
    group: Option<GroupWord>,
    /// In this unit.
    unit: Option<String>,
    /// Whose user name begins with this text.
    prefix: Option<String>,
}

/// Lists the people that the caller may see.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/users", tag = "users",
    params(("realm" = String, Path, description = "The realm"), UserQuery),
    responses((status = 200, description = "A page", body = PageBody<UserBody>), Looks)
)]
pub async fn user_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<UserQuery>,
) -> Result<Json<PageBody<UserBody>>, Problem> {
    let filter = UserFilter {
        status: query.status.map(|status| status.0),
        group: query.group.map(|group| group.0),
        unit: query.unit,
        prefix: query.prefix.map(|prefix| prefix.to_lowercase()),
        external_id: None,
    };
    let page = page(query.limit.as_ref(), query.cursor)?;
    let page = state.authority.users(&caller, &realm, filter, page).await?;
    Ok(Json(PageBody::of(page, UserBody::from)))
}

/// Creates a person.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/users", tag = "users",
    params(("realm" = String, Path, description = "The realm")),
    request_body = UserCreate,
    responses((status = 201, description = "Created", body = UserBody), Acts)
)]
pub async fn user_create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<UserCreate>,
) -> Result<Response, Problem> {
    let draft = UserDraft {
        username: value.username.0,
        display_name: value.display_name.map(|text| text.0.0),
        emails: addresses(value.emails.unwrap_or_default()),
        attributes: value.attributes.unwrap_or_default().0,
        status: value.status.map_or(UserStatus::Active, |status| status.0),
        unit: value.unit.map(|unit| unit.0.0),
        provisioned: Provisioned::default(),
    };
    let user = state.authority.create_user(&caller, &realm, draft).await?;
    let location = format!("/api/v1/realms/{realm}/users/{}", segment(user.username.as_str()));
    Ok(created(&location, Some(user.version), UserBody::from(user)))
}

fn addresses(list: EmailList) -> Vec<String> {
    list.0.into_iter().map(|Email(address)| address).collect()
}

/// Shows a person.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/users/{username}", tag = "users",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("username" = String, Path, description = "The person"),
    ),
    responses((status = 200, description = "The person", body = UserBody), Looks)
)]
pub async fn user_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, username)): At<(RealmName, Username)>,
) -> Result<Response, Problem> {
    let user = state.authority.user(&caller, &realm, &username).await?;
    Ok(versioned(StatusCode::OK, user.version, UserBody::from(user)))
}

/// Changes a person. Suspending one makes every token of theirs inactive at once.
#[utoipa::path(
    patch, path = "/api/v1/realms/{realm}/users/{username}", tag = "users",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("username" = String, Path, description = "The person"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
    ),
    request_body = UserPatch,
    responses((status = 200, description = "The person as they are now", body = UserBody), Acts)
)]
pub async fn user_edit(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, username)): At<(RealmName, Username)>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<UserPatch>,
) -> Result<Response, Problem> {
    let edit = UserEdit {
        display_name: value.display_name.map(|text| text.map(|text| text.0.0)),
        emails: value.emails.map(addresses),
        attributes: value.attributes.map(|attributes| attributes.0),
        status: value.status.map(|status| status.0),
        unit: value.unit.map(|unit| unit.map(|unit| unit.0.0)),
        provisioned: None,
        created_at: None,
    };
    let user = state.authority.edit_user(&caller, &realm, &username, edit, version).await?;
    Ok(versioned(StatusCode::OK, user.version, UserBody::from(user)))
}

/// Removes a person and revokes every token of theirs.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/users/{username}", tag = "users",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("username" = String, Path, description = "The person"),
    ),
    responses((status = 204, description = "Gone"), Looks)
)]
pub async fn user_delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, username)): At<(RealmName, Username)>,
) -> Result<StatusCode, Problem> {
    state.authority.delete_user(&caller, &realm, &username, None, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes every passkey of a person, who lost them say, and ends their sessions.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/users/{username}/passkeys", tag = "users",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("username" = String, Path, description = "The person"),
    ),
    responses((status = 204, description = "They have none"), Looks)
)]
pub async fn user_passkeys_delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, username)): At<(RealmName, Username)>,
) -> Result<StatusCode, Problem> {
    state.authority.remove_passkeys_of(&caller, &realm, &username).await?;
    Ok(StatusCode::NO_CONTENT)
}
