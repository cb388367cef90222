//! What of the log can be proved: its checkpoint, and the place of one event.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::authority::{InclusionProof, Proved};
use counterfoil_authority::refusal::{Refusal, Thing};
use data_encoding::BASE64;
use serde::Deserialize;

use super::super::parts::{self, Cell, Link, Part};
use super::super::{Section, address};
use crate::http::console::page::Frame;
use crate::http::console::times::Moment;
use crate::http::console::visit::Person;

/// Which event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::console::admin) struct Asked {
    event: String,
}

/// Where the proof of an event is shown.
pub(super) fn path_of(event: &str) -> String {
    address("/admin/audit/proof", &[("event", event)])
}

/// The state of the log, below the events.
pub(super) async fn standing(person: &Person, frame: &Frame) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let mut parts = vec![Part::Heading(frame.say("audit-proof-title"))];
    let log = match authority.audit_checkpoint(caller, &caller.realm).await {
        Ok(log) => log,
        Err(Refusal::NotFound(Thing::Checkpoint)) => {
            parts.push(Part::Text(frame.say("audit-proof-none")));
            return Ok(parts);
        }
        Err(refusal) => return Err(refusal),
    };
    let when = |at| Cell::when(Moment::of(person.visit.language, at, authority.now()));
    let witness = match log.witnessed_at {
        Some(at) => when(at),
        None => Cell::text(frame.say("audit-witness-none")),
    };
    let mut facts = vec![
        (frame.say("audit-size"), Cell::text(log.size)),
        (frame.say("audit-root"), Cell::code(BASE64.encode(&log.root))),
        (frame.say("audit-sealed"), when(log.sealed_at)),
        (frame.say("audit-witness"), witness),
    ];
    let keys = authority.audit_keys(caller, &caller.realm).await?;
    facts.extend(keys.iter().map(|key| (frame.say("audit-key"), Cell::code(key))));
    let key = keys.first().map(ToString::to_string).unwrap_or_default();
    let realm = &caller.realm;
    parts.extend([
        Part::Facts(facts),
        Part::Text(frame.say("audit-how")),
        Part::Code(format!(
            "counterfoil audit export --realm {realm} --output {realm}.audit\n\
             counterfoil audit verify {realm}.audit --key {key}"
        )),
        Part::Text(frame.say("audit-checkpoint")),
        Part::Code(log.note),
    ]);
    Ok(parts)
}

/// The place of one event in the log.
pub(in crate::http::console::admin) async fn page(
    person: Person,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    match authority.audit_inclusion(caller, &caller.realm, &asked.event, None).await {
        Ok(proved) => {
            let frame = person.admin_frame(Section::Audit, &[]);
            let parts = shown(&frame, &asked.event, proved);
            parts::show(&frame, frame.say("audit-proof-of"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

fn shown(frame: &Frame, event: &str, proved: Proved) -> Vec<Part> {
    let back = Link::to(Section::Audit.path().to_owned(), frame.say("audit-all"));
    let mut facts = vec![(frame.say("audit-event"), Cell::code(event))];
    let mut parts = Vec::new();
    match proved {
        Proved::Waits => parts.push(Part::Text(frame.say("audit-proof-waits"))),
        Proved::Sealed(proof) => {
            parts.push(verdict(frame, &proof));
            facts.extend([
                (frame.say("audit-place"), Cell::text(proof.place)),
                (frame.say("audit-size"), Cell::text(proof.size)),
                (frame.say("audit-leaf"), Cell::code(BASE64.encode(&proof.leaf))),
            ]);
            parts.extend(proof.text.map(Part::Code));
            let path: Vec<String> = proof.hashes.iter().map(|hash| BASE64.encode(hash)).collect();
            parts.push(Part::Heading(frame.say("audit-path")));
            parts.push(Part::Code(path.join("\n")));
        }
    }
    parts.insert(1, Part::Facts(facts));
    parts.push(Part::Links(vec![back]));
    parts
}

fn verdict(frame: &Frame, proof: &InclusionProof) -> Part {
    if !proof.is_unaltered() {
        return Part::Alert(frame.say("audit-proof-altered"));
    }
    match proof.text {
        Some(_) => Part::Good(frame.say("audit-proof-sealed")),
        None => Part::Text(frame.say("audit-proof-removed")),
    }
}
