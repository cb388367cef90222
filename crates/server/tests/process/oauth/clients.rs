//! How a client proves who it is at the token endpoint: with its key, and with nothing made of it.

use serde_json::json;

use super::{DOOR, ask, basic, error, introspect, machine, posted, registration, text};
use crate::wire::{Request, below_main};
use crate::world::{UNTHROTTLED, World};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[test]
fn only_its_key_authenticates_a_client_and_what_it_gets_ends_with_the_key() {
    for format in ["jwt", "opaque"] {
        let settings = format!("{UNTHROTTLED}\noauth.access_token_format = \"{format}\"");
        for world in World::on_each_store(&settings) {
            let robot = machine(&world, &json!({}));
            let refused = (401, "invalid_client".to_owned());
            let as_secret = |secret: &str| {
                let form =
                    ask(&world.admin, &[GRANT, ("client_id", "robot"), ("client_secret", secret)]);
                let head = posted(&format!("{DOOR}/token"), &[GRANT]);
                let head = head.header("Authorization", basic("robot", secret));
                assert_eq!(error(&form), error(&world.admin.raw(&head)));
                form
            };
            let access = text(&as_secret(&robot.key).expect(200), "access_token");
            assert_eq!(error(&as_secret(&access)), refused);
            // Nor with a bearer, whatever the form says beside it.
            let garbage = [GRANT, ("client_id", "nobody"), ("client_secret", "garbage")];
            let own = [GRANT, ("client_id", "robot"), ("client_secret", robot.key.as_str())];
            for (pairs, bearer) in [
                (&garbage[..], &access),
                (&garbage[..], &robot.key),
                (&own[..], &access),
                (&own[..1], &robot.key),
            ] {
                let request = posted(&format!("{DOOR}/token"), pairs).bearer(bearer);
                assert_eq!(error(&world.admin.raw(&request)), refused);
            }
            // A device that the client let in is not the client.
            let fleet =
                json!({ "kind": "registration_token", "name": "fleet", "services": ["git"] });
            let fleet = text(&robot.post("/tokens", &fleet).expect(201), "secret");
            let device =
                Request::new("POST", below_main("/enrol")).json(&json!({ "subject": "till" }));
            let device = world.admin.raw(&device.bearer(&fleet)).expect(201);
            assert_eq!(error(&as_secret(&text(&device, "access_token"))), refused);

            let key = introspect(&world.admin, &access).expect(200)["cfl_token"].clone();
            let path = format!("/tokens/{}/revoke", key.as_str().unwrap());
            world.admin.post(&path, &json!({})).expect(200);
            assert_eq!(introspect(&world.admin, &access).json(), json!({ "active": false }));
            assert_eq!(robot.with_key(&access).get("/tokens").status, 401);
            assert_eq!(error(&as_secret(&robot.key)), refused);
        }
    }
}

#[test]
fn a_registered_client_gets_tokens_with_its_own_secret() {
    for world in World::on_each_store(UNTHROTTLED) {
        let token = registration(&world, &json!({}));
        let register = "/realms/main/clients-registrations/openid-connect";
        let made = Request::new("POST", register).json(&json!({ "client_name": "till" }));
        let made = world.admin.raw(&made.bearer(&token.secret)).expect(201);
        let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
        let pairs = [GRANT, ("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let access = text(&ask(&world.admin, &pairs).expect(200), "access_token");
        let again = [pairs[0], pairs[1], ("client_secret", access.as_str())];
        assert_eq!(error(&ask(&world.admin, &again)), (401, "invalid_client".into()));
    }
}

#[test]
fn a_client_authenticates_in_one_way_at_a_time_and_only_a_proved_name_is_written_down() {
    for world in World::on_each_store(UNTHROTTLED) {
        let robot = machine(&world, &json!({}));
        let pat = world.pat();
        let exchange = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", pat.secret.as_str()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        let as_client = |secret| [("client_id", "robot"), ("client_secret", secret)];
        let both = [&exchange[..], &as_client("garbage")].concat();
        let token = posted(&format!("{DOOR}/token"), &both).bearer(&world.verifier.key);
        assert_eq!(error(&world.admin.raw(&token)), (400, "invalid_request".into()));
        let question = [&[("token", pat.secret.as_str())][..], &as_client(&robot.key)].concat();
        let question = posted(&format!("{DOOR}/token/introspect"), &question);
        let question = question.bearer(&world.verifier.key);
        assert_eq!(error(&world.admin.raw(&question)), (400, "invalid_request".into()));
        assert_eq!(error(&ask(&world.admin, &both)), (401, "invalid_client".into()));

        let named = [&exchange[..], &as_client(&robot.key)].concat();
        let made = text(&ask(&world.admin, &named).expect(200), "access_token");
        let said = introspect(&world.verifier, &made).expect(200);
        assert_eq!((&said["client_id"], &said["sub"]), (&json!("robot"), &json!("alice")));
        // A realm's clients are its own.
        world
            .admin
            .raw(
                &crate::wire::Request::new("POST", "/api/v1/realms")
                    .json(&json!({ "name": "other" }))
                    .bearer(&world.admin.key),
            )
            .expect(201);
        let elsewhere = "/realms/other/protocol/openid-connect/token";
        let refused = world.admin.raw(&posted(elsewhere, &named));
        assert_eq!(error(&refused), (401, "invalid_client".into()));
    }
}
