//! Jobs: acts on many tokens, worked on beside the requests.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{Authority, JobAct, JobPlan, JobSelection, JobSet, JobWish};
use counterfoil_authority::clock::DayEdge;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::repository::Place;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Job, JobItem, ListingFilter, TokenFilter};
use counterfoil_authority::subject::Owner;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::ObjectBuilder;

use super::body::{BatchBytes, parse};
use super::caller::Authenticated;
use super::problem::Problem;
use super::query::{At, JobId, Paging, StrictQuery, instant};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::tokens::TokenBody;
use super::wire::RepositoryWord;
use super::wire::{
    ClientWord, KindWord, Labels, LineWord, PageBody, Parsed, ServiceWord, UserWord, WhenWord,
    Word, time,
};

/// Tokens that a preview shows at most; it counts all of them.
const PREVIEW_MAX: usize = 1000;

/// What is done to each token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobActWord {
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
    /// Ended, and taken out of its repository.
    Delete,
    /// Given to a person, from the stock.
    Assign,
    /// Written to.
    Set,
}

pub(crate) type TokenWord = Parsed<TokenId>;

impl Word for TokenId {
    const NAME: &'static str = "TokenId";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| "is no id of a token".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.pattern(Some("^[0-9A-Za-z]{12}$"))
    }
}

/// Where a token of a repository stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaceWord {
    /// Nobody has it.
    Stock,
    /// Somebody has it.
    Held,
}

/// Attributes that are written to each token. Absent ones stay, an empty text clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// What it is for.
    description: Option<String>,
    /// A foreign reference.
    tracking_id: Option<String>,
    /// When it ends.
    expires_at: Option<WhenWord>,
    /// Labels, beside those that are there.
    labels: Option<Labels>,
}

/// Which tokens, and what to do to them. They are named by their ids; or by a repository; or by
/// whose they are: a user, a client, a service, a unit or a label. Every further field leaves
/// fewer of them. The token that asks is never one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// What is done.
    act: JobActWord,
    /// These tokens, at most 10000.
    ids: Option<Vec<TokenWord>>,
    /// Tokens of this repository.
    repository: Option<RepositoryWord>,
    /// Tokens that stand there so.
    place: Option<PlaceWord>,
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
    /// The persons that tokens of the stock are assigned to, one to each, in this order.
    users: Option<Vec<UserWord>>,
    /// What is written.
    set: Option<SetRequest>,
    /// Only says which tokens would be changed.
    dry_run: Option<bool>,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobBody {
    /// Its id.
    id: String,
    /// `running`, `done`, `cancelled`, or `stopped`: who asked for it may not any more.
    state: &'static str,
    /// What is done.
    act: String,
    /// Who asked for it.
    actor: String,
    /// When.
    created_at: String,
    /// When it ended.
    ended_at: Option<String>,
    /// Its tokens.
    total: u64,
    /// Tokens that were changed.
    done: u64,
    /// Tokens that were so already.
    skipped: u64,
    /// Tokens that were refused.
    failed: u64,
    /// Tokens that it has not come to.
    waiting: u64,
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        let act = serde_json::from_str::<JobAct>(&job.act);
        Self {
            id: job.id,
            state: job.state.name(),
            act: act.map_or("unknown", |act| act.name()).to_owned(),
            actor: job.actor,
            created_at: time(job.created_at),
            ended_at: job.ended_at.map(time),
            total: job.counts.total(),
            done: job.counts.done,
            skipped: job.counts.skipped,
            failed: job.counts.failed,
            waiting: job.counts.waiting,
        }
    }
}

/// A token that a job did not change.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobFailure {
    /// The token.
    token: String,
    /// `failed` or `skipped`.
    state: &'static str,
    /// Why.
    reason: Option<String>,
}

impl From<JobItem> for JobFailure {
    fn from(item: JobItem) -> Self {
        let JobItem { token, state, reason, .. } = item;
        Self { token: token.to_string(), state: state.name(), reason }
    }
}

/// A job with what it did not change.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobShown {
    /// How far it is.
    #[serde(flatten)]
    job: JobBody,
    /// Tokens that were refused or so already, at most 1000.
    failures: Vec<JobFailure>,
}

/// A job that was started.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobStarted {
    /// The job.
    job: JobBody,
    /// Tokens that the caller may not change so: left as they are.
    refused: u64,
    /// Whether there are more, since a job has at most 10000: the same request goes on.
    more: bool,
}

/// A token that a job would change.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobPreviewed {
    /// The token as it is now.
    token: TokenBody,
    /// To whom it would go.
    to: Option<String>,
}

/// What a job would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobPreview {
    /// Always true.
    dry_run: bool,
    /// Tokens that would be changed.
    total: u64,
    /// Tokens that the caller may not change so.
    refused: u64,
    /// Whether there are more than one job takes.
    more: bool,
    /// The tokens that would be changed, the first thousand.
    tokens: Vec<JobPreviewed>,
}

impl JobRequest {
    fn act(&mut self, set: JobSet) -> Result<JobAct, Problem> {
        let reason = self.reason.take().map(|reason| reason.0.0);
        if reason.is_some() && self.act != JobActWord::Revoke {
            return Err(Problem::invalid("reason", "only a revocation has a reason"));
        }
        Ok(match self.act {
            JobActWord::Enable => JobAct::Enable,
            JobActWord::Disable => JobAct::Disable,
            JobActWord::Lock => JobAct::Lock,
            JobActWord::Unlock => JobAct::Unlock,
            JobActWord::Revoke => JobAct::Revoke { reason },
            JobActWord::Delete => JobAct::Delete,
            JobActWord::Assign => JobAct::Assign,
            JobActWord::Set => JobAct::Set(set),
        })
    }

    async fn set(&mut self, state: &AppState, realm: &RealmName) -> Result<JobSet, Problem> {
        let given = self.set.take();
        if given.is_some() != (self.act == JobActWord::Set) {
            return Err(Problem::invalid("set", "says what `set` writes, and nothing else"));
        }
        let Some(given) = given else { return Ok(JobSet::default()) };
        let expires_at = match &given.expires_at {
            None => None,
            Some(when) => {
                let at = instant(state, realm, "set.expires_at", &when.0, DayEdge::End).await?;
                Some(at.micros())
            }
        };
        for (field, text) in
            [("description", &given.description), ("tracking_id", &given.tracking_id)]
        {
            let read = text.as_deref().filter(|text| !text.is_empty()).map(super::wire::Line::read);
            if let Some(Err(why)) = read {
                return Err(Problem::invalid(format!("set.{field}"), why));
            }
        }
        let set = JobSet {
            description: given.description,
            tracking_id: given.tracking_id,
            expires_at,
            labels: given.labels.map(|labels| labels.0).unwrap_or_default(),
        };
        if set == JobSet::default() {
            return Err(Problem::invalid("set", "names nothing to write"));
        }
        Ok(set)
    }

    /// What is asked for.
    async fn wish(mut self, state: &AppState, realm: &RealmName) -> Result<JobWish, Problem> {
        let set = self.set(state, realm).await?;
        let act = self.act(set)?;
        let users: Vec<Username> =
            self.users.take().unwrap_or_default().into_iter().map(|user| user.0).collect();
        let selection = self.selection(state, realm).await?;
        Ok(JobWish { act, selection, users })
    }

    async fn selection(self, state: &AppState, realm: &RealmName) -> Result<JobSelection, Problem> {
        let unused_since = match &self.unused_since {
            Some(when) => {
                Some(instant(state, realm, "unused_since", &when.0, DayEdge::Start).await?)
            }
            None => None,
        };
        let owner = match (self.user, self.client) {
            (Some(user), None) => Some(Owner::User(user.0)),
            (None, Some(client)) => Some(Owner::Client(client.0)),
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("client", "name a user or a client"));
            }
        };
        let filter = TokenFilter {
            owner,
            service: self.service.map(|label| label.0),
            kind: self.kind.map(|kind| kind.0),
            name: self.name.map(|name| name.0.0),
            unit: self.unit.map(|unit| unit.0.0),
            labels: self.labels.map(|labels| labels.0.into_iter().collect()).unwrap_or_default(),
            unused_since,
            ..TokenFilter::default()
        };
        let plain = TokenFilter { owner: None, ..filter.clone() } == TokenFilter::default();
        match (self.ids, self.repository) {
            (Some(_), Some(_)) => Err(Problem::invalid("ids", "stand alone")),
            (Some(ids), None) => {
                if !plain || filter.owner.is_some() || self.place.is_some() {
                    return Err(Problem::invalid("ids", "stand alone"));
                }
                Ok(JobSelection::Ids(ids.into_iter().map(|id| id.0).collect()))
            }
            (None, Some(name)) => {
                let owner = match &filter.owner {
                    None => None,
                    Some(Owner::User(user)) => Some(user.clone()),
                    Some(Owner::Client(_)) => {
                        return Err(Problem::invalid("client", "has no token of a repository"));
                    }
                };
                if !plain {
                    let why = "goes with user and place; other filters go without it";
                    return Err(Problem::invalid("repository", why));
                }
                let place = self.place.map(|place| match place {
                    PlaceWord::Stock => Place::Stock,
                    PlaceWord::Held => Place::Held,
                });
                let filter = ListingFilter { owner, place, ..ListingFilter::default() };
                Ok(JobSelection::Repository(name.0, Box::new(filter)))
            }
            (None, None) if self.place.is_some() => {
                Err(Problem::invalid("place", "is a place in a repository; name one"))
            }
            (None, None) => Ok(JobSelection::Tokens(Box::new(filter))),
        }
    }
}

/// Starts an act on many tokens as a job, or says which tokens it would change. Tokens for which
/// the act changes nothing are left out.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/_bulk", tag = "jobs",
    params(("realm" = String, Path, description = "The realm")),
    request_body = JobRequest,
    responses(
        (status = 200, description = "With `dry_run`: what would be done", body = JobPreview),
        (status = 202, description = "The job", body = JobStarted),
        Acts,
    )
)]
pub async fn job_start(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    BatchBytes(bytes): BatchBytes,
) -> Result<Response, Problem> {
    Authority::may_ask_for_jobs(&caller, &realm)?;
    let request: JobRequest = parse(&bytes)?;
    let dry_run = request.dry_run == Some(true);
    let wish = request.wish(&state, &realm).await?;
    if dry_run {
        let plan = state.authority.job_preview(&caller, &realm, &wish).await?;
        return Ok(Json(preview(&state, &plan)).into_response());
    }
    let (job, plan) = state.authority.job_start(&caller, &realm, &wish).await?;
    let started = JobStarted { job: job.into(), refused: plan.refused, more: plan.more };
    let location = format!("/api/v1/realms/{realm}/jobs/{}", started.job.id);
    let mut response = (StatusCode::ACCEPTED, Json(started)).into_response();
    if let Ok(location) = axum::http::HeaderValue::try_from(location) {
        response.headers_mut().insert(axum::http::header::LOCATION, location);
    }
    Ok(response)
}

fn preview(state: &AppState, plan: &JobPlan) -> JobPreview {
    let now = state.authority.now();
    let shown = plan.tokens.iter().take(PREVIEW_MAX).map(|(token, to)| JobPreviewed {
        token: TokenBody::of(token, now),
        to: to.as_ref().map(ToString::to_string),
    });
    JobPreview {
        dry_run: true,
        total: plan.tokens.len() as u64,
        refused: plan.refused,
        more: plan.more,
        tokens: shown.collect(),
    }
}

/// Lists jobs, the newest first.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/jobs", tag = "jobs",
    params(("realm" = String, Path, description = "The realm"), Paging),
    responses((status = 200, description = "A page", body = PageBody<JobBody>), Looks)
)]
pub async fn job_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Json<PageBody<JobBody>>, Problem> {
    let page = state.authority.jobs(&caller, &realm, paging.page()?).await?;
    Ok(Json(PageBody::of(page, JobBody::from)))
}

/// Shows how far a job is, and what it did not change.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/jobs/{id}", tag = "jobs",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The job"),
    ),
    responses((status = 200, description = "The job", body = JobShown), Looks)
)]
pub async fn job_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, JobId)>,
) -> Result<Json<JobShown>, Problem> {
    let job = state.authority.job(&caller, &realm, &id.0).await?;
    let failures = state.authority.job_failures(&job).await?;
    let failures = failures.into_iter().map(JobFailure::from).collect();
    Ok(Json(JobShown { job: job.into(), failures }))
}

/// Stops a job. What it has done stays done. Idempotent.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/jobs/{id}/cancel", tag = "jobs",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The job"),
    ),
    responses((status = 200, description = "The job", body = JobBody), Looks)
)]
pub async fn job_cancel(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, JobId)>,
) -> Result<Json<JobBody>, Problem> {
    Ok(Json(state.authority.job_cancel(&caller, &realm, &id.0).await?.into()))
}
