//! DPoP proofs (RFC 9449): that a sender holds the private key a token is bound to.
//!
//! This file checks what a proof says; that it is said only once is the store's to know, because
//! a copy could be sent to another node.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;

/// Bytes of a proof at most: a key of RSA with 4096 bits fits.
pub const PROOF_BYTES_MAX: usize = 4096;
/// How old a proof may be, in seconds (RFC 9449 section 11.1: short).
pub const PROOF_AGE_SECONDS_MAX: i64 = 60;
/// How far a sender's clock may be ahead, in seconds.
pub const PROOF_AHEAD_SECONDS_MAX: i64 = 5;
/// Characters of a proof's `jti` at most.
const JTI_LEN_MAX: usize = 256;
/// The algorithms that proofs may be signed with: asymmetric ones only (RFC 9449 section 4.3).
pub const PROOF_ALGS: [&str; 3] = ["EdDSA", "ES256", "RS256"];

/// The request that a proof must be about.
#[derive(Debug, Clone, Copy)]
pub struct ProofFor<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its URL, without query and fragment.
    pub url: &'a str,
    /// The access token that comes with it, if one does.
    pub access_token: Option<&'a str>,
    /// Whether it must hold a nonce of the server.
    pub nonce: bool,
}

/// A proof that holds, unless it was said before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of its key (RFC 7638).
    pub jkt: String,
    /// The nonce of a server that it holds.
    pub nonce: Option<String>,
    /// What tells it from every other proof: a digest of key and `jti`.
    pub once: [u8; 32],
    /// When it is too old to be said again.
    pub expires_at: Timestamp,
}

/// Why a proof does not hold. The texts are for the developer of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// Not a JWT, or one without the parts of a proof.
    #[error("the DPoP proof cannot be read")]
    Malformed,
    /// `typ` is not `dpop+jwt`.
    #[error("the typ of a DPoP proof is dpop+jwt")]
    Type,
    /// The algorithm is not on the list, or not that of the key.
    #[error("the DPoP proof is signed with an algorithm that is not accepted")]
    Algorithm,
    /// The key is missing, symmetric, private, or of another kind.
    #[error("the jwk of a DPoP proof is the public key that it is signed with")]
    Key,
    /// The signature is not that key's.
    #[error("the signature of the DPoP proof is wrong")]
    Signature,
    /// `htm` or `htu` name another request.
    #[error("htm and htu of the DPoP proof name another request")]
    Request,
    /// `iat` is too far from now.
    #[error("the DPoP proof is too old or from the future")]
    Time,
    /// `ath` is missing or of another token.
    #[error("ath of the DPoP proof is not of this access token")]
    AccessToken,
    /// It holds no nonce of the server, or a former one (RFC 9449 section 8).
    #[error("the DPoP proof has to hold the nonce of the header DPoP-Nonce")]
    Nonce,
    /// It was said before.
    #[error("the DPoP proof was used before")]
    Replayed,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: f64,
    #[serde(default)]
    ath: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
}

/// The key of a proof, and nothing of a private half.
#[derive(Deserialize)]
struct Header {
    jwk: serde_json::Map<String, serde_json::Value>,
}

/// Members of a JWK that only a private or symmetric key has (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Checks everything of a proof but that it is new (RFC 9449 section 4.3).
pub fn check(proof: &str, wanted: ProofFor<'_>, now: Timestamp) -> Result<Proof, ProofFault> {
    if proof.len() > PROOF_BYTES_MAX {
        return Err(ProofFault::Malformed);
    }
    let header = decode_header(proof).map_err(|_| ProofFault::Malformed)?;
    if header.typ.as_deref() != Some("dpop+jwt") {
        return Err(ProofFault::Type);
    }
    if header.crit.is_some() {
        return Err(ProofFault::Malformed);
    }
    let jwk = header.jwk.as_ref().ok_or(ProofFault::Key)?;
    refuse_private(proof)?;
    if header.alg != algorithm_of(jwk).ok_or(ProofFault::Key)? {
        return Err(ProofFault::Algorithm);
    }
    let key = DecodingKey::from_jwk(jwk).map_err(|_| ProofFault::Key)?;
    let jkt = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| ProofFault::Key)?;
    let mut rules = Validation::new(header.alg);
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let claims = decode::<Claims>(proof, &key, &rules).map_err(|_| ProofFault::Signature)?.claims;
    check_claims(&claims, wanted, now)?;
    let mut once = Sha256::new();
    once.update(jkt.as_bytes());
    once.update([0]);
    once.update(claims.jti.as_bytes());
    Ok(Proof {
        jkt,
        nonce: claims.nonce,
        once: once.finalize().into(),
        expires_at: now.plus_seconds(PROOF_AGE_SECONDS_MAX + PROOF_AHEAD_SECONDS_MAX),
    })
}

/// The one algorithm that fits a key.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Some(Algorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        _ => None,
    }
}

/// A private key in a header was sent through every proxy on the way, and is nobody's any more.
fn refuse_private(proof: &str) -> Result<(), ProofFault> {
    let encoded = proof.split('.').next().unwrap_or_default();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(encoded.as_bytes());
    let bytes = bytes.map_err(|_| ProofFault::Malformed)?;
    let header: Header = serde_json::from_slice(&bytes).map_err(|_| ProofFault::Malformed)?;
    let private = PRIVATE_MEMBERS.iter().any(|member| header.jwk.contains_key(*member));
    if private { Err(ProofFault::Key) } else { Ok(()) }
}

fn check_claims(claims: &Claims, wanted: ProofFor<'_>, now: Timestamp) -> Result<(), ProofFault> {
    if claims.jti.is_empty() || claims.jti.len() > JTI_LEN_MAX {
        return Err(ProofFault::Malformed);
    }
    let url = claims.htu.split(['?', '#']).next().unwrap_or_default();
    if claims.htm != wanted.method || !same_url(url, wanted.url) {
        return Err(ProofFault::Request);
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds of this era fit into 53 bits")]
    let age = now.seconds() as f64 - claims.iat;
    #[expect(clippy::cast_precision_loss, reason = "both are small")]
    let (oldest, newest) = (PROOF_AGE_SECONDS_MAX as f64, -(PROOF_AHEAD_SECONDS_MAX as f64));
    if !(newest..=oldest).contains(&age) {
        return Err(ProofFault::Time);
    }
    let expected = wanted
        .access_token
        .map(|token| data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(token.as_bytes())));
    if expected.is_some() && claims.ath != expected {
        return Err(ProofFault::AccessToken);
    }
    Ok(())
}

/// Equal after the normalisation of RFC 3986 sections 6.2.2 and 6.2.3: scheme and host in lower
/// case, a default port left out, no path as `/`.
fn same_url(one: &str, other: &str) -> bool {
    match (normal(one), normal(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

fn normal(url: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let authority = authority.to_ascii_lowercase();
    let default = if scheme == "https" { ":443" } else { ":80" };
    let host = authority.strip_suffix(default).unwrap_or(&authority).to_owned();
    let path = if path.is_empty() { "/" } else { path };
    Some((scheme, host, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header as JwtHeader, encode};
    use serde_json::{Value, json};

    use super::*;
    use crate::access::SigningAlg;
    use crate::access::signing::SigningKeys;
    use crate::testing::SeededEntropy;

    const NOW: i64 = 1_800_000_000;
    const URL: &str = "https://tokens.example/realms/main/protocol/openid-connect/token";

    struct Sender {
        keys: SigningKeys,
        alg: SigningAlg,
    }

    impl Sender {
        fn new(alg: SigningAlg) -> Self {
            Self { keys: SigningKeys::generate(&SeededEntropy::new(9)).unwrap(), alg }
        }

        fn proof(&self, claims: &Value, change: impl FnOnce(&mut JwtHeader)) -> String {
            let signer = self.keys.current(self.alg, Timestamp::from_seconds(NOW)).unwrap();
            let mut header = JwtHeader::new(self.alg.algorithm());
            header.typ = Some("dpop+jwt".to_owned());
            let mut public = signer.public().clone();
            public.common = jsonwebtoken::jwk::CommonParameters::default();
            header.jwk = Some(public);
            change(&mut header);
            encode(&header, claims, signer.encoding()).unwrap()
        }
    }

    fn claims() -> Value {
        json!({ "jti": "1", "htm": "POST", "htu": URL, "iat": NOW })
    }

    fn judge(proof: &str) -> Result<Proof, ProofFault> {
        let wanted = ProofFor { method: "POST", url: URL, access_token: None, nonce: false };
        check(proof, wanted, Timestamp::from_seconds(NOW))
    }

    #[test]
    fn a_proof_names_the_key_it_is_signed_with() {
        for alg in [SigningAlg::EdDsa, SigningAlg::Es256] {
            let sender = Sender::new(alg);
            let proof = judge(&sender.proof(&claims(), |_| {})).unwrap();
            let signer = sender.keys.current(alg, Timestamp::from_seconds(NOW)).unwrap();
            assert_eq!(proof.jkt, signer.kid());
            let mut other = claims();
            other["jti"] = json!("2");
            assert_ne!(judge(&sender.proof(&other, |_| {})).unwrap().once, proof.once);
        }
    }

    #[test]
    fn a_proof_is_for_one_request_at_one_time() {
        let sender = Sender::new(SigningAlg::EdDsa);
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            judge(&sender.proof(&claims, |_| {})).map(drop)
        };
        assert_eq!(with("htm", json!("GET")), Err(ProofFault::Request));
        assert_eq!(with("htu", json!("https://other.example/token")), Err(ProofFault::Request));
        assert_eq!(with("htu", json!(format!("{URL}?a=b#c"))), Ok(()));
        let port = URL.replace("tokens.example", "TOKENS.example:443");
        assert_eq!(with("htu", json!(port)), Ok(()));
        assert_eq!(with("iat", json!(NOW - 60)), Ok(()));
        assert_eq!(with("iat", json!(NOW - 61)), Err(ProofFault::Time));
        assert_eq!(with("iat", json!(NOW + 6)), Err(ProofFault::Time));
        assert_eq!(with("jti", json!("")), Err(ProofFault::Malformed));
    }

    #[test]
    fn a_proof_of_another_type_key_or_signature_is_refused() {
        let sender = Sender::new(SigningAlg::EdDsa);
        let fault = |change: fn(&mut JwtHeader)| judge(&sender.proof(&claims(), change)).map(drop);
        assert_eq!(fault(|h| h.typ = Some("JWT".to_owned())), Err(ProofFault::Type));
        assert_eq!(fault(|h| h.jwk = None), Err(ProofFault::Key));
        assert_eq!(fault(|h| h.crit = Some(vec!["b64".to_owned()])), Err(ProofFault::Malformed));
        let es256 = Sender::new(SigningAlg::Es256);
        let foreign = es256.keys.current(SigningAlg::Es256, Timestamp::from_seconds(NOW)).unwrap();
        let swapped = sender.proof(&claims(), |h| h.jwk = Some(foreign.public().clone()));
        assert_eq!(judge(&swapped), Err(ProofFault::Algorithm));
        let mut header = JwtHeader::new(Algorithm::HS256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = serde_json::from_value(json!({ "kty": "oct", "k": "c2VjcmV0" })).ok();
        let hmac = encode(&header, &claims(), &EncodingKey::from_secret(b"secret")).unwrap();
        assert_eq!(judge(&hmac), Err(ProofFault::Key));
    }

    #[test]
    fn at_a_resource_the_proof_names_the_access_token() {
        let sender = Sender::new(SigningAlg::EdDsa);
        let at = Timestamp::from_seconds(NOW);
        let wanted =
            ProofFor { method: "POST", url: URL, access_token: Some("cfla_token"), nonce: false };
        let bare = sender.proof(&claims(), |_| {});
        assert_eq!(check(&bare, wanted, at).map(drop), Err(ProofFault::AccessToken));
        let mut named = claims();
        let ath = data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(b"cfla_token"));
        named["ath"] = json!(ath);
        assert_eq!(check(&sender.proof(&named, |_| {}), wanted, at).map(drop), Ok(()));
    }
}
