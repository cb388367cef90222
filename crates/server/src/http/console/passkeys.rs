//! Passkeys: adding them, coming in by one, and showing anew by one who somebody is.
//!
//! Each is two forms. The first gets a page with a question for the device, which a script hands
//! to the browser; the second brings back the answer. What was asked is kept by the server, sealed
//! under what this browser holds, and is good once.

use askama::Template;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use counterfoil_authority::authority::{
    ConsoleRefusal, FirstPasskey, Leaving, PasskeyProved, PasskeySignIn, PasswordProved,
};
use counterfoil_authority::names::Username;
use counterfoil_authority::passkey::{PASSKEY_CHALLENGE_SECONDS, Passkey, PasskeyFault};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use serde::{Deserialize, Serialize};

use super::page::{self, Frame};
use super::posted::{Posted, PostedByAnybody, PostedForPasskeys};
use super::sign_in::welcome;
use super::single_sign_on::{Again, go_on};
use super::step_up::PLACE;
use super::tokens::id_of;
use super::visit::{Person, Visit, next_path, see_other};
use super::{SIGN_IN, account};
use crate::http::query::Named;
use crate::http::state::AppState;
use crate::sign_on::{self, Asked, NoPasskeys, Offered, RelyingParty, Unproved};

/// The field with what the device answered.
const ANSWER: &str = "credential";

/// The routes of this file.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/sign-in/passkey", post(ask))
        .route("/sign-in/passkey/finish", post(come_in))
        .route("/step-up/passkey", post(ask_again))
        .route("/step-up/passkey/finish", post(prove_again))
        .route("/account/passkeys", post(offer))
        .route("/account/passkeys/finish", post(add))
        .route("/account/passkeys/require", post(require))
        .route("/account/passkeys/{id}/rename", post(rename))
        .route("/account/passkeys/{id}/remove", post(remove))
}

/// What was asked of a device, and what is to follow.
#[derive(Serialize, Deserialize)]
enum Begun {
    /// Whoever answers comes in.
    Alone { next: String, asked: Asked },
    /// Whoever knew the password comes in.
    After { next: String, known: Known, asked: Asked },
    /// Whoever knew the password gets their first passkey, and comes in.
    First { next: String, known: Known, offered: Offered },
    /// Who is signed in gets a passkey.
    Add { session: String, name: String, offered: Offered },
    /// Who is signed in shows anew who they are.
    Again { place: String, again: Again, asked: Asked },
}

/// Whose password was right.
#[derive(Serialize, Deserialize)]
struct Known {
    username: String,
    version: i64,
}

impl Known {
    fn proved(&self, adds_first: bool) -> Option<PasswordProved> {
        let username = Username::parse(&self.username).ok()?;
        Some(PasswordProved { username, version: self.version, adds_first })
    }
}

/// The page with the question.
#[derive(Template)]
#[template(path = "console/passkey.html")]
struct Asking<'a> {
    frame: &'a Frame,
    title: String,
    what: String,
    /// Where the answer goes.
    action: &'a str,
    /// What the browser does: `get` or `create`.
    act: &'a str,
    question: &'a str,
    /// Where people are who want to use passkeys.
    at: &'a str,
    /// Where to go instead.
    back: &'a str,
}

/// Us, as devices know us here. Realms that have a host name of their own are known by that.
pub(super) fn party(visit: &Visit) -> Result<RelyingParty, NoPasskeys> {
    RelyingParty::at(&visit.own_url())
}

/// Says why there are no passkeys here.
fn unavailable(frame: &Frame, visit: &Visit, why: NoPasskeys) -> Response {
    page::no_passkeys(frame, why, &visit.own_url())
}

/// What a page that asks says.
struct Words {
    title: &'static str,
    what: &'static str,
    action: &'static str,
    act: &'static str,
    back: &'static str,
}

const COME_IN: Words = Words {
    title: "passkey-use-title",
    what: "passkey-use-what",
    action: "/sign-in/passkey/finish",
    act: "get",
    back: SIGN_IN,
};
const AFTER: Words = Words { what: "passkey-after-what", ..COME_IN };
const FIRST: Words = Words {
    title: "passkey-add-title",
    what: "passkey-first-what",
    action: "/sign-in/passkey/finish",
    act: "create",
    back: SIGN_IN,
};
const AGAIN: Words = Words {
    title: "step-up-title",
    what: "passkey-again-what",
    action: "/step-up/passkey/finish",
    act: "get",
    back: "/",
};
const ADD: Words = Words {
    title: "passkey-add-title",
    what: "passkey-add-what",
    action: "/account/passkeys/finish",
    act: "create",
    back: "/account",
};

/// Keeps what was asked, and shows the question.
async fn asking(
    visit: &Visit,
    frame: &Frame,
    words: &Words,
    question: &str,
    begun: &Begun,
) -> Response {
    // Plain values cannot fail to be written.
    let bytes = zeroize::Zeroizing::new(serde_json::to_vec(begun).unwrap_or_default());
    let authority = &visit.state.authority;
    let seconds = PASSKEY_CHALLENGE_SECONDS;
    let who = match (begun, &visit.cookie) {
        (Begun::Add { .. } | Begun::Again { .. }, Some(session)) => Leaving::SignedIn(session),
        _ => Leaving::Anybody(visit.flow.as_ref()),
    };
    let held = match authority.console_flow_begin(&visit.realm, who, &bytes, seconds).await {
        Ok(held) => held,
        Err(refusal) => return page::failed(frame, refusal),
    };
    let own_url = visit.own_url();
    let page = Asking {
        frame,
        title: frame.say(words.title),
        what: frame.say(words.what),
        action: words.action,
        act: words.act,
        question,
        at: &own_url,
        back: words.back,
    };
    let mut response = page::show(StatusCode::OK, &page);
    response.headers_mut().append(header::SET_COOKIE, visit.set_flow(Some(&held)));
    response
}

/// What this browser was asked, once, and us.
async fn begun_by(visit: &Visit) -> Result<Option<Begun>, ConsoleRefusal> {
    let Some(held) = &visit.flow else { return Ok(None) };
    let bytes = visit.state.authority.console_flow_take(&visit.realm, held).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// It is over, whatever came of it.
fn over(visit: &Visit, mut response: Response) -> Response {
    response.headers_mut().append(header::SET_COOKIE, visit.set_flow(None));
    response
}

/// A question for whoever there is: the same for everybody.
async fn ask(PostedByAnybody { visit, fields }: PostedByAnybody) -> Response {
    let frame = visit.frame();
    let party = match party(&visit) {
        Ok(party) => party,
        Err(why) => return unavailable(&frame, &visit, why),
    };
    let Some((question, asked)) = party.ask() else { return broken(&frame) };
    let begun = Begun::Alone { next: next_path(fields.get("next")).to_owned(), asked };
    asking(&visit, &frame, &COME_IN, &question, &begun).await
}

/// A question for who has just proved to know their password: no session has begun.
pub(super) async fn after_password(visit: &Visit, proved: &PasswordProved, next: &str) -> Response {
    let frame = visit.frame();
    let party = match party(visit) {
        Ok(party) => party,
        Err(why) => return unavailable(&frame, visit, why),
    };
    let known = Known { username: proved.username.to_string(), version: proved.version };
    let next = next.to_owned();
    if !proved.adds_first {
        let Some((question, asked)) = party.ask() else { return broken(&frame) };
        let begun = Begun::After { next, known, asked };
        return asking(visit, &frame, &AFTER, &question, &begun).await;
    }
    let handle = match drawn_handle(visit) {
        Ok(handle) => handle,
        Err(refusal) => return page::failed(&frame, refusal),
    };
    let person = sign_on::Person { username: proved.username.as_str(), handle: &handle };
    let Some((question, offered)) = party.offer(person, &[]) else { return broken(&frame) };
    let begun = Begun::First { next, known, offered };
    asking(visit, &frame, &FIRST, &question, &begun).await
}

/// How devices are to call somebody who has no passkey yet: at random (RFC 9562 section 5.4).
fn drawn_handle(visit: &Visit) -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    visit.state.authority.entropy().fill(&mut bytes)?;
    Ok(sign_on::known_as(bytes))
}

/// The library can fail to ask only if it is built wrongly.
fn broken(frame: &Frame) -> Response {
    page::refused(frame, &ConsoleRefusal::Passkey(PasskeyFault::BadAnswer))
}

/// The answer of whoever wants to come in.
async fn come_in(PostedByAnybody { visit, fields }: PostedByAnybody) -> Response {
    let response = match coming_in(&visit, fields.get(ANSWER)).await {
        Ok(response) => response,
        Err(ConsoleRefusal::Denied) => page::passkey_refused(&visit.frame()),
        Err(refusal) => page::refused(&visit.frame(), &refusal),
    };
    over(&visit, response)
}

async fn coming_in(visit: &Visit, answer: &str) -> Result<Response, ConsoleRefusal> {
    let party = match party(visit) {
        Ok(party) => party,
        Err(why) => return Ok(unavailable(&visit.frame(), visit, why)),
    };
    let (next, known, asked) = match begun_by(visit).await? {
        Some(Begun::Alone { next, asked }) => (next, None, asked),
        Some(Begun::After { next, known, asked }) => (next, known.proved(false), asked),
        Some(Begun::First { next, known, offered }) => {
            return coming_first(visit, &party, (&next, &known, &offered), answer).await;
        }
        _ => return refuse(visit, None, "passkey_challenge"),
    };
    let proved = proved(visit, &party, asked, answer).await?;
    let sign_in = PasskeySignIn {
        realm: &visit.realm,
        proved: &proved,
        after: known.as_ref(),
        agent: visit.agent.as_deref(),
        former: visit.cookie.as_ref().map(ClearSecret::reveal),
    };
    let authority = &visit.state.authority;
    let begun = authority.console_sign_in_passkey(sign_in, visit.context()).await?;
    Ok(welcome(visit, &begun, &next))
}

/// Adds the first passkey of who knew the password, and lets them in.
async fn coming_first(
    visit: &Visit,
    party: &RelyingParty,
    (next, known, offered): (&str, &Known, &Offered),
    answer: &str,
) -> Result<Response, ConsoleRefusal> {
    let name = visit.language.say("passkey-first-name");
    let Some(new) = party.made(offered, answer, &name) else {
        return refuse(visit, None, "passkey_invalid");
    };
    let Some(after) = known.proved(true) else {
        return refuse(visit, None, "passkey_challenge");
    };
    let sign_in = FirstPasskey {
        realm: &visit.realm,
        after: &after,
        new,
        agent: visit.agent.as_deref(),
        former: visit.cookie.as_ref().map(ClearSecret::reveal),
    };
    let authority = &visit.state.authority;
    let begun = authority.console_passkey_first(sign_in, visit.context()).await?;
    Ok(welcome(visit, &begun, next))
}

/// The passkey that an answer is of, if it is good.
async fn proved(
    visit: &Visit,
    party: &RelyingParty,
    asked: Asked,
    answer: &str,
) -> Result<PasskeyProved, ConsoleRefusal> {
    let authority = &visit.state.authority;
    let Some(answer) = party.read(answer) else {
        return refuse(visit, None, "passkey_invalid");
    };
    let found = authority.console_passkey(&visit.realm, &answer.credential_id).await?;
    let Some(passkey) = found else { return refuse(visit, None, "passkey_unknown") };
    match party.prove(asked, &answer, passkey.clone()) {
        Ok(proved) => Ok(proved),
        Err(Unproved::Invalid) => refuse(visit, Some(&passkey), "passkey_invalid"),
        Err(Unproved::Counted) => {
            authority.console_passkey_clone_suspected(&passkey, visit.context())
        }
    }
}

fn refuse<T>(
    visit: &Visit,
    passkey: Option<&Passkey>,
    reason: &'static str,
) -> Result<T, ConsoleRefusal> {
    let authority = &visit.state.authority;
    authority.console_refuse_passkey(&visit.realm, passkey, reason, visit.context())
}

/// A question for who is signed in and has to show anew who they are.
async fn ask_again(Posted { person, fields }: Posted) -> Response {
    let (visit, frame) = (&person.visit, person.frame());
    let party = match party(visit) {
        Ok(party) => party,
        Err(why) => return unavailable(&frame, visit, why),
    };
    let Some((question, asked)) = party.ask() else { return broken(&frame) };
    let place = next_path(fields.proof(PLACE)).to_owned();
    let again = Again::of(&person, &fields);
    let begun = Begun::Again { place, again, asked };
    asking(visit, &frame, &AGAIN, &question, &begun).await
}

/// Their answer.
async fn prove_again(Posted { person, fields }: Posted) -> Response {
    let response = match proving_again(&person, fields.get(ANSWER)).await {
        Ok(response) => response,
        Err(ConsoleRefusal::Denied) => page::passkey_refused(&person.frame()),
        Err(refusal) => page::refused(&person.frame(), &refusal),
    };
    over(&person.visit, response)
}

async fn proving_again(person: &Person, answer: &str) -> Result<Response, ConsoleRefusal> {
    let visit = &person.visit;
    let party = match party(visit) {
        Ok(party) => party,
        Err(why) => return Ok(unavailable(&person.frame(), visit, why)),
    };
    let begun = begun_by(visit).await?;
    let Some(Begun::Again { place, again, asked }) = begun else {
        return refuse(visit, None, "passkey_challenge");
    };
    if !again.is_of(&person.signed_in) {
        return refuse(visit, None, "passkey_challenge");
    }
    let proved = proved(visit, &party, asked, answer).await?;
    visit.state.authority.console_prove_passkey(&person.signed_in, &proved).await?;
    Ok(go_on(&person.frame(), &place, &again))
}

/// A question for who is signed in and wants another passkey.
async fn offer(PostedForPasskeys { person, fields }: PostedForPasskeys) -> Response {
    let (visit, frame) = (&person.visit, person.frame());
    let party = match party(visit) {
        Ok(party) => party,
        Err(why) => return unavailable(&frame, visit, why),
    };
    let authority = &visit.state.authority;
    let offered = authority.console_passkey_offer(&person.signed_in, fields.get("name")).await;
    let (name, theirs) = match offered {
        Ok(offered) => offered,
        Err(refusal) => return page::refused(&frame, &refusal),
    };
    // The same for all passkeys of one person, so that a device knows them for one.
    let handle = match theirs.first() {
        Some(known) => Ok(known.handle.clone()),
        None => drawn_handle(visit),
    };
    let handle = match handle {
        Ok(handle) => handle,
        Err(refusal) => return person.failed(refusal),
    };
    let shown = sign_on::Person { username: person.username(), handle: &handle };
    let Some((question, offered)) = party.offer(shown, &theirs) else { return broken(&frame) };
    let session = person.signed_in.session.id.to_string();
    let begun = Begun::Add { session, name, offered };
    asking(visit, &frame, &ADD, &question, &begun).await
}

/// The passkey that their device made.
async fn add(Posted { person, fields }: Posted) -> Response {
    let response = match adding(&person, fields.get(ANSWER)).await {
        Ok(response) => response,
        Err(refusal) => page::refused(&person.frame(), &refusal),
    };
    over(&person.visit, response)
}

async fn adding(person: &Person, answer: &str) -> Result<Response, ConsoleRefusal> {
    let (visit, signed_in) = (&person.visit, &person.signed_in);
    let party = match party(visit) {
        Ok(party) => party,
        Err(why) => return Ok(unavailable(&person.frame(), visit, why)),
    };
    let begun = begun_by(visit).await?;
    let Some(Begun::Add { session, name, offered }) = begun else {
        return Err(PasskeyFault::BadAnswer.into());
    };
    if session != signed_in.session.id.as_str() {
        return Err(PasskeyFault::BadAnswer.into());
    }
    let new = party.made(&offered, answer, &name).ok_or(PasskeyFault::BadAnswer)?;
    visit.state.authority.console_passkey_add(signed_in, new).await?;
    Ok(see_other(account::PASSKEYS))
}

/// Whether a passkey is asked for after the password.
async fn require(PostedForPasskeys { person, fields }: PostedForPasskeys) -> Response {
    let on = fields.get("on") == "yes";
    match person.visit.state.authority.console_passkey_require(&person.signed_in, on).await {
        Ok(()) => see_other(account::PASSKEYS),
        Err(refusal) => page::refused(&person.frame(), &refusal),
    }
}

/// Another name. It lets nobody in, so nobody is asked again for it.
async fn rename(Named(id): Named, Posted { person, fields }: Posted) -> Response {
    let id = match id_of(&id) {
        Ok(id) => id,
        Err(refusal) => return person.failed(refusal),
    };
    let authority = &person.visit.state.authority;
    match authority.console_passkey_rename(&person.signed_in, id, fields.get("name")).await {
        Ok(()) => see_other(account::PASSKEYS),
        Err(ConsoleRefusal::Refused(refusal)) => person.failed(refusal),
        Err(refusal) => page::refused(&person.frame(), &refusal),
    }
}

/// Removes one.
async fn remove(Named(id): Named, form: PostedForPasskeys) -> Response {
    let person = form.person;
    let removed = match id_of(&id) {
        Ok(id) => {
            let authority = &person.visit.state.authority;
            authority.console_passkey_remove(&person.signed_in, id).await
        }
        Err(refusal) => Err(refusal),
    };
    match removed {
        Ok(()) => see_other(account::PASSKEYS),
        Err(refusal) => person.failed(refusal),
    }
}
