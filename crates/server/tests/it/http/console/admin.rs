//! The pages of administrators: what they show, what they do, and to whom.

use serde_json::{Value, json};

use super::attacks::ADMIN_PAGES;
use super::browser::{Browser, Page, administrator, person};
use crate::world::{R, World};

/// Forms are sent with a nonce of their own.
fn once(letter: char) -> String {
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

async fn unit(world: &World, name: &str) -> String {
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

async fn token(world: &World, id: &str) -> Value {
    world.get(&format!("{R}/tokens/{id}")).await.expect(200)
}

/// What stands in the one code element or field of a page that holds a secret.
fn secret_of(page: &Page) -> String {
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
    let drawn = world.call(secret, "POST", "/api/v1/enrol", draw).await;
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
        ("/admin/people/root/new", 404, 404, 403),
        ("/admin/tokens", 200, 200, 200),
        ("/admin/jobs", 403, 403, 200),
        ("/admin/registration-tokens", 200, 200, 200),
        ("/admin/registration-tokens/new", 200, 403, 403),
        ("/admin/registration-tokens/batch", 200, 403, 403),
        ("/admin/services", 403, 200, 200),
        ("/admin/services/git", 403, 200, 200),
        ("/admin/targets", 403, 403, 403),
        ("/admin/repositories", 403, 403, 200),
        ("/admin/policies", 403, 403, 200),
        ("/admin/clients", 403, 403, 403),
        ("/admin/audit", 403, 403, 200),
        ("/admin/audit/export", 403, 403, 200),
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
            vec![("act", "revoke-child"), ("child", theirs.as_str())],
            404,
        ),
        ("/admin/people/sven/act".to_owned(), vec![("act", "suspend")], 404),
        ("/admin/people/sven/act".to_owned(), vec![("act", "lock")], 404),
        ("/admin/people/sven/act".to_owned(), vec![("act", "end-sessions")], 404),
        ("/admin/people/root/act".to_owned(), vec![("act", "end-sessions")], 404),
        ("/admin/people/sven/link".to_owned(), vec![], 404),
        (
            "/admin/registration-tokens/new".to_owned(),
            vec![("once", &once('a')), ("name", "x"), ("unit", &shop), ("count", "1")],
            403,
        ),
        ("/admin/services/git".to_owned(), vec![("do", "lock")], 403),
        ("/admin/services/git/policy".to_owned(), vec![("do", "save")], 403),
        ("/admin/realm".to_owned(), vec![("do", "save-policy")], 403),
        ("/admin/clients".to_owned(), vec![("once", &once('b')), ("name", "mine")], 403),
        ("/admin/clients/admin/act".to_owned(), vec![("act", "delete")], 403),
        ("/admin/targets/x/act".to_owned(), vec![("act", "repair")], 403),
        (
            "/admin/policies/test".to_owned(),
            vec![("user", "root"), ("resource", "https://x/"), ("action", "GET")],
            403,
        ),
    ] {
        let page = carol.act(&path, &fields).await;
        assert_eq!(page.status, status, "{path} {fields:?} {}", page.text);
    }
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
    let open = json!({ "label": "git", "token_policy": { "show_to_issuer": true } });
    world.post(&format!("{R}/services"), open).await.expect(201);
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

#[tokio::test]
async fn many_tokens_are_changed_after_a_look_at_which() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    world.user("alice").await;
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(world.pat("alice", json!({ "services": ["git"], "name": name })).await.0);
    }
    let list = admin.get("/admin/tokens?user=alice").await.expect(200).text;
    assert!(list.contains("three") && list.contains(&format!("value=\"{}\"", ids[0])), "{list}");
    let none = admin.get("/admin/tokens?user=alice&state=locked").await.expect(200).text;
    assert!(none.contains("No token matches") && none.contains("All tokens"), "{none}");
    admin.get("/admin/tokens?state=odd").await.expect(422);
    let ticked =
        [("act", "lock"), ("which", "ticked"), ("id", ids[0].as_str()), ("id", ids[1].as_str())];
    let preview = admin.act("/admin/bulk", &ticked).await.expect(200).text;
    assert!(preview.contains("2 tokens would change") && !preview.contains(">three<"), "{preview}");
    assert_eq!(token(&world, &ids[0]).await["state"], "active");
    let started = admin.act("/admin/bulk/start", &ticked).await.expect(303);
    let job = started.header("location").to_owned();
    let running = admin.get(&job).await.expect(200).text;
    assert!(running.contains("http-equiv=\"refresh\"") && running.contains("0 / 2"), "{running}");
    while world.authority.work_jobs().await.unwrap() {}
    let done = admin.get(&job).await.expect(200).text;
    assert!(done.contains("2 / 2") && !done.contains("http-equiv=\"refresh\""), "{done}");
    assert_eq!(token(&world, &ids[1]).await["state"], "locked");
    assert!(admin.get("/admin/jobs").await.expect(200).text.contains(&job));
    // All that match, over all pages; and whatever names nothing is refused.
    let all = [("act", "revoke"), ("which", "all"), ("user", "alice"), ("reason", "left")];
    let preview = admin.act("/admin/bulk", &all).await.expect(200).text;
    assert!(preview.contains("3 tokens would change"), "{preview}");
    admin.act("/admin/bulk", &[("act", "revoke"), ("which", "all")]).await.expect(422);
    let started = admin.act("/admin/bulk/start", &all).await.expect(303);
    let job = started.header("location").to_owned();
    admin.act(&format!("{job}/cancel"), &[]).await.expect(303);
    assert!(admin.get(&job).await.expect(200).text.contains("stopped by somebody"));
    let nothing = admin.act("/admin/bulk", &[("act", "lock"), ("which", "ticked")]).await;
    assert_eq!(nothing.status, 422, "{}", nothing.text);
}

#[tokio::test]
async fn registration_tokens_are_minted_one_by_one_and_from_a_sheet() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    unit(&world, "lab").await;
    let form = admin.get("/admin/registration-tokens/new").await.expect(200);
    let nonce = form.field("once");
    let fields = [("once", nonce.as_str()), ("name", "lobby"), ("count", "5"), ("days", "30")];
    let path = "/admin/registration-tokens/new";
    let shown = admin.act(path, &fields).await.expect(200);
    let again = admin.act(path, &fields).await.expect(200);
    assert_eq!(secret_of(&again), secret_of(&shown));
    for (name, value) in [("count", "0"), ("count", "many"), ("days", "-1"), ("name", "")] {
        let mut bad = fields.to_vec();
        bad[0].1 = "dddddddddddddddddddddddddddddddd";
        bad.retain(|(own, _)| *own != name);
        bad.push((name, value));
        admin.act(path, &bad).await.expect(422);
    }
    let batch = "/admin/registration-tokens/batch";
    let rows = "name,unit,count\n\"Gate, north\",lab,5\n=cmd,,2\nbad,nowhere,3\n";
    let sheet = [("once", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"), ("rows", rows)];
    let shown = admin.act(batch, &sheet).await.expect(200);
    assert!(shown.text.contains("Gate, north") && shown.text.contains(": 1<"), "{}", shown.text);
    // The sheet holds the same secrets, and asking for it makes no further token.
    let mut wanted = sheet.to_vec();
    wanted.push(("as", "sheet"));
    let file = admin.act(batch, &wanted).await.expect(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert!(file.header("content-disposition").contains("attachment"));
    assert_eq!(file.header("cache-control"), "no-store");
    let lines: Vec<&str> = file.text.lines().collect();
    assert_eq!(lines.len(), 4, "{}", file.text);
    assert!(lines[2].starts_with("'=cmd"), "no formula: {}", lines[2]);
    let secret = lines[1].rsplit(',').nth(1).unwrap();
    assert!(secret.len() > 20 && shown.text.contains(secret), "{secret}");
    let held = world.get(&format!("{R}/tokens?kind=registration_token")).await.expect(200);
    assert_eq!(held["items"].as_array().unwrap().len(), 3, "{held}");
    let list = admin.get("/admin/registration-tokens").await.expect(200).text;
    assert!(list.contains("0 / 5") && list.contains("<rect"), "{list}");
    for rows in ["", "name\n", &"x\n".repeat(201)] {
        let sheet = [("once", "ffffffffffffffffffffffffffffffff"), ("rows", rows)];
        admin.act(batch, &sheet).await.expect(422);
    }
}

#[tokio::test]
async fn a_stricter_policy_says_whom_it_hits_before_it_holds() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let made = [("label", "git"), ("name", "Git"), ("description", "code")];
    let page = admin.act("/admin/services", &made).await.expect(303);
    assert_eq!(page.header("location"), "/admin/services/git");
    admin.act("/admin/services", &[("label", "Not A Label")]).await.expect(422);
    world.user("alice").await;
    world.pat("alice", json!({ "services": ["git"], "name": "laptop" })).await;
    let before = world.get(&format!("{R}/services/git")).await.expect(200);
    let policy = "/admin/services/git/policy";
    let look = [("do", "preview"), ("max_lifetime_seconds", "1d")];
    for path in [policy, "/admin/realm"] {
        let preview = admin.act(path, &look).await.expect(200).text;
        assert!(preview.contains("1 token more would be blocked"), "{path} {preview}");
        assert!(preview.contains("laptop") && preview.contains("lives too long"), "{preview}");
    }
    let harmless = [("do", "preview"), ("max_lifetime_seconds", "3650d")];
    let preview = admin.act(policy, &harmless).await.expect(200).text;
    assert!(preview.contains("0 tokens more would be blocked"), "{preview}");
    let after = world.get(&format!("{R}/services/git")).await.expect(200);
    assert_eq!(after, before, "a look changes nothing");
    let save = [("do", "save"), ("max_lifetime_seconds", "1d"), ("approval", "yes")];
    admin.act(policy, &save).await.expect(303);
    let after = world.get(&format!("{R}/services/git")).await.expect(200);
    assert_eq!(after["token_policy"]["max_lifetime_seconds"], 86_400, "{after}");
    assert_eq!(after["token_policy"]["approval"], true, "{after}");
    let page = admin.get("/admin/services/git").await.expect(200).text;
    assert!(page.contains("is refused already") && page.contains("value=\"1d\""), "{page}");
    // Somebody else was quicker.
    let late = [("do", "save"), ("version", "1"), ("max_lifetime_seconds", "2d")];
    admin.act(policy, &late).await.expect(412);
    admin.act(policy, &[("do", "save"), ("max_lifetime_seconds", "soon")]).await.expect(422);
    let edit = [
        ("do", "save"),
        ("name", "Code"),
        ("visibility", "realm"),
        ("status", "active"),
        ("contact", "git@example.org"),
    ];
    admin.act("/admin/services/git", &edit).await.expect(303);
    let after = world.get(&format!("{R}/services/git")).await.expect(200);
    assert_eq!((&after["name"], &after["contact"]), (&json!("Code"), &json!("git@example.org")));
    admin.act("/admin/services/git", &[("do", "lock")]).await.expect(303);
    assert!(admin.get("/admin/services").await.text.contains("locked"));
}

#[tokio::test]
async fn the_realm_is_set_and_its_policy_saved() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let edit = [("do", "save"), ("display_name", "Example"), ("zone", "Europe/Berlin")];
    admin.act("/admin/realm", &edit).await.expect(303);
    let policy = [("do", "save-policy"), ("max_active_per_user", "7"), ("at_limit", "refuse")];
    admin.act("/admin/realm", &policy).await.expect(303);
    let realm = world.get(R).await.expect(200);
    assert_eq!(realm["zone"], "Europe/Berlin", "{realm}");
    assert_eq!(realm["token_policy"]["max_active_per_user"], 7, "{realm}");
    admin.act("/admin/realm", &[("do", "save"), ("zone", "Nowhere")]).await.expect(422);
}

#[tokio::test]
async fn a_client_is_made_with_a_key_that_is_shown_once() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let nonce = admin.get("/admin/clients").await.expect(200).field("once");
    let fields =
        [("once", nonce.as_str()), ("name", "gate"), ("role", "verifier"), ("services", "git")];
    let shown = admin.act("/admin/clients", &fields).await.expect(200);
    let key = secret_of(&shown);
    assert_eq!(secret_of(&admin.act("/admin/clients", &fields).await.expect(200)), key);
    let body = json!({ "token": "cflp_nothing" });
    world.call(&key, "POST", &format!("{R}/verify"), body).await.expect(200);
    let page = admin.get("/admin/clients/gate").await.expect(200);
    assert!(page.text.contains("Verifies") || page.text.contains("verifier"), "{}", page.text);
    assert!(!page.text.contains(&key));
    admin.act("/admin/clients/gate/act", &[("act", "disable")]).await.expect(303);
    let held = world.get(&format!("{R}/clients/gate")).await.expect(200);
    assert_eq!(held["enabled"], false, "{held}");
    admin.act("/admin/clients/gate/act", &[("act", "delete")]).await.expect(303);
    admin.get("/admin/clients/gate").await.expect(404);
    admin.act("/admin/clients", &[("once", &once('9')), ("name", "not ok!")]).await.expect(422);
}

#[tokio::test]
async fn the_audit_is_filtered_and_taken_away() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    world.pat("root", json!({ "services": ["git"] })).await;
    let page = admin.get("/admin/audit?kind=token.issued").await.expect(200).text;
    assert!(page.contains("<code>token.issued</code>"), "{page}");
    assert!(!page.contains("<code>service.created</code>"), "{page}");
    let none = admin.get("/admin/audit?from=2099-01-01").await.expect(200).text;
    assert!(none.contains("Nothing of that sort"), "{none}");
    for bad in ["kind=nothing", "outcome=odd", "from=soon", "token=x"] {
        admin.get(&format!("/admin/audit?{bad}")).await.expect(422);
    }
    let lines = admin.get("/admin/audit/export?form=jsonl&kind=token.issued").await.expect(200);
    assert!(lines.header("content-type").starts_with("application/jsonl"));
    for line in lines.text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["kind"], "token.issued");
    }
    let sheet = admin.get("/admin/audit/export?form=csv").await.expect(200);
    assert!(sheet.text.starts_with("at,kind,outcome,actor"), "{}", sheet.text);
    assert!(sheet.text.lines().count() > 3 && sheet.text.contains("service.created"));
}

#[tokio::test]
async fn a_decision_is_explained_step_by_step() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let page = admin.get("/admin/policies").await.expect(200).text;
    assert!(page.contains("PATValidator"), "{page}");
    let fields = [
        ("user", "root"),
        ("set", "PATValidator"),
        ("resource", "pat://root"),
        ("action", "verify"),
    ];
    let said = admin.act("/admin/policies/test", &fields).await.expect(200).text;
    assert!(said.contains("is not allowed") && said.contains("decision"), "{said}");
    for (name, value) in [("user", "no body"), ("set", "none"), ("token", "x"), ("address", "x")] {
        let mut bad = fields.to_vec();
        bad.retain(|(own, _)| *own != name);
        bad.push((name, value));
        let page = admin.act("/admin/policies/test", &bad).await;
        assert!([404, 422].contains(&page.status), "{name} {}", page.text);
    }
}

#[tokio::test]
async fn what_failed_on_its_way_to_a_target_is_tried_again() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let empty = admin.get("/admin/targets").await.expect(200).text;
    assert!(empty.contains("There is no target"), "{empty}");
    let target = json!({
        "name": "hook", "kind": "webhook", "secret": "0123456789abcdef0123456789abcdef",
        "config": { "url": "https://hook.example.org/" },
    });
    world.post(&format!("{R}/targets"), target).await.expect(201);
    world.service("git").await;
    let page = admin.get("/admin/targets/hook").await.expect(200).text;
    assert!(page.contains("Try again what failed") && !page.contains("Compare"), "{page}");
    assert!(admin.get("/admin").await.text.contains("/admin/targets/hook"));
    admin.act("/admin/targets/hook/act", &[("act", "retry")]).await.expect(303);
    admin.act("/admin/targets/hook/act", &[("act", "compare")]).await.expect(422);
    admin.act("/admin/targets/hook/act", &[("act", "odd")]).await.expect(422);
    admin.act("/admin/targets/none/act", &[("act", "retry")]).await.expect(404);
    admin.get("/admin/targets/none").await.expect(404);
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
