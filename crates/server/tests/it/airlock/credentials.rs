//! B1, B2 and B3: a person's current and next credential.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::{ask, attributes, events, refused, tokens, verify};
use crate::world::{Engine, World};

const LETTERS: &str = r#"
[repository.pin]
kind = "credential"
support_next = true
services = ["vpn"]
promote_next_on = ["deletion", "first_use"]
[repository.pin.attributes]
data = { write_only = true, max_len = 100 }
validFrom = {}
validTo = {}
enabled = {}

[repository.card]
kind = "credential"
[repository.card.attributes]
data = {}
encoding = {}
deliveryDate = {}
serialNumber = { name = "serialNumber" }

[repository.kept]
kind = "credential"
support_next = true
use_next_as_current_on_deletion = false
[repository.kept.attributes]
data = {}

[repository.dated]
kind = "credential"
support_next = true
services = ["vpn"]
promote_next_on = ["at_date"]
retire_grace = "60s"
[repository.dated.attributes]
validFrom = {}
"#;

async fn world(engine: Engine) -> World {
    let world = World::on_with(engine, LETTERS).await;
    world.service("vpn").await;
    for name in ["bob", "bob-next"] {
        world.user(name).await;
    }
    world
}

fn credential(id: &str, said: Value) -> Value {
    let mut document = json!({ "data": { "id": id } });
    document["data"]["attributes"] = said;
    document
}

fn one(user: &str, kind: &str, place: &str) -> String {
    format!("{}/{user}-{place}", tokens(user, kind))
}

async fn ids(world: &World, user: &str, kind: &str) -> Vec<String> {
    let listed = ask(world, "GET", &tokens(user, kind), Value::Null).await.expect(200);
    let ids = listed["data"].as_array().unwrap().iter();
    ids.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn b1_current_and_next_live_and_follow_each_other() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        for user in ["bob", "bob-next"] {
            for (place, data) in [("current", "old"), ("next", "new")] {
                let body = credential(&format!("{user}-{place}"), json!({ "data": data }));
                let made = ask(&world, "POST", &tokens(user, "kept"), body.clone()).await;
                assert_eq!(made.expect(201)["data"]["id"], format!("{user}-{place}"));
                let again = ask(&world, "POST", &tokens(user, "kept"), body).await;
                refused(&again, 409, "ALREADY_ASSIGNED");
            }
        }
        // bob's next is not bob-next's current.
        let found = ask(&world, "GET", &one("bob-next", "kept", "current"), Value::Null).await;
        assert_eq!(found.expect(200)["data"]["meta"]["user"], "bob-next");
        let path = format!("{}/bob-next", tokens("bob-next", "kept"));
        refused(&ask(&world, "GET", &path, Value::Null).await, 404, "TOKEN_NOT_FOUND");
        let foreign = credential("bob-next-current", json!({}));
        let answer = ask(&world, "POST", &tokens("bob", "kept"), foreign).await;
        refused(&answer, 400, "REQUEST_INVALID");

        // Without promotion the next one stays what it is.
        let current = one("bob", "kept", "current");
        assert_eq!(ask(&world, "DELETE", &current, Value::Null).await.status, 204);
        assert_eq!(ids(&world, "bob", "kept").await, ["bob-next"]);
        refused(&ask(&world, "GET", &current, Value::Null).await, 404, "TOKEN_NOT_FOUND");
        let promoted = format!("{}/promote", one("bob", "kept", "next"));
        let promoted = ask(&world, "POST", &promoted, Value::Null).await.expect(200);
        assert_eq!(promoted["data"]["id"], "bob-current");
        assert_eq!(promoted["data"]["attributes"]["data"], "new");

        // With it, it takes the place of the deleted one and keeps its dates.
        let dates = json!({ "data": "second", "validFrom": "2026-12-01", "validTo": "2027-01-01" });
        let old = credential("bob-current", json!({ "data": "first secret" }));
        ask(&world, "POST", &tokens("bob", "pin"), old).await.expect(201);
        let next = credential("bob-next", dates);
        let next = ask(&world, "POST", &tokens("bob", "pin"), next).await.expect(201);
        let current = one("bob", "pin", "current");
        assert_eq!(ask(&world, "DELETE", &current, Value::Null).await.status, 204);
        let found = ask(&world, "GET", &current, Value::Null).await.expect(200);
        assert_eq!(found["data"]["attributes"], next["data"]["attributes"]);
        assert_eq!(ids(&world, "bob", "pin").await, ["bob-current"]);

        let body = credential("bob-next", json!({}));
        let refusal = ask(&world, "POST", &tokens("bob", "card"), body).await;
        refused(&refusal, 405, "OPERATION_NOT_SUPPORTED");
    }
}

#[tokio::test]
async fn b2_every_byte_comes_back_and_what_is_no_base64_does_not_come_in() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let bytes: Vec<u8> = (0..=255).collect();
        let data = data_encoding::BASE64.encode(&bytes);
        let said = json!({ "data": data, "encoding": "BINARY", "deliveryDate": "2026-11-20",
            "serialNumber": "C-1" });
        let all = tokens("bob", "card");
        let made = ask(&world, "POST", &all, credential("bob-current", said)).await.expect(201);
        let found = ask(&world, "GET", &one("bob", "card", "current"), Value::Null).await;
        let found = found.expect(200);
        assert_eq!(found["data"]["attributes"], made["data"]["attributes"]);
        let back = found["data"]["attributes"]["data"].as_str().unwrap();
        assert_eq!(data_encoding::BASE64.decode(back.as_bytes()).unwrap(), bytes);
        for wrong in ["AAA", "A===", "not base64!", "AA=A"] {
            let write = attributes(json!({ "data": wrong }));
            let answer = ask(&world, "PATCH", &one("bob", "card", "current"), write).await;
            refused(&answer, 422, "ATTRIBUTE_INVALID");
        }
        let text = attributes(json!({ "data": "plain text", "encoding": "STRING" }));
        let path = one("bob", "card", "current");
        let changed = ask(&world, "PATCH", &path, text).await.expect(200);
        assert_eq!(changed["data"]["attributes"]["data"], "plain text");
        // The serial belongs to one token of the repository.
        let twin = credential("bob-next-current", json!({ "serialNumber": "C-1" }));
        let answer = ask(&world, "POST", &tokens("bob-next", "card"), twin).await;
        refused(&answer, 409, "SERIAL_NOT_UNIQUE");
    }
}

#[tokio::test]
async fn b3_of_twenty_first_uses_one_promotes() {
    for engine in Engine::ALL {
        let world = Arc::new(world(engine).await);
        for (place, data) in [("current", "the old secret"), ("next", "the new secret")] {
            let body = credential(&format!("bob-{place}"), json!({ "data": data }));
            let made = ask(&world, "POST", &tokens("bob", "pin"), body).await.expect(201);
            assert_eq!(made["data"]["attributes"].get("data"), None, "a secret is never shown");
            assert!(made["meta"]["secret"].is_null());
        }
        let asked = |data: &str| json!({ "token": data, "username": "bob", "service": "vpn" });
        assert_eq!(verify(&world, asked("the old secret")).await["active"], true);
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (world, question) = (Arc::clone(&world), asked("the new secret"));
                tokio::spawn(async move { verify(&world, question).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap()["active"], true);
        }
        assert_eq!(events(&world, "token.promoted").await, 1);
        assert_eq!(events(&world, "token.superseded").await, 1);
        assert_eq!(ids(&world, "bob", "pin").await, ["bob-current"]);
        assert_eq!(verify(&world, asked("the old secret")).await["active"], false);
        assert_eq!(verify(&world, asked("the new secret")).await["active"], true);
        // A chosen secret is replaced at once.
        let write = attributes(json!({ "data": "the third secret" }));
        ask(&world, "PATCH", &one("bob", "pin", "current"), write).await.expect(200);
        assert_eq!(verify(&world, asked("the new secret")).await["active"], false);
        assert_eq!(verify(&world, asked("the third secret")).await["active"], true);
    }
}

#[tokio::test]
async fn a_next_credential_counts_from_its_date_and_is_promoted_then() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let make = async |place: &str, said: Value| {
            let body = credential(&format!("bob-{place}"), said);
            let made = ask(&world, "POST", &tokens("bob", "dated"), body).await.expect(201);
            made["meta"]["secret"].as_str().unwrap().to_owned()
        };
        let old = make("current", json!({})).await;
        let new = make("next", json!({ "validFrom": "2026-11-21T12:01:00Z" })).await;
        let active = async |secret: &str| {
            let question = json!({ "token": secret, "username": "bob", "service": "vpn" });
            verify(&world, question).await["active"].clone()
        };
        assert_eq!((active(&old).await, active(&new).await), (json!(true), json!(false)));
        assert!(!world.authority.promote_due().await.unwrap());
        world.clock.advance_seconds(60);
        assert!(world.authority.promote_due().await.unwrap());
        assert!(!world.authority.promote_due().await.unwrap());
        assert_eq!(ids(&world, "bob", "dated").await, ["bob-current"]);
        // The former one has its grace.
        assert_eq!((active(&old).await, active(&new).await), (json!(true), json!(true)));
        world.clock.advance_seconds(60);
        assert_eq!((active(&old).await, active(&new).await), (json!(false), json!(true)));
    }
}

#[tokio::test]
async fn what_does_not_work_takes_the_place_of_nothing() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let old = credential("bob-current", json!({ "data": "the old secret" }));
        ask(&world, "POST", &tokens("bob", "pin"), old).await.expect(201);
        let said = json!({ "data": "the new secret", "validTo": "2026-11-21T12:00:20Z" });
        ask(&world, "POST", &tokens("bob", "pin"), credential("bob-next", said)).await.expect(201);
        world.clock.advance_seconds(30);
        let promote = format!("{}/promote", one("bob", "pin", "next"));
        refused(&ask(&world, "POST", &promote, Value::Null).await, 409, "TOKEN_ENDED");
        // Both were made at the same instant, so either may come first.
        let mut there = ids(&world, "bob", "pin").await;
        there.sort();
        assert_eq!(there, ["bob-current", "bob-next"]);
        let asked = json!({ "token": "the old secret", "username": "bob", "service": "vpn" });
        assert_eq!(verify(&world, asked).await["active"], true);
    }
}

#[tokio::test]
async fn a_payload_is_cleared_and_a_secret_is_only_replaced() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let readable = credential("bob-current", json!({ "data": "plain text" }));
        ask(&world, "POST", &tokens("bob", "card"), readable).await.expect(201);
        // A credential is always somebody's.
        for (assigned, count) in [(true, 1), (false, 0)] {
            let path = format!("/tokens?filter[type]=card&filter[assigned]={assigned}");
            let listed = ask(&world, "GET", &path, Value::Null).await.expect(200);
            assert_eq!(listed["data"].as_array().unwrap().len(), count);
        }
        let card = one("bob", "card", "current");
        let nothing = attributes(json!({ "data": null }));
        let cleared = ask(&world, "PATCH", &card, nothing.clone()).await.expect(200);
        assert_ne!(cleared["data"]["attributes"]["data"], "plain text");
        let shown = ask(&world, "GET", &card, Value::Null).await.expect(200);
        assert_ne!(shown["data"]["attributes"]["data"], "plain text");

        let secret = credential("bob-current", json!({ "data": "the old secret" }));
        ask(&world, "POST", &tokens("bob", "pin"), secret).await.expect(201);
        let pin = one("bob", "pin", "current");
        refused(&ask(&world, "PATCH", &pin, nothing).await, 422, "ATTRIBUTE_INVALID");
        // What is refused leaves everything as it was.
        let before = ask(&world, "GET", &pin, Value::Null).await.expect(200);
        let ours = json!({ "data": "h3kd-9w2m-x7qp-4rtz-b6ye-5hcs", "validTo": "2026-12-01" });
        let refusal = ask(&world, "PATCH", &pin, attributes(ours)).await;
        refused(&refusal, 422, "ATTRIBUTE_INVALID");
        let suspended = json!({ "status": "suspended" });
        world.patch(&format!("{}/users/bob", crate::world::R), suspended).await.expect(200);
        let held = json!({ "data": "the third secret", "validTo": "2026-12-01" });
        let refusal = ask(&world, "PATCH", &pin, attributes(held)).await;
        refused(&refusal, 403, "ACCESS_DENIED");
        let after = ask(&world, "GET", &pin, Value::Null).await.expect(200);
        assert_eq!(after["data"], before["data"]);
    }
}
