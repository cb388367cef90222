//! The Sentinel EMS door, `/token/api/v5`: registration tokens, auth tokens and where to log in, in
//! JSON and XML, for clients that were written for that product. docs/compat/sentinel.md says what
//! is the same, what differs, and what nobody outside could verify.

mod auth;
mod dates;
mod fault;
mod registration;
mod search;
mod wire;

use std::ops::Deref;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil_authority::authority::EnrolRefusal;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{ClearSecret, Shape, TokenId};
use counterfoil_authority::verdict::Door;

use self::fault::Fault;
use self::wire::{Fields, Format, Node};
use super::received::Received;
use crate::http::caller::{Bearer, bearer};
use crate::http::precondition::IdempotencyKey;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// The client that programs name at the token endpoint; it has no secret.
pub const CLIENT_ID_DEFAULT: &str = "ems-scl-public-client";
/// Days ahead of today that a registration token may end at this door.
pub const VALIDITY_DAYS_MAX_DEFAULT: u32 = 30;

/// The routes of the door.
pub fn routes() -> Router<AppState> {
    let registrations =
        get(registration::list).post(registration::create).delete(registration::delete_found);
    let registration = get(registration::show)
        .patch(registration::edit)
        .put(registration::edit)
        .delete(registration::delete_one);
    let grant = get(auth::show).patch(auth::renew).delete(auth::delete);
    Router::new()
        .route("/token/api/v5/idpConfigurations", get(idp_configurations))
        .route("/token/api/v5/registrationTokens", registrations)
        .route("/token/api/v5/registrationTokens/search", post(registration::search))
        .route("/token/api/v5/registrationTokens/{id}", registration)
        .route("/token/api/v5/authTokens", get(auth::list).post(auth::create))
        .route("/token/api/v5/authTokens/{id}", grant)
}

/// What every handler reads of a request before its body.
struct Asked {
    received: Received,
    format: Format,
}

impl Deref for Asked {
    type Target = Received;

    fn deref(&self) -> &Received {
        &self.received
    }
}

impl FromRequestParts<AppState> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let received = Received::from_request_parts(parts, state).await?;
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        Ok(Self { received, format: Format::of_accept(accept) })
    }
}

impl Asked {
    /// The authenticated administrator.
    async fn caller(&self) -> Result<Caller, Fault> {
        let Bearer::Token(presented) = bearer(&self.parts.headers) else {
            return Err(Fault::nobody());
        };
        let context = self.arrived.0.context(Door::Sentinel);
        let authenticated = self.state.authority.authenticate(presented, context).await;
        if let Ok(caller) = &authenticated {
            self.recognise(caller);
        } else {
            self.hold_back().await;
        }
        Ok(authenticated?)
    }

    /// The registration token in `Authorization`: raw after `Basic` or `Bearer`, or as either half
    /// of proper Basic credentials. What is none of these is presented as it is, so that it is
    /// refused and counted as any other.
    fn redeemer(&self) -> Result<ClearSecret, Fault> {
        let mut lines = self.parts.headers.get_all(header::AUTHORIZATION).iter();
        let line = lines.next().ok_or_else(Fault::no_token)?;
        if lines.next().is_some_and(|other| other != line) {
            return Err(Fault::invalid("two different credentials were presented"));
        }
        let text = line.to_str().map_err(|_| Fault::no_token())?;
        let (scheme, value) = text.split_once(' ').ok_or_else(Fault::no_token)?;
        let value = value.trim();
        let is_basic = scheme.eq_ignore_ascii_case("basic");
        if !is_basic && !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Fault::no_token());
        }
        let is_token = |text: &str| {
            let shape = self.state.authority.shape(text);
            matches!(shape, Shape::Prefixed { kind: Kind::RegistrationToken, .. })
        };
        let raw = ClearSecret::new(value.to_owned());
        if !is_basic || is_token(value) {
            return Ok(raw);
        }
        let decoded = STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(decoded) = decoded else { return Ok(raw) };
        let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
        match (is_token(user), is_token(password)) {
            (true, true) if user != password => {
                Err(Fault::invalid("two different registration tokens were presented"))
            }
            (true, _) => Ok(ClearSecret::new(user.to_owned())),
            (false, true) => Ok(ClearSecret::new(password.to_owned())),
            (false, false) => Ok(raw),
        }
    }

    /// The registration token that this is the right secret of, in whatever state, without a use.
    async fn proved(&self, presented: &str) -> Result<Option<TokenId>, Fault> {
        let context = self.arrived.0.context(Door::Sentinel);
        match self.state.authority.proved_registration(&self.realm, presented, context).await {
            Ok(id) => Ok(Some(id)),
            Err(EnrolRefusal::Denied) => {
                self.hold_back().await;
                Ok(None)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// An answer with one root.
    fn answer(&self, status: StatusCode, root: &'static str, node: &Node) -> Response {
        self.bytes(status, self.format.write(root, node))
    }

    /// An answer that is written already.
    fn bytes(&self, status: StatusCode, bytes: Vec<u8>) -> Response {
        (status, [(header::CONTENT_TYPE, self.format.content_type())], bytes).into_response()
    }

    /// What came of the request.
    fn said(&self, answered: Result<Response, Fault>) -> Response {
        answered.unwrap_or_else(|fault| fault.answer(self.format))
    }

    /// The id in the path; what has another shape does not exist.
    fn token_id(&self) -> Result<TokenId, Fault> {
        TokenId::parse(&self.id).ok_or_else(Fault::not_found)
    }

    /// The fields of a body.
    fn fields(root: &str, body: &[u8]) -> Result<Fields, Fault> {
        Fields::read(root, body).map_err(Fault::invalid)
    }

    /// The idempotency key of the request, if it has one.
    async fn idempotency(&self) -> Result<IdempotencyKey, Fault> {
        let mut parts = self.parts.clone();
        Ok(IdempotencyKey::from_request_parts(&mut parts, &self.state).await?)
    }
}

/// Where to get an administrator's token. Open to everybody, as with the product.
async fn idp_configurations(State(state): State<AppState>, asked: Asked) -> Response {
    let public_url = &state.settings.public_url;
    let issuer = state.authority.issuer(&asked.realm);
    let base = format!("{public_url}/auth/realms/{}", asked.realm);
    let one = Node::Object(vec![
        ("id", asked.realm.as_str().into()),
        ("realm", asked.realm.as_str().into()),
        ("tokenEndpoint", Node::Text(format!("{public_url}/auth/"))),
        ("authorizationEndpoint", Node::Text(format!("{base}/protocol/openid-connect/auth"))),
        ("issuer", Node::Text(issuer)),
        ("clientId", state.settings.sentinel_client_id.as_str().into()),
    ]);
    let list =
        Node::Object(vec![("count", Node::Number(1)), ("idpConfiguration", Node::List(vec![one]))]);
    let mut response = asked.answer(StatusCode::OK, "idpConfigurations", &list);
    let cacheable = header::HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(header::CACHE_CONTROL, cacheable);
    response
}
