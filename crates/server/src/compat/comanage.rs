//! The COmanage door, `/registry`: services, people and their identifiers, to be read by programs
//! that were written for Registry's REST API v1. docs/compat/comanage.md says what is the same.
//!
//! Nothing here writes, and no hash and no secret can be read: Registry's `Password` has no route.

mod wire;

use std::ops::Deref;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::{ClientName, Username};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::service::Service;
use counterfoil_authority::store::{Page, PageRequest, UserFilter};
use counterfoil_authority::subject::User;
use counterfoil_authority::verdict::Door;

use self::wire::{Fault, Identifier, List, Numbers, Person, ServiceEntry};
use super::received::Received;
use crate::http::authz::credential::{self, Credential};
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// The number of the CO that a realm is shown as; 1 is Registry's own.
pub const CO_ID_DEFAULT: u32 = 2;
/// Records of a page that is asked of the store.
const PAGE: u32 = 1000;
/// Records in one answer at most: Registry has no pages, and an answer is built in memory.
const LISTED_MAX: usize = 20_000;

/// The routes of the door.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/registry/co_services.json", get(services))
        .route("/registry/co_services/{id}", get(service))
        .route("/registry/co_people.json", get(people))
        .route("/registry/co_people/{id}", get(person))
        .route("/registry/identifiers.json", get(identifiers))
        .route("/registry/identifiers/{id}", get(identifier))
}

/// A request to this door.
struct Asked(Received);

impl FromRequestParts<AppState> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        Received::from_request_parts(parts, state).await.map(Self)
    }
}

impl Deref for Asked {
    type Target = Received;

    fn deref(&self) -> &Received {
        &self.0
    }
}

impl Asked {
    /// The client whose key stands in `Basic`, under its own name: `name` or, as Registry calls
    /// its API users, `co_2.name`.
    async fn caller(&self) -> Result<Caller, Fault> {
        let credential = credential::basic(&self.parts.headers);
        let Some(Credential::Token { username: Some(name), token }) = credential else {
            return Err(Fault::nobody());
        };
        let authority = &self.state.authority;
        let context = self.arrived.0.context(Door::Api);
        let caller = match authority.authenticate(token.reveal(), context).await {
            Ok(caller) => caller,
            Err(refusal) => {
                let fault = Fault::from(refusal);
                if fault.is_nobody() {
                    self.hold_back().await;
                }
                return Err(fault);
            }
        };
        let co = format!("co_{}.", self.state.settings.comanage_co_id);
        let bare = name.strip_prefix(&co).unwrap_or(&name);
        let named = ClientName::parse(bare).map(|name| format!("client:{name}"));
        if named.is_ok_and(|actor| actor == *caller.origin.actor) {
            self.recognise(&caller);
            return Ok(caller);
        }
        self.hold_back().await;
        Err(Fault::nobody())
    }

    /// A parameter by its name.
    fn text(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The CO must be the one that the realm is shown as.
    fn require_co(&self) -> Result<(), Fault> {
        let co = self.state.settings.comanage_co_id.to_string();
        match self.text("coid") {
            Some(asked) if asked == co => Ok(()),
            Some(_) => Err(Fault::unknown("CO")),
            None => Err(Fault::invalid("coid is required")),
        }
    }

    /// The number in the path, `7.json`.
    fn number(&self, model: &'static str) -> Result<u64, Fault> {
        let number = self.id.strip_suffix(".json").and_then(|id| id.parse().ok());
        number.ok_or_else(|| Fault::unknown(model))
    }

    fn numbers(&self) -> Numbers {
        Numbers { co: self.state.settings.comanage_co_id }
    }

    async fn all_services(&self, caller: &Caller) -> Result<Vec<Service>, Fault> {
        let mut all = Vec::new();
        let mut request = PageRequest::first(PAGE);
        loop {
            let page = self.state.authority.services(caller, &self.realm, request).await?;
            let Page { items, next } = page;
            // The API itself is nothing that Registry would know of.
            all.extend(items.into_iter().filter(|service| !is_builtin(service)));
            let Some(after) = next else { return Ok(all) };
            fits(all.len())?;
            request = PageRequest { limit: PAGE, after: Some(after) };
        }
    }

    /// People until `found` has what it wants, all of them if it never does.
    async fn people_until(
        &self,
        caller: &Caller,
        mut found: impl FnMut(&User) -> bool,
    ) -> Result<Vec<User>, Fault> {
        let mut all = Vec::new();
        let mut request = PageRequest::first(PAGE);
        loop {
            let filter = UserFilter::default();
            let page = self.state.authority.users(caller, &self.realm, filter, request).await?;
            let Page { items, next } = page;
            if let Some(one) = items.iter().find(|user| found(user)) {
                return Ok(vec![one.clone()]);
            }
            all.extend(items);
            let Some(after) = next else { return Ok(all) };
            request = PageRequest { limit: PAGE, after: Some(after) };
        }
    }

    async fn person_of(&self, caller: &Caller, id: u64) -> Result<Option<User>, Fault> {
        let is = |user: &User| Numbers::person(user) == id;
        let found = self.people_until(caller, is).await?;
        Ok(found.into_iter().find(is))
    }

    async fn service_list(&self) -> Result<Response, Fault> {
        let caller = self.caller().await?;
        self.require_co()?;
        let services = self.all_services(&caller).await?;
        fits(services.len())?;
        let numbers = self.numbers();
        let entries: Vec<_> =
            services.iter().map(|service| ServiceEntry::of(service, numbers)).collect();
        Ok(List::answer("CoServices", &entries))
    }

    async fn service_show(&self) -> Result<Response, Fault> {
        let caller = self.caller().await?;
        let id = self.number("CoService")?;
        let services = self.all_services(&caller).await?;
        let found = services.iter().find(|service| Numbers::service(service) == id);
        let found = found.ok_or_else(|| Fault::unknown("CoService"))?;
        Ok(List::answer("CoServices", &[ServiceEntry::of(found, self.numbers())]))
    }

    async fn people_list(&self) -> Result<Response, Fault> {
        let caller = self.caller().await?;
        self.require_co()?;
        let searches = self.query.keys().filter(|name| name.starts_with("search."));
        if searches.into_iter().any(|name| name != "search.identifier") {
            return Err(Fault::invalid("of search.* only search.identifier is served"));
        }
        let people = match self.text("search.identifier") {
            Some(text) => self.person_named(&caller, text).await?.into_iter().collect(),
            None => self.people_until(&caller, |_| false).await?,
        };
        fits(people.len())?;
        let entries: Vec<_> = people.iter().map(|user| Person::of(user, self.numbers())).collect();
        Ok(List::answer("CoPeople", &entries))
    }

    async fn person_named(&self, caller: &Caller, text: &str) -> Result<Option<User>, Fault> {
        let Ok(name) = Username::parse(text) else { return Ok(None) };
        match self.state.authority.user(caller, &self.realm, &name).await {
            Ok(user) => Ok(Some(user)),
            Err(Refusal::NotFound(_)) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn person_show(&self) -> Result<Response, Fault> {
        let caller = self.caller().await?;
        let id = self.number("CoPerson")?;
        let found = self.person_of(&caller, id).await?;
        let found = found.ok_or_else(|| Fault::unknown("CoPerson"))?;
        Ok(List::answer("CoPeople", &[Person::of(&found, self.numbers())]))
    }

    async fn identifier_list(&self) -> Result<Response, Fault> {
        let caller = self.caller().await?;
        let Some(id) = self.text("copersonid") else {
            return Err(Fault::invalid("copersonid is required"));
        };
        let unknown = || Fault::unknown("CoPerson");
        let id = id.parse().map_err(|_| unknown())?;
        let found = self.person_of(&caller, id).await?.ok_or_else(unknown)?;
        Ok(List::answer("Identifiers", &[Identifier::of(&found)]))
    }

    async fn identifier_show(&self) -> Result<Response, Fault> {
        let caller = self.caller().await?;
        let id = self.number("Identifier")?;
        let found = self.person_of(&caller, id).await?;
        let found = found.ok_or_else(|| Fault::unknown("Identifier"))?;
        Ok(List::answer("Identifiers", &[Identifier::of(&found)]))
    }
}

fn is_builtin(service: &Service) -> bool {
    service.label.as_str() == counterfoil_authority::names::COUNTERFOIL
}

fn fits(count: usize) -> Result<(), Fault> {
    if count > LISTED_MAX {
        return Err(Fault::invalid("there are more than 20000; ask for one"));
    }
    Ok(())
}

fn said(answered: Result<Response, Fault>) -> Response {
    answered.unwrap_or_else(|fault| fault.answer())
}

async fn services(asked: Asked) -> Response {
    said(asked.service_list().await)
}

async fn service(asked: Asked) -> Response {
    said(asked.service_show().await)
}

async fn people(asked: Asked) -> Response {
    said(asked.people_list().await)
}

async fn person(asked: Asked) -> Response {
    said(asked.person_show().await)
}

async fn identifiers(asked: Asked) -> Response {
    said(asked.identifier_list().await)
}

async fn identifier(asked: Asked) -> Response {
    said(asked.identifier_show().await)
}

/// An answer in JSON.
fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=UTF-8")], body).into_response()
}
