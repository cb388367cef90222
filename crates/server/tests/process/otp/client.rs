//! A client that others published for privacyIDEA logs people in here (F3): only the address that
//! it asks is another one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{K20, base32, enrol, hotp};
use crate::world::{Issued, World};

/// The client sends no key, so its machine is said to be a client; and no delays.
const SETTINGS: &str =
    "abuse.throttle = false\nvalidate.clients = { \"127.0.0.1/32\" = \"git-verifier\" }";

/// Where `cargo xtask test` puts the pinned packages; `None` on a machine without them.
fn python() -> Option<PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_VALIDATE_PYTHON").map(PathBuf::from);
    let found = home.filter(|path| path.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no client for this test");
    found
}

#[test]
fn f3_a_published_client_of_privacyidea_logs_a_person_in() {
    let Some(python) = python() else {
        println!("left out: COUNTERFOIL_VALIDATE_PYTHON names no Python with the client");
        return;
    };
    for world in World::on_each_store(SETTINGS) {
        enrol(&world.admin, &json!({ "method": "hotp", "seed": base32(K20) }));
        let body = json!({ "kind": "service_token", "user": "alice", "service": "git" });
        let app = Issued::of(&world.admin.post("/tokens", &body).expect(201));
        let lines = [
            format!("alice {}", hotp(K20, 0)),
            format!("alice {}", hotp(K20, 0)),
            format!("alice {}", app.secret),
            format!("bob {}", app.secret),
            "alice wrong".to_owned(),
        ];
        let mut site = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/otp/client.py"))
            .arg(format!("http://{}/validate/check", world.server.address))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        site.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
        let output = site.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let fault = String::from_utf8_lossy(&output.stderr);
        let expected = "in as alice\nrefused\nin as alice\nrefused\nrefused\ndone\n";
        assert_eq!(said, expected, "{fault}");
    }
}
