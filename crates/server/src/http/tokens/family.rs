//! What hangs on a registration token: what was drawn from it, what waits, what is given back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::Breakage;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::UseDay;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::TokenBody;
use super::lifecycle::Nothing;
use crate::http::body::{OptionalPayload, Payload};
use crate::http::caller::Authenticated;
use crate::http::problem::Problem;
use crate::http::query::{At, PageLimit, StrictQuery, page};
use crate::http::responses::{Acts, Looks};
use crate::http::state::AppState;
use crate::http::wire::{PageBody, Parsed, time, versioned};

/// Which part of the children to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChildrenQuery {
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists what was drawn from a registration token, or derived from any other one, newest first.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/tokens/{id}/children", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
        ChildrenQuery,
    ),
    responses((status = 200, description = "A page", body = PageBody<TokenBody>), Looks)
)]
pub async fn token_children(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    StrictQuery(query): StrictQuery<ChildrenQuery>,
) -> Result<Json<PageBody<TokenBody>>, Problem> {
    let page = page(query.limit.as_ref(), query.cursor)?;
    let page = state.authority.children(&caller, &realm, id, page).await?;
    let now = state.authority.now();
    Ok(Json(PageBody::of(page, |token| TokenBody::of(&token, now))))
}

/// What hangs on a token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BlastRadius)]
pub struct BlastRadiusBody {
    /// Auth tokens that were ever drawn from it.
    auth_tokens: u64,
    /// Of these, neither revoked nor past their end.
    active: u64,
    /// Of these, drawn or refreshed within the last day.
    active_last_day: u64,
    /// Auth tokens that wait for approval.
    waiting: u64,
    /// Tokens derived from it that are not revoked; they end with it in any case.
    derived: u64,
    /// The person it belongs to.
    user: Option<String>,
    /// What it is good for; `*` is everything.
    services: Vec<String>,
    /// What it may do there.
    scopes: Vec<String>,
    /// Accepted uses.
    usage_total: u64,
    /// The latest of them.
    last_used_at: Option<String>,
    /// How it was used within the last 90 days, by door; the one that was used last comes first.
    doors: Vec<DoorUses>,
    /// Targets of the realm at which a hash of it stands, and is removed.
    directories: Vec<String>,
}

/// Uses of a token through one door.
#[derive(Debug, Serialize, ToSchema)]
struct DoorUses {
    /// The door.
    door: &'static str,
    /// Accepted uses.
    uses: u64,
    /// The latest of them.
    last_used_at: String,
    /// Addresses of the latest use of each day, the latest first, at most 20.
    addresses: Vec<String>,
}

/// Addresses that are shown of one door: enough to know a machine by.
const ADDRESSES_MAX: usize = 20;

/// Uses by door, the one that was used last first.
fn by_door(days: &[UseDay]) -> Vec<DoorUses> {
    let mut days: Vec<&UseDay> = days.iter().collect();
    days.sort_by_key(|day| std::cmp::Reverse(day.last_at));
    let mut doors: Vec<DoorUses> = Vec::new();
    for day in days {
        let name = day.door.name();
        let place = doors.iter().position(|known| known.door == name).unwrap_or_else(|| {
            let last_used_at = time(day.last_at);
            doors.push(DoorUses { door: name, uses: 0, last_used_at, addresses: Vec::new() });
            doors.len() - 1
        });
        let Some(known) = doors.get_mut(place) else { continue };
        known.uses += day.uses;
        let address = day.last_ip.map(|address| address.to_string());
        if let Some(address) = address.filter(|address| !known.addresses.contains(address))
            && known.addresses.len() < ADDRESSES_MAX
        {
            known.addresses.push(address);
        }
    }
    doors
}

/// Shows what hangs on a token, and what breaks when it ends: look here before that.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/tokens/{id}/blast-radius", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
    ),
    responses((status = 200, description = "Numbers", body = BlastRadiusBody), Looks)
)]
pub async fn token_blast_radius(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
) -> Result<Json<BlastRadiusBody>, Problem> {
    let Breakage { token, reach, days, directories } =
        state.authority.breakage(&caller, &realm, id).await?;
    Ok(Json(BlastRadiusBody {
        auth_tokens: reach.auth_tokens,
        active: reach.active,
        active_last_day: reach.active_last_day,
        waiting: reach.waiting,
        derived: reach.derived,
        user: token.owner.user().map(ToString::to_string),
        services: token.service_labels().into_iter().map(ToOwned::to_owned).collect(),
        scopes: token.scopes.iter().map(ToString::to_string).collect(),
        usage_total: token.usage.total,
        last_used_at: token.usage.last_at.map(time),
        doors: by_door(&days),
        directories,
    }))
}

/// Makes a token active that waits for approval. The draw of an auth token is counted now.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/approve", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token that waits"),
    ),
    request_body = Option<Nothing>,
    responses((status = 200, description = "The token as it is now", body = TokenBody), Acts)
)]
pub async fn token_approve(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    OptionalPayload { .. }: OptionalPayload<Nothing>,
) -> Result<Response, Problem> {
    let token = state.authority.approve(&caller, &realm, id).await?;
    Ok(versioned(StatusCode::OK, token.version, TokenBody::of(&token, state.authority.now())))
}

/// Ends a token that waits for approval. The draw of an auth token is free again.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/deny", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token that waits"),
    ),
    request_body = Option<Nothing>,
    responses((status = 200, description = "The token as it is now", body = TokenBody), Acts)
)]
pub async fn token_deny(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    OptionalPayload { .. }: OptionalPayload<Nothing>,
) -> Result<Response, Problem> {
    let token = state.authority.deny(&caller, &realm, id).await?;
    Ok(versioned(StatusCode::OK, token.version, TokenBody::of(&token, state.authority.now())))
}

/// How many draws to give back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnCount {
    /// So many.
    #[schema(minimum = 1)]
    n: u64,
}

/// Gives draws of a registration token back, in a column of their own.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/return-count", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The registration token"),
    ),
    request_body = ReturnCount,
    responses((status = 200, description = "The token as it is now", body = TokenBody), Acts)
)]
pub async fn token_return_count(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    Payload { value, .. }: Payload<ReturnCount>,
) -> Result<Response, Problem> {
    let token = state.authority.return_count(&caller, &realm, id, value.n).await?;
    Ok(versioned(StatusCode::OK, token.version, TokenBody::of(&token, state.authority.now())))
}
