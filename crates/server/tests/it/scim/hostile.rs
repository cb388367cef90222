//! What somebody sends who means no good: too much, for somebody else, or secrets.

use serde_json::{Map, Value, json};

use super::{Idp, refused};
use crate::world::{Engine, R, World};

#[tokio::test]
async fn who_may_change_nothing_is_told_so_before_anything_is_read() {
    let world = World::new().await;
    world.user("alice").await;
    let idp = Idp::of(&world).await;
    let made = idp.post("/Groups", json!({ "displayName": "devs" })).await.expect(201);
    let group = format!("/Groups/{}", made["id"].as_str().unwrap());
    let more = json!({ "services": ["counterfoil"], "scopes": ["users:read"] });
    let (_, key) = world.pat("alice", more).await;
    let alice = Idp { world: &world, key };
    let own = alice.get("/Users").await.expect(200);
    assert_eq!(own["totalResults"], json!(1));
    let own = format!("/Users/{}", own["Resources"][0]["id"].as_str().unwrap());
    let bearer = format!("Bearer {}", alice.key);
    let headers = [("authorization", &*bearer), ("content-type", "application/scim+json")];
    for (method, path) in [
        ("POST", "/Users"),
        ("PUT", &*own),
        ("PATCH", &*own),
        ("DELETE", &*own),
        ("POST", "/Groups"),
        ("PUT", &*group),
        ("PATCH", &*group),
        ("DELETE", &*group),
    ] {
        // Whoever looked at the body would have said that it is none.
        let body = Some(b"{".to_vec());
        let answer = world.send(method, &format!("/scim/v2{path}"), &headers, body).await;
        refused(&answer, 403, None);
    }
    // The same from who administers a unit: groups are of the whole realm.
    let unit = world.post(&format!("{R}/units"), json!({ "name": "Physics" })).await.expect(201);
    let roles = json!({ "roles": ["unit-admin"], "unit": unit["id"] });
    let unit = Idp { world: &world, key: world.client("physics", roles).await };
    refused(&unit.patch(&group, json!([7])).await, 403, None);
}

#[tokio::test]
async fn a_request_that_asks_for_too_much_work_is_refused() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let idp = Idp::of(&world).await;
        let path = idp.person("alice").await;
        let keys: Map<String, Value> =
            (0..10_501).map(|number| (format!("x{number}"), json!("y"))).collect();
        let many = json!([{ "op": "add", "value": keys }]);
        refused(&idp.patch(&path, many).await, 400, Some("tooMany"));
        // More between two operations than there may be at the end.
        let each = (0..60).map(|number| json!({ "value": format!("{number}{}", "x".repeat(900)) }));
        let large = json!([
            { "op": "add", "path": "emails", "value": each.collect::<Vec<Value>>() },
            { "op": "remove", "path": "emails" },
        ]);
        refused(&idp.patch(&path, large).await, 400, Some("invalidValue"));
        assert_eq!(idp.get(&path).await.header("etag"), "W/\"1\"");
        // All members are looked through for each of these.
        let id = path.rsplit('/').next().unwrap();
        let group = json!({ "displayName": "devs", "members": [{ "value": id }] });
        let made = idp.post("/Groups", group).await.expect(201);
        let group = format!("/Groups/{}", made["id"].as_str().unwrap());
        let removals = |count: usize| {
            let one = json!({ "op": "remove", "path": "members[type eq \"Robot\"]" });
            Value::from(vec![one; count])
        };
        refused(&idp.patch(&group, removals(11)).await, 400, Some("tooMany"));
        assert_eq!(idp.patch(&group, removals(10)).await.status, 204);
        // By their ids any number leaves.
        let path = format!("members[value eq \"{id}\"]");
        let leave = Value::from(vec![json!({ "op": "remove", "path": path }); 50]);
        assert_eq!(idp.patch(&group, leave).await.status, 204);
        assert!(idp.get(&group).await.expect(200)["members"].is_null());
    }
}

#[tokio::test]
async fn a_group_is_removed_in_the_version_that_is_meant() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let idp = Idp::of(&world).await;
        let made = idp.post("/Groups", json!({ "displayName": "devs" })).await.expect(201);
        let group = format!("/Groups/{}", made["id"].as_str().unwrap());
        let stale = idp.send("DELETE", &group, &[("if-match", "W/\"7\"")], Value::Null).await;
        refused(&stale, 412, None);
        let meant = idp.send("DELETE", &group, &[("if-match", "W/\"1\"")], Value::Null).await;
        assert_eq!(meant.status, 204);
    }
}

#[tokio::test]
async fn nothing_that_is_said_of_people_and_groups_holds_a_token() {
    let world = World::new().await;
    let idp = Idp::of(&world).await;
    let secret = idp.key.clone();
    let refuses = |answer: &crate::world::Answer| {
        refused(answer, 400, Some("invalidValue"));
        assert!(!answer.text.contains(&secret));
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("holds a token"), "{detail}");
    };
    let path = idp.person("alice").await;
    let within = format!("see {secret}.");
    // A name is kept in lower case, which gives all of a secret away but its capitals.
    for name in [secret.clone(), format!("{secret}@example.org"), secret.to_uppercase()] {
        let made = idp.post("/Users", json!({ "userName": name })).await;
        refuses(&made);
        assert!(!made.text.contains(&secret.to_lowercase()));
        refuses(&idp.post("/Groups", json!({ "displayName": name })).await);
        let body = json!({ "username": name });
        world.post(&format!("{R}/users"), body).await.refused(422, "invalid");
    }
    for (field, value) in [
        ("externalId", json!(secret)),
        ("title", json!(within)),
        ("displayName", json!(within)),
        ("emails", json!([{ "value": format!("{secret}@example.org") }])),
        ("name", json!({ "familyName": within })),
    ] {
        let mut body = json!({ "userName": "bob" });
        body[field] = value.clone();
        refuses(&idp.post("/Users", body.clone()).await);
        body["userName"] = "alice".into();
        refuses(&idp.put(&path, body).await);
        let change = json!([{ "op": "replace", "path": field, "value": value }]);
        refuses(&idp.patch(&path, change).await);
    }
    refuses(&idp.post("/Users", json!({ "userName": secret })).await);
    refuses(&idp.post("/Groups", json!({ "displayName": secret })).await);
    let made = idp.post("/Groups", json!({ "displayName": "devs" })).await.expect(201);
    let group = format!("/Groups/{}", made["id"].as_str().unwrap());
    let change = json!([{ "op": "replace", "path": "externalId", "value": secret }]);
    refuses(&idp.patch(&group, change).await);
    // The same at the native API.
    let users = format!("{R}/users");
    for (field, value) in [
        ("display_name", json!(within)),
        ("emails", json!([format!("{secret}@example.org")])),
        ("attributes", json!({ "note": { "deep": [within] } })),
    ] {
        let mut body = json!({ "username": "bob" });
        body[field] = value.clone();
        assert_eq!(world.post(&users, body).await.refused(422, "invalid")["field"], field);
        let change = json!({ field: value });
        let answer = world.patch(&format!("{users}/alice"), change).await;
        assert_eq!(answer.refused(422, "invalid")["field"], field);
    }
    let body = json!({ "name": "staff", "description": within });
    let answer = world.post(&format!("{R}/groups"), body).await;
    assert_eq!(answer.refused(422, "invalid")["field"], "description");
}
