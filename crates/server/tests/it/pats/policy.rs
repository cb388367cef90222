//! Check 17, and idle expiry: policies that were tightened block at use, and say whom they hit.

use serde_json::{Value, json};

use super::world::{ENGINES, of};
use crate::world::{R, World};

const DAY: i64 = 86_400;

/// The ids in an answer, and for each whether it was refused before.
fn hits(answer: &Value) -> Vec<(String, String, bool)> {
    let items = answer["items"].as_array().unwrap().iter();
    let mut hits: Vec<_> = items
        .map(|hit| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&hit["token"]["id"]), text(&hit["reason"]), hit["already"] == true)
        })
        .collect();
    hits.sort();
    hits
}

#[tokio::test]
async fn check_17_above_the_longest_lifetime_nothing_is_issued_and_the_answer_names_it() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        world.with_alice().await;
        world.policy(json!({ "max_lifetime_seconds": 10 * DAY })).await;
        let body = json!({ "kind": "personal_access_token", "user": "alice", "services": ["git"],
            "lifetime_seconds": 11 * DAY });
        let said = world.post(&format!("{R}/tokens"), body).await.refused(422, "policy");
        assert!(said["detail"].as_str().unwrap().contains("10 days"), "{said}");
    }
}

#[tokio::test]
async fn check_17_a_lower_maximum_blocks_at_use_revokes_nothing_and_was_foretold() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let short =
            world.pat("alice", json!({ "services": ["git"], "lifetime_seconds": DAY })).await;
        let long =
            world.pat("alice", json!({ "services": ["git"], "lifetime_seconds": 60 * DAY })).await;
        let every = json!({ "services": ["*"], "lifetime_seconds": 60 * DAY });
        let every = world.pat("alice", every).await;
        let gone = world.pat("alice", json!({ "services": ["git"], "lifetime_seconds": 60 * DAY }));
        let gone = gone.await;
        world.act(&gone.0, "revoke").await.expect(200);
        let change = json!({ "token_policy": { "max_lifetime_seconds": 30 * DAY } });
        let path = format!("{R}/services/git");
        let tried = world.patch(&format!("{path}?dry_run=true"), change.clone()).await.expect(200);
        let mut foretold =
            [&alice.token, &long.0, &every.0].map(|id| (id.clone(), "lifetime".to_owned(), false));
        foretold.sort();
        assert_eq!(hits(&tried), foretold);
        // Nothing has happened yet.
        for secret in [&alice.secret, &short.1, &long.1, &every.1] {
            assert_eq!(world.code(&alice, secret).await, "active");
        }
        let none = world.get(&format!("{R}/blocked-tokens?service=git")).await.expect(200);
        assert_eq!(hits(&none), []);
        world.patch(&path, change.clone()).await.expect(200);
        assert_eq!(world.code(&alice, &short.1).await, "active");
        for secret in [&alice.secret, &long.1, &every.1] {
            assert_eq!(world.code(&alice, secret).await, "policy_blocked");
        }
        // The report lists the same ones, and so does a dry run of the same change.
        let reported = world.get(&format!("{R}/blocked-tokens?service=git")).await.expect(200);
        let ids = |hits: &[(String, String, bool)]| -> Vec<String> {
            hits.iter().map(|(id, ..)| id.clone()).collect()
        };
        assert_eq!(ids(&hits(&reported)), ids(&foretold));
        let again = world.patch(&format!("{path}?dry_run=true"), change).await.expect(200);
        assert!(hits(&again).iter().all(|(.., already)| *already), "{again}");
        let shown = world.get(&format!("{R}/tokens/{}", long.0)).await.expect(200);
        assert_eq!((&shown["state"], &shown["revoked_at"]), (&json!("active"), &Value::Null));
        // Loosened again, they are good again.
        world.policy(json!({ "max_lifetime_seconds": null })).await;
        for secret in [&alice.secret, &long.1, &every.1] {
            assert_eq!(world.code(&alice, secret).await, "active");
        }
    }
}

#[tokio::test]
async fn check_17_the_dry_run_of_a_realm_names_each_service_and_pages_are_complete() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        world.service("wiki").await;
        let mut all = vec![alice.token.clone()];
        for _ in 0..6 {
            all.push(world.pat("alice", json!({ "services": ["wiki"] })).await.0);
        }
        let endless = json!({ "services": ["git"], "expires_at": null });
        let endless = world.pat("alice", endless).await.0;
        let change = json!({ "token_policy": { "must_expire": true } });
        let tried = world.patch(&format!("{R}?dry_run=true"), change).await.expect(200);
        let reasons = [(endless.clone(), "lifetime".to_owned(), false)];
        assert_eq!(hits(&tried), reasons);
        assert_eq!(tried["items"][0]["service"], "git");
        all.push(endless);
        all.sort();
        let change = json!({ "token_policy": { "max_lifetime_seconds": DAY } });
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{R}?dry_run=true&limit=2{cursor}");
            let page = world.patch(&path, change.clone()).await.expect(200);
            seen.extend(hits(&page).into_iter().map(|(id, ..)| id));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        seen.sort();
        assert_eq!(seen, all);
        // Who may not make the change may not try it either.
        let bob = world.person("bob", Some("service-manager")).await;
        let tried = world.call(&bob, "PATCH", &format!("{R}?dry_run=true"), change).await;
        assert_eq!(tried.status, 403);
        world.patch(&format!("{R}?limit=2"), json!({})).await.refused(422, "invalid");
        world.patch(&format!("{R}?dry_run=maybe"), json!({})).await.refused(422, "invalid");
    }
}

#[tokio::test]
async fn check_17_an_owner_sees_why_a_token_of_theirs_is_refused_and_nobody_elses() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let carol = world.person("carol", None).await;
    let hers = world.pat("carol", json!({ "services": ["git"] })).await.0;
    world.policy(json!({ "max_lifetime_seconds": DAY })).await;
    let path = format!("{R}/blocked-tokens");
    let seen = world.call(&carol, "GET", &path, Value::Null).await.expect(200);
    assert_eq!(hits(&seen), [(hers, "lifetime".to_owned(), true)]);
    let all = world.get(&path).await.expect(200);
    assert_eq!(hits(&all).len(), 2, "{all}");
    assert!(hits(&all).iter().any(|(id, ..)| *id == alice.token));
}

#[tokio::test]
async fn a_token_that_rests_too_long_is_refused_until_it_gets_a_new_secret() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let used = world.pat("alice", json!({ "services": ["git"] })).await;
        world.policy(json!({ "idle_expiry_seconds": 10 * DAY })).await;
        let pass = |days: i64| world.clock.advance_seconds(days * DAY);
        // One is used every week, seen by one node or another, the other one is not.
        for round in 0..3 {
            pass(7);
            let other = world.restarted().await;
            let node = if round == 1 { &other } else { &world };
            assert_eq!(node.code(&alice, &used.1).await, "active", "{round}");
            node.authority.flush_usage().await.unwrap();
        }
        assert_eq!(world.code(&alice, &alice.secret).await, "policy_blocked");
        let report = world.get(&format!("{R}/blocked-tokens?service=git")).await.expect(200);
        assert_eq!(hits(&report), [(alice.token.clone(), "idle".to_owned(), true)]);
        // A refused use is no use, and a look is none.
        let look = json!({ "token": used.1, "consume": false });
        pass(9);
        assert_eq!(world.asked(&alice, look).await["active"], true);
        pass(1);
        assert_eq!(world.code(&alice, &used.1).await, "policy_blocked");
        assert_eq!(world.code(&alice, &alice.secret).await, "policy_blocked");
        let rotated = world.act(&alice.token, "rotate").await.expect(200);
        let fresh = rotated["secret"].as_str().unwrap();
        assert_eq!(world.code(&alice, fresh).await, "active");
        world.policy(json!({ "idle_expiry_seconds": null })).await;
        assert_eq!(world.code(&alice, &used.1).await, "active");
        let hour = json!({ "token_policy": { "idle_expiry_seconds": 3599 } });
        world.patch(&format!("{R}/services/git"), hour).await.refused(422, "invalid");
    }
}

#[tokio::test]
async fn a_service_offers_lifetimes_that_it_allows() {
    let world = World::new().await;
    world.with_alice().await;
    let path = format!("{R}/services/git/offer");
    let offer = world.get(&path).await.expect(200);
    assert_eq!(offer["lifetime_presets_seconds"], json!([7 * DAY, 30 * DAY, 60 * DAY, 90 * DAY]));
    world.policy(json!({ "max_lifetime_seconds": 40 * DAY, "scopes": ["repo/*:read"] })).await;
    let offer = world.get(&path).await.expect(200);
    assert_eq!(offer["lifetime_presets_seconds"], json!([7 * DAY, 30 * DAY]));
    assert_eq!(offer["default_lifetime_seconds"], 40 * DAY);
    assert_eq!(offer["scopes"], json!(["repo/*:read"]));
    world.policy(json!({ "lifetime_presets_seconds": [DAY, 50 * DAY, DAY] })).await;
    let offer = world.get(&path).await.expect(200);
    assert_eq!(offer["lifetime_presets_seconds"], json!([DAY]));
    let none = json!({ "token_policy": { "lifetime_presets_seconds": [] } });
    world.patch(&format!("{R}/services/git"), none).await.refused(422, "invalid");
}

#[tokio::test]
async fn a_scope_is_asked_of_a_pattern_as_the_reference_says() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    world.policy(json!({ "scopes": ["repo/*:*", "push"] })).await;
    let body = json!({ "services": ["git"], "scopes": ["repo/web/*:read", "repo/docs:*"] });
    let (_, secret) = world.pat("alice", body).await;
    for (scope, granted) in [
        ("repo/web/one:read", true),
        ("repo/web/one:write", false),
        ("repo/web:read", false),
        ("repo/docs:write", true),
        ("repo/docs/more:write", false),
        ("push", false),
    ] {
        let said = world.asked(&alice, json!({ "token": secret, "scopes": [scope] })).await;
        assert_eq!(said["active"], granted, "{scope}: {said}");
    }
    let refused = json!({ "kind": "personal_access_token", "user": "alice", "services": ["git"],
        "scopes": ["*:read"] });
    world.post(&format!("{R}/tokens"), refused).await.refused(422, "policy");
}

/// Semantics, section 6: what the realm says of a person's tokens counts over all services.
#[tokio::test]
async fn a_person_holds_no_more_tokens_than_the_realm_allows_whatever_they_are_for() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        world.with_alice().await;
        world.service("wiki").await;
        let carol = world.person("carol", None).await;
        let realm = json!({ "token_policy": { "max_active_per_user": 3 } });
        world.patch(R, realm).await.expect(200);
        let issue = async |services: Value| {
            let body = json!({ "kind": "personal_access_token", "services": services });
            world.call(&carol, "POST", &format!("{R}/tokens"), body).await
        };
        // Her token for the API is one of them.
        let (first, _) = of(&issue(json!(["git"])).await.expect(201));
        let (_, narrowed) = of(&issue(json!(["wiki"])).await.expect(201));
        let refused = issue(json!(["wiki"])).await.refused(409, "at-limit");
        assert!(refused["detail"].as_str().unwrap().contains('3'), "{refused}");
        assert_eq!(issue(json!(["git", "wiki"])).await.status, 409);
        world.act(&first, "revoke").await.expect(200);
        issue(json!(["git", "wiki"])).await.expect(201);
        // Kinds are counted apart, and a registration token is nobody's to use.
        let service = json!({ "kind": "service_token", "service": "git" });
        world.call(&carol, "POST", &format!("{R}/tokens"), service).await.expect(201);
        for _ in 0..4 {
            let body = json!({ "kind": "registration_token", "count": 1 });
            world.post(&format!("{R}/tokens"), body).await.expect(201);
        }
        for _ in 0..3 {
            world.derived(&narrowed, json!({})).await;
        }
        assert_eq!(world.derive(&narrowed, json!({})).await.status, 409);
    }
}
