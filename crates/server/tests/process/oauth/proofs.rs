//! Tokens that are bound to a key (DPoP, RFC 9449): a copied secret alone opens nothing.

use aws_lc_rs::signature::Ed25519KeyPair;
use counterfoil_authority::clock::Clock as _;
use counterfoil_server::clock::OsClock;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::{DOOR, error, posted, registration, text};
use crate::wire::Answer;
use crate::world::{UNTHROTTLED, World};

/// Somebody with a key of their own.
struct Sender {
    key: EncodingKey,
}

impl Sender {
    fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Self { key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()) }
    }

    /// A proof for the token endpoint of a world, under this `jti`.
    fn proof(&self, world: &World, jti: &str) -> String {
        let mut public = Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap();
        public.common = jsonwebtoken::jwk::CommonParameters::default();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(public);
        let url = format!("http://{}{DOOR}/token", world.server.address);
        let now = OsClock.now().seconds();
        let claims = json!({ "jti": jti, "htm": "POST", "htu": url, "iat": now });
        encode(&header, &claims, &self.key).unwrap()
    }
}

fn ask(world: &World, pairs: &[(&str, &str)], proof: Option<&str>) -> Answer {
    let request = posted(&format!("{DOOR}/token"), pairs);
    let request = match proof {
        Some(proof) => request.header("DPoP", proof),
        None => request,
    };
    world.admin.raw(&request)
}

#[test]
fn a25_the_key_of_the_redemption_is_the_key_of_every_refresh() {
    let world = World::new(UNTHROTTLED);
    let token = registration(&world, &json!({ "count": 1 }));
    let (holder, thief) = (Sender::new(1), Sender::new(2));
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token.secret.as_str()),
        ("subject_token_type", "urn:counterfoil:params:oauth:token-type:registration-token"),
    ];
    let drawn = ask(&world, &exchange, Some(&holder.proof(&world, "1"))).expect(200);
    assert_eq!(drawn["token_type"], "DPoP");
    let secret = text(&drawn, "refresh_token");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", secret.as_str())];
    let refused = (400, "invalid_dpop_proof".to_owned());
    assert_eq!(error(&ask(&world, &refresh, None)), refused);
    assert_eq!(error(&ask(&world, &refresh, Some(&thief.proof(&world, "2")))), refused);
    assert_eq!(error(&ask(&world, &refresh, Some(&holder.proof(&world, "1")))), refused);
    assert_eq!(error(&ask(&world, &refresh, Some("no proof"))), refused);
    let fresh = ask(&world, &refresh, Some(&holder.proof(&world, "3"))).expect(200);
    assert_eq!(fresh["token_type"], "DPoP");
    assert_ne!(text(&fresh, "refresh_token"), secret);

    // As a bearer it opens nothing; who accepts it is told which key to ask for.
    let access = text(&fresh, "access_token");
    let said = super::introspect(&world.verifier, &access).expect(200);
    assert!(said["cnf"]["jkt"].is_string(), "{said}");
    assert!(world.verify(&access)["cnf"]["jkt"].is_string());
    assert_eq!(world.admin.raw(&crate::world::authz("git", "", &access)).status, 401);
}
