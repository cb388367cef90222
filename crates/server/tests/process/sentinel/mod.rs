//! The Sentinel EMS door against a client that was written from the description of its wire alone
//! (A2), and what is left of its secrets afterwards (A8, A9).

use std::process::Command;

use serde_json::json;

use crate::wire::Request;
use crate::world::{World, pat};

/// Everything that the server can say, the password grant of old clients, and no delays.
const SETTINGS: &str = "log.level = \"trace\"\nabuse.throttle = false\noauth.password_grant = true";

/// Where `cargo xtask test` puts the pinned packages; `None` on a machine without them.
fn python() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_OAUTH_PYTHON").map(std::path::PathBuf::from);
    let found = home.filter(|path| path.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no requests for this test");
    found
}

#[test]
fn a2_a_client_of_the_product_runs_unmodified_and_a9_leaves_no_secret_behind() {
    let Some(python) = python() else {
        println!("left out: COUNTERFOIL_OAUTH_PYTHON names no Python with requests");
        return;
    };
    let mut world = World::new(SETTINGS);
    let grant = json!({ "subject": { "user": "alice" }, "role": "realm-admin" });
    world.admin.post("/grants", &grant).expect(201);
    let scopes = json!(["tokens:read", "tokens:write", "registration-tokens:write"]);
    let mine = pat(&world.admin, &json!({ "services": ["counterfoil"], "scopes": scopes }));
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/sentinel/client.py"))
        .arg(format!("http://{}", world.server.address))
        .args(["alice", &mine.secret])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.ends_with("done\n"), "{said}{fault}");

    let secrets: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("secret ")).collect();
    assert_eq!(secrets.len(), 4, "{said}");
    assert!(world.server.stop().success());
    for (path, bytes) in world.site.files() {
        for secret in &secrets {
            let tail = secret.rsplit('_').next().unwrap().as_bytes();
            let there = bytes.windows(tail.len()).any(|window| window == tail);
            assert!(!there, "{} holds {secret}", path.display());
        }
    }
}

#[test]
fn a5_without_the_switch_there_is_no_password_grant() {
    let world = World::new("");
    let path = "/auth/realms/main/protocol/openid-connect/token";
    let form = "grant_type=password&username=alice&password=x&client_id=ems-scl-public-client";
    let request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    let refused = world.admin.raw(&request).expect(400);
    assert_eq!(refused["error"], "unsupported_grant_type");
}
