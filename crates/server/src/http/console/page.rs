//! What every page has around it, the headers of every answer, and what is said when an act is not
//! done.

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use counterfoil_authority::authority::{ConsoleRefusal, SignedIn};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::console::{
    PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, PasswordFault, SignInLinkEnd,
};
use counterfoil_authority::passkey::{
    PASSKEY_NAME_CHARS_MAX, PASSKEYS_PER_PERSON_MAX, PasskeyFault,
};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::verdict::Door;

use super::approvals;
use super::try_again;
use super::visit::{Person, Visit};
use super::words::Language;
use crate::http::problem::{Problem, Sort};
use crate::sign_on::NoPasskeys;

/// The console's own style, script and icon, and its own forms. Nothing inline, nothing of anybody
/// else, and nobody may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What is around a page.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) language: Language,
    /// Who is signed in.
    pub(super) name: Option<String>,
    /// Whether there is something to administer for them.
    pub(super) administers: bool,
    /// Whether there may be tokens of others to decide about.
    pub(super) decides: bool,
    /// What their forms hold.
    pub(super) mark: String,
    /// What pages of administrators have besides.
    pub(super) admin: Option<Around>,
}

/// The second row of links, and the way from the first page of administrators to this one.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) links: Vec<Way>,
    pub(super) trail: Vec<Way>,
}

/// A link to a page.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) href: String,
    pub(super) words: String,
    /// Whether it leads to where one is.
    pub(super) current: bool,
}

impl Frame {
    pub(super) const fn of_visitor(language: Language) -> Self {
        Self {
            language,
            name: None,
            administers: false,
            decides: false,
            mark: String::new(),
            admin: None,
        }
    }

    pub(super) fn of_person(language: Language, signed_in: &SignedIn, mark: String) -> Self {
        let (caller, session) = (&signed_in.caller, &signed_in.session);
        let name = Some(session.username.to_string());
        let (administers, decides) = (administers(caller), approvals::may_decide(caller));
        Self { language, name, administers, decides, mark, admin: None }
    }

    /// The language of the page.
    pub(super) const fn lang(&self) -> &'static str {
        self.language.tag()
    }

    pub(super) fn say(&self, id: &str) -> String {
        self.language.say(id)
    }

    pub(super) fn about(&self, id: &str, what: impl std::fmt::Display) -> String {
        self.language.about(id, what)
    }
}

/// Whether there is something that somebody administers or audits. People see what is theirs; to
/// see what is of others is to administer it.
pub(super) fn administers(caller: &Caller) -> bool {
    [ApiScope::TokensRead, ApiScope::UsersRead, ApiScope::ServicesRead].into_iter().any(|scope| {
        caller
            .reach(&caller.realm, scope)
            .is_ok_and(|reach| reach.whole || !reach.units.is_empty() || !reach.services.is_empty())
    })
}

/// A page.
pub(super) fn show(status: StatusCode, page: &impl Template) -> Response {
    // Templates of plain values cannot fail to be written.
    let mut response = (status, Html(page.render().unwrap_or_default())).into_response();
    dress(response.headers_mut());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The headers of every answer of the console. Nothing of it is kept by a browser or proxy, so the
/// button "back" shows nothing after somebody signed out.
pub(super) fn dress(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer`, browsers would send `Origin: null` with our own forms (Fetch,
        // section 3.1).
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "cookie, accept-language"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let own = HeaderValue::from_static("same-origin");
    headers.insert("cross-origin-opener-policy", own.clone());
    headers.insert("cross-origin-resource-policy", own);
}

#[derive(Template)]
#[template(path = "console/message.html")]
struct Message<'a> {
    frame: &'a Frame,
    title: String,
    lines: Vec<String>,
    /// Whether there is a way on.
    home: bool,
}

fn message(frame: &Frame, status: StatusCode, title: String, lines: Vec<String>) -> Response {
    show(status, &Message { frame, title, lines, home: true })
}

/// Why nobody signs in over this connection.
pub(super) fn insecure(visit: &Visit) -> Response {
    let frame = visit.frame();
    let lines = ["insecure-why", "insecure-tls", "insecure-proxy", "insecure-local"];
    let lines = lines.map(|id| frame.say(id)).to_vec();
    let title = frame.say("insecure-title");
    show(StatusCode::FORBIDDEN, &Message { frame: &frame, title, lines, home: false })
}

/// A form that did not come from a page of ours, or from one of another session.
pub(super) fn foreign_form(frame: &Frame) -> Response {
    let lines = vec![frame.say("foreign-form-why"), frame.say("foreign-form-what")];
    message(frame, StatusCode::FORBIDDEN, frame.say("foreign-form-title"), lines)
}

/// What is said of an act that was not done.
pub(super) fn refused(frame: &Frame, refusal: &ConsoleRefusal) -> Response {
    match refusal {
        ConsoleRefusal::Refused(refusal) => failed(frame, refusal.clone()),
        ConsoleRefusal::Denied => {
            message(frame, StatusCode::FORBIDDEN, frame.say("problem-forbidden"), Vec::new())
        }
        ConsoleRefusal::NotAdmitted => {
            let lines = ["not-admitted-why", "not-admitted-what"].map(|id| frame.say(id)).to_vec();
            message(frame, StatusCode::FORBIDDEN, frame.say("not-admitted-title"), lines)
        }
        ConsoleRefusal::NoLink => {
            let lines = vec![frame.say("link-unknown")];
            message(frame, StatusCode::NOT_FOUND, frame.say("link-ended-title"), lines)
        }
        ConsoleRefusal::LinkEnded(end) => {
            let lines = vec![link_end(frame, *end)];
            message(frame, StatusCode::GONE, frame.say("link-ended-title"), lines)
        }
        ConsoleRefusal::Passkey(fault) => {
            let lines = vec![passkey_fault(frame, *fault)];
            let title = frame.say("passkey-refused-title");
            message(frame, StatusCode::UNPROCESSABLE_ENTITY, title, lines)
        }
        ConsoleRefusal::Password(fault) => {
            let lines = vec![password_fault(frame, *fault)];
            message(
                frame,
                StatusCode::UNPROCESSABLE_ENTITY,
                frame.say("password-refused-title"),
                lines,
            )
        }
    }
}

/// There is nothing at this address, or it is switched off.
pub(super) fn no_such_page(frame: &Frame) -> Response {
    let lines = vec![frame.say("problem-not-found-what")];
    message(frame, StatusCode::NOT_FOUND, frame.say("problem-not-found"), lines)
}

/// Nobody is refused because the provider is away: they may come in another time, or otherwise.
pub(super) fn provider_away(frame: &Frame) -> Response {
    let lines = ["provider-away-why", "provider-away-what"].map(|id| frame.say(id)).to_vec();
    message(frame, StatusCode::SERVICE_UNAVAILABLE, frame.say("provider-away-title"), lines)
}

/// What the provider sent them back with says nothing. Why, those know who read the events.
pub(super) fn provider_refused(frame: &Frame) -> Response {
    let lines = vec![frame.say("provider-refused-why")];
    message(frame, StatusCode::FORBIDDEN, frame.say("provider-refused-title"), lines)
}

fn link_end(frame: &Frame, end: SignInLinkEnd) -> String {
    match end {
        SignInLinkEnd::Used => frame.say("link-used"),
        SignInLinkEnd::Expired => frame.say("link-expired"),
        SignInLinkEnd::Superseded => frame.say("link-superseded"),
    }
}

/// Why a password is not taken.
pub(super) fn password_fault(frame: &Frame, fault: PasswordFault) -> String {
    match fault {
        PasswordFault::TooShort => frame.about("password-too-short", PASSWORD_CHARS_MIN),
        PasswordFault::TooLong => frame.about("password-too-long", PASSWORD_BYTES_MAX),
        PasswordFault::Common => frame.say("password-common"),
        PasswordFault::HoldsName => frame.say("password-holds-name"),
    }
}

/// Why a passkey is not taken.
fn passkey_fault(frame: &Frame, fault: PasskeyFault) -> String {
    match fault {
        PasskeyFault::TooMany => frame.about("passkey-too-many", PASSKEYS_PER_PERSON_MAX),
        PasskeyFault::Known => frame.say("passkey-known"),
        PasskeyFault::BadName => frame.about("passkey-bad-name", PASSKEY_NAME_CHARS_MAX),
        PasskeyFault::BadAnswer => frame.say("passkey-bad-answer"),
        PasskeyFault::None => frame.say("passkey-none-to-ask"),
    }
}

/// Why browsers offer no passkeys here.
pub(super) fn no_passkeys(frame: &Frame, why: NoPasskeys, url: &str) -> Response {
    let why = match why {
        NoPasskeys::NoHostName => "passkey-no-host",
        NoPasskeys::PlainHttp => "passkey-plain-http",
        NoPasskeys::BadUrl => "passkey-bad-url",
    };
    let lines = vec![frame.about(why, url), frame.say("passkey-unavailable-what")];
    message(frame, StatusCode::CONFLICT, frame.say("passkey-unavailable-title"), lines)
}

/// What a device answered lets nobody in. Why, those know who read the events.
pub(super) fn passkey_refused(frame: &Frame) -> Response {
    let lines = vec![frame.say("passkey-denied-why")];
    message(frame, StatusCode::FORBIDDEN, frame.say("passkey-denied-title"), lines)
}

/// The same for what can come of every act. The detail is the one that the API gives.
pub(super) fn failed(frame: &Frame, refusal: Refusal) -> Response {
    let problem = Problem::from(refusal);
    let entry = problem.sort().entry();
    let (title, lines) = match problem.sort() {
        Sort::Unavailable => {
            (frame.say("problem-unavailable"), vec![frame.say("problem-unavailable-what")])
        }
        Sort::NotFound => {
            (frame.say("problem-not-found"), vec![frame.say("problem-not-found-what")])
        }
        Sort::InsufficientScope | Sort::BeyondGrant => {
            (frame.say("problem-forbidden"), vec![problem.detail().to_owned()])
        }
        _ => (frame.say("problem-refused"), vec![problem.detail().to_owned()]),
    };
    message(frame, entry.status, title, lines)
}

impl Person {
    /// Says that an act was not done, and records it where somebody tried what is not theirs.
    pub(super) fn failed(&self, refusal: Refusal) -> Response {
        let problem = Problem::from(refusal.clone());
        if matches!(problem.sort(), Sort::InsufficientScope | Sort::BeyondGrant) {
            let (authority, caller) = (&self.visit.state.authority, &self.signed_in.caller);
            debug_assert_eq!(caller.origin.door, Door::Console);
            let now = authority.now();
            match authority.event("api.refused", &caller.realm, &caller.origin, now) {
                Ok(event) => {
                    let event = event.with_reason(problem.sort().entry().slug);
                    authority.record_refusal(event.refused());
                }
                Err(error) => tracing::error!(%error, "a refusal could not be recorded"),
            }
        }
        try_again::instead(self, failed(&self.frame(), refusal))
    }
}
