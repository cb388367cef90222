//! The Airlock door over a store that fails: 503, never a denial and never "there is none".

use std::sync::Arc;

use counterfoil_authority::store::Store;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use super::world::{DOOR, attributes, refused, tokens};
use crate::world::World;

/// Calls of the store in one request at most; more would be a loop.
const CALLS_MAX: usize = 30;

const REPOSITORIES: &str = r#"
[repository.key]
kind = "token"
max_tokens_per_user = 100
[repository.key.attributes]
serialId = {}
data = {}
[repository.pin]
kind = "credential"
support_next = true
[repository.pin.attributes]
data = {}
"#;

/// Fails each store call of a request in turn, until none is left to fail.
async fn drill(
    world: &World,
    store: &FailingStore,
    method: &str,
    path: &str,
    body: Value,
    status: u16,
) -> Value {
    for call in 1..=CALLS_MAX {
        let cold = world.restarted().await;
        store.fail_nth(call);
        let path = format!("{DOOR}{path}");
        let answer = cold.call(&world.operator_key, method, &path, body.clone()).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert!(call > 1, "{path} asked nothing of the store");
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
            return answer.body;
        }
        refused(&answer, 503, "SERVICE_UNAVAILABLE");
        assert_eq!(answer.header("retry-after"), "1", "{calls:?}");
    }
    panic!("{path} calls the store more than {CALLS_MAX} times");
}

#[tokio::test]
async fn every_route_of_the_door_says_that_the_store_is_down() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let world = World::over_with(shared, REPOSITORIES).await;
    world.user("alice").await;
    let ask = async |method, path: &str, body: Value, status| {
        drill(&world, &store, method, path, body, status).await
    };
    let all = tokens("alice", "key");
    let said = attributes(json!({ "serialId": "S", "data": "payload" }));
    let made = ask("POST", &all, said, 201).await;
    let one = format!("{all}/{}", made["data"]["id"].as_str().unwrap());
    ask("GET", &all, Value::Null, 200).await;
    ask("GET", &one, Value::Null, 200).await;
    ask("PATCH", &one, attributes(json!({ "data": "other" })), 200).await;
    for act in ["disable", "enable", "rotate"] {
        ask("POST", &format!("{one}/{act}"), Value::Null, 200).await;
    }
    ask("DELETE", &one, Value::Null, 204).await;
    ask("GET", "/tokens?filter[type]=key", Value::Null, 200).await;
    let stock = json!({ "data": { "type": "key" } });
    let stock = ask("POST", "/tokens", stock, 201).await;
    let id = stock["data"]["id"].as_str().unwrap();
    let person = json!({ "data": { "type": "users", "id": "alice" } });
    ask("POST", &format!("/tokens/{id}/assign"), person, 200).await;
    ask("POST", &format!("/tokens/{id}/unassign"), json!({}), 200).await;
    let pins = tokens("alice", "pin");
    for place in ["current", "next"] {
        let body = json!({ "data": { "id": format!("alice-{place}") } });
        ask("POST", &pins, body, 201).await;
    }
    ask("POST", &format!("{pins}/alice-next/promote"), Value::Null, 200).await;
    ask("POST", &format!("{pins}/alice-current/revoke"), Value::Null, 200).await;
}
