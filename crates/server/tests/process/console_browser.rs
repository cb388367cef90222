//! The console in Chromium, which scripts of ours drive over its debugging pipe: with the pages'
//! script, and with all script switched off. axe-core looks at every page for barriers.

mod newcomer;
mod passkeys;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Site, printed_link};
use crate::wire::Api;

/// What Debian calls the program.
pub(crate) const BROWSER: &str = "chromium";

/// Pages that are looked at beside those of the journey, with the name of their picture. What
/// stands in braces is put in: `{token}`, a token of the administrator that was used.
const PAGES: [(&str, &str); 8] = [
    ("tokens", "/"),
    ("service", "/services/mail"),
    ("token-used", "/tokens/{token}"),
    ("revoke-used", "/tokens/{token}/revoke"),
    ("devices", "/devices"),
    ("approvals", "/approvals"),
    ("account", "/account"),
    ("admin", "/admin"),
];

pub(crate) fn is_there() -> bool {
    let mut probe = Command::new(BROWSER);
    let probe = probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = probe.status().is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("CI").is_none(), "no {BROWSER} for this test");
    found
}

/// axe-core, which `xtask test` installs.
fn axe() -> Option<PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_AXE_NODE").map(PathBuf::from);
    let found = home.map(|home| home.join("axe-core/axe.min.js")).filter(|file| file.is_file());
    let found_or_not_needed = found.is_some() || std::env::var_os("CI").is_none();
    assert!(found_or_not_needed, "no axe-core for this test");
    if found.is_none() {
        println!("axe-core is left out: COUNTERFOIL_AXE_NODE names no directory with it");
    }
    found
}

/// Runs a script of this directory with its wishes, and what all of them need.
pub(crate) fn drive(site: &Site, name: &str, wishes: &Value) -> Value {
    // Kept, to be looked at.
    let pictures = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut all = json!({
        "browser": BROWSER, "pictures": pictures, "profile": site.path("profile"), "axe": axe(),
    });
    all.as_object_mut().unwrap().extend(wishes.as_object().unwrap().clone());
    let output = Command::new("node")
        .arg(format!("{}/tests/process/{name}", env!("CARGO_MANIFEST_DIR")))
        .arg(all.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap()
}

/// No error in the browser's console, nothing against the policy of the pages, no other origin,
/// nothing too wide, nothing too heavy, and nothing that keeps somebody out.
#[track_caller]
pub(crate) fn nothing_is_wrong(seen: &Value) {
    for nothing in ["faults", "foreign", "overflow", "heavy", "barriers"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}: {seen:#}");
    }
}

/// Something to look at: a service, a token for it that is used, and one that waits.
fn furnished(api: &Api) -> String {
    let mail = json!({
        "label": "mail", "name": "Mail", "url": "https://mail.example.org/",
        "description": "Post for everybody", "contact": "post@example.org",
        "token_policy": { "max_active_per_user": 9, "scopes": ["mail:read", "mail:send"] },
    });
    api.post("/services", &mail).expect(201);
    let vpn = json!({ "label": "vpn", "name": "VPN", "token_policy": { "approval": true } });
    api.post("/services", &vpn).expect(201);
    for name in ["root", "bob"] {
        api.post("/users", &json!({ "username": name })).expect(201);
    }
    let token = |user: &str, service: &str, name: &str| {
        let body = json!({ "kind": "personal_access_token", "user": user, "name": name,
            "services": [service], "lifetime_seconds": 864_000 });
        api.post("/tokens", &body).expect(201)
    };
    token("bob", "vpn", "tunnel");
    let used = token("root", "mail", "nightly backup");
    let asked = json!({ "token": used["secret"], "service": "mail", "client_ip": "192.0.2.7" });
    for _ in 0..3 {
        api.post("/verify", &asked).expect(200);
    }
    used["token"]["id"].as_str().unwrap().to_owned()
}

/// From the link that `serve` prints to a token, its revocation, a device, every page, the button
/// "back", and somebody else.
fn a_person_goes_all_the_way(script: &str) {
    if !is_there() {
        println!("left out: there is no {BROWSER}");
        return;
    }
    let site = Site::new();
    let server = site.serve("");
    let api = site.admin(&server);
    let token = furnished(&api);
    let pages: Vec<[String; 2]> = PAGES
        .iter()
        .map(|(name, path)| [(*name).into(), path.replace("{token}", &token)])
        .collect();
    let wishes = json!({ "link": printed_link(&server), "script": script, "pages": pages });
    let seen = drive(&site, "console_browser.cjs", &wishes);
    nothing_is_wrong(&seen);
    assert_eq!(
        (&seen["same_after_reload"], &seen["recipe_holds_secret"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(seen["overlaps"], 1, "{seen}");
    assert_eq!((&seen["state"], &seen["cookies"]), (&json!("revoked"), &json!(0)), "{seen}");
    assert_eq!((&seen["confirmed"], &seen["waiting"]), (&json!(1), &json!(0)), "{seen}");
    assert_eq!(seen["after_back"], "/sign-in", "{seen}");
    assert_eq!(seen["links_of_a_person"], "/ /devices /account", "{seen}");
    if script == "on" {
        // The link's secret is in the form, and in the address no more.
        assert_eq!(seen["moved"], true, "{seen}");
        assert!(!seen["address"].as_str().unwrap().contains('#'), "{seen}");
    }
    let tokens = api.get("/tokens?user=root&service=mail").expect(200);
    assert_eq!(tokens["items"].as_array().unwrap().len(), 2, "{tokens}");
}

#[test]
fn a_person_goes_all_the_way_in_a_browser() {
    a_person_goes_all_the_way("on");
}

#[test]
fn a_person_goes_all_the_way_without_script() {
    a_person_goes_all_the_way("off");
}
