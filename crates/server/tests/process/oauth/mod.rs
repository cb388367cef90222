//! The OAuth door as machines use it. Tests with a letter are named by their numbers in the
//! reference on Sentinel EMS.

mod certificates;
mod clients;
mod doors;
mod library;
mod managing;
mod proofs;
mod requests;
mod tokens;

use serde_json::{Value, json};

use crate::wire::{Answer, Api, Request};
use crate::world::{Issued, World, client, merged};

/// Where the door of the realm `main` is.
pub(crate) const DOOR: &str = "/realms/main/protocol/openid-connect";

/// A text as a form has it.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A form with these parameters.
fn form(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// `Basic` with a name and a key.
pub(crate) fn basic(name: &str, key: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{key}"));
    format!("Basic {pair}")
}

/// A request with a form.
pub(crate) fn posted(path: &str, pairs: &[(&str, &str)]) -> Request {
    Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form(pairs))
}

/// Asks the token endpoint.
fn ask(api: &Api, pairs: &[(&str, &str)]) -> Answer {
    api.raw(&posted(&format!("{DOOR}/token"), pairs))
}

/// Introspects a token as the client with this key.
fn introspect(verifier: &Api, token: &str) -> Answer {
    let request = posted(&format!("{DOOR}/token/introspect"), &[("token", token)]);
    verifier.raw(&request.bearer(&verifier.key))
}

/// A client that may read tokens, with further fields.
fn machine(world: &World, more: &Value) -> Api {
    let body = json!({ "name": "robot", "roles": ["realm-admin"] });
    client(&world.admin, &merged(body, more))
}

/// A registration token for `git`, with further fields.
pub(crate) fn registration(world: &World, more: &Value) -> Issued {
    let body = json!({ "kind": "registration_token", "name": "fleet", "services": ["git"] });
    Issued::of(&world.admin.post("/tokens", &merged(body, more)).expect(201))
}

/// The error of a refusal, with its status.
fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

/// A text of an answer.
fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
