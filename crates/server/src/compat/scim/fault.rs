//! Every refusal of the SCIM door, as RFC 7644 section 3.12 writes it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use counterfoil_authority::refusal::Refusal;
use serde_json::json;

use crate::http::problem::{Problem, Sort};

/// The schema of an error.
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// What a caller is told who presents nothing.
const NOTHING_PRESENTED: &str = r#"Bearer realm="counterfoil""#;
/// What a caller is told whose credential is not good.
const NOT_GOOD: &str = r#"Bearer realm="counterfoil", error="invalid_token""#;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) sort: Option<&'static str>,
    pub(super) detail: String,
    challenge: Option<&'static str>,
}

impl Fault {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, sort: None, detail: detail.into(), challenge: None }
    }

    fn bad(sort: &'static str, detail: impl Into<String>) -> Self {
        Self { sort: Some(sort), ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// A filter that cannot be read.
    pub(super) fn filter(detail: impl Into<String>) -> Self {
        Self::bad("invalidFilter", detail)
    }

    /// A path of PATCH that cannot be read.
    pub(super) fn path(detail: impl Into<String>) -> Self {
        Self::bad("invalidPath", detail)
    }

    /// A path of PATCH that leads nowhere.
    pub(super) fn no_target(detail: impl Into<String>) -> Self {
        Self::bad("noTarget", detail)
    }

    /// A body whose form is not what is asked for.
    pub(super) fn syntax(detail: impl Into<String>) -> Self {
        Self::bad("invalidSyntax", detail)
    }

    /// A value that makes no sense.
    pub(super) fn value(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad("invalidValue", format!("{name}: {why}"))
    }

    /// A change of what does not change.
    pub(super) fn mutability(name: &str, why: &str) -> Self {
        Self::bad("mutability", format!("{name}: {why}"))
    }

    /// More than is looked through for one answer.
    pub(super) fn too_many(detail: impl Into<String>) -> Self {
        Self::bad("tooMany", detail)
    }

    /// Nothing is there, or it is not the caller's to know of.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such resource")
    }

    /// The version is another one.
    pub(super) fn version() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "it was changed since it was read")
    }

    /// What can be done here is something else.
    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here")
    }

    /// The body is not declared as what it has to be.
    pub(super) fn media_type() -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "send Content-Type: application/scim+json")
    }

    /// A part of the protocol that is not served; `ServiceProviderConfig` says which are.
    pub(super) fn not_implemented(what: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, format!("{what} is not served"))
    }

    /// The answer.
    pub(super) fn answer(&self) -> Response {
        let mut body = json!({
            "schemas": [ERROR],
            // A string, of all things (RFC 7644 section 3.12).
            "status": self.status.as_u16().to_string(),
            "detail": self.detail,
        });
        if let (Some(sort), Some(object)) = (self.sort, body.as_object_mut()) {
            object.insert("scimType".to_owned(), sort.into());
        }
        let mut response = super::scim_json(self.status, &body);
        let cached = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, cached);
        crate::compat::hinting(response, self.challenge)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Unavailable(_) | Refusal::Overloaded | Refusal::NoEntropy(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
            Refusal::Forbidden(_) | Refusal::BeyondGrant(_) => {
                Self::new(StatusCode::FORBIDDEN, detail)
            }
            Refusal::NotFound(_) => Self::not_found(),
            Refusal::Exists(_) => {
                Self { sort: Some("uniqueness"), ..Self::new(StatusCode::CONFLICT, detail) }
            }
            Refusal::VersionMismatch => Self::version(),
            Refusal::Invalid { field, why } => Self::value(&field, why),
            Refusal::Policy(_)
            | Refusal::NotOpen(_)
            | Refusal::AtLimit(_)
            | Refusal::RepositoryFull
            | Refusal::SerialTaken
            | Refusal::PlaceTaken
            | Refusal::NotSupported(_)
            | Refusal::KeyReused
            | Refusal::Ended(_)
            | Refusal::LinkEnded(_)
            | Refusal::LetterEnded(_)
            | Refusal::InUse(_)
            | Refusal::NotEmpty(_)
            | Refusal::BuiltIn(_) => Self::new(StatusCode::BAD_REQUEST, detail),
        }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let detail = problem.detail();
        match problem.sort() {
            Sort::Unauthenticated => {
                let presented = problem.was_presented();
                let challenge = if presented { NOT_GOOD } else { NOTHING_PRESENTED };
                let fault = Self::new(StatusCode::UNAUTHORIZED, detail);
                Self { challenge: Some(challenge), ..fault }
            }
            Sort::Unavailable => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
            Sort::BodyTooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail),
            Sort::RequestTimeout => Self::new(StatusCode::REQUEST_TIMEOUT, detail),
            Sort::UnsupportedMediaType => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail),
            // What else there is says what is wrong with what was sent.
            _ => Self::syntax(detail),
        }
    }
}
