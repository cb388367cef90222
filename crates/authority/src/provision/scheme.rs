//! Password schemes of directories: what a secret is derived to, so that others can check it.
//!
//! These hashes have no pepper, because a directory does not know it. They are made once, when
//! the secret is, since later nobody has its clear text; and they are sealed wherever we keep them.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{digest, pbkdf2};
use data_encoding::BASE64;
use password_hash::PasswordHasher as _;
use serde::{Deserialize, Serialize};
use sha_crypt::ShaCrypt;
use zeroize::Zeroizing;

use crate::clock::{Entropy, NoEntropy};

/// Bits from which on a hash that is quick to compute is enough: nobody tries 2^80 of them.
pub const QUICK_BITS_MIN: u32 = 80;
/// Rounds of PBKDF2, as OWASP recommends them for the two digests (2023).
const PBKDF2_SHA256_ROUNDS: u32 = 60_000;
const PBKDF2_SHA512_ROUNDS: u32 = 60_000;
/// The cost of bcrypt: some 50 ms.
const BCRYPT_COST: u32 = 10;
/// Argon2id: 19 MiB, two passes, one lane.
const ARGON2_MEMORY_KIB: u32 = 19_456;
const ARGON2_PASSES: u32 = 2;

/// A password scheme, as directories write it in front of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scheme {
    /// SHA-1 with a salt. Every slapd knows it; it is quick, so only for secrets with many bits.
    #[serde(rename = "SSHA")]
    Ssha,
    /// SHA-512 with a salt; quick. slapd needs `pw-sha2`.
    #[serde(rename = "SSHA512")]
    Ssha512,
    /// SHA-512 crypt, 5000 rounds: `{CRYPT}$6$`.
    #[serde(rename = "CRYPT-SHA512")]
    CryptSha512,
    /// bcrypt: `{CRYPT}$2y$`. The system's crypt has to know it.
    #[serde(rename = "CRYPT-BCRYPT")]
    CryptBcrypt,
    /// Argon2id. slapd needs `argon2`.
    #[serde(rename = "ARGON2")]
    Argon2,
    /// PBKDF2 with SHA-256. slapd needs `pw-pbkdf2`.
    #[serde(rename = "PBKDF2-SHA256")]
    Pbkdf2Sha256,
    /// PBKDF2 with SHA-512. slapd needs `pw-pbkdf2`.
    #[serde(rename = "PBKDF2-SHA512")]
    Pbkdf2Sha512,
}

/// Every scheme.
pub const SCHEMES: [Scheme; 7] = [
    Scheme::Ssha,
    Scheme::Ssha512,
    Scheme::CryptSha512,
    Scheme::CryptBcrypt,
    Scheme::Argon2,
    Scheme::Pbkdf2Sha256,
    Scheme::Pbkdf2Sha512,
];

/// A secret could not be derived to a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a directory hash could not be computed")]
pub struct DeriveFailed;

impl From<NoEntropy> for DeriveFailed {
    fn from(_: NoEntropy) -> Self {
        Self
    }
}

impl Scheme {
    /// The name in the configuration of a target and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssha => "SSHA",
            Self::Ssha512 => "SSHA512",
            Self::CryptSha512 => "CRYPT-SHA512",
            Self::CryptBcrypt => "CRYPT-BCRYPT",
            Self::Argon2 => "ARGON2",
            Self::Pbkdf2Sha256 => "PBKDF2-SHA256",
            Self::Pbkdf2Sha512 => "PBKDF2-SHA512",
        }
    }

    /// The scheme of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        SCHEMES.into_iter().find(|scheme| scheme.name() == name)
    }

    /// The slapd module that must be loaded for it, if any.
    pub const fn slapd_module(self) -> Option<&'static str> {
        match self {
            Self::Ssha | Self::CryptSha512 | Self::CryptBcrypt => None,
            Self::Ssha512 => Some("pw-sha2"),
            Self::Argon2 => Some("argon2"),
            Self::Pbkdf2Sha256 | Self::Pbkdf2Sha512 => Some("pw-pbkdf2"),
        }
    }

    /// Whether a secret of so many bits may be derived to it. A quick hash of a short one would
    /// be tried through by whoever reads the directory.
    pub const fn takes(self, bits: u32) -> bool {
        bits >= QUICK_BITS_MIN || !matches!(self, Self::Ssha | Self::Ssha512)
    }

    /// Whether it takes long enough to be computed away from the threads that answer.
    pub const fn is_slow(self) -> bool {
        !matches!(self, Self::Ssha | Self::Ssha512)
    }

    /// Derives a secret with a fresh salt of 16 bytes (12 for SHA-512 crypt, which takes no more).
    pub fn derive(self, clear: &str, entropy: &dyn Entropy) -> Result<String, DeriveFailed> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt)?;
        self.derive_with(clear, salt)
    }

    /// Derives a secret with this salt.
    pub fn derive_with(self, clear: &str, salt: [u8; 16]) -> Result<String, DeriveFailed> {
        let bytes = clear.as_bytes();
        Ok(match self {
            Self::Ssha => salted("{SSHA}", &digest::SHA1_FOR_LEGACY_USE_ONLY, bytes, &salt),
            Self::Ssha512 => salted("{SSHA512}", &digest::SHA512, bytes, &salt),
            Self::CryptSha512 => {
                // libxcrypt takes at most 16 characters of salt, which are 12 bytes.
                let hash = ShaCrypt::SHA512.hash_password_with_salt(bytes, &salt[..12]);
                format!("{{CRYPT}}{}", hash.map_err(|_| DeriveFailed)?.as_str())
            }
            Self::CryptBcrypt => {
                let hash = bcrypt::hash_with_salt(bytes, BCRYPT_COST, salt);
                let hash = hash.map_err(|_| DeriveFailed)?;
                format!("{{CRYPT}}{}", hash.format_for_version(bcrypt::Version::TwoY))
            }
            Self::Argon2 => argon2(bytes, &salt)?,
            Self::Pbkdf2Sha256 => pbkdf2_value("SHA256", PBKDF2_SHA256_ROUNDS, bytes, &salt)?,
            Self::Pbkdf2Sha512 => pbkdf2_value("SHA512", PBKDF2_SHA512_ROUNDS, bytes, &salt)?,
        })
    }
}

/// The digest of secret and salt, and the salt behind it.
fn salted(prefix: &str, of: &'static digest::Algorithm, clear: &[u8], salt: &[u8]) -> String {
    let mut context = digest::Context::new(of);
    context.update(clear);
    context.update(salt);
    let mut value = context.finish().as_ref().to_vec();
    value.extend_from_slice(salt);
    format!("{prefix}{}", BASE64.encode(&value))
}

fn argon2(clear: &[u8], salt: &[u8]) -> Result<String, DeriveFailed> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, 1, Some(32));
    let params = params.map_err(|_| DeriveFailed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = Zeroizing::new([0; 32]);
    argon2.hash_password_into(clear, salt, hash.as_mut()).map_err(|_| DeriveFailed)?;
    let (salt, hash) = (unpadded(salt), unpadded(hash.as_ref()));
    Ok(format!(
        "{{ARGON2}}$argon2id$v=19$m={ARGON2_MEMORY_KIB},t={ARGON2_PASSES},p=1${salt}${hash}"
    ))
}

/// `{PBKDF2-SHA512}rounds$salt$key` in the alphabet of passlib's `ab64`: `.` instead of `+`.
fn pbkdf2_value(
    with: &str,
    rounds: u32,
    clear: &[u8],
    salt: &[u8],
) -> Result<String, DeriveFailed> {
    let (algorithm, length) = match with {
        "SHA256" => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        _ => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
    };
    let iterations = NonZeroU32::new(rounds).ok_or(DeriveFailed)?;
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(algorithm, iterations, salt, clear, &mut key);
    let ab64 = |bytes: &[u8]| unpadded(bytes).replace('+', ".");
    Ok(format!("{{PBKDF2-{with}}}{rounds}${}${}", ab64(salt), ab64(&key)))
}

fn unpadded(bytes: &[u8]) -> String {
    BASE64.encode(bytes).trim_end_matches('=').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "k7mq-2x9d-hw4t-p8zc";
    const SALT: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// Values that a slapd 2.5 was seen to accept.
    #[test]
    fn the_quick_schemes_and_argon2_give_the_values_that_slapd_accepts() {
        let derived = |scheme: Scheme| scheme.derive_with(TOKEN, SALT).unwrap();
        assert_eq!(derived(Scheme::Ssha), "{SSHA}DYdtxgRxfGBH0H+m41qGrBfrK6wAAQIDBAUGBwgJCgsMDQ4P");
        assert_eq!(
            derived(Scheme::Ssha512),
            "{SSHA512}s/TVHw/j5K7Sl/uriYuZGDZLgyYuNkglNgW0gdRy+Udp5DO9VEBdBf5EvnP7lO1ptu3lHCr5z6k\
             +Gd3kbJfx6QABAgMEBQYHCAkKCwwNDg8="
        );
        assert_eq!(
            derived(Scheme::Argon2),
            "{ARGON2}$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$2QMY4V9Tlu+uMGFm93InAD9\
             H/p9jmFgSAQO/hkYPJwI"
        );
    }

    #[test]
    fn pbkdf2_gives_the_values_that_slapd_accepts() {
        let value = |with| pbkdf2_value(with, 10_000, TOKEN.as_bytes(), &SALT).unwrap();
        assert_eq!(
            value("SHA256"),
            "{PBKDF2-SHA256}10000$AAECAwQFBgcICQoLDA0ODw$tI2VCBWQqr5nsRph6lUFWYI7N4BEukG4uZk0SwtodGM"
        );
        assert_eq!(
            value("SHA512"),
            "{PBKDF2-SHA512}10000$AAECAwQFBgcICQoLDA0ODw$W9S3Q14zwu/d1OCIkSRlJz8UrcN/KTo0U3UP4/hFPK\
             IRYBiinH./PRUbWBfig.X7cPBVAbJquXhf2TnS4eoaPw"
        );
    }

    #[test]
    fn the_crypt_schemes_are_in_braces_and_in_the_form_that_libxcrypt_reads() {
        let crypt = Scheme::CryptSha512.derive_with(TOKEN, SALT).unwrap();
        assert!(crypt.starts_with("{CRYPT}$6$"), "{crypt}");
        // No more than 16 characters of salt, or libxcrypt would read another one.
        let salt = crypt.rsplit('$').nth(1).unwrap();
        assert_eq!(salt.len(), 16);
        let bcrypt = Scheme::CryptBcrypt.derive_with(TOKEN, SALT).unwrap();
        assert!(bcrypt.starts_with("{CRYPT}$2y$10$"), "{bcrypt}");
        assert_eq!(bcrypt.len(), 67);
    }

    #[test]
    fn a_quick_hash_is_only_for_secrets_that_nobody_tries_through() {
        for scheme in SCHEMES {
            assert!(scheme.takes(80));
            assert_eq!(scheme.takes(79), scheme.is_slow());
            assert_eq!(Scheme::from_name(scheme.name()), Some(scheme));
        }
    }
}
