//! The console in Chromium, which is driven by a script of ours over its debugging pipe: with the
//! pages' script, and with all script switched off.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Server, Site};

/// What Debian calls the program.
const BROWSER: &str = "chromium";

fn is_there() -> bool {
    let mut probe = Command::new(BROWSER);
    let probe = probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = probe.status().is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("CI").is_none(), "no {BROWSER} for this test");
    found
}

fn journey(site: &Site, server: &Server, script: &str) -> Value {
    let printed = std::fs::read_to_string(&server.stdout).unwrap();
    let link = printed.lines().find(|line| line.contains("/setup#")).unwrap().trim();
    // Kept, to be looked at.
    let pictures = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    std::fs::create_dir_all(&pictures).unwrap();
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/console_browser.cjs"))
        .args([BROWSER, link])
        .args([pictures.as_path(), &site.path("profile")])
        .arg(script)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap()
}

/// From the link that `serve` prints to a token, its revocation, and the button "back".
fn a_person_goes_all_the_way(script: &str) {
    if !is_there() {
        println!("left out: there is no {BROWSER}");
        return;
    }
    let site = Site::new();
    let server = site.serve("");
    let api = site.admin(&server);
    api.post("/services", &json!({ "label": "mail", "name": "Mail" })).expect(201);
    let seen = journey(&site, &server, script);
    // No error in its console, nothing against the policy, no other origin, nothing too wide.
    for nothing in ["faults", "foreign", "overflow"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}: {seen}");
    }
    assert_eq!(seen["same_after_reload"], true, "{seen}");
    assert_eq!((&seen["state"], &seen["cookies"]), (&json!("revoked"), &json!(0)), "{seen}");
    assert_eq!(seen["after_back"], "/sign-in", "{seen}");
    if script == "on" {
        // The link's secret is in the form, and in the address no more.
        assert_eq!(seen["moved"], true, "{seen}");
        assert!(!seen["address"].as_str().unwrap().contains('#'), "{seen}");
    }
    let tokens = api.get("/tokens?user=root").expect(200);
    assert_eq!(tokens["items"].as_array().unwrap().len(), 1, "{tokens}");
}

#[test]
fn a_person_goes_all_the_way_in_a_browser() {
    a_person_goes_all_the_way("on");
}

#[test]
fn a_person_goes_all_the_way_without_script() {
    a_person_goes_all_the_way("off");
}
