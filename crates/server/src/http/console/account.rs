//! `/account`: where somebody is signed in, their passkeys, and their password.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{ConsoleRefusal, PasskeyRule};
use counterfoil_authority::console::{ConsoleSession, PASSWORD_CHARS_MIN, SignInMethod};
use counterfoil_authority::passkey::{PASSKEY_NAME_CHARS_MAX, PASSKEYS_PER_PERSON_MAX, Passkey};
use counterfoil_authority::refusal::Refusal;

use super::page::{self, Frame};
use super::posted::Posted;
use super::sign_in::farewell;
use super::times::Moment;
use super::tokens::id_of;
use super::visit::{Person, see_other};
use crate::http::query::Named;

/// The part of the page with the passkeys.
pub(super) const PASSKEYS: &str = "/account#passkeys";

/// A passkey in the list.
struct Key {
    id: String,
    name: String,
    added: Moment,
    used: Option<Moment>,
}

/// A session in the list.
struct Row {
    id: String,
    is_this: bool,
    agent: String,
    /// By what they signed in there.
    by: String,
    source: Option<String>,
    began: Moment,
    used: Moment,
    ends: Moment,
}

#[derive(Template)]
#[template(path = "console/account.html")]
struct Page<'a> {
    frame: &'a Frame,
    username: &'a str,
    sessions: Vec<Row>,
    least: usize,
    fault: Option<String>,
    changed: bool,
    /// Whether there is a password to change.
    has_password: bool,
    keys: Vec<Key>,
    /// Whether there may be one more.
    room: bool,
    keys_max: usize,
    name_max: usize,
    /// Whether a passkey is asked for after the password, and whether that is theirs to say.
    required: bool,
    by_realm: bool,
}

/// The page.
pub(super) async fn page(person: Person) -> Response {
    answer(&person, StatusCode::OK, None, false).await
}

async fn answer(
    person: &Person,
    status: StatusCode,
    fault: Option<String>,
    changed: bool,
) -> Response {
    let authority = &person.visit.state.authority;
    let sessions = match authority.console_sessions(&person.signed_in).await {
        Ok(sessions) => sessions,
        Err(refusal) => return person.failed(refusal),
    };
    let has_password = match authority.console_has_password(&person.signed_in).await {
        Ok(has) => has,
        Err(refusal) => return person.failed(refusal),
    };
    let (keys, rule) = match authority.console_passkeys(&person.signed_in).await {
        Ok(found) => found,
        Err(refusal) => return person.failed(refusal),
    };
    let (language, now) = (person.visit.language, authority.now());
    let unknown = || language.say("session-unknown-browser");
    let row = |session: ConsoleSession| Row {
        id: session.id.to_string(),
        is_this: session.id == person.signed_in.session.id,
        agent: session.agent.unwrap_or_else(unknown),
        by: match session.method {
            SignInMethod::Password => language.say("session-by-password"),
            SignInMethod::Provider => language.say("session-by-oidc"),
            SignInMethod::Proxy => language.say("session-by-proxy"),
            SignInMethod::Passkey => language.say("session-by-passkey"),
            SignInMethod::PasswordAndPasskey => language.say("session-by-both"),
        },
        source: session.source.map(|source| source.to_string()),
        began: Moment::of(language, session.created_at, now),
        used: Moment::of(language, session.used_at, now),
        ends: Moment::of(language, session.expires_at, now),
    };
    let room = keys.len() < PASSKEYS_PER_PERSON_MAX;
    let key = |passkey: Passkey| Key {
        id: passkey.id.to_string(),
        name: passkey.name,
        added: Moment::of(language, passkey.created_at, now),
        used: passkey.used_at.map(|at| Moment::of(language, at, now)),
    };
    let frame = person.frame();
    let page = Page {
        frame: &frame,
        username: person.username(),
        sessions: sessions.into_iter().map(row).collect(),
        least: PASSWORD_CHARS_MIN,
        fault,
        changed,
        has_password,
        keys: keys.into_iter().map(key).collect(),
        room,
        keys_max: PASSKEYS_PER_PERSON_MAX,
        name_max: PASSKEY_NAME_CHARS_MAX,
        required: rule != PasskeyRule::Free,
        by_realm: rule == PasskeyRule::Realm,
    };
    page::show(status, &page)
}

/// Replaces the password. The answer is the page itself: a reload repeats a change to the same
/// password, which is refused because the former one is another now.
pub(super) async fn change_password(Posted { person, fields }: Posted) -> Response {
    let frame = person.frame();
    let (former, chosen) = (fields.get("former"), fields.get("password"));
    if chosen != fields.get("again") {
        let fault = Some(frame.say("passwords-differ"));
        return answer(&person, StatusCode::UNPROCESSABLE_ENTITY, fault, false).await;
    }
    let authority = &person.visit.state.authority;
    match authority.console_change_password(&person.signed_in, former, chosen).await {
        Ok(()) => answer(&person, StatusCode::OK, None, true).await,
        Err(ConsoleRefusal::Denied) => {
            let fault = Some(frame.say("password-former-wrong"));
            answer(&person, StatusCode::FORBIDDEN, fault, false).await
        }
        Err(ConsoleRefusal::Password(fault)) => {
            let fault = Some(page::password_fault(&frame, fault));
            answer(&person, StatusCode::UNPROCESSABLE_ENTITY, fault, false).await
        }
        Err(refusal) => page::refused(&frame, &refusal),
    }
}

/// Ends one session. What is no session of theirs ends nothing.
pub(super) async fn end_one(Named(id): Named, form: Posted) -> Response {
    let person = form.person;
    let Ok(id) = id_of(&id) else { return see_other("/account") };
    let ended = person.visit.state.authority.console_end_session(&person.signed_in, id).await;
    let own = id == person.signed_in.session.id;
    answer_end(&person, ended, own)
}

/// Signs out everywhere.
pub(super) async fn end_all(Posted { person, .. }: Posted) -> Response {
    let ended = person.visit.state.authority.console_end_all(&person.signed_in).await;
    answer_end(&person, ended, true)
}

fn answer_end(person: &Person, ended: Result<(), Refusal>, own: bool) -> Response {
    match ended {
        Ok(()) if own => farewell(&person.visit),
        Ok(()) => see_other("/account"),
        Err(refusal) => person.failed(refusal),
    }
}
