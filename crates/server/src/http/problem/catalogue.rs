//! The catalogue of problems: every class with its status, slug, title and meaning.

use std::fmt::Write as _;

use axum::http::StatusCode;

/// What is wrong, as a class that never changes its slug once released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The body is no JSON, or the request no proper HTTP.
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
    /// The body did not arrive in time.
    RequestTimeout,
    /// The name is taken.
    Exists,
    /// As many tokens as policy allows.
    AtLimit,
    /// The service takes no new tokens.
    NotOpen,
    /// The token has ended.
    Ended,
    /// Live tokens still name it.
    InUse,
    /// Others still belong to it.
    NotEmpty,
    /// The installation depends on it.
    BuiltIn,
    /// A one-time link was opened before, or has ended.
    LinkEnded,
    /// An activation letter was printed or redeemed before, or has ended.
    LetterEnded,
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
    /// The registration token is switched off.
    RegistrationDisabled,
    /// The registration token's time is over.
    RegistrationExpired,
    /// All draws of the registration token are taken.
    RegistrationExhausted,
    /// The registration token is not active for another reason.
    RegistrationInactive,
    /// A condition of the registration token is not met.
    Constraint,
    /// The device has an auth token already.
    DuplicateDevice,
    /// Somebody said no.
    AccessDenied,
    /// Nobody decided in time.
    RequestExpired,
    /// Too many requests.
    RateLimited,
    /// The store, a repository or the hashing queue cannot answer now.
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
pub const PROBLEMS: [Entry; 34] = [
    entry(
        Sort::Malformed,
        StatusCode::BAD_REQUEST,
        "malformed",
        "Malformed request",
        "The body is not well-formed JSON in UTF-8, or is nested too deeply; or the request does \
         not have exactly one proper `Host` line.",
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
        Sort::RegistrationDisabled,
        StatusCode::FORBIDDEN,
        "registration-disabled",
        "Registration token disabled",
        "The secret is right, but the registration token is switched off or locked. \
         Nothing was counted.",
    ),
    entry(
        Sort::RegistrationExpired,
        StatusCode::FORBIDDEN,
        "registration-expired",
        "Registration token expired",
        "The secret is right, but the registration token has expired. Ask for a new one; \
         what was drawn from it lives on.",
    ),
    entry(
        Sort::RegistrationExhausted,
        StatusCode::FORBIDDEN,
        "registration-exhausted",
        "Registration token used up",
        "The secret is right, but all of the registration token's count is taken or held for \
         requests that wait. An administrator may raise the count or give draws back.",
    ),
    entry(
        Sort::RegistrationInactive,
        StatusCode::FORBIDDEN,
        "registration-inactive",
        "Registration token not active",
        "The secret is right, but the registration token is revoked, not valid yet, not meant \
         for this door, or whoever issued it is not active.",
    ),
    entry(
        Sort::Constraint,
        StatusCode::FORBIDDEN,
        "constraint",
        "Condition not met",
        "The secret is right, but a condition of the registration token is not met; `field` \
         names it. Nothing was counted.",
    ),
    entry(
        Sort::AccessDenied,
        StatusCode::FORBIDDEN,
        "access-denied",
        "Request denied",
        "Somebody decided against the request.",
    ),
    entry(
        Sort::RequestExpired,
        StatusCode::FORBIDDEN,
        "request-expired",
        "Request expired",
        "Nobody decided about the request in time. Its draw is free again.",
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
        Sort::RequestTimeout,
        StatusCode::REQUEST_TIMEOUT,
        "request-timeout",
        "Body too slow",
        "The body took too long to arrive whole. Nothing happened; send it again.",
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
        Sort::NotOpen,
        StatusCode::CONFLICT,
        "not-open",
        "No new tokens",
        "The service takes no new tokens, or none of this person: they are switched off for it, it \
         is suspended, or the person is not in its group.",
    ),
    entry(
        Sort::DuplicateDevice,
        StatusCode::CONFLICT,
        "duplicate-device",
        "Device has an auth token",
        "The registration token gives each device one auth token, and this one has it already.",
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
        Sort::LinkEnded,
        StatusCode::GONE,
        "link-ended",
        "Link ended",
        "The one-time link was opened before, has expired, or its token has ended. Who meets this \
         at the first opening tells the sender: somebody else has read the secret.",
    ),
    entry(
        Sort::LetterEnded,
        StatusCode::GONE,
        "letter-ended",
        "Letter ended",
        "The activation letter was printed or redeemed before, was cancelled, or has expired.",
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
        "The store, a repository that tokens are kept in, or the hashing queue cannot answer now. \
         Nothing is known to have happened; try again after `Retry-After` seconds. Never a denial.",
    ),
];

impl Sort {
    /// Its row.
    pub fn entry(self) -> &'static Entry {
        // The last row is the harmless answer should a row ever be forgotten; a test forbids it.
        PROBLEMS.iter().find(|entry| entry.sort == self).unwrap_or(&PROBLEMS[PROBLEMS.len() - 1])
    }
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
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{slug}` | {status} | {} | {} |", entry.title, entry.meaning);
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
