//! Access tokens of either form: what they are made from, what they may do, how they end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{DOOR, ask, error, introspect, machine, posted, text};
use crate::harness::{PATIENCE, await_true};
use crate::wire::Request;
use crate::world::{Issued, UNTHROTTLED, World, pat};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

fn exchange(world: &World, token: &Issued, more: &[(&str, &str)]) -> crate::wire::Answer {
    let pairs = [
        ("grant_type", EXCHANGE),
        ("subject_token", token.secret.as_str()),
        ("subject_token_type", ACCESS),
    ];
    ask(&world.admin, &[pairs.as_slice(), more].concat())
}

fn part(jwt: &str, index: usize) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn scoped(world: &World) -> Issued {
    pat(&world.admin, &json!({ "scopes": ["repo:read", "repo:write"] }))
}

#[test]
fn a_token_becomes_a_short_one_with_a_part_of_its_scopes_that_dies_with_it() {
    for format in ["jwt", "opaque"] {
        let settings = format!("{UNTHROTTLED}\noauth.access_token_format = \"{format}\"");
        for world in World::on_each_store(&settings) {
            let token = scoped(&world);
            let made = exchange(&world, &token, &[("scope", "repo:read"), ("audience", "git")]);
            let made = made.expect(200);
            assert_eq!((&made["scope"], &made["expires_in"]), (&json!("repo:read"), &json!(300)));
            let access = text(&made, "access_token");
            assert_eq!(access.starts_with("cfla_"), format == "opaque");
            for _ in 0..2 {
                let said = introspect(&world.verifier, &access).expect(200);
                assert_eq!((&said["active"], &said["sub"]), (&json!(true), &json!("alice")));
                assert_eq!((&said["aud"], &said["cfl_token"]), (&json!(["git"]), &json!(token.id)));
            }
            assert_eq!(world.verify(&access)["scopes"], json!(["repo:read"]));
            let proxied = crate::world::authz("git", "alice", &access);
            let proxied = world.admin.raw(&proxied);
            assert_eq!((proxied.status, proxied.header("remote-user")), (200, "alice"));
            let refused = |more: &[(&str, &str)]| error(&exchange(&world, &token, more));
            assert_eq!(refused(&[("scope", "repo:admin")]), (400, "invalid_scope".into()));
            assert_eq!(refused(&[("audience", "wiki")]), (400, "invalid_target".into()));

            world.admin.post(&token.path("/disable"), &json!({})).expect(200);
            assert_eq!(introspect(&world.verifier, &access).json(), json!({ "active": false }));
            world.admin.post(&token.path("/enable"), &json!({})).expect(200);
            assert_eq!(introspect(&world.verifier, &access).json()["active"], true);
            world.admin.post(&token.path("/revoke"), &json!({})).expect(200);
            assert_eq!(introspect(&world.verifier, &access).json(), json!({ "active": false }));
            assert_eq!(refused(&[]), (400, "invalid_grant".into()));
        }
    }
}

#[test]
fn a_forged_jwt_is_nobodys() {
    for world in World::on_each_store(UNTHROTTLED) {
        let token = scoped(&world);
        let good = text(&exchange(&world, &token, &[]).expect(200), "access_token");
        assert_eq!(part(&good, 0)["typ"], "at+jwt");
        assert_eq!(introspect(&world.verifier, &good).json()["active"], true);
        let words: Vec<&str> = good.split('.').collect();
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let changed = |index: usize, name: &str, value: Value| {
            let mut part = part(&good, index);
            part[name] = value;
            let mut words: Vec<String> = words.iter().map(ToString::to_string).collect();
            words[index] = encode(&part);
            words.join(".")
        };
        let none = format!("{}.{}.", encode(&json!({ "alg": "none", "typ": "at+jwt" })), words[1]);
        for forged in [
            none,
            changed(0, "alg", json!("none")),
            changed(0, "alg", json!("HS256")),
            changed(0, "typ", json!("JWT")),
            changed(0, "kid", json!("another")),
            changed(1, "aud", json!("counterfoil")),
            changed(1, "iss", json!("https://evil.example/realms/main")),
            changed(1, "exp", json!(4_000_000_000_u64)),
            changed(1, "cfl_parent", json!("000000000000")),
        ] {
            let said = introspect(&world.verifier, &forged);
            assert_eq!(
                (said.status, said.text().as_str()),
                (200, r#"{"active":false}"#),
                "{forged}"
            );
        }
    }
}

#[test]
fn a_client_gets_a_token_for_the_api_and_revoking_it_is_told_in_the_feed() {
    for world in World::on_each_store(UNTHROTTLED) {
        for format in ["jwt", "opaque"] {
            let name = format!("robot-{format}");
            let more = json!({ "name": name, "oauth": { "access_token_format": format,
            "access_token_signing_alg": "ES256", "access_token_lifetime_seconds": 60 } });
            let robot = machine(&world, &more);
            let pairs = [
                ("grant_type", "client_credentials"),
                ("client_id", name.as_str()),
                ("client_secret", robot.key.as_str()),
            ];
            let made = ask(&world.admin, &pairs).expect(200);
            assert_eq!(made["expires_in"], 60);
            let access = text(&made, "access_token");
            if format == "jwt" {
                assert_eq!(part(&access, 0)["alg"], "ES256");
            }
            let caller = world.admin.with_key(&access);
            caller.get("/tokens").expect(200);
            // What it issues ends with its client, not with itself.
            let body =
                json!({ "kind": "registration_token", "name": "by access token", "count": 1 });
            let issued = Issued::of(&caller.post("/tokens", &body).expect(201));
            let end = world.admin.get(&issued.path("")).expect(200)["expires_at"].clone();
            assert!(end.as_str().unwrap() > "2026-12", "{end}");

            let said = introspect(&world.admin, &access).expect(200);
            let revoked =
                world.admin.raw(&posted(&format!("{DOOR}/revoke"), &[("token", &access)]));
            assert_eq!(revoked.status, 200);
            assert_eq!(introspect(&world.admin, &access).json(), json!({ "active": false }));
            assert_eq!(caller.get("/tokens").status, 401);
            let feed = Request::new("GET", format!("{DOOR}/revocations")).bearer(&world.admin.key);
            let feed = world.admin.raw(&feed).expect(200);
            let known = |line: &Value| line["id"] == said["jti"];
            assert!(feed["jti"].as_array().unwrap().iter().any(known), "{feed}");
            let wrong = ask(&world.admin, &[pairs[0], pairs[1], ("client_secret", "wrong")]);
            assert_eq!(error(&wrong), (401, "invalid_client".into()));
        }
        let nobody = Request::new("GET", format!("{DOOR}/revocations"));
        assert_eq!(error(&world.admin.raw(&nobody)), (401, "invalid_client".into()));
    }
}

#[test]
fn a_rotated_key_verifies_for_the_overlap_and_no_longer() {
    let settings = format!("{UNTHROTTLED}\noauth.key_overlap_seconds = 0");
    for world in World::on_each_store(&settings) {
        let token = scoped(&world);
        let old = text(&exchange(&world, &token, &[]).expect(200), "access_token");
        let (kid, certs) = (part(&old, 0)["kid"].clone(), format!("{DOOR}/certs"));
        let published = || {
            let keys = world.admin.raw(&Request::new("GET", &certs)).expect(200);
            keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == kid)
        };
        assert!(published());
        let rotated = world.site.run(&["keys", "rotate", "sign-eddsa", "--json"]);
        assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
        await_true("the former key is no longer published", PATIENCE, || !published());
        let new = text(&exchange(&world, &token, &[]).expect(200), "access_token");
        assert_ne!(part(&new, 0)["kid"], kid);
        assert_eq!(introspect(&world.verifier, &new).json()["active"], true);
        assert_eq!(introspect(&world.verifier, &old).json(), json!({ "active": false }));
    }
}

#[test]
fn the_password_grant_is_off_until_somebody_switches_it_on() {
    for mut world in World::on_each_store(UNTHROTTLED) {
        let token = scoped(&world);
        let ask = |world: &World, user: &str| {
            let pairs = [
                ("grant_type", "password"),
                ("username", user),
                ("password", token.secret.as_str()),
                ("client_id", "ems-scl-public-client"),
            ];
            super::ask(&world.admin, &pairs)
        };
        assert_eq!(error(&ask(&world, "alice")), (400, "unsupported_grant_type".into()));
        assert!(world.server.stop().success());
        world.serve_again(&format!("{UNTHROTTLED}\noauth.password_grant = true"));
        assert!(text(&ask(&world, "alice").expect(200), "access_token").starts_with("eyJ"));
        assert_eq!(error(&ask(&world, "bob")), (400, "invalid_grant".into()));
    }
}
