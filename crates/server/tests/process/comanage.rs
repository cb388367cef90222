//! Moving over from COmanage Registry (A18 of its reference): after the import the old tokens
//! verify, wrong ones do not, and none of them lies in the database.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Site, files_below};
use crate::wire::{Api, below_main};
use crate::world::{UNTHROTTLED, authz};

/// Who has what, by the row it came from: a token of the old plugin (15 and 8 characters), a
/// password kept as salted SHA-1, as bcrypt and in clear, which two services share.
const GOOD: [(&str, &str, &str); 7] = [
    ("plee", "wiki", "Vb3kT9xQm2LrZ7p"),
    ("mkim", "wiki", "q7Rt2LmX"),
    ("plee", "imap", "t5mw-8kcr-2hxa-vz4n"),
    ("plee", "hpc", "t5mw-8kcr-2hxa-vz4n"),
    ("mkim", "imap", "g7pd-3nqy-w9eb-5kvs"),
    ("rkhan", "imap", "d8sk-4vyp-q3mh-7wte"),
    ("PLEE", "imap", "t5mw-8kcr-2hxa-vz4n"),
];

/// A wrong secret, an older row, of somebody else, for another service, of one who is not in the
/// group, who is locked, who is suspended, one from a manual, and hashes as they lay there.
const BAD: [(&str, &str, &str); 11] = [
    ("plee", "wiki", "Vb3kT9xQm2LrZ7q"),
    ("plee", "wiki", "Zk4mW8vBn3TsY6d"),
    ("mkim", "wiki", "Vb3kT9xQm2LrZ7p"),
    ("plee", "wiki", "t5mw-8kcr-2hxa-vz4n"),
    ("mkim", "hpc", "g7pd-3nqy-w9eb-5kvs"),
    ("tvo", "imap", "h2fx-6rtb-m8ka-c4ze"),
    ("jdoe", "imap", "n3ya-9wkd-r6cp-x2ms"),
    ("jdoe", "wiki", "rasmuslerdorf"),
    ("plee", "imap", "t5mw8kcr2hxavz4n"),
    ("mkim", "imap", "$2y$10$Lr5WmYb1Hc7Kq3vXo9TzOe"),
    ("nobody", "imap", "t5mw-8kcr-2hxa-vz4n"),
];

fn dump(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/comanage").join(name)
}

fn import(site: &Site, paths: &[PathBuf], more: &[&str]) -> Value {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut arguments = vec!["import", "comanage", "--json"];
    arguments.extend(more);
    arguments.extend(paths.iter().map(String::as_str));
    let output = site.run(&arguments);
    let fault = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{fault}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn total(report: &Value, what: &str) -> u64 {
    report["tables"].as_object().unwrap().values().map(|count| count[what].as_u64().unwrap()).sum()
}

fn verify(admin: &Api, (user, service, secret): (&str, &str, &str)) -> Value {
    let question = json!({ "token": secret, "username": user, "service": service });
    admin.post(&below_main("/verify"), &question).expect(200)
}

fn decides_as_comanage_did(admin: &Api) {
    for one @ (user, service, secret) in GOOD {
        let answer = verify(admin, one);
        assert_eq!(answer["active"], true, "{one:?}: {answer}");
        let asked = authz(&format!("{service}/x"), user, secret);
        assert_eq!(admin.raw(&asked).status, 200, "{one:?} at forward-auth");
    }
    for one @ (user, service, secret) in BAD {
        assert_eq!(verify(admin, one)["active"], false, "{one:?}");
        let asked = authz(&format!("{service}/x"), user, secret);
        assert_eq!(admin.raw(&asked).status, 401, "{one:?} at forward-auth");
    }
}

/// Nothing of the clear secrets, nor of the hashes that were taken over, is in any file.
fn holds_no_secret(site: &Site) {
    let dumped = std::fs::read_to_string(dump("postgresql.sql")).unwrap();
    let mut secrets: Vec<String> =
        GOOD.iter().chain(&BAD[..8]).map(|(_, _, secret)| (*secret).to_owned()).collect();
    let hashes = dumped.split(['\t', '\n']).filter(|field| {
        let is_bcrypt = field.starts_with("$2y$");
        is_bcrypt || (field.len() == 32 && field.ends_with('='))
    });
    secrets.extend(hashes.map(|hash| hash[hash.len() - 24..].to_owned()));
    for (path, bytes) in files_below(&site.data()) {
        for secret in &secrets {
            let there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!there, "{} holds {secret}", path.display());
        }
    }
}

#[test]
fn a18_tokens_of_a_dump_keep_verifying_and_lie_nowhere_in_clear() {
    for name in ["mysql.sql", "postgresql.sql"] {
        let site = Site::new();
        assert!(site.serve("").stop().success());
        let paths = [dump(name)];

        let tried = import(&site, &paths, &["--dry-run"]);
        assert_eq!(tried["dry_run"], true);
        let done = import(&site, &paths, &[]);
        assert_eq!(tried["tables"], done["tables"], "{name}: the dry run said something else");
        assert_eq!(tried["left_out"], done["left_out"]);
        assert_eq!(done["tables"]["cm_co_services"]["new"], 4, "{done:#}");
        assert_eq!(done["tables"]["cm_co_service_tokens"]["new"], 2, "{done:#}");
        assert_eq!(done["tables"]["cm_passwords"]["new"], 10, "{done:#}");

        let again = import(&site, &paths, &[]);
        assert_eq!(total(&again, "new"), 0, "{again:#}");
        assert_eq!(total(&again, "kept"), total(&done, "new"));

        let mut server = site.serve(UNTHROTTLED);
        decides_as_comanage_did(&site.admin(&server));
        assert!(server.stop().success());
        holds_no_secret(&site);
    }
}

#[test]
fn what_is_left_out_is_told_with_its_line_and_without_its_secret() {
    let site = Site::new();
    assert!(site.serve("").stop().success());
    let report = import(&site, &[dump("postgresql.sql")], &["--dry-run"]);
    let left_out: Vec<String> = report["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["table"].as_str().unwrap(), row["id"]))
        .collect();
    for wanted in [
        "cm_co_people 61",
        "cm_co_people 63",
        "cm_co_people 66",
        "cm_co_service_tokens 3",
        "cm_co_service_tokens 4",
        "cm_co_service_tokens 5",
        "cm_passwords 27",
        "cm_co_group_members 2",
    ] {
        assert!(left_out.contains(&wanted.to_owned()), "{wanted}: {report:#}");
    }
    assert_eq!(left_out.len(), 8, "{left_out:?}");
    let text = report.to_string();
    for (_, _, secret) in GOOD.iter().chain(&BAD[..8]) {
        assert!(!text.contains(secret), "the report holds {secret}");
    }
    let line = report["left_out"][0]["place"].as_str().unwrap();
    assert!(line.contains("postgresql.sql:"), "{line}");
}

#[test]
fn csv_files_are_read_too_and_a_running_server_takes_up_what_was_imported() {
    let site = Site::new();
    let server = site.serve(UNTHROTTLED);
    let admin = site.admin(&server);
    let names = ["cm_co_services", "cm_co_service_tokens", "cm_co_people", "cm_identifiers"];
    let paths = names.map(|name| dump(&format!("csv/{name}.csv")));
    let done = import(&site, &paths, &[]);
    assert_eq!(done["tables"]["cm_co_service_tokens"]["new"], 2, "{done:#}");
    // Its group is not among the files, and without it everybody could use it.
    assert_eq!(done["tables"]["cm_co_services"]["left_out"], 1, "{done:#}");
    assert_eq!(verify(&admin, GOOD[0])["active"], true);
    assert_eq!(verify(&admin, BAD[0])["active"], false);
}

#[test]
fn a_token_that_was_issued_here_is_not_replaced_by_one_from_elsewhere() {
    let site = Site::new();
    let mut server = site.serve("");
    let admin = site.admin(&server);
    let service = json!({ "label": "wiki", "name": "Wiki",
        "token_policy": { "form": "plain15", "show_to_issuer": true } });
    admin.post(&below_main("/services"), &service).expect(201);
    admin.post(&below_main("/users"), &json!({ "username": "plee" })).expect(201);
    let token = json!({ "kind": "service_token", "user": "plee", "service": "wiki" });
    let made = admin.post(&below_main("/tokens"), &token).expect(201);
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(server.stop().success());
    let done = import(&site, &[dump("mysql.sql")], &[]);
    assert_eq!(done["tables"]["cm_co_service_tokens"]["new"], 1, "{done:#}");
    let server = site.serve(UNTHROTTLED);
    let admin = site.admin(&server);
    assert_eq!(verify(&admin, ("plee", "wiki", &secret))["active"], true);
    assert_eq!(verify(&admin, GOOD[0])["active"], false);
    assert_eq!(verify(&admin, GOOD[1])["active"], true);
}
