//! What an OpenID provider says of itself (OpenID Connect Discovery 1.0 section 4).

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::provider::ProviderFault;
use crate::provision::ldap::connection::is_loopback;

/// Where a provider is asked what.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) keys: Url,
    pub(super) userinfo: Option<Url>,
    /// Whether it takes our secret in the header `Authorization`; otherwise in the form.
    pub(super) takes_basic: bool,
    /// Whether its answers always name it (RFC 9207 section 3).
    pub(super) names_itself: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Where the document of an issuer is. A slash at the end of its name is none of the path
    /// (section 4.1).
    pub(super) fn place(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Reads the document of `issuer`.
    pub(super) fn read(document: Value, issuer: &str) -> Result<Self, ProviderFault> {
        let document: Document = serde_json::from_value(document)
            .map_err(|_| ProviderFault::Away("its description of itself lacks something"))?;
        // Otherwise one provider could speak for another (section 4.3).
        if document.issuer != issuer {
            return Err(ProviderFault::Away("it calls itself otherwise than console.oidc.issuer"));
        }
        let methods = document.token_endpoint_auth_methods_supported;
        let basic = |methods: Vec<String>| methods.iter().any(|one| one == "client_secret_basic");
        Ok(Self {
            authorization: endpoint(&document.authorization_endpoint, issuer)?,
            token: endpoint(&document.token_endpoint, issuer)?,
            keys: endpoint(&document.jwks_uri, issuer)?,
            userinfo: document.userinfo_endpoint.map(|url| endpoint(&url, issuer)).transpose()?,
            takes_basic: methods.is_none_or(basic),
            names_itself: document.authorization_response_iss_parameter_supported,
        })
    }
}

/// An address over TLS, or on this machine if the issuer is.
fn endpoint(text: &str, issuer: &str) -> Result<Url, ProviderFault> {
    let url =
        Url::parse(text).map_err(|_| ProviderFault::Away("it names an address that is none"))?;
    let safe = url.scheme() == "https"
        || (url.scheme() == "http" && is_loopback(issuer) && is_loopback(url.as_str()));
    if safe { Ok(url) } else { Err(ProviderFault::Away("it names an address without TLS")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://sso.example/";

    fn document() -> Value {
        json!({
            "issuer": ISSUER, "authorization_endpoint": "https://sso.example/auth",
            "token_endpoint": "https://sso.example/token", "jwks_uri": "https://sso.example/keys",
        })
    }

    #[test]
    fn a_provider_is_asked_where_it_says_over_tls() {
        assert_eq!(Metadata::place(ISSUER), "https://sso.example/.well-known/openid-configuration");
        let read = Metadata::read(document(), ISSUER).unwrap();
        assert!(read.takes_basic && !read.names_itself && read.userinfo.is_none());
        assert!(Metadata::read(document(), "https://sso.example").is_err());
        for (name, url) in [
            ("token_endpoint", "http://sso.example/token"),
            ("jwks_uri", "http://127.0.0.1/keys"),
            ("authorization_endpoint", "javascript:alert(1)"),
            ("userinfo_endpoint", "nowhere"),
        ] {
            let mut document = document();
            document[name] = json!(url);
            assert!(Metadata::read(document, ISSUER).is_err(), "{name}");
        }
        let mut post = document();
        post["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
        assert!(!Metadata::read(post, ISSUER).unwrap().takes_basic);
    }

    /// Whatever a provider says of itself, nobody is sent anywhere without TLS.
    #[test]
    fn mutations_of_a_description_lead_nowhere_without_tls() {
        let mut whole = document();
        whole["userinfo_endpoint"] = json!("https://sso.example/me");
        whole["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
        let mut read = 0;
        crate::mutations::try_json(&[whole.to_string()], 20_000, |value| {
            let Ok(said) = Metadata::read(value, ISSUER) else { return };
            let places = [&said.authorization, &said.token, &said.keys];
            assert!(places.iter().all(|url| url.scheme() == "https"), "{said:?}");
            assert!(said.userinfo.is_none_or(|url| url.scheme() == "https"));
            read += 1;
        });
        assert!(read > 100, "{read}");
    }

    /// Nor is a token of it taken that nobody signed.
    #[test]
    fn mutations_of_keys_and_tokens_prove_nobody() {
        use counterfoil_authority::clock::Timestamp;
        use counterfoil_authority::single_sign_on::{IdClaims, IdTokenWanted, ProviderKeys};
        use data_encoding::BASE64URL_NOPAD;

        let keys = json!({ "keys": [
            { "kty": "RSA", "kid": "a", "use": "sig", "alg": "RS256", "n": "sXchDaQ", "e": "AQAB" },
            { "kty": "EC", "kid": "b", "crv": "P-256",
              "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
              "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" },
            { "kty": "OKP", "kid": "c", "crv": "Ed25519",
              "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
        ] });
        let wanted =
            IdTokenWanted { issuer: ISSUER, client_id: "cf", nonce: "n", proved_since: None };
        let now = Timestamp::from_seconds(1_795_262_400);
        let heads = ["RS256", "ES256", "EdDSA", "HS256", "none"].map(|alg| {
            BASE64URL_NOPAD.encode(json!({ "alg": alg, "kid": "b" }).to_string().as_bytes())
        });
        let claims = json!({ "iss": ISSUER, "aud": "cf", "sub": "1", "nonce": "n",
            "exp": 1_795_263_000, "iat": 1_795_262_400 });
        let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
        let mut dice = crate::mutations::Dice(11);
        let mut round = 0;
        crate::mutations::try_json(&[keys.to_string()], 5_000, |value| {
            let Some(keys) = ProviderKeys::read(&value) else { return };
            round += 1;
            let token = format!("{}.{claims}.c2ln", heads[round % heads.len()]);
            let mutated = crate::mutations::mutated(&mut dice, &token);
            for token in [&*token, &*String::from_utf8_lossy(&mutated)] {
                assert!(IdClaims::verified(token, &keys, wanted, now).is_err(), "{token}");
            }
        });
        assert!(round > 1_000, "{round}");
    }
}
