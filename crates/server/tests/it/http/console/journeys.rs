//! What people do at the console.

use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, administrator, person};
use crate::world::{R, World};

#[tokio::test]
async fn the_first_administrator_comes_by_a_link_that_is_good_once() {
    let world = World::new().await;
    let (link, _) = world.authority.console_first_link().await.unwrap().unwrap();
    let browser = Browser::at(&world);
    let opening = browser.get("/setup").await.expect(200);
    assert!(!opening.text.contains(link.reveal()));
    let address = format!("http://t.example/setup#{}", link.reveal());
    let page = browser.post("/setup", &[("link", &address)]).await.expect(200);
    let link = page.field("link");
    let with = |username, password, again| {
        [("link", link.clone()), ("username", username), ("password", password), ("again", again)]
            .map(|(name, value): (&str, String)| (name, value))
    };
    let send = async |fields: [(&str, String); 4]| {
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        browser.post("/setup/finish", &fields).await
    };
    let text = |text: &str| text.to_owned();
    // Nothing that is refused uses the link up.
    send(with(text("root"), text("short"), text("short"))).await.expect(422);
    send(with(text("root"), text(PASSWORD), text("another password"))).await.expect(422);
    send(with(text(" \u{202e}x"), text(PASSWORD), text(PASSWORD))).await.expect(422);
    let done = send(with(text("root"), text(PASSWORD), text(PASSWORD))).await.expect(303);
    assert_eq!(done.header("location"), "/");
    let home = browser.get("/").await.expect(200);
    assert!(home.text.contains("root") && home.text.contains("/admin"), "{}", home.text);
    let again = send(with(text("other"), text(PASSWORD), text(PASSWORD))).await.expect(410);
    assert!(again.text.contains("used before"), "{}", again.text);
    assert!(world.authority.console_first_link().await.unwrap().is_none());
    let grants = world.get(&format!("{R}/grants")).await.expect(200);
    assert_eq!(grants["items"][0]["role"], "operator", "{grants}");
    let events = world.get(&format!("{R}/events?limit=100")).await.expect(200).to_string();
    for kind in ["sign-in-link.created", "sign-in-link.used", "user.created", "session.opened"] {
        assert!(events.contains(kind), "{kind} in {events}");
    }
}

#[tokio::test]
async fn a_person_makes_a_token_and_a_reload_makes_no_other() {
    let world = World::new().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    let form = alice.get("/services/git/new").await.expect(200);
    let (mark, once) = (form.field("mark"), form.field("once"));
    let fields = [
        ("mark", mark.as_str()),
        ("once", once.as_str()),
        ("name", "laptop"),
        ("kind", "personal_access_token"),
        ("expires", "2592000"),
        ("scope", "read write"),
    ];
    let first = alice.post("/services/git/new", &fields).await.expect(200);
    let secret = first.value_of("secret");
    assert!(secret.starts_with("cflp_"), "{secret}");
    // A reload sends the form again.
    let reloaded = alice.post("/services/git/new", &fields).await.expect(200);
    assert_eq!(reloaded.value_of("secret"), secret);
    let tokens = world.get(&format!("{R}/tokens?user=alice")).await.expect(200);
    assert_eq!(tokens["items"].as_array().unwrap().len(), 1, "{tokens}");
    let token = &tokens["items"][0];
    assert_eq!(
        (token["name"].as_str(), token["created_by"].as_str()),
        (Some("laptop"), Some("user:alice"))
    );
    assert_eq!(token["scopes"], json!(["read", "write"]));
    let gate = world.verifier("gate", "git").await;
    let asked = json!({ "token": secret, "username": "alice", "scopes": ["read"] });
    let verdict = world.call(&gate, "POST", &format!("{R}/verify"), asked).await.expect(200);
    assert_eq!(verdict["active"], true, "{verdict}");
    // No other page shows it, and no other session gets it by sending the same form.
    let id = token["id"].as_str().unwrap();
    for path in ["/", &format!("/tokens/{id}"), "/account"] {
        assert!(!alice.get(path).await.expect(200).text.contains(&secret[18..]), "{path}");
    }
    let elsewhere = Browser::at(&world);
    elsewhere.sign_in("alice").await.expect(303);
    let mark = elsewhere.mark().await;
    let mut stolen = fields;
    stolen[0].1 = &mark;
    let other = elsewhere.post("/services/git/new", &stolen).await.expect(200);
    assert_ne!(other.value_of("secret"), secret);
}

#[tokio::test]
async fn a_token_is_rotated_switched_and_revoked() {
    let world = World::new().await;
    world.service("mail").await;
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    let once = alice.get("/services/mail/new").await.expect(200).field("once");
    let fields = [("once", once.as_str()), ("name", "phone"), ("kind", "service_token")];
    let made = alice.act("/services/mail/new", &fields).await.expect(200);
    let secret = made.value_of("secret");
    let id = made.text.split("/tokens/").nth(1).unwrap()[..12].to_owned();
    let gate = world.verifier("gate", "mail").await;
    let active = async |secret: &str| {
        let asked = json!({ "token": secret, "username": "alice" });
        let verdict = world.call(&gate, "POST", &format!("{R}/verify"), asked).await.expect(200);
        verdict["active"] == true
    };
    assert!(active(&secret).await);
    let home = alice.get("/").await.expect(200);
    assert!(home.text.contains("phone") && home.text.contains("Application password"));
    let path = format!("/tokens/{id}");
    alice.act(&format!("{path}/switch"), &[("act", "disable")]).await.expect(303);
    assert!(!active(&secret).await);
    assert!(alice.get(&path).await.expect(200).text.contains("switched off"));
    alice.act(&format!("{path}/switch"), &[("act", "enable")]).await.expect(303);
    assert!(active(&secret).await);
    let once = alice.get(&format!("{path}/rotate")).await.expect(200).field("once");
    let rotation = [("once", once.as_str()), ("overlap", "none")];
    let rotated = alice.act(&format!("{path}/rotate"), &rotation).await.expect(200);
    let next = rotated.value_of("secret");
    assert_ne!(next, secret);
    assert!(active(&next).await && !active(&secret).await);
    let preview = alice.get(&format!("{path}/revoke")).await.expect(200);
    assert!(preview.text.contains("for good") && active(&next).await);
    let revoked = alice.act(&format!("{path}/revoke"), &[("reason", "lost it")]).await.expect(303);
    assert_eq!(revoked.header("location"), path);
    assert!(!active(&next).await);
    let page = alice.get(&path).await.expect(200);
    assert!(page.text.contains("lost it") && page.text.contains("token.revoked"), "{}", page.text);
}

#[tokio::test]
async fn sessions_end_by_rest_by_age_and_by_hand() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let minutes = |minutes: i64| world.clock.advance_seconds(minutes * 60);
    for _ in 0..12 {
        minutes(59);
        admin.get("/account").await.expect(200);
    }
    // Used all the time, and over all the same.
    minutes(13);
    let over = admin.get("/account").await.expect(303);
    assert_eq!(over.header("location"), "/sign-in?next=%2Faccount");
    assert_eq!(admin.cookie(), None);
    admin.sign_in("root").await.expect(303);
    minutes(60);
    admin.get("/account").await.expect(303);
    admin.sign_in("root").await.expect(303);
    let laptop = Browser::at(&world);
    laptop.sign_in("root").await.expect(303);
    let phone = Browser::at(&world);
    phone.sign_in("root").await.expect(303);
    let id = phone.cookie().unwrap()["counterfoil=".len()..][..12].to_owned();
    admin.act(&format!("/account/sessions/{id}/end"), &[]).await.expect(303);
    phone.get("/").await.expect(303);
    laptop.get("/").await.expect(200);
    admin.act("/account/sessions/end-all", &[]).await.expect(303);
    laptop.get("/").await.expect(303);
    assert_eq!(admin.cookie(), None);
    // What was signed out is not good again, whoever still has it.
    admin.sign_in("root").await.expect(303);
    let held = admin.cookie();
    admin.act("/sign-out", &[]).await.expect(303);
    admin.hold(held);
    admin.get("/").await.expect(303);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let laptop = Browser::at(&world);
    laptop.sign_in("root").await.expect(303);
    let next = "four green kettles";
    let change =
        |former, password, again| [("former", former), ("password", password), ("again", again)];
    admin.act("/account/password", &change("wrong wrong wrong", next, next)).await.expect(403);
    admin.act("/account/password", &change(PASSWORD, "short", "short")).await.expect(422);
    admin.act("/account/password", &change(PASSWORD, next, "other")).await.expect(422);
    laptop.get("/").await.expect(200);
    admin.act("/account/password", &change(PASSWORD, next, next)).await.expect(200);
    laptop.get("/").await.expect(303);
    admin.get("/").await.expect(200);
    laptop.sign_in("root").await.expect(403);
    laptop.post("/sign-in", &[("username", "Root"), ("password", next)]).await.expect(303);
}

#[tokio::test]
async fn whoever_is_suspended_is_out_with_the_next_click() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    alice.get("/").await.expect(200);
    world.patch(&format!("{R}/users/alice"), json!({ "status": "suspended" })).await.expect(200);
    alice.get("/").await.expect(303);
    let refused = alice.sign_in("alice").await.expect(403);
    assert!(refused.text.contains("User name or password is wrong"));
    world.patch(&format!("{R}/users/alice"), json!({ "status": "active" })).await.expect(200);
    alice.sign_in("alice").await.expect(303);
    // And whoever loses a role has lost it here.
    let grants = world.get(&format!("{R}/grants")).await.expect(200);
    let grant = grants["items"][0]["id"].as_str().unwrap();
    admin.get("/admin").await.expect(200);
    world.delete(&format!("{R}/grants/{grant}")).await;
    admin.get("/admin").await.expect(403);
    world.delete(&format!("{R}/users/alice")).await;
    alice.get("/").await.expect(303);
}

/// By an identity provider, say: a session does not come back with the person.
#[tokio::test]
async fn whoever_comes_back_signs_in_anew() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    let idp = world.client("idp", json!({ "roles": ["realm-admin"] })).await;
    let found = "/scim/v2/Users?filter=userName%20eq%20%22alice%22";
    let found = world.call(&idp, "GET", found, Value::Null).await.expect(200);
    let path = format!("/scim/v2/Users/{}", found["Resources"][0]["id"].as_str().unwrap());
    let cookie = alice.cookie();
    alice.get("/").await.expect(200);
    for active in [false, true] {
        let operations = json!([{ "op": "replace", "path": "active", "value": active }]);
        let body = json!({ "Operations": operations });
        world.call(&idp, "PATCH", &path, body).await.expect(200);
        alice.hold(cookie.clone());
        alice.get("/").await.expect(303);
    }
    alice.sign_in("alice").await.expect(303);
    alice.get("/").await.expect(200);
}

#[tokio::test]
async fn pages_speak_the_language_of_the_reader() {
    let world = World::new().await;
    let mut browser = Browser::at(&world);
    browser.headers.push(("accept-language", "de-DE,de;q=0.9,en;q=0.5".to_owned()));
    let page = browser.get("/sign-in").await.expect(200);
    assert!(page.text.contains("<html lang=\"de\">") && page.text.contains("Benutzername"));
}

/// Style, script and icon included.
#[tokio::test]
async fn a_first_page_weighs_less_than_50_kb() {
    let world = World::new().await;
    for label in ["git", "mail", "wifi", "api", "wiki"] {
        world.service(label).await;
    }
    let admin = administrator(&world).await;
    let mut bytes = admin.get("/").await.expect(200).text.len();
    for path in ["/console/style.css", "/console/console.js", "/console/icon.svg"] {
        bytes += admin.get(path).await.expect(200).text.len();
    }
    assert!(bytes < 50_000, "{bytes}");
}
