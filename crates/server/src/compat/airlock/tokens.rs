//! `/users/{user}/tokens/generic/{type}`: a person's tokens in a repository.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{Act, Answered, Repeatable, Replay, RepositoryDraft};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::Username;
use counterfoil_authority::repository::{
    Attribute, Place, Repository, RepositoryKind, Value, Writes,
};
use counterfoil_authority::secret::{ClearSecret, TokenId};
use counterfoil_authority::token::Token;
use serde_json::{Map, Value as Json, json};

use super::fault::Fault;
use super::{Asked, PREFIX, attributes, bytes, meta_of, query, resource, tagged};
use crate::http::body::{AnyBytes, parse};
use crate::http::wire::segment;

/// What a document writes: the resource's id, if it names one, and its attributes.
pub(super) struct Written {
    pub(super) kind: Option<String>,
    id: Option<String>,
    attributes: Map<String, Json>,
}

impl Written {
    /// Reads a resource document.
    pub(super) fn read(body: &[u8]) -> Result<Self, Fault> {
        let mut document: Map<String, Json> = parse(body)?;
        document.remove("meta");
        let data = match document.remove("data") {
            Some(Json::Object(data)) if document.is_empty() => data,
            _ => return Err(Fault::malformed("send {\"data\": {..}} and nothing else")),
        };
        let mut written = Self { kind: None, id: None, attributes: Map::new() };
        for (name, value) in data {
            match (name.as_str(), value) {
                ("type", Json::String(kind)) => written.kind = Some(kind),
                ("id", Json::String(id)) => written.id = Some(id),
                ("attributes", Json::Object(attributes)) => written.attributes = attributes,
                _ => return Err(Fault::malformed("data holds type, id and attributes")),
            }
        }
        Ok(written)
    }

    /// A text that it writes; nothing else may stand beside it.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        if self.attributes.keys().any(|own| own != name) {
            return Err(Fault::attribute_of_none(&[name]));
        }
        match self.attributes.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Fault::attribute(name, "is a text")),
        }
    }

    /// What it writes to a token of a repository.
    pub(super) async fn writes(
        &self,
        asked: &Asked,
        repository: &Repository,
    ) -> Result<Writes, Fault> {
        if self.kind.as_deref().is_some_and(|kind| kind != repository.name.as_str()) {
            return Err(Fault::malformed("the type is that of the repository"));
        }
        let authority = &asked.state.authority;
        let zone = authority.realm_facts(&asked.realm).await?.realm.zone.clone();
        let now = authority.now();
        let writes = attributes::written(&repository.attributes, &self.attributes, &zone, now)?;
        let at = |attribute| match writes.get(&attribute) {
            Some(Some(Value::Instant(at))) => Some(*at),
            _ => None,
        };
        if let (Some(begins), Some(ends)) = (at(Attribute::ValidFrom), at(Attribute::ValidTo))
            && ends <= begins
        {
            return Err(Fault::inverted());
        }
        Ok(writes)
    }
}

/// Lists a person's tokens.
pub(super) async fn list(asked: Asked) -> Response {
    asked.said(listed(&asked).await)
}

async fn listed(asked: &Asked) -> Result<Response, Fault> {
    let caller = asked.caller().await?;
    let repository = asked.repository(&caller, asked.segment("type")).await?;
    let user = asked.user()?;
    let authority = &asked.state.authority;
    let zone = authority.realm_facts(&asked.realm).await?.realm.zone.clone();
    let request = query::read(&repository, &asked.realm, Some(user.clone()), &asked.query, &zone)?;
    let (entries, next) = authority.repository_page(&caller, &repository, request).await?;
    let mut meta = Map::new();
    if let RepositoryKind::Custom(_) = &repository.kind {
        // How many somebody else takes, only they know.
        let takes = authority.repository_takes(&caller, &asked.realm, &repository).await?;
        meta.insert("total".into(), Json::Null);
        meta.insert("maxTokens".into(), Json::Null);
        meta.insert("canCreate".into(), takes.into());
    } else {
        let (held, max) = authority.repository_room(&asked.realm, &repository, &user).await?;
        meta.insert("total".into(), held.into());
        meta.insert("maxTokens".into(), max.into());
        meta.insert("canCreate".into(), (held < max).into());
    }
    meta.insert("next".into(), next.as_deref().map(query::cursor).into());
    let data = entries.iter().map(|entry| resource(&repository, entry)).collect();
    Ok(asked.document(StatusCode::OK, Json::Array(data), meta))
}

/// Creates a token.
pub(super) async fn create(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    asked.said(created(&asked, &body).await)
}

async fn created(asked: &Asked, body: &[u8]) -> Result<Response, Fault> {
    let caller = asked.caller().await?;
    let repository = asked.repository(&caller, asked.segment("type")).await?;
    let user = asked.user()?;
    let written = Written::read(body)?;
    let place = match (&repository.kind, &written.id) {
        (RepositoryKind::Credential(_), Some(id)) => {
            let place = Place::of_credential(id, &user);
            place.ok_or_else(|| {
                Fault::malformed("the id is the person's name and -current or -next")
            })?
        }
        (RepositoryKind::Credential(_), None) => Place::Current,
        (_, None) => Place::Held,
        (_, Some(_)) => return Err(Fault::malformed("the id is given by the server")),
    };
    let writes = written.writes(asked, &repository).await?;
    let draft = RepositoryDraft { user: Some(user), place, writes };
    issued(asked, &caller, &repository, draft, body).await
}

/// Creates what was drafted, and answers with the secret if there is one.
pub(super) async fn issued(
    asked: &Asked,
    caller: &Caller,
    repository: &Arc<Repository>,
    draft: RepositoryDraft,
    body: &[u8],
) -> Result<Response, Fault> {
    if let RepositoryKind::Custom(_) = &repository.kind {
        return issued_elsewhere(asked, caller, repository, draft, body).await;
    }
    let authority = &asked.state.authority;
    let user = draft.user.clone();
    let rendered = renderer(asked, repository, &draft);
    let replay = asked.idempotency().await?.over(body).map(|(key, fingerprint)| Replay {
        key,
        fingerprint,
        render: Arc::clone(&rendered) as _,
    });
    let answered =
        authority.repository_create(caller, &asked.realm, repository, draft, replay).await?;
    let (bytes_of, location) = match answered {
        Answered::Fresh { token, secret } => {
            let location = location(repository, user.as_ref(), &token);
            (rendered(&token, &secret), Some((location, token.version)))
        }
        Answered::Replayed(bytes) => (bytes, None),
    };
    let mut response = bytes(StatusCode::CREATED, bytes_of);
    if let Some((location, version)) = location {
        response = tagged(response, &version.to_string());
        if let Some(Ok(value)) = location.map(HeaderValue::try_from) {
            response.headers_mut().insert(header::LOCATION, value);
        }
    }
    Ok(response)
}

/// The same in a repository that somebody else keeps, which is told no secret.
async fn issued_elsewhere(
    asked: &Asked,
    caller: &Caller,
    repository: &Repository,
    draft: RepositoryDraft,
    body: &[u8],
) -> Result<Response, Fault> {
    let user = draft.user.clone();
    let again = asked.idempotency().await?.over(body);
    let again = again.map(|(key, fingerprint)| Repeatable { key, fingerprint });
    let authority = &asked.state.authority;
    let (entry, secret) = authority
        .repository_create_elsewhere(caller, &asked.realm, repository, draft, again)
        .await?;
    let mut meta = Map::new();
    if let Some(secret) = secret {
        meta.insert("secret".into(), secret.reveal().into());
    }
    let id = segment(&entry.id);
    let location = match &user {
        Some(user) => {
            let name = segment(user.as_str());
            format!("{PREFIX}/users/{name}/tokens/generic/{}/{id}", repository.name)
        }
        None => format!("{PREFIX}/tokens/{id}"),
    };
    let response = asked.document(StatusCode::CREATED, resource(repository, &entry), meta);
    let mut response = tagged(response, &entry.version);
    if let Ok(value) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

type Renderer = dyn Fn(&Token, &ClearSecret) -> Vec<u8> + Send + Sync;

/// Writes the answer to a creation: the same bytes when it is repeated.
fn renderer(asked: &Asked, repository: &Arc<Repository>, draft: &RepositoryDraft) -> Arc<Renderer> {
    let authority = Arc::clone(&asked.state.authority);
    let (repository, draft) = (Arc::clone(repository), draft.clone());
    Arc::new(move |token, secret| {
        let at = crate::http::wire::time(token.created_at);
        let (entry, shown) = authority.repository_created(&repository, token, &draft);
        let mut meta = meta_of(&at);
        if shown {
            let is_link = authority.is_link(secret);
            let name = if is_link { "link" } else { "secret" };
            meta.insert(name.into(), secret.reveal().into());
        }
        json!({ "data": resource(&repository, &entry), "meta": meta }).to_string().into_bytes()
    })
}

/// Where a token can be looked at: below its person. In stock it is shown in the list alone.
fn location(repository: &Repository, user: Option<&Username>, token: &Token) -> Option<String> {
    let user = user?;
    let id = match token.repository.as_ref().map(|member| member.place) {
        Some(place @ (Place::Current | Place::Next)) => {
            segment(&format!("{user}-{}", place.name()))
        }
        _ => token.id.to_string(),
    };
    let name = segment(user.as_str());
    Some(format!("{PREFIX}/users/{name}/tokens/generic/{}/{id}", repository.name))
}

/// Shows a token.
pub(super) async fn show(asked: Asked) -> Response {
    let shown = async {
        let caller = asked.caller().await?;
        let repository = asked.repository(&caller, asked.segment("type")).await?;
        let (user, id) = (asked.user()?, asked.segment("id"));
        let authority = &asked.state.authority;
        let entry =
            authority.repository_entry(&caller, &asked.realm, &repository, Some(&user), id).await?;
        Ok(asked.one(StatusCode::OK, &repository, &entry))
    };
    asked.said(shown.await)
}

/// Edits a token; null clears.
pub(super) async fn edit(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    let edited = async {
        let caller = asked.caller().await?;
        let repository = asked.repository(&caller, asked.segment("type")).await?;
        let (user, id) = (asked.user()?, asked.segment("id"));
        let written = Written::read(&body)?;
        if written.id.as_deref().is_some_and(|named| named != id) {
            return Err(Fault::malformed("the id is that of the path"));
        }
        let writes = written.writes(&asked, &repository).await?;
        let tag = asked.if_tag().await?;
        let authority = &asked.state.authority;
        let named = (Some(&user), id);
        let entry = authority
            .repository_edit(&caller, &asked.realm, &repository, named, writes, tag.as_deref())
            .await?;
        Ok(asked.one(StatusCode::OK, &repository, &entry))
    };
    asked.said(edited.await)
}

/// Deletes a token.
pub(super) async fn delete(asked: Asked) -> Response {
    let deleted = async {
        let caller = asked.caller().await?;
        let repository = asked.repository(&caller, asked.segment("type")).await?;
        let (user, id) = (asked.user()?, asked.segment("id"));
        let tag = asked.if_tag().await?;
        let authority = &asked.state.authority;
        let (realm, named) = (&asked.realm, (Some(&user), id));
        authority.repository_delete(&caller, realm, &repository, named, tag.as_deref()).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    asked.said(deleted.await)
}

/// Enables, disables, revokes, rotates, or promotes a token.
pub(super) async fn act(asked: Asked) -> Response {
    asked.said(acted(&asked).await)
}

async fn acted(asked: &Asked) -> Result<Response, Fault> {
    let caller = asked.caller().await?;
    let repository = asked.repository(&caller, asked.segment("type")).await?;
    let (user, id) = (asked.user()?, asked.segment("id"));
    let (authority, realm) = (&asked.state.authority, &asked.realm);
    if let RepositoryKind::Custom(_) = &repository.kind {
        return acted_elsewhere(asked, &caller, &repository, (&user, id)).await;
    }
    let find = || authority.repository_entry(&caller, realm, &repository, Some(&user), id);
    let entry = find().await?;
    let token = entry.token.as_ref().ok_or_else(Fault::no_token)?;
    let if_match = asked.if_match().await?;
    let switch = match asked.segment("act") {
        "enable" => Act::Enable,
        "disable" => Act::Disable,
        "revoke" => Act::Revoke { reason: None },
        "rotate" => return rotated(asked, &caller, &repository, token.id, if_match).await,
        "promote" => {
            let named = (&user, id);
            let entry = authority.repository_promote(&caller, realm, &repository, named).await?;
            return Ok(asked.one(StatusCode::OK, &repository, &entry));
        }
        _ => return Err(Fault::not_supported("enable, disable, revoke, rotate and promote")),
    };
    let ended = token.revocation.is_some();
    if ended && matches!(switch, Act::Enable | Act::Disable) {
        return Err(Fault::revoked());
    }
    authority.change(&caller, realm, token.id, switch, if_match).await?;
    Ok(asked.one(StatusCode::OK, &repository, &find().await?))
}

/// What can be done to a token of another keeper: a secret of it that is replaced, or an end that
/// stays in sight, has no counterpart in the protocol.
async fn acted_elsewhere(
    asked: &Asked,
    caller: &Caller,
    repository: &Repository,
    (user, id): (&Username, &str),
) -> Result<Response, Fault> {
    let on = match asked.segment("act") {
        "enable" => true,
        "disable" => false,
        "revoke" => return Err(Fault::not_supported("DELETE ends tokens of this repository")),
        _ => return Err(Fault::not_supported("enable and disable")),
    };
    let tag = asked.if_tag().await?;
    let (authority, named) = (&asked.state.authority, ((Some(user), id), on));
    let entry = authority
        .repository_switch_elsewhere(caller, &asked.realm, repository, named, tag.as_deref())
        .await?;
    Ok(asked.one(StatusCode::OK, repository, &entry))
}

/// Gives a token a new secret, which is shown this once.
async fn rotated(
    asked: &Asked,
    caller: &Caller,
    repository: &Repository,
    id: TokenId,
    if_match: Option<i64>,
) -> Result<Response, Fault> {
    let (authority, realm) = (&asked.state.authority, &asked.realm);
    let answered = authority.rotate(caller, realm, id, None, if_match, None).await?;
    let Answered::Fresh { token, secret } = answered else {
        return Err(Fault::malformed("the request was repeated"));
    };
    let entry = authority.repository_found(realm, repository, token.id).await?;
    let mut meta = Map::new();
    meta.insert("secret".into(), secret.reveal().into());
    let response = asked.document(StatusCode::OK, resource(repository, &entry), meta);
    Ok(tagged(response, &entry.version))
}
