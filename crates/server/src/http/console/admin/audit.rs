//! `/admin/audit`: what happened, filtered, and as a file for other programs.

pub(super) mod proof;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::event::{EVENT_KINDS, Event, Outcome};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{EventFilter, PageRequest};
use serde::Deserialize;

use super::batch::{download, harmless};
use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::{ROWS, Section, address, given};
use crate::http::console::page::Frame;
use crate::http::console::times::Moment;
use crate::http::console::visit::Person;
use crate::http::events::EventBody;
use crate::http::wire::time;

/// Events in one file at most; a further one begins where it ends.
const EXPORT_MAX: usize = 10_000;
/// Events that are read at a time for it.
const EXPORT_PAGE: u32 = 1_000;

/// What is looked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    kind: String,
    outcome: String,
    actor: String,
    subject: String,
    service: String,
    token: String,
    from: String,
    to: String,
    after: Option<String>,
    /// Of an export: `csv` or `jsonl`.
    form: String,
}

impl Asked {
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("kind", &self.kind),
            ("outcome", &self.outcome),
            ("actor", &self.actor),
            ("subject", &self.subject),
            ("service", &self.service),
            ("token", &self.token),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }

    async fn filter(&self, person: &Person) -> Result<EventFilter, Refusal> {
        let (authority, caller) = (&person.visit.state.authority, person.caller());
        let zone = authority.realm_facts(&caller.realm).await?.realm.zone.clone();
        let instant =
            |field: &'static str, text: &str, edge| -> Result<Option<Timestamp>, Refusal> {
                let Some(text) = given(text) else { return Ok(None) };
                let at = Timestamp::parse(&text, &zone, edge);
                at.map(Some).map_err(|why| Refusal::invalid(field, why))
            };
        let kind = given(&self.kind);
        if kind.as_ref().is_some_and(|kind| !EVENT_KINDS.contains(&kind.as_str())) {
            return Err(Refusal::invalid("kind", "is none of those there are"));
        }
        let outcome = given(&self.outcome).map(|name| {
            let unknown = || Refusal::invalid("outcome", "is done or refused");
            Outcome::from_name(&name).ok_or_else(unknown)
        });
        let token = given(&self.token).map(|id| {
            TokenId::parse(&id).ok_or_else(|| Refusal::invalid("token", "is no token id"))
        });
        Ok(EventFilter {
            token: token.transpose()?,
            outcome: outcome.transpose()?,
            kind,
            actor: given(&self.actor),
            subject: given(&self.subject),
            service: given(&self.service),
            from: instant("from", &self.from, DayEdge::Start)?,
            to: instant("to", &self.to, DayEdge::End)?,
            look_at_most: None,
        })
    }
}

/// The list.
pub(super) async fn page(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match gather(&person, &asked).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Audit, &[]);
            parts::show(&frame, frame.say("admin-audit"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person, asked: &Asked) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    caller.require_whole(&caller.realm, ApiScope::AuditRead)?;
    let filter = asked.filter(person).await?;
    let page = PageRequest { limit: ROWS, after: asked.after.clone() };
    let found = authority.events(caller, &caller.realm, filter, page).await?;
    let frame = person.frame();
    let mut table = table(person, &frame, found.items);
    if found.next.is_some() && table.rows.is_empty() {
        table.empty = frame.say("audit-look-on");
    }
    table.next = found.next.map(|after| {
        let mut pairs = asked.pairs();
        pairs.push(("after", &after));
        address(Section::Audit.path(), &pairs)
    });
    table.next_words = frame.say("audit-older");
    let export = |form: &str, words: String| {
        let mut pairs = asked.pairs();
        pairs.push(("form", form));
        Link::to(address("/admin/audit/export", &pairs), words)
    };
    let exports =
        vec![export("csv", frame.say("audit-csv")), export("jsonl", frame.say("audit-jsonl"))];
    let mut parts =
        vec![Part::Form(filters(&frame, asked)), Part::Table(table), Part::Links(exports)];
    parts.extend(proof::standing(person, &frame).await?);
    Ok(parts)
}

fn filters(frame: &Frame, asked: &Asked) -> Form {
    let mut kinds = vec![(String::new(), frame.say("filter-any"), asked.kind.is_empty())];
    kinds.extend(
        EVENT_KINDS
            .iter()
            .map(|kind| ((*kind).to_owned(), (*kind).to_owned(), asked.kind == *kind)),
    );
    let mut outcomes = vec![(String::new(), frame.say("filter-any"), asked.outcome.is_empty())];
    outcomes.extend([Outcome::Done, Outcome::Refused].map(|one| {
        let name = one.name();
        (name.to_owned(), frame.say(&format!("outcome-{name}")), asked.outcome == name)
    }));
    let named = |name, words, value: &str| Field::text(name, words, value);
    Form::filters("filter", Section::Audit.path())
        .with(Field::choice("kind", frame.say("audit-kind"), kinds))
        .with(Field::choice("outcome", frame.say("audit-outcome"), outcomes))
        .with(named("actor", frame.say("audit-actor"), &asked.actor))
        .with(named("subject", frame.say("audit-subject"), &asked.subject))
        .with(named("service", frame.say("filter-service"), &asked.service))
        .with(named("token", frame.say("token-id"), &asked.token))
        .with(named("from", frame.say("audit-from"), &asked.from))
        .with(named("to", frame.say("audit-to"), &asked.to))
        .ending(Button::quiet(frame.say("filter-do")))
}

fn table(person: &Person, frame: &Frame, events: Vec<Event>) -> Table {
    let now = person.visit.state.authority.now();
    let heads = vec![
        frame.say("audit-when"),
        frame.say("audit-kind"),
        frame.say("audit-actor"),
        frame.say("audit-subject"),
        frame.say("audit-source"),
        frame.say("audit-reason"),
        frame.say("audit-proof"),
    ];
    let mut table = Table::new(frame.say("admin-audit"), heads, frame.say("audit-none"));
    let all = Section::Audit.path().to_owned();
    table.empty_link = Some(Link::to(all, frame.say("audit-all")));
    table.rows.extend(events.into_iter().map(|event| {
        let kind = if event.outcome == Outcome::Refused {
            let times = if event.count > 1 { format!(" ×{}", event.count) } else { String::new() };
            Cell::state(format!("{}{times}", event.kind), "over wraps")
        } else {
            Cell::code(&event.kind)
        };
        let about = event.subject.clone().or_else(|| event.service.clone());
        let about = match (about, event.token) {
            (Some(text), Some(id)) => Cell::link(text, format!("/tokens/{id}")),
            (None, Some(id)) => Cell::link(id, format!("/tokens/{id}")),
            (text, None) => Cell::maybe(text),
        };
        vec![
            Cell::when(Moment::of(person.visit.language, event.at, now)),
            kind,
            Cell::text(event.origin.actor),
            about,
            Cell::maybe(event.origin.source),
            Cell::maybe(event.reason),
            Cell::link(frame.say("audit-proof"), proof::path_of(&event.id)),
        ]
    }));
    table
}

/// The same events as a file: a sheet, or JSON, one event a line.
pub(super) async fn export(
    person: Person,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match all_of(&person, &asked).await {
        Ok(events) if asked.form == "jsonl" => {
            let mut body = Vec::new();
            for event in events {
                // Texts and numbers cannot fail to be written.
                body.extend(serde_json::to_vec(&EventBody::from(event)).unwrap_or_default());
                body.push(b'\n');
            }
            let name = "attachment; filename=\"events.jsonl\"";
            download(name, "application/jsonl; charset=utf-8", body)
        }
        Ok(events) => {
            let name = "attachment; filename=\"events.csv\"";
            download(name, "text/csv; charset=utf-8", sheet(&events))
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn all_of(person: &Person, asked: &Asked) -> Result<Vec<Event>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    caller.require_whole(&caller.realm, ApiScope::AuditRead)?;
    let filter = asked.filter(person).await?;
    let mut page = PageRequest { limit: EXPORT_PAGE, after: asked.after.clone() };
    let mut events = Vec::new();
    loop {
        let found = authority.events(caller, &caller.realm, filter.clone(), page.clone()).await?;
        events.extend(found.items);
        page.after = found.next;
        if page.after.is_none() || events.len() >= EXPORT_MAX {
            return Ok(events);
        }
    }
}

fn sheet(events: &[Event]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = [
        "at", "kind", "outcome", "actor", "door", "source", "token", "subject", "service",
        "reason", "count", "id",
    ];
    let mut written = writer.write_record(head);
    for event in events {
        let row = [
            time(event.at),
            event.kind.to_string(),
            event.outcome.name().to_owned(),
            event.origin.actor.to_string(),
            event.origin.door.name().to_owned(),
            event.origin.source.map(|source| source.to_string()).unwrap_or_default(),
            event.token.map(|id| id.to_string()).unwrap_or_default(),
            event.subject.clone().unwrap_or_default(),
            event.service.clone().unwrap_or_default(),
            event.reason.clone().unwrap_or_default(),
            event.count.to_string(),
            event.id.clone(),
        ];
        let row = row.map(|cell| harmless(&cell));
        written = written.and_then(|()| writer.write_record(row));
    }
    if let Err(error) = written {
        tracing::error!(%error, "a sheet could not be written");
    }
    writer.into_inner().unwrap_or_default()
}
