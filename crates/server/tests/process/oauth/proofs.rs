//! Tokens that are bound to a key (DPoP, RFC 9449): a copied secret alone opens nothing.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterfoil_authority::clock::Clock as _;
use counterfoil_server::clock::OsClock;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::{DOOR, error, posted, registration, text};
use crate::wire::{Answer, Request, below_main};
use crate::world::{UNTHROTTLED, World};

/// Somebody with a key of their own.
pub(super) struct Sender {
    key: EncodingKey,
}

impl Sender {
    pub(super) fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Self { key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()) }
    }

    /// A proof for the token endpoint of a world, under this `jti`.
    pub(super) fn proof(&self, world: &World, jti: &str) -> String {
        self.proof_for(world, &format!("{DOOR}/token"), jti, None)
    }

    /// A proof for any path, beside an access token or not.
    pub(super) fn proof_for(
        &self,
        world: &World,
        path: &str,
        jti: &str,
        token: Option<&str>,
    ) -> String {
        self.proof_by(world, "POST", path, jti, token)
    }

    /// The same for any method.
    pub(super) fn proof_by(
        &self,
        world: &World,
        method: &str,
        path: &str,
        jti: &str,
        token: Option<&str>,
    ) -> String {
        self.proof_of(world, method, path, jti, token, None)
    }

    /// The same with a nonce of the server.
    pub(super) fn proof_of(
        &self,
        world: &World,
        method: &str,
        path: &str,
        jti: &str,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> String {
        let mut public = Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap();
        public.common = jsonwebtoken::jwk::CommonParameters::default();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(public);
        let url = format!("http://{}{path}", world.server.address);
        let now = OsClock.now().seconds();
        let mut claims = json!({ "jti": jti, "htm": method, "htu": url, "iat": now });
        if let Some(token) = token {
            let hash = digest(&SHA256, token.as_bytes());
            claims["ath"] = json!(URL_SAFE_NO_PAD.encode(hash.as_ref()));
        }
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
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
    for world in World::on_each_store(UNTHROTTLED) {
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
}

#[test]
fn a_proof_beside_a_credential_that_is_not_good_is_not_kept() {
    for world in World::on_each_store(UNTHROTTLED) {
        let sender = Sender::new(1);
        let robot = super::machine(&world, &json!({}));
        let token = registration(&world, &json!({ "count": 9 }));
        let pat = world.pat();
        let exchange = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
        let to_register = "urn:counterfoil:params:oauth:token-type:registration-token";
        let of_access = "urn:ietf:params:oauth:token-type:access_token";
        let drawn =
            [exchange, ("subject_token", &token.secret), ("subject_token_type", to_register)];
        let drawn = ask(&world, &drawn, Some(&sender.proof(&world, "first"))).expect(200);
        let refresh = text(&drawn, "refresh_token");
        let ways: [Vec<(&str, &str)>; 4] = [
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", "robot"),
                ("client_secret", &robot.key),
            ],
            vec![exchange, ("subject_token_type", of_access), ("subject_token", &pat.secret)],
            vec![exchange, ("subject_token_type", to_register), ("subject_token", &token.secret)],
            vec![("grant_type", "refresh_token"), ("refresh_token", &refresh)],
        ];
        for (number, way) in ways.iter().enumerate() {
            let proof = sender.proof(&world, &number.to_string());
            let mut wrong = way.clone();
            let right = wrong.pop().unwrap();
            wrong.push((right.0, "wrong"));
            let refused = ask(&world, &wrong, Some(&proof));
            assert!(matches!(refused.status, 400 | 401), "{}", refused.text());
            let counted = || world.admin.get(&token.path("")).expect(200)["used"].clone();
            // The same proof is still good: nobody has noted it. Once it was used it is not, and
            // nothing is rotated or drawn with it.
            let made = ask(&world, way, Some(&proof)).expect(200);
            let before = counted();
            let mut again = way.clone();
            let next = text(&made, "refresh_token");
            if way[0].1 == "refresh_token" {
                again[1].1 = &next;
            }
            let replayed = ask(&world, &again, Some(&proof));
            assert_eq!(error(&replayed), (400, "invalid_dpop_proof".into()));
            assert_eq!(counted(), before);
            if way[0].1 == "refresh_token" {
                let fresh = sender.proof(&world, "fresh");
                assert_eq!(ask(&world, &again, Some(&fresh)).status, 200, "it was not rotated");
            }
        }
        let at = below_main("/verify");
        let proof = sender.proof_for(&world, &at, "api", Some("nobody"));
        let request = Request::new("POST", at.as_str()).json(&json!({ "token": pat.secret }));
        let request = request.header("Authorization", "DPoP nobody").header("DPoP", proof);
        assert_eq!(world.admin.raw(&request).status, 401);
    }
}

#[test]
fn a_bound_access_token_of_a_verifier_asks_with_its_proof() {
    for world in World::on_each_store(UNTHROTTLED) {
        let sender = Sender::new(1);
        let key = world.verifier.key.as_str();
        let said = super::introspect(&world.admin, key).expect(200);
        let name = text(&said, "client_id");
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_id", name.as_str()),
            ("client_secret", key),
        ];
        let access = ask(&world, &pairs, Some(&sender.proof(&world, "1"))).expect(200);
        assert_eq!(access["token_type"], "DPoP");
        let access = text(&access, "access_token");
        let pat = world.pat();
        let bound = |request: Request, path: &str, jti: &str| {
            let proof = sender.proof_for(&world, path, jti, Some(&access));
            request.header("Authorization", format!("DPoP {access}")).header("DPoP", proof)
        };
        let at = below_main("/verify");
        let verify = Request::new("POST", at.as_str())
            .json(&json!({ "token": pat.secret, "service": "git" }));
        let verified = world.admin.raw(&bound(verify.clone(), &at, "2")).expect(200);
        assert_eq!(verified["active"], true, "{verified}");
        assert_eq!(world.admin.raw(&bound(verify.clone(), &at, "2")).status, 401, "replayed");
        assert_eq!(world.admin.raw(&verify.bearer(&access)).status, 401, "no proof");
        let at = format!("{DOOR}/token/introspect");
        let question = posted(&at, &[("token", pat.secret.as_str())]);
        let said = world.admin.raw(&bound(question.clone(), &at, "3")).expect(200);
        assert_eq!(said["active"], true);
        assert_eq!(error(&world.admin.raw(&bound(question.clone(), &at, "3"))).0, 400);
        assert_eq!(
            error(&world.admin.raw(&question.bearer(&access))),
            (401, "invalid_client".into())
        );
    }
}
