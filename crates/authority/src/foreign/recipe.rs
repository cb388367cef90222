//! How another system hashes a secret: everything but the outcome.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{digest, pbkdf2};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::crypt_text::{order_of_sha256, order_of_sha512, text_of};
use super::{ForeignScheme, md5_crypt};

/// How another system hashes a secret: everything but the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// SHA-1 over the secret and this salt.
    Ssha {
        /// The salt, at most 64 bytes.
        salt: Vec<u8>,
    },
    /// bcrypt, which looks at no more than 72 bytes of a secret.
    Bcrypt {
        /// The exponent of its rounds.
        cost: u32,
        /// The salt.
        salt: [u8; 16],
    },
    /// SHA-1 over the secret alone.
    Sha,
    /// SHA-256 over the secret and this salt.
    Ssha256 {
        /// The salt, at most 64 bytes.
        salt: Vec<u8>,
    },
    /// SHA-512 over the secret and this salt.
    Ssha512 {
        /// The salt, at most 64 bytes.
        salt: Vec<u8>,
    },
    /// MD5 crypt.
    Md5Crypt {
        /// Whether it is Apache's, `$apr1$`.
        apache: bool,
        /// The salt, at most 8 characters.
        salt: Vec<u8>,
    },
    /// SHA-256 crypt.
    Sha256Crypt {
        /// Its rounds.
        rounds: u32,
        /// The salt, at most 16 characters.
        salt: Vec<u8>,
    },
    /// SHA-512 crypt.
    Sha512Crypt {
        /// Its rounds.
        rounds: u32,
        /// The salt, at most 16 characters.
        salt: Vec<u8>,
    },
    /// Argon2 of any sort.
    Argon2(Argon2Recipe),
    /// PBKDF2 with HMAC.
    Pbkdf2 {
        /// The digest inside.
        digest: Pbkdf2Digest,
        /// Its rounds.
        rounds: NonZeroU32,
        /// Bytes of the outcome.
        length: usize,
        /// The salt.
        salt: Vec<u8>,
    },
}

/// How Argon2 was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argon2Recipe {
    /// Its sort: `d`, `i` or `id`.
    pub sort: Algorithm,
    /// 16 or 19.
    pub version: Version,
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Bytes of the outcome.
    pub length: usize,
    /// The salt.
    pub salt: Vec<u8>,
}

/// The digest inside PBKDF2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pbkdf2Digest {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Pbkdf2Digest {
    /// Every digest.
    const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

impl Recipe {
    /// The sort of hash.
    pub const fn scheme(&self) -> ForeignScheme {
        match self {
            Self::Ssha { .. } => ForeignScheme::Ssha,
            Self::Bcrypt { .. } => ForeignScheme::Bcrypt,
            Self::Sha => ForeignScheme::Sha,
            Self::Ssha256 { .. } => ForeignScheme::Ssha256,
            Self::Ssha512 { .. } => ForeignScheme::Ssha512,
            Self::Md5Crypt { .. } => ForeignScheme::Md5Crypt,
            Self::Sha256Crypt { .. } => ForeignScheme::Sha256Crypt,
            Self::Sha512Crypt { .. } => ForeignScheme::Sha512Crypt,
            Self::Argon2(_) => ForeignScheme::Argon2,
            Self::Pbkdf2 { .. } => ForeignScheme::Pbkdf2,
        }
    }

    /// The recipe as the store keeps it: words, the first of them the name of the scheme, the last
    /// one the salt in hexadecimal.
    pub fn text(&self) -> String {
        let name = self.scheme().name();
        let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
        match self {
            Self::Sha => name.to_owned(),
            Self::Ssha { salt } | Self::Ssha256 { salt } | Self::Ssha512 { salt } => {
                format!("{name} {}", hex(salt))
            }
            Self::Bcrypt { cost, salt } => format!("{name} {cost} {}", hex(salt)),
            Self::Md5Crypt { apache, salt } => {
                format!("{name} {} {}", if *apache { "apr1" } else { "1" }, hex(salt))
            }
            Self::Sha256Crypt { rounds, salt } | Self::Sha512Crypt { rounds, salt } => {
                format!("{name} {rounds} {}", hex(salt))
            }
            Self::Argon2(asked) => {
                let Argon2Recipe { sort, version, memory_kib, passes, lanes, length, salt } = asked;
                let (sort, version) = (sort.as_str(), u32::from(*version));
                let salt = hex(salt);
                format!("{name} {sort} {version} {memory_kib} {passes} {lanes} {length} {salt}")
            }
            Self::Pbkdf2 { digest, rounds, length, salt } => {
                format!("{name} {} {rounds} {length} {}", digest.name(), hex(salt))
            }
        }
    }

    /// The recipe that the store kept.
    pub fn from_text(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let hex = |word: &str| HEXLOWER.decode(word.as_bytes()).ok();
        Some(match words[..] {
            ["sha"] => Self::Sha,
            ["ssha", salt] => Self::Ssha { salt: hex(salt)? },
            ["ssha256", salt] => Self::Ssha256 { salt: hex(salt)? },
            ["ssha512", salt] => Self::Ssha512 { salt: hex(salt)? },
            ["bcrypt", cost, salt] => {
                Self::Bcrypt { cost: cost.parse().ok()?, salt: hex(salt)?.try_into().ok()? }
            }
            ["md5crypt", sort @ ("1" | "apr1"), salt] => {
                Self::Md5Crypt { apache: sort == "apr1", salt: hex(salt)? }
            }
            ["sha256crypt", rounds, salt] => {
                Self::Sha256Crypt { rounds: rounds.parse().ok()?, salt: hex(salt)? }
            }
            ["sha512crypt", rounds, salt] => {
                Self::Sha512Crypt { rounds: rounds.parse().ok()?, salt: hex(salt)? }
            }
            ["argon2", sort, version, memory, passes, lanes, length, salt] => {
                Self::Argon2(Argon2Recipe {
                    sort: Algorithm::new(sort).ok()?,
                    version: Version::try_from(version.parse::<u32>().ok()?).ok()?,
                    memory_kib: memory.parse().ok()?,
                    passes: passes.parse().ok()?,
                    lanes: lanes.parse().ok()?,
                    length: length.parse().ok()?,
                    salt: hex(salt)?,
                })
            }
            ["pbkdf2", digest, rounds, length, salt] => Self::Pbkdf2 {
                digest: Pbkdf2Digest::ALL.into_iter().find(|known| known.name() == digest)?,
                rounds: rounds.parse().ok()?,
                length: length.parse().ok()?,
                salt: hex(salt)?,
            },
            _ => return None,
        })
    }

    /// What the other system would have stored of this secret, without the salt. Takes tens of
    /// milliseconds with bcrypt, and up to a second with the dearest recipes that are taken over.
    /// `None` if the recipe makes no sense.
    pub fn hash(&self, clear: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = clear.as_bytes();
        match self {
            Self::Sha => Some(digested(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes, &[])),
            Self::Ssha { salt } => Some(digested(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes, salt)),
            Self::Ssha256 { salt } => Some(digested(&digest::SHA256, bytes, salt)),
            Self::Ssha512 { salt } => Some(digested(&digest::SHA512, bytes, salt)),
            Self::Bcrypt { cost, salt } => {
                let parts = bcrypt::hash_with_salt(bytes, *cost, *salt).ok()?;
                let text = Zeroizing::new(parts.to_string());
                let (_, digest) = text.split_at_checked(text.len().checked_sub(31)?)?;
                Some(Zeroizing::new(digest.as_bytes().to_vec()))
            }
            Self::Md5Crypt { apache, salt } => Some(md5_crypt::hash(bytes, *apache, salt)),
            Self::Sha256Crypt { rounds, salt } => {
                let params = sha_crypt::Params::new(*rounds).ok()?;
                let digest = Zeroizing::new(sha_crypt::sha256_crypt(bytes, salt, params));
                Some(text_of(digest.as_slice(), &order_of_sha256()))
            }
            Self::Sha512Crypt { rounds, salt } => {
                let params = sha_crypt::Params::new(*rounds).ok()?;
                let digest = Zeroizing::new(sha_crypt::sha512_crypt(bytes, salt, params));
                Some(text_of(digest.as_slice(), &order_of_sha512()))
            }
            Self::Argon2(asked) => asked.hash(bytes),
            Self::Pbkdf2 { digest, rounds, length, salt } => {
                let mut key = Zeroizing::new(vec![0; *length]);
                pbkdf2::derive(digest.algorithm(), *rounds, salt, bytes, &mut key);
                Some(key)
            }
        }
    }
}

impl Argon2Recipe {
    fn hash(&self, clear: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(self.length));
        let argon2 = Argon2::new(self.sort, self.version, params.ok()?);
        let mut key = Zeroizing::new(vec![0; self.length]);
        argon2.hash_password_into(clear, &self.salt, &mut key).ok()?;
        Some(key)
    }
}

/// The digest of secret and salt.
fn digested(of: &'static digest::Algorithm, clear: &[u8], salt: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut context = digest::Context::new(of);
    context.update(clear);
    context.update(salt);
    Zeroizing::new(context.finish().as_ref().to_vec())
}
