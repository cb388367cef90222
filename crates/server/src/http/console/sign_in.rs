//! Signing in and out.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::response::Response;
use counterfoil_authority::authority::{ConsoleRefusal, SessionBegun, SignIn, SignInStep};
use counterfoil_authority::secret::ClearSecret;
use serde::Deserialize;

use super::SIGN_IN;
use super::page::{self, Frame};
use super::passkeys::{after_password, party};
use super::posted::{Posted, PostedByAnybody};
use super::single_sign_on::offered;
use super::visit::{Visit, next_path, see_other};

#[derive(Template)]
#[template(path = "console/sign-in.html")]
struct Page<'a> {
    frame: &'a Frame,
    /// Where to go then.
    next: &'a str,
    /// What was typed as a name.
    username: &'a str,
    /// Whether it was refused.
    refused: bool,
    /// What the button of the provider says.
    provider: Option<&'a str>,
    /// Whether browsers offer passkeys here; nobody is asked for whom.
    passkeys: bool,
    /// Who they are by the word of the proxy.
    proxied: Option<&'a str>,
}

impl<'a> Page<'a> {
    fn of(visit: &'a Visit, frame: &'a Frame, next: &'a str) -> Self {
        Self {
            frame,
            next,
            username: "",
            refused: false,
            provider: offered(visit).map(|provider| provider.settings().label.as_str()),
            passkeys: party(visit).is_ok(),
            proxied: visit.proxied.as_ref().map(|proxied| proxied.username.as_str()),
        }
    }
}

/// What the address of the page may say.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

/// The form.
pub(super) async fn page(visit: Visit, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let asked = asked.map(|Query(asked)| asked.next).unwrap_or_default();
    let next = next_path(&asked);
    let presented = visit.cookie.as_ref().map_or("", ClearSecret::reveal);
    let known = visit.state.authority.console_caller(presented, visit.context()).await;
    if known.and_then(|signed_in| visit.still(signed_in)).is_ok() {
        return see_other(next);
    }
    let frame = visit.frame();
    page::show(StatusCode::OK, &Page::of(&visit, &frame, next))
}

/// Name and password.
pub(super) async fn sign_in(form: PostedByAnybody) -> Response {
    let PostedByAnybody { visit, fields } = form;
    let (username, next) = (fields.get("username").trim(), next_path(fields.get("next")));
    let sign_in = SignIn {
        realm: &visit.realm,
        username,
        password: fields.get("password"),
        agent: visit.agent.as_deref(),
        former: visit.cookie.as_ref().map(ClearSecret::reveal),
    };
    match visit.state.authority.console_sign_in(sign_in, visit.context()).await {
        Ok(step) => stepping(&visit, step, next).await,
        Err(ConsoleRefusal::Denied) => {
            let frame = visit.frame();
            let username = visit.shown_again(username);
            let page = Page { username, refused: true, ..Page::of(&visit, &frame, next) };
            page::show(StatusCode::FORBIDDEN, &page)
        }
        Err(refusal) => page::refused(&visit.frame(), &refusal),
    }
}

/// In, or on to the passkey.
pub(super) async fn stepping(visit: &Visit, step: SignInStep, next: &str) -> Response {
    match step {
        SignInStep::Begun(begun) => welcome(visit, &begun, next),
        SignInStep::Passkey(proved) => after_password(visit, &proved, next).await,
    }
}

/// Gives the browser its session, and goes on.
pub(super) fn welcome(visit: &Visit, begun: &SessionBegun, next: &str) -> Response {
    let mut response = see_other(next);
    response.headers_mut().append(header::SET_COOKIE, visit.set_cookie(Some(&begun.secret)));
    response
}

/// Back to the form, without a session.
pub(super) fn farewell(visit: &Visit) -> Response {
    let mut response = see_other(SIGN_IN);
    response.headers_mut().append(header::SET_COOKIE, visit.set_cookie(None));
    response
}

/// Ends this session.
pub(super) async fn sign_out(Posted { person, .. }: Posted) -> Response {
    let id = person.signed_in.session.id;
    match person.visit.state.authority.console_end_session(&person.signed_in, id).await {
        Ok(()) => farewell(&person.visit),
        Err(refusal) => person.failed(refusal),
    }
}
