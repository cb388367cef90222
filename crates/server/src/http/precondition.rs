//! `If-Match` and `Idempotency-Key`: headers on which it depends whether something happens.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::state::AppState;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Characters of an `Idempotency-Key` at most.
const KEY_LEN_MAX: usize = 255;
/// A version that no record has: what cannot be one of our tags matches nothing.
const NO_VERSION: i64 = -1;

/// The version that `If-Match` demands; `None` demands nothing.
pub struct IfMatch(pub Option<i64>);

impl FromRequestParts<AppState> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let mut lines = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(line) = lines.next() else { return Ok(Self(None)) };
        let text = line.to_str().unwrap_or_default().trim();
        if text == "*" && lines.next().is_none() {
            return Ok(Self(None));
        }
        // A weak tag never matches here (RFC 9110 section 13.1.1), and ours are numbers.
        let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let version = number.and_then(version_of).unwrap_or(NO_VERSION);
        Ok(Self(Some(version)))
    }
}

/// The tag that `If-Match` demands, for what has versions that are no numbers of ours; `None`
/// demands nothing.
pub struct IfTag(pub Option<String>);

/// What no tag is, because no tag holds it.
const NO_TAG: &str = "\"";

impl FromRequestParts<AppState> for IfTag {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let mut lines = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(line) = lines.next() else { return Ok(Self(None)) };
        let text = line.to_str().unwrap_or_default().trim();
        if text == "*" && lines.next().is_none() {
            return Ok(Self(None));
        }
        let tag = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Ok(Self(Some(tag.unwrap_or(NO_TAG).to_owned())))
    }
}

/// The version of a tag. Tags are compared as text (RFC 9110 section 8.8.3.2), so `01` and `+1`
/// are other tags than `1`.
fn version_of(tag: &str) -> Option<i64> {
    let version: i64 = tag.parse().ok()?;
    (version.to_string() == tag).then_some(version)
}

/// The `Idempotency-Key` of a request, with the route it belongs to.
pub struct IdempotencyKey(Option<Keyed>);

struct Keyed {
    key: String,
    route: String,
}

impl FromRequestParts<AppState> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let mut lines = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(line) = lines.next() else { return Ok(Self(None)) };
        let key = line.as_bytes();
        let shaped = (1..=KEY_LEN_MAX).contains(&key.len())
            && key.iter().all(|byte| (0x20..0x7f).contains(byte))
            && lines.next().is_none();
        if !shaped {
            let why = format!("must be 1 to {KEY_LEN_MAX} printable ASCII characters, once");
            return Err(Problem::invalid("Idempotency-Key", why));
        }
        let key = String::from_utf8_lossy(key).into_owned();
        Ok(Self(Some(Keyed { key, route: format!("{} {}", parts.method, parts.uri.path()) })))
    }
}

impl IdempotencyKey {
    /// The key with the fingerprint of route and body.
    pub fn over(self, body: &[u8]) -> Option<(String, [u8; 32])> {
        self.0.map(|keyed| {
            let mut digest = Sha256::new();
            digest.update(keyed.route.as_bytes());
            digest.update(b"\n");
            digest.update(body);
            (keyed.key, digest.finalize().into())
        })
    }
}
