//! Alarms: each with what raises it and what does not, who hears of it, and the lock that a policy
//! may ask for.

use std::sync::Arc;

use counterfoil_authority::event::ALARMS;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use super::world::{Postman, furnished_for};
use crate::world::{Engine, R, World};

const DAY: i64 = 86_400;

/// An installation whose people hear of alarms, and a token of Alice's for `git`.
struct Place {
    world: World,
    postman: Arc<Postman>,
    gate: String,
    token: String,
    secret: String,
}

impl Place {
    async fn on(engine: Engine, alarms: Value) -> Self {
        Self::at(World::on(engine).await, alarms).await
    }

    async fn at(world: World, alarms: Value) -> Self {
        furnished_for(&world, &ALARMS).await;
        let gate = world.verifier("gate", "git").await;
        let policy = json!({ "token_policy": { "alarms": alarms } });
        world.patch(&format!("{R}/services/git"), policy).await.expect(200);
        let (token, secret) = world.pat("alice", json!({ "services": ["git"] })).await;
        Self { world, postman: Arc::new(Postman::default()), gate, token, secret }
    }

    /// Uses the token from somewhere, and says what was told of it.
    async fn used_from(&self, address: &str) -> Vec<String> {
        self.used_at(&self.world, address).await
    }

    async fn used_at(&self, node: &World, address: &str) -> Vec<String> {
        let body = json!({ "token": self.secret, "client_ip": address });
        node.call(&self.gate, "POST", &format!("{R}/verify"), body).await.expect(200);
        self.postman.flushed(node).await
    }

    async fn code(&self) -> Value {
        let body = json!({ "token": self.secret });
        let path = format!("{R}/verify");
        let said = self.world.call(&self.gate, "POST", &path, body).await.expect(200);
        said["code"].clone()
    }

    async fn is_locked(&self) -> bool {
        let shown = self.world.get(&format!("{R}/tokens/{}", self.token)).await.expect(200);
        shown["locked"] == true
    }
}

/// What an alarm comes to: a letter to the owner, and a message to a program.
fn told(subject: &str, kind: &str) -> [String; 2] {
    [format!("alice@example.org: git: {subject}"), format!("hook: {kind}")]
}

fn new_network() -> [String; 2] {
    told("a token was used from a new network", "token.new-network")
}

fn many_networks() -> [String; 2] {
    told("a token is used from many networks", "token.many-networks")
}

const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn a_first_use_from_a_new_network_is_told_of_once() {
    for engine in Engine::ALL {
        let place = Place::on(engine, json!({ "new_network": true })).await;
        // The first network of all is none that is new, and a neighbour is in it.
        assert_eq!(place.used_from("192.0.2.1").await, NOTHING);
        assert_eq!(place.used_from("192.0.2.200").await, NOTHING);
        assert_eq!(place.used_from("198.51.100.7").await, new_network());
        assert_eq!(place.used_from("198.51.100.7").await, NOTHING);
        // Nor is it news to another node, or a week later, or for a node that remembers nothing.
        let other = place.world.restarted().await;
        assert_eq!(place.used_at(&other, "198.51.100.8").await, NOTHING);
        place.world.clock.advance_seconds(7 * DAY);
        assert_eq!(place.used_from("192.0.2.1").await, NOTHING);
        assert_eq!(place.used_at(&other, "2001:db8:1:2::3").await, new_network());
        assert_eq!(place.used_at(&other, "2001:db8:1:ffff::3").await, NOTHING);
        assert!(!place.is_locked().await);
        let path = format!("{R}/events?kind=token.new-network");
        let events = place.world.get(&path).await.expect(200);
        let event = &events["items"][1];
        let said = [&event["subject"], &event["service"], &event["detail"]["network"]];
        assert_eq!(said, ["user:alice", "git", "198.51.100.0/24"], "{event}");
    }
}

#[tokio::test]
async fn whoever_asks_for_no_alarm_gets_none_and_nothing_is_kept() {
    for engine in Engine::ALL {
        let place = Place::on(engine, json!({ "lock_on": ["new_network"] })).await;
        for address in ["192.0.2.1", "198.51.100.7", "203.0.113.1"] {
            assert_eq!(place.used_from(address).await, NOTHING);
        }
        let id = counterfoil_authority::secret::TokenId::parse(&place.token).unwrap();
        let kept = place.world.authority.store().networks_of(id).await.unwrap();
        assert_eq!(kept, []);
        assert!(!place.is_locked().await);
    }
}

#[tokio::test]
async fn a_token_in_too_many_networks_is_told_of_and_locked_where_the_policy_says_so() {
    for engine in Engine::ALL {
        let place =
            Place::on(engine, json!({ "networks_max": 2, "lock_on": ["many_networks"] })).await;
        for address in ["192.0.2.1", "198.51.100.7", "192.0.2.77", "198.51.100.1"] {
            assert_eq!(place.used_from(address).await, NOTHING);
        }
        assert!(!place.is_locked().await);
        let raised = place.used_from("203.0.113.1").await;
        assert_eq!(raised, many_networks());
        assert!(place.is_locked().await);
        assert_eq!(place.code().await, "locked");
        // Whoever unlocks it is not overruled by what was seen before.
        let path = format!("{R}/tokens/{}/unlock", place.token);
        place.world.post(&path, json!({})).await.expect(200);
        assert_eq!(place.used_from("192.0.2.1").await, NOTHING);
        assert!(!place.is_locked().await);
    }
}

#[tokio::test]
async fn networks_of_different_days_do_not_count_together() {
    for engine in Engine::ALL {
        let place = Place::on(engine, json!({ "networks_max": 2 })).await;
        for address in ["192.0.2.1", "198.51.100.7", "203.0.113.1", "10.1.2.3"] {
            assert_eq!(place.used_from(address).await, NOTHING);
            place.world.clock.advance_seconds(DAY / 2);
        }
    }
}

#[tokio::test]
async fn a_replaced_secret_raises_an_alarm_and_the_new_one_does_not() {
    for engine in Engine::ALL {
        let place = Place::on(engine, json!({ "lock_on": ["retired_secret"] })).await;
        let path = format!("{R}/tokens/{}/rotate", place.token);
        let body = json!({ "overlap_seconds": 0 });
        let fresh = place.world.post(&path, body).await.expect(200)["secret"].clone();
        place.world.clock.advance_seconds(1);
        let ask = json!({ "token": fresh });
        let verify = format!("{R}/verify");
        let said = place.world.call(&place.gate, "POST", &verify, ask.clone()).await;
        assert_eq!(said.expect(200)["active"], true);
        assert_eq!(place.postman.flushed(&place.world).await, NOTHING);
        assert!(!place.is_locked().await);
        assert_eq!(place.code().await, "expired");
        let expected = told("an old secret of your token was used", "token.retired-secret-used");
        assert_eq!(place.postman.flushed(&place.world).await, expected);
        assert!(place.is_locked().await);
        // A program that goes on with it is told of to other programs, and to a person once a day.
        let again = async || {
            let path = format!("{R}/tokens/{}/unlock", place.token);
            place.world.post(&path, json!({})).await.expect(200);
            assert_eq!(place.code().await, "expired");
        };
        again().await;
        assert_eq!(place.postman.flushed(&place.world).await, expected[1..]);
        place.world.clock.advance_seconds(DAY);
        again().await;
        assert_eq!(place.postman.flushed(&place.world).await, expected);
    }
}

#[tokio::test]
async fn a_second_opening_of_a_link_raises_an_alarm_and_the_first_does_not() {
    for engine in Engine::ALL {
        let place = Place::on(engine, json!({ "lock_on": ["link_reopened"] })).await;
        let body = json!({ "kind": "service_token", "user": "alice", "service": "git",
            "delivery": "link" });
        let issued = place.world.post(&format!("{R}/tokens"), body).await.expect(201);
        let open = async || {
            let body = json!({ "link": issued["link"] }).to_string().into_bytes();
            let json = [("content-type", "application/json")];
            place.world.send("POST", "/api/v1/links/open", &json, Some(body)).await
        };
        assert_eq!(open().await.status, 200);
        assert_eq!(place.postman.flushed(&place.world).await, NOTHING);
        assert_ne!(open().await.status, 200);
        let expected = told("your link was opened a second time", "link.reopened");
        assert_eq!(place.postman.flushed(&place.world).await, expected);
        let path = format!("{R}/tokens/{}", issued["token"]["id"].as_str().unwrap());
        assert_eq!(place.world.get(&path).await.expect(200)["locked"], true);
        assert!(!place.is_locked().await, "another token was locked");
    }
}

#[tokio::test]
async fn a_draw_beyond_the_count_and_a_copied_refresh_token_are_told_of() {
    for engine in Engine::ALL {
        let place = Place::on(engine, json!({})).await;
        // It belongs to who issues it.
        let grant = json!({ "subject": { "user": "alice" }, "role": "realm-admin" });
        place.world.post(&format!("{R}/grants"), grant).await.expect(201);
        let scopes = json!(["registration-tokens:write", "tokens:write"]);
        let body = json!({ "services": ["counterfoil"], "scopes": scopes });
        let key = place.world.pat("alice", body).await.1;
        let body = json!({ "kind": "registration_token", "service": "git", "count": 1 });
        let issued = place.world.call(&key, "POST", &format!("{R}/tokens"), body).await.expect(201);
        let enrol = async || {
            let key = issued["secret"].as_str().unwrap();
            let body = json!({ "subject": "device" });
            place.world.call(key, "POST", &format!("{R}/enrol"), body).await
        };
        let drawn = enrol().await.expect(201);
        assert_eq!(place.postman.flushed(&place.world).await, NOTHING);
        assert_ne!(enrol().await.status, 201);
        let subject = "a registration token was tried after its last draw";
        let expected = told(subject, "token.count-exceeded");
        assert_eq!(place.postman.flushed(&place.world).await, expected);
        let refresh = async |token: &Value| {
            let form =
                format!("grant_type=refresh_token&refresh_token={}", token.as_str().unwrap());
            let kind = [("content-type", "application/x-www-form-urlencoded")];
            place.world.send("POST", "/oauth2/token", &kind, Some(form.into_bytes())).await
        };
        let first = drawn["refresh_token"].clone();
        let second = refresh(&first).await.expect(200)["refresh_token"].clone();
        assert_eq!(place.postman.flushed(&place.world).await, NOTHING);
        place.world.clock.advance_seconds(60);
        assert_ne!(refresh(&first).await.status, 200);
        let expected = told("a copied token was used", "token.refresh-reused");
        assert_eq!(place.postman.flushed(&place.world).await, expected);
        assert_ne!(refresh(&second).await.status, 200);
    }
}

#[tokio::test]
async fn what_a_store_that_is_down_did_not_take_is_told_of_when_it_is_back_and_once() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let world = World::over(shared, HttpSettings::default()).await;
    let alarms = json!({ "new_network": true, "lock_on": ["new_network"] });
    let place = Place::at(world, alarms).await;
    assert_eq!(place.used_from("192.0.2.1").await, NOTHING);
    let body = json!({ "token": place.secret, "client_ip": "198.51.100.7" });
    let said = place.world.call(&place.gate, "POST", &format!("{R}/verify"), body).await;
    assert_eq!(said.expect(200)["active"], true);
    // Each call of the flush fails in turn, until none is left to fail.
    for call in 1.. {
        store.fail_nth(call);
        let flushed = place.world.authority.flush_usage().await;
        let calls = store.calls().len();
        store.heal();
        if calls < call {
            flushed.unwrap();
            break;
        }
    }
    assert_eq!(place.postman.flushed(&place.world).await, new_network());
    assert!(place.is_locked().await);
    assert_eq!(place.postman.flushed(&place.world).await, NOTHING);
}
