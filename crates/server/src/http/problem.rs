//! Every refusal of the native API as an RFC 9457 problem document: the one table of statuses.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_authority::authority::AuthRefusal;
use counterfoil_authority::refusal::Refusal;
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds after which a caller that met a 503 may try again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// What is wrong, as a class that never changes its slug once released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The body is no JSON.
    Malformed,
    /// Nobody is authenticated.
    Unauthenticated,
    /// The caller lacks a scope.
    InsufficientScope,
    /// The caller may do this, but not to this extent.
    BeyondGrant,
    /// There is no such thing.
    NotFound,
    /// There is no such route.
    NoSuchRoute,
    /// The route knows other methods.
    MethodNotAllowed,
    /// The name is taken.
    Exists,
    /// As many tokens as policy allows.
    AtLimit,
    /// The token has ended.
    Ended,
    /// Live tokens still name it.
    InUse,
    /// Others still belong to it.
    NotEmpty,
    /// The installation depends on it.
    BuiltIn,
    /// `If-Match` names another version.
    VersionMismatch,
    /// The body is too large.
    BodyTooLarge,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// A field makes no sense.
    Invalid,
    /// A policy forbids it.
    Policy,
    /// The idempotency key was used for another request.
    KeyReused,
    /// This release does not do it.
    NotAvailable,
    /// Too many requests.
    RateLimited,
    /// The store or the hashing queue cannot answer now.
    Unavailable,
}

/// One row of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The class.
    pub sort: Sort,
    /// Its HTTP status.
    pub status: StatusCode,
    /// The end of its `type`, `/problems/{slug}`.
    pub slug: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it means and what to do, for the documentation.
    pub meaning: &'static str,
}

const fn entry(
    sort: Sort,
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    meaning: &'static str,
) -> Entry {
    Entry { sort, status, slug, title, meaning }
}

/// Every problem that the API answers, by status.
pub const PROBLEMS: [Entry; 22] = [
    entry(
        Sort::Malformed,
        StatusCode::BAD_REQUEST,
        "malformed",
        "Malformed request",
        "The body is not well-formed JSON in UTF-8, or is nested too deeply.",
    ),
    entry(
        Sort::Unauthenticated,
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "Not authenticated",
        "No credential was presented as `Authorization: Bearer`, or it is not good. \
         Why it is not good stands in the events of the realm.",
    ),
    entry(
        Sort::InsufficientScope,
        StatusCode::FORBIDDEN,
        "insufficient-scope",
        "Insufficient scope",
        "The caller's roles or the scopes of the presented token do not allow this here.",
    ),
    entry(
        Sort::BeyondGrant,
        StatusCode::FORBIDDEN,
        "beyond-grant",
        "Beyond the caller's grant",
        "The caller may do this sort of thing, but not to this extent: nobody gives more than \
         they have.",
    ),
    entry(
        Sort::NotFound,
        StatusCode::NOT_FOUND,
        "not-found",
        "Not found",
        "There is no such thing, or it belongs to a realm or person that the caller may not \
         know of. The two answer alike.",
    ),
    entry(
        Sort::NoSuchRoute,
        StatusCode::NOT_FOUND,
        "no-such-route",
        "No such route",
        "The path is not part of the API, or its door is switched off.",
    ),
    entry(
        Sort::MethodNotAllowed,
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
        "The path exists; the `Allow` header lists its methods.",
    ),
    entry(
        Sort::Exists,
        StatusCode::CONFLICT,
        "exists",
        "Name taken",
        "Something of that name exists already.",
    ),
    entry(
        Sort::AtLimit,
        StatusCode::CONFLICT,
        "at-limit",
        "Token limit reached",
        "The person holds as many active tokens as the service's policy allows. \
         Revoke one first.",
    ),
    entry(
        Sort::Ended,
        StatusCode::CONFLICT,
        "ended",
        "Token ended",
        "The token is revoked or expired for good. Issue a new one.",
    ),
    entry(
        Sort::InUse,
        StatusCode::CONFLICT,
        "in-use",
        "Service in use",
        "Tokens that are not revoked still name the service. Suspend it, or revoke them first.",
    ),
    entry(
        Sort::NotEmpty,
        StatusCode::CONFLICT,
        "not-empty",
        "Not empty",
        "Others still belong to it. Move or remove them first.",
    ),
    entry(
        Sort::BuiltIn,
        StatusCode::CONFLICT,
        "built-in",
        "Built in",
        "The installation depends on it, so it cannot be changed like this.",
    ),
    entry(
        Sort::VersionMismatch,
        StatusCode::PRECONDITION_FAILED,
        "version-mismatch",
        "Changed in between",
        "`If-Match` names another version than the present one. Read it again, then decide.",
    ),
    entry(
        Sort::BodyTooLarge,
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        "Body too large",
        "The body exceeds the limit of the route.",
    ),
    entry(
        Sort::UnsupportedMediaType,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "Unsupported media type",
        "Bodies are JSON: send `Content-Type: application/json`.",
    ),
    entry(
        Sort::Invalid,
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid",
        "Invalid field",
        "A field or parameter is unknown, missing, or has a value that makes no sense. \
         `field` names it.",
    ),
    entry(
        Sort::Policy,
        StatusCode::UNPROCESSABLE_ENTITY,
        "policy",
        "Against policy",
        "The policy of the service or realm forbids what was asked for.",
    ),
    entry(
        Sort::KeyReused,
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "Idempotency key reused",
        "The `Idempotency-Key` was used for another request. Choose a new one.",
    ),
    entry(
        Sort::NotAvailable,
        StatusCode::UNPROCESSABLE_ENTITY,
        "not-available",
        "Not available",
        "The contract knows this, but this release does not do it yet.",
    ),
    entry(
        Sort::RateLimited,
        StatusCode::TOO_MANY_REQUESTS,
        "rate-limited",
        "Too many requests",
        "The caller asks too often. `Retry-After` says when to come back.",
    ),
    entry(
        Sort::Unavailable,
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "Temporarily unavailable",
        "The store or the hashing queue cannot answer now. Nothing is known to have happened; \
         try again after `Retry-After` seconds. Never a denial.",
    ),
];

impl Sort {
    /// Its row.
    pub fn entry(self) -> &'static Entry {
        // The last row is the harmless answer should a row ever be forgotten; a test forbids it.
        PROBLEMS.iter().find(|entry| entry.sort == self).unwrap_or(&PROBLEMS[PROBLEMS.len() - 1])
    }
}

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

impl Problem {
    /// A problem of a class.
    pub fn new(sort: Sort, detail: impl Into<String>) -> Self {
        Self { sort, detail: detail.into(), field: None, headers: Vec::new(), presented: false }
    }

    /// A field or parameter that makes no sense.
    pub fn invalid(field: impl Into<String>, why: impl ToString) -> Self {
        let field = field.into();
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

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
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
            Refusal::Exists(_) => Self::new(Sort::Exists, detail),
            Refusal::VersionMismatch => Self::new(Sort::VersionMismatch, detail),
            Refusal::Invalid { field, why } => Self::invalid(field, why),
            Refusal::Policy(_) => Self::new(Sort::Policy, detail),
            Refusal::AtLimit(_) => Self::new(Sort::AtLimit, detail),
            Refusal::KeyReused => Self::new(Sort::KeyReused, detail),
            Refusal::Ended(_) => Self::new(Sort::Ended, detail),
            Refusal::InUse(_) => Self::new(Sort::InUse, detail),
            Refusal::NotEmpty(_) => Self::new(Sort::NotEmpty, detail),
            Refusal::BuiltIn(_) => Self::new(Sort::BuiltIn, detail),
        }
    }
}

impl From<AuthRefusal> for Problem {
    fn from(refusal: AuthRefusal) -> Self {
        match refusal {
            AuthRefusal::Denied => Self::unauthenticated(true),
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

/// The catalogue as the reference page `docs/reference/problems.md`.
pub fn catalogue() -> String {
    let mut page = String::from(
        "# Problems\n\n\
         Every refusal of the native API is a problem document (RFC 9457).\n\
         Its `type` is `/problems/` and one of these slugs, which never change once released.\n\
         `field` names the field or parameter at fault, `request_id` is the same as in the log.\n\n\
         | slug | status | title | meaning |\n|---|---|---|---|\n",
    );
    for entry in &PROBLEMS {
        let (slug, status) = (entry.slug, entry.status.as_u16());
        page.push_str(&format!("| `{slug}` | {status} | {} | {} |\n", entry.title, entry.meaning));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_exactly_one_row_and_one_slug() {
        for (position, row) in PROBLEMS.iter().enumerate() {
            assert_eq!(row.sort.entry().slug, row.slug);
            let later = PROBLEMS.iter().skip(position + 1);
            assert!(!later.clone().any(|other| other.slug == row.slug || other.sort == row.sort));
        }
    }
}
