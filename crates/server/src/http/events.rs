//! `R/events` and the events of one token: what happened, newest first.

use axum::Json;
use axum::extract::State;
use counterfoil_authority::clock::DayEdge;
use counterfoil_authority::event::{EVENT_KINDS, Event};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{EventFilter, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Authenticated;
use super::problem::Problem;
use super::query::{At, PageLimit, StrictQuery, instant, page};
use super::responses::Looks;
use super::state::AppState;
use super::wire::{OutcomeWord, PageBody, Parsed, WhenWord, time};

/// Something that happened. Never holds a secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventBody {
    /// Opaque, unique, ordered by time.
    id: String,
    /// When.
    at: String,
    /// What: `token.issued`, `verify.refused`.
    #[schema(example = "token.issued")]
    kind: String,
    /// `done` or `refused`.
    outcome: &'static str,
    /// `user:alice`, `client:gate`, `system`, `holder` or `anonymous`.
    actor: String,
    /// The token that the actor presented.
    actor_token: Option<String>,
    /// The door.
    door: &'static str,
    /// The address the request came from.
    source: Option<String>,
    /// The request's id.
    request_id: Option<String>,
    /// The token it is about.
    token: Option<String>,
    /// Whom or what it is about: `user:alice`.
    subject: Option<String>,
    /// The service it is about.
    service: Option<String>,
    /// A reason code, or the words that a person gave.
    reason: Option<String>,
    /// How many equal refusals this one stands for.
    count: u64,
    /// Further facts.
    #[schema(value_type = Option<Object>)]
    detail: Option<serde_json::Value>,
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        Self {
            id: event.id,
            at: time(event.at),
            kind: event.kind.into_owned(),
            outcome: event.outcome.name(),
            actor: event.origin.actor.to_string(),
            actor_token: event.origin.actor_token.map(|id| id.to_string()),
            door: event.origin.door.name(),
            source: event.origin.source.map(|address| address.to_string()),
            request_id: event.origin.request_id.map(|id| id.to_string()),
            token: event.token.map(|id| id.to_string()),
            subject: event.subject,
            service: event.service,
            reason: event.reason,
            count: event.count,
            detail: event.detail,
        }
    }
}

/// Which events to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// About this token.
    token: Option<String>,
    /// That ended like this: `done` or `refused`.
    #[param(value_type = Option<String>)]
    outcome: Option<OutcomeWord>,
    /// Of this kind.
    kind: Option<String>,
    /// By this actor, `user:alice`.
    actor: Option<String>,
    /// About this subject, `user:alice`.
    subject: Option<String>,
    /// About this service.
    service: Option<String>,
    /// At or after this time, or from the start of this day.
    #[param(value_type = Option<String>)]
    from: Option<WhenWord>,
    /// Before this time, or until the end of this day.
    #[param(value_type = Option<String>)]
    to: Option<WhenWord>,
}

impl EventQuery {
    async fn read(
        self,
        state: &AppState,
        realm: &RealmName,
    ) -> Result<(EventFilter, PageRequest), Problem> {
        let no_token = || Problem::invalid("token", "is no token id");
        let from = match &self.from {
            Some(when) => Some(instant(state, realm, "from", &when.0, DayEdge::Start).await?),
            None => None,
        };
        let to = match &self.to {
            Some(when) => Some(instant(state, realm, "to", &when.0, DayEdge::End).await?),
            None => None,
        };
        // A misspelt kind would look like one that never happened.
        if self.kind.as_ref().is_some_and(|kind| !EVENT_KINDS.contains(&kind.as_str())) {
            let why = format!("is none of {}", EVENT_KINDS.join(", "));
            return Err(Problem::invalid("kind", why));
        }
        let token = self.token.map(|text| TokenId::parse(&text).ok_or_else(no_token));
        let filter = EventFilter {
            token: token.transpose()?,
            outcome: self.outcome.map(|outcome| outcome.0),
            kind: self.kind,
            actor: self.actor,
            subject: self.subject,
            service: self.service,
            from,
            to,
            look_at_most: None,
        };
        Ok((filter, page(self.limit.as_ref(), self.cursor)?))
    }
}

/// Lists the events of a realm, newest first. Needs `audit:read`.
///
/// A page looks at 20,000 events at most. Where it asks for what is rare it may hold fewer than
/// `limit`, or none, and has a `next_cursor` all the same, which goes on from there.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/events", tag = "events",
    params(("realm" = String, Path, description = "The realm"), EventQuery),
    responses((status = 200, description = "A page", body = PageBody<EventBody>), Looks)
)]
pub async fn event_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<EventQuery>,
) -> Result<Json<PageBody<EventBody>>, Problem> {
    let (filter, page) = query.read(&state, &realm).await?;
    let page = state.authority.events(&caller, &realm, filter, page).await?;
    Ok(Json(PageBody::of(page, EventBody::from)))
}

/// Lists the events of one token.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/tokens/{id}/events", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
        EventQuery,
    ),
    responses((status = 200, description = "A page", body = PageBody<EventBody>), Looks)
)]
pub async fn token_event_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    StrictQuery(query): StrictQuery<EventQuery>,
) -> Result<Json<PageBody<EventBody>>, Problem> {
    let (filter, page) = query.read(&state, &realm).await?;
    let page = state.authority.token_events(&caller, &realm, id, filter, page).await?;
    Ok(Json(PageBody::of(page, EventBody::from)))
}
