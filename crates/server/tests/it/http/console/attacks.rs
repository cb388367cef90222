//! What somebody may try at the console, each in a test.
//!
//! Length: a list of attacks, and every page and form that they are tried at.

use std::net::IpAddr;
use std::sync::Arc;

use counterfoil_authority::single_sign_on::Accounts;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use super::authenticator::Authenticator;
use super::browser::{ADMIN_PAGES, Browser, PASSWORD, Page, administrator, of_root, person};
use super::passkeys::{add, at_localhost, ids as passkeys_of};
use super::provider::{Provider, Sent};
use crate::world::{R, World};

/// Every form that needs a session.
fn forms(token: &str) -> Vec<String> {
    let mut forms: Vec<String> = [
        "/sign-out",
        "/services/git/new",
        "/account/password",
        "/account/sessions/end-all",
        "/account/sessions/000000000000/end",
        "/account/passkeys",
        "/account/passkeys/finish",
        "/account/passkeys/require",
        "/account/passkeys/000000000000/rename",
        "/account/passkeys/000000000000/remove",
        "/step-up/passkey",
        "/step-up/passkey/finish",
        "/admin/people",
        "/admin/people/alice/link",
        "/step-up/oidc",
        "/services",
        "/services/git/membership",
        "/devices",
        "/admin/search",
        "/admin/bulk",
        "/admin/bulk/start",
        "/admin/jobs/none/cancel",
        "/admin/registration-tokens/new",
        "/admin/registration-tokens/batch",
        "/admin/services",
        "/admin/services/git",
        "/admin/services/git/policy",
        "/admin/targets",
        "/admin/targets/none/act",
        "/admin/policies",
        "/admin/policies/test",
        "/admin/clients",
        "/admin/clients/none/act",
        "/admin/realm",
    ]
    .map(str::to_owned)
    .into();
    forms.extend(["switch", "rotate", "revoke", "fit"].map(|act| format!("/tokens/{token}/{act}")));
    forms.extend(["confirm", "remove"].map(|act| format!("/devices/{token}/{act}")));
    forms.push(format!("/approvals/{token}"));
    forms.push(format!("/admin/registration-tokens/{token}/act"));
    forms.extend(["act", "new"].map(of_root));
    forms
}

/// Every page of somebody who is signed in.
fn pages(token: &str) -> Vec<String> {
    let mut pages: Vec<String> =
        ["/", "/services/git/new", "/account", "/admin", "/sign-in", "/setup"]
            .map(str::to_owned)
            .into();
    pages.extend(["/services/git", "/devices", "/approvals"].map(str::to_owned));
    pages.extend(["", "/rotate", "/revoke"].map(|act| format!("/tokens/{token}{act}")));
    pages.extend(ADMIN_PAGES.map(str::to_owned));
    pages.extend(["new", "new?service=git"].map(of_root));
    pages
}

async fn events(world: &World) -> Value {
    world.get(&format!("{R}/events?limit=1000")).await.expect(200)["items"].clone()
}

/// An administrator with a token for `git`.
async fn with_token(world: &World) -> (Browser, String) {
    world.service("git").await;
    let admin = administrator(world).await;
    let (token, _) = world.pat("root", json!({ "services": ["git"] })).await;
    (admin, token)
}

/// The pages that stand between a form and what it asks for, each by its name: where somebody is
/// asked anew who they are, sent to a provider, and goes on; and where it cannot be done just now.
/// The form is for a token of this name.
async fn pages_in_between(name: &str) -> Vec<(&'static str, Page)> {
    const AGAIN: i64 = 300;
    let (provider, made) = Provider::with_world(&[], Accounts::Create, AGAIN).await;
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let seconds = |rules: &mut counterfoil_authority::authority::Settings| {
        rules.console.step_up_seconds = AGAIN;
    };
    let settings = made.state.settings.clone();
    let world = World::ruled(Arc::clone(&store) as Arc<dyn Store>, seconds, settings).await;
    world.service("git").await;
    let browser = Browser::at(&world);
    provider.visit(&world, &browser).await.expect(303);
    world.clock.advance_seconds(AGAIN);
    let mark = browser.mark().await;
    let once = "1".repeat(32);
    let form = "/services/git/new";
    let wish = [
        ("mark", mark.as_str()),
        ("once", once.as_str()),
        ("name", name),
        (name, "service_token"),
        ("proof_place", form),
    ];
    let asking = browser.post(form, &wish).await.expect(403);
    assert!(asking.text.contains("Is it still you?"), "{}", asking.text);
    let leaving = browser.post("/step-up/oidc", &wish).await.expect(200);
    let sent = Sent::by(&leaving);
    provider.admit(&world, &sent, "code");
    let going_on = browser.get(&provider.way_back(&sent, "code")).await.expect(200);
    assert!(going_on.text.contains("data-go-on"), "{}", going_on.text);
    store.fail_nth(1);
    let not_now = browser.post(form, &wish).await.expect(503);
    store.heal();
    vec![("asking", asking), ("leaving", leaving), ("going on", going_on), ("not now", not_now)]
}

/// Where a link for a person is made.
fn link_for(person: &str) -> String {
    format!("/admin/people/{person}/link")
}

#[tokio::test]
async fn a_form_that_is_not_of_this_session_does_nothing() {
    let world = World::new().await;
    let (admin, token) = with_token(&world).await;
    let other = Browser::at(&world);
    other.sign_in("root").await.expect(303);
    let (own, foreign) = (admin.mark().await, other.mark().await);
    let before = events(&world).await;
    let once = "0".repeat(32);
    let fields = |mark: &str| {
        let fields = [
            ("mark", mark),
            ("once", once.as_str()),
            ("name", "x"),
            ("kind", "service_token"),
            ("act", "disable"),
            ("username", "mallory"),
        ];
        fields.map(|(name, value)| (name, value.to_owned()))
    };
    let same = [("sec-fetch-site", "same-origin")];
    let tries: [(&[(&str, &str)], &str); 9] = [
        (&same, ""),
        (&same, "00"),
        (&same, foreign.as_str()),
        (&[("sec-fetch-site", "cross-site")], own.as_str()),
        (&[("sec-fetch-site", "same-site")], own.as_str()),
        (&[("origin", "https://evil.example")], own.as_str()),
        (&[("origin", "null")], own.as_str()),
        (&[], ""),
        (&[("sec-fetch-site", "same-origin"), ("content-type", "text/plain")], own.as_str()),
    ];
    for path in forms(&token) {
        for (headers, mark) in &tries {
            let fields = fields(mark);
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            let page = admin.post_from(&path, headers, &fields).await;
            assert_eq!(page.status, 403, "{path} {headers:?} {mark} {}", page.text);
        }
        admin.get(&path).await;
    }
    assert_eq!(events(&world).await, before);
    admin.get("/").await.expect(200);
    // Whom nobody is signed in as is sent to where people sign in, and told nothing.
    let nobody = Browser::at(&world);
    for path in forms(&token) {
        let page = nobody.post(&path, &[("mark", &own)]).await.expect(303);
        assert_eq!(page.header("location"), "/sign-in", "{path}");
    }
}

#[tokio::test]
async fn a_sign_in_from_another_site_is_not_taken() {
    let world = World::new().await;
    administrator(&world).await;
    let browser = Browser::at(&world);
    let fields = [("username", "root"), ("password", PASSWORD)];
    let own = format!("http://{}", world.address);
    for headers in [
        vec![],
        vec![("sec-fetch-site", "cross-site")],
        vec![("origin", "http://evil.example")],
        vec![("origin", "null")],
        vec![("sec-fetch-site", "same-site"), ("origin", own.as_str())],
    ] {
        for path in [
            "/sign-in",
            "/setup",
            "/setup/finish",
            "/sign-in/oidc",
            "/sign-in/proxy",
            "/sign-in/passkey",
            "/sign-in/passkey/finish",
        ] {
            let page = browser.post_from(path, &headers, &fields).await.expect(403);
            assert_eq!(page.header("set-cookie"), "", "{path} {headers:?}");
        }
    }
    browser.post_from("/sign-in", &[("origin", own.as_str())], &fields).await.expect(303);
}

/// Nobody sits in a session whose id somebody else chose or knew before.
#[tokio::test]
async fn a_sign_in_draws_a_new_session_and_ends_the_former() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let former = admin.cookie().unwrap();
    let browser = Browser::at(&world);
    let planted = format!("counterfoil=AAAAAAAAAAAA.{}", "A".repeat(32));
    browser.hold(Some(planted.clone()));
    browser.sign_in("root").await.expect(303);
    let own = browser.cookie().unwrap();
    assert!(own != planted && own.len() == planted.len(), "{own}");
    browser.hold(Some(planted));
    browser.get("/").await.expect(303);
    // Of the same browser the former session is over, of another one it is not.
    admin.get("/").await.expect(200);
    admin.sign_in("root").await.expect(303);
    assert_ne!(admin.cookie().unwrap(), former);
    admin.hold(Some(former));
    admin.get("/").await.expect(303);
}

#[tokio::test]
async fn a_way_on_leads_to_a_page_of_ours() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    for (next, location) in [
        ("/account", "/account"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nset-cookie: a=b", "/"),
    ] {
        let escaped: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let page = admin.get(&format!("/sign-in?next={escaped}")).await.expect(303);
        assert_eq!(page.header("location"), location, "{next:?}");
        let fields = [("username", "root"), ("password", PASSWORD), ("next", next)];
        let page = admin.post("/sign-in", &fields).await.expect(303);
        assert_eq!(page.header("location"), location, "{next:?}");
    }
}

#[tokio::test]
async fn what_people_write_is_never_markup() {
    const EVIL: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'";
    let world = World::with(at_localhost()).await;
    let service = json!({
        "label": "git", "name": EVIL, "description": EVIL, "contact": EVIL,
    });
    world.post(&format!("{R}/services"), service).await.expect(201);
    let mut admin = administrator(&world).await;
    admin.headers.clear();
    admin.headers.push(("user-agent", EVIL.to_owned()));
    admin.sign_in("root").await.expect(303);
    let body = json!({ "services": ["git"], "name": EVIL, "description": EVIL });
    let (token, _) = world.pat("root", body).await;
    let user = json!({ "username": "mallory", "display_name": EVIL });
    world.post(&format!("{R}/users"), user).await.expect(201);
    let reason = [("reason", EVIL)];
    admin.act(&format!("/tokens/{token}/revoke"), &reason).await.expect(303);
    add(&admin, &mut Authenticator::new(), EVIL).await.expect(303);
    let account = admin.get("/account").await.expect(200).text;
    assert_eq!(account.matches("alert(1)").count(), 4, "the passkey and the browser: {account}");
    let mut texts = Vec::new();
    for path in pages(&token) {
        let page = admin.get(&path).await;
        // A file is taken away, and is no page of ours wherever it is opened.
        if page.header("content-disposition").is_empty() {
            texts.push(page.text);
        }
    }
    texts.push(admin.get(&format!("/admin/people?starts={}", "%3Cscript%3E")).await.text);
    let refused = [("username", EVIL), ("password", "wrong wrong wrong")];
    texts.push(admin.post("/sign-in", &refused).await.expect(403).text);
    let once = "a".repeat(32);
    let fields = [("once", once.as_str()), ("name", EVIL), ("kind", "service_token")];
    texts.push(admin.act("/services/git/new", &fields).await.expect(200).text);
    let fields = [("once", EVIL), ("name", EVIL), ("kind", EVIL)];
    texts.push(admin.act("/services/git/new", &fields).await.expect(422).text);
    for (name, page) in pages_in_between(EVIL).await {
        // What is sent on, is in there.
        assert!(name == "leaving" || page.text.contains("alert(1)"), "{name} {}", page.text);
        texts.push(page.text);
    }
    let shown = texts.iter().filter(|text| text.contains("alert(1)")).count();
    assert!(shown >= 14, "{shown}");
    for text in texts {
        for raw in ["<script>alert", "<img src=x", "\"><img src=x"] {
            assert!(!text.contains(raw), "{text}");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_no_page_is_no_link() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    for (label, url) in [("a", "javascript:alert(1)"), ("b", "https://git.example/")] {
        let service = json!({ "label": label, "url": url });
        world.post(&format!("{R}/services"), service).await;
    }
    let home = admin.get("/").await.expect(200).text;
    assert!(home.contains("href=\"https://git.example/\"") && !home.contains("javascript:"));
}

/// Nobody frames a page, nothing inline runs in one, and nothing of one is kept.
#[tokio::test]
async fn every_page_says_what_may_be_done_with_it() {
    let world = World::with(at_localhost()).await;
    let (admin, token) = with_token(&world).await;
    let nobody = Browser::at(&world);
    let once = "b".repeat(32);
    world.post(&format!("{R}/users"), json!({ "username": "dave" })).await.expect(201);
    let mut seen = vec![
        nobody.get("/").await.expect(303),
        nobody.get("/sign-in").await.expect(200),
        nobody.post("/sign-in/passkey", &[]).await.expect(200),
        nobody.post("/sign-in/passkey/finish", &[]).await.expect(403),
        admin.act("/account/passkeys", &[("name", "key")]).await.expect(200),
        admin.act("/account/passkeys/finish", &[]).await.expect(422),
        admin.act("/step-up/passkey", &[]).await.expect(200),
        admin.act("/step-up/passkey/finish", &[]).await.expect(403),
        admin.act("/account/password", &[]).await.expect(403),
        admin
            .act("/services/git/new", &[("once", &once), ("name", "x"), ("kind", "service_token")])
            .await
            .expect(200),
        admin.get("/tokens/nothing").await.expect(404),
        admin.act(&link_for("dave"), &[]).await.expect(200),
    ];
    for path in pages(&token) {
        seen.push(admin.get(&path).await);
    }
    for (name, page) in pages_in_between("laptop").await {
        assert!(page.status < 400 || [403, 503].contains(&page.status), "{name}");
        seen.push(page);
    }
    for page in &seen {
        let policy = page.header("content-security-policy");
        for wanted in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(wanted), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        for inline in [" style=", "<style", " onclick=", "<script>", "javascript:"] {
            assert!(!page.text.contains(inline), "{inline} in {}", page.text);
        }
    }
    let cookie = nobody.sign_in("root").await.expect(303);
    let cookie = cookie.header("set-cookie");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_are_answered_alike() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    // Somebody without a password, and somebody who does not count.
    world.user("nobody").await;
    person(&world, &admin, "gone").await;
    world.patch(&format!("{R}/users/gone"), json!({ "status": "expired" })).await.expect(200);
    let browser = Browser::at(&world);
    let mut answers = Vec::new();
    for (name, password) in [
        ("root", "wrong wrong wrong"),
        ("unheard-of", "wrong wrong wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("gone", "wrong wrong wrong"),
        ("not a name\u{202e}", PASSWORD),
        ("root", ""),
    ] {
        let page = browser.post("/sign-in", &[("username", name), ("password", password)]).await;
        let mut headers: Vec<String> = page.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        // What can be no name is not shown again, which everybody knows before they ask.
        let again = if name.ends_with('\u{202e}') { "" } else { name };
        assert_eq!(page.value_of("username"), again);
        let field = |value: &str| format!("name=\"username\" value=\"{value}\"");
        answers.push((page.status, page.text.replace(&field(again), &field("NAME")), headers));
    }
    assert_eq!(answers[0].0, 403);
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    // Why it was, those know who may read the events; a name that nobody has is not among them.
    world.authority.flush_usage().await.unwrap();
    let told = world.get(&format!("{R}/events?kind=session.refused&limit=100")).await.expect(200);
    let reasons: Vec<&str> =
        told["items"].as_array().unwrap().iter().filter_map(|e| e["reason"].as_str()).collect();
    for reason in ["unknown", "wrong_password", "owner_inactive"] {
        assert!(reasons.contains(&reason), "{reasons:?}");
    }
    assert!(!told.to_string().contains("unheard-of"), "{told}");
}

/// Whoever guesses waits longer and longer, and the right password is taken all the same.
#[tokio::test]
async fn guesses_are_slowed_down_and_nobody_is_locked_out() {
    let world = World::throttling().await;
    administrator(&world).await;
    let browser = Browser::at(&world);
    let here: IpAddr = "127.0.0.1".parse().unwrap();
    let delay = |name| world.authority.refusal_delay(Some(here), Some(name), Some("the console"));
    for _ in 0..12 {
        let fields = [("username", "ROOT"), ("password", "wrong wrong wrong")];
        browser.post("/sign-in", &fields).await.expect(403);
    }
    assert!(!delay("root").is_zero());
    assert!(delay("somebody-else").is_zero());
    browser.sign_in("root").await.expect(303);
}

#[tokio::test]
async fn a_get_changes_nothing() {
    let world = World::new().await;
    let (admin, token) = with_token(&world).await;
    let state = async || {
        let tokens = world.get(&format!("{R}/tokens?limit=1000")).await.expect(200);
        let users = world.get(&format!("{R}/users?limit=1000")).await.expect(200);
        (events(&world).await, tokens, users)
    };
    let before = state().await;
    for path in pages(&token).into_iter().chain(forms(&token)) {
        let page = admin.get(&path).await;
        assert!([200, 303, 405].contains(&page.status), "{path} {}", page.status);
    }
    assert_eq!(state().await, before);
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_there() {
    let world = World::with(at_localhost()).await;
    let (admin, token) = with_token(&world).await;
    let bob = person(&world, &admin, "bob").await;
    for path in ["", "/rotate", "/revoke"] {
        let theirs = bob.get(&format!("/tokens/{token}{path}")).await.expect(404);
        let none = bob.get(&format!("/tokens/000000000000{path}")).await.expect(404);
        assert_eq!(theirs.text, none.text);
    }
    // Nor is their passkey renamed or removed; the answer is that for one that nobody has.
    add(&admin, &mut Authenticator::new(), "red key").await.expect(303);
    let key = passkeys_of(&admin).await.remove(0);
    for act in ["rename", "remove"] {
        let fields = [("name", "mine now")];
        let theirs = bob.act(&format!("/account/passkeys/{key}/{act}"), &fields).await.expect(404);
        let none = bob.act(&format!("/account/passkeys/000000000000/{act}"), &fields).await;
        assert_eq!(theirs.text, none.expect(404).text);
    }
    bob.act(&of_root("act"), &[("act", "remove-passkeys")]).await.expect(403);
    assert_eq!(passkeys_of(&admin).await, [key]);
    assert!(admin.get("/account").await.expect(200).text.contains("red key"));
    let once = "c".repeat(32);
    bob.get(&format!("/devices/{token}")).await.expect(404);
    bob.get("/approvals").await.expect(403);
    for act in ["approve", "deny"] {
        bob.act(&format!("/approvals/{token}"), &[("act", act)]).await.expect(404);
    }
    bob.act(&format!("/devices/{token}/remove"), &[]).await.expect(404);
    bob.act(&format!("/devices/{token}/confirm"), &[("code", "000000")]).await.expect(404);
    bob.act("/services", &[("name", "mine")]).await.expect(403);
    for (act, fields) in [
        ("switch", vec![("act", "disable")]),
        ("rotate", vec![("once", once.as_str())]),
        ("revoke", vec![]),
        ("fit", vec![("digest", "0")]),
    ] {
        bob.act(&format!("/tokens/{token}/{act}"), &fields).await.expect(404);
    }
    bob.get("/admin").await.expect(403);
    bob.act("/admin/people", &[("username", "eve")]).await.expect(403);
    bob.act(&link_for("root"), &[]).await.expect(403);
    assert!(!bob.get("/").await.expect(200).text.contains("/admin"));
    // A session of somebody else is not ended, and not told of either.
    let id = admin.cookie().unwrap()["counterfoil=".len()..][..12].to_owned();
    bob.act(&format!("/account/sessions/{id}/end"), &[]).await.expect(303);
    admin.get("/").await.expect(200);
}

/// Whoever makes a link for somebody could become them.
#[tokio::test]
async fn a_link_is_made_for_those_below_only() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let unit = world.post(&format!("{R}/units"), json!({ "name": "lab" })).await.expect(201);
    let unit = unit["id"].as_str().unwrap();
    let carol = person(&world, &admin, "carol").await;
    let grant = json!({ "subject": { "user": "carol" }, "role": "unit-admin", "unit": unit });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    for (name, status) in [("dave", 200), ("chief", 403)] {
        let user = json!({ "username": name, "unit": unit });
        world.post(&format!("{R}/users"), user).await.expect(201);
        if status == 403 {
            let grant = json!({ "subject": { "user": name }, "role": "realm-admin" });
            world.post(&format!("{R}/grants"), grant).await.expect(201);
        }
        carol.act(&format!("/admin/people/{name}/link"), &[]).await.expect(status);
    }
    carol.act(&link_for("root"), &[]).await.expect(404);
    carol.act("/admin/people/none/link", &[]).await.expect(404);
}

/// What a browser holds is no token, and no door takes it for one.
#[tokio::test]
async fn a_session_opens_no_other_door() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let session = admin.cookie().unwrap()["counterfoil=".len()..].to_owned();
    world.call(&session, "GET", "/api/v1/self", Value::Null).await.refused(401, "unauthenticated");
    let cookie = admin.cookie().unwrap();
    let headers = [("cookie", cookie.as_str())];
    world.send("GET", &format!("{R}/users"), &headers, None).await.problem(401);
    // And a token is no session.
    let (_, secret) = world.pat("root", json!({ "services": ["counterfoil"] })).await;
    admin.hold(Some(format!("counterfoil={secret}")));
    admin.get("/").await.expect(303);
}

#[tokio::test]
async fn nobody_signs_in_over_a_network_in_clear() {
    let world = World::new().await;
    administrator(&world).await;
    for (name, value) in [
        ("host", "tokens.example.org"),
        ("host", "localhost.evil.example"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=192.0.2.1"),
    ] {
        let mut browser = Browser::at(&world);
        browser.headers.push((name, value.to_owned()));
        for path in ["/", "/sign-in", "/setup"] {
            let page = browser.get(path).await.expect(403);
            assert!(page.text.contains("plain HTTP"), "{name} {}", page.text);
        }
        let page = browser.sign_in("root").await.expect(403);
        assert_eq!(page.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn behind_a_proxy_with_tls_the_cookie_is_of_this_host_alone() {
    let settings = HttpSettings {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        public_url: "https://tokens.example.org".to_owned(),
        ..HttpSettings::default()
    };
    let world = World::with(settings).await;
    let (link, _) = world.authority.console_first_link().await.unwrap().unwrap();
    let mut browser = Browser::at(&world);
    browser.headers.push(("x-forwarded-for", "192.0.2.1".to_owned()));
    browser.get("/sign-in").await.expect(403);
    browser.headers.push(("x-forwarded-proto", "https".to_owned()));
    let fields = [
        ("link", link.reveal()),
        ("username", "root"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    let origin = [("origin", "https://tokens.example.org")];
    let page = browser.post_from("/setup/finish", &origin, &fields).await.expect(303);
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-counterfoil=") && cookie.ends_with("; Secure"), "{cookie}");
    let account = browser.get("/account").await.expect(200);
    assert!(account.text.contains("192.0.2.1"), "{}", account.text);
}

#[tokio::test]
async fn a_console_that_is_off_is_not_there() {
    let settings = HttpSettings { console: false, ..HttpSettings::default() };
    let world = World::with(settings).await;
    let browser = Browser::at(&world);
    for path in ["/", "/sign-in", "/setup", "/admin", "/console/style.css"] {
        browser.get(path).await.expect(404);
    }
}

/// Whoever mistypes the password need not type the name again; a secret in its place is no name.
#[tokio::test]
async fn what_was_typed_for_a_name_is_shown_again_if_it_is_one() {
    let world = World::new().await;
    administrator(&world).await;
    let browser = Browser::at(&world);
    let key = world.operator_key.clone();
    let basic = data_encoding::BASE64.encode(format!("machine:{key}").as_bytes());
    let hex = "0f".repeat(32);
    let (lower, within) = (key.to_lowercase(), format!("alice\r\nAuthorization: Basic {basic}"));
    for (typed, shown) in [
        ("Alice@example.org", true),
        (&key, false),
        (&lower, false),
        (&basic, false),
        (&hex, false),
        (&within, false),
    ] {
        let fields = [("username", typed), ("password", "wrong")];
        let again = browser.post("/sign-in", &fields).await.expect(403);
        assert_eq!(again.value_of("username"), if shown { typed } else { "" });
        assert!(!again.text.contains(&basic) && !again.text.contains(&key), "{typed}");
    }
}
