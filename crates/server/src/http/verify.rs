//! `R/verify` and `R/verify/batch`: is this secret good here, asked by an authenticated verifier.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::brownout::Window;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::RealmName;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{BatchBytes, JsonBytes};
use super::caller::Authenticated;
use super::problem::Problem;
use super::query::At;
use super::responses::Acts;
use super::state::AppState;
use super::sunset;
use super::verify_core::Inquiry;
use super::wire::{json_bytes, time};

/// A question about a presented secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifyRequest)]
pub struct VerifyQuestion {
    /// The presented secret.
    #[schema(max_length = 4096)]
    token: String,
    /// The user name that came with it; the owner must be this one.
    #[schema(max_length = 2048)]
    username: Option<String>,
    /// The service it must be good for. Implied for a verifier of one service; a verifier of
    /// several must name one.
    service: Option<String>,
    /// Scopes it must carry, all of them.
    #[schema(max_items = 64)]
    scopes: Option<Vec<String>>,
    /// The resource it must have permission for.
    #[schema(max_length = 2048)]
    resource: Option<String>,
    /// The action on that resource.
    #[schema(max_length = 2048)]
    action: Option<String>,
    /// The end client's address.
    client_ip: Option<String>,
    /// Whether an accepted answer is a use; true unless given.
    consume: Option<bool>,
}

/// Whether it is good.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifyAnswer)]
pub struct VerifyVerdict {
    /// Whether it is good. If not, only `code` follows.
    active: bool,
    /// Why it is not.
    #[schema(required = false, example = "expired")]
    code: Option<String>,
    /// The token's id.
    #[schema(required = false)]
    token_id: Option<String>,
    /// Its kind.
    #[schema(required = false)]
    kind: Option<String>,
    /// The person it belongs to.
    username: Option<String>,
    /// The client it belongs to.
    client: Option<String>,
    /// The service it was found good for.
    service: Option<String>,
    /// Whether a service was checked at all.
    #[schema(required = false)]
    service_checked: Option<bool>,
    /// Its scopes.
    #[schema(required = false)]
    scopes: Option<Vec<String>>,
    /// Its permissions.
    #[schema(value_type = Option<Object>)]
    permissions: Option<serde_json::Value>,
    /// When it ends.
    expires_at: Option<String>,
    /// The next time in which it is refused before its end, where its policy has such times.
    /// Absent: none.
    #[schema(required = false)]
    brown_out: Option<BrownOutBody>,
    /// Uses left; `null`: unlimited.
    remaining: Option<u64>,
    /// Who an access token speaks for; a device begins with `device:`.
    #[schema(required = false)]
    subject: Option<String>,
    /// The key that the sender of the token must prove to hold (RFC 7800). Absent: none.
    #[schema(required = false, value_type = Option<Object>)]
    cnf: Option<serde_json::Value>,
}

/// A short refusal that is announced.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BrownOut)]
pub struct BrownOutBody {
    /// Its first instant.
    from: String,
    /// The first instant behind it.
    until: String,
}

impl From<Window> for BrownOutBody {
    fn from(window: Window) -> Self {
        Self { from: time(window.from), until: time(window.until) }
    }
}

/// Questions, at most 100.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifyBatchRequest)]
pub struct VerifyBatchQuestion {
    /// The questions.
    #[schema(max_items = 100)]
    requests: Vec<VerifyQuestion>,
}

/// Answers, in the order of the questions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifyBatchAnswer)]
pub struct VerifyBatchVerdict {
    /// The answers.
    results: Vec<VerifyVerdict>,
}

/// Asks whether a secret is good.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/verify", tag = "verify",
    params(("realm" = String, Path, description = "The realm")),
    request_body = VerifyQuestion,
    responses(
        (status = 200, description = "Whether it is good", body = VerifyVerdict, headers(
            ("Sunset" = String, description = "When the token ends, as an HTTP-date (RFC 8594)"),
        )),
        Acts
    )
)]
pub async fn verify(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    answer(&state, &caller, &realm, &body).await
}

/// Answers one question of an authenticated caller.
pub async fn answer(
    state: &AppState,
    caller: &Caller,
    realm: &RealmName,
    body: &[u8],
) -> Result<Response, Problem> {
    let (authority, metrics) = (&*state.authority, &state.metrics);
    let inquiry = Inquiry { authority, metrics, caller, realm };
    let (answer, ends) = inquiry.one(body).await?;
    let mut response = json_bytes(StatusCode::OK, answer);
    sunset::tell(&mut response, ends);
    Ok(response)
}

/// Asks about up to 100 secrets at once.
///
/// The questions are answered one after the other. If the store fails at one of them the whole
/// batch is 503, and the uses of limited tokens before it stay counted.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/verify/batch", tag = "verify",
    params(("realm" = String, Path, description = "The realm")),
    request_body = VerifyBatchQuestion,
    responses((status = 200, description = "The answers", body = VerifyBatchVerdict), Acts)
)]
pub async fn verify_batch(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    BatchBytes(body): BatchBytes,
) -> Result<Response, Problem> {
    let (authority, metrics) = (&*state.authority, &state.metrics);
    let inquiry = Inquiry { authority, metrics, caller: &caller, realm: &realm };
    Ok(json_bytes(StatusCode::OK, inquiry.many(&body).await?))
}
