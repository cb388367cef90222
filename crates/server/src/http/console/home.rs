//! `/`: the services that somebody may use, each with their tokens for it.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::PortalService;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::notice::NOTICES_DAYS;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{PageRequest, TokenFilter, UseDay};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{State, Token};
use serde::Deserialize;

use super::page::{self, Frame};
use super::services::seen;
use super::times::Moment;
use super::uses::{self, Chart};
use super::visit::Person;
use super::words::Language;

/// Services on the page; nobody looks through more of them without a search.
const SERVICES_MAX: u32 = 200;
/// Tokens on one page.
const TOKENS_MAX: u32 = 200;
/// Tokens of the page that are shown with a chart: those that were used last.
const CHARTS_MAX: usize = 50;
/// How long before its end a token is pointed at, in seconds: as long as letters tell of it.
const SOON_SECONDS: i64 = NOTICES_DAYS[0] * 86_400;
/// How long after its end it still is.
const ENDED_SECONDS: i64 = 86_400;

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
    /// Through which door it was last used, in words, where that is known.
    pub(super) last_door: Option<String>,
    pub(super) chart: Option<Chart>,
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
            last_door: None,
            chart: None,
        }
    }

    /// With what is known of its days.
    pub(super) fn with_days(mut self, language: Language, days: &[UseDay], now: Timestamp) -> Self {
        let latest = days.iter().max_by_key(|one| one.last_at);
        self.last_door = latest.map(|one| uses::door(language, one.door));
        self.chart = Chart::of(language, days, now);
        self
    }
}

/// Something that somebody should know before they look at anything else.
struct Notice {
    id: String,
    name: String,
    /// When the token ends; `None`: it waits for approval.
    end: Option<Moment>,
    /// Whether that has come.
    ended: bool,
    /// The service where another one can be made.
    label: Option<String>,
}

impl Notice {
    fn of(language: Language, token: &Token, now: Timestamp) -> Option<Self> {
        let end = match token.state(now) {
            State::Pending => None,
            State::Active => {
                let end = token.validity.expires_at()?;
                if end > now.plus_seconds(SOON_SECONDS) {
                    return None;
                }
                Some(Moment::of(language, end, now))
            }
            State::Expired => {
                let end = token.validity.expires_at()?;
                if end.plus_seconds(ENDED_SECONDS) <= now {
                    return None;
                }
                Some(Moment::of(language, end, now))
            }
            _ => return None,
        };
        let ended = matches!(token.state(now), State::Expired);
        let label = match &token.services {
            Services::Named(labels) => labels.first().map(ToString::to_string),
            Services::All => None,
        };
        let id = token.id.to_string();
        Some(Self { name: token.name.clone().unwrap_or_else(|| id.clone()), id, end, ended, label })
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
    /// Whom to write to, if that is an address of mail.
    mail: Option<String>,
    /// Who sees it, in words.
    seen: String,
    /// Whose members may use it.
    group: Option<String>,
    member: bool,
    /// Whether they join and leave that group by themselves.
    open: bool,
    usable: bool,
    tokens: Vec<Row>,
    ended: Vec<Row>,
}

impl Card {
    fn of(language: Language, service: PortalService) -> Self {
        let PortalService { service, usable, member, open } = service;
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
            mail: service.contact.clone().filter(|contact| is_mail(contact)),
            contact: service.contact,
            seen: seen(language, service.visibility),
            group: service.group.map(|group| group.to_string()),
            member,
            open,
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

/// Whether a text is an address of mail and nothing that a mail program would take for more.
fn is_mail(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@.-_+".contains(c);
    let parts = text.split_once('@');
    text.chars().all(plain)
        && parts.is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
}

#[derive(Template)]
#[template(path = "console/home.html")]
struct Page<'a> {
    frame: &'a Frame,
    notices: Vec<Notice>,
    /// Whether they could make the first service.
    founds: bool,
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
        Ok(Gathered { notices, cards, other, older }) => {
            let frame = person.frame();
            let caller = &person.signed_in.caller;
            let founds = caller.require_whole(&caller.realm, ApiScope::ServicesWrite).is_ok();
            let page = Page { frame: &frame, notices, founds, cards, other, older };
            page::show(StatusCode::OK, &page)
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// What stands on the page.
struct Gathered {
    notices: Vec<Notice>,
    cards: Vec<Card>,
    other: Vec<Row>,
    older: Option<String>,
}

/// Of these tokens those whose days are worth asking for: the ones that were used last.
fn lately_used(tokens: &[Token], now: Timestamp) -> Vec<Token> {
    let since = now.plus_seconds(-uses::CHART_DAYS * 86_400);
    let mut used: Vec<&Token> =
        tokens.iter().filter(|token| token.usage.last_at.is_some_and(|at| at > since)).collect();
    used.sort_by_key(|token| std::cmp::Reverse(token.usage.last_at));
    used.into_iter().take(CHARTS_MAX).cloned().collect()
}

async fn gather(person: &Person, asked: Asked) -> Result<Gathered, Refusal> {
    let language = person.visit.language;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let (realm, now) = (&caller.realm, authority.now());
    let services = authority.portal(Some(caller), realm, PageRequest::first(SERVICES_MAX)).await?;
    let services = authority.with_openings(caller, services.items).await?;
    let mut cards: Vec<Card> =
        services.into_iter().map(|service| Card::of(language, service)).collect();
    let owner = Owner::User(person.signed_in.session.username.clone());
    let filter = TokenFilter { owner: Some(owner), ..TokenFilter::default() };
    let request = PageRequest { limit: TOKENS_MAX, after: asked.after };
    let page = authority.tokens(caller, realm, filter, request).await?;
    let shown = |token: &&Token| token.kind != Kind::ClientKey && token.otp.is_none();
    let days = authority.own_days(caller, &lately_used(&page.items, now)).await?;
    let row = |token: &Token| {
        Row::of(language, token, now).with_days(language, uses::of_token(&days, token.id), now)
    };
    let (mut other, mut notices) = (Vec::new(), Vec::new());
    for token in page.items.iter().filter(shown) {
        notices.extend(Notice::of(language, token, now));
        let mut placed = false;
        if let Services::Named(labels) = &token.services {
            for card in &mut cards {
                if labels.iter().any(|label| label.as_str() == card.label) {
                    card.add(row(token));
                    placed = true;
                }
            }
        }
        if !placed {
            other.push(row(token));
        }
    }
    Ok(Gathered { notices, cards, other, older: page.next })
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
    fn only_addresses_of_mail_are_written_to() {
        assert!(is_mail("help@example.org") && is_mail("a.b+c@sub.example.org"));
        for other in ["help", "help@", "@example.org", "a@b?cc=x@y.z", "a@localhost", "a b@c.d"] {
            assert!(!is_mail(other), "{other}");
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
