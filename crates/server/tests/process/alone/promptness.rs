//! How soon a server is ready, and how much of what it counted a kill can lose.

use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::{Value, json};

use crate::harness::Site;
use crate::wire::Request;
use crate::world::{UNTHROTTLED, World, active, client, verify};

/// From the start of the process to its first answer that it is ready, at most.
const READY_WITHIN: Duration = Duration::from_secs(1);
/// How long Envoy waits for an answer unless it is told otherwise.
const FRONT_WAITS: Duration = Duration::from_millis(200);
/// How long a revocation may go unnoticed anywhere at all, which no machine is too busy for.
const REVOCATION_WITHIN: Duration = Duration::from_secs(1);
/// Tokens that are revoked.
const REVOCATIONS: usize = 200;
/// How long usage may be in memory only.
const USAGE_LOST_MAX: Duration = Duration::from_secs(1);
/// How long the token is used: long enough that most uses are older than what may be lost.
const USED_FOR: Duration = Duration::from_millis(2500);

#[test]
fn a_server_is_ready_within_a_second_on_an_empty_directory_and_again() {
    let site = Site::new();
    let mut first = site.serve("");
    assert!(first.ready_after < READY_WITHIN, "ready after {:?}", first.ready_after);
    assert!(first.stop().success());
    let again = site.serve("");
    assert!(again.ready_after < READY_WITHIN, "ready after {:?}", again.ready_after);
}

#[test]
fn a_kill_loses_one_second_of_usage_at_most() {
    let mut world = World::new(UNTHROTTLED);
    let token = world.pat();
    let watch = Stopwatch::start();
    let mut answered_at = Vec::new();
    while watch.elapsed() < USED_FOR {
        assert!(active(&verify(&world.verifier, &token.secret)));
        answered_at.push(watch.elapsed());
    }
    let killed_at = watch.elapsed();
    world.server.kill9();
    world.serve_again(UNTHROTTLED);
    let old = answered_at.iter().filter(|&&at| at + USAGE_LOST_MAX <= killed_at).count();
    let kept = usize::try_from(world.usage_total(&token)).unwrap();
    assert!(
        (old..=answered_at.len()).contains(&kept),
        "of {} uses {old} were older than a second, and {kept} are kept",
        answered_at.len()
    );
}

/// Envoy gives up after 200 ms. What is measured is said; a machine that is busy with other things
/// fails nobody.
#[test]
fn check_28_a_cached_verification_is_measured_and_is_far_below_what_a_front_waits_for() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    assert!(active(&verify(&world.verifier, &token.secret)));
    let mut took: Vec<Duration> = (0..2000)
        .map(|_| {
            let watch = Stopwatch::start();
            assert!(active(&verify(&world.verifier, &token.secret)));
            watch.elapsed()
        })
        .collect();
    took.sort_unstable();
    let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("cached verify: median {median:?}, p99 {p99:?} (the aim is a p99 below 5 ms)");
    assert!(p99 < FRONT_WAITS, "p99 {p99:?}");
}

/// From when a revocation is sent until a decision of the AM door has taken note of it, on the node
/// that took it. The very next decision does, each time; how long both take together is said, and
/// a machine that is busy with other things fails nobody below the bound for all nodes.
#[test]
fn check_28_a_revocation_counts_for_the_next_evaluate_and_its_time_is_measured() {
    for world in World::on_each_store(UNTHROTTLED) {
        let body = json!({ "name": "policyeval", "roles": ["verifier"], "services": ["git"] });
        let key = client(&world.admin, &body).key;
        let login = Request::new("POST", "/openam/json/authenticate")
            .header("X-OpenAM-Username", "policyeval")
            .header("X-OpenAM-Password", &*key);
        let made = world.admin.raw(&login).expect(200);
        let session = made["tokenId"].as_str().unwrap().to_owned();
        let allowed = |secret: &str| {
            let resources = json!([format!("pat://alice:{secret}")]);
            let request = Request::new("POST", "/openam/json/policies?_action=evaluate")
                .header("iPlanetDirectoryPro", &*session)
                .json(&json!({ "resources": resources, "application": "PATValidator" }));
            world.admin.raw(&request).expect(200)[0]["actions"]["access"] == Value::Bool(true)
        };
        let mut took: Vec<Duration> = (0..REVOCATIONS)
            .map(|_| {
                let token = world.pat();
                assert!(allowed(&token.secret) && allowed(&token.secret));
                let watch = Stopwatch::start();
                world.admin.post(&token.path("/revoke"), &json!({})).expect(200);
                assert!(!allowed(&token.secret), "the very next decision knows");
                watch.elapsed()
            })
            .collect();
        took.sort_unstable();
        let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!(
            "revocation to refused evaluate: median {median:?}, p99 {p99:?} (other nodes: 250 ms)"
        );
        assert!(p99 < REVOCATION_WITHIN, "p99 {p99:?}");
    }
}
