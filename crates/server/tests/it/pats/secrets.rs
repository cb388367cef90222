//! Checks 14, 15, 19 and 20: secrets shown once, rotated, counted, and ended by possession.

use serde_json::{Value, json};

use super::world::{ENGINES, of};
use crate::world::{R, World};

#[tokio::test]
async fn check_14_a_secret_is_shown_once_and_never_by_a_list_or_a_look() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        world.with_alice().await;
        let body = json!({ "kind": "personal_access_token", "user": "alice", "services": ["git"] });
        let made = world.post(&format!("{R}/tokens"), body).await;
        assert_eq!((made.status, made.header("cache-control")), (201, "no-store"));
        let (id, secret) = of(&made.body);
        // The id is public; what follows it is not.
        let hidden = &secret[18..50];
        let token = format!("{R}/tokens/{id}");
        for path in [
            format!("{R}/tokens?limit=100"),
            token.clone(),
            format!("{token}/events"),
            format!("{token}/usage"),
            format!("{token}/children"),
            format!("{R}/events?limit=100"),
            format!("{R}/blocked-tokens"),
        ] {
            let seen = world.get(&path).await;
            assert_eq!(seen.status, 200, "{path}: {}", seen.text);
            assert!(!seen.text.contains(hidden), "{path}");
        }
        let itself = world.call(&secret, "GET", "/api/v1/self", Value::Null).await;
        assert!(itself.status == 200 && !itself.text.contains(hidden));
        for act in ["disable", "enable", "lock", "unlock", "revoke"] {
            let said = world.act(&id, act).await;
            assert!(said.status == 200 && !said.text.contains(hidden), "{act}");
        }
    }
}

#[tokio::test]
async fn check_15_both_secrets_work_inside_the_overlap_and_the_old_one_raises_an_alarm_after() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let rotate = format!("{R}/tokens/{}/rotate", alice.token);
        let rotated = world.post(&rotate, json!({ "overlap_seconds": 60 })).await;
        assert_eq!(rotated.header("cache-control"), "no-store");
        let (id, new) = of(&rotated.expect(200));
        assert_eq!(id, alice.token);
        for at in [0, 59] {
            world.clock.advance_seconds(at);
            for secret in [&alice.secret, &new] {
                assert_eq!(world.code(&alice, secret).await, "active");
            }
        }
        world.clock.advance_seconds(1);
        assert_eq!(world.code(&alice, &new).await, "active");
        assert_eq!(world.code(&alice, &alice.secret).await, "expired");
        world.authority.flush_usage().await.unwrap();
        let alarms = world.get(&format!("{R}/events?kind=token.retired-secret-used")).await;
        let alarms = alarms.expect(200);
        assert_eq!(alarms["items"][0]["token"], json!(alice.token), "{alarms}");
        // It can neither rotate nor look any more.
        let path = "/api/v1/self/rotate";
        assert_eq!(world.call(&alice.secret, "POST", path, json!({})).await.status, 401);
    }
}

/// Whoever lost the answer has nothing but the former secret to ask for it again with.
#[tokio::test]
async fn a_rotation_by_its_holder_is_answered_again_and_the_former_secret_makes_no_other() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let rotate = async |secret: &str, key: &str, body: Value| {
            let headers = [("idempotency-key", key)];
            let headers = if key.is_empty() { &[][..] } else { &headers };
            world.call_with(secret, "POST", "/api/v1/self/rotate", headers, body).await
        };
        let first = rotate(&alice.secret, "k1", json!({})).await.expect(200);
        let again = rotate(&alice.secret, "k1", json!({})).await.expect(200);
        assert_eq!(first, again);
        let new = first["secret"].as_str().unwrap();
        assert_eq!(world.code(&alice, new).await, "active");
        for key in ["k2", ""] {
            rotate(&alice.secret, key, json!({})).await.refused(403, "beyond-grant");
        }
        let other = rotate(&alice.secret, "k1", json!({ "overlap_seconds": 5 })).await;
        other.refused(422, "idempotency-key-reused");
        // It was given to the former secret, and nobody else can open it.
        rotate(new, "k1", json!({})).await.refused(422, "idempotency-key-reused");
        let shown = world.get(&format!("{R}/tokens/{}", alice.token)).await.expect(200);
        assert_eq!(shown["version"], first["token"]["version"]);
    }
}

#[tokio::test]
async fn check_15_of_forty_concurrent_rotations_of_one_version_one_wins() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let path = format!("{R}/tokens/{}", alice.token);
        let etag = world.get(&path).await.header("etag").to_owned();
        let rotate = format!("{path}/rotate");
        let attempts = (0..40).map(|_| {
            let headers = [("if-match", etag.as_str())];
            let (world, rotate) = (&world, &rotate);
            async move {
                let key = &world.operator_key;
                world.call_with(key, "POST", rotate, &headers, json!({})).await.status
            }
        });
        let said = futures_of(attempts).await;
        let count = |status: u16| said.iter().filter(|found| **found == status).count();
        assert_eq!((count(200), count(412)), (1, 39), "{said:?}");
    }
}

/// All of them at the same time.
async fn futures_of<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, slot) in waiting.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(said) = one.as_mut().poll(context)
            {
                *slot = Some(said);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn check_19_a_thousand_parallel_verifications_are_counted_exactly() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let question = json!({ "token": alice.secret, "client_ip": "192.0.2.7" });
        for _ in 0..10 {
            let hundred = (0..100).map(|_| world.asked(&alice, question.clone()));
            let said = futures_of(hundred).await;
            assert!(said.iter().all(|said| said["active"] == true));
        }
        // Within a second of the use, which is what a step of the background takes.
        world.authority.flush_usage().await.unwrap();
        while world.authority.settle_usage().await.unwrap() {}
        let shown = world.get(&format!("{R}/tokens/{}", alice.token)).await.expect(200);
        assert_eq!((&shown["usage_total"], &shown["denied_total"]), (&json!(1000), &json!(0)));
        assert_eq!(shown["last_used_ip"], "192.0.2.7");
        assert_eq!(shown["last_used_at"], "2026-11-21T12:00:00Z");
        world.clock.advance_seconds(30);
        let elsewhere = json!({ "token": alice.secret, "client_ip": "2001:db8::7" });
        world.asked(&alice, elsewhere).await;
        world.authority.flush_usage().await.unwrap();
        let shown = world.get(&format!("{R}/tokens/{}", alice.token)).await.expect(200);
        assert_eq!(
            (&shown["usage_total"], &shown["last_used_ip"]),
            (&json!(1001), &json!("2001:db8::7"))
        );
        assert_eq!(shown["first_used_at"], "2026-11-21T12:00:00Z");
        assert_eq!(shown["last_used_at"], "2026-11-21T12:00:30Z");
    }
}

#[tokio::test]
async fn check_20_whoever_finds_tokens_ends_them_and_is_told_nothing() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let (_, child) = world.derived(&alice.secret, json!({})).await;
        let revoke = async |credentials: Value| {
            let body = json!({ "credentials": credentials }).to_string().into_bytes();
            let headers = [("content-type", "application/json")];
            world.send("POST", "/api/v1/credentials/revoke", &headers, Some(body)).await
        };
        let unknown =
            revoke(json!(["cflp_000000000000_8WqY5uO1O8PMdmXPc9kg5mzhXEmzCVUO00sLyG"])).await;
        let found = revoke(json!([child, alice.secret])).await;
        assert_eq!((found.status, unknown.status), (202, 202));
        assert_eq!(found.text, unknown.text);
        assert_eq!(world.code(&alice, &alice.secret).await, "revoked");
        assert_eq!(world.code(&alice, &child).await, "revoked");
        assert_eq!(revoke(json!(vec!["x"; 1000])).await.status, 202);
        revoke(json!(vec!["x"; 1001])).await.refused(422, "invalid");
        // The owner can read what happened, and why.
        let events = world.get(&format!("{R}/tokens/{}/events", alice.token)).await.expect(200);
        let mut events = events["items"].as_array().unwrap().iter();
        let revoked = events.find(|event| event["kind"] == "token.revoked").unwrap();
        assert_eq!(revoked["actor"], "holder");
    }
}
