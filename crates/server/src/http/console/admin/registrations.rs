//! `/admin/registration-tokens`: what is left of each, what was drawn from it and who was refused.
//! For who administers a unit it is the portal of a customer: they see what is of their unit.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::authority::Act;
use counterfoil_authority::event::Outcome;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{EventFilter, PageRequest, TokenFilter};
use counterfoil_authority::token::{STATES, State, Token};
use serde::Deserialize;

use super::lists::{Wanted, owner_of, state_of, within_unit};
use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::{ROWS, Section, address, reaches_others, require_others, unit_choices};
use crate::http::console::page::Frame;
use crate::http::console::posted::{Fields, PostedLately};
use crate::http::console::times::Moment;
use crate::http::console::tokens::id_of;
use crate::http::console::visit::{Person, see_other};
use crate::http::query::Named;

/// Refused attempts that the page of a token shows.
const REFUSALS: u32 = 20;

/// How much of a registration token is used up.
fn used(frame: &Frame, token: &Token) -> Cell {
    let Some(most) = token.sentinel.count else {
        return Cell::text(frame.about("registration-unlimited", token.used));
    };
    let drawn = most.saturating_sub(token.remaining().unwrap_or(0));
    let share = drawn.saturating_mul(100) / most.max(1);
    Cell { bar: Some(share.min(100)), ..Cell::text(format!("{drawn} / {most}")) }
}

/// The list.
pub(super) async fn list(person: Person, asked: Result<Query<Wanted>, QueryRejection>) -> Response {
    let wanted = asked.map(|Query(wanted)| wanted).unwrap_or_default();
    match gather_list(&person, &wanted).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Registrations, &[]);
            parts::show(&frame, frame.say("admin-registrations"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather_list(person: &Person, wanted: &Wanted) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    require_others(caller, ApiScope::TokensRead)?;
    let frame = person.frame();
    let filter = wanted.filter(authority.now())?;
    let mut filter = TokenFilter { kind: Some(Kind::RegistrationToken), ..filter };
    within_unit(caller, &mut filter)?;
    let page = PageRequest { limit: ROWS, after: wanted.after.clone() };
    let found = authority.tokens(caller, &caller.realm, filter, page).await?;
    let units = unit_choices(person, frame.say("filter-any"), &wanted.unit).await?;
    let unit_name = |id: &Option<String>| {
        let known = units.iter().find(|(own, ..)| Some(own) == id.as_ref());
        known.map(|(_, name, _)| name.clone()).or_else(|| id.clone())
    };
    let heads = vec![
        frame.say("field-name"),
        frame.say("field-unit"),
        frame.say("registration-used"),
        frame.say("token-state"),
        frame.say("token-refusals"),
        frame.say("token-end"),
    ];
    let mut table =
        Table::new(frame.say("admin-registrations"), heads, frame.say("registrations-none"));
    let now = authority.now();
    table.rows.extend(found.items.iter().map(|token| {
        let name = token.name.clone().unwrap_or_else(|| token.id.to_string());
        let end = token.validity.expires_at();
        let end = end.map(|end| Moment::of(person.visit.language, end, now));
        vec![
            Cell::link(name, format!("/admin/registration-tokens/{}", token.id)),
            Cell::maybe(unit_name(&token.unit)),
            used(&frame, token),
            state_of(&frame, token, now),
            Cell::text(token.usage.denied_total),
            Cell::when_or(end, frame.say("token-no-end")),
        ]
    }));
    table.next = found.next.map(|after| {
        let fields = [("unit", &*wanted.unit), ("state", &*wanted.state), ("after", &after)];
        address(Section::Registrations.path(), &fields)
    });
    table.next_words = frame.say("older");
    let mut parts = Vec::new();
    if reaches_others(caller, ApiScope::RegistrationTokensWrite) {
        let at = |rest: &str| format!("{}/{rest}", Section::Registrations.path());
        parts.push(Part::Links(vec![
            Link::button(at("new"), frame.say("registration-new")),
            Link::button(at("batch"), frame.say("registration-batch")),
        ]));
        table.empty_link = Some(Link::button(at("new"), frame.say("registration-new")));
    }
    let states = STATES.iter().map(|state| {
        let name = state.name();
        (name.to_owned(), frame.say(&format!("state-{name}")), name == wanted.state)
    });
    let any = (String::new(), frame.say("filter-any"), wanted.state.is_empty());
    let states = std::iter::once(any).chain(states).collect();
    let filters = Form::filters("filter", Section::Registrations.path())
        .with(Field::choice("unit", frame.say("field-unit"), units))
        .with(Field::choice("state", frame.say("token-state"), states))
        .ending(Button::quiet(frame.say("filter-do")));
    parts.extend([Part::Form(filters), Part::Table(table)]);
    Ok(parts)
}

/// Where the list of what was drawn begins.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
}

async fn registration(person: &Person, id: &str) -> Result<Token, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let token = authority.token(caller, &caller.realm, id_of(id)?).await?;
    if token.kind == Kind::RegistrationToken {
        Ok(token)
    } else {
        Err(Refusal::NotFound(Thing::Token))
    }
}

/// One registration token.
pub(super) async fn page(
    person: Person,
    Named(id): Named,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let after = asked.map(|Query(asked)| asked.after).unwrap_or_default();
    match gather(&person, &id, after).await {
        Ok((name, parts)) => {
            let frame = person.admin_frame(Section::Registrations, &[&name]);
            parts::show(&frame, name, parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(
    person: &Person,
    id: &str,
    after: Option<String>,
) -> Result<(String, Vec<Part>), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    require_others(caller, ApiScope::TokensRead)?;
    let token = registration(person, id).await?;
    let (frame, realm) = (person.frame(), &caller.realm);
    let page = PageRequest { limit: ROWS, after };
    let drawn = authority.children(caller, realm, token.id, page).await?;
    let filter = EventFilter { outcome: Some(Outcome::Refused), ..EventFilter::default() };
    let first = PageRequest::first(REFUSALS);
    let refused = authority.token_events(caller, realm, token.id, filter, first).await?;
    let radius = authority.blast_radius(caller, realm, token.id).await?;
    let name = token.name.clone().unwrap_or_else(|| token.id.to_string());
    let writes = reaches_others(caller, ApiScope::RegistrationTokensWrite)
        || reaches_others(caller, ApiScope::TokensWrite);
    let units = unit_choices(person, String::new(), "").await?;
    let unit = token.unit.as_ref();
    let unit = units.iter().find(|(id, ..)| Some(id) == unit).map(|(_, name, _)| name).or(unit);
    let mut parts = vec![Part::Facts(facts(person, &frame, &token, unit))];
    if writes {
        parts.extend(acts(person, &frame, &token, radius.active));
    }
    let mut table = children(person, &frame, &token, &drawn.items, writes);
    table.next = drawn.next.map(|after| {
        address(&format!("{}/{}", Section::Registrations.path(), token.id), &[("after", &after)])
    });
    table.next_words = frame.say("older");
    parts.push(Part::Table(table));
    let heads = vec![
        frame.say("audit-when"),
        frame.say("audit-kind"),
        frame.say("audit-source"),
        frame.say("audit-reason"),
    ];
    let caption = frame.say("registration-refused");
    let mut refusals = Table::new(caption, heads, frame.say("registration-no-refusal"));
    let now = authority.now();
    refusals.rows.extend(refused.items.into_iter().map(|event| {
        vec![
            Cell::when(Moment::of(person.visit.language, event.at, now)),
            Cell::code(event.kind),
            Cell::maybe(event.origin.source),
            Cell::maybe(event.reason),
        ]
    }));
    parts.push(Part::Table(refusals));
    Ok((name, parts))
}

fn facts(
    person: &Person,
    frame: &Frame,
    token: &Token,
    unit: Option<&String>,
) -> Vec<(String, Cell)> {
    let now = person.visit.state.authority.now();
    let moment = |at| Moment::of(person.visit.language, at, now);
    let mut facts = vec![
        (frame.say("token-state"), state_of(frame, token, now)),
        (frame.say("registration-used"), used(frame, token)),
        (frame.say("token-id"), Cell::code(token.id)),
        (frame.say("token-owner"), owner_of(token)),
        (frame.say("token-created"), Cell::when(moment(token.created_at))),
        (
            frame.say("token-end"),
            Cell::when_or(token.validity.expires_at().map(moment), frame.say("token-no-end")),
        ),
        (frame.say("token-refusals"), Cell::text(token.usage.denied_total)),
    ];
    let sentinel = &token.sentinel;
    for (words, value) in [
        (frame.say("field-unit"), unit),
        (frame.say("registration-identifier"), sentinel.identifier.as_ref()),
        (frame.say("registration-ref-1"), sentinel.ref_id_1.as_ref()),
        (frame.say("registration-ref-2"), sentinel.ref_id_2.as_ref()),
        (frame.say("registration-approval"), sentinel.approval.as_ref()),
    ] {
        if let Some(value) = value {
            facts.push((words, Cell::text(value)));
        }
    }
    facts
}

fn acts(person: &Person, frame: &Frame, token: &Token, live: u64) -> Vec<Part> {
    let action = format!("{}/{}/act", Section::Registrations.path(), token.id);
    let state = token.state(person.visit.state.authority.now());
    let mut parts = Vec::new();
    if token.revocation.is_some() {
        return parts;
    }
    let mut switches = Form::acts("", action.clone());
    let switch = |words, act| Button::quiet(words).sends("act", act);
    switches = if token.enabled {
        switches.ending(switch(frame.say("token-disable"), "disable"))
    } else {
        switches.ending(switch(frame.say("token-enable"), "enable"))
    };
    switches = if token.locked {
        switches.ending(switch(frame.say("bulk-act-unlock"), "unlock"))
    } else {
        switches.ending(switch(frame.say("token-lock"), "lock"))
    };
    parts.push(Part::Form(switches));
    if token.sentinel.count.is_some() && token.used > 0 && state != State::Expired {
        let back = Form::acts("back", action.clone())
            .folded(frame.say("registration-return"))
            .with(
                Field::number("number", frame.say("registration-return-count"), 1)
                    .hinted(frame.say("registration-return-hint")),
            )
            .ending(Button::quiet(frame.say("registration-return")).sends("act", "return"));
        parts.push(Part::Form(back));
    }
    let delete = Form::acts("delete", action)
        .folded(frame.say("registration-delete"))
        .with(
            Field::text("reason", frame.say("revoke-reason"), "")
                .hinted(frame.about("registration-delete-what", live)),
        )
        .ending(Button::danger(frame.say("registration-delete-alone")).sends("act", "revoke"))
        .ending(Button::danger(frame.say("registration-delete-all")).sends("act", "revoke-all"));
    parts.push(Part::Form(delete));
    parts
}

fn children(person: &Person, frame: &Frame, token: &Token, drawn: &[Token], writes: bool) -> Table {
    let now = person.visit.state.authority.now();
    let heads = vec![
        frame.say("device-host"),
        frame.say("device-user"),
        frame.say("token-state"),
        frame.say("token-created"),
        frame.say("token-last-use"),
        frame.say("device-acts"),
    ];
    let caption = frame.say("registration-children");
    let mut table = Table::new(caption, heads, frame.say("registration-no-child"));
    let action = format!("{}/{}/act", Section::Registrations.path(), token.id);
    table.rows.extend(drawn.iter().map(|child| {
        let facts = child.device.as_ref().map(|device| &device.facts);
        let host =
            facts.map(|facts| facts.hostname.clone().unwrap_or_else(|| facts.subject.clone()));
        let host = host.unwrap_or_else(|| child.id.to_string());
        let user = facts.and_then(|facts| facts.system_user.clone());
        let moment = |at| Moment::of(person.visit.language, at, now);
        let form = Form::acts("", action.clone()).with(Field::hidden("child", child.id));
        let button = |form: Form, words, act, danger: bool| {
            let button = if danger { Button::danger(words) } else { Button::quiet(words) };
            form.ending(button.sends("act", act).about(&host))
        };
        let act = match (writes && child.revocation.is_none(), child.pending) {
            (false, _) => Cell::default(),
            (true, true) => {
                let form = button(form, frame.say("device-approve"), "approve", false);
                Cell::act(button(form, frame.say("device-deny"), "deny", true))
            }
            (true, false) => {
                Cell::act(button(form, frame.say("device-delete"), "revoke-child", true))
            }
        };
        vec![
            Cell::link(&host, format!("/tokens/{}", child.id)),
            Cell::maybe(user),
            state_of(frame, child, now),
            Cell::when(moment(child.created_at)),
            Cell::when_or(child.usage.last_at.map(moment), frame.say("token-never-used")),
            act,
        ]
    }));
    table
}

/// Switches a registration token, ends it, or decides about what was drawn from it.
pub(super) async fn act(Named(id): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    match acted(&person, &id, &fields).await {
        Ok(()) => see_other(&format!("{}/{}", Section::Registrations.path(), super::escaped(&id))),
        Err(refusal) => person.failed(refusal),
    }
}

async fn acted(person: &Person, id: &str, fields: &Fields) -> Result<(), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let (token, realm) = (registration(person, id).await?, &caller.realm);
    let reason = fields.line("reason")?;
    let child = async || -> Result<TokenId, Refusal> {
        let child = authority.token(caller, realm, id_of(fields.get("child"))?).await?;
        // A form of one registration token speaks of what was drawn from it.
        let own = child.sentinel.registration_token == Some(token.id);
        if own { Ok(child.id) } else { Err(Refusal::NotFound(Thing::Token)) }
    };
    let act = match fields.get("act") {
        "enable" => Act::Enable,
        "disable" => Act::Disable,
        "lock" => Act::Lock,
        "unlock" => Act::Unlock,
        "revoke" => Act::Revoke { reason },
        "revoke-all" => Act::RevokeWithChildren { reason },
        "return" => {
            let number = fields.get("number").trim().parse();
            let number = number.map_err(|_| Refusal::invalid("number", "is a number"))?;
            authority.return_count(caller, realm, token.id, number).await?;
            return Ok(());
        }
        "approve" => return authority.approve(caller, realm, child().await?).await.map(drop),
        "deny" => return authority.deny(caller, realm, child().await?).await.map(drop),
        "revoke-child" => {
            let act = Act::Revoke { reason };
            return authority.change(caller, realm, child().await?, act, None).await.map(drop);
        }
        _ => return Err(Refusal::invalid("act", "is none of those on offer")),
    };
    authority.change(caller, realm, token.id, act, None).await.map(drop)
}
