//! Authentication tokens through the real server on both stores: the checks of the reference on
//! privacyIDEA, by their letters. Codes by mail are in `mail`.

mod client;
mod door;
mod peers;
mod races;
mod sealed;

use counterfoil_authority::otp::{Shape, SharedSeed, oath};
use serde_json::{Value, json};

use crate::wire::{Answer, Api, Request};
use crate::world::{World, merged};

/// The seed of both RFCs.
const K20: &[u8] = b"12345678901234567890";

/// A seed as it is written down.
fn base32(seed: &[u8]) -> String {
    data_encoding::BASE32_NOPAD.encode(seed)
}

/// Enrols a token of alice's.
#[track_caller]
fn enrol(admin: &Api, otp: &Value) -> Value {
    enrol_with(admin, otp, &json!({}))
}

#[track_caller]
fn enrol_with(admin: &Api, otp: &Value, more: &Value) -> Value {
    let body = json!({ "kind": "generic", "user": "alice", "expires_at": null, "otp": otp });
    admin.post("/tokens", &merged(body, more)).expect(201)
}

/// The id of a token that was enrolled.
fn id_of(enrolled: &Value) -> String {
    enrolled["token"]["id"].as_str().unwrap().to_owned()
}

/// A question at the door, with the caller's key.
fn ask(caller: &Api, form: &[(&str, &str)]) -> Answer {
    caller.send(question(form))
}

fn question(form: &[(&str, &str)]) -> Request {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    Request::new("POST", "/validate/check")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
}

/// Whether a code of alice's is accepted.
#[track_caller]
fn accepts(caller: &Api, code: &str) -> bool {
    said(&ask(caller, &[("user", "alice"), ("pass", code)]).expect(200))
}

/// What an answer says, which says it three times over.
#[track_caller]
fn said(answer: &Value) -> bool {
    let result = &answer["result"];
    assert_eq!(result["status"], true, "{answer}");
    let accepted = result["value"] == json!(true);
    assert_eq!(result["authentication"], if accepted { "ACCEPT" } else { "REJECT" });
    accepted
}

/// The code of a seed at a counter.
fn hotp(seed: &[u8], counter: i64) -> String {
    oath::code(&SharedSeed::new(seed.to_vec()).unwrap(), Shape::default(), counter)
}

/// A world whose refusals come at once.
fn worlds() -> impl Iterator<Item = World> {
    World::on_each_store(crate::world::UNTHROTTLED)
}
