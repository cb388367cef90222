//! The pages of administrators: what they show, what they do, and to whom.

use counterfoil_authority::event::Origin;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::verdict::Door;
use serde_json::{Value, json};

use super::browser::{ADMIN_PAGES, Browser, Page, administrator, of_root, person};
use crate::world::{R, World};

/// Forms are sent with a nonce of their own.
pub(super) fn once(letter: char) -> String {
    letter.to_string().repeat(32)
}

/// Gives somebody a role.
async fn grant(world: &World, user: &str, role: &str, reach: Value) {
    let mut body = json!({ "subject": { "user": user }, "role": role });
    for (name, value) in reach.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.post(&format!("{R}/grants"), body).await.expect(201);
}

pub(super) async fn unit(world: &World, name: &str) -> String {
    let unit = world.post(&format!("{R}/units"), json!({ "name": name })).await.expect(201);
    unit["id"].as_str().unwrap().to_owned()
}

async fn registration(world: &World, name: &str, unit: &str, count: u64) -> String {
    let body = json!({
        "kind": "registration_token", "name": name, "unit": unit, "count": count,
        "delivery": "response",
    });
    let issued = world.post(&format!("{R}/tokens"), body).await.expect(201);
    issued["token"]["id"].as_str().unwrap().to_owned()
}

pub(super) async fn token(world: &World, id: &str) -> Value {
    world.get(&format!("{R}/tokens/{id}")).await.expect(200)
}

/// What stands in the one code element or field of a page that holds a secret.
pub(super) fn secret_of(page: &Page) -> String {
    page.value_of("secret")
}

#[tokio::test]
async fn the_dashboard_counts_what_somebody_administers() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let empty = admin.get("/admin").await.expect(200).text;
    assert!(empty.contains("is nearly used up") || empty.contains("None."), "{empty}");
    world.with_alice().await;
    let (lab, shop) = (unit(&world, "lab").await, unit(&world, "shop").await);
    registration(&world, "lobby", &lab, 5).await;
    registration(&world, "till", &shop, 7).await;
    let carol = person(&world, &admin, "carol").await;
    grant(&world, "carol", "unit-admin", json!({ "unit": lab })).await;
    let dave = person(&world, &admin, "dave").await;
    grant(&world, "dave", "auditor", json!({})).await;
    let erin = person(&world, &admin, "erin").await;
    grant(&world, "erin", "service-manager", json!({ "service": "git" })).await;
    let bob = person(&world, &admin, "bob").await;
    let whole = admin.get("/admin").await.expect(200).text;
    for shown in ["2 active", "Personal access token", "Refusals of the last 24 hours", "<svg"] {
        assert!(whole.contains(shown), "{shown} {whole}");
    }
    let audited = dave.get("/admin").await.expect(200).text;
    assert!(audited.contains("2 active") && audited.contains("Refusals of the last"), "{audited}");
    // One unit: its registration token, no token of others, and no refusal.
    let own = carol.get("/admin").await.expect(200).text;
    assert!(own.contains("1 active") && !own.contains("2 active"), "{own}");
    assert!(!own.contains("Personal access token") && !own.contains("Refusals"), "{own}");
    assert!(!own.contains("per second"), "{own}");
    let services = erin.get("/admin").await.expect(200).text;
    assert!(services.contains("You look after services"), "{services}");
    bob.get("/admin").await.expect(403);
}

/// Nobody waits for a large count: the page says that it is under way, and has it later.
#[tokio::test]
async fn a_realm_with_much_in_it_is_counted_beside_the_requests() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let realm = RealmName::parse("main").unwrap();
    let (now, origin) = (world.authority.now(), Origin::system(Door::Api));
    let event = || {
        let event = world.authority.event("verify.refused", &realm, &origin, now).unwrap();
        event.refused().with_reason("expired")
    };
    let events = (0..2_500).map(|_| event()).collect();
    world.authority.store().event_append(events).await.unwrap();
    assert!(!world.authority.take_census().await.unwrap(), "nobody has looked yet");
    let first = admin.get("/admin").await.expect(200).text;
    assert!(first.contains("being counted for the first time"), "{first}");
    while world.authority.take_census().await.unwrap() {}
    let later = admin.get("/admin").await.expect(200).text;
    assert!(later.contains("2500 refusals") && later.contains("Counted: just now"), "{later}");
    assert!(later.contains("verify.refused: expired"), "{later}");
}

#[tokio::test]
async fn a_registration_token_that_is_nearly_used_up_stands_on_the_dashboard() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let lab = unit(&world, "lab").await;
    let id = registration(&world, "lobby", &lab, 1).await;
    assert!(admin.get("/admin").await.text.contains("None. A registration token stands here"));
    let rotated = world.post(&format!("{R}/tokens/{id}/rotate"), json!({})).await.expect(200);
    let secret = rotated["secret"].as_str().unwrap();
    let draw = json!({ "subject": "door-1", "hostname": "door-1" });
    let drawn = world.call(secret, "POST", &format!("{R}/enrol"), draw).await;
    assert!(drawn.status == 201 || drawn.status == 200, "{} {}", drawn.status, drawn.text);
    let page = admin.get("/admin").await.expect(200).text;
    assert!(
        page.contains("1 / 1") && page.contains(&format!("registration-tokens/{id}")),
        "{page}"
    );
    let shown = admin.get(&format!("/admin/registration-tokens/{id}")).await.expect(200).text;
    assert!(shown.contains("door-1") && shown.contains("1 / 1"), "{shown}");
}

#[tokio::test]
async fn every_page_is_there_for_its_roles_and_for_nobody_else() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let lab = unit(&world, "lab").await;
    let mut browsers = Vec::new();
    for (name, role, reach) in [
        ("chief", "realm-admin", json!({})),
        ("carol", "unit-admin", json!({ "unit": lab })),
        ("erin", "service-manager", json!({ "service": "git" })),
        ("dave", "auditor", json!({})),
    ] {
        let browser = person(&world, &admin, name).await;
        grant(&world, name, role, reach).await;
        browsers.push(browser);
    }
    let bob = person(&world, &admin, "bob").await;
    for path in ADMIN_PAGES.iter().chain(&["/admin"]) {
        let page = admin.get(path).await.expect(200);
        assert!(page.text.len() < 30_000, "{path}: {}", page.text.len());
        browsers[0].get(path).await.expect(200);
        bob.get(path).await.expect(403);
    }
    let [_, carol, erin, dave] = browsers.as_slice() else { panic!() };
    // Who administers a unit, looks after a service, or audits.
    for (path, unit_admin, manager, auditor) in [
        ("/admin/search", 200, 200, 200),
        ("/admin/people", 200, 200, 200),
        ("/admin/people/root", 404, 404, 200),
        (&*of_root("new"), 404, 404, 403),
        ("/admin/tokens", 200, 200, 200),
        ("/admin/jobs", 403, 403, 200),
        ("/admin/registration-tokens", 200, 200, 200),
        ("/admin/registration-tokens/new", 200, 403, 403),
        ("/admin/registration-tokens/batch", 200, 403, 403),
        ("/admin/services", 403, 200, 200),
        ("/admin/services/git", 403, 200, 200),
        ("/admin/targets", 403, 403, 403),
        ("/admin/targets/new", 403, 403, 403),
        ("/admin/repositories", 403, 403, 200),
        ("/admin/policies", 403, 403, 200),
        ("/admin/clients", 403, 403, 403),
        ("/admin/audit", 403, 403, 200),
        ("/admin/audit/export", 403, 403, 200),
        ("/admin/audit/proof?event=none", 403, 403, 404),
        ("/admin/realm", 403, 403, 403),
    ] {
        for (browser, status) in [(carol, unit_admin), (erin, manager), (dave, auditor)] {
            let page = browser.get(path).await;
            assert_eq!(page.status, status, "{path} {}", page.text);
        }
    }
    // An auditor sees, and finds nothing to press but the search and filters.
    for path in ["/admin/tokens", "/admin/people/root", "/admin/services/git"] {
        let page = dave.get(path).await.expect(200).text;
        let acts = page.matches("method=\"post\"").count();
        assert_eq!(acts, 1, "only signing out: {path} {page}");
    }
}

/// Sends the forms of what lies in another unit, and of what belongs to the realm.
async fn tries_what_is_outside(carol: &Browser, [own, other]: [&str; 2], shop: &str, theirs: &str) {
    let (first, second) = (once('a'), once('b'));
    for (path, fields, status) in [
        (format!("/admin/registration-tokens/{other}/act"), vec![("act", "revoke")], 404),
        (format!("/admin/registration-tokens/{other}/act"), vec![("act", "revoke-all")], 404),
        (
            format!("/admin/registration-tokens/{other}/act"),
            vec![("act", "return"), ("number", "1")],
            404,
        ),
        // A token of somebody else does not become a device of one's own.
        (
            format!("/admin/registration-tokens/{own}/act"),
            vec![("act", "revoke-child"), ("child", theirs)],
            404,
        ),
        ("/admin/people/sven/act".to_owned(), vec![("act", "suspend")], 404),
        ("/admin/people/sven/act".to_owned(), vec![("act", "lock")], 404),
        ("/admin/people/sven/act".to_owned(), vec![("act", "end-sessions")], 404),
        (of_root("act"), vec![("act", "end-sessions")], 404),
        ("/admin/people/sven/link".to_owned(), vec![], 404),
        (
            "/admin/registration-tokens/new".to_owned(),
            vec![("once", &*first), ("name", "x"), ("unit", shop), ("count", "1")],
            403,
        ),
        ("/admin/services/git".to_owned(), vec![("do", "lock")], 403),
        ("/admin/services/git/policy".to_owned(), vec![("do", "save")], 403),
        ("/admin/realm".to_owned(), vec![("do", "save-policy")], 403),
        ("/admin/clients".to_owned(), vec![("once", &*second), ("name", "mine")], 403),
        ("/admin/clients/admin/act".to_owned(), vec![("act", "delete")], 403),
        ("/admin/targets/x/act".to_owned(), vec![("act", "repair")], 403),
        ("/admin/targets".to_owned(), vec![("kind", "mail"), ("name", "x")], 403),
        ("/admin/policies".to_owned(), vec![("do", "set"), ("name", "x")], 403),
        (
            "/admin/policies/test".to_owned(),
            vec![("user", "root"), ("resource", "https://x/"), ("action", "GET")],
            403,
        ),
    ] {
        let page = carol.act(&path, &fields).await;
        assert_eq!(page.status, status, "{path} {fields:?} {}", page.text);
    }
}

/// By its address somebody may ask for whatever they can spell.
#[tokio::test]
async fn who_administers_a_unit_does_nothing_outside_of_it() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let (lab, shop) = (unit(&world, "lab").await, unit(&world, "shop").await);
    let carol = person(&world, &admin, "carol").await;
    grant(&world, "carol", "unit-admin", json!({ "unit": lab })).await;
    for (name, of) in [("dora", &lab), ("sven", &shop)] {
        let user = json!({ "username": name, "unit": of });
        world.post(&format!("{R}/users"), user).await.expect(201);
    }
    let own = registration(&world, "lobby", &lab, 5).await;
    let other = registration(&world, "till", &shop, 5).await;
    let (theirs, _) = world.pat("sven", json!({ "services": ["git"] })).await;
    let list = carol.get("/admin/registration-tokens").await.expect(200).text;
    assert!(list.contains("lobby") && !list.contains("till"), "{list}");
    for path in [
        format!("/admin/registration-tokens?unit={shop}"),
        format!("/admin/tokens?unit={shop}"),
        format!("/admin/registration-tokens/{other}"),
        "/admin/people/sven".to_owned(),
        "/admin/people/sven/new?service=git".to_owned(),
        format!("/tokens/{theirs}"),
    ] {
        let page = carol.get(&path).await;
        assert_eq!(page.status, 404, "{path} {}", page.text);
        assert!(!page.text.contains("till"), "{path}");
    }
    let people = carol.get(&format!("/admin/people?unit={shop}")).await.expect(403).text;
    assert!(!people.contains("sven"), "{people}");
    let tokens = carol.get("/admin/tokens").await.expect(200).text;
    assert!(!tokens.contains(&theirs) && tokens.contains("lobby"), "{tokens}");
    tries_what_is_outside(&carol, [&own, &other], &shop, &theirs).await;
    // A job leaves what is not theirs as it is.
    let fields = [("act", "revoke"), ("which", "ticked"), ("id", theirs.as_str())];
    let preview = carol.act("/admin/bulk", &fields).await.expect(200).text;
    assert!(preview.contains("0 tokens would change") && !preview.contains("sven"), "{preview}");
    carol.act("/admin/bulk/start", &fields).await.expect(303);
    while world.authority.work_jobs().await.unwrap() {}
    for id in [&other, &theirs] {
        assert_eq!(token(&world, id).await["state"], "active");
    }
    // What is found by an id is within reach, or is not found.
    let found = carol.act("/admin/search", &[("what", &theirs)]).await.expect(200).text;
    assert!(found.contains("Nothing within your reach"), "{found}");
    let found = carol.act("/admin/search", &[("what", "sven")]).await.expect(200).text;
    assert!(found.contains("Nothing within your reach"), "{found}");
    // In their unit they do all of it.
    let act = format!("/admin/registration-tokens/{own}/act");
    carol.act(&act, &[("act", "disable")]).await.expect(303);
    carol.act("/admin/people/dora/act", &[("act", "suspend")]).await.expect(303);
    assert_eq!(token(&world, &own).await["state"], "disabled");
    let invited = [("username", "olaf"), ("unit", lab.as_str())];
    carol.act("/admin/people", &invited).await.expect(200);
    carol.act("/admin/people", &[("username", "nils"), ("unit", &shop)]).await.expect(403);
}

/// A search takes what may be a secret, so it tells nobody, not even who typed it.
#[tokio::test]
async fn a_search_finds_by_whatever_there_is_and_keeps_nothing() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let more = json!({ "services": ["git"], "name": "backup", "labels": { "team": "web" } });
    let (id, secret) = world.pat("root", more).await;
    let unit = unit(&world, "lab").await;
    world.client("gate", json!({ "roles": ["verifier"], "services": ["git"] })).await;
    let find = async |what: &str| admin.act("/admin/search", &[("what", what)]).await.expect(200);
    let link = format!("href=\"/tokens/{id}\"");
    for what in [id.as_str(), &secret, &secret[..24], "backup", "team=web", &format!(" {id} ")] {
        let page = find(what).await;
        assert!(page.text.contains(&link), "{what} {}", page.text);
    }
    for (what, link) in [
        ("ROO", "/admin/people/root"),
        ("git", "/admin/services/git"),
        ("lab", &format!("unit={unit}")),
        ("gate", "/admin/clients/gate"),
    ] {
        assert!(find(what).await.text.contains(link), "{what}");
    }
    for what in [&secret[..24], &secret, "nothing-of-that-sort", ""] {
        let page = find(what).await;
        assert!(what.is_empty() || !page.text.contains(what), "{}", page.text);
    }
    let events = world.get(&format!("{R}/events?limit=1000")).await.expect(200).to_string();
    assert!(!events.contains(&secret[20..]), "{events}");
    assert!(find("nothing-of-that-sort").await.text.contains("Nothing within your reach"));
}

#[tokio::test]
async fn a_person_is_locked_suspended_and_signed_out_on_their_page() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let alice = person(&world, &admin, "alice").await;
    world.pat("alice", json!({ "services": ["git"], "name": "laptop" })).await;
    let page = admin.get("/admin/people/alice").await.expect(200).text;
    for shown in ["laptop", "Testbrowser/1", "If they leave"] {
        assert!(page.contains(shown), "{shown} {page}");
    }
    let act = async |fields: &[(&str, &str)]| {
        admin.act("/admin/people/alice/act", fields).await.expect(303);
        world.get(&format!("{R}/users/alice")).await.expect(200)
    };
    act(&[("act", "end-sessions")]).await;
    alice.get("/").await.expect(303);
    let locked = act(&[("act", "lock"), ("service", "git"), ("reason", "lost laptop")]).await;
    assert!(locked.to_string().contains("git"), "{locked}");
    assert!(admin.get("/admin/people/alice").await.text.contains("Locked at"));
    act(&[("act", "unlock"), ("service", "git")]).await;
    let suspended = act(&[("act", "suspend")]).await;
    assert_eq!(suspended["status"], "suspended");
    assert_eq!(act(&[("act", "activate")]).await["status"], "active");
    admin.act("/admin/people/alice/act", &[("act", "explode")]).await.expect(422);
    admin.act("/admin/people/nobody/act", &[("act", "suspend")]).await.expect(404);
    let few = admin.get("/admin/people?status=suspended").await.expect(200).text;
    assert!(few.contains("Nobody is called that"), "{few}");
}

#[tokio::test]
async fn a_token_is_issued_for_somebody_else_by_a_link_or_by_hand() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.user("alice").await;
    let open = json!({ "token_policy": { "show_to_issuer": true } });
    world.patch(R, open).await.expect(200);
    world.service("git").await;
    let first = admin.get("/admin/people/alice/new").await.expect(200).text;
    assert!(first.contains("For which service?"), "{first}");
    let form = admin.get("/admin/people/alice/new?service=git").await.expect(200);
    let nonce = form.field("once");
    let fields = |once: &'static str, delivery: &'static str| {
        vec![
            ("once", once),
            ("service", "git"),
            ("name", "printer"),
            ("kind", "personal_access_token"),
            ("expires", ""),
            ("delivery", delivery),
        ]
    };
    let mut by_link = fields("", "link");
    by_link[0].1 = &nonce;
    let shown = admin.act("/admin/people/alice/new", &by_link).await.expect(200);
    assert!(secret_of(&shown).contains("/open#"), "{}", secret_of(&shown));
    // A second click gives the same link and no second token.
    let again = admin.act("/admin/people/alice/new", &by_link).await.expect(200);
    assert_eq!(secret_of(&again), secret_of(&shown));
    let by_hand = fields("cccccccccccccccccccccccccccccccc", "response");
    let shown = admin.act("/admin/people/alice/new", &by_hand).await.expect(200);
    let gate = world.verifier("gate", "git").await;
    let body = json!({ "token": secret_of(&shown) });
    let verified = world.call(&gate, "POST", &format!("{R}/verify"), body).await.expect(200);
    assert_eq!(verified["active"], true, "{verified}");
    let held = world.get(&format!("{R}/tokens?user=alice")).await.expect(200);
    assert!(held["items"].as_array().unwrap().len() <= 2, "{held}");
}

/// Every row of a table says what each of its cells is, for a phone and for a screen reader.
#[tokio::test]
async fn every_page_has_its_way_back_and_tables_their_names() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    world.pat("root", json!({ "services": ["git"] })).await;
    for path in ADMIN_PAGES.iter().filter(|path| !path.contains("export")) {
        let page = admin.get(path).await.expect(200).text;
        assert!(page.contains("class=\"second\"") && page.contains("class=\"trail\""), "{path}");
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
        let (tables, captions) =
            (page.matches("<table>").count(), page.matches("<caption>").count());
        assert_eq!(tables, captions, "{path}");
        let mut ids: Vec<&str> =
            page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let number = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), number, "an id is given once: {path}");
        for id in page.split(" for=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(ids.contains(&id), "{path}: a label of nothing, {id}");
        }
    }
}

/// A browser of nobody is sent to where people sign in, and comes back to where it wanted.
#[tokio::test]
async fn nobody_is_sent_to_sign_in_first() {
    let world = World::new().await;
    administrator(&world).await;
    let nobody = Browser::at(&world);
    for path in ADMIN_PAGES {
        let page = nobody.get(path).await.expect(303);
        assert!(page.header("location").starts_with("/sign-in"), "{path}");
    }
}
