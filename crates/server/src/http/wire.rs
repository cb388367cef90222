//! What every route reads and writes alike: words with limits, changes, pages, tagged answers.

mod words;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::store::Page;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::wrap_cursor;
pub use words::*;

/// A change of a field that can be cleared: absent leaves it, `null` clears it.
pub type Change<T> = Option<Option<T>>;

/// For fields whose absence and whose `null` differ: absent stays `None`, `null` is `Some(None)`.
pub fn present<'de, D, T>(deserializer: D) -> Result<Change<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// For fields that may be absent but not `null`.
pub fn not_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageBody<T> {
    /// The records. A page may hold fewer than its limit and still not be the last.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

impl<T> PageBody<T> {
    /// A page as the store gave it, each record written by `write`.
    pub fn of<R>(page: Page<R>, write: impl Fn(R) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(write).collect(),
            next_cursor: page.next.as_deref().map(wrap_cursor),
        }
    }
}

/// A time as the wire has it, RFC 3339 in UTC.
pub fn time(at: Timestamp) -> String {
    at.to_string()
}

/// A single resource with its version as `ETag`.
pub fn versioned(status: StatusCode, version: i64, body: impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    if let Ok(etag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// A fresh resource with where it is found.
pub fn created(location: &str, version: Option<i64>, body: impl Serialize) -> Response {
    let mut response = match version {
        Some(version) => versioned(StatusCode::CREATED, version, body),
        None => (StatusCode::CREATED, Json(body)).into_response(),
    };
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path segment with everything but unreserved characters percent-encoded.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// An answer of bytes that are JSON already.
pub fn json_bytes(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
