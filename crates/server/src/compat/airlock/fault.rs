//! Every refusal of the Airlock door: JSON:API errors whose `status` is a number, with a code that
//! programs act on.

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::AuthRefusal;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::repository::Mapping;
use counterfoil_authority::token::State;
use serde_json::{Value as Json, json};

use super::{answer, meta_of};
use crate::http::problem::{Problem, Sort};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    status: StatusCode,
    code: &'static str,
    pointer: Option<String>,
    detail: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, pointer: None, detail: String::new() }
    }

    fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    fn at(self, pointer: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), ..self }
    }

    /// Nobody is authenticated.
    pub(super) fn nobody() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "AUTHENTICATION_REQUIRED")
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    pub(super) fn no_user() -> Self {
        Self::new(StatusCode::NOT_FOUND, "USER_NOT_FOUND")
    }

    pub(super) fn no_type() -> Self {
        Self::new(StatusCode::NOT_FOUND, "TOKEN_TYPE_NOT_FOUND")
    }

    pub(super) fn no_token() -> Self {
        Self::new(StatusCode::NOT_FOUND, "TOKEN_NOT_FOUND")
    }

    /// A body that is no JSON:API document.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "REQUEST_INVALID").because(detail)
    }

    /// A filter or order that is not offered.
    pub(super) fn filter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "FILTER_NOT_SUPPORTED").because(detail)
    }

    pub(super) fn not_supported(detail: impl Into<String>) -> Self {
        let code = "OPERATION_NOT_SUPPORTED";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, code).because(detail)
    }

    /// An attribute that the mapping does not name. What is no name of ours may be anything, a
    /// secret too, so the answer says what could be written instead of repeating it.
    pub(super) fn unknown_attribute(mapping: &Mapping) -> Self {
        let writable = mapping.all().iter().filter(|mapped| !mapped.attribute.is_read_only());
        let names: Vec<&str> = writable.map(|mapped| mapped.name.as_str()).collect();
        Self::attribute_of_none(&names)
    }

    /// The same where these attributes alone can be written.
    pub(super) fn attribute_of_none(names: &[&str]) -> Self {
        let fault = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ATTRIBUTE_UNKNOWN");
        let known = match names {
            [] => "the configuration maps no attribute that can be written".to_owned(),
            names => format!("can be written: {}", names.join(", ")),
        };
        fault.at("/data/attributes").because(known)
    }

    pub(super) fn read_only(name: &str) -> Self {
        let fault = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ATTRIBUTE_READ_ONLY");
        fault.at(format!("/data/attributes/{name}"))
    }

    /// An attribute whose value makes no sense.
    pub(super) fn attribute(name: &str, why: &str) -> Self {
        let fault = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ATTRIBUTE_INVALID");
        fault.at(format!("/data/attributes/{name}")).because(why)
    }

    /// An end before its beginning.
    pub(super) fn inverted() -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "VALIDITY_INVERTED").at("/data/attributes")
    }

    pub(super) fn revoked() -> Self {
        Self::new(StatusCode::CONFLICT, "TOKEN_REVOKED")
    }

    fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE")
    }

    /// The answer.
    pub(super) fn answer(&self, request_id: &str, timestamp: &str) -> Response {
        let mut error = json!({
            "id": request_id,
            "status": self.status.as_u16(),
            "code": self.code,
        });
        if let Json::Object(fields) = &mut error {
            if let Some(pointer) = &self.pointer {
                fields.insert("source".into(), json!({ "pointer": pointer }));
            }
            if !self.detail.is_empty() {
                fields.insert("detail".into(), self.detail.as_str().into());
            }
        }
        let document = json!({ "meta": meta_of(timestamp), "errors": [error] });
        let response = answer(self.status, &document);
        let challenge = self.is_nobody().then_some("Bearer realm=\"counterfoil\"");
        crate::compat::hinting(response, challenge)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Unavailable(_) | Refusal::Overloaded | Refusal::NoEntropy(_) => {
                Self::unavailable()
            }
            Refusal::Forbidden(_)
            | Refusal::BeyondGrant(_)
            | Refusal::Policy(_)
            | Refusal::NotOpen(_) => {
                Self::new(StatusCode::FORBIDDEN, "ACCESS_DENIED").because(detail)
            }
            Refusal::NotFound(Thing::User) => Self::no_user(),
            Refusal::NotFound(Thing::Repository) => Self::no_type(),
            Refusal::NotFound(Thing::Job) => Self::new(StatusCode::NOT_FOUND, "JOB_NOT_FOUND"),
            Refusal::NotFound(Thing::Letter) => {
                Self::new(StatusCode::NOT_FOUND, "LETTER_NOT_FOUND")
            }
            Refusal::NotFound(_) => Self::no_token(),
            Refusal::AtLimit(_) | Refusal::RepositoryFull => {
                let fault = Self::new(StatusCode::CONFLICT, "TOKEN_LIMIT_REACHED");
                fault.at("/data").because(detail)
            }
            Refusal::SerialTaken => {
                Self::new(StatusCode::CONFLICT, "SERIAL_NOT_UNIQUE").because(detail)
            }
            Refusal::PlaceTaken => {
                Self::new(StatusCode::CONFLICT, "ALREADY_ASSIGNED").because(detail)
            }
            Refusal::VersionMismatch => Self::new(StatusCode::CONFLICT, "VERSION_CONFLICT"),
            Refusal::Ended(State::Revoked) => Self::revoked(),
            Refusal::LetterEnded(_) => {
                Self::new(StatusCode::CONFLICT, "LETTER_ENDED").because(detail)
            }
            Refusal::Ended(_) | Refusal::LinkEnded(_) => {
                Self::new(StatusCode::CONFLICT, "TOKEN_ENDED").because(detail)
            }
            Refusal::NotSupported(_) => Self::not_supported(detail),
            Refusal::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED")
            }
            Refusal::Invalid { field, .. } if field == "validity" => Self::inverted(),
            Refusal::Invalid { field, why } => Self::attribute(&field, &why),
            Refusal::Exists(_) | Refusal::InUse(_) | Refusal::NotEmpty(_) | Refusal::BuiltIn(_) => {
                Self::new(StatusCode::CONFLICT, "CONFLICT").because(detail)
            }
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

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        match problem.sort() {
            Sort::Unavailable => Self::unavailable(),
            Sort::BodyTooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE"),
            Sort::RequestTimeout => Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            _ => Self::malformed(problem.detail()),
        }
    }
}
