//! Every refusal of the native API as an RFC 9457 problem document.
//!
//! The statuses stand in [`PROBLEMS`]; the only other thing to know is which refusal of the
//! authority belongs to which class, which is the exhaustive `match` below.

mod catalogue;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_authority::authority::AuthRefusal;
use counterfoil_authority::refusal::Refusal;
use serde::Serialize;
use utoipa::ToSchema;

pub use catalogue::{Entry, PROBLEMS, Sort, catalogue};

/// Seconds after which a caller that met a 503 may try again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A refusal of the native API. `detail` belongs to the occurrence, the rest to the class;
/// nothing from a database driver ever reaches either.
#[derive(Debug, Clone)]
pub struct Problem {
    sort: Sort,
    detail: String,
    field: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    presented: bool,
}

/// The document on the wire, `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// `/problems/{slug}`; never changes once released.
    #[schema(example = "/problems/invalid")]
    r#type: String,
    /// The class in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time.
    detail: String,
    /// The field of the body or the parameter that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The same as `X-Request-Id`, and as in the log and in events.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Characters of a name that is repeated: more than any field has, fewer than our token strings.
const NAME_CHARS_MAX: usize = 40;
/// Dashes of such a name; a secret in groups has more.
const NAME_DASHES_MAX: usize = 3;

/// The name of a field as an answer may repeat it. It may be the sender's own text, and a secret
/// that stands where a name belongs must not stand in an answer: `?` takes its place.
pub(super) fn name_shown(name: &str) -> String {
    let one = |part: &str| {
        let dashes = part.matches('-').count();
        let is_name = part.chars().nth(NAME_CHARS_MAX).is_none() && dashes <= NAME_DASHES_MAX;
        if is_name { part.to_owned() } else { "?".to_owned() }
    };
    name.split('.').map(one).collect::<Vec<_>>().join(".")
}

impl Problem {
    /// A problem of a class.
    pub fn new(sort: Sort, detail: impl Into<String>) -> Self {
        Self { sort, detail: detail.into(), field: None, headers: Vec::new(), presented: false }
    }

    /// A field or parameter that makes no sense.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over the error they just met")]
    pub fn invalid(field: impl Into<String>, why: impl ToString) -> Self {
        let field = name_shown(&field.into());
        let why = why.to_string();
        let detail = if field.is_empty() { why } else { format!("{field}: {why}") };
        Self { field: (!field.is_empty()).then_some(field), ..Self::new(Sort::Invalid, detail) }
    }

    /// Nobody is authenticated; `presented` says whether a credential was there (RFC 6750
    /// section 3.1: without one, no error code).
    pub fn unauthenticated(presented: bool) -> Self {
        let (challenge, detail) = if presented {
            (
                r#"Bearer realm="counterfoil", error="invalid_token""#,
                "the presented credential is not good",
            )
        } else {
            (r#"Bearer realm="counterfoil""#, "present a credential as Authorization: Bearer")
        };
        let problem = Self { presented, ..Self::new(Sort::Unauthenticated, detail) };
        problem.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// Whether a credential was presented and found bad.
    pub const fn was_presented(&self) -> bool {
        self.presented
    }

    /// Names the field that is at fault.
    #[must_use]
    pub fn about(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }

    /// The same in other words.
    pub(in crate::http) fn saying(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    pub(in crate::http) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its class.
    pub const fn sort(&self) -> Sort {
        self.sort
    }

    /// What is wrong this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer, with the id of its request if it is known already.
    pub fn render(&self, request_id: Option<&str>) -> Response {
        let entry = self.sort.entry();
        let document = Document {
            r#type: format!("/problems/{}", entry.slug),
            title: entry.title,
            status: entry.status.as_u16(),
            detail: self.detail.clone(),
            field: self.field.clone(),
            request_id: request_id.map(str::to_owned),
        };
        let mut response = (entry.status, Json(document)).into_response();
        let headers: &mut HeaderMap = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if entry.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        response
    }
}

/// Carries the problem along, so that the envelope can add the request's id and note it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render(None);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Unavailable(cause) => {
                tracing::error!(cause = %chain(&cause), "the store did not answer");
                Self::new(Sort::Unavailable, detail)
            }
            Refusal::Overloaded => Self::new(Sort::Unavailable, detail),
            Refusal::NoEntropy(_) => {
                tracing::error!("the operating system's random generator failed");
                Self::new(Sort::Unavailable, detail)
            }
            Refusal::Forbidden(scope) => {
                let challenge = format!(
                    r#"Bearer realm="counterfoil", error="insufficient_scope", scope="{}""#,
                    scope.name()
                );
                let problem = Self::new(Sort::InsufficientScope, detail);
                match HeaderValue::try_from(challenge) {
                    Ok(value) => problem.with_header(header::WWW_AUTHENTICATE, value),
                    Err(_) => problem,
                }
            }
            Refusal::BeyondGrant(_) => Self::new(Sort::BeyondGrant, detail),
            Refusal::NotFound(_) => Self::new(Sort::NotFound, detail),
            Refusal::Exists(_) | Refusal::SerialTaken | Refusal::PlaceTaken => {
                Self::new(Sort::Exists, detail)
            }
            Refusal::NotSupported(_) => Self::new(Sort::NotAvailable, detail),
            Refusal::VersionMismatch => Self::new(Sort::VersionMismatch, detail),
            Refusal::Invalid { field, why } => Self::invalid(field, why),
            Refusal::Policy(_) => Self::new(Sort::Policy, detail),
            Refusal::NotOpen(_) => Self::new(Sort::NotOpen, detail),
            Refusal::AtLimit(_) | Refusal::RepositoryFull => Self::new(Sort::AtLimit, detail),
            Refusal::KeyReused => Self::new(Sort::KeyReused, detail),
            Refusal::Ended(_) => Self::new(Sort::Ended, detail),
            Refusal::LinkEnded(_) => Self::new(Sort::LinkEnded, detail),
            Refusal::LetterEnded(_) => Self::new(Sort::LetterEnded, detail),
            Refusal::InUse(_) => Self::new(Sort::InUse, detail),
            Refusal::NotEmpty(_) => Self::new(Sort::NotEmpty, detail),
            Refusal::BuiltIn(_) => Self::new(Sort::BuiltIn, detail),
        }
    }
}

impl From<AuthRefusal> for Problem {
    fn from(refusal: AuthRefusal) -> Self {
        match refusal {
            AuthRefusal::Denied { .. } => Self::unauthenticated(true),
            AuthRefusal::Unavailable(refusal) => refusal.into(),
        }
    }
}

/// An error with everything that caused it, for the log alone.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
