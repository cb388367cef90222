//! A store that is down signs nobody out and refuses nobody.

use std::sync::{Arc, Mutex};

use counterfoil_authority::store::Store;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::json;

use super::authenticator::{Authenticator, question_of};
use super::browser::{ADMIN_PAGES, Browser, PASSWORD, Page, administrator, of_root};
use super::passkeys::{add, at_localhost, ids};
use crate::world::{R, World};

/// Calls of the store for one page at most; more would be a loop.
const CALLS_MAX: usize = 24;

/// Fails each call of a request in turn, on a server that remembers nothing.
async fn drill(
    world: &World,
    store: &FailingStore,
    cookie: Option<&String>,
    what: &str,
    ask: impl AsyncFn(&Browser) -> Page,
    status: u16,
) {
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
            return;
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
    let link = ["/admin/people", "root", "link"].join("/");
    let linked = async |browser: &Browser| browser.post(&link, &marked).await;
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
