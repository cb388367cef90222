//! `/api/v1/self` and revocation by possession.

use std::time::Duration;

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{Prefix, TokenId, generate_prefixed};
use counterfoil_authority::testing::SeededEntropy;
use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn a_holder_looks_at_rotates_and_ends_the_token_in_hand() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let shown = world.call(&alice.secret, "GET", "/api/v1/self", json!(null)).await.expect(200);
    assert_eq!(shown["id"], json!(alice.token));
    let rotated =
        world.call(&alice.secret, "POST", "/api/v1/self/rotate", json!({})).await.expect(200);
    let fresh = rotated["secret"].as_str().unwrap();
    world.call(fresh, "DELETE", "/api/v1/self", json!(null)).await.expect(204);
    for secret in [fresh, alice.secret.as_str()] {
        let ended = world.call(secret, "GET", "/api/v1/self", json!(null)).await;
        ended.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_service_token_is_not_rotated_by_who_sees_it() {
    let world = World::new().await;
    world.user("alice").await;
    world.service("mail").await;
    let body = json!({ "kind": "service_token", "user": "alice", "service": "mail" });
    let issued = world.post("/api/v1/realms/main/tokens", body).await.expect(201);
    let secret = issued["secret"].as_str().unwrap();
    world.call(secret, "GET", "/api/v1/self", json!(null)).await.expect(200);
    world.call(secret, "POST", "/api/v1/self/rotate", json!({})).await.refused(422, "policy");
}

#[tokio::test]
async fn whoever_finds_a_credential_can_end_it_and_learns_nothing() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let revoke = |credentials: serde_json::Value| {
        let body = json!({ "credentials": credentials }).to_string().into_bytes();
        let headers = [("content-type", "application/json")];
        let world = &world;
        async move { world.send("POST", "/api/v1/credentials/revoke", &headers, Some(body)).await }
    };
    let found = revoke(json!([alice.secret, "cflp_nonsense", "", "x"])).await;
    let nothing = revoke(json!(["x"])).await;
    assert_eq!((found.status, &found.text), (202, &nothing.text));
    world
        .call(&alice.secret, "GET", "/api/v1/self", json!(null))
        .await
        .refused(401, "unauthenticated");
    assert_eq!(revoke(json!(vec!["x"; 1000])).await.status, 202);
    revoke(json!(vec!["x"; 1001])).await.refused(422, "invalid");
    revoke(json!([1])).await.refused(422, "invalid");
}

#[tokio::test]
async fn guesses_at_credentials_to_revoke_are_answered_later_and_a_right_one_never() {
    let world = World::throttling().await;
    let alice = world.with_alice().await;
    let other = world.pat("alice", json!({ "services": ["git"] })).await.1;
    let revoke = |credentials: &[String]| {
        let body = json!({ "credentials": credentials }).to_string().into_bytes();
        let world = &world;
        async move {
            let headers = [("content-type", "application/json")];
            let asked = world.send("POST", "/api/v1/credentials/revoke", &headers, Some(body));
            // The first delay is 100 ms, and grows.
            tokio::time::timeout(Duration::from_millis(90), asked).await.map(|said| said.status)
        }
    };
    // What cannot be one of ours is no guess.
    assert_eq!(revoke(&vec!["ghp_something".to_owned(); 1000]).await, Ok(202));
    let entropy = SeededEntropy::new(99);
    let mut guesses = Vec::new();
    for _ in 0..100 {
        let id = TokenId::generate(&entropy).unwrap();
        let kind = Kind::PersonalAccessToken;
        let guess = generate_prefixed(&Prefix::default(), kind, id, &entropy).unwrap();
        guesses.push(guess.reveal().to_owned());
    }
    guesses.insert(50, alice.secret.clone());
    assert!(revoke(&guesses).await.is_err(), "a hundred guesses are answered later");
    let ended = world.get(&format!("{R}/tokens/{}", alice.token)).await.expect(200);
    assert_eq!(ended["state"], "revoked", "and what was right among them ends at once");
    assert!(revoke(&guesses[..1]).await.is_err());
    assert_eq!(revoke(&[other]).await, Ok(202));
}
