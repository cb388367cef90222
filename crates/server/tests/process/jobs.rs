//! A job whose server is killed in the middle: the next one goes on, and no token is changed twice.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, await_true};
use crate::world::{UNTHROTTLED, World};

/// Tokens of the job: more than one step takes.
const TOKENS: usize = 600;
const STOCK: &str = "\n[repository.hardware]\nkind = \"token\"\n\
                     [repository.hardware.attributes]\nserialId = {}\n";

fn job(world: &World, id: &str) -> Value {
    world.admin.get(&format!("/jobs/{id}")).expect(200)
}

fn count(job: &Value, name: &str) -> u64 {
    job[name].as_u64().unwrap()
}

#[test]
fn a_job_that_is_killed_again_and_again_changes_every_token_once() {
    let settings = format!("{UNTHROTTLED}{STOCK}");
    for mut world in World::on_each_store(&settings) {
        let mut text = String::new();
        for number in 0..TOKENS {
            writeln!(text, "H{number},3132333435363738393031323334353637383930,hotp").unwrap();
        }
        let file = json!({ "format": "csv", "text": text, "repository": "hardware" });
        assert_eq!(world.admin.post("/tokens/import", &file).expect(200)["imported"], TOKENS);
        let wish = json!({ "act": "disable", "repository": "hardware" });
        let started = world.admin.post("/tokens/_bulk", &wish).expect(202);
        let id = started["job"]["id"].as_str().unwrap().to_owned();
        for kill in 1..3 {
            let enough = kill * 20;
            await_true("the job is worked on", PATIENCE, || {
                count(&job(&world, &id), "done") >= enough
            });
            world.server.kill9();
            world.serve_again(&settings);
        }
        await_true("the job is done", PATIENCE, || job(&world, &id)["state"] == "done");
        let done = job(&world, &id);
        let counts = ["total", "done", "failed", "skipped"].map(|name| count(&done, name));
        assert_eq!(counts, [TOKENS as u64, TOKENS as u64, 0, 0], "{done}");
        let path = "/events?kind=token.disabled&limit=1000";
        let events = world.admin.get(path).expect(200)["items"].as_array().unwrap().clone();
        let tokens: BTreeSet<&str> =
            events.iter().map(|event| event["token"].as_str().unwrap()).collect();
        assert_eq!((events.len(), tokens.len()), (TOKENS, TOKENS));
    }
}
