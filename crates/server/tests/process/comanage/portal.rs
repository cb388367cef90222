//! A20: who sees which service (COmanage's CA, CG, CP and P), and what they may ask for.

use serde_json::{Value, json};

use super::{ask_token, person};
use crate::wire::{Api, Request, below_main};
use crate::world::{UNTHROTTLED, World, service, user};

/// Everybody who may look, in the order of the table's columns.
const VIEWERS: [&str; 4] = ["anybody", "member", "group-member", "administrator"];

/// Who sees a service of a visibility.
const TABLE: [(&str, [bool; 4]); 4] = [
    ("administrators", [false, false, false, true]),
    ("group", [false, false, true, true]),
    ("realm", [false, true, true, true]),
    ("public", [true, true, true, true]),
];

/// A person who reads services and asks for tokens with their own API token.
fn viewer(world: &World, name: &str) -> Api {
    user(&world.admin, name);
    person(world, name, &["services:read", "tokens:write"])
}

/// Labels of the services that somebody sees; without a key it is nobody in particular.
fn seen(viewer: &Api) -> Vec<String> {
    let asked = Request::new("GET", below_main("/portal"));
    let answer = if viewer.key.is_empty() { viewer.raw(&asked) } else { viewer.send(asked) };
    if viewer.key.is_empty() && answer.status == 404 {
        return Vec::new();
    }
    let page = answer.expect(200);
    let cards = page["items"].as_array().unwrap();
    cards.iter().map(|card| card["label"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a20_four_viewers_see_the_four_visibilities_as_the_table_says() {
    for world in World::on_each_store(UNTHROTTLED) {
        let admin = &world.admin;
        // The one that every world has is not part of the table.
        admin.delete("/services/git").expect(204);
        admin.post("/groups", &json!({ "name": "staff" })).expect(201);
        let (member, insider) = (viewer(&world, "member"), viewer(&world, "insider"));
        let path = below_main("/groups/staff/members/insider");
        admin.send(Request::new("PUT", path)).expect(204);
        let viewers = [admin.with_key(""), member.clone(), insider, admin.clone()];
        for (visibility, _) in TABLE {
            service(admin, visibility, &json!({ "visibility": visibility, "group": "staff" }));
        }
        for (column, viewer) in viewers.iter().enumerate() {
            let mut expected: Vec<&str> =
                TABLE.iter().filter(|(_, who)| who[column]).map(|(label, _)| *label).collect();
            expected.sort_unstable();
            assert_eq!(seen(viewer), expected, "{}", VIEWERS[column]);
        }
        // A service for a group that has none is for everybody of the realm.
        admin.patch("/services/group", &json!({ "group": null })).expect(200);
        assert!(seen(&member).contains(&"group".to_owned()));
        assert_eq!(seen(&viewers[0]), ["public"]);
        // What is suspended is there for nobody.
        for (visibility, _) in TABLE {
            let suspended = json!({ "status": "suspended" });
            admin.patch(&format!("/services/{visibility}"), &suspended).expect(200);
        }
        for viewer in &viewers {
            assert_eq!(seen(viewer), [] as [&str; 0]);
        }
    }
}

#[test]
fn a20_a_service_of_a_unit_is_seen_by_its_people_only_and_to_others_does_not_exist() {
    for world in World::on_each_store(UNTHROTTLED) {
        let admin = &world.admin;
        admin.delete("/services/git").expect(204);
        let unit = |name: &str| -> Value {
            admin.post("/units", &json!({ "name": name })).expect(201)["id"].clone()
        };
        let (physics, history) = (unit("physics"), unit("history"));
        for (label, visibility) in [("lab", "realm"), ("open", "public")] {
            service(admin, label, &json!({ "visibility": visibility, "unit": physics }));
        }
        let (inside, outside) = (viewer(&world, "inside"), viewer(&world, "outside"));
        for (name, unit) in [("inside", &physics), ("outside", &history)] {
            admin.patch(&format!("/users/{name}"), &json!({ "unit": unit })).expect(200);
        }
        assert_eq!(seen(&inside), ["lab", "open"]);
        assert_eq!(seen(&outside), [] as [&str; 0]);
        assert_eq!(seen(&admin.with_key("")), [] as [&str; 0]);
        ask_token(&inside, "inside", "lab").expect(201);
        let without = |mut problem: Value, name: &str| {
            problem["request_id"] = Value::Null;
            problem.to_string().replace(name, "?")
        };
        let hidden = ask_token(&outside, "outside", "lab").expect(422);
        let unknown = ask_token(&outside, "outside", "none").expect(422);
        assert_eq!(without(hidden, "lab"), without(unknown, "none"));
    }
}
