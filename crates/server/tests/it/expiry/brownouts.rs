//! Brown-outs: a token is refused for a while before its end, as was announced, and only then.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::{Postman, furnished};
use crate::world::{Engine, R, World};

const DAY: i64 = 86_400;

async fn said(world: &World, gate: &str, secret: &str) -> Value {
    let body = json!({ "token": secret });
    world.call(gate, "POST", &format!("{R}/verify"), body).await.expect(200)
}

async fn passed(world: &World, secret: &str) -> (u16, String) {
    let bearer = format!("Bearer {secret}");
    let answer = world.send("GET", "/authz/git", &[("authorization", &bearer)], None).await;
    (answer.status, format!("{:?}{}", answer.headers.get("www-authenticate"), answer.text))
}

#[tokio::test]
async fn a_token_is_refused_in_its_last_days_as_was_announced() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        furnished(&world).await;
        let postman = Arc::new(Postman::default());
        let gate = world.verifier("gate", "git").await;
        let rule = json!({ "days": 2, "every_hours": 24, "seconds": 600 });
        let policy = json!({ "token_policy": { "brownout": rule } });
        world.patch(&format!("{R}/services/git"), policy).await.expect(200);
        let wish = |days: i64| json!({ "services": ["git"], "lifetime_seconds": days * DAY });
        let (id, secret) = world.pat("alice", wish(8)).await;
        let endless = json!({ "services": ["git"], "expires_at": null });
        let stays = world.pat("alice", endless).await.1;
        let announced = json!({ "from": "2026-11-27T12:00:00Z", "until": "2026-11-27T12:10:00Z" });
        assert_eq!(said(&world, &gate, &secret).await["brown_out"], announced);
        assert_eq!(said(&world, &gate, &stays).await.get("brown_out"), None);
        // The notice a week before the end says it, too.
        world.clock.advance_seconds(DAY);
        postman.round(&world).await;
        let letters = postman.texts();
        let sentence = "Replace it before then. From 2026-11-27 12:00 UTC on it is refused for 10 \
                        minutes every 24 hours, so that what still uses it is noticed.";
        assert!(letters.iter().any(|text| text.contains(sentence)), "{letters:?}");
        world.clock.advance_seconds(5 * DAY - 31);
        assert_eq!(said(&world, &gate, &secret).await["active"], true);
        world.clock.advance_seconds(1);
        // To the presenter it is a refusal like any other.
        let refused = passed(&world, &secret).await;
        assert_eq!(refused, passed(&world, "cflp_nothing").await);
        assert_eq!(refused.0, 401);
        let inactive = json!({ "active": false, "code": "brown_out" });
        assert_eq!(said(&world, &gate, &secret).await, inactive);
        assert_eq!(said(&world, &gate, &stays).await["active"], true);
        // The owner reads why.
        world.authority.flush_usage().await.unwrap();
        let events =
            world.get(&format!("{R}/tokens/{id}/events?outcome=refused")).await.expect(200);
        assert_eq!(events["items"][0]["reason"], "brown_out", "{events}");
        world.clock.advance_seconds(599);
        assert_eq!(said(&world, &gate, &secret).await, inactive);
        world.clock.advance_seconds(1);
        let next = json!({ "from": "2026-11-28T12:00:00Z", "until": "2026-11-28T12:10:00Z" });
        assert_eq!(said(&world, &gate, &secret).await["brown_out"], next);
        assert_eq!(passed(&world, &secret).await.0, 200);
    }
}

/// Nothing is refused before its owner could know, however long the rule is.
#[tokio::test]
async fn a_new_token_is_good_until_a_day_after_its_end_was_told_of() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        furnished(&world).await;
        let gate = world.verifier("gate", "git").await;
        let rule = json!({ "days": 30, "every_hours": 24, "seconds": 3_600 });
        let policy = json!({ "token_policy": { "brownout": rule } });
        world.patch(&format!("{R}/services/git"), policy).await.expect(200);
        let wish = json!({ "services": ["git"], "lifetime_seconds": 30 * DAY });
        let (id, secret) = world.pat("alice", wish).await;
        // The first letter that lies behind its issue is due two weeks before the end.
        let next = json!({ "from": "2026-12-08T12:00:00Z", "until": "2026-12-08T13:00:00Z" });
        for _ in 0..17 {
            let answer = said(&world, &gate, &secret).await;
            assert_eq!((&answer["active"], &answer["brown_out"]), (&json!(true), &next));
            world.clock.advance_seconds(DAY);
        }
        assert_eq!(said(&world, &gate, &secret).await["code"], "brown_out");
        // Whoever looks after it is told how long.
        let shown = world.get(&format!("{R}/tokens/{id}")).await.expect(200);
        assert_eq!(shown["brown_out"], next);
        let stays = json!({ "services": ["git"], "expires_at": null });
        let stays = world.pat("alice", stays).await.0;
        let shown = world.get(&format!("{R}/tokens/{stays}")).await.expect(200);
        assert_eq!(shown.get("brown_out"), None);
    }
}

#[tokio::test]
async fn a_rule_that_leaves_no_time_to_work_is_refused_and_none_is_set_unless_asked_for() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    assert_eq!(said(&world, &alice.gate, &alice.secret).await.get("brown_out"), None);
    let rule = json!({ "days": 2, "every_hours": 1, "seconds": 1_801 });
    let policy = json!({ "token_policy": { "brownout": rule } });
    let said = world.patch(&format!("{R}/services/git"), policy).await.expect(422);
    assert!(said.to_string().contains("brownout.seconds"), "{said}");
}
