//! `R/tokens/{id}/fit` and `R/fit`: what tokens were given and never used, and one call to take
//! it away.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{FitWish, Fitting};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::fit::{FIT_DAYS_DEFAULT, FIT_DAYS_MAX, FIT_DAYS_MIN, Part};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::TokenFilter;
use counterfoil_authority::subject::Owner;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::TokenBody;
use crate::http::body::Payload;
use crate::http::caller::Authenticated;
use crate::http::precondition::IfMatch;
use crate::http::problem::Problem;
use crate::http::query::{At, PageLimit, StrictQuery, page};
use crate::http::responses::{Acts, Looks};
use crate::http::state::AppState;
use crate::http::wire::{KindWord, PageBody, Parsed, ServiceWord, UserWord, Word, time, versioned};

/// Days to look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Days(u32);

impl Word for Days {
    const NAME: &'static str = "Days";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "expected a number of days".to_owned())
    }

    fn narrow(
        object: utoipa::openapi::schema::ObjectBuilder,
    ) -> utoipa::openapi::schema::ObjectBuilder {
        object
    }
}

fn days(wanted: Option<&Parsed<Days>>) -> u32 {
    wanted.map_or(FIT_DAYS_DEFAULT, |days| days.0.0)
}

/// How far to look back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FitQuery {
    /// So many days before today, 7 to 90; 90 unless given.
    #[param(value_type = Option<u32>, minimum = 7, maximum = 90)]
    days: Option<Parsed<Days>>,
}

/// Which tokens to look at.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FitsQuery {
    /// Tokens looked at for the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// So many days before today, 7 to 90; 90 unless given.
    #[param(value_type = Option<u32>, minimum = 7, maximum = 90)]
    days: Option<Parsed<Days>>,
    /// Of this person.
    #[param(value_type = Option<String>)]
    user: Option<UserWord>,
    /// That name this service.
    #[param(value_type = Option<String>)]
    service: Option<ServiceWord>,
    /// Of this kind.
    #[param(value_type = Option<String>)]
    kind: Option<KindWord>,
}

/// A used grant that is wider than what was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct WideGrant {
    /// The grant.
    grant: String,
    /// What would do in its place; empty: others of the token's cover all of it.
    instead: Vec<String>,
}

/// One sort of grants of a token, and what of them was used.
#[derive(Debug, Serialize, ToSchema)]
pub struct FitPart {
    /// What the token has.
    granted: Vec<String>,
    /// Of these, what was used.
    used: Vec<String>,
    /// Of these, what could have been used on all of the days, and was not.
    unused: Vec<String>,
    /// Of these, what it has had for fewer days than are looked at. These stay.
    young: Vec<String>,
    /// Used ones that are wider than what was asked for.
    wide: Vec<WideGrant>,
    /// What was used on these days and is granted no more.
    beyond: Vec<String>,
    /// The list that would do; `null`: nothing is proposed, and `kept` says why.
    proposed: Option<Vec<String>>,
    /// `unlimited`, `not_its_own`, `young`, `not_watched`, `idle`, `unasked`, `too_many` or
    /// `fits`; `null` where something is proposed.
    kept: Option<&'static str>,
}

/// What a token was given, what of that was used, and what it could do without.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fit)]
pub struct FitBody {
    /// Days that are looked at, and today.
    days: u32,
    /// The first of them, in UTC, as `2026-11-22`.
    from: String,
    /// Since when a use would have been seen; `null`: not so far.
    watched_since: Option<String>,
    /// Not used at all on these days. Nothing is proposed then: revoke it, or let the policy's
    /// `idle_expiry_seconds` end what nobody uses.
    idle: bool,
    /// Its latest accepted use.
    last_used_at: Option<String>,
    /// What it may ask for.
    scopes: FitPart,
    /// Where it may be used from.
    networks: FitPart,
    /// Networks that it was used from, as far as they are known, each a /24, or a /48 of IPv6.
    /// Nothing is done by them.
    seen_networks: Vec<String>,
    /// At which doors it may be presented.
    doors: FitPart,
    /// Names this proposal; pass it on to take away what is unused.
    digest: String,
}

/// A token that could do without something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fitting)]
pub struct FittingBody {
    /// The token.
    token: TokenBody,
    /// What it could do without. `seen_networks` stays empty in a list.
    fit: FitBody,
}

fn part<T>(part: &Part<T>, write: impl Fn(&T) -> String) -> FitPart {
    let all = |list: &[T]| list.iter().map(&write).collect::<Vec<_>>();
    let wide = part.wide.iter();
    let wide =
        wide.map(|(grant, instead)| WideGrant { grant: write(grant), instead: all(instead) });
    FitPart {
        granted: all(&part.granted),
        used: all(&part.used),
        unused: all(&part.unused),
        young: all(&part.young),
        wide: wide.collect(),
        beyond: part.beyond.clone(),
        proposed: part.proposed.as_ref().ok().map(|list| all(list)),
        kept: part.proposed.as_ref().err().map(|kept| kept.name()),
    }
}

impl FitBody {
    fn of(fitting: &Fitting) -> Self {
        let Fitting { token, fit, seen_networks, digest, .. } = fitting;
        let from = time(Timestamp::from_seconds(fit.from.saturating_mul(86_400)));
        Self {
            days: fit.days,
            from: from.split('T').next().unwrap_or_default().to_owned(),
            watched_since: fit.watched_since.map(time),
            idle: fit.is_idle,
            last_used_at: token.usage.last_at.map(time),
            scopes: part(&fit.scopes, ToString::to_string),
            networks: part(&fit.networks, ToString::to_string),
            seen_networks: seen_networks.iter().map(ToString::to_string).collect(),
            doors: part(&fit.doors, |door| door.name().to_owned()),
            digest: digest.clone(),
        }
    }
}

/// Shows what a token was given, what of that was used, and what it could do without.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/tokens/{id}/fit", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
        FitQuery,
    ),
    responses((status = 200, description = "What it could do without", body = FitBody), Looks)
)]
pub async fn token_fit(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    StrictQuery(query): StrictQuery<FitQuery>,
) -> Result<Response, Problem> {
    let fitting = state.authority.fit(&caller, &realm, id, days(query.days.as_ref())).await?;
    Ok(versioned(StatusCode::OK, fitting.token.version, FitBody::of(&fitting)))
}

/// A sort of grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FitSort {
    /// Scopes.
    Scopes,
    /// Networks.
    Networks,
    /// Doors.
    Doors,
}

/// What of a proposal to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FitRequest {
    /// The proposal, as it was shown. Where another one stands by now, nothing is done.
    digest: String,
    /// The days that it was shown for; the digest says them already.
    #[serde(default)]
    #[schema(minimum = 7, maximum = 90)]
    days: Option<u32>,
    /// Only these sorts of grants; all unless given.
    #[serde(default)]
    only: Option<Vec<FitSort>>,
}

/// The days of a proposal, with which its digest begins.
fn days_of(digest: &str) -> u32 {
    let days = digest.split_once('-').and_then(|(days, _)| days.parse().ok());
    days.filter(|days| (FIT_DAYS_MIN..=FIT_DAYS_MAX).contains(days)).unwrap_or(FIT_DAYS_DEFAULT)
}

/// Takes away from a token what was shown to be unused, and nothing else.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/fit", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
    ),
    request_body = FitRequest,
    responses((status = 200, description = "The token as it is now", body = TokenBody), Acts)
)]
pub async fn token_shrink(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<FitRequest>,
) -> Result<Response, Problem> {
    let wants = |sort| value.only.as_ref().is_none_or(|only| only.contains(&sort));
    let wish = FitWish {
        days: value.days.unwrap_or_else(|| days_of(&value.digest)),
        scopes: wants(FitSort::Scopes),
        networks: wants(FitSort::Networks),
        doors: wants(FitSort::Doors),
        if_match: version,
        digest: value.digest.clone(),
    };
    let token = state.authority.shrink(&caller, &realm, id, &wish).await?;
    Ok(versioned(StatusCode::OK, token.version, TokenBody::of(&token, state.authority.now())))
}

/// Lists active tokens within the caller's reach that could do without something, newest first.
/// `limit` tokens are looked at for a page, which holds those of them that could.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/fit", tag = "tokens",
    params(("realm" = String, Path, description = "The realm"), FitsQuery),
    responses((status = 200, description = "A page", body = PageBody<FittingBody>), Looks)
)]
pub async fn fit_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<FitsQuery>,
) -> Result<Json<PageBody<FittingBody>>, Problem> {
    let filter = TokenFilter {
        owner: query.user.map(|user| Owner::User(user.0)),
        service: query.service.map(|label| label.0),
        kind: query.kind.map(|kind| kind.0),
        ..TokenFilter::default()
    };
    let days = days(query.days.as_ref());
    let page = page(query.limit.as_ref(), query.cursor)?;
    let page = state.authority.fits(&caller, &realm, filter, days, page).await?;
    let now = state.authority.now();
    Ok(Json(PageBody::of(page, |fitting| FittingBody {
        token: TokenBody::of(&fitting.token, now),
        fit: FitBody::of(&fitting),
    })))
}
