//! From clear secret to stored hash: the only bridge, chosen by entropy.
//!
//! From 112 bits up one keyed hash is enough (NIST SP 800-63B on look-up
//! secrets) and keeps the fast path fast; below that, and for anything a person
//! chose, only Argon2id is.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::foreign::Recipe;
use crate::keys::{KeyId, Pepper};

/// HMAC-SHA-256 (RFC 2104) with a key in it.
pub(crate) type HmacSha256 = Hmac<Sha256>;

/// What is kept of a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretHash {
    /// HMAC-SHA-256 under a pepper: for secrets of at least 112 bits.
    Keyed {
        /// The pepper's id.
        pepper: KeyId,
        /// The code.
        mac: Mac256,
    },
    /// Argon2id over the peppered value: for anything weaker.
    Slow {
        /// The pepper's id.
        pepper: KeyId,
        /// The 32-byte output; salt and cost follow from the pepper and [`slow_salt`].
        digest: Mac256,
        /// Cost parameters it was made with.
        cost: SlowCost,
        /// How the presented secret is hashed first, where another system's hash was taken over.
        recipe: Option<Recipe>,
    },
}

impl SecretHash {
    /// The pepper that the hash was made under.
    pub const fn pepper(&self) -> KeyId {
        match self {
            Self::Keyed { pepper, .. } | Self::Slow { pepper, .. } => *pepper,
        }
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Keyed { .. } => "Keyed",
            Self::Slow { .. } => "Slow",
        };
        write!(f, "SecretHash::{name}(pepper {}, ..)", self.pepper())
    }
}

/// 32 bytes that compare in constant time and never show themselves.
#[derive(Clone, Copy)]
pub struct Mac256([u8; 32]);

impl Mac256 {
    /// Takes 32 bytes from the store.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Constant-time, so that how long a comparison takes says nothing about where it failed.
impl PartialEq for Mac256 {
    fn eq(&self, other: &Self) -> bool {
        let ((own, _), (others, _)) = (self.0.as_chunks::<8>(), other.0.as_chunks::<8>());
        // Word by word: eight times fewer steps, each of constant time.
        let words = own.iter().zip(others);
        let same = |(own, other): (&[u8; 8], &[u8; 8])| {
            u64::from_le_bytes(*own).ct_eq(&u64::from_le_bytes(*other))
        };
        words.map(same).fold(Choice::from(1), |all, same| all & same).into()
    }
}

impl Eq for Mac256 {}

impl fmt::Debug for Mac256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac256(..)")
    }
}

/// HMAC-SHA-256 of `parts`, each preceded by its length so that no two lists collide.
pub(crate) fn hmac256(key: &[u8; 32], domain: &[u8], parts: &[&[u8]]) -> Mac256 {
    let mut mac = keyed(key);
    mac.update(domain);
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    Mac256(mac.finalize().into_bytes().into())
}

/// HMAC-SHA-256 under a key.
pub(crate) fn keyed(key: &[u8; 32]) -> HmacSha256 {
    // HMAC takes a key of any length, so the error branch of the trait cannot occur for 32 bytes.
    #[expect(clippy::expect_used, reason = "HMAC accepts keys of every length (RFC 2104)")]
    HmacSha256::new_from_slice(key).expect("a 32-byte HMAC key")
}

/// The keyed hash of a secret in its canonical text.
pub fn keyed_hash(pepper: &Pepper, canonical: &str) -> Mac256 {
    let mut mac = pepper.keyed();
    mac.update(canonical.as_bytes());
    Mac256(mac.finalize().into_bytes().into())
}

/// Cost of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for SlowCost {
    /// 19 MiB, two passes, one lane: OWASP's first recommendation, about 19 ms here.
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

/// Argon2id refused its parameters or could not get its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("argon2id could not be computed")]
pub struct SlowHashFailed;

/// The salt of every slow secret of one owner for one service.
///
/// One salt for all of them, so that a single evaluation compares with each and
/// an attempt costs the same whether the person has three such tokens or does
/// not exist. It differs between people, services and peppers, and cannot be
/// known without the pepper.
pub fn slow_salt(pepper: &Pepper, realm: &str, owner: &str, service: &str) -> [u8; 16] {
    let parts = [realm.as_bytes(), owner.as_bytes(), service.as_bytes()];
    let mac = hmac256(pepper.bytes(), b"counterfoil slow salt 1", &parts);
    let mut salt = [0; 16];
    salt.copy_from_slice(&mac.as_bytes()[..16]);
    salt
}

/// Argon2id over the peppered secret. Takes tens of milliseconds: never on the fast path.
pub fn slow_digest(
    pepper: &Pepper,
    salt: [u8; 16],
    clear: &str,
    cost: SlowCost,
) -> Result<Mac256, SlowHashFailed> {
    argon2id(pepper, b"counterfoil slow 1", salt, clear.as_bytes(), cost)
}

/// Argon2id over the peppered hash of another system, so that what is stored is no more use to
/// whoever reads it than one of our own.
pub fn slow_digest_of_hash(
    pepper: &Pepper,
    salt: [u8; 16],
    hash: &[u8],
    cost: SlowCost,
) -> Result<Mac256, SlowHashFailed> {
    argon2id(pepper, b"counterfoil foreign 1", salt, hash, cost)
}

fn argon2id(
    pepper: &Pepper,
    domain: &[u8],
    salt: [u8; 16],
    input: &[u8],
    cost: SlowCost,
) -> Result<Mac256, SlowHashFailed> {
    let peppered = Zeroizing::new(*hmac256(pepper.bytes(), domain, &[input]).as_bytes());
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
    let params = params.map_err(|_| SlowHashFailed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut digest = [0; 32];
    argon2.hash_password_into(peppered.as_ref(), &salt, &mut digest).map_err(|_| SlowHashFailed)?;
    Ok(Mac256(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper(byte: u8) -> Pepper {
        Pepper::new(1, [byte; 32])
    }

    #[test]
    fn a_hash_depends_on_the_pepper_and_the_secret() {
        let one = keyed_hash(&pepper(1), "secret");
        assert_eq!(one, keyed_hash(&pepper(1), "secret"));
        assert_ne!(one, keyed_hash(&pepper(2), "secret"));
        assert_ne!(one, keyed_hash(&pepper(1), "secreu"));
    }

    #[test]
    fn lists_of_parts_do_not_collide() {
        let salt = |a, b| slow_salt(&pepper(1), "main", a, b);
        assert_ne!(salt("ab", "c"), salt("a", "bc"));
    }

    #[test]
    fn a_slow_digest_repeats_and_differs() {
        let cost = SlowCost { memory_kib: 64, passes: 1, lanes: 1 };
        let digest = |clear| slow_digest(&pepper(1), [7; 16], clear, cost).unwrap();
        assert_eq!(digest("hunter2"), digest("hunter2"));
        assert_ne!(digest("hunter2"), digest("hunter3"));
    }

    #[test]
    fn debug_shows_no_part_of_a_hash() {
        let mac = Mac256::from_bytes([0xab; 32]);
        let hash = SecretHash::Keyed { pepper: 3, mac };
        assert_eq!(format!("{hash:?}"), "SecretHash::Keyed(pepper 3, ..)");
        assert_eq!(format!("{mac:?}"), "Mac256(..)");
    }
}
