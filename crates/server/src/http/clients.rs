//! `R/clients`: machine clients, each created together with its first key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::access::AccessSettings;
use counterfoil_authority::authority::{ClientAnswered, ClientDraft, ClientEdit, ClientReplay};
use counterfoil_authority::names::{ClientName, RealmName, ServiceLabel};
use counterfoil_authority::scope::{ApiScope, ApiScopes};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::subject::{Client, Limits, Role};
use counterfoil_authority::token::Token;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::grants::LimitsBody;
use super::precondition::{IdempotencyKey, IfMatch};
use super::problem::Problem;
use super::query::{At, Paging, StrictQuery};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::{
    ApiScopeList, Change, ClientWord, LineWord, PageBody, ParagraphsWord, RoleList, ServiceList,
    json_bytes, not_null, present, time, versioned,
};

/// A machine client.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Client)]
pub struct ClientBody {
    /// Its name, unique in the realm.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Its roles.
    roles: Vec<&'static str>,
    /// If set, it may do no more than these scopes of its roles.
    scopes: Option<Vec<&'static str>>,
    /// Services it may verify for or manage; `null`: any of the realm.
    services: Option<Vec<String>>,
    /// The unit of its `unit-admin` role.
    unit: Option<String>,
    /// Further bounds on what it may hand out.
    #[schema(value_type = LimitsBody)]
    limits: Limits,
    /// How its access tokens are to be: `access_token_format`, `access_token_signing_alg`,
    /// `access_token_lifetime_seconds`; what is left out is the installation's.
    #[schema(value_type = Object)]
    oauth: AccessSettings,
    /// Whether its keys count.
    enabled: bool,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

impl From<&Client> for ClientBody {
    fn from(client: &Client) -> Self {
        let names = |scopes: ApiScopes| scopes.iter().map(ApiScope::name).collect();
        let labels = |labels: &Vec<ServiceLabel>| labels.iter().map(ToString::to_string).collect();
        Self {
            name: client.name.to_string(),
            description: client.description.clone(),
            roles: client.roles.iter().map(|role| role.name()).collect(),
            scopes: client.scopes.map(names),
            services: client.services.as_ref().map(labels),
            unit: client.unit.clone(),
            limits: client.limits.clone(),
            oauth: client.access.clone(),
            enabled: client.enabled,
            created_at: time(client.created_at),
            updated_at: time(client.updated_at),
        }
    }
}

/// A fresh client with its key, shown this once.
#[derive(Serialize, ToSchema)]
pub struct ClientIssued {
    /// The client.
    client: ClientBody,
    /// Its key, `cflk_...`.
    secret: String,
}

/// A client to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCreate {
    name: ClientWord,
    description: Option<ParagraphsWord>,
    /// What it may do; nothing unless given, here or by grants.
    roles: Option<RoleList>,
    scopes: Option<ApiScopeList>,
    /// Required for `service-manager`, possible for `verifier`.
    services: Option<ServiceList>,
    /// Required for `unit-admin`.
    unit: Option<LineWord>,
    #[schema(value_type = Option<LimitsBody>)]
    limits: Option<Limits>,
    /// How its access tokens are to be.
    #[schema(value_type = Option<Object>)]
    oauth: Option<AccessSettings>,
}

/// What to change of a client; `null` clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ParagraphsWord>)]
    description: Change<ParagraphsWord>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = RoleList, required = false)]
    roles: Option<RoleList>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ApiScopeList>)]
    scopes: Change<ApiScopeList>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ServiceList>)]
    services: Change<ServiceList>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    unit: Change<LineWord>,
    /// Replaces the limits.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = LimitsBody, required = false)]
    limits: Option<Limits>,
    /// Replaces how its access tokens are to be.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Object, required = false)]
    oauth: Option<AccessSettings>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

fn roles(list: RoleList) -> Vec<Role> {
    let mut roles = list.0;
    roles.sort_unstable();
    roles.dedup();
    roles
}

fn services(list: ServiceList) -> Vec<ServiceLabel> {
    let mut labels = list.0;
    labels.sort_unstable();
    labels.dedup();
    labels
}

fn rendered(client: &Client, secret: &ClearSecret) -> Vec<u8> {
    let body =
        ClientIssued { client: ClientBody::from(client), secret: secret.reveal().to_owned() };
    // Plain strings and numbers cannot fail to be written.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Lists clients.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/clients", tag = "clients",
    params(("realm" = String, Path, description = "The realm"), Paging),
    responses((status = 200, description = "A page", body = PageBody<ClientBody>), Looks)
)]
pub async fn client_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<ClientBody>>, Problem> {
    let page = state.authority.clients(&caller, &realm, paging.page()?).await?;
    Ok(Json(PageBody::of(page, |client| ClientBody::from(&client))))
}

/// Creates a client with its first key, which is shown this once.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/clients", tag = "clients",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same key and body give the same answer again"),
    ),
    request_body = ClientCreate,
    responses((status = 201, description = "Created", body = ClientIssued), Acts)
)]
pub async fn client_create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    idempotency: IdempotencyKey,
    Payload { value, bytes }: Payload<ClientCreate>,
) -> Result<Response, Problem> {
    let draft = ClientDraft {
        name: value.name.0,
        description: value.description.map(|text| text.0.0),
        roles: roles(value.roles.unwrap_or_default()),
        scopes: value.scopes.map(|list| ApiScopes::of(&list.0)),
        services: value.services.map(services),
        unit: value.unit.map(|unit| unit.0.0),
        limits: value.limits.unwrap_or_default(),
        access: value.oauth.unwrap_or_default(),
    };
    let replay = idempotency.over(&bytes).map(|(key, fingerprint)| ClientReplay {
        key,
        fingerprint,
        render: Arc::new(|client: &Client, _: &Token, secret: &ClearSecret| {
            rendered(client, secret)
        }),
    });
    let answer = match state.authority.create_client(&caller, &realm, draft, replay).await? {
        ClientAnswered::Fresh { client, secret } => rendered(&client, &secret),
        ClientAnswered::Replayed(answer) => answer,
    };
    Ok(json_bytes(StatusCode::CREATED, answer))
}

/// Shows a client.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/clients/{name}", tag = "clients",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The client"),
    ),
    responses((status = 200, description = "The client", body = ClientBody), Looks)
)]
pub async fn client_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, ClientName)>,
) -> Result<Response, Problem> {
    let client = state.authority.client(&caller, &realm, &name).await?;
    Ok(versioned(StatusCode::OK, client.version, ClientBody::from(&client)))
}

/// Changes a client.
#[utoipa::path(
    patch, path = "/api/v1/realms/{realm}/clients/{name}", tag = "clients",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The client"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
    ),
    request_body = ClientPatch,
    responses((status = 200, description = "The client as it is now", body = ClientBody), Acts)
)]
pub async fn client_edit(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, ClientName)>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<ClientPatch>,
) -> Result<Response, Problem> {
    let edit = ClientEdit {
        description: value.description.map(|text| text.map(|text| text.0.0)),
        roles: value.roles.map(roles),
        scopes: value.scopes.map(|list| list.map(|list| ApiScopes::of(&list.0))),
        services: value.services.map(|list| list.map(services)),
        unit: value.unit.map(|unit| unit.map(|unit| unit.0.0)),
        limits: value.limits,
        access: value.oauth,
        enabled: value.enabled,
    };
    let client = state.authority.edit_client(&caller, &realm, &name, edit, version).await?;
    Ok(versioned(StatusCode::OK, client.version, ClientBody::from(&client)))
}

/// Removes a client and revokes its keys.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/clients/{name}", tag = "clients",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The client"),
    ),
    responses((status = 204, description = "Gone"), Looks)
)]
pub async fn client_delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, ClientName)>,
) -> Result<StatusCode, Problem> {
    state.authority.delete_client(&caller, &realm, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
