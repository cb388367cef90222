//! `/approvals`: tokens that wait, for those who decide about them.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use counterfoil_authority::caller::{Caller, Reach};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::{ApiScope, Scope};
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{Page as Listed, PageRequest, TokenFilter};
use counterfoil_authority::token::{State, Token};
use serde::Deserialize;

use super::home::Row;
use super::page::{self, Frame};
use super::posted::PostedLately;
use super::tokens::id_of;
use super::visit::{Person, see_other};
use crate::http::query::Named;
use crate::http::state::AppState;

/// Tokens on one page, of each part of somebody's reach.
const WAITING_MAX: u32 = 50;
/// Parts of a reach that are asked: who looks after more has the whole realm, as a rule.
const PARTS_MAX: usize = 10;

/// The routes of this file.
pub(super) fn routes() -> axum::Router<AppState> {
    let decisions = get(page);
    axum::Router::new().route("/approvals", decisions).route("/approvals/{id}", post(decide))
}

/// Whether somebody looks after more than what is theirs, and so may have something to decide.
pub(super) fn may_decide(caller: &Caller) -> bool {
    let reach = caller.reach(&caller.realm, ApiScope::TokensWrite);
    reach.is_ok_and(|reach| reach.whole || !reach.units.is_empty() || !reach.services.is_empty())
}

/// A token that waits.
struct Waiting {
    row: Row,
    owner: String,
    services: String,
    scopes: String,
}

#[derive(Template)]
#[template(path = "console/approvals.html")]
struct Page<'a> {
    frame: &'a Frame,
    waiting: Vec<Waiting>,
    more: Option<String>,
}

/// What the address of the page may say.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
}

/// The page.
pub(super) async fn page(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match gather(&person, asked.after).await {
        Ok(Listed { items, next }) => {
            let frame = person.frame();
            let waiting = items.iter().map(|token| waiting(&person, token)).collect();
            page::show(StatusCode::OK, &Page { frame: &frame, waiting, more: next })
        }
        Err(refusal) => person.failed(refusal),
    }
}

fn waiting(person: &Person, token: &Token) -> Waiting {
    let now = person.visit.state.authority.now();
    let scopes: Vec<&str> = token.scopes.iter().map(Scope::as_str).collect();
    Waiting {
        row: Row::of(person.visit.language, token, now),
        owner: token.owner.name().to_owned(),
        services: match &token.services {
            Services::All => person.visit.language.say("token-every-service"),
            Services::Named(_) => token.services.labels().join(", "),
        },
        scopes: scopes.join(", "),
    }
}

/// The filters that together ask for all that waits within a reach.
fn filters(reach: &Reach) -> Vec<TokenFilter> {
    let waiting = || TokenFilter { state: Some(State::Pending), ..TokenFilter::default() };
    if reach.whole {
        return vec![waiting()];
    }
    let units =
        reach.units.iter().map(|unit| TokenFilter { unit: Some(unit.clone()), ..waiting() });
    let services = reach.services.iter();
    let services = services.map(|label| TokenFilter { service: Some(label.clone()), ..waiting() });
    units.chain(services).take(PARTS_MAX).collect()
}

async fn gather(person: &Person, after: Option<String>) -> Result<Listed<Token>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let reach = caller.reach(&caller.realm, ApiScope::TokensWrite)?;
    if !may_decide(caller) {
        return Err(Refusal::BeyondGrant("only an administrator approves or denies"));
    }
    let filters = filters(&reach);
    let single = filters.len() == 1;
    let mut found = Listed { items: Vec::new(), next: None };
    for filter in filters {
        let request = PageRequest { limit: WAITING_MAX, after: after.clone() };
        let page = authority.tokens(caller, &caller.realm, filter, request).await?;
        for token in page.items {
            if !found.items.iter().any(|known: &Token| known.id == token.id) {
                found.items.push(token);
            }
        }
        // Where several lists are shown as one there is no place at which to go on.
        found.next = page.next.filter(|_| single);
    }
    Ok(found)
}

/// Approves or denies.
pub(super) async fn decide(Named(id): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let realm = &caller.realm;
    let decided = async {
        let id = id_of(&id)?;
        match fields.get("act") {
            "approve" => authority.approve(caller, realm, id).await,
            "deny" => authority.deny(caller, realm, id).await,
            _ => Err(Refusal::invalid("act", "is neither approve nor deny")),
        }
    };
    match decided.await {
        Ok(_) => see_other("/approvals"),
        Err(refusal) => person.failed(refusal),
    }
}
