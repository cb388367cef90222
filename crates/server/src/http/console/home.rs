//! `/`: the services that somebody may use, each with their tokens for it.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::PortalService;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{State, Token};
use serde::Deserialize;

use super::page::{self, Frame};
use super::times::Moment;
use super::visit::Person;
use super::words::Language;

/// Services on the page; nobody looks through more of them without a search.
const SERVICES_MAX: u32 = 200;
/// Tokens on one page.
const TOKENS_MAX: u32 = 200;

/// A token in a list.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) state: String,
    /// For the stylesheet, which never says by colour alone what the words do not.
    pub(super) class: &'static str,
    pub(super) created: Moment,
    pub(super) last_used: Option<Moment>,
    pub(super) last_from: Option<String>,
    pub(super) expires: Option<Moment>,
    pub(super) ended: bool,
}

impl Row {
    pub(super) fn of(language: Language, token: &Token, now: Timestamp) -> Self {
        let state = token.state(now);
        let moment = |at| Moment::of(language, at, now);
        Self {
            id: token.id.to_string(),
            name: token.name.clone().unwrap_or_else(|| token.id.to_string()),
            kind: language.say(&format!("kind-{}", token.kind.name())),
            state: language.say(&format!("state-{}", state.name())),
            class: class_of(state),
            created: moment(token.created_at),
            last_used: token.usage.last_at.map(moment),
            last_from: token.usage.last_ip.map(|address| address.to_string()),
            expires: token.validity.expires_at().map(moment),
            ended: matches!(state, State::Revoked | State::Expired | State::Exhausted),
        }
    }
}

/// The class of a state, for the stylesheet.
pub(super) const fn class_of(state: State) -> &'static str {
    match state {
        State::Active => "good",
        State::Pending | State::NotYetValid => "waits",
        State::Locked | State::Disabled => "held",
        State::Revoked | State::Expired | State::Exhausted => "over",
    }
}

/// A service with somebody's tokens for it.
struct Card {
    label: String,
    name: String,
    initial: String,
    description: Option<String>,
    url: Option<String>,
    contact: Option<String>,
    usable: bool,
    tokens: Vec<Row>,
    ended: Vec<Row>,
}

impl Card {
    fn of(service: PortalService) -> Self {
        let PortalService { service, usable, .. } = service;
        Self {
            label: service.label.to_string(),
            initial: service
                .name
                .chars()
                .next()
                .map(|c| c.to_uppercase().collect())
                .unwrap_or_default(),
            name: service.name,
            description: service.description,
            url: service.url.filter(|url| is_web(url)),
            contact: service.contact,
            usable,
            tokens: Vec::new(),
            ended: Vec::new(),
        }
    }

    fn add(&mut self, row: Row) {
        if row.ended { self.ended.push(row) } else { self.tokens.push(row) }
    }
}

/// Whether an address leads to a page. Whatever else it may be, `javascript:` say, is no link.
pub(super) fn is_web(url: &str) -> bool {
    let lower = url.trim_start().to_ascii_lowercase();
    lower.starts_with("https://") || lower.starts_with("http://")
}

#[derive(Template)]
#[template(path = "console/home.html")]
struct Page<'a> {
    frame: &'a Frame,
    cards: Vec<Card>,
    /// Tokens for no service that is shown, or for all of them.
    other: Vec<Row>,
    /// Where the page behind this one begins.
    older: Option<String>,
}

/// What the address of the page may say.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
}

/// The page.
pub(super) async fn page(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    // What cannot be read asks for nothing in particular.
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match gather(&person, asked).await {
        Ok((cards, other, older)) => {
            let frame = person.frame();
            page::show(StatusCode::OK, &Page { frame: &frame, cards, other, older })
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(
    person: &Person,
    asked: Asked,
) -> Result<(Vec<Card>, Vec<Row>, Option<String>), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let (realm, now) = (&caller.realm, authority.now());
    let services = authority.portal(Some(caller), realm, PageRequest::first(SERVICES_MAX)).await?;
    let mut cards: Vec<Card> = services.items.into_iter().map(Card::of).collect();
    let owner = Owner::User(person.signed_in.session.username.clone());
    let filter = TokenFilter { owner: Some(owner), ..TokenFilter::default() };
    let request = PageRequest { limit: TOKENS_MAX, after: asked.after };
    let page = authority.tokens(caller, realm, filter, request).await?;
    let mut other = Vec::new();
    for token in page.items.iter().filter(|token| token.kind != Kind::ClientKey) {
        let mut placed = false;
        if let Services::Named(labels) = &token.services {
            for card in &mut cards {
                if labels.iter().any(|label| label.as_str() == card.label) {
                    card.add(Row::of(person.visit.language, token, now));
                    placed = true;
                }
            }
        }
        if !placed {
            other.push(Row::of(person.visit.language, token, now));
        }
    }
    Ok((cards, other, page.next))
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::kind::KINDS;
    use counterfoil_authority::token::STATES;

    use super::*;

    #[test]
    fn only_addresses_of_pages_are_links() {
        assert!(is_web("https://git.example") && is_web("HTTP://git.example"));
        for other in ["javascript:alert(1)", "data:text/html,x", "//evil", "git.example", ""] {
            assert!(!is_web(other), "{other}");
        }
    }

    #[test]
    fn every_kind_and_state_has_a_word() {
        for language in [Language::English, Language::German] {
            for kind in KINDS {
                assert_ne!(
                    language.say(&format!("kind-{}", kind.name())),
                    format!("kind-{}", kind.name())
                );
            }
            for state in STATES {
                assert_ne!(
                    language.say(&format!("state-{}", state.name())),
                    format!("state-{}", state.name())
                );
            }
        }
    }
}
