//! `/users/{user}/tokens/generic/{type}/activation-letters`: letters of a person's tokens.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::repository::Repository;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Letter, LetterFilter, PageRequest};
use serde_json::{Map, Value as Json, json};

use super::Asked;
use super::fault::Fault;
use super::tokens::Written;
use crate::http::body::AnyBytes;
use crate::http::wire::time;

/// Letters of one person that are shown, and tokens of theirs that are looked at.
const LETTERS_MAX: u32 = 1000;

fn resource(letter: &Letter) -> Json {
    json!({
        "type": "activation-letters",
        "id": letter.id,
        "attributes": {
            "state": letter.state.name(),
            "tokenId": letter.token.as_str(),
            "orderDate": time(letter.ordered_at),
            "printDate": letter.printed_at.map(time),
            "validTo": time(letter.expires_at),
        },
    })
}

/// Lists the letters of a person's tokens in a repository.
pub(super) async fn list(asked: Asked) -> Response {
    let listed = async {
        let caller = asked.caller().await?;
        let repository = asked.repository(&caller, asked.segment("type")).await?;
        if !asked.query.is_empty() {
            return Err(Fault::malformed("an unknown parameter"));
        }
        let filter = LetterFilter {
            owner: Some(asked.user()?),
            repository: Some(repository.name.clone()),
            state: None,
        };
        let page = PageRequest::first(LETTERS_MAX);
        let found = asked.state.authority.letters(&caller, &asked.realm, filter, page).await?;
        let data = found.items.iter().map(resource).collect();
        Ok(asked.document(StatusCode::OK, Json::Array(data), Map::new()))
    };
    asked.said(listed.await)
}

/// Orders a letter for the token that `tokenId` names, or for the only one that waits.
pub(super) async fn order(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    let ordered = async {
        let caller = asked.caller().await?;
        let repository = asked.repository(&caller, asked.segment("type")).await?;
        let token = token_of(&asked, &caller, &repository, &body).await?;
        let authority = &asked.state.authority;
        match authority.letter_order(&caller, &asked.realm, token, None).await {
            Ok(letter) => Ok(asked.document(StatusCode::CREATED, resource(&letter), Map::new())),
            Err(Refusal::PlaceTaken) => {
                Err(Fault::new(StatusCode::CONFLICT, "LETTER_ALREADY_ORDERED"))
            }
            Err(refusal) => Err(refusal.into()),
        }
    };
    asked.said(ordered.await)
}

async fn token_of(
    asked: &Asked,
    caller: &Caller,
    repository: &Repository,
    body: &[u8],
) -> Result<TokenId, Fault> {
    let (user, authority) = (asked.user()?, &asked.state.authority);
    let named = if body.is_empty() { None } else { Written::read(body)?.text("tokenId")? };
    if let Some(id) = named {
        let found =
            authority.repository_entry(caller, &asked.realm, repository, Some(&user), &id).await?;
        return found.token.map(|token| token.id).ok_or_else(Fault::no_token);
    }
    let zone = authority.realm_facts(&asked.realm).await?.realm.zone.clone();
    let request = super::query::read(repository, &asked.realm, Some(user), &[], &zone)?;
    let (entries, _) = authority.repository_page(caller, repository, request).await?;
    let mut waiting = entries.into_iter().filter_map(|entry| entry.token).filter(|t| t.pending);
    match (waiting.next(), waiting.next()) {
        (Some(token), None) => Ok(token.id),
        (None, _) => Err(Fault::no_token()),
        (Some(_), Some(_)) => Err(Fault::malformed("several tokens wait; name one as tokenId")),
    }
}

/// The letter in the path, if it is one of that person's in that repository.
async fn letter(asked: &Asked, caller: &Caller) -> Result<Letter, Fault> {
    let repository = asked.repository(caller, asked.segment("type")).await?;
    let (user, id) = (asked.user()?, asked.segment("id"));
    let letter = asked.state.authority.letter_show(caller, &asked.realm, id).await?;
    if letter.owner == user && letter.repository == repository.name {
        Ok(letter)
    } else {
        Err(Fault::no_token())
    }
}

/// Takes a letter back.
pub(super) async fn cancel(asked: Asked) -> Response {
    let cancelled = async {
        let caller = asked.caller().await?;
        let letter = letter(&asked, &caller).await?;
        let authority = &asked.state.authority;
        authority.letter_cancel(&caller, &asked.realm, &letter.id).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    asked.said(cancelled.await)
}

/// Prints a letter: its secret is in the answer, this once.
pub(super) async fn print(asked: Asked) -> Response {
    let printed = async {
        let caller = asked.caller().await?;
        let letter = letter(&asked, &caller).await?;
        let authority = &asked.state.authority;
        let (letter, secret) = authority.letter_print(&caller, &asked.realm, &letter.id).await?;
        let mut meta = Map::new();
        meta.insert("secret".into(), secret.reveal().into());
        Ok(asked.document(StatusCode::OK, resource(&letter), meta))
    };
    asked.said(printed.await)
}
