//! The OAuth door over a store that fails: `temporarily_unavailable`, never a denial, and a warm
//! introspection that asks nothing of the store.

use std::sync::Arc;

use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::world::{Answer, R, World};

const DOOR: &str = "/realms/main/protocol/openid-connect";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// Calls of the store in one request at most; more would be a loop.
const CALLS_MAX: usize = 24;

async fn posted(world: &World, key: &str, path: &str, form: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [FORM, ("authorization", bearer.as_str())];
    let headers = if key.is_empty() { &headers[..1] } else { &headers };
    world.send("POST", &format!("{DOOR}{path}"), headers, Some(form.as_bytes().to_vec())).await
}

/// Fails each store call of a request in turn, until none is left to fail.
async fn drill(world: &World, store: &FailingStore, key: &str, path: &str, form: &str) -> Value {
    for call in 1..=CALLS_MAX {
        let cold = world.restarted().await;
        store.fail_nth(call);
        let answer = posted(&cold, key, path, form).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert!(call > 1, "{path} asked nothing of the store");
            assert_eq!(answer.status, 200, "{path} {form}: {}", answer.text);
            return answer.body;
        }
        assert_eq!(answer.status, 503, "{path} {calls:?}: {}", answer.text);
        assert_eq!(answer.body["error"], "temporarily_unavailable", "{path} {calls:?}");
        assert_eq!(answer.header("retry-after"), "1");
    }
    panic!("{path} calls the store more than {CALLS_MAX} times");
}

#[tokio::test]
async fn a_store_that_is_down_is_never_a_denial_and_a_warm_introspection_needs_none() {
    for format in ["jwt", "opaque"] {
        let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let world = World::over(shared, HttpSettings::default()).await;
        let alice = world.with_alice().await;
        let more = json!({ "roles": ["realm-admin"], "oauth": { "access_token_format": format } });
        let robot = world.client("robot", more).await;

        let form = format!("grant_type=client_credentials&client_id=robot&client_secret={robot}");
        let made = drill(&world, &store, "", "/token", &form).await;
        let access = made["access_token"].as_str().unwrap().to_owned();
        let exchange = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={}\
             &subject_token_type=urn:ietf:params:oauth:token-type:access_token",
            alice.secret
        );
        drill(&world, &store, "", "/token", &exchange).await;
        let question = format!("token={access}");
        let said = drill(&world, &store, &robot, "/token/introspect", &question).await;
        assert_eq!(said["active"], true);

        posted(&world, &robot, "/token/introspect", &question).await.expect(200);
        store.fail_from(1);
        let warm = posted(&world, &robot, "/token/introspect", &question).await.expect(200);
        assert_eq!((&warm, store.calls().len()), (&said, 0));
        store.heal();

        drill(&world, &store, "", "/revoke", &question).await;
        let said = drill(&world, &store, &robot, "/token/introspect", &question).await;
        assert_eq!(said, json!({ "active": false }));
        let tokens = world.get(&format!("{R}/events?kind=access-token.revoked")).await.expect(200);
        assert_eq!(tokens["items"].as_array().unwrap().len(), 1);
    }
}
