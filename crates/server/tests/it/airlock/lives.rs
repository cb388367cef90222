//! C2, C5, C6, C7 and C8: uses, instants and repetitions; and tokens that change hands.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::{ask, ask_with, attributes, create, refused, tokens, verify};
use crate::world::{Engine, World};

const TOKENS: &str = r#"
[repository.key]
kind = "token"
max_tokens_per_user = 3
services = ["vpn"]
[repository.key.attributes]
serialId = { filterable = true }
validFrom = {}
validTo = { filterable = true }
maxUsages = {}
firstUsageDate = {}
latestUsageDate = { filterable = true }
totalUsages = { filterable = true }
"#;

async fn world(engine: Engine) -> World {
    let world = World::on_with(engine, TOKENS).await;
    world.service("vpn").await;
    for name in ["alice", "bob"] {
        world.user(name).await;
    }
    world
}

fn id_of(made: &Value) -> String {
    made["data"]["id"].as_str().unwrap().to_owned()
}

async fn active(world: &World, made: &Value) -> Value {
    let secret = made["meta"]["secret"].as_str().unwrap();
    verify(world, json!({ "token": secret, "service": "vpn" })).await["active"].clone()
}

#[tokio::test]
async fn c2_of_two_hundred_uses_at_the_same_time_five_are_accepted() {
    for engine in Engine::ALL {
        let world = Arc::new(world(engine).await);
        let made = Arc::new(create(&world, "alice", "key", json!({ "maxUsages": 5 })).await);
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let (world, made) = (Arc::clone(&world), Arc::clone(&made));
                tokio::spawn(async move { active(&world, &made).await })
            })
            .collect();
        let mut accepted = 0;
        for task in tasks {
            accepted += usize::from(task.await.unwrap() == json!(true));
        }
        assert_eq!(accepted, 5);
        let path = format!("{}/{}", tokens("alice", "key"), id_of(&made));
        let shown = ask(&world, "GET", &path, Value::Null).await.expect(200);
        assert_eq!(shown["data"]["attributes"]["totalUsages"], 5);
        assert_eq!(shown["data"]["meta"]["state"], "exhausted");
    }
}

#[tokio::test]
async fn c5_c6_a_token_counts_from_its_first_instant_until_before_its_last() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let said =
            json!({ "validFrom": "2026-11-21T12:00:10Z", "validTo": "2026-11-21T12:00:20Z" });
        let made = create(&world, "alice", "key", said).await;
        let start = world.authority.now();
        for (milliseconds, good) in
            [(9_999, false), (10_000, true), (19_999, true), (20_000, false)]
        {
            let micros = start.micros() + milliseconds * 1_000;
            world.clock.set(counterfoil_authority::clock::Timestamp::from_micros(micros));
            assert_eq!(active(&world, &made).await, good, "at {milliseconds} ms");
        }
        // A day is a day of the realm's zone, 25 hours long when summer time ends.
        let zone = json!({ "zone": "Europe/Berlin" });
        world.patch("/api/v1/realms/main", zone).await.expect(200);
        let said = json!({ "validFrom": "2027-10-31", "validTo": "2027-10-31" });
        let shown = create(&world, "alice", "key", said).await["data"]["attributes"].clone();
        assert_eq!(shown["validFrom"], "2027-10-30T22:00:00.000Z");
        assert_eq!(shown["validTo"], "2027-10-31T23:00:00.000Z");
    }
}

#[tokio::test]
async fn c7_the_latest_use_never_goes_back_and_lists_follow_it() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let old = create(&world, "alice", "key", json!({})).await;
        let new = create(&world, "bob", "key", json!({})).await;
        let never = create(&world, "bob", "key", json!({})).await;
        let use_at = async |made: &Value, seconds: i64| {
            world.clock.advance_seconds(seconds);
            assert_eq!(active(&world, made).await, true);
            world.authority.flush_usage().await.unwrap();
        };
        use_at(&old, 100).await;
        use_at(&new, 100).await;
        // Ten minutes back: a clock that was set.
        use_at(&new, -150).await;
        let path = format!("{}/{}", tokens("bob", "key"), id_of(&new));
        let shown = ask(&world, "GET", &path, Value::Null).await.expect(200);
        let shown = &shown["data"]["attributes"];
        assert_eq!(shown["latestUsageDate"], "2026-11-21T12:03:20.000Z");
        assert_eq!(shown["totalUsages"], 2);
        let list = async |query: &str| {
            let path = format!("/tokens?filter[type]=key&{query}");
            let listed = ask(&world, "GET", &path, Value::Null).await.expect(200);
            let ids = listed["data"].as_array().unwrap().iter();
            ids.map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let [old, new, never] = [id_of(&old), id_of(&new), id_of(&never)];
        assert_eq!(list("sort=-latestUsageDate").await, [new.clone(), old.clone(), never.clone()]);
        assert_eq!(list("sort=latestUsageDate").await, [never.clone(), old.clone(), new.clone()]);
        let before = "filter[latestUsageDate][lt]=2026-11-21T12:02:00Z&sort=latestUsageDate";
        assert_eq!(list(before).await, std::slice::from_ref(&old));
        assert_eq!(list("filter[totalUsages]=0").await, std::slice::from_ref(&never));
        assert_eq!(list("filter[totalUsages][ge]=1&sort=-totalUsages").await, [new.clone(), old]);
        assert_eq!(list("filter[user]=bob&sort=-totalUsages").await, [new.clone(), never.clone()]);

        // Page by page, each once.
        let first = "/tokens?filter[type]=key&sort=-latestUsageDate&page[size]=2";
        let page = ask(&world, "GET", first, Value::Null).await.expect(200);
        assert_eq!(page["data"].as_array().unwrap().len(), 2);
        let cursor = page["meta"]["next"].as_str().unwrap();
        let rest = list(&format!("sort=-latestUsageDate&page[size]=2&page[after]={cursor}")).await;
        assert_eq!(rest, [never]);
    }
}

#[tokio::test]
async fn c8_a_repeated_creation_is_answered_as_the_first_one() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let key = [("idempotency-key", "again")];
        let all = tokens("alice", "key");
        let post = async |said: Value| ask_with(&world, "POST", &all, &key, attributes(said)).await;
        let first = post(json!({ "serialId": "S-1" })).await;
        let second = post(json!({ "serialId": "S-1" })).await;
        assert_eq!((first.status, &first.text), (second.status, &second.text));
        refused(&post(json!({ "serialId": "S-2" })).await, 422, "IDEMPOTENCY_KEY_REUSED");
        let listed = ask(&world, "GET", &all, Value::Null).await.expect(200);
        assert_eq!(listed["data"].as_array().unwrap().len(), 1);
        // The serial is free again once its token is deleted.
        let twin = attributes(json!({ "serialId": "S-1" }));
        let refusal = ask(&world, "POST", &tokens("bob", "key"), twin.clone()).await;
        refused(&refusal, 409, "SERIAL_NOT_UNIQUE");
        let one = format!("{all}/{}", id_of(&first.body));
        assert_eq!(ask(&world, "DELETE", &one, Value::Null).await.status, 204);
        refused(&ask(&world, "GET", &one, Value::Null).await, 404, "TOKEN_NOT_FOUND");
        ask(&world, "POST", &tokens("bob", "key"), twin).await.expect(201);
    }
}

#[tokio::test]
async fn stock_is_nobodys_until_it_is_assigned_and_each_owner_has_their_own_usage() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let body = json!({ "data": { "type": "key", "attributes": { "serialId": "HW-1" } } });
        let made = ask(&world, "POST", "/tokens", body).await;
        assert_eq!(made.header("location"), "", "there is nothing to look at by itself");
        let made = made.expect(201);
        let id = id_of(&made);
        assert_eq!(made["data"]["meta"]["state"], "pending");
        assert_eq!(active(&world, &made).await, false);
        let stock = "/tokens?filter[type]=key&filter[assigned]=false";
        let listed = ask(&world, "GET", stock, Value::Null).await.expect(200);
        assert_eq!(listed["data"][0]["id"], id);
        let assign = async |user: &str| {
            let body = json!({ "data": { "type": "users", "id": user } });
            ask(&world, "POST", &format!("/tokens/{id}/assign"), body).await
        };
        refused(&assign("nobody").await, 404, "USER_NOT_FOUND");
        assert_eq!(assign("alice").await.expect(200)["data"]["meta"]["user"], "alice");
        refused(&assign("bob").await, 409, "ALREADY_ASSIGNED");
        let odd = "/tokens?filter[type]=key&filter[assigned]=anything";
        refused(&ask(&world, "GET", odd, Value::Null).await, 400, "FILTER_NOT_SUPPORTED");
        for _ in 0..3 {
            assert_eq!(active(&world, &made).await, true);
        }
        world.authority.flush_usage().await.unwrap();
        let usages = async |user: &str| {
            let path = format!("{}/{id}", tokens(user, "key"));
            let shown = ask(&world, "GET", &path, Value::Null).await.expect(200);
            let shown = &shown["data"]["attributes"];
            (shown["totalUsages"].clone(), shown["latestUsageDate"].is_null())
        };
        assert_eq!(usages("alice").await, (json!(3), false));
        let path = format!("/tokens/{id}/unassign");
        ask(&world, "POST", &path, json!({})).await.expect(200);
        assert_eq!(active(&world, &made).await, false);
        world.clock.advance_seconds(60);
        assign("bob").await.expect(200);
        assert_eq!(usages("bob").await, (json!(0), true), "nothing is inherited");
        assert_eq!(active(&world, &made).await, true);
        world.authority.flush_usage().await.unwrap();
        assert_eq!(usages("bob").await, (json!(1), false));
        let total = world.get(&format!("/api/v1/realms/main/tokens/{id}")).await.expect(200);
        assert_eq!(total["usage_total"], 4, "the token's own count goes on");
        let path = format!("{}/{id}", tokens("alice", "key"));
        refused(&ask(&world, "GET", &path, Value::Null).await, 404, "TOKEN_NOT_FOUND");
    }
}

#[tokio::test]
async fn stock_counts_for_whom_it_is_given_to_and_not_for_who_keeps_it() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let policy = json!({ "token_policy": { "max_active_per_user": 1 } });
        world.patch("/api/v1/realms/main/services/vpn", policy).await.expect(200);
        let body = json!({ "data": { "type": "key", "attributes": {} } });
        let mut ids = Vec::new();
        for _ in 0..3 {
            let made = ask(&world, "POST", "/tokens", body.clone()).await.expect(201);
            ids.push(id_of(&made));
        }
        let assign = async |id: &str, user: &str| {
            let body = json!({ "data": { "type": "users", "id": user } });
            ask(&world, "POST", &format!("/tokens/{id}/assign"), body).await
        };
        assign(&ids[0], "alice").await.expect(200);
        refused(&assign(&ids[1], "alice").await, 409, "TOKEN_LIMIT_REACHED");
        assign(&ids[1], "bob").await.expect(200);
        // Who manages one service decides about nobody's stock.
        let roles = json!({ "roles": ["service-manager"], "services": ["vpn"] });
        let manager = world.client("manager", roles).await;
        let path = format!("{}/tokens", super::world::DOOR);
        let made = world.call(&manager, "POST", &path, body).await;
        refused(&made, 403, "ACCESS_DENIED");
    }
}
