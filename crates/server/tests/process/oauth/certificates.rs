//! Clients with certificates (RFC 8705), as a trusted proxy passes them on, and nonces for proofs
//! (RFC 9449 section 8).

use serde_json::json;

use super::proofs::Sender;
use super::{DOOR, ask, error, introspect, posted, registration, text};
use crate::wire::{Request, below_main};
use crate::world::{UNTHROTTLED, World};

const PROXY: &str = "abuse.throttle = false\nserver.trusted_proxies = [\"127.0.0.1\"]\n\
                     server.client_certificate_headers = [\"x-client-cert\"]";
const HEADER: &str = "X-Client-Cert";
const OWN: &str = include_str!("../../../src/tls/cert.pem");
const OTHER: &str = include_str!("../../../src/tls/other.pem");

trait WithCertificate {
    fn sent_by(self, pem: &str) -> Self;
}

impl WithCertificate for Request {
    fn sent_by(self, pem: &str) -> Self {
        self.header(HEADER, super::encoded(pem))
    }
}

#[test]
fn the_certificate_of_the_redemption_is_that_of_every_refresh_and_use() {
    let world = World::new(PROXY);
    let token = registration(&world, &json!({}));
    let enrol = Request::new("POST", below_main("/enrol")).bearer(&token.secret);
    let enrol = enrol.json(&json!({ "subject": "till" })).sent_by(OWN);
    let drawn = world.admin.raw(&enrol).expect(201);
    let said = introspect(&world.verifier, &text(&drawn, "access_token")).expect(200);
    let thumbprint = text(&said["cnf"], "x5t#S256");
    assert_eq!((thumbprint.len(), &said["token_type"]), (43, &json!("Bearer")), "{said}");
    let secret = text(&drawn, "refresh_token");
    let refresh = posted(
        &format!("{DOOR}/token"),
        &[("grant_type", "refresh_token"), ("refresh_token", secret.as_str())],
    );
    for wrong in [refresh.clone(), refresh.clone().sent_by(OTHER)] {
        assert_eq!(world.admin.raw(&wrong).status, 400);
    }
    let fresh = world.admin.raw(&refresh.sent_by(OWN)).expect(200);
    let said = introspect(&world.verifier, &text(&fresh, "access_token")).expect(200);
    assert_eq!(text(&said["cnf"], "x5t#S256"), thumbprint);
    let access = text(&fresh, "access_token");
    assert_eq!(world.admin.raw(&crate::world::authz("git", "", &access)).status, 401);
}

#[test]
fn a_verifier_that_is_bound_to_a_certificate_asks_with_it() {
    let world = World::new(PROXY);
    let key = world.verifier.key.as_str();
    let name = text(&introspect(&world.admin, key).expect(200), "client_id");
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", name.as_str()),
        ("client_secret", key),
    ];
    let made = world.admin.raw(&posted(&format!("{DOOR}/token"), &pairs).sent_by(OWN));
    let access = text(&made.expect(200), "access_token");
    let pat = world.pat();
    let question = posted(&format!("{DOOR}/token/introspect"), &[("token", pat.secret.as_str())]);
    let question = question.bearer(&access);
    for wrong in [question.clone(), question.clone().sent_by(OTHER)] {
        assert_eq!(error(&world.admin.raw(&wrong)), (401, "invalid_client".into()));
    }
    let said = world.admin.raw(&question.sent_by(OWN)).expect(200);
    assert_eq!(said["active"], true);
    let verify = Request::new("POST", below_main("/verify")).bearer(&access);
    let verify = verify.json(&json!({ "token": pat.secret, "service": "git" }));
    assert_eq!(world.admin.raw(&verify).status, 401);
    world.admin.raw(&verify.sent_by(OWN)).expect(200);
}

#[test]
fn a_client_that_registered_with_a_certificate_needs_no_secret() {
    let world = World::new(PROXY);
    let token = registration(&world, &json!({}));
    let register = "/realms/main/clients-registrations/openid-connect";
    let body = json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" });
    let asked = Request::new("POST", register).bearer(&token.secret).json(&body);
    let bare = world.admin.raw(&asked);
    assert_eq!(error(&bare), (400, "invalid_client_metadata".into()));
    let made = world.admin.raw(&asked.sent_by(OWN)).expect(201);
    assert!(made["client_secret"].is_null() && made["registration_access_token"].is_string());
    let id = text(&made, "client_id");
    let pairs = [("grant_type", "client_credentials"), ("client_id", id.as_str())];
    let credentials = || posted(&format!("{DOOR}/token"), &pairs);
    for wrong in [credentials(), credentials().sent_by(OTHER)] {
        assert_eq!(error(&world.admin.raw(&wrong)), (401, "invalid_client".into()));
    }
    let access = world.admin.raw(&credentials().sent_by(OWN)).expect(200);
    let said = introspect(&world.verifier, &text(&access, "access_token")).expect(200);
    assert!(said["cnf"]["x5t#S256"].is_string(), "{said}");
    world.admin.post(&format!("/tokens/{id}/disable"), &json!({})).expect(200);
    let off = world.admin.raw(&credentials().sent_by(OWN));
    assert_eq!(error(&off), (401, "invalid_client".into()));
    let metadata = Request::new("GET", "/realms/main/.well-known/openid-configuration");
    let metadata = world.admin.raw(&metadata).expect(200);
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(methods.contains(&json!("self_signed_tls_client_auth")));
}

#[test]
fn nobody_but_a_trusted_proxy_says_what_certificate_a_client_has() {
    let untrusted = "server.client_certificate_headers = [\"x-client-cert\"]";
    let world = World::new(&format!("{UNTHROTTLED}\n{untrusted}"));
    let token = registration(&world, &json!({}));
    let enrol = Request::new("POST", below_main("/enrol")).bearer(&token.secret);
    let enrol = enrol.json(&json!({ "subject": "till" })).sent_by(OWN);
    let drawn = world.admin.raw(&enrol).expect(201);
    let said = introspect(&world.verifier, &text(&drawn, "access_token")).expect(200);
    assert!(said["cnf"].is_null(), "{said}");
}

#[test]
fn where_a_nonce_is_wanted_a_proof_holds_it() {
    let world = World::new(&format!("{UNTHROTTLED}\noauth.dpop_nonce = true"));
    let robot = super::machine(&world, &json!({}));
    let sender = Sender::new(1);
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", robot.key.as_str()),
    ];
    ask(&world.admin, &pairs).expect(200);
    let at = format!("{DOOR}/token");
    let asked = |proof: String| world.admin.raw(&posted(&at, &pairs).header("DPoP", proof));
    let first = asked(sender.proof(&world, "1"));
    assert_eq!(error(&first), (400, "use_dpop_nonce".into()));
    let nonce = first.header("dpop-nonce").to_owned();
    let wrong = asked(sender.proof_of(&world, "POST", &at, "2", None, Some("nonsense")));
    assert_eq!(error(&wrong), (400, "use_dpop_nonce".into()));
    let made = asked(sender.proof_of(&world, "POST", &at, "3", None, Some(&nonce))).expect(200);
    assert_eq!(made["token_type"], "DPoP");
    let access = text(&made, "access_token");
    let path = below_main("/tokens");
    let listed = |jti: &str, nonce: Option<&str>| {
        let proof = sender.proof_of(&world, "GET", &path, jti, Some(&access), nonce);
        let request = Request::new("GET", &path).header("Authorization", format!("DPoP {access}"));
        world.admin.raw(&request.header("DPoP", proof))
    };
    let refused = listed("4", None);
    assert_eq!((refused.status, refused.header("dpop-nonce")), (401, nonce.as_str()));
    let challenges = refused.headers("www-authenticate");
    assert!(challenges.iter().any(|line| line.contains("use_dpop_nonce")), "{challenges:?}");
    listed("5", Some(&nonce)).expect(200);
}
