//! The OAuth 2.0 door: `/realms/{realm}/protocol/openid-connect/...`, the same below
//! `/auth/realms/...`, short forms for the realm `main`, and metadata.
//!
//! Every endpoint is a function of the request's head and body that knows nothing of routes; what
//! stands here are the routes, and that every refusal is written as RFC 6749 has it.

mod device;
pub mod error;
pub(super) mod form;
pub mod introspect;
mod metadata;
pub mod paths;
mod register;
mod token;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::store::Revoked;
use counterfoil_authority::verdict::Door;
use serde_json::{Value, json};

use super::body::form_bytes_of;
use super::caller::Arrived;
use super::envelope::Arrival;
use super::state::AppState;
use error::OauthError;
use form::Form;

/// The realm of a path that names one; of the others, `main`.
type Realm = Option<Path<String>>;
/// Realm and client of a registration.
type RealmAndClient = Path<(String, String)>;

/// What the endpoints share of a request.
struct Opened {
    state: AppState,
    arrival: std::sync::Arc<Arrival>,
    parts: Parts,
    realm: RealmName,
    body: Bytes,
}

impl Opened {
    async fn of(
        state: &AppState,
        arrival: &std::sync::Arc<Arrival>,
        realm: Option<&str>,
        request: Request,
    ) -> Result<Self, OauthError> {
        let (parts, body) = request.into_parts();
        let body = form_bytes_of(state, body).await?;
        let realm = match realm {
            Some(text) => form::realm(state, text).await?,
            None => state.main_realm.clone(),
        };
        let (state, arrival) = (state.clone(), std::sync::Arc::clone(arrival));
        Ok(Self { state, arrival, parts, realm, body })
    }
}

/// Every endpoint below one realm.
fn below(base: &str) -> Router<AppState> {
    let at = |path: &str| format!("{base}/protocol/openid-connect/{path}");
    let registrations = format!("{base}/clients-registrations/openid-connect");
    Router::new()
        .route(&at("token"), post(token_endpoint))
        .route(&at("token/introspect"), post(introspection))
        .route(&at("revoke"), post(revocation))
        .route(&at("auth/device"), post(device_authorization))
        .route(&at("certs"), get(certificates))
        .route(&at("revocations"), get(revocations))
        .route(&format!("{base}/.well-known/openid-configuration"), get(metadata_of))
        .route(&registrations, post(registration))
        .route(&format!("{registrations}/{{client_id}}"), get(client_show).delete(client_remove))
}

/// Every route of the door.
pub(super) fn router() -> Router<AppState> {
    below("/realms/{realm}")
        .merge(below("/auth/realms/{realm}"))
        .route("/oauth2/token", post(token_endpoint))
        .route("/oauth2/introspect", post(introspection))
        .route("/oauth2/revoke", post(revocation))
        .route("/.well-known/oauth-authorization-server", get(metadata_of))
        .route("/.well-known/oauth-authorization-server/realms/{realm}", get(metadata_of))
        .route("/.well-known/oauth-authorization-server/auth/realms/{realm}", get(metadata_of))
}

fn written(answered: Result<Response, OauthError>) -> Response {
    answered.unwrap_or_else(OauthError::into_response)
}

async fn token_endpoint(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    realm: Realm,
    request: Request,
) -> Response {
    let answered = async {
        let opened = Opened::of(&state, &arrival, name_of(&realm), request).await?;
        let form = Form::parse(&opened.body)?;
        let Opened { state, arrival, parts, realm, .. } = &opened;
        token::answer(&token::Asked { state, arrival, parts, realm, form: &form }).await
    };
    written(answered.await)
}

async fn introspection(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    realm: Realm,
    request: Request,
) -> Response {
    let answered = async {
        let opened = Opened::of(&state, &arrival, name_of(&realm), request).await?;
        let Opened { state, arrival, parts, realm, body } = &opened;
        introspect::answer(state, arrival, parts, realm, body).await
    };
    written(answered.await)
}

/// RFC 7009. Whoever holds a token may end it; a client that authenticates must be who it says.
async fn revocation(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    realm: Realm,
    request: Request,
) -> Response {
    let answered = async {
        let opened = Opened::of(&state, &arrival, name_of(&realm), request).await?;
        let form = Form::parse(&opened.body)?;
        let Opened { state, arrival, parts, realm, .. } = &opened;
        let presented = ClearSecret::new(form.require("token")?.to_owned());
        let authenticates = parts.headers.contains_key(header::AUTHORIZATION)
            || form.find("client_secret").is_some();
        if authenticates {
            form::caller(state, arrival, parts, &form).await?;
        }
        let context = arrival.context(Door::Oauth);
        state.authority.revoke_presented(realm, &presented, context).await?;
        Ok(StatusCode::OK.into_response())
    };
    written(answered.await)
}

async fn device_authorization(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    realm: Realm,
    request: Request,
) -> Response {
    let answered = async {
        let opened = Opened::of(&state, &arrival, name_of(&realm), request).await?;
        let form = Form::parse(&opened.body)?;
        let Opened { state, arrival, parts, realm, .. } = &opened;
        device::authorize(state, arrival, parts, realm, &form).await
    };
    written(answered.await)
}

async fn registration(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    realm: Realm,
    request: Request,
) -> Response {
    let answered = async {
        let opened = Opened::of(&state, &arrival, name_of(&realm), request).await?;
        let Opened { state, arrival, parts, realm, body } = &opened;
        register::register(state, arrival, parts, realm, body).await
    };
    written(answered.await)
}

async fn client_show(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    Path((realm, id)): RealmAndClient,
    request: Request,
) -> Response {
    let answered = async {
        let opened = Opened::of(&state, &arrival, Some(&realm), request).await?;
        register::show(&state, &arrival, &opened.parts, &opened.realm, &id).await
    };
    written(answered.await)
}

async fn client_remove(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    Path((realm, id)): RealmAndClient,
    request: Request,
) -> Response {
    let answered = async {
        let opened = Opened::of(&state, &arrival, Some(&realm), request).await?;
        register::remove(&state, &arrival, &opened.parts, &opened.realm, &id).await
    };
    written(answered.await)
}

async fn metadata_of(State(state): State<AppState>, realm: Realm) -> Response {
    let answered = async {
        let realm = match name_of(&realm) {
            Some(text) => form::realm(&state, text).await?,
            None => state.main_realm.clone(),
        };
        Ok(metadata::metadata(&state, &realm))
    };
    written(answered.await)
}

async fn certificates(State(state): State<AppState>, realm: Realm) -> Response {
    let answered = async {
        form::realm(&state, name_of(&realm).unwrap_or_default()).await?;
        Ok(metadata::keys(&state))
    };
    written(answered.await)
}

/// What ended before its time, for who reads JWTs without asking about each.
async fn revocations(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    realm: Realm,
    request: Request,
) -> Response {
    let answered = async {
        let opened = Opened::of(&state, &arrival, name_of(&realm), request).await?;
        let Opened { state, arrival, parts, realm, .. } = &opened;
        let caller = form::caller(state, arrival, parts, &Form::parse(b"")?).await?;
        state.authority.verifiable(&caller, realm)?;
        let feed = state.authority.revocations(realm).await?;
        let lines = |lines: Vec<Revoked>| -> Vec<Value> {
            let line = |line: Revoked| json!({ "id": line.id.as_str(), "at": line.at.seconds() });
            lines.into_iter().map(line).collect()
        };
        let body = json!({
            "iss": state.authority.issuer(realm),
            "jti": lines(feed.access_tokens),
            "cfl_parent": lines(feed.parents),
        });
        Ok(axum::Json(body).into_response())
    };
    written(answered.await)
}

fn name_of(realm: &Realm) -> Option<&str> {
    realm.as_ref().map(|Path(text)| text.as_str())
}
