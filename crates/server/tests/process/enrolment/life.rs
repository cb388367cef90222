//! The lives of registration tokens and of what is drawn from them.

use serde_json::{Value, json};

use super::{Place, both, device, draw};
use crate::harness::{PATIENCE, await_true};
use crate::wire::{Answer, Api, Request, below_main};
use crate::world::Issued;

fn poll(api: &Api, device_code: &str) -> Answer {
    let path = below_main("/enrol/poll");
    api.raw(&Request::new("POST", path).json(&json!({})).bearer(device_code))
}

fn id_of(answer: &Value) -> String {
    answer["token"]["id"].as_str().unwrap().to_owned()
}

/// What is ended gives no draw back; an administrator does, in a column of its own, by name.
#[test]
fn a17_an_ended_auth_token_gives_nothing_back_and_an_administrator_does() {
    both(|place| {
        let admin = place.admin();
        let token = place.registration(&json!({ "count": 1 }));
        let drawn = draw(admin, &token.secret, &device(1), &[]).expect(201);
        let path = format!("/tokens/{}/revoke", id_of(&drawn));
        admin.post(&path, &json!({ "reason": "scrapped" })).expect(200);
        draw(admin, &token.secret, &device(2), &[]).expect(403);
        let many = admin.post(&token.path("/return-count"), &json!({ "n": 2 })).expect(422);
        assert_eq!(many["field"], "n");
        let back = admin.post(&token.path("/return-count"), &json!({ "n": 1 })).expect(200);
        assert_eq!(
            (&back["used"], &back["returned"], &back["remaining"]),
            (&json!(1), &json!(1), &json!(1))
        );
        draw(admin, &token.secret, &device(2), &[]).expect(201);
        draw(admin, &token.secret, &device(3), &[]).expect(403);
        let events = admin.get(&token.path("/events")).expect(200);
        let back = events["items"].as_array().unwrap().iter();
        let mut back = back.filter(|event| event["kind"] == "token.count-returned");
        let event = back.next().unwrap();
        assert!(event["actor"].as_str().unwrap().starts_with("client:"), "{event}");
        assert_eq!(event["detail"]["n"], 1);
    });
}

#[test]
fn a18_a_raised_count_is_drawn_from_at_once_and_a_lower_one_than_taken_is_refused() {
    both(|place| {
        let admin = place.admin();
        let token = place.registration(&json!({ "count": 2 }));
        for number in 0..2 {
            draw(admin, &token.secret, &device(number), &[]).expect(201);
        }
        draw(admin, &token.secret, &device(3), &[]).expect(403);
        let low = admin.patch(&token.path(""), &json!({ "count": 1 })).expect(422);
        assert_eq!(low["field"], "count");
        admin.patch(&token.path(""), &json!({ "count": 3 })).expect(200);
        draw(admin, &token.secret, &device(3), &[]).expect(201);
        draw(admin, &token.secret, &device(4), &[]).expect(403);
        // What was refilled is told of again when it is used up.
        assert_eq!(place.told(&token, "token.count-used-up"), 2);
        admin.patch(&token.path(""), &json!({ "count": null })).expect(200);
        draw(admin, &token.secret, &device(5), &[]).expect(201);
    });
}

/// Disabled is told before anything else, and enabling restores it.
#[test]
fn a_disabled_token_draws_nothing_until_it_is_enabled() {
    let place = Place::sqlite();
    let admin = place.admin();
    let token = place.registration(&json!({ "count": 1 }));
    draw(admin, &token.secret, &device(1), &[]).expect(201);
    admin.post(&token.path("/disable"), &json!({})).expect(200);
    let said = draw(admin, &token.secret, &device(2), &[]).expect(403);
    assert_eq!(said["type"], "/problems/registration-disabled");
    admin.post(&token.path("/enable"), &json!({})).expect(200);
    let said = draw(admin, &token.secret, &device(2), &[]).expect(403);
    assert_eq!(said["type"], "/problems/registration-exhausted");
}

fn draws(place: &Place, token: &Issued, count: usize) -> Vec<String> {
    let drawn = |number| draw(place.admin(), &token.secret, &device(number), &[]).expect(201);
    (0..count).map(|number| id_of(&drawn(number))).collect()
}

#[test]
fn a24_children_live_on_unless_they_are_to_end_and_a_dry_run_changes_nothing() {
    both(|place| {
        let admin = place.admin();
        let states = |token: &Issued| {
            let children = place.children(token);
            children.iter().filter(|child| child["state"] == "active").count()
        };
        let token = place.registration(&json!({ "count": 10 }));
        draws(place, &token, 3);
        let reach = admin.get(&token.path("/blast-radius")).expect(200);
        assert_eq!(
            reach,
            json!({ "auth_tokens": 3, "active": 3, "active_last_day": 3, "waiting": 0,
                "derived": 0, "directories": [], "doors": [], "last_used_at": null, "scopes": [],
                "services": [], "usage_total": 0, "user": null })
        );
        let dry = json!({ "cascade": true, "dry_run": true });
        let preview = admin.post(&token.path("/revoke"), &dry).expect(200);
        assert_eq!(preview["revoked"].as_array().unwrap().len(), 4);
        assert_eq!((states(&token), &place.shown(&token)["state"]), (3, &json!("active")));
        admin.post(&token.path("/revoke"), &json!({})).expect(200);
        assert_eq!(states(&token), 3);
        draw(admin, &token.secret, &device(9), &[]).expect(403);
        // The tombstone keeps its children, and may still end them.
        admin.post(&token.path("/revoke"), &json!({ "cascade": true })).expect(200);
        assert_eq!(states(&token), 0);
        let after = admin.get(&token.path("/blast-radius")).expect(200);
        assert_eq!((&after["auth_tokens"], &after["active"]), (&json!(3), &json!(0)));
    });
}

#[test]
fn a26_an_ephemeral_auth_token_ends_by_itself_when_it_was_idle() {
    both(|place| {
        let stamp = json!({ "ephemeral": true, "idle_seconds": 10 });
        let token = place.registration(&json!({ "count": 5, "stamp": stamp }));
        let drawn = draw(place.admin(), &token.secret, &device(1), &[]).expect(201);
        assert_eq!(drawn["token"]["device"]["ephemeral"], true);
        let path = format!("/tokens/{}", id_of(&drawn));
        let shown = || place.admin().get(&path).expect(200);
        assert_eq!(shown()["state"], "active");
        await_true("it ends by itself", PATIENCE, || shown()["state"] == "revoked");
        assert_eq!(shown()["revoked_reason"], "idle");
        assert_eq!(shown()["revoked_by"], "system");
    });
}

#[test]
fn a27_a_draw_that_needs_approval_is_reserved_then_counted_or_free_again() {
    both(|place| {
        let admin = place.admin();
        let token = place.registration(&json!({ "count": 2, "approval": "required" }));
        let counts = || {
            let shown = place.shown(&token);
            (shown["used"].as_u64().unwrap(), shown["reserved"].as_u64().unwrap())
        };
        let first = draw(admin, &token.secret, &device(1), &[]).expect(202);
        assert_eq!((first["interval"].as_i64(), counts()), (Some(5), (0, 1)));
        let second = draw(admin, &token.secret, &device(2), &[]).expect(202);
        assert_eq!(counts(), (0, 2));
        let third = draw(admin, &token.secret, &device(3), &[]).expect(403);
        assert_eq!(third["type"], "/problems/registration-exhausted");
        let code = |answer: &Value| answer["device_code"].as_str().unwrap().to_owned();
        assert_eq!(poll(admin, &code(&first)).expect(202)["status"], "authorization_pending");
        let soon = poll(admin, &code(&first));
        assert_eq!((soon.status, soon.header("retry-after")), (429, "10"));
        let by_code = |answer: &Value| {
            let code = answer["user_code"].as_str().unwrap().to_lowercase();
            let page = admin.get(&format!("/tokens?user_code={code}")).expect(200);
            format!("/tokens/{}", page["items"][0]["id"].as_str().unwrap())
        };
        let (one, other) = (by_code(&first), by_code(&second));
        let approved = admin.post(&format!("{one}/approve"), &json!({})).expect(200);
        assert_eq!((&approved["state"], counts()), (&json!("active"), (1, 1)));
        admin.post(&format!("{one}/approve"), &json!({})).expect(200);
        assert_eq!(counts(), (1, 1));
        let granted = poll(admin, &code(&first)).expect(201);
        assert_eq!(granted["token"]["id"], approved["id"]);
        assert_ne!(granted["refresh_token"], first["device_code"]);
        // The answer may be lost: asked again, the same secret comes.
        let again = poll(admin, &code(&first)).expect(201);
        assert_eq!(again["refresh_token"], granted["refresh_token"]);
        admin.post(&format!("{other}/deny"), &json!({})).expect(200);
        assert_eq!(counts(), (1, 0));
        let denied = poll(admin, &code(&second)).expect(403);
        assert_eq!(denied["type"], "/problems/access-denied");
        draw(admin, &token.secret, &device(3), &[]).expect(202);
        assert_eq!(counts(), (1, 1));
    });
}

#[test]
fn the_first_of_some_are_drawn_at_once_and_the_others_wait() {
    let place = Place::postgres();
    let token = place.registration(&json!({ "count": 40, "approval": "after-7" }));
    let said = place.race(40, |client, api| draw(api, &token.secret, &device(client), &[]));
    assert_eq!((super::number(&said, 201), super::number(&said, 202)), (7, 33));
    let shown = place.shown(&token);
    assert_eq!((&shown["used"], &shown["reserved"]), (&json!(7), &json!(33)));
}

#[test]
fn a30_both_secrets_draw_on_one_count_until_the_overlap_is_over() {
    both(|place| {
        let admin = place.admin();
        let token = place.registration(&json!({ "count": 4 }));
        draw(admin, &token.secret, &device(1), &[]).expect(201);
        let rotate = |overlap: i64| {
            let body = json!({ "overlap_seconds": overlap });
            Issued::of(&admin.post(&token.path("/rotate"), &body).expect(200))
        };
        let next = rotate(3_600);
        draw(admin, &token.secret, &device(2), &[]).expect(201);
        draw(admin, &next.secret, &device(3), &[]).expect(201);
        assert_eq!(place.shown(&token)["used"], 3);
        let last = rotate(0);
        draw(admin, &next.secret, &device(4), &[]).expect(401);
        draw(admin, &last.secret, &device(4), &[]).expect(201);
        draw(admin, &last.secret, &device(5), &[]).expect(403);
        assert_eq!(place.shown(&token)["used"], 4);
    });
}

/// What stands on the stamp, and nothing that the device asks for against it.
#[test]
fn a_child_has_what_is_stamped_and_its_own_facts() {
    let place = Place::sqlite();
    let admin = place.admin();
    let stamp = json!({ "services": ["git"], "scopes": ["repo:read"], "labels": { "site": "berlin" },
        "lifetime_seconds": 3_600, "idle_seconds": 600, "access_token": "opaque" });
    let more = json!({ "count": 5, "stamp": stamp, "identifier": "office", "ref_id_1": "PO-1" });
    let token = place.registration(&more);
    let mut body = device(1);
    body["labels"] = json!({ "site": "paris", "rack": "7" });
    body["mac_address"] = json!("00:11:22:33:44:55");
    let drawn = draw(admin, &token.secret, &body, &[]).expect(201);
    let child = &drawn["token"];
    assert_eq!(child["kind"], "auth_token");
    assert_eq!((&child["services"], &child["scopes"]), (&json!(["git"]), &json!(["repo:read"])));
    assert_eq!(child["labels"], json!({ "rack": "7", "site": "berlin" }));
    assert_eq!(child["registration_token"], json!(token.id));
    assert_eq!(child["device"]["hostname"], "ws-1.acme.example");
    assert_eq!((&child["device"]["source"]), (&json!("127.0.0.1")));
    assert_eq!(child["device"]["access_token"], "opaque");
    for query in [
        "registration_token=ID",
        "hostname=ws-1.acme.example",
        "subject=device-1",
        "mac_address=00:11:22:33:44:55",
        "system_user=svc",
    ] {
        let query = query.replace("ID", &token.id);
        let page = admin.get(&format!("/tokens?{query}")).expect(200);
        let found = page["items"].as_array().unwrap();
        assert_eq!((found.len(), &found[0]["id"]), (1, &child["id"]), "{query}");
    }
    for query in ["identifier=office", "ref_id_1=PO-1"] {
        let path = format!("/tokens?kind=registration_token&{query}");
        let page = admin.get(&path).expect(200);
        assert_eq!(page["items"][0]["id"], json!(token.id), "{query}");
    }
    assert!(place.shown(&token)["expires_at"].as_str().unwrap().ends_with('Z'));
}
