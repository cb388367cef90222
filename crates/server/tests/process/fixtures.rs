//! Data directories of earlier versions, kept in `tests/fixtures/`: every later version opens
//! them, and decides about their tokens as the version did that wrote them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::Site;
use crate::wire::{Api, below_main};

fn fixtures() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let entries = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("expected.json").is_file()).collect()
}

/// Copies a fixture to where a server may write. git does not keep who may read a file, and
/// the server refuses keys that others can read.
fn put(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            put(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Who only looks leaves an older schema alone and says so; `migrate` brings it up to date once.
fn moves_to_this_schema(site: &Site) {
    let before = site.run(&["keys", "list"]);
    let migrate = || -> Value {
        let output = site.run(&["migrate", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = migrate();
    let current = first["from"] == first["to"];
    let said = String::from_utf8_lossy(&before.stderr).into_owned();
    assert_eq!(before.status.code(), Some(i32::from(!current)), "{said}");
    assert!(current || said.contains("counterfoil migrate"), "{said}");
    let second = migrate();
    assert_eq!((&second["from"], &second["to"]), (&first["to"], &first["to"]));
}

#[test]
fn data_directories_of_every_version_open_and_verify() {
    let fixtures = fixtures();
    assert!(!fixtures.is_empty(), "no fixture was found");
    for fixture in fixtures {
        let site = Site::new();
        put(&fixture, &site.data());
        fs::remove_file(site.data().join("expected.json")).unwrap();
        let expected = fs::read(fixture.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        moves_to_this_schema(&site);
        let server = site.serve("");
        let admin = Api::new(server.address, expected["admin"].as_str().unwrap());
        let active = |token: &Value| {
            let question = json!({
                "token": token["secret"],
                "username": token["user"],
                "service": token["service"],
            });
            admin.post(&below_main("/verify"), &question).expect(200)["active"].clone()
        };
        for token in expected["good"].as_array().unwrap() {
            assert_eq!(active(token), true, "{}: {token}", fixture.display());
        }
        for token in expected["refused"].as_array().unwrap() {
            assert_eq!(active(token), false, "{}: {token}", fixture.display());
        }
        let events = admin.get(&below_main("/events")).expect(200);
        assert!(!events["items"].as_array().unwrap().is_empty());
    }
}
