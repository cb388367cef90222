//! `/tokens`: a repository's tokens across people, and the stock that nobody has yet.

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::RepositoryDraft;
use counterfoil_authority::names::Username;
use counterfoil_authority::repository::{Place, RepositoryKind};
use serde_json::{Map, Value as Json};

use super::fault::Fault;
use super::tokens::{Written, issued};
use super::{Asked, query, resource};
use crate::http::body::{AnyBytes, parse};

/// The repository that the inventory is of, `filter[type]`.
fn kind_of(asked: &Asked) -> Result<&str, Fault> {
    let named = asked.query.iter().find(|(name, _)| name == "filter[type]");
    named
        .map(|(_, kind)| kind.as_str())
        .ok_or_else(|| Fault::filter("filter[type] names the repository"))
}

/// Lists a repository's tokens, whoever has them.
pub(super) async fn list(asked: Asked) -> Response {
    let listed = async {
        let caller = asked.caller().await?;
        let repository = asked.repository(&caller, kind_of(&asked)?).await?;
        let authority = &asked.state.authority;
        let zone = authority.realm_facts(&asked.realm).await?.realm.zone.clone();
        let mut rest = asked.query.clone();
        let (mut user, mut place) = (None, None);
        rest.retain(|(name, value)| match name.as_str() {
            "filter[type]" => false,
            "filter[user]" => {
                user = Some(value.clone());
                false
            }
            "filter[assigned]" => {
                place = Some(value.parse::<bool>());
                false
            }
            _ => true,
        });
        let user = user.map(|name| Username::parse(&name)).transpose();
        let user = user.map_err(|_| Fault::no_user())?;
        let mut request = query::read(&repository, &asked.realm, user, &rest, &zone)?;
        let assigned = place.transpose().map_err(|_| Fault::filter("true or false"))?;
        // Every credential is its person's, and only tokens are ever in stock.
        request.filter.place = match (assigned, &repository.kind) {
            (None, _) | (Some(true), RepositoryKind::Credential(_)) => None,
            (Some(true), _) => Some(Place::Held),
            (Some(false), _) => Some(Place::Stock),
        };
        let (entries, next) = authority.repository_page(&caller, &repository, request).await?;
        let mut meta = Map::new();
        meta.insert("next".into(), next.as_deref().map(query::cursor).into());
        let data = entries.iter().map(|entry| resource(&repository, entry)).collect();
        Ok(asked.document(StatusCode::OK, Json::Array(data), meta))
    };
    asked.said(listed.await)
}

/// Where a token stands that somebody has, or nobody.
pub(super) const fn place_of(assigned: bool) -> Place {
    if assigned { Place::Held } else { Place::Stock }
}

/// Puts a token into the stock of the repository that `data.type` names.
pub(super) async fn create(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    let created = async {
        let caller = asked.caller().await?;
        let written = Written::read(&body)?;
        let kind = written.kind.as_deref().ok_or_else(Fault::no_type)?;
        let repository = asked.repository(&caller, kind).await?;
        let writes = written.writes(&asked, &repository).await?;
        let draft = RepositoryDraft { user: None, place: Place::Stock, writes };
        issued(&asked, &caller, &repository, draft, &body).await
    };
    asked.said(created.await)
}

/// Assigns a token of the stock, or takes it back.
pub(super) async fn act(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    let acted = async {
        let caller = asked.caller().await?;
        let id = asked.segment("id");
        // The id of a token of ours says where it is; one of another keeper may be anybody's.
        let named = kind_of(&asked).ok();
        let repository = if let Some(kind) = named {
            asked.repository(&caller, kind).await?
        } else {
            let authority = &asked.state.authority;
            let name = authority.repository_name_of(&caller, &asked.realm, id).await?;
            asked.repository(&caller, name.as_str()).await?
        };
        let to = match asked.segment("act") {
            "assign" => Some(person_in(&body)?),
            "unassign" => None,
            _ => return Err(Fault::not_supported("assign and unassign")),
        };
        let tag = asked.if_tag().await?;
        let authority = &asked.state.authority;
        let entry = authority
            .repository_assign(&caller, &asked.realm, &repository, (id, to), tag.as_deref())
            .await?;
        Ok(asked.one(StatusCode::OK, &repository, &entry))
    };
    asked.said(acted.await)
}

/// Whom a token goes to: `{"data": {"type": "users", "id": "alice"}}`.
fn person_in(body: &[u8]) -> Result<Username, Fault> {
    let document: Json = parse(body)?;
    let wrong = || Fault::malformed("send {\"data\": {\"type\": \"users\", \"id\": \"alice\"}}");
    let id = document.pointer("/data/id").and_then(Json::as_str).ok_or_else(wrong)?;
    Username::parse(id).map_err(|_| Fault::no_user())
}
