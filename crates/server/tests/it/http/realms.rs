//! `/api/v1/realms`.

use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn an_operator_creates_shows_lists_and_changes_realms() {
    let world = World::new().await;
    let body =
        json!({ "name": "labs", "zone": "Europe/Berlin", "token_policy": { "must_expire": true } });
    let created = world.post("/api/v1/realms", body.clone()).await;
    assert_eq!(created.header("location"), "/api/v1/realms/labs");
    assert_eq!(created.header("etag"), "\"1\"");
    insta::assert_json_snapshot!(created.expect(201), @r#"
    {
      "created_at": "2026-11-21T12:00:00Z",
      "display_name": null,
      "enabled": true,
      "name": "labs",
      "token_policy": {
        "must_expire": true
      },
      "updated_at": "2026-11-21T12:00:00Z",
      "zone": "Europe/Berlin"
    }
    "#);
    world.post("/api/v1/realms", body).await.refused(409, "exists");

    let listed = world.get("/api/v1/realms").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let edit = json!({ "display_name": "Labs", "token_policy": { "max_lifetime_seconds": 60 } });
    let edited = world.patch("/api/v1/realms/labs", edit).await.expect(200);
    assert_eq!(edited["display_name"], "Labs");
    let merged = json!({ "must_expire": true, "max_lifetime_seconds": 60 });
    assert_eq!(edited["token_policy"], merged);
    let cleared = json!({ "token_policy": { "must_expire": null } });
    let cleared = world.patch("/api/v1/realms/labs", cleared).await.expect(200);
    assert_eq!(cleared["token_policy"], json!({ "max_lifetime_seconds": 60 }));
}

#[tokio::test]
async fn a_realm_that_makes_no_sense_is_refused_with_its_field() {
    let world = World::new().await;
    let field = |body| {
        let world = &world;
        async move {
            let problem = world.post("/api/v1/realms", body).await.refused(422, "invalid");
            problem["field"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(field(json!({ "name": "Labs" })).await, "name");
    assert_eq!(field(json!({ "name": "labs", "zone": "Mars" })).await, "zone");
    assert_eq!(field(json!({ "zone": "UTC" })).await, "name");
    let policy = json!({ "name": "labs", "token_policy": { "max_lifetime_seconds": -1 } });
    assert_eq!(field(policy).await, "token_policy.max_lifetime_seconds");
    let policy = json!({ "name": "labs", "token_policy": { "colour": 1 } });
    assert_eq!(field(policy).await, "token_policy.colour");
}

#[tokio::test]
async fn a_realm_administrator_knows_only_their_own_realm() {
    let world = World::new().await;
    world.post("/api/v1/realms", json!({ "name": "labs" })).await.expect(201);
    let key = world.client("boss", json!({ "roles": ["realm-admin"] })).await;
    let call =
        |method: &'static str, path: &'static str, body| world.call(&key, method, path, body);
    let listed = call("GET", "/api/v1/realms", json!(null)).await.expect(200);
    assert_eq!(listed["items"][0]["name"], "main");
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    call("GET", "/api/v1/realms/labs", json!(null)).await.refused(404, "not-found");
    call("GET", "/api/v1/realms/none", json!(null)).await.refused(404, "not-found");
    call("POST", "/api/v1/realms", json!({ "name": "mine" }))
        .await
        .refused(403, "insufficient-scope");
    call("PATCH", R, json!({ "enabled": false })).await.refused(403, "insufficient-scope");
    call("PATCH", R, json!({ "zone": "Europe/Paris" })).await.expect(200);
    world.patch(R, json!({ "enabled": false })).await.refused(409, "built-in");
}
