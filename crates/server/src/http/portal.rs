//! `R/portal`: the services that somebody sees, for people and for whoever has not signed in.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use counterfoil_authority::authority::PortalService;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::RealmName;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Authenticated;
use super::problem::Problem;
use super::query::{At, Paging, StrictQuery};
use super::responses::Looks;
use super::state::AppState;
use super::wire::PageBody;

/// Whoever looks: a caller, or nobody in particular. A credential that is not good is refused, so
/// that nobody takes what everybody sees for what they see.
pub struct Visitor(Option<Caller>);

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Self(None));
        }
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        Ok(Self(Some(caller)))
    }
}

/// A service as somebody sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortalService)]
pub struct PortalBody {
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
    /// The unit whose people see it.
    unit: Option<String>,
    /// Whether who looks is in its group.
    member: bool,
    /// Whether who looks could have a token for it.
    usable: bool,
}

impl From<PortalService> for PortalBody {
    fn from(PortalService { service, member, usable, .. }: PortalService) -> Self {
        Self {
            label: service.label.to_string(),
            name: service.name,
            description: service.description,
            url: service.url,
            contact: service.contact,
            logo_url: service.logo_url,
            unit: service.unit,
            member,
            usable,
        }
    }
}

/// Lists the services that the caller sees in the portal: without a credential the public ones.
///
/// Suspended services are not shown, those of a unit only to its people. Who administers a service
/// sees it. Without a credential a realm without public services answers as one that does not
/// exist.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/portal", tag = "services",
    security((), ("bearer" = [])),
    params(("realm" = String, Path, description = "The realm"), Paging),
    responses((status = 200, description = "A page", body = PageBody<PortalBody>), Looks)
)]
pub async fn portal(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    At(realm): At<RealmName>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<PortalBody>>, Problem> {
    let page = state.authority.portal(caller.as_ref(), &realm, paging.page()?).await?;
    Ok(Json(PageBody::of(page, PortalBody::from)))
}
