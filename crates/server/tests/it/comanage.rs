//! The COmanage door as a client of Registry's REST API v1 meets it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::world::{Answer, Engine, R, World};

fn basic(name: &str, key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{key}")))
}

async fn ask(world: &World, method: &str, credential: &str, path: &str) -> Answer {
    let headers = [("authorization", credential)];
    let headers = if credential.is_empty() { &headers[..0] } else { &headers };
    world.send(method, &format!("/registry{path}"), headers, None).await
}

/// A reading client, and two services and a person for it to read.
async fn furnished(world: &World) -> String {
    world.user("plee").await;
    world.user("mkim").await;
    world.post(&format!("{R}/groups"), json!({ "name": "hpc users" })).await.expect(201);
    let wiki = json!({ "label": "wiki", "name": "Wiki", "url": "https://wiki.myvo.org/",
        "visibility": "public", "contact": "wiki@myvo.org" });
    world.post(&format!("{R}/services"), wiki).await.expect(201);
    let hpc = json!({ "label": "hpc", "name": "Cluster", "visibility": "group",
        "group": "hpc users", "status": "suspended" });
    world.post(&format!("{R}/services"), hpc).await.expect(201);
    world.client("sync", json!({ "roles": ["auditor"] })).await
}

#[tokio::test]
async fn services_are_written_as_registry_writes_them() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let key = furnished(&world).await;
        let credential = basic("sync", &key);
        let answer = ask(&world, "GET", &credential, "/co_services.json?coid=2").await;
        assert!(answer.header("content-type").starts_with("application/json"));
        let text = answer.text.clone();
        let list = answer.expect(200);
        let start = r#"{"ResponseType":"CoServices","Version":"1.0","CoServices":["#;
        assert!(text.starts_with(start), "{text}");
        let [hpc, wiki] = &list["CoServices"].as_array().unwrap()[..] else { panic!("{list}") };
        let mut shown = wiki.clone();
        let id = shown.as_object_mut().unwrap().remove("Id").unwrap();
        let wanted = json!({ "Version": "1.0", "CoId": "2", "Name": "Wiki", "ShortLabel": "wiki",
            "ServiceUrl": "https://wiki.myvo.org/", "ContactEmail": "wiki@myvo.org",
            "Visibility": "Unauthenticated", "Status": "Active", "Revision": "0",
            "Created": "2026-11-21 12:00:00", "Modified": "2026-11-21 12:00:00",
            "Deleted": false });
        assert_eq!(shown, wanted);
        assert_eq!(
            (&hpc["Visibility"], &hpc["Status"]),
            (&json!("CoGroupMember"), &json!("Suspended"))
        );
        assert!(hpc["CoGroupId"].is_string());
        let path = format!("/co_services/{}.json", id.as_str().unwrap());
        let one = ask(&world, "GET", &credential, &path).await.expect(200);
        assert_eq!(one["CoServices"], json!([wiki]));
        // As Registry calls its API users.
        let credential = basic("co_2.sync", &key);
        ask(&world, "GET", &credential, "/co_services.json?coid=2").await.expect(200);
    }
}

#[tokio::test]
async fn people_and_their_identifiers_lead_to_each_other() {
    let world = World::new().await;
    let credential = basic("sync", &furnished(&world).await);
    let get = async |path: &str| ask(&world, "GET", &credential, path).await;
    let all = get("/co_people.json?coid=2").await.expect(200);
    assert_eq!(all["CoPeople"].as_array().unwrap().len(), 2);
    let found = get("/co_people.json?coid=2&search.identifier=PLee").await.expect(200);
    let [person] = &found["CoPeople"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!(person["Status"], "Active");
    let id = person["Id"].as_str().unwrap();
    let shown = get(&format!("/co_people/{id}.json")).await.expect(200);
    assert_eq!(shown["CoPeople"], json!([person]));
    let identifiers = get(&format!("/identifiers.json?copersonid={id}")).await.expect(200);
    let identifier = &identifiers["Identifiers"][0];
    assert_eq!((&identifier["Type"], &identifier["Identifier"]), (&json!("uid"), &json!("plee")));
    assert_eq!(identifier["Person"], json!({ "Type": "CO", "Id": id }));
    let none = get("/co_people.json?coid=2&search.identifier=nobody").await.expect(200);
    assert_eq!(none["CoPeople"], json!([]));
}

fn refused(answer: &Answer, status: u16, error: &str) {
    let said = (answer.status, &answer.body["ResponseType"], &answer.body["Error"]);
    assert_eq!(said, (status, &json!("ErrorResponse"), &json!(error)), "{}", answer.text);
}

#[tokio::test]
async fn who_may_not_read_is_refused_and_nobody_writes_or_reads_a_password() {
    let world = World::new().await;
    let key = furnished(&world).await;
    let alice = world.with_alice().await;
    let paths = [
        "/co_services.json?coid=2",
        "/co_services/7.json",
        "/co_people.json?coid=2",
        "/co_people/7.json",
        "/identifiers.json?copersonid=7",
        "/identifiers/7.json",
    ];
    for path in paths {
        let wrong = format!("{key}x");
        for credential in [
            String::new(),
            format!("Bearer {key}"),
            basic("sync", &wrong),
            basic("other", &key),
            basic("co_3.sync", &key),
            basic("sync", ""),
        ] {
            let answer = ask(&world, "GET", &credential, path).await;
            refused(&answer, 401, "Unauthorized");
            assert!(answer.header("www-authenticate").starts_with("Basic "));
        }
        let verifier = ask(&world, "GET", &basic("gate", &alice.gate), path).await;
        refused(&verifier, 403, "Forbidden");
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            assert_eq!(ask(&world, method, &basic("sync", &key), path).await.status, 405);
        }
    }
    let credential = basic("sync", &key);
    for (path, status, error) in [
        ("/co_services.json", 400, "coid is required"),
        ("/co_services.json?coid=3", 404, "CO Unknown"),
        ("/co_services/7.json", 404, "CoService Unknown"),
        ("/co_services/wiki", 404, "CoService Unknown"),
        ("/co_people/7.json", 404, "CoPerson Unknown"),
        ("/identifiers.json?copersonid=7", 404, "CoPerson Unknown"),
    ] {
        refused(&ask(&world, "GET", &credential, path).await, status, error);
    }
    let password = "/password_authenticator/passwords.json?passwordauthid=4&copersonid=58";
    assert_eq!(ask(&world, "GET", &credential, password).await.status, 404);
}

#[tokio::test]
async fn a_door_that_is_off_is_not_there() {
    let settings = HttpSettings { comanage: false, ..HttpSettings::default() };
    let world = World::with(settings).await;
    let key = furnished(&world).await;
    let answer = ask(&world, "GET", &basic("sync", &key), "/co_services.json?coid=2").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body["ResponseType"], Value::Null);
}

#[tokio::test]
async fn while_the_store_is_down_nobody_is_unauthorized_or_unknown() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, HttpSettings::default()).await;
    let credential = basic("sync", &furnished(&world).await);
    for path in [
        "/co_services.json?coid=2",
        "/co_services/7.json",
        "/co_people.json?coid=2&search.identifier=plee",
        "/identifiers.json?copersonid=7",
    ] {
        let mut failed = 0;
        loop {
            let cold = world.restarted().await;
            store.fail_nth(failed + 1);
            let answer = ask(&cold, "GET", &credential, path).await;
            let calls = store.calls().len();
            store.heal();
            if calls <= failed {
                break;
            }
            refused(&answer, 503, "Temporarily Unavailable");
            assert_eq!(answer.header("retry-after"), "1");
            failed += 1;
        }
        assert!(failed > 1, "{path} asked the store {failed} times");
    }
}

/// A20: who finds which service in the list, by its visibility.
#[tokio::test]
async fn a20_four_viewers_see_what_four_visibilities_show_them() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        for name in ["member", "other"] {
            world.user(name).await;
        }
        world.post(&format!("{R}/groups"), json!({ "name": "staff" })).await.expect(201);
        let membership = format!("{R}/groups/staff/members/member");
        world.call(&world.operator_key, "PUT", &membership, Value::Null).await.expect(204);
        for visibility in ["administrators", "group", "realm", "public"] {
            let service = json!({ "label": format!("for-{visibility}"), "name": visibility,
                "visibility": visibility, "group": "staff" });
            world.post(&format!("{R}/services"), service).await.expect(201);
        }
        let scopes = json!({ "services": ["counterfoil"], "scopes": ["services:read"] });
        let member = world.pat("member", scopes.clone()).await.1;
        let other = world.pat("other", scopes).await.1;
        let all = ["for-administrators", "for-group", "for-public", "for-realm"];
        for (who, key, seen) in [
            ("an administrator", &world.operator_key, &all[..]),
            ("a member of the group", &member, &all[1..]),
            ("a person of the realm", &other, &all[2..]),
        ] {
            let answer = world.call(key, "GET", &format!("{R}/services"), Value::Null).await;
            let list = answer.expect(200);
            let mut labels: Vec<&str> = list["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["label"].as_str().unwrap())
                .collect();
            labels.retain(|label| label.starts_with("for-"));
            assert_eq!(labels, seen, "{who}");
        }
        let nobody = world.send("GET", &format!("{R}/services"), &[], None).await;
        assert_eq!(nobody.status, 401);
    }
}
