//! The count is exact, however many draw at the same time, and whatever happens meanwhile.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{CLIENTS, Place, device, draw, number, registration};
use crate::harness::{PATIENCE, await_true};
use crate::wire::{Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World};

fn one_count_gives_one(place: &Place, rounds: usize) {
    for _ in 0..rounds {
        let token = place.registration(&json!({ "count": 1 }));
        let said =
            place.race(CLIENTS, |client, api| draw(api, &token.secret, &device(client), &[]));
        assert_eq!(number(&said, 201), 1);
        for answer in said.iter().filter(|answer| answer.status != 201) {
            assert_eq!(answer.expect(403)["type"], "/problems/registration-exhausted");
        }
        let shown = place.shown(&token);
        assert_eq!((&shown["used"], &shown["remaining"]), (&json!(1), &json!(0)));
        assert_eq!(place.children(&token).len(), 1);
        assert_eq!(place.told(&token, "token.enrolled"), 1);
        assert_eq!(place.told(&token, "token.count-used-up"), 1);
        assert_eq!(place.told(&token, "token.count-exceeded"), 1);
    }
    println!(
        "count 1 and {CLIENTS} clients of {} processes: 1, {rounds} times",
        place.admins.len()
    );
}

/// The refusals too are all there: one by one up to a hundred a minute, then with their number.
#[test]
fn a10_one_count_and_200_clients_give_exactly_one() {
    let mut world = World::new(UNTHROTTLED);
    let token = registration(&world.admin, &json!({ "count": 1 }));
    let line = std::sync::Barrier::new(CLIENTS);
    let said: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (api, line, secret) = (world.admin.clone(), &line, &token.secret);
                scope.spawn(move || {
                    line.wait();
                    draw(&api, secret, &device(client), &[]).status
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(said.iter().filter(|&&status| status == 201).count(), 1);
    assert_eq!(said.iter().filter(|&&status| status == 403).count(), CLIENTS - 1);
    // What is still being counted is written when the server ends.
    world.server.stop();
    world.serve_again(UNTHROTTLED);
    let path = token.path("/events?outcome=refused&limit=1000");
    let events = world.admin.get(&path).expect(200);
    let refused = events["items"].as_array().unwrap();
    let of_kind = refused.iter().filter(|event| event["kind"] == "enrol.refused");
    let times: u64 = of_kind.map(|event| event["count"].as_u64().unwrap()).sum();
    assert_eq!(times, 199);
}

#[test]
fn a10_one_count_gives_one_on_sqlite_again_and_again() {
    one_count_gives_one(&Place::sqlite(), 5);
}

#[test]
fn a10_one_count_gives_one_on_three_nodes_of_postgresql() {
    one_count_gives_one(&Place::postgres(), 5);
}

#[test]
#[ignore = "long: 50 races of 200 clients"]
fn a10_one_count_gives_one_on_sqlite_in_each_of_50_races() {
    one_count_gives_one(&Place::sqlite(), 50);
}

#[test]
#[ignore = "long: 50 races of 200 clients on three nodes"]
fn a10_one_count_gives_one_on_postgresql_in_each_of_50_races() {
    one_count_gives_one(&Place::postgres(), 50);
}

/// And the thresholds are told of once each, whoever crosses them (A20).
fn hundred_clients_draw_as_many_as_there_are(place: &Place) {
    for (count, drawn) in [(10, 10), (99, 99), (100, 100), (101, 100)] {
        let token = place.registration(&json!({ "count": count }));
        let said = place.race(100, |client, api| draw(api, &token.secret, &device(client), &[]));
        assert_eq!(number(&said, 201), drawn, "count {count}");
        assert_eq!(number(&said, 403), 100 - drawn, "count {count}");
        assert_eq!(place.shown(&token)["used"], json!(drawn));
        let ids: BTreeSet<String> = said
            .iter()
            .filter(|answer| answer.status == 201)
            .map(|answer| answer.json()["token"]["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!((ids.len(), place.children(&token).len()), (drawn, drawn));
        assert_eq!(place.told(&token, "token.count-nearly-used"), 1, "count {count}");
        let used_up = u64::from(count <= 100);
        assert_eq!(place.told(&token, "token.count-used-up"), used_up, "count {count}");
        let exceeded = u64::from(count < 100);
        assert_eq!(place.told(&token, "token.count-exceeded"), exceeded, "count {count}");
    }
}

#[test]
fn a11_and_a20_a_hundred_clients_draw_10_99_100_100_and_each_threshold_is_told_once_on_sqlite() {
    hundred_clients_draw_as_many_as_there_are(&Place::sqlite());
}

#[test]
fn a11_and_a20_a_hundred_clients_draw_10_99_100_100_and_each_threshold_is_told_once_on_postgresql()
{
    hundred_clients_draw_as_many_as_there_are(&Place::postgres());
}

/// Every draw that was answered is there, and there are as many as are counted.
fn a_storm_ends_with_a_kill(rounds: usize) {
    let mut world = World::new(UNTHROTTLED);
    for round in 0..rounds {
        let token = registration(&world.admin, &json!({ "count": 100_000 }));
        let answered = Mutex::new(BTreeSet::new());
        let answers = AtomicUsize::new(0);
        let apis: Vec<_> = (0..8).map(|_| world.admin.clone()).collect();
        std::thread::scope(|scope| {
            for api in apis {
                let (answered, answers, secret) = (&answered, &answers, &token.secret);
                scope.spawn(move || {
                    for number in 0.. {
                        let request = Request::new("POST", below_main("/enrol"));
                        let request = request.json(&device(number)).bearer(secret);
                        let Ok(answer) = api.try_raw(&request) else { return };
                        let id = answer.expect(201)["token"]["id"].as_str().unwrap().to_owned();
                        answered.lock().unwrap().insert(id);
                        answers.fetch_add(1, Ordering::AcqRel);
                    }
                });
            }
            let enough = 40 + 7 * (round % 11);
            await_true("draws are answered", PATIENCE, || {
                answers.load(Ordering::Acquire) >= enough
            });
            world.server.kill9();
        });
        world.serve_again(UNTHROTTLED);
        let used = world.admin.get(&token.path("")).expect(200)["used"].as_u64().unwrap();
        let page = world.admin.get(&token.path("/children?limit=1000")).expect(200);
        let drawn = page["items"].as_array().unwrap();
        assert_eq!(used, drawn.len() as u64, "round {round}");
        let answered = answered.into_inner().unwrap();
        let stored: BTreeSet<_> =
            drawn.iter().map(|child| child["id"].as_str().unwrap().to_owned()).collect();
        assert!(answered.is_subset(&stored), "round {round}: a draw was answered and lost");
    }
}

#[test]
fn a12_after_a_kill_in_a_storm_the_count_is_that_of_the_auth_tokens() {
    a_storm_ends_with_a_kill(3);
}

#[test]
#[ignore = "long: 50 kills and restarts"]
fn a12_after_each_of_50_kills_the_count_is_that_of_the_auth_tokens() {
    a_storm_ends_with_a_kill(50);
}

/// Either the count was lowered in time, or that was refused; never is more drawn than allowed.
fn lowering_races_with_draws(place: &Place, rounds: usize) {
    let (mut lowered, mut refused) = (0, 0);
    for _ in 0..rounds {
        let token = place.registration(&json!({ "count": 10 }));
        let said = place.race(40, |client, api| {
            if client == 7 {
                return api.patch(&token.path(""), &json!({ "count": 5 }));
            }
            draw(api, &token.secret, &device(client), &[])
        });
        let patched = said[7].status;
        assert!([200, 422].contains(&patched), "{}", said[7].text());
        let shown = place.shown(&token);
        let (used, count) = (shown["used"].as_u64().unwrap(), shown["count"].as_u64().unwrap());
        assert!(used <= count, "{used} of {count}");
        assert_eq!(count, if patched == 200 { 5 } else { 10 });
        assert_eq!(place.children(&token).len() as u64, used);
        lowered += usize::from(patched == 200);
        refused += usize::from(patched == 422);
    }
    println!("lowered in time {lowered} times, refused {refused} times");
}

#[test]
fn a13_a_count_that_is_lowered_among_draws_is_never_exceeded_on_sqlite() {
    lowering_races_with_draws(&Place::sqlite(), 10);
}

#[test]
fn a13_a_count_that_is_lowered_among_draws_is_never_exceeded_on_postgresql() {
    lowering_races_with_draws(&Place::postgres(), 10);
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

/// One count, a hundred times the same bytes; and for another body the key is taken.
fn equal_requests_count_once(place: &Place) {
    let token = place.registration(&json!({ "count": 3 }));
    let key = [("Idempotency-Key", "install-4711")];
    let said = place.race(100, |_, api| draw(api, &token.secret, &device(1), &key));
    assert_eq!(number(&said, 201), 100);
    let bodies: BTreeSet<Vec<u8>> = said.iter().map(|answer| answer.body.clone()).collect();
    assert_eq!(bodies.len(), 1);
    assert_eq!(place.shown(&token)["used"], 1);
    let other = draw(place.admin(), &token.secret, &device(2), &key);
    assert_eq!(other.expect(422)["type"], "/problems/idempotency-key-reused");
    // The key belongs to one registration token.
    let second = place.registration(&json!({ "count": 3 }));
    let again = draw(place.admin(), &second.secret, &device(1), &key);
    assert_ne!(again.expect(201)["token"]["id"], said[0].json()["token"]["id"]);
    assert_eq!(place.shown(&token)["used"], 1);
}

#[test]
fn a15_a_hundred_equal_keys_are_one_count_and_identical_bodies_on_sqlite() {
    equal_requests_count_once(&Place::sqlite());
}

#[test]
fn a15_a_hundred_equal_keys_are_one_count_and_identical_bodies_on_postgresql() {
    equal_requests_count_once(&Place::postgres());
}

/// A client that goes away before it reads gets the same auth token when it comes back.
#[test]
fn a16_a_lost_answer_is_given_again_without_a_second_count() {
    use std::io::Write as _;
    let place = Place::sqlite();
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
}

/// Doors that have nothing to do with each other draw on one count: here those of this release.
#[test]
fn a_mixed_storm_with_and_without_keys_draws_exactly_ten() {
    let place = Place::postgres();
    let token = place.registration(&json!({ "count": 10 }));
    let said = place.race(120, |client, api| {
        let key = format!("key-{}", client % 40);
        if client % 3 == 0 {
            draw(api, &token.secret, &device(client), &[])
        } else {
            let headers = [("Idempotency-Key", key.as_str())];
            draw(api, &token.secret, &device(client % 40), &headers)
        }
    });
    let ids: BTreeSet<String> = said
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.json()["token"]["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 10);
    assert_eq!(place.shown(&token)["used"], 10);
    assert_eq!(place.children(&token).len(), 10);
}

/// Every refused draw is one that counted nothing.
#[test]
fn a29_a_hundred_single_use_tokens_each_draw_once() {
    let place = Place::sqlite();
    let tokens: Vec<Issued> =
        (0..100).map(|_| place.registration(&json!({ "count": 1 }))).collect();
    let distinct: BTreeSet<&str> = tokens.iter().map(|token| token.secret.as_str()).collect();
    assert_eq!(distinct.len(), 100);
    for (number, token) in tokens.iter().enumerate() {
        draw(place.admin(), &token.secret, &device(number), &[]).expect(201);
        draw(place.admin(), &token.secret, &device(number), &[]).expect(403);
    }
}
