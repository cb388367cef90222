//! `R/verify` and `R/verify/batch`.

use std::sync::Arc;

use counterfoil_authority::verdict::{Door, Reason};
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{DatabaseUrl, OpenOptions};
use serde_json::{Value, json};

use crate::world::{R, World};

#[tokio::test]
async fn a_verifier_learns_whose_a_good_token_is_and_a_code_for_a_bad_one() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let ask = |body| world.call(&alice.gate, "POST", "/api/v1/realms/main/verify", body);
    let mut answer = ask(json!({ "token": alice.secret, "username": "ALICE" })).await.expect(200);
    assert_eq!(answer["token_id"], json!(alice.token));
    answer["token_id"] = json!("[id]");
    insta::assert_json_snapshot!(answer, @r#"
    {
      "active": true,
      "client": null,
      "expires_at": "2027-02-19T12:00:00Z",
      "kind": "personal_access_token",
      "permissions": null,
      "remaining": null,
      "scopes": [],
      "service": "git",
      "service_checked": true,
      "token_id": "[id]",
      "username": "alice"
    }
    "#);
    let code = |body| async { ask(body).await.expect(200)["code"].clone() };
    assert_eq!(code(json!({ "token": "nothing" })).await, "unknown");
    assert_eq!(code(json!({ "token": "" })).await, "unknown");
    assert_eq!(code(json!({ "token": "x".repeat(4096) })).await, "unknown");
    assert_eq!(code(json!({ "token": alice.secret, "username": "bob" })).await, "wrong_user");
    assert_eq!(code(json!({ "token": alice.secret, "scopes": ["x"] })).await, "insufficient_scope");
    assert_eq!(world.state.metrics.verify_count(Door::Api, Some(Reason::Unknown)), 3);
    assert_eq!(world.state.metrics.verify_count(Door::Api, None), 1);
}

#[tokio::test]
async fn a_verifier_asks_about_its_own_services_only() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    world.service("mail").await;
    let path = format!("{R}/verify");
    let foreign = json!({ "token": alice.secret, "service": "mail" });
    let refused = world.call(&alice.gate, "POST", &path, foreign.clone()).await;
    let refused = refused.refused(403, "insufficient-scope");
    assert_eq!(refused["detail"], "this needs the scope verify for the service mail");
    let both = json!({ "roles": ["verifier"], "services": ["git", "mail"] });
    let both = world.client("both", both).await;
    let unnamed = world.call(&both, "POST", &path, json!({ "token": alice.secret })).await;
    assert_eq!(unnamed.refused(422, "invalid")["field"], "service");
    let named = world.call(&both, "POST", &path, foreign).await.expect(200);
    assert_eq!(named["code"], "wrong_service");
    let unbound = world.post(&path, json!({ "token": alice.secret })).await.expect(200);
    assert_eq!((&unbound["active"], &unbound["service_checked"]), (&json!(true), &json!(false)));
    world
        .call(&alice.secret, "POST", &path, json!({ "token": "x" }))
        .await
        .refused(403, "insufficient-scope");
}

#[tokio::test]
async fn limited_tokens_count_only_uses() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let (_, secret) = world.pat("alice", json!({ "services": ["git"], "max_usages": 1 })).await;
    let ask = |consume: bool| {
        let body = json!({ "token": secret, "consume": consume });
        world.call(&alice.gate, "POST", "/api/v1/realms/main/verify", body)
    };
    assert_eq!(ask(false).await.expect(200)["remaining"], 1);
    assert_eq!(ask(true).await.expect(200)["remaining"], 0);
    assert_eq!(ask(true).await.expect(200)["code"], "exhausted");
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_has_a_limit() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let path = format!("{R}/verify/batch");
    let ask = |body| world.call(&alice.gate, "POST", &path, body);
    let requests = json!([{ "token": "x" }, { "token": alice.secret }, { "token": "y" }]);
    let answer = ask(json!({ "requests": requests })).await.expect(200);
    let active = |index: usize| answer["results"][index]["active"].as_bool().unwrap();
    assert_eq!([active(0), active(1), active(2)], [false, true, false]);
    assert_eq!(ask(json!({ "requests": [] })).await.expect(200), json!({ "results": [] }));
    let many = vec![json!({ "token": "x" }); 101];
    ask(json!({ "requests": many })).await.refused(422, "invalid");
    let wrong = json!({ "requests": [{ "token": "x" }, { "token": "x", "client_ip": "home" }] });
    assert_eq!(ask(wrong).await.refused(422, "invalid")["field"], "requests[1].client_ip");
    let list = json!({ "requests": [[alice.secret]] });
    assert_eq!(ask(list).await.refused(422, "invalid")["field"], "requests[0]");
}

#[tokio::test]
async fn a_revoked_token_is_refused_by_the_next_request() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let ask = || {
        let body = json!({ "token": alice.secret });
        world.call(&alice.gate, "POST", "/api/v1/realms/main/verify", body)
    };
    assert_eq!(ask().await.expect(200)["active"], true);
    world.post(&format!("{R}/tokens/{}/revoke", alice.token), json!(null)).await.expect(200);
    assert_eq!(ask().await.expect(200), json!({ "active": false, "code": "revoked" }));
}

/// Every string that differs from `token` in one character: replaced, left out or added.
fn changed_in_one_character(token: &str) -> Vec<String> {
    let alphabet = ('0'..='9').chain('A'..='Z').chain('a'..='z').chain("_-. é\u{ff10}".chars());
    let alphabet: Vec<char> = alphabet.collect();
    let mut changed = Vec::new();
    for (place, right) in token.char_indices() {
        let (before, after) = (&token[..place], &token[place + right.len_utf8()..]);
        changed.push(format!("{before}{after}"));
        for other in alphabet.iter().filter(|other| **other != right) {
            changed.push(format!("{before}{other}{after}"));
            changed.push(format!("{before}{right}{other}{after}"));
        }
    }
    changed
}

#[tokio::test]
async fn every_change_of_one_character_is_refused_without_a_read_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(&dir.path().join("store.db"));
    let store = counterfoil_store::open(&url, OpenOptions::default()).await.unwrap();
    let world = World::over(Arc::clone(&store) as _, HttpSettings::default()).await;
    let alice = world.with_alice().await;
    // One that nobody asked about yet: the cache cannot be what spares the reads.
    let (_, secret) = world.pat("alice", json!({ "services": ["git"] })).await;
    let ask =
        |body: Value| world.call(&alice.gate, "POST", "/api/v1/realms/main/verify/batch", body);
    ask(json!({ "requests": [{ "token": "warm" }] })).await.expect(200);
    let before = store.record_reads();
    let changed = changed_in_one_character(&secret);
    assert!(changed.len() > 56 * 61);
    for some in changed.chunks(100) {
        let requests: Vec<Value> = some.iter().map(|token| json!({ "token": token })).collect();
        let answers = ask(json!({ "requests": requests })).await.expect(200);
        for (token, answer) in some.iter().zip(answers["results"].as_array().unwrap()) {
            assert_eq!(answer, &json!({ "active": false, "code": "unknown" }), "{token}");
        }
    }
    assert_eq!(store.record_reads(), before);
    let right = ask(json!({ "requests": [{ "token": secret }] })).await.expect(200);
    assert_eq!(right["results"][0]["active"], json!(true));
    assert_eq!(store.record_reads(), before + 1);
}
