//! The calendar of ends: whose, for whom, and that no secret is in it or in its address.

use base64::Engine as _;
use serde_json::json;

use crate::world::{Answer, Engine, R, World};

fn path(service: Option<&str>) -> String {
    let query = service.map(|label| format!("?service={label}")).unwrap_or_default();
    format!("{R}/calendar.ics{query}")
}

async fn by_basic(world: &World, pair: &str, service: Option<&str>) -> Answer {
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    let header = format!("Basic {pair}");
    world.send("GET", &path(service), &[("authorization", &header)], None).await
}

/// A token of somebody's for the API that may read tokens.
async fn reader(world: &World, user: &str) -> String {
    let body = json!({ "services": ["counterfoil"], "scopes": ["tokens:read"], "name": "feed",
        "expires_at": null });
    world.pat(user, body).await.1
}

/// The lines of a calendar, unfolded.
fn lines(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
    assert!(answer.text.split("\r\n").all(|line| line.len() <= 75), "{}", answer.text);
    let whole = answer.text.replace("\r\n ", "");
    whole.strip_suffix("\r\n").unwrap().split("\r\n").map(str::to_owned).collect()
}

fn values<'a>(lines: &'a [String], name: &str) -> Vec<&'a str> {
    lines.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':')).collect()
}

#[tokio::test]
async fn a_person_subscribes_to_the_ends_of_their_own_tokens() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        world.user("bob").await;
        let key = reader(&world, "alice").await;
        let name = "a laptop; with a very long name, and a backslash \\ so that it is folded: ü€";
        // Newest first.
        world.clock.advance_seconds(1);
        let ends = "2026-12-01T12:00:00Z";
        let body = json!({ "services": ["git"], "name": name, "expires_at": ends });
        let (id, secret) = world.pat("alice", body.clone()).await;
        world.pat("bob", body).await;
        let (gone, _) = world.pat("alice", json!({ "services": ["git"] })).await;
        world.post(&format!("{R}/tokens/{gone}/revoke"), json!({})).await.expect(200);
        let answer = by_basic(&world, &format!("alice:{key}"), None).await;
        let found = lines(&answer);
        assert_eq!(
            (found[0].as_str(), found[found.len() - 1].as_str()),
            ("BEGIN:VCALENDAR", "END:VCALENDAR")
        );
        // The feed itself does not end.
        let uids = [format!("{id}@counterfoil"), format!("{}@counterfoil", alice.token)];
        assert_eq!(values(&found, "UID"), uids);
        assert_eq!(values(&found, "DTSTART")[0], "20261201T120000Z");
        let summary = "git: a laptop\\; with a very long name\\, and a backslash \\\\ so that it \
                       is folded: ü€ ends";
        assert_eq!(values(&found, "SUMMARY")[0], summary);
        assert_eq!(values(&found, "SEQUENCE")[0], "0");
        for secret in [&secret, &key, &alice.secret] {
            assert!(!answer.text.contains(secret.as_str()));
        }
        // An end that is moved is the same event.
        let moved = json!({ "expires_at": "2026-12-02T12:00:00Z" });
        world.patch(&format!("{R}/tokens/{id}"), moved).await.expect(200);
        let again = world.call(&key, "GET", &path(None), serde_json::Value::Null).await;
        let found = lines(&again);
        assert_eq!(values(&found, "UID"), uids);
        assert_eq!(values(&found, "DTSTART")[0], "20261202T120000Z");
        assert_eq!(values(&found, "SEQUENCE")[0], "1");
    }
}

#[tokio::test]
async fn who_looks_after_a_service_subscribes_to_the_ends_of_its_tokens() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        world.service("mail").await;
        world.pat("alice", json!({ "services": ["mail"] })).await;
        world.user("carol").await;
        let grant = json!({ "subject": { "user": "carol" }, "role": "service-manager",
            "service": "git" });
        world.post(&format!("{R}/grants"), grant).await.expect(201);
        let key = reader(&world, "carol").await;
        let found = by_basic(&world, &format!("carol:{key}"), Some("git")).await;
        let uids = [format!("{}@counterfoil", alice.token)];
        assert_eq!(values(&lines(&found), "UID"), uids);
        let other = by_basic(&world, &format!("carol:{key}"), Some("mail")).await;
        assert_eq!(values(&lines(&other), "UID"), [""; 0]);
    }
}

#[tokio::test]
async fn a_service_that_is_misspelt_or_hidden_is_no_empty_calendar() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let hidden = json!({ "label": "vault", "visibility": "administrators" });
        world.post(&format!("{R}/services"), hidden).await.expect(201);
        let body =
            json!({ "services": ["counterfoil"], "scopes": ["tokens:read", "services:read"] });
        let key = world.pat("alice", body).await.1;
        let mut said = Vec::new();
        for label in ["nosuch", "vault"] {
            let answer = by_basic(&world, &format!("alice:{key}"), Some(label)).await;
            assert_eq!(answer.status, 404, "{label}: {}", answer.text);
            let offer = format!("{R}/services/{label}/offer");
            let offered = world.call(&key, "GET", &offer, serde_json::Value::Null).await;
            assert_eq!(offered.status, 404, "{label}: {}", offered.text);
            said.extend([answer.body["type"].clone(), offered.body["type"].clone()]);
        }
        assert!(said.iter().all(|slug| *slug == said[0]), "{said:?}");
        // A feed that may read tokens and nothing else is told the same, and finds what is there.
        let feed = reader(&world, "alice").await;
        for (label, status) in [("nosuch", 404), ("vault", 404), ("git", 200)] {
            let answer = by_basic(&world, &format!("alice:{feed}"), Some(label)).await;
            assert_eq!(answer.status, status, "{label}: {}", answer.text);
        }
        let whole = world.get(&path(Some("vault"))).await;
        assert_eq!(values(&lines(&whole), "UID"), [""; 0], "who administers it sees it");
        assert_eq!(world.get(&path(Some("nosuch"))).await.status, 404);
        let own = by_basic(&world, &format!("alice:{feed}"), Some("git")).await;
        assert!(values(&lines(&own), "UID").contains(&&*format!("{}@counterfoil", alice.token)));
    }
}

#[tokio::test]
async fn whatever_opens_no_calendar_is_asked_for_a_name_and_a_password() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    world.user("bob").await;
    let key = reader(&world, "alice").await;
    let asked = |answer: Answer| {
        assert_eq!(answer.status, 401, "{}", answer.text);
        let challenges = answer.headers.get_all("www-authenticate").iter();
        let schemes = challenges.map(|line| line.to_str().unwrap().split(' ').next().unwrap());
        assert_eq!(schemes.collect::<Vec<_>>(), ["Bearer", "Basic"]);
        answer.body["type"].clone()
    };
    let none = asked(world.send("GET", &path(None), &[], None).await);
    let mut said = vec![none];
    for pair in [format!("bob:{key}"), "alice:wrong".to_owned(), "alice".to_owned()] {
        said.push(asked(by_basic(&world, &pair, None).await));
    }
    assert!(said.iter().all(|slug| *slug == said[0]));
    // The secret is never taken from an address.
    let query = format!("{}?token={key}", path(None));
    asked(world.send("GET", &query, &[], None).await);
    // A token for another service, or without the scope, opens none.
    let stranger = by_basic(&world, &format!("alice:{}", alice.secret), None).await;
    assert_eq!(stranger.status, 403, "{}", stranger.text);
    let body = json!({ "services": ["counterfoil"], "scopes": ["audit:read"] });
    let blind = world.pat("alice", body).await.1;
    assert_eq!(by_basic(&world, &format!("alice:{blind}"), None).await.status, 403);
}

#[tokio::test]
async fn a_name_of_somebody_else_beside_a_token_costs_it_no_use() {
    let world = World::new().await;
    world.with_alice().await;
    world.user("bob").await;
    let once = json!({ "services": ["counterfoil"], "scopes": ["tokens:read"], "max_usages": 1 });
    let (id, key) = world.pat("alice", once).await;
    for name in ["bob", "nobody"] {
        assert_eq!(by_basic(&world, &format!("{name}:{key}"), None).await.status, 401);
    }
    let token = world.get(&format!("{R}/tokens/{id}")).await;
    assert_eq!((&token.body["usage_total"], &token.body["state"]), (&json!(0), &json!("active")));
    // In whatever case it is written.
    assert_eq!(by_basic(&world, &format!("Alice:{key}"), None).await.status, 200);
    assert_eq!(by_basic(&world, &format!("alice:{key}"), None).await.status, 401);
}
