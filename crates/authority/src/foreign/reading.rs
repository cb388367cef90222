//! Hashes as files write them: what each text says of its recipe, and what is not taken over.

use std::num::NonZeroU32;

use argon2::{Algorithm, Version};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};
use zeroize::Zeroizing;

use super::crypt_text::ALPHABET;
use super::{
    Argon2Recipe, BadForeignHash, ForeignHash, Pbkdf2Digest, Recipe, SHA_CRYPT_ROUNDS_USUAL,
    bcrypt_alphabet, md5_crypt,
};

/// A longer text is no hash.
const TEXT_LENGTH_MAX: usize = 1024;
/// Bytes of a SHA-1 digest.
const SHA1_LEN: usize = 20;
/// Bytes of salt behind a digest at most; slapd writes 4 to 16.
const SALT_MAX: usize = 64;
/// Costs of bcrypt that are taken over. Below lies nothing that was ever a default; above, one
/// comparison takes a second and more, and anybody may ask for one.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=13;
/// What PHP, Apache and OpenBSD write in front of a bcrypt hash; all of them mean the same today.
const BCRYPT_PREFIXES: [&str; 3] = ["$2y$", "$2b$", "$2a$"];
/// Characters of a bcrypt hash behind its cost: 22 of salt, 31 of digest.
const BCRYPT_TAIL: usize = 53;
/// Rounds of SHA crypt that are taken over; more take longer than a second.
const SHA_CRYPT_ROUNDS: std::ops::RangeInclusive<u32> = 1_000..=500_000;
/// Characters of the salt of SHA crypt that count.
const SHA_CRYPT_SALT_MAX: usize = 16;
/// Argon2 beyond this takes more memory (KiB) and time than one comparison may.
const ARGON2_MEMORY_KIB_MAX: u32 = 65_536;
const ARGON2_PASSES_MAX: u32 = 10;
const ARGON2_LANES_MAX: u32 = 8;
/// Rounds of PBKDF2 beyond this take longer than a second.
const PBKDF2_ROUNDS_MAX: u32 = 2_000_000;
/// Bytes that Argon2 and PBKDF2 come to.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;
/// Characters of a hash of the first crypt, two of them salt.
const DES_LEN: usize = 13;

const NO_BASE64: BadForeignHash = BadForeignHash("is no base64");
const NO_BCRYPT: BadForeignHash = BadForeignHash("is no bcrypt hash");
const NO_CRYPT: BadForeignHash = BadForeignHash("is a crypt hash of the wrong shape");
const NO_ARGON2: BadForeignHash = BadForeignHash("is no Argon2 hash");
const NO_PBKDF2: BadForeignHash = BadForeignHash("is no PBKDF2 hash");
pub(super) const UNKNOWN: BadForeignHash = BadForeignHash("is no hash of a known sort");

/// What stands behind `prefix`, whose letters are of either case.
pub(super) fn behind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Bytes in base64 of either alphabet, with or without padding.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=').as_bytes();
    BASE64_NOPAD.decode(bare).or_else(|_| BASE64URL_NOPAD.decode(bare)).ok()
}

impl ForeignHash {
    /// Reads base64 of a SHA-1 digest and its salt, with or without `{SSHA}` in front.
    ///
    /// # Errors
    ///
    /// When it is no base64, or too short or too long.
    pub fn ssha(text: &str) -> Result<Self, BadForeignHash> {
        let text = behind(text, "{SSHA}").unwrap_or(text);
        let bad = BadForeignHash("is no SHA-1 digest with a salt behind it");
        salted(text, SHA1_LEN, bad, |salt| Recipe::Ssha { salt })
    }

    /// Reads `$2y$`, with or without `{CRYPT}` in front.
    ///
    /// # Errors
    ///
    /// When it has another shape, or a cost that is not taken over.
    pub fn bcrypt(text: &str) -> Result<Self, BadForeignHash> {
        let text = behind(text, "{CRYPT}").or_else(|| behind(text, "{BCRYPT}")).unwrap_or(text);
        let rest = BCRYPT_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
        let (cost, tail) = rest.ok_or(NO_BCRYPT)?.split_once('$').ok_or(NO_BCRYPT)?;
        let cost = cost.parse().map_err(|_| NO_BCRYPT)?;
        if !BCRYPT_COSTS.contains(&cost) {
            return Err(BadForeignHash("is bcrypt with a cost that is not taken over (4 to 13)"));
        }
        if tail.len() != BCRYPT_TAIL || !tail.is_ascii() {
            return Err(BadForeignHash("is a bcrypt hash of the wrong length"));
        }
        let (salt, hash) = tail.split_at(22);
        let no_salt = BadForeignHash("has a salt that is no bcrypt salt");
        let salt = bcrypt_base64(salt).ok_or(no_salt)?.try_into().map_err(|_| no_salt)?;
        bcrypt_base64(hash).ok_or(NO_BCRYPT)?;
        let hash = Zeroizing::new(hash.as_bytes().to_vec());
        Ok(Self { recipe: Recipe::Bcrypt { cost, salt }, hash })
    }

    /// Reads a value that says itself what it is: `{SHA}`, `{SSHA}`, `{SSHA256}`, `{SSHA512}`,
    /// `{CRYPT}`, `{ARGON2}`, `{BCRYPT}` and `{PBKDF2...}` of directories, `$2y$`, `$apr1$`,
    /// `$1$`, `$5$` and `$6$` of `crypt(3)`, Argon2 in the PHC form, PBKDF2 in the PHC form, in
    /// passlib's, and in Django's.
    ///
    /// # Errors
    ///
    /// When it is none of these, or costs more than one comparison may.
    pub fn of_any(text: &str) -> Result<Self, BadForeignHash> {
        if text.len() > TEXT_LENGTH_MAX {
            return Err(BadForeignHash("is too long for a hash"));
        }
        if let Some(rest) = behind(text, "{SHA}") {
            let hash = BASE64.decode(rest.as_bytes()).map_err(|_| NO_BASE64)?;
            let is_whole = hash.len() == SHA1_LEN;
            let hash = is_whole.then_some(hash).ok_or(BadForeignHash("is no SHA-1 digest"))?;
            return Ok(Self { recipe: Recipe::Sha, hash: Zeroizing::new(hash) });
        }
        if behind(text, "{SSHA}").is_some() {
            return Self::ssha(text);
        }
        if let Some(rest) = behind(text, "{SSHA256}") {
            let bad = BadForeignHash("is no SHA-256 digest with a salt behind it");
            return salted(rest, 32, bad, |salt| Recipe::Ssha256 { salt });
        }
        if let Some(rest) = behind(text, "{SSHA512}") {
            let bad = BadForeignHash("is no SHA-512 digest with a salt behind it");
            return salted(rest, 64, bad, |salt| Recipe::Ssha512 { salt });
        }
        let pbkdf2s = [
            ("{PBKDF2-SHA512}", Pbkdf2Digest::Sha512),
            ("{PBKDF2-SHA256}", Pbkdf2Digest::Sha256),
            ("{PBKDF2-SHA1}", Pbkdf2Digest::Sha1),
            ("{PBKDF2}", Pbkdf2Digest::Sha1),
        ];
        for (name, digest) in pbkdf2s {
            if let Some(rest) = behind(text, name) {
                return pbkdf2(digest, rest);
            }
        }
        let bare = ["{CRYPT}", "{ARGON2}", "{BCRYPT}"].iter().find_map(|name| behind(text, name));
        of_crypt(bare.unwrap_or(text))
    }
}

/// What begins with a dollar, and what Django writes.
fn of_crypt(text: &str) -> Result<ForeignHash, BadForeignHash> {
    if text.starts_with("$2") {
        return ForeignHash::bcrypt(text);
    }
    if let Some(rest) = text.strip_prefix("$apr1$") {
        return md5(true, rest);
    }
    if let Some(rest) = text.strip_prefix("$1$") {
        return md5(false, rest);
    }
    if let Some(rest) = text.strip_prefix("$5$") {
        return sha_crypt(rest, 43, |rounds, salt| Recipe::Sha256Crypt { rounds, salt });
    }
    if let Some(rest) = text.strip_prefix("$6$") {
        return sha_crypt(rest, 86, |rounds, salt| Recipe::Sha512Crypt { rounds, salt });
    }
    if let Some(rest) = text.strip_prefix("$argon2") {
        return argon2(rest);
    }
    let pbkdf2s = [
        ("$pbkdf2-sha512$", Pbkdf2Digest::Sha512),
        ("$pbkdf2-sha256$", Pbkdf2Digest::Sha256),
        ("$pbkdf2$", Pbkdf2Digest::Sha1),
    ];
    for (name, digest) in pbkdf2s {
        if let Some(rest) = text.strip_prefix(name) {
            return pbkdf2(digest, rest);
        }
    }
    for (name, digest) in
        [("pbkdf2_sha256$", Pbkdf2Digest::Sha256), ("pbkdf2_sha1$", Pbkdf2Digest::Sha1)]
    {
        if let Some(rest) = text.strip_prefix(name) {
            return django(digest, rest);
        }
    }
    if ["$y$", "$gy$", "$7$"].iter().any(|prefix| text.starts_with(prefix)) {
        return Err(BadForeignHash("is a yescrypt or scrypt hash, which is not computed here"));
    }
    if text.len() == DES_LEN && is_of_crypt(text) {
        return Err(BadForeignHash(
            "is a hash of the first crypt (DES), which counts 8 characters and is not taken over",
        ));
    }
    Err(UNKNOWN)
}

fn salted(
    text: &str,
    length: usize,
    bad: BadForeignHash,
    recipe: impl Fn(Vec<u8>) -> Recipe,
) -> Result<ForeignHash, BadForeignHash> {
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| NO_BASE64)?;
    let bytes = Zeroizing::new(bytes);
    if !(length + 1..=length + SALT_MAX).contains(&bytes.len()) {
        return Err(bad);
    }
    let (hash, salt) = bytes.split_at(length);
    Ok(ForeignHash { recipe: recipe(salt.to_vec()), hash: Zeroizing::new(hash.to_vec()) })
}

fn bcrypt_base64(text: &str) -> Option<Vec<u8>> {
    bcrypt_alphabet()?.decode(text.as_bytes()).ok()
}

fn is_of_crypt(text: &str) -> bool {
    text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// A salt as it is, and the hash behind it, of this many characters.
fn salt_and_hash(
    text: &str,
    salt_max: usize,
    length: usize,
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), BadForeignHash> {
    let (salt, hash) = text.split_once('$').ok_or(NO_CRYPT)?;
    if salt.len() > salt_max || !salt.is_ascii() || hash.len() != length || !is_of_crypt(hash) {
        return Err(NO_CRYPT);
    }
    Ok((salt.as_bytes().to_vec(), Zeroizing::new(hash.as_bytes().to_vec())))
}

fn md5(apache: bool, rest: &str) -> Result<ForeignHash, BadForeignHash> {
    let (salt, hash) = salt_and_hash(rest, md5_crypt::SALT_LEN_MAX, 22)?;
    Ok(ForeignHash { recipe: Recipe::Md5Crypt { apache, salt }, hash })
}

fn sha_crypt(
    rest: &str,
    length: usize,
    recipe: impl Fn(u32, Vec<u8>) -> Recipe,
) -> Result<ForeignHash, BadForeignHash> {
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        // What stands without rounds was hashed with 5000 of them.
        None => (SHA_CRYPT_ROUNDS_USUAL, rest),
        Some(named) => {
            let (rounds, rest) = named.split_once('$').ok_or(NO_CRYPT)?;
            (rounds.parse().map_err(|_| NO_CRYPT)?, rest)
        }
    };
    if !SHA_CRYPT_ROUNDS.contains(&rounds) {
        let why = "is SHA crypt with rounds that are not taken over (1000 to 500000)";
        return Err(BadForeignHash(why));
    }
    let (salt, hash) = salt_and_hash(rest, SHA_CRYPT_SALT_MAX, length)?;
    Ok(ForeignHash { recipe: recipe(rounds, salt), hash })
}

/// `id$v=19$m=65536,t=3,p=4$SALT$HASH`, where the version may be missing: then it is the first.
fn argon2(rest: &str) -> Result<ForeignHash, BadForeignHash> {
    let mut fields: Vec<&str> = rest.split('$').collect();
    let version = match fields.get(1).and_then(|field| field.strip_prefix("v=")) {
        None => Version::V0x10,
        Some(number) => {
            fields.remove(1);
            let number: u32 = number.parse().map_err(|_| NO_ARGON2)?;
            Version::try_from(number).map_err(|_| NO_ARGON2)?
        }
    };
    let [sort, costs, salt, hash] = fields[..] else { return Err(NO_ARGON2) };
    let sort = match sort {
        "d" => Algorithm::Argon2d,
        "i" => Algorithm::Argon2i,
        "id" => Algorithm::Argon2id,
        _ => return Err(NO_ARGON2),
    };
    let cost = |name: &str| {
        let mut named = costs.split(',').filter_map(|one| one.split_once('='));
        let found = named.find(|(own, _)| *own == name);
        found.and_then(|(_, number)| number.parse::<u32>().ok()).ok_or(NO_ARGON2)
    };
    let (memory_kib, passes, lanes) = (cost("m")?, cost("t")?, cost("p")?);
    let bearable = memory_kib <= ARGON2_MEMORY_KIB_MAX
        && passes <= ARGON2_PASSES_MAX
        && lanes <= ARGON2_LANES_MAX;
    if !bearable {
        return Err(BadForeignHash("is Argon2 at a cost that is not computed here"));
    }
    let salt = base64(salt).filter(|salt| (8..=SALT_MAX).contains(&salt.len()));
    let (salt, hash) = (salt.ok_or(NO_ARGON2)?, key(hash, NO_ARGON2)?);
    let length = hash.len();
    argon2::Params::new(memory_kib, passes, lanes, Some(length)).map_err(|_| NO_ARGON2)?;
    let asked = Argon2Recipe { sort, version, memory_kib, passes, lanes, length, salt };
    Ok(ForeignHash { recipe: Recipe::Argon2(asked), hash })
}

/// What Argon2 or PBKDF2 came to.
fn key(text: &str, bad: BadForeignHash) -> Result<Zeroizing<Vec<u8>>, BadForeignHash> {
    let read = base64(&text.replace('.', "+")).map(Zeroizing::new);
    read.filter(|bytes| KEY_LENGTHS.contains(&bytes.len())).ok_or(bad)
}

/// `ROUNDS$SALT$HASH` of directories and passlib, whose base64 writes `.` for `+`, and
/// `i=ROUNDS,l=LENGTH$SALT$HASH` of the PHC form.
fn pbkdf2(digest: Pbkdf2Digest, rest: &str) -> Result<ForeignHash, BadForeignHash> {
    let fields: Vec<&str> = rest.split('$').collect();
    let [costs, salt, hash] = fields[..] else { return Err(NO_PBKDF2) };
    let rounds = match costs.strip_prefix("i=") {
        None => costs,
        Some(named) => named.split(',').next().unwrap_or_default(),
    };
    let salt = base64(&salt.replace('.', "+")).filter(|salt| salt.len() <= SALT_MAX);
    of_pbkdf2(digest, rounds, salt.ok_or(NO_PBKDF2)?, hash)
}

/// `ROUNDS$SALT$HASH`, where the salt is text as it is.
fn django(digest: Pbkdf2Digest, rest: &str) -> Result<ForeignHash, BadForeignHash> {
    let fields: Vec<&str> = rest.split('$').collect();
    let [rounds, salt, hash] = fields[..] else { return Err(NO_PBKDF2) };
    if salt.len() > SALT_MAX {
        return Err(NO_PBKDF2);
    }
    of_pbkdf2(digest, rounds, salt.as_bytes().to_vec(), hash)
}

fn of_pbkdf2(
    digest: Pbkdf2Digest,
    rounds: &str,
    salt: Vec<u8>,
    hash: &str,
) -> Result<ForeignHash, BadForeignHash> {
    let rounds: NonZeroU32 = rounds.parse().map_err(|_| NO_PBKDF2)?;
    if rounds.get() > PBKDF2_ROUNDS_MAX {
        return Err(BadForeignHash("is PBKDF2 with more rounds than are computed here"));
    }
    let hash = key(hash, NO_PBKDF2)?;
    Ok(ForeignHash { recipe: Recipe::Pbkdf2 { digest, rounds, length: hash.len(), salt }, hash })
}
