//! `R/grants`.

use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn a_role_is_given_and_taken() {
    let world = World::new().await;
    world.with_alice().await;
    let grants = format!("{R}/grants");
    let grant =
        json!({ "subject": { "user": "alice" }, "role": "service-manager", "service": "git" });
    let given = world.post(&grants, grant).await.expect(201);
    assert_eq!(given["subject"], json!({ "user": "alice" }));
    assert_eq!(given["created_by"], "client:admin");
    let more = json!({ "services": ["counterfoil"], "scopes": ["services:write"] });
    let (_, secret) = world.pat("alice", more).await;
    let path = format!("{R}/services/git");
    let edit = json!({ "name": "Git" });
    world.call(&secret, "PATCH", &path, edit.clone()).await.expect(200);
    let id = given["id"].as_str().unwrap();
    world.delete(&format!("{grants}/{id}")).await.expect(204);
    world.call(&secret, "PATCH", &path, edit).await.refused(403, "insufficient-scope");
    world.delete(&format!("{grants}/{id}")).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_grant_has_the_reach_of_its_role_and_one_subject() {
    let world = World::new().await;
    world.with_alice().await;
    let field = |body| {
        let world = &world;
        async move {
            let problem = world.post(&format!("{R}/grants"), body).await.refused(422, "invalid");
            problem["field"].as_str().unwrap().to_owned()
        }
    };
    let alice = json!({ "user": "alice" });
    assert_eq!(field(json!({ "subject": alice, "role": "unit-admin" })).await, "unit");
    assert_eq!(field(json!({ "subject": alice, "role": "service-manager" })).await, "service");
    let wide = json!({ "subject": alice, "role": "auditor", "service": "git" });
    assert_eq!(field(wide).await, "service");
    assert_eq!(field(json!({ "subject": alice, "role": "king" })).await, "role");
    assert_eq!(field(json!({ "subject": {}, "role": "auditor" })).await, "subject");
    let both = json!({ "subject": { "user": "alice", "client": "gate" }, "role": "auditor" });
    assert_eq!(field(both).await, "subject");
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let world = World::new().await;
    world.with_alice().await;
    let give = |key: String, role: &'static str| {
        let body = json!({ "subject": { "user": "alice" }, "role": role });
        let world = &world;
        async move { world.call(&key, "POST", &format!("{R}/grants"), body).await }
    };
    let boss = world.client("boss", json!({ "roles": ["realm-admin"] })).await;
    give(boss.clone(), "operator").await.refused(403, "beyond-grant");
    give(boss, "realm-admin").await.expect(201);
    let narrow = json!({ "roles": ["realm-admin"], "scopes": ["clients:write", "verify"] });
    let narrow = world.client("narrow", narrow).await;
    give(narrow.clone(), "realm-admin").await.refused(403, "beyond-grant");
    give(narrow, "verifier").await.expect(201);
    let limits = json!({ "roles": ["realm-admin"], "limits": { "lifetime_seconds_max": 3600 } });
    let limited = world.client("limited", limits).await;
    give(limited, "verifier").await.refused(403, "beyond-grant");
}
