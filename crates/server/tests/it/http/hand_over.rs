//! Handing a token over to another person.

use std::sync::Arc;

use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::world::{Answer, Engine, R, World};

async fn hand(world: &World, key: &str, token: &str, to: &str) -> Answer {
    let body = json!({ "token": token, "to": to });
    world.call(key, "POST", &format!("{R}/users/alice/hand-over"), body).await
}

async fn verdict(world: &World, gate: &str, secret: &str) -> Value {
    let body = json!({ "token": secret });
    world.call(gate, "POST", &format!("{R}/verify"), body).await.expect(200)
}

#[tokio::test]
async fn a_token_outlives_the_person_who_leaves() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        world.user("bob").await;
        let key = &world.operator_key;
        assert_eq!(verdict(&world, &alice.gate, &alice.secret).await["username"], "alice");
        let handed = hand(&world, key, &alice.token, "bob").await.expect(200);
        assert_eq!((&handed["user"], &handed["id"]), (&json!("bob"), &json!(alice.token)));
        assert_eq!(verdict(&world, &alice.gate, &alice.secret).await["username"], "bob");
        // What is not hers any more cannot be handed over by her.
        hand(&world, key, &alice.token, "bob").await.refused(404, "not-found");
        world.delete(&format!("{R}/users/alice")).await.expect(204);
        assert_eq!(verdict(&world, &alice.gate, &alice.secret).await["active"], json!(true));
        let told = world.get(&format!("{R}/events?kind=token.handed-over")).await.expect(200);
        let told: Vec<&Value> =
            told["items"].as_array().unwrap().iter().map(|event| &event["subject"]).collect();
        assert_eq!(told.len(), 2);
        assert!(told.contains(&&json!("user:alice")) && told.contains(&&json!("user:bob")));
    }
}

#[tokio::test]
async fn what_cannot_be_handed_over_is_refused() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let key = world.operator_key.clone();
    world.user("bob").await;
    let hand = async |token: &str, to: &str| hand(&world, &key, token, to).await;
    hand(&alice.token, "alice").await.refused(422, "invalid");
    hand(&alice.token, "nobody").await.refused(422, "invalid");
    hand("7", "bob").await.refused(404, "not-found");
    world.patch(&format!("{R}/users/bob"), json!({ "status": "suspended" })).await.expect(200);
    hand(&alice.token, "bob").await.refused(422, "invalid");
    world.patch(&format!("{R}/users/bob"), json!({ "status": "active" })).await.expect(200);
    let scopes = json!({ "services": ["counterfoil"], "scopes": ["tokens:read"] });
    let (api, _) = world.pat("alice", scopes).await;
    hand(&api, "bob").await.refused(422, "policy");
    // A service that is not for bob.
    world.post(&format!("{R}/groups"), json!({ "name": "few" })).await.expect(201);
    let member = format!("{R}/groups/few/members/alice");
    world.call(&key, "PUT", &member, Value::Null).await.expect(204);
    let service = json!({ "label": "lab", "visibility": "group", "group": "few" });
    world.post(&format!("{R}/services"), service).await.expect(201);
    let (lab, _) = world.pat("alice", json!({ "services": ["lab"] })).await;
    hand(&lab, "bob").await.refused(422, "policy");
    // As many as bob may have.
    let policy = json!({ "token_policy": { "max_active_per_user": 1 } });
    world.patch(&format!("{R}/services/git"), policy).await.expect(200);
    world.pat("bob", json!({ "services": ["git"] })).await;
    hand(&alice.token, "bob").await.refused(409, "at-limit");
    world.post(&format!("{R}/tokens/{}/revoke", alice.token), json!({})).await.expect(200);
    hand(&alice.token, "bob").await.refused(409, "ended");
}

#[tokio::test]
async fn only_who_administers_people_and_tokens_and_stands_above_both_hands_over() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    world.user("bob").await;
    for (name, scopes) in [("a", json!(["tokens:write"])), ("b", json!(["users:write"]))] {
        let key = world.client(name, json!({ "roles": ["realm-admin"], "scopes": scopes })).await;
        hand(&world, &key, &alice.token, "bob").await.refused(403, "insufficient-scope");
    }
    let both = json!(["tokens:write", "users:write"]);
    let key = world.client("c", json!({ "roles": ["realm-admin"], "scopes": both })).await;
    let grant = json!({ "subject": { "user": "bob" }, "role": "realm-admin" });
    let grant = world.post(&format!("{R}/grants"), grant).await.expect(201);
    hand(&world, &key, &alice.token, "bob").await.refused(403, "beyond-grant");
    let grant = format!("{R}/grants/{}", grant["id"].as_str().unwrap());
    world.delete(&grant).await.expect(204);
    hand(&world, &key, &alice.token, "bob").await.expect(200);
    hand(&world, &alice.secret, &alice.token, "alice").await.refused(403, "insufficient-scope");
}

#[tokio::test]
async fn a_store_that_is_down_hands_nothing_over() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let world = World::over(shared, HttpSettings::default()).await;
    let alice = world.with_alice().await;
    world.user("bob").await;
    for call in 1..=30 {
        let cold = world.restarted().await;
        store.fail_nth(call);
        let answer = hand(&cold, &world.operator_key, &alice.token, "bob").await;
        let calls = store.calls().len();
        store.heal();
        if calls < call {
            assert_eq!(answer.expect(200)["user"], "bob");
            return;
        }
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{call}");
        assert_eq!(verdict(&world, &alice.gate, &alice.secret).await["username"], "alice");
    }
    panic!("a loop");
}
