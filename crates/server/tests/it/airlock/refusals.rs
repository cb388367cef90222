//! Every route of the door, asked by everybody who may not.

use std::sync::Arc;

use counterfoil_server::compat::described::DOORS;
use counterfoil_store::MemoryStore;
use serde_json::{Value, json};

use super::fake::{Fake, SECTION};
use super::world::refused;
use crate::world::{R, World};

const OURS: &str = r#"
[repository.badge]
kind = "token"
services = ["git"]
[repository.badge.attributes]
serialId = {}
"#;

/// Method, path and body of each route, for each of the two sorts of repository.
fn routes() -> Vec<(String, String, Value)> {
    let door = DOORS.iter().find(|door| door.tag.contains("Airlock")).unwrap();
    let documented = serde_json::to_value(counterfoil_server::http::openapi()).unwrap();
    let mut routes = Vec::new();
    for (_, path, _) in door.routes {
        for (method, _) in documented["paths"][path].as_object().unwrap() {
            for kind in ["badge", "acme"] {
                let filled = path
                    .replace("{user}", "alice")
                    .replace("{type}", kind)
                    .replace("{id}", "000000000000")
                    .replace("{act}", if path.contains("users") { "disable" } else { "assign" });
                let list = filled.ends_with("/rest/tokens");
                let stock = list && method == "get" || filled.ends_with("/assign");
                let filled = if stock { format!("{filled}?filter[type]={kind}") } else { filled };
                let body = match method.as_str() {
                    "post" if filled.contains("/assign") => {
                        json!({ "data": { "type": "users", "id": "alice" } })
                    }
                    "post" | "patch" => json!({ "data": { "type": kind } }),
                    _ => Value::Null,
                };
                routes.push((method.to_uppercase(), filled, body));
            }
        }
    }
    routes.sort_by_key(|(method, path, _)| (path.clone(), method.clone()));
    routes.dedup();
    assert!(routes.len() >= 18, "{routes:?}");
    routes
}

async fn ready() -> World {
    let world = World::over_with(Arc::new(MemoryStore::new()), &format!("{OURS}{SECTION}")).await;
    Fake::without(&[]).behind(&world);
    world.user("alice").await;
    world.service("git").await;
    world
}

#[tokio::test]
async fn without_a_good_credential_every_route_of_the_door_answers_401() {
    let world = ready().await;
    let (id, revoked) = world.pat("alice", json!({ "services": ["git"] })).await;
    world.post(&format!("{R}/tokens/{id}/revoke"), json!({})).await.expect(200);
    let forged = format!("cflk_{}_{}", "0".repeat(12), "0".repeat(38));
    for (method, path, body) in routes() {
        let text = (!body.is_null()).then(|| body.to_string().into_bytes());
        for header in [
            None,
            Some("Bearer nonsense".to_owned()),
            Some(format!("Bearer {forged}")),
            Some(format!("Bearer {revoked}")),
            Some("Digest username=\"admin\"".to_owned()),
            Some("Bearer ".to_owned()),
            Some("Basic bm90OmdpdmVu".to_owned()),
        ] {
            let headers = header.as_ref().map(|header| [("authorization", header.as_str())]);
            let headers = headers.as_ref().map_or(&[][..], |headers| &headers[..]);
            let answer = world.send(&method, &path, headers, text.clone()).await;
            refused(&answer, 401, "AUTHENTICATION_REQUIRED");
            assert!(!answer.header("www-authenticate").is_empty(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn with_too_little_every_route_of_the_door_answers_403_or_404() {
    let world = ready().await;
    world.post("/api/v1/realms", json!({ "name": "other" })).await.expect(201);
    let admin = json!({ "name": "theirs", "roles": ["realm-admin"] });
    let admin = world.post("/api/v1/realms/other/clients", admin).await.expect(201);
    let scopes = json!({ "services": ["git"], "scopes": ["tokens:read", "tokens:write"] });
    let callers = [
        ("a token for git", world.pat("alice", scopes).await.1),
        ("another realm's administrator", admin["secret"].as_str().unwrap().to_owned()),
        ("a client without roles", world.client("idle", json!({ "roles": [] })).await),
        ("a verifier", world.verifier("gate", "git").await),
    ];
    for (method, path, body) in routes() {
        for (who, key) in &callers {
            let answer = world.call(key, &method, &path, body.clone()).await;
            assert!(
                [403, 404].contains(&answer.status),
                "{method} {path} by {who}: {} {}",
                answer.status,
                answer.text
            );
            assert_eq!(answer.body["errors"][0]["status"], json!(answer.status));
        }
    }
}
