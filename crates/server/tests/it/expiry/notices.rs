//! Check 18: each threshold once, to whom it concerns, whatever happens to the nodes meanwhile.

use std::sync::Arc;

use counterfoil_authority::provision::Courier;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::json;

use super::world::{Postman, furnished};
use crate::world::{Engine, R, World};

const DAY: i64 = 86_400;

/// What one notice comes to: to the owner, to who looks after the service, and to a program.
fn told(days: i64) -> [String; 3] {
    let (alice, carol, kind) = if days == 0 {
        ("has ended", "has ended", "token.ended")
    } else {
        ("ends soon", "ends soon", "token.ends-soon")
    };
    [
        format!("alice@example.org: git: a token {alice}"),
        format!("carol@example.org: git: a token of alice {carol}"),
        format!("hook: {kind} {days}"),
    ]
}

async fn issued(world: &World, days: i64) -> String {
    let body = json!({ "services": ["git"], "lifetime_seconds": days * DAY });
    world.pat("alice", body).await.0
}

#[tokio::test]
async fn each_notice_comes_once_from_two_nodes_that_are_restarted_every_day() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        furnished(&world).await;
        let postman = Arc::new(Postman::default());
        issued(&world, 40).await;
        world.clock.advance_seconds(60);
        let mut seen = Vec::new();
        for day in 1..=42 {
            world.clock.advance_seconds(DAY - 120);
            // Both look at the same moment, and one after the other.
            let (one, two) = (world.restarted().await, world.restarted().await);
            let (first, second) =
                tokio::join!(one.authority.enrolment_due(), two.authority.enrolment_due());
            first.unwrap();
            second.unwrap();
            for node in [&one, &two, &one, &two] {
                postman.round(node).await;
            }
            let brought = postman.brought();
            if !brought.is_empty() {
                seen.push((day, brought));
            }
        }
        let expected = [(10, 30), (26, 14), (33, 7), (39, 1), (40, 0)];
        // A day here is some seconds shorter than the sum of its parts: what is due at its end is
        // told of at the next look.
        let days: Vec<i64> = seen.iter().map(|(day, _)| *day).collect();
        assert_eq!(seen.len(), expected.len(), "{days:?}");
        for ((day, brought), (due, left)) in seen.iter().zip(expected) {
            assert!((due..=due + 1).contains(day), "{days:?}");
            assert_eq!(*brought, told(left), "on day {day}");
        }
    }
}

#[tokio::test]
async fn after_an_outage_of_three_days_the_nearest_threshold_is_told_of_and_no_other() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        furnished(&world).await;
        let postman = Arc::new(Postman::default());
        issued(&world, 15).await;
        world.clock.advance_seconds(5 * DAY);
        postman.round(&world).await;
        assert_eq!(postman.brought(), told(14));
        // Nobody is there from the ninth day before the end until the sixth, and then again until
        // after the last day: 7 was missed by a day, 1 and 0 came to pass together.
        world.clock.advance_seconds(DAY);
        postman.round(&world).await;
        assert_eq!(postman.brought(), [""; 0]);
        world.clock.advance_seconds(3 * DAY);
        let node = world.restarted().await;
        postman.round(&node).await;
        assert_eq!(postman.brought(), told(7));
        world.clock.advance_seconds(7 * DAY);
        let node = world.restarted().await;
        postman.round(&node).await;
        assert_eq!(postman.brought(), told(0));
        world.clock.advance_seconds(30 * DAY);
        postman.round(&node).await;
        assert_eq!(postman.brought(), [""; 0]);
    }
}

#[tokio::test]
async fn whoever_looks_after_no_service_hears_of_none_and_a_lost_token_is_not_told_of() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        furnished(&world).await;
        let postman = Arc::new(Postman::default());
        // Of the keeper's own token one letter tells, not two.
        let body = json!({ "services": ["git"], "lifetime_seconds": 20 * DAY });
        world.pat("carol", body.clone()).await;
        let gone = world.pat("alice", body).await.0;
        world.post(&format!("{R}/tokens/{gone}/revoke"), json!({})).await.expect(200);
        world.clock.advance_seconds(7 * DAY);
        postman.round(&world).await;
        let expected = ["carol@example.org: git: a token ends soon", "hook: token.ends-soon 14"];
        assert_eq!(postman.brought(), expected);
    }
}

#[tokio::test]
async fn nothing_is_sent_of_what_was_not_stored_and_nothing_twice_whose_answer_was_lost() {
    for lost in [false, true] {
        let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let world = World::over(shared, HttpSettings::default()).await;
        furnished(&world).await;
        let postman = Arc::new(Postman::default());
        let courier = Arc::clone(&postman) as Arc<dyn Courier>;
        issued(&world, 40).await;
        world.clock.advance_seconds(10 * DAY + 60);
        if lost {
            store.lose_answer(1);
        } else {
            store.fail_nth(1);
        }
        world.authority.enrolment_due().await.unwrap_err();
        store.heal();
        while world.authority.deliver(&courier).await.unwrap() {}
        let expected = if lost { told(30).to_vec() } else { Vec::new() };
        assert_eq!(postman.brought(), expected, "{lost}");
        world.clock.advance_seconds(30);
        postman.round(&world).await;
        let expected = if lost { Vec::new() } else { told(30).to_vec() };
        assert_eq!(postman.brought(), expected, "{lost}");
    }
}
