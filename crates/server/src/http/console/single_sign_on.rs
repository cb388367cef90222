//! Signing in by the word of an OpenID provider, or of the reverse proxy in front.
//!
//! Somebody leaves by a form, and comes back by a link: the one GET that acts. It does so only with
//! what their browser was given when they left, and once. They leave by a page and not by a
//! redirection, because the policy of our pages lets forms lead nowhere but here.

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use counterfoil_authority::authority::{ConsoleRefusal, Leaving as Way, SignedIn, VouchedSignIn};
use counterfoil_authority::clock::{Entropy, NoEntropy, Timestamp};
use counterfoil_authority::console::SignInMethod;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::single_sign_on::{FLOW_SECONDS, Vouched};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::page::{self, Frame};
use super::posted::{Fields, Posted, PostedByAnybody};
use super::sign_in::welcome;
use super::step_up::PLACE;
use super::visit::{Person, Visit, next_path, see_other};
use super::{CALLBACK, SIGN_IN};
use crate::http::state::AppState;
use crate::sign_on::{Provider, ProviderFault, Question};

/// The routes of this file.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/sign-in/oidc", post(leave))
        .route(CALLBACK, get(back))
        .route("/sign-in/proxy", post(by_proxy))
        .route("/step-up/oidc", post(leave_again))
}

/// The provider, where it is one of this realm.
pub(super) fn offered(visit: &Visit) -> Option<&Provider> {
    let provider = visit.state.provider.as_ref();
    provider.filter(|provider| provider.settings().realm == visit.realm)
}

/// What somebody had begun when they left.
#[derive(Serialize, Deserialize)]
struct Begun {
    state: String,
    nonce: String,
    verifier: String,
    /// When they left, in seconds.
    at: i64,
    /// Where to go on.
    next: String,
    /// Of somebody who is signed in: their session, and the form they had sent.
    again: Option<Again>,
}

/// Somebody who is signed in, and the form that they go on with when they have proved it anew.
#[derive(Serialize, Deserialize)]
pub(super) struct Again {
    session: String,
    fields: Vec<(String, String)>,
}

impl Again {
    pub(super) fn of(person: &Person, fields: &Fields) -> Self {
        Self {
            session: person.signed_in.session.id.to_string(),
            fields: fields.pairs().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }

    /// Whether it is this session that goes on.
    pub(super) fn is_of(&self, signed_in: &SignedIn) -> bool {
        signed_in.session.id.as_str() == self.session
    }
}

/// 256 random bits.
fn drawn(entropy: &dyn Entropy) -> Result<String, NoEntropy> {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

#[derive(Template)]
#[template(path = "console/leaving.html")]
struct Leaving<'a> {
    frame: &'a Frame,
    label: &'a str,
    url: &'a str,
}

/// Off to the provider.
async fn leave(PostedByAnybody { visit, fields }: PostedByAnybody) -> Response {
    leaving(&visit, next_path(fields.get("next")), None).await
}

/// The same for somebody who is signed in and has to prove it anew.
async fn leave_again(Posted { person, fields }: Posted) -> Response {
    let again = Again::of(&person, &fields);
    leaving(&person.visit, next_path(fields.proof(PLACE)), Some(again)).await
}

async fn leaving(visit: &Visit, next: &str, again: Option<Again>) -> Response {
    let frame = visit.frame();
    let Some(provider) = offered(visit) else { return page::no_such_page(&frame) };
    match begin(visit, provider, next, again).await {
        Ok((url, held)) => {
            let label = &provider.settings().label;
            let page = Leaving { frame: &frame, label, url: &url };
            let mut response = page::show(StatusCode::OK, &page);
            response.headers_mut().append(header::SET_COOKIE, visit.set_flow(Some(&held)));
            response
        }
        Err(Stopped::Fault(fault)) => stopped(visit, fault),
        Err(Stopped::Refused(refusal)) => page::failed(&frame, refusal),
    }
}

/// Why somebody does not get away.
enum Stopped {
    Fault(ProviderFault),
    Refused(Refusal),
}

async fn begin(
    visit: &Visit,
    provider: &Provider,
    next: &str,
    again: Option<Again>,
) -> Result<(String, ClearSecret), Stopped> {
    let authority = &visit.state.authority;
    let (entropy, now) = (authority.entropy(), authority.now());
    let draw = || drawn(entropy).map_err(|none| Stopped::Refused(none.into()));
    let begun = Begun {
        state: draw()?,
        nonce: draw()?,
        verifier: draw()?,
        at: now.seconds(),
        next: next.to_owned(),
        again,
    };
    let redirect_uri = redirect_uri(visit);
    let question = begun.question(&redirect_uri);
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(begun.verifier.as_bytes()));
    let step_up = authority.settings().console.step_up_seconds;
    let again = begun.again.as_ref().map(|_| step_up);
    let url = provider.ask(question, &challenge, again).await.map_err(Stopped::Fault)?;
    // Plain values cannot fail to be written.
    let bytes = zeroize::Zeroizing::new(serde_json::to_vec(&begun).unwrap_or_default());
    let who = match (&begun.again, &visit.cookie) {
        (Some(_), Some(session)) => Way::SignedIn(session),
        _ => Way::Anybody(visit.flow.as_ref()),
    };
    let held = authority.console_flow_begin(&visit.realm, who, &bytes, FLOW_SECONDS).await;
    Ok((url.into(), held.map_err(Stopped::Refused)?))
}

impl Begun {
    fn question<'a>(&'a self, redirect_uri: &'a str) -> Question<'a> {
        Question {
            redirect_uri,
            state: &self.state,
            nonce: &self.nonce,
            verifier: &self.verifier,
            proved_since: self.again.as_ref().map(|_| Timestamp::from_seconds(self.at)),
        }
    }
}

fn redirect_uri(visit: &Visit) -> String {
    format!("{}{CALLBACK}", visit.state.settings.public_url)
}

/// What a provider sends somebody back with (RFC 6749 section 4.1.2).
#[derive(Deserialize)]
struct Returned {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Back from the provider.
async fn back(visit: Visit, returned: Result<Query<Returned>, QueryRejection>) -> Response {
    let mut response = match offered(&visit) {
        Some(provider) => returning(&visit, provider, returned.ok().map(|Query(all)| all)).await,
        None => page::no_such_page(&visit.frame()),
    };
    // Whatever came of it: it is over.
    response.headers_mut().append(header::SET_COOKIE, visit.set_flow(None));
    response
}

async fn returning(visit: &Visit, provider: &Provider, returned: Option<Returned>) -> Response {
    let begun = match begun_by(visit).await {
        Ok(begun) => begun,
        Err(refusal) => return page::refused(&visit.frame(), &refusal),
    };
    let known = begun.zip(returned);
    let known = known.filter(|(begun, all)| all.state.as_ref() == Some(&begun.state));
    let Some((begun, returned)) = known else {
        return stopped(visit, ProviderFault::Refused("state"));
    };
    match asked(visit, provider, &begun, &returned).await {
        Ok(vouched) => arrived(visit, provider, begun, &vouched).await,
        Err(fault) => stopped(visit, fault),
    }
}

/// What the browser had begun, once.
async fn begun_by(visit: &Visit) -> Result<Option<Begun>, ConsoleRefusal> {
    let Some(held) = &visit.flow else { return Ok(None) };
    let bytes = visit.state.authority.console_flow_take(&visit.realm, held).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

async fn asked(
    visit: &Visit,
    provider: &Provider,
    begun: &Begun,
    returned: &Returned,
) -> Result<Vouched, ProviderFault> {
    provider.answers(returned.iss.as_deref()).await?;
    match (&returned.error, &returned.code) {
        (Some(error), _) if error == "server_error" || error == "temporarily_unavailable" => {
            Err(ProviderFault::Away("it says that it is in trouble"))
        }
        (None, Some(code)) => {
            let redirect_uri = redirect_uri(visit);
            provider.redeem(code, begun.question(&redirect_uri)).await
        }
        _ => Err(ProviderFault::Refused("provider_refused")),
    }
}

/// Says why nobody is signed in: the provider is away, which is no denial, or its answer was not
/// good.
fn stopped(visit: &Visit, fault: ProviderFault) -> Response {
    let frame = visit.frame();
    match fault {
        ProviderFault::Away(why) => {
            tracing::warn!(why, "the OpenID provider of the console is away");
            page::provider_away(&frame)
        }
        ProviderFault::Refused(reason) => {
            let authority = &visit.state.authority;
            match authority.console_refuse_answer(&visit.realm, reason, visit.context()) {
                Ok(()) => page::provider_refused(&frame),
                Err(refusal) => page::failed(&frame, refusal),
            }
        }
    }
}

async fn arrived(visit: &Visit, provider: &Provider, begun: Begun, vouched: &Vouched) -> Response {
    if let Some(again) = begun.again {
        return proved(visit, &begun.next, &again, vouched).await;
    }
    let settings = provider.settings();
    let sign_in = VouchedSignIn {
        realm: &visit.realm,
        vouched,
        method: SignInMethod::Provider,
        rules: &settings.roles,
        accounts: settings.accounts,
        agent: visit.agent.as_deref(),
        former: visit.cookie.as_ref().map(ClearSecret::reveal),
    };
    signed_in(visit, sign_in, &begun.next).await
}

async fn signed_in(visit: &Visit, sign_in: VouchedSignIn<'_>, next: &str) -> Response {
    match visit.state.authority.console_sign_in_vouched(sign_in, visit.context()).await {
        Ok(begun) => welcome(visit, &begun, next),
        Err(refusal) => page::refused(&visit.frame(), &refusal),
    }
}

#[derive(Template)]
#[template(path = "console/go-on.html")]
struct GoingOn<'a> {
    frame: &'a Frame,
    place: &'a str,
    fields: &'a [(String, String)],
}

/// Somebody who is signed in has proved it anew, and goes on with the form they had sent.
async fn proved(visit: &Visit, place: &str, again: &Again, vouched: &Vouched) -> Response {
    let authority = &visit.state.authority;
    let presented = visit.cookie.as_ref().map_or("", ClearSecret::reveal);
    let signed_in = match authority.console_caller(presented, visit.context()).await {
        Ok(signed_in) if again.is_of(&signed_in) => signed_in,
        // Meanwhile somebody signed out, or in as somebody else.
        Ok(_) | Err(ConsoleRefusal::Denied) => return see_other(SIGN_IN),
        Err(refusal) => return page::refused(&visit.frame(), &refusal),
    };
    match authority.console_prove_vouched(&signed_in, vouched).await {
        Ok(()) => go_on(&Person::frame_of(visit, &signed_in), place, again),
        Err(ConsoleRefusal::Denied) => page::provider_refused(&visit.frame()),
        Err(refusal) => page::refused(&visit.frame(), &refusal),
    }
}

/// On with the form they had sent.
pub(super) fn go_on(frame: &Frame, place: &str, again: &Again) -> Response {
    page::show(StatusCode::OK, &GoingOn { frame, place, fields: &again.fields })
}

/// In by the word of the proxy.
async fn by_proxy(PostedByAnybody { visit, fields }: PostedByAnybody) -> Response {
    let (Some(settings), Some(vouched)) = (&visit.state.settings.console_proxy, &visit.proxied)
    else {
        return page::no_such_page(&visit.frame());
    };
    let sign_in = VouchedSignIn {
        realm: &visit.realm,
        vouched,
        method: SignInMethod::Proxy,
        rules: &settings.roles,
        accounts: settings.accounts,
        agent: visit.agent.as_deref(),
        former: visit.cookie.as_ref().map(ClearSecret::reveal),
    };
    signed_in(&visit, sign_in, next_path(fields.get("next"))).await
}
