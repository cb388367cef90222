//! Looking at tokens: one, many, and how one was used.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::clock::DayEdge;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Page, TokenFilter, UseDay};
use counterfoil_authority::subject::Owner;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::TokenBody;
use crate::http::caller::Authenticated;
use crate::http::problem::Problem;
use crate::http::query::{At, PageLimit, StrictQuery, instant, page};
use crate::http::responses::Looks;
use crate::http::state::AppState;
use crate::http::wire::{
    ClientWord, KindWord, PageBody, Parsed, RepositoryWord, ServiceWord, StateWord, UserWord,
    WhenWord, time, versioned,
};

/// Which tokens to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TokenQuery {
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Of this person.
    #[param(value_type = Option<String>)]
    user: Option<UserWord>,
    /// Of this client.
    #[param(value_type = Option<String>)]
    client: Option<ClientWord>,
    /// That name this service.
    #[param(value_type = Option<String>)]
    service: Option<ServiceWord>,
    /// Of this kind.
    #[param(value_type = Option<String>)]
    kind: Option<KindWord>,
    /// In this state now.
    #[param(value_type = Option<String>)]
    state: Option<StateWord>,
    /// With exactly this name.
    name: Option<String>,
    /// In this repository.
    #[param(value_type = Option<String>)]
    repository: Option<RepositoryWord>,
    /// In this unit.
    unit: Option<String>,
    /// That end before this time, or before the end of this day.
    #[param(value_type = Option<String>)]
    expires_before: Option<WhenWord>,
    /// Not used since this time, or since the start of this day, or never.
    #[param(value_type = Option<String>)]
    unused_since: Option<WhenWord>,
    /// Drawn from this registration token.
    registration_token: Option<String>,
    /// With this identifier.
    identifier: Option<String>,
    /// With this first reference id.
    ref_id_1: Option<String>,
    /// With this second reference id.
    ref_id_2: Option<String>,
    /// Auth tokens of this subject.
    subject: Option<String>,
    /// Auth tokens of a device of this name.
    hostname: Option<String>,
    /// Auth tokens of this system user.
    system_user: Option<String>,
    /// Auth tokens of a device with this hardware address.
    mac_address: Option<String>,
    /// The auth token that waits for approval under this code.
    user_code: Option<String>,
    /// With these labels, written `label.NAME=VALUE`.
    #[serde(default)]
    #[param(style = Form, explode, value_type = Option<Object>, required = false)]
    label: BTreeMap<String, String>,
}

/// Lists tokens within the caller's reach, newest first. Never a secret.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/tokens", tag = "tokens",
    params(("realm" = String, Path, description = "The realm"), TokenQuery),
    responses((status = 200, description = "A page", body = PageBody<TokenBody>), Looks)
)]
pub async fn token_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<TokenQuery>,
) -> Result<Json<PageBody<TokenBody>>, Problem> {
    if let Some(code) = &query.user_code {
        let found = match state.authority.waiting(&caller, &realm, code).await {
            Err(Refusal::NotFound(Thing::Token)) => None,
            said => Some(said?),
        };
        let page = Page { items: found.into_iter().collect(), next: None };
        let now = state.authority.now();
        return Ok(Json(PageBody::of(page, |token| TokenBody::of(&token, now))));
    }
    // What cannot be an id names nothing, and nothing was drawn from it.
    let registration = query.registration_token.as_deref().map(TokenId::parse);
    if registration == Some(None) {
        return Ok(Json(PageBody { items: Vec::new(), next_cursor: None }));
    }
    let registration = registration.flatten();
    let owner = match (query.user, query.client) {
        (Some(user), None) => Some(Owner::User(user.0)),
        (None, Some(client)) => Some(Owner::Client(client.0)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Problem::invalid("client", "name a user or a client")),
    };
    let expires_before = match &query.expires_before {
        Some(when) => Some(instant(&state, &realm, "expires_before", &when.0, DayEdge::End).await?),
        None => None,
    };
    let unused_since = match &query.unused_since {
        Some(when) => Some(instant(&state, &realm, "unused_since", &when.0, DayEdge::Start).await?),
        None => None,
    };
    let filter = TokenFilter {
        owner,
        service: query.service.map(|label| label.0),
        for_everything: false,
        kind: query.kind.map(|kind| kind.0),
        state: query.state.map(|state| state.0),
        name: query.name,
        labels: query.label.into_iter().collect(),
        repository: query.repository.map(|name| name.0),
        unit: query.unit,
        expires_before,
        unused_since,
        looked_after: None,
        only_services: None,
        registration,
        parent: None,
        identifier: query.identifier,
        ref_id_1: query.ref_id_1,
        ref_id_2: query.ref_id_2,
        subject: query.subject,
        hostname: query.hostname,
        system_user: query.system_user,
        mac_address: query.mac_address,
        look_at_most: None,
    };
    let page = page(query.limit.as_ref(), query.cursor)?;
    let page = state.authority.tokens(&caller, &realm, filter, page).await?;
    let now = state.authority.now();
    Ok(Json(PageBody::of(page, |token| TokenBody::of(&token, now))))
}

/// Shows a token.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/tokens/{id}", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
    ),
    responses((status = 200, description = "The token", body = TokenBody), Looks)
)]
pub async fn token_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
) -> Result<Response, Problem> {
    let token = state.authority.token(&caller, &realm, id).await?;
    let next = state.authority.next_brown_out(&token).await?;
    let body = TokenBody::of(&token, state.authority.now()).with_brown_out(next);
    Ok(versioned(StatusCode::OK, token.version, body))
}

/// How a token was used. At most one second old.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageBody {
    /// First accepted use.
    first_used_at: Option<String>,
    /// Latest accepted use.
    last_used_at: Option<String>,
    /// The client's address then.
    last_used_ip: Option<String>,
    /// Accepted uses.
    usage_total: u64,
    /// Refusals of the right secret.
    denied_total: u64,
    /// Uses allowed in all; `null`: unlimited.
    max_usages: Option<u64>,
    /// Counted uses.
    used: u64,
    /// Uses left; `null`: unlimited.
    remaining: Option<u64>,
    /// The last 90 days, by day and door; days without a use are missing. Where masses of tokens
    /// are used at once, `usage_total` counts more than these.
    days: Vec<UseDayBody>,
}

/// Uses of a token on one day through one door.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UseDay)]
struct UseDayBody {
    /// The day, in UTC, as `2026-11-22`.
    day: String,
    /// The door.
    door: &'static str,
    /// Accepted uses.
    uses: u64,
    /// The latest of them.
    last_used_at: String,
    /// The client's address then.
    last_used_ip: Option<String>,
}

impl UseDayBody {
    fn of(one: &UseDay) -> Self {
        let last_used_at = time(one.last_at);
        Self {
            day: last_used_at.split('T').next().unwrap_or_default().to_owned(),
            door: one.door.name(),
            uses: one.uses,
            last_used_at,
            last_used_ip: one.last_ip.map(|address| address.to_string()),
        }
    }
}

/// Shows how a token was used.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/tokens/{id}/usage", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
    ),
    responses((status = 200, description = "Its use", body = UsageBody), Looks)
)]
pub async fn token_usage(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
) -> Result<Json<UsageBody>, Problem> {
    let token = state.authority.token(&caller, &realm, id).await?;
    let days = state.authority.token_days(&caller, &realm, id).await?;
    Ok(Json(UsageBody {
        first_used_at: token.usage.first_at.map(time),
        last_used_at: token.usage.last_at.map(time),
        last_used_ip: token.usage.last_ip.map(|address| address.to_string()),
        usage_total: token.usage.total,
        denied_total: token.usage.denied_total,
        max_usages: token.max_usages,
        used: token.used,
        remaining: token.remaining(),
        days: days.iter().map(UseDayBody::of).collect(),
    }))
}
