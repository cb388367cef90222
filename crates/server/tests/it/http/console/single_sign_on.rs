//! Signing in by the word of a provider, right and wrong, and by that of a proxy.
//!
//! Length: everything that a provider can get wrong, and what it is then.

use std::sync::Arc;

use counterfoil_authority::names::RealmName;
use counterfoil_authority::single_sign_on::{Accounts, FLOW_SECONDS, RoleRule};
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_server::sign_on::ProxySettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::browser::{Browser, administrator, person};
use super::provider::Provider;
use crate::world::{R, World};

/// For how long nobody asks a provider that did not answer.
const AWAY_SECONDS: i64 = 5;

/// The reasons of refused sign-ins, the latest first.
async fn reasons(world: &World) -> Vec<String> {
    world.authority.flush_usage().await.unwrap();
    let told = world.get(&format!("{R}/events?kind=session.refused&limit=100")).await.expect(200);
    let items = told["items"].as_array().unwrap();
    // The next one is a later one.
    world.clock.advance_seconds(1);
    items.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
}

async fn roles_of(world: &World, name: &str) -> Vec<String> {
    let told = world.get(&format!("{R}/grants?limit=1000")).await.expect(200);
    let items = told["items"].as_array().unwrap().iter();
    let theirs = items.filter(|grant| grant["subject"]["user"] == name);
    let mut roles: Vec<String> = theirs
        .map(|grant| {
            let place = grant["service"].as_str().map(|label| format!(":{label}"));
            format!("{}{}", grant["role"].as_str().unwrap(), place.unwrap_or_default())
        })
        .collect();
    roles.sort();
    roles
}

#[tokio::test]
async fn somebody_new_comes_by_the_provider_and_has_the_roles_of_their_groups() {
    let roles = [("staff", "auditor"), ("git, owners", "service-manager:git"), ("x", "verifier")];
    let (provider, world) = Provider::with_world(&roles, Accounts::Create, 0).await;
    world.service("git").await;
    let browser = Browser::at(&world);
    let page = browser.get("/sign-in?next=%2Faccount").await.expect(200);
    assert!(page.text.contains("Sign in with Example &#60;SSO&#62;"), "{}", page.text);
    provider.tell(|script| script.claims = json!({ "groups": ["staff", "git, owners", "y"] }));
    let sent = provider.leave(&browser).await;
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "console"),
        ("scope", "openid profile"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "http://127.0.0.1:8780/sign-in/oidc/callback"),
        ("tenant", "a b"),
        ("prompt", ""),
    ] {
        assert_eq!(sent.get(name), value, "{name}");
    }
    for random in ["state", "nonce", "code_challenge"] {
        assert_eq!(sent.get(random).len(), 43, "{random}");
    }
    provider.admit(&world, &sent, "code-1");
    let back = browser.get(&provider.way_back(&sent, "code-1")).await.expect(303);
    assert_eq!(back.header("location"), "/account");
    assert_eq!(browser.flow(), None);
    let account = browser.get("/account").await.expect(200);
    assert!(account.text.contains("By single sign-on"), "{}", account.text);
    assert!(!account.text.contains("name=\"former\""), "no password, none to change");
    let user = world.get(&format!("{R}/users/alice")).await.expect(200);
    assert_eq!(user["display_name"], "Alice Liddell");
    assert_eq!(user["emails"], json!(["alice@example.org"]));
    assert_eq!(roles_of(&world, "alice").await, ["auditor", "service-manager:git"]);
    // A role by hand stays; one whose group is gone goes, at the next sign-in.
    let grant = json!({ "subject": { "user": "alice" }, "role": "auditor" });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    provider.tell(|script| script.claims = json!({ "groups": "x", "name": "Another" }));
    provider.visit(&world, &browser).await.expect(303);
    assert_eq!(roles_of(&world, "alice").await, ["auditor", "verifier"]);
    // Who somebody is, the subject says; the name may change there.
    provider.tell(|script| script.claims = json!({ "preferred_username": "root", "groups": [] }));
    provider.visit(&world, &browser).await.expect(303);
    assert!(browser.get("/account").await.expect(200).text.contains("alice"));
    assert_eq!(roles_of(&world, "alice").await, ["auditor"]);
    let events = world.get(&format!("{R}/events?limit=100")).await.expect(200);
    let count = |kind: &str| {
        let items = events["items"].as_array().unwrap().iter();
        items.filter(|event| event["kind"] == kind).count()
    };
    assert_eq!((count("identity.linked"), count("user.created")), (1, 1), "{events}");
    assert_eq!((count("grant.created"), count("grant.deleted")), (4, 3), "{events}");
    assert_eq!(count("session.opened"), 3, "{events}");
}

/// Names are shown to others, and stand in lists and events.
#[tokio::test]
async fn nobody_comes_in_under_the_name_of_one_of_our_tokens() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let secret = world.with_alice().await.secret;
    let browser = Browser::at(&world);
    for (claim, value) in [
        ("preferred_username", secret.clone()),
        ("preferred_username", secret.to_uppercase()),
        ("preferred_username", format!("{secret}@example.org")),
        ("sub", secret.clone()),
    ] {
        provider.tell(|script| {
            script.claims = json!({ "preferred_username": "bob" });
            script.claims[claim] = value.into();
        });
        provider.visit(&world, &browser).await.expect(403);
    }
    assert_eq!(reasons(&world).await, ["bad_name"; 4]);
    let listed = world.get(&format!("{R}/users?limit=100")).await.expect(200).to_string();
    assert!(!listed.contains(&secret.to_lowercase()), "{listed}");
    // What else is said of somebody is passed over.
    provider.tell(|script| {
        script.claims = json!({ "preferred_username": "bob", "name": format!("Bob {secret}"),
            "email": format!("{secret}@example.org") });
    });
    provider.visit(&world, &browser).await.expect(303);
    let user = world.get(&format!("{R}/users/bob")).await.expect(200);
    assert_eq!((&user["display_name"], &user["emails"]), (&Value::Null, &json!([])));
}

/// Some say little in the token and the rest on request, of the same person.
#[tokio::test]
async fn what_the_token_lacks_is_asked_for() {
    let (provider, world) =
        Provider::with_world(&[("staff", "auditor")], Accounts::Create, 0).await;
    let browser = Browser::at(&world);
    let bare = json!({ "preferred_username": null, "groups": null, "email": null });
    provider.tell(|script| {
        script.claims = bare;
        script.userinfo = json!({ "sub": "somebody-else", "preferred_username": "root" });
    });
    provider.visit(&world, &browser).await.expect(403);
    provider.tell(|script| {
        script.userinfo = json!({
            "sub": "sub-alice", "preferred_username": "alice", "groups": ["staff"],
            "email": "mallory@example.org", "email_verified": false,
        });
    });
    provider.visit(&world, &browser).await.expect(303);
    assert_eq!(roles_of(&world, "alice").await, ["auditor"]);
    let user = world.get(&format!("{R}/users/alice")).await.expect(200);
    assert_eq!(user["emails"], json!([]), "an address that nobody proved");
    assert_eq!(reasons(&world).await, ["userinfo_subject"]);
}

#[tokio::test]
async fn an_answer_that_is_not_right_signs_nobody_in() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let browser = Browser::at(&world);
    let now = crate::world::NOW_SECONDS;
    let wrong: [(Value, &str); 7] = [
        (json!({ "iss": "http://127.0.0.1:1/op" }), "id_token_issuer"),
        (json!({ "aud": "another" }), "id_token_audience"),
        (json!({ "aud": ["console", "another"] }), "id_token_audience"),
        (json!({ "exp": now - 3_600 }), "id_token_expired"),
        (json!({ "iat": now + 3_600 }), "id_token_future"),
        (json!({ "nonce": "another" }), "id_token_nonce"),
        (json!({ "preferred_username": "a\nb" }), "no_user_name"),
    ];
    for (claims, reason) in wrong {
        provider.tell(|script| script.claims = claims.clone());
        let page = provider.visit(&world, &browser).await.expect(403);
        assert!(page.text.contains("did not sign you in"), "{}", page.text);
        assert_eq!(browser.cookie(), None, "{claims}");
        assert_eq!(reasons(&world).await[0], reason, "{claims}");
    }
    provider.tell(|script| {
        script.claims = json!({});
        script.key = (2, "k1".to_owned());
    });
    provider.visit(&world, &browser).await.expect(403);
    assert_eq!(reasons(&world).await[0], "id_token_signature");
    world.get(&format!("{R}/users/alice")).await.expect(404);
}

/// Neither again, nor by another browser, nor late, nor by another provider's word.
#[tokio::test]
async fn an_answer_is_good_once_and_for_one_browser() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let (browser, other) = (Browser::at(&world), Browser::at(&world));
    let sent = provider.leave(&browser).await;
    let held = browser.flow();
    for code in ["code-1", "code-2", "code-3"] {
        provider.admit(&world, &sent, code);
    }
    let back = provider.way_back(&sent, "code-1");
    other.get(&back).await.expect(403);
    // Somebody else's answer in a browser that has begun something of its own.
    let own = provider.leave(&other).await;
    other.get(&back).await.expect(403);
    provider.admit(&world, &own, "code-own");
    other.get(&provider.way_back(&own, "code-own")).await.expect(403);
    browser.get(&back).await.expect(303);
    let session = browser.cookie();
    for code in ["code-1", "code-2"] {
        browser.hold_flow(held.clone());
        browser.get(&provider.way_back(&sent, code)).await.expect(403);
        browser.get("/sign-in/oidc/callback").await.expect(403);
    }
    assert_eq!(browser.cookie(), session, "who is signed in stays so");
    assert!(reasons(&world).await.iter().all(|reason| reason == "state"));
    // The code is the provider's to judge, its name ours.
    let sent = provider.leave(&browser).await;
    browser.get(&provider.way_back(&sent, "code-1")).await.expect(403);
    assert_eq!(reasons(&world).await[0], "code");
    for issuer in ["&iss=http%3A%2F%2F127.0.0.1%3A1%2Fop", ""] {
        let sent = provider.leave(&browser).await;
        provider.admit(&world, &sent, "code-4");
        let back = provider.way_back(&sent, "code-4");
        let back = format!("{}{issuer}", back.split("&iss=").next().unwrap());
        browser.get(&back).await.expect(403);
        assert_eq!(reasons(&world).await[0], "issuer");
    }
    let sent = provider.leave(&browser).await;
    let refused = format!("{}&error=access_denied", provider.way_back(&sent, "x"));
    browser.get(&refused).await.expect(403);
    assert_eq!(reasons(&world).await[0], "provider_refused");
    let sent = provider.leave(&browser).await;
    provider.admit(&world, &sent, "code-5");
    world.clock.advance_seconds(FLOW_SECONDS);
    browser.get(&provider.way_back(&sent, "code-5")).await.expect(403);
    assert_eq!(reasons(&world).await[0], "state");
}

#[tokio::test]
async fn a_provider_that_is_away_is_no_denial() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let browser = Browser::at(&world);
    let away = |page: super::browser::Page| {
        let page = page.expect(503);
        assert!(page.text.contains("You were not refused"), "{}", page.text);
        assert_eq!(page.header("retry-after"), "1");
    };
    provider.tell(|script| script.away = Some("configuration"));
    away(browser.post("/sign-in/oidc", &[]).await);
    for place in ["token", "keys"] {
        provider.tell(|script| script.away = None);
        world.clock.advance_seconds(AWAY_SECONDS);
        let sent = provider.leave(&browser).await;
        provider.admit(&world, &sent, "code-1");
        provider.tell(|script| script.away = Some(place));
        away(browser.get(&provider.way_back(&sent, "code-1")).await);
    }
    provider.tell(|script| script.away = None);
    world.clock.advance_seconds(AWAY_SECONDS);
    let sent = provider.leave(&browser).await;
    let back = provider.way_back(&sent, "x").replace("code=x", "error=server_error");
    away(browser.get(&back).await);
    provider.visit(&world, &browser).await.expect(303);
    assert_eq!(reasons(&world).await, Vec::<String>::new());
    // What it said of itself before is believed while it says nothing.
    world.clock.advance_seconds(2 * 3_600);
    provider.tell(|script| script.away = Some("configuration"));
    provider.visit(&world, &browser).await.expect(303);
}

/// A provider that hangs is asked once for everybody who comes, and again when a moment is over.
#[tokio::test]
async fn who_comes_while_the_provider_is_away_does_not_ask_it_again() {
    const PEOPLE: usize = 40;
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let gate = Arc::new(Semaphore::new(0));
    let shut = |away| {
        provider.tell(|script| (script.gate, script.away) = (Some(Arc::clone(&gate)), away));
    };
    let crowd = async |status: u16| {
        let mut leaving = JoinSet::new();
        for _ in 0..PEOPLE {
            let browser = Browser::at(&world);
            leaving.spawn(async move { browser.post("/sign-in/oidc", &[]).await });
        }
        while provider.configuration_asked() == 0 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(PEOPLE);
        for page in leaving.join_all().await {
            page.expect(status);
        }
        gate.forget_permits(PEOPLE);
    };
    shut(Some("configuration"));
    crowd(503).await;
    assert_eq!(provider.configuration_asked(), 1);
    // Whoever comes now is told at once, though it would answer again.
    provider.tell(|script| (script.gate, script.away) = (None, None));
    world.clock.advance_seconds(AWAY_SECONDS - 1);
    let browser = Browser::at(&world);
    let page = browser.post("/sign-in/oidc", &[]).await.expect(503);
    assert!(page.text.contains("Single sign-on is not answering"), "{}", page.text);
    assert_eq!(provider.configuration_asked(), 1);
    // And when that is over one asks for all.
    world.clock.advance_seconds(1);
    provider.tell(|script| script.configuration_asked = 0);
    shut(None);
    crowd(200).await;
    assert_eq!(provider.configuration_asked(), 1);
}

/// Nor where keys are fetched; each place for itself. Where a code is redeemed an error may be an
/// answer to what a stranger sent there, and keeps nobody else out.
#[tokio::test]
async fn a_place_that_does_not_answer_is_left_alone_for_a_moment() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let browser = Browser::at(&world);
    provider.tell(|script| script.away = Some("keys"));
    provider.visit(&world, &browser).await.expect(503);
    provider.tell(|script| script.away = None);
    let before = provider.keys_asked();
    provider.visit(&world, &browser).await.expect(503);
    assert_eq!(provider.keys_asked(), before);
    world.clock.advance_seconds(AWAY_SECONDS);
    provider.visit(&world, &browser).await.expect(303);
    provider.tell(|script| script.away = Some("token"));
    provider.visit(&world, &browser).await.expect(503);
    provider.tell(|script| script.away = None);
    provider.visit(&world, &browser).await.expect(303);
    assert_eq!(provider.configuration_asked(), 1);
}

/// What somebody has begun and left is not kept beside what they begin anew.
#[tokio::test]
async fn who_leaves_again_has_given_up_the_former_way() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let browser = Browser::at(&world);
    let comes_back = async |sent: &super::provider::Sent, flow: Option<String>, status: u16| {
        let code = format!("code-{}", sent.get("state"));
        provider.admit(&world, sent, &code);
        browser.hold_flow(flow);
        browser.get(&provider.way_back(sent, &code)).await.expect(status)
    };
    let first = provider.leave(&browser).await;
    let held = browser.flow();
    let second = provider.leave(&browser).await;
    let later = browser.flow();
    comes_back(&first, held, 403).await;
    comes_back(&second, later, 303).await;
    // A session has one, whatever its browser tells of former ones.
    let mark = browser.mark().await;
    let asks = async || {
        browser.hold_flow(None);
        let fields = [("mark", mark.as_str()), ("proof_place", "/devices")];
        let page = browser.post("/step-up/oidc", &fields).await.expect(200);
        (super::provider::Sent::by(&page), browser.flow())
    };
    let (first, held) = asks().await;
    let (second, later) = asks().await;
    comes_back(&first, held, 403).await;
    // It was not taken by whoever came with the former one.
    comes_back(&second, later, 403).await;
    let (third, held) = asks().await;
    comes_back(&third, held, 200).await;
}

#[tokio::test]
async fn new_keys_are_found_and_made_up_ones_are_not_looked_for_each_time() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let browser = Browser::at(&world);
    provider.visit(&world, &browser).await.expect(303);
    provider.visit(&world, &browser).await.expect(303);
    assert_eq!(provider.keys_asked(), 1);
    let next = (2, "k2".to_owned());
    provider.tell(|script| (script.published, script.key) = (vec![next.clone()], next));
    provider.visit(&world, &browser).await.expect(303);
    assert_eq!(provider.keys_asked(), 2);
    provider.tell(|script| script.key = (3, "k3".to_owned()));
    for _ in 0..3 {
        provider.visit(&world, &browser).await.expect(403);
    }
    assert_eq!(provider.keys_asked(), 2);
    assert_eq!(reasons(&world).await[0], "id_token_unknown_key");
    world.clock.advance_seconds(10);
    provider.visit(&world, &browser).await.expect(403);
    assert_eq!(provider.keys_asked(), 3);
}

/// Whoever chooses names at the provider does not become somebody here by that.
#[tokio::test]
async fn a_name_that_is_taken_is_given_only_where_that_is_wanted() {
    for (accounts, known, new) in
        [(Accounts::Create, 403, 303), (Accounts::Existing, 303, 403), (Accounts::Both, 303, 303)]
    {
        let (provider, world) = Provider::with_world(&[], accounts, 0).await;
        let admin = administrator(&world).await;
        person(&world, &admin, "alice").await;
        let browser = Browser::at(&world);
        let page = provider.visit(&world, &browser).await.expect(known);
        assert_eq!(page.text.contains("no way in for you"), known == 403, "{}", page.text);
        let erin = json!({ "sub": "sub-erin", "preferred_username": "erin" });
        provider.tell(|script| script.claims = erin);
        provider.visit(&world, &browser).await.expect(new);
        // One person has one subject there, whatever name another one has.
        let second = json!({ "sub": "sub-2", "preferred_username": "alice" });
        provider.tell(|script| script.claims = second);
        provider.visit(&world, &browser).await.expect(403);
        let told = reasons(&world).await;
        let reason = if accounts == Accounts::Existing { "no_person" } else { "name_taken" };
        assert!(told.iter().any(|one| one == reason), "{told:?}");
    }
}

#[tokio::test]
async fn who_does_not_count_here_does_not_come_by_the_provider_either() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, 0).await;
    let browser = Browser::at(&world);
    provider.visit(&world, &browser).await.expect(303);
    world.patch(&format!("{R}/users/alice"), json!({ "status": "suspended" })).await.expect(200);
    browser.get("/account").await.expect(303);
    provider.visit(&world, &browser).await.expect(403);
    assert_eq!(reasons(&world).await, ["owner_inactive"]);
    // A later namesake is not whom the provider means.
    world.delete(&format!("{R}/users/alice")).await;
    world.user("alice").await;
    provider.visit(&world, &browser).await.expect(403);
    assert_eq!(reasons(&world).await[0], "name_taken");
}

#[tokio::test]
async fn without_a_provider_or_a_proxy_there_is_no_such_way() {
    let world = World::new().await;
    let browser = Browser::at(&world);
    let page = browser.get("/sign-in").await.expect(200);
    assert!(!page.text.contains("/sign-in/oidc") && !page.text.contains("/sign-in/proxy"));
    for path in ["/sign-in/oidc", "/sign-in/proxy"] {
        browser.post(path, &[]).await.expect(404);
    }
    browser.get("/sign-in/oidc/callback?code=x&state=y").await.expect(404);
}

fn proxied(networks: &[&str]) -> HttpSettings {
    let proxy = ProxySettings {
        networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        user_header: "remote-user".parse().unwrap(),
        name_header: "remote-name".parse().unwrap(),
        email_header: "remote-email".parse().unwrap(),
        groups_header: "remote-groups".parse().unwrap(),
        roles: vec![RoleRule::parse("admins", "realm-admin").unwrap()],
        accounts: Accounts::Create,
        realm: RealmName::parse("main").unwrap(),
    };
    HttpSettings { console_proxy: Some(proxy), ..HttpSettings::default() }
}

#[tokio::test]
async fn the_proxy_says_who_is_there_with_every_request() {
    let world = World::with(proxied(&["127.0.0.0/8"])).await;
    let mut alice = Browser::at(&world);
    alice.get("/").await.expect(303);
    alice.headers.push(("remote-user", "Alice".to_owned()));
    alice.headers.push(("remote-name", "Alice Liddell".to_owned()));
    alice.headers.push(("remote-groups", "staff, admins".to_owned()));
    // To look at a page begins nothing.
    let page = alice.get("/sign-in").await.expect(200);
    assert!(page.text.contains("Go on as Alice"), "{}", page.text);
    alice.get("/").await.expect(303);
    alice.post("/sign-in/proxy", &[("next", "/account")]).await.expect(303);
    let account = alice.get("/account").await.expect(200);
    assert!(account.text.contains("By the proxy in front"), "{}", account.text);
    alice.get("/admin").await.expect(200);
    assert_eq!(roles_of(&world, "alice").await, ["realm-admin"]);
    let session = alice.cookie();
    // Somebody else at the same browser, or nobody, is not her.
    for (name, status) in [("bob", 303), ("", 303), ("ALICE", 200)] {
        alice.headers[1].1 = name.to_owned();
        alice.hold(session.clone());
        alice.get("/account").await.expect(status);
    }
    alice.headers[3].1 = "staff".to_owned();
    alice.post("/sign-in/proxy", &[]).await.expect(303);
    alice.get("/admin").await.expect(403);
    // Two names are none.
    alice.headers.push(("remote-user", "root".to_owned()));
    alice.get("/account").await.expect(303);
}

/// Also if it is one whose other headers are believed.
#[tokio::test]
async fn the_header_of_a_proxy_is_nothing_from_elsewhere() {
    let proxies = HttpSettings {
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..proxied(&["10.0.0.5/32"])
    };
    for settings in [proxied(&["10.0.0.5/32"]), proxies] {
        let world = World::with(settings).await;
        world.user("root").await;
        let mut mallory = Browser::at(&world);
        mallory.headers.push(("remote-user", "root".to_owned()));
        mallory.headers.push(("x-forwarded-for", "10.0.0.5".to_owned()));
        mallory.headers.push(("x-forwarded-proto", "https".to_owned()));
        mallory.headers.push(("forwarded", "for=10.0.0.5;proto=https".to_owned()));
        let page = mallory.get("/sign-in").await;
        assert!(!page.text.contains("/sign-in/proxy"), "{}", page.text);
        let page = mallory.post("/sign-in/proxy", &[]).await;
        assert!([403, 404].contains(&page.status), "{}", page.status);
        assert_eq!(mallory.cookie(), None);
    }
}

/// A store that is down is as little a denial as a provider that is.
#[tokio::test]
async fn every_step_of_the_way_answers_503_while_the_store_is_down() {
    let (provider, made) = Provider::with_world(&[("staff", "auditor")], Accounts::Create, 0).await;
    provider.tell(|script| script.claims = json!({ "groups": ["staff"] }));
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let settings = made.state.settings.clone();
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, settings).await;
    for call in 1.. {
        let cold = world.restarted().await;
        let browser = Browser::at(&cold);
        store.fail_nth(call);
        let page = browser.post("/sign-in/oidc", &[]).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            page.expect(200);
            break;
        }
        page.expect(503);
    }
    for call in 1.. {
        let cold = world.restarted().await;
        let browser = Browser::at(&cold);
        let sent = provider.leave(&browser).await;
        provider.admit(&cold, &sent, "code");
        store.fail_nth(call);
        let page = browser.get(&provider.way_back(&sent, "code")).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            page.expect(303);
            assert!(call > 4, "{calls:?}");
            break;
        }
        assert_eq!(page.status, 503, "{calls:?} {}", page.text);
        assert_eq!(browser.cookie(), None);
    }
    assert_eq!(roles_of(&world, "alice").await, ["auditor"]);
}
