//! What stands in the query of a request that changes something is known, or the request refused.

use serde_json::{Value, json};

use crate::world::{R, World};

/// Every route of the document that changes something, with its method.
fn changing() -> Vec<(String, String, Vec<String>)> {
    let document = serde_json::to_value(counterfoil_server::http::openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let changes = ["post", "put", "patch", "delete"].contains(&method.as_str());
            // The address that GitHub was given is called as GitHub likes.
            if !changes || !path.starts_with("/api/v1/") || path == "/api/v1/leaks/github" {
                continue;
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
            let names = query.map(|parameter| parameter["name"].as_str().unwrap().to_owned());
            routes.push((method.to_uppercase(), path.clone(), names.collect()));
        }
    }
    routes
}

#[tokio::test]
async fn every_route_that_changes_something_refuses_a_parameter_that_it_does_not_know() {
    let world = World::new().await;
    let (mut refused, mut knowing) = (0, 0);
    for (method, path, names) in changing() {
        let path = path.replace("{realm}", "main").replace(['{', '}'], "");
        for name in ["dry_run", "colour"] {
            if names.iter().any(|known| known == name) {
                knowing += 1;
                continue;
            }
            let path = format!("{path}?{name}=true");
            let said = world.call(&world.operator_key, &method, &path, json!({})).await;
            assert_eq!(said.status, 422, "{method} {path}: {}", said.text);
            assert_eq!(said.body["field"], name, "{method} {path}");
            refused += 1;
        }
    }
    assert!(refused > 80 && knowing == 3, "{refused} {knowing}");
}

#[tokio::test]
async fn what_is_asked_for_in_the_query_is_done_or_refused() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let settings = format!("{R}/services/git/token-settings");
    let off = json!({ "enabled": false });
    let put = async |query: &str, body: Value| {
        world.call(&world.operator_key, "PUT", &format!("{settings}{query}"), body).await
    };
    let tried = put("?dry_run=true", off.clone()).await.expect(200);
    assert_eq!(tried["items"][0]["token"]["id"], alice.token.as_str());
    assert_eq!(tried["hidden"], 0);
    assert_eq!(world.get(&settings).await.expect(200)["policy"], json!({}));
    put("?limit=2", off.clone()).await.refused(422, "invalid");
    put("?dry_run=false", off).await.expect(200);
    assert_eq!(world.get(&settings).await.expect(200)["policy"], json!({ "enabled": false }));
    // A verify consumes, by the short way as by the long one.
    let body = json!({ "token": alice.secret });
    for path in [format!("{R}/verify?service=git"), "/api/v1/realms/ma%69n/verify?x".into()] {
        world.call(&alice.gate, "POST", &path, body.clone()).await.refused(422, "invalid");
    }
    // A question mark alone asks for nothing, and a look may carry what it likes.
    world.call(&alice.gate, "POST", &format!("{R}/verify?"), body).await.expect(200);
    world.get(&format!("{settings}?x=1")).await.expect(200);
}
