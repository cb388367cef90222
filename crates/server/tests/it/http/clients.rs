//! `R/clients`.

use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn a_client_is_created_with_a_key_that_works_and_ends_with_it() {
    let world = World::new().await;
    world.with_alice().await;
    let clients = format!("{R}/clients");
    let body = json!({ "name": "door", "roles": ["verifier"], "services": ["git"] });
    let created = world.post(&clients, body).await;
    assert_eq!(created.header("cache-control"), "no-store");
    let created = created.expect(201);
    insta::assert_json_snapshot!(created["client"], @r#"
    {
      "created_at": "2026-11-21T12:00:00Z",
      "description": null,
      "enabled": true,
      "limits": {},
      "name": "door",
      "oauth": {},
      "roles": [
        "verifier"
      ],
      "scopes": null,
      "services": [
        "git"
      ],
      "unit": null,
      "updated_at": "2026-11-21T12:00:00Z"
    }
    "#);
    let key = created["secret"].as_str().unwrap();
    assert!(key.starts_with("cflk_"), "{key}");
    world.call(key, "GET", "/api/v1/self", json!(null)).await.expect(200);
    let path = format!("{clients}/door");
    world.patch(&path, json!({ "enabled": false })).await.expect(200);
    world.call(key, "GET", "/api/v1/self", json!(null)).await.refused(401, "unauthenticated");
    world.patch(&path, json!({ "enabled": true })).await.expect(200);
    world.call(key, "GET", "/api/v1/self", json!(null)).await.expect(200);
    world.delete(&path).await.expect(204);
    world.call(key, "GET", "/api/v1/self", json!(null)).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_client_key_again() {
    let world = World::new().await;
    let create = |name: &'static str| {
        let headers = [("idempotency-key", "once")];
        let world = &world;
        async move {
            let body = json!({ "name": name });
            let key = &world.operator_key;
            world.call_with(key, "POST", &format!("{R}/clients"), &headers, body).await
        }
    };
    let first = create("door").await;
    let again = create("door").await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    create("other").await.refused(422, "idempotency-key-reused");
    world.post(&format!("{R}/clients"), json!({ "name": "door" })).await.refused(409, "exists");
}

#[tokio::test]
async fn nobody_makes_or_changes_a_client_that_may_do_more_than_they() {
    let world = World::new().await;
    world.with_alice().await;
    let boss = world.client("boss", json!({ "roles": ["realm-admin"] })).await;
    let clients = format!("{R}/clients");
    let create = |body| world.call(&boss, "POST", &clients, body);
    create(json!({ "name": "king", "roles": ["operator"] })).await.refused(403, "beyond-grant");
    create(json!({ "name": "peer", "roles": ["realm-admin"] })).await.expect(201);
    let admin = format!("{clients}/admin");
    let off = json!({ "enabled": false });
    world.call(&boss, "PATCH", &admin, off).await.refused(403, "beyond-grant");
    world.call(&boss, "DELETE", &admin, json!(null)).await.refused(403, "beyond-grant");
    create(json!({ "name": "x", "roles": ["unit-admin"] })).await.refused(422, "invalid");
    create(json!({ "name": "x", "services": ["none"] })).await.refused(422, "invalid");
}
