//! privacyIDEA's envelope, and every refusal of the door in its words and numbers.
//!
//! A refusal of a credential is an answer like another, always with the same words; what cannot be
//! answered is an error, and never says `REJECT`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{Active, AuthRefusal};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::otp::Method;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::TokenId;
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::http::sunset;

/// A parameter that is missing or makes no sense.
const PARAMETER: u32 = 905;
/// No client, or not its key.
const UNAUTHENTICATED: u32 = 4033;
/// A client that may not ask this.
const FORBIDDEN: u32 = 303;
/// The store cannot answer.
const UNAVAILABLE: u32 = 902;

/// How a token is called by its type.
fn type_of(active: &Active) -> &'static str {
    match (active.method(), active.kind()) {
        (Some(Method::Totp), _) => "totp",
        (Some(Method::Hotp), _) => "hotp",
        (Some(Method::Yubikey), _) => "yubikey",
        (Some(Method::Email), _) => "email",
        (Some(Method::Backup), _) => "tan",
        (None, Kind::ServiceToken) => "applspec",
        (None, _) => "pw",
    }
}

fn envelope(status: StatusCode, mut body: Value, now: Timestamp) -> Response {
    let version = concat!("counterfoil ", env!("CARGO_PKG_VERSION"));
    let fields = [
        ("id", json!(1)),
        ("jsonrpc", json!("2.0")),
        ("time", json!(now.seconds())),
        ("version", json!(version)),
        ("versionnumber", json!(env!("CARGO_PKG_VERSION"))),
    ];
    if let Value::Object(object) = &mut body {
        object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

/// It is the password or code of this person.
pub(super) fn accepted(active: &Active, now: Timestamp) -> Response {
    let id = active.token();
    let body = json!({
        "result": { "status": true, "value": true, "authentication": "ACCEPT" },
        "detail": {
            "message": "matching 1 tokens",
            "serial": id.as_str(),
            "type": type_of(active),
        },
    });
    let mut response = envelope(StatusCode::OK, body, now);
    sunset::tell(&mut response, active.expires_at());
    response
}

/// It is not, or is not good any more: the same words whatever the reason.
pub(super) fn rejected(now: Timestamp) -> Response {
    let body = json!({
        "result": { "status": true, "value": false, "authentication": "REJECT" },
        "detail": { "message": "wrong credentials" },
    });
    envelope(StatusCode::OK, body, now)
}

/// A code was sent, which answers this.
pub(super) fn challenged(id: &str, token: TokenId, now: Timestamp) -> Response {
    let message = "Enter the code that was sent to you by mail";
    let one = json!({
        "client_mode": "interactive",
        "message": message,
        "serial": token.as_str(),
        "transaction_id": id,
        "type": "email",
    });
    let body = json!({
        "result": { "status": true, "value": false, "authentication": "CHALLENGE" },
        "detail": {
            "message": message,
            "messages": [message],
            "serial": token.as_str(),
            "type": "email",
            "client_mode": "interactive",
            "transaction_id": id,
            "transaction_ids": [id],
            "multi_challenge": [one],
        },
    });
    envelope(StatusCode::OK, body, now)
}

/// What cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    status: StatusCode,
    code: u32,
    message: String,
}

impl Fault {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A parameter that is missing or makes no sense.
    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, PARAMETER, message)
    }

    /// A body that could not be read.
    pub(super) fn body(problem: &Problem) -> Self {
        Self::new(problem.sort().entry().status, PARAMETER, problem.detail())
    }

    /// No client, or not its key.
    pub(super) fn nobody() -> Self {
        let message = "Authentication failure. Missing or wrong Authorization header.";
        Self::new(StatusCode::UNAUTHORIZED, UNAUTHENTICATED, message)
    }

    /// Whether the client's credential was not good.
    pub(super) fn is_nobody(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// The answer.
    pub(super) fn answer(&self, now: Timestamp) -> Response {
        let Self { status, code, message } = self;
        let message = format!("ERR{code}: {message}");
        let body = json!({
            "result": { "status": false, "error": { "code": code, "message": message } },
        });
        let mut response = envelope(*status, body, now);
        let headers = response.headers_mut();
        if self.is_nobody() {
            let challenge =
                HeaderValue::from_static("Basic realm=\"counterfoil\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if *status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable(_) | Refusal::Overloaded | Refusal::NoEntropy(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                UNAVAILABLE,
                "The store or a repository is not reachable, try again.",
            ),
            Refusal::Forbidden(_) | Refusal::BeyondGrant(_) | Refusal::NotFound(_) => {
                Self::new(StatusCode::FORBIDDEN, FORBIDDEN, "This client may not ask this.")
            }
            other => Self::parameter(other.to_string()),
        }
    }
}

impl From<AuthRefusal> for Fault {
    fn from(refusal: AuthRefusal) -> Self {
        match refusal {
            AuthRefusal::Denied { .. } => Self::nobody(),
            AuthRefusal::Unavailable(refusal) => refusal.into(),
        }
    }
}
