//! Nonces for DPoP proofs (RFC 9449 section 8): every node knows those of every other, and nothing
//! is stored.

use subtle::ConstantTimeEq as _;

use crate::clock::Timestamp;
use crate::keys::Pepper;
use crate::secret_hash::hmac256;

/// How long one nonce is given out; it is good for as long again.
const NONCE_SECONDS: i64 = 300;
/// Bytes of the code in a nonce.
const CODE_LEN: usize = 16;

fn written(pepper: &Pepper, slot: i64) -> String {
    let slot = slot.to_be_bytes();
    let mac = hmac256(pepper.bytes(), b"counterfoil dpop nonce 1", &[&slot]);
    let code = mac.as_bytes().iter().take(CODE_LEN);
    let bytes: Vec<u8> = slot.iter().chain(code).copied().collect();
    data_encoding::BASE64URL_NOPAD.encode(&bytes)
}

/// The nonce of an instant.
pub(super) fn of(pepper: &Pepper, now: Timestamp) -> String {
    written(pepper, now.seconds().div_euclid(NONCE_SECONDS))
}

/// Whether a nonce was given out moments ago, by any node.
pub(super) fn is_ours<'p>(
    mut peppers: impl Iterator<Item = &'p Pepper>,
    nonce: &str,
    now: Timestamp,
) -> bool {
    let slot = now.seconds().div_euclid(NONCE_SECONDS);
    // The clock of the node that wrote it may be a little ahead.
    peppers.any(|pepper| {
        let known = |slot| bool::from(written(pepper, slot).as_bytes().ct_eq(nonce.as_bytes()));
        (slot - 1..=slot + 1).any(known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_time_and_under_its_pepper() {
        let (ours, other) = (Pepper::new(1, [1; 32]), Pepper::new(2, [2; 32]));
        let at = |seconds: i64| Timestamp::from_seconds(1_790_000_100 + seconds);
        let nonce = of(&ours, at(0));
        for (seconds, good) in [(0, true), (299, true), (599, true), (900, false), (-600, false)] {
            assert_eq!(
                is_ours([&other, &ours].into_iter(), &nonce, at(seconds)),
                good,
                "{seconds}"
            );
        }
        assert!(!is_ours([&other].into_iter(), &nonce, at(0)));
        assert!(!is_ours([&ours].into_iter(), "nonsense", at(0)));
    }
}
