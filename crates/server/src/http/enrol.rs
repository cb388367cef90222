//! `R/enrol`: a device presents a registration token and gets an auth token of its own, or waits
//! until somebody approves.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use counterfoil_authority::access::MintedAccess;
use counterfoil_authority::access::proof::Proof;
use counterfoil_authority::authority::{
    Drawn, EnrolAnswer, EnrolRefusal, EnrolRequest, RefreshRefusal, RefreshRequest, RenderEnrolment,
};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{Constraint, DeviceFacts, POLL_SECONDS};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::token::{State as TokenState, Token};
use counterfoil_authority::verdict::Door;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{OptionalPayload, Payload};
use super::caller::{Arrived, Bearer, bearer};
use super::envelope::Arrival;
use super::oauth::error::{ErrorCode, OauthError};
use super::oauth::form::{self, ProofOfDraw};
use super::oauth::token::pinned;
use super::precondition::IdempotencyKey;
use super::problem::{Problem, Sort};
use super::query::At;
use super::responses::Acts;
use super::state::AppState;
use super::tokens::TokenBody;
use super::wire::{Labels, LineWord, json_bytes};

/// What a device tells of itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolBody {
    /// Who or what the auth token speaks for.
    subject: LineWord,
    /// Its full name in the network.
    hostname: Option<LineWord>,
    /// The account that the program runs as.
    system_user: Option<LineWord>,
    /// Its hardware address.
    mac_address: Option<LineWord>,
    /// An identifier.
    identifier: Option<LineWord>,
    /// First reference id.
    ref_id_1: Option<LineWord>,
    /// Second reference id.
    ref_id_2: Option<LineWord>,
    /// Labels, beside those that are stamped.
    labels: Option<Labels>,
}

/// An auth token with its secrets, shown this once.
#[derive(Serialize, ToSchema)]
pub struct Enrolled {
    /// The auth token.
    token: TokenBody,
    /// What to present to services.
    access_token: String,
    /// What to exchange for the next access token; good for one exchange.
    refresh_token: String,
    /// How to present the access token: `Bearer` or `DPoP`.
    token_type: &'static str,
    /// Seconds that the access token is good for.
    expires_in: i64,
}

/// A request that waits for approval (RFC 8628 section 3.2).
#[derive(Serialize, ToSchema)]
pub struct Waiting {
    /// What to ask with whether it is approved.
    device_code: String,
    /// What the administrator sees.
    user_code: String,
    /// Where the administrator decides.
    verification_uri: String,
    /// Seconds to leave between two questions.
    interval: i64,
    /// Seconds until the request is let go.
    expires_in: i64,
}

/// Still waiting.
#[derive(Serialize, ToSchema)]
pub struct StillWaiting {
    /// Always `authorization_pending`.
    status: &'static str,
    /// Seconds to leave between two questions.
    interval: i64,
}

/// The secret in `Authorization: Bearer`; nobody is authenticated by it.
pub struct Presented(ClearSecret);

impl FromRequestParts<AppState> for Presented {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        match bearer(&parts.headers) {
            Bearer::Token(presented) => Ok(Self(ClearSecret::new(presented.to_owned()))),
            Bearer::Absent => Err(Problem::unauthenticated(false)),
            Bearer::Unreadable => Err(Problem::unauthenticated(true)),
        }
    }
}

/// What a `DPoP` header proves (RFC 9449), or nothing: its key is pinned to what is drawn. It is
/// used when the secret beside it has been proved, so that a stranger's proofs are not kept.
pub struct Proved(Option<Proof>);

/// What is wrong with a proof, in the words of this door.
fn unproved(error: &OauthError) -> Problem {
    match error.code {
        ErrorCode::TemporarilyUnavailable => {
            Problem::new(Sort::Unavailable, "the store or a repository is not reachable, try again")
        }
        _ => Problem::unauthenticated(true),
    }
}

impl FromRequestParts<AppState> for Proved {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        form::proof_in(state, parts, None).map(Self).map_err(|error| unproved(&error))
    }
}

fn enrolled(
    token: &Token,
    now: Timestamp,
    access: &MintedAccess,
    refresh: &ClearSecret,
) -> Vec<u8> {
    let body = Enrolled {
        token: TokenBody::of(token, now),
        access_token: access.secret.reveal().to_owned(),
        refresh_token: refresh.reveal().to_owned(),
        token_type: access.token_type,
        expires_in: access.expires_in,
    };
    // Strings and numbers cannot fail to be written.
    serde_json::to_vec(&body).unwrap_or_default()
}

fn waiting(token: &Token, device_code: &ClearSecret, public_url: &str) -> Vec<u8> {
    let device = token.device.as_deref();
    let ends = device.and_then(|device| device.request_ends_at).unwrap_or(token.created_at);
    let body = Waiting {
        device_code: device_code.reveal().to_owned(),
        user_code: device.and_then(|device| device.user_code.clone()).unwrap_or_default(),
        verification_uri: format!("{public_url}/device"),
        interval: POLL_SECONDS,
        expires_in: ends.seconds() - token.created_at.seconds(),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// How this door answers a draw.
struct Native<'a> {
    state: &'a AppState,
    proof: ProofOfDraw<'a>,
}

#[async_trait]
impl EnrolAnswer for Native<'_> {
    async fn prepare(&self, drawn: &Drawn) -> Result<RenderEnrolment, Refusal> {
        self.proof.take().await?;
        let now = drawn.token.created_at;
        let access = self.state.authority.grant_access(&drawn.grant, now).await?;
        let secret = drawn.secret.clone();
        let public_url = self.state.settings.public_url.clone();
        Ok(Arc::new(move |token: &Token, _| {
            if token.pending {
                waiting(token, &secret, &public_url)
            } else {
                enrolled(token, token.created_at, &access, &secret)
            }
        }))
    }
}

impl EnrolBody {
    fn facts(self) -> (DeviceFacts, Labels) {
        let line = |word: Option<LineWord>| word.map(|word| word.0.0);
        let facts = DeviceFacts {
            subject: self.subject.0.0,
            hostname: line(self.hostname),
            system_user: line(self.system_user),
            mac_address: line(self.mac_address),
            identifier: line(self.identifier),
            ref_id_1: line(self.ref_id_1),
            ref_id_2: line(self.ref_id_2),
        };
        (facts, self.labels.unwrap_or_default())
    }
}

/// Draws an auth token from the presented registration token, or begins to wait for approval.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/enrol", tag = "enrolment",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same key and body give the same answer again, and count once"),
    ),
    request_body = EnrolBody,
    responses(
        (status = 201, description = "Drawn", body = Enrolled),
        (status = 202, description = "It waits for approval", body = Waiting),
        Acts,
    )
)]
pub async fn enrol(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    At(realm): At<RealmName>,
    Presented(secret): Presented,
    proved: Proved,
    idempotency: IdempotencyKey,
    Payload { value, bytes }: Payload<EnrolBody>,
) -> Result<Response, Problem> {
    let (facts, labels) = value.facts();
    let proof = ProofOfDraw::with(&state, &arrival, proved.0);
    let request = EnrolRequest {
        realm: &realm,
        presented: secret.reveal(),
        facts,
        labels: labels.0,
        confirmation: pinned(&proof.confirmation()),
        scopes: None,
        client: None,
        replay: idempotency.over(&bytes),
        context: arrival.context(Door::Api),
    };
    match state.authority.enrol(request, &Native { state: &state, proof }).await {
        Ok(answered) => {
            let status =
                if answered.is_waiting() { StatusCode::ACCEPTED } else { StatusCode::CREATED };
            Ok(json_bytes(status, answered.into_body()))
        }
        Err(refusal) => Err(refused(&state, &arrival, refusal).await),
    }
}

/// Asks whether a request is approved that waits, with its `device_code` as the bearer.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/enrol/poll", tag = "enrolment",
    params(("realm" = String, Path, description = "The realm")),
    request_body = Option<PollBody>,
    responses(
        (status = 201, description = "Approved", body = Enrolled),
        (status = 202, description = "Not decided yet", body = StillWaiting),
        (status = 429, description = "Asked too soon: `Retry-After` says when to ask again"),
        Acts,
    )
)]
pub async fn poll(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    At(realm): At<RealmName>,
    Presented(secret): Presented,
    proved: Proved,
    OptionalPayload { .. }: OptionalPayload<PollBody>,
) -> Result<Response, Problem> {
    let mut confirmation = pinned(&form::confirmed(&arrival, None));
    if proved.0.is_some() && state.authority.was_refresh_secret(&realm, secret.reveal()).await? {
        form::used(&state, proved.0.as_ref()).await.map_err(|error| unproved(&error))?;
        confirmation = pinned(&form::confirmed(&arrival, proved.0.as_ref()));
    }
    let request = RefreshRequest {
        realm: &realm,
        presented: secret.reveal(),
        confirmation,
        scopes: None,
        context: arrival.context(Door::Api),
    };
    let now = state.authority.now();
    match state.authority.refresh(request).await {
        Ok(refreshment) => {
            let access = state.authority.grant_access(&refreshment.grant, now).await?;
            let body = enrolled(&refreshment.token, now, &access, &refreshment.secret);
            Ok(json_bytes(StatusCode::CREATED, body))
        }
        Err(RefreshRefusal::Waiting { too_soon: false, interval_seconds }) => {
            let body = StillWaiting { status: "authorization_pending", interval: interval_seconds };
            let body = serde_json::to_vec(&body).unwrap_or_default();
            Ok(json_bytes(StatusCode::ACCEPTED, body))
        }
        Err(RefreshRefusal::Waiting { interval_seconds, .. }) => {
            let detail = format!("leave {interval_seconds} seconds between two questions");
            let problem = Problem::new(Sort::RateLimited, detail);
            Err(problem.with_header(header::RETRY_AFTER, HeaderValue::from(interval_seconds)))
        }
        Err(RefreshRefusal::Declined) => {
            Err(Problem::new(Sort::AccessDenied, "somebody decided against the request"))
        }
        Err(RefreshRefusal::TimedOut) => {
            Err(Problem::new(Sort::RequestExpired, "nobody decided about the request in time"))
        }
        Err(RefreshRefusal::Other(refusal)) => Err(refusal.into()),
        Err(RefreshRefusal::Denied) => Err(denied(&state, &arrival).await),
        // The secret was right: nobody is guessing.
        Err(_) => Err(Problem::unauthenticated(true)),
    }
}

/// Nothing to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PollBody {}

/// A secret that is not good; later, if such come often from there.
async fn denied(state: &AppState, arrival: &Arrival) -> Problem {
    state.authority.hold_back(arrival.source, None, None).await;
    Problem::unauthenticated(true)
}

/// Who has proved the right secret learns why it is refused (design rule 3).
async fn refused(state: &AppState, arrival: &Arrival, refusal: EnrolRefusal) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        EnrolRefusal::Denied => denied(state, arrival).await,
        EnrolRefusal::Other(refusal) => refusal.into(),
        EnrolRefusal::Constraint(Constraint::DuplicateDevice) => {
            Problem::new(Sort::DuplicateDevice, "this device has an auth token already")
        }
        EnrolRefusal::Constraint(constraint) => {
            Problem::new(Sort::Constraint, detail).about(constraint.name())
        }
        EnrolRefusal::Scope(_) => Problem::new(Sort::BeyondGrant, detail).about("scopes"),
        EnrolRefusal::OwnerInactive | EnrolRefusal::WrongDoor | EnrolRefusal::NoService => {
            Problem::new(Sort::RegistrationInactive, detail)
        }
        EnrolRefusal::State(state) => Problem::new(
            match state {
                TokenState::Disabled | TokenState::Locked => Sort::RegistrationDisabled,
                TokenState::Expired => Sort::RegistrationExpired,
                TokenState::Exhausted => Sort::RegistrationExhausted,
                TokenState::Revoked
                | TokenState::Pending
                | TokenState::NotYetValid
                | TokenState::Active => Sort::RegistrationInactive,
            },
            detail,
        ),
    }
}
