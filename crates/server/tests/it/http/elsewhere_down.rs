//! A token that somebody else keeps, over a store that fails: 503 at each door, never a denial.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::custom::{
    Addressing, Capabilities, Capability, Descriptor, Elsewhere, Guarded, RepositoryError,
    Selector, Settings, TokenRepository, VerifyRecord, sha256_text,
};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::world::{Answer, R, World};

const SECRET: &str = "acme_ab12cd34_0123456789abcdefghijklmnop";
/// Calls of the store in one request at most; more would be a loop.
const CALLS_MAX: usize = 24;

/// A repository that knows one token.
struct Known {
    max_usages: Option<u64>,
}

#[async_trait]
impl TokenRepository for Known {
    fn driver(&self) -> &'static str {
        "known"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        let capabilities = Capabilities::of(&[Capability::Lookup]);
        Ok(Descriptor { software: "known".into(), capabilities })
    }

    async fn lookup(&self, _: &Selector) -> Result<Vec<VerifyRecord>, RepositoryError> {
        let record = json!({ "id": "7", "user": "alice", "hash": *sha256_text(SECRET),
            "maxUsages": self.max_usages });
        Ok(vec![VerifyRecord::read(&record).unwrap()])
    }
}

fn knowing(max_usages: Option<u64>) -> Elsewhere {
    let realm = RealmName::parse("main").unwrap();
    let settings = Settings {
        prefix: Some("acme_".into()),
        addressing: Addressing::Prefix(14),
        cache_seconds: 0,
        ..Settings::new("acme", realm, Services::All)
    };
    Elsewhere::new(vec![Arc::new(Guarded::new(settings, Arc::new(Known { max_usages })))])
}

/// The same token at three doors.
async fn asked(world: &World, gate: &str, door: &str) -> Answer {
    match door {
        "verify" => {
            let body = json!({ "token": SECRET, "username": "alice" });
            world.call(gate, "POST", &format!("{R}/verify"), body).await
        }
        "validate" => {
            let body = json!({ "user": "alice", "pass": SECRET });
            world.call(gate, "POST", "/validate/check", body).await
        }
        _ => world.call(SECRET, "GET", "/authz/git", Value::Null).await,
    }
}

#[tokio::test]
async fn a_store_that_fails_is_no_denial_of_a_token_that_is_kept_elsewhere() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, HttpSettings::default()).await;
    let alice = world.with_alice().await;
    for door in ["verify", "validate", "authz"] {
        for max_usages in [None, Some(1_000)] {
            let mut failed = Vec::new();
            for call in 1..=CALLS_MAX {
                let cold = world.restarted().await;
                cold.authority.set_elsewhere(knowing(max_usages));
                store.fail_nth(call);
                let answer = asked(&cold, &alice.gate, door).await;
                let calls = store.calls();
                store.heal();
                if calls.len() < call {
                    assert_eq!(answer.status, 200, "{door}: {}", answer.text);
                    let yes = [&answer.body["active"], &answer.body["result"]["value"]];
                    assert!(door == "authz" || yes.contains(&&json!(true)), "{}", answer.text);
                    break;
                }
                assert_eq!(answer.status, 503, "{door}, {calls:?}: {}", answer.text);
                failed.extend(calls.last().copied());
            }
            assert!(failed.len() < CALLS_MAX, "{door}: {failed:?}");
            let counted = failed.contains(&"foreign_use_consume");
            assert_eq!(counted, max_usages.is_some(), "{door}: {failed:?}");
        }
    }
}
