//! `R/audit`: checkpoints of the realm's log, proofs, and its entries for an export.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use counterfoil_authority::authority::{AUDIT_ENTRIES_MAX, Proved};
use counterfoil_authority::names::RealmName;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Authenticated;
use super::problem::Problem;
use super::query::{At, PageLimit, StrictQuery};
use super::responses::Looks;
use super::state::AppState;
use super::wire::Parsed;

/// Entries of one answer unless `limit` says otherwise.
const ENTRIES_DEFAULT: u32 = 100;

fn plain(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}

/// Tells the latest checkpoint of the realm's log, a signed note as C2SP's `tlog-checkpoint` has
/// it. 404 before the first event was sealed. Needs `audit:read` for the whole realm.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/audit/checkpoint", tag = "events",
    params(("realm" = String, Path, description = "The realm")),
    responses(
        (status = 200, description = "The signed note", content_type = "text/plain", body = String),
        Looks,
    )
)]
pub async fn audit_checkpoint(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
) -> Result<impl IntoResponse, Problem> {
    Ok(plain(state.authority.audit_checkpoint(&caller, &realm).await?.note))
}

/// Lists the public keys of the realm's log, one a line as C2SP's `signed-note` writes them: the
/// one that signs now, and behind it those under which earlier checkpoints are verified. Needs
/// `audit:read` for the whole realm.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/audit/keys", tag = "events",
    params(("realm" = String, Path, description = "The realm")),
    responses(
        (status = 200, description = "The keys", content_type = "text/plain", body = String),
        Looks,
    )
)]
pub async fn audit_keys(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
) -> Result<impl IntoResponse, Problem> {
    let keys = state.authority.audit_keys(&caller, &realm).await?;
    let lines: Vec<String> = keys.iter().map(ToString::to_string).collect();
    Ok(plain(lines.join("\n") + "\n"))
}

/// Which entries to tell.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EntriesQuery {
    /// The place of the first, from 0.
    #[param(value_type = Option<u64>)]
    from: Option<Parsed<u64>>,
    /// How many at most, 1 to 1000; 100 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
}

/// Entries of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntriesBody {
    /// The place of the first of them.
    first: u64,
    /// The roots of the complete subtrees of all entries before them, the largest first, in base64.
    prefix: Vec<String>,
    /// Each as its line in an export, without the line end.
    entries: Vec<String>,
}

/// Tells entries of the realm's log in its order, as an export has them; fewer than asked for
/// where the log ends. Needs `audit:read` for the whole realm.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/audit/entries", tag = "events",
    params(("realm" = String, Path, description = "The realm"), EntriesQuery),
    responses((status = 200, description = "Entries", body = EntriesBody), Looks)
)]
pub async fn audit_entries(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<EntriesQuery>,
) -> Result<Json<EntriesBody>, Problem> {
    let from = query.from.map_or(0, |from| from.0);
    let limit = query.limit.map_or(ENTRIES_DEFAULT, |limit| limit.0.count()).min(AUDIT_ENTRIES_MAX);
    let found = state.authority.audit_entries(&caller, &realm, from, limit).await?;
    let prefix = found.before.roots().iter().map(|root| BASE64.encode(root)).collect();
    Ok(Json(EntriesBody { first: from, prefix, entries: found.lines }))
}

/// Of which event, and for which tree.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InclusionQuery {
    /// The id of the event.
    event: String,
    /// The size of the tree; that of the latest checkpoint unless given.
    #[param(value_type = Option<u64>)]
    size: Option<Parsed<u64>>,
}

/// That an event is in the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct InclusionBody {
    /// `sealed`, or `waiting` for an event that is put into the log within seconds; nothing else
    /// is said of it then.
    state: &'static str,
    /// Its place in the log, from 0.
    place: Option<u64>,
    /// The size of the tree.
    size: Option<u64>,
    /// The hash of its leaf, in base64.
    leaf: Option<String>,
    /// What is hashed for the leaf; absent if retention has removed the event.
    entry: Option<String>,
    /// The path from the leaf to the root (RFC 6962 section 2.1.1), in base64.
    proof: Option<Vec<String>>,
}

/// Proves that an event is in the realm's log. Needs `audit:read` for the whole realm.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/audit/proofs/inclusion", tag = "events",
    params(("realm" = String, Path, description = "The realm"), InclusionQuery),
    responses((status = 200, description = "The proof", body = InclusionBody), Looks)
)]
pub async fn audit_inclusion(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<InclusionQuery>,
) -> Result<Json<InclusionBody>, Problem> {
    let size = query.size.map(|size| size.0);
    let found = state.authority.audit_inclusion(&caller, &realm, &query.event, size).await?;
    Ok(Json(match found {
        Proved::Waits => InclusionBody {
            state: "waiting",
            place: None,
            size: None,
            leaf: None,
            entry: None,
            proof: None,
        },
        Proved::Sealed(proof) => InclusionBody {
            state: "sealed",
            place: Some(proof.place),
            size: Some(proof.size),
            leaf: Some(BASE64.encode(&proof.leaf)),
            entry: proof.text,
            proof: Some(proof.hashes.iter().map(|hash| BASE64.encode(hash)).collect()),
        },
    }))
}

/// Between which trees.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConsistencyQuery {
    /// The size of the earlier tree.
    #[param(value_type = u64)]
    from: Parsed<u64>,
    /// The size of the later tree; that of the latest checkpoint unless given.
    #[param(value_type = Option<u64>)]
    to: Option<Parsed<u64>>,
}

/// That a later log begins with an earlier one.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsistencyBody {
    /// The size of the earlier tree.
    from: u64,
    /// The size of the later tree.
    to: u64,
    /// The proof (RFC 6962 section 2.1.2), in base64.
    proof: Vec<String>,
}

/// Proves that the realm's log only grew between two sizes. Needs `audit:read` for the whole
/// realm.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/audit/proofs/consistency", tag = "events",
    params(("realm" = String, Path, description = "The realm"), ConsistencyQuery),
    responses((status = 200, description = "The proof", body = ConsistencyBody), Looks)
)]
pub async fn audit_consistency(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<ConsistencyQuery>,
) -> Result<Json<ConsistencyBody>, Problem> {
    let (from, to) = (query.from.0, query.to.map(|to| to.0));
    let (to, proof) = state.authority.audit_consistency(&caller, &realm, from, to).await?;
    let proof = proof.iter().map(|hash| BASE64.encode(hash)).collect();
    Ok(Json(ConsistencyBody { from, to, proof }))
}
