//! `R/users`.

use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn a_person_is_created_changed_and_removed() {
    let world = World::new().await;
    let body = json!({
        "username": "Alice", "display_name": "Alice A.", "emails": ["alice@example.org"],
        "attributes": { "room": 7 },
    });
    let created = world.post(&format!("{R}/users"), body).await;
    assert_eq!(created.header("location"), "/api/v1/realms/main/users/alice");
    insta::assert_json_snapshot!(created.expect(201), @r#"
    {
      "attributes": {
        "room": 7
      },
      "created_at": "2026-11-21T12:00:00Z",
      "display_name": "Alice A.",
      "emails": [
        "alice@example.org"
      ],
      "groups": [],
      "locked": false,
      "locked_services": [],
      "status": "active",
      "unit": null,
      "updated_at": "2026-11-21T12:00:00Z",
      "username": "alice"
    }
    "#);
    let path = format!("{R}/users/ALICE");
    let edit = json!({ "display_name": null, "status": "suspended" });
    let edited = world.patch(&path, edit).await;
    assert_eq!(edited.header("etag"), "\"2\"");
    let edited = edited.expect(200);
    assert_eq!(edited["display_name"], json!(null));
    assert_eq!(edited["status"], "suspended");
    assert_eq!(edited["emails"][0], "alice@example.org");
    let listed = world.get(&format!("{R}/users?status=suspended&prefix=al")).await.expect(200);
    assert_eq!(listed["items"][0]["username"], "alice");
    assert_eq!(listed["next_cursor"], json!(null));
    world.delete(&path).await.expect(204);
    world.get(&path).await.refused(404, "not-found");
    world.delete(&path).await.refused(404, "not-found");
}

#[tokio::test]
async fn an_edit_on_the_basis_of_another_version_is_refused() {
    let world = World::new().await;
    world.user("alice").await;
    let path = format!("{R}/users/alice");
    let edit = json!({ "display_name": "A" });
    let send = |tag: &'static str| {
        let (world, path, edit) = (&world, &path, edit.clone());
        async move {
            let headers = [("if-match", tag)];
            world.call_with(&world.operator_key, "PATCH", path, &headers, edit).await
        }
    };
    send("\"1\"").await.expect(200);
    for stale in ["\"1\"", "W/\"2\"", "2", "\"x\"", "\"02\"", "\"+2\"", "\" 2\"", "\"-1\"", "\"\""]
    {
        send(stale).await.refused(412, "version-mismatch");
    }
    send("\"2\"").await.expect(200);
    send("*").await.expect(200);
}

#[tokio::test]
async fn a_unit_administrator_sees_and_changes_the_people_of_their_unit() {
    let world = World::new().await;
    let unit = world.post(&format!("{R}/units"), json!({ "name": "Physics" })).await.expect(201);
    let unit = unit["id"].as_str().unwrap();
    world.user("bob").await;
    let key = world.client("physics", json!({ "roles": ["unit-admin"], "unit": unit })).await;
    let users = format!("{R}/users");
    let create = |body| world.call(&key, "POST", &users, body);
    create(json!({ "username": "carol" })).await.refused(403, "beyond-grant");
    create(json!({ "username": "carol", "unit": unit })).await.expect(201);
    let listed = world.call(&key, "GET", &users, json!(null)).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let bob = format!("{R}/users/bob");
    world.call(&key, "GET", &bob, json!(null)).await.refused(404, "not-found");
    world.call(&key, "PATCH", &bob, json!({ "unit": unit })).await.refused(404, "not-found");
    let carol = format!("{R}/users/carol");
    world.call(&key, "PATCH", &carol, json!({ "unit": null })).await.refused(403, "beyond-grant");
}

#[tokio::test]
async fn people_see_themselves_and_nobody_else() {
    let world = World::new().await;
    world.user("alice").await;
    world.user("bob").await;
    let more = json!({ "services": ["counterfoil"], "scopes": ["users:read"] });
    let (_, secret) = world.pat("alice", more).await;
    let listed = world.call(&secret, "GET", &format!("{R}/users"), json!(null)).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["username"], "alice");
    world
        .call(&secret, "GET", &format!("{R}/users/bob"), json!(null))
        .await
        .refused(404, "not-found");
    let edit = json!({ "status": "active" });
    let alice = format!("{R}/users/alice");
    world.call(&secret, "PATCH", &alice, edit).await.refused(403, "insufficient-scope");
}

#[tokio::test]
async fn a_name_that_reads_other_than_it_is_is_refused_with_the_character() {
    let world = World::new().await;
    for name in ["ali\u{200b}ce", "\u{202e}nimda", "alice\u{fe0f}", "\u{feff}alice", "al\u{ad}ice"]
    {
        let refused = world.post(&format!("{R}/users"), json!({ "username": name })).await;
        assert_eq!(refused.refused(422, "invalid")["field"], "username", "{name:?}");
        let refused = world.post(&format!("{R}/groups"), json!({ "name": name })).await;
        assert_eq!(refused.refused(422, "invalid")["field"], "name", "{name:?}");
    }
    let shown = json!({ "username": "mallory", "display_name": "\u{202e}ecilA" });
    let refused = world.post(&format!("{R}/users"), shown).await.refused(422, "invalid");
    assert_eq!(refused["field"], "display_name");
    assert!(refused["detail"].as_str().unwrap().contains("U+202E"), "{refused}");
    let shown = json!({ "label": "x", "name": "G\u{2069}it" });
    let refused = world.post(&format!("{R}/services"), shown).await.refused(422, "invalid");
    assert_eq!(refused["field"], "name");
    // Joiners are spelling in a text, and emoji are no disguise.
    let text = json!({ "label": "x", "name": "☕\u{fe0f}", "description": "می\u{200c}خواهم" });
    world.post(&format!("{R}/services"), text).await.expect(201);
}
