//! ID tokens (OpenID Connect Core section 3.1.3.7): whether one says who somebody is, to us, now.
//!
//! Invariant: [`IdClaims`] exist only of a token whose signature, issuer, audience, time and nonce
//! were all right.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::SUBJECT_CHARS_MAX;
use crate::clock::Timestamp;

/// How far the clocks of a provider and of this server may be apart, in seconds.
pub const ID_TOKEN_LEEWAY_SECONDS: i64 = 60;
/// Bytes of a token at most: hundreds of groups fit.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// Keys of a provider at most that are looked at.
const KEYS_MAX: usize = 64;

/// The public keys of a provider (RFC 7517).
#[derive(Debug, Clone, Default)]
pub struct ProviderKeys(Vec<Jwk>);

impl ProviderKeys {
    /// The keys of a document that can verify a signature. What is of another kind is passed over:
    /// a provider may publish keys that are not for us. `None` if it is no set of keys.
    pub fn read(document: &Value) -> Option<Self> {
        let keys = document.get("keys")?.as_array()?.iter().take(KEYS_MAX);
        let keys = keys.filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let signs = |key: &Jwk| {
            !matches!(
                key.common.public_key_use,
                Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))
            )
        };
        Some(Self(keys.filter(signs).collect()))
    }

    /// Those that a token with this header may be signed with.
    fn of(&self, header: &Header) -> Vec<&Jwk> {
        let named = |key: &&Jwk| match &header.kid {
            Some(kid) => key.common.key_id.as_ref() == Some(kid),
            None => true,
        };
        self.0.iter().filter(named).filter(|key| fits(key, header.alg)).collect()
    }
}

/// Whether a key is one of the algorithm. Symmetric ones never are: with them, whoever reads our
/// configuration could sign.
fn fits(key: &Jwk, alg: Algorithm) -> bool {
    use Algorithm as A;
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => {
            matches!(alg, A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512)
        }
        AlgorithmParameters::EllipticCurve(of) => match of.curve {
            EllipticCurve::P256 => alg == A::ES256,
            EllipticCurve::P384 => alg == A::ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(of) => {
            of.curve == EllipticCurve::Ed25519 && alg == A::EdDSA
        }
        _ => false,
    }
}

/// What a token has to say.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenWanted<'a> {
    /// Who signs it.
    pub issuer: &'a str,
    /// Whom it is for.
    pub client_id: &'a str,
    /// What was sent along with the question it answers.
    pub nonce: &'a str,
    /// Since when the person must have proved who they are, if that was asked for.
    pub proved_since: Option<Timestamp>,
}

/// Why a token says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdTokenFault {
    /// It is no token, or lacks what every one has.
    Malformed,
    /// It is signed in a way that is not accepted.
    Algorithm,
    /// None of the keys at hand is the one it is signed with.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// Somebody else signed it.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It is over.
    Expired,
    /// It is from the future.
    Future,
    /// It answers another question.
    Nonce,
    /// It does not say that the person has proved anew who they are.
    NotProved,
}

impl IdTokenFault {
    /// The reason code in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "id_token_malformed",
            Self::Algorithm => "id_token_algorithm",
            Self::UnknownKey => "id_token_unknown_key",
            Self::Signature => "id_token_signature",
            Self::Issuer => "id_token_issuer",
            Self::Audience => "id_token_audience",
            Self::Expired => "id_token_expired",
            Self::Future => "id_token_future",
            Self::Nonce => "id_token_nonce",
            Self::NotProved => "id_token_not_proved",
        }
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq)]
pub struct IdClaims {
    subject: String,
    proved_at: Option<Timestamp>,
    claims: Map<String, Value>,
}

impl IdClaims {
    /// What a token says, if it is right in everything.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. After [`IdTokenFault::UnknownKey`] the provider may have new
    /// keys.
    pub fn verified(
        token: &str,
        keys: &ProviderKeys,
        wanted: IdTokenWanted<'_>,
        now: Timestamp,
    ) -> Result<Self, IdTokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(IdTokenFault::Malformed);
        }
        let header = decode_header(token).map_err(|_| IdTokenFault::Malformed)?;
        if header.crit.is_some() {
            return Err(IdTokenFault::Malformed);
        }
        if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            return Err(IdTokenFault::Algorithm);
        }
        let claims = signed(token, &header, &keys.of(&header))?;
        judged(claims, wanted, now)
    }

    /// Their name at the provider.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When they last proved there who they are, if it says so.
    pub const fn proved_at(&self) -> Option<Timestamp> {
        self.proved_at
    }

    /// Puts in what the provider says elsewhere of the same person. What the token says stays.
    ///
    /// # Errors
    ///
    /// If it is about somebody else (OpenID Connect Core section 5.3.2).
    pub fn add(&mut self, more: Map<String, Value>) -> Result<(), IdTokenFault> {
        if more.get("sub").and_then(Value::as_str) != Some(&self.subject) {
            return Err(IdTokenFault::Malformed);
        }
        for (name, value) in more {
            self.claims.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// A claim by its name, or by the path of names that leads to it.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        if let Some(found) = self.claims.get(path) {
            return Some(found);
        }
        let mut parts = path.split('.');
        let mut found = self.claims.get(parts.next()?)?;
        for part in parts {
            found = found.get(part)?;
        }
        Some(found)
    }

    /// A claim that is one line of text.
    pub fn text(&self, path: &str) -> Option<&str> {
        let text = self.claim(path)?.as_str()?.trim();
        (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
    }

    /// A claim that is a list of texts, or one of them.
    pub fn texts(&self, path: &str) -> Vec<String> {
        match self.claim(path) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => {
                many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The claims, if one of the keys has signed them.
fn signed(token: &str, header: &Header, keys: &[&Jwk]) -> Result<Map<String, Value>, IdTokenFault> {
    let mut rules = Validation::new(header.alg);
    // Time, issuer and audience are judged here, by the clock that is handed in.
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    for key in keys {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        if let Ok(data) = decode::<Map<String, Value>>(token, &key, &rules) {
            return Ok(data.claims);
        }
    }
    // Without a name for its key, the right one may be one that is not known yet.
    let unnamed = header.kid.is_none() || keys.is_empty();
    Err(if unnamed { IdTokenFault::UnknownKey } else { IdTokenFault::Signature })
}

fn judged(
    claims: Map<String, Value>,
    wanted: IdTokenWanted<'_>,
    now: Timestamp,
) -> Result<IdClaims, IdTokenFault> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(wanted.issuer) {
        return Err(IdTokenFault::Issuer);
    }
    if !is_for(&claims, wanted.client_id) {
        return Err(IdTokenFault::Audience);
    }
    let at = |name: &str| claims.get(name).and_then(Value::as_f64).map(seconds);
    let (Some(expires), Some(issued)) = (at("exp"), at("iat")) else {
        return Err(IdTokenFault::Malformed);
    };
    if expires.plus_seconds(ID_TOKEN_LEEWAY_SECONDS) <= now {
        return Err(IdTokenFault::Expired);
    }
    let soon = now.plus_seconds(ID_TOKEN_LEEWAY_SECONDS);
    if issued > soon || at("nbf").is_some_and(|start| start > soon) {
        return Err(IdTokenFault::Future);
    }
    if text("nonce") != Some(wanted.nonce) {
        return Err(IdTokenFault::Nonce);
    }
    // Nobody has proved anything in the future.
    let proved_at = at("auth_time").map(|proved| proved.min(now));
    let since = wanted.proved_since.map(|since| since.plus_seconds(-ID_TOKEN_LEEWAY_SECONDS));
    if since.is_some_and(|since| proved_at.is_none_or(|proved| proved < since)) {
        return Err(IdTokenFault::NotProved);
    }
    let subject = text("sub")
        .filter(|subject| !subject.is_empty() && subject.chars().count() <= SUBJECT_CHARS_MAX);
    let subject = subject.ok_or(IdTokenFault::Malformed)?.to_owned();
    Ok(IdClaims { subject, proved_at, claims })
}

/// The fraction of a second is nothing that anybody waits for.
#[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and either end is refused")]
fn seconds(number: f64) -> Timestamp {
    Timestamp::from_seconds((number as i64).clamp(0, i64::from(u32::MAX) * 64))
}

/// Whether a token is for this client, and for nobody else who could hand it on to us.
fn is_for(claims: &Map<String, Value>, client_id: &str) -> bool {
    let (named, alone) = match claims.get("aud") {
        Some(Value::String(one)) => (one == client_id, true),
        Some(Value::Array(many)) => (many.iter().any(|one| one == client_id), many.len() == 1),
        _ => (false, true),
    };
    let party = claims.get("azp").map(|party| party == client_id);
    named && party.unwrap_or(alone)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use jsonwebtoken::EncodingKey;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://sso.example/";

    fn wanted(proved_since: Option<i64>) -> IdTokenWanted<'static> {
        let proved_since = proved_since.map(Timestamp::from_seconds);
        IdTokenWanted { issuer: ISSUER, client_id: "console", nonce: "n-1", proved_since }
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "sub": "248289", "aud": "console", "nonce": "n-1",
            "iat": NOW, "exp": NOW + 300, "groups": ["a", "b"], "realm_access": { "roles": ["r"] },
            "name": " Alice ", "bad": "a\nb",
        })
    }

    struct Signer(EncodingKey);

    impl Signer {
        fn new(seed: u8) -> Self {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            Self(EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()))
        }

        fn key(&self, kid: Option<&str>) -> Value {
            let mut key = Jwk::from_encoding_key(&self.0, Algorithm::EdDSA).unwrap();
            key.common.key_id = kid.map(str::to_owned);
            serde_json::to_value(key).unwrap()
        }

        fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
            let mut header = Header::new(Algorithm::EdDSA);
            header.kid = kid.map(str::to_owned);
            jsonwebtoken::encode(&header, claims, &self.0).unwrap()
        }
    }

    fn keys(keys: &[Value]) -> ProviderKeys {
        ProviderKeys::read(&json!({ "keys": keys })).unwrap()
    }

    fn judge(claims: &Value, proved_since: Option<i64>) -> Result<IdClaims, IdTokenFault> {
        let signer = Signer::new(1);
        let token = signer.sign(Some("k1"), claims);
        let keys = keys(&[signer.key(Some("k1"))]);
        let now = Timestamp::from_seconds(NOW);
        IdClaims::verified(&token, &keys, wanted(proved_since), now)
    }

    #[test]
    fn a_token_says_who_somebody_is() {
        let mut told = judge(&claims(), None).unwrap();
        assert_eq!((told.subject(), told.proved_at()), ("248289", None));
        assert_eq!(told.texts("groups"), ["a", "b"]);
        assert_eq!(told.texts("realm_access.roles"), ["r"]);
        assert_eq!((told.text("name"), told.text("bad")), (Some("Alice"), None));
        let other = json!({ "sub": "somebody-else", "email": "x" });
        assert!(told.add(other.as_object().unwrap().clone()).is_err());
        let more = json!({ "sub": "248289", "email": "a@example", "name": "Mallory" });
        told.add(more.as_object().unwrap().clone()).unwrap();
        assert_eq!((told.text("email"), told.text("name")), (Some("a@example"), Some("Alice")));
    }

    #[test]
    fn a_token_is_for_one_client_from_one_issuer_at_one_time() {
        use IdTokenFault as F;
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            judge(&claims, None).map(drop)
        };
        assert_eq!(with("iss", json!("https://sso.example")), Err(F::Issuer));
        assert_eq!(with("aud", json!("other")), Err(F::Audience));
        assert_eq!(with("aud", json!(["console"])), Ok(()));
        assert_eq!(with("aud", json!(["console", "other"])), Err(F::Audience));
        assert_eq!(with("azp", json!("other")), Err(F::Audience));
        assert_eq!(with("exp", json!(NOW - 60)), Err(F::Expired));
        assert_eq!(with("exp", json!(NOW - 59)), Ok(()));
        assert_eq!(with("exp", json!("soon")), Err(F::Malformed));
        assert_eq!(with("exp", json!(-1e300)), Err(F::Expired));
        assert_eq!(with("iat", json!(NOW + 61)), Err(F::Future));
        assert_eq!(with("nbf", json!(NOW + 61)), Err(F::Future));
        assert_eq!(with("nonce", json!("n-2")), Err(F::Nonce));
        assert_eq!(with("nonce", Value::Null), Err(F::Nonce));
        assert_eq!(with("sub", json!("")), Err(F::Malformed));
        assert_eq!(with("sub", json!("x".repeat(256))), Err(F::Malformed));
    }

    #[test]
    fn who_is_asked_again_has_to_prove_it_again() {
        let proved = |at: Value| {
            let mut claims = claims();
            claims["auth_time"] = at;
            judge(&claims, Some(NOW - 10)).map(drop)
        };
        assert_eq!(proved(json!(NOW - 10)), Ok(()));
        assert_eq!(proved(json!(NOW - 71)), Err(IdTokenFault::NotProved));
        assert_eq!(proved(Value::Null), Err(IdTokenFault::NotProved));
    }

    #[test]
    fn a_key_is_known_by_its_name_and_is_never_symmetric() {
        let (one, two) = (Signer::new(1), Signer::new(2));
        let now = Timestamp::from_seconds(NOW);
        let judge = |token: &str, known: &[Value]| {
            IdClaims::verified(token, &keys(known), wanted(None), now).map(drop)
        };
        let token = one.sign(Some("k1"), &claims());
        let other = [two.key(Some("k2"))];
        assert_eq!(judge(&token, &other), Err(IdTokenFault::UnknownKey));
        let renamed = [two.key(Some("k1"))];
        assert_eq!(judge(&token, &renamed), Err(IdTokenFault::Signature));
        let unnamed = one.sign(None, &claims());
        let both = [two.key(Some("k2")), one.key(Some("k1")), json!({ "kty": "new" })];
        assert_eq!(judge(&unnamed, &both), Ok(()));
        assert_eq!(judge(&unnamed, &other), Err(IdTokenFault::UnknownKey));
        let shared = json!({ "kty": "oct", "kid": "k1", "k": "c2VjcmV0" });
        let key = EncodingKey::from_secret(b"secret");
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("k1".to_owned());
        let forged = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
        assert_eq!(judge(&forged, &[shared]), Err(IdTokenFault::Algorithm));
        let mut cut: Vec<&str> = token.split('.').collect();
        cut[2] = "";
        assert_eq!(judge(&cut.join("."), &[one.key(Some("k1"))]), Err(IdTokenFault::Signature));
        let none = format!("eyJhbGciOiJub25lIn0.{}.", token.split('.').nth(1).unwrap());
        assert_eq!(judge(&none, &[one.key(None)]), Err(IdTokenFault::Malformed));
        let mut encrypting = one.key(Some("k1"));
        encrypting["use"] = json!("enc");
        assert_eq!(judge(&token, &[encrypting]), Err(IdTokenFault::UnknownKey));
    }
}
