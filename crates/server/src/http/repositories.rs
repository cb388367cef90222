//! `R/repositories`: which repositories there are, under which names they show attributes, what they
//! can do, and how those that somebody else keeps stand.

use axum::Json;
use axum::extract::State;
use counterfoil_authority::authority::RepositoryStanding;
use counterfoil_authority::custom::{Capabilities, Capability, Health};
use counterfoil_authority::names::{RealmName, RepositoryName, ServiceLabel};
use counterfoil_authority::repository::{Mapped, Promotion, RepositoryKind};
use counterfoil_authority::store::Page;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Authenticated;
use super::problem::Problem;
use super::query::At;
use super::responses::Looks;
use super::state::AppState;
use super::wire::{PageBody, time};

/// A repository of tokens, as the configuration has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Repository)]
pub struct RepositoryBody {
    /// Its name, which is the type id of its tokens.
    name: String,
    /// `token`, `credential` or `custom`.
    kind: &'static str,
    /// By what a custom one is reached: `http`, `sql` or `ldap`.
    driver: Option<String>,
    /// Services that its tokens are good for.
    services: Vec<String>,
    /// Tokens of one person at most; `null`: it does not say.
    max_tokens_per_user: Option<u32>,
    /// When a next credential becomes the current one; `null`: there is none.
    promote_next_on: Option<Vec<&'static str>>,
    /// The attributes that it shows, in the order in which they are shown.
    attributes: Vec<AttributeBody>,
    /// What it can do; `null`: somebody else's did not say so lately.
    capabilities: Option<Vec<&'static str>>,
    /// How one that somebody else keeps stands.
    health: Option<RepositoryHealth>,
}

/// An attribute as a repository shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepositoryAttribute)]
pub struct AttributeBody {
    /// Which one, as Airlock IAM calls it.
    attribute: String,
    /// Its name at the Airlock door.
    name: String,
    /// `string`, `integer`, `date` or `boolean`.
    r#type: &'static str,
    /// Whether nobody writes it.
    read_only: bool,
    /// Whether it is written and never shown.
    write_only: bool,
    /// Whether a token cannot be without it.
    required: bool,
    /// Whether lists are filtered and sorted by it.
    filterable: bool,
    /// Characters of a text at most.
    max_len: u32,
}

/// How a repository that somebody else keeps stands, as this node knows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RepositoryHealth {
    /// `answering`, `failing`, or `unknown` before it was asked for the first time.
    state: &'static str,
    /// Whether it is left alone for a while because it failed.
    open: bool,
    /// Whether it is sent secrets in clear.
    receives_secrets: bool,
    /// When it last answered.
    answered_at: Option<String>,
    /// When it last did not.
    failed_at: Option<String>,
    /// Why not; for who sees the whole realm.
    failure: Option<String>,
    /// Calls that were answered since the start.
    answered: u64,
    /// Calls that were not.
    failed: u64,
    /// Calls that were not made.
    turned_away: u64,
    /// Calls under way.
    in_flight: u64,
}

impl From<&Mapped> for AttributeBody {
    fn from(mapped: &Mapped) -> Self {
        Self {
            attribute: mapped.attribute.name(),
            name: mapped.name.clone(),
            r#type: mapped.value_type.name(),
            read_only: mapped.attribute.is_read_only(),
            write_only: mapped.write_only,
            required: mapped.required,
            filterable: mapped.filterable,
            max_len: mapped.max_len,
        }
    }
}

impl From<Health> for RepositoryHealth {
    fn from(health: Health) -> Self {
        let state = match (health.answered_at, health.failed_at) {
            (None, None) => "unknown",
            (answered, failed) if failed <= answered => "answering",
            _ => "failing",
        };
        Self {
            state,
            open: health.figures.open,
            receives_secrets: health.receives_secrets,
            answered_at: health.answered_at.map(time),
            failed_at: health.failed_at.map(time),
            failure: health.failure.filter(|_| state == "failing"),
            answered: health.figures.answered,
            failed: health.figures.failed,
            turned_away: health.figures.turned_away,
            in_flight: health.figures.in_flight,
        }
    }
}

fn names(capabilities: Capabilities) -> Vec<&'static str> {
    capabilities.iter().map(Capability::name).collect()
}

impl From<RepositoryStanding> for RepositoryBody {
    fn from(standing: RepositoryStanding) -> Self {
        let repository = standing.repository;
        let (mut most, mut promotes) = (None, None);
        match &repository.kind {
            RepositoryKind::Token(rules) => most = Some(rules.max_tokens_per_user),
            RepositoryKind::Credential(rules) => {
                most = Some(1 + u32::from(rules.support_next));
                let on = Promotion::ALL.into_iter().filter(|one| rules.promotes_on(*one));
                promotes = rules.support_next.then(|| on.map(Promotion::name).collect());
            }
            RepositoryKind::Custom(_) => {}
        }
        Self {
            name: repository.name.to_string(),
            kind: repository.kind.name(),
            driver: standing.health.as_ref().map(|health| health.driver.to_owned()),
            services: repository.services.iter().map(ServiceLabel::to_string).collect(),
            max_tokens_per_user: most,
            promote_next_on: promotes,
            attributes: repository.attributes.all().iter().map(AttributeBody::from).collect(),
            capabilities: standing.capabilities.map(names),
            health: standing.health.map(RepositoryHealth::from),
        }
    }
}

/// Lists the repositories of a realm. Those that somebody else keeps are not asked anything.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/repositories", tag = "repositories",
    params(("realm" = String, Path, description = "The realm")),
    responses((status = 200, description = "All of them", body = PageBody<RepositoryBody>), Looks)
)]
pub async fn repository_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
) -> Result<Json<PageBody<RepositoryBody>>, Problem> {
    let items = state.authority.repository_standings(&caller, &realm).await?;
    Ok(Json(PageBody::of(Page { items, next: None }, RepositoryBody::from)))
}

/// Shows a repository. One that somebody else keeps is asked what it can do; that it does not answer
/// is part of the answer.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/repositories/{name}", tag = "repositories",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("name" = String, Path, description = "The repository"),
    ),
    responses((status = 200, description = "The repository", body = RepositoryBody), Looks)
)]
pub async fn repository_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, name)): At<(RealmName, RepositoryName)>,
) -> Result<Json<RepositoryBody>, Problem> {
    let standing = state.authority.repository_standing(&caller, &realm, &name).await?;
    Ok(Json(standing.into()))
}
