//! The log in JSON: every line has the fields that its page names, and no others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::text_of;
use crate::ldap::person;
use crate::world::{World, authz};

const PAGE: &str = "docs/operate/logs.md";

/// Field and kind of the rows of the page's table.
fn documented() -> BTreeMap<String, String> {
    let page = text_of(PAGE);
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim));
    cells
        .map(|mut cells| {
            let name = cells.next().unwrap().trim_matches('`').to_owned();
            (name, cells.next().unwrap().to_owned())
        })
        .collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "flag",
        _ => "other",
    }
}

#[test]
fn every_line_has_the_fields_of_its_page_and_no_others() {
    let fields = documented();
    let mut world =
        World::new("[abuse]\nthrottle = false\n[log]\nformat = \"json\"\nlevel = \"debug\"");
    let token = world.pat();
    world.verify(&token.secret);
    world.admin.raw(&authz("git", "alice", &token.secret));
    world.admin.get("/users/nobody");
    world.admin.post("/users", &json!({ "username": "alice" }));
    let dn = person("alice", "git");
    world.ldap().bind(&dn, &token.secret);
    let target = json!({ "name": "away", "kind": "webhook", "url": "http://127.0.0.1:9/" });
    world.admin.post("/targets", &target);
    assert!(world.server.stop().success());
    let log = world.server.log();
    let mut seen = BTreeSet::new();
    for line in log.lines() {
        let parsed: Value =
            serde_json::from_str(line).unwrap_or_else(|bad| panic!("{bad}: {line}"));
        for (name, value) in parsed.as_object().unwrap() {
            let said =
                fields.get(name).unwrap_or_else(|| panic!("{name} is not on the page: {line}"));
            assert_eq!(said, kind(value), "{name}: {line}");
            seen.insert(name.clone());
        }
        for always in ["timestamp", "level", "message"] {
            let request = parsed.get("request_id").is_some() && always == "message";
            assert!(parsed.get(always).is_some() || request, "{always}: {line}");
        }
        assert!(!line.contains(&token.secret), "{line}");
    }
    for name in ["request_id", "method", "route", "status", "micros", "problem", "listen"] {
        assert!(seen.contains(name), "{name} in {seen:?}");
    }
}
