//! `policies/test` says what evaluate would say.

use serde_json::{Value, json};

use super::world::ENGINES;
use crate::world::{R, World};

async fn tested(world: &World, user: &str, token: Value) -> Value {
    let body = json!({ "user": user, "resource": format!("pat://{user}"), "action": "access",
        "token": token });
    world.post(&format!("{R}/policies/test"), body).await.expect(200)
}

/// The step about the token.
fn about_token(said: &Value) -> String {
    let steps = said["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["what"] == "token").unwrap();
    step["why"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_supposed_token_is_judged_with_what_it_came_from_and_by_when_it_was_used() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let (child, _) = world.derived(&alice.secret, json!({})).await;
        assert_eq!(tested(&world, "alice", json!(child)).await["allowed"], true);
        world.act(&alice.token, "lock").await.expect(200);
        let said = tested(&world, "alice", json!(child)).await;
        assert_eq!(said["allowed"], false);
        assert!(about_token(&said).contains("locked"), "{said}");
        world.act(&alice.token, "unlock").await.expect(200);
        assert_eq!(tested(&world, "alice", json!(child)).await["allowed"], true);
        // The operator is bound to no service, so it is the realm's word that counts.
        let idle = json!({ "token_policy": { "idle_expiry_seconds": 3_600 } });
        world.patch(R, idle).await.expect(200);
        world.clock.advance_seconds(3_600);
        let said = tested(&world, "alice", json!(alice.token)).await;
        assert_eq!(said["allowed"], false);
        assert!(about_token(&said).contains("policy_blocked"), "{said}");
    }
}

#[tokio::test]
async fn a_token_of_another_kind_is_no_personal_access_token() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        world.with_alice().await;
        let body = json!({ "kind": "generic", "user": "alice", "services": ["git"] });
        let made = world.post(&format!("{R}/tokens"), body).await.expect(201);
        let said = tested(&world, "alice", made["token"]["id"].clone()).await;
        assert_eq!(said["allowed"], false);
        assert!(about_token(&said).contains("no personal access token"), "{said}");
    }
}
