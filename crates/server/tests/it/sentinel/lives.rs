//! A15, A19 to A21, A24, A26, A27, A35: what time and administrators do to registration tokens and
//! to what was drawn from them.

use serde_json::{Value, json};

use super::world::{V5, admin, create, redeem, refused, send};
use crate::world::{Answer, Engine, R, World};

const DAY: i64 = 86_400;
const DOOR: &str = "/realms/main/protocol/openid-connect";

/// A registration token of the native API, with further fields: its id and secret.
async fn fleet(world: &World, more: Value) -> (String, String) {
    let mut body = json!({ "kind": "registration_token", "name": "fleet", "count": 9 });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let issued = world.post(&format!("{R}/tokens"), body).await.expect(201);
    (text(&issued["token"]["id"]), text(&issued["secret"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn draw(world: &World, secret: &str, name: &str, key: Option<&str>) -> Answer {
    let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
    let body = json!({ "subject": name });
    world.call_with(secret, "POST", &format!("{R}/enrol"), &headers, body).await
}

async fn posted(world: &World, path: &str, form: String) -> Answer {
    let bearer = format!("Bearer {}", world.operator_key);
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    let headers = [form_type, ("authorization", bearer.as_str())];
    // Who introspects has to say who it is; who refreshes says it by the secret alone.
    let headers = if path == "/token" { &headers[..1] } else { &headers };
    world.send("POST", &format!("{DOOR}{path}"), headers, Some(form.into_bytes())).await
}

async fn refresh(world: &World, secret: &str) -> Answer {
    posted(world, "/token", format!("grant_type=refresh_token&refresh_token={secret}")).await
}

async fn is_active(world: &World, access: &Value) -> bool {
    let form = format!("token={}", access.as_str().unwrap());
    posted(world, "/token/introspect", form).await.expect(200)["active"] == true
}

async fn shown(world: &World, id: &str) -> Value {
    world.get(&format!("{R}/tokens/{id}")).await.expect(200)
}

async fn told(world: &World, id: &str, kind: &str) -> usize {
    world.authority.flush_usage().await.unwrap();
    let events = world.get(&format!("{R}/tokens/{id}/events?limit=1000")).await.expect(200);
    events["items"].as_array().unwrap().iter().filter(|event| event["kind"] == kind).count()
}

#[tokio::test]
async fn a15_a_key_is_good_for_a_day_and_forgotten_then() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let (id, secret) = fleet(&world, json!({})).await;
        let first = draw(&world, &secret, "one", Some("install")).await.expect(201);
        world.clock.advance_seconds(DAY - 1);
        let again = draw(&world, &secret, "one", Some("install")).await.expect(201);
        assert_eq!((&again, &shown(&world, &id).await["used"]), (&first, &json!(1)));
        draw(&world, &secret, "two", Some("install")).await.refused(422, "idempotency-key-reused");
        world.clock.advance_seconds(1);
        let later = draw(&world, &secret, "one", Some("install")).await.expect(201);
        assert_ne!(later["token"]["id"], first["token"]["id"]);
        assert_eq!(shown(&world, &id).await["used"], 2);
    }
}

#[tokio::test]
async fn a19_an_expired_token_draws_nothing_and_what_was_drawn_refreshes() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let made = create(&world, &json!({})).await;
        let token = made["token"].as_str().unwrap();
        let drawn = redeem(&world, token, "one").await.expect(201)["authToken"].clone();
        world.clock.advance_seconds(31 * DAY);
        refused(&redeem(&world, token, "two").await, 403, 90_411);
        let path = format!("/registrationTokens/{}", text(&made["id"]));
        let seen = admin(&world, "GET", &path, None).await.expect(200);
        let seen = &seen["registrationToken"];
        assert_eq!((&seen["status"], &seen["remainingCount"]), (&json!("Expired"), &json!(3)));
        refresh(&world, &text(&drawn["refresh_token"])).await.expect(200);
    }
}

#[tokio::test]
async fn a20_the_end_is_told_of_once_72_hours_before_it() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let (id, _) = fleet(&world, json!({})).await;
        world.clock.advance_seconds(27 * DAY - 1);
        world.authority.enrolment_due().await.unwrap();
        assert_eq!(told(&world, &id, "token.ends-soon").await, 0);
        world.clock.advance_seconds(1);
        for _ in 0..2 {
            world.authority.enrolment_due().await.unwrap();
        }
        assert_eq!(told(&world, &id, "token.ends-soon").await, 1);
    }
}

#[tokio::test]
async fn a21_a_retry_in_30_seconds_gets_the_same_successor_and_one_at_31_ends_the_family_alone() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        world.service("git").await;
        let (_, secret) = fleet(&world, json!({ "services": ["git"] })).await;
        let device = draw(&world, &secret, "one", None).await.expect(201);
        let sibling = draw(&world, &secret, "two", None).await.expect(201);
        let first = text(&device["refresh_token"]);
        let second = refresh(&world, &first).await.expect(200);
        assert_ne!(second["refresh_token"], first.as_str());
        world.clock.advance_seconds(29);
        let again = refresh(&world, &first).await.expect(200);
        assert_eq!(again["refresh_token"], second["refresh_token"]);
        for answer in [&second, &again] {
            assert!(is_active(&world, &answer["access_token"]).await);
        }
        world.clock.advance_seconds(2);
        assert_eq!(refresh(&world, &first).await.expect(400)["error"], "invalid_grant");
        let id = text(&device["token"]["id"]);
        assert_eq!(shown(&world, &id).await["state"], "revoked");
        assert_eq!(told(&world, &id, "token.refresh-reused").await, 1);
        let winner = refresh(&world, &text(&second["refresh_token"])).await;
        assert_eq!(winner.expect(400)["error"], "invalid_grant");
        assert!(!is_active(&world, &second["access_token"]).await);
        refresh(&world, &text(&sibling["refresh_token"])).await.expect(200);
        let sibling = shown(&world, &text(&sibling["token"]["id"])).await;
        assert_eq!(sibling["state"], "active");
    }
}

#[tokio::test]
async fn a24_a_deleted_token_leaves_three_of_three_or_ends_them_and_a_dry_run_tells() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        for (query, living) in [("", 3), ("?cascade=true", 0)] {
            let made = create(&world, &json!({})).await;
            let (id, token) = (text(&made["id"]), text(&made["token"]));
            for name in ["one", "two", "three"] {
                redeem(&world, &token, name).await.expect(201);
            }
            let path = format!("/registrationTokens/{id}");
            let dry = format!("{path}?cascade=true&dryRun=true");
            let dry = admin(&world, "DELETE", &dry, None).await.expect(200);
            assert_eq!(dry["blastRadius"]["authTokens"], 3);
            let children = format!("/authTokens?registrationTokenId={id}");
            let count = || async {
                admin(&world, "GET", &children, None).await.expect(200)["authTokens"]["count"]
                    .clone()
            };
            assert_eq!(count().await, 3);
            let path = format!("{path}{query}");
            assert_eq!(admin(&world, "DELETE", &path, None).await.status, 204);
            assert_eq!(count().await, living, "{query}");
        }
    }
}

#[tokio::test]
async fn a26_an_ephemeral_auth_token_that_was_idle_for_60_seconds_is_over() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let stamp = json!({ "ephemeral": true, "idle_seconds": 60 });
        let (_, secret) = fleet(&world, json!({ "stamp": stamp })).await;
        let device = draw(&world, &secret, "one", None).await.expect(201);
        let id = text(&device["token"]["id"]);
        world.clock.advance_seconds(59);
        let next = refresh(&world, &text(&device["refresh_token"])).await.expect(200);
        world.clock.advance_seconds(59);
        world.authority.enrolment_due().await.unwrap();
        assert_eq!(shown(&world, &id).await["state"], "active");
        world.clock.advance_seconds(1);
        world.authority.enrolment_due().await.unwrap();
        let ended = shown(&world, &id).await;
        assert_eq!(
            (&ended["state"], &ended["revoked_reason"]),
            (&json!("revoked"), &json!("idle"))
        );
        let late = refresh(&world, &text(&next["refresh_token"])).await;
        assert_eq!(late.expect(400)["error"], "invalid_grant");
    }
}

#[tokio::test]
async fn a27_a_request_that_nobody_decides_gives_its_reserved_count_back() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let (id, secret) = fleet(&world, json!({ "count": 1, "approval": "required" })).await;
        let counts = || async {
            let shown = shown(&world, &id).await;
            (shown["used"].as_u64().unwrap(), shown["reserved"].as_u64().unwrap())
        };
        let waiting = draw(&world, &secret, "one", None).await.expect(202);
        assert_eq!(counts().await, (0, 1));
        draw(&world, &secret, "two", None).await.refused(403, "registration-exhausted");
        world.clock.advance_seconds(DAY);
        let poll = format!("{R}/enrol/poll");
        let code = text(&waiting["device_code"]);
        world.call(&code, "POST", &poll, json!({})).await.refused(403, "request-expired");
        world.authority.enrolment_due().await.unwrap();
        assert_eq!(counts().await, (0, 0));
        draw(&world, &secret, "two", None).await.expect(202);
    }
}

/// Whoever presents a wrong registration token, wherever this door takes one, is held back after
/// some of them, and nobody else is.
#[tokio::test]
async fn a35_a_wrong_token_counts_as_a_failure_wherever_it_is_presented() {
    for way in ["redeem", "renew", "search"] {
        let world = World::throttling().await;
        let made = create(&world, &json!({})).await;
        let token = text(&made["token"]);
        let drawn = redeem(&world, &token, "one").await.expect(201)["authToken"].clone();
        let path = format!("/authTokens/{}", text(&drawn["id"]));
        let other = create(&world, &json!({})).await;
        let wrong = format!("{}{}", &token[..18], &text(&other["token"])[18..]);
        let ask = |secret: String| {
            let (world, path) = (&world, &path);
            async move {
                match way {
                    "redeem" => redeem(world, &secret, "two").await,
                    "renew" => {
                        send(world, &format!("Basic {secret}"), "PATCH", path, Some("{}")).await
                    }
                    _ => {
                        let path = format!("/registrationTokens?token={secret}");
                        admin(world, "GET", &path, None).await
                    }
                }
            }
        };
        let here = Some(world.address.ip());
        let delay = |source| world.authority.refusal_delay(source, None, None);
        for _ in 0..62 {
            assert!(delay(here).is_zero() || delay(here).as_secs() < 1);
            let refusal = ask(wrong.clone()).await;
            assert!([200, 401].contains(&refusal.status), "{}", refusal.text);
        }
        assert!(!delay(here).is_zero(), "{way}");
        assert!(delay(Some([192, 0, 2, 7].into())).is_zero());
        assert!([200, 201].contains(&ask(token).await.status), "{way} at {V5}");
    }
}
