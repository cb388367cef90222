//! `R/shadow`: where the answers of an old system differ from ours, for who moves in.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use counterfoil_authority::authority::Authority;
use counterfoil_authority::names::{RealmName, ShadowName};
use counterfoil_authority::shadow::{Compared, Differs, Shadow};
use counterfoil_authority::store::{ShadowDifference, ShadowFilter};
use counterfoil_authority::verdict::Reason;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::{IntoParams, ToSchema};

use super::caller::Authenticated;
use super::problem::Problem;
use super::query::{At, PageLimit, StrictQuery, page};
use super::responses::Looks;
use super::state::AppState;
use super::wire::{PageBody, Parsed, Word, time};

type DiffersWord = Parsed<Differs>;
type ShadowWord = Parsed<ShadowName>;

impl Word for Differs {
    const NAME: &'static str = "Differs";

    fn read(text: &str) -> Result<Self, String> {
        Self::from_name(text).ok_or_else(|| "expected only_here or only_there".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.enum_values(Some(Self::ALL.map(Self::name)))
    }
}

impl Word for ShadowName {
    const NAME: &'static str = "ShadowName";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|bad| bad.to_string())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.pattern(Some("^[a-z0-9_]{1,22}$"))
    }
}

/// Where an old system answers otherwise than we do. Never a secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShadowDifference)]
pub struct DifferenceBody {
    /// Its id.
    id: String,
    /// The old system, as the configuration calls it.
    shadow: String,
    /// `only_here`: we say yes, the old system says no. `only_there`: the old system says yes, we
    /// say no, and somebody would be locked out.
    class: &'static str,
    /// The service, if one was named.
    service: Option<String>,
    /// The token, as far as we know it.
    token: Option<String>,
    /// The person, as far as they are known.
    user: Option<String>,
    /// Why we said no the last time, as verify says it.
    reason: Option<&'static str>,
    /// How often it was met.
    count: u64,
    /// When it was first met.
    first_at: String,
    /// When it was last met.
    last_at: String,
}

impl From<ShadowDifference> for DifferenceBody {
    fn from(one: ShadowDifference) -> Self {
        Self {
            id: one.id,
            shadow: one.shadow.to_string(),
            class: one.differs.name(),
            service: one.service.map(|label| label.to_string()),
            token: one.token.map(|id| id.to_string()),
            user: one.username.map(|name| name.to_string()),
            reason: one.reason.map(Reason::code),
            count: one.count,
            first_at: time(one.first_at),
            last_at: time(one.last_at),
        }
    }
}

/// What came of the questions to one old system, at the node that answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShadowCompared)]
pub struct ComparedBody {
    /// The old system, as the configuration calls it.
    shadow: String,
    /// Both said the same.
    agree: u64,
    /// They did not.
    differ: u64,
    /// It was asked and said neither.
    no_answer: u64,
    /// It was not asked, to hammer nobody and lock nobody out.
    not_asked: u64,
    /// Since when this is counted: the start of the node, or the report was begun anew since.
    since: String,
}

impl ComparedBody {
    fn of(shadow: &Shadow) -> Self {
        let figures = shadow.figures();
        let count = |one| figures.count(one);
        Self {
            shadow: shadow.settings().name.to_string(),
            agree: count(Compared::AgreeGood) + count(Compared::AgreeBad),
            differ: count(Compared::OnlyHere) + count(Compared::OnlyThere),
            no_answer: count(Compared::NoAnswer),
            not_asked: count(Compared::NotAsked),
            since: time(figures.since()),
        }
    }
}

/// A page of differences, and whether there was anything to differ.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShadowReport)]
pub struct ReportBody {
    /// The records. A page may hold fewer than its limit and still not be the last.
    items: Vec<DifferenceBody>,
    /// What to pass as `cursor` for the next page; `null` on the last.
    next_cursor: Option<String>,
    /// What was compared at all, for each old system of the realm that is asked: without it a
    /// report without differences says nothing. Each node counts its own.
    compared: Vec<ComparedBody>,
}

/// What the old systems of a realm were asked.
fn compared(
    authority: &Authority,
    realm: &RealmName,
    named: Option<&ShadowName>,
) -> Vec<ComparedBody> {
    let is_meant = |shadow: &Shadow| {
        let settings = shadow.settings();
        settings.realm == *realm && named.is_none_or(|name| settings.name == *name)
    };
    let meant = authority.shadows().iter().filter(|shadow| is_meant(shadow));
    meant.map(|shadow| ComparedBody::of(shadow)).collect()
}

/// Which differences to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShadowQuery {
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Of this class: `only_here` or `only_there`.
    #[param(value_type = Option<String>)]
    class: Option<DiffersWord>,
    /// With this old system.
    #[param(value_type = Option<String>)]
    shadow: Option<ShadowWord>,
}

/// Which differences to forget.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShadowClearQuery {
    /// With this old system; with all of them unless given.
    #[param(value_type = Option<String>)]
    shadow: Option<ShadowWord>,
}

/// Lists where the answers of old systems differ from ours, in the order in which that was first
/// met, and how much was compared. Needs `policies:write` for the whole realm.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/shadow", tag = "shadow",
    params(("realm" = String, Path, description = "The realm"), ShadowQuery),
    responses((status = 200, description = "A page", body = ReportBody), Looks)
)]
pub async fn shadow_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<ShadowQuery>,
) -> Result<Json<ReportBody>, Problem> {
    let page = page(query.limit.as_ref(), query.cursor)?;
    let filter = ShadowFilter {
        shadow: query.shadow.map(|name| name.0),
        differs: query.class.map(|class| class.0),
    };
    let named = filter.shadow.clone();
    let found = state.authority.shadow_report(&caller, &realm, filter, page).await?;
    let PageBody { items, next_cursor } = PageBody::of(found, DifferenceBody::from);
    let compared = compared(&state.authority, &realm, named.as_ref());
    Ok(Json(ReportBody { items, next_cursor, compared }))
}

/// Forgets these differences, so that the report and its figures begin anew, and whoever was wrong
/// before is asked about again. Needs `policies:write` for the whole realm.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/shadow", tag = "shadow",
    params(("realm" = String, Path, description = "The realm"), ShadowClearQuery),
    responses((status = 204, description = "Forgotten"), Looks)
)]
pub async fn shadow_clear(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<ShadowClearQuery>,
) -> Result<StatusCode, Problem> {
    let shadow = query.shadow.map(|name| name.0);
    state.authority.clear_shadow(&caller, &realm, shadow).await?;
    Ok(StatusCode::NO_CONTENT)
}
