//! One count behind every door: whoever draws, and however.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::json;

use super::{Place, both, device, draw, registration};
use crate::harness::Site;
use crate::wire::{Api, Request};

/// Draws by the command line; whether it got an auth token.
fn by_command(site: &Site, api: &Api, secret: &str, name: &str) -> bool {
    let mut command = site.binary();
    command.args(["enrol", "--subject", name]).env("COUNTERFOIL_TOKEN", secret);
    command.env("COUNTERFOIL_URL", format!("http://{}", api.address));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// Draws at the Sentinel door, as its clients do.
fn as_sentinel(api: &Api, secret: &str, name: &str) -> u16 {
    let body = json!({ "authToken": { "systemUserName": name, "fqdn": "" } }).to_string();
    let request = Request::new("POST", "/token/api/v5/authTokens");
    let request = request.header("Authorization", format!("Basic {secret}")).body(body);
    api.raw(&request).status
}

/// Draws by registering a client (RFC 7591).
fn as_client(api: &Api, secret: &str, name: &str) -> u16 {
    let path = "/realms/main/clients-registrations/openid-connect";
    let request = Request::new("POST", path).json(&json!({ "client_name": name }));
    api.raw(&request.bearer(secret)).status
}

/// Draws by exchanging the registration token (RFC 8693).
fn by_exchange(api: &Api, secret: &str, name: &str) -> u16 {
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
    let sort = "urn%3Acounterfoil%3Aparams%3Aoauth%3Atoken-type%3Aregistration-token";
    let form = format!(
        "grant_type={grant}&subject_token={secret}&subject_token_type={sort}&subject={name}"
    );
    let request = Request::new("POST", "/realms/main/protocol/openid-connect/token");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);
    api.raw(&request).status
}

fn a_storm_over_all_doors_draws_ten(place: &Place, rounds: usize) {
    let site = Site::new();
    for _ in 0..rounds {
        let more = json!({ "count": 10, "services": ["git"] });
        let token = registration(place.admin(), &more);
        let secret = token.secret.as_str();
        let drawn = place.race(100, |client, api| {
            let name = format!("device-{client}");
            match client % 5 {
                0 => matches!(as_client(api, secret, &name), 201),
                1 => matches!(by_exchange(api, secret, &name), 200),
                2 => matches!(as_sentinel(api, secret, &name), 201),
                // A process is heavier than a request: fewer of them.
                3 if client < 40 => by_command(&site, api, secret, &name),
                _ => draw(api, secret, &device(client), &[]).status == 201,
            }
        });
        assert_eq!(drawn.into_iter().filter(|drawn| *drawn).count(), 10);
        let shown = place.shown(&token);
        assert_eq!((&shown["used"], &shown["remaining"]), (&json!(10), &json!(0)));
        assert_eq!(place.children(&token).len(), 10);
    }
}

#[test]
fn a31_a_storm_over_all_five_doors_draws_exactly_ten() {
    both(|place| a_storm_over_all_doors_draws_ten(place, 2));
}

#[test]
#[ignore = "long: 50 storms over five doors on each store"]
fn a31_each_of_50_storms_over_all_five_doors_draws_exactly_ten() {
    both(|place| a_storm_over_all_doors_draws_ten(place, 50));
}

#[test]
fn a15_a_mixed_storm_with_and_without_keys_draws_exactly_ten() {
    both(|place| {
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
    });
}
