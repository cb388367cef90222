//! Check 12: programs that nobody here wrote, with nothing but another base URL.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::*;

/// Where `cargo xtask test` puts the pinned packages; `None` on a machine without them.
fn modules() -> Option<PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_AM_NODE").map(PathBuf::from);
    let found = home.filter(|path| path.is_dir());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no client library for this test");
    found
}

fn answered(output: &Output) -> Value {
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{fault}{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap_or(Value::Null)
}

#[test]
fn check_12_a_client_library_lists_and_writes_what_policies_are_made_of() {
    let Some(modules) = modules() else {
        println!("left out: COUNTERFOIL_AM_NODE names no directory with frodo-lib");
        return;
    };
    for world in World::on_each_store(SETTINGS) {
        let output = Command::new("node")
            .env("NODE_PATH", &modules)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/forgerock/client.cjs"))
            .arg(format!("http://{}/openam", world.server.address))
            .args(["admin", &world.admin.key])
            .output()
            .unwrap();
        assert_eq!(
            answered(&output),
            json!({
                "types": ["PAT", "URL"],
                "sets": ["PATValidator", "Shop", "iPlanetAMWebAgentService"],
                "policies": ["AllPATs", "buyers"],
                "buyers": ["buyers"],
                "one": ["pat://*:*"],
            })
        );
        // What the library has written decides.
        let (token, good) = evaluator(&world);
        let resources = json!([format!("pat://alice:{}", good.secret)]);
        let said = evaluated(&world, &token, "Shop", &resources).expect(200);
        assert!(allows(&said[0]), "{said}");
    }
}

/// The lines of the product's documentation, as they are printed there but for the names.
#[test]
fn check_12_the_lines_of_the_documentation_evaluate_with_curl() {
    for world in World::on_each_store(SETTINGS) {
        let body = json!({ "name": "policyeval", "roles": ["verifier"], "services": ["git"] });
        let key = client(&world.admin, &body).key;
        let good = pat(&world.admin, &json!({}));
        let base = format!("http://{}/openam", world.server.address);
        let curl = |arguments: &[&str], path: &str| {
            let url = format!("{base}{path}");
            let output = Command::new("curl")
                .args(["-s", "-S", "--request", "POST"])
                .args(arguments)
                .arg(url)
                .output();
            answered(&output.unwrap())
        };
        let made = curl(
            &[
                "--header",
                "Content-Type: application/json",
                "--header",
                "X-OpenAM-Username: policyeval",
                "--header",
                &format!("X-OpenAM-Password: {key}"),
                "--header",
                "Accept-API-Version: resource=2.0, protocol=1.0",
            ],
            "/json/realms/root/authenticate",
        );
        let token = made["tokenId"].as_str().unwrap();
        let resource = format!("pat://alice:{}", good.secret);
        let decided = curl(
            &[
                "--header",
                "Content-Type: application/json",
                "--header",
                &format!("iPlanetDirectoryPro: {token}"),
                "--header",
                "Accept-API-Version: resource=1.0",
                "--data",
                &json!({ "resources": [resource], "application": "PATValidator" }).to_string(),
            ],
            "/json/realms/root/policies?_action=evaluate",
        );
        assert!(allows(&decided[0]), "{decided}");
    }
}
