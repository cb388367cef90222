//! The stylesheet, the script and the icon, which are part of the program.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

const STYLE: &str = include_str!("../../../templates/console/style.css");
const SCRIPT: &str = include_str!("../../../templates/console/console.js");
const PASSKEY: &str = include_str!("../../../templates/console/passkey.js");
const ICON: &str = include_str!("../../../templates/console/icon.svg");

/// A few minutes: a new version of the program is soon a new look, and a click loads no style.
fn asset(kind: &'static str, text: &'static str) -> Response {
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    response
}

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn passkey() -> Response {
    asset("text/javascript; charset=utf-8", PASSKEY)
}

pub(super) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}
