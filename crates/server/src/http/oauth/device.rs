//! Device authorization (RFC 8628): a device asks with a registration token, and waits for the
//! decision of an administrator.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use counterfoil_authority::authority::{Drawn, EnrolAnswer, EnrolRequest, RenderEnrolment};
use counterfoil_authority::enrolment::DeviceFacts;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;

use super::error::{ErrorCode, OauthError, invalid_client};
use super::form::{self, Credentials, Form, ProofOfDraw};
use super::token::{pinned, waiting};
use crate::http::caller::{Bearer, bearer};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;
use crate::http::wire::json_bytes;

/// Begins to wait. The registration token is the bearer of the request or the client's secret, so
/// that an ordinary library can send it.
pub(super) async fn authorize(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    realm: &RealmName,
    form: &Form<'_>,
) -> Result<Response, OauthError> {
    let (named, secret) = match bearer(&parts.headers) {
        Bearer::Token(token) => (None, ClearSecret::new(token.to_owned())),
        Bearer::Unreadable => return Err(invalid_client()),
        Bearer::Absent => match form::credentials(&parts.headers, form)? {
            Some(Credentials { id, secret: Some(secret) }) => (Some(id), secret),
            _ => return Err(invalid_client()),
        },
    };
    let fact = |name: &str| form.find(name).map(ToOwned::to_owned);
    let subject = fact("subject").or(named).or_else(|| fact("client_id"));
    let proof = ProofOfDraw::of(state, arrival, parts)?;
    let request = EnrolRequest {
        realm,
        presented: secret.reveal(),
        facts: DeviceFacts {
            subject: subject.unwrap_or_else(|| "device".to_owned()),
            hostname: fact("hostname"),
            system_user: fact("system_user"),
            mac_address: fact("mac_address"),
            identifier: fact("identifier"),
            ref_id_1: fact("ref_id_1"),
            ref_id_2: fact("ref_id_2"),
        },
        labels: std::collections::BTreeMap::new(),
        confirmation: pinned(&proof.confirmation()),
        scopes: form.scopes()?,
        client: None,
        replay: None,
        context: arrival.context(Door::Oauth),
    };
    match state.authority.enrol(request, &Waits { state, proof: &proof }).await {
        Ok(answered) => Ok(json_bytes(StatusCode::OK, answered.into_body())),
        Err(refusal) => {
            let error = proof.refused(refusal);
            // The registration token is the client's secret here (RFC 8628 section 3.2).
            Err(if error.guessed { error.coded(ErrorCode::InvalidClient) } else { error })
        }
    }
}

/// Where no approval is needed the first question is answered with tokens.
struct Waits<'a> {
    state: &'a AppState,
    proof: &'a ProofOfDraw<'a>,
}

#[async_trait]
impl EnrolAnswer for Waits<'_> {
    async fn prepare(&self, drawn: &Drawn) -> Result<RenderEnrolment, Refusal> {
        self.proof.take().await?;
        let secret = drawn.secret.clone();
        let public_url = self.state.settings.public_url.clone();
        Ok(Arc::new(move |token: &Token, _| {
            let body = waiting(token, &secret, &public_url);
            serde_json::to_vec(&body).unwrap_or_default()
        }))
    }
}
