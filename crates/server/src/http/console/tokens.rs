//! One token: how it stands, what happened to it, and how it is switched off or ended.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::Act;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Outcome;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{BlastRadius, EventFilter, PageRequest, UseDay};
use counterfoil_authority::token::{Slot, State, Token};
use serde::Deserialize;

use super::fit::{self, Unused};
use super::home::Row;
use super::page::{self, Frame};
use super::posted::{Posted, PostedLately};
use super::step_up;
use super::times::Moment;
use super::uses::{self, Whence};
use super::visit::{Person, see_other};
use super::words::Language;
use crate::http::query::Named;

/// Events on the page, the latest first.
const EVENTS_MAX: u32 = 20;

/// What happened to a token.
struct Happened {
    kind: String,
    /// What it was, in words; its kind where there are none.
    words: String,
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
    can_unlock: bool,
    doors: String,
    owner: Option<String>,
    /// Former secrets that still work, and until when.
    overlaps: Vec<Moment>,
    whence: Vec<Whence>,
    /// What it could do without.
    fit: Option<Unused>,
    events: Vec<Happened>,
    /// Where the page of older events begins.
    older: Option<String>,
}

/// What the address of the page may say.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
}

/// What is known of a token.
struct Known {
    token: Token,
    days: Vec<UseDay>,
    fit: Option<Unused>,
    events: Vec<Happened>,
    older: Option<String>,
}

/// What an event was, in words.
fn in_words(language: Language, kind: &str) -> String {
    let id = format!("event-{}", kind.replace('.', "-"));
    let words = language.say(&id);
    if words == id { kind.to_owned() } else { words }
}

/// An id from an address; what cannot be one names nothing.
pub(super) fn id_of(text: &str) -> Result<TokenId, Refusal> {
    TokenId::parse(text).ok_or(Refusal::NotFound(Thing::Token))
}

/// The page of a token.
pub(super) async fn page(
    person: Person,
    Named(id): Named,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match gather(&person, &id, asked.after).await {
        Ok(known) => {
            let frame = person.frame();
            page::show(StatusCode::OK, &page_of(&person, &frame, known))
        }
        Err(refusal) => person.failed(refusal),
    }
}

fn page_of<'a>(person: &Person, frame: &'a Frame, known: Known) -> Page<'a> {
    let Known { token, days, fit, events, older } = known;
    let (now, language) = (person.visit.state.authority.now(), person.visit.language);
    let caller = &person.signed_in.caller;
    let is_own = caller.is(&token.owner, &token.realm);
    let reach = caller.reach(&token.realm, ApiScope::TokensWrite);
    let administers =
        reach.is_ok_and(|reach| reach.whole || reach.covers_services(&token.services));
    let state = token.state(now);
    let joined = |items: Vec<String>| items.join(", ");
    let lives = !matches!(state, State::Revoked | State::Expired | State::Exhausted);
    Page {
        frame,
        row: Row::of(language, &token, now).with_days(language, &days, now),
        whence: uses::whence(language, &days, now),
        owner: (!is_own).then(|| token.owner.name().to_owned()),
        doors: joined(
            token.doors.iter().flatten().map(|door| uses::door(language, *door)).collect(),
        ),
        overlaps: overlaps(language, &token, now),
        can_unlock: lives && token.locked && administers,
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
        fit,
        events,
        older,
    }
}

/// When former secrets of a token end that still work.
fn overlaps(language: Language, token: &Token, now: Timestamp) -> Vec<Moment> {
    let former = token.secrets.iter().filter(|secret| secret.slot == Slot::Previous);
    let ends = former.filter_map(|secret| secret.expires_at).filter(|end| *end > now);
    ends.map(|end| Moment::of(language, end, now)).collect()
}

async fn gather(person: &Person, id: &str, after: Option<String>) -> Result<Known, Refusal> {
    let id = id_of(id)?;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let realm = &caller.realm;
    let token = authority.token(caller, realm, id).await?;
    let days = authority.token_days(caller, realm, id).await?;
    let fit = fit::unused(person, id).await?;
    let page = PageRequest { limit: EVENTS_MAX, after };
    let events = authority.token_events(caller, realm, id, EventFilter::default(), page).await?;
    let now = authority.now();
    let language = person.visit.language;
    let older = events.next;
    let told = events.items.into_iter().map(|event| Happened {
        words: in_words(language, &event.kind),
        when: Moment::of(language, event.at, now),
        actor: event.origin.actor.to_string(),
        source: event.origin.source.map(|source| source.to_string()),
        reason: event.reason,
        refused: event.outcome == Outcome::Refused,
        kind: event.kind.into_owned(),
    });
    Ok(Known { token, days, fit, events: told.collect(), older })
}

/// Switches a token on or off, or locks it.
pub(super) async fn switch(Named(id): Named, form: Posted) -> Response {
    let Posted { person, fields } = form;
    let act = match fields.get("act") {
        "enable" => Act::Enable,
        "disable" => Act::Disable,
        "lock" => Act::Lock,
        "unlock" => Act::Unlock,
        _ => return person.failed(Refusal::invalid("act", "is none of the switches")),
    };
    // What is switched off may be so for a reason; to switch something off is never put off.
    if matches!(act, Act::Enable | Act::Unlock)
        && let Err(asked) = step_up::require(&person, &fields).await
    {
        return asked;
    }
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
    whence: Vec<Whence>,
    reach: BlastRadius,
}

/// What would end, and the button that ends it.
pub(super) async fn revocation(person: Person, Named(id): Named) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let found = async {
        let id = id_of(&id)?;
        let token = authority.token(caller, &caller.realm, id).await?;
        let reach = authority.blast_radius(caller, &caller.realm, id).await?;
        let days = authority.token_days(caller, &caller.realm, id).await?;
        Ok::<_, Refusal>((Known { token, days, fit: None, events: Vec::new(), older: None }, reach))
    };
    match found.await {
        Ok((known, reach)) => {
            let frame = person.frame();
            let Page { row, services, uses, whence, .. } = page_of(&person, &frame, known);
            let page = Revocation { frame: &frame, row, services, uses, whence, reach };
            page::show(StatusCode::OK, &page)
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Ends a token for good.
pub(super) async fn revoke(Named(id): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    match fields.line("reason") {
        Ok(reason) => changed(&person, &id, Act::Revoke { reason }).await,
        Err(refusal) => person.failed(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_words_is_told_by_its_kind() {
        assert_eq!(in_words(Language::English, "token.issued"), "Made");
        assert_eq!(in_words(Language::English, "no.such"), "no.such");
    }
}
