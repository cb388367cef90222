//! The SCIM door of the real binary, against a test-suite that nobody here wrote, and against the
//! clock when somebody leaves.

mod leaving;

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::wire::{Api, Request};
use crate::world::{UNTHROTTLED, World, client};

/// What docs/compat/scim.md lists as different: a person is active or not, never neither.
const KNOWN: [(&str, &str, &str); 1] = [("User", "check_remove_attribute", "active")];
/// Results of a run at least; fewer would mean that it gave up.
const RESULTS_MIN: usize = 60;

/// Where `cargo xtask test` puts the pinned packages; `None` on a machine without them.
fn python() -> Option<PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_SCIM_PYTHON").map(PathBuf::from);
    let found = home.filter(|path| path.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no scim2-tester for this test");
    found
}

/// The key of an identity provider: it may change people and groups, and nothing else.
pub(super) fn provider(admin: &Api) -> Api {
    let scopes = json!(["users:read", "users:write"]);
    client(admin, &json!({ "name": "idp", "roles": ["realm-admin"], "scopes": scopes }))
}

/// Sends what a provider sends.
pub(super) fn scim(provider: &Api, method: &str, path: &str, body: &Value) -> crate::wire::Answer {
    let request = Request::new(method, format!("/scim/v2{path}")).bearer(&provider.key);
    let request = if body.is_null() {
        request
    } else {
        request.header("Content-Type", "application/scim+json").body(body.to_string().into_bytes())
    };
    provider.raw(&request)
}

#[test]
fn the_public_test_suite_finds_nothing_but_what_is_documented() {
    let Some(python) = python() else {
        println!("left out: COUNTERFOIL_SCIM_PYTHON names no Python with scim2-tester");
        return;
    };
    for world in World::on_each_store(UNTHROTTLED) {
        let key = provider(&world.admin).key;
        let output = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/scim/tester.py"))
            .arg(format!("http://{}/scim/v2", world.server.address))
            .arg(&key)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.ends_with("done\n"), "{said}{fault}");
        let results: Vec<Vec<&str>> = said
            .lines()
            .map(|line| line.split('\t').collect())
            .filter(|fields: &Vec<&str>| fields.len() == 4)
            .collect();
        assert!(results.len() >= RESULTS_MIN, "{said}");
        let is_known = |fields: &[&str]| {
            KNOWN.iter().any(|(sort, check, name)| {
                fields[1] == *sort
                    && fields[2] == *check
                    && fields[3].contains(&format!("'{name}'"))
            })
        };
        let unknown: Vec<String> = results
            .iter()
            .filter(|fields| fields[0] != "fine" && !is_known(fields))
            .map(|fields| fields.join(" | "))
            .collect();
        assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    }
}
