//! Personal access tokens on profiles: out of a live directory, and back into it as hashes.

use serde_json::{Value, json};

use super::{settled, target};
use crate::harness::{PATIENCE, await_true};
use crate::slapd::{ADMIN, PASSWORD, PEOPLE, Setup, Slapd};
use crate::world::{UNTHROTTLED, World};

const RANDOM: &str = "93d1c2a7e05b48f6a1c9d4e7f2038b5c6d7e8f9a0b1c2d3e4f5061728394a5b6";

#[test]
fn check_09_a_live_directory_gives_its_keys_and_gets_hashes_instead_of_them() {
    for world in World::on_each_store(UNTHROTTLED) {
        let slapd = Slapd::new(&Setup::default());
        slapd.person("smoff");
        slapd.person("nobody");
        slapd.modify(&format!(
            "dn: uid=smoff,{PEOPLE}\nchangetype: modify\nadd: description\n\
             description: {RANDOM}:{{\"profile\":[\"mail\"]}}\n"
        ));
        let password = world.site.path("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let (url, password) = (slapd.url(), password.display().to_string());
        let output = world.site.run(&[
            "import",
            "forgerock",
            &url,
            "--service",
            "pats",
            "--attribute",
            "description",
            "--bind-dn",
            ADMIN,
            "--bind-password-file",
            &password,
            "--base",
            PEOPLE,
            "--json",
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["tables"]["tokens"]["new"], 1, "{said}");
        let question = json!({ "token": RANDOM, "username": "smoff", "service": "pats" });
        let good = world.admin.post("/verify", &question).expect(200);
        assert_eq!(good["permissions"], json!({ "profile": ["mail"] }));

        // From here on the profile is ours: what stands there is a hash.
        let more = json!({ "kind": "profile_attribute", "attribute": "description" });
        world.admin.post("/targets", &target(&slapd, &more)).expect(201);
        let listed = world.admin.get("/tokens?user=smoff").expect(200);
        let id = listed["items"][0]["id"].as_str().unwrap();
        let rotate = format!("/tokens/{id}/rotate");
        let rotated = world.admin.post(&rotate, &json!({ "overlap_seconds": 0 })).expect(200);
        let fresh = rotated["secret"].as_str().unwrap().to_owned();
        settled(&world.admin, PATIENCE);
        let record = || {
            let values = slapd.entry("smoff").remove("description")?;
            values.iter().find_map(|text| serde_json::from_str::<Value>(text).ok())
        };
        await_true("the record is there", PATIENCE, || {
            record().is_some_and(|record| record["hash"].is_string())
        });
        let record = record().unwrap();
        assert_eq!(record["id"], json!(id));
        assert!(slapd.accepts(record["hash"].as_str().unwrap(), &fresh), "{record}");
        let shown = format!("{:?}", slapd.entry("smoff"));
        assert!(!shown.contains(&fresh), "{shown}");
    }
}
