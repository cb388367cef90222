//! The mark in a refresh secret, by which the server knows it again when its hash is long gone.
//!
//! A family that is refreshed every few minutes for years has more former secrets than a store
//! should keep, and the oldest of them must still raise the alarm of a reuse. So the end of each
//! refresh secret is a keyed code over what stands before it: nobody can make one up, and nothing
//! has to be stored. What is left for chance are 131 bits, more than a keyed hash needs.

use zeroize::Zeroizing;

use super::{
    BASE62, CRC_LEN, ClearSecret, ID_LEN, Prefix, SECRET_LEN, TokenId, checksum, fill_from,
};
use crate::clock::{Entropy, NoEntropy};
use crate::keys::Pepper;
use crate::kind::Kind;
use crate::secret_hash::hmac256;

/// Characters of the mark: a guess is right once in 62^10, or 2^59.
const MARK_LEN: usize = 10;
/// Characters left for chance: 131 bits.
const RANDOM_LEN: usize = SECRET_LEN - MARK_LEN;

/// The mark of everything that stands before it.
fn of(pepper: &Pepper, head: &str) -> [u8; MARK_LEN] {
    let mac = hmac256(pepper.bytes(), b"counterfoil refresh mark 1", &[head.as_bytes()]);
    let mut value = mac.as_bytes().iter().take(16).fold(0_u128, |v, &b| v << 8 | u128::from(b));
    let mut mark = [b'0'; MARK_LEN];
    for slot in &mut mark {
        let digit = usize::try_from(value % 62).unwrap_or_default();
        value /= 62;
        *slot = BASE62.get(digit).copied().unwrap_or(b'0');
    }
    mark
}

/// Makes the string of a refresh secret: chance, the mark, and the checksum of every token.
pub(crate) fn generate(
    pepper: &Pepper,
    prefix: &Prefix,
    id: TokenId,
    entropy: &dyn Entropy,
) -> Result<ClearSecret, NoEntropy> {
    let mut random = Zeroizing::new([0; RANDOM_LEN]);
    fill_from(BASE62, entropy, random.as_mut())?;
    let length = prefix.as_str().len() + 3 + ID_LEN + SECRET_LEN + CRC_LEN;
    let mut text = Zeroizing::new(String::with_capacity(length));
    text.push_str(prefix.as_str());
    text.push(Kind::AuthToken.letter());
    text.push('_');
    text.push_str(id.as_str());
    text.push('_');
    text.extend(random.iter().map(|&b| char::from(b)));
    let mark = of(pepper, &text);
    text.extend(mark.iter().map(|&b| char::from(b)));
    let crc = checksum(text.as_bytes());
    text.extend(crc.iter().map(|&b| char::from(b)));
    Ok(ClearSecret::new(text.to_string()))
}

/// Whether a string of the shape of a refresh secret was made here, under one of these peppers.
pub(crate) fn is_ours<'p>(mut peppers: impl Iterator<Item = &'p Pepper>, presented: &str) -> bool {
    let Some(end) = presented.len().checked_sub(CRC_LEN) else { return false };
    let Some(start) = end.checked_sub(MARK_LEN) else { return false };
    let (Some(head), Some(mark)) = (presented.get(..start), presented.get(start..end)) else {
        return false;
    };
    peppers
        .any(|pepper| subtle::ConstantTimeEq::ct_eq(&of(pepper, head)[..], mark.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Shape, shape_of};
    use crate::testing::SeededEntropy;

    #[test]
    fn a_mark_is_known_under_its_pepper_and_for_its_own_secret_only() {
        let entropy = SeededEntropy::new(5);
        let prefix = Prefix::default();
        let id = TokenId::generate(&entropy).unwrap();
        let (ours, other) = (Pepper::new(1, [1; 32]), Pepper::new(2, [2; 32]));
        let secret = generate(&ours, &prefix, id, &entropy).unwrap();
        let text = secret.reveal();
        let shape = shape_of(text, &[prefix]);
        assert_eq!(shape, Shape::Prefixed { kind: Kind::AuthToken, id });
        assert!(is_ours([&other, &ours].into_iter(), text));
        assert!(!is_ours([&other].into_iter(), text));
        for at in [5, 20, 40, 45] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(!is_ours([&ours].into_iter(), &changed), "{at}");
        }
        assert!(!is_ours([&ours].into_iter(), "short"));
    }
}
