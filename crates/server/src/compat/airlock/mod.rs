//! The Airlock IAM door, `/auth-admin/rest`: generic tokens and credentials of repositories, as
//! JSON:API resources. docs/compat/airlock.md says what is the same and what nobody outside could
//! verify.

mod attributes;
mod bulk;
mod fault;
mod inventory;
mod letters;
mod query;
mod tokens;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use counterfoil_authority::authority::RepositoryEntry;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::{ClientName, RealmName, RepositoryName, Username};
use counterfoil_authority::repository::Repository;
use counterfoil_authority::verdict::Door;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

use self::fault::Fault;
use crate::http::authz::credential::{self, Credential};
use crate::http::authz::realm_of;
use crate::http::caller::{Arrived, Bearer, bearer};
use crate::http::precondition::{IdempotencyKey, IfMatch, IfTag};
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// The media type of JSON:API.
const MEDIA_TYPE: &str = "application/vnd.api+json";
/// Where the door begins.
pub(super) const PREFIX: &str = "/auth-admin/rest";

/// The routes of the door.
pub fn routes() -> Router<AppState> {
    let of_user = "/auth-admin/rest/users/{user}/tokens/generic/{type}";
    let letters = get(letters::list).post(letters::order);
    let one = get(tokens::show).patch(tokens::edit).delete(tokens::delete);
    Router::new()
        .route(of_user, get(tokens::list).post(tokens::create))
        .route(&format!("{of_user}/activation-letters"), letters)
        .route(&format!("{of_user}/activation-letters/{{id}}"), delete(letters::cancel))
        .route(&format!("{of_user}/activation-letters/{{id}}/print"), post(letters::print))
        .route(&format!("{of_user}/{{id}}"), one)
        .route(&format!("{of_user}/{{id}}/{{act}}"), post(tokens::act))
        .route("/auth-admin/rest/tokens", get(inventory::list).post(inventory::create))
        .route("/auth-admin/rest/tokens/_bulk", post(bulk::start))
        .route("/auth-admin/rest/tokens/{id}/{act}", post(inventory::act))
        .route("/auth-admin/rest/jobs/{id}", get(bulk::show))
}

/// What every handler reads of a request before its body.
pub(super) struct Asked {
    pub(super) state: AppState,
    arrived: Arrived,
    pub(super) realm: RealmName,
    path: BTreeMap<String, String>,
    pub(super) query: Vec<(String, String)>,
    parts: Parts,
}

impl FromRequestParts<AppState> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let arrived = Arrived::from_request_parts(parts, state).await?;
        let path = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await;
        let query = parts.uri.query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self {
            state: state.clone(),
            arrived,
            realm: realm_of(state, parts).clone(),
            path: path.map(|path| path.0).unwrap_or_default(),
            query,
            parts: parts.clone(),
        })
    }
}

impl Asked {
    /// The authenticated client: its key as `Bearer`, or in `Basic` under its name.
    async fn caller(&self) -> Result<Caller, Fault> {
        let mut named = None;
        let presented = match bearer(&self.parts.headers) {
            Bearer::Token(token) => token.to_owned(),
            Bearer::Unreadable => return Err(Fault::nobody()),
            Bearer::Absent => match credential::basic(&self.parts.headers) {
                Some(Credential::Token { username, token }) => {
                    named = username;
                    token.reveal().to_owned()
                }
                _ => return Err(Fault::nobody()),
            },
        };
        let context = self.arrived.0.context(Door::Airlock);
        let caller = match self.state.authority.authenticate(&presented, context).await {
            Ok(caller) => caller,
            Err(refusal) => {
                let fault = Fault::from(refusal);
                if fault.is_nobody() {
                    self.hold_back().await;
                }
                return Err(fault);
            }
        };
        let is_named = named.is_none_or(|name| {
            let actor = ClientName::parse(&name).map(|name| format!("client:{name}"));
            actor.is_ok_and(|actor| actor == *caller.origin.actor)
        });
        if !is_named {
            self.hold_back().await;
            return Err(Fault::nobody());
        }
        self.arrived.0.recognise(&caller.realm, &caller.origin);
        Ok(caller)
    }

    /// Waits, if failures often come from there.
    async fn hold_back(&self) {
        self.state.authority.hold_back(self.arrived.0.source, None, None).await;
    }

    fn segment(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The person in the path; a name of another shape is nobody's.
    fn user(&self) -> Result<Username, Fault> {
        Username::parse(self.segment("user")).map_err(|_| Fault::no_user())
    }

    /// The repository in the path.
    async fn repository(&self, caller: &Caller, name: &str) -> Result<Arc<Repository>, Fault> {
        let name = RepositoryName::parse(name).map_err(|_| Fault::no_type())?;
        Ok(self.state.authority.repository(caller, &self.realm, &name).await?)
    }

    /// The version that `If-Match` demands.
    async fn if_match(&self) -> Result<Option<i64>, Fault> {
        let mut parts = self.parts.clone();
        Ok(IfMatch::from_request_parts(&mut parts, &self.state).await?.0)
    }

    /// The tag that `If-Match` demands, as text.
    async fn if_tag(&self) -> Result<Option<String>, Fault> {
        let mut parts = self.parts.clone();
        Ok(IfTag::from_request_parts(&mut parts, &self.state).await?.0)
    }

    /// The idempotency key of the request, if it has one.
    async fn idempotency(&self) -> Result<IdempotencyKey, Fault> {
        let mut parts = self.parts.clone();
        Ok(IdempotencyKey::from_request_parts(&mut parts, &self.state).await?)
    }

    /// What came of the request.
    fn said(&self, answered: Result<Response, Fault>) -> Response {
        answered.unwrap_or_else(|fault| fault.answer(&self.request_id(), &self.timestamp()))
    }

    fn timestamp(&self) -> String {
        crate::http::wire::time(self.state.authority.now())
    }

    /// By which the answer is found again in the log.
    fn request_id(&self) -> String {
        self.arrived.0.request_id.to_string()
    }

    /// A document with its `meta`.
    fn document(&self, status: StatusCode, data: Json, meta: Map<String, Json>) -> Response {
        let mut document = Map::new();
        document.insert("data".into(), data);
        let mut all = meta_of(&self.timestamp());
        all.extend(meta);
        document.insert("meta".into(), Json::Object(all));
        answer(status, &Json::Object(document))
    }

    /// One token, with its version as the tag.
    fn one(
        &self,
        status: StatusCode,
        repository: &Repository,
        entry: &RepositoryEntry,
    ) -> Response {
        let data = resource(repository, entry);
        tagged(self.document(status, data, Map::new()), &entry.version)
    }
}

/// The `meta` of every document of the door.
fn meta_of(timestamp: &str) -> Map<String, Json> {
    let mut meta = Map::new();
    meta.insert("type".into(), "jsonapi.metadata.document".into());
    meta.insert("timestamp".into(), timestamp.into());
    meta
}

fn answer(status: StatusCode, document: &Json) -> Response {
    bytes(status, document.to_string().into_bytes())
}

/// An answer that is written already.
fn bytes(status: StatusCode, bytes: Vec<u8>) -> Response {
    let kind = [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "no-store")];
    (status, kind, bytes).into_response()
}

/// With its version as the tag. A repository that tells none has none, and what cannot stand in a
/// tag (RFC 9110 section 8.8.3) is none.
fn tagged(mut response: Response, version: &str) -> Response {
    let shaped = !version.is_empty() && version.bytes().all(|b| b > b' ' && b != b'"' && b != 0x7f);
    if shaped && let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A token as a resource object.
fn resource(repository: &Repository, entry: &RepositoryEntry) -> Json {
    let mapping = repository.attributes.all();
    let read_only: Vec<&str> = mapping
        .iter()
        .filter(|mapped| mapped.attribute.is_read_only())
        .map(|mapped| mapped.name.as_str())
        .collect();
    let version = entry.version.parse::<i64>().map_or_else(|_| json!(entry.version), |n| json!(n));
    json!({
        "type": repository.name.as_str(),
        "id": entry.id,
        "attributes": attributes::shown(mapping, &entry.values),
        "meta": {
            "version": version,
            "state": entry.state.name(),
            "user": entry.user.as_ref().map(Username::as_str),
            "readOnly": read_only,
        },
    })
}
