//! A code is good once, however many present it at the same time, to however many processes.

use std::sync::{Barrier, Mutex};

use serde_json::json;

use super::{K20, base32, enrol, hotp, question, said, worlds};
use crate::harness::Site;
use crate::nodes::share_keys;
use crate::wire::{Api, Request};
use crate::world::{UNTHROTTLED, World};

/// Presenters of a race.
const PRESENTERS: usize = 64;
/// Codes that they race for.
const CODES: usize = 100;

/// How many are let in with each code; every answer must be one. What was answered is looked at
/// when all have come through: whoever gives up between two barriers leaves the others waiting.
fn race(callers: Vec<Api>, codes: &[String]) -> Vec<usize> {
    let together = Barrier::new(callers.len());
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for caller in callers {
            let (together, answers) = (&together, &answers);
            scope.spawn(move || {
                // Its own connection, at work before the first race.
                let warm = caller.try_send(Request::new("GET", "/healthz/live"));
                drop(warm);
                for (number, code) in codes.iter().enumerate() {
                    together.wait();
                    let question = question(&[("user", "alice"), ("pass", code)]);
                    answers.lock().unwrap().push((number, caller.try_send(question)));
                }
            });
        }
    });
    let mut accepted = vec![0; codes.len()];
    for (number, answer) in answers.into_inner().unwrap() {
        accepted[number] += usize::from(said(&answer.unwrap().expect(200)));
    }
    accepted
}

fn callers(api: &Api, count: usize) -> Vec<Api> {
    (0..count).map(|_| api.with_key(&api.key)).collect()
}

#[test]
fn c3_f2_of_sixty_four_presenters_of_each_of_a_hundred_codes_one_is_let_in() {
    for world in worlds() {
        let (seed, count) = (base32(K20), i64::try_from(CODES).unwrap());
        enrol(&world.admin, &json!({ "method": "hotp", "seed": seed }));
        let codes: Vec<String> = (0..count).map(|counter| hotp(K20, counter)).collect();
        let let_in = race(callers(&world.verifier, PRESENTERS), &codes);
        assert_eq!(let_in, vec![1; CODES]);
    }
}

#[test]
fn c3_f2_two_processes_let_one_in_too() {
    let world = World::on_postgres(UNTHROTTLED);
    let site = Site::new();
    share_keys(&world.site, &site);
    let host = world.cluster.as_ref().unwrap().host();
    let second = site.serve(&format!("{UNTHROTTLED}\ndata.database = \"postgres://cf@{host}/cf\""));
    let sheet = enrol(&world.admin, &json!({ "method": "backup", "codes": 50 }));
    let codes: Vec<String> = serde_json::from_value(sheet["codes"].clone()).unwrap();
    let mut presenters = callers(&world.verifier, PRESENTERS / 2);
    presenters.extend(callers(&Api::new(second.address, &world.verifier.key), PRESENTERS / 2));
    assert_eq!(race(presenters, &codes), vec![1; codes.len()]);
}

#[test]
fn c3_a_token_for_five_uses_lets_five_in() {
    for world in worlds() {
        let body = json!({ "kind": "generic", "user": "alice", "max_usages": 5,
            "otp": { "method": "backup", "codes": 20 } });
        let sheet = world.admin.post("/tokens", &body).expect(201);
        let codes: Vec<String> = serde_json::from_value(sheet["codes"].clone()).unwrap();
        let let_in = race(callers(&world.verifier, 16), &codes);
        assert_eq!(let_in.iter().sum::<usize>(), 5, "{let_in:?}");
        let path = format!("/tokens/{}", sheet["token"]["id"].as_str().unwrap());
        assert_eq!(world.admin.get(&path).expect(200)["usage_total"], 5);
    }
}
