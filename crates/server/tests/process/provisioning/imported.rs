//! Secrets that were taken over from COmanage reach a directory as they stood in one.

use serde_json::{Value, json};

use super::{reconcile, settled, target};
use crate::harness::{PATIENCE, await_true};
use crate::slapd::{Setup, Slapd};
use crate::world::{UNTHROTTLED, World};

/// What the dump has of Pat Lee, Min-jun Kim and R. Khan for `imap`, and their secrets.
const SSHA: &str = "{SSHA}RH7cQP/wcSh+hYxkh+uS3+tweXs0YzFl";
const BCRYPT: &str = "{CRYPT}$2y$10$Lr5WmYb1Hc7Kq3vXo9TzOeyPz7amFGETXoZAJvOO4AgJ1w65nFp3e";

#[test]
fn a18_imported_hashes_reach_a_directory_that_takes_their_scheme_and_bind_there() {
    for world in World::on_each_store(UNTHROTTLED) {
        let slapd = Slapd::new(&Setup::default());
        for name in ["plee", "mkim", "rkhan"] {
            slapd.person(name);
        }
        let schemes = json!({ "schemes": ["SSHA", "CRYPT-BCRYPT"] });
        world.admin.post("/targets", &target(&slapd, &schemes)).expect(201);
        let dump = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/comanage/mysql.sql");
        let output = world.site.run(&["import", "comanage", dump]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        settled(&world.admin, PATIENCE);

        await_true("everybody has their value", PATIENCE, || {
            ["plee", "mkim", "rkhan"].iter().all(|name| !slapd.values(name, "imap").is_empty())
        });
        assert_eq!(slapd.values("plee", "imap"), [SSHA]);
        assert!(slapd.accepts(SSHA, "t5mw-8kcr-2hxa-vz4n"));
        assert_eq!(slapd.values("plee", "hpc"), [SSHA], "the same password for another service");
        assert_eq!(slapd.values("mkim", "imap"), [BCRYPT]);
        assert!(slapd.accepts(BCRYPT, "g7pd-3nqy-w9eb-5kvs"));
        // What was in clear is derived; one that may have been chosen gets no quick hash.
        let derived = slapd.values("rkhan", "imap");
        assert!(derived.len() == 1 && derived[0].starts_with("{CRYPT}$2y$"), "{derived:?}");
        assert!(slapd.accepts(&derived[0], "d8sk-4vyp-q3mh-7wte"));
        // The plugin drew its tokens: 15 of 62 characters are 89 bits.
        let plugin = slapd.values("plee", "wiki");
        assert!(plugin.iter().any(|value| value.starts_with("{SSHA}")), "{plugin:?}");
        assert!(plugin.iter().all(|value| slapd.accepts(value, "Vb3kT9xQm2LrZ7p")), "{plugin:?}");

        assert_eq!(reconcile(&world.admin, "ldap1", false), Vec::<Value>::new());
        // Who comes later gets none of the hashes, and is told so before and after.
        let late = target(&slapd, &json!({ "name": "late", "schemes": ["SSHA512"] }));
        let tested = world.admin.post("/targets/test", &late).expect(200);
        let hashes = |tested: &Value| {
            let findings = tested["findings"].as_array().unwrap();
            findings.iter().find(|one| one["check"] == "hashes").unwrap().clone()
        };
        assert_eq!(hashes(&tested)["severity"], "warning", "{tested}");
        let own = world.admin.post("/targets/ldap1/test", &json!({})).expect(200);
        let said = hashes(&own)["detail"].as_str().unwrap().to_owned();
        assert!(said.ends_with("tokens lack a hash in one of the schemes"), "{said}");
        let body = json!({ "repair": false, "limit": 200 });
        let part = world.admin.post("/targets/ldap1/reconcile", &body).expect(200);
        assert!(!part["lacking"].as_array().unwrap().is_empty(), "{part}");
    }
}
