//! The Sentinel EMS door against a client that was written from the description of its wire alone
//! (A1, A2, A5), and what is left of its secrets afterwards (A8, A9).

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::files_below;
use crate::wire::{Answer, Request};
use crate::world::{World, pat};

/// Everything that the server can say, the password grant of old clients, and no delays.
const SETTINGS: &str = "log.level = \"trace\"\nabuse.throttle = false\noauth.password_grant = true";

/// Where `cargo xtask test` puts the pinned packages; `None` on a machine without them.
fn python() -> Option<PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_OAUTH_PYTHON").map(PathBuf::from);
    let found = home.filter(|path| path.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no requests for this test");
    found
}

/// Logs in at a path as a client of the product does, with this name of the client.
fn password_grant(world: &World, path: &str, client: &str, secret: &str) -> Answer {
    let form = format!(
        "grant_type=password&username=alice&password={secret}&client_id={client}&client_secret="
    );
    let request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    world.admin.raw(&request)
}

/// A token of alice's, who administers the realm.
fn administrator(world: &World) -> String {
    let grant = json!({ "subject": { "user": "alice" }, "role": "realm-admin" });
    world.admin.post("/grants", &grant).expect(201);
    let scopes = json!(["tokens:read", "tokens:write", "registration-tokens:write"]);
    pat(&world.admin, &json!({ "services": ["counterfoil"], "scopes": scopes })).secret
}

/// What clients make of the answer: the address of the token endpoint, and their own name.
fn where_to_log_in(world: &World) -> (String, String) {
    let asked = Request::new("GET", "/token/api/v5/idpConfigurations");
    let told = world.admin.raw(&asked).expect(200);
    let one = &told["idpConfigurations"]["idpConfiguration"][0];
    let text = |name: &str| one[name].as_str().unwrap().to_owned();
    let endpoint = text("tokenEndpoint");
    assert!(endpoint.ends_with("/auth/"), "{one}");
    let url = format!("{endpoint}realms/{}/protocol/openid-connect/token", text("realm"));
    let path = url.split_once(&world.server.address.to_string()).unwrap().1.to_owned();
    (path, text("clientId"))
}

#[test]
fn a1_the_address_that_clients_put_together_is_a_token_endpoint_for_the_client_it_names() {
    for (setting, name) in
        [("", "ems-scl-public-client"), ("\nsentinel.client_id = \"fleet-client\"", "fleet-client")]
    {
        for world in World::on_each_store(&format!("{SETTINGS}{setting}")) {
            let secret = administrator(&world);
            let (path, client) = where_to_log_in(&world);
            assert_eq!(client, name);
            let made = password_grant(&world, &path, &client, &secret).expect(200);
            assert!(made["access_token"].is_string(), "{made}");
        }
    }
}

fn searched(files: &[(PathBuf, Vec<u8>)], secrets: &[&str]) {
    for (path, bytes) in files {
        for secret in secrets {
            // What a JWT ends with may have underscores of its own.
            let mark = if secret.contains('.') { '.' } else { '_' };
            let tail = secret.rsplit(mark).next().unwrap().as_bytes();
            assert!(tail.len() > 20, "{secret}");
            let there = bytes.windows(tail.len()).any(|window| window == tail);
            assert!(!there, "{} holds {secret}", path.display());
        }
    }
}

#[test]
fn a2_a_client_of_the_product_runs_unmodified_and_a8_a9_no_log_and_no_database_has_its_secrets() {
    let Some(python) = python() else {
        println!("left out: COUNTERFOIL_OAUTH_PYTHON names no Python with requests");
        return;
    };
    for mut world in World::on_each_store(SETTINGS) {
        let acme = json!({ "name": "Acme", "identifier": "ACME" });
        world.admin.post("/units", &acme).expect(201);
        let mine = administrator(&world);
        let output = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/sentinel/client.py"))
            .arg(format!("http://{}", world.server.address))
            .args(["alice", &mine])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.ends_with("done\n"), "{said}{fault}");

        // Registration, refresh and access tokens of both flows.
        let lines = said.lines().filter_map(|line| line.strip_prefix("secret "));
        let secrets: Vec<&str> = lines.collect();
        assert_eq!(secrets.len(), 10, "{said}");
        assert!(world.server.stop().success());
        searched(&world.site.files(), &secrets);
        if let Some(cluster) = &world.cluster {
            cluster.end("fast");
            let files = files_below(cluster.directory());
            let rows =
                files.iter().any(|(_, bytes)| bytes.windows(11).any(|w| w == b"json-office"));
            assert!(rows, "the files of the database are not those that were looked at");
            searched(&files, &secrets);
        }
    }
}

#[test]
fn a5_without_the_switch_there_is_no_password_grant() {
    for world in World::on_each_store("") {
        let (path, client) = where_to_log_in(&world);
        let refused: Value = password_grant(&world, &path, &client, "x").expect(400);
        assert_eq!(refused["error"], "unsupported_grant_type");
    }
}
