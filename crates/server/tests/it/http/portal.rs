//! `R/portal`: what may be asked for of what is seen there. Who sees which service is a test of the
//! real process, on both stores.

use serde_json::{Value, json};

use crate::world::{R, World};

async fn put_into(world: &World, group: &str, user: &str) {
    let path = format!("{R}/groups/{group}/members/{user}");
    world.call(&world.operator_key, "PUT", &path, Value::Null).await.expect(204);
}

/// Labels and their cards, as somebody sees them; an empty key is nobody's.
async fn seen(world: &World, key: &str) -> Vec<Value> {
    let path = format!("{R}/portal");
    let answer = match key {
        "" => world.send("GET", &path, &[], None).await,
        key => world.call(key, "GET", &path, Value::Null).await,
    };
    if key.is_empty() && answer.status == 404 {
        return Vec::new();
    }
    answer.expect(200)["items"].as_array().unwrap().clone()
}

/// A person's key that reads services and issues tokens.
async fn person(world: &World, name: &str) -> String {
    world.user(name).await;
    let more = json!({ "services": ["counterfoil"],
        "scopes": ["services:read", "tokens:write"] });
    world.pat(name, more).await.1
}

#[tokio::test]
async fn a16_nobody_issues_for_a_suspended_service_or_for_themselves_outside_its_group() {
    let world = World::new().await;
    world.post(&format!("{R}/groups"), json!({ "name": "staff" })).await.expect(201);
    let body = json!({ "label": "hpc", "visibility": "public", "group": "staff" });
    world.post(&format!("{R}/services"), body).await.expect(201);
    let key = person(&world, "alice").await;
    let own = json!({ "kind": "service_token", "service": "hpc" });
    let issue = |body: Value| {
        let (world, key) = (&world, &key);
        async move { world.call(key, "POST", &format!("{R}/tokens"), body).await }
    };
    let card = async || seen(&world, &key).await.remove(0);
    let before = card().await;
    assert_eq!((&before["member"], &before["usable"]), (&json!(false), &json!(false)));
    issue(own.clone()).await.refused(409, "not-open");
    put_into(&world, "staff", "alice").await;
    let after = card().await;
    assert_eq!((&after["member"], &after["usable"]), (&json!(true), &json!(true)));
    issue(own.clone()).await.expect(201);
    let suspended = json!({ "status": "suspended" });
    world.patch(&format!("{R}/services/hpc"), suspended).await.expect(200);
    // Hidden from its own people; who administers it is told why.
    issue(own.clone()).await.refused(409, "not-open");
    let for_alice = json!({ "kind": "service_token", "service": "hpc", "user": "alice" });
    world.post(&format!("{R}/tokens"), for_alice).await.refused(409, "not-open");
    let switched_off = json!({ "status": "active", "token_policy": { "enabled": false } });
    world.patch(&format!("{R}/services/hpc"), switched_off).await.expect(200);
    issue(own).await.refused(409, "not-open");
}

#[tokio::test]
async fn a_suspended_service_is_as_unknown_to_who_may_not_see_it_as_an_active_one() {
    let world = World::new().await;
    let key = person(&world, "alice").await;
    for status in ["active", "suspended"] {
        let body = json!({ "label": status, "visibility": "administrators", "status": status });
        world.post(&format!("{R}/services"), body).await.expect(201);
        let own = json!({ "kind": "service_token", "service": status });
        let path = format!("{R}/tokens");
        world.call(&key, "POST", &path, own).await.refused(422, "invalid");
    }
    // Of several services that she sees, the one that is active takes the token.
    for status in ["active", "suspended"] {
        let seen = json!({ "visibility": "realm" });
        world.patch(&format!("{R}/services/{status}"), seen).await.expect(200);
    }
    let both = json!({ "kind": "personal_access_token", "services": ["active", "suspended"] });
    world.call(&key, "POST", &format!("{R}/tokens"), both).await.expect(201);
}

#[tokio::test]
async fn a_realm_without_public_services_is_to_nobody_a_realm() {
    let world = World::new().await;
    let ask = |path: &'static str| {
        let world = &world;
        async move { world.send("GET", path, &[], None).await }
    };
    let here = ask("/api/v1/realms/main/portal").await.refused(404, "not-found");
    let there = ask("/api/v1/realms/none/portal").await.refused(404, "not-found");
    assert_eq!(here["title"], there["title"]);
    // A credential that is not good is not taken for none.
    let path = format!("{R}/portal");
    world.call("cflp_nothing", "GET", &path, Value::Null).await.refused(401, "unauthenticated");
}
