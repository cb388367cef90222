//! What an inactive token looks like to whoever presents it: always the same, and equally fast.

use std::time::Duration;

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{Prefix, TokenId, generate_prefixed};
use counterfoil_server::clock::{OsEntropy, Stopwatch};
use serde_json::json;

use crate::harness::{PATIENCE, await_true};
use crate::wire::{Answer, Api, Connection, Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World, authz, mistyped, pat, verify};

/// Requests of each class.
const REQUESTS: usize = 2000;
/// Servers that are asked one after the other, each for a part of them.
const PASSES: usize = 4;
/// Requests before anything is timed.
const WARM_UP: usize = 50;
/// How far the medians of two classes may lie apart, of the smaller one.
const MEDIANS_APART_MAX: f64 = 0.15;
/// Connections that prepare tokens.
const HANDS: usize = 8;

/// A well-formed token string that nobody issued, for an id or for a random one.
fn forged(id: Option<&str>) -> String {
    forged_of(Kind::PersonalAccessToken, id)
}

fn forged_of(kind: Kind, id: Option<&str>) -> String {
    let id = match id {
        Some(id) => TokenId::parse(id).unwrap(),
        None => TokenId::generate(&OsEntropy).unwrap(),
    };
    let prefix = Prefix::default();
    generate_prefixed(&prefix, kind, id, &OsEntropy).unwrap().reveal().to_owned()
}

/// The secret of a new decoy, which looks like a personal access token.
fn decoy(admin: &Api) -> String {
    let made = admin.post("/tokens", &json!({ "kind": "decoy", "user": "alice" })).expect(201);
    Issued::of(&made).secret
}

/// The ways of being inactive that cannot be told apart.
const CLASSES: [&str; 4] = ["wrong secret", "revoked", "disabled", "expired"];

/// A secret of a new token that is inactive in this way.
fn inactive(admin: &Api, class: &str) -> String {
    let more = if class == "expired" { json!({ "lifetime_seconds": 1 }) } else { json!({}) };
    let token = pat(admin, &more);
    match class {
        "wrong secret" => return forged(Some(&token.id)),
        "revoked" => drop(admin.post(&token.path("/revoke"), &json!({})).expect(200)),
        "disabled" => drop(admin.post(&token.path("/disable"), &json!({})).expect(200)),
        _ => {}
    }
    token.secret
}

/// Secrets of each class, made over several connections.
fn inactive_many(admin: &Api, of_each: usize) -> Vec<Vec<String>> {
    CLASSES
        .iter()
        .map(|class| {
            std::thread::scope(|scope| {
                let hands: Vec<_> = (0..HANDS)
                    .map(|hand| {
                        let admin = admin.clone();
                        let count = of_each / HANDS + usize::from(hand < of_each % HANDS);
                        scope.spawn(move || {
                            (0..count).map(|_| inactive(&admin, class)).collect::<Vec<_>>()
                        })
                    })
                    .collect();
                hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
            })
        })
        .collect()
}

fn until_expired(world: &World, secret: &str) {
    await_true("the last token expires", PATIENCE, || {
        world.verify(secret)["code"] == json!("expired")
    });
}

/// Times of each class, in the order of the classes.
type Times = Vec<Vec<Duration>>;

/// Asks forward-auth with every class in turn, over one connection.
fn time_refusals(
    world: &World,
    classes: &[(&str, Vec<String>)],
    requests: usize,
    times: &mut Times,
) {
    time_answers(world, classes, requests, times, |secret| authz("git", "alice", secret));
}

/// The same with any request that carries a secret.
fn time_answers(
    world: &World,
    classes: &[(&str, Vec<String>)],
    requests: usize,
    times: &mut Times,
    request: impl Fn(&str) -> Request,
) {
    let mut connection = Connection::open(world.server.address).unwrap();
    time_each(classes, requests, times, |secret| {
        let request = request(secret).bytes(world.server.address);
        let watch = Stopwatch::start();
        let answer = connection.exchange(&request).unwrap();
        let elapsed = watch.elapsed();
        assert_eq!(answer.status, 401);
        elapsed
    });
}

/// Asks with every class in turn.
fn time_each(
    classes: &[(&str, Vec<String>)],
    requests: usize,
    times: &mut Times,
    mut ask: impl FnMut(&str) -> Duration,
) {
    times.resize(classes.len(), Vec::new());
    for number in 0..requests {
        for ((_, secrets), times) in classes.iter().zip(times.iter_mut()) {
            times.push(ask(&secrets[number % secrets.len()]));
        }
    }
}

fn assert_alike(classes: &[(&str, Vec<String>)], times: Times) {
    let median = |mut times: Vec<Duration>| {
        assert!(times.len() >= REQUESTS / PASSES);
        times.sort_unstable();
        times[times.len() / 2]
    };
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    let table: Vec<(&str, Duration)> =
        classes.iter().map(|(name, _)| *name).zip(medians.iter().copied()).collect();
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    println!("medians: {table:?}");
    assert!(
        most.as_secs_f64() <= least.as_secs_f64() * (1.0 + MEDIANS_APART_MAX),
        "the times tell the classes apart: {table:?}"
    );
}

#[test]
fn inactive_tokens_in_the_cache_are_refused_equally_fast() {
    let world = World::new(UNTHROTTLED);
    let classes = cached(&world);
    // Warm-up: whatever is filled in by a first refusal is there afterwards.
    time_refusals(&world, &classes, WARM_UP, &mut Times::new());
    let mut times = Times::new();
    time_refusals(&world, &classes, REQUESTS, &mut times);
    assert_alike(&classes, times);
}

#[test]
fn inactive_tokens_in_the_cache_are_refused_equally_fast_at_the_ldap_door() {
    let world = World::new(UNTHROTTLED);
    let classes = cached(&world);
    let name = crate::ldap::person("alice", "git");
    let mut ldap = world.ldap();
    let mut bind = |secret: &str| {
        let watch = Stopwatch::start();
        let code = ldap.bind(&name, secret);
        let elapsed = watch.elapsed();
        assert_eq!(code as i64, 49);
        elapsed
    };
    time_each(&classes, WARM_UP, &mut Times::new(), &mut bind);
    let mut times = Times::new();
    time_each(&classes, REQUESTS, &mut times, &mut bind);
    assert_alike(&classes, times);
}

/// One inactive token of each class, all in the cache.
fn cached(world: &World) -> Vec<(&'static str, Vec<String>)> {
    let mut classes: Vec<(&str, Vec<String>)> = Vec::new();
    for class in CLASSES {
        // The token is in the cache when it ends, and stays there.
        let token = pat(
            &world.admin,
            &match class {
                "expired" => json!({ "lifetime_seconds": 2 }),
                _ => json!({}),
            },
        );
        verify(&world.verifier, &token.secret).expect(200);
        classes.push((class, vec![ended(&world.admin, class, &token)]));
    }
    until_expired(world, &classes[3].1[0]);
    classes
}

fn ended(admin: &Api, class: &str, token: &Issued) -> String {
    match class {
        "wrong secret" => return forged(Some(&token.id)),
        "revoked" => drop(admin.post(&token.path("/revoke"), &json!({})).expect(200)),
        "disabled" => drop(admin.post(&token.path("/disable"), &json!({})).expect(200)),
        _ => {}
    }
    token.secret.clone()
}

#[test]
fn inactive_tokens_outside_the_cache_are_refused_equally_fast_as_unknown_ones() {
    let mut world = World::new(UNTHROTTLED);
    let of_each = REQUESTS / PASSES;
    let mut classes: Vec<(&str, Vec<String>)> =
        CLASSES.into_iter().zip(inactive_many(&world.admin, of_each)).collect();
    until_expired(&world, classes[3].1.last().unwrap());
    classes.push(("unknown", (0..of_each).map(|_| forged(None)).collect()));
    classes.push(("decoy", (0..of_each).map(|_| decoy(&world.admin)).collect()));
    let mut times = Times::new();
    for _ in 0..PASSES {
        // A new process remembers no token; each of them is then asked for once.
        assert!(world.server.stop().success());
        world.serve_again(UNTHROTTLED);
        for _ in 0..WARM_UP {
            world.verify(&world.pat().secret);
        }
        time_refusals(&world, &classes, of_each, &mut times);
    }
    assert_alike(&classes, times);
}

#[test]
fn every_refusal_of_a_token_has_the_same_status_headers_and_body() {
    let world = World::new(UNTHROTTLED);
    let good = world.pat();
    let ask = |user: &str, secret: &str| world.admin.raw(&authz("git", user, secret));
    assert_eq!(ask("alice", &good.secret).status, 200);
    let expired = inactive(&world.admin, "expired");
    until_expired(&world, &expired);
    crate::world::service(&world.admin, "wiki", &json!({}));
    let foreign = pat(&world.admin, &json!({ "services": ["wiki"] }));
    let early = pat(
        &world.admin,
        &json!({ "not_before": "2099-01-01T00:00:00Z",
        "expires_at": "2099-02-01T00:00:00Z" }),
    );
    let refused: Vec<(&str, Answer)> = vec![
        ("unknown", ask("alice", &forged(None))),
        ("wrong secret", ask("alice", &forged(Some(&good.id)))),
        ("wrong checksum", ask("alice", &mistyped(&good.secret))),
        ("a decoy", ask("alice", &decoy(&world.admin))),
        ("no token at all", ask("alice", "hunter2")),
        ("nothing", ask("alice", "")),
        ("grouped", ask("alice", "abcd-efgh-jkmn-pqrs-tvwx-yz01")),
        ("revoked", ask("alice", &inactive(&world.admin, "revoked"))),
        ("disabled", ask("alice", &inactive(&world.admin, "disabled"))),
        ("expired", ask("alice", &expired)),
        ("not yet valid", ask("alice", &early.secret)),
        ("another person's", ask("bob", &good.secret)),
        ("another service's", ask("alice", &foreign.secret)),
        ("a client's key", ask("git-verifier", &world.verifier.key)),
    ];
    let (_, first) = &refused[0];
    assert_eq!(first.status, 401);
    let challenges = first.headers.iter().filter(|(name, _)| name == "www-authenticate");
    assert_eq!(challenges.count(), 2, "{:?}", first.headers);
    for (name, answer) in &refused {
        assert_eq!(answer.lasting(), first.lasting(), "{name}");
    }
}

/// Known to the database and not, each asked for once by a server that remembers none of them.
#[test]
fn a35_a_wrong_registration_token_is_refused_as_fast_as_an_unknown_one() {
    let of_each = REQUESTS / PASSES;
    for mut world in World::on_each_store(UNTHROTTLED) {
        let issue = |_| {
            let body = json!({ "kind": "registration_token", "name": "fleet", "count": 1 });
            let issued = Issued::of(&world.admin.post("/tokens", &body).expect(201));
            forged_of(Kind::RegistrationToken, Some(&issued.id))
        };
        let wrong: Vec<String> = (0..of_each).map(issue).collect();
        let unknown = (0..of_each).map(|_| forged_of(Kind::RegistrationToken, None)).collect();
        assert!(world.server.stop().success());
        world.serve_again(UNTHROTTLED);
        for _ in 0..WARM_UP {
            world.verify(&world.pat().secret);
        }
        let classes = [("wrong secret", wrong), ("unknown", unknown)];
        let mut times = Times::new();
        time_answers(&world, &classes, of_each, &mut times, |secret| {
            let request = Request::new("POST", below_main("/enrol")).bearer(secret);
            request.json(&json!({ "subject": "device" }))
        });
        assert_alike(&classes, times);
    }
}
