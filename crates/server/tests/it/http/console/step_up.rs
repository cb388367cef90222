//! Proving anew who one is before something is made or ended: nothing of what was asked for is lost.

use std::sync::Arc;

use counterfoil_authority::single_sign_on::Accounts;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::MemoryStore;
use serde_json::json;

use super::browser::{Browser, PASSWORD, administrator};
use super::provider::{Provider, Sent};
use crate::world::{R, World};

/// After how long somebody is asked again in these tests, in seconds.
const AGAIN: i64 = 300;

/// A world with a service, and its administrator, who proved who they are a while ago.
async fn a_while_ago() -> (World, Browser) {
    let rules = |rules: &mut counterfoil_authority::authority::Settings| {
        rules.console.step_up_seconds = AGAIN;
    };
    let store = Arc::new(MemoryStore::new());
    let world = World::ruled(store, rules, HttpSettings::default()).await;
    world.service("git").await;
    let admin = administrator(&world).await;
    world.clock.advance_seconds(AGAIN);
    (world, admin)
}

async fn tokens(world: &World) -> Vec<serde_json::Value> {
    let told = world.get(&format!("{R}/tokens?limit=100&service=git")).await.expect(200);
    told["items"].as_array().unwrap().clone()
}

/// The fields of the page that asks again, as a browser sends them.
fn fields_of(page: &super::browser::Page) -> Vec<(String, String)> {
    let inputs = page.text.split("<input type=\"hidden\" name=\"").skip(1);
    let mut pairs: Vec<(String, String)> = inputs
        .map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"").unwrap();
            let value = rest.split_once('"').unwrap().0;
            (
                name.to_owned(),
                value.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&"),
            )
        })
        .collect();
    // The button for signing out stands in front.
    pairs.remove(0);
    pairs
}

#[tokio::test]
async fn whoever_is_asked_again_goes_on_with_what_they_had_asked_for() {
    let (world, admin) = a_while_ago().await;
    // Looking is free, and so is what makes nothing.
    let once = admin.get("/services/git/new").await.expect(200).field("once");
    let wish = [
        ("once", once.as_str()),
        ("name", "laptop & <phone>"),
        ("kind", "personal_access_token"),
        ("scope", "read"),
        ("scope", "write"),
    ];
    let asking = admin.act("/services/git/new", &wish).await.expect(403);
    assert!(asking.text.contains("Is it still you?"), "{}", asking.text);
    assert!(asking.text.contains("action=\"/services/git/new\""), "{}", asking.text);
    assert!(tokens(&world).await.is_empty());
    let kept = fields_of(&asking);
    let proving = |password: &'static str| {
        let kept = kept.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        kept.chain([("proof_password", password)]).collect::<Vec<_>>()
    };
    let wrong = admin.post("/services/git/new", &proving("wrong wrong wrong")).await.expect(403);
    assert!(wrong.text.contains("The password is wrong"), "{}", wrong.text);
    assert_eq!(fields_of(&wrong), kept, "still nothing is lost");
    assert!(!wrong.text.contains("wrong wrong wrong"), "but what was typed is not shown");
    assert!(tokens(&world).await.is_empty());
    let shown = admin.post("/services/git/new", &proving(PASSWORD)).await.expect(200);
    let secret = shown.value_of("secret");
    let made = tokens(&world).await;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["name"], "laptop & <phone>");
    assert_eq!(made[0]["scopes"], json!(["read", "write"]));
    // A reload is the same form, and for a while nobody is asked again.
    let again = admin.post("/services/git/new", &proving(PASSWORD)).await.expect(200);
    assert_eq!(again.value_of("secret"), secret);
    let path = format!("/tokens/{}", made[0]["id"].as_str().unwrap());
    world.clock.advance_seconds(AGAIN - 1);
    let once = admin.get(&format!("{path}/rotate")).await.expect(200).field("once");
    admin.act(&format!("{path}/rotate"), &[("once", &once)]).await.expect(200);
    world.clock.advance_seconds(1);
    admin.act(&format!("{path}/rotate"), &[("once", &once)]).await.expect(403);
    admin.act(&format!("{path}/revoke"), &[("reason", "lost")]).await.expect(403);
    admin.act("/admin/people", &[("username", "bob")]).await.expect(403);
    world.get(&format!("{R}/users/bob")).await.expect(404);
    let proof = [("reason", "lost"), ("proof_password", PASSWORD)];
    admin.act(&format!("{path}/revoke"), &proof).await.expect(303);
    let events = world.get(&format!("{R}/events?kind=session.proved")).await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 2, "{events}");
}

/// Signing in anew is a proof, too; and a proof of one session is none of another.
#[tokio::test]
async fn a_proof_is_of_one_session() {
    let (world, admin) = a_while_ago().await;
    let fresh = Browser::at(&world);
    fresh.sign_in("root").await.expect(303);
    let once = "a".repeat(32);
    let wish = [("once", once.as_str()), ("name", "x"), ("kind", "service_token")];
    fresh.act("/services/git/new", &wish).await.expect(200);
    admin.act("/services/git/new", &wish).await.expect(403);
    // Guesses here wait and are recorded as those at the door.
    world.authority.flush_usage().await.unwrap();
    let proof = [&wish[..], &[("proof_password", "wrong wrong wrong")]].concat();
    admin.act("/services/git/new", &proof).await.expect(403);
    world.authority.flush_usage().await.unwrap();
    let told = world.get(&format!("{R}/events?kind=session.refused")).await.expect(200);
    assert_eq!(told["items"][0]["reason"], "wrong_password", "{told}");
}

#[tokio::test]
async fn who_came_by_the_provider_is_asked_again_there() {
    let (provider, world) = Provider::with_world(&[], Accounts::Create, AGAIN).await;
    world.service("git").await;
    let browser = Browser::at(&world);
    // They proved there who they are long before they came here.
    let long_ago = crate::world::NOW_SECONDS - AGAIN;
    provider.tell(|script| script.claims = json!({ "auth_time": long_ago }));
    provider.visit(&world, &browser).await.expect(303);
    let once = "b".repeat(32);
    let wish = [("once", once.as_str()), ("name", "laptop"), ("kind", "service_token")];
    let asking = browser.act("/services/git/new", &wish).await.expect(403);
    assert!(!asking.text.contains("proof_password"), "there is no password: {}", asking.text);
    let kept = fields_of(&asking);
    let kept: Vec<(&str, &str)> =
        kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let leave = async || Sent::by(&browser.post("/step-up/oidc", &kept).await.expect(200));
    // The same proof again is none, and that of somebody else neither.
    for claims in [
        json!({ "auth_time": long_ago }),
        json!({ "auth_time": null }),
        json!({ "sub": "sub-erin", "preferred_username": "erin" }),
    ] {
        provider.tell(|script| script.claims = claims.clone());
        let sent = leave().await;
        assert_eq!((sent.get("prompt"), sent.get("max_age")), ("login", "300"));
        provider.admit(&world, &sent, "code-1");
        browser.get(&provider.way_back(&sent, "code-1")).await.expect(403);
        browser.act("/services/git/new", &wish).await.expect(403);
    }
    provider.tell(|script| script.claims = json!({}));
    let sent = leave().await;
    provider.admit(&world, &sent, "code-2");
    let back = browser.get(&provider.way_back(&sent, "code-2")).await.expect(200);
    assert!(back.text.contains("action=\"/services/git/new\" data-go-on"), "{}", back.text);
    let kept = fields_of(&back);
    let kept: Vec<(&str, &str)> =
        kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post("/services/git/new", &kept).await.expect(200);
    assert_eq!(tokens(&world).await[0]["name"], "laptop");
    // Somebody who signed out meanwhile goes on with nothing.
    let other = Browser::at(&world);
    provider.visit(&world, &other).await.expect(303);
    world.clock.advance_seconds(AGAIN);
    let sent = leave().await;
    provider.admit(&world, &sent, "code-3");
    browser.hold(other.cookie());
    let page = browser.get(&provider.way_back(&sent, "code-3")).await.expect(303);
    assert_eq!(page.header("location"), "/sign-in");
}
