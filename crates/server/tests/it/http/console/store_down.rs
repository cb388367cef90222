//! A store that is down signs nobody out and refuses nobody.

use std::sync::{Arc, Mutex};

use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::json;

use super::admin::{once, unit};
use super::authenticator::{Authenticator, question_of};
use super::browser::{ADMIN_PAGES, Browser, PASSWORD, Page, administrator, of_root};
use super::passkeys::{add, at_localhost, ids};
use crate::world::{R, World};

/// Calls of the store for one page at most; more would be a loop.
const CALLS_MAX: usize = 24;
/// What no page holds again.
const NEVER_KEPT: [&str; 5] = ["password", "again", "former", "secret", "what"];

/// Fails each call of a request in turn, on a server that remembers nothing.
async fn drill(
    world: &World,
    store: &FailingStore,
    cookie: Option<&String>,
    what: &str,
    ask: impl AsyncFn(&Browser) -> Page,
    status: u16,
) -> Page {
    for call in 1..=CALLS_MAX {
        let cold = world.restarted().await;
        let browser = Browser::at(&cold);
        browser.hold(cookie.cloned());
        store.fail_nth(call);
        let page = ask(&browser).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert_eq!(page.status, status, "{what} {}", page.text);
            assert!(call > 1, "{what} asked nothing of the store");
            return page;
        }
        // What a token is used for cannot be stored: the page where it is revoked does without.
        if matches!(calls.get(call - 1), Some(&("use_notes_since" | "use_notes_add"))) {
            assert_eq!(page.status, status, "{what} {calls:?} {}", page.text);
            continue;
        }
        assert_eq!(page.status, 503, "{what} {calls:?} {}", page.text);
        assert_eq!(page.header("retry-after"), "1", "{what}");
        let set = page.header("set-cookie");
        assert!(!set.contains("counterfoil="), "{what}: nobody loses a session by it: {set}");
        assert!(page.text.contains("Not possible just now"), "{}", page.text);
    }
    panic!("{what} calls the store more than {CALLS_MAX} times");
}

#[tokio::test]
async fn every_page_and_form_answers_503_while_any_of_its_calls_fails() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, at_localhost()).await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let (token, _) = world.pat("root", json!({ "services": ["git"] })).await;
    let device = json!({ "kind": "generic", "user": "root", "otp": { "method": "totp" } });
    let device = world.post(&format!("{R}/tokens"), device).await.expect(201);
    let device = device["token"]["id"].as_str().unwrap();
    let (cookie, mark) = (admin.cookie(), admin.mark().await);
    let held = cookie.as_ref();
    let of_token = |act: &str| format!("/tokens/{token}{act}");
    for path in [
        "/".to_owned(),
        "/account".to_owned(),
        "/admin".to_owned(),
        "/services/git/new".to_owned(),
        "/services/git".to_owned(),
        "/devices".to_owned(),
        "/approvals".to_owned(),
        format!("/devices/{device}"),
        of_token(""),
        of_token("/rotate"),
        of_token("/revoke"),
    ]
    .into_iter()
    .chain(ADMIN_PAGES.map(str::to_owned))
    .chain(["new", "new?service=git"].map(of_root))
    {
        drill(&world, &store, held, &path, async |browser| browser.get(&path).await, 200).await;
    }
    let sign_in = async |browser: &Browser| {
        browser.post("/sign-in", &[("username", "root"), ("password", PASSWORD)]).await
    };
    drill(&world, &store, None, "sign-in", sign_in, 303).await;
    let once = "d".repeat(32);
    let issue = [
        ("mark", mark.as_str()),
        ("once", once.as_str()),
        ("name", "x"),
        ("kind", "service_token"),
    ];
    let made = async |browser: &Browser| browser.post("/services/git/new", &issue).await;
    drill(&world, &store, held, "new token", made, 200).await;
    let again = "e".repeat(32);
    let (rotate, revoke) = (of_token("/rotate"), of_token("/revoke"));
    let fields = [("mark", mark.as_str()), ("once", again.as_str())];
    let rotated = async |browser: &Browser| browser.post(&rotate, &fields).await;
    drill(&world, &store, held, "rotate", rotated, 200).await;
    let marked = [("mark", mark.as_str())];
    let named = [("mark", mark.as_str()), ("name", "Second service")];
    let founded = async |browser: &Browser| browser.post("/services", &named).await;
    drill(&world, &store, held, "service", founded, 303).await;
    let fresh = "f".repeat(32);
    let phone =
        [("mark", mark.as_str()), ("once", fresh.as_str()), ("name", "phone"), ("method", "totp")];
    let enrolled = async |browser: &Browser| browser.post("/devices", &phone).await;
    drill(&world, &store, held, "device", enrolled, 200).await;
    let removal = format!("/devices/{device}/remove");
    let removed = async |browser: &Browser| browser.post(&removal, &marked).await;
    drill(&world, &store, held, "remove", removed, 303).await;
    world.post(&format!("{R}/users"), json!({ "username": "dave" })).await.expect(201);
    let link = "/admin/people/dave/link";
    let linked = async |browser: &Browser| browser.post(link, &marked).await;
    drill(&world, &store, held, "link", linked, 200).await;
    let revoked = async |browser: &Browser| browser.post(&revoke, &marked).await;
    drill(&world, &store, held, "revoke", revoked, 303).await;
    let out = async |browser: &Browser| browser.post("/sign-out", &marked).await;
    drill(&world, &store, held, "sign out", out, 303).await;
}

/// The same for whatever is done with passkeys.
#[tokio::test]
async fn every_form_about_passkeys_answers_503_while_any_of_its_calls_fails() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, at_localhost()).await;
    let admin = administrator(&world).await;
    let (cookie, mark) = (admin.cookie(), admin.mark().await);
    let (held, marked) = (cookie.as_ref(), [("mark", mark.as_str())]);
    let sign_in = async |browser: &Browser| {
        browser.post("/sign-in", &[("username", "root"), ("password", PASSWORD)]).await
    };
    let mut device = Authenticator::new();
    add(&admin, &mut device, "red key").await.expect(303);
    let device = Mutex::new(device);
    let answered = |page: &Page| device.lock().unwrap().answers(&question_of(page));
    // Each goes as far as the store lets it: a question that was not asked is not answered.
    let came = async |browser: &Browser| {
        let asking = browser.post("/sign-in/passkey", &[]).await;
        if asking.status != 200 {
            return asking;
        }
        let answer = answered(&asking);
        browser.post("/sign-in/passkey/finish", &[("credential", &answer)]).await
    };
    drill(&world, &store, None, "sign-in by passkey", came, 303).await;
    let proved = async |browser: &Browser| {
        let asking = browser.post("/step-up/passkey", &marked).await;
        if asking.status != 200 {
            return asking;
        }
        let answer = answered(&asking);
        let fields = [("mark", mark.as_str()), ("credential", &answer)];
        browser.post("/step-up/passkey/finish", &fields).await
    };
    drill(&world, &store, held, "step-up by passkey", proved, 200).await;
    let added = async |browser: &Browser| {
        let fields = [("mark", mark.as_str()), ("name", "another")];
        let asking = browser.post("/account/passkeys", &fields).await;
        if asking.status != 200 {
            return asking;
        }
        let made = Authenticator::new().makes(&question_of(&asking));
        let fields = [("mark", mark.as_str()), ("credential", &made)];
        browser.post("/account/passkeys/finish", &fields).await
    };
    drill(&world, &store, held, "new passkey", added, 303).await;
    let key = ids(&admin).await.remove(0);
    let path = format!("/account/passkeys/{key}/rename");
    let fields = [("mark", mark.as_str()), ("name", "renamed")];
    let renamed = async |browser: &Browser| browser.post(&path, &fields).await;
    drill(&world, &store, held, "rename a passkey", renamed, 303).await;
    let fields = [("mark", mark.as_str()), ("on", "yes")];
    let asked = async |browser: &Browser| browser.post("/account/passkeys/require", &fields).await;
    drill(&world, &store, held, "require a passkey", asked, 303).await;
    drill(&world, &store, None, "password before a passkey", sign_in, 200).await;
    let path = format!("/account/passkeys/{key}/remove");
    let removed = async |browser: &Browser| browser.post(&path, &marked).await;
    drill(&world, &store, held, "remove a passkey", removed, 303).await;
}

/// A form, of which nothing is lost however often it cannot be done: neither what was typed into
/// it, nor what it asks for.
struct Drill<'a> {
    world: &'a World,
    store: &'a FailingStore,
    admin: &'a Browser,
    mark: String,
}

impl Drill<'_> {
    async fn form(&self, path: &str, fields: &[(&str, &str)], status: u16) -> Page {
        let mut all = vec![("mark", self.mark.as_str())];
        all.extend(fields);
        let what = format!("{path} {fields:?}");
        let sent = async |browser: &Browser| {
            let page = browser.post(path, &all).await;
            if page.status == 503 {
                assert_kept(&page, path, &all);
            }
            page
        };
        drill(self.world, self.store, self.admin.cookie().as_ref(), &what, sent, status).await
    }
}

/// The page that says that it cannot be done just now sends the same form again.
#[track_caller]
fn assert_kept(page: &Page, path: &str, fields: &[(&str, &str)]) {
    let text = &page.text;
    if fields.iter().any(|(name, _)| NEVER_KEPT.contains(name)) {
        for (_, value) in fields.iter().filter(|(name, _)| NEVER_KEPT.contains(name)) {
            assert!(!text.contains(value), "{path} shows {value} again: {text}");
        }
        return;
    }
    assert!(text.contains(&format!("<form method=\"post\" action=\"{path}\">")), "{path} {text}");
    for (name, value) in fields {
        let value = value.replace('&', "&#38;").replace('"', "&#34;");
        let value = value.replace('<', "&#60;").replace('>', "&#62;");
        let field = format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
        assert!(text.contains(&field), "{path} has lost {name}: {text}");
    }
}

/// A registration token of the lab with devices; its id, and theirs.
async fn drawn(world: &World, unit: &str, approval: &str, devices: usize) -> (String, Vec<String>) {
    let body = json!({
        "kind": "registration_token", "name": "lobby", "unit": unit, "count": 9,
        "delivery": "response", "approval": approval,
    });
    let issued = world.post(&format!("{R}/tokens"), body).await.expect(201);
    let (id, secret) = (issued["token"]["id"].as_str(), issued["secret"].as_str().unwrap());
    for number in 0..devices {
        let draw = json!({ "subject": format!("door-{number}"), "hostname": "door" });
        let answer = world.call(secret, "POST", &format!("{R}/enrol"), draw).await;
        assert!([201, 202].contains(&answer.status), "{}", answer.text);
    }
    let id = id.unwrap().to_owned();
    let children = world.get(&format!("{R}/tokens/{id}/children")).await.expect(200);
    let children = children["items"].as_array().unwrap().iter();
    (id, children.map(|child| child["id"].as_str().unwrap().to_owned()).collect())
}

async fn failing_world() -> (Arc<FailingStore>, World) {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, HttpSettings::default()).await;
    (store, world)
}

#[tokio::test]
async fn forms_about_people_and_tokens_lose_nothing_while_the_store_is_down() {
    let (store, world) = failing_world().await;
    world.service("git").await;
    world.user("alice").await;
    let admin = administrator(&world).await;
    let mark = admin.mark().await;
    let drill = Drill { world: &world, store: &store, admin: &admin, mark };
    drill.form("/admin/search", &[("what", "a-piece-of-a-secret")], 200).await;
    let invited = [("username", "carol"), ("display_name", "\"Carol\" <c> & co")];
    drill.form("/admin/people", &invited, 200).await;
    for act in ["suspend", "activate", "lock", "unlock", "end-sessions", "expire", "activate"] {
        let fields = [("act", act), ("service", ""), ("reason", "lost it")];
        drill.form("/admin/people/alice/act", &fields, 303).await;
    }
    let once = [once('1'), once('2'), once('3')];
    let issue = [
        ("once", once[0].as_str()),
        ("service", "git"),
        ("name", "printer"),
        ("kind", "personal_access_token"),
        ("expires", ""),
        ("delivery", "link"),
    ];
    drill.form("/admin/people/alice/new", &issue, 200).await;
    let (first, _) = world.pat("root", json!({ "services": ["git"], "name": "one" })).await;
    let (second, _) = world.pat("alice", json!({ "services": ["git"], "name": "two" })).await;
    let bulk = [("act", "lock"), ("which", "ticked"), ("id", first.as_str()), ("id", &second)];
    drill.form("/admin/bulk", &bulk, 200).await;
    let started = drill.form("/admin/bulk/start", &bulk, 303).await;
    let cancel = format!("{}/cancel", started.header("location"));
    drill.form(&cancel, &[], 303).await;
    let jobs = world.get(&format!("{R}/jobs")).await.expect(200);
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1, "{jobs}");
    for act in ["disable", "enable", "lock", "unlock"] {
        drill.form(&format!("/tokens/{first}/switch"), &[("act", act)], 303).await;
    }
    let body = json!({ "label": "slow", "token_policy": { "approval": true } });
    world.post(&format!("{R}/services"), body).await.expect(201);
    for act in ["approve", "deny"] {
        let (id, _) = world.pat("alice", json!({ "services": ["slow"] })).await;
        drill.form(&format!("/approvals/{id}"), &[("act", act)], 303).await;
    }
    let club = json!({ "name": "club", "open": true });
    world.post(&format!("{R}/groups"), club).await.expect(201);
    let boats = json!({ "label": "boats", "group": "club" });
    world.post(&format!("{R}/services"), boats).await.expect(201);
    for act in ["join", "leave"] {
        drill.form("/services/boats/membership", &[("act", act)], 303).await;
    }
    let tokens = world.get(&format!("{R}/tokens?user=alice&limit=100")).await.expect(200);
    let printers = tokens["items"].as_array().unwrap().iter();
    assert_eq!(printers.filter(|token| token["name"] == "printer").count(), 1, "{tokens}");
    let fields = [("former", "no such password"), ("password", "x y z"), ("again", "x y z")];
    drill.form("/account/password", &fields, 403).await;
    let other = Browser::at(&world);
    other.sign_in("root").await.expect(303);
    let id = other.cookie().unwrap()["counterfoil=".len()..][..12].to_owned();
    drill.form(&format!("/account/sessions/{id}/end"), &[], 303).await;
}

#[tokio::test]
async fn forms_about_registration_tokens_lose_nothing_while_the_store_is_down() {
    let (store, world) = failing_world().await;
    let admin = administrator(&world).await;
    let lab = unit(&world, "lab").await;
    let (lobby, devices) = drawn(&world, &lab, "automatic", 2).await;
    let (gate, waiting) = drawn(&world, &lab, "required", 2).await;
    let mark = admin.mark().await;
    let drill = Drill { world: &world, store: &store, admin: &admin, mark };
    let (first, second) = (once('1'), once('2'));
    let mint = [
        ("once", first.as_str()),
        ("name", "north gate"),
        ("unit", lab.as_str()),
        ("count", "5"),
        ("days", "30"),
    ];
    drill.form("/admin/registration-tokens/new", &mint, 200).await;
    let rows = "name,unit,count\neast,lab,5\nwest,lab,2\n";
    let batch = [("once", second.as_str()), ("rows", rows)];
    drill.form("/admin/registration-tokens/batch", &batch, 200).await;
    let act = |id: &str| format!("/admin/registration-tokens/{id}/act");
    for name in ["disable", "enable", "lock", "unlock"] {
        drill.form(&act(&lobby), &[("act", name)], 303).await;
    }
    drill.form(&act(&lobby), &[("act", "return"), ("number", "1")], 303).await;
    for (name, child) in [("approve", &waiting[0]), ("deny", &waiting[1])] {
        drill.form(&act(&gate), &[("act", name), ("child", child.as_str())], 303).await;
    }
    let child = [("act", "revoke-child"), ("child", devices[0].as_str())];
    drill.form(&act(&lobby), &child, 303).await;
    drill.form(&act(&lobby), &[("act", "revoke"), ("reason", "moved")], 303).await;
    drill.form(&act(&gate), &[("act", "revoke-all"), ("reason", "moved")], 303).await;
    let held = world.get(&format!("{R}/tokens?kind=registration_token")).await.expect(200);
    let names = held["items"].as_array().unwrap().iter();
    let mut names: Vec<&str> = names.map(|token| token["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["east", "lobby", "lobby", "north gate", "west"]);
    let returned = world.get(&format!("{R}/tokens/{lobby}")).await.expect(200);
    assert_eq!(returned["returned"], 1, "{returned}");
}

#[tokio::test]
async fn forms_about_the_realm_lose_nothing_while_the_store_is_down() {
    let (store, world) = failing_world().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let mark = admin.mark().await;
    let drill = Drill { world: &world, store: &store, admin: &admin, mark };
    let made = [("label", "wiki"), ("name", "Wiki"), ("description", "pages")];
    drill.form("/admin/services", &made, 303).await;
    let edit = [
        ("do", "save"),
        ("name", "Code"),
        ("visibility", "realm"),
        ("status", "active"),
        ("contact", "git@example.org"),
    ];
    drill.form("/admin/services/git", &edit, 303).await;
    for act in ["lock", "unlock"] {
        drill.form("/admin/services/git", &[("do", act)], 303).await;
    }
    for (act, status) in [("preview", 200), ("save", 303)] {
        let fields = [("do", act), ("max_lifetime_seconds", "30d")];
        drill.form("/admin/services/git/policy", &fields, status).await;
    }
    for (act, status) in [("preview", 200), ("save-policy", 303)] {
        let fields = [("do", act), ("max_active_per_user", "7"), ("at_limit", "refuse")];
        drill.form("/admin/realm", &fields, status).await;
    }
    let edit = [("do", "save"), ("display_name", "Example"), ("zone", "Europe/Berlin")];
    drill.form("/admin/realm", &edit, 303).await;
    let first = once('1');
    let client = [("once", first.as_str()), ("name", "gate"), ("role", "verifier")];
    drill.form("/admin/clients", &client, 200).await;
    for act in ["disable", "enable", "delete"] {
        drill.form("/admin/clients/gate/act", &[("act", act)], 303).await;
    }
}

#[tokio::test]
async fn forms_about_targets_and_policies_lose_nothing_while_the_store_is_down() {
    let (store, world) = failing_world().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let mark = admin.mark().await;
    let drill = Drill { world: &world, store: &store, admin: &admin, mark };
    let decision = [
        ("user", "root"),
        ("set", "PATValidator"),
        ("resource", "pat://root"),
        ("action", "verify"),
    ];
    drill.form("/admin/policies/test", &decision, 200).await;
    let target = json!({
        "name": "staff", "kind": "ldap", "url": "ldap://127.0.0.1:1", "bind_dn": "cn=admin",
        "bind_password": "x", "base_dn": "dc=example", "services": ["git"],
        "attribute": "userPassword", "schemes": ["SSHA"],
    });
    world.post(&format!("{R}/targets"), target).await.expect(201);
    drill.form("/admin/targets/staff/act", &[("act", "retry")], 303).await;
    drill.form("/admin/targets/staff/act", &[("act", "test")], 200).await;
    drill.form("/admin/targets/staff/act", &[("act", "delete")], 303).await;
    let directory = [
        ("kind", "ldap"),
        ("name", "other"),
        ("url", "ldaps://directory.example.org"),
        ("bind_dn", "cn=admin"),
        ("secret", "the password to bind with"),
        ("base_dn", "dc=example"),
        ("schemes", "SSHA"),
        ("attribute", "userPassword"),
        ("services", "git"),
        ("mode", "manual"),
    ];
    drill.form("/admin/targets", &directory, 303).await;
    let page = admin.get("/admin/policies").await.expect(200).text;
    let url = page.split("id=\"policy-type\"").nth(1).unwrap();
    let url = url.split("<option value=\"").nth(1).unwrap().split('"').next().unwrap();
    let set = [("do", "set"), ("name", "shop"), ("type", url)];
    drill.form("/admin/policies", &set, 303).await;
    let policy = [
        ("do", "policy"),
        ("name", "read"),
        ("set", "shop"),
        ("type", url),
        ("resources", "https://shop.example:443/*"),
        ("allows", "GET"),
    ];
    drill.form("/admin/policies", &policy, 303).await;
    for (act, name) in [("remove-policy", "read"), ("remove-set", "shop")] {
        drill.form("/admin/policies", &[("do", act), ("name", name)], 303).await;
    }
}
