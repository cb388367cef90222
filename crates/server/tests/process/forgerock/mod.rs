//! The ForgeRock AM door, check by check (reference/forgerock.md section 9), on SQLite and on
//! PostgreSQL.

mod answers;
mod client;
mod directory;
mod documents;
mod profile;
mod seed;
mod sessions;

use serde_json::{Value, json};

use crate::wire::{Answer, Api, Request};
use crate::world::{Issued, World, client, pat};

/// Refusals come at once, and the log says everything that it can.
const SETTINGS: &str = "log.level = \"trace\"\nabuse.throttle = false";
/// The path that the seed's clients know.
const EVALUATE: &str = "/openam/json/policies?_action=evaluate";
const AUTHENTICATE: &str = "/openam/json/authenticate";
/// AM's word for ever.
const FOR_EVER: i64 = i64::MAX;

/// Logs in by headers.
fn login(api: &Api, path: &str, name: &str, password: &str) -> Answer {
    let request = Request::new("POST", path)
        .header("X-OpenAM-Username", name)
        .header("X-OpenAM-Password", password)
        .header("Content-Type", "application/json")
        .body("{}");
    api.raw(&request)
}

/// The session of a client by its key.
#[track_caller]
fn session(api: &Api, name: &str, key: &str) -> String {
    let made = login(api, AUTHENTICATE, name, key).expect(200);
    made["tokenId"].as_str().unwrap().to_owned()
}

/// A request under a session.
fn under(session: &str, method: &str, path: &str, body: &Value) -> Request {
    let request = Request::new(method, path)
        .header("iPlanetDirectoryPro", session)
        .header("Accept-API-Version", "resource=2.1,protocol=1.0");
    if body.is_null() { request } else { request.json(body) }
}

/// What the policies of a set say of resources.
fn evaluated(world: &World, session: &str, set: &str, resources: &Value) -> Answer {
    let body = json!({ "resources": resources, "application": set });
    world.admin.raw(&under(session, "POST", EVALUATE, &body))
}

/// One decision of the built-in set about one token.
#[track_caller]
fn decision(world: &World, session: &str, user: &str, secret: &str) -> Value {
    let resource = format!("pat://{user}:{secret}");
    let said = evaluated(world, session, "PATValidator", &json!([resource])).expect(200);
    let all = said.as_array().unwrap();
    assert_eq!(all.len(), 1, "{said}");
    assert_eq!(all[0]["resource"], json!(resource));
    all[0].clone()
}

fn allows(decision: &Value) -> bool {
    decision["actions"]["access"] == json!(true)
}

/// An evaluator of the service `git` with a session, and alice's token with permissions.
fn evaluator(world: &World) -> (String, Issued) {
    let body = json!({ "name": "policyeval", "roles": ["verifier"], "services": ["git"] });
    let key = client(&world.admin, &body).key;
    let issued = pat(
        &world.admin,
        &json!({ "permissions": { "profile": ["givenName", "fullName", "mail"] },
            "expires_at": null }),
    );
    (session(&world.admin, "policyeval", &key), issued)
}

/// The session of the first administrator.
fn administrator(world: &World) -> String {
    session(&world.admin, "admin", &world.admin.key)
}
