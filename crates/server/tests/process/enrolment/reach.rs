//! Who may draw, on which conditions; who may hand out draws; and who can tell what became of them.

use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::json;

use super::{both, device, draw, drawing, registration};
use crate::harness::{PATIENCE, await_true};
use crate::wire::{Answer, Api, Request};
use crate::world::{World, client, merged};

/// The least that a source waits which has failed a hundred times.
const DELAY_MIN: Duration = Duration::from_millis(100);

#[test]
fn a28_a_broken_condition_refuses_by_name_and_counts_nothing() {
    both(|place| {
        for (constraints, field) in [
            (json!({ "networks": ["10.9.0.0/16"] }), "networks"),
            (json!({ "hosts": ["*.other.example"] }), "hosts"),
            (json!({ "users": { "mode": "strict", "value": ["root"] } }), "users"),
            (json!({ "devices": ["ws-9.acme.example"] }), "devices"),
            (json!({ "not_before": "2999-01-01T00:00:00Z" }), "not_before"),
        ] {
            let token = place.registration(&json!({ "count": 5, "constraints": constraints }));
            let said = draw(place.admin(), &token.secret, &device(1), &[]).expect(403);
            assert_eq!(
                (&said["type"], &said["field"]),
                (&json!("/problems/constraint"), &json!(field))
            );
            assert_eq!(place.shown(&token)["used"], 0);
            await_true("the refusal is recorded", PATIENCE, || {
                let events = place.admin().get(&token.path("/events?outcome=refused")).expect(200);
                let reason = &events["items"][0]["reason"];
                *reason == json!(format!("constraint:{field}"))
            });
        }
    });
}

#[test]
fn a28_per_hour_and_per_device_hold_among_many_at_once() {
    both(|place| {
        let hourly = place.registration(&json!({ "count": 50, "constraints": { "per_hour": 4 } }));
        let said = place.race(24, |client, api| draw(api, &hourly.secret, &device(client), &[]));
        assert_eq!((super::number(&said, 201), super::number(&said, 403)), (4, 20));
        assert_eq!(place.shown(&hourly)["used"], 4);
        let single = json!({ "count": 50, "constraints": { "per_device": 1 } });
        let single = place.registration(&single);
        let said =
            place.race(40, |client, api| draw(api, &single.secret, &device(client % 10), &[]));
        assert_eq!(super::number(&said, 201), 10);
        assert_eq!(place.children(&single).len(), 10);
    });
}

#[test]
fn a28_a_condition_that_only_warns_lets_pass_and_tells() {
    both(|place| {
        let constraints = json!({ "hosts": { "mode": "warn", "value": ["*.other.example"] },
        "per_hour": { "mode": "warn", "value": 1 }, "users": { "mode": "off", "value": ["root"] } });
        let token = place.registration(&json!({ "count": 5, "constraints": constraints }));
        for number in 0..2 {
            draw(place.admin(), &token.secret, &device(number), &[]).expect(201);
        }
        await_true("the warnings are recorded", PATIENCE, || {
            place.told(&token, "enrol.constraint-warned") == 3
        });
    });
}

#[test]
fn a_device_that_draws_again_is_let_refused_replaced_or_given_its_own() {
    both(|place| {
        let admin = place.admin();
        let token_for = |word: &str| {
            let constraints = json!({ "on_duplicate_device": word });
            place.registration(&json!({ "count": 5, "constraints": constraints }))
        };
        let twice = |word: &str| {
            let token = token_for(word);
            let first = draw(admin, &token.secret, &device(1), &[]).expect(201);
            let second = draw(admin, &token.secret, &device(1), &[]);
            let used = place.shown(&token)["used"].clone();
            let states: Vec<String> = place
                .children(&token)
                .iter()
                .map(|child| child["state"].as_str().unwrap().to_owned())
                .collect();
            (first, second, used, states)
        };
        let (_, second, used, states) = twice("allow");
        assert_eq!((second.status, used, states.len()), (201, json!(2), 2));
        let (_, second, used, states) = twice("reject");
        assert_eq!(second.expect(409)["type"], "/problems/duplicate-device");
        assert_eq!((used, states.len()), (json!(1), 1));
        let (_, second, used, states) = twice("replace");
        assert_eq!((second.status, used), (201, json!(2)));
        assert_eq!(states, ["active", "revoked"]);
        // Without a pinned key a name is no proof.
        let (_, second, used, states) = twice("return_existing");
        assert_eq!(second.expect(409)["type"], "/problems/duplicate-device");
        assert_eq!((used, states.len()), (json!(1), 1));
    });
}

/// It redeems, and does nothing else anywhere.
#[test]
fn a34_a_registration_token_opens_nothing_but_its_own_door() {
    both(|place| {
        let token = place.registration(&json!({ "count": 5, "stamp": { "services": ["git"] } }));
        let drawn = draw(place.admin(), &token.secret, &device(1), &[]).expect(201);
        let refresh = drawn["refresh_token"].as_str().unwrap();
        let holder = place.admin().with_key(&token.secret);
        for path in ["/tokens", "/users", &token.path(""), &token.path("/children")] {
            assert_eq!(holder.get(path).status, 401, "{path}");
        }
        let own = Request::new("GET", "/api/v1/self").bearer(&token.secret);
        assert_eq!(place.admin().raw(&own).status, 401);
        let look = json!({ "token": token.secret });
        let said = place.admin().post("/verify", &look).expect(200);
        assert_eq!((&said["active"], &said["code"]), (&json!(false), &json!("wrong_door")));
        // A refresh token is exchanged; presented to a service it opens nothing either.
        let asked = json!({ "token": refresh, "service": "git" });
        let said = place.admin().post("/verify", &asked).expect(200);
        assert_eq!((&said["active"], &said["code"]), (&json!(false), &json!("wrong_door")));
        let gate = Request::new("GET", "/authz/git").bearer(refresh);
        assert_eq!(place.admin().raw(&gate).status, 401);
        // And an auth token draws nothing.
        assert_eq!(draw(place.admin(), refresh, &device(2), &[]).status, 401);
    });
}

/// The same bytes for every secret that is not good, whatever is behind it.
#[test]
fn a35_unknown_mistyped_and_wrong_secrets_look_alike() {
    both(|place| {
        let token = place.registration(&json!({ "count": 5 }));
        let other = place.registration(&json!({ "count": 5 }));
        let swapped = format!("{}{}", &token.secret[..18], &other.secret[18..]);
        let unknown = place.registration(&json!({ "count": 1 }));
        let pat = crate::world::pat(place.admin(), &json!({}));
        let without_id = |answer: &Answer| merged(answer.json(), &json!({ "request_id": "" }));
        let reference = draw(place.admin(), "nonsense", &device(1), &[]);
        assert_eq!(reference.status, 401);
        for secret in [swapped.as_str(), &unknown.secret.replace('_', "-"), &pat.secret] {
            let said = draw(place.admin(), secret, &device(1), &[]);
            assert_eq!((said.status, without_id(&said)), (401, without_id(&reference)));
        }
        draw(place.admin(), &token.secret, &device(1), &[]).expect(201);
    });
}

/// Who guesses is answered as before, only later; who knows, and who comes from elsewhere, is not.
#[test]
fn a35_a_hundred_wrong_tokens_make_their_source_wait_and_nobody_else() {
    // The answers that a caller of the API gets would be 429; a presenter learns nothing from it.
    for world in World::on_each_store("server.trusted_proxies = [\"127.0.0.1\"]") {
        let token = registration(&world.admin, &json!({ "count": 9 }));
        let other = registration(&world.admin, &json!({ "count": 9 }));
        let wrong = format!("{}{}", &token.secret[..18], &other.secret[18..]);
        let from = |source: &str, secret: &str| {
            let request = drawing(secret, &device(1), &[("X-Forwarded-For", source)]);
            let watch = Stopwatch::start();
            (world.admin.clone().raw(&request), watch.elapsed())
        };
        let first = from("203.0.113.9", &wrong).0;
        std::thread::scope(|scope| {
            let addresses = (0..10).map(|_| world.admin.address);
            for address in addresses {
                let request = drawing(&wrong, &device(1), &[("X-Forwarded-For", "203.0.113.9")]);
                scope.spawn(move || {
                    let api = Api::new(address, "");
                    (0..10).for_each(|_| assert_eq!(api.raw(&request).status, 401));
                });
            }
        });
        let (held, waited) = from("203.0.113.9", &wrong);
        assert!(waited >= DELAY_MIN, "{waited:?}");
        let body = |answer: &Answer| merged(answer.json(), &json!({ "request_id": "" }));
        assert_eq!((held.status, body(&held)), (401, body(&first)));
        for (source, secret, status) in [
            ("203.0.113.9", &token.secret, 201),
            ("203.0.113.10", &token.secret, 201),
            ("203.0.113.10", &wrong, 401),
        ] {
            let (answer, took) = from(source, secret);
            assert_eq!(answer.status, status, "{}", answer.text());
            assert!(took < waited, "{took:?} of {waited:?}");
        }
    }
}

/// Each count with its time, device, address and state; and those who came too late.
#[test]
fn a36_who_drew_what_and_who_was_refused_is_one_look_each() {
    both(|place| {
        let admin = place.admin();
        let token = place.registration(&json!({ "count": 2 }));
        let mut first = device(1);
        first["mac_address"] = json!("00:11:22:33:44:55");
        let one = draw(admin, &token.secret, &first, &[]).expect(201);
        draw(admin, &token.secret, &device(2), &[]).expect(201);
        draw(admin, &token.secret, &device(3), &[]).expect(403);
        let path = format!("/tokens/{}/disable", one["token"]["id"].as_str().unwrap());
        admin.post(&path, &json!({})).expect(200);
        let children = place.children(&token);
        let told: Vec<_> = children
            .iter()
            .map(|child| {
                assert!(child["created_at"].is_string());
                let device = &child["device"];
                let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
                [
                    &device["subject"],
                    &device["hostname"],
                    &device["mac_address"],
                    &device["source"],
                    &child["state"],
                ]
                .map(text)
            })
            .collect();
        assert_eq!(
            told,
            [
                ["device-2", "ws-2.acme.example", "-", "127.0.0.1", "active"],
                ["device-1", "ws-1.acme.example", "00:11:22:33:44:55", "127.0.0.1", "disabled"],
            ]
        );
        let path = token.path("/events?outcome=refused");
        let refused = || admin.get(&path).expect(200)["items"].clone();
        await_true("the refusal is recorded", PATIENCE, || {
            refused().as_array().unwrap().iter().any(|event| {
                event["kind"] == "enrol.refused"
                    && event["reason"] == "exhausted"
                    && event["subject"] == "device-3"
                    && event["detail"]["hostname"] == "ws-3.acme.example"
                    && event["source"] == "127.0.0.1"
            })
        });
    });
}

/// A machine that may hand out draws for one customer, fifty at a time, and nothing else.
#[test]
fn a37_a_client_hands_out_no_more_than_its_limits_and_for_its_customer_alone() {
    both(|place| {
        let admin = place.admin();
        let unit = |name: &str| {
            admin.post("/units", &json!({ "name": name })).expect(201)["id"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let (ours, theirs) = (unit("customer-x"), unit("customer-y"));
        let terraform: Api = client(
            admin,
            &json!({ "name": "terraform", "roles": ["realm-admin"],
            "scopes": ["registration-tokens:write"],
            "limits": { "units": [ours], "count_max": 50, "lifetime_seconds_max": 604_800 } }),
        );
        let issue = |count: u64, unit: &str| {
            let body = json!({ "kind": "registration_token", "count": count, "unit": unit });
            terraform.post("/tokens", &body)
        };
        let made = issue(50, &ours).expect(201);
        let path = format!("/tokens/{}", made["token"]["id"].as_str().unwrap());
        assert_eq!(issue(51, &ours).expect(403)["type"], "/problems/beyond-grant");
        assert_eq!(issue(50, &theirs).status, 403);
        let unlimited = json!({ "kind": "registration_token", "unit": ours });
        assert_eq!(terraform.post("/tokens", &unlimited).status, 403);
        // Nor by a later edit; and it sees its own and nothing else.
        assert_eq!(terraform.patch(&path, &json!({ "count": 51 })).status, 403);
        terraform.patch(&path, &json!({ "count": 40 })).expect(200);
        terraform.get(&path).expect(200);
        let pat = crate::world::pat(admin, &json!({}));
        assert_eq!(terraform.get(&pat.path("")).status, 404);
        assert_eq!(terraform.get("/tokens").status, 403);
        assert_eq!(terraform.post("/users", &json!({ "username": "x" })).status, 403);
        terraform.post(&format!("{path}/revoke"), &json!({})).expect(200);
    });
}
