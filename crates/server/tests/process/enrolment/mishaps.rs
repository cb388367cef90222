//! What happens meanwhile: a server that dies, a token that ends, an answer that is lost.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{Place, both, device, draw, drawing, number, race_over, registration};
use crate::harness::{PATIENCE, await_true};
use crate::wire::{Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World};

/// What became of the draws of a storm that ended with a kill.
struct Storm {
    /// Auth tokens whose draw was answered.
    answered: BTreeSet<String>,
    /// Draws for which nothing was left.
    refused: usize,
}

/// Draws over some connections until as many are answered as are enough, then kills the server and
/// starts it again.
fn storm(world: &mut World, token: &Issued, each: usize, enough: usize) -> Storm {
    let ended = Mutex::new(Storm { answered: BTreeSet::new(), refused: 0 });
    let apis: Vec<_> = (0..8).map(|_| world.admin.clone()).collect();
    std::thread::scope(|scope| {
        for api in apis {
            let ended = &ended;
            scope.spawn(move || {
                for number in 0..each {
                    let drawn = api.try_raw(&drawing(&token.secret, &device(number), &[]));
                    let Ok(answer) = drawn else { return };
                    let mut ended = ended.lock().unwrap();
                    if answer.status == 403 {
                        ended.refused += 1;
                        continue;
                    }
                    let id = answer.expect(201)["token"]["id"].as_str().unwrap().to_owned();
                    ended.answered.insert(id);
                }
            });
        }
        await_true("draws are answered", PATIENCE, || {
            ended.lock().unwrap().answered.len() >= enough
        });
        world.server.kill9();
    });
    world.serve_again(UNTHROTTLED);
    ended.into_inner().unwrap()
}

/// How often a registration token is used, which is how many were drawn from it; every draw that
/// was answered is among them.
#[track_caller]
fn used(world: &World, token: &Issued, storm: &Storm) -> usize {
    let used = world.admin.get(&token.path("")).expect(200)["used"].as_u64().unwrap();
    let page = world.admin.get(&token.path("/children?limit=1000")).expect(200);
    let drawn = page["items"].as_array().unwrap();
    assert_eq!(used, drawn.len() as u64);
    let stored: BTreeSet<_> =
        drawn.iter().map(|child| child["id"].as_str().unwrap().to_owned()).collect();
    assert!(storm.answered.is_subset(&stored), "a draw was answered and lost");
    drawn.len()
}

/// Every draw that was answered is there, and there are as many as are counted.
fn a_storm_ends_with_a_kill(mut world: World, rounds: usize) {
    for round in 0..rounds {
        let token = registration(&world.admin, &json!({ "count": 100_000 }));
        let ended = storm(&mut world, &token, usize::MAX, 40 + 7 * (round % 11));
        assert_eq!(ended.refused, 0, "round {round}");
        used(&world, &token, &ended);
    }
}

/// C4 of the reference on Airlock: four hundred draws of a count of a hundred, and a kill among
/// them. What was not drawn before it is drawn after it, and no more.
#[test]
fn c4_after_a_kill_among_four_hundred_draws_the_count_is_that_of_the_auth_tokens() {
    for mut world in World::on_each_store(UNTHROTTLED) {
        for enough in [5, 40, 80] {
            let token = registration(&world.admin, &json!({ "count": 100 }));
            let ended = storm(&mut world, &token, 50, enough);
            let left = 100 - used(&world, &token, &ended);
            let draws = |client| drawing(&token.secret, &device(client), &[]);
            let said = race_over(&[world.admin.address], 8, 400, draws);
            assert_eq!((number(&said, 201), number(&said, 403)), (left, 400 - left));
            assert_eq!(used(&world, &token, &ended), 100);
        }
    }
}

#[test]
fn a12_after_a_kill_in_a_storm_the_count_is_that_of_the_auth_tokens() {
    for world in World::on_each_store(UNTHROTTLED) {
        a_storm_ends_with_a_kill(world, 3);
    }
}

#[test]
#[ignore = "long: 50 kills and restarts on each store"]
fn a12_after_each_of_50_kills_the_count_is_that_of_the_auth_tokens() {
    for world in World::on_each_store(UNTHROTTLED) {
        a_storm_ends_with_a_kill(world, 50);
    }
}

/// Once the answer to `disable` is there, no draw that begins later succeeds.
fn nothing_is_drawn_after_an_end(place: &Place, rounds: usize) {
    for round in 0..rounds {
        let token = place.registration(&json!({ "count": 1_000 }));
        let act = if round % 2 == 0 { "/disable" } else { "/revoke" };
        let ended = AtomicUsize::new(0);
        let late = AtomicUsize::new(0);
        place.race(24, |client, api| {
            if client == 5 {
                let answer = api.post(&token.path(act), &json!({}));
                ended.store(1, Ordering::SeqCst);
                return answer;
            }
            let mut last = draw(api, &token.secret, &device(client), &[]);
            for _ in 0..4 {
                let after = ended.load(Ordering::SeqCst) == 1;
                last = draw(api, &token.secret, &device(client), &[]);
                if after && last.status == 201 {
                    late.fetch_add(1, Ordering::SeqCst);
                }
            }
            last
        });
        assert_eq!(late.load(Ordering::SeqCst), 0, "{act}");
        let shown = place.shown(&token);
        assert_eq!(place.children(&token).len() as u64, shown["used"].as_u64().unwrap());
    }
}

#[test]
fn a14_nothing_is_drawn_after_a_token_was_disabled_or_revoked_on_sqlite() {
    nothing_is_drawn_after_an_end(&Place::sqlite(), 6);
}

#[test]
fn a14_nothing_is_drawn_after_a_token_was_disabled_or_revoked_on_postgresql() {
    nothing_is_drawn_after_an_end(&Place::postgres(), 6);
}

/// A token that ends by its time while many draw: whatever was drawn was drawn before.
#[test]
fn a14_nothing_is_drawn_after_a_token_has_expired() {
    both(|place| {
        let token = place.registration(&json!({ "count": 1_000_000, "lifetime_seconds": 1 }));
        let last = place.race(16, |client, api| {
            loop {
                let answer = draw(api, &token.secret, &device(client), &[]);
                if answer.status != 201 {
                    return answer;
                }
            }
        });
        for answer in last {
            assert_eq!(answer.expect(403)["type"], "/problems/registration-expired");
        }
        let shown = place.shown(&token);
        let end = shown["expires_at"].as_str().unwrap().to_owned();
        let used = shown["used"].as_u64().unwrap();
        let path = token.path("/blast-radius");
        assert_eq!(place.admin().get(&path).expect(200)["auth_tokens"], used);
        for child in place.children(&token) {
            assert!(child["created_at"].as_str().unwrap() < end.as_str(), "{child} after {end}");
        }
    });
}

/// A client that goes away before it reads gets the same auth token when it comes back.
#[test]
fn a16_a_lost_answer_is_given_again_without_a_second_count() {
    use std::io::Write as _;
    both(|place| {
        let token = place.registration(&json!({ "count": 1 }));
        let request = Request::new("POST", below_main("/enrol"))
            .json(&device(1))
            .bearer(&token.secret)
            .header("Idempotency-Key", "lost");
        let address = place.admin().address;
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket.write_all(&request.bytes(address)).unwrap();
        await_true("the draw is counted", PATIENCE, || place.shown(&token)["used"] == 1);
        drop(socket);
        let again = place.admin().raw(&request).expect(201);
        assert_eq!(again["token"]["id"], place.children(&token)[0]["id"]);
        assert_eq!(place.shown(&token)["used"], 1);
    });
}
