//! Asking again who somebody is, before they make, replace or end something.
//!
//! The page that asks holds all that was asked for, and sends it on with the proof. So nothing is
//! kept anywhere, and nothing is lost.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::ConsoleRefusal;
use counterfoil_authority::console::SignInMethod;

use super::page::{self, Frame};
use super::passkeys::party;
use super::posted::Fields;
use super::single_sign_on::offered;
use super::visit::Person;

/// The field with the password.
const PASSWORD: &str = "proof_password";
/// The field with the address that the form is for.
pub(super) const PLACE: &str = "proof_place";

#[derive(Template)]
#[template(path = "console/step-up.html")]
struct Asking<'a> {
    frame: &'a Frame,
    username: &'a str,
    place: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    by_password: bool,
    by_passkey: bool,
    /// What the button of the provider says.
    provider: Option<String>,
    wrong: bool,
}

/// Lets those through who have proved lately who they are, or do so with this form.
pub(super) async fn require(person: &Person, fields: &Fields) -> Result<(), Response> {
    if person.visit.state.authority.console_is_proved(&person.signed_in) {
        return Ok(());
    }
    proving(person, fields).await
}

/// The same before somebody changes their passkeys, which always needs a proof that is recent.
pub(super) async fn require_for_passkeys(person: &Person, fields: &Fields) -> Result<(), Response> {
    if person.visit.state.authority.console_is_proved_for_passkeys(&person.signed_in) {
        return Ok(());
    }
    proving(person, fields).await
}

async fn proving(person: &Person, fields: &Fields) -> Result<(), Response> {
    let authority = &person.visit.state.authority;
    let password = fields.proof(PASSWORD);
    if password.is_empty() {
        return Err(asking(person, fields, false).await);
    }
    match authority.console_prove(&person.signed_in, password).await {
        Ok(()) => Ok(()),
        Err(ConsoleRefusal::Denied) => Err(asking(person, fields, true).await),
        Err(refusal) => Err(page::refused(&person.frame(), &refusal)),
    }
}

async fn asking(person: &Person, fields: &Fields, wrong: bool) -> Response {
    let signed_in = &person.signed_in;
    let proofs = match person.visit.state.authority.console_proofs(signed_in).await {
        Ok(proofs) => proofs,
        Err(refusal) => return person.failed(refusal),
    };
    let came_so = signed_in.session.method == SignInMethod::Provider;
    let provider = offered(&person.visit).filter(|_| came_so);
    let frame = person.frame();
    let page = Asking {
        frame: &frame,
        username: person.username(),
        place: person.visit.uri.path(),
        fields: fields.pairs().collect(),
        by_password: proofs.password,
        by_passkey: proofs.passkey && party(&person.visit).is_ok(),
        provider: provider.map(|provider| provider.settings().label.clone()),
        wrong,
    };
    page::show(StatusCode::FORBIDDEN, &page)
}
