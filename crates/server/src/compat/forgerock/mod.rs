//! The ForgeRock AM door, `/json`: sessions, decisions of policies, and the documents behind them,
//! for clients that were written for that product. docs/compat/forgerock.md says what is the
//! same, what differs, and what nobody outside could verify.

mod authenticate;
mod copying;
mod documents;
mod evaluate;
mod fault;
mod filter;
mod path;
mod profile;
mod serverinfo;
mod sessions;
mod users;
mod version;
mod wire;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use counterfoil_authority::authority::{AmHeld as Session, AmUse, AuthRefusal};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::verdict::Door;
use serde_json::Value;

use self::fault::Fault;
use self::path::{Endpoint, Place, Query};
use crate::http::authz::realm_of;
use crate::http::body::any_bytes_within;
use crate::http::caller::Arrived;
use crate::http::envelope::Arrival;
use crate::http::state::{AppState, BATCH_BODY_BYTES_MAX};
use crate::http::wire::json_bytes;

/// How the header and the cookie of a session are called unless configured otherwise.
pub const COOKIE_NAME_DEFAULT: &str = "iPlanetDirectoryPro";
/// How long a session lasts unless configured otherwise, in seconds: AM's own default.
pub const SESSION_SECONDS_DEFAULT: i64 = 7_200;
/// How long a session lasts that nobody uses unless configured otherwise, in seconds: AM's own
/// default.
pub const IDLE_SECONDS_DEFAULT: i64 = 1_800;
/// The attribute of a person in which the seed keeps tokens.
pub const PAT_ATTRIBUTE_DEFAULT: &str = "iplanet-am-user-alias-list";

/// The routes of the door. Realms stand in the path in several spellings, so that everything
/// below `/json` is read by `path::Place`.
pub fn routes() -> Router<AppState> {
    path::PREFIXES.iter().fold(Router::new(), |router, prefix| {
        router.route(&format!("{prefix}/json/{{*rest}}"), any(handler))
    })
}

/// Whether a request asks for a decision: the question that is asked most often.
pub fn is_evaluate(method: &Method, path: &str, query: Option<&str>) -> bool {
    *method == Method::POST
        && path.ends_with("/policies")
        && path::below(path).is_some()
        && query.is_some_and(|query| query.split('&').any(|pair| pair == "_action=evaluate"))
}

async fn handler(State(state): State<AppState>, arrived: Arrived, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    answer::<Body>(&state, &arrived.0, &parts, body).await
}

/// Answers one request.
pub async fn answer<B>(state: &AppState, arrival: &Arrival, parts: &Parts, body: B) -> Response
where
    B: HttpBody<Data = Bytes>,
{
    let Some(place) = Place::of(parts.uri.path()) else { return Fault::not_found().answer() };
    let query = match path::query_of(&parts.uri) {
        Ok(query) => query,
        Err(fault) => return fault.answer(),
    };
    let action = query.get("_action").map(AsRef::as_ref);
    let is_evaluate = matches!(action, Some("evaluate" | "evaluateTree"));
    let chosen = match version::choose(&parts.headers, place.endpoint, is_evaluate) {
        Ok(chosen) => chosen,
        Err(fault) => return fault.answer(),
    };
    let answered = async {
        let root = realm_of(state, parts);
        let realm = place.realm(&query, root)?;
        let realm = realm.ok_or_else(|| Fault::no_realm(place.endpoint))?;
        let asked =
            Asked { state, arrival, parts, place: &place, query: &query, realm: &realm, root };
        let limit = state.settings.body_bytes_max;
        if place.endpoint == Endpoint::Policies && is_evaluate && parts.method == Method::POST {
            // Only whoever has a session may send much.
            let session = asked.session_found().await?;
            let answered = async {
                let body = any_bytes_within(body, limit.max(BATCH_BODY_BYTES_MAX)).await?;
                match action {
                    Some("evaluate") => evaluate::answer(&asked, &session, &body).await,
                    // Boxed, as is all else: the question that is asked most often makes the room.
                    _ => Box::pin(evaluate::tree(&asked, &session, &body)).await,
                }
            };
            // Only the record of a refusal asks who called.
            return answered.await.inspect_err(|_| asked.recognise(&session));
        }
        let body = any_bytes_within(body, limit).await?;
        Box::pin(dispatch(&asked, &body)).await
    };
    let mut response = answered.await.unwrap_or_else(|fault| fault.answer());
    if let Some(value) = chosen.header() {
        response.headers_mut().insert(version::CONTENT, value);
    }
    response
}

async fn dispatch(asked: &Asked<'_>, body: &[u8]) -> Result<Response, Fault> {
    match asked.place.endpoint {
        Endpoint::Authenticate => authenticate::answer(asked, body).await,
        Endpoint::Sessions => sessions::answer(asked, body).await,
        Endpoint::Users => users::answer(asked, body).await,
        Endpoint::Policies | Endpoint::Applications | Endpoint::ResourceTypes => {
            documents::answer(asked, body).await
        }
        Endpoint::ServerInfo => serverinfo::answer(asked),
        Endpoint::ConditionTypes
        | Endpoint::SubjectTypes
        | Endpoint::ApplicationTypes
        | Endpoint::DecisionCombiners
        | Endpoint::SubjectAttributes => serverinfo::vocabulary(asked).await,
    }
}

/// What every part reads of a request.
struct Asked<'a> {
    state: &'a AppState,
    arrival: &'a Arrival,
    parts: &'a Parts,
    place: &'a Place,
    query: &'a Query<'a>,
    realm: &'a RealmName,
    /// The realm that clients call `/`.
    root: &'a RealmName,
}

impl Asked<'_> {
    fn method(&self) -> &Method {
        &self.parts.method
    }

    fn action(&self) -> Option<&str> {
        self.query.get("_action").map(AsRef::as_ref)
    }

    fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A realm as clients of AM know it.
    fn shown_realm(&self, realm: &RealmName) -> String {
        if realm == self.root { "/".to_owned() } else { format!("/{realm}") }
    }

    /// The session that the request presents: in the header, or else in the cookie.
    fn presented(&self) -> Result<Option<&str>, Fault> {
        let name = self.state.settings.am_cookie_name.as_str();
        if let Some(line) = self.headers().get(name) {
            return Ok(line.to_str().ok().map(str::trim));
        }
        let lines = self.headers().get_all(header::COOKIE).iter();
        let pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
        let mut values = pairs.filter_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name).then(|| value.trim_matches('"'))
        });
        let Some(value) = values.next() else { return Ok(None) };
        // A browser sends the cookie along whoever made the page.
        let site = self.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
        let foreign = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
        if foreign && !self.method().is_safe() {
            return Err(Fault::new(StatusCode::FORBIDDEN, "Request from another site"));
        }
        Ok(Some(value))
    }

    /// What presenting a session means here.
    fn using(&self, extends: bool) -> AmUse {
        let idle_seconds = self.state.settings.am_idle_seconds;
        AmUse { idle_seconds, extends, exactly: false }
    }

    /// The session of a token, which is used with it or only asked about.
    async fn session_of(&self, presented: &str, using: AmUse) -> Result<Session, AuthRefusal> {
        let context = self.arrival.context(Door::Am);
        self.state.authority.am_caller(presented, using, context).await
    }

    /// Notes whose session it is.
    fn recognise(&self, session: &Session) {
        self.arrival.recognise(&session.caller.realm, &session.caller.origin);
    }

    /// The session of the request.
    async fn session(&self) -> Result<Session, Fault> {
        self.session_found().await.inspect(|session| self.recognise(session))
    }

    /// The same, before anybody notes whose it is.
    async fn session_found(&self) -> Result<Session, Fault> {
        let Some(presented) = self.presented()? else { return Err(Fault::no_session()) };
        match self.session_of(presented, self.using(true)).await {
            Ok(session) => Ok(session),
            Err(refusal) => {
                if matches!(refusal, AuthRefusal::Denied { guessed: true }) {
                    Box::pin(self.hold_back(None)).await;
                }
                Err(refusal.into())
            }
        }
    }

    /// Waits, if failures often come from there.
    async fn hold_back(&self, user: Option<&str>) {
        self.state.authority.hold_back(self.arrival.source, user, None).await;
    }

    /// An answer, cut down to the fields that were asked for.
    fn json(&self, status: StatusCode, mut value: Value) -> Response {
        if let Some(fields) = self.query.get("_fields").filter(|fields| !fields.is_empty()) {
            filter::keep_fields(&mut value, fields);
        }
        self.whole(status, &value)
    }

    /// An answer as it is.
    fn whole(&self, status: StatusCode, value: &Value) -> Response {
        let pretty = self.query.get("_prettyPrint").is_some_and(|text| text == "true");
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let mut response = json_bytes(status, text.into_bytes());
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        response
    }
}
