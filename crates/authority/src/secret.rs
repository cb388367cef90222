//! Clear secrets: how they are made, how they look, and how they are recognised.
//!
//! A clear secret exists only in the request that issues or presents it. The
//! only bridge to what is stored is [`crate::secret_hash`].

mod find;
mod folded;
pub(crate) mod mark;

use std::fmt;

use zeroize::Zeroizing;

use crate::access::claims;
use crate::clock::{Entropy, NoEntropy};
use crate::kind::Kind;

pub use find::{FoundToken, TOKEN_LEN_MAX, TokenFinder};
pub use folded::holds_folded_token;

/// The 62 characters of ids, secrets and checksums, in the order of their value.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 32 characters of which no two look alike (no I, L, O, U): typed by people. Stored lower case.
const GROUPED: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// What a typed character of a grouped secret stands for, by its byte; zero for what stands in
/// none. Whoever types O for 0 or I for 1 read the same mark.
const READ_AS: [u8; 256] = {
    let mut table = [0; 256];
    let mut place = 0;
    while place < GROUPED.len() {
        let byte = GROUPED[place];
        table[byte as usize] = byte;
        table[byte.to_ascii_uppercase() as usize] = byte;
        place += 1;
    }
    table[b'o' as usize] = b'0';
    table[b'O' as usize] = b'0';
    table[b'i' as usize] = b'1';
    table[b'I' as usize] = b'1';
    table[b'l' as usize] = b'1';
    table[b'L' as usize] = b'1';
    table
};
/// Characters of an id.
pub const ID_LEN: usize = 12;
/// Characters of the secret part: 32 of 62 are 190 bits.
const SECRET_LEN: usize = 32;
/// Characters of the checksum: 62^6 > 2^32.
const CRC_LEN: usize = 6;
/// Characters of a grouped secret without its dashes: 24 of 32 are 120 bits.
pub const GROUPED_LEN: usize = 24;
/// A presented secret longer than this is refused before anything is computed.
/// The longest form of our own has 61 characters; the rest is room for imported ones.
pub const PRESENTED_LEN_MAX: usize = 512;
/// From this many bits on a keyed hash is enough (NIST SP 800-63B, look-up secrets).
pub const FAST_ENTROPY_BITS_MIN: u32 = 112;

/// A secret in clear. Wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClearSecret(Zeroizing<String>);

impl ClearSecret {
    /// Takes a clear text into custody.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The clear text, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClearSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClearSecret(..)")
    }
}

/// The public name of a token: 12 base62 characters, safe in logs and lists.
///
/// Invariant: every byte is one of `[0-9A-Za-z]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId([u8; ID_LEN]);

impl TokenId {
    /// Recognises an id; `None` if the text has another shape.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; ID_LEN] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphanumeric).then_some(Self(bytes))
    }

    /// A fresh random id.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut id = [0; ID_LEN];
        fill_from(BASE62, entropy, &mut id)?;
        Ok(Self(id))
    }

    /// The id that belongs to a digest: the same for the same one. Zeros where it is too short.
    pub(crate) fn of_digest(digest: &[u8]) -> Self {
        let mut id = [b'0'; ID_LEN];
        for (place, byte) in id.iter_mut().zip(digest) {
            *place = BASE62[usize::from(*byte) % BASE62.len()];
        }
        Self(id)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // ASCII by the invariant, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id's bytes, all ASCII.
    pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({})", self.as_str())
    }
}

/// The installation's prefix of token strings, `[a-z][a-z0-9]{1,7}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// A prefix of another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token prefix is a lower-case letter followed by one to seven lower-case letters or digits"
)]
pub struct BadPrefix;

impl Prefix {
    /// Recognises a prefix.
    pub fn parse(text: &str) -> Result<Self, BadPrefix> {
        let shaped = (2..=8).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && text.starts_with(|c: char| c.is_ascii_lowercase());
        if shaped { Ok(Self(text.to_owned())) } else { Err(BadPrefix) }
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("cfl".to_owned())
    }
}

/// What the shape of a presented string says, before any look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// `cfl<k>_<id>_<secret><crc>` with a right checksum.
    Prefixed {
        /// The kind letter's kind.
        kind: Kind,
        /// The token's id.
        id: TokenId,
    },
    /// A form without an id that has bits enough to be found by its hash: 24 characters of the
    /// grouped alphabet, dashes and case already taken out, or COmanage's form of at least
    /// [`AG_STRONG`] characters, as it is.
    Grouped(Zeroizing<String>),
    /// Three parts of base64url, the first of them a JSON object: perhaps an access token of ours,
    /// under this `jti`. Nothing of it is believed yet.
    Jwt(Option<TokenId>),
    /// Looks like one of ours, but the checksum is wrong: mistyped, never looked up.
    BadChecksum,
    /// Anything else, at most [`PRESENTED_LEN_MAX`] bytes long: perhaps a self-chosen secret.
    Other,
    /// Empty, too long, or with control characters: nothing we ever issued.
    Impossible,
}

/// Reads the shape of `presented` (shape and checksum, the first two steps of verify).
pub fn shape_of(presented: &str, prefixes: &[Prefix]) -> Shape {
    if claims::looks_like_jwt(presented) {
        return Shape::Jwt(claims::jti_hint(presented));
    }
    if presented.is_empty() || presented.len() > PRESENTED_LEN_MAX {
        return Shape::Impossible;
    }
    let like_ours = prefixes.iter().find_map(|prefix| prefixed_shape(presented, prefix));
    // One of ours has been looked at character by character.
    if !matches!(like_ours, Some(Shape::Prefixed { .. }))
        && presented.bytes().any(|b| b.is_ascii_control())
    {
        return Shape::Impossible;
    }
    if let Some(shape) = like_ours {
        return shape;
    }
    if prefixes.iter().any(|prefix| is_nearly_prefixed(presented, prefix)) {
        return Shape::BadChecksum;
    }
    match grouped_normal(presented) {
        Some(normal) => Shape::Grouped(normal),
        None if is_strong_ag(presented) || is_hex64(presented) => {
            Shape::Grouped(Zeroizing::new(presented.to_owned()))
        }
        None => Shape::Other,
    }
}

/// Whether this is COmanage's form, long enough to be found by its hash: groups of four, exactly
/// as they were shown.
fn is_strong_ag(presented: &str) -> bool {
    let groups = presented.split('-');
    let (mut characters, mut complete) = (0, true);
    for group in groups {
        // Only the last one may be shorter.
        if !complete || group.is_empty() || group.len() > AG_GROUP {
            return false;
        }
        complete = group.len() == AG_GROUP;
        characters += group.len();
        if !group.bytes().all(|b| AG.contains(&b)) {
            return false;
        }
    }
    (AG_STRONG..=AG_MAX).contains(&characters)
}

/// Characters of a token as it stands on a directory profile of ForgeRock AM.
pub const HEX_TOKEN_LEN: usize = 64;

/// Whether this is the form of a token of ForgeRock AM, 256 bits in small hexadecimal digits:
/// exactly as it was shown, so that no other spelling of it is one.
fn is_hex64(presented: &str) -> bool {
    presented.len() == HEX_TOKEN_LEN
        && presented.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// `None` unless the string starts like one of ours: prefix, one letter, underscore.
fn prefixed_shape(presented: &str, prefix: &Prefix) -> Option<Shape> {
    let rest = presented.strip_prefix(prefix.as_str())?.as_bytes();
    let (&letter, rest) = rest.split_first()?;
    let rest = rest.strip_prefix(b"_")?;
    if rest.len() != ID_LEN + 1 + SECRET_LEN + CRC_LEN {
        return Some(Shape::BadChecksum);
    }
    let (id, rest) = rest.split_at(ID_LEN);
    let (underscore, tail) = rest.split_at(1);
    let (_, crc) = tail.split_at(SECRET_LEN);
    let covered = presented.len() - CRC_LEN;
    let right = underscore == b"_"
        // Without a way out in between, the characters are looked at many at a time.
        && tail.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
        && presented.as_bytes().get(..covered).is_some_and(|head| checksum(head) == crc);
    let kind = Kind::from_letter(char::from(letter));
    let id = std::str::from_utf8(id).ok().and_then(TokenId::parse);
    match (right, kind, id) {
        (true, Some(kind), Some(id)) => Some(Shape::Prefixed { kind, id }),
        _ => Some(Shape::BadChecksum),
    }
}

/// One character away from one of ours: the right length, and the right beginning or the
/// right second underscore. Such a string is a typing error, never a self-chosen secret
/// (issue refuses those), so nobody's Argon2 time is spent on it.
fn is_nearly_prefixed(presented: &str, prefix: &Prefix) -> bool {
    let head = prefix.as_str().len() + 2;
    presented.len() == head + ID_LEN + 1 + SECRET_LEN + CRC_LEN
        && (presented.starts_with(prefix.as_str())
            || presented.as_bytes().get(head + ID_LEN) == Some(&b'_'))
}

/// Whether a text holds one of our token strings somewhere, with a right checksum.
pub fn holds_token(text: &str, prefixes: &[Prefix]) -> bool {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.into_iter().any(|word| {
        prefixes.iter().any(|prefix| {
            let length = prefix.as_str().len() + 2 + ID_LEN + 1 + SECRET_LEN + CRC_LEN;
            word.match_indices(prefix.as_str()).any(|(start, _)| {
                let candidate = word.get(start..start + length);
                candidate.is_some_and(|candidate| {
                    matches!(prefixed_shape(candidate, prefix), Some(Shape::Prefixed { .. }))
                })
            })
        })
    })
}

/// The normal form of a grouped secret: lower case, no dashes. `None` for any other shape.
fn grouped_normal(presented: &str) -> Option<Zeroizing<String>> {
    let mut normal = Zeroizing::new(String::with_capacity(GROUPED_LEN));
    for byte in presented.bytes().filter(|&b| b != b'-') {
        let read = READ_AS[usize::from(byte)];
        if read == 0 || normal.len() == GROUPED_LEN {
            return None;
        }
        normal.push(char::from(read));
    }
    (normal.len() == GROUPED_LEN).then_some(normal)
}

/// CRC-32 (IEEE) of `head` in base62, left-padded to six characters.
fn checksum(head: &[u8]) -> [u8; CRC_LEN] {
    let mut value = crc32fast::hash(head);
    let mut text = [b'0'; CRC_LEN];
    for slot in text.iter_mut().rev() {
        let digit = value % 62;
        value /= 62;
        *slot = usize::try_from(digit).ok().and_then(|d| BASE62.get(d)).copied().unwrap_or(b'0');
    }
    text
}

/// Makes the `cfl<k>_..` string of a token: 190 random bits and a checksum.
pub fn generate_prefixed(
    prefix: &Prefix,
    kind: Kind,
    id: TokenId,
    entropy: &dyn Entropy,
) -> Result<ClearSecret, NoEntropy> {
    let mut secret = Zeroizing::new([0; SECRET_LEN]);
    fill_from(BASE62, entropy, secret.as_mut())?;
    let mut text = String::with_capacity(prefix.as_str().len() + 53);
    text.push_str(prefix.as_str());
    text.push(kind.letter());
    text.push('_');
    text.push_str(id.as_str());
    text.push('_');
    text.extend(secret.iter().map(|&b| char::from(b)));
    let crc = checksum(text.as_bytes());
    text.extend(crc.iter().map(|&b| char::from(b)));
    Ok(ClearSecret::new(text))
}

/// Makes a grouped secret, `xxxx-xxxx-xxxx-xxxx-xxxx-xxxx`: 120 random bits.
pub fn generate_grouped(entropy: &dyn Entropy) -> Result<ClearSecret, NoEntropy> {
    let mut characters = Zeroizing::new([0; GROUPED_LEN]);
    fill_from(GROUPED, entropy, characters.as_mut())?;
    let mut text = String::with_capacity(GROUPED_LEN + 5);
    for (position, &character) in characters.iter().enumerate() {
        if position > 0 && position.is_multiple_of(4) {
            text.push('-');
        }
        text.push(char::from(character));
    }
    Ok(ClearSecret::new(text))
}

/// The alphabet of COmanage's autogenerated form: small letters and digits, without the l.
const AG: &[u8; 35] = b"abcdefghijkmnopqrstuvwxyz0123456789";
/// Characters between two of its dashes.
const AG_GROUP: usize = 4;
/// From so many characters on, the form has 112 bits, at 5.13 each.
pub const AG_STRONG: usize = 22;
/// The longest that a policy may ask for.
const AG_MAX: usize = 64;

/// Makes a secret of COmanage's form `plain15` or `plain08`: letters and digits, 5.95 bits each.
pub fn generate_plain(length: usize, entropy: &dyn Entropy) -> Result<ClearSecret, NoEntropy> {
    let mut characters = Zeroizing::new(vec![0; length]);
    fill_from(BASE62, entropy, &mut characters)?;
    Ok(ClearSecret::new(characters.iter().map(|&b| char::from(b)).collect()))
}

/// Makes a secret of COmanage's autogenerated form: exactly `length` characters, at most 64, in
/// dashed groups of four.
pub fn generate_ag(length: usize, entropy: &dyn Entropy) -> Result<ClearSecret, NoEntropy> {
    let mut characters = Zeroizing::new(vec![0; length.min(AG_MAX)]);
    fill_from(AG, entropy, &mut characters)?;
    let mut text = String::with_capacity(length + length / AG_GROUP);
    for (position, &character) in characters.iter().enumerate() {
        if position > 0 && position.is_multiple_of(AG_GROUP) {
            text.push('-');
        }
        text.push(char::from(character));
    }
    Ok(ClearSecret::new(text))
}

/// Letters of a code that one person reads to another: no vowels, so that no word comes out, and
/// none that look alike (RFC 8628 section 6.1).
const CODE: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Makes a user code, `XXXX-XXXX`: 34 random bits for a day, and only administrators may use it.
pub fn generate_user_code(entropy: &dyn Entropy) -> Result<String, NoEntropy> {
    let mut letters = [0; 8];
    fill_from(CODE, entropy, &mut letters)?;
    let (head, tail) = letters.split_at(4);
    let half = |letters: &[u8]| letters.iter().map(|&b| char::from(b)).collect::<String>();
    Ok(format!("{}-{}", half(head), half(tail)))
}

/// The normal form of a user code as somebody typed it: capital letters, one dash.
pub fn user_code_of(typed: &str) -> Option<String> {
    let letters: String =
        typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
    let known = letters.bytes().all(|b| CODE.contains(&b));
    let (head, tail) = (letters.get(..4)?, letters.get(4..)?);
    (known && tail.len() == 4).then(|| format!("{head}-{tail}"))
}

/// Fills `out` with uniformly drawn characters of `alphabet`.
///
/// Rejection sampling: bytes beyond the largest multiple of the alphabet's
/// length are thrown away, because a plain remainder would favour the first
/// characters.
fn fill_from(alphabet: &[u8], entropy: &dyn Entropy, out: &mut [u8]) -> Result<(), NoEntropy> {
    let limit = 256 - 256 % alphabet.len();
    let mut pool = Zeroizing::new([0u8; 64]);
    let mut next = pool.len();
    for slot in out.iter_mut() {
        *slot = loop {
            if next == pool.len() {
                entropy.fill(pool.as_mut())?;
                next = 0;
            }
            let value = pool.get(next).copied().map_or(usize::MAX, usize::from);
            next += 1;
            if value < limit
                && let Some(&character) = alphabet.get(value % alphabet.len())
            {
                break character;
            }
        };
    }
    Ok(())
}

/// A cautious estimate of the bits in a secret that somebody chose.
///
/// Counts the alphabet that the characters prove, not the one they might have
/// come from, and gives nothing for repeats: "aaaaaaaaaaaaaaaaaaaaaaaa" has no
/// more than one character's worth per distinct neighbour.
pub fn entropy_bits_chosen(text: &str) -> u32 {
    let mut classes = [false; 4];
    let mut fresh = 0_u32;
    let mut previous = None;
    for character in text.chars() {
        let class = match character {
            'a'..='z' => 0,
            'A'..='Z' => 1,
            '0'..='9' => 2,
            _ => 3,
        };
        if let Some(slot) = classes.get_mut(class) {
            *slot = true;
        }
        if previous != Some(character) {
            fresh += 1;
        }
        previous = Some(character);
    }
    let sizes = [26_u32, 26, 10, 16];
    let alphabet: u32 =
        classes.iter().zip(sizes).map(|(&seen, size)| if seen { size } else { 0 }).sum();
    // People choose: half of what a machine would have drawn is generous.
    fresh * (u32::BITS - alphabet.max(1).leading_zeros()) / 2
}

/// Bits of a secret that a generator drew in a form without an id: 62 symbols, or COmanage's 35.
///
/// A drawn `plain` secret without a capital is taken for one of the smaller alphabet.
pub fn entropy_bits_drawn(text: &str) -> u32 {
    let symbols = text.chars().filter(char::is_ascii_alphanumeric).count();
    let symbols = u32::try_from(symbols).unwrap_or(u32::MAX);
    let hundredths = if text.contains(char::is_uppercase) { 595 } else { 512 };
    symbols.saturating_mul(hundredths) / 100
}

#[cfg(test)]
mod tests;
