//! Acts on many tokens as jobs.

use serde_json::{Value, json};

use crate::world::{Answer, Engine, R, World};

const STOCK: &str = "[repository.hardware]\nkind = \"token\"\nmax_tokens_per_user = 1\n\
                     [repository.hardware.attributes]\nserialId = {filterable = true}\n\
                     trackingId = {}\n";
const SEED: &str = "3132333435363738393031323334353637383930";

/// Alice with three tokens for git, bob with one, and so many devices in stock.
async fn world(engine: Engine, stock: usize) -> World {
    let world = World::on_with(engine, STOCK).await;
    for user in ["alice", "bob"] {
        world.user(user).await;
    }
    world.service("git").await;
    for user in ["alice", "alice", "alice", "bob"] {
        world.pat(user, json!({ "services": ["git"], "labels": { "of": user } })).await;
    }
    if stock > 0 {
        let lines: Vec<String> = (0..stock).map(|n| format!("H{n},{SEED},hotp")).collect();
        let body = json!({ "format": "csv", "text": lines.join("\n"), "repository": "hardware" });
        world.post(&format!("{R}/tokens/import"), body).await.expect(200);
    }
    world
}

async fn start(world: &World, body: Value) -> Answer {
    world.post(&format!("{R}/tokens/_bulk"), body).await
}

async fn job(world: &World, started: &Value) -> Value {
    let id = started["job"]["id"].as_str().unwrap();
    world.get(&format!("{R}/jobs/{id}")).await.expect(200)
}

/// What the background does.
async fn worked(world: &World) {
    while world.authority.work_jobs().await.unwrap() {}
}

async fn states(world: &World, query: &str) -> Vec<String> {
    let listed = world.get(&format!("{R}/tokens?limit=1000&{query}")).await.expect(200);
    let items = listed["items"].as_array().unwrap().clone();
    items.iter().map(|token| token["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_job_changes_what_its_preview_names_and_each_token_once() {
    for engine in Engine::ALL {
        let world = world(engine, 0).await;
        let wish = json!({ "act": "disable", "user": "alice" });
        let mut tried = wish.clone();
        tried["dry_run"] = json!(true);
        let preview = start(&world, tried).await.expect(200);
        assert_eq!((&preview["total"], &preview["refused"]), (&json!(3), &json!(0)));
        assert_eq!(states(&world, "user=alice").await, ["active"; 3]);

        let started = start(&world, wish.clone()).await;
        let location = started.header("location").to_owned();
        let started = started.expect(202);
        let waiting = world.get(&location).await.expect(200);
        assert_eq!((&waiting["state"], &waiting["waiting"]), (&json!("running"), &json!(3)));
        worked(&world).await;
        let done = job(&world, &started).await;
        assert_eq!((&done["state"], &done["done"]), (&json!("done"), &json!(3)));
        assert_eq!((&done["total"], &done["failures"]), (&json!(3), &json!([])));
        assert_eq!(states(&world, "user=alice").await, ["disabled"; 3]);
        assert_eq!(states(&world, "user=bob").await, ["active"]);
        let events = world.get(&format!("{R}/events?kind=token.disabled")).await.expect(200);
        let events = events["items"].as_array().unwrap().clone();
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|event| event["actor"] == "client:admin"));
        // Again it has nothing to do.
        let again = start(&world, wish).await.expect(202);
        assert_eq!(again["job"]["total"], 0);
        worked(&world).await;
        let listed = world.get(&format!("{R}/jobs")).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn devices_of_the_stock_are_assigned_one_to_each_written_to_and_deleted() {
    for engine in Engine::ALL {
        let world = world(engine, 3).await;
        let assign = |users: Value| json!({ "act": "assign", "repository": "hardware", "place": "stock", "users": users });
        let many = assign(json!(["alice", "bob", "alice", "bob"]));
        let refused = start(&world, many).await.refused(422, "invalid");
        assert!(refused["detail"].as_str().unwrap().contains("3 of them"), "{refused}");
        let twice = start(&world, assign(json!(["alice", "alice"]))).await.expect(202);
        worked(&world).await;
        let twice = job(&world, &twice).await;
        assert_eq!((&twice["done"], &twice["failed"]), (&json!(1), &json!(1)));
        let reason = twice["failures"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("limit of 1"), "{reason}");
        start(&world, assign(json!(["bob"]))).await.expect(202);
        worked(&world).await;
        assert_eq!(states(&world, "kind=generic&user=alice").await, ["active"]);
        assert_eq!(states(&world, "kind=generic&user=bob").await, ["active"]);

        let set = json!({ "act": "set", "repository": "hardware",
            "set": { "tracking_id": "T-1", "labels": { "batch": "7" } } });
        start(&world, set).await.expect(202);
        worked(&world).await;
        let listed = world.get(&format!("{R}/tokens?label.batch=7")).await.expect(200);
        let items = listed["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), 3);
        assert!(items.iter().all(|token| token["tracking_id"] == "T-1"));

        let delete = json!({ "act": "delete", "repository": "hardware", "place": "held" });
        let deleted = start(&world, delete).await.expect(202);
        worked(&world).await;
        assert_eq!(job(&world, &deleted).await["done"], 2);
        assert_eq!(states(&world, "kind=generic&state=pending").await, ["pending"]);
    }
}

#[tokio::test]
async fn a_job_that_is_cancelled_leaves_the_rest_alone() {
    let world = world(Engine::Memory, 0).await;
    let started = start(&world, json!({ "act": "revoke", "user": "alice" })).await.expect(202);
    let cancel = format!("{R}/jobs/{}/cancel", started["job"]["id"].as_str().unwrap());
    for _ in 0..2 {
        let said = world.post(&cancel, Value::Null).await.expect(200);
        assert_eq!((&said["state"], &said["waiting"]), (&json!("cancelled"), &json!(3)));
    }
    worked(&world).await;
    assert_eq!(states(&world, "user=alice").await, ["active"; 3]);
}

#[tokio::test]
async fn a_job_ends_with_the_rights_of_who_asked_for_it() {
    let world = world(Engine::Memory, 0).await;
    let chief = json!({ "name": "chief", "roles": ["realm-admin"] });
    let key = world.post(&format!("{R}/clients"), chief).await.expect(201);
    let key = key["secret"].as_str().unwrap().to_owned();
    let path = format!("{R}/tokens/_bulk");
    let wish = json!({ "act": "disable", "service": "git" });
    let started = world.call(&key, "POST", &path, wish).await.expect(202);
    let off = json!({ "enabled": false });
    world.patch(&format!("{R}/clients/chief"), off).await.expect(200);
    worked(&world).await;
    assert_eq!(job(&world, &started).await["state"], "stopped");
    assert_eq!(states(&world, "service=git").await, ["active"; 4]);
}

#[tokio::test]
async fn people_act_on_their_own_tokens_and_see_their_own_jobs() {
    let world = world(Engine::Memory, 0).await;
    let scopes = json!(["tokens:read", "tokens:write"]);
    let own = json!({ "services": ["counterfoil"], "scopes": scopes });
    let alice = world.pat("alice", own.clone()).await.1;
    let bob = world.pat("bob", own).await.1;
    let path = format!("{R}/tokens/_bulk");
    let wish = json!({ "act": "disable", "labels": { "of": "alice" } });
    let started = world.call(&alice, "POST", &path, wish).await.expect(202);
    worked(&world).await;
    let one = format!("{R}/jobs/{}", started["job"]["id"].as_str().unwrap());
    let said = world.call(&alice, "GET", &one, Value::Null).await.expect(200);
    assert_eq!((&said["done"], &said["actor"]), (&json!(3), &json!("user:alice")));
    assert_eq!(world.call(&bob, "GET", &one, Value::Null).await.status, 404);
    assert_eq!(world.call(&bob, "POST", &format!("{one}/cancel"), Value::Null).await.status, 404);
    assert_eq!(world.call(&alice, "GET", &format!("{R}/jobs"), Value::Null).await.status, 403);
    let ids = json!({ "act": "revoke", "ids": [started["job"]["id"]] });
    world.call(&alice, "POST", &path, ids).await.refused(422, "invalid");
}

#[tokio::test]
async fn what_is_asked_wrongly_starts_no_job() {
    let world = world(Engine::Memory, 1).await;
    for body in [
        json!({ "act": "disable" }),
        json!({ "act": "explode", "user": "alice" }),
        json!({ "act": "disable", "user": "alice", "reason": "no" }),
        json!({ "act": "disable", "user": "alice", "colour": 1 }),
        json!({ "act": "disable", "ids": [] }),
        json!({ "act": "disable", "ids": ["x"] }),
        json!({ "act": "disable", "ids": ["000000000000"], "user": "alice" }),
        json!({ "act": "disable", "place": "stock" }),
        json!({ "act": "set", "user": "alice" }),
        json!({ "act": "set", "user": "alice", "set": {} }),
        json!({ "act": "disable", "user": "alice", "set": { "description": "x" } }),
        json!({ "act": "assign", "repository": "hardware" }),
        json!({ "act": "disable", "user": "alice", "users": ["bob"] }),
        json!({ "act": "disable", "repository": "hardware", "service": "git" }),
    ] {
        start(&world, body).await.refused(422, "invalid");
    }
    let nowhere = json!({ "act": "disable", "repository": "nothing" });
    start(&world, nowhere).await.refused(404, "not-found");
    let unknown = json!({ "act": "disable", "ids": ["000000000000"] });
    let said = start(&world, unknown).await.expect(202);
    assert_eq!((&said["job"]["total"], &said["refused"]), (&json!(0), &json!(1)));
    world.get(&format!("{R}/jobs/none")).await.refused(404, "not-found");
}

#[tokio::test]
async fn the_airlock_door_starts_jobs_and_shows_them() {
    let world = world(Engine::Memory, 2).await;
    let bulk = "/auth-admin/rest/tokens/_bulk";
    let wish = json!({ "action": "setAttribute", "trackingId": "T-9", "type": "hardware",
        "filter": { "assigned": "false", "serialId": "H1" } });
    let mut tried = wish.clone();
    tried["dryRun"] = json!(true);
    let said = world.post(bulk, tried).await.expect(200);
    assert_eq!(said["meta"]["total"], 1);
    let started = world.post(bulk, wish).await.expect(202);
    worked(&world).await;
    let path = format!("/auth-admin/rest/jobs/{}", started["data"]["id"].as_str().unwrap());
    let job = world.get(&path).await.expect(200);
    assert_eq!(job["data"]["attributes"]["done"], 1);
    let inventory = "/auth-admin/rest/tokens?filter[type]=hardware&filter[serialId]=H1";
    let found = world.get(inventory).await.expect(200);
    assert_eq!(found["data"][0]["attributes"]["trackingId"], "T-9");
    let users = json!({ "action": "assign", "type": "hardware", "users": ["alice"],
        "filter": { "assigned": "false" } });
    world.post(bulk, users).await.expect(202);
    worked(&world).await;
    for (body, status) in [
        (json!({ "action": "paint", "ids": ["000000000000"] }), 405),
        (json!({ "action": "enable" }), 400),
        (json!({ "action": "enable", "ids": ["x"] }), 404),
        (json!({ "action": "enable", "type": "none" }), 404),
        (json!({ "action": "enable", "ids": ["000000000000"], "colour": 1 }), 400),
    ] {
        assert_eq!(world.post(bulk, body.clone()).await.status, status, "{body}");
    }
    assert_eq!(world.get("/auth-admin/rest/jobs/none").await.status, 404);
}

#[tokio::test]
async fn a_job_never_ends_the_token_that_asked_for_it() {
    for engine in Engine::ALL {
        let world = world(engine, 0).await;
        for act in ["disable", "revoke"] {
            let tried = json!({ "act": act, "client": "admin", "dry_run": true });
            assert_eq!(start(&world, tried).await.expect(200)["refused"], 1);
            start(&world, json!({ "act": act, "client": "admin" })).await.expect(202);
            worked(&world).await;
            world.get("/api/v1/self").await.expect(200);
        }
        for act in ["lock", "disable", "revoke"] {
            let body = json!({ "act": act, "client": "admin" });
            let done = world.post(&format!("{R}/tokens/bulk"), body).await.expect(200);
            assert_eq!(done["refused"], 1, "{done}");
            world.get("/api/v1/self").await.expect(200);
        }
    }
}
