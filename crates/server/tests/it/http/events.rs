//! `R/events`.

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
