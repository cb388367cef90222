//! The OAuth 2.0 door: `/realms/{realm}/protocol/openid-connect/...`, the same below
//! `/auth/realms/...`, short forms for the realm `main`, and metadata.
//!
//! Every endpoint is a function of the request's head and body that knows nothing of routes; what
//! stands here is the one table of routes, and that every refusal is written as RFC 6749 has it.

mod device;
pub mod error;
pub(super) mod form;
pub mod introspect;
mod metadata;
pub mod paths;
mod register;
mod revoke;
pub(super) mod token;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use counterfoil_authority::names::RealmName;

use super::body::any_bytes_of;
use super::caller::Arrived;
use super::envelope::Arrival;
use super::query::no_such_path;
use super::state::AppState;
use error::OauthError;
use form::Form;

/// What an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Token,
    Introspection,
    Revocation,
    DeviceAuthorization,
    Certificates,
    Revocations,
    Metadata,
    Registration,
    ClientShow,
    ClientReplace,
    ClientRemove,
}

/// Where an endpoint is.
struct Place {
    method: MethodFilter,
    /// Below each of [`BASES`].
    path: &'static str,
    endpoint: Endpoint,
    /// For the realm `main`, or of a form of its own that the standards ask for.
    also: &'static [&'static str],
}

/// Below what every endpoint is found: the canonical way, and the one of older Keycloaks.
const BASES: [&str; 2] = ["/realms/{realm}", "/auth/realms/{realm}"];

const CLIENTS: &str = "/clients-registrations/openid-connect";
const CLIENT: &str = "/clients-registrations/openid-connect/{client_id}";

const fn place(
    method: MethodFilter,
    path: &'static str,
    endpoint: Endpoint,
    also: &'static [&'static str],
) -> Place {
    Place { method, path, endpoint, also }
}

/// Every endpoint of the door.
const PLACES: [Place; 11] = [
    place(
        MethodFilter::POST,
        "/protocol/openid-connect/token",
        Endpoint::Token,
        &["/oauth2/token"],
    ),
    place(
        MethodFilter::POST,
        "/protocol/openid-connect/token/introspect",
        Endpoint::Introspection,
        &["/oauth2/introspect"],
    ),
    place(
        MethodFilter::POST,
        "/protocol/openid-connect/revoke",
        Endpoint::Revocation,
        &["/oauth2/revoke"],
    ),
    place(
        MethodFilter::POST,
        "/protocol/openid-connect/auth/device",
        Endpoint::DeviceAuthorization,
        &[],
    ),
    place(MethodFilter::GET, "/protocol/openid-connect/certs", Endpoint::Certificates, &[]),
    place(MethodFilter::GET, "/protocol/openid-connect/revocations", Endpoint::Revocations, &[]),
    place(
        MethodFilter::GET,
        "/.well-known/openid-configuration",
        Endpoint::Metadata,
        // RFC 8414 section 3.1 puts the well-known part in front of the issuer's path.
        &[
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/realms/{realm}",
            "/.well-known/oauth-authorization-server/auth/realms/{realm}",
        ],
    ),
    place(MethodFilter::POST, CLIENTS, Endpoint::Registration, &[]),
    place(MethodFilter::GET, CLIENT, Endpoint::ClientShow, &[]),
    place(MethodFilter::PUT, CLIENT, Endpoint::ClientReplace, &[]),
    place(MethodFilter::DELETE, CLIENT, Endpoint::ClientRemove, &[]),
];

/// What a path names.
type Names = HashMap<String, String>;

/// Every route of the door.
pub(super) fn router() -> Router<AppState> {
    let mut router = Router::new();
    for Place { method, path, endpoint, also } in PLACES {
        let below = BASES.iter().map(|base| format!("{base}{path}"));
        let all = below.chain(also.iter().map(|path| (*path).to_owned()));
        for path in all {
            let handler = move |State(state): State<AppState>,
                                Arrived(arrival): Arrived,
                                names: Result<Option<Path<Names>>, PathRejection>,
                                request: Request| async move {
                let answered = match names {
                    Ok(names) => {
                        let names = names.map(|Path(names)| names).unwrap_or_default();
                        answered(&state, &arrival, endpoint, &names, request).await
                    }
                    // Not UTF-8.
                    Err(_) => Err(no_such_path().into()),
                };
                written(&state, &arrival, answered).await
            };
            router = router.route(&path, on(method, handler));
        }
    }
    router
}

/// What the endpoints share of a request.
struct Opened<'a> {
    state: &'a AppState,
    arrival: &'a Arrival,
    parts: Parts,
    realm: RealmName,
    body: Bytes,
}

impl<'a> Opened<'a> {
    async fn of(
        state: &'a AppState,
        arrival: &'a Arrival,
        endpoint: Endpoint,
        realm: Option<&str>,
        request: Request,
    ) -> Result<Self, OauthError> {
        let (parts, body) = request.into_parts();
        let body = match endpoint {
            Endpoint::Token
            | Endpoint::Introspection
            | Endpoint::Revocation
            | Endpoint::DeviceAuthorization => form::bytes_of(state, &parts.headers, body).await?,
            Endpoint::Registration | Endpoint::ClientReplace => {
                register::bytes_of(state, &parts.headers, body).await?
            }
            Endpoint::Certificates
            | Endpoint::Revocations
            | Endpoint::Metadata
            | Endpoint::ClientShow
            | Endpoint::ClientRemove => any_bytes_of(state, body).await?,
        };
        let realm = match realm {
            Some(text) => form::realm(state, text).await?,
            None => state.main_realm.clone(),
        };
        Ok(Self { state, arrival, parts, realm, body })
    }
}

async fn answered(
    state: &AppState,
    arrival: &Arc<Arrival>,
    endpoint: Endpoint,
    names: &Names,
    request: Request,
) -> Result<Response, OauthError> {
    let realm = names.get("realm").map(String::as_str);
    let id = names.get("client_id").map(String::as_str).unwrap_or_default();
    let opened = Opened::of(state, arrival, endpoint, realm, request).await?;
    let Opened { state, arrival, parts, realm, body } = &opened;
    match endpoint {
        Endpoint::Token => {
            let form = Form::parse(body)?;
            token::answer(&token::Asked { state, arrival, parts, realm, form: &form }).await
        }
        Endpoint::Introspection => introspect::answer(state, arrival, parts, realm, body).await,
        Endpoint::Revocation => {
            let form = Form::parse(body)?;
            revoke::revoke(state, arrival, parts, realm, &form).await
        }
        Endpoint::DeviceAuthorization => {
            let form = Form::parse(body)?;
            device::authorize(state, arrival, parts, realm, &form).await
        }
        Endpoint::Certificates => Ok(metadata::keys(state)),
        Endpoint::Revocations => revoke::feed(state, arrival, parts, realm).await,
        Endpoint::Metadata => Ok(metadata::metadata(state, realm)),
        Endpoint::Registration => register::register(state, arrival, parts, realm, body).await,
        Endpoint::ClientShow => register::show(state, arrival, parts, realm, id).await,
        Endpoint::ClientReplace => register::replace(state, arrival, parts, realm, id, body).await,
        Endpoint::ClientRemove => register::remove(state, arrival, parts, realm, id).await,
    }
}

/// The answer as it is sent. What nobody proved a secret for is held back from whoever guesses
/// often: here, and nowhere before, so that nobody waits twice and who was right never waits.
pub(super) async fn written(
    state: &AppState,
    arrival: &Arrival,
    answered: Result<Response, OauthError>,
) -> Response {
    match answered {
        Ok(response) => response,
        Err(error) => {
            if error.guessed {
                state.authority.hold_back(arrival.source, None, None).await;
            }
            error.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described() {
        let document = serde_json::to_value(crate::http::openapi()).unwrap();
        let methods = [
            (MethodFilter::GET, "get"),
            (MethodFilter::POST, "post"),
            (MethodFilter::PUT, "put"),
            (MethodFilter::DELETE, "delete"),
        ];
        for place in PLACES {
            let path = format!("{}{}", BASES[0], place.path);
            let (_, method) = methods.iter().find(|(filter, _)| *filter == place.method).unwrap();
            let described = &document["paths"][&path][method];
            assert!(described.is_object(), "{method} {path}");
        }
    }
}
