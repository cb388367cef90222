//! `/policies`, `/applications` and `/resourcetypes`: the documents, for administrators.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use counterfoil_authority::am::{AmKind, AmObject};
use counterfoil_authority::refusal::Refusal;
use serde_json::json;

use super::fault::Fault;
use super::path::Endpoint;
use super::wire::{Sent, shown};
use super::{Asked, copying, filter};

fn kind_of(endpoint: Endpoint) -> AmKind {
    match endpoint {
        Endpoint::Applications => AmKind::PolicySet,
        Endpoint::ResourceTypes => AmKind::ResourceType,
        _ => AmKind::Policy,
    }
}

/// Answers one request.
pub(super) async fn answer(asked: &Asked<'_>, body: &[u8]) -> Result<Response, Fault> {
    let session = asked.session().await?;
    let kind = kind_of(asked.place.endpoint);
    let (caller, name) = (&session.caller, asked.place.id.as_str());
    let authority = &asked.state.authority;
    let show = |object: &AmObject| shown(object, &asked.shown_realm(asked.realm));
    match (asked.method(), name.is_empty(), asked.action()) {
        (&Method::GET, true, None) => {
            let objects = authority.am_objects(caller, asked.realm, kind).await?;
            let envelope = filter::page(asked.query, objects.iter().map(show).collect())?;
            Ok(asked.json(StatusCode::OK, envelope))
        }
        (&Method::GET, false, None) => {
            let object = authority.am_object(caller, asked.realm, kind, name).await?;
            Ok(versioned(asked.json(StatusCode::OK, show(&object)), &object))
        }
        (&Method::POST, true, Some("create")) => {
            let mut sent = Sent::read(body)?;
            let key = sent.key(kind)?;
            let key = match (kind, key) {
                (_, Some(key)) => key,
                (AmKind::ResourceType, None) => uuid(asked)?,
                (_, None) => return Err(Fault::invalid("name is missing")),
            };
            let document = sent.document(kind)?;
            let made = authority.am_create(caller, asked.realm, &key, document).await?;
            Ok(created(asked, &made))
        }
        (&Method::PUT, false, None) => {
            let mut sent = Sent::read(body)?;
            if sent.key(kind)?.is_some_and(|key| key != name) {
                return Err(Fault::invalid("The name in the body is not that of the resource."));
            }
            let document = sent.document(kind)?;
            put(asked, caller, name, document).await
        }
        (&Method::DELETE, false, None) => {
            let expected = condition_of(asked)?.version();
            match authority.am_remove(caller, asked.realm, kind, name, expected).await {
                Err(Refusal::VersionMismatch) => Err(changed()),
                said => said.map(|()| asked.whole(StatusCode::OK, &json!({}))).map_err(Fault::from),
            }
        }
        (&Method::POST, _, Some(action @ ("copy" | "move"))) if kind == AmKind::Policy => {
            copying::answer(asked, caller, action == "move", body).await
        }
        (&Method::POST, _, Some(action)) => Err(Fault::no_action(asked.place.endpoint, action)),
        _ => Err(Fault::method()),
    }
}

/// Replaces, or makes what there is not: `If-None-Match: *` asks for nothing but the latter.
async fn put(
    asked: &Asked<'_>,
    caller: &counterfoil_authority::caller::Caller,
    name: &str,
    document: counterfoil_authority::am::AmDocument,
) -> Result<Response, Fault> {
    let authority = &asked.state.authority;
    let only_new = asked.headers().get(header::IF_NONE_MATCH).is_some_and(|value| value == "*");
    let condition = condition_of(asked)?;
    if !only_new {
        let expected = condition.version();
        let replaced = authority.am_replace(caller, asked.realm, name, document.clone(), expected);
        match replaced.await {
            Ok(object) => {
                let realm = asked.shown_realm(asked.realm);
                let response = asked.json(StatusCode::OK, shown(&object, &realm));
                return Ok(versioned(response, &object));
            }
            Err(Refusal::VersionMismatch) if condition != Condition::Nothing => {
                return Err(changed());
            }
            // It may be missing itself, or something that it names.
            Err(Refusal::NotFound(_)) if condition == Condition::Nothing => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    let made = authority.am_create(caller, asked.realm, name, document).await;
    match made {
        Ok(made) => Ok(created(asked, &made)),
        Err(Refusal::Exists(_)) if only_new => {
            Err(Fault::new(StatusCode::PRECONDITION_FAILED, "It exists already."))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// What `If-Match` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Nothing,
    Exists,
    Version(i64),
}

impl Condition {
    const fn version(self) -> Option<i64> {
        match self {
            Self::Version(version) => Some(version),
            Self::Nothing | Self::Exists => None,
        }
    }
}

fn condition_of(asked: &Asked<'_>) -> Result<Condition, Fault> {
    let mut lines = asked.headers().get_all(header::IF_MATCH).iter();
    let Some(line) = lines.next() else { return Ok(Condition::Nothing) };
    let text = line.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Condition::Exists);
    }
    // What is no version of ours is that of nothing here; some clients leave the quotes out.
    let version = text.trim_matches('"').parse().ok().filter(|_| lines.next().is_none());
    version.map(Condition::Version).ok_or_else(changed)
}

fn changed() -> Fault {
    Fault::new(StatusCode::PRECONDITION_FAILED, "The resource has another version.")
}

/// The answer with the version that `If-Match` takes.
fn versioned(mut response: Response, object: &AmObject) -> Response {
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", object.version)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn created(asked: &Asked<'_>, made: &AmObject) -> Response {
    let realm = asked.shown_realm(asked.realm);
    let mut response = asked.json(StatusCode::CREATED, shown(made, &realm));
    let name =
        percent_encoding::utf8_percent_encode(&made.name, percent_encoding::NON_ALPHANUMERIC);
    response = versioned(response, made);
    let path = asked.parts.uri.path().trim_end_matches('/');
    let base = if asked.place.id.is_empty() { format!("{path}/{name}") } else { path.to_owned() };
    if let Ok(value) = HeaderValue::try_from(base) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// A random UUID (RFC 9562 section 5.4).
fn uuid(asked: &Asked<'_>) -> Result<String, Fault> {
    let mut bytes = [0_u8; 16];
    asked.state.authority.entropy().fill(&mut bytes).map_err(Refusal::from)?;
    let number = u128::from_be_bytes(bytes);
    let number = (number & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let text = format!("{number:032x}");
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}
