//! How the crypts of Unix write a digest: three bytes as four characters, in an order of their own.

use zeroize::Zeroizing;

/// The alphabet of `crypt(3)`.
pub(super) const ALPHABET: &[u8; 64] =
    b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Which bytes are written next, the highest one first.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// Three of them, as four characters.
    Three(usize, usize, usize),
    /// Two, as three.
    Two(usize, usize),
    /// One, as two.
    One(usize),
}

/// The digest as text.
pub(super) fn text_of(digest: &[u8], orders: &[Order]) -> Zeroizing<Vec<u8>> {
    let byte = |index: usize| u32::from(digest.get(index).copied().unwrap_or_default());
    let mut text = Zeroizing::new(Vec::with_capacity(digest.len() * 4 / 3 + 4));
    for order in orders {
        let (mut bits, characters) = match *order {
            Order::Three(a, b, c) => (byte(a) << 16 | byte(b) << 8 | byte(c), 4),
            Order::Two(a, b) => (byte(a) << 8 | byte(b), 3),
            Order::One(a) => (byte(a), 2),
        };
        for _ in 0..characters {
            // The lowest six bits first, and never more than the alphabet has.
            let index = usize::try_from(bits & 63).unwrap_or_default();
            text.push(ALPHABET.get(index).copied().unwrap_or(b'.'));
            bits >>= 6;
        }
    }
    text
}

/// The order of SHA-256 crypt: thirty bytes in steps of twenty-one, and the last two.
pub(super) fn order_of_sha256() -> Vec<Order> {
    let step = |index: usize| (index * 21) % 30;
    let mut orders: Vec<Order> =
        (0..10).map(step).map(|at| Order::Three(at, (at + 10) % 30, (at + 20) % 30)).collect();
    orders.push(Order::Two(31, 30));
    orders
}

/// The order of SHA-512 crypt: sixty-three bytes in steps of twenty-two, and the last one.
pub(super) fn order_of_sha512() -> Vec<Order> {
    let step = |index: usize| (index * 22) % 63;
    let mut orders: Vec<Order> =
        (0..21).map(step).map(|at| Order::Three(at, (at + 21) % 63, (at + 42) % 63)).collect();
    orders.push(Order::One(63));
    orders
}
