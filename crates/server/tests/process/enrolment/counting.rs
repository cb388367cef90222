//! The count is exact, however many draw at the same time, and whatever happens meanwhile.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    CLIENTS, CONNECTIONS, Place, both, device, draw, drawing, number, race_over, registration,
};
use crate::wire::Answer;
use crate::world::{Issued, UNTHROTTLED, World};

fn one_was_drawn(place: &Place, token: &Issued, said: &[Answer]) {
    assert_eq!((said.len(), number(said, 201)), (CLIENTS, 1));
    for answer in said.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.expect(403)["type"], "/problems/registration-exhausted");
    }
    let shown = place.shown(token);
    assert_eq!((&shown["used"], &shown["remaining"]), (&json!(1), &json!(0)));
    assert_eq!(place.children(token).len(), 1);
    assert_eq!(place.told(token, "token.enrolled"), 1);
    assert_eq!(place.told(token, "token.count-used-up"), 1);
    assert_eq!(place.told(token, "token.count-exceeded"), 1);
}

/// Each client with a connection of its own, and all of them over few connections.
fn one_count_gives_one(place: &Place, rounds: usize) {
    for _ in 0..rounds {
        let token = place.registration(&json!({ "count": 1 }));
        let said =
            place.race(CLIENTS, |client, api| draw(api, &token.secret, &device(client), &[]));
        one_was_drawn(place, &token, &said);
        let token = place.registration(&json!({ "count": 1 }));
        let said = place
            .race_over(CONNECTIONS, CLIENTS, |client| drawing(&token.secret, &device(client), &[]));
        one_was_drawn(place, &token, &said);
    }
    let processes = place.admins.len();
    println!("count 1 and {CLIENTS} clients of {processes} processes: 1, twice {rounds} times");
}

/// The refusals too are all there: one by one up to a hundred a minute, then with their number.
#[test]
fn a10_one_count_and_200_clients_give_exactly_one_and_199_refusals_that_are_told() {
    for mut world in World::on_each_store(UNTHROTTLED) {
        let token = registration(&world.admin, &json!({ "count": 1 }));
        let draws = |client| drawing(&token.secret, &device(client), &[]);
        let said = race_over(&[world.admin.address], CONNECTIONS, CLIENTS, draws);
        assert_eq!((number(&said, 201), number(&said, 403)), (1, CLIENTS - 1));
        // What is still being counted is written when the server ends.
        world.server.stop();
        world.serve_again(UNTHROTTLED);
        let told = |outcome: &str, kind: &str| -> u64 {
            let path = token.path(&format!("/events?outcome={outcome}&limit=1000"));
            let events = world.admin.get(&path).expect(200);
            let events = events["items"].as_array().unwrap().clone();
            let of_kind = events.iter().filter(|event| event["kind"] == kind);
            of_kind.map(|event| event["count"].as_u64().unwrap()).sum()
        };
        assert_eq!(told("done", "token.enrolled"), 1);
        assert_eq!(told("refused", "enrol.refused"), 199);
    }
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
#[ignore = "long: 100 races of 200 clients"]
fn a10_one_count_gives_one_on_sqlite_in_each_of_50_races() {
    one_count_gives_one(&Place::sqlite(), 50);
}

#[test]
#[ignore = "long: 100 races of 200 clients on several nodes"]
fn a10_one_count_gives_one_on_postgresql_in_each_of_50_races() {
    one_count_gives_one(&Place::postgres(), 50);
}

/// And the thresholds are told of once each, whoever crosses them (A20).
fn hundred_clients_draw_as_many_as_there_are(place: &Place, rounds: usize) {
    let counts = [(10, 10), (99, 99), (100, 100), (101, 100)];
    for (count, drawn) in counts.repeat(rounds) {
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
    hundred_clients_draw_as_many_as_there_are(&Place::sqlite(), 1);
}

#[test]
fn a11_and_a20_a_hundred_clients_draw_10_99_100_100_and_each_threshold_is_told_once_on_postgresql()
{
    hundred_clients_draw_as_many_as_there_are(&Place::postgres(), 1);
}

#[test]
#[ignore = "long: 200 races of 100 clients"]
fn a11_a_hundred_clients_draw_10_99_100_100_on_sqlite_50_times() {
    hundred_clients_draw_as_many_as_there_are(&Place::sqlite(), 50);
}

#[test]
#[ignore = "long: 200 races of 100 clients on three nodes"]
fn a11_a_hundred_clients_draw_10_99_100_100_on_postgresql_50_times() {
    hundred_clients_draw_as_many_as_there_are(&Place::postgres(), 50);
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

/// Every refused draw is one that counted nothing.
#[test]
fn a29_a_hundred_single_use_tokens_each_draw_once() {
    both(|place| {
        let tokens: Vec<Issued> =
            (0..100).map(|_| place.registration(&json!({ "count": 1 }))).collect();
        let distinct: BTreeSet<&str> = tokens.iter().map(|token| token.secret.as_str()).collect();
        assert_eq!(distinct.len(), 100);
        for (number, token) in tokens.iter().enumerate() {
            draw(place.admin(), &token.secret, &device(number), &[]).expect(201);
            draw(place.admin(), &token.secret, &device(number), &[]).expect(403);
        }
    });
}

/// C4 of the reference on Airlock: a count of a hundred, and four times as many who draw.
#[test]
fn c4_of_four_hundred_draws_of_a_count_of_a_hundred_a_hundred_succeed() {
    both(|place| {
        let token = place.registration(&json!({ "count": 100 }));
        let said = place.race_over(64, 400, |client| drawing(&token.secret, &device(client), &[]));
        assert_eq!((number(&said, 201), number(&said, 403)), (100, 300));
        let shown = place.shown(&token);
        assert_eq!((&shown["used"], &shown["remaining"]), (&json!(100), &json!(0)));
        assert_eq!(place.children(&token).len(), 100);
    });
}
