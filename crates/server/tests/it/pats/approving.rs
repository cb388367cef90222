//! Check 22: a token that waits is no token yet.

use serde_json::{Value, json};

use super::world::{ENGINES, of};
use crate::world::{R, World};

async fn requested(world: &World, key: &str) -> (String, String) {
    let body = json!({ "kind": "personal_access_token", "services": ["git"],
        "description": "the nightly mirror" });
    of(&world.call(key, "POST", &format!("{R}/tokens"), body).await.expect(201))
}

#[tokio::test]
async fn check_22_a_pending_token_verifies_as_inactive_at_every_door_until_it_is_approved() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        world.policy(json!({ "approval": true })).await;
        let carol = world.person("carol", None).await;
        let manager = world.person("bob", Some("service-manager")).await;
        let (id, secret) = requested(&world, &carol).await;
        assert_eq!(world.code(&alice, &secret).await, "pending");
        let bearer = format!("Bearer {secret}");
        let authz = [("authorization", bearer.as_str())];
        assert_eq!(world.send("GET", "/authz/git", &authz, None).await.status, 401);
        assert_eq!(world.call(&secret, "GET", "/api/v1/self", Value::Null).await.status, 401);
        // The service's manager finds it, with what it is for; nobody else decides.
        let waiting = format!("{R}/tokens?state=pending");
        let found = world.call(&manager, "GET", &waiting, Value::Null).await.expect(200);
        assert_eq!(found["items"][0]["id"], json!(id));
        assert_eq!(found["items"][0]["description"], "the nightly mirror");
        for act in ["approve", "deny"] {
            let path = format!("{R}/tokens/{id}/{act}");
            assert_eq!(world.call(&carol, "POST", &path, Value::Null).await.status, 403);
        }
        let approve = format!("{R}/tokens/{id}/approve");
        let approved = world.call(&manager, "POST", &approve, Value::Null).await.expect(200);
        assert_eq!(approved["state"], "active");
        assert_eq!(world.code(&alice, &secret).await, "active");
        assert_eq!(world.send("GET", "/authz/git", &authz, None).await.status, 200);
        world.call(&manager, "POST", &approve, Value::Null).await.expect(200);
    }
}

#[tokio::test]
async fn check_22_a_denied_token_and_one_that_nobody_decides_about_end() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        world.policy(json!({ "approval": true })).await;
        let carol = world.person("carol", None).await;
        let manager = world.person("bob", Some("service-manager")).await;
        let (denied, secret) = requested(&world, &carol).await;
        let deny = format!("{R}/tokens/{denied}/deny");
        let said = world.call(&manager, "POST", &deny, Value::Null).await.expect(200);
        assert_eq!(
            (&said["state"], &said["revoked_reason"]),
            (&json!("revoked"), &json!("denied"))
        );
        assert_eq!(world.code(&alice, &secret).await, "revoked");
        let approve = format!("{R}/tokens/{denied}/approve");
        world.call(&manager, "POST", &approve, Value::Null).await.problem(409);

        let (late, secret) = requested(&world, &carol).await;
        world.clock.advance_seconds(10 * 86_400 - 1);
        world.authority.enrolment_due().await.unwrap();
        assert_eq!(world.code(&alice, &secret).await, "pending");
        world.clock.advance_seconds(1);
        world.authority.enrolment_due().await.unwrap();
        assert_eq!(world.code(&alice, &secret).await, "revoked");
        let shown = world.get(&format!("{R}/tokens/{late}")).await.expect(200);
        assert_eq!(shown["revoked_reason"], "timed out");
    }
}

#[tokio::test]
async fn check_22_nobody_approves_their_own_token_unless_the_service_is_theirs() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        world.policy(json!({ "approval": true })).await;
        for (name, role, allowed) in
            [("carol", None, false), ("bob", Some("service-manager"), true)]
        {
            let key = world.person(name, role).await;
            let (id, secret) = requested(&world, &key).await;
            let path = format!("{R}/tokens/{id}/approve");
            let said = world.call(&key, "POST", &path, Value::Null).await;
            assert_eq!(said.status == 200, allowed, "{name}: {}", said.text);
            let code = if allowed { "active" } else { "pending" };
            assert_eq!(world.code(&alice, &secret).await, code);
        }
        // Neither an edit nor enabling is a way round.
        let key = world.person("dave", None).await;
        let (id, secret) = requested(&world, &key).await;
        world.call(&key, "POST", &format!("{R}/tokens/{id}/enable"), Value::Null).await.expect(200);
        let edit = json!({ "name": "mine" });
        world.call(&key, "PATCH", &format!("{R}/tokens/{id}"), edit).await.expect(200);
        assert_eq!(world.code(&alice, &secret).await, "pending");
    }
}

/// Decision 0029: all services that ask, and only those; the unit of the person decides nothing.
#[tokio::test]
async fn check_22_who_approves_administrates_every_service_that_asks() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let both = world.person("bob", Some("service-manager")).await;
        let one = world.person("eve", Some("service-manager")).await;
        world.service("wiki").await;
        let asks = json!({ "token_policy": { "approval": true } });
        world.patch(&format!("{R}/services/wiki"), asks).await.expect(200);
        let grant = json!({ "subject": { "user": "bob" }, "role": "service-manager",
            "service": "wiki" });
        world.post(&format!("{R}/grants"), grant).await.expect(201);
        world.policy(json!({ "approval": true })).await;
        let carol = world.person("carol", None).await;
        let wanted = async || {
            let body = json!({ "kind": "personal_access_token", "services": ["git", "wiki"] });
            of(&world.call(&carol, "POST", &format!("{R}/tokens"), body).await.expect(201))
        };
        let decide = async |key: &str, id: &str, act: &str| {
            world.call(key, "POST", &format!("{R}/tokens/{id}/{act}"), Value::Null).await.status
        };
        let (id, secret) = wanted().await;
        for act in ["approve", "deny"] {
            assert_eq!(decide(&one, &id, act).await, 404, "{act}");
        }
        assert_eq!(world.code(&alice, &secret).await, "pending");
        assert_eq!(decide(&both, &id, "approve").await, 200);
        assert_eq!(world.code(&alice, &secret).await, "active");

        // A service that does not ask is not asked.
        let (id, secret) = wanted().await;
        let asks_no_more = json!({ "token_policy": { "approval": false } });
        world.patch(&format!("{R}/services/wiki"), asks_no_more).await.expect(200);
        assert_eq!(decide(&carol, &id, "approve").await, 403);
        assert_eq!(decide(&one, &id, "approve").await, 200);
        assert_eq!(world.code(&alice, &secret).await, "active");

        let unit = world.post(&format!("{R}/units"), json!({ "name": "Physics" })).await;
        let unit = unit.expect(201)["id"].clone();
        let head = world.person("mallory", None).await;
        let grant = json!({ "subject": { "user": "mallory" }, "role": "unit-admin", "unit": unit });
        world.post(&format!("{R}/grants"), grant).await.expect(201);
        world.patch(&format!("{R}/users/carol"), json!({ "unit": unit })).await.expect(200);
        let (id, secret) = wanted().await;
        for act in ["approve", "deny"] {
            assert_eq!(decide(&head, &id, act).await, 403, "{act}");
        }
        assert_eq!(world.code(&alice, &secret).await, "pending");
    }
}
