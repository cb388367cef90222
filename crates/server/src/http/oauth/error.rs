//! Every refusal of the OAuth door as its error document (RFC 6749 section 5.2).
//!
//! The table is [`ErrorCode::parts`]; which refusal of the authority is which error stands in
//! the exhaustive matches below. `error_description` is for the developer of the client.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_authority::access::proof::ProofFault;
use counterfoil_authority::authority::{AccessRefusal, AuthRefusal, EnrolRefusal, RefreshRefusal};
use counterfoil_authority::refusal::Refusal;
use serde_json::{Map, Value, json};

use crate::http::problem::{Problem, Sort};

/// What went wrong, in the words of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// RFC 6749: the request lacks something, or says it twice.
    InvalidRequest,
    /// RFC 6749 section 3.2 and appendix B: the body is no form.
    NoForm,
    /// RFC 6749: nobody is authenticated.
    InvalidClient,
    /// RFC 6749: the presented secret is not good.
    InvalidGrant,
    /// RFC 6749: this client may not do that.
    UnauthorizedClient,
    /// RFC 6749: this server does not do that.
    UnsupportedGrantType,
    /// RFC 6749: not these scopes.
    InvalidScope,
    /// RFC 8693: not this audience.
    InvalidTarget,
    /// RFC 9449: no proof, or not this one.
    InvalidDpopProof,
    /// RFC 9449 section 8: say it again with this nonce.
    UseDpopNonce,
    /// RFC 8628: nobody has decided yet.
    AuthorizationPending,
    /// RFC 8628: ask less often.
    SlowDown,
    /// RFC 8628: somebody decided against it.
    AccessDenied,
    /// RFC 8628: nobody decided in time.
    ExpiredToken,
    /// RFC 7591: the description of the client makes no sense.
    InvalidClientMetadata,
    /// RFC 6750: the presented token is not good here.
    InvalidToken,
    /// RFC 6750: the caller may not ask this.
    InsufficientScope,
    /// RFC 6749: try again.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The word on the wire, and its status.
    pub const fn parts(self) -> (&'static str, StatusCode) {
        match self {
            Self::InvalidRequest => ("invalid_request", StatusCode::BAD_REQUEST),
            Self::NoForm => ("invalid_request", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::InvalidClient => ("invalid_client", StatusCode::UNAUTHORIZED),
            Self::InvalidGrant => ("invalid_grant", StatusCode::BAD_REQUEST),
            Self::UnauthorizedClient => ("unauthorized_client", StatusCode::BAD_REQUEST),
            Self::UnsupportedGrantType => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
            Self::InvalidScope => ("invalid_scope", StatusCode::BAD_REQUEST),
            Self::InvalidTarget => ("invalid_target", StatusCode::BAD_REQUEST),
            Self::InvalidDpopProof => ("invalid_dpop_proof", StatusCode::BAD_REQUEST),
            Self::UseDpopNonce => ("use_dpop_nonce", StatusCode::BAD_REQUEST),
            Self::AuthorizationPending => ("authorization_pending", StatusCode::BAD_REQUEST),
            Self::SlowDown => ("slow_down", StatusCode::BAD_REQUEST),
            Self::AccessDenied => ("access_denied", StatusCode::BAD_REQUEST),
            Self::ExpiredToken => ("expired_token", StatusCode::BAD_REQUEST),
            Self::InvalidClientMetadata => ("invalid_client_metadata", StatusCode::BAD_REQUEST),
            Self::InvalidToken => ("invalid_token", StatusCode::UNAUTHORIZED),
            Self::InsufficientScope => ("insufficient_scope", StatusCode::FORBIDDEN),
            Self::TemporarilyUnavailable => {
                ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }
}

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// For who comes with a token that is bound to a key; the algorithms are those of
/// [`counterfoil_authority::access::proof::PROOF_ALGS`].
const DPOP_CHALLENGE: &str = r#"DPoP error="invalid_token", algs="EdDSA ES256 RS256""#;

/// A refusal of this door.
#[derive(Debug, Clone)]
pub struct OauthError {
    /// What went wrong.
    pub code: ErrorCode,
    /// Whether no right secret was presented: such an answer is held back from whoever guesses
    /// often, and no other.
    pub guessed: bool,
    description: String,
    more: Map<String, Value>,
    /// What the next proof has to hold.
    nonce: Option<String>,
    /// Already written elsewhere: a realm that does not exist, a body that is too large.
    problem: Option<Box<Problem>>,
}

impl OauthError {
    /// An error with a text for the developer of the client.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        let description = description.into();
        Self { code, guessed: false, description, more: Map::new(), nonce: None, problem: None }
    }

    /// The same, as an answer to a guess or to none.
    #[must_use]
    pub fn guess(self, guessed: bool) -> Self {
        Self { guessed, ..self }
    }

    /// The same, with the nonce that the next proof has to hold.
    #[must_use]
    pub fn with_nonce(self, nonce: String) -> Self {
        Self { nonce: Some(nonce), ..self }
    }

    /// The same wish in the words of a door for access tokens (RFC 9449 section 9).
    pub fn nonce_wanted(&self, problem: Problem) -> Problem {
        let challenge = HeaderValue::from_static(r#"DPoP error="use_dpop_nonce""#);
        let problem = problem.with_header(header::WWW_AUTHENTICATE, challenge);
        match self.nonce.as_deref().map(HeaderValue::from_str) {
            Some(Ok(nonce)) => problem.with_header(DPOP_NONCE, nonce),
            _ => problem,
        }
    }

    /// The same in another word.
    #[must_use]
    pub fn coded(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    /// Adds a member to the document.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        if let Some(problem) = self.problem {
            return (*problem).into_response();
        }
        let (word, status) = self.code.parts();
        let mut document = self.more;
        document.insert("error".to_owned(), json!(word));
        document.insert("error_description".to_owned(), json!(self.description));
        let mut response = (status, axum::Json(Value::Object(document))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = match self.code {
                ErrorCode::InvalidClient => r#"Basic realm="counterfoil", charset="UTF-8""#,
                _ => r#"Bearer realm="counterfoil", error="invalid_token""#,
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            if self.code == ErrorCode::InvalidToken {
                // RFC 9449 section 7.1.
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(DPOP_CHALLENGE));
            }
        }
        if let Some(Ok(nonce)) = self.nonce.as_deref().map(HeaderValue::from_str) {
            headers.insert(DPOP_NONCE, nonce);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Problem> for OauthError {
    fn from(problem: Problem) -> Self {
        let code = match problem.sort() {
            Sort::Unavailable => ErrorCode::TemporarilyUnavailable,
            _ => ErrorCode::InvalidRequest,
        };
        let kept = code != ErrorCode::TemporarilyUnavailable;
        Self { problem: kept.then(|| Box::new(problem)), ..Self::new(code, "try again") }
    }
}

impl From<Refusal> for OauthError {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            // The one table of the native API knows how to log the cause and hide it.
            Refusal::Unavailable(_)
            | Refusal::Overloaded
            | Refusal::NoEntropy(_)
            | Refusal::NotFound(_) => Problem::from(refusal).into(),
            Refusal::Forbidden(_) => Self::new(ErrorCode::InsufficientScope, text),
            Refusal::BeyondGrant(_) => Self::new(ErrorCode::UnauthorizedClient, text),
            Refusal::Policy(_)
            | Refusal::NotOpen(_)
            | Refusal::AtLimit(_)
            | Refusal::RepositoryFull
            | Refusal::Ended(_)
            | Refusal::LinkEnded(_)
            | Refusal::LetterEnded(_) => Self::new(ErrorCode::InvalidGrant, text),
            Refusal::Exists(_)
            | Refusal::SerialTaken
            | Refusal::PlaceTaken
            | Refusal::NotSupported(_)
            | Refusal::VersionMismatch
            | Refusal::Invalid { .. }
            | Refusal::KeyReused
            | Refusal::InUse(_)
            | Refusal::NotEmpty(_)
            | Refusal::BuiltIn(_) => Self::new(ErrorCode::InvalidRequest, text),
        }
    }
}

impl From<AuthRefusal> for OauthError {
    fn from(refusal: AuthRefusal) -> Self {
        match refusal {
            AuthRefusal::Denied { guessed } => invalid_client().guess(guessed),
            AuthRefusal::Unavailable(refusal) => refusal.into(),
        }
    }
}

impl From<AccessRefusal> for OauthError {
    fn from(refusal: AccessRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            AccessRefusal::Token { guessed } => {
                Self::new(ErrorCode::InvalidGrant, text).guess(guessed)
            }
            AccessRefusal::PublicClient => Self::new(ErrorCode::UnauthorizedClient, text),
            AccessRefusal::Scope => Self::new(ErrorCode::InvalidScope, text),
            AccessRefusal::Target => Self::new(ErrorCode::InvalidTarget, text),
            AccessRefusal::Proof(fault) => fault.into(),
            AccessRefusal::Other(refusal) => refusal.into(),
        }
    }
}

impl From<RefreshRefusal> for OauthError {
    fn from(refusal: RefreshRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            RefreshRefusal::Denied => Self::new(ErrorCode::InvalidGrant, text).guess(true),
            RefreshRefusal::State(_)
            | RefreshRefusal::OwnerInactive
            | RefreshRefusal::Idle
            | RefreshRefusal::Reused
            | RefreshRefusal::TooOften => Self::new(ErrorCode::InvalidGrant, text),
            RefreshRefusal::Scope => Self::new(ErrorCode::InvalidScope, text),
            RefreshRefusal::NoService => Self::new(ErrorCode::InvalidTarget, text),
            RefreshRefusal::WrongKey => Self::new(ErrorCode::InvalidDpopProof, text),
            RefreshRefusal::Waiting { too_soon, interval_seconds } => {
                let code =
                    if too_soon { ErrorCode::SlowDown } else { ErrorCode::AuthorizationPending };
                Self::new(code, text).with("interval", interval_seconds)
            }
            RefreshRefusal::Declined => Self::new(ErrorCode::AccessDenied, text),
            RefreshRefusal::TimedOut => Self::new(ErrorCode::ExpiredToken, text),
            RefreshRefusal::Other(refusal) => refusal.into(),
        }
    }
}

impl From<EnrolRefusal> for OauthError {
    fn from(refusal: EnrolRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            EnrolRefusal::Denied => Self::new(ErrorCode::InvalidGrant, text).guess(true),
            EnrolRefusal::State(_)
            | EnrolRefusal::OwnerInactive
            | EnrolRefusal::WrongDoor
            | EnrolRefusal::Constraint(_) => Self::new(ErrorCode::InvalidGrant, text),
            EnrolRefusal::NoService => Self::new(ErrorCode::InvalidTarget, text),
            EnrolRefusal::Scope(_) => Self::new(ErrorCode::InvalidScope, text),
            EnrolRefusal::Other(refusal) => refusal.into(),
        }
    }
}

impl From<ProofFault> for OauthError {
    fn from(fault: ProofFault) -> Self {
        let code = match fault {
            ProofFault::Nonce => ErrorCode::UseDpopNonce,
            _ => ErrorCode::InvalidDpopProof,
        };
        Self::new(code, fault.to_string())
    }
}

/// Nobody is authenticated; why is not said.
pub fn invalid_client() -> OauthError {
    OauthError::new(ErrorCode::InvalidClient, "authenticate with a client's name and its key")
}

/// The request lacks something.
pub fn invalid_request(description: impl Into<String>) -> OauthError {
    OauthError::new(ErrorCode::InvalidRequest, description)
}
