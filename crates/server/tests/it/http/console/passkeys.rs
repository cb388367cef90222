//! Passkeys: by which people come in alone, after their password, and show anew who they are.
//!
//! Length: a way in, and everything that is no way in.

use std::sync::Arc;

use counterfoil_authority::names::RealmName;
use counterfoil_authority::passkey::{PASSKEY_CHALLENGE_SECONDS, PASSKEYS_PER_PERSON_MAX};
use counterfoil_server::http::HttpSettings;
use counterfoil_store::MemoryStore;
use serde_json::{Value, json};

use super::authenticator::{Authenticator, ORIGIN, question_of};
use super::browser::{Browser, PASSWORD, Page, administrator, of_root, person};
use crate::world::{R, World};

/// Where the server is known by a host name.
pub(super) fn at_localhost() -> HttpSettings {
    HttpSettings { public_url: ORIGIN.to_owned(), ..HttpSettings::default() }
}

async fn world() -> World {
    World::with(at_localhost()).await
}

/// A world whose people need a passkey beside their password.
async fn strict() -> World {
    let rules = |rules: &mut counterfoil_authority::authority::Settings| {
        rules.console.passkey_realms = vec![RealmName::parse("main").unwrap()];
    };
    World::ruled(Arc::new(MemoryStore::new()), rules, at_localhost()).await
}

/// Adds a passkey to whoever sits at the browser.
pub(super) async fn add(browser: &Browser, device: &mut Authenticator, name: &str) -> Page {
    let asking = browser.act("/account/passkeys", &[("name", name)]).await.expect(200);
    let made = device.makes(&question_of(&asking));
    browser.act("/account/passkeys/finish", &[("credential", &made)]).await
}

/// The answer of a device to the question of the sign-in page.
async fn answer(browser: &Browser, device: &mut Authenticator) -> String {
    let asking = browser.post("/sign-in/passkey", &[("next", "/account")]).await.expect(200);
    device.answers(&question_of(&asking))
}

async fn finish(browser: &Browser, answer: &str) -> Page {
    browser.post("/sign-in/passkey/finish", &[("credential", answer)]).await
}

/// Comes in by a passkey alone.
async fn come_in(browser: &Browser, device: &mut Authenticator) -> Page {
    let answer = answer(browser, device).await;
    finish(browser, &answer).await
}

/// Goes on from the page that a right password leads to.
async fn after_password(browser: &Browser, device: &mut Authenticator) -> Page {
    let asking = browser.sign_in("alice").await.expect(200);
    assert_eq!(browser.cookie(), None, "no session by the password alone");
    finish(browser, &device.answers(&question_of(&asking))).await
}

/// The id of a passkey, in the form that renames it.
fn id_of(page: &Page) -> String {
    let rest = page.text.split("/account/passkeys/").find(|rest| rest.contains("/rename"));
    rest.unwrap_or_else(|| panic!("no passkey in {}", page.text))[..12].to_owned()
}

pub(super) async fn ids(browser: &Browser) -> Vec<String> {
    let page = browser.get("/account").await.expect(200);
    let parts = page.text.split("action=\"/account/passkeys/");
    let ids = parts.filter_map(|rest| rest.split_once("/rename\"").map(|(id, _)| id.to_owned()));
    ids.filter(|id| id.len() == 12).collect()
}

async fn told(world: &World, kind: &str) -> Vec<Value> {
    world.authority.flush_usage().await.unwrap();
    let told = world.get(&format!("{R}/events?kind={kind}&limit=100")).await.expect(200);
    // The next one is a later one.
    world.clock.advance_seconds(1);
    told["items"].as_array().unwrap().clone()
}

/// Why people were refused, the latest first.
async fn reasons(world: &World) -> Vec<String> {
    let events = told(world, "session.refused").await;
    events.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
}

/// Alice with a passkey, at her browser.
async fn alice(world: &World) -> (Browser, Browser, Authenticator) {
    let admin = administrator(world).await;
    let browser = person(world, &admin, "alice").await;
    let mut device = Authenticator::new();
    add(&browser, &mut device, "blue key").await.expect(303);
    (admin, browser, device)
}

#[tokio::test]
async fn a_passkey_signs_its_person_in() {
    let world = world().await;
    let (_, browser, mut device) = alice(&world).await;
    let account = browser.get("/account").await.expect(200);
    assert!(account.text.contains("blue key") && account.text.contains("never used"));
    let fresh = Browser::at(&world);
    assert!(fresh.get("/sign-in").await.expect(200).text.contains("/sign-in/passkey"));
    let page = come_in(&fresh, &mut device).await.expect(303);
    assert_eq!(page.header("location"), "/account");
    assert_eq!(fresh.flow(), None);
    let account = fresh.get("/account").await.expect(200);
    assert!(account.text.contains("alice") && account.text.contains("By passkey"));
    let opened = told(&world, "session.opened").await;
    let by_passkey = |event: &&Value| event["detail"]["by"] == "passkey";
    let opened: Vec<&Value> = opened.iter().filter(by_passkey).collect();
    assert_eq!(opened.len(), 1, "{opened:#?}");
    assert_eq!(opened[0]["subject"], "user:alice");
    let added = &told(&world, "passkey.added").await[0];
    assert_eq!(added["actor"], "user:alice");
    assert_eq!(added["detail"]["passkey"], id_of(&account));
    // A device that does not count is believed.
    let mut quiet = Authenticator::new();
    quiet.count = None;
    add(&fresh, &mut quiet, "phone").await.expect(303);
    for _ in 0..2 {
        come_in(&Browser::at(&world), &mut quiet).await.expect(303);
    }
}

/// Nobody learns by it who there is, or who has a passkey.
#[tokio::test]
async fn whoever_asks_gets_the_same_question() {
    let world = world().await;
    let (_, browser, _) = alice(&world).await;
    let mut pages = Vec::new();
    for fields in [vec![], vec![("username", "alice")], vec![("username", "nobody")]] {
        let page = browser.post("/sign-in/passkey", &fields).await.expect(200);
        let challenge = question_of(&page)["challenge"].as_str().unwrap().to_owned();
        pages.push(page.text.replace(&challenge, "CHALLENGE"));
    }
    assert_eq!((&pages[0], &pages[0]), (&pages[1], &pages[2]));
    assert!(!pages[0].contains("alice"), "{}", pages[0]);
}

#[tokio::test]
async fn a_question_is_answered_once_by_the_browser_that_asked_and_in_time() {
    let world = world().await;
    let (_, _, mut device) = alice(&world).await;
    let browser = Browser::at(&world);
    let right = answer(&browser, &mut device).await;
    // Another browser, which knows the answer.
    let thief = Browser::at(&world);
    finish(&thief, &right).await.expect(403);
    answer(&thief, &mut device).await;
    finish(&thief, &right).await.expect(403);
    assert_eq!(thief.cookie(), None);
    let flow = browser.flow();
    finish(&browser, &right).await.expect(303);
    // A second time, with all that the browser held.
    let again = Browser::at(&world);
    again.hold_flow(flow);
    finish(&again, &right).await.expect(403);
    assert_eq!(again.cookie(), None);
    let late = answer(&again, &mut device).await;
    world.clock.advance_seconds(PASSKEY_CHALLENGE_SECONDS);
    finish(&again, &late).await.expect(403);
    assert_eq!(again.cookie(), None);
    let reasons = reasons(&world).await;
    assert_eq!(reasons[0], "passkey_challenge");
    assert!(reasons.iter().any(|reason| reason == "passkey_invalid"), "{reasons:?}");
    // What was asked for adding one is nothing to come in by.
    come_in(&again, &mut device).await.expect(303);
    let asking = again.act("/account/passkeys", &[("name", "x")]).await.expect(200);
    let wrong = device.answers(&question_of(&asking));
    finish(&again, &wrong).await.expect(403);
}

#[tokio::test]
async fn an_answer_that_is_not_right_lets_nobody_in() {
    let world = world().await;
    let (_, _, mut device) = alice(&world).await;
    let browser = Browser::at(&world);
    let mut pages = Vec::new();
    let mut tell = async |reason: &str, answer: String| {
        let page = finish(&browser, &answer).await.expect(403);
        assert_eq!(browser.cookie(), None, "{reason}");
        assert_eq!(reasons(&world).await[0], reason);
        pages.push(page.text);
    };
    for origin in [
        "https://localhost:8780",
        "http://localhost:8781",
        "http://localhost",
        "http://evil.example",
        "http://sub.localhost:8780",
        "http://localhost:8780.evil.example",
    ] {
        origin.clone_into(&mut device.origin);
        tell("passkey_invalid", answer(&browser, &mut device).await).await;
    }
    ORIGIN.clone_into(&mut device.origin);
    "evil.example".clone_into(&mut device.rp_id);
    tell("passkey_invalid", answer(&browser, &mut device).await).await;
    "localhost".clone_into(&mut device.rp_id);
    device.verifies = false;
    tell("passkey_invalid", answer(&browser, &mut device).await).await;
    device.verifies = true;
    // Of another key under the same name, of another person, of nobody, and of no passkey here.
    let mut other = Authenticator::new();
    other.handle.clone_from(&device.handle);
    let question = async || question_of(&browser.post("/sign-in/passkey", &[]).await.expect(200));
    let asked = question().await;
    let right: Value = serde_json::from_str(&device.answers(&asked)).unwrap();
    let mut forged: Value = serde_json::from_str(&other.answers(&asked)).unwrap();
    for name in ["id", "rawId"] {
        forged[name] = right[name].clone();
    }
    tell("passkey_invalid", forged.to_string()).await;
    for handle in [json!("AAAAAAAAAAAAAAAAAAAAAA"), Value::Null] {
        let asked = question().await;
        let mut answer: Value = serde_json::from_str(&device.answers(&asked)).unwrap();
        answer["response"]["userHandle"] = handle;
        tell("passkey_invalid", answer.to_string()).await;
    }
    tell("passkey_unknown", answer(&browser, &mut other).await).await;
    for garbage in ["", "{}", "null", "[1]", "\u{0}"] {
        answer(&browser, &mut device).await;
        tell("passkey_invalid", garbage.to_owned()).await;
    }
    for page in &pages {
        assert_eq!(page, &pages[0], "all refusals look alike");
    }
    come_in(&browser, &mut device).await.expect(303);
}

/// Somebody may have copied the device.
#[tokio::test]
async fn a_count_that_goes_back_is_refused_and_raises_an_alarm() {
    let world = world().await;
    let (_, browser, mut device) = alice(&world).await;
    let fresh = Browser::at(&world);
    come_in(&fresh, &mut device).await.expect(303);
    come_in(&fresh, &mut device).await.expect(303);
    let copy = Browser::at(&world);
    for count in [0, 1, 2] {
        device.count_again_from(count);
        come_in(&copy, &mut device).await.expect(403);
        assert_eq!(copy.cookie(), None, "{count}");
    }
    let alarms = told(&world, "passkey.clone-suspected").await;
    assert!(!alarms.is_empty());
    let id = id_of(&browser.get("/account").await);
    assert_eq!(
        (&alarms[0]["subject"], &alarms[0]["detail"]["passkey"]),
        (&json!("user:alice"), &json!(id))
    );
    assert_eq!(alarms[0]["outcome"], "refused");
    assert_eq!(reasons(&world).await[0], "passkey_counter");
    // The one that went on counting is good.
    device.count_again_from(3);
    come_in(&copy, &mut device).await.expect(303);
}

#[tokio::test]
async fn a_passkey_of_who_does_not_count_is_refused_as_one_that_nobody_knows() {
    let world = world().await;
    let (admin, browser, mut device) = alice(&world).await;
    let fresh = Browser::at(&world);
    let unknown = come_in(&fresh, &mut Authenticator::new()).await.expect(403).text;
    assert_eq!(reasons(&world).await, ["passkey_invalid"]);
    let mut refused = async |reason: &str| {
        let page = come_in(&fresh, &mut device).await.expect(403);
        assert_eq!((&page.text, fresh.cookie()), (&unknown, None), "{reason}");
        assert_eq!(reasons(&world).await[0], reason);
    };
    let alice = format!("{R}/users/alice");
    world.patch(&alice, json!({ "status": "suspended" })).await.expect(200);
    refused("owner_inactive").await;
    world.patch(&alice, json!({ "status": "active" })).await.expect(200);
    // Removed by its person; and the same person made anew has it no more.
    let fields = [("username", "alice"), ("password", PASSWORD)];
    browser.post("/sign-in", &fields).await.expect(303);
    let id = ids(&browser).await.remove(0);
    browser.act(&format!("/account/passkeys/{id}/remove"), &[]).await.expect(303);
    refused("passkey_unknown").await;
    let mut second = Authenticator::new();
    add(&browser, &mut second, "second").await.expect(303);
    world.delete(&alice).await.expect(204);
    come_in(&fresh, &mut second).await.expect(403);
    person(&world, &admin, "alice").await;
    come_in(&fresh, &mut second).await.expect(403);
    assert_eq!(reasons(&world).await[0], "passkey_unknown");
}

#[tokio::test]
async fn whoever_wants_it_is_asked_for_a_passkey_after_the_password() {
    let world = world().await;
    let admin = administrator(&world).await;
    let browser = person(&world, &admin, "alice").await;
    // There is none to ask for yet.
    browser.act("/account/passkeys/require", &[("on", "yes")]).await.expect(422);
    let mut device = Authenticator::new();
    add(&browser, &mut device, "blue key").await.expect(303);
    Browser::at(&world).sign_in("alice").await.expect(303);
    browser.act("/account/passkeys/require", &[("on", "yes")]).await.expect(303);
    let fresh = Browser::at(&world);
    after_password(&fresh, &mut device).await.expect(303);
    assert!(fresh.get("/account").await.text.contains("By password and passkey"));
    // The passkey of somebody else is none of hers, and a wrong password leads to no question.
    let mut roots = Authenticator::new();
    add(&admin, &mut roots, "red key").await.expect(303);
    let other = Browser::at(&world);
    after_password(&other, &mut roots).await.expect(403);
    assert_eq!((other.cookie(), reasons(&world).await[0].as_str()), (None, "somebody_else"));
    let wrong = [("username", "alice"), ("password", "wrong wrong wrong")];
    let page = other.post("/sign-in", &wrong).await.expect(403);
    assert!(!page.text.contains("data-question"), "{}", page.text);
    // Who changed the password meanwhile has shut that door.
    let asking = other.sign_in("alice").await.expect(200);
    let answer = device.answers(&question_of(&asking));
    let chosen = "four green kettles";
    let change = [("former", PASSWORD), ("password", chosen), ("again", chosen)];
    browser.act("/account/password", &change).await.expect(200);
    finish(&other, &answer).await.expect(403);
    // Nor does a link for a new password lead past it.
    let linked = admin.act("/admin/people/alice/link", &[]).await.expect(200).value_of("link");
    let fields = [("link", linked.as_str()), ("password", PASSWORD), ("again", PASSWORD)];
    let asking = other.post("/setup/finish", &fields).await.expect(200);
    assert_eq!(other.cookie(), None);
    finish(&other, &device.answers(&question_of(&asking))).await.expect(303);
    // By the passkey alone she comes in as before; without one nothing is asked any more.
    come_in(&browser, &mut device).await.expect(303);
    let id = ids(&browser).await.remove(0);
    browser.act(&format!("/account/passkeys/{id}/remove"), &[]).await.expect(303);
    Browser::at(&world).sign_in("alice").await.expect(303);
    assert_eq!(told(&world, "passkey.required").await.len(), 1);
}

#[tokio::test]
async fn where_everybody_needs_one_the_first_is_added_on_the_way_in() {
    let world = strict().await;
    let (link, _) = world.authority.console_first_link().await.unwrap().unwrap();
    let browser = Browser::at(&world);
    let fields = [
        ("link", link.reveal()),
        ("username", "alice"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    let asking = browser.post("/setup/finish", &fields).await.expect(200);
    assert_eq!(browser.cookie(), None, "the password alone is no way in");
    assert!(asking.text.contains("data-passkey=\"create\""), "{}", asking.text);
    let mut device = Authenticator::new();
    let made = device.makes(&question_of(&asking));
    // Somebody else who knows the password is at the same page, and is slower.
    let thief = Browser::at(&world);
    let theirs = thief.sign_in("alice").await.expect(200);
    finish(&browser, &made).await.expect(303);
    let stolen = Authenticator::new().makes(&question_of(&theirs));
    finish(&thief, &stolen).await.expect(422);
    assert_eq!(thief.cookie(), None);
    assert_eq!(ids(&browser).await.len(), 1);
    let account = browser.get("/account").await.expect(200);
    assert!(account.text.contains("First passkey") && account.text.contains("Everybody here"));
    // From then on it is asked for, and nobody may do without it.
    after_password(&thief, &mut device).await.expect(303);
    let page = browser.act("/account/passkeys/require", &[("on", "no")]).await;
    assert_eq!(page.status, 303);
    let fresh = Browser::at(&world);
    assert!(fresh.sign_in("alice").await.expect(200).text.contains("data-passkey=\"get\""));
    // An answer without a passkey in it is none.
    finish(&fresh, "").await.expect(403);
    assert_eq!(fresh.cookie(), None);
}

/// Also where nobody is asked again for anything else.
#[tokio::test]
async fn passkeys_are_added_and_removed_after_a_proof_only() {
    let world = world().await;
    let (_, browser, mut device) = alice(&world).await;
    let mut second = Authenticator::new();
    add(&browser, &mut second, "second").await.expect(303);
    let id = ids(&browser).await.remove(0);
    world.clock.advance_seconds(300);
    let removal = format!("/account/passkeys/{id}/remove");
    for (path, fields) in [
        ("/account/passkeys", vec![("name", "x")]),
        (removal.as_str(), vec![]),
        ("/account/passkeys/require", vec![("on", "yes")]),
    ] {
        let page = browser.act(path, &fields).await.expect(403);
        assert!(page.text.contains("Is it still you?"), "{}", page.text);
    }
    assert_eq!(ids(&browser).await.len(), 2);
    // Its name opens nothing.
    let rename = format!("/account/passkeys/{id}/rename");
    browser.act(&rename, &[("name", "green key")]).await.expect(303);
    assert!(browser.get("/account").await.text.contains("green key"));
    // By password, or by the passkey itself, which goes on with what was asked for.
    let proof = [("name", "third"), ("proof_password", PASSWORD)];
    browser.act("/account/passkeys", &proof).await.expect(200);
    world.clock.advance_seconds(300);
    let other = Browser::at(&world);
    come_in(&other, &mut second).await.expect(303);
    let asking = browser.act(&removal, &[("proof_place", removal.as_str())]).await.expect(403);
    assert!(asking.text.contains("formaction=\"/step-up/passkey\""), "{}", asking.text);
    let place = [("proof_place", removal.as_str())];
    let asked = browser.act("/step-up/passkey", &place).await.expect(200);
    let answer = device.answers(&question_of(&asked));
    // Not of another session, not of somebody else, and not twice.
    let flow = browser.flow();
    other.hold_flow(flow.clone());
    other.act("/step-up/passkey/finish", &[("credential", &answer)]).await.expect(403);
    browser.act("/step-up/passkey/finish", &[("credential", &answer)]).await.expect(403);
    let asked = browser.act("/step-up/passkey", &place).await.expect(200);
    let answer = device.answers(&question_of(&asked));
    let went = browser.act("/step-up/passkey/finish", &[("credential", &answer)]).await.expect(200);
    let form = format!("action=\"{removal}\" data-go-on");
    assert!(went.text.contains(&form), "{}", went.text);
    browser.act(&removal, &[]).await.expect(303);
    assert_eq!(ids(&browser).await.len(), 1);
    // Whoever came by it is out.
    other.get("/").await.expect(303);
    assert_eq!(told(&world, "session.proved").await.len(), 2);
}

/// Who knows the password of somebody who needs a passkey besides proves nothing by it.
#[tokio::test]
async fn a_password_is_no_proof_where_a_passkey_is_asked_for() {
    let world = world().await;
    let (admin, browser, mut device) = alice(&world).await;
    browser.act("/account/passkeys/require", &[("on", "yes")]).await.expect(303);
    let mut roots = Authenticator::new();
    add(&admin, &mut roots, "red key").await.expect(303);
    world.clock.advance_seconds(300);
    let asking = browser.act("/account/passkeys", &[("name", "x")]).await.expect(403);
    assert!(!asking.text.contains("proof_password"), "{}", asking.text);
    let proof = [("name", "x"), ("proof_password", PASSWORD)];
    browser.act("/account/passkeys", &proof).await.expect(403);
    assert_eq!(reasons(&world).await[0], "passkey_needed");
    let prove = async |device: &mut Authenticator, status: u16| {
        let place = [("proof_place", "/account/passkeys"), ("name", "x")];
        let asked = browser.act("/step-up/passkey", &place).await.expect(200);
        let answer = device.answers(&question_of(&asked));
        browser.act("/step-up/passkey/finish", &[("credential", &answer)]).await.expect(status)
    };
    prove(&mut roots, 403).await;
    assert_eq!(reasons(&world).await[0], "somebody_else");
    prove(&mut device, 200).await;
    browser.act("/account/passkeys", &[("name", "x")]).await.expect(200);
}

#[tokio::test]
async fn a_person_has_as_many_as_fit_on_the_page_and_each_device_once() {
    let world = world().await;
    let (admin, browser, mut device) = alice(&world).await;
    // The page names those that are there, so that a device does not make another one.
    let asking = browser.act("/account/passkeys", &[("name", "x")]).await.expect(200);
    let question = question_of(&asking);
    assert_eq!(question["excludeCredentials"].as_array().unwrap().len(), 1, "{question}");
    let made = device.makes(&question);
    browser.act("/account/passkeys/finish", &[("credential", &made)]).await.expect(422);
    // Neither is it taken for somebody else's.
    add(&admin, &mut device, "mine").await.expect(422);
    for bad in ["", " ", "a\nb", &"x".repeat(65)] {
        browser.act("/account/passkeys", &[("name", bad)]).await.expect(422);
    }
    for number in 1..PASSKEYS_PER_PERSON_MAX {
        add(&browser, &mut Authenticator::new(), &format!("key {number}")).await.expect(303);
    }
    let page = browser.act("/account/passkeys", &[("name", "one more")]).await.expect(422);
    assert!(page.text.contains("16"), "{}", page.text);
    assert_eq!(ids(&browser).await.len(), PASSKEYS_PER_PERSON_MAX);
}

#[tokio::test]
async fn an_answer_for_adding_one_is_of_this_session_and_good_once() {
    let world = world().await;
    let (admin, browser, _) = alice(&world).await;
    let mut device = Authenticator::new();
    let ask = async || browser.act("/account/passkeys", &[("name", "x")]).await.expect(200);
    let made = device.makes(&question_of(&ask().await));
    let done = "/account/passkeys/finish";
    admin.hold_flow(browser.flow());
    admin.act(done, &[("credential", &made)]).await.expect(422);
    browser.act(done, &[("credential", &made)]).await.expect(422);
    for (origin, rp_id, verifies) in [
        ("http://evil.example", "localhost", true),
        (ORIGIN, "evil.example", true),
        (ORIGIN, "localhost", false),
    ] {
        origin.clone_into(&mut device.origin);
        rp_id.clone_into(&mut device.rp_id);
        device.verifies = verifies;
        let made = device.makes(&question_of(&ask().await));
        browser.act(done, &[("credential", &made)]).await.expect(422);
    }
    (device.verifies, device.origin) = (true, ORIGIN.to_owned());
    let made = device.makes(&question_of(&ask().await));
    let flow = browser.flow();
    browser.act(done, &[("credential", &made)]).await.expect(303);
    browser.hold_flow(flow);
    browser.act(done, &[("credential", &made)]).await.expect(422);
    let late = Authenticator::new().makes(&question_of(&ask().await));
    world.clock.advance_seconds(PASSKEY_CHALLENGE_SECONDS);
    browser.act(done, &[("credential", &late)]).await.expect(422);
    assert_eq!(ids(&browser).await.len(), 2);
    assert_eq!(ids(&admin).await.len(), 0);
}

/// Browsers would offer none there.
#[tokio::test]
async fn where_the_server_has_no_host_name_a_page_says_why_there_are_none() {
    for (public_url, why) in [
        ("http://127.0.0.1:8780", "is known as http://127.0.0.1:8780"),
        ("https://192.0.2.1", "belong to a host name"),
        ("http://tokens.example.org", "over https only"),
    ] {
        let settings =
            HttpSettings { public_url: public_url.to_owned(), ..HttpSettings::default() };
        let world = World::with(settings).await;
        let admin = administrator(&world).await;
        let page = admin.act("/account/passkeys", &[("name", "x")]).await.expect(409);
        assert!(page.text.contains(why), "{}", page.text);
        let nobody = Browser::at(&world);
        assert!(!nobody.get("/sign-in").await.text.contains("/sign-in/passkey"));
        let page = nobody.post("/sign-in/passkey", &[]).await.expect(409);
        assert!(page.text.contains("server.public_url"), "{}", page.text);
        nobody.post("/sign-in/passkey/finish", &[("credential", "{}")]).await.expect(409);
    }
}

#[tokio::test]
async fn an_administrator_removes_the_passkeys_of_who_lost_them() {
    let world = world().await;
    let (admin, browser, mut device) = alice(&world).await;
    browser.act("/account/passkeys/require", &[("on", "yes")]).await.expect(303);
    let page = admin.get("/admin/people/alice").await.expect(200);
    assert!(page.text.contains("blue key"), "{}", page.text);
    admin.act("/admin/people/alice/act", &[("act", "remove-passkeys")]).await.expect(303);
    browser.get("/account").await.expect(303);
    come_in(&Browser::at(&world), &mut device).await.expect(403);
    browser.sign_in("alice").await.expect(303);
    let removed = &told(&world, "passkey.removed").await[0];
    assert_eq!(
        (&removed["actor"], &removed["subject"]),
        (&json!("user:root"), &json!("user:alice"))
    );
    assert_eq!(removed["detail"]["passkey"], "all");
    // And by the API, by who may do all that they may.
    let mut next = Authenticator::new();
    add(&browser, &mut next, "next").await.expect(303);
    let passkeys = |name: &str| format!("{R}/users/{name}/passkeys");
    world.delete(&passkeys("nobody")).await.refused(404, "not-found");
    world.delete(&passkeys("alice")).await.expect(204);
    come_in(&Browser::at(&world), &mut next).await.expect(403);
    // Nobody removes those of who may do more than they.
    let bob = person(&world, &admin, "bob").await;
    let grant = json!({ "subject": { "user": "bob" }, "role": "realm-admin" });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    add(&admin, &mut Authenticator::new(), "red key").await.expect(303);
    bob.act(&of_root("act"), &[("act", "remove-passkeys")]).await.expect(403);
    assert_eq!(ids(&admin).await.len(), 1);
    assert!(!bob.get("/admin/people/root").await.text.contains("red key"));
}

/// Whoever sits down at a session that was left open would have the account by it.
#[tokio::test]
async fn nobody_gets_round_their_own_proofs_by_what_they_may_do_to_others() {
    let world = world().await;
    let admin = administrator(&world).await;
    let mut device = Authenticator::new();
    add(&admin, &mut device, "red key").await.expect(303);
    admin.act(&of_root("act"), &[("act", "remove-passkeys")]).await.expect(422);
    admin.act(&of_root("link"), &[]).await.expect(422);
    assert_eq!(ids(&admin).await.len(), 1);
    come_in(&Browser::at(&world), &mut device).await.expect(303);
}

/// A passkey is one of its realm; a realm with a host name of its own is known by that.
#[tokio::test]
async fn a_passkey_of_one_realm_opens_no_other() {
    let other = RealmName::parse("other").unwrap();
    let settings = HttpSettings {
        realm_by_host: [("other.localhost".to_owned(), other)].into(),
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        public_url: "https://localhost".to_owned(),
        ..HttpSettings::default()
    };
    let world = World::with(settings).await;
    world.post("/api/v1/realms", json!({ "name": "other" })).await.expect(201);
    let mut here = Browser::at(&world);
    here.headers.push(("x-forwarded-proto", "https".to_owned()));
    let (link, _) = world.authority.console_first_link().await.unwrap().unwrap();
    let fields = [
        ("link", link.reveal()),
        ("username", "root"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    here.post("/setup/finish", &fields).await.expect(303);
    let mut device = Authenticator::new();
    "https://localhost".clone_into(&mut device.origin);
    add(&here, &mut device, "blue key").await.expect(303);
    let mut there = Browser::at(&world);
    there.headers.push(("x-forwarded-proto", "https".to_owned()));
    there.headers.push(("host", "other.localhost".to_owned()));
    let asking = there.post("/sign-in/passkey", &[]).await.expect(200);
    let question = question_of(&asking);
    assert_eq!(question["rpId"], "other.localhost");
    ("https://other.localhost", "other.localhost").0.clone_into(&mut device.origin);
    "other.localhost".clone_into(&mut device.rp_id);
    finish(&there, &device.answers(&question)).await.expect(403);
    assert_eq!(there.cookie(), None);
    // A question of there is none of here.
    let asking = there.post("/sign-in/passkey", &[]).await.expect(200);
    here.hold_flow(there.flow());
    "https://localhost".clone_into(&mut device.origin);
    "localhost".clone_into(&mut device.rp_id);
    finish(&here, &device.answers(&question_of(&asking))).await.expect(403);
    come_in(&here, &mut device).await.expect(303);
}
