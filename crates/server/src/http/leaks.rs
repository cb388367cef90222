//! `/api/v1/leaks/github`: what GitHub's secret scanning has found in public.
//!
//! Off unless the configuration says otherwise. Whoever has no good signature gets one and the
//! same answer, whatever they sent.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use counterfoil_authority::authority::LeakReport;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::verdict::Door;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::body::{BatchBytes, describe};
use super::caller::Arrived;
use super::problem::{Problem, Sort};
use super::state::AppState;

/// Findings in one message at most: each is a read of the store, and a good one a commit.
const ALERTS_MAX: usize = 1000;
/// Characters of a form's name that are repeated at most.
const FORM_CHARS_MAX: usize = 64;
/// The header that names the key.
const KEY_ID: &str = "github-public-key-identifier";
/// The header with the signature over the body.
const SIGNATURE: &str = "github-public-key-signature";

/// A string that was found.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = LeakAlert)]
pub struct Alert {
    /// The string itself.
    token: String,
    /// What GitHub calls its form.
    #[serde(rename = "type")]
    form: String,
    /// Where it was found.
    #[serde(default)]
    url: Option<String>,
    /// In what sort of thing: `content`, `commit`, `issue_body` and so on.
    #[serde(default)]
    source: Option<String>,
}

/// What a string is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// A token of ours, or a former secret of one.
    TruePositive,
    /// Nothing of ours.
    FalsePositive,
}

/// What a string was found to be, for GitHub's statistics.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LeakFeedback)]
pub struct Feedback {
    /// SHA-256 of the string, in hexadecimal digits: the string itself is not repeated.
    token_hash: String,
    /// The form, as it was called; `unknown` if that is no name, or holds a token.
    token_type: String,
    /// What it is.
    label: Label,
}

/// Reads a message. Fields that are added some day are passed over: GitHub would not stop sending.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Alert>, Problem> {
    let alerts: Vec<Alert> = serde_json::from_slice(body).map_err(|error| describe("", &error))?;
    if alerts.len() > ALERTS_MAX {
        return Err(Problem::invalid("", format!("holds at most {ALERTS_MAX} findings")));
    }
    Ok(alerts)
}

/// A header's only value.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Takes what GitHub's secret scanning has found, and does with each token what the policy of its
/// service says: revoke, lock, or only tell. Needs GitHub's signature over the body and nothing
/// else. A message that is sent again changes nothing more.
#[utoipa::path(
    post, path = "/api/v1/leaks/github", tag = "self", security(()),
    params(
        ("Github-Public-Key-Identifier" = String, Header, description = "Which key has signed"),
        ("Github-Public-Key-Signature" = String, Header,
         description = "ECDSA over P-256 with SHA-256 over the body, DER in base64"),
    ),
    request_body = Vec<Alert>,
    responses(
        (status = 200, description = "What each string is", body = Vec<Feedback>),
        (status = 400, response = super::responses::Malformed),
        (status = 401, response = super::responses::Unauthenticated),
        (status = 404, response = super::responses::NotFound),
        (status = 408, response = super::responses::RequestTimeout),
        (status = 413, response = super::responses::BodyTooLarge),
        (status = 415, response = super::responses::UnsupportedMediaType),
        (status = 422, response = super::responses::Invalid),
        (status = 503, response = super::responses::Unavailable),
    )
)]
pub async fn leaks_github(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    headers: HeaderMap,
    BatchBytes(body): BatchBytes,
) -> Result<Json<Vec<Feedback>>, Problem> {
    let Some(keys) = &state.github else {
        return Err(Problem::new(Sort::NoSuchRoute, "there is no such route"));
    };
    let authority = &state.authority;
    let signed = (single(&headers, KEY_ID), single(&headers, SIGNATURE));
    if let Err(why) = keys.verify(&body, signed, authority.now()).await {
        let context = arrival.context(Door::Api);
        authority.leak_report_refused(&state.main_realm, why.code(), context)?;
        authority.hold_back(arrival.source, None, None).await;
        return Err(Problem::unauthenticated(true));
    }
    let (mut reports, mut answers) = (Vec::new(), Vec::new());
    for Alert { token, form, url, source } in read(&body)? {
        let hash = Sha256::digest(token.as_bytes());
        // Whatever was sent as the form would come back; a token does not.
        let is_name = form.chars().count() <= FORM_CHARS_MAX
            && !form.chars().any(char::is_control)
            && !authority.holds_token(&form);
        let form = if is_name { form } else { "unknown".to_owned() };
        answers.push((data_encoding::HEXLOWER.encode(&hash), form));
        reports.push(LeakReport { credential: ClearSecret::new(token), url, source });
    }
    let ours = authority.leaks_reported("github", &reports, arrival.context(Door::Api)).await?;
    let feedback = answers.into_iter().zip(ours).map(|((token_hash, token_type), ours)| {
        let label = if ours { Label::TruePositive } else { Label::FalsePositive };
        Feedback { token_hash, token_type, label }
    });
    Ok(Json(feedback.collect()))
}
