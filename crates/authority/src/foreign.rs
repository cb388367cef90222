//! Password hashes of other systems, so that whoever moves here need not choose anew.
//!
//! Nothing of such a hash is stored as it came: see docs/decisions/0022. What is kept of it is a
//! recipe, by which a presented secret is hashed as the other system would have, and Argon2id
//! over the outcome.

use aws_lc_rs::digest;
use data_encoding::{BASE64, Encoding, HEXLOWER, Specification};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Bytes of a SHA-1 digest.
const SHA1_LEN: usize = 20;
/// Bytes of salt behind a SHA-1 digest at most; slapd writes 4 to 16.
const SSHA_SALT_MAX: usize = 64;
/// Costs of bcrypt that are taken over. Below lies nothing that was ever a default; above, one
/// comparison takes a second and more, and anybody may ask for one.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=13;
/// The cost that PHP has used since there is `password_hash`.
const BCRYPT_COST_USUAL: u32 = 10;
/// What PHP, Apache and OpenBSD write in front of a bcrypt hash; all of them mean the same today.
const BCRYPT_PREFIXES: [&str; 3] = ["$2y$", "$2b$", "$2a$"];
/// Characters of a bcrypt hash behind its cost: 22 of salt, 31 of digest.
const BCRYPT_TAIL: usize = 53;

/// A sort of hash that can be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForeignScheme {
    /// SHA-1 over secret and salt, `{SSHA}` of directories.
    Ssha,
    /// bcrypt, PHP's `$2y$`.
    Bcrypt,
}

impl ForeignScheme {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssha => "ssha",
            Self::Bcrypt => "bcrypt",
        }
    }

    /// A recipe that belongs to nobody, so that who has no such hash costs as much as who has.
    pub fn stand_in(self) -> Recipe {
        match self {
            Self::Ssha => Recipe::Ssha { salt: vec![0; 4] },
            Self::Bcrypt => Recipe::Bcrypt { cost: BCRYPT_COST_USUAL, salt: [0; 16] },
        }
    }
}

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
}

impl Recipe {
    /// The sort of hash.
    pub const fn scheme(&self) -> ForeignScheme {
        match self {
            Self::Ssha { .. } => ForeignScheme::Ssha,
            Self::Bcrypt { .. } => ForeignScheme::Bcrypt,
        }
    }

    /// The recipe as the store keeps it: `ssha SALT` or `bcrypt COST SALT`, in hexadecimal.
    pub fn text(&self) -> String {
        match self {
            Self::Ssha { salt } => format!("ssha {}", HEXLOWER.encode(salt)),
            Self::Bcrypt { cost, salt } => format!("bcrypt {cost} {}", HEXLOWER.encode(salt)),
        }
    }

    /// The recipe that the store kept.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let recipe = match words.next()? {
            "ssha" => Self::Ssha { salt: HEXLOWER.decode(words.next()?.as_bytes()).ok()? },
            "bcrypt" => {
                let cost = words.next()?.parse().ok()?;
                let salt = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
                Self::Bcrypt { cost, salt: salt.try_into().ok()? }
            }
            _ => return None,
        };
        words.next().is_none().then_some(recipe)
    }

    /// What the other system would have stored of this secret, without the salt. Takes tens of
    /// milliseconds with bcrypt. `None` if the recipe makes no sense.
    pub fn hash(&self, clear: &str) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Ssha { salt } => {
                let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
                context.update(clear.as_bytes());
                context.update(salt);
                Some(Zeroizing::new(context.finish().as_ref().to_vec()))
            }
            Self::Bcrypt { cost, salt } => {
                let parts = bcrypt::hash_with_salt(clear.as_bytes(), *cost, *salt).ok()?;
                let text = Zeroizing::new(parts.to_string());
                let (_, digest) = text.split_at_checked(text.len().checked_sub(31)?)?;
                Some(Zeroizing::new(digest.as_bytes().to_vec()))
            }
        }
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

impl std::fmt::Debug for ForeignHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ForeignHash({}, ..)", self.recipe.scheme().name())
    }
}

impl ForeignHash {
    /// Reads base64 of a SHA-1 digest and its salt, with or without `{SSHA}` in front.
    ///
    /// # Errors
    ///
    /// When it is no base64, or too short or too long.
    pub fn ssha(text: &str) -> Result<Self, BadForeignHash> {
        let head = text.get(..6).filter(|head| head.eq_ignore_ascii_case("{SSHA}"));
        let text = head.map_or(text, |_| &text[6..]);
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| BadForeignHash("is no base64"))?;
        let bytes = Zeroizing::new(bytes);
        if !(SHA1_LEN + 1..=SHA1_LEN + SSHA_SALT_MAX).contains(&bytes.len()) {
            return Err(BadForeignHash("is no SHA-1 digest with a salt behind it"));
        }
        let (hash, salt) = bytes.split_at(SHA1_LEN);
        let recipe = Recipe::Ssha { salt: salt.to_vec() };
        Ok(Self { recipe, hash: Zeroizing::new(hash.to_vec()) })
    }

    /// Reads `$2y$`, with or without `{CRYPT}` in front.
    ///
    /// # Errors
    ///
    /// When it has another shape, or a cost that is not taken over.
    pub fn bcrypt(text: &str) -> Result<Self, BadForeignHash> {
        let head = text.get(..7).filter(|head| head.eq_ignore_ascii_case("{CRYPT}"));
        let text = head.map_or(text, |_| &text[7..]);
        let rest = BCRYPT_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
        let rest = rest.ok_or(BadForeignHash("is no bcrypt hash"))?;
        let (cost, tail) = rest.split_once('$').ok_or(BadForeignHash("is no bcrypt hash"))?;
        let cost = cost.parse().map_err(|_| BadForeignHash("is no bcrypt hash"))?;
        if !BCRYPT_COSTS.contains(&cost) {
            return Err(BadForeignHash("is bcrypt with a cost that is not taken over (4 to 13)"));
        }
        if tail.len() != BCRYPT_TAIL || !tail.is_ascii() {
            return Err(BadForeignHash("is a bcrypt hash of the wrong length"));
        }
        let (salt, hash) = tail.split_at(22);
        let salt =
            bcrypt_base64(salt).ok_or(BadForeignHash("has a salt that is no bcrypt salt"))?;
        bcrypt_base64(hash).ok_or(BadForeignHash("is no bcrypt hash"))?;
        let hash = Zeroizing::new(hash.as_bytes().to_vec());
        Ok(Self {
            recipe: Recipe::Bcrypt { cost, salt: salt.try_into().unwrap_or_default() },
            hash,
        })
    }

    /// Reads a value that says itself what it is: `{SSHA}`, `{CRYPT}$2y$` or `$2y$`.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn of_any(text: &str) -> Result<Self, BadForeignHash> {
        let names_ssha = text.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("{SSHA}"));
        if names_ssha { Self::ssha(text) } else { Self::bcrypt(text) }
    }

    /// Whether it is the hash of this secret.
    pub fn is_of(&self, clear: &str) -> bool {
        self.recipe.hash(clear).is_some_and(|hash| *hash == *self.hash)
    }

    /// The hash as directories write it: `{SSHA}...` or `{CRYPT}$2y$...`.
    pub(crate) fn directory_value(&self) -> Zeroizing<String> {
        Zeroizing::new(match &self.recipe {
            Recipe::Ssha { salt } => {
                let both = Zeroizing::new([self.hash.as_slice(), salt].concat());
                format!("{{SSHA}}{}", BASE64.encode(&both))
            }
            Recipe::Bcrypt { cost, salt } => {
                let salt = bcrypt_alphabet().map(|base| base.encode(salt)).unwrap_or_default();
                let digest = String::from_utf8_lossy(&self.hash);
                format!("{{CRYPT}}$2y${cost:02}${salt}{digest}")
            }
        })
    }

    /// The outcome, without the salt.
    pub(crate) fn outcome(&self) -> Zeroizing<Vec<u8>> {
        self.hash.clone()
    }
}

/// bcrypt's base64 has an alphabet of its own, and leaves bits over at the end.
fn bcrypt_alphabet() -> Option<Encoding> {
    let mut spec = Specification::new();
    spec.symbols.push_str("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    spec.check_trailing_bits = false;
    spec.encoding().ok()
}

fn bcrypt_base64(text: &str) -> Option<Vec<u8>> {
    bcrypt_alphabet()?.decode(text.as_bytes()).ok()
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
            ForeignScheme::Ssha.stand_in(),
        ] {
            assert_eq!(Recipe::from_text(&recipe.text()), Some(recipe));
        }
        for bad in ["", "ssha", "ssha zz", "bcrypt 10", "bcrypt x 00", "md5 00", "ssha 00 00"] {
            assert_eq!(Recipe::from_text(bad), None, "{bad}");
        }
    }
}
