//! `R/blocked-tokens`, and what a dry run of a policy change answers: tokens that a policy refuses.

use axum::Json;
use axum::extract::State;
use counterfoil_authority::authority::{BlockedToken, Hits};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Authenticated;
use super::problem::Problem;
use super::query::{At, PageLimit, StrictQuery, page};
use super::responses::Looks;
use super::state::AppState;
use super::tokens::TokenBody;
use super::wire::{PageBody, Parsed, ServiceWord};

/// A token that a policy refuses at use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BlockedToken)]
pub struct BlockedBody {
    /// The token.
    token: TokenBody,
    /// The service that refuses it; `null`: the realm does.
    service: Option<String>,
    /// `switched_off`, `lifetime`, `every_service`, `door` or `idle`.
    reason: &'static str,
    /// Whether it is refused there already, without the change that is tried.
    already: bool,
}

/// A page of such tokens.
fn blocked_page(page: Page<BlockedToken>, now: Timestamp) -> PageBody<BlockedBody> {
    PageBody::of(page, |blocked| BlockedBody {
        token: TokenBody::of(&blocked.token, now),
        service: blocked.service.map(|label| label.to_string()),
        reason: blocked.reason.name(),
        already: blocked.already,
    })
}

/// What a change would have refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriedBody {
    #[serde(flatten)]
    page: PageBody<BlockedBody>,
    /// Refusals of tokens beyond the caller's reach that were met on the way to this page: their
    /// number, and no more.
    hidden: u64,
}

/// A page of what a change would have refused.
pub(super) fn tried_page(hits: Hits, now: Timestamp) -> TriedBody {
    TriedBody { page: blocked_page(hits.page, now), hidden: hits.hidden }
}

/// Which tokens to look at.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BlockedQuery {
    /// Refused by this service; by any, unless given.
    #[param(value_type = Option<String>)]
    service: Option<ServiceWord>,
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists tokens within the caller's reach that policies refuse at use, with the reason. A policy
/// that was tightened revokes nothing: such a token is good again when it is loosened.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/blocked-tokens", tag = "tokens",
    params(("realm" = String, Path, description = "The realm"), BlockedQuery),
    responses((status = 200, description = "A page", body = PageBody<BlockedBody>), Looks)
)]
pub async fn blocked_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<BlockedQuery>,
) -> Result<Json<PageBody<BlockedBody>>, Problem> {
    let page = page(query.limit.as_ref(), query.cursor)?;
    let service = query.service.map(|label| label.0);
    let found = state.authority.blocked_tokens(&caller, &realm, service, page).await?;
    Ok(Json(blocked_page(found, state.authority.now())))
}
