//! Rotation with overlap, seen from outside: who gets which secret, and how long the old one works.

use std::collections::BTreeSet;
use std::sync::Barrier;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, await_true};
use crate::wire::{Answer, Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World, active, verify};

/// Rotations at the same time.
const RACERS: usize = 40;
/// Longer than any race.
const OVERLAP_SECONDS: u32 = 300;

/// Sends the same rotation over as many connections as there are racers, all at once.
fn race(world: &World, token: &Issued, header: Option<(&str, &str)>) -> Vec<Answer> {
    let body = json!({ "overlap_seconds": OVERLAP_SECONDS });
    let request = Request::new("POST", below_main(&token.path("/rotate"))).json(&body);
    let request = match header {
        Some((name, value)) => request.header(name, value),
        None => request,
    };
    let line = Barrier::new(RACERS);
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|_| {
                let (admin, request, line) = (world.admin.clone(), request.clone(), &line);
                scope.spawn(move || {
                    // Connected before the start, so that the requests meet.
                    admin.get("/tokens?limit=1").expect(200);
                    line.wait();
                    admin.send(request)
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}

fn statuses(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

fn works(world: &World, secret: &str) -> bool {
    active(&verify(&world.verifier, secret))
}

#[test]
fn forty_rotations_with_one_idempotency_key_are_one_rotation() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let answers = race(&world, &token, Some(("Idempotency-Key", "one-rotation")));
    assert_eq!(statuses(&answers, 200), RACERS, "{:?}", answers[0].text());
    let bodies: BTreeSet<&Vec<u8>> = answers.iter().map(|answer| &answer.body).collect();
    assert_eq!(bodies.len(), 1, "the answers differ");
    let rotated = Issued::of(&answers[0].json());
    assert_ne!(rotated.secret, token.secret);
    assert!(works(&world, &rotated.secret) && works(&world, &token.secret));
    let slots = world.admin.get(&token.path("")).expect(200)["secrets"].clone();
    assert_eq!(slots.as_array().map(Vec::len), Some(2), "{slots}");
    // The same key for another request is a mistake that must not look like success.
    let other = Request::new("POST", below_main(&token.path("/rotate")))
        .header("Idempotency-Key", "one-rotation")
        .json(&json!({ "overlap_seconds": 1 }));
    let refused = world.admin.send(other).expect(422);
    assert_eq!(refused["type"], "/problems/idempotency-key-reused");
}

#[test]
fn forty_rotations_of_one_version_are_one_rotation_and_39_refusals() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let etag = world.admin.get(&token.path("")).header("etag").to_owned();
    assert!(!etag.is_empty());
    let answers = race(&world, &token, Some(("If-Match", &etag)));
    assert_eq!((statuses(&answers, 200), statuses(&answers, 412)), (1, RACERS - 1));
    let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
    let loser = answers.iter().find(|answer| answer.status == 412).unwrap();
    assert_eq!(loser.json()["type"], "/problems/version-mismatch");
    assert!(works(&world, &Issued::of(&winner.json()).secret) && works(&world, &token.secret));
}

#[test]
fn of_forty_rotations_the_last_stands_and_all_work_during_the_overlap() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let answers = race(&world, &token, None);
    assert_eq!(statuses(&answers, 200), RACERS, "{}", answers[0].text());
    let secrets: BTreeSet<String> =
        answers.iter().map(|answer| Issued::of(&answer.json()).secret).collect();
    assert_eq!(secrets.len(), RACERS, "two rotations gave the same secret");
    for secret in secrets.iter().chain([&token.secret]) {
        assert!(works(&world, secret), "a secret does not work during the overlap");
    }
    let shown = world.admin.get(&token.path("")).expect(200);
    let slot = |name: &str| {
        let slots = shown["secrets"].as_array().unwrap();
        slots.iter().filter(|secret| secret["slot"] == name).count()
    };
    assert_eq!((slot("current"), slot("previous")), (1, RACERS), "{shown}");
}

#[test]
fn after_the_overlap_only_the_new_secret_works_and_use_of_the_old_one_is_an_event() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let expires_at = world.admin.get(&token.path("")).expect(200)["expires_at"].clone();
    let rotate = |overlap: Value| {
        let body = json!({ "overlap_seconds": overlap });
        Issued::of(&world.admin.post(&token.path("/rotate"), &body).expect(200))
    };
    let second = rotate(json!(2));
    assert!(works(&world, &token.secret) && works(&world, &second.secret));
    await_true("the overlap ends", PATIENCE, || !works(&world, &token.secret));
    assert!(works(&world, &second.secret));

    // Without an overlap the old secret ends at once.
    let third = rotate(json!(0));
    assert!(!works(&world, &second.secret) && works(&world, &third.secret));

    // A rotation never moves the end of the token.
    let shown = world.admin.get(&token.path("")).expect(200);
    assert_eq!(shown["expires_at"], expires_at);
    let refused = format!("{}?outcome=refused", token.path("/events"));
    await_true("use of a retired secret is an event", PATIENCE, || {
        let events = world.admin.get(&refused).expect(200);
        events["items"].as_array().is_some_and(|items| !items.is_empty())
    });
}
