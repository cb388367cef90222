//! MD5 crypt, as FreeBSD brought it and Apache kept it (`$1$`, `$apr1$`).
//!
//! Nothing here makes such a hash for anybody to store: it is the first step on the way to one of
//! ours. The construction is that of Poul-Henning Kamp's `crypt(3)` of 1994.

use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::crypt_text::{Order, text_of};

/// Characters of salt that count.
pub(super) const SALT_LEN_MAX: usize = 8;
/// Rounds, which nobody can choose.
const ROUNDS: u32 = 1_000;
/// Bytes of a digest.
const DIGEST_LEN: usize = 16;

/// In which order the bytes of a digest are written.
const ORDER: [Order; 6] = [
    Order::Three(0, 6, 12),
    Order::Three(1, 7, 13),
    Order::Three(2, 8, 14),
    Order::Three(3, 9, 15),
    Order::Three(4, 10, 5),
    Order::One(11),
];

/// The 22 characters behind the salt.
pub(super) fn hash(clear: &[u8], apache: bool, salt: &[u8]) -> Zeroizing<Vec<u8>> {
    let magic: &[u8] = if apache { b"$apr1$" } else { b"$1$" };
    let salt = salt.get(..SALT_LEN_MAX).unwrap_or(salt);
    let alternate = Md5::new().chain_update(clear).chain_update(salt).chain_update(clear);
    let alternate = Zeroizing::new(<[u8; DIGEST_LEN]>::from(alternate.finalize()));
    let mut first = Md5::new().chain_update(clear).chain_update(magic).chain_update(salt);
    for part in clear.chunks(DIGEST_LEN) {
        first.update(alternate.get(..part.len()).unwrap_or_default());
    }
    let mut rest = clear.len();
    while rest > 0 {
        if rest & 1 == 1 {
            first.update([0]);
        } else {
            first.update(clear.get(..1).unwrap_or_default());
        }
        rest >>= 1;
    }
    let mut digest = Zeroizing::new(<[u8; DIGEST_LEN]>::from(first.finalize()));
    for round in 0..ROUNDS {
        let odd = round & 1 == 1;
        let mut next = Md5::new();
        next.update(if odd { clear } else { digest.as_slice() });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(clear);
        }
        next.update(if odd { digest.as_slice() } else { clear });
        *digest = next.finalize().into();
    }
    text_of(digest.as_slice(), &ORDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openssl passwd -1` and `openssl passwd -apr1` print.
    #[test]
    fn what_openssl_prints_is_recomputed() {
        for (clear, apache, salt, known) in [
            ("correct horse", false, "saltsalt", "NuzA7WTAelpl95xgBGWN60"),
            ("correct horse", true, "saltsalt", "EGVZDNN6gOqijy.tv9axG/"),
            ("a", false, "x", "P8VObTrxaqT4VBmnH06P8."),
            ("over sixteen characters of it", true, "ab./12", "BJc2Ct9F45lPBjdAe1LJQ/"),
        ] {
            let made = hash(clear.as_bytes(), apache, salt.as_bytes());
            assert_eq!(std::str::from_utf8(&made).unwrap(), known, "{clear}");
        }
    }
}
