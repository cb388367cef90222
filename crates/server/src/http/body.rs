//! Request bodies: JSON within limits, read strictly, with the field named when one is wrong.

mod unique;

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::problem::{Problem, Sort, name_shown};
use super::state::{AppState, BATCH_BODY_BYTES_MAX};

/// Levels of nesting in a body at most: no shape of the API needs ten.
pub const JSON_DEPTH_MAX: usize = 32;
/// Bytes read and thrown away behind the limit, so that an honest client that sends too much
/// gets to read why instead of a broken connection.
const DRAINED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a body may take to arrive, from the moment somebody waits for it to its last byte.
/// A body that trickles holds a connection for nothing.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body that must be there, as the value it holds and as the bytes it came in.
pub struct Payload<T> {
    /// What it says.
    pub value: T,
    /// What was sent, for idempotency.
    pub bytes: Bytes,
}

/// A body that may be left out, which means an empty object.
pub struct OptionalPayload<T> {
    /// What it says.
    pub value: T,
    /// What was sent, for idempotency.
    pub bytes: Bytes,
}

/// The bytes of a JSON body of ordinary size.
pub struct JsonBytes(pub Bytes);

/// The bytes of a JSON body that holds many items.
pub struct BatchBytes(pub Bytes);

/// The bytes of a body of ordinary size, whatever it says it is.
pub struct AnyBytes(pub Bytes);

impl FromRequest<AppState> for AnyBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        Ok(Self(read(request.into_body(), state.settings.body_bytes_max).await?))
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for Payload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
        Ok(Self { value: parse_whole(&bytes)?, bytes })
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for OptionalPayload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, state.settings.body_bytes_max).await?;
        if bytes.is_empty() {
            return Ok(Self { value: parse(b"{}")?, bytes });
        }
        require_json(&parts.headers)?;
        Ok(Self { value: parse_whole(&bytes)?, bytes })
    }
}

impl FromRequest<AppState> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        json_bytes_of(state, &parts.headers, body).await.map(Self)
    }
}

impl FromRequest<AppState> for BatchBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        require_json(&parts.headers)?;
        let limit = state.settings.body_bytes_max.max(BATCH_BODY_BYTES_MAX);
        Ok(Self(read(body, limit).await?))
    }
}

/// Reads the JSON body of a request of ordinary size.
pub async fn json_bytes_of(
    state: &AppState,
    headers: &HeaderMap,
    body: impl HttpBody<Data = Bytes>,
) -> Result<Bytes, Problem> {
    require_json(headers)?;
    read(body, state.settings.body_bytes_max).await
}

/// Reads a body of ordinary size, whatever it says it is.
pub async fn any_bytes_of(
    state: &AppState,
    body: impl HttpBody<Data = Bytes>,
) -> Result<Bytes, Problem> {
    read(body, state.settings.body_bytes_max).await
}

/// Reads a body of at most `limit` bytes, whatever it says it is.
pub async fn any_bytes_within(
    body: impl HttpBody<Data = Bytes>,
    limit: usize,
) -> Result<Bytes, Problem> {
    read(body, limit).await
}

/// The media type that a request declares, without its parameters.
pub fn media_type(headers: &HeaderMap) -> Option<&str> {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    declared.and_then(|text| text.split(';').next()).map(str::trim)
}

/// The path of the first entry of a JSON text that is named twice in its object.
pub fn named_twice(bytes: &[u8]) -> Option<String> {
    unique::named_twice(bytes)
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = media_type(headers).is_some_and(|essence| {
        essence.eq_ignore_ascii_case("application/json")
            || essence.eq_ignore_ascii_case("application/merge-patch+json")
    });
    if is_json {
        Ok(())
    } else {
        Err(Problem::new(Sort::UnsupportedMediaType, "send Content-Type: application/json"))
    }
}

/// Reads a body of at most `limit` bytes within [`BODY_TIMEOUT`].
async fn read(body: impl HttpBody<Data = Bytes>, limit: usize) -> Result<Bytes, Problem> {
    read_within(BODY_TIMEOUT, body, limit).await
}

async fn read_within(
    patience: Duration,
    body: impl HttpBody<Data = Bytes>,
    limit: usize,
) -> Result<Bytes, Problem> {
    let mut reading = pin!(read_all(body, limit));
    // Nearly every body is there by now, and needs no timer.
    if let Poll::Ready(read) = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await
    {
        return read;
    }
    tokio::time::timeout(patience, reading).await.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {} seconds", patience.as_secs());
        Err(Problem::new(Sort::RequestTimeout, detail))
    })
}

async fn read_all(body: impl HttpBody<Data = Bytes>, limit: usize) -> Result<Bytes, Problem> {
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Sort::Malformed, "the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length > limit.saturating_add(DRAINED_BYTES_MAX) {
            break;
        }
        if length > limit {
            continue;
        }
        // Nearly every body arrives in one piece, which needs no copy.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            None => whole.extend_from_slice(&data),
            Some(piece) => {
                whole.extend_from_slice(&piece);
                whole.extend_from_slice(&data);
            }
        }
    }
    if length > limit {
        let detail = format!("a body has at most {limit} bytes here");
        return Err(Problem::new(Sort::BodyTooLarge, detail));
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// Reads JSON strictly, and refuses an object that names an entry twice, however deep it lies:
/// free objects, such as permissions, are not read into fields that would notice.
fn parse_whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value = parse(bytes)?;
    match unique::named_twice(bytes) {
        Some(path) => Err(Problem::invalid(path, "is given twice")),
        None => Ok(value),
    }
}

/// Reads JSON strictly. Fields that are given twice are noticed only in shapes without free
/// objects; [`Payload`] notices all. The quick way first; only a wrong body pays for finding the field.
pub fn parse<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    if is_too_deep(bytes) {
        let detail = format!("the body is nested deeper than {JSON_DEPTH_MAX} levels");
        return Err(Problem::new(Sort::Malformed, detail));
    }
    // Serde would take an array for an object, field by field in the order of our source.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::invalid("", "the body must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| explain::<T>(bytes, &error))
}

/// Reads JSON into a shape without free objects. Nothing can be nested deeply in it that is not
/// refused anyway, so that only a wrong body is searched for its fault.
pub fn parse_flat<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    if bytes.first() == Some(&b'{')
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return Ok(value);
    }
    parse(bytes)
}

fn explain<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8], first: &serde_json::Error) -> Problem {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => Problem::new(Sort::Malformed, describe_syntax(first)),
        Err(error) => {
            let path = error.path().to_string();
            describe(&path, error.inner())
        }
    }
}

/// A problem for what serde found, in words of our own: serde's would repeat the value, and a
/// secret in the wrong field would then stand in a log.
pub fn describe(path: &str, error: &serde_json::Error) -> Problem {
    let path = if path == "." || path == "?" { "" } else { path };
    let shown = name_shown(path);
    let path = shown.as_str();
    if error.classify() != serde_json::error::Category::Data {
        let mut detail = describe_syntax(error);
        if !path.is_empty() {
            detail = format!("{path}: {detail}");
        }
        return Problem::new(Sort::Malformed, detail);
    }
    let message = error.to_string();
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let sibling = |name: &str| match path.rsplit_once('.') {
        _ if path.is_empty() => name.to_owned(),
        Some((_, last)) if last == name => path.to_owned(),
        None if path == name => path.to_owned(),
        _ => format!("{path}.{name}"),
    };
    if message.starts_with("unknown field") {
        // The name is the sender's own text: bounded, and without line breaks.
        let name: String = quoted.chars().filter(|c| !c.is_control()).take(64).collect();
        return Problem::invalid(sibling(&name), "is not known here");
    }
    if message.starts_with("missing field") {
        return Problem::invalid(sibling(quoted), "is missing");
    }
    if message.starts_with("duplicate field") {
        return Problem::invalid(sibling(quoted), "is given twice");
    }
    Problem::invalid(path, expectation(&message))
}

/// What was expected, without what was found.
fn expectation(message: &str) -> String {
    let without_place = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let found = ["invalid type", "invalid value", "invalid length", "unknown variant"];
    if !found.iter().any(|start| without_place.starts_with(start)) {
        return without_place.to_owned();
    }
    match without_place.rsplit_once("expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => "has the wrong type".to_owned(),
    }
}

fn describe_syntax(error: &serde_json::Error) -> String {
    format!("not well-formed JSON at line {} column {}", error.line(), error.column())
}

/// Whether brackets outside strings nest too deeply. Runs before anything is built.
fn is_too_deep(bytes: &[u8]) -> bool {
    // Few bodies have so many brackets that they could; counting them is much less work.
    if bytes.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= JSON_DEPTH_MAX {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::Body;
    use hyper::body::Frame;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read is looked at")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read is looked at")]
    struct Inner {
        count: u32,
    }

    fn said(body: &str) -> String {
        parse::<Outer>(body.as_bytes()).unwrap_err().detail().to_owned()
    }

    #[test]
    fn a_wrong_body_is_explained_by_its_field_and_never_by_its_value() {
        assert_eq!(said(r#"{"name":"x","colour":1}"#), "colour: is not known here");
        assert_eq!(said(r#"{"name":"x","inner":{"n":1}}"#), "inner.n: is not known here");
        // A secret where a name belongs is repeated no more than one where a value does.
        let secret = "cflp_0lTPkUIlzTDXhwlxwHGmU6WzV3SfitAuz7S2W31JuYJp2Xdp8D";
        for body in [
            format!(r#"{{"{secret}":1}}"#),
            format!(r#"{{"https://example.org/open#{secret}":1}}"#),
            r#"{"k3vn-8qpw-2d7r-jx5m-9hta-c4ze":1}"#.to_owned(),
            format!(r#"{{"name":"x","inner":{{"{secret}":1}}}}"#),
        ] {
            let said = said(&body);
            assert!(said.ends_with("?: is not known here") && !said.contains("2Xdp8D"), "{said}");
        }
        assert_eq!(said(r#"{"inner":{"count":1}}"#), "name: is missing");
        assert_eq!(said(r#"{"name":"x","inner":{}}"#), "inner.count: is missing");
        assert_eq!(said(r#"{"name":"x","name":"y"}"#), "name: is given twice");
        assert_eq!(
            said(r#"{"name":"x","inner":{"count":"cflp_secret"}}"#),
            "inner.count: expected u32"
        );
        assert_eq!(said(r#"{"name":"x","inner":{"count":-1}}"#), "inner.count: expected u32");
        assert!(said(r#"{"name":"x""#).contains("not well-formed JSON"));
        assert!(said("{\"name\":\"\u{0}\"}").contains("not well-formed JSON"));
    }

    /// A body of which some comes and the rest never does.
    struct Stalled(Option<Bytes>);

    impl axum::body::HttpBody for Stalled {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            match self.0.take() {
                Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let moment = Duration::from_millis(5);
        for (first, limit) in [(&b"{\"a\":"[..], 100), (b"", 100), (b"far too much of it", 4)] {
            let body = Body::new(Stalled(Some(Bytes::from_static(first))));
            let problem = read_within(moment, body, limit).await.unwrap_err();
            assert_eq!(problem.sort(), Sort::RequestTimeout);
        }
        let whole = read_within(moment, Body::from("{}"), 100).await.unwrap();
        assert_eq!(whole, "{}");
    }

    #[test]
    fn an_array_is_no_object() {
        assert!(said("[1]").contains("the body must be a JSON object"));
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_read() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(said(&deep).contains("nested deeper"));
        assert!(!is_too_deep(br#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}"#));
    }
}
