//! Password hashes of other systems, so that whoever moves here need not choose anew.
//!
//! Nothing of such a hash is stored as it came: see docs/decisions/0022. What is kept of it is a
//! recipe, by which a presented secret is hashed as the other system would have, and Argon2id
//! over the outcome; and that only until the secret is presented once (docs/decisions/0047).

mod crypt_text;
mod md5_crypt;
mod reading;
mod recipe;

use std::num::NonZeroU32;

use argon2::{Algorithm, Version};
use aws_lc_rs::digest;
use data_encoding::{BASE64, BASE64_NOPAD, Encoding, HEXLOWER, Specification};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::recipe::{Argon2Recipe, Pbkdf2Digest, Recipe};
use crate::provision::scheme::Scheme;

/// Bytes of a SHA-256 digest.
const SHA256_LEN: usize = 32;
/// The cost that PHP has used since there is `password_hash`.
const BCRYPT_COST_USUAL: u32 = 10;
/// The rounds of SHA crypt where nobody names any.
const SHA_CRYPT_ROUNDS_USUAL: u32 = 5_000;
/// The rounds that slapd's module for PBKDF2 has when nobody chooses others.
const PBKDF2_ROUNDS_USUAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);
/// A key of another system that was hashed without salt has at least so many characters: a
/// shorter one could be found by trying.
pub const FOREIGN_KEY_LENGTH_MIN: usize = 20;

/// A sort of hash that can be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForeignScheme {
    /// SHA-1 over secret and salt, `{SSHA}` of directories.
    Ssha,
    /// bcrypt, PHP's `$2y$`.
    Bcrypt,
    /// SHA-1 over the secret alone, `{SHA}` of Apache.
    Sha,
    /// SHA-256 over secret and salt, `{SSHA256}`.
    Ssha256,
    /// SHA-512 over secret and salt, `{SSHA512}`.
    Ssha512,
    /// MD5 crypt, `$1$` and Apache's `$apr1$`.
    Md5Crypt,
    /// SHA-256 crypt, `$5$`.
    Sha256Crypt,
    /// SHA-512 crypt, `$6$`.
    Sha512Crypt,
    /// Argon2 of any sort.
    Argon2,
    /// PBKDF2 with HMAC.
    Pbkdf2,
    /// SHA-256 over a key with many bits: such a key is found by its hash, like our own.
    Sha256,
    /// Our own hash of a secret with few bits: what came in clear, or was upgraded.
    Own,
}

/// Every scheme.
pub const FOREIGN_SCHEMES: [ForeignScheme; 12] = [
    ForeignScheme::Ssha,
    ForeignScheme::Bcrypt,
    ForeignScheme::Sha,
    ForeignScheme::Ssha256,
    ForeignScheme::Ssha512,
    ForeignScheme::Md5Crypt,
    ForeignScheme::Sha256Crypt,
    ForeignScheme::Sha512Crypt,
    ForeignScheme::Argon2,
    ForeignScheme::Pbkdf2,
    ForeignScheme::Sha256,
    ForeignScheme::Own,
];

impl ForeignScheme {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssha => "ssha",
            Self::Bcrypt => "bcrypt",
            Self::Sha => "sha",
            Self::Ssha256 => "ssha256",
            Self::Ssha512 => "ssha512",
            Self::Md5Crypt => "md5crypt",
            Self::Sha256Crypt => "sha256crypt",
            Self::Sha512Crypt => "sha512crypt",
            Self::Argon2 => "argon2",
            Self::Pbkdf2 => "pbkdf2",
            Self::Sha256 => "sha256",
            Self::Own => "own",
        }
    }

    /// Whether its secrets may have few bits, so that they are compared slowly and their person
    /// has to be named with them.
    pub const fn is_of_few_bits(self) -> bool {
        !matches!(self, Self::Sha256)
    }

    /// A recipe that belongs to nobody, so that who has no such hash costs as much as who has.
    /// `None` where a secret is compared without a recipe.
    pub fn stand_in(self) -> Option<Recipe> {
        Some(match self {
            Self::Ssha => Recipe::Ssha { salt: vec![0; 4] },
            Self::Bcrypt => Recipe::Bcrypt { cost: BCRYPT_COST_USUAL, salt: [0; 16] },
            Self::Sha => Recipe::Sha,
            Self::Ssha256 => Recipe::Ssha256 { salt: vec![0; 8] },
            Self::Ssha512 => Recipe::Ssha512 { salt: vec![0; 8] },
            Self::Md5Crypt => Recipe::Md5Crypt { apache: true, salt: vec![b'.'; 8] },
            Self::Sha256Crypt => {
                Recipe::Sha256Crypt { rounds: SHA_CRYPT_ROUNDS_USUAL, salt: vec![b'.'; 16] }
            }
            Self::Sha512Crypt => {
                Recipe::Sha512Crypt { rounds: SHA_CRYPT_ROUNDS_USUAL, salt: vec![b'.'; 16] }
            }
            Self::Argon2 => Recipe::Argon2(Argon2Recipe {
                sort: Algorithm::Argon2id,
                version: Version::V0x13,
                memory_kib: 19_456,
                passes: 2,
                lanes: 1,
                length: 32,
                salt: vec![0; 16],
            }),
            Self::Pbkdf2 => Recipe::Pbkdf2 {
                digest: Pbkdf2Digest::Sha256,
                rounds: PBKDF2_ROUNDS_USUAL,
                length: 32,
                salt: vec![0; 16],
            },
            Self::Sha256 | Self::Own => return None,
        })
    }
}

/// A hash of another system, as it was found there.
#[derive(Clone)]
pub struct ForeignHash {
    /// How it came to be.
    pub recipe: Recipe,
    hash: Zeroizing<Vec<u8>>,
}

/// A text that is no hash of a known sort; says what is wrong with it, and nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadForeignHash(&'static str);

impl BadForeignHash {
    /// Whether nothing in the text says what sort of hash it is: it may be none.
    pub fn is_unknown(&self) -> bool {
        *self == reading::UNKNOWN
    }
}

impl std::fmt::Debug for ForeignHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ForeignHash({}, ..)", self.recipe.scheme().name())
    }
}

impl ForeignHash {
    /// Whether it is the hash of this secret.
    pub fn is_of(&self, clear: &str) -> bool {
        self.recipe.hash(clear).is_some_and(|hash| *hash == *self.hash)
    }

    /// The scheme of directories that writes it as it is, if one of them does.
    pub(crate) const fn directory_scheme(&self) -> Option<Scheme> {
        Some(match &self.recipe {
            Recipe::Ssha { .. } => Scheme::Ssha,
            Recipe::Ssha512 { .. } => Scheme::Ssha512,
            Recipe::Bcrypt { .. } => Scheme::CryptBcrypt,
            Recipe::Sha512Crypt { .. } => Scheme::CryptSha512,
            Recipe::Argon2(_) => Scheme::Argon2,
            Recipe::Pbkdf2 { digest: Pbkdf2Digest::Sha256, .. } => Scheme::Pbkdf2Sha256,
            Recipe::Pbkdf2 { digest: Pbkdf2Digest::Sha512, .. } => Scheme::Pbkdf2Sha512,
            _ => return None,
        })
    }

    /// The hash as directories write it, `{SSHA}...` or `{CRYPT}$2y$...`, for the schemes of
    /// [`Self::directory_scheme`].
    pub(crate) fn directory_value(&self) -> Zeroizing<String> {
        let salted = |name: &str, salt: &[u8]| {
            let both = Zeroizing::new([self.hash.as_slice(), salt].concat());
            format!("{{{name}}}{}", BASE64.encode(&both))
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Zeroizing::new(match &self.recipe {
            Recipe::Ssha { salt } => salted("SSHA", salt),
            Recipe::Ssha512 { salt } => salted("SSHA512", salt),
            Recipe::Bcrypt { cost, salt } => {
                let salt = bcrypt_alphabet().map(|base| base.encode(salt)).unwrap_or_default();
                format!("{{CRYPT}}$2y${cost:02}${salt}{}", text(&self.hash))
            }
            Recipe::Sha512Crypt { rounds, salt } => {
                format!("{{CRYPT}}$6$rounds={rounds}${}${}", text(salt), text(&self.hash))
            }
            Recipe::Argon2(asked) => {
                let Argon2Recipe { sort, version, memory_kib, passes, lanes, salt, .. } = asked;
                let (sort, version) = (sort.as_str(), u32::from(*version));
                let costs = format!("m={memory_kib},t={passes},p={lanes}");
                let [salt, hash] = [salt, &*self.hash].map(|bytes| BASE64_NOPAD.encode(bytes));
                format!("{{ARGON2}}${sort}$v={version}${costs}${salt}${hash}")
            }
            Recipe::Pbkdf2 { digest, rounds, salt, .. } => {
                let name = if *digest == Pbkdf2Digest::Sha512 { "SHA512" } else { "SHA256" };
                let [salt, hash] =
                    [salt, &*self.hash].map(|bytes| BASE64_NOPAD.encode(bytes).replace('+', "."));
                format!("{{PBKDF2-{name}}}{rounds}${salt}${hash}")
            }
            _ => String::new(),
        })
    }

    /// The outcome, without the salt.
    pub(crate) fn outcome(&self) -> Zeroizing<Vec<u8>> {
        self.hash.clone()
    }
}

/// What another system kept of a key with many bits: its SHA-256, without salt. Whoever holds the
/// key is found by it, as by one of ours; what is stored is the keyed hash of this.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignKey(Zeroizing<[u8; SHA256_LEN]>);

impl std::fmt::Debug for ForeignKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ForeignKey(..)")
    }
}

impl ForeignKey {
    /// What the other system keeps of this key; `None` if it is too short to be one.
    pub fn of(clear: &str) -> Option<Self> {
        let long = clear.len() >= FOREIGN_KEY_LENGTH_MIN;
        let digest = long.then(|| digest::digest(&digest::SHA256, clear.as_bytes()))?;
        Some(Self(Zeroizing::new(digest.as_ref().try_into().ok()?)))
    }

    /// Reads hexadecimal digits or base64, with or without `sha256:` or `{SHA256}` in front.
    ///
    /// # Errors
    ///
    /// When it is no digest of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, BadForeignHash> {
        let bare = reading::behind(text, "{SHA256}").or_else(|| reading::behind(text, "sha256:"));
        let bare = bare.unwrap_or(text).trim();
        let lower = Zeroizing::new(bare.to_ascii_lowercase());
        let hex = HEXLOWER.decode(lower.as_bytes()).ok().filter(|read| read.len() == SHA256_LEN);
        let read = hex.or_else(|| reading::base64(bare)).map(Zeroizing::new);
        let digest = read.and_then(|bytes| <[u8; SHA256_LEN]>::try_from(bytes.as_slice()).ok());
        let bad = BadForeignHash("is no SHA-256 in hexadecimal digits or base64");
        digest.map(|digest| Self(Zeroizing::new(digest))).ok_or(bad)
    }

    /// What is hashed under our pepper in place of the key. No presented secret reads like this:
    /// what has this form is hashed like every other before it is looked for.
    pub(crate) fn canonical(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("imported sha256 {}", HEXLOWER.encode(&*self.0)))
    }
}

/// bcrypt's base64 has an alphabet of its own, and leaves bits over at the end.
fn bcrypt_alphabet() -> Option<Encoding> {
    let mut spec = Specification::new();
    spec.symbols.push_str("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    spec.check_trailing_bits = false;
    spec.encoding().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "k7mq-2x9d-hw4t-p8zc";

    #[test]
    fn salted_sha1_is_recomputed_from_the_presented_secret() {
        for text in ["{SSHA}aTAOJG0ivhFFnnRoGfnx+9B/u1ExYTJi", "aTAOJG0ivhFFnnRoGfnx+9B/u1ExYTJi"] {
            let hash = ForeignHash::ssha(text).unwrap();
            assert!(hash.is_of(TOKEN) && !hash.is_of("k7mq-2x9d-hw4t-p8zd"));
            assert_eq!(hash.recipe, Recipe::Ssha { salt: b"1a2b".to_vec() });
        }
        for bad in ["", "{SSHA}", "!!!!", "{SSHA}aTAOJG0ivhFFnnRoGfnx+9B/u1E="] {
            assert!(ForeignHash::ssha(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bcrypt_of_php_is_recomputed_from_the_presented_secret() {
        // The salt and the password of the examples in PHP's manual; libxcrypt made the hash.
        let known = "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq";
        let hash = ForeignHash::of_any(known).unwrap();
        assert!(hash.is_of("rasmuslerdorf") && !hash.is_of("rasmuslerdorg"));
        for bad in [
            "$2y$31$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq",
            "$2y$07$BCryptRequires22Chrcte",
            "$1$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq",
            "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTp!q",
        ] {
            assert!(ForeignHash::of_any(bad).is_err(), "{bad}");
        }
    }

    /// What `openssl passwd`, `mkpasswd`, `htpasswd`, slapd's modules and passlib made of it.
    #[test]
    fn what_the_programs_of_others_wrote_is_recomputed() {
        use ForeignScheme as Sort;
        for (sort, text) in [
            (Sort::Sha256Crypt, "$5$abcdefgh$sYjQ4vynYsNAnM.JMipLH1IMXSipuA8cURgfc3GsHo."),
            (
                Sort::Sha512Crypt,
                "$6$abc$0VeVY6BJze93qnEeZV8TFN2/RVl9OwaZjqeVDtg6Kpt6pOVkzcy2CycBCIaZTKhPggvNEbxJV0QKUbjhE7Npo1",
            ),
            (
                Sort::Sha256Crypt,
                "$5$rounds=1500$saltsaltsalt$RH1W35vvKb8UQX1q9P9yf8.J8G6GzmdiMspFiG3tL65",
            ),
            (
                Sort::Sha512Crypt,
                "{CRYPT}$6$rounds=2000$saltstring16char$Y/wZSm1eW5K89/rS7gbALd6n4jP.7Jus2aRds6l3E/UIYNSOeiuSKK4wFutwQgackyoaEqGl2PsUdHr.oopkM/",
            ),
            (Sort::Bcrypt, "$2b$05$yu3zjR/nwZ0auyUoaMqzVOKglHOP56M1ib3xTwVsnwJop7yfdEf7m"),
            (Sort::Sha, "{SHA}mN7MYuzjmaIu0w1JDvMzvn/ec4U="),
            (Sort::Md5Crypt, "$apr1$P88tK9gH$C0DKjzdQafkw7mUtQyntx1"),
            (Sort::Bcrypt, "$2y$05$sSQu7CNLxolyUgDPAmIhnu5VFk1UUKeEsSpKjYR/Kq1HkxeqTGefy"),
            (Sort::Ssha, "{SSHA}MRZj4E2XluEnvWNvuH7vHQoMzCidslfS"),
            (
                Sort::Ssha512,
                "{SSHA512}OwygjXdSWAJjJ6d95i4pNHIIW1lWby2j/zMvAkWaWgizBLoEoMjgIKwvBEo63+2qxabG00TKAsjeeTrmMW2INhSyJFz7FEn2",
            ),
            (Sort::Ssha256, "{SSHA256}EjgUYx61+7j6y4VPL0IVmVHsWGtYlhpfzZoLoMFwNGaAWWLau0JgqQ=="),
            (
                Sort::Pbkdf2,
                "{PBKDF2-SHA256}10000$RxWar/OfQr8Ck1DMc.h0yg$ShcUcjIY8IJTTYGL8TMSjRmhdHxMLWEwDj2ePq.kGig",
            ),
            (
                Sort::Pbkdf2,
                "{PBKDF2-SHA512}10000$zzV3KMNxE/Dgmltr0PTOJQ$OexX8XZhZE8JpLHkVtr6yK82eP/CfHy3Cca7SGxYHyuoDg8F2jZG/dFLcMuJpuS6fyF5dm5w27YgNSn2I0VC4Q",
            ),
            (Sort::Pbkdf2, "{PBKDF2}10000$UqxeVKxg4zFJpVBOrNZ7Jg$0uR1V1MBU1IXHq9YYa2JwRj7wSU"),
            (
                Sort::Argon2,
                "{ARGON2}$argon2i$v=19$m=4096,t=3,p=1$/KR0k3+L+yfh2xlH6XkI6g$gUhhsBenLgR8hLjCI6RgAfarbmL+Xwp8lgSPWyhxsq4",
            ),
            (
                Sort::Pbkdf2,
                "$pbkdf2-sha256$1000$n7M2BmBMqdXa25tTSglhLA$y/fNfiyFVsmdaG9h0fAYv2vFejTDPFqyiYsFdnADKpk",
            ),
            (
                Sort::Pbkdf2,
                "$pbkdf2-sha512$1000$pLTW2nvvvbeW0rr3PifE2A$sKfzOPwevWmS1zcMio8NtMc.3kpZ.vdy3nEb2PJ9q56oj6u1j0L/AqeOVxVFMWNfsX1PsS/YIlkbvdExPEK5Pw",
            ),
            (Sort::Pbkdf2, "$pbkdf2$1000$D4EQAqAUIiTE2FtLifH.vw$Hb.JeDkQotM4EzabJ5vytqxugw8"),
            (
                Sort::Pbkdf2,
                "pbkdf2_sha256$1000$ECE0SQtc5TB7$d3tpvMZ768mu34tcHc6JzWpwQYuVhEQhJD0F2biQwtE=",
            ),
            (
                Sort::Pbkdf2,
                "$pbkdf2-sha256$i=1000,l=32$n7M2BmBMqdXa25tTSglhLA$y/fNfiyFVsmdaG9h0fAYv2vFejTDPFqyiYsFdnADKpk",
            ),
        ] {
            let hash = ForeignHash::of_any(text).unwrap();
            assert_eq!(hash.recipe.scheme(), sort, "{text}");
            assert!(hash.is_of("correct horse battery"), "{text}");
            assert!(!hash.is_of("correct horse batterz"), "{text}");
            assert_eq!(Recipe::from_text(&hash.recipe.text()).as_ref(), Some(&hash.recipe));
            if hash.directory_scheme().is_some() {
                let again = ForeignHash::of_any(&hash.directory_value()).unwrap();
                assert!(again.recipe == hash.recipe && again.hash == hash.hash, "{text}");
            }
        }
    }

    #[test]
    fn what_is_too_dear_too_old_or_no_hash_is_refused_with_its_reason() {
        for (text, why) in [
            ("3WlGM5JKvfVak", "is a hash of the first crypt (DES)"),
            ("{CRYPT}O4Sa6LA1cwXOc", "is a hash of the first crypt (DES)"),
            ("$y$j9T$pHDNqWag7Iul$MkrsNemod2p", "is a yescrypt or scrypt hash"),
            ("$6$rounds=9999999$salt$hash", "is SHA crypt with rounds"),
            ("$6$rounds=10$salt$hash", "is SHA crypt with rounds"),
            ("$apr1$saltsalt1$C0DKjzdQafkw7mUtQyntx1", "is a crypt hash of the wrong shape"),
            ("$1$salt$tooshort", "is a crypt hash of the wrong shape"),
            ("{SHA}aHVudGVyMg==", "is no SHA-1 digest"),
            ("{SSHA512}aHVudGVyMg==", "is no SHA-512 digest with a salt behind it"),
            (
                "$argon2id$v=19$m=4194304,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$2QMY4V9Tlu",
                "is Argon2 at a cost",
            ),
            (
                "$argon2id$v=7$m=64,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
                "is no Argon2",
            ),
            ("{PBKDF2-SHA512}99999999$AAEC$AAECAwQFBgcICQoLDA0ODw", "is PBKDF2 with more rounds"),
            ("{PBKDF2-SHA512}0$AAEC$AAECAwQFBgcICQoLDA0ODw", "is no PBKDF2 hash"),
            ("hunter2", "is no hash of a known sort"),
            ("", "is no hash of a known sort"),
        ] {
            let bad = ForeignHash::of_any(text).unwrap_err();
            assert!(bad.to_string().starts_with(why), "{text}: {bad}");
            assert_eq!(bad.is_unknown(), why.ends_with("sort"));
        }
        assert!(ForeignHash::of_any(&"{SSHA}".repeat(500)).is_err());
    }

    #[test]
    fn a_long_key_is_known_by_its_digest_in_every_spelling() {
        let clear = "prod_3ZW2kTzqjTbcBLW9XxTsY8vN";
        let known = ForeignKey::of(clear).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, clear.as_bytes());
        let (hex, base64) = (HEXLOWER.encode(digest.as_ref()), BASE64.encode(digest.as_ref()));
        for text in [
            &hex,
            &hex.to_uppercase(),
            &base64,
            &format!("{{SHA256}}{base64}"),
            &format!("sha256:{hex}"),
        ] {
            assert!(ForeignKey::parse(text).unwrap() == known, "{text}");
        }
        assert!(ForeignKey::of("hunter2").is_none());
        assert!(ForeignKey::parse("hunter2").is_err() && ForeignKey::parse(&hex[2..]).is_err());
        assert_eq!(format!("{known:?}"), "ForeignKey(..)");
    }

    #[test]
    fn every_scheme_has_a_name_and_those_with_a_recipe_a_stand_in() {
        for scheme in FOREIGN_SCHEMES {
            let json = serde_json::to_value(scheme).unwrap();
            assert_eq!(json, scheme.name());
            match scheme.stand_in() {
                None => assert!(matches!(scheme, ForeignScheme::Own | ForeignScheme::Sha256)),
                Some(recipe) => {
                    assert_eq!(recipe.scheme(), scheme);
                    assert!(recipe.hash("anything").is_some(), "{}", scheme.name());
                    assert_eq!(Recipe::from_text(&recipe.text()), Some(recipe));
                }
            }
        }
    }

    #[test]
    fn directories_get_the_hash_as_it_was() {
        let ssha = "{SSHA}aTAOJG0ivhFFnnRoGfnx+9B/u1ExYTJi";
        assert_eq!(*ForeignHash::ssha(&ssha[6..]).unwrap().directory_value(), ssha);
        let bcrypt = "$2y$10$Kq3vXo9TzLr5WmYb1Hc7OuhBWLgujBobhJ4Dtyb/nj6sgaM/v5j9e";
        let kept = ForeignHash::bcrypt(bcrypt).unwrap().directory_value();
        assert_eq!(*kept, format!("{{CRYPT}}{bcrypt}"));
    }

    #[test]
    fn a_recipe_comes_back_from_its_text() {
        for recipe in [
            Recipe::Ssha { salt: b"9f0c".to_vec() },
            Recipe::Bcrypt { cost: 10, salt: [7; 16] },
            ForeignScheme::Ssha.stand_in().unwrap(),
        ] {
            assert_eq!(Recipe::from_text(&recipe.text()), Some(recipe));
        }
        for bad in ["", "ssha", "ssha zz", "bcrypt 10", "bcrypt x 00", "md5 00", "ssha 00 00"] {
            assert_eq!(Recipe::from_text(bad), None, "{bad}");
        }
    }
}
