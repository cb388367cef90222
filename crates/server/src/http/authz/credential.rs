//! Which credential a forwarded request carries.

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use counterfoil_authority::secret::ClearSecret;

use crate::http::caller::{Bearer, bearer};

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What was presented.
pub(crate) enum Credential {
    /// Nothing.
    Absent,
    /// Something that cannot be read, or two things at once.
    Unreadable,
    /// A token, perhaps with the name of its owner.
    Token {
        /// The user name that came with it.
        username: Option<String>,
        /// The token.
        token: ClearSecret,
    },
}

/// Reads the credential: `Bearer`, then `Basic`, then the configured headers.
///
/// The first one that is there counts, good or not: a bad one must not be made good by another.
pub(super) fn read(headers: &HeaderMap, api_key_headers: &[HeaderName]) -> Credential {
    match bearer(headers) {
        Bearer::Token(token) => return bare(token),
        Bearer::Unreadable => return Credential::Unreadable,
        Bearer::Absent => {}
    }
    if let Some(credential) = basic(headers) {
        return credential;
    }
    for name in api_key_headers {
        let mut lines = headers.get_all(name).iter();
        match (lines.next(), lines.next()) {
            (None, _) => {}
            (Some(line), None) => {
                return line.to_str().map_or(Credential::Unreadable, |text| bare(text.trim()));
            }
            (Some(_), Some(_)) => return Credential::Unreadable,
        }
    }
    Credential::Absent
}

fn bare(token: &str) -> Credential {
    Credential::Token { username: None, token: ClearSecret::new(token.to_owned()) }
}

/// RFC 7617: split at the first colon; UTF-8.
pub(crate) fn basic(headers: &HeaderMap) -> Option<Credential> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded =
        BASE64.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(decoded) = decoded.map(ClearSecret::new) else { return Some(Credential::Unreadable) };
    Some(match decoded.reveal().split_once(':') {
        None => Credential::Unreadable,
        // `https://TOKEN@host/` sends the token as user, with or without an empty password.
        Some((token, "")) => bare(token),
        Some((user, token)) => Credential::Token {
            username: Some(user.to_owned()),
            token: ClearSecret::new(token.to_owned()),
        },
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn said(pairs: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        match read(&headers, &[HeaderName::from_static("x-api-key")]) {
            Credential::Absent => "absent".to_owned(),
            Credential::Unreadable => "unreadable".to_owned(),
            Credential::Token { username, token } => format!("{username:?} {}", token.reveal()),
        }
    }

    #[test]
    fn the_first_credential_counts() {
        assert_eq!(said(&[]), "absent");
        assert_eq!(said(&[("authorization", "Bearer t")]), "None t");
        assert_eq!(said(&[("authorization", "Basic YWxpY2U6dDpy")]), r#"Some("alice") t:r"#);
        assert_eq!(said(&[("authorization", "basic dG9rZW46")]), "None token");
        assert_eq!(said(&[("authorization", "Basic !!!")]), "unreadable");
        assert_eq!(said(&[("authorization", "Basic YWxpY2U=")]), "unreadable");
        assert_eq!(said(&[("x-api-key", "k")]), "None k");
        assert_eq!(said(&[("authorization", "Bearer t"), ("x-api-key", "k")]), "None t");
        assert_eq!(said(&[("private-token", "k")]), "absent");
    }
}
