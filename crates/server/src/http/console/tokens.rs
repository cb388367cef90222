//! One token: how it stands, what happened to it, and how it is switched off or ended.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::Act;
use counterfoil_authority::event::Outcome;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{BlastRadius, EventFilter, PageRequest};
use counterfoil_authority::token::{State, Token};

use super::home::Row;
use super::page::{self, Frame};
use super::posted::{Posted, PostedLately};
use super::times::Moment;
use super::visit::{Person, see_other};

/// Events on the page, the latest first.
const EVENTS_MAX: u32 = 20;

/// What happened to a token.
struct Happened {
    kind: String,
    when: Moment,
    actor: String,
    source: Option<String>,
    reason: Option<String>,
    refused: bool,
}

#[derive(Template)]
#[template(path = "console/token.html")]
struct Page<'a> {
    frame: &'a Frame,
    row: Row,
    description: Option<String>,
    services: String,
    scopes: String,
    networks: String,
    uses: u64,
    refusals: u64,
    created_by: String,
    revoked_reason: Option<String>,
    can_enable: bool,
    can_disable: bool,
    can_rotate: bool,
    events: Vec<Happened>,
}

/// An id from an address; what cannot be one names nothing.
pub(super) fn id_of(text: &str) -> Result<TokenId, Refusal> {
    TokenId::parse(text).ok_or(Refusal::NotFound(Thing::Token))
}

/// The page of a token.
pub(super) async fn page(person: Person, Path(id): Path<String>) -> Response {
    match gather(&person, &id).await {
        Ok((token, events)) => {
            let frame = person.frame();
            page::show(StatusCode::OK, &page_of(&person, &frame, &token, events))
        }
        Err(refusal) => person.failed(refusal),
    }
}

fn page_of<'a>(
    person: &Person,
    frame: &'a Frame,
    token: &Token,
    events: Vec<Happened>,
) -> Page<'a> {
    let now = person.visit.state.authority.now();
    let state = token.state(now);
    let joined = |items: Vec<String>| items.join(", ");
    let lives = !matches!(state, State::Revoked | State::Expired | State::Exhausted);
    Page {
        frame,
        row: Row::of(person.visit.language, token, now),
        description: token.description.clone(),
        services: match &token.services {
            Services::All => frame.say("token-every-service"),
            Services::Named(labels) => joined(labels.iter().map(ToString::to_string).collect()),
        },
        scopes: joined(token.scopes.iter().map(|scope| scope.as_str().to_owned()).collect()),
        networks: joined(token.networks.iter().map(ToString::to_string).collect()),
        uses: token.usage.total,
        refusals: token.usage.denied_total,
        created_by: token.created_by.clone(),
        revoked_reason: token.revocation.as_ref().and_then(|end| end.reason.clone()),
        can_enable: lives && !token.enabled,
        can_disable: lives && token.enabled,
        can_rotate: lives && !token.secrets.is_empty() && !token.locked,
        events,
    }
}

async fn gather(person: &Person, id: &str) -> Result<(Token, Vec<Happened>), Refusal> {
    let id = id_of(id)?;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let realm = &caller.realm;
    let token = authority.token(caller, realm, id).await?;
    let page = PageRequest::first(EVENTS_MAX);
    let events = authority.token_events(caller, realm, id, EventFilter::default(), page).await?;
    let now = authority.now();
    let told = events.items.into_iter().map(|event| Happened {
        when: Moment::of(person.visit.language, event.at, now),
        actor: event.origin.actor.to_string(),
        source: event.origin.source.map(|source| source.to_string()),
        reason: event.reason,
        refused: event.outcome == Outcome::Refused,
        kind: event.kind.into_owned(),
    });
    Ok((token, told.collect()))
}

/// Switches a token on or off, or locks it.
pub(super) async fn switch(Path(id): Path<String>, form: Posted) -> Response {
    let Posted { person, fields } = form;
    let act = match fields.get("act") {
        "enable" => Act::Enable,
        "disable" => Act::Disable,
        "lock" => Act::Lock,
        _ => return person.failed(Refusal::invalid("act", "is none of the switches")),
    };
    changed(&person, &id, act).await
}

async fn changed(person: &Person, id: &str, act: Act) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let done = async {
        let id = id_of(id)?;
        authority.change(caller, &caller.realm, id, act, None).await
    };
    match done.await {
        Ok(token) => see_other(&format!("/tokens/{}", token.id)),
        Err(refusal) => person.failed(refusal),
    }
}

#[derive(Template)]
#[template(path = "console/revoke.html")]
struct Revocation<'a> {
    frame: &'a Frame,
    row: Row,
    services: String,
    uses: u64,
    reach: BlastRadius,
}

/// What would end, and the button that ends it.
pub(super) async fn revocation(person: Person, Path(id): Path<String>) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let found = async {
        let id = id_of(&id)?;
        let token = authority.token(caller, &caller.realm, id).await?;
        let reach = authority.blast_radius(caller, &caller.realm, id).await?;
        Ok::<_, Refusal>((token, reach))
    };
    match found.await {
        Ok((token, reach)) => {
            let frame = person.frame();
            let whole = page_of(&person, &frame, &token, Vec::new());
            let Page { row, services, uses, .. } = whole;
            let page = Revocation { frame: &frame, row, services, uses, reach };
            page::show(StatusCode::OK, &page)
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Ends a token for good.
pub(super) async fn revoke(Path(id): Path<String>, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    let reason = fields.text("reason");
    changed(&person, &id, Act::Revoke { reason }).await
}
