//! The SCIM door over a store that fails: 503, never a denial and never "there is none".

use std::sync::Arc;

use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use super::{Idp, operations_of, refused};
use crate::world::World;

/// Calls of the store in one request at most; more would be a loop.
const CALLS_MAX: usize = 30;

/// Fails each store call of a request in turn, until none is left to fail.
async fn drill(
    idp: &Idp<'_>,
    store: &FailingStore,
    method: &str,
    path: &str,
    body: Value,
    status: u16,
) -> Value {
    for call in 1..=CALLS_MAX {
        let cold = idp.world.restarted().await;
        let idp = Idp { world: &cold, key: idp.key.clone() };
        store.fail_nth(call);
        let answer = idp.send(method, path, &[], body.clone()).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert!(call > 1, "{path} asked nothing of the store");
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
            return answer.body;
        }
        refused(&answer, 503, None);
        assert_eq!(answer.header("retry-after"), "1", "{calls:?}");
    }
    panic!("{path} calls the store more than {CALLS_MAX} times");
}

#[tokio::test]
async fn every_route_of_the_door_says_that_the_store_is_down() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let world = World::over(shared, HttpSettings::default()).await;
    let idp = Idp::of(&world).await;
    let ask = async |method, path: &str, body: Value, status| {
        drill(&idp, &store, method, path, body, status).await
    };
    ask("GET", "/ServiceProviderConfig", Value::Null, 200).await;
    let ann = ask("POST", "/Users", json!({ "userName": "ann" }), 201).await;
    let id = ann["id"].as_str().unwrap();
    let user = format!("/Users/{id}");
    let body = json!({ "displayName": "devs", "members": [{ "value": id }] });
    let devs = ask("POST", "/Groups", body.clone(), 201).await;
    let group = format!("/Groups/{}", devs["id"].as_str().unwrap());
    for path in [&*user, &*group, "/Users", "/Groups", "/Groups?filter=members%20pr"] {
        ask("GET", path, Value::Null, 200).await;
    }
    for filter in ["userName eq \"ann\"", "externalId eq \"x\"", "groups pr", "active eq true"] {
        ask("POST", "/.search", json!({ "filter": filter }), 200).await;
    }
    let titled = json!({ "userName": "ann", "title": "Dr" });
    ask("PUT", &user, titled, 200).await;
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    ask("PATCH", &user, operations_of(&off), 200).await;
    // Once more: whatever they are signed in with by now is ended, or it is not said to be.
    ask("PATCH", &user, operations_of(&off), 200).await;
    let leave = json!([{ "op": "remove", "path": "members" }]);
    ask("PATCH", &group, operations_of(&leave), 204).await;
    ask("PUT", &group, body, 200).await;
    ask("DELETE", &group, Value::Null, 204).await;
    ask("DELETE", &user, Value::Null, 204).await;
}
