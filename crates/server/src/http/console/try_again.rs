//! What somebody had typed is not lost because it cannot be done just now: the page that says so
//! holds their form, and a button sends it again.

use askama::Template;
use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use zeroize::Zeroizing;

use super::page::{self, Frame};
use super::posted::{self, Fields};
use super::step_up::PLACE;
use super::visit::{Person, Visit};
use crate::http::state::AppState;

/// What no page holds again: passwords and keys, and what is looked for, which may be a secret.
const NEVER: [&str; 5] = ["password", "again", "former", "secret", "what"];

/// A form as it was sent.
pub(super) struct Sent(Vec<(String, Zeroizing<String>)>);

impl Sent {
    /// The form of these fields; `None` if it holds something that is to be typed anew.
    pub(super) fn of(fields: &Fields) -> Option<Self> {
        if fields.pairs().any(|(name, _)| NEVER.contains(&name)) {
            return None;
        }
        let place = fields.proof(PLACE);
        let place = (!place.is_empty()).then_some((PLACE, place));
        let pairs = fields.pairs().chain(place);
        Some(Self(pairs.map(|(name, value)| (name.into(), Zeroizing::new(value.into()))).collect()))
    }

    /// The page with the form, which goes to `place` again.
    pub(super) fn show(&self, frame: &Frame, place: &str) -> Response {
        let fields = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        page::show(StatusCode::SERVICE_UNAVAILABLE, &Page { frame, place, fields })
    }
}

#[derive(Template)]
#[template(path = "console/try-again.html")]
struct Page<'a> {
    frame: &'a Frame,
    place: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

/// In place of `answer`, which says only that it cannot be done just now, the page with the form.
pub(super) fn instead(person: &Person, answer: Response) -> Response {
    match &person.sent {
        Some(sent) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
            sent.show(&person.frame(), person.visit.uri.path())
        }
        _ => answer,
    }
}

/// The same where nobody could find out who sent it. Whose form it is, is asked when it comes
/// again; until then it has to come from here, as every form.
pub(super) async fn unread(
    mut parts: Parts,
    body: Body,
    state: &AppState,
    answer: Response,
) -> Response {
    if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
        return answer;
    }
    let Ok(visit) = Visit::from_request_parts(&mut parts, state).await else { return answer };
    if !visit.is_from_us(&parts.headers, false) {
        return answer;
    }
    let fields = posted::read(Request::from_parts(parts, body), state).await;
    match fields.as_ref().and_then(Sent::of) {
        Some(sent) => sent.show(&visit.frame(), visit.uri.path()),
        None => answer,
    }
}
