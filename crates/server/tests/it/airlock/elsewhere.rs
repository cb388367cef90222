//! Tokens that somebody else keeps, managed at the door: who may, what the mapping shows, how the
//! repository's refusals are told, and that nobody verifies by what was true before.
//!
//! Length: one door and one repository, looked at from every side.

use std::sync::Arc;

use counterfoil_authority::custom::{Capability, RepositoryError};
use counterfoil_authority::store::Store;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use super::fake::{Fake, Row, SECTION};
use super::world::{DOOR, ask, ask_with, attributes, create, events, refused, tokens, verify};
use crate::world::{Answer, Engine, R, World};

const ALICE: &str = "/users/alice/tokens/generic/acme";

/// Alice, the service git, and a repository that lacks nothing but this.
async fn without(world: World, lacks: &[Capability]) -> (World, Arc<Fake>) {
    let fake = Fake::without(lacks);
    fake.behind(&world);
    world.user("alice").await;
    world.user("bob").await;
    world.service("git").await;
    (world, fake)
}

async fn ready() -> (World, Arc<Fake>) {
    without(World::over_with(Arc::new(MemoryStore::new()), SECTION).await, &[]).await
}

fn phone() -> Value {
    attributes(json!({ "device": "phone" }))
}

/// A token of alice's: its path and its secret.
async fn made(world: &World) -> (String, String) {
    let made = create(world, "alice", "acme", json!({ "device": "phone" })).await;
    let id = made["data"]["id"].as_str().unwrap();
    (format!("{ALICE}/{id}"), made["meta"]["secret"].as_str().unwrap().to_owned())
}

async fn code(world: &World, secret: &str) -> Value {
    let said = verify(world, json!({ "token": secret, "service": "git" })).await;
    if said["active"] == json!(true) { json!("active") } else { said["code"].clone() }
}

#[tokio::test]
async fn a_foreign_token_is_created_shown_changed_switched_and_deleted() {
    for engine in Engine::ALL {
        let (world, fake) = without(World::on_with(engine, SECTION).await, &[]).await;
        let answer = ask(&world, "POST", ALICE, phone()).await;
        assert_eq!(answer.header("location"), format!("{DOOR}{ALICE}/0001"));
        assert_eq!(answer.header("etag"), "\"v1\"");
        assert_eq!(answer.header("cache-control"), "no-store");
        let made = answer.expect(201);
        let secret = made["meta"]["secret"].as_str().unwrap();
        assert!(secret.starts_with("acme_") && secret.len() >= 13 + 20, "{secret}");
        let shown = json!({"serialId": null, "enabled": true, "expires": null, "order": null,
            "totalUsages": 0, "maxUsages": null, "device": "phone"});
        assert_eq!(made["data"]["attributes"], shown);
        assert_eq!((&made["data"]["type"], &made["data"]["id"]), (&json!("acme"), &json!("0001")));
        let row = fake.rows.lock()["0001"].clone();
        assert_eq!(row.selector, secret[..13]);
        assert!(row.hash.starts_with("sha256:") && !row.hash.contains(secret), "{row:?}");

        // Remembered for a minute; each change from here is seen at once.
        assert_eq!(code(&world, secret).await, "active");
        let one = format!("{ALICE}/0001");
        let edit = attributes(json!({ "order": "A-17", "expires": "2026-12-31T00:00:00Z" }));
        let stale = [("if-match", "\"v7\"")];
        let answer = ask_with(&world, "PATCH", &one, &stale, edit.clone()).await;
        refused(&answer, 409, "VERSION_CONFLICT");
        let fresh = [("if-match", "\"v1\"")];
        let answer = ask_with(&world, "PATCH", &one, &fresh, edit).await;
        assert_eq!(answer.header("etag"), "\"v2\"");
        assert_eq!(answer.expect(200)["data"]["attributes"]["order"], "A-17");
        let kept = fake.rows.lock()["0001"].attributes.clone();
        assert_eq!(kept["trackingId"], "A-17", "{kept:?}");
        assert_eq!(kept["validTo"], "2026-12-31T00:00:00Z");
        ask(&world, "POST", &format!("{one}/disable"), Value::Null).await.expect(200);
        assert_eq!(code(&world, secret).await, "disabled");
        let enabled = ask(&world, "POST", &format!("{one}/enable"), Value::Null).await.expect(200);
        assert_eq!(enabled["data"]["meta"]["state"], "active");
        assert_eq!(code(&world, secret).await, "active");
        ask(&world, "DELETE", &one, Value::Null).await.expect_status(204);
        assert_eq!(code(&world, secret).await, "unknown");
        refused(&ask(&world, "GET", &one, Value::Null).await, 404, "TOKEN_NOT_FOUND");
        for (kind, number) in [
            ("token.issued&subject=user:alice", 1),
            ("token.updated", 1),
            ("token.disabled", 1),
            ("token.enabled", 1),
            ("token.deleted", 1),
        ] {
            assert_eq!(events(&world, kind).await, number, "{kind}");
        }
        let all = world.get(&format!("{R}/events?kind=token.deleted")).await.expect(200);
        let event = &all["items"][0];
        assert_eq!(event["detail"], json!({ "repository": "acme", "foreign_id": "0001" }));
        assert_eq!(event["subject"], "user:alice");
    }
}

trait Status {
    fn expect_status(self, status: u16);
}

impl Status for Answer {
    #[track_caller]
    fn expect_status(self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
    }
}

#[tokio::test]
async fn a_change_is_seen_by_verifications_that_were_under_way() {
    let (world, _fake) = ready().await;
    let (one, secret) = made(&world).await;
    let world = Arc::new(world);
    let racing: Vec<_> = (0..16)
        .map(|_| {
            let (world, secret) = (Arc::clone(&world), secret.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    code(&world, &secret).await;
                }
            })
        })
        .collect();
    ask(&world, "POST", &format!("{one}/disable"), Value::Null).await.expect(200);
    assert_eq!(code(&world, &secret).await, "disabled");
    for one in racing {
        one.await.unwrap();
    }
    assert_eq!(code(&world, &secret).await, "disabled");
}

#[tokio::test]
async fn what_the_repository_refuses_is_told_as_the_door_tells_it() {
    let (world, fake) = ready().await;
    let (one, _) = made(&world).await;
    let edit = || attributes(json!({ "order": "7" }));
    for (why, status, code) in [
        (RepositoryError::unavailable("silent"), 503, "SERVICE_UNAVAILABLE"),
        (RepositoryError::Unsupported(Capability::Update), 405, "OPERATION_NOT_SUPPORTED"),
        (RepositoryError::NotFound, 404, "TOKEN_NOT_FOUND"),
        (RepositoryError::Conflict, 409, "CONFLICT"),
        (RepositoryError::VersionMismatch, 409, "VERSION_CONFLICT"),
        (RepositoryError::LimitReached, 409, "TOKEN_LIMIT_REACHED"),
        (RepositoryError::Invalid("trackingId".into()), 422, "ATTRIBUTE_INVALID"),
        (RepositoryError::Invalid(String::new()), 422, "ATTRIBUTE_INVALID"),
    ] {
        *fake.says.lock() = Some(why.clone());
        let answer = ask(&world, "POST", ALICE, phone()).await;
        refused(&answer, status, code);
        if let RepositoryError::Invalid(name) = &why {
            let shown = if name.is_empty() { "attributes" } else { "order" };
            let pointer = format!("/data/attributes/{shown}");
            assert_eq!(answer.body["errors"][0]["source"]["pointer"], pointer);
        }
        refused(&ask(&world, "PATCH", &one, edit()).await, status, code);
        refused(&ask(&world, "DELETE", &one, Value::Null).await, status, code);
        *fake.says.lock() = None;
    }
    for act in ["revoke", "rotate", "promote", "lock"] {
        let answer = ask(&world, "POST", &format!("{one}/{act}"), Value::Null).await;
        refused(&answer, 405, "OPERATION_NOT_SUPPORTED");
    }
    for (method, path, body) in [
        ("GET", format!("{ALICE}?filter[expires][lt]=2027-01-01"), Value::Null),
        ("GET", format!("{ALICE}?filter[state]=active"), Value::Null),
    ] {
        let answer = ask(&world, method, &path, body).await;
        assert!([400, 405].contains(&answer.status), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn what_a_repository_cannot_do_is_refused_before_it_is_asked() {
    for (lacks, method, path, body) in [
        (Capability::Create, "POST", ALICE, phone()),
        (Capability::Update, "PATCH", "0001", attributes(json!({ "order": "7" }))),
        (Capability::Enable, "POST", "0001/disable", Value::Null),
        (Capability::Delete, "DELETE", "0001", Value::Null),
        (Capability::List, "GET", ALICE, Value::Null),
        (Capability::Sort, "GET", "/users/alice/tokens/generic/acme?sort=-id", Value::Null),
        (
            Capability::Filter,
            "GET",
            "/users/alice/tokens/generic/acme?filter[order]=7",
            Value::Null,
        ),
    ] {
        let world = World::over_with(Arc::new(MemoryStore::new()), SECTION).await;
        let (world, fake) = without(world, &[lacks]).await;
        let row = Row { user: Some("alice".into()), enabled: true, ..Row::default() };
        fake.rows.lock().insert("0001".into(), row);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{ALICE}/{path}") };
        let answer = ask(&world, method, &path, body).await;
        refused(&answer, 405, "OPERATION_NOT_SUPPORTED");
        let told = ask(&world, "GET", ALICE, Value::Null).await;
        if lacks == Capability::Create {
            assert_eq!(told.expect(200)["meta"]["canCreate"], json!(false));
        }
    }
}

#[tokio::test]
async fn lists_hold_the_tokens_of_whom_they_are_of_and_go_on_where_they_ended() {
    let (world, fake) = ready().await;
    for (id, user, order) in [
        ("1", Some("alice"), "a"),
        ("2", Some("bob"), "b"),
        ("3", None, "c"),
        ("4", Some("alice"), "d"),
    ] {
        let attributes = [("trackingId".to_owned(), json!(order))].into();
        let user = user.map(str::to_owned);
        fake.rows.lock().insert(id.into(), Row { user, attributes, ..Row::default() });
    }
    let ids = |body: &Value| {
        let all = body["data"].as_array().unwrap().iter();
        all.map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let alice = ask(&world, "GET", ALICE, Value::Null).await.expect(200);
    assert_eq!(ids(&alice), ["1", "4"]);
    assert_eq!(alice["meta"]["maxTokens"], Value::Null);
    assert_eq!(alice["meta"]["canCreate"], json!(true));
    let inventory = |more: &str| format!("/tokens?filter[type]=acme{more}");
    let all = ask(&world, "GET", &inventory(""), Value::Null).await.expect(200);
    assert_eq!(ids(&all), ["1", "2", "3", "4"]);
    let stock = inventory("&filter[assigned]=false");
    assert_eq!(ids(&ask(&world, "GET", &stock, Value::Null).await.expect(200)), ["3"]);
    let found = inventory("&filter[order]=b");
    assert_eq!(ids(&ask(&world, "GET", &found, Value::Null).await.expect(200)), ["2"]);
    let first = ask(&world, "GET", &inventory("&page[size]=3"), Value::Null).await.expect(200);
    let next = first["meta"]["next"].as_str().unwrap();
    let rest = inventory(&format!("&page[size]=3&page[after]={next}"));
    let rest = ask(&world, "GET", &rest, Value::Null).await.expect(200);
    assert_eq!((ids(&rest), &rest["meta"]["next"]), (vec!["4".to_owned()], &Value::Null));
    // Somebody else's token is none of hers, by whatever path.
    refused(&ask(&world, "GET", &format!("{ALICE}/2"), Value::Null).await, 404, "TOKEN_NOT_FOUND");
    refused(
        &ask(&world, "DELETE", &format!("{ALICE}/3"), Value::Null).await,
        404,
        "TOKEN_NOT_FOUND",
    );
    let nobody = tokens("nobody", "acme");
    refused(&ask(&world, "GET", &nobody, Value::Null).await, 404, "USER_NOT_FOUND");
    refused(&ask(&world, "POST", &nobody, phone()).await, 404, "USER_NOT_FOUND");
}

#[tokio::test]
async fn foreign_stock_is_assigned_and_taken_back() {
    let (world, fake) = ready().await;
    let stock = json!({ "data": { "type": "acme", "attributes": { "device": "card" } } });
    let made = ask(&world, "POST", "/tokens", stock).await.expect(201);
    let id = made["data"]["id"].as_str().unwrap();
    let secret = made["meta"]["secret"].as_str().unwrap();
    assert_eq!(code(&world, secret).await, "owner_inactive");
    let person = || json!({ "data": { "type": "users", "id": "alice" } });
    let assign = format!("/tokens/{id}/assign?filter[type]=acme");
    refused(
        &ask(&world, "POST", &format!("/tokens/{id}/assign"), person()).await,
        404,
        "TOKEN_NOT_FOUND",
    );
    let assigned = ask(&world, "POST", &assign, person()).await.expect(200);
    assert_eq!(assigned["data"]["meta"]["user"], "alice");
    assert_eq!(code(&world, secret).await, "active");
    refused(&ask(&world, "POST", &assign, person()).await, 409, "ALREADY_ASSIGNED");
    let unassign = format!("/tokens/{id}/unassign?filter[type]=acme");
    ask(&world, "POST", &unassign, json!({})).await.expect(200);
    assert_eq!(code(&world, secret).await, "owner_inactive");
    assert_eq!(fake.rows.lock()[id].user, None);
    assert_eq!(
        (events(&world, "token.assigned").await, events(&world, "token.unassigned").await),
        (1, 1)
    );
}

#[tokio::test]
async fn who_may_not_touch_tokens_of_ours_may_not_touch_foreign_ones() {
    let (world, fake) = ready().await;
    let (one, _) = made(&world).await;
    let unit = |name: &str| {
        let body = json!({ "name": name, "identifier": name });
        let world = &world;
        async move {
            let made = world.post(&format!("{R}/units"), body).await.expect(201);
            made["id"].as_str().unwrap().to_owned()
        }
    };
    let (hers, other) = (unit("hers").await, unit("other").await);
    world.patch(&format!("{R}/users/alice"), json!({ "unit": hers })).await.expect(200);
    let client = |name: &'static str, more: Value| world.client(name, more);
    let unit_admin = |unit: &str| json!({ "roles": ["unit-admin"], "unit": unit });
    world.post("/api/v1/realms", json!({ "name": "other" })).await.expect(201);
    let elsewhere = json!({ "name": "theirs", "roles": ["realm-admin"] });
    let elsewhere = world.post("/api/v1/realms/other/clients", elsewhere).await.expect(201);
    let callers = [
        ("her unit's", client("hers", unit_admin(&hers)).await, true),
        ("another unit's", client("others", unit_admin(&other)).await, false),
        (
            "the service's",
            client("git-manager", json!({ "roles": ["service-manager"], "services": ["git"] }))
                .await,
            true,
        ),
        ("a verifier", world.verifier("git-verifier", "git").await, false),
        ("an auditor", client("auditor", json!({ "roles": ["auditor"] })).await, false),
        ("another realm's", elsewhere["secret"].as_str().unwrap().to_owned(), false),
    ];
    world.service("mail").await;
    let mail = json!({ "roles": ["service-manager"], "services": ["mail"] });
    let mail = ("another service's", client("mail-manager", mail).await, false);
    for (who, key, may) in callers.into_iter().chain([mail]) {
        let requests = [
            ("POST", format!("{DOOR}{ALICE}"), phone()),
            ("PATCH", format!("{DOOR}{one}"), attributes(json!({ "order": "7" }))),
            ("POST", format!("{DOOR}{one}/disable"), Value::Null),
            ("POST", format!("{DOOR}{one}/enable"), Value::Null),
        ];
        for (method, path, body) in requests {
            let before = fake.rows.lock().len();
            let answer = world.call(&key, method, &path, body).await;
            if may {
                assert!(answer.status < 300, "{who}: {method} {path}: {}", answer.text);
            } else {
                assert!([403, 404].contains(&answer.status), "{who}: {path}: {}", answer.text);
                assert_eq!(fake.rows.lock().len(), before);
                assert!(fake.rows.lock()["0001"].enabled);
            }
        }
        if !may {
            let answer = world.call(&key, "DELETE", &format!("{DOOR}{one}"), Value::Null).await;
            assert!([403, 404].contains(&answer.status), "{who}: {}", answer.text);
            let stock = json!({ "data": { "type": "acme", "attributes": { "device": "x" } } });
            let answer = world.call(&key, "POST", &format!("{DOOR}/tokens"), stock).await;
            assert!([403, 404].contains(&answer.status), "{who}: {}", answer.text);
        }
    }
    assert_eq!(fake.rows.lock()["0001"].user.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_person_manages_their_own_foreign_tokens_and_nobody_elses() {
    let (world, _) = ready().await;
    let (one, _) = made(&world).await;
    let scopes = json!({ "services": ["counterfoil"], "scopes": ["tokens:read", "tokens:write"] });
    let (_, alice) = world.pat("alice", scopes.clone()).await;
    let (_, bob) = world.pat("bob", scopes).await;
    let path = format!("{DOOR}{one}");
    world.call(&alice, "GET", &path, Value::Null).await.expect(200);
    world.call(&alice, "POST", &format!("{path}/disable"), Value::Null).await.expect(200);
    let own = world.call(&alice, "POST", &format!("{DOOR}{ALICE}"), phone()).await.expect(201);
    assert!(own["meta"]["secret"].is_string());
    for (method, path) in
        [("GET", path.clone()), ("DELETE", path.clone()), ("POST", format!("{path}/enable"))]
    {
        refused(&world.call(&bob, method, &path, Value::Null).await, 403, "ACCESS_DENIED");
    }
    refused(
        &world.call(&bob, "POST", &format!("{DOOR}{ALICE}"), phone()).await,
        403,
        "ACCESS_DENIED",
    );
    let stock = json!({ "data": { "type": "acme", "attributes": { "device": "x" } } });
    refused(
        &world.call(&bob, "POST", &format!("{DOOR}/tokens"), stock).await,
        403,
        "ACCESS_DENIED",
    );
}

#[tokio::test]
async fn policies_of_the_service_hold_for_foreign_tokens_too() {
    let (world, fake) = ready().await;
    let policy = |policy: Value| {
        let world = &world;
        async move {
            let body = json!({ "token_policy": policy });
            world.patch(&format!("{R}/services/git"), body).await.expect(200);
        }
    };
    policy(json!({ "must_expire": true, "max_lifetime_seconds": 86_400 })).await;
    let (one, _) = made(&world).await;
    let end = fake.rows.lock()["0001"].attributes["validTo"].clone();
    assert_eq!(end, "2026-11-22T12:00:00Z", "the longest that is allowed");
    let expires = |end: Value| attributes(json!({ "device": "x", "expires": end }));
    for end in [json!("2027-01-01T00:00:00Z"), Value::Null] {
        let answer = ask(&world, "PATCH", &one, expires(end.clone())).await;
        refused(&answer, 403, "ACCESS_DENIED");
        if !end.is_null() {
            refused(&ask(&world, "POST", ALICE, expires(end)).await, 403, "ACCESS_DENIED");
        }
    }
    let sooner = expires(json!("2026-11-21T13:00:00Z"));
    ask(&world, "PATCH", &one, sooner).await.expect(200);
    policy(json!({ "approval": true })).await;
    refused(&ask(&world, "POST", ALICE, phone()).await, 403, "ACCESS_DENIED");
    policy(json!({ "enabled": false })).await;
    refused(&ask(&world, "POST", ALICE, phone()).await, 403, "ACCESS_DENIED");
}

#[tokio::test]
async fn a_repeated_creation_answers_with_the_same_token_and_secret() {
    let (world, fake) = ready().await;
    let key = [("idempotency-key", "order-7")];
    let first = ask_with(&world, "POST", ALICE, &key, phone()).await.expect(201);
    let again = ask_with(&world, "POST", ALICE, &key, phone()).await.expect(201);
    assert_eq!(
        (&first["data"]["id"], &first["meta"]["secret"]),
        (&again["data"]["id"], &again["meta"]["secret"])
    );
    assert_eq!(fake.rows.lock().len(), 1);
    assert_eq!(code(&world, first["meta"]["secret"].as_str().unwrap()).await, "active");
    // Another request under the key, or another caller, is another token.
    let other = attributes(json!({ "device": "laptop" }));
    let other = ask_with(&world, "POST", ALICE, &key, other).await.expect(201);
    let admin = world.client("second", json!({ "roles": ["realm-admin"] })).await;
    let theirs =
        world.call_with(&admin, "POST", &format!("{DOOR}{ALICE}"), &key, phone()).await.expect(201);
    for one in [&other, &theirs] {
        assert_ne!(one["meta"]["secret"], first["meta"]["secret"]);
    }
    assert_eq!(fake.rows.lock().len(), 3);
}

#[tokio::test]
async fn ids_are_taken_as_they_are_and_nothing_else_is() {
    let (world, fake) = ready().await;
    for (id, prefix) in [
        ("alice/ab12", "alice%2Fab12"),
        ("ünü 7", "%C3%BCn%C3%BC%207"),
        ("..", "%2E%2E"),
        ("a?b#c", "a%3Fb%23c"),
    ] {
        let row = Row { user: Some("alice".into()), enabled: true, ..Row::default() };
        fake.rows.lock().insert(id.into(), row);
        let shown = ask(&world, "GET", &format!("{ALICE}/{prefix}"), Value::Null).await;
        // A client resolves dots itself, encoded ones too.
        if id == ".." {
            continue;
        }
        assert_eq!(shown.expect(200)["data"]["id"], id);
        ask(&world, "POST", &format!("{ALICE}/{prefix}/disable"), Value::Null).await.expect(200);
        assert!(!fake.rows.lock()[id].enabled);
    }
    *fake.ids.lock() = "alice/".into();
    let answer = ask(&world, "POST", ALICE, phone()).await;
    let location = answer.header("location").to_owned();
    let made = answer.expect(201);
    let shown = world.call(&world.operator_key, "GET", &location, Value::Null).await.expect(200);
    assert_eq!(shown["data"]["id"], made["data"]["id"]);
    let long = "x".repeat(129);
    for id in [long.as_str(), &"x".repeat(4000), "%00", "%0A", "%E2%80%AE", "0002%00"] {
        let answer = ask(&world, "GET", &format!("{ALICE}/{id}"), Value::Null).await;
        assert_eq!(answer.status, 404, "{id}: {}", answer.text);
    }
    let broken = ask(&world, "GET", &format!("{ALICE}/%FF"), Value::Null).await;
    assert!([400, 404].contains(&broken.status), "{}", broken.text);
}

#[tokio::test]
async fn a_token_is_no_part_of_a_foreign_attribute_and_unknown_ones_are_told_of() {
    let (world, fake) = ready().await;
    let (_, secret) = world.pat("alice", json!({ "services": ["git"] })).await;
    let pasted = attributes(json!({ "device": "x", "order": secret }));
    refused(&ask(&world, "POST", ALICE, pasted).await, 422, "ATTRIBUTE_INVALID");
    let answer = ask(&world, "POST", ALICE, attributes(json!({ "colour": "red" }))).await;
    refused(&answer, 422, "ATTRIBUTE_UNKNOWN");
    let said = &answer.body["errors"][0]["detail"];
    assert_eq!(said, "can be written: serialId, expires, order, maxUsages, device");
    refused(&ask(&world, "POST", ALICE, attributes(json!({}))).await, 422, "ATTRIBUTE_INVALID");
    let read_only = attributes(json!({ "device": "x", "enabled": false }));
    refused(&ask(&world, "POST", ALICE, read_only).await, 422, "ATTRIBUTE_READ_ONLY");
    assert!(fake.rows.lock().is_empty());
}

#[tokio::test]
async fn a_repository_of_one_realm_is_none_of_another_one() {
    let (world, _fake) = ready().await;
    let other = Fake::without(&[]);
    // The section stands in the configuration, but no driver of this realm does.
    world.authority.set_elsewhere(counterfoil_authority::custom::Elsewhere::default());
    refused(&ask(&world, "GET", ALICE, Value::Null).await, 404, "TOKEN_TYPE_NOT_FOUND");
    refused(&ask(&world, "POST", ALICE, phone()).await, 404, "TOKEN_TYPE_NOT_FOUND");
    other.behind(&world);
    ask(&world, "GET", ALICE, Value::Null).await.expect(200);
}

/// Fails each store call of a request in turn; what the repository did by then stays done, and
/// nobody verifies by what was remembered of it.
async fn drill(
    (world, store, fake): (&World, &FailingStore, &Arc<Fake>),
    method: &str,
    path: &str,
    body: Value,
    status: u16,
) {
    for call in 1..=30 {
        let cold = world.restarted().await;
        fake.behind(&cold);
        let before = fake.rows.lock().clone();
        store.fail_nth(call);
        let answer =
            cold.call(&world.operator_key, method, &format!("{DOOR}{path}"), body.clone()).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
            return;
        }
        refused(&answer, 503, "SERVICE_UNAVAILABLE");
        *fake.rows.lock() = before;
    }
    panic!("{path} calls the store more than 30 times");
}

#[tokio::test]
async fn every_act_on_a_foreign_token_says_that_the_store_is_down() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over_with(Arc::clone(&store) as Arc<dyn Store>, SECTION).await;
    let (world, fake) = without(world, &[]).await;
    let (one, _) = made(&world).await;
    let all = (&world, &*store, &fake);
    drill(all, "POST", ALICE, phone(), 201).await;
    drill(all, "GET", ALICE, Value::Null, 200).await;
    drill(all, "GET", &one, Value::Null, 200).await;
    drill(all, "PATCH", &one, attributes(json!({ "order": "7" })), 200).await;
    drill(all, "POST", &format!("{one}/disable"), Value::Null, 200).await;
    drill(all, "GET", "/tokens?filter[type]=acme", Value::Null, 200).await;
    let stock = json!({ "data": { "type": "acme", "attributes": { "device": "card" } } });
    drill(all, "POST", "/tokens", stock, 201).await;
    let row = Row { enabled: true, ..Row::default() };
    fake.rows.lock().insert("stock".into(), row);
    let person = json!({ "data": { "type": "users", "id": "alice" } });
    drill(all, "POST", "/tokens/stock/assign?filter[type]=acme", person, 200).await;
    drill(all, "POST", "/tokens/stock/unassign?filter[type]=acme", json!({}), 200).await;
    drill(all, "DELETE", &one, Value::Null, 204).await;
}

#[tokio::test]
async fn what_was_changed_while_the_store_was_down_is_forgotten_and_told_later() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over_with(Arc::clone(&store) as Arc<dyn Store>, SECTION).await;
    let (world, fake) = without(world, &[]).await;
    let (one, secret) = made(&world).await;
    assert_eq!(code(&world, &secret).await, "active");
    // The last call of the act is the one that notes it.
    let path = format!("{one}/disable");
    for call in 1..=30 {
        store.fail_nth(call);
        let answer = ask(&world, "POST", &path, Value::Null).await;
        store.heal();
        assert_eq!(answer.status, 503, "{}", answer.text);
        if !fake.rows.lock()["0001"].enabled {
            break;
        }
    }
    assert!(!fake.rows.lock()["0001"].enabled);
    assert_eq!(code(&world, &secret).await, "disabled");
    world.authority.flush_usage().await.unwrap();
    assert_eq!(events(&world, "token.disabled").await, 1);
}
