//! How a request to the OAuth door has to look, and what it is told if it does not.

use serde_json::json;

use super::proofs::Sender;
use super::{DOOR, ask, basic, error, form, posted, registration, text};
use crate::wire::{Request, below_main};
use crate::world::{UNTHROTTLED, World};

const FORMS: [&str; 4] = ["token", "token/introspect", "revoke", "auth/device"];

#[test]
fn a_form_says_that_it_is_one() {
    let world = World::new(UNTHROTTLED);
    for path in FORMS {
        let pairs = [("grant_type", "client_credentials"), ("token", "x")];
        let untyped = Request::new("POST", format!("{DOOR}/{path}")).body(form(&pairs));
        for kind in ["", "text/plain", "application/json", "multipart/form-data"] {
            let request = match kind {
                "" => untyped.clone(),
                kind => untyped.clone().header("Content-Type", kind),
            };
            let refused = world.admin.raw(&request.bearer(&world.admin.key));
            assert_eq!(error(&refused), (415, "invalid_request".into()), "{path} {kind}");
        }
        let typed =
            untyped.header("Content-Type", "Application/X-WWW-Form-Urlencoded;charset=utf-8");
        assert_ne!(world.admin.raw(&typed.bearer(&world.admin.key)).status, 415, "{path}");
    }
}

#[test]
fn a_parameter_is_given_once_even_if_it_is_empty() {
    let world = World::new(UNTHROTTLED);
    let robot = super::machine(&world, &json!({}));
    let own = [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", robot.key.as_str()),
    ];
    for twice in [("scope", "tokens:read"), ("scope", ""), ("colour", "")] {
        let pairs = [&own[..], &[("scope", ""), ("colour", ""), twice]].concat();
        assert_eq!(error(&ask(&world.admin, &pairs)), (400, "invalid_request".into()), "{twice:?}");
    }
    let empty = [&own[..], &[("scope", ""), ("audience", ""), ("audience", "")]].concat();
    ask(&world.admin, &empty).expect(200);
}

#[test]
fn a_device_that_cannot_authenticate_is_told_so() {
    let world = World::new(UNTHROTTLED);
    let used_up = registration(&world, &json!({ "count": 1 }));
    let at = format!("{DOOR}/auth/device");
    let wrong = format!("cflr_{}_{}", "0".repeat(12), "0".repeat(38));
    for secret in ["nonsense", &wrong] {
        let request = posted(&at, &[]).header("Authorization", basic("till", secret));
        let refused = world.admin.raw(&request);
        assert_eq!(error(&refused), (401, "invalid_client".into()));
        assert!(refused.header("www-authenticate").starts_with("Basic "));
    }
    let ask = || posted(&at, &[]).header("Authorization", basic("till", &used_up.secret));
    world.admin.raw(&ask()).expect(200);
    // Who proved the secret is told that there is nothing left.
    assert_eq!(error(&world.admin.raw(&ask())), (400, "invalid_grant".into()));
}

#[test]
fn the_proof_beside_a_registration_token_pins_the_key_at_the_native_door() {
    let world = World::new(UNTHROTTLED);
    let token = registration(&world, &json!({ "count": 2 }));
    let (holder, thief) = (Sender::new(1), Sender::new(2));
    let at = below_main("/enrol");
    let request =
        Request::new("POST", &at).bearer(&token.secret).json(&json!({ "subject": "till" }));
    let proof = holder.proof_for(&world, &at, "1", None);
    let drawn = world.admin.raw(&request.header("DPoP", proof)).expect(201);
    assert_eq!(drawn["token_type"], "DPoP");
    let access = text(&drawn, "access_token");
    let said = super::introspect(&world.verifier, &access).expect(200);
    assert!(said["cnf"]["jkt"].is_string(), "{said}");
    // Forward-auth has no place for a proof, and takes no bound token.
    assert_eq!(world.admin.raw(&crate::world::authz("git", "", &access)).status, 401);
    let secret = text(&drawn, "refresh_token");
    let refresh = posted(
        &format!("{DOOR}/token"),
        &[("grant_type", "refresh_token"), ("refresh_token", secret.as_str())],
    );
    let refused = (400, "invalid_dpop_proof".to_owned());
    assert_eq!(error(&world.admin.raw(&refresh)), refused);
    let stolen = refresh.clone().header("DPoP", thief.proof(&world, "2"));
    assert_eq!(error(&world.admin.raw(&stolen)), refused);
    world.admin.raw(&refresh.header("DPoP", holder.proof(&world, "3"))).expect(200);
}

#[test]
fn a_door_that_is_off_is_not_described() {
    let described = |config: &str, path: &str| {
        let world = World::new(config);
        let document = world.admin.raw(&Request::new("GET", "/openapi.json")).expect(200);
        let page = world.admin.raw(&Request::new("GET", "/api/docs"));
        assert_eq!(page.text().contains(path), document["paths"][path].is_object());
        document["paths"][path].is_object()
    };
    let token = "/realms/{realm}/protocol/openid-connect/token";
    let metadata = "/.well-known/oauth-authorization-server/realms/{realm}";
    assert!(described("", token));
    for path in [token, metadata] {
        assert!(!described("doors.oauth = false", path), "{path}");
    }
    assert!(!described("doors.forward_auth = false", "/authz/{service}"));
}
