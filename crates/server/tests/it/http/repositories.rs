//! Repositories at the native door: what is told of them, and their tokens among the others.

use std::sync::Arc;

use counterfoil_authority::custom::RepositoryError;
use counterfoil_authority::store::Store;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::airlock::fake::{Fake, SECTION};
use crate::world::{Engine, R, World};

const OURS: &str = r#"
[repository.badge]
kind = "token"
services = ["vpn"]
max_tokens_per_user = 2
[repository.badge.attributes]
serialId = { required = true, max_len = 20 }
enabled = {}
[repository.pin]
kind = "credential"
support_next = true
[repository.quiet]
kind = "token"
generate_secret = false
"#;

fn all() -> String {
    format!("{OURS}{SECTION}")
}

async fn world(engine: Engine) -> (World, Arc<Fake>) {
    let world = World::on_with(engine, &all()).await;
    let fake = Fake::without(&[]);
    fake.behind(&world);
    for name in ["alice", "bob"] {
        world.user(name).await;
    }
    for label in ["git", "vpn"] {
        world.service(label).await;
    }
    (world, fake)
}

#[tokio::test]
async fn repositories_are_listed_with_what_they_can_do_and_how_they_stand() {
    let (world, fake) = world(Engine::Memory).await;
    let list = world.get(&format!("{R}/repositories")).await.expect(200);
    assert_eq!(list["next_cursor"], Value::Null);
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["acme", "badge", "pin", "quiet"]);
    let acme = &list["items"][0];
    assert_eq!((&acme["kind"], &acme["driver"]), (&json!("custom"), &json!("fake")));
    // A list asks nobody.
    assert_eq!(acme["capabilities"], Value::Null);
    assert_eq!(acme["health"]["state"], "unknown");
    let badge = world.get(&format!("{R}/repositories/badge")).await.expect(200);
    assert_eq!((&badge["max_tokens_per_user"], &badge["health"]), (&json!(2), &Value::Null));
    assert!(badge["capabilities"].as_array().unwrap().contains(&json!("ASSIGN")), "{badge}");
    let serial = json!({"attribute": "serialId", "name": "serialId", "type": "string",
        "read_only": false, "write_only": false, "required": true, "filterable": false,
        "max_len": 20});
    assert_eq!(badge["attributes"][0], serial);
    assert_eq!(badge["attributes"][1]["read_only"], json!(true));
    let pin = world.get(&format!("{R}/repositories/pin")).await.expect(200);
    assert_eq!(pin["promote_next_on"], json!(["deletion"]));

    let acme = world.get(&format!("{R}/repositories/acme")).await.expect(200);
    assert_eq!(acme["capabilities"].as_array().unwrap().len(), 14);
    assert_eq!(acme["health"]["state"], "answering");
    assert_eq!(acme["health"]["receives_secrets"], json!(false));
    *fake.says.lock() = Some(RepositoryError::unavailable("silent"));
    world.clock.advance_seconds(1);
    let path = "/auth-admin/rest/users/alice/tokens/generic/acme";
    world.get(path).await.expect(503);
    let acme = world.get(&format!("{R}/repositories/acme")).await.expect(200);
    let health = &acme["health"];
    assert_eq!((&health["state"], &health["failure"]), (&json!("failing"), &json!("silent")));
    // A person sees that there is one, not why it fails.
    let scopes = json!({ "services": ["counterfoil"], "scopes": ["tokens:read"] });
    let (_, alice) = world.pat("alice", scopes).await;
    let told = world.call(&alice, "GET", &format!("{R}/repositories/acme"), Value::Null).await;
    assert_eq!(told.expect(200)["health"]["failure"], Value::Null);
}

#[tokio::test]
async fn who_reads_no_tokens_reads_of_no_repositories_and_other_realms_have_their_own() {
    let (world, _) = world(Engine::Memory).await;
    let gate = world.verifier("gate", "git").await;
    for path in ["repositories", "repositories/badge"] {
        let path = format!("{R}/{path}");
        world.call(&gate, "GET", &path, Value::Null).await.refused(403, "insufficient-scope");
    }
    for name in ["none", "bad-name", &"x".repeat(23)] {
        world.get(&format!("{R}/repositories/{name}")).await.refused(404, "not-found");
    }
    world.post("/api/v1/realms", json!({ "name": "other" })).await.expect(201);
    let theirs = world.get("/api/v1/realms/other/repositories").await.expect(200);
    let names: Vec<_> =
        theirs["items"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["badge", "pin", "quiet"], "somebody else's is in one realm");
    world.get("/api/v1/realms/other/repositories/acme").await.refused(404, "not-found");
    world.get("/api/v1/realms/none/repositories").await.refused(404, "not-found");
}

#[tokio::test]
async fn a_token_is_issued_into_a_repository_and_listed_by_it() {
    for engine in Engine::ALL {
        let (world, _) = world(engine).await;
        let issue = |more: Value| {
            let mut body = json!({ "kind": "generic", "user": "alice" });
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            let world = &world;
            async move { world.post(&format!("{R}/tokens"), body).await }
        };
        let in_badge = json!({ "repository": "badge", "serial": "A-17" });
        let issued = issue(in_badge.clone()).await.expect(201);
        let token = &issued["token"];
        assert_eq!((&token["repository"], &token["services"]), (&json!("badge"), &json!(["vpn"])));
        let secret = issued["secret"].as_str().unwrap();
        let asked = json!({ "token": secret, "service": "vpn" });
        let said = world.post(&format!("{R}/verify"), asked).await.expect(200);
        assert_eq!(said["active"], json!(true));
        let door = format!(
            "/auth-admin/rest/users/alice/tokens/generic/badge/{}",
            token["id"].as_str().unwrap()
        );
        let shown = world.get(&door).await.expect(200);
        assert_eq!(shown["data"]["attributes"]["serialId"], "A-17");
        issue(in_badge).await.refused(409, "exists");
        // What the repository asks of a token it asks of this one.
        let bare = issue(json!({ "repository": "badge" })).await;
        assert_eq!(bare.refused(422, "invalid")["field"], "serial");
        let pin = issue(json!({ "repository": "pin" })).await.expect(201);
        let current = "/auth-admin/rest/users/alice/tokens/generic/pin/alice-current";
        world.get(current).await.expect(200);
        issue(json!({ "repository": "quiet" })).await.refused(422, "not-available");
        issue(json!({ "repository": "acme" })).await.refused(422, "not-available");
        issue(json!({ "repository": "none" })).await.refused(404, "not-found");
        let pat = json!({ "kind": "personal_access_token", "repository": "badge" });
        issue(pat).await.refused(422, "invalid");

        world.pat("alice", json!({ "services": ["git"] })).await;
        let ids = |body: Value| {
            let all = body["items"].as_array().unwrap().iter();
            all.map(|one| one["id"].clone()).collect::<Vec<_>>()
        };
        let list = |query: &str| {
            let path = format!("{R}/tokens?{query}");
            let world = &world;
            async move { ids(world.get(&path).await.expect(200)) }
        };
        assert_eq!(list("repository=badge").await, [token["id"].clone()]);
        let pin_id = pin["token"]["id"].clone();
        assert_eq!(list("repository=pin&user=alice").await, [pin_id]);
        assert_eq!(list("repository=pin&user=bob").await, [Value::Null; 0]);
        assert_eq!(list("repository=badge&state=revoked").await, [Value::Null; 0]);
        world.get(&format!("{R}/tokens?repository=acme")).await.refused(422, "not-available");
        world.get(&format!("{R}/tokens?repository=a-b")).await.refused(422, "invalid");
        world.get(&format!("{R}/tokens?repository=none")).await.refused(404, "not-found");
    }
}

#[tokio::test]
async fn an_authentication_token_says_how_it_proves_itself() {
    for engine in Engine::ALL {
        let (world, _) = world(engine).await;
        for method in ["totp", "backup"] {
            let body = json!({ "kind": "generic", "user": "alice", "services": ["vpn"],
                "otp": { "method": method } });
            let issued = world.post(&format!("{R}/tokens"), body).await.expect(201);
            assert_eq!(issued["token"]["otp_method"], method);
            let id = issued["token"]["id"].as_str().unwrap();
            let shown = world.get(&format!("{R}/tokens/{id}")).await.expect(200);
            assert_eq!(shown["otp_method"], method);
            let path = format!("{R}/tokens/{id}/disable");
            assert_eq!(world.post(&path, json!({})).await.expect(200)["otp_method"], method);
        }
        world.pat("alice", json!({ "services": ["git"] })).await;
        let list = world.get(&format!("{R}/tokens?user=alice")).await.expect(200);
        let told = list["items"].as_array().unwrap().iter().map(|one| &one["otp_method"]);
        let mut methods: Vec<_> = told.map(ToString::to_string).collect();
        methods.sort();
        assert_eq!(methods, ["\"backup\"", "\"totp\"", "null"]);
    }
}

#[tokio::test]
async fn the_routes_of_repositories_say_that_the_store_is_down() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over_with(Arc::clone(&store) as Arc<dyn Store>, &all()).await;
    world.user("alice").await;
    world.service("vpn").await;
    for path in ["repositories", "repositories/badge", "tokens?repository=badge"] {
        for call in 1.. {
            let cold = world.restarted().await;
            store.fail_nth(call);
            let answer = cold.get(&format!("{R}/{path}")).await;
            let calls = store.calls();
            store.heal();
            if calls.len() < call {
                assert_eq!(answer.status, 200, "{path}: {}", answer.text);
                break;
            }
            let said = answer.refused(503, "unavailable");
            assert_eq!(said["detail"], "the store or a repository is not reachable, try again");
        }
    }
}
