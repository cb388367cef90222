//! Search across everything that somebody administers: by id, name, label, or the beginning of a
//! token that was found somewhere.
//!
//! What is looked for may hold a secret, so it comes in the body of a form, is in no address and
//! no log, and is not shown again.

use axum::response::Response;
use counterfoil_authority::names::Username;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::store::{PageRequest, TokenFilter, UserFilter};
use counterfoil_authority::token::Token;
use zeroize::Zeroizing;

use super::lists::{self, heads, row};
use super::parts::{self, Button, Cell, Field, Form, Part, Table};
use super::{CHOICES, LOOK_AT_MOST, Section, escaped, is_whole, reaches_others};
use crate::http::console::page::{Frame, administers};
use crate::http::console::posted::Posted;
use crate::http::console::visit::Person;

/// Hits of one sort that are shown.
const HITS: u32 = 20;

fn form_of(frame: &Frame) -> Form {
    Form::acts("search", "/admin/search".to_owned())
        .with(
            Field::text("what", frame.say("search-what"), "")
                .longer()
                .required()
                .hinted(frame.say("search-hint")),
        )
        .ending(Button::plain(frame.say("search-do")))
}

/// The form.
pub(super) async fn page(person: Person) -> Response {
    if !administers(person.caller()) {
        return person.failed(Refusal::Forbidden(ApiScope::TokensRead));
    }
    let frame = person.admin_frame(Section::Search, &[]);
    parts::show(&frame, frame.say("admin-search"), vec![Part::Form(form_of(&frame))])
}

/// What is found.
pub(super) async fn find(Posted { person, fields }: Posted) -> Response {
    if !administers(person.caller()) {
        return person.failed(Refusal::Forbidden(ApiScope::TokensRead));
    }
    let frame = person.admin_frame(Section::Search, &[]);
    let what = Zeroizing::new(fields.get("what").trim().to_owned());
    match gather(&person, &frame, &what).await {
        Ok(mut found) => {
            if found.is_empty() {
                found.push(Part::Alert(frame.say("search-none")));
            }
            found.push(Part::Form(form_of(&frame)));
            parts::show(&frame, frame.say("admin-search"), found)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person, frame: &Frame, what: &str) -> Result<Vec<Part>, Refusal> {
    let mut parts = Vec::new();
    if what.is_empty() || what.len() > 512 {
        return Ok(parts);
    }
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let mut tokens: Vec<Token> = Vec::new();
    if reaches_others(caller, ApiScope::TokensRead) {
        tokens.extend(authority.token_of_piece(caller, &caller.realm, what).await?);
        if tokens.is_empty() {
            tokens.extend(named(person, what).await?);
        }
    }
    let mut table = Table::new(frame.say("admin-tokens"), heads(frame, false), String::new());
    table.rows.extend(tokens.iter().map(|token| row(person, frame, token, None)));
    parts.extend(table.unless_empty());
    // A token is nobody's name; what is found by it is one thing.
    if tokens.is_empty() {
        of_people(person, frame, what, &mut parts).await?;
        of_services(person, frame, what, &mut parts).await?;
        of_units_and_clients(person, frame, what, &mut parts).await?;
    }
    Ok(parts)
}

/// Tokens of this name among the latest, and all with this label, `name=value`.
async fn named(person: &Person, what: &str) -> Result<Vec<Token>, Refusal> {
    let mut filters = vec![TokenFilter {
        name: Some(what.to_owned()),
        look_at_most: Some(LOOK_AT_MOST),
        ..TokenFilter::default()
    }];
    if let Some((name, value)) = what.split_once('=') {
        let labels = vec![(name.trim().to_owned(), value.trim().to_owned())];
        filters.push(TokenFilter { labels, ..TokenFilter::default() });
    }
    let mut found = Vec::new();
    for filter in filters {
        found.extend(lists::within_reach(person, filter, HITS).await?);
    }
    Ok(found)
}

async fn of_people(
    person: &Person,
    frame: &Frame,
    what: &str,
    parts: &mut Vec<Part>,
) -> Result<(), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    if !reaches_others(caller, ApiScope::UsersRead) {
        return Ok(());
    }
    let filter = UserFilter { prefix: Some(what.to_lowercase()), ..UserFilter::default() };
    let page = PageRequest::first(HITS);
    let found = match authority.users(caller, &caller.realm, filter, page).await {
        Ok(found) => found.items,
        // Of several units one has to be named.
        Err(Refusal::Invalid { .. }) => match Username::parse(what) {
            Ok(name) => match authority.user(caller, &caller.realm, &name).await {
                Ok(user) => vec![user],
                Err(Refusal::NotFound(_)) => Vec::new(),
                Err(refusal) => return Err(refusal),
            },
            Err(_) => Vec::new(),
        },
        Err(refusal) => return Err(refusal),
    };
    let names = vec![frame.say("field-username"), frame.say("field-display-name")];
    let mut table = Table::new(frame.say("admin-title"), names, String::new());
    table.rows.extend(found.into_iter().map(|user| {
        let href = format!("/admin/people/{}", escaped(user.username.as_str()));
        vec![Cell::link(&user.username, href), Cell::maybe(user.display_name)]
    }));
    parts.extend(table.unless_empty());
    Ok(())
}

/// Whether one of these texts holds what is looked for, however it is written.
fn holds(what: &str, texts: &[&str]) -> bool {
    let what = what.to_lowercase();
    texts.iter().any(|text| text.to_lowercase().contains(&what))
}

async fn of_services(
    person: &Person,
    frame: &Frame,
    what: &str,
    parts: &mut Vec<Part>,
) -> Result<(), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let page = PageRequest::first(CHOICES);
    let found = authority.services(caller, &caller.realm, page).await?.items;
    let names = vec![frame.say("service-label"), frame.say("field-name")];
    let mut table = Table::new(frame.say("admin-services"), names, String::new());
    let hits = found.into_iter().filter(|one| holds(what, &[one.label.as_str(), &one.name]));
    table.rows.extend(hits.take(HITS as usize).map(|service| {
        let href = format!("/admin/services/{}", service.label);
        vec![Cell::link(&service.label, href), Cell::text(service.name)]
    }));
    parts.extend(table.unless_empty());
    Ok(())
}

async fn of_units_and_clients(
    person: &Person,
    frame: &Frame,
    what: &str,
    parts: &mut Vec<Part>,
) -> Result<(), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let names = || vec![frame.say("field-name"), frame.say("field-description")];
    if reaches_others(caller, ApiScope::UsersRead) {
        let units = authority.units(caller, &caller.realm, PageRequest::first(CHOICES)).await?;
        let mut table = Table::new(frame.say("units"), names(), String::new());
        let hits = units.items.into_iter().filter(|one| {
            let more = [one.identifier.as_deref(), one.external_id.as_deref()];
            let more = more.map(Option::unwrap_or_default);
            holds(what, &[&one.name, &one.id, more[0], more[1]])
        });
        table.rows.extend(hits.take(HITS as usize).map(|unit| {
            let href = super::address("/admin/tokens", &[("unit", &unit.id)]);
            vec![Cell::link(unit.name, href), Cell::maybe(unit.identifier)]
        }));
        parts.extend(table.unless_empty());
    }
    if is_whole(caller, ApiScope::ClientsWrite) {
        let clients = authority.clients(caller, &caller.realm, PageRequest::first(CHOICES)).await?;
        let mut table = Table::new(frame.say("admin-clients"), names(), String::new());
        let hits = clients.items.into_iter().filter(|one| {
            holds(what, &[one.name.as_str(), one.description.as_deref().unwrap_or_default()])
        });
        table.rows.extend(hits.take(HITS as usize).map(|client| {
            let href = format!("/admin/clients/{}", escaped(client.name.as_str()));
            vec![Cell::link(&client.name, href), Cell::maybe(client.description)]
        }));
        parts.extend(table.unless_empty());
    }
    Ok(())
}
