//! The pages of administrators in Chromium, with the pages' script and without any, on a wide
//! screen and on a phone.

use serde_json::json;

use crate::console_browser::{BROWSER, drive, is_there, nothing_is_wrong};
use crate::harness::{Site, printed_link};
use crate::wire::Api;

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
    let seen = drive(&site, "console_admin.cjs", &wishes);
    nothing_is_wrong(&seen);
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
