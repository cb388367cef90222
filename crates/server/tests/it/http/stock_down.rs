//! Imports, activation letters and jobs over a store that fails: 503, and nothing half done.

use std::sync::Arc;

use counterfoil_authority::store::Store;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::world::{R, World};

/// Calls of the store in one request at most; more would be a loop.
const CALLS_MAX: usize = 40;
const REPOSITORIES: &str = "[repository.card]\nkind = \"token\"\nmax_tokens_per_user = 9\n\
                            activation_letter = true\n[repository.card.attributes]\nserialId = {}\n";

/// Fails each store call of a request in turn, until none is left to fail.
async fn drill(
    world: &World,
    store: &FailingStore,
    (method, path): (&str, &str),
    body: Value,
    status: u16,
) -> Value {
    for call in 1..=CALLS_MAX {
        let cold = world.restarted_with(REPOSITORIES).await;
        store.fail_nth(call);
        let answer = cold.call(&world.operator_key, method, path, body.clone()).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert!(call > 1, "{path} asked nothing of the store");
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
            return answer.body;
        }
        let said = (method, path, &calls, &answer.text);
        assert_eq!(answer.status, 503, "{said:?}");
        assert_eq!(answer.header("retry-after"), "1", "{said:?}");
    }
    panic!("{path} calls the store more than {CALLS_MAX} times");
}

#[tokio::test]
async fn imports_letters_and_jobs_say_that_the_store_is_down() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let world = World::over_with(shared, REPOSITORIES).await;
    world.user("alice").await;
    let ask = async |method, path: &str, body: Value, status| {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{R}/{path}") };
        drill(&world, &store, (method, &path), body, status).await
    };
    let seed = "3132333435363738393031323334353637383930";
    let file = format!("serial,secret,type,user\nA,{seed},hotp,alice\nB,{seed},hotp,");
    let file = json!({ "format": "csv", "text": file, "repository": "card" });
    let imported = ask("POST", "tokens/import", file, 200).await;
    let token = imported["lines"][0]["id"].as_str().unwrap();

    let order = json!({ "token": token });
    let letter = ask("POST", "activation-letters", order, 201).await;
    let one = format!("activation-letters/{}", letter["id"].as_str().unwrap());
    ask("GET", "activation-letters", Value::Null, 200).await;
    ask("GET", &one, Value::Null, 200).await;
    let printed = ask("POST", &format!("{one}/print"), Value::Null, 200).await;
    let code = json!({ "secret": printed["secret"] });
    ask("POST", "activation-letters/redeem", code, 200).await;
    let wrong = json!({ "secret": "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa" });
    ask("POST", "activation-letters/redeem", wrong, 404).await;

    let door = "/auth-admin/rest/users/alice/tokens/generic/card";
    let created = json!({ "data": { "attributes": { "serialId": "C" } } });
    world.post(door, created).await.expect(201);
    let letters = format!("{door}/activation-letters");
    let letter = ask("POST", &letters, Value::Null, 201).await;
    let one = format!("{letters}/{}", letter["data"]["id"].as_str().unwrap());
    ask("GET", &letters, Value::Null, 200).await;
    ask("POST", &format!("{one}/print"), Value::Null, 200).await;
    ask("DELETE", &one, Value::Null, 204).await;

    let wish = json!({ "act": "disable", "user": "alice" });
    let started = ask("POST", "tokens/_bulk", wish, 202).await;
    let job = format!("jobs/{}", started["job"]["id"].as_str().unwrap());
    ask("GET", "jobs", Value::Null, 200).await;
    ask("GET", &job, Value::Null, 200).await;
    let wish = json!({ "action": "disable", "type": "card" });
    let second = ask("POST", "/auth-admin/rest/tokens/_bulk", wish, 202).await;
    let shown = format!("/auth-admin/rest/jobs/{}", second["data"]["id"].as_str().unwrap());
    ask("GET", &shown, Value::Null, 200).await;
    ask(
        "POST",
        &format!("jobs/{}/cancel", second["data"]["id"].as_str().unwrap()),
        Value::Null,
        200,
    )
    .await;

    // A step that fails anywhere is done by a later one, and no token is changed twice.
    for call in 1..200 {
        store.fail_nth(call);
        let said = world.authority.work_jobs().await;
        let fewer = store.calls().len() < call;
        store.heal();
        if fewer {
            assert!(said.is_ok());
            break;
        }
        assert!(said.is_err(), "call {call}");
    }
    while world.authority.work_jobs().await.unwrap() {}
    let done = world.get(&format!("{R}/{job}")).await.expect(200);
    assert_eq!((&done["state"], &done["done"]), (&json!("done"), &done["total"]));
    let events = world.get(&format!("{R}/events?kind=token.disabled")).await.expect(200);
    assert_eq!(Some(events["items"].as_array().unwrap().len() as u64), done["total"].as_u64());
}
