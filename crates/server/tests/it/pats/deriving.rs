//! Check 16: what the holder of a token can do with it, and what it can never do.

use serde_json::{Value, json};

use super::world::{ENGINES, of};
use crate::world::{R, World};

/// Everything that a derived token can be asked to be.
fn wide() -> Value {
    json!({
        "services": ["git", "wiki"],
        "scopes": ["repo/*:read", "push"],
        "permissions": { "repo/*": ["read"] },
        "networks": ["127.0.0.0/24"],
        "doors": ["api", "forward-auth"],
        "lifetime_seconds": 100_000,
    })
}

#[tokio::test]
async fn check_16_a_holder_looks_rotates_and_revokes_by_possession() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let shown = world.call(&alice.secret, "GET", "/api/v1/self", Value::Null).await.expect(200);
        assert_eq!(shown["id"], json!(alice.token));
        let rotated = world.call(&alice.secret, "POST", "/api/v1/self/rotate", json!({})).await;
        let (id, secret) = of(&rotated.expect(200));
        assert_eq!(id, alice.token);
        world.call(&secret, "DELETE", "/api/v1/self", Value::Null).await.expect(204);
        assert_eq!(world.code(&alice, &secret).await, "revoked");
    }
}

#[tokio::test]
async fn check_16_a_token_issues_neither_wider_nor_longer_than_it_is() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        world.user("alice").await;
        world.service("git").await;
        let body = json!({ "services": ["counterfoil"], "scopes": ["tokens:write"],
            "lifetime_seconds": 1000 });
        let (_, secret) = world.pat("alice", body).await;
        let issue = |more: Value| {
            let mut body = json!({ "kind": "personal_access_token" });
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            let (world, secret) = (&world, &secret);
            async move { world.call(secret, "POST", &format!("{R}/tokens"), body).await }
        };
        let api = |scope: &str| json!({ "services": ["counterfoil"], "scopes": [scope] });
        assert_eq!(issue(api("users:write")).await.status, 403);
        assert_eq!(
            issue(json!({ "services": ["git"], "lifetime_seconds": 1001 })).await.status,
            422
        );
        assert_eq!(issue(json!({ "services": ["git"], "expires_at": null })).await.status, 422);
        let same = issue(api("tokens:write")).await.expect(201);
        let clipped = issue(json!({ "services": ["git"] })).await.expect(201);
        for issued in [same, clipped] {
            assert_eq!(issued["token"]["expires_at"], "2026-11-21T12:16:40Z");
        }
    }
}

#[tokio::test]
async fn check_16_a_derived_token_lies_within_its_parent_in_every_respect() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        world.with_alice().await;
        world.service("wiki").await;
        let (parent, secret) = world.pat("alice", wide()).await;
        // The same as its parent, and each narrower thing.
        let (id, child) = world.derived(&secret, json!({})).await;
        let shown = world.get(&format!("{R}/tokens/{id}")).await.expect(200);
        for (field, value) in wide().as_object().unwrap() {
            if field != "lifetime_seconds" {
                assert_eq!(&shown[field], value, "{field}");
            }
        }
        assert_eq!(
            (&shown["kind"], &shown["parent"], &shown["user"]),
            (&json!("derived_token"), &json!(parent), &json!("alice")),
        );
        assert!(child.starts_with("cflx_"));
        for narrower in [
            json!({ "services": ["git"] }),
            json!({ "scopes": ["repo/web:read"] }),
            json!({ "scopes": [] }),
            json!({ "permissions": { "repo/web": ["read"] } }),
            json!({ "networks": ["127.0.0.1/32"] }),
            json!({ "doors": ["forward-auth"] }),
            json!({ "lifetime_seconds": 10 }),
            json!({ "max_usages": 1 }),
        ] {
            world.derive(&secret, narrower).await.expect(201);
        }
        for wider in [
            json!({ "services": ["git", "counterfoil"] }),
            json!({ "services": ["*"] }),
            json!({ "scopes": ["repo/web:write"] }),
            json!({ "scopes": ["*:read"] }),
            json!({ "permissions": { "repo/web": ["write"] } }),
            json!({ "permissions": { "*": ["read"] } }),
            json!({ "networks": ["127.0.0.0/16"] }),
            json!({ "networks": ["127.0.0.0/24", "198.51.100.0/24"] }),
            json!({ "doors": ["ldap"] }),
            json!({ "lifetime_seconds": 100_001 }),
            json!({ "expires_at": null }),
            json!({ "max_usages": 0 }),
            json!({ "colour": "red" }),
        ] {
            let refused = world.derive(&secret, wider.clone()).await;
            assert!([400, 422].contains(&refused.status), "{wider}: {}", refused.text);
        }
        let children = world.get(&format!("{R}/tokens/{parent}/children?limit=100")).await;
        assert_eq!(children.expect(200)["items"].as_array().unwrap().len(), 9);
    }
}

#[tokio::test]
async fn check_16_derivations_end_after_three_in_a_row() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let mut secret = alice.secret.clone();
        for _ in 0..3 {
            secret = world.derived(&secret, json!({})).await.1;
            assert_eq!(world.code(&alice, &secret).await, "active");
        }
        world.derive(&secret, json!({})).await.refused(422, "policy");
    }
}

#[tokio::test]
async fn check_16_what_happens_to_a_parent_holds_for_all_that_came_from_it() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let body = json!({ "services": ["git"], "lifetime_seconds": 5000, "scopes": ["a", "b"] });
        let (id, secret) = world.pat("alice", body).await;
        let (child_id, child) = world.derived(&secret, json!({ "lifetime_seconds": 4000 })).await;
        let (_, grandchild) = world.derived(&child, json!({ "lifetime_seconds": 3000 })).await;
        let family = [&child, &grandchild];
        // Here, and on a node that has everything to read yet.
        let all_say = async |expected: &str| {
            let other = world.restarted().await;
            for node in [&world, &other] {
                for secret in family {
                    assert_eq!(node.code(&alice, secret).await, expected);
                }
            }
        };
        all_say("active").await;
        for (act, reason) in [("lock", "locked"), ("disable", "disabled")] {
            world.act(&id, act).await.expect(200);
            all_say(reason).await;
            let back = if act == "lock" { "unlock" } else { "enable" };
            world.act(&id, back).await.expect(200);
            all_say("active").await;
        }
        // What the parent may no longer do, its family may no longer do.
        let narrower = json!({ "scopes": ["a"] });
        world.patch(&format!("{R}/tokens/{id}"), narrower).await.expect(200);
        for secret in family {
            let ask = |scope: &str| json!({ "token": secret, "scopes": [scope] });
            assert_eq!(world.asked(&alice, ask("a")).await["active"], true);
            assert_eq!(world.asked(&alice, ask("b")).await["code"], "insufficient_scope");
        }
        // Ended before its time, it ends them as its time does.
        let end = json!({ "expires_at": "2026-11-21T12:10:00Z" });
        world.patch(&format!("{R}/tokens/{id}"), end).await.expect(200);
        world.clock.advance_seconds(600);
        all_say("expired").await;
        world.clock.advance_seconds(-600);
        all_say("active").await;
        // In the middle, it takes only what came from it.
        world.act(&child_id, "revoke").await.expect(200);
        assert_eq!(world.code(&alice, &secret).await, "active");
        assert_eq!(world.code(&alice, &child).await, "revoked");
        assert_eq!(world.code(&alice, &grandchild).await, "revoked");
    }
}

#[tokio::test]
async fn check_16_revoking_a_parent_revokes_its_family_for_good() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let (child_id, child) = world.derived(&alice.secret, json!({})).await;
        let (_, grandchild) = world.derived(&child, json!({})).await;
        assert_eq!(world.code(&alice, &grandchild).await, "active");
        world.act(&alice.token, "revoke").await.expect(200);
        for secret in [&child, &grandchild] {
            assert_eq!(world.code(&alice, secret).await, "revoked");
        }
        let shown = world.get(&format!("{R}/tokens/{child_id}")).await.expect(200);
        assert_eq!(shown["revoked_reason"], "parent revoked");
    }
}

#[tokio::test]
async fn check_16_an_access_token_of_a_derived_token_dies_with_the_parent_of_that() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let (_, child) = world.derived(&alice.secret, json!({})).await;
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={child}\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let said = world.send("POST", "/oauth2/token", &headers, Some(form.into_bytes())).await;
    let access = said.expect(200)["access_token"].as_str().unwrap().to_owned();
    assert_eq!(world.code(&alice, &access).await, "active");
    world.act(&alice.token, "lock").await.expect(200);
    assert_eq!(world.code(&alice, &access).await, "locked");
    world.act(&alice.token, "unlock").await.expect(200);
    assert_eq!(world.code(&alice, &access).await, "active");
}

#[tokio::test]
async fn check_16_only_who_may_derives() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let service = json!({ "kind": "service_token", "user": "alice", "service": "git" });
    let service = of(&world.post(&format!("{R}/tokens"), service).await.expect(201));
    world.derive(&service.1, json!({})).await.refused(422, "policy");
    world.policy(json!({ "self_derive": true })).await;
    let (_, child) = world.derived(&service.1, json!({})).await;
    assert_eq!(world.code(&alice, &child).await, "active");
    world.policy(json!({ "self_derive": false })).await;
    for secret in [&alice.secret, &service.1, &child] {
        world.derive(secret, json!({})).await.refused(422, "policy");
    }
    world.policy(json!({ "self_derive": null })).await;
    // A client's key is bounded by its role, and counted uses are nobody's to hand on.
    world.derive(&alice.gate, json!({})).await.refused(422, "policy");
    let counted = world.pat("alice", json!({ "services": ["git"], "max_usages": 5 })).await;
    world.derive(&counted.1, json!({})).await.refused(422, "policy");
    // A former secret is what somebody else may have seen.
    world.call(&alice.secret, "POST", "/api/v1/self/rotate", json!({})).await.expect(200);
    assert_eq!(world.derive(&alice.secret, json!({})).await.status, 403);
    world.derive("cflp_nonsense", json!({})).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn check_16_a_token_for_the_api_hands_on_its_own_api_scopes_word_by_word() {
    let world = World::new().await;
    world.with_alice().await;
    let body = json!({ "services": ["counterfoil"], "scopes": ["tokens:read", "tokens:*"] });
    let (_, secret) = world.pat("alice", body).await;
    for scope in ["tokens:write", "users:read"] {
        let wider = world.derive(&secret, json!({ "scopes": [scope] })).await;
        wider.refused(422, "invalid");
    }
    let (_, child) = world.derived(&secret, json!({ "scopes": ["tokens:read"] })).await;
    let list = format!("{R}/tokens");
    world.call(&child, "GET", &list, Value::Null).await.expect(200);
    assert_eq!(world.call(&child, "POST", &list, json!({ "kind": "generic" })).await.status, 403);
}

#[tokio::test]
async fn check_16_the_same_key_derives_once_and_the_secret_is_shown_once() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let ask = async || {
        let headers = [("idempotency-key", "one")];
        let path = "/api/v1/self/derive";
        world.call_with(&alice.secret, "POST", path, &headers, json!({ "name": "ci" })).await
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!(first.header("cache-control"), "no-store");
    assert_eq!((first.status, &first.text), (201, &second.text));
    let (id, secret) = of(&first.body);
    let shown = world.get(&format!("{R}/tokens/{id}")).await;
    assert!(!shown.text.contains(&secret[18..]), "{}", shown.text);
    let events = world.get(&format!("{R}/events?kind=token.derived")).await.expect(200);
    assert_eq!(events["items"][0]["detail"]["parent"], json!(alice.token));
}
