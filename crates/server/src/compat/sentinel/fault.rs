//! Every refusal of the Sentinel door: `errorResponse` with a number. Of the product's own numbers
//! only 125 is known; the others are ours, 90000 and up, so that none is mistaken for one of theirs.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_authority::authority::{AuthRefusal, EnrolRefusal, RefreshRefusal};
use counterfoil_authority::enrolment::Constraint;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::token::State;

use super::wire::{Format, Node};
use crate::http::problem::{Problem, Sort};

/// The product's number for what does not exist.
const NOT_FOUND: i64 = 125;
/// Who presents a registration token.
const BY_TOKEN: &str = "Basic realm=\"registration-token\"";
/// Who presents an administrator's token.
const BY_BEARER: &str = "Bearer realm=\"counterfoil\"";

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) code: i64,
    description: &'static str,
    detail: String,
    challenge: Option<&'static str>,
}

impl Fault {
    fn new(status: StatusCode, code: i64, description: &'static str) -> Self {
        Self { status, code, description, detail: description.to_owned(), challenge: None }
    }

    fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// A body or parameter that makes no sense.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 90_400, "The request is not valid.").because(detail)
    }

    /// A field that makes no sense.
    pub(super) fn field(name: &str, why: impl std::fmt::Display) -> Self {
        Self::invalid(format!("{name}: {why}"))
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, NOT_FOUND, "The requested resource is not found.")
    }

    /// A registration token that is not good.
    pub(super) fn no_token() -> Self {
        let description = "Invalid registration token.";
        let fault = Self::new(StatusCode::UNAUTHORIZED, 90_401, description);
        Self { challenge: Some(BY_TOKEN), ..fault }
    }

    /// An administrator's token that is not good, or none.
    pub(super) fn nobody() -> Self {
        let fault = Self::new(StatusCode::UNAUTHORIZED, 90_402, "Invalid or missing credential.");
        Self { challenge: Some(BY_BEARER), ..fault }
    }

    /// A disabled token, or one that was.
    pub(super) fn disabled(status: StatusCode) -> Self {
        Self::new(status, 90_410, "Registration token is disabled.")
    }

    /// An expired token.
    pub(super) fn expired(status: StatusCode) -> Self {
        Self::new(status, 90_411, "Registration token has expired.")
    }

    fn unavailable() -> Self {
        let description = "The service is temporarily unavailable.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, 90_503, description)
    }

    /// The answer.
    pub(super) fn answer(&self, format: Format) -> Response {
        let node = Node::Object(vec![
            ("errorCode", Node::Number(self.code)),
            ("description", self.description.into()),
            ("developerMessage", self.detail.as_str().into()),
        ]);
        let bytes = format.write("errorResponse", &node);
        let kind = [(header::CONTENT_TYPE, format.content_type())];
        let response = (self.status, kind, bytes).into_response();
        let challenge = self.challenge;
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
            Refusal::Forbidden(_) | Refusal::BeyondGrant(_) => {
                let description = "The caller may not do this.";
                Self::new(StatusCode::FORBIDDEN, 90_403, description).because(detail)
            }
            Refusal::NotFound(_) => Self::not_found(),
            Refusal::KeyReused => {
                let description = "The idempotency key was used for another request.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, 90_422, description)
            }
            Refusal::Exists(_)
            | Refusal::VersionMismatch
            | Refusal::Invalid { .. }
            | Refusal::Policy(_)
            | Refusal::NotOpen(_)
            | Refusal::AtLimit(_)
            | Refusal::RepositoryFull
            | Refusal::SerialTaken
            | Refusal::PlaceTaken
            | Refusal::NotSupported(_)
            | Refusal::Ended(_)
            | Refusal::LinkEnded(_)
            | Refusal::LetterEnded(_)
            | Refusal::InUse(_)
            | Refusal::NotEmpty(_)
            | Refusal::BuiltIn(_) => Self::invalid(detail),
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
            _ => Self::invalid(problem.detail()),
        }
    }
}

impl From<EnrolRefusal> for Fault {
    fn from(refusal: EnrolRefusal) -> Self {
        let forbidden = StatusCode::FORBIDDEN;
        let detail = refusal.to_string();
        match refusal {
            EnrolRefusal::Denied => Self::no_token(),
            EnrolRefusal::Other(refusal) => refusal.into(),
            EnrolRefusal::State(State::Disabled | State::Locked) => Self::disabled(forbidden),
            EnrolRefusal::State(State::Expired) => Self::expired(forbidden),
            EnrolRefusal::State(State::Exhausted) => {
                Self::new(forbidden, 90_412, "Registration token count is fully consumed.")
            }
            EnrolRefusal::State(State::NotYetValid | State::Pending) => {
                Self::new(forbidden, 90_413, "Registration token is not valid yet.")
            }
            EnrolRefusal::Constraint(Constraint::DuplicateDevice) => {
                let description = "The device has an auth token already.";
                Self::new(StatusCode::CONFLICT, 90_409, description)
            }
            EnrolRefusal::State(State::Revoked | State::Active)
            | EnrolRefusal::OwnerInactive
            | EnrolRefusal::WrongDoor
            | EnrolRefusal::NoService
            | EnrolRefusal::Constraint(_)
            | EnrolRefusal::Scope(_) => {
                let description = "The registration token may not be used like this.";
                Self::new(forbidden, 90_414, description).because(detail)
            }
        }
    }
}

impl From<RefreshRefusal> for Fault {
    fn from(refusal: RefreshRefusal) -> Self {
        match refusal {
            RefreshRefusal::Other(refusal) => refusal.into(),
            _ => Self::new(StatusCode::FORBIDDEN, 90_415, "The refresh token is not good."),
        }
    }
}
