//! Every refusal of the AM door: `code`, `reason` and `message`, the code being the status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_authority::am::BadDocument;
use counterfoil_authority::authority::{AmFault, AuthRefusal};
use counterfoil_authority::refusal::{Refusal, Thing};
use serde_json::json;

use super::path::Endpoint;
use crate::http::problem::{Problem, Sort};
use crate::http::wire::json_bytes;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// A body or parameter that makes no sense.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A field of evaluate that makes no sense.
    pub(super) fn value(field: &str) -> Self {
        Self::invalid(format!("Invalid value {field}"))
    }

    /// No session, or one that has ended.
    pub(super) fn no_session() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Access Denied")
    }

    /// Nobody was let in.
    pub(super) fn not_authenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Authentication Failed")
    }

    /// A session that may not do this here.
    pub(super) fn no_privilege() -> Self {
        Self::new(StatusCode::FORBIDDEN, "The user has insufficient privileges")
    }

    /// A realm that nobody can have a session of: like one of somebody else.
    pub(super) fn no_realm(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Authenticate => Self::not_authenticated(),
            _ => Self::no_privilege(),
        }
    }

    /// An action that nobody has a privilege for.
    pub(super) fn no_action(endpoint: Endpoint, action: &str) -> Self {
        let shown: String = action.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        match endpoint {
            Endpoint::Policies => Self::new(
                StatusCode::FORBIDDEN,
                format!("No privilege mapping for requested action {shown}"),
            ),
            _ => Self::new(StatusCode::NOT_IMPLEMENTED, format!("Unsupported action {shown}")),
        }
    }

    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Resource cannot be found.")
    }

    pub(super) fn bad_version() -> Self {
        Self::invalid("Accept-API-Version: Invalid version syntax")
    }

    /// A version that is not spoken. The name is numbers and a point by now.
    pub(super) fn no_version(endpoint: Endpoint, asked: &str) -> Self {
        let status = match endpoint {
            Endpoint::Authenticate => StatusCode::NOT_ACCEPTABLE,
            _ => StatusCode::NOT_FOUND,
        };
        let text =
            format!("Accept-API-Version: Requested version \"{asked}\" does not match any routes.");
        Self::new(status, text)
    }

    fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The service is temporarily unavailable.")
    }

    /// The answer.
    pub(super) fn answer(&self) -> Response {
        let document = json!({
            "code": self.status.as_u16(),
            "reason": self.status.canonical_reason().unwrap_or_default(),
            "message": self.message,
        });
        let mut response = json_bytes(self.status, document.to_string().into_bytes());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.answer()
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Unavailable(_) | Refusal::Overloaded | Refusal::NoEntropy(_) => {
                Self::unavailable()
            }
            // A foreign realm answers as an unknown one, and neither tells whether it exists.
            Refusal::Forbidden(_) | Refusal::NotFound(Thing::Realm) => Self::no_privilege(),
            Refusal::BeyondGrant(_) => Self::new(StatusCode::FORBIDDEN, text),
            Refusal::NotFound(_) => Self::not_found(),
            Refusal::Exists(_)
            | Refusal::SerialTaken
            | Refusal::PlaceTaken
            | Refusal::NotEmpty(_)
            | Refusal::InUse(_) => Self::new(StatusCode::CONFLICT, text),
            Refusal::VersionMismatch | Refusal::KeyReused => {
                Self::new(StatusCode::PRECONDITION_FAILED, text)
            }
            Refusal::Invalid { .. }
            | Refusal::Policy(_)
            | Refusal::NotOpen(_)
            | Refusal::AtLimit(_)
            | Refusal::RepositoryFull
            | Refusal::NotSupported(_)
            | Refusal::Ended(_)
            | Refusal::LinkEnded(_)
            | Refusal::LetterEnded(_)
            | Refusal::BuiltIn(_) => Self::invalid(text),
        }
    }
}

impl From<AmFault> for Fault {
    fn from(fault: AmFault) -> Self {
        match fault {
            AmFault::Resource(bad) => Self::invalid(bad.to_string()),
            AmFault::Other(refusal) => refusal.into(),
        }
    }
}

impl From<AuthRefusal> for Fault {
    fn from(refusal: AuthRefusal) -> Self {
        match refusal {
            AuthRefusal::Denied { .. } => Self::no_session(),
            AuthRefusal::Unavailable(refusal) => refusal.into(),
        }
    }
}

impl From<BadDocument> for Fault {
    fn from(bad: BadDocument) -> Self {
        Self::invalid(bad.to_string())
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        match problem.sort() {
            Sort::Unavailable => Self::unavailable(),
            Sort::BodyTooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, problem.detail()),
            Sort::RequestTimeout => Self::new(StatusCode::REQUEST_TIMEOUT, problem.detail()),
            _ => Self::invalid(problem.detail()),
        }
    }
}
