//! Acts on many tokens at once, with a preview.

use axum::Json;
use axum::extract::State;
use counterfoil_authority::authority::{Act, Bulk};
use counterfoil_authority::clock::DayEdge;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::TokenFilter;
use counterfoil_authority::subject::Owner;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TokenBody;
use crate::http::body::Payload;
use crate::http::caller::Authenticated;
use crate::http::problem::Problem;
use crate::http::query::{At, instant};
use crate::http::responses::Acts;
use crate::http::state::AppState;
use crate::http::wire::{ClientWord, KindWord, Labels, LineWord, ServiceWord, UserWord, WhenWord};

/// What is done to each token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAct {
    /// Switched on.
    Enable,
    /// Switched off.
    Disable,
    /// Locked.
    Lock,
    /// Unlocked.
    Unlock,
    /// Ended for good.
    Revoke,
}

/// Which tokens, and what to do to them. Whose they are must be named: a user, a client, a
/// service, a unit or a label; every further field leaves fewer of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// What is done.
    act: BulkAct,
    /// Tokens of this person.
    user: Option<UserWord>,
    /// Tokens of this client.
    client: Option<ClientWord>,
    /// Tokens that name this service.
    service: Option<ServiceWord>,
    /// Tokens in this unit.
    unit: Option<LineWord>,
    /// Tokens of this kind.
    kind: Option<KindWord>,
    /// Tokens with exactly this name.
    name: Option<LineWord>,
    /// Tokens with all of these labels.
    labels: Option<Labels>,
    /// Tokens not used since this time, or since the start of this day, or never.
    unused_since: Option<WhenWord>,
    /// Why they are revoked, in the revoker's words; their owners see it.
    reason: Option<LineWord>,
    /// Only shows which tokens would be changed.
    dry_run: Option<bool>,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkBody {
    /// Whether nothing was done.
    dry_run: bool,
    /// Tokens that were changed, or would be.
    changed: u64,
    /// Tokens that the caller may not change so: left as they are.
    refused: u64,
    /// Whether there are more, since a call changes at most 1000: the same call goes on.
    more: bool,
    /// The changed tokens; of a dry run, those that would be.
    tokens: Vec<TokenBody>,
}

/// Disables, locks, revokes or the reverse every token of a person, a service, a person for a
/// service, a unit or a label. Tokens for which that changes nothing are left out.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/bulk", tag = "tokens",
    params(("realm" = String, Path, description = "The realm")),
    request_body = BulkRequest,
    responses((status = 200, description = "What was done", body = BulkBody), Acts)
)]
pub async fn token_bulk(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<BulkRequest>,
) -> Result<Json<BulkBody>, Problem> {
    let owner = match (value.user, value.client) {
        (Some(user), None) => Some(Owner::User(user.0)),
        (None, Some(client)) => Some(Owner::Client(client.0)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Problem::invalid("client", "name a user or a client")),
    };
    let reason = value.reason.map(|reason| reason.0.0);
    if reason.is_some() && value.act != BulkAct::Revoke {
        return Err(Problem::invalid("reason", "only a revocation has a reason"));
    }
    let unused_since = match &value.unused_since {
        Some(when) => Some(instant(&state, &realm, "unused_since", &when.0, DayEdge::Start).await?),
        None => None,
    };
    let filter = TokenFilter {
        owner,
        service: value.service.map(|label| label.0),
        kind: value.kind.map(|kind| kind.0),
        name: value.name.map(|name| name.0.0),
        unit: value.unit.map(|unit| unit.0.0),
        labels: value.labels.map(|labels| labels.0.into_iter().collect()).unwrap_or_default(),
        unused_since,
        ..TokenFilter::default()
    };
    let act = match value.act {
        BulkAct::Enable => Act::Enable,
        BulkAct::Disable => Act::Disable,
        BulkAct::Lock => Act::Lock,
        BulkAct::Unlock => Act::Unlock,
        BulkAct::Revoke => Act::Revoke { reason },
    };
    let dry_run = value.dry_run == Some(true);
    let Bulk { tokens, refused, more } =
        state.authority.change_many(&caller, &realm, filter, act, dry_run).await?;
    let now = state.authority.now();
    Ok(Json(BulkBody {
        dry_run,
        changed: u64::try_from(tokens.len()).unwrap_or(u64::MAX),
        refused,
        more,
        tokens: tokens.iter().map(|token| TokenBody::of(token, now)).collect(),
    }))
}
