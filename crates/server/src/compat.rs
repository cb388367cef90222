//! Doors that speak as other products do, each in a file of its own, over the same authority.

pub mod airlock;
pub mod comanage;
pub mod described;
pub mod forgerock;
pub mod privacyidea;
mod received;
pub mod scim;
pub mod sentinel;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

/// An answer with what its caller is told to do next: to say who they are, if there is a challenge,
/// or to come back in a second, if nobody could answer.
fn hinting(mut response: Response, challenge: Option<&'static str>) -> Response {
    let is_unavailable = response.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    if let Some(challenge) = challenge {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if is_unavailable {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
