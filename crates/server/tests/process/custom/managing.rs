//! Tokens that somebody else keeps, managed at the Airlock door: the reference adapter, and a table
//! of somebody else's in SQLite and in PostgreSQL.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::harness::{PATIENCE, Site, await_true};
use crate::nodes::share_keys;
use crate::wire::{Answer, Api, Request};
use crate::world::{UNTHROTTLED, World, active, verify};

use super::checking::{TABLE, statements};
use super::peers::{Adapter, section};

/// Remembered as long as it can be, so that what is seen at once was told and not forgotten.
const REMEMBERED: &str = "services = [\"git\"]\ncache_seconds = 60";
const MAPPED: &str = "attributes.trackingId = { name = \"order\" }\nattributes.enabled = {}\n\
                      attributes.totalUsages = {}\n";
const DOOR: &str = "/auth-admin/rest";

fn ask(api: &Api, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let request = Request::new(method, format!("{DOOR}{path}"));
    api.send(match body {
        Some(body) => request.json(body),
        None => request,
    })
}

fn with(attributes: &Value) -> Value {
    json!({ "data": { "attributes": attributes } })
}

/// The life of a token of alice's, from its creation at the door to its end there.
fn lives(world: &World, repository: &str) {
    let admin = &world.admin;
    let all = format!("/users/alice/tokens/generic/{repository}");
    let made = ask(admin, "POST", &all, Some(&with(&json!({ "order": "A-17" })))).expect(201);
    let secret = made["meta"]["secret"].as_str().unwrap();
    let one = format!("{all}/{}", made["data"]["id"].as_str().unwrap());
    assert!(active(&verify(&world.verifier, secret)), "{made}");
    let shown = ask(admin, "GET", &one, None);
    let tag = shown.header("etag").to_owned();
    assert_eq!(shown.expect(200)["data"]["attributes"]["order"], "A-17");
    let listed = ask(admin, "GET", &all, None).expect(200);
    assert_eq!(listed["data"][0]["id"], made["data"]["id"]);
    assert_eq!(listed["meta"]["canCreate"], json!(true));

    let change = Request::new("PATCH", format!("{DOOR}{one}")).json(&with(&json!({"order": "B"})));
    let changed = admin.send(change.clone().header("If-Match", tag.clone())).expect(200);
    assert_eq!(changed["data"]["attributes"]["order"], "B");
    let stale = admin.send(change.header("If-Match", tag));
    assert_eq!(stale.expect(409)["errors"][0]["code"], "VERSION_CONFLICT");
    // No second later: the next verification.
    ask(admin, "POST", &format!("{one}/disable"), None).expect(200);
    assert_eq!(world.verify(secret)["code"], "disabled");
    ask(admin, "POST", &format!("{one}/enable"), None).expect(200);
    assert!(active(&verify(&world.verifier, secret)));
    let kept = ask(admin, "GET", &one, None).expect(200);
    assert_eq!(kept["data"]["attributes"]["order"], "B", "switching changes nothing else");
    for act in ["revoke", "rotate", "promote"] {
        assert_eq!(ask(admin, "POST", &format!("{one}/{act}"), None).status, 405, "{act}");
    }
    assert_eq!(ask(admin, "DELETE", &one, None).status, 204);
    assert_eq!(world.verify(secret)["code"], "unknown");
    assert_eq!(ask(admin, "GET", &one, None).status, 404);
    assert_eq!(ask(admin, "DELETE", &one, None).status, 404);
}

#[test]
fn tokens_of_the_reference_adapter_are_managed_at_the_airlock_door() {
    let site = Site::new();
    let mut adapter = Some(Adapter::start(&site));
    let address = adapter.as_ref().unwrap().address;
    let settings = section(&site, address, &format!("{REMEMBERED}\n{MAPPED}"));
    for world in World::on_each_store(&format!("{UNTHROTTLED}\n{settings}")) {
        lives(&world, "acme");
        let shown = world.admin.get("/repositories/acme").expect(200);
        assert_eq!(shown["health"]["state"], "answering", "{shown}");
        assert!(shown["capabilities"].as_array().unwrap().contains(&json!("CREATE")), "{shown}");
        if world.cluster.is_some() {
            // Gone: unavailable, and no list of nothing.
            adapter = None;
            let all = "/users/alice/tokens/generic/acme";
            for method in ["GET", "POST"] {
                let body = with(&json!({}));
                let answer = ask(&world.admin, method, all, (method == "POST").then_some(&body));
                let error = answer.expect(503)["errors"][0].clone();
                assert_eq!(error["code"], "SERVICE_UNAVAILABLE");
            }
            let shown = world.admin.get("/repositories/acme").expect(200);
            assert_eq!(shown["health"]["state"], "failing", "{shown}");
        }
    }
    drop(adapter);
}

#[test]
fn tokens_of_a_table_are_managed_at_the_airlock_door() {
    let site = Site::new();
    let file = site.path("legacy.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch(TABLE).unwrap();
    let cluster = Cluster::start();
    cluster.make_database("legacy");
    let host = cluster.host();
    let table = TABLE.replace("id integer primary key", "id serial primary key");
    let psql = std::process::Command::new("psql")
        .args(["-q", "-d", &format!("postgres://cf@{host}/legacy"), "-c", &table])
        .output()
        .unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
    for url in [format!("sqlite:{}", file.display()), format!("postgres://cf@{host}/legacy")] {
        println!("at {url}:");
        let section = format!(
            "[repository.legacy]\nkind = \"custom\"\ndriver = \"sql\"\nurl = \"{url}\"\n\
             prefix = \"old_\"\nselector = \"prefix\"\nselector_length = 12\n{REMEMBERED}\n\
             {MAPPED}{}",
            statements("legacy")
        );
        lives(&World::new(&format!("{UNTHROTTLED}\n{section}")), "legacy");
    }
}

#[test]
fn another_node_hears_of_a_change_before_it_would_have_forgotten() {
    let site = Site::new();
    let adapter = Adapter::start(&site);
    let section = section(&site, adapter.address, &format!("{REMEMBERED}\n{MAPPED}"));
    let settings = format!("{UNTHROTTLED}\n{section}");
    let world = World::on_postgres(&settings);
    let database = format!("postgres://cf@{}/cf", world.cluster.as_ref().unwrap().host());
    let second = Site::new();
    share_keys(&world.site, &second);
    let server = second.serve(&format!("data.database = \"{database}\"\n{settings}"));
    let verifier = Api::new(server.address, &world.verifier.key);
    let all = "/users/alice/tokens/generic/acme";
    let made = ask(&world.admin, "POST", all, Some(&with(&json!({})))).expect(201);
    let secret = made["meta"]["secret"].as_str().unwrap();
    await_true("the second node remembers it", PATIENCE, || active(&verify(&verifier, secret)));
    let one = format!("{all}/{}", made["data"]["id"].as_str().unwrap());
    ask(&world.admin, "POST", &format!("{one}/disable"), None).expect(200);
    // Half the time that it would be remembered, many times what it takes.
    await_true("the second node heard of it", PATIENCE, || !active(&verify(&verifier, secret)));
}
