//! One-time links: what opens one, for programs and for people.
//!
//! The link carries its secret in the fragment, which browsers keep to themselves, and nothing is
//! revealed by a GET: mail scanners and previews that follow links cannot use one up. The page
//! moves the fragment into a form field; without script a person pastes the link there.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use counterfoil_authority::authority::Answered;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::verdict::Door;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::{AnyBytes, Payload};
use super::caller::Arrived;
use super::envelope::Arrival;
use super::problem::{Problem, Sort};
use super::state::AppState;
use super::tokens::{TokenIssued, answer};

/// Where the page is.
pub const PAGE: &str = "/open";
/// The page's own script and style, and its own form; nobody may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const SCRIPT: &str = include_str!("../../templates/open.js");
const STYLE: &str = include_str!("../../templates/open.css");

/// The address that a person is given.
pub fn link_url(public_url: &str, link: &ClearSecret) -> String {
    format!("{public_url}{PAGE}#{}", link.reveal())
}

/// A link to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkOpening {
    /// The link, or what stands behind its `#`.
    #[schema(max_length = 2048)]
    link: String,
}

/// What a person pastes may be the whole address.
fn presented(text: &str) -> ClearSecret {
    let secret = text.rsplit_once('#').map_or(text, |(_, fragment)| fragment);
    ClearSecret::new(secret.trim().to_owned())
}

async fn open(
    state: &AppState,
    arrival: &Arrival,
    link: &ClearSecret,
    door: Door,
) -> Result<Answered, Problem> {
    let opened = state.authority.open_link(link, arrival.context(door)).await;
    let problem = match opened {
        Ok(answered) => return Ok(answered),
        Err(refusal) => Problem::from(refusal),
    };
    if problem.sort() == Sort::NotFound {
        state.authority.hold_back(arrival.source, None, None).await;
    }
    Err(problem)
}

/// Opens a one-time link: makes the secret of its token and shows it, this once. A second opening
/// is refused, and raises an alarm. Needs no other credential than the link.
#[utoipa::path(
    post, path = "/api/v1/links/open", tag = "links", security(()),
    request_body = LinkOpening,
    responses(
        (status = 200, description = "The token and its secret", body = TokenIssued),
        (status = 400, response = super::responses::Malformed),
        (status = 404, response = super::responses::NotFound),
        (status = 408, response = super::responses::RequestTimeout),
        (status = 409, response = super::responses::Conflict),
        (status = 410, response = super::responses::LinkEnded),
        (status = 413, response = super::responses::BodyTooLarge),
        (status = 415, response = super::responses::UnsupportedMediaType),
        (status = 422, response = super::responses::Invalid),
        (status = 503, response = super::responses::Unavailable),
    )
)]
pub async fn link_open(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    Payload { value, .. }: Payload<LinkOpening>,
) -> Result<Response, Problem> {
    let answered = open(&state, &arrival, &presented(&value.link), Door::Api).await?;
    Ok(answer(StatusCode::OK, answered))
}

#[derive(Template)]
#[template(path = "open.html")]
struct Page<'a> {
    /// The secret, if this is the opening.
    secret: Option<&'a str>,
    /// What the token is called.
    name: &'a str,
    /// Why there is none.
    refusal: Option<&'a str>,
}

impl Page<'_> {
    fn answer(&self, status: StatusCode) -> Response {
        // A template of plain strings cannot fail to be written.
        let mut response = (status, Html(self.render().unwrap_or_default())).into_response();
        let headers = response.headers_mut();
        let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The page with the form. Shows nothing, whoever asks.
pub(super) async fn page() -> Response {
    Page { secret: None, name: "", refusal: None }.answer(StatusCode::OK)
}

/// The link that the form sends.
/// The page with the secret, or why there is none.
pub(super) async fn page_open(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    AnyBytes(body): AnyBytes,
) -> Response {
    let opened = match form(&body) {
        Some(link) => open(&state, &arrival, &link, Door::Console).await,
        None => Err(Problem::invalid("link", "is missing")),
    };
    match opened {
        Ok(Answered::Fresh { token, secret }) => {
            let name = token.name.as_deref().unwrap_or(token.id.as_str());
            Page { secret: Some(secret.reveal()), name, refusal: None }.answer(StatusCode::OK)
        }
        // Openings are not kept for repetition.
        Ok(Answered::Replayed(_)) => page().await,
        Err(problem) => {
            let entry = problem.sort().entry();
            let page = Page { secret: None, name: "", refusal: Some(problem.detail()) };
            let mut response = page.answer(entry.status);
            if entry.status == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response
        }
    }
}

fn form(body: &[u8]) -> Option<ClearSecret> {
    let mut pairs = form_urlencoded::parse(body);
    pairs.find(|(name, _)| name == "link").map(|(_, link)| presented(&link))
}

/// The script of the page.
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

/// The style of the page.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_an_address_or_as_what_stands_behind_its_hash() {
        for text in ["cflb_x", " cflb_x\n", "https://t.example/open#cflb_x", "/open#cflb_x"] {
            assert_eq!(presented(text).reveal(), "cflb_x");
        }
        assert_eq!(form(b"link=https%3A%2F%2Ft%2Fopen%23cflb_x").unwrap().reveal(), "cflb_x");
        assert!(form(b"x=1").is_none());
    }
}
