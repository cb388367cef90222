//! The JWT form of an access token (RFC 9068), written and read strictly.
//!
//! Reading trusts nothing that the token says of itself: the key is found by `kid` among our own,
//! the algorithm must be that key's, and type, issuer and audience must be ours, so that neither
//! `alg: none` nor a public key used as an HMAC secret (RFC 8725 section 2.1) opens anything.

use jsonwebtoken::{Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use super::signing::Signer;
use super::{AccessFacts, Confirmation};
use crate::clock::Timestamp;
use crate::secret::TokenId;

/// The media type of access tokens in the header (RFC 9068 section 2.1).
pub const TYP: &str = "at+jwt";
/// What our own payloads begin with; [`jti_hint`] rests on it.
const FIRST_CLAIM: &[u8] = br#"{"jti":""#;

/// The claims, in the order in which they are written.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    jti: String,
    iss: String,
    sub: String,
    aud: Audience,
    client_id: String,
    iat: i64,
    exp: i64,
    #[serde(default)]
    scope: String,
    #[serde(default, skip_serializing_if = "Confirmation::is_bearer")]
    cnf: Confirmation,
    /// The token that this one dies with; public, as every id.
    cfl_parent: String,
}

/// One audience or several (RFC 7519 section 4.1.3).
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn of(names: &[String]) -> Self {
        match names {
            [one] => Self::One(one.clone()),
            several => Self::Several(several.to_vec()),
        }
    }

    fn names(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Several(several) => several,
        }
    }
}

/// What a JWT of ours says.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) id: TokenId,
    pub(crate) issuer: String,
    pub(crate) facts: AccessFacts,
}

/// Signs the facts. `None` if the library cannot.
pub(crate) fn sign(
    signer: &Signer,
    id: TokenId,
    issuer: &str,
    facts: &AccessFacts,
) -> Option<String> {
    let mut header = Header::new(signer.alg().algorithm());
    header.typ = Some(TYP.to_owned());
    header.kid = Some(signer.kid().to_owned());
    let claims = Claims {
        jti: id.to_string(),
        iss: issuer.to_owned(),
        sub: facts.subject.clone(),
        aud: Audience::of(&facts.audience),
        client_id: facts.client_id.clone(),
        iat: facts.issued_at.seconds(),
        exp: facts.expires_at.seconds(),
        scope: facts.scope.clone(),
        cnf: facts.confirmation.clone(),
        cfl_parent: facts.parent.to_string(),
    };
    encode(&header, &claims, signer.encoding()).ok()
}

/// Reads a JWT that one of `signers` signed. `None` for everything else, without a reason: it is
/// not one of ours. Time is not looked at here, because the clock is the caller's.
pub(crate) fn read<'a>(
    jwt: &str,
    mut signers: impl Iterator<Item = &'a Signer>,
) -> Option<Decoded> {
    let header = decode_header(jwt).ok()?;
    let kid = header.kid.as_deref()?;
    // RFC 9068 section 4: `at+jwt`, with or without the media type's tree; any other is refused.
    let typ = header.typ.as_deref()?;
    let bare = typ.strip_prefix("application/").unwrap_or(typ);
    // RFC 7515 section 4.1.11: an extension that is not understood must be refused.
    if !bare.eq_ignore_ascii_case(TYP) || header.crit.is_some() {
        return None;
    }
    let signer = signers.find(|signer| signer.kid() == kid)?;
    let alg = signer.alg().algorithm();
    if header.alg != alg {
        return None;
    }
    let mut rules = Validation::new(alg);
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let claims = decode::<Claims>(jwt, signer.decoding(), &rules).ok()?.claims;
    Some(Decoded {
        id: TokenId::parse(&claims.jti)?,
        issuer: claims.iss,
        facts: AccessFacts {
            parent: TokenId::parse(&claims.cfl_parent)?,
            subject: claims.sub,
            client_id: claims.client_id,
            scope: claims.scope,
            audience: claims.aud.names(),
            confirmation: claims.cnf,
            door: None,
            issued_at: Timestamp::from_seconds(claims.iat),
            expires_at: Timestamp::from_seconds(claims.exp),
        },
    })
}

/// Whether a presented string has the shape of a JWS (RFC 7515 section 3.1): three parts of
/// base64url, of which the first holds a JSON object.
pub(crate) fn looks_like_jwt(presented: &str) -> bool {
    presented.starts_with("eyJ")
        && presented.len() <= super::JWT_BYTES_MAX
        && is_in_alphabet(presented.as_bytes())
        && presented.bytes().filter(|&byte| byte == b'.').count() == 2
}

/// Whether all bytes are base64url or dots. Without a branch, so that many are looked at in one
/// step: every introspection of a JWT asks.
fn is_in_alphabet(bytes: &[u8]) -> bool {
    let strange = bytes.iter().fold(0, |any, &byte| {
        let mark = u8::from(byte == b'-') | u8::from(byte == b'_') | u8::from(byte == b'.');
        any | ((u8::from(byte.is_ascii_alphanumeric()) | mark) ^ 1)
    });
    strange == 0
}

/// The `jti` that a JWT of ours would have, without believing a word of it: the place in the
/// cache to look at, where the whole string is compared.
pub(crate) fn jti_hint(jwt: &str) -> Option<TokenId> {
    /// `{"jti":"` and twelve characters are 20 bytes: the first 28 of base64, 21 bytes.
    const HEAD_LEN: usize = 28;
    let (_, rest) = jwt.split_once('.')?;
    let mut head = [0; 21];
    let encoded = rest.get(..HEAD_LEN)?.as_bytes();
    let decoded = data_encoding::BASE64URL_NOPAD.decode_mut(encoded, &mut head).ok()?;
    let id = head.get(..decoded)?.strip_prefix(FIRST_CLAIM)?.get(..crate::secret::ID_LEN)?;
    TokenId::parse(std::str::from_utf8(id).ok()?)
}

/// Instants as microseconds.
pub(super) mod micros {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::clock::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(in super::super) fn serialize<S: Serializer>(
        at: &Timestamp,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.micros())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_micros)
    }
}

/// Ids as text.
pub(super) mod id_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::secret::TokenId;

    pub(in super::super) fn serialize<S: Serializer>(
        id: &TokenId,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(id.as_str())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<TokenId, D::Error> {
        let text = String::deserialize(from)?;
        TokenId::parse(&text).ok_or_else(|| D::Error::custom("no id of a token"))
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, EncodingKey};
    use serde_json::json;

    use super::*;
    use crate::access::SigningAlg;
    use crate::access::signing::{SigningKeys, generate_rsa};
    use crate::keys::{Key, KeyPurpose};
    use crate::testing::SeededEntropy;

    fn keys() -> SigningKeys {
        SigningKeys::generate(&SeededEntropy::new(1)).unwrap()
    }

    fn facts() -> AccessFacts {
        AccessFacts {
            parent: TokenId::parse("parent000001").unwrap(),
            subject: "alice".into(),
            client_id: "alice".into(),
            scope: "repo:read".into(),
            audience: vec!["git".into()],
            confirmation: Confirmation::of_key("abc"),
            door: None,
            issued_at: Timestamp::from_seconds(1_800_000_000),
            expires_at: Timestamp::from_seconds(1_800_000_300),
        }
    }

    fn id() -> TokenId {
        TokenId::parse("0123456789ab").unwrap()
    }

    fn read_all(keys: &SigningKeys, jwt: &str) -> Option<Decoded> {
        read(jwt, keys.counting(Timestamp::from_seconds(1_800_000_000), 300))
    }

    #[test]
    fn what_is_signed_reads_back_by_every_algorithm() {
        let rsa = Key::of_document(1, generate_rsa().unwrap());
        let rsa = Signer::new(KeyPurpose::SignRs256, rsa, Timestamp::EPOCH).unwrap();
        let of = |purpose| {
            let key = Key::generate(1, &SeededEntropy::new(3)).unwrap();
            Signer::new(purpose, key, Timestamp::EPOCH).unwrap()
        };
        let keys =
            SigningKeys::new(vec![of(KeyPurpose::SignEdDsa), of(KeyPurpose::SignEs256), rsa]);
        for alg in crate::access::SIGNING_ALGS {
            let signer = keys.current(alg, facts().issued_at).unwrap();
            let jwt = sign(signer, id(), "https://a/realms/main", &facts()).unwrap();
            assert!(looks_like_jwt(&jwt));
            assert_eq!(jti_hint(&jwt), Some(id()));
            let read = read_all(&keys, &jwt).unwrap();
            assert_eq!((read.id, read.facts), (id(), facts()));
            assert_eq!(read.issuer, "https://a/realms/main");
            // One character of the signature, the payload or the header.
            for place in [5, jwt.len() / 2, jwt.len() - 10] {
                let mut other = jwt.clone().into_bytes();
                other[place] = if other[place] == b'A' { b'B' } else { b'A' };
                assert!(read_all(&keys, &String::from_utf8(other).unwrap()).is_none(), "{place}");
            }
        }
    }

    #[test]
    fn neither_another_algorithm_nor_another_type_nor_a_strange_key_is_read() {
        let keys = keys();
        let signer = keys.current(SigningAlg::EdDsa, facts().issued_at).unwrap();
        let good = sign(signer, id(), "https://a/realms/main", &facts()).unwrap();
        let payload = good.split('.').nth(1).unwrap();
        let part = |value: &serde_json::Value| {
            data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes())
        };
        let none = part(&json!({"alg": "none", "typ": TYP, "kid": signer.kid()}));
        assert!(read_all(&keys, &format!("{none}.{payload}.")).is_none());
        let claims: serde_json::Value = {
            let bytes = data_encoding::BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        let forged = |alg, typ: &str, kid: &str, crit: bool, key: &EncodingKey| {
            let mut header = Header::new(alg);
            header.typ = Some(typ.to_owned());
            header.kid = Some(kid.to_owned());
            header.crit = crit.then(|| vec!["exp".to_owned()]);
            encode(&header, &claims, key).unwrap()
        };
        let own = signer.encoding();
        assert!(
            read_all(&keys, &forged(Algorithm::EdDSA, TYP, signer.kid(), false, own)).is_some()
        );
        let long = "application/at+jwt";
        assert!(
            read_all(&keys, &forged(Algorithm::EdDSA, long, signer.kid(), false, own)).is_some()
        );
        let public = serde_json::to_string(signer.public()).unwrap();
        let hmac = EncodingKey::from_secret(public.as_bytes());
        let strange = SigningKeys::generate(&SeededEntropy::new(2)).unwrap();
        let stranger = strange.current(SigningAlg::EdDsa, facts().issued_at).unwrap();
        for bad in [
            forged(Algorithm::HS256, TYP, signer.kid(), false, &hmac),
            forged(Algorithm::EdDSA, "JWT", signer.kid(), false, own),
            forged(Algorithm::EdDSA, "dpop+jwt", signer.kid(), false, own),
            forged(Algorithm::EdDSA, TYP, signer.kid(), true, own),
            forged(Algorithm::EdDSA, TYP, stranger.kid(), false, own),
            forged(Algorithm::EdDSA, TYP, signer.kid(), false, stranger.encoding()),
        ] {
            assert!(read_all(&keys, &bad).is_none(), "{bad}");
        }
    }
}
