//! The token endpoint (RFC 6749 section 3.2): every way to an access token.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::access::{Confirmation, MintedAccess};
use counterfoil_authority::authority::{
    AccessRefusal, Drawn, EnrolAnswer, EnrolRequest, ExchangeRequest, Presented, RefreshRequest,
    RenderEnrolment,
};
use counterfoil_authority::enrolment::{self, DeviceFacts, Grant, POLL_SECONDS};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::{ClearSecret, Shape};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;
use serde_json::{Map, Value, json};

use super::error::{ErrorCode, OauthError, invalid_client, invalid_request};
use super::form::{self, Credentials, Form, ProofOfDraw};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;
use crate::tls::Thumbprint;

/// RFC 8693.
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8628.
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 8693 section 3.
const TYPE_ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
/// RFC 8693 section 3.
const TYPE_REFRESH: &str = "urn:ietf:params:oauth:token-type:refresh_token";
/// A registration token, which is no type of RFC 8693.
pub(super) const TYPE_REGISTRATION: &str =
    "urn:counterfoil:params:oauth:token-type:registration-token";

/// One request to the token endpoint.
pub(super) struct Asked<'a> {
    pub(super) state: &'a AppState,
    pub(super) arrival: &'a Arrival,
    pub(super) parts: &'a Parts,
    pub(super) realm: &'a RealmName,
    pub(super) form: &'a Form<'a>,
}

/// Answers one request.
pub(super) async fn answer(asked: &Asked<'_>) -> Result<Response, OauthError> {
    match asked.form.require("grant_type")? {
        "client_credentials" => client_credentials(asked).await,
        "refresh_token" => refresh(asked, "refresh_token").await,
        DEVICE_CODE => refresh(asked, "device_code").await,
        TOKEN_EXCHANGE => exchange(asked).await,
        "password" if asked.state.settings.password_grant => password(asked).await,
        _ => Err(OauthError::new(
            ErrorCode::UnsupportedGrantType,
            "the metadata of this server lists what it grants",
        )),
    }
}

/// RFC 6749 section 4.4. The name is a client's and the secret its key, or both are an enrolled
/// client's (RFC 7591).
async fn client_credentials(asked: &Asked<'_>) -> Result<Response, OauthError> {
    let authority = &asked.state.authority;
    if form::has_token(&asked.parts.headers) {
        return Err(invalid_client());
    }
    let credentials = form::credentials(&asked.parts.headers, asked.form)?;
    let credentials = credentials.ok_or_else(invalid_client)?;
    let proof = form::proof_in(asked.state, asked.parts, None)?;
    let Credentials { id, secret: Some(secret) } = &credentials else {
        return by_certificate(asked, &credentials.id).await;
    };
    if let Shape::Prefixed { kind: Kind::AuthToken, .. } = authority.shape(secret.reveal()) {
        let context = asked.arrival.context(Door::Oauth);
        let proved = pinned(&form::confirmed(asked.arrival, proof.as_ref()));
        let presented = Presented { client_id: id, secret: secret.reveal(), proved };
        let grant = authority.client_grant(asked.realm, presented, context).await;
        let grant = grant.map_err(no_client)?;
        if grant.confirmation.is_some()
            && grant.confirmation != pinned(&form::confirmed(asked.arrival, proof.as_ref()))
        {
            return Err(wrong_key());
        }
        form::used(asked.state, proof.as_ref()).await?;
        let now = authority.now();
        let minted = authority.device_token(&grant, asked.form.scopes()?, now).await?;
        return Ok(tokens(document(&minted)));
    }
    let caller = form::client(asked.state, asked.arrival, &credentials, asked.realm).await?;
    let request = ExchangeRequest {
        scopes: asked.form.scopes()?,
        audience: asked.form.audience()?,
        proof,
        certificate: asked.arrival.certificate.map(Thumbprint::text),
        ..ExchangeRequest::default()
    };
    let minted = authority.client_token(&caller, request).await.map_err(no_client)?;
    Ok(tokens(document(&minted)))
}

/// A registered client that authenticates with its certificate alone (RFC 8705 section 2.2).
async fn by_certificate(asked: &Asked<'_>, id: &str) -> Result<Response, OauthError> {
    let Some(certificate) = asked.arrival.certificate else { return Err(invalid_client()) };
    let authority = &asked.state.authority;
    let context = asked.arrival.context(Door::Oauth);
    let grant = authority.certificate_grant(asked.realm, id, &certificate.text(), context).await;
    let grant = grant.map_err(no_client)?;
    let minted = authority.device_token(&grant, asked.form.scopes()?, authority.now()).await?;
    Ok(tokens(document(&minted)))
}

/// Where the credentials are the grant, what is wrong with them is wrong with the client.
fn no_client(refusal: AccessRefusal) -> OauthError {
    match refusal {
        AccessRefusal::Token { guessed } => invalid_client().guess(guessed),
        other => other.into(),
    }
}

/// RFC 6749 section 6, and the polling of RFC 8628 section 3.4: a device code is the secret that
/// the grant begins with once somebody has approved it.
async fn refresh(asked: &Asked<'_>, parameter: &str) -> Result<Response, OauthError> {
    let presented = asked.form.require(parameter)?;
    let scopes = asked.form.scopes()?;
    let proof = form::proof_in(asked.state, asked.parts, None)?;
    let authority = &asked.state.authority;
    let mut confirmation = pinned(&form::confirmed(asked.arrival, None));
    // A stranger's proof is not kept, and one that was used before must not rotate anything. To
    // whom the secret was never given the refresh below says so.
    if proof.is_some() && authority.was_refresh_secret(asked.realm, presented).await? {
        form::used(asked.state, proof.as_ref()).await?;
        confirmation = pinned(&form::confirmed(asked.arrival, proof.as_ref()));
    }
    let request = RefreshRequest {
        realm: asked.realm,
        presented,
        confirmation,
        scopes,
        context: asked.arrival.context(Door::Oauth),
    };
    let refreshed = authority.refresh(request).await?;
    let minted = authority.device_token(&refreshed.grant, None, authority.now()).await?;
    Ok(tokens(with_refresh(asked.state, document(&minted), &refreshed.grant, &refreshed.secret)))
}

/// RFC 8693: a long-lived token becomes a short one that may do no more, or a registration token
/// becomes an auth token.
async fn exchange(asked: &Asked<'_>) -> Result<Response, OauthError> {
    let form = asked.form;
    let presented = form.require("subject_token")?;
    let declared = form.require("subject_token_type")?;
    if form.find("actor_token").is_some() {
        return Err(invalid_request("actor_token is not supported"));
    }
    let client = exchanging_client(asked).await?;
    let shape = asked.state.authority.shape(presented);
    if declared == TYPE_REGISTRATION
        || matches!(shape, Shape::Prefixed { kind: Kind::RegistrationToken, .. })
    {
        return draw(asked, presented, client).await;
    }
    let wanted = form.find("requested_token_type").unwrap_or(TYPE_ACCESS);
    if declared != TYPE_ACCESS || wanted != TYPE_ACCESS {
        return Err(invalid_request("only access tokens are made of such a token"));
    }
    let request = ExchangeRequest {
        scopes: form.scopes()?,
        audience: form.audience()?,
        proof: form::proof_in(asked.state, asked.parts, None)?,
        certificate: asked.arrival.certificate.map(Thumbprint::text),
        username: None,
        client_id: client,
    };
    let context = asked.arrival.context(Door::Oauth);
    let authority = &asked.state.authority;
    let minted = authority.exchange_token(asked.realm, presented, request, context).await?;
    let mut document = document(&minted);
    document.insert("issued_token_type".to_owned(), json!(TYPE_ACCESS));
    Ok(tokens(document))
}

/// The client that asks, which must be who it says; none need ask.
async fn exchanging_client(asked: &Asked<'_>) -> Result<Option<String>, OauthError> {
    match form::credentials(&asked.parts.headers, asked.form)? {
        Some(credentials @ Credentials { secret: Some(_), .. }) => {
            let caller =
                form::client(asked.state, asked.arrival, &credentials, asked.realm).await?;
            Ok(match &caller.subject {
                Owner::Client(name) => Some(name.to_string()),
                Owner::User(_) => None,
            })
        }
        // A name that nobody proved is not worth writing into a token.
        Some(Credentials { secret: None, .. }) | None => Ok(None),
    }
}

async fn draw(
    asked: &Asked<'_>,
    presented: &str,
    client: Option<String>,
) -> Result<Response, OauthError> {
    let form = asked.form;
    let proof = ProofOfDraw::of(asked.state, asked.arrival, asked.parts)?;
    let fact = |name: &str| form.find(name).map(ToOwned::to_owned);
    let named = fact("subject").or(client).or_else(|| fact("client_id"));
    let facts = DeviceFacts {
        subject: named.unwrap_or_else(|| "token-exchange".to_owned()),
        hostname: fact("hostname"),
        system_user: fact("system_user"),
        mac_address: fact("mac_address"),
        identifier: fact("identifier"),
        ref_id_1: fact("ref_id_1"),
        ref_id_2: fact("ref_id_2"),
    };
    let request = EnrolRequest {
        realm: asked.realm,
        presented,
        facts,
        labels: std::collections::BTreeMap::new(),
        confirmation: pinned(&proof.confirmation()),
        scopes: form.scopes()?,
        client: None,
        replay: None,
        context: asked.arrival.context(Door::Oauth),
    };
    let answer = Exchanged { state: asked.state, proof: &proof };
    let answered = asked.state.authority.enrol(request, &answer).await;
    let answered = answered.map_err(|refusal| proof.refused(refusal))?;
    let waiting = answered.is_waiting();
    let body = answered.into_body();
    if waiting {
        // Nothing in RFC 8693 waits; the words are those of RFC 8628.
        let more: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
        let pending = OauthError::new(ErrorCode::AuthorizationPending, "somebody has to approve");
        return Err(more
            .into_iter()
            .fold(pending, |error, (name, value)| error.with(&name, value)));
    }
    Ok(crate::http::wire::json_bytes(StatusCode::OK, body))
}

/// How a draw is answered at this endpoint.
struct Exchanged<'a> {
    state: &'a AppState,
    proof: &'a ProofOfDraw<'a>,
}

#[async_trait]
impl EnrolAnswer for Exchanged<'_> {
    async fn prepare(&self, drawn: &Drawn) -> Result<RenderEnrolment, Refusal> {
        self.proof.take().await?;
        let minted = minted_for(self.state, drawn).await?;
        let mut ready = with_refresh(self.state, document(&minted), &drawn.grant, &drawn.secret);
        ready.insert("issued_token_type".to_owned(), json!(TYPE_REFRESH));
        let secret = drawn.secret.clone();
        let public_url = self.state.settings.public_url.clone();
        Ok(Arc::new(move |token: &Token, _| {
            let body =
                if token.pending { waiting(token, &secret, &public_url) } else { ready.clone() };
            serde_json::to_vec(&body).unwrap_or_default()
        }))
    }
}

/// The access token of a fresh auth token.
pub(super) async fn minted_for(state: &AppState, drawn: &Drawn) -> Result<MintedAccess, Refusal> {
    let at = drawn.token.created_at;
    let minted = state.authority.device_token(&drawn.grant, None, at).await;
    minted.map_err(|refusal| match refusal {
        AccessRefusal::Other(refusal) => refusal,
        other => Refusal::Policy(other.to_string()),
    })
}

/// RFC 8628 section 3.2.
pub(super) fn waiting(
    token: &Token,
    device_code: &ClearSecret,
    public_url: &str,
) -> Map<String, Value> {
    let device = token.device.as_deref();
    let ends = device.and_then(|device| device.request_ends_at).unwrap_or(token.created_at);
    let user_code = device.and_then(|device| device.user_code.clone()).unwrap_or_default();
    let mut body = Map::new();
    body.insert("device_code".to_owned(), json!(device_code.reveal()));
    body.insert("user_code".to_owned(), json!(user_code));
    body.insert("verification_uri".to_owned(), json!(format!("{public_url}/device")));
    body.insert("interval".to_owned(), json!(POLL_SECONDS));
    let left = ends.seconds() - token.created_at.seconds();
    body.insert("expires_in".to_owned(), json!(left.max(1)));
    body
}

/// Old clients only, and only where the operator says so: what they take for a password is a
/// personal access token (RFC 9700 section 2.4).
async fn password(asked: &Asked<'_>) -> Result<Response, OauthError> {
    let request = ExchangeRequest {
        scopes: asked.form.scopes()?,
        proof: form::proof_in(asked.state, asked.parts, None)?,
        certificate: asked.arrival.certificate.map(Thumbprint::text),
        username: Some(asked.form.require("username")?.to_owned()),
        ..ExchangeRequest::default()
    };
    let presented = asked.form.require("password")?;
    let context = asked.arrival.context(Door::Oauth);
    let authority = &asked.state.authority;
    let minted = authority.exchange_token(asked.realm, presented, request, context).await?;
    Ok(tokens(document(&minted)))
}

fn wrong_key() -> OauthError {
    OauthError::new(ErrorCode::InvalidDpopProof, "the token is bound to a key; prove to hold it")
}

/// A proved key, as enrolment knows it.
pub(in crate::http) fn pinned(confirmation: &Confirmation) -> Option<enrolment::Confirmation> {
    enrolment::Confirmation::of(confirmation)
}

/// RFC 6749 section 5.1.
pub(super) fn document(minted: &MintedAccess) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("access_token".to_owned(), json!(minted.secret.reveal()));
    body.insert("token_type".to_owned(), json!(minted.token_type));
    body.insert("expires_in".to_owned(), json!(minted.expires_in));
    body.insert("scope".to_owned(), json!(minted.scope));
    body
}

fn with_refresh(
    state: &AppState,
    mut body: Map<String, Value>,
    grant: &Grant,
    secret: &ClearSecret,
) -> Map<String, Value> {
    body.insert("refresh_token".to_owned(), json!(secret.reveal()));
    let ends = [grant.expires_at, grant.idle_ends_at].into_iter().flatten().min();
    if let Some(end) = ends {
        let left = end.seconds() - state.authority.now().seconds();
        body.insert("refresh_expires_in".to_owned(), json!(left.max(0)));
    }
    body
}

fn tokens(body: Map<String, Value>) -> Response {
    let mut response = axum::Json(Value::Object(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
