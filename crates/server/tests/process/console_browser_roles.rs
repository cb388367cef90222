//! What each role does in Chromium, and what is not for it, with the pages' script and without any.
//!
//! What is walked where; every line with script on and off:
//!
//! | journey | person | looks after a service | administers a unit | administers the realm |
//! |---|---|---|---|---|
//! | first steps, password, sign-out, the button "back" | | | | `console_browser` |
//! | service cards, joining and leaving an open group | here | | | |
//! | a token: kind, scopes in words, recipes, shown once, copy, QR, saved, reload | here | | | `console_browser` |
//! | new secret with overlap | here | | | `console_browser` |
//! | switched off and on, locked | here | | here | here, many at once |
//! | what a revocation would hit, then the revocation, and what is told of it | here | here | here | `console_browser` |
//! | what waits for approval | here, waits | | | `console_browser`, approves |
//! | devices | here | | | `console_browser` |
//! | sessions seen, ended, all of them | here | | | `console_browser` |
//! | asked again who one is, by password | here | | | |
//! | asked again at a provider, sent there, gone on | `console_browser_provider` | | | |
//! | overview | refused | here | here | here |
//! | services, and whom a stricter rule would hit | refused | here, theirs | refused | here, `console_browser_admin` |
//! | tokens of others | refused | here, of theirs | here, of theirs | here |
//! | people, and tokens on their behalf | refused | refused | here, of theirs | here |
//! | registration tokens: minted, drawn from, used up, refused, ended | refused | refused | here, of theirs | here |
//! | many of them from a sheet, and the sheet taken away | refused | refused | | here |
//! | search: id, name, person, service, label, piece of a token | refused | here, finds nothing else | | here |
//! | targets, deliveries, retry, test | refused | refused | refused | here |
//! | a target made | refused | refused | refused | here |
//! | repositories | refused | | refused | here |
//! | policy sets, policies, a decision tested | refused | refused | refused | here |
//! | clients and keys | refused | refused | refused | here |
//! | audit, filtered and taken away | refused | refused | refused | here |
//! | settings of the realm | refused | refused | refused | here |
//! | acts on many tokens, with a look before and progress | refused | | | here, `console_browser_admin` |
//!
//! What is refused is asked for by its address, also by the id of somebody else's token.

use serde_json::{Value, json};

use crate::console_browser::{drive, is_there, nothing_is_wrong};
use crate::harness::{Server, Site, printed_link};
use crate::wire::{Answer, Api, Request};

const PASSWORD: &str = "three blue teapots";
/// With a repository, and without delays for those who come in a hurry.
const SETTINGS: &str = "abuse.throttle = false\n[repository.badge]\nkind = \"token\"\n\n\
                        [repository.badge.attributes]\nserialId = {}\n";

/// An installation with somebody of each role.
struct Company {
    site: Site,
    _server: Server,
    api: Api,
    /// What the journeys have to know.
    facts: Value,
}

fn post(api: &Api, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Sec-Fetch-Site", "same-origin")
        .header("User-Agent", "Mail for telephones/7")
        .header("Cookie", cookie)
        .body(form.extend_pairs(fields).finish());
    api.raw(&request)
}

/// The session of whoever has just signed in.
#[track_caller]
fn session(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[track_caller]
fn value_behind(page: &Answer, marker: &str) -> String {
    let text = page.text();
    let rest = text.split(marker).nth(1).unwrap_or_else(|| panic!("no {marker}: {text}"));
    rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// The first administrator, `root`, and a password for each of these people.
fn let_in(server: &Server, api: &Api, names: &[&str]) {
    let link = printed_link(server);
    let secret = link.rsplit_once('#').unwrap().1;
    let chosen =
        [("link", secret), ("username", "root"), ("password", PASSWORD), ("again", PASSWORD)];
    let root = session(&post(api, "/setup/finish", "", &chosen));
    let account = api.raw(&Request::new("GET", "/account").header("Cookie", root.clone()));
    let mark = value_behind(&account, "name=\"mark\"");
    for name in names {
        let place = format!("/admin/people/{name}/link");
        let shown = post(api, &place, &root, &[("mark", &mark)]);
        let link = value_behind(&shown, "id=\"link\"");
        let chosen = [("link", link.as_str()), ("password", PASSWORD), ("again", PASSWORD)];
        session(&post(api, "/setup/finish", "", &chosen));
    }
}

/// Services, units, people, and a token of each sort.
fn furnished(api: &Api) -> Value {
    api.post("/groups", &json!({ "name": "rowing-club", "open": true })).expect(201);
    for service in [
        json!({ "label": "mail", "name": "Mail", "url": "https://mail.example.org/",
            "description": "Post for everybody", "contact": "post@example.org",
            "token_policy": { "scopes": ["mail:read", "mail:send"] } }),
        json!({ "label": "wiki", "name": "Wiki" }),
        json!({ "label": "vpn", "name": "VPN", "token_policy": { "approval": true } }),
        json!({ "label": "boats", "name": "Boat house", "group": "rowing-club" }),
    ] {
        api.post("/services", &service).expect(201);
    }
    let unit = |name: &str| {
        let made = api.post("/units", &json!({ "name": name })).expect(201);
        made["id"].as_str().unwrap().to_owned()
    };
    let (lab, shop) = (unit("Lab"), unit("Shop"));
    for (name, of) in [
        ("alice", None),
        ("bob", Some(&shop)),
        ("erin", None),
        ("carol", Some(&lab)),
        ("dora", Some(&lab)),
    ] {
        let user = json!({ "username": name, "display_name": name.to_uppercase(), "unit": of });
        api.post("/users", &user).expect(201);
    }
    for (name, role, place, of) in [
        ("carol", "unit-admin", "unit", lab.as_str()),
        ("erin", "service-manager", "service", "mail"),
    ] {
        let grant = json!({ "subject": { "user": name }, "role": role, place: of });
        api.post("/grants", &grant).expect(201);
    }
    let token = |user: &str, service: &str, name: &str| {
        let body = json!({ "kind": "personal_access_token", "user": user, "name": name,
            "services": [service], "lifetime_seconds": 864_000, "labels": { "team": name } });
        api.post("/tokens", &body).expect(201)
    };
    let id = |issued: &Value| issued["token"]["id"].as_str().unwrap().to_owned();
    let used = token("alice", "mail", "backup script");
    let asked = json!({ "token": used["secret"], "service": "mail", "client_ip": "192.0.2.7" });
    for _ in 0..3 {
        assert_eq!(api.post("/verify", &asked).expect(200)["active"], true);
    }
    let spare = token("alice", "mail", "old telephone");
    let (other, piece) = (token("bob", "wiki", "bot"), token("bob", "mail", "desk"));
    let registration = json!({ "kind": "registration_token", "name": "Till", "unit": shop,
        "count": 5, "delivery": "response" });
    let registration = api.post("/tokens", &registration).expect(201);
    let target = json!({
        "name": "staff", "kind": "ldap", "url": "ldap://127.0.0.1:1", "bind_dn": "cn=admin",
        "bind_password": "x", "base_dn": "dc=example", "services": ["mail"],
        "attribute": "userPassword", "schemes": ["SSHA"],
    });
    api.post("/targets", &target).expect(201);
    token("bob", "mail", "kitchen");
    json!({
        "used": id(&used), "spare": id(&spare), "other": id(&other),
        "registration": id(&registration),
        "searches": {
            "id": id(&other), "person": "bob", "service": "wiki", "name": "old telephone",
            "label": "team=bot", "unit": "Shop",
            "piece": piece["secret"].as_str().unwrap()[..24],
        },
    })
}

impl Company {
    fn new(more: &str) -> Self {
        let site = Site::new();
        let server = site.serve(&format!("{more}{SETTINGS}"));
        let api = site.admin(&server);
        let mut facts = furnished(&api);
        let_in(&server, &api, &["alice", "carol", "erin"]);
        facts["link"] = json!(format!("http://{}/", server.address));
        facts["password"] = json!(PASSWORD);
        Self { site, _server: server, api, facts }
    }

    /// Somebody walks a journey; nothing may be wrong with the pages on it.
    fn walk(&self, journey: &str, name: &str, script: &str) -> Value {
        let mut wishes = self.facts.clone();
        wishes["journey"] = json!(journey);
        wishes["name"] = json!(name);
        wishes["script"] = json!(script);
        let seen = drive(&self.site, "console_roles.cjs", &wishes);
        nothing_is_wrong(&seen);
        seen
    }
}

/// The company, unless there is no browser.
fn company(more: &str) -> Option<Company> {
    if is_there() {
        return Some(Company::new(more));
    }
    println!("left out: there is no browser");
    None
}

fn a_person(script: &str) {
    let Some(company) = company("") else { return };
    let other_sessions = ["alice", "alice"];
    for name in other_sessions {
        session(&post(&company.api, "/sign-in", "", &[("username", name), ("password", PASSWORD)]));
    }
    let seen = company.walk("person", "alice", script);
    assert_eq!(seen["cards"], "/services/boats /services/mail /services/vpn /services/wiki");
    assert_eq!(seen["joined"], json!([1, 0]), "{seen:#}");
    assert_eq!(seen["scopes"], "Read: mail mail:read; mail:send", "{seen:#}");
    for done in ["copied", "same", "gone"] {
        assert_eq!(seen[done], true, "{done}: {seen:#}");
    }
    assert!(seen["recipes"].as_u64().unwrap() >= 2, "{seen:#}");
    assert_eq!(
        (&seen["qr"], &seen["overlaps"], &seen["unlocks"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(seen["saved"], "laptop active", "{seen:#}");
    let states = ["switched off", "active", "locked", "revoked", "waits for approval"];
    assert_eq!(seen["states"], json!(states), "{seen:#}");
    let radius = seen["radius"].as_str().unwrap();
    assert!(radius.starts_with("API 3") && radius.contains("192.0.2.7"), "{radius}");
    let activity = seen["activity"].as_str().unwrap();
    assert!(activity.contains("the laptop was stolen"), "{activity}");
    assert!(seen["notices"].as_str().unwrap().contains("waits until"), "{seen:#}");
    // That of the first password, those two, and the browser's own.
    assert_eq!(seen["sessions"], json!([4, 3]), "{seen:#}");
    assert_eq!(seen["at_last"], "/sign-in", "{seen:#}");
    let tokens = company.api.get("/tokens?user=alice&service=mail").expect(200);
    assert_eq!(tokens["items"].as_array().unwrap().len(), 3, "one was made: {tokens}");
}

fn who_looks_after_a_service(script: &str) {
    let Some(company) = company("") else { return };
    let seen = company.walk("owner", "erin", script);
    assert_eq!(
        seen["links"], "/admin /admin/people /admin/tokens /admin/services /admin/search",
        "{seen:#}"
    );
    assert_eq!(seen["services"], "mail", "{seen:#}");
    assert_eq!(seen["tokens"], "kitchen desk old telephone backup script", "{seen:#}");
    assert!(seen["blocked"].as_str().unwrap().starts_with("4 tokens more"), "{seen:#}");
    assert_eq!((&seen["kept"], &seen["state"]), (&json!("1d"), &json!("revoked")), "{seen:#}");
    assert_eq!((&seen["found"], &seen["operators"]), (&json!(0), &json!(2)), "{seen:#}");
}

fn who_administers_a_unit(script: &str) {
    let Some(company) = company("") else { return };
    let seen = company.walk("unit", "carol", script);
    let links = "/admin /admin/people /admin/tokens /admin/registration-tokens /admin/search";
    assert_eq!(seen["links"], links, "{seen:#}");
    assert_eq!(seen["people"], "carol dora", "{seen:#}");
    minted(&seen);
    assert_eq!((&seen["deleted"], &seen["state"]), (&json!("revoked"), &json!("revoked")));
    assert_eq!(seen["suspended"], 1, "{seen:#}");
    let tokens = seen["tokens"].as_str().unwrap();
    assert!(tokens.contains("North gate") && !tokens.contains("desk"), "{tokens}");
    let dora = company.api.get("/users/dora").expect(200);
    assert_eq!((&dora["status"], &dora["locked"]), (&json!("active"), &json!(true)), "{dora}");
}

/// One device came in, and the next one found no room.
fn minted(seen: &Value) {
    assert_eq!(seen["drawn"][0], 201, "{seen:#}");
    assert_ne!(seen["drawn"][1], 201, "{seen:#}");
    let device = seen["device"].as_str().unwrap();
    assert!(device.starts_with("gate-1 porter active"), "{device}");
    assert!(seen["end"].as_str().unwrap().contains("in 30 days"), "{seen:#}");
}

fn who_administers_the_realm(script: &str) {
    let Some(company) = company("") else { return };
    let seen = company.walk("administrator", "root", script);
    minted(&seen);
    let finds = json!({
        "id": "bot", "person": "bob", "service": "wiki", "name": "old telephone", "label": "bot",
        "unit": "Shop", "piece": "desk",
    });
    for (what, found) in finds.as_object().unwrap() {
        let shown = seen["finds"][what].as_str().unwrap();
        assert!(shown.contains(found.as_str().unwrap()), "{what}: {seen:#}");
    }
    assert_eq!(seen["link"], true, "{seen:#}");
    assert_eq!(seen["sheet"], json!(["registration-tokens.csv", 4]), "{seen:#}");
    assert_eq!((&seen["target"], &seen["policy"]), (&json!("second"), &json!(true)), "{seen:#}");
    assert!(!seen["tested"].as_str().unwrap().is_empty(), "{seen:#}");
    assert!(seen["decision"].as_str().unwrap().starts_with("The action is"), "{seen:#}");
    assert_eq!((&seen["key"], &seen["client"]), (&json!("cflk_"), &json!("switched off")));
    assert_eq!(seen["audited"], json!(["events.jsonl", true]), "{seen:#}");
    let kinds = seen["kinds"].as_str().unwrap();
    assert!(kinds.split(' ').all(|kind| kind == "client.created"), "{kinds}");
    assert_eq!(seen["zone"], "Europe/Berlin", "{seen:#}");
    assert!(seen["realm_hits"].as_str().unwrap().contains("would be blocked"), "{seen:#}");
    let locked = company.api.get("/tokens?user=bob&state=locked").expect(200);
    assert!(locked["items"].as_array().unwrap().len() >= 3, "{locked}");
}

fn who_is_asked_again(script: &str) {
    let Some(company) = company("console.step_up_seconds = 1\n") else { return };
    let seen = company.walk("askedAgain", "alice", script);
    assert_eq!(seen["secret"], true, "{seen:#}");
}

#[test]
fn a_person_looks_after_tokens_in_a_browser() {
    a_person("on");
}

#[test]
fn a_person_looks_after_tokens_without_script() {
    a_person("off");
}

#[test]
fn who_looks_after_a_service_does_so_in_a_browser() {
    who_looks_after_a_service("on");
}

#[test]
fn who_looks_after_a_service_does_so_without_script() {
    who_looks_after_a_service("off");
}

#[test]
fn who_administers_a_unit_does_so_in_a_browser() {
    who_administers_a_unit("on");
}

#[test]
fn who_administers_a_unit_does_so_without_script() {
    who_administers_a_unit("off");
}

#[test]
fn who_administers_the_realm_does_so_in_a_browser() {
    who_administers_the_realm("on");
}

#[test]
fn who_administers_the_realm_does_so_without_script() {
    who_administers_the_realm("off");
}

#[test]
fn who_is_asked_again_in_a_browser_goes_on() {
    who_is_asked_again("on");
}

#[test]
fn who_is_asked_again_without_script_goes_on() {
    who_is_asked_again("off");
}
