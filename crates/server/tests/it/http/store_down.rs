//! A store that is down is never a denial, on any route, whichever of its calls fails.

use std::sync::Arc;

use counterfoil_authority::otp::{Shape, SharedSeed, oath};
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::world::{R, World};

/// Calls of the store in one request at most; more would be a loop.
const CALLS_MAX: usize = 24;

/// Fails each store call of a request in turn, until none is left to fail.
async fn drill(world: &World, store: &FailingStore, key: &str, wanted: &Request) -> Value {
    let Request { method, path, body, status } = wanted;
    for call in 1..=CALLS_MAX {
        let cold = world.restarted().await;
        store.fail_nth(call);
        let answer = cold.call(key, method, path, body.clone()).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert_eq!(answer.status, *status, "{method} {path} {}", answer.text);
            assert!(call > 1, "{method} {path} asked nothing of the store");
            return answer.body;
        }
        let said = (method, path, &calls, &answer.text);
        assert_eq!(answer.status, 503, "{said:?}");
        let ready = path == "/healthz/ready";
        assert!(ready || answer.header("retry-after") == "1", "{said:?}");
    }
    panic!("{method} {path} calls the store more than {CALLS_MAX} times");
}

struct Request {
    method: &'static str,
    path: String,
    body: Value,
    status: u16,
}

fn request(method: &'static str, path: &str, body: Value, status: u16) -> Request {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("{R}/{path}") };
    Request { method, path, body, status }
}

async fn failing() -> (World, Arc<FailingStore>) {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, HttpSettings::default()).await;
    (world, store)
}

#[tokio::test]
async fn every_look_answers_503_while_any_of_its_reads_fails() {
    let (world, store) = failing().await;
    let alice = world.with_alice().await;
    let none = Value::Null;
    let token = format!("tokens/{}", alice.token);
    world.post(&format!("{R}/groups"), json!({ "name": "staff" })).await.expect(201);
    let unit = world.post(&format!("{R}/units"), json!({ "name": "u" })).await.expect(201);
    let unit = format!("units/{}", unit["id"].as_str().unwrap());
    while world.authority.seal_events().await.unwrap() {}
    let events = world.get(&format!("{R}/events")).await.expect(200);
    let event = events["items"][0]["id"].as_str().unwrap();
    let inclusion = format!("audit/proofs/inclusion?event={event}");
    for path in [
        "/api/v1/realms",
        R,
        "users",
        "users/alice",
        "groups",
        "groups/staff",
        "groups/staff/members",
        "units",
        &unit,
        "grants",
        "services",
        "services/git",
        "services/git/offer",
        "blocked-tokens",
        "calendar.ics",
        "calendar.ics?service=git",
        "blocked-tokens?service=git",
        "portal",
        "services/git/token-settings",
        "clients",
        "clients/gate",
        "repositories",
        "tokens",
        &token,
        &format!("{token}/events"),
        &format!("{token}/usage"),
        "events",
        "shadow",
        "/metrics",
        "/healthz/ready",
        "/api/v1/self",
        "audit/checkpoint",
        "audit/keys",
        "audit/entries",
        "audit/proofs/consistency?from=1",
        &inclusion,
    ] {
        drill(&world, &store, &world.operator_key, &request("GET", path, none.clone(), 200)).await;
    }
    for path in ["users/bob", "services/none", "tokens/000000000000", "clients/none"] {
        drill(&world, &store, &world.operator_key, &request("GET", path, none.clone(), 404)).await;
    }
    let forbidden = request("GET", "users", none.clone(), 403);
    drill(&world, &store, &alice.gate, &forbidden).await;
    drill(&world, &store, &alice.secret, &request("GET", "/authz/git", none.clone(), 200)).await;
    drill(&world, &store, &alice.gate, &request("GET", "/authz/git", none, 401)).await;
}

#[tokio::test]
async fn every_act_on_targets_answers_503_and_leaves_nothing_half_done() {
    let (world, store) = failing().await;
    let act = |method, path: &str, body, status| {
        let wanted = request(method, path, body, status);
        let (world, store) = (&world, &store);
        async move { drill(world, store, &world.operator_key, &wanted).await }
    };
    let target = json!({ "name": "ldap1", "kind": "ldap", "url": "ldap://127.0.0.1:1",
        "bind_dn": "cn=x", "bind_password": "y", "base_dn": "dc=org", "schemes": ["SSHA"] });
    act("POST", "targets/test", target.clone(), 200).await;
    act("POST", "targets", target, 201).await;
    act("PATCH", "targets/ldap1", json!({ "mode": "manual" }), 200).await;
    for path in ["targets", "targets/ldap1", "deliveries"] {
        act("GET", path, Value::Null, 200).await;
    }
    act("POST", "targets/ldap1/test", Value::Null, 200).await;
    act("DELETE", "targets/ldap1", Value::Null, 204).await;
    act("DELETE", "shadow", Value::Null, 204).await;
}

/// A decision explained needs the store; it is explained, or the store is down.
#[tokio::test]
async fn explaining_a_decision_answers_503_while_any_of_its_reads_fails() {
    let (world, store) = failing().await;
    let alice = world.with_alice().await;
    for (resource, token) in [
        ("pat://alice", json!(alice.token)),
        ("pat://alice", Value::Null),
        ("http://h/", Value::Null),
    ] {
        let body = json!({ "user": "alice", "resource": resource, "action": "access",
            "token": token });
        let wanted = request("POST", "policies/test", body, 200);
        drill(&world, &store, &world.operator_key, &wanted).await;
    }
}

#[tokio::test]
async fn every_lock_answers_503_and_leaves_nothing_half_done() {
    let (world, store) = failing().await;
    let alice = world.with_alice().await;
    let settings = json!({ "form": "plain15" });
    let replace = request("PUT", "services/git/token-settings", settings, 200);
    drill(&world, &store, &world.operator_key, &replace).await;
    for act in ["lock", "unlock"] {
        for (path, body) in [
            ("users/alice", json!({})),
            ("users/alice", json!({ "service": "git" })),
            ("services/git", json!({})),
        ] {
            let wanted = request("POST", &format!("{path}/{act}"), body, 200);
            drill(&world, &store, &world.operator_key, &wanted).await;
        }
        let told = request("POST", "verify", json!({ "token": alice.secret }), 200);
        let told = drill(&world, &store, &alice.gate, &told).await;
        assert_eq!(told["active"], act == "unlock");
    }
}

#[tokio::test]
async fn deriving_and_trying_a_policy_answer_503_and_a_derived_token_is_never_denied() {
    let (world, store) = failing().await;
    let alice = world.with_alice().await;
    let longest = json!({ "token_policy": { "max_lifetime_seconds": 60 } });
    for path in [format!("{R}?dry_run=true"), "services/git?dry_run=true".to_owned()] {
        let tried = request("PATCH", &path, longest.clone(), 200);
        drill(&world, &store, &world.operator_key, &tried).await;
    }
    let derive = request("POST", "/api/v1/self/derive", json!({}), 201);
    let derived = drill(&world, &store, &alice.secret, &derive).await;
    let child = derived["secret"].as_str().unwrap().to_owned();
    let of_child = request("POST", "verify", json!({ "token": child }), 200);
    drill(&world, &store, &alice.gate, &of_child).await;
    drill(&world, &store, &child, &request("GET", "/authz/git", Value::Null, 200)).await;
}

#[tokio::test]
async fn every_act_answers_503_and_leaves_nothing_half_done() {
    let (world, store) = failing().await;
    let alice = world.with_alice().await;
    let act = |method, path: &str, body, status| {
        let wanted = request(method, path, body, status);
        let (world, store) = (&world, &store);
        async move { drill(world, store, &world.operator_key, &wanted).await }
    };
    act("POST", "/api/v1/realms", json!({ "name": "labs" }), 201).await;
    act("PATCH", R, json!({ "display_name": "Main" }), 200).await;
    act("POST", "users", json!({ "username": "bob" }), 201).await;
    act("PATCH", "users/bob", json!({ "display_name": "Bob" }), 200).await;
    act("POST", "groups", json!({ "name": "staff" }), 201).await;
    act("PUT", "groups/staff/members/bob", Value::Null, 204).await;
    act("DELETE", "groups/staff/members/bob", Value::Null, 204).await;
    act("DELETE", "groups/staff", Value::Null, 204).await;
    let unit = act("POST", "units", json!({ "name": "u" }), 201).await;
    let unit = format!("units/{}", unit["id"].as_str().unwrap());
    act("PATCH", &unit, json!({ "name": "v" }), 200).await;
    act("DELETE", &unit, Value::Null, 204).await;
    let grant = json!({ "subject": { "user": "bob" }, "role": "auditor" });
    let grant = act("POST", "grants", grant, 201).await;
    act("DELETE", &format!("grants/{}", grant["id"].as_str().unwrap()), Value::Null, 204).await;
    act("POST", "services", json!({ "label": "mail" }), 201).await;
    act("PATCH", "services/mail", json!({ "name": "Mail" }), 200).await;
    act("DELETE", "services/mail", Value::Null, 204).await;
    act("POST", "clients", json!({ "name": "door", "roles": ["verifier"] }), 201).await;
    act("PATCH", "clients/door", json!({ "enabled": false }), 200).await;
    act("DELETE", "clients/door", Value::Null, 204).await;
    let issue = json!({ "kind": "service_token", "user": "bob", "service": "git" });
    let issued = act("POST", "tokens", issue, 201).await;
    let token = format!("tokens/{}", issued["token"]["id"].as_str().unwrap());
    act("PATCH", &token, json!({ "name": "phone" }), 200).await;
    let by_link = json!({ "kind": "service_token", "user": "bob", "service": "git",
        "delivery": "link" });
    let linked = act("POST", "tokens", by_link, 201).await;
    act("POST", "/api/v1/links/open", json!({ "link": linked["link"] }), 200).await;
    for switch in ["rotate", "disable", "enable", "lock", "unlock", "revoke"] {
        act("POST", &format!("{token}/{switch}"), Value::Null, 200).await;
    }
    act("POST", "tokens/bulk", json!({ "act": "disable", "user": "bob" }), 200).await;
    let fleet = json!({ "kind": "registration_token", "count": 900, "approval": "after-200" });
    let fleet = act("POST", "tokens", fleet, 201).await;
    let path = format!("tokens/{}", fleet["token"]["id"].as_str().unwrap());
    let device = json!({ "subject": "device" });
    let secret = fleet["secret"].as_str().unwrap();
    let draw = request("POST", "enrol", device.clone(), 201);
    drill(&world, &store, secret, &draw).await;
    act("PATCH", &path, json!({ "approval": "required", "count": 500 }), 200).await;
    let waits = world.call(secret, "POST", &format!("{R}/enrol"), device).await.expect(202);
    let code = waits["user_code"].as_str().unwrap();
    let found = act("GET", &format!("tokens?user_code={code}"), Value::Null, 200).await;
    let waiting = format!("tokens/{}", found["items"][0]["id"].as_str().unwrap());
    act("POST", &format!("{waiting}/approve"), Value::Null, 200).await;
    let poll = request("POST", "enrol/poll", json!({}), 201);
    drill(&world, &store, waits["device_code"].as_str().unwrap(), &poll).await;
    act("POST", &format!("{path}/return-count"), json!({ "n": 1 }), 200).await;
    act("GET", &format!("{path}/children"), Value::Null, 200).await;
    act("GET", &format!("{path}/blast-radius"), Value::Null, 200).await;
    act("POST", &format!("{path}/revoke"), json!({ "cascade": true }), 200).await;
    act("DELETE", "users/bob", Value::Null, 204).await;
    let events = world.get(&format!("{R}/events?kind=token.issued&subject=user:bob")).await;
    assert_eq!(events.expect(200)["items"].as_array().unwrap().len(), 2);
    let question = json!({ "token": alice.secret });
    drill(&world, &store, &alice.gate, &request("POST", "verify", question, 200)).await;
    let questions = json!({ "requests": [{ "token": alice.secret }] });
    drill(&world, &store, &alice.gate, &request("POST", "verify/batch", questions, 200)).await;
    let found = json!({ "credentials": [alice.secret] });
    let path = "/api/v1/credentials/revoke";
    drill(&world, &store, "x", &request("POST", path, found, 202)).await;
    drill(&world, &store, &alice.secret, &request("GET", "/api/v1/self", Value::Null, 401)).await;
}

#[tokio::test]
async fn a_short_secret_that_was_compared_once_needs_no_store_until_its_token_changes() {
    let (world, store) = failing().await;
    let service = json!({ "label": "old", "token_policy": { "form": "plain08" } });
    world.post(&format!("{R}/services"), service).await.expect(201);
    world.post(&format!("{R}/users"), json!({ "username": "alice" })).await.expect(201);
    let wanted = json!({ "kind": "service_token", "user": "alice", "service": "old" });
    let issued = world.post(&format!("{R}/tokens"), wanted).await.expect(201);
    let key = world.client("gate", json!({ "roles": ["verifier"], "services": ["old"] })).await;
    let path = format!("{R}/verify");
    let question = json!({ "token": issued["secret"], "username": "alice" });
    let ask = async || world.call(&key, "POST", &path, question.clone()).await;
    assert_eq!(ask().await.expect(200)["active"], true);
    store.fail_from(1);
    assert_eq!(ask().await.expect(200)["active"], true);
    assert_eq!(store.calls(), Vec::<&str>::new());
    store.heal();
    let id = issued["token"]["id"].as_str().unwrap();
    world.post(&format!("{R}/tokens/{id}/revoke"), json!({})).await.expect(200);
    assert_eq!(ask().await.expect(200)["active"], false);
    store.fail_from(1);
    ask().await.expect(503);
}

/// A code that could not be looked at is not used up, and is never a wrong one.
#[tokio::test]
async fn codes_answer_503_while_any_call_of_theirs_fails_and_are_good_afterwards() {
    let (world, store) = failing().await;
    let alice = world.with_alice().await;
    let act = |key: &str, path: &str, body, status| {
        let wanted = request("POST", path, body, status);
        let (world, store, key) = (&world, &store, key.to_owned());
        async move { drill(world, store, &key, &wanted).await }
    };
    let operator = world.operator_key.clone();
    let seed = b"12345678901234567890".to_vec();
    let code = |counter| {
        let seed = SharedSeed::new(seed.clone()).unwrap();
        oath::code(&seed, Shape::default(), counter)
    };
    let wish = |otp: Value| json!({ "kind": "generic", "user": "alice", "otp": otp });
    let hotp = json!({ "method": "hotp", "seed": data_encoding::BASE32_NOPAD.encode(&seed) });
    let issued = act(&operator, "tokens", wish(hotp), 201).await;
    let id = issued["token"]["id"].as_str().unwrap();
    let path = format!("tokens/{id}/otp");
    drill(&world, &store, &operator, &request("GET", &path, Value::Null, 200)).await;
    act(&operator, &format!("{path}/confirm"), json!({ "code": code(0) }), 200).await;
    let pair = json!({ "first": code(4), "second": code(5) });
    act(&operator, &format!("{path}/resync"), pair, 200).await;

    let door = |pass: &str| json!({ "user": "alice", "pass": pass });
    let said = act(&alice.gate, "/validate/check", door(&code(6)), 200).await;
    assert_eq!(said["result"]["authentication"], "ACCEPT");
    let said = act(&alice.gate, "/validate/check", door(&code(6)), 200).await;
    assert_eq!(said["result"]["authentication"], "REJECT");
    let said = act(&alice.gate, "/validate/check", door(&alice.secret), 200).await;
    assert_eq!(said["result"]["authentication"], "ACCEPT");
    let question = json!({ "token": code(7), "username": "alice" });
    assert_eq!(act(&alice.gate, "verify", question, 200).await["active"], true);

    let sheet = act(&operator, "tokens", wish(json!({ "method": "backup" })), 201).await;
    let path = format!("tokens/{}/otp/codes", sheet["token"]["id"].as_str().unwrap());
    let renewed = act(&operator, &path, json!({}), 200).await;
    let said =
        act(&alice.gate, "/validate/check", door(renewed["codes"][0].as_str().unwrap()), 200);
    assert_eq!(said.await["result"]["authentication"], "ACCEPT");

    act(&operator, "targets", json!({ "name": "mail", "kind": "mail" }), 201).await;
    let mail = act(&operator, "tokens", wish(json!({ "method": "email" })), 201).await;
    let path = format!("tokens/{}/otp/send", mail["token"]["id"].as_str().unwrap());
    assert_eq!(act(&operator, &path, json!({}), 200).await["sent"], true);
}
