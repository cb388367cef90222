//! The SCIM door, `/scim/v2`: people and groups as an identity provider keeps them (RFC 7642 to
//! 7644), so that who leaves there has nothing left here. docs/compat/scim.md says what is served.
//!
//! Callers are clients of the realm with the scope `users:write`, by their keys; what they may do
//! to whom is decided where the native API's requests are decided too.

mod fault;

/// A list of everything there is.
fn all<const N: usize>(resources: [Value; N]) -> Response {
    let body = json!({
        "schemas": [LIST],
        "totalResults": N,
        "startIndex": 1,
        "itemsPerPage": N,
        "Resources": Vec::from(resources),
    });
    scim_json(StatusCode::OK, &body)
}

#[cfg(test)]
mod fuzzing;
mod groups;
mod id;
mod list;
mod matching;
mod patch;
mod path;
mod project;
mod schema;
#[cfg(test)]
mod tests;
mod user;
mod users;
mod values;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::scope::ApiScope;
use serde_json::{Map, Value, json};

use self::fault::Fault;
use self::list::Query;
use self::schema::{CONFIG, GROUPS, Resources, SCHEMAS, USERS};
use super::received::Received;
use crate::http::body::{self, any_bytes_within, media_type, named_twice};
use crate::http::caller::authenticated;
use crate::http::state::{AppState, BATCH_BODY_BYTES_MAX};

/// The path of the door.
const PATH: &str = "/scim/v2";
/// How often a change is tried when others change the same person meanwhile.
const ATTEMPTS_MAX: u32 = 16;
/// What says which schemas a list has.
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// The routes of the door. Below its path it decides by itself what there is, so that whoever asks
/// for something else is told in its own words.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/scim/v2", any(door))
        .route("/scim/v2/", any(door))
        .route("/scim/v2/{*rest}", any(door))
}

async fn door(State(state): State<AppState>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let answered = match Received::from_request_parts(&mut parts, &state).await {
        Ok(asked) => answered(asked, body).await,
        Err(problem) => Err(problem.into()),
    };
    answered.unwrap_or_else(|fault| fault.answer())
}

/// What somebody wants here.
enum Act {
    Config,
    Types(Option<String>),
    Schemas(Option<String>),
    List(&'static Resources),
    Create(&'static Resources),
    Show(&'static Resources, String),
    Replace(&'static Resources, String),
    Edit(&'static Resources, String),
    Remove(&'static Resources, String),
    /// Of one sort, or of both.
    Search(Option<&'static Resources>),
    NotServed(&'static str),
}

impl Act {
    /// What it changes.
    fn writes(&self) -> Option<&'static Resources> {
        match self {
            Self::Create(resources)
            | Self::Replace(resources, _)
            | Self::Edit(resources, _)
            | Self::Remove(resources, _) => Some(*resources),
            Self::Config
            | Self::Types(_)
            | Self::Schemas(_)
            | Self::List(_)
            | Self::Show(..)
            | Self::Search(_)
            | Self::NotServed(_) => None,
        }
    }

    fn of(method: &Method, below: &str) -> Result<Self, Fault> {
        let below = below.trim_matches('/');
        let segments: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
        let resources = |name: &str| [&USERS, &GROUPS].into_iter().find(|one| one.endpoint == name);
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let posts = *method == Method::POST;
        let when = |allowed: bool, act: Self| if allowed { Ok(act) } else { Err(Fault::method()) };
        match segments.as_slice() {
            [] => when(reads, Self::Search(None)),
            [".search"] => when(posts, Self::Search(None)),
            ["ServiceProviderConfig"] => when(reads, Self::Config),
            ["ResourceTypes"] => when(reads, Self::Types(None)),
            ["ResourceTypes", name] => when(reads, Self::Types(Some((*name).to_owned()))),
            ["Schemas"] => when(reads, Self::Schemas(None)),
            ["Schemas", id] => when(reads, Self::Schemas(Some((*id).to_owned()))),
            ["Bulk"] => when(posts, Self::NotServed("Bulk")),
            ["Me"] => Ok(Self::NotServed("Me")),
            [name, rest @ ..] => {
                let resources = resources(name).ok_or_else(Fault::not_found)?;
                match rest {
                    [] if reads => Ok(Self::List(resources)),
                    [] => when(posts, Self::Create(resources)),
                    [".search"] => when(posts, Self::Search(Some(resources))),
                    [id] => {
                        let id = (*id).to_owned();
                        match *method {
                            Method::GET | Method::HEAD => Ok(Self::Show(resources, id)),
                            Method::PUT => Ok(Self::Replace(resources, id)),
                            Method::PATCH => Ok(Self::Edit(resources, id)),
                            Method::DELETE => Ok(Self::Remove(resources, id)),
                            _ => Err(Fault::method()),
                        }
                    }
                    _ => Err(Fault::not_found()),
                }
            }
        }
    }
}

async fn answered(asked: Received, body: Body) -> Result<Response, Fault> {
    // Before anybody is known: which methods there are is no secret.
    let act = Act::of(&asked.parts.method, &asked.id)?;
    let caller = authenticated(&asked.state, &asked.arrived.0, &asked.parts).await?;
    asked.recognise(&caller);
    let base = base_of(&asked);
    let session = Session { asked, caller, base };
    if let Some(resources) = act.writes() {
        session.require_writer(resources)?;
    }
    match act {
        Act::Config => Ok(scim_json(StatusCode::OK, &session.config())),
        Act::Types(None) => Ok(all([&USERS, &GROUPS].map(|one| one.shown(&session.base)))),
        Act::Types(Some(name)) => {
            let found = [&USERS, &GROUPS].into_iter().find(|one| one.name == name);
            let found = found.ok_or_else(Fault::not_found)?;
            Ok(scim_json(StatusCode::OK, &found.shown(&session.base)))
        }
        Act::Schemas(None) => Ok(all(SCHEMAS.map(|schema| schema.shown(&session.base)))),
        Act::Schemas(Some(id)) => {
            let found = SCHEMAS.into_iter().find(|one| one.id.eq_ignore_ascii_case(&id));
            let found = found.ok_or_else(Fault::not_found)?;
            Ok(scim_json(StatusCode::OK, &found.shown(&session.base)))
        }
        Act::List(resources) => {
            session.list(Some(resources), Query::of_parameters(&session.asked.query)?).await
        }
        Act::Search(resources) if session.asked.parts.method == Method::POST => {
            let query = Query::of_body(&session.body(body).await?)?;
            session.list(resources, query).await
        }
        Act::Search(resources) => {
            session.list(resources, Query::of_parameters(&session.asked.query)?).await
        }
        Act::Create(resources) => {
            let body = session.body(body).await?;
            match resources.name {
                "User" => session.user_create(&body).await,
                _ => session.group_create(&body).await,
            }
        }
        Act::Show(resources, id) => match resources.name {
            "User" => session.user_show(&id).await,
            _ => session.group_show(&id).await,
        },
        Act::Replace(resources, id) => {
            let body = session.body(body).await?;
            match resources.name {
                "User" => session.user_replace(&id, &body).await,
                _ => session.group_replace(&id, &body).await,
            }
        }
        Act::Edit(resources, id) => {
            let body = session.body(body).await?;
            match resources.name {
                "User" => session.user_edit(&id, &body).await,
                _ => session.group_edit(&id, &body).await,
            }
        }
        Act::Remove(resources, id) => match resources.name {
            "User" => session.user_remove(&id).await,
            _ => session.group_remove(&id).await,
        },
        Act::NotServed(what) => Err(Fault::not_implemented(what)),
    }
}

/// How the door is reached from outside: a realm with a host name of its own is reached there only.
fn base_of(asked: &Received) -> String {
    let settings = &asked.state.settings;
    if asked.realm == asked.state.main_realm {
        return format!("{}{PATH}", settings.public_url);
    }
    let scheme = settings.public_url.split_once("://").map_or("https", |(scheme, _)| scheme);
    let header = asked.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = asked.parts.uri.authority().map(http::uri::Authority::as_str).or(header);
    format!("{scheme}://{}{PATH}", host.unwrap_or_default())
}

/// A request whose caller is known.
struct Session {
    asked: Received,
    caller: Caller,
    /// The door's own address.
    base: String,
}

impl Session {
    /// Refuses whoever may change nothing here, before their body is read and anything is worked
    /// out for them. Whom they may change is asked where it is done.
    fn require_writer(&self, resources: &Resources) -> Result<(), Fault> {
        let (caller, realm) = (&self.caller, &self.asked.realm);
        let allowed = match resources.name {
            "User" => caller.reach(realm, ApiScope::UsersWrite).map(drop),
            _ => caller.require_whole(realm, ApiScope::UsersWrite),
        };
        Ok(allowed?)
    }

    /// The object in the body.
    async fn body(&self, body: Body) -> Result<Map<String, Value>, Fault> {
        let essence = media_type(&self.asked.parts.headers).unwrap_or_default();
        let known = ["application/scim+json", "application/json"];
        if !known.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
            return Err(Fault::media_type());
        }
        let bytes = any_bytes_within(body, BATCH_BODY_BYTES_MAX).await?;
        let object = body::parse(&bytes)?;
        match named_twice(&bytes) {
            Some(name) => Err(Fault::syntax(format!("{name} is given twice"))),
            None => Ok(object),
        }
    }

    /// What the server offers (RFC 7643 section 5).
    fn config(&self) -> Value {
        json!({
            "schemas": [CONFIG],
            "patch": { "supported": true },
            "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
            "filter": { "supported": true, "maxResults": list::COUNT_MAX },
            "changePassword": { "supported": false },
            "sort": { "supported": false },
            "etag": { "supported": true },
            "authenticationSchemes": [{
                "type": "oauthbearertoken",
                "name": "Client key",
                "description": "The key of a client of the realm, as Authorization: Bearer",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
            }],
            "meta": {
                "resourceType": "ServiceProviderConfig",
                "location": format!("{}/ServiceProviderConfig", self.base),
            },
        })
    }

    /// What every resource says of itself.
    fn meta(
        &self,
        resources: &Resources,
        id: &str,
        (created, modified): (Timestamp, Timestamp),
        version: i64,
    ) -> Value {
        json!({
            "resourceType": resources.name,
            "created": created.to_string(),
            "lastModified": modified.to_string(),
            "location": self.location(resources, id),
            "version": tag_of(version),
        })
    }

    /// Where a resource is.
    fn location(&self, resources: &Resources, id: &str) -> String {
        format!("{}/{}/{id}", self.base, resources.endpoint)
    }

    /// The version that the caller wants to change; `None`: whatever it is.
    fn if_match(&self) -> Option<i64> {
        let mut lines = self.asked.parts.headers.get_all(header::IF_MATCH).iter();
        let text = lines.next()?.to_str().unwrap_or_default().trim();
        if lines.next().is_some() {
            return Some(NO_VERSION);
        }
        (text != "*").then(|| version_of(text).unwrap_or(NO_VERSION))
    }

    /// Whether the caller has this version already.
    fn has_version(&self, version: i64) -> bool {
        let known = self.asked.parts.headers.get(header::IF_NONE_MATCH);
        let known = known.and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        known.split(',').any(|tag| version_of(tag.trim()) == Some(version))
    }

    /// Refuses a change of another version than the caller means.
    fn expect(&self, version: i64) -> Result<(), Fault> {
        match self.if_match() {
            Some(wanted) if wanted != version => Err(Fault::version()),
            _ => Ok(()),
        }
    }
}

/// A version that nothing has.
const NO_VERSION: i64 = -1;

/// A version as an entity tag: weak, as RFC 7644 section 3.14 writes them.
fn tag_of(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// The version of a tag. Clients send `meta.version` back as they read it, so that what is weak
/// has to count here, unlike elsewhere (RFC 9110 section 13.1.1).
fn version_of(tag: &str) -> Option<i64> {
    let strong = tag.strip_prefix("W/").unwrap_or(tag);
    let number = strong.strip_prefix('"')?.strip_suffix('"')?;
    let version: i64 = number.parse().ok()?;
    (version.to_string() == number).then_some(version)
}

/// An answer in the door's own media type.
fn scim_json(status: StatusCode, body: &Value) -> Response {
    let kind = HeaderValue::from_static("application/scim+json");
    (status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
}

/// A resource with its version and, if it is new, its place.
fn resource_answer(
    status: StatusCode,
    resource: Map<String, Value>,
    version: i64,
    place: Option<&str>,
) -> Response {
    let mut response = scim_json(status, &resource.into());
    tagged(response.headers_mut(), version, place);
    response
}

fn tagged(headers: &mut HeaderMap, version: i64, place: Option<&str>) {
    if let Ok(tag) = HeaderValue::try_from(tag_of(version)) {
        headers.insert(header::ETAG, tag);
    }
    if let Some(Ok(place)) = place.map(HeaderValue::try_from) {
        headers.insert(header::LOCATION, place);
    }
}

/// An answer that says only which version there is now.
fn empty_answer(status: StatusCode, version: Option<i64>) -> Response {
    let mut response = status.into_response();
    if let Some(version) = version {
        tagged(response.headers_mut(), version, None);
    }
    response
}
