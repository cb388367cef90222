//! Renewing access, and the end of it, over several processes.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Place, both, device, draw};
use crate::harness::{PATIENCE, await_true};
use crate::wire::{Answer, Api, Request};

/// What a form is posted to below the realm's OAuth door.
fn posted(api: &Api, path: &str, form: String, bearer: Option<&str>) -> Answer {
    let path = format!("/realms/main/protocol/openid-connect/{path}");
    let request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    api.raw(&match bearer {
        Some(key) => request.bearer(key),
        None => request,
    })
}

fn refresh(api: &Api, secret: &str) -> Answer {
    posted(api, "token", format!("grant_type=refresh_token&refresh_token={secret}"), None)
}

fn introspect(api: &Api, token: &str) -> Value {
    posted(api, "token/introspect", format!("token={token}"), Some(&api.key)).expect(200)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// What a device draws that may use `git`.
fn drawn(place: &Place, count: usize) -> Vec<Value> {
    let token = place.registration(&json!({ "count": count, "services": ["git"] }));
    let draws = |number| draw(place.admin(), &token.secret, &device(number), &[]).expect(201);
    (0..count).map(draws).collect()
}

#[test]
fn a22_twenty_parallel_refreshes_have_one_successor_and_end_nothing() {
    both(|place| {
        let device = drawn(place, 1).remove(0);
        let secret = text(&device, "refresh_token");
        let said = place.race(20, |_, api| refresh(api, &secret));
        let said: Vec<Value> = said.iter().map(|answer| answer.expect(200)).collect();
        let successors: BTreeSet<String> =
            said.iter().map(|one| text(one, "refresh_token")).collect();
        assert_eq!(successors.len(), 1);
        for one in &said {
            assert_eq!(introspect(place.admin(), &text(one, "access_token"))["active"], true);
        }
        let path = format!("/tokens/{}", device["token"]["id"].as_str().unwrap());
        assert_eq!(place.admin().get(&path).expect(200)["state"], "active");
        refresh(place.admin(), successors.first().unwrap()).expect(200);
    });
}

#[test]
fn a23_a_deleted_auth_token_refreshes_no_more_and_its_access_is_over() {
    both(|place| {
        let (mut devices, admin) = (drawn(place, 2), place.admin());
        let (sibling, device) = (devices.remove(1), devices.remove(0));
        let (access, secret) = (text(&device, "access_token"), text(&device, "refresh_token"));
        for api in &place.admins {
            assert_eq!(introspect(api, &access)["active"], true);
        }
        let path = format!("/token/api/v5/authTokens/{}", text(&device["token"], "id"));
        assert_eq!(admin.send(Request::new("DELETE", path)).status, 204);
        assert_eq!(introspect(admin, &access), json!({ "active": false }));
        for api in &place.admins {
            let refused = refresh(api, &secret).expect(400);
            assert_eq!(refused["error"], "invalid_grant");
            // Other processes learn of it within a second.
            await_true("it is inactive everywhere", PATIENCE, || {
                introspect(api, &access) == json!({ "active": false })
            });
        }
        // Who never asks believes it until its own end, 300 seconds after it was made.
        let claims = URL_SAFE_NO_PAD.decode(access.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let lives = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(lives, 300, "{claims}");
        refresh(admin, &text(&sibling, "refresh_token")).expect(200);
    });
}
