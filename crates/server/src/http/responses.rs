//! The refusals that routes have in common, for the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoResponses, ToResponse};

use super::problem::Document;

/// Declares one documented refusal.
macro_rules! refusal {
    ($($(#[$meta:meta])* $name:ident = $description:literal;)*) => {$(
        $(#[$meta])*
        pub struct $name;

        impl<'r> ToResponse<'r> for $name {
            fn response() -> (&'r str, RefOr<Response>) {
                (stringify!($name), RefOr::T(problem($description)))
            }
        }
    )*};
}

refusal! {
    /// 400.
    Malformed = "The body is no JSON, or the request no proper HTTP.";
    /// 401.
    Unauthenticated = "No credential was presented, or it is not good.";
    /// 403.
    Forbidden = "The caller may not do this, or not to this extent.";
    /// 404.
    NotFound = "There is no such thing, or the caller may not know of it.";
    /// 408.
    RequestTimeout = "The body did not arrive in time.";
    /// 409.
    Conflict = "It stands against what is there.";
    /// 410.
    LinkEnded = "The one-time link was opened before, or has ended.";
    /// 410, of an activation letter.
    LetterEnded = "The activation letter was printed or redeemed before, or has ended.";
    /// 412.
    VersionMismatch = "`If-Match` names another version.";
    /// 413.
    BodyTooLarge = "The body is too large.";
    /// 415.
    UnsupportedMediaType = "The body is not declared as JSON.";
    /// 422.
    Invalid = "A field or parameter makes no sense, or a policy forbids it.";
    /// 503.
    Unavailable = "The store cannot answer now; try again.";
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
}

/// Collects the responses of a route, with their components' names.
fn collect(rows: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    rows.iter()
        .map(|(status, name)| ((*status).to_owned(), RefOr::Ref(Ref::from_response_name(*name))))
        .collect()
}

/// Every response component, for the document.
#[derive(utoipa::OpenApi)]
#[openapi(components(
    schemas(Document),
    responses(
        Malformed,
        Unauthenticated,
        Forbidden,
        NotFound,
        RequestTimeout,
        Conflict,
        LinkEnded,
        LetterEnded,
        VersionMismatch,
        BodyTooLarge,
        UnsupportedMediaType,
        Invalid,
        Unavailable
    )
))]
pub struct Components;

/// What a look can meet.
pub struct Looks;

impl IntoResponses for Looks {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        collect(&[
            ("401", "Unauthenticated"),
            ("403", "Forbidden"),
            ("404", "NotFound"),
            ("422", "Invalid"),
            ("503", "Unavailable"),
        ])
    }
}

/// What an act can meet.
pub struct Acts;

impl IntoResponses for Acts {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut responses = Looks::responses();
        responses.extend(collect(&[
            ("400", "Malformed"),
            ("408", "RequestTimeout"),
            ("409", "Conflict"),
            ("412", "VersionMismatch"),
            ("413", "BodyTooLarge"),
            ("415", "UnsupportedMediaType"),
        ]));
        responses
    }
}
