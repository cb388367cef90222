//! Authlib and PyJWT, as they come from the package index, against the server.

use std::process::Command;

use serde_json::json;

use super::{machine, registration};
use crate::world::{UNTHROTTLED, World};

/// Where `cargo xtask test` puts the pinned packages; `None` on a machine without them.
fn python() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_OAUTH_PYTHON").map(std::path::PathBuf::from);
    let found = home.filter(|path| path.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no Authlib for this test");
    found
}

#[test]
fn authlib_discovers_authenticates_enrols_refreshes_introspects_and_revokes() {
    let Some(python) = python() else {
        println!("left out: COUNTERFOIL_OAUTH_PYTHON names no Python with Authlib");
        return;
    };
    for world in World::on_each_store(UNTHROTTLED) {
        let robot = machine(&world, &json!({}));
        let token = registration(&world, &json!({ "count": 5, "approval": "required" }));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/oauth/client.py");
        let output = Command::new(&python)
            .arg(script)
            .arg(format!("http://{}", world.server.address))
            .args(["robot", &robot.key, &token.secret, &world.admin.key])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.ends_with("done\n"), "{said}{fault}");
    }
}
