//! The URI that an authenticator reads from a QR code: `otpauth://`, as the key URI format has it.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::{Method, Shape, SharedSeed};

/// A token as an authenticator is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Enrolment<'a> {
    /// `Totp` or `Hotp`; anything else has no URI.
    pub method: Method,
    /// What its codes look like.
    pub shape: Shape,
    /// What the installation is called there.
    pub issuer: &'a str,
    /// What the person is called there.
    pub account: &'a str,
    /// The counter of HOTP that comes next: an authenticator that began before it would show codes
    /// that were good once, or never.
    pub counter: u64,
}

/// The URI with the seed in it: as secret as the seed.
pub fn uri(enrolment: Enrolment<'_>, seed: &SharedSeed) -> Zeroizing<String> {
    let Enrolment { method, shape, issuer, account, counter } = enrolment;
    let secret = Zeroizing::new(data_encoding::BASE32_NOPAD.encode(seed.bytes()));
    let (issuer, account) = (escaped(issuer), escaped(account));
    let mut text = Zeroizing::new(String::with_capacity(160));
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "otpauth://{}/{issuer}:{account}?secret={}&issuer={issuer}&algorithm={}&digits={}",
        method.name(),
        secret.as_str(),
        shape.algorithm.name(),
        shape.digits,
    );
    let _ = match method {
        Method::Hotp => write!(text, "&counter={counter}"),
        _ => write!(text, "&period={}", shape.step_seconds),
    };
    text
}

/// Everything but the unreserved characters of RFC 3986 section 2.3 as `%XX`.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authenticator_reads_everything_from_the_uri() {
        let seed = SharedSeed::new(b"12345678901234567890".to_vec()).unwrap();
        let mut enrolment = Enrolment {
            method: Method::Totp,
            shape: Shape::default(),
            issuer: "Example & Söhne",
            account: "alice@example.org",
            counter: 7,
        };
        assert_eq!(
            uri(enrolment, &seed).as_str(),
            "otpauth://totp/Example%20%26%20S%C3%B6hne:alice%40example.org\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example%20%26%20S%C3%B6hne\
             &algorithm=SHA1&digits=6&period=30"
        );
        enrolment.method = Method::Hotp;
        assert!(uri(enrolment, &seed).ends_with("&digits=6&counter=7"));
    }
}
