//! `R/calendar.ics`: when tokens end, as a calendar that programs subscribe to (RFC 5545).
//!
//! What opens it is a token for this API with `tokens:read`, in `Authorization` and never in the
//! address: addresses of calendars are passed on, synchronised and logged. Programs that subscribe
//! know `Basic` and no other scheme, so it is taken here too.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::Sender;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::token::{State as TokenState, Token};
use serde::Deserialize;
use utoipa::IntoParams;

use super::authz::credential::{Credential, basic};
use super::caller::{Arrived, authenticated, authenticated_sender};
use super::oauth::form;
use super::problem::Problem;
use super::query::{At, StrictQuery};
use super::responses::Looks;
use super::state::AppState;
use super::wire::ServiceWord;

/// Ends that a calendar holds at most, and tokens looked at for one page of them: programs fetch it
/// by the hour.
const ENDS_MAX: usize = 5_000;
const TOKENS_PER_PAGE: u32 = 1_000;
/// Octets of a line without its end (RFC 5545 section 3.1).
const LINE_OCTETS_MAX: usize = 75;

/// Whoever subscribed, by `Bearer`, `DPoP` or `Basic`.
pub struct Subscriber(Caller);

impl FromRequestParts<AppState> for Subscriber {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let Arrived(arrival) = Arrived::from_request_parts(parts, state)
            .await
            .map_err(axum::response::IntoResponse::into_response)?;
        let once = parts.headers.get_all(header::AUTHORIZATION).iter().count() == 1;
        let found = match basic(&parts.headers).filter(|_| once) {
            None => authenticated(state, &arrival, parts).await,
            Some(Credential::Token { username, token }) => {
                let proved = form::confirmed(&arrival, None);
                // An empty name names nobody.
                let name = username.as_deref().filter(|name| !name.is_empty());
                let sender = Sender { name, proved: &proved };
                authenticated_sender(state, &arrival, token.reveal(), sender).await
            }
            Some(_) => Err(Problem::unauthenticated(true)),
        };
        let caller = found.map_err(|problem| challenged(problem.into_response()))?;
        arrival.recognise(&caller.realm, &caller.origin);
        Ok(Self(caller))
    }
}

/// A program that subscribes asks its user for name and password where it reads this.
fn challenged(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        let basic = HeaderValue::from_static(r#"Basic realm="counterfoil", charset="UTF-8""#);
        response.headers_mut().append(header::WWW_AUTHENTICATE, basic);
    }
    response
}

/// Whose ends.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CalendarQuery {
    /// Those of this service's tokens, as far as the caller sees them; their own unless given.
    #[param(value_type = Option<String>)]
    service: Option<ServiceWord>,
}

/// The ends of tokens that are good now, as a calendar: the caller's own, or those of a service.
///
/// `Authorization: Basic` is taken as well as `Bearer`, with the token as password and its owner's
/// name as user name. At most 5000 ends.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/calendar.ics", tag = "tokens",
    operation_id = "calendar_show",
    params(("realm" = String, Path, description = "The realm"), CalendarQuery),
    security(("bearer" = []), ("basic" = [])),
    responses(
        (status = 200, description = "A calendar", body = String, content_type = "text/calendar"),
        Looks
    )
)]
pub async fn calendar_show(
    State(state): State<AppState>,
    Subscriber(caller): Subscriber,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<CalendarQuery>,
) -> Result<Response, Problem> {
    let service = query.service.map(|label| label.0);
    // Whoever misspells one must not read for ever that nothing ends.
    if let Some(label) = &service {
        state.authority.service_of_tokens(&caller, &realm, label).await?;
    }
    let name = match &service {
        Some(label) => format!("Tokens of {label}"),
        None => format!("Tokens of {}", caller.subject.name()),
    };
    let owner = service.is_none().then(|| caller.subject.clone());
    let now = state.authority.now();
    let filter = TokenFilter {
        owner,
        service,
        state: Some(TokenState::Active),
        // Everything that ends at all.
        expires_before: Some(Timestamp::from_micros(i64::MAX)),
        ..TokenFilter::default()
    };
    let mut calendar = Calendar::new(&name);
    let (mut page, mut written) = (PageRequest::first(TOKENS_PER_PAGE), 0);
    loop {
        let found = state.authority.tokens(&caller, &realm, filter.clone(), page).await?;
        // A fleet's own tokens end by the hour, and nobody replaces them by hand.
        let shown = found.items.iter().filter(|token| token.kind != Kind::AuthToken);
        for token in shown.take(ENDS_MAX - written) {
            calendar.end(token, now, &state.settings.public_url);
            written += 1;
        }
        match found.next {
            Some(after) if written < ENDS_MAX => {
                page = PageRequest { limit: TOKENS_PER_PAGE, after: Some(after) };
            }
            _ => break,
        }
    }
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, calendar.written()).into_response())
}

/// A calendar that is being written.
struct Calendar(String);

impl Calendar {
    fn new(name: &str) -> Self {
        let mut calendar = Self(String::new());
        calendar.line("BEGIN", "VCALENDAR");
        calendar.line("VERSION", "2.0");
        calendar.line("PRODID", "-//Counterfoil//Ends of tokens//EN");
        // RFC 7986 sections 5.1 and 5.7; the other name is what most programs read.
        calendar.line("NAME", &text(name));
        calendar.line("X-WR-CALNAME", &text(name));
        calendar.line("REFRESH-INTERVAL;VALUE=DURATION", "PT12H");
        calendar
    }

    /// The end of a token, if it has one. Its UID stays, so that an end that is moved moves.
    fn end(&mut self, token: &Token, now: Timestamp, public_url: &str) {
        let Some(ends) = token.validity.expires_at() else { return };
        let name = token.name.clone().unwrap_or_else(|| token.id.to_string());
        let services = token.service_labels().join(", ");
        let owner = token.owner.name();
        let id = token.id;
        self.line("BEGIN", "VEVENT");
        self.line("UID", &format!("{id}@counterfoil"));
        self.line("DTSTAMP", &instant(now));
        self.line("DTSTART", &instant(ends));
        self.line("SEQUENCE", &(token.version - 1).max(0).to_string());
        self.line("SUMMARY", &text(&format!("{services}: {name} ends")));
        let kind = token.kind.name();
        let what = format!("Token {id} ({kind}) of {owner} for {services}");
        self.line("DESCRIPTION", &text(&what));
        self.line("URL", &format!("{public_url}/tokens/{id}"));
        self.line("TRANSP", "TRANSPARENT");
        self.line("END", "VEVENT");
    }

    fn written(mut self) -> String {
        self.line("END", "VCALENDAR");
        self.0
    }

    /// A content line, folded between characters (RFC 5545 section 3.1).
    fn line(&mut self, name: &str, value: &str) {
        let mut used = 0;
        for c in name.chars().chain([':']).chain(value.chars()) {
            if used + c.len_utf8() > LINE_OCTETS_MAX {
                self.0.push_str("\r\n ");
                used = 1;
            }
            self.0.push(c);
            used += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

/// A text as a value (RFC 5545 section 3.3.11), without what no value may hold.
fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// An instant in UTC, in form 2 of RFC 5545 section 3.3.5: `20261201T120000Z`.
fn instant(at: Timestamp) -> String {
    Timestamp::from_seconds(at.seconds()).to_string().replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_no_marks_between_its_numbers() {
        assert_eq!(instant(Timestamp::from_seconds(1_796_126_400)), "20261201T120000Z");
        assert_eq!(instant(Timestamp::from_micros(1_796_126_400_999_999)), "20261201T120000Z");
    }

    #[test]
    fn a_text_can_begin_no_line_of_its_own() {
        let name = "a,b;c\\d\r\nEND:VEVENT\u{7}";
        assert_eq!(text(name), "a\\,b\\;c\\\\d\\nEND:VEVENT");
    }

    #[test]
    fn a_line_is_folded_between_characters_and_comes_back_as_it_was() {
        let mut calendar = Calendar(String::new());
        let value = "ü€𝄞x".repeat(40);
        calendar.line("SUMMARY", &value);
        for line in calendar.0.split("\r\n") {
            assert!(line.len() <= LINE_OCTETS_MAX, "{line}");
        }
        assert_eq!(calendar.0.replace("\r\n ", ""), format!("SUMMARY:{value}\r\n"));
    }
}
