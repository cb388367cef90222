//! Hashes as other systems keep them, read from their texts and compared with what was presented.
//!
//! Unlike an imported hash ([`crate::foreign`]) such a one is not stored here: it is read anew for
//! each comparison, or remembered for seconds as the fact that a comparison came out right.

use std::num::NonZeroU32;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use aws_lc_rs::{digest, hmac, pbkdf2};
use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER};
use password_hash::PasswordVerifier;
use sha_crypt::ShaCrypt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::addressing::SECRET_LENGTH_MIN;
use crate::foreign::ForeignHash;

/// How directories call SHA-256 without a salt.
const SHA256: &str = "{SHA256}";
/// A longer text is no hash.
const TEXT_LENGTH_MAX: usize = 1024;
/// Argon2 beyond this memory (KiB) and number of passes would let a repository spend our machine.
const ARGON2_MEMORY_KIB_MAX: u32 = 65_536;
const ARGON2_PASSES_MAX: u32 = 10;
const ARGON2_LANES_MAX: u32 = 8;
/// SHA-512 crypt beyond this takes longer than a second.
const CRYPT_ROUNDS_MAX: u32 = 500_000;
/// PBKDF2 beyond this takes longer than a second.
const PBKDF2_ROUNDS_MAX: u32 = 2_000_000;

/// The key of `hmac-sha256` hashes, which the repository's owner and the operator both know.
#[derive(Clone)]
pub struct ProofKey(Arc<Zeroizing<Vec<u8>>>);

impl ProofKey {
    /// A key of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }
}

impl std::fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProofKey(..)")
    }
}

/// A text that is no hash that can be compared here. Says why, and nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadProof(pub(super) &'static str);

/// A hash to compare with.
pub struct Proof(Sort);

enum Sort {
    /// SHA-256 of a secret that nobody guesses.
    Sha256([u8; 32]),
    /// The same under a key.
    Hmac(ProofKey, [u8; 32]),
    /// A digest of secret and salt.
    Salted { of: &'static digest::Algorithm, digest: Vec<u8>, salt: Vec<u8> },
    /// bcrypt.
    Bcrypt(ForeignHash),
    /// SHA-256 or SHA-512 crypt.
    Crypt(Zeroizing<String>),
    /// Argon2.
    Argon2(Zeroizing<String>),
    /// PBKDF2 with HMAC.
    Pbkdf2 { with: pbkdf2::Algorithm, rounds: NonZeroU32, salt: Vec<u8>, key: Vec<u8> },
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof(..)")
    }
}

/// SHA-256 of a text, in small hexadecimal digits.
pub(super) fn sha256_hex(text: &str) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// The hash of a secret with many bits, as a repository keeps it: `sha256:` and its digest.
pub fn sha256_text(clear: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("sha256:{}", sha256_hex(clear)))
}

/// The hash of a secret with many bits under the repository's key, if it has one, and plain
/// otherwise.
pub(crate) fn hash_text(clear: &str, key: Option<&ProofKey>) -> Zeroizing<String> {
    let Some(key) = key else { return sha256_text(clear) };
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
    let tag = hmac::sign(&key, clear.as_bytes());
    Zeroizing::new(format!("hmac-sha256:{}", HEXLOWER.encode(tag.as_ref())))
}

/// The same hash as directories write it: `{SHA256}` and the digest in base64. What has another
/// form already is a hash that directories know, or none at all.
pub fn directory_text(hash: &str) -> Option<String> {
    let digest = digest32(hash.strip_prefix("sha256:")?).ok()?;
    Some(format!("{SHA256}{}", BASE64.encode(&digest)))
}

/// What stands behind `prefix`, whose letters are of either case.
fn behind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

impl Proof {
    /// Reads `sha256:` or `{SHA256}`, `hmac-sha256:`, `{SSHA}`, `{SSHA256}`, `{SSHA512}`, `{CRYPT}` or bare
    /// `$2b$`, `$5$`, `$6$`, `$argon2id$`, `{ARGON2}`, `{PBKDF2-SHA256}`, `{PBKDF2-SHA512}`.
    ///
    /// # Errors
    ///
    /// When it is none of these, or costs more than one comparison may.
    pub fn parse(text: &str, key: Option<&ProofKey>) -> Result<Self, BadProof> {
        if text.len() > TEXT_LENGTH_MAX {
            return Err(BadProof("is too long for a hash"));
        }
        if let Some(hex) = text.strip_prefix("sha256:") {
            return Ok(Self(Sort::Sha256(digest32(hex)?)));
        }
        if let Some(hex) = text.strip_prefix("hmac-sha256:") {
            let key = key.ok_or(BadProof("needs hash_key, which is not set"))?;
            return Ok(Self(Sort::Hmac(key.clone(), digest32(hex)?)));
        }
        if let Some(encoded) = behind(text, SHA256) {
            let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| BadProof("is no base64"))?;
            let digest = bytes.try_into().map_err(|_| BadProof("is no SHA-256 in base64"))?;
            return Ok(Self(Sort::Sha256(digest)));
        }
        for (name, of) in [
            ("{SSHA}", &digest::SHA1_FOR_LEGACY_USE_ONLY),
            ("{SSHA256}", &digest::SHA256),
            ("{SSHA512}", &digest::SHA512),
        ] {
            if let Some(encoded) = behind(text, name) {
                return salted(of, encoded);
            }
        }
        let bare = behind(text, "{CRYPT}").or_else(|| behind(text, "{ARGON2}")).unwrap_or(text);
        if bare.starts_with("$2") {
            let hash = ForeignHash::bcrypt(bare);
            let hash = hash.map_err(|_| BadProof("is no bcrypt hash that is compared here"))?;
            return Ok(Self(Sort::Bcrypt(hash)));
        }
        if bare.starts_with("$5$") || bare.starts_with("$6$") {
            return crypt(bare);
        }
        if bare.starts_with("$argon2") {
            return argon2(bare);
        }
        if let Some(rest) = behind(text, "{PBKDF2-SHA256}") {
            return pbkdf2_of(pbkdf2::PBKDF2_HMAC_SHA256, rest);
        }
        if let Some(rest) = behind(text, "{PBKDF2-SHA512}") {
            return pbkdf2_of(pbkdf2::PBKDF2_HMAC_SHA512, rest);
        }
        Err(BadProof("is no hash of a known sort"))
    }

    /// Whether it takes long enough to be computed away from the threads that answer.
    pub const fn is_slow(&self) -> bool {
        !matches!(self.0, Sort::Sha256(_) | Sort::Hmac(..) | Sort::Salted { .. })
    }

    /// Whether it is the hash of this secret. An unsalted one is never that of a short secret:
    /// whoever keeps such hashes could be guessed through, and shall notice.
    pub fn is_of(&self, clear: &str) -> bool {
        let bytes = clear.as_bytes();
        match &self.0 {
            Sort::Sha256(kept) => {
                let own = digest::digest(&digest::SHA256, bytes);
                clear.len() >= SECRET_LENGTH_MIN && bool::from(own.as_ref().ct_eq(kept))
            }
            Sort::Hmac(key, kept) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
                hmac::verify(&key, bytes, kept).is_ok()
            }
            Sort::Salted { of, digest: kept, salt } => {
                let mut context = digest::Context::new(of);
                context.update(bytes);
                context.update(salt);
                bool::from(context.finish().as_ref().ct_eq(kept))
            }
            Sort::Bcrypt(hash) => hash.is_of(clear),
            Sort::Crypt(text) => {
                PasswordVerifier::<str>::verify_password(&ShaCrypt::SHA512, bytes, text).is_ok()
            }
            Sort::Argon2(text) => PasswordHash::new(text)
                .is_ok_and(|hash| Argon2::default().verify_password(bytes, &hash).is_ok()),
            Sort::Pbkdf2 { with, rounds, salt, key } => {
                pbkdf2::verify(*with, *rounds, salt, bytes, key).is_ok()
            }
        }
    }
}

fn digest32(hex: &str) -> Result<[u8; 32], BadProof> {
    let bytes = HEXLOWER.decode(hex.to_ascii_lowercase().as_bytes());
    let bytes = bytes.map_err(|_| BadProof("is no SHA-256 in hexadecimal"))?;
    bytes.try_into().map_err(|_| BadProof("is no SHA-256 in hexadecimal"))
}

fn salted(of: &'static digest::Algorithm, encoded: &str) -> Result<Proof, BadProof> {
    let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| BadProof("is no base64"))?;
    let length = of.output_len();
    if bytes.len() <= length || bytes.len() > length + 64 {
        return Err(BadProof("is no digest with a salt behind it"));
    }
    let (digest, salt) = bytes.split_at(length);
    Ok(Proof(Sort::Salted { of, digest: digest.to_vec(), salt: salt.to_vec() }))
}

fn crypt(text: &str) -> Result<Proof, BadProof> {
    let fields: Vec<&str> = text.split('$').skip(2).collect();
    let rounds = fields.first().and_then(|field| field.strip_prefix("rounds="));
    let whole = fields.len() == if rounds.is_some() { 3 } else { 2 };
    if !whole {
        return Err(BadProof("is no SHA crypt hash"));
    }
    let bearable = |text: &str| text.parse::<u32>().is_ok_and(|n| n <= CRYPT_ROUNDS_MAX);
    if !rounds.is_none_or(bearable) {
        return Err(BadProof("is SHA crypt with more rounds than are computed here"));
    }
    // What stands without rounds was hashed with 5000 of them.
    let text = match rounds {
        Some(_) => text.to_owned(),
        None => format!("${}$rounds=5000${}", &text[1..2], fields.join("$")),
    };
    Ok(Proof(Sort::Crypt(Zeroizing::new(text))))
}

fn argon2(text: &str) -> Result<Proof, BadProof> {
    let hash = PasswordHash::new(text).map_err(|_| BadProof("is no Argon2 hash"))?;
    let params = argon2::Params::try_from(&hash).map_err(|_| BadProof("is no Argon2 hash"))?;
    let bearable = params.m_cost() <= ARGON2_MEMORY_KIB_MAX
        && params.t_cost() <= ARGON2_PASSES_MAX
        && params.p_cost() <= ARGON2_LANES_MAX;
    if !bearable {
        return Err(BadProof("is Argon2 at a cost that is not computed here"));
    }
    Ok(Proof(Sort::Argon2(Zeroizing::new(text.to_owned()))))
}

/// `rounds$salt$key` in passlib's alphabet.
fn pbkdf2_of(with: pbkdf2::Algorithm, text: &str) -> Result<Proof, BadProof> {
    let bad = BadProof("is no PBKDF2 hash");
    let fields: Vec<&str> = text.split('$').collect();
    let [rounds, salt, key] = fields[..] else { return Err(bad) };
    let rounds: u32 = rounds.parse().map_err(|_| bad)?;
    if rounds > PBKDF2_ROUNDS_MAX {
        return Err(BadProof("is PBKDF2 with more rounds than are computed here"));
    }
    let ab64 =
        |text: &str| BASE64_NOPAD.decode(text.trim_end_matches('=').replace('.', "+").as_bytes());
    Ok(Proof(Sort::Pbkdf2 {
        with,
        rounds: NonZeroU32::new(rounds).ok_or(bad)?,
        salt: ab64(salt).map_err(|_| bad)?,
        key: ab64(key).map_err(|_| bad)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::scheme::{SCHEMES, Scheme};

    const SECRET: &str = "acme_ab12cd34_0123456789abcdefghij";

    fn reads(text: &str) -> bool {
        Proof::parse(text, None).unwrap().is_of(SECRET)
    }

    #[test]
    fn every_scheme_that_we_write_ourselves_is_read_and_told_from_another_secret() {
        for scheme in SCHEMES {
            let text = scheme.derive_with(SECRET, [7; 16]).unwrap();
            let proof = Proof::parse(&text, None).unwrap();
            assert!(proof.is_of(SECRET), "{}", scheme.name());
            assert!(!proof.is_of("acme_ab12cd34_0123456789abcdefghiX"), "{}", scheme.name());
            assert_eq!(proof.is_slow(), scheme.is_slow());
            assert!(!format!("{proof:?}").contains(&text));
        }
        let text = Scheme::CryptSha512.derive_with(SECRET, [7; 16]).unwrap();
        assert!(reads(text.trim_start_matches("{CRYPT}")));
    }

    /// What glibc's `crypt(3)` makes of the example in its documentation.
    #[test]
    fn sha_crypt_without_rounds_has_five_thousand_of_them() {
        let known = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
        assert!(Proof::parse(known, None).unwrap().is_of("Hello world!"));
        assert!(!Proof::parse(known, None).unwrap().is_of("Hello world?"));
    }

    #[test]
    fn an_unsalted_hash_is_never_that_of_a_short_secret() {
        let short = "hunter2";
        for text in [
            |clear: &str| sha256_text(clear).to_string(),
            |clear: &str| directory_text(&sha256_text(clear)).unwrap(),
        ] {
            assert!(reads(&text(SECRET)));
            assert!(!reads(&text("acme_ab12cd34_0123456789abcdefghiX")));
            assert!(!Proof::parse(&text(short), None).unwrap().is_of(short));
        }
        assert_eq!(directory_text("{SSHA}whatever"), None);
    }

    #[test]
    fn a_keyed_hash_needs_its_key() {
        let key = ProofKey::new(b"a key that both know".to_vec());
        let both = hmac::Key::new(hmac::HMAC_SHA256, b"a key that both know");
        let mac = hmac::sign(&both, SECRET.as_bytes());
        let text = format!("hmac-sha256:{}", HEXLOWER.encode(mac.as_ref()));
        assert!(Proof::parse(&text, None).is_err());
        assert!(Proof::parse(&text, Some(&key)).unwrap().is_of(SECRET));
        let other = ProofKey::new(b"another".to_vec());
        assert!(!Proof::parse(&text, Some(&other)).unwrap().is_of(SECRET));
    }

    #[test]
    fn what_costs_too_much_or_is_no_hash_is_refused_without_showing_it() {
        for bad in [
            "",
            "hunter2",
            "{CLEARTEXT}hunter2",
            "sha256:00",
            "sha256:zz",
            "{SHA256}!!!!",
            "{SHA256}aHVudGVyMg==",
            "{SSHA}!!!!",
            "$6$rounds=9999999$salt$hash",
            "$2y$31$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq",
            "$argon2id$v=19$m=4194304,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$2QMY4V9Tlu+uMGFm93InAD9H",
            "{PBKDF2-SHA512}99999999$AAEC$AAEC",
            &format!("sha256:{}", "0".repeat(2000)),
        ] {
            let error = Proof::parse(bad, None).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{bad}");
        }
    }
}
