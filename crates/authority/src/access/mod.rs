//! Access tokens: short-lived, made from a long-lived token, and dying with it.
//!
//! Two forms of the same facts. A JWT (RFC 9068) carries them under a signature, so that a
//! verifier can read them by itself; an opaque one is a `cfla_` string whose facts and keyed hash
//! are stored. What a token is good for does not depend on its form, and every door judges both
//! in one place, [`crate::authority::Authority::verify`].

pub mod claims;
pub mod proof;
pub mod signing;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::keys::KeyPurpose;
use crate::names::{RealmName, ServiceLabel};
use crate::scope::Scope;
use crate::secret::{ClearSecret, TokenId};
use crate::secret_hash::{Mac256, SecretHash};
use crate::service::Services;
use crate::validity::Validity;
use crate::verdict::Door;

/// How long an access token lives unless somebody says otherwise, in seconds: as long as a
/// verifier that never asks may go on believing in a token that was revoked.
pub const LIFETIME_SECONDS: i64 = 300;
/// Seconds that an access token may live at most, whatever is configured.
pub const LIFETIME_SECONDS_MAX: i64 = 3600;
/// How long a former signing key verifies after a rotation unless configured, in seconds.
pub const KEY_OVERLAP_SECONDS: i64 = 900;
/// Bytes of a presented JWT at most. Ours have about 600, and grow with scopes and services.
pub const JWT_BYTES_MAX: usize = 4096;

/// What signs a JWT.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum SigningAlg {
    /// Ed25519 (RFC 8037).
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 (RFC 7518 section 3.4).
    #[serde(rename = "ES256")]
    Es256,
    /// RSA, PKCS #1 v1.5 (RFC 7518 section 3.3).
    #[serde(rename = "RS256")]
    Rs256,
}

/// Every algorithm, the default first.
pub const SIGNING_ALGS: [SigningAlg; 3] = [SigningAlg::EdDsa, SigningAlg::Es256, SigningAlg::Rs256];

impl SigningAlg {
    /// The name in a JWT's header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        SIGNING_ALGS.into_iter().find(|alg| alg.name() == name)
    }

    /// What its keys are for.
    pub const fn purpose(self) -> KeyPurpose {
        match self {
            Self::EdDsa => KeyPurpose::SignEdDsa,
            Self::Es256 => KeyPurpose::SignEs256,
            Self::Rs256 => KeyPurpose::SignRs256,
        }
    }

    /// The algorithm of keys for this; `None` if they do not sign.
    pub fn of_purpose(purpose: KeyPurpose) -> Option<Self> {
        SIGNING_ALGS.into_iter().find(|alg| alg.purpose() == purpose)
    }
}

/// How an access token looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessFormat {
    /// Signed, and readable without asking.
    #[default]
    Jwt,
    /// A reference that only introspection can read.
    Opaque,
}

impl AccessFormat {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
        }
    }

    /// The form of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Jwt, Self::Opaque].into_iter().find(|form| form.name() == name)
    }
}

/// What a client or a stamp says about access tokens; what it leaves out is the installation's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSettings {
    /// How they look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_format: Option<AccessFormat>,
    /// What signs them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_signing_alg: Option<SigningAlg>,
    /// How long they live, in seconds, at most [`LIFETIME_SECONDS_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime_seconds: Option<i64>,
}

impl AccessSettings {
    /// These settings, and where they say nothing, the others.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        Self {
            access_token_format: self.access_token_format.or(others.access_token_format),
            access_token_signing_alg: self
                .access_token_signing_alg
                .or(others.access_token_signing_alg),
            access_token_lifetime_seconds: self
                .access_token_lifetime_seconds
                .or(others.access_token_lifetime_seconds),
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The lifetime that counts, in seconds.
    pub fn lifetime_seconds(&self) -> i64 {
        let asked = self.access_token_lifetime_seconds.unwrap_or(LIFETIME_SECONDS);
        asked.clamp(1, LIFETIME_SECONDS_MAX)
    }
}

/// The key that a sender must prove to hold beside the token (RFC 7800 `cnf`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Confirmation {
    /// The thumbprint of the key of DPoP proofs (RFC 9449 section 6.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jkt: Option<String>,
    /// The thumbprint of the TLS client's certificate (RFC 8705 section 3.1).
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<String>,
}

impl Confirmation {
    /// Bound to the key of DPoP proofs with this thumbprint.
    pub fn of_key(jkt: impl Into<String>) -> Self {
        Self { jkt: Some(jkt.into()), x5t_s256: None }
    }

    /// Whether whoever holds the token may use it without more.
    pub const fn is_bearer(&self) -> bool {
        self.jkt.is_none() && self.x5t_s256.is_none()
    }

    /// Whether what a sender proved is what the token asks for.
    pub fn is_met_by(&self, proved: &Self) -> bool {
        (self.jkt.is_none() || self.jkt == proved.jkt)
            && (self.x5t_s256.is_none() || self.x5t_s256 == proved.x5t_s256)
    }

    /// `DPoP` or `Bearer`, as the token endpoint calls the type.
    pub const fn token_type(&self) -> &'static str {
        if self.jkt.is_some() { "DPoP" } else { "Bearer" }
    }
}

/// How the subject of an enrolled device begins. What a device says of itself is its own claim:
/// without the prefix one could call itself by a person's name.
pub const DEVICE_PREFIX: &str = "device:";

/// What an access token is to be.
#[derive(Debug, Clone)]
pub struct AccessGrant<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// Who it speaks for: a user name, or `client:<name>`.
    pub subject: &'a str,
    /// The client it was made for.
    pub client_id: &'a str,
    /// What it may ask for.
    pub scopes: &'a [Scope],
    /// The services that it is for: its `aud`.
    pub audience: &'a [ServiceLabel],
    /// The key it is bound to.
    pub confirmation: Confirmation,
    /// The token it was made from, and dies with.
    pub parent: TokenId,
    /// When that one ends; the access token ends no later.
    pub parent_expires_at: Option<Timestamp>,
    /// Whether the token it was made from has permissions: a JWT would not show them to whoever
    /// reads it, so that the access token has the opaque form, whatever the settings say.
    pub has_permissions: bool,
    /// Form, algorithm and lifetime, as far as client or stamp say.
    pub settings: &'a AccessSettings,
}

/// What is known of an access token, whatever its form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessFacts {
    /// The token it dies with.
    #[serde(with = "claims::id_text")]
    pub parent: TokenId,
    /// Who it speaks for.
    pub subject: String,
    /// The client it was made for.
    pub client_id: String,
    /// Its scopes, separated by spaces (RFC 6749 section 3.3).
    pub scope: String,
    /// The services that it is for.
    pub audience: Vec<String>,
    /// The key it is bound to.
    #[serde(default, skip_serializing_if = "Confirmation::is_bearer")]
    pub confirmation: Confirmation,
    /// The only door it opens, if it is the session of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<Door>,
    /// From when on it counts.
    #[serde(with = "claims::micros")]
    pub issued_at: Timestamp,
    /// When it ends.
    #[serde(with = "claims::micros")]
    pub expires_at: Timestamp,
}

impl AccessFacts {
    /// Whether it speaks for an enrolled device, and not for the owner of its parent.
    pub fn is_of_device(&self) -> bool {
        self.subject.starts_with(DEVICE_PREFIX)
    }

    /// When it counts; `None` if never. It has no beginning of its own: another node's clock may
    /// be a little behind that of the one that made it.
    pub(crate) fn validity(&self) -> Option<Validity> {
        Validity::new(Timestamp::EPOCH, Some(self.expires_at)).ok()
    }

    /// Its scopes one by one; `None` if one of them is none.
    pub(crate) fn scopes(&self) -> Option<Vec<Scope>> {
        self.scope
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(|w| Scope::parse(w).ok())
            .collect()
    }

    /// The services that it is for; `None` if one of them is no label.
    pub(crate) fn services(&self) -> Option<Services> {
        let labels = self.audience.iter().map(|name| ServiceLabel::parse(name).ok());
        labels.collect::<Option<Vec<_>>>().map(Services::Named)
    }
}

/// An opaque access token as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessRecord {
    /// The tenant.
    pub realm: RealmName,
    /// Its id, the same as a JWT's `jti`.
    pub id: TokenId,
    /// The keyed hash of its string.
    pub hash: SecretHash,
    /// The rest.
    pub facts: AccessFacts,
}

impl AccessRecord {
    /// The pepper and the code; access tokens have no slow hashes.
    pub(crate) const fn keyed(&self) -> Option<(crate::keys::KeyId, Mac256)> {
        match self.hash {
            SecretHash::Keyed { pepper, mac } => Some((pepper, mac)),
            SecretHash::Slow { .. } => None,
        }
    }
}

/// A fresh access token.
#[derive(Debug, Clone)]
pub struct MintedAccess {
    /// Its id: the `jti`.
    pub id: TokenId,
    /// The string, for the one answer that shows it.
    pub secret: ClearSecret,
    /// `Bearer` or `DPoP`.
    pub token_type: &'static str,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// Its scopes, separated by spaces.
    pub scope: String,
    /// What the store must hold before the string is shown; `None` for a JWT.
    pub record: Option<AccessRecord>,
}
