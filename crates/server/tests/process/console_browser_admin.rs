//! The pages of administrators in Chromium, with the pages' script and without any, on a wide
//! screen and on a phone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Site, printed_link};
use crate::wire::Api;

/// What Debian calls the program.
const BROWSER: &str = "chromium";
/// Pages that are looked at, with the name of their picture.
const PAGES: [(&str, &str); 17] = [
    ("admin", "/admin"),
    ("admin-people", "/admin/people"),
    ("admin-person", "/admin/people/bob"),
    ("admin-issue", "/admin/people/bob/new?service=mail"),
    ("admin-tokens", "/admin/tokens"),
    ("admin-tokens-none", "/admin/tokens?state=expired"),
    ("admin-registrations", "/admin/registration-tokens"),
    ("admin-registration", "/admin/registration-tokens/{registration}"),
    ("admin-mint", "/admin/registration-tokens/new"),
    ("admin-services", "/admin/services"),
    ("admin-service", "/admin/services/mail"),
    ("admin-targets", "/admin/targets"),
    ("admin-repositories", "/admin/repositories"),
    ("admin-policies", "/admin/policies"),
    ("admin-clients", "/admin/clients"),
    ("admin-audit", "/admin/audit"),
    ("admin-realm", "/admin/realm"),
];
/// What who administers one unit looks at.
const UNIT_PAGES: [(&str, &str); 4] = [
    ("overview", "/admin"),
    ("registrations", "/admin/registration-tokens"),
    ("registration", "/admin/registration-tokens/{registration}"),
    ("people", "/admin/people"),
];

fn is_there() -> bool {
    let mut probe = Command::new(BROWSER);
    let probe = probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = probe.status().is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("CI").is_none(), "no {BROWSER} for this test");
    found
}

/// axe-core, where it was installed.
fn axe() -> Option<PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_AXE_NODE").map(PathBuf::from);
    home.map(|home| home.join("axe-core/axe.min.js")).filter(|file| file.is_file())
}

fn drive(site: &Site, wishes: &Value) -> Value {
    // Kept, to be looked at.
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut all = json!({
        "browser": BROWSER, "pictures": pictures, "profile": site.path("profile"), "axe": axe(),
    });
    all.as_object_mut().unwrap().extend(wishes.as_object().unwrap().clone());
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/console_admin.cjs"))
        .arg(all.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap()
}

/// A service, people with tokens of which one was refused, a unit, and what was drawn in it. Gives
/// the registration token's id and a piece of a token of bob's.
fn furnished(api: &Api) -> (String, String) {
    let mail = json!({ "label": "mail", "name": "Mail", "contact": "post@example.org" });
    api.post("/services", &mail).expect(201);
    let unit = api.post("/units", &json!({ "name": "Lab" })).expect(201);
    let unit = unit["id"].as_str().unwrap().to_owned();
    for (name, of) in [("bob", None), ("carol", Some(&unit))] {
        let user = json!({ "username": name, "display_name": name.to_uppercase(), "unit": of });
        api.post("/users", &user).expect(201);
    }
    let grant = json!({ "subject": { "user": "carol" }, "role": "unit-admin", "unit": unit });
    api.post("/grants", &grant).expect(201);
    let mut piece = String::new();
    for name in ["laptop", "phone", "backup script"] {
        let body = json!({ "kind": "personal_access_token", "user": "bob", "name": name,
            "services": ["mail"], "lifetime_seconds": 864_000 });
        let issued = api.post("/tokens", &body).expect(201);
        issued["secret"].as_str().unwrap()[..24].clone_into(&mut piece);
    }
    let registration = json!({ "kind": "registration_token", "name": "Lobby", "unit": unit,
        "count": 5, "delivery": "response" });
    let issued = api.post("/tokens", &registration).expect(201);
    (issued["token"]["id"].as_str().unwrap().to_owned(), piece)
}

fn administrators_do_their_work(script: &str) {
    if !is_there() {
        println!("left out: there is no {BROWSER}");
        return;
    }
    let site = Site::new();
    let server = site.serve("");
    let api = site.admin(&server);
    let (registration, piece) = furnished(&api);
    let named = |pages: &[(&str, &str)]| -> Vec<[String; 2]> {
        let put_in = |path: &str| path.replace("{registration}", &registration);
        pages.iter().map(|(name, path)| [(*name).to_owned(), put_in(path)]).collect()
    };
    let wishes = json!({
        "link": printed_link(&server), "script": script, "piece": piece,
        "pages": named(&PAGES), "unit_pages": named(&UNIT_PAGES),
    });
    let seen = drive(&site, &wishes);
    // No error in the browser's console, nothing against the policy of the pages, no other origin,
    // nothing too wide, nothing too heavy, and nothing that keeps somebody out.
    for nothing in ["faults", "foreign", "overflow", "heavy", "barriers"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}: {seen:#}");
    }
    assert_eq!((&seen["minted"], &seen["job"]), (&json!(2), &json!("Job")), "{seen:#}");
    assert!(seen["blocked"].as_str().unwrap().contains("would be blocked"), "{seen:#}");
    assert_eq!((&seen["found"], &seen["echoed"]), (&json!(1), &json!(false)), "{seen:#}");
    let links = "/admin /admin/people /admin/tokens /admin/registration-tokens /admin/search";
    assert_eq!(seen["unit_links"], links, "{seen:#}");
    let tokens = api.get("/tokens?kind=registration_token").expect(200);
    assert_eq!(tokens["items"].as_array().unwrap().len(), 3, "{tokens}");
}

#[test]
fn administrators_do_their_work_in_a_browser() {
    administrators_do_their_work("on");
}

#[test]
fn administrators_do_their_work_without_script() {
    administrators_do_their_work("off");
}
