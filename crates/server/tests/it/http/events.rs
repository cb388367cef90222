//! `R/events`.

use counterfoil_authority::event::EVENT_KINDS;
use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn every_change_and_refusal_stands_in_the_events() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let denied = world.call(&alice.gate, "GET", &format!("{R}/users"), json!(null)).await;
    let request_id = denied.header("x-request-id").to_owned();
    denied.refused(403, "insufficient-scope");
    world.send("GET", &format!("{R}/users"), &[], None).await.refused(401, "unauthenticated");
    world.authority.flush_usage().await.unwrap();
    let events = format!("{R}/events");
    let refused =
        world.get(&format!("{events}?outcome=refused&actor=client:gate")).await.expect(200);
    let event = &refused["items"][0];
    assert_eq!(event["kind"], "api.refused");
    assert_eq!(event["reason"], "insufficient-scope");
    assert_eq!(event["request_id"], json!(request_id));
    assert_eq!(event["detail"]["route"], "/api/v1/realms/{realm}/users");
    let anonymous =
        world.get(&format!("{events}?outcome=refused&actor=anonymous")).await.expect(200);
    assert_eq!(anonymous["items"][0]["reason"], "unauthenticated");
    let created =
        world.get(&format!("{events}?kind=user.created&subject=user:alice")).await.expect(200);
    assert_eq!(created["items"].as_array().unwrap().len(), 1);
    assert_eq!(created["items"][0]["actor"], "client:admin");
    let none = world.get(&format!("{events}?to=2026-11-20")).await.expect(200);
    assert_eq!(none["items"], json!([]));
    world.get(&format!("{events}?token=x")).await.refused(422, "invalid");
    world.call(&alice.gate, "GET", &events, json!(null)).await.refused(403, "insufficient-scope");
}

/// Every string of the sources that has the form of a kind of event.
fn kinds_in(directory: &std::path::Path, found: &mut std::collections::BTreeSet<String>) {
    let nouns: Vec<&str> = EVENT_KINDS.iter().filter_map(|kind| kind.split('.').next()).collect();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // Attributes of traces have names of the same form.
        if path.is_dir() && !path.ends_with("conformance") && !path.ends_with("traces") {
            kinds_in(&path, found);
        }
        // The list itself proves nothing, and tests may invent what they like.
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.ends_with("authority/src/event.rs")
            || path.extension().is_none_or(|end| end != "rs")
            || name == "tests.rs"
        {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let raised = source.split("#[cfg(test)]").next().unwrap();
        let is_kind = |text: &&str| {
            text.split_once('.').is_some_and(|(noun, verb)| {
                nouns.contains(&noun)
                    && verb.len() > 3
                    && verb.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            })
        };
        found.extend(raised.split('"').skip(1).step_by(2).filter(is_kind).map(str::to_owned));
    }
}

#[tokio::test]
async fn a_misspelt_kind_of_event_is_refused_with_those_there_are() {
    let world = World::new().await;
    let refused = world.get(&format!("{R}/events?kind=token.isued")).await.refused(422, "invalid");
    assert_eq!(refused["field"], "kind");
    assert!(refused["detail"].as_str().unwrap().contains("token.issued"), "{refused}");
}

#[test]
fn every_kind_that_the_code_raises_is_listed_and_documented() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut raised = std::collections::BTreeSet::new();
    for member in ["authority", "store", "server"] {
        kinds_in(&crates.join(member).join("src"), &mut raised);
    }
    let listed: std::collections::BTreeSet<String> =
        EVENT_KINDS.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(raised, listed, "raised on the left, listed on the right");
    let page = std::fs::read_to_string(crates.join("../docs/reference/events.md")).unwrap();
    let undocumented: Vec<_> =
        EVENT_KINDS.iter().filter(|kind| !page.contains(&format!("`{kind}`"))).collect();
    assert!(undocumented.is_empty(), "not in the reference: {undocumented:?}");
}
