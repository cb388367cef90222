//! Codes that are good once: what an authentication token computes, and how its code is recognised.
//!
//! Pure: a code, a seed and an instant go in, and the place of the code comes out. Whether a place
//! was taken before is the store's to decide, in one conditional statement
//! ([`crate::store::OtpStore::otp_accept`]), so that of any number of presenters of one code one
//! is let in.

pub mod codes;
pub mod oath;
pub mod uri;
pub mod yubikey;

use std::fmt;

use zeroize::Zeroizing;

use crate::clock::{Entropy, NoEntropy};

/// The shortest seed that is taken, in bytes: 128 bits (RFC 4226 section 4, R6).
pub const SEED_BYTES_MIN: usize = 16;
/// The longest seed that is taken, in bytes: the block of SHA-512 is 128, and no device has more
/// than half of it.
pub const SEED_BYTES_MAX: usize = 64;
/// Bytes of a seed that is made here: 160 bits, as RFC 4226 section 4 recommends.
pub const SEED_BYTES: usize = 20;
/// Steps around the present one that are accepted, on each side (RFC 6238 section 5.2).
pub const TOTP_WINDOW: i64 = 1;
/// How far a token's clock may have drifted, in steps: five minutes of thirty seconds.
pub const DRIFT_MAX: i64 = 10;
/// Counters behind the last accepted one that are accepted: buttons are pressed for nothing.
pub const HOTP_LOOK_AHEAD: i64 = 10;
/// Counters that a resynchronisation looks through (two codes must follow each other).
pub const HOTP_RESYNC: i64 = 1_000;
/// Steps on each side that a resynchronisation looks through: an hour of thirty seconds.
pub const TOTP_RESYNC: i64 = 120;

/// How an authentication token proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A code of the time (RFC 6238).
    Totp,
    /// A code of a counter (RFC 4226).
    Hotp,
    /// A sheet of codes, each good once.
    Backup,
    /// A hardware key that types 44 characters.
    Yubikey,
    /// A code that is sent by mail when it is asked for.
    Email,
}

/// Every method.
pub const METHODS: [Method; 5] =
    [Method::Totp, Method::Hotp, Method::Backup, Method::Yubikey, Method::Email];

impl Method {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Hotp => "hotp",
            Self::Backup => "backup",
            Self::Yubikey => "yubikey",
            Self::Email => "email",
        }
    }

    /// The method of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        METHODS.into_iter().find(|method| method.name() == name)
    }

    /// Whether its codes follow from a seed that has to be kept, sealed.
    pub const fn has_seed(self) -> bool {
        matches!(self, Self::Totp | Self::Hotp | Self::Yubikey)
    }
}

/// The hash inside HOTP and TOTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// SHA-1, which is what nearly every authenticator computes.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// Every algorithm.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

impl Algorithm {
    /// The name in `otpauth` URIs, on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// The algorithm of a name, in any case and with or without a dash.
    pub fn from_name(name: &str) -> Option<Self> {
        let bare = name.replace('-', "");
        ALGORITHMS.into_iter().find(|one| one.name().eq_ignore_ascii_case(&bare))
    }
}

/// What a token's codes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The hash inside.
    pub algorithm: Algorithm,
    /// Digits of a code, 6 to 8; leading zeros count.
    pub digits: u32,
    /// Seconds of a step of TOTP.
    pub step_seconds: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self { algorithm: Algorithm::default(), digits: 6, step_seconds: 30 }
    }
}

impl Shape {
    /// Whether codes of this shape can be issued.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub const fn check(self) -> Result<(), (&'static str, &'static str)> {
        if !matches!(self.digits, 6..=8) {
            return Err(("otp.digits", "a code has 6 to 8 digits"));
        }
        if !matches!(self.step_seconds, 15..=300) {
            return Err(("otp.step_seconds", "a step has 15 to 300 seconds"));
        }
        Ok(())
    }

    /// Whether a text has as many digits as a code, and nothing else. Looked at before anything
    /// is computed.
    pub fn fits(self, code: &str) -> bool {
        code.len() == self.digits as usize && code.bytes().all(|b| b.is_ascii_digit())
    }
}

/// A seed in clear: in memory only while a code is compared or the token is enrolled.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSeed(Zeroizing<Vec<u8>>);

/// A seed that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a seed has 16 to 64 bytes (128 to 512 bits)")]
pub struct BadSeed;

impl SharedSeed {
    /// Takes a seed that another party made.
    ///
    /// # Errors
    ///
    /// [`BadSeed`] if it is shorter than 128 bits or longer than 512.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadSeed> {
        let bytes = Zeroizing::new(bytes);
        if (SEED_BYTES_MIN..=SEED_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(BadSeed)
        }
    }

    /// A fresh seed of 160 bits.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = Zeroizing::new(vec![0; SEED_BYTES]);
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSeed(..)")
    }
}

/// Whether a presented text has the form of a code of some method, so that asking for the
/// person's authentication tokens can be worth a read.
pub fn looks_like_code(presented: &str) -> bool {
    let digits = matches!(presented.len(), 6..=8) && presented.bytes().all(|b| b.is_ascii_digit());
    digits || yubikey::looks_like_otp(presented) || codes::normal(presented).is_some()
}

/// Whether a text may be a code, or a PIN with one behind it: whoever passes it on to another
/// system to ask about it may spend it there. A PIN of digits is not told from the code, so any
/// text that ends in six digits may be.
pub fn may_end_in_code(presented: &str) -> bool {
    let digits = presented.bytes().rev().take_while(u8::is_ascii_digit).count();
    digits >= 6 || codes::is_as_shown(presented) || yubikey::ends_in_otp(presented)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_128_to_512_bits_and_never_shows_itself() {
        assert_eq!(SharedSeed::new(vec![1; 15]), Err(BadSeed));
        assert_eq!(SharedSeed::new(vec![1; 65]), Err(BadSeed));
        assert!(SharedSeed::new(vec![1; 16]).is_ok());
        let seed = SharedSeed::new(vec![1; 64]).unwrap();
        assert_eq!(format!("{seed:?}"), "SharedSeed(..)");
    }

    #[test]
    fn a_code_is_known_by_its_form_before_anything_is_computed() {
        let codes = ["123456", "00000000", "abcd-efgh-jkmn", "ABCDEFGHJKMN"];
        for code in codes {
            assert!(looks_like_code(code), "{code}");
        }
        for other in ["12345", "123456789", "12345a", "", "１２３４５６", "abcd-efgh-jkm"] {
            assert!(!looks_like_code(other), "{other}");
        }
        let shape = Shape::default();
        assert!(shape.fits("000001") && !shape.fits("00001") && !shape.fits("0000001"));
    }

    #[test]
    fn a_code_may_stand_behind_a_pin() {
        for text in ["123456", "pin12345678", "1234567890123", "über123456", "ABCD-efgh-jkmn"] {
            assert!(may_end_in_code(text), "{text}");
        }
        let others = ["abcdefghjkmn", "abcd-efghj-kmn", "abcd-efgh-jkmn-pqrs", "guess number"];
        for text in ["", "12345", "pin12345", "123456pin", "12345 6", "pin１２３４５６"]
            .into_iter()
            .chain(others)
        {
            assert!(!may_end_in_code(text), "{text}");
        }
    }

    #[test]
    fn names_lead_back_to_what_they_name() {
        for method in METHODS {
            assert_eq!(Method::from_name(method.name()), Some(method));
        }
        assert_eq!(Algorithm::from_name("sha-256"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::from_name("md5"), None);
    }
}
