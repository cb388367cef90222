//! What stands before the router: a short way for the questions that are asked most often.
//!
//! Verify and forward-auth are asked with every request that some other server gets. Their
//! handlers know nothing of axum, so they are called straight from here, without matching a
//! path against every route and without a box for every layer. What surrounds them, the answers
//! and the metrics are the same; every other request takes the router.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use counterfoil_authority::names::RealmName;
use tower::Service as _;

use super::body::json_bytes_of;
use super::caller::authenticated;
use super::envelope::{Arrival, Served, host_fault};
use super::problem::Problem;
use super::query::Segment as _;
use super::state::{AppState, Connection};
use super::{authz, oauth, parameters, router, verify};
use crate::clock::Stopwatch;
use crate::compat::forgerock;
use crate::traces;

/// What a request is, if it may take the short way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `POST /api/v1/realms/{realm}/verify`.
    Verify,
    /// `/authz/{service}`, without anything below.
    ForwardAuth,
    /// `/authz/{service}/{*path}`.
    ForwardAuthBelow,
    /// `POST /realms/{realm}/protocol/openid-connect/token/introspect`.
    Introspect,
    /// The same below `/auth`.
    IntrospectBelowAuth,
    /// `POST /oauth2/introspect`: the same for the realm `main`.
    IntrospectMain,
    /// `POST .../json/.../policies?_action=evaluate`, in whatever spelling.
    AmEvaluate,
}

/// Ways, in the order in which their metrics are kept.
pub const WAYS: usize = 7;

impl Way {
    /// The route, as the router calls it.
    pub const fn template(self) -> &'static str {
        match self {
            Self::Verify => "/api/v1/realms/{realm}/verify",
            Self::ForwardAuth => "/authz/{service}",
            Self::ForwardAuthBelow => "/authz/{service}/{*path}",
            Self::Introspect => "/realms/{realm}/protocol/openid-connect/token/introspect",
            Self::IntrospectBelowAuth => {
                "/auth/realms/{realm}/protocol/openid-connect/token/introspect"
            }
            Self::IntrospectMain => INTROSPECT_MAIN,
            Self::AmEvaluate => AM_EVALUATE,
        }
    }
}

/// The path of introspection that names no realm.
const INTROSPECT_MAIN: &str = "/oauth2/introspect";
/// What all spellings of evaluate are called together.
const AM_EVALUATE: &str = "/json/policies?_action=evaluate";

/// Every HTTP door.
#[derive(Clone)]
pub struct Front {
    router: Router,
    /// Without it, every request takes the router.
    short: Option<AppState>,
    /// Whether what verify says is to be heard for a trace.
    traced: bool,
}

impl From<Router> for Front {
    fn from(router: Router) -> Self {
        Self { router, short: None, traced: false }
    }
}

impl Front {
    /// The doors of `state` that are switched on.
    pub fn new(state: AppState) -> Self {
        let traced = state.traces.is_some();
        Self { router: router(state.clone()), short: Some(state), traced }
    }

    /// Answers one request.
    pub async fn answer<B>(
        &self,
        request: axum::http::Request<B>,
        connection: Connection,
    ) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if self.traced {
            // Boxed, so that those who want no traces pay nothing for them.
            let answer = Box::pin(self.answer_untraced(request, connection));
            return traces::listening(answer).await;
        }
        self.answer_untraced(request, connection).await
    }

    async fn answer_untraced<B>(
        &self,
        mut request: axum::http::Request<B>,
        connection: Connection,
    ) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if let Some(state) = &self.short
            && let Some(way) = way_of(state, request.method(), request.uri())
        {
            return short(state, way, request, connection).await;
        }
        request.extensions_mut().insert(connection);
        let request: Request = request.map(Body::new);
        let answered: Result<Response, Infallible> = self.router.clone().call(request).await;
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn way_of(state: &AppState, method: &Method, uri: &Uri) -> Option<Way> {
    let path = uri.path();
    if state.settings.api && *method == Method::POST && realm_in(path).is_some() {
        return Some(Way::Verify);
    }
    if state.settings.oauth
        && *method == Method::POST
        && let Some((way, _)) = introspection_of(path)
    {
        return Some(way);
    }
    if state.settings.am && forgerock::is_evaluate(method, path, uri.query()) {
        return Some(Way::AmEvaluate);
    }
    forward_auth_of(path).filter(|_| state.settings.forward_auth)
}

/// The way of a path of introspection, and the realm in it; none that has to be decoded first.
fn introspection_of(path: &str) -> Option<(Way, Option<&str>)> {
    if path == INTROSPECT_MAIN {
        return Some((Way::IntrospectMain, None));
    }
    let (way, path) = match path.strip_prefix("/auth") {
        Some(rest) => (Way::IntrospectBelowAuth, rest),
        None => (Way::Introspect, path),
    };
    let realm = path.strip_prefix("/realms/")?;
    let realm = realm.strip_suffix("/protocol/openid-connect/token/introspect")?;
    (!realm.is_empty() && !realm.contains(['/', '%'])).then_some((way, Some(realm)))
}

fn forward_auth_of(path: &str) -> Option<Way> {
    let rest = path.strip_prefix(authz::PREFIX)?;
    let (service, below) = rest.split_once('/').map_or((rest, None), |(s, b)| (s, Some(b)));
    match below {
        _ if service.is_empty() => None,
        None => Some(Way::ForwardAuth),
        Some("") => None,
        Some(_) => Some(Way::ForwardAuthBelow),
    }
}

/// The realm in a path of verify; none that has to be decoded first.
fn realm_in(path: &str) -> Option<&str> {
    let realm = path.strip_prefix("/api/v1/realms/")?.strip_suffix("/verify")?;
    (!realm.is_empty() && !realm.contains(['/', '%'])).then_some(realm)
}

async fn short<B>(
    state: &AppState,
    way: Way,
    request: axum::http::Request<B>,
    connection: Connection,
) -> Response
where
    B: HttpBody<Data = Bytes>,
{
    let watch = Stopwatch::start();
    let (parts, body) = request.into_parts();
    let arrival = Arrival::new(state, Some(&connection), &parts.headers);
    let response = match (host_fault(parts.version, &parts.headers), way) {
        (Some(problem), _) => problem.into_response(),
        (None, Way::Verify) => {
            let answered = verified(state, &arrival, &parts, body).await;
            answered.unwrap_or_else(IntoResponse::into_response)
        }
        (None, Way::Introspect | Way::IntrospectBelowAuth | Way::IntrospectMain) => {
            introspected(state, &arrival, &parts, body).await
        }
        (None, Way::ForwardAuth | Way::ForwardAuthBelow) => {
            authz::answer(state, &arrival, &parts).await
        }
        (None, Way::AmEvaluate) => forgerock::answer(state, &arrival, &parts, body).await,
    };
    let template = way.template();
    let response = Served { state, arrival: &arrival, method: &parts.method, template }
        .finish(response, |metrics, status| metrics.served_short(way, status, watch.elapsed()));
    if parts.method == Method::HEAD { headless(response) } else { response }
}

/// The answer to a HEAD: its head alone. The router takes the body away, the library that speaks
/// HTTP/2 does not.
fn headless(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

async fn introspected<B>(state: &AppState, arrival: &Arrival, parts: &Parts, body: B) -> Response
where
    B: HttpBody<Data = Bytes>,
{
    let answered = async {
        let bytes = oauth::form::bytes_of(state, &parts.headers, body).await?;
        let read;
        let realm = match introspection_of(parts.uri.path()) {
            Some((_, Some(name))) => {
                read = oauth::form::realm(state, name).await?;
                &read
            }
            _ => &state.main_realm,
        };
        oauth::introspect::answer(state, arrival, parts, realm, &bytes).await
    };
    oauth::written(state, arrival, answered.await).await
}

/// In the order of the layer and the handler's extractors, so that a request with several faults
/// is told the same one on both ways.
async fn verified<B>(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    body: B,
) -> Result<Response, Problem>
where
    B: HttpBody<Data = Bytes>,
{
    parameters::refuse_any(&parts.uri)?;
    let caller = authenticated(state, arrival, parts).await?;
    let answered = async {
        let realm = RealmName::read(realm_in(parts.uri.path()).unwrap_or_default())?;
        let bytes = json_bytes_of(state, &parts.headers, body).await?;
        verify::answer(state, &caller, &realm, &bytes).await
    };
    // Only the record of a refusal asks who called.
    answered.await.inspect_err(|_| arrival.recognise(&caller.realm, &caller.origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_answer_to_a_head_has_the_length_of_a_body_and_no_body() {
        let response = headless(Response::new(Body::from("175 bytes")));
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "9");
        assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), "");
    }

    #[test]
    fn only_plain_paths_take_the_short_way() {
        assert_eq!(realm_in("/api/v1/realms/main/verify"), Some("main"));
        for other in [
            "/api/v1/realms//verify",
            "/api/v1/realms/ma%69n/verify",
            "/api/v1/realms/main/verify/",
            "/api/v1/realms/main/verify/batch",
            "/api/v1/realms/main/services/verify",
            "/api/v1/realms/verify",
        ] {
            assert_eq!(realm_in(other), None, "{other}");
        }
    }

    #[test]
    fn introspection_takes_the_short_way_by_each_of_its_paths() {
        for (path, way, realm) in [
            ("/oauth2/introspect", Way::IntrospectMain, None),
            ("/realms/a/protocol/openid-connect/token/introspect", Way::Introspect, Some("a")),
            (
                "/auth/realms/a/protocol/openid-connect/token/introspect",
                Way::IntrospectBelowAuth,
                Some("a"),
            ),
        ] {
            assert_eq!(introspection_of(path), Some((way, realm)), "{path}");
            assert!(way.template().ends_with(path.rsplit('/').next().unwrap()), "{path}");
        }
        for other in [
            "/oauth2/introspect/",
            "/auth/oauth2/introspect",
            "/authrealms/a/protocol/openid-connect/token/introspect",
            "/realms//protocol/openid-connect/token/introspect",
            "/realms/a%62/protocol/openid-connect/token/introspect",
            "/realms/a/b/protocol/openid-connect/token/introspect",
        ] {
            assert_eq!(introspection_of(other), None, "{other}");
        }
    }

    #[test]
    fn forward_auth_takes_the_way_whose_route_it_would_take() {
        assert_eq!(forward_auth_of("/authz/git"), Some(Way::ForwardAuth));
        assert_eq!(forward_auth_of("/authz/git/a/b"), Some(Way::ForwardAuthBelow));
        for other in ["/authz", "/authz/", "/authz/git/", "/authz//git", "/authz2/git"] {
            assert_eq!(forward_auth_of(other), None, "{other}");
        }
    }
}
