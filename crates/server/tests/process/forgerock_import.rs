//! Check 9: personal access tokens of a directory profile go on working, but for those that
//! everybody has, and nobody can read them here.

use std::collections::HashMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::wire::below_main;
use crate::world::{UNTHROTTLED, World};

/// The two keys that were published, with what stands beside them, typographic quotes included.
const FIRST: &str = "f83ee64ef9d15a68e5c7a910395ea1611e2fa138b1b9dd7e090941dfed773b2c";
const SECOND: &str = "a011286605ff6a5de51f4d46eb511a9e8715498fca87965576c73b8fd27246fe";
/// Drawn at random for this test.
const RANDOM: &str = "93d1c2a7e05b48f6a1c9d4e7f2038b5c6d7e8f9a0b1c2d3e4f5061728394a5b6";
const OTHER: &str = "5e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f";
/// Bytes of an answer that are read.
const ATTRIBUTE: &str = "iplanet-am-user-alias-list";

fn hex(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text))
}

/// A key as people were told to make one.
fn computed() -> String {
    hex("{\"wiki\" : [ \"read\" ] }\n")
}

fn encoded(value: &str) -> String {
    data_encoding::BASE64.encode(value.as_bytes())
}

/// The export of a directory with the three spellings.
fn export() -> String {
    let of = |name: &str, values: &[String]| {
        let values: Vec<String> =
            values.iter().map(|value| format!("{ATTRIBUTE}:: {}\n", encoded(value))).collect();
        format!(
            "dn: uid={name},ou=people,dc=openam,dc=example,dc=org\nobjectClass: inetOrgPerson\n\
             uid: {name}\ncn: {name} of Example\nmail: {name}@example.org\n\
             inetUserStatus: Active\n{}\n",
            values.concat()
        )
    };
    let smoff = [
        format!("{FIRST}:{{“profile” : [ “givenName”, “fullName”, “mail” ] }}"),
        format!("{SECOND}:{{\"profile\" : [ \"postalladdress\", \"mail\"]}}"),
        format!("{}:{{“wiki” : [ “read” ] }}", computed()),
    ];
    let jane = [
        format!("{{\"{RANDOM}\": {{\"resource1\" : [ \"read\", \"write\" ] }} }}"),
        format!("{OTHER}:{{“profile”: [“mail”]}}"),
        "jane.doe@example.org".to_owned(),
    ];
    format!("version: 1\n\n{}{}", of("smoff", &smoff), of("jane", &jane))
}

fn import(world: &World, more: &[&str]) -> Value {
    // Outside the place of the installation: what is found in that is what was written there.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("export.ldif");
    std::fs::write(&file, export()).unwrap();
    let path = file.display().to_string();
    let mut arguments = vec!["import", "forgerock", &path, "--service", "pats", "--json"];
    arguments.extend_from_slice(more);
    let output = world.site.run(&arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    for secret in [FIRST, SECOND, RANDOM, OTHER, &computed()] {
        assert!(!said.contains(secret) && !log.contains(secret), "{said} {log}");
    }
    serde_json::from_str(&said).unwrap()
}

fn ask(world: &World, user: &str, secret: &str) -> Value {
    let question = json!({ "token": secret, "username": user, "service": "pats" });
    world.admin.post("/verify", &question).expect(200)
}

#[test]
fn check_09_published_keys_are_refused_a_computed_one_is_flagged_and_a_random_one_verifies() {
    for world in World::on_each_store(UNTHROTTLED) {
        let tried = import(&world, &["--dry-run"]);
        assert_eq!(tried["tables"]["tokens"]["new"], 3, "{tried}");
        assert_eq!(ask(&world, "jane", RANDOM)["active"], false, "a dry run changes nothing");
        let done = import(&world, &[]);
        assert_eq!(done["tables"]["tokens"], tried["tables"]["tokens"]);
        let counted = &done["tables"]["tokens"];
        assert_eq!(
            ["rows", "new", "kept", "left_out"].map(|field| counted[field].as_u64().unwrap()),
            [6, 3, 0, 3],
            "{done}"
        );
        // The published ones, and the alias that is none.
        let why: Vec<&str> = done["left_out"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["why"].as_str().unwrap())
            .collect();
        let printed = why.iter().filter(|why| why.contains("printed in a manual")).count();
        assert_eq!(printed, 2, "{why:?}");
        for (user, secret) in [("smoff", FIRST), ("smoff", SECOND)] {
            assert_eq!(ask(&world, user, secret), json!({ "active": false, "code": "unknown" }));
        }
        // A random one, in each spelling, with what was assigned to it.
        let good = ask(&world, "jane", RANDOM);
        assert_eq!((&good["active"], &good["username"]), (&json!(true), &json!("jane")), "{good}");
        assert_eq!(good["permissions"], json!({ "resource1": ["read", "write"] }));
        assert_eq!(ask(&world, "jane", OTHER)["permissions"], json!({ "profile": ["mail"] }));
        assert_eq!(ask(&world, "smoff", RANDOM)["code"], "wrong_user");
        assert_eq!(ask(&world, "jane", &RANDOM.to_uppercase())["active"], false);
        flagged(&world);

        // A second run finds everything, and changes nothing.
        let again = import(&world, &[]);
        assert_eq!(
            (&again["tables"]["tokens"]["new"], &again["tables"]["tokens"]["kept"]),
            (&json!(0), &json!(3)),
            "{again}"
        );
        nowhere(&world);
    }
}

/// The computed key works, and its owner reads that it has to be rotated.
fn flagged(world: &World) {
    assert_eq!(ask(world, "smoff", &computed())["active"], true);
    let listed = world.admin.get("/tokens?user=smoff").expect(200);
    let [token] = &listed["items"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!(token["labels"]["weak-derivation"], "true");
    assert!(token["description"].as_str().unwrap().contains("Rotate this token"), "{token}");
    let rotate = format!("/tokens/{}/rotate", token["id"].as_str().unwrap());
    let rotated = world.admin.post(&rotate, &json!({ "overlap_seconds": 0 })).expect(200);
    let fresh = rotated["secret"].as_str().unwrap();
    assert!(fresh.starts_with("cflp_"));
    assert_eq!(ask(world, "smoff", fresh)["permissions"], json!({ "wiki": ["read"] }));
    assert_eq!(ask(world, "smoff", &computed())["active"], false);
    let of_jane = world.admin.get("/tokens?user=jane").expect(200);
    let labels: Vec<&Value> =
        of_jane["items"].as_array().unwrap().iter().map(|token| &token["labels"]).collect();
    assert!(labels.iter().all(|labels| labels.get("weak-derivation").is_none()), "{labels:?}");
}

/// Neither a file of the installation nor an answer of the API holds a key.
fn nowhere(world: &World) {
    let mut places: HashMap<String, Vec<u8>> = HashMap::new();
    for (path, bytes) in world.site.files() {
        places.insert(path.display().to_string(), bytes);
    }
    for path in ["/events?limit=1000", "/tokens?limit=1000", "/users?limit=1000", "/blocked-tokens"]
    {
        places.insert(below_main(path), world.admin.get(path).body);
    }
    for secret in [FIRST, SECOND, RANDOM, OTHER, &computed()] {
        for (place, bytes) in &places {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{place} holds {secret}");
        }
    }
}
