//! `R/services/{label}/offer`: what may be asked for of a service, before somebody asks for it.

use axum::Json;
use axum::extract::State;
use counterfoil_authority::authority::Offer;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::policy::DEFAULT_LIFETIME_SECONDS;
use counterfoil_authority::verdict::Door;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Authenticated;
use super::problem::Problem;
use super::query::At;
use super::responses::Looks;
use super::state::AppState;

/// What a service offers to who asks for a token of it: its own policy with its realm's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Offer)]
pub struct OfferBody {
    /// The service.
    service: String,
    /// Whether tokens are issued at all.
    enabled: bool,
    /// Lifetimes to choose from, in seconds, the shortest first.
    lifetime_presets_seconds: Vec<i64>,
    /// The life of a token for which none is named.
    default_lifetime_seconds: i64,
    /// The longest life; `null`: any.
    max_lifetime_seconds: Option<i64>,
    /// Whether a token without end is refused.
    must_expire: bool,
    /// A token that is unused for so long is refused; `null`: never.
    idle_expiry_seconds: Option<i64>,
    /// Scopes to choose from; `null`: any.
    scopes: Option<Vec<String>>,
    /// Doors to choose from; `null`: any.
    doors: Option<Vec<&'static str>>,
    /// Lists of networks; a client must be inside one of each.
    #[schema(value_type = Vec<Vec<String>>)]
    networks: Vec<Vec<ipnet::IpNet>>,
    /// Active tokens of a person at most; `null`: any number.
    max_active_per_user: Option<u32>,
    /// Whether a new token waits for approval.
    approval: bool,
    /// How long a former secret works after a rotation.
    rotation_overlap_seconds: i64,
}

impl From<Offer> for OfferBody {
    fn from(offer: Offer) -> Self {
        let policy = offer.policy;
        let default = policy.default_lifetime_seconds.unwrap_or(DEFAULT_LIFETIME_SECONDS);
        let bound = policy.max_lifetime_seconds;
        Self {
            service: offer.label.to_string(),
            enabled: policy.enabled,
            lifetime_presets_seconds: policy.lifetime_presets_seconds,
            default_lifetime_seconds: bound.map_or(default, |max| default.min(max)),
            max_lifetime_seconds: bound,
            must_expire: policy.must_expire,
            idle_expiry_seconds: policy.idle_expiry_seconds,
            scopes: policy.scopes,
            doors: policy.doors.map(|doors| doors.into_iter().map(Door::name).collect()),
            networks: policy.networks,
            max_active_per_user: policy.max_active_per_user,
            approval: policy.approval,
            rotation_overlap_seconds: policy.rotation_overlap_seconds,
        }
    }
}

/// Shows what may be asked for of a service.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/services/{label}/offer", tag = "services",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("label" = String, Path, description = "The service"),
    ),
    responses((status = 200, description = "The offer", body = OfferBody), Looks)
)]
pub async fn offer_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, label)): At<(RealmName, ServiceLabel)>,
) -> Result<Json<OfferBody>, Problem> {
    let offer = state.authority.offer(&caller, &realm, &label).await?;
    Ok(Json(offer.into()))
}
