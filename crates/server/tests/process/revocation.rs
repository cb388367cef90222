//! A revoked token is refused by the very next request, however hard it is being used.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::json;

use crate::harness::{PATIENCE, await_true, long};
use crate::wire::{Answer, Request};
use crate::world::{Issued, UNTHROTTLED, World, active, authz, verify};

/// Connections that use the token all the time.
const CONNECTIONS: usize = 64;
/// Requests of every connection before the token ends, and again after.
const REQUESTS_EACH: u64 = 5;

/// One use of the token: when its request was begun, and whether it was let in.
struct Use {
    begun: Duration,
    accepted: bool,
}

/// Ways in which a token ends, or stops counting, at once.
const ENDS: [&str; 5] = ["revoked", "given back", "posted as leaked", "disabled", "its owner"];

fn end(world: &World, how: &str, token: &Issued) -> Answer {
    let admin = &world.admin;
    match how {
        "given back" => admin.with_key(&token.secret).delete("/api/v1/self"),
        "posted as leaked" => {
            let body = json!({ "credentials": [token.secret] });
            admin.raw(&Request::new("POST", "/api/v1/credentials/revoke").json(&body))
        }
        "disabled" => admin.post(&token.path("/disable"), &json!({})),
        "its owner" => admin.patch("/users/alice", &json!({ "status": "suspended" })),
        _ => admin.post(&token.path("/revoke"), &json!({ "reason": "lost" })),
    }
}

/// Uses the token until told to stop: half of the connections at verify, half at forward-auth.
fn hammer(world: &WorldView, number: usize, watch: Stopwatch, round: &Round) -> Vec<Use> {
    let mut uses = Vec::new();
    let verifier = world.verifier.clone();
    let request = authz("git", "alice", &world.secret);
    while !round.stop.load(Ordering::Acquire) {
        let begun = watch.elapsed();
        let accepted = if number.is_multiple_of(2) {
            active(&verify(&verifier, &world.secret))
        } else {
            verifier.raw(&request).status == 200
        };
        uses.push(Use { begun, accepted });
        round.done[number].fetch_add(1, Ordering::AcqRel);
    }
    uses
}

/// What a connection needs of the world: a connection is of one thread.
struct WorldView {
    verifier: crate::wire::Api,
    secret: String,
}

/// How far every connection is.
struct Round {
    done: [AtomicU64; CONNECTIONS],
    stop: AtomicBool,
}

impl Round {
    fn await_more(&self) {
        let goals: Vec<u64> =
            self.done.iter().map(|done| done.load(Ordering::Acquire) + REQUESTS_EACH).collect();
        await_true("every connection goes on", PATIENCE, || {
            let reached = |(done, goal): (&AtomicU64, &u64)| done.load(Ordering::Acquire) >= *goal;
            self.done.iter().zip(&goals).all(reached)
        });
    }
}

#[test]
fn a_token_that_ended_is_refused_by_the_very_next_request_of_64_connections() {
    let world = World::new(UNTHROTTLED);
    let rounds = if long() { 10 } else { 1 };
    for _ in 0..rounds {
        for how in ENDS {
            one_round(&world, how);
            // For the next round, whatever this one did to her.
            world.admin.patch("/users/alice", &json!({ "status": "active" })).expect(200);
        }
    }
}

fn one_round(world: &World, how: &str) {
    let token = world.pat();
    let watch = Stopwatch::start();
    let round =
        Round { done: std::array::from_fn(|_| AtomicU64::new(0)), stop: AtomicBool::new(false) };
    let (answered_at, uses) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let view =
                    WorldView { verifier: world.verifier.clone(), secret: token.secret.clone() };
                let round = &round;
                scope.spawn(move || hammer(&view, number, watch, round))
            })
            .collect();
        round.await_more();
        let answer = end(world, how, &token);
        let answered_at = watch.elapsed();
        assert!((200..300).contains(&answer.status), "{how}: {}", answer.text());
        round.await_more();
        round.stop.store(true, Ordering::Release);
        let uses = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        (answered_at, uses.collect::<Vec<Use>>())
    });
    let (before, after): (Vec<Use>, Vec<Use>) =
        uses.into_iter().partition(|one| one.begun <= answered_at);
    assert!(before.iter().filter(|one| one.accepted).count() >= CONNECTIONS, "{how}");
    assert!(after.len() >= CONNECTIONS * 3, "{how}: only {} requests after", after.len());
    let late = after.iter().filter(|one| one.accepted).count();
    assert_eq!(late, 0, "{how}: accepted after the answer, of {} requests", after.len());
}
