//! A link becomes a password: the first administrator's, and that of everybody who got one.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{ChosenPassword, ConsoleRefusal, UsableLink};
use counterfoil_authority::console::PASSWORD_CHARS_MIN;
use counterfoil_authority::names::Username;
use counterfoil_authority::secret::ClearSecret;

use super::page::{self, Frame};
use super::posted::PostedByAnybody;
use super::sign_in::stepping;
use super::visit::Visit;

#[derive(Template)]
#[template(path = "console/setup.html")]
struct Opening<'a> {
    frame: &'a Frame,
}

/// The page that a link leads to. Its script moves the fragment into the form; without script a
/// person pastes the link there. Shows nothing, whoever asks.
pub(super) async fn page(visit: Visit) -> Response {
    page::show(StatusCode::OK, &Opening { frame: &visit.frame() })
}

#[derive(Template)]
#[template(path = "console/password.html")]
struct Choosing<'a> {
    frame: &'a Frame,
    link: &'a str,
    /// Whose password it is; empty for the first administrator, who says.
    username: String,
    is_first: bool,
    least: usize,
    fault: Option<String>,
}

/// What a person pastes may be the whole address.
fn presented(text: &str) -> ClearSecret {
    let secret = text.rsplit_once('#').map_or(text, |(_, fragment)| fragment);
    ClearSecret::new(secret.trim().to_owned())
}

fn choosing(
    visit: &Visit,
    link: &ClearSecret,
    usable: &UsableLink,
    typed: &str,
    fault: Option<String>,
) -> Response {
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let username = usable.username.as_ref().map_or(typed.to_owned(), ToString::to_string);
    let page = Choosing {
        frame: &visit.frame(),
        link: link.reveal(),
        username,
        is_first: usable.username.is_none(),
        least: PASSWORD_CHARS_MIN,
        fault,
    };
    page::show(status, &page)
}

/// Says whose password is to be chosen. Uses nothing up.
pub(super) async fn look(form: PostedByAnybody) -> Response {
    let PostedByAnybody { visit, fields } = form;
    let link = presented(fields.get("link"));
    match visit.state.authority.console_link(&link, visit.context()).await {
        Ok(usable) => choosing(&visit, &link, &usable, "", None),
        Err(refusal) => refused(&visit, &refusal).await,
    }
}

/// The password, twice, and for the first administrator a name.
pub(super) async fn finish(form: PostedByAnybody) -> Response {
    let PostedByAnybody { visit, fields } = form;
    let link = presented(fields.get("link"));
    let authority = &visit.state.authority;
    let usable = match authority.console_link(&link, visit.context()).await {
        Ok(usable) => usable,
        Err(refusal) => return refused(&visit, &refusal).await,
    };
    let frame = visit.frame();
    let typed = fields.get("username").trim();
    let again =
        |fault: String| choosing(&visit, &link, &usable, visit.shown_again(typed), Some(fault));
    let username = match (&usable.username, Username::parse(typed)) {
        (Some(_), _) => None,
        (None, Ok(username)) => Some(username),
        (None, Err(bad)) => return again(frame.about("username-refused", bad)),
    };
    if fields.get("password") != fields.get("again") {
        return again(frame.say("passwords-differ"));
    }
    let chosen = ChosenPassword {
        link: &link,
        username: username.as_ref(),
        password: fields.get("password"),
        agent: visit.agent.as_deref(),
    };
    match authority.console_use_link(chosen, visit.context()).await {
        Ok(step) => stepping(&visit, step, "/").await,
        Err(ConsoleRefusal::Password(fault)) => again(page::password_fault(&frame, fault)),
        Err(refusal) => refused(&visit, &refusal).await,
    }
}

/// Whoever presents links that never were ones waits, the longer the more often.
async fn refused(visit: &Visit, refusal: &ConsoleRefusal) -> Response {
    if matches!(refusal, ConsoleRefusal::NoLink) {
        visit.state.authority.hold_back(visit.arrival.source, None, None).await;
    }
    page::refused(&visit.frame(), refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_an_address_or_as_what_stands_behind_its_hash() {
        for text in ["cflb_x", " cflb_x\n", "https://t.example/setup#cflb_x"] {
            assert_eq!(presented(text).reveal(), "cflb_x");
        }
    }
}
