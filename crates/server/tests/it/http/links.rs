//! One-time links: the JSON endpoint and the page.

use serde_json::{Value, json};

use crate::world::{Answer, R, World};

/// Issues a token for alice that a link delivers; the token's id and what stands behind the `#`.
async fn issue(world: &World) -> (String, String) {
    let body = json!({ "kind": "service_token", "user": "alice", "service": "git",
        "name": "phone", "delivery": "link" });
    let issued = world.post(&format!("{R}/tokens"), body).await.expect(201);
    assert_eq!(issued.get("secret"), None, "{issued}");
    assert_eq!(issued["link_expires_at"], "2026-11-22T12:00:00Z");
    assert_eq!(issued["token"]["secrets"], json!([]));
    let link = issued["link"].as_str().unwrap();
    let fragment = link.strip_prefix("http://127.0.0.1:8780/open#").unwrap();
    assert!(fragment.starts_with("cflb_"), "{link}");
    (issued["token"]["id"].as_str().unwrap().to_owned(), fragment.to_owned())
}

async fn open(world: &World, link: &str) -> Answer {
    let body = json!({ "link": link }).to_string().into_bytes();
    let headers = [("content-type", "application/json")];
    world.send("POST", "/api/v1/links/open", &headers, Some(body)).await
}

async fn is_good(world: &World, gate: &str, secret: &str) -> bool {
    let asked = world.call(gate, "POST", &format!("{R}/verify"), json!({ "token": secret })).await;
    asked.expect(200)["active"] == true
}

#[tokio::test]
async fn a_link_is_opened_once_and_the_second_opening_is_an_alarm() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let (id, link) = issue(&world).await;
    let opened = open(&world, &format!("https://elsewhere/open#{link}")).await.expect(200);
    assert_eq!(opened["token"]["id"], json!(id));
    assert!(is_good(&world, &alice.gate, opened["secret"].as_str().unwrap()).await);
    open(&world, &link).await.refused(410, "link-ended");
    world.authority.flush_usage().await.unwrap();
    let events = world.get(&format!("{R}/tokens/{id}/events?outcome=refused")).await.expect(200);
    assert_eq!(events["items"][0]["kind"], "link.reopened", "{events}");
    assert_eq!(events["items"][0]["source"], "127.0.0.1");
}

#[tokio::test]
async fn of_sixty_four_who_open_a_link_one_gets_the_secret() {
    let world = World::new().await;
    world.with_alice().await;
    let (_, link) = issue(&world).await;
    let (world, link) = (std::sync::Arc::new(world), std::sync::Arc::new(link));
    let racers = (0..64).map(|_| {
        let (world, link) = (world.clone(), link.clone());
        tokio::spawn(async move { open(&world, &link).await.status })
    });
    let mut statuses = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        statuses.push(racer.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[410_u16; 63][..]));
}

#[tokio::test]
async fn the_bearer_of_a_link_can_do_nothing_but_open_it() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let (_, link) = issue(&world).await;
    for path in ["/api/v1/self", &format!("{R}/tokens"), &format!("{R}/users")] {
        let refused = world.call(&link, "GET", path, Value::Null).await;
        refused.refused(401, "unauthenticated");
    }
    assert_eq!(world.call(&link, "GET", "/authz/git", Value::Null).await.status, 401);
    assert!(!is_good(&world, &alice.gate, &link).await);
    let found = json!({ "credentials": [link] }).to_string().into_bytes();
    let headers = [("content-type", "application/json")];
    world.send("POST", "/api/v1/credentials/revoke", &headers, Some(found)).await.expect(202);
    open(&world, &link).await.expect(200);
}

#[tokio::test]
async fn what_is_no_link_is_not_found_and_what_has_ended_is_gone() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    for text in ["", "x", "cflb_x", alice.secret.as_str()] {
        open(&world, text).await.refused(404, "not-found");
    }
    let (id, link) = issue(&world).await;
    world.post(&format!("{R}/tokens/{id}/revoke"), json!({})).await.expect(200);
    open(&world, &link).await.refused(410, "link-ended");
    let (_, late) = issue(&world).await;
    world.clock.advance_seconds(86_400);
    open(&world, &late).await.refused(410, "link-ended");
}

#[tokio::test]
async fn a_repeated_issue_answers_the_same_link() {
    let world = World::new().await;
    world.with_alice().await;
    let body = json!({ "kind": "registration_token", "count": 1, "delivery": "link" });
    let ask = || {
        let headers = [("idempotency-key", "once")];
        let (path, body) = (format!("{R}/tokens"), body.clone());
        let world = &world;
        async move { world.call_with(&world.operator_key, "POST", &path, &headers, body).await }
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!((first.status, &first.text), (201, &second.text));
    let link = first.body["link"].as_str().unwrap();
    let opened = open(&world, link).await.expect(200);
    assert!(opened["secret"].as_str().unwrap().starts_with("cflr_"));
    let chosen = json!({ "kind": "service_token", "user": "alice", "service": "git",
        "secret": "correct horse battery", "delivery": "link" });
    world.post(&format!("{R}/tokens"), chosen).await.refused(422, "invalid");
}

#[tokio::test]
async fn the_page_reveals_nothing_by_get_and_the_secret_by_post() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let (_, link) = issue(&world).await;
    let page = world.send("GET", "/open", &[], None).await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(!page.text.contains("<script>") && !page.text.contains("onload"), "{}", page.text);
    for asset in ["/open/open.js", "/open/style.css"] {
        assert_eq!(world.send("GET", asset, &[], None).await.status, 200);
    }
    let form = || Some(format!("link=http%3A%2F%2Fx%2Fopen%23{link}").into_bytes());
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let shown = world.send("POST", "/open", &headers, form()).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let secret = shown.text.split("<code class=\"secret\">").nth(1).unwrap();
    let secret = secret.split('<').next().unwrap();
    assert!(is_good(&world, &alice.gate, secret).await);
    let again = world.send("POST", "/open", &headers, form()).await;
    assert_eq!((again.status, again.text.contains(secret)), (410, false));
    assert!(again.text.contains("opened before"), "{}", again.text);
    assert_eq!(world.send("POST", "/open", &headers, Some(b"x=1".to_vec())).await.status, 422);
}
