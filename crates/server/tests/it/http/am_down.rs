//! The AM door over a store that fails: 503, never a decision and never a denial; and a warm
//! decision that asks nothing of the store.

use std::sync::Arc;

use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::world::{Answer, World};

const DOOR: &str = "/openam/json";
const EVALUATE: &str = "/policies?_action=evaluate";
/// Calls of the store in one request at most; more would be a loop.
const CALLS_MAX: usize = 24;

async fn asked(world: &World, session: &str, method: &str, path: &str, body: &Value) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    if !session.is_empty() {
        headers.push(("iplanetdirectorypro", session));
    }
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    world.send(method, &format!("{DOOR}{path}"), &headers, body).await
}

struct Request<'a> {
    session: &'a str,
    method: &'static str,
    path: &'a str,
    body: Value,
    status: u16,
}

/// Fails each store call of a request in turn, until none is left to fail.
async fn drill(world: &World, store: &FailingStore, wanted: &Request<'_>) -> Value {
    let Request { session, method, path, body, status } = wanted;
    for call in 1..=CALLS_MAX {
        let cold = world.restarted().await;
        store.fail_nth(call);
        let answer = asked(&cold, session, method, path, body).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert!(call > 1, "{path} asked nothing of the store");
            assert_eq!(answer.status, *status, "{method} {path}: {}", answer.text);
            return answer.body;
        }
        assert_eq!(answer.status, 503, "{method} {path} {calls:?}: {}", answer.text);
        assert_eq!(answer.body["code"], 503, "{path} {calls:?}");
        assert_eq!(answer.header("retry-after"), "1");
    }
    panic!("{path} calls the store more than {CALLS_MAX} times");
}

fn callbacks(name: &str, password: &str) -> Value {
    let callback = |sort: &str, value: &str| json!({ "type": sort, "input": [{ "value": value }] });
    json!({ "authId": "counterfoil-1.", "callbacks": [
        callback("NameCallback", name), callback("PasswordCallback", password) ] })
}

#[tokio::test]
async fn a_store_that_is_down_decides_nothing_and_a_warm_decision_needs_none() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let world = World::over(shared, HttpSettings::default()).await;
    let alice = world.with_alice().await;
    let more = json!({ "roles": ["verifier"], "services": ["git"] });
    let key = world.client("policyeval", more).await;
    let login = |name: &'static str, key: &str, status| Request {
        session: "",
        method: "POST",
        path: "/authenticate",
        body: callbacks(name, key),
        status,
    };
    let made = drill(&world, &store, &login("policyeval", &key, 200)).await;
    let session = made["tokenId"].as_str().unwrap().to_owned();
    drill(&world, &store, &login("someone", &key, 401)).await;

    let resource = format!("pat://alice:{}", alice.secret);
    let body = json!({ "resources": [resource], "application": "PATValidator" });
    let evaluate = Request { session: &session, method: "POST", path: EVALUATE, body, status: 200 };
    let decided = drill(&world, &store, &evaluate).await;
    assert_eq!(decided[0]["actions"], json!({ "access": true }));

    asked(&world, &session, "POST", EVALUATE, &evaluate.body).await.expect(200);
    store.fail_from(1);
    let warm = asked(&world, &session, "POST", EVALUATE, &evaluate.body).await.expect(200);
    assert_eq!((&warm, store.calls()), (&decided, Vec::<&str>::new()));
    store.heal();
    let path = "/sessions?_action=getTimeLeft";
    let left = Request { session: &session, method: "POST", path, body: Value::Null, status: 200 };
    drill(&world, &store, &left).await;
    let idle = Request { path: "/sessions?_action=getIdle", ..left };
    drill(&world, &store, &idle).await;
    // Whether it was used elsewhere nobody can say now: that is no end of it.
    world.clock.advance_seconds(1_800);
    let validate = Request { path: "/sessions?_action=validate", ..idle };
    let ended = drill(&world, &store, &validate).await;
    assert_eq!(ended, json!({ "valid": false }));
    let made = drill(&world, &store, &login("policyeval", &key, 200)).await;
    let session = made["tokenId"].as_str().unwrap().to_owned();
    let left = Request { session: &session, ..validate };
    let logout = Request { path: "/sessions?_action=logout", ..left };
    drill(&world, &store, &logout).await;
}

#[tokio::test]
async fn documents_are_written_whole_or_not_at_all_while_the_store_fails() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let world = World::over(shared, HttpSettings::default()).await;
    world.with_alice().await;
    let key = world.client("boss", json!({ "roles": ["realm-admin"] })).await;
    let made = asked(&world, "", "POST", "/authenticate", &callbacks("boss", &key)).await;
    let session = made.expect(200)["tokenId"].as_str().unwrap().to_owned();
    let act = async |method, path: &str, body: Value, status| {
        drill(&world, &store, &Request { session: &session, method, path, body, status }).await
    };
    let sort =
        json!({ "uuid": "t1", "name": "T", "patterns": ["x://*"], "actions": { "A": true } });
    act("POST", "/resourcetypes?_action=create", sort, 201).await;
    let set = json!({ "name": "S", "resourceTypeUuids": ["t1"] });
    act("POST", "/applications?_action=create", set, 201).await;
    let policy = json!({ "name": "P", "active": true, "applicationName": "S",
        "resourceTypeUuid": "t1", "resources": ["x://a"], "actionValues": { "A": true } });
    act("POST", "/policies?_action=create", policy.clone(), 201).await;
    act("PUT", "/policies/P", policy, 200).await;
    let copy = json!({ "to": { "name": "Q" } });
    act("POST", "/policies/P?_action=copy", copy, 200).await;
    let away = json!({ "to": { "name": "R" } });
    act("POST", "/policies/Q?_action=move", away, 200).await;
    for path in ["/policies", "/policies/P", "/applications/S", "/resourcetypes/t1"] {
        act("GET", path, Value::Null, 200).await;
    }
    act("GET", "/users/alice", Value::Null, 200).await;
    act("GET", "/users?_queryId=*", Value::Null, 200).await;
    act("DELETE", "/applications/S", Value::Null, 409).await;
    for path in ["/policies/P", "/policies/R", "/applications/S", "/resourcetypes/t1"] {
        act("DELETE", path, Value::Null, 200).await;
    }
}

#[tokio::test]
async fn tokens_on_a_profile_are_taken_over_whole_or_not_at_all_while_the_store_fails() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let import_service = ServiceLabel::parse("git").ok();
    let settings = HttpSettings { am_import_service: import_service, ..HttpSettings::default() };
    let world = World::over(shared, settings).await;
    world.with_alice().await;
    let key = world.client("boss", json!({ "roles": ["realm-admin"] })).await;
    let made = asked(&world, "", "POST", "/authenticate", &callbacks("boss", &key)).await;
    let session = made.expect(200)["tokenId"].as_str().unwrap().to_owned();
    let attribute = "iplanet-am-user-alias-list";
    let values = ["4", "5"].map(|digit| format!("{}:{{\"a\":[\"b\"]}}", digit.repeat(64)));
    let put = Request {
        session: &session,
        method: "PUT",
        path: "/users/alice",
        body: json!({ attribute: values }),
        status: 200,
    };
    let said = drill(&world, &store, &put).await;
    let found = said[attribute].as_array().unwrap();
    let of_wish = found.iter().filter(|value| value.as_str().unwrap().contains(r#"{"a":["b"]}"#));
    assert_eq!(of_wish.count(), 2, "{said}");
}
