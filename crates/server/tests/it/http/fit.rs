//! Right-sizing: what was given and never used, and the one call that takes it away.

use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use crate::world::{Answer, Engine, R, World};

const DAY: i64 = 86_400;

/// A token of alice's for git, its secret, and the key that verifies it.
struct Token {
    id: String,
    secret: String,
    gate: String,
}

impl Token {
    async fn of(world: &World, more: Value) -> Self {
        world.user("alice").await;
        world.service("git").await;
        let gate = world.verifier("gate", "git").await;
        Self::with(world, gate, more).await
    }

    async fn with(world: &World, gate: String, more: Value) -> Self {
        let mut body = json!({ "services": ["git"], "expires_at": null });
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        let (id, secret) = world.pat("alice", body).await;
        // No two of the same age, and from here on uses are noted.
        world.clock.advance_seconds(1);
        world.authority.flush_notes().await.unwrap();
        Self { id, secret, gate }
    }

    fn path(&self) -> String {
        format!("{R}/tokens/{}/fit", self.id)
    }

    async fn verify(&self, world: &World, scopes: &[&str], from: &str) -> Value {
        self.present(world, &self.secret, scopes, from).await
    }

    async fn present(&self, world: &World, secret: &str, scopes: &[&str], from: &str) -> Value {
        let mut body = json!({ "token": secret, "service": "git", "client_ip": from });
        if !scopes.is_empty() {
            body["scopes"] = json!(scopes);
        }
        let answer = world.call(&self.gate, "POST", &format!("{R}/verify"), body).await;
        let said = answer.expect(200);
        if said["active"] == true { json!("active") } else { said["code"].clone() }
    }

    /// One with [`whole`] grants, a hundred days later, of which a part was used just now.
    async fn partly_used(world: &World) -> Self {
        let token = Self::of(world, whole()).await;
        world.clock.advance_seconds(100 * DAY);
        token.verify(world, &["repo:read"], "10.1.2.3").await;
        token
    }

    async fn fit(&self, world: &World) -> Value {
        world.get(&self.path()).await.expect(200)
    }

    async fn shrink(&self, world: &World, fit: &Value) -> Answer {
        world.post(&self.path(), json!({ "digest": fit["digest"] })).await
    }
}

/// A world over a store that fails on command.
async fn over_failing() -> (Arc<FailingStore>, World) {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let world = World::over(shared, HttpSettings::default()).await;
    (store, world)
}

fn whole() -> Value {
    json!({
        "scopes": ["repo:*", "push"],
        "networks": ["10.0.0.0/8", "192.0.2.0/24"],
        "doors": ["api", "ldap"],
    })
}

#[tokio::test]
async fn what_was_never_used_is_shown_and_taken_away_by_one_call() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let token = Token::of(&world, whole()).await;
        assert_eq!(token.verify(&world, &["repo:read"], "10.1.2.3").await, "active");
        let young = token.fit(&world).await;
        for sort in ["scopes", "networks", "doors"] {
            assert_eq!(
                (&young[sort]["proposed"], &young[sort]["kept"]),
                (&Value::Null, &json!("young"))
            );
        }
        assert_eq!(young["scopes"]["used"], json!(["repo:*"]));
        token.shrink(&world, &young).await.refused(422, "invalid");

        world.clock.advance_seconds(100 * DAY);
        assert_eq!(token.verify(&world, &["repo:read"], "10.1.2.3").await, "active");
        world.clock.advance_seconds(DAY);
        let shown = world.get(&token.path()).await;
        assert_eq!(shown.header("etag"), "\"1\"");
        let fit = shown.expect(200);
        assert_eq!(
            fit["scopes"],
            json!({
                "granted": ["repo:*", "push"], "used": ["repo:*"], "unused": ["push"], "young": [],
                "wide": [{ "grant": "repo:*", "instead": ["repo:read"] }], "beyond": [],
                "proposed": ["repo:read"], "kept": null,
            })
        );
        assert_eq!(fit["networks"]["unused"], json!(["192.0.2.0/24"]));
        assert_eq!(fit["networks"]["proposed"], json!(["10.0.0.0/8"]));
        assert_eq!(fit["doors"]["proposed"], json!(["api"]));
        assert_eq!((&fit["days"], &fit["idle"]), (&json!(90), &json!(false)));

        let now = token.shrink(&world, &fit).await.expect(200);
        assert_eq!(now["scopes"], json!(["repo:read"]));
        assert_eq!(now["networks"], json!(["10.0.0.0/8"]));
        assert_eq!(now["doors"], json!(["api"]));
        let told = world.get(&format!("{R}/events?kind=token.updated")).await.expect(200);
        assert_eq!(told["items"].as_array().unwrap().len(), 1);
        assert_eq!(
            told["items"][0]["detail"],
            json!({ "unused_days": 90, "removed": {
                "scopes": ["repo:*", "push"], "networks": ["192.0.2.0/24"], "doors": ["ldap"],
            }})
        );
        // The same call again finds another version.
        token.shrink(&world, &fit).await.refused(412, "version-mismatch");
        assert_eq!(token.verify(&world, &["repo:read"], "10.1.2.3").await, "active");
        assert_eq!(token.verify(&world, &["push"], "10.1.2.3").await, "insufficient_scope");
        assert_eq!(token.verify(&world, &["repo:read"], "192.0.2.1").await, "network_denied");
        let fits = token.fit(&world).await;
        for sort in ["scopes", "networks", "doors"] {
            assert_eq!(fits[sort]["kept"], "fits", "{sort}");
        }
    }
}

/// A use that this node has answered to is seen, whether it is stored yet or not.
#[tokio::test]
async fn a_use_between_the_look_and_the_call_stops_it() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let token = Token::of(&world, whole()).await;
        world.clock.advance_seconds(100 * DAY);
        assert_eq!(token.verify(&world, &["repo:read"], "10.1.2.3").await, "active");
        let fit = token.fit(&world).await;
        assert_eq!(fit["scopes"]["proposed"], json!(["repo:read"]));
        assert_eq!(token.verify(&world, &["push"], "10.1.2.3").await, "active");
        token.shrink(&world, &fit).await.refused(412, "version-mismatch");
        let after = token.fit(&world).await;
        assert_eq!(after["scopes"]["proposed"], json!(["repo:read", "push"]));
        // What stands in the way of nothing is no reason to refuse.
        assert_eq!(token.verify(&world, &["push"], "10.9.9.9").await, "active");
        let now = token.shrink(&world, &after).await.expect(200);
        assert_eq!(now["scopes"], json!(["repo:read", "push"]));
        // An edit between the two is another version.
        let path = format!("{R}/tokens/{}", token.id);
        let fit = token.fit(&world).await;
        world.patch(&path, json!({ "name": "x" })).await.expect(200);
        token.shrink(&world, &fit).await.refused(412, "version-mismatch");
    }
}

#[tokio::test]
async fn a_digest_says_the_days_that_it_was_made_for() {
    let world = World::new().await;
    let token = Token::partly_used(&world).await;
    let fit = world.get(&format!("{}?days=30", token.path())).await.expect(200);
    assert!(fit["digest"].as_str().unwrap().starts_with("30-"), "{fit}");
    for strange in ["", "30", "30-", "6-00", "99999999999-00", "x-00"] {
        let body = json!({ "digest": strange });
        world.post(&token.path(), body).await.refused(412, "version-mismatch");
    }
    let now = world.post(&token.path(), json!({ "digest": fit["digest"] })).await.expect(200);
    assert_eq!(now["doors"], json!(["api"]));
}

#[tokio::test]
async fn only_what_is_asked_for_is_taken_away() {
    let world = World::new().await;
    let token = Token::partly_used(&world).await;
    let fit = token.fit(&world).await;
    let ask = async |more: Value| {
        let mut body = json!({ "digest": fit["digest"] });
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        world.post(&token.path(), body).await
    };
    ask(json!({ "only": [] })).await.refused(422, "invalid");
    ask(json!({ "only": ["kinds"] })).await.refused(422, "invalid");
    ask(json!({ "days": 6 })).await.refused(422, "invalid");
    ask(json!({ "days": 91 })).await.refused(422, "invalid");
    // Another number of days is another proposal.
    ask(json!({ "days": 30 })).await.refused(412, "version-mismatch");
    world.post(&token.path(), json!({})).await.refused(422, "invalid");
    for query in ["days=6", "days=91", "days=x", "weeks=2"] {
        world.get(&format!("{}?{query}", token.path())).await.refused(422, "invalid");
        world.get(&format!("{R}/fit?{query}")).await.refused(422, "invalid");
    }
    let stale = [("if-match", "\"9\"")];
    let body = json!({ "digest": fit["digest"] });
    let key = &world.operator_key;
    let said = world.call_with(key, "POST", &token.path(), &stale, body).await;
    said.refused(412, "version-mismatch");
    let now = ask(json!({ "only": ["doors"] })).await.expect(200);
    assert_eq!((&now["doors"], &now["scopes"]), (&json!(["api"]), &json!(["repo:*", "push"])));
    let told = world.get(&format!("{R}/events?kind=token.updated")).await.expect(200);
    assert_eq!(told["items"][0]["detail"]["removed"], json!({ "doors": ["ldap"] }));
}

/// Whoever named no scope may have needed any of them.
#[tokio::test]
async fn a_verifier_that_names_no_scope_keeps_all_of_them() {
    let world = World::new().await;
    let token = Token::partly_used(&world).await;
    token.verify(&world, &[], "10.1.2.3").await;
    let fit = token.fit(&world).await;
    assert_eq!((&fit["scopes"]["kept"], &fit["scopes"]["unused"]), (&json!("unasked"), &json!([])));
    assert_eq!(fit["doors"]["proposed"], json!(["api"]));
    // Whoever looks goes by the answer, too.
    let question = json!({ "token": token.secret, "consume": false, "scopes": ["push"],
        "client_ip": "10.1.2.3" });
    world.call(&token.gate, "POST", &format!("{R}/verify"), question).await.expect(200);
    assert_eq!(token.fit(&world).await["scopes"]["used"], json!(["repo:*", "push"]));
}

#[tokio::test]
async fn what_nobody_used_at_all_is_idle_and_not_shrunk() {
    let world = World::new().await;
    let token = Token::of(&world, whole()).await;
    world.clock.advance_seconds(100 * DAY);
    let fit = token.fit(&world).await;
    assert_eq!((&fit["idle"], &fit["last_used_at"]), (&json!(true), &Value::Null));
    assert_eq!(fit["scopes"]["kept"], "idle");
    token.shrink(&world, &fit).await.refused(422, "invalid");
    let listed = world.get(&format!("{R}/fit")).await.expect(200);
    assert_eq!(listed["items"], json!([]));
    // What ended is not shrunk.
    token.verify(&world, &["repo:read"], "10.1.2.3").await;
    let fit = token.fit(&world).await;
    world.post(&format!("{R}/tokens/{}/revoke", token.id), json!({})).await.expect(200);
    let fit = json!({ "digest": token.fit(&world).await["digest"], "was": fit["digest"] });
    token.shrink(&world, &fit).await.refused(409, "ended");
}

#[tokio::test]
async fn what_a_child_used_its_parent_needs() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let mut body = whole();
        body["networks"] = json!(["127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24"]);
        let token = Token::of(&world, body).await;
        let derived = json!({ "scopes": ["push"], "networks": ["192.0.2.0/24"] });
        let path = "/api/v1/self/derive";
        let child = world.call(&token.secret, "POST", path, derived).await.expect(201);
        let secret = child["secret"].as_str().unwrap();
        world.clock.advance_seconds(80 * DAY);
        assert_eq!(token.present(&world, secret, &["push"], "192.0.2.7").await, "active");
        world.clock.advance_seconds(12 * DAY);
        let fit = token.fit(&world).await;
        // Deriving tells nobody the scopes, and was from elsewhere, long ago by now.
        assert_eq!(fit["scopes"]["proposed"], json!(["push"]), "{fit}");
        assert_eq!(fit["networks"]["proposed"], json!(["192.0.2.0/24"]));
    }
}

/// A policy that was tightened since is no reason to leave a token wide.
#[tokio::test]
async fn a_tighter_policy_refuses_no_narrower_token() {
    let world = World::new().await;
    let token = Token::partly_used(&world).await;
    let policy = json!({ "token_policy": { "scopes": ["other"], "issue_by": ["administrators"] } });
    world.patch(&format!("{R}/services/git"), policy).await.expect(200);
    let fit = token.fit(&world).await;
    let now = token.shrink(&world, &fit).await.expect(200);
    assert_eq!(now["scopes"], json!(["repo:read"]));
}

#[tokio::test]
async fn keepers_find_what_could_be_smaller_page_by_page_and_within_their_reach() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let first = Token::of(&world, whole()).await;
        let fitting = Token::with(&world, first.gate.clone(), json!({ "scopes": ["a"] })).await;
        let second = Token::with(&world, first.gate.clone(), json!({ "scopes": ["a", "b"] })).await;
        world.service("wiki").await;
        world.clock.advance_seconds(100 * DAY);
        first.verify(&world, &["repo:read"], "10.1.2.3").await;
        for token in [&fitting, &second] {
            token.verify(&world, &["a"], "10.1.2.3").await;
        }
        world.authority.flush_notes().await.unwrap();
        let pages = async |key: &str, query: &str| {
            let (mut found, mut cursor, mut asked) = (Vec::new(), String::new(), 0);
            loop {
                let path = format!("{R}/fit?limit=1{query}{cursor}");
                let page = world.call(key, "GET", &path, Value::Null).await.expect(200);
                for item in page["items"].as_array().unwrap() {
                    assert_eq!(item["fit"]["days"], 90);
                    found.push(item["token"]["id"].as_str().unwrap().to_owned());
                }
                asked += 1;
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return (found, asked),
                }
            }
        };
        let all = vec![second.id.clone(), first.id.clone()];
        let (found, asked) = pages(&world.operator_key, "&kind=personal_access_token").await;
        assert_eq!(found, all);
        // A token that fits takes its place on a page, so none costs more than it may hold.
        assert!(asked >= 3, "{asked}");
        assert_eq!(pages(&world.operator_key, "&service=wiki").await.0, [""; 0]);
        let manager = json!({ "roles": ["service-manager"], "services": ["git"] });
        let manager = world.client("manager", manager).await;
        assert_eq!(pages(&manager, "").await.0, all);
        let other = json!({ "roles": ["service-manager"], "services": ["wiki"] });
        let other = world.client("other", other).await;
        assert_eq!(pages(&other, "").await.0, [""; 0]);
        world.call(&other, "GET", &first.path(), Value::Null).await.refused(404, "not-found");
        let digest = json!({ "digest": first.fit(&world).await["digest"] });
        world.call(&other, "POST", &first.path(), digest.clone()).await.refused(404, "not-found");
        // Who may look and not write, and who may do neither.
        let auditor = world.client("auditor", json!({ "roles": ["auditor"] })).await;
        world.call(&auditor, "GET", &first.path(), Value::Null).await.expect(200);
        let said = world.call(&auditor, "POST", &first.path(), digest.clone()).await;
        said.refused(403, "insufficient-scope");
        let said = world.call(&first.gate, "GET", &first.path(), Value::Null).await;
        said.refused(403, "insufficient-scope");
        // Its owner.
        let own = json!({ "services": ["counterfoil"], "scopes": ["tokens:write"] });
        let (_, own) = world.pat("alice", own).await;
        assert_eq!(pages(&own, "").await.0, all);
        world.call(&own, "POST", &first.path(), digest).await.expect(200);
    }
}

/// What an edit gives begins to be watched with it.
#[tokio::test]
async fn what_was_given_lately_stays() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let token = Token::of(&world, json!({ "scopes": ["a", "b"] })).await;
        world.clock.advance_seconds(50 * DAY);
        let path = format!("{R}/tokens/{}", token.id);
        world.patch(&path, json!({ "scopes": ["a", "b", "c"] })).await.expect(200);
        world.clock.advance_seconds(50 * DAY);
        token.verify(&world, &["a"], "10.1.2.3").await;
        let fit = token.fit(&world).await;
        assert_eq!(fit["scopes"]["young"], json!(["c"]));
        assert_eq!(fit["scopes"]["proposed"], json!(["a", "c"]));
        let fewer = world.get(&format!("{}?days=40", token.path())).await.expect(200);
        assert_eq!(fewer["scopes"]["proposed"], json!(["a"]));
    }
}

/// Uses that could not be stored are stored later, and none of them is taken for unused.
#[tokio::test]
async fn a_use_that_could_not_be_stored_is_not_forgotten() {
    let (store, world) = over_failing().await;
    let token = Token::partly_used(&world).await;
    world.authority.flush_notes().await.unwrap();
    let fit = token.fit(&world).await;
    token.verify(&world, &["push"], "10.1.2.3").await;
    store.fail_from(1);
    world.authority.flush_notes().await.unwrap_err();
    world.get(&token.path()).await.problem(503);
    token.shrink(&world, &fit).await.problem(503);
    store.heal();
    token.shrink(&world, &fit).await.refused(412, "version-mismatch");
    let used = token.fit(&world).await["scopes"]["used"].clone();
    assert_eq!(used, json!(["repo:*", "push"]));
}

/// A client that hangs up takes no note with it, and no other flush overtakes one that runs.
#[tokio::test]
async fn a_use_is_not_forgotten_when_nobody_waits_for_its_flush() {
    let (store, world) = over_failing().await;
    let token = Token::partly_used(&world).await;
    let fit = token.fit(&world).await;
    token.verify(&world, &["push"], "10.1.2.3").await;
    store.hang_nth(1);
    let both = async { tokio::join!(world.authority.flush_notes(), world.authority.flush_notes()) };
    let given_up = tokio::time::timeout(Duration::from_millis(100), both).await;
    assert!(given_up.is_err());
    // The second one waited for the first and had not found everything stored.
    assert_eq!(store.calls(), ["use_notes_add"]);
    store.heal();
    token.shrink(&world, &fit).await.refused(412, "version-mismatch");
    let used = token.fit(&world).await["scopes"]["used"].clone();
    assert_eq!(used, json!(["repo:*", "push"]));
}

#[tokio::test]
async fn a_store_that_is_down_takes_nothing_away() {
    let (store, world) = over_failing().await;
    let token = Token::partly_used(&world).await;
    world.authority.flush_notes().await.unwrap();
    let digest = token.fit(&world).await["digest"].clone();
    let path = format!("{R}/tokens/{}", token.id);
    let (list, body) = (format!("{R}/fit"), json!({ "digest": digest }));
    let acts = [
        ("GET", token.path(), Value::Null),
        ("GET", list, Value::Null),
        ("POST", token.path(), body),
    ];
    for (method, place, body) in acts {
        for call in 1.. {
            assert!(call < 40, "a loop");
            let cold = world.restarted().await;
            store.fail_nth(call);
            let key = &world.operator_key;
            let answer = cold.call(key, method, &place, body.clone()).await;
            let calls = store.calls().len();
            store.heal();
            if calls < call {
                answer.expect(200);
                break;
            }
            assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{call}");
            assert_eq!(world.get(&path).await.expect(200)["doors"], json!(["api", "ldap"]));
        }
    }
    assert_eq!(world.get(&path).await.expect(200)["doors"], json!(["api"]));
}
