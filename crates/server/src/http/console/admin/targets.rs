//! `/admin/targets`: where people and tokens are brought to, what is on its way there, and what
//! failed.

use std::sync::Arc;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::authority::Reconciled;
use counterfoil_authority::names::TargetName;
use counterfoil_authority::provision::{
    Courier, DELIVERY_STATES, Delivery, DeliveryState, Finding, Severity, Target,
};
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::store::{Backlog, DeliveryFilter, PageRequest};
use serde::Deserialize;

use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::{ROWS, Section, address, escaped, target_new};
use crate::http::console::page::Frame;
use crate::http::console::posted::PostedLately;
use crate::http::console::times::Moment;
use crate::http::console::visit::{Person, see_other};
use crate::http::query::Named;

/// People that one press of a button compares with a target.
const COMPARED: u32 = 500;

fn backlog_of(backlog: &[Backlog], target: &Target, state: DeliveryState) -> u64 {
    let of = backlog.iter().filter(|one| one.target == target.name && one.state == state);
    of.map(|one| one.count).sum()
}

/// The targets.
pub(super) async fn list(person: Person) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let found = async {
        let targets = authority.targets(caller, &caller.realm).await?;
        Ok::<_, Refusal>((targets, authority.backlog(caller, &caller.realm).await?))
    };
    match found.await {
        Ok((targets, backlog)) => {
            let frame = person.admin_frame(Section::Targets, &[]);
            let heads = vec![
                frame.say("field-name"),
                frame.say("token-kind"),
                frame.say("target-mode"),
                frame.say("delivery-waiting"),
                frame.say("delivery-retrying"),
                frame.say("delivery-dead"),
            ];
            let mut table =
                Table::new(frame.say("admin-targets"), heads, frame.say("targets-none"));
            let new = || Link::button(target_new::HERE.to_owned(), frame.say("target-new"));
            table.empty_link = Some(new());
            table.rows.extend(targets.iter().map(|target| {
                let name = target.name.to_string();
                let number = |state| Cell::text(backlog_of(&backlog, target, state));
                vec![
                    Cell::link(&name, format!("/admin/targets/{}", escaped(&name))),
                    Cell::text(target.kind.name()),
                    Cell::text(target.mode.name()),
                    number(DeliveryState::Waiting),
                    number(DeliveryState::Retrying),
                    number(DeliveryState::Dead),
                ]
            }));
            let links = if table.rows.is_empty() { Vec::new() } else { vec![new()] };
            let parts = vec![Part::Links(links), Part::Table(table)];
            parts::show(&frame, frame.say("admin-targets"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Which deliveries the page of a target shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: Option<String>,
    state: String,
}

fn name_of(text: &str) -> Result<TargetName, Refusal> {
    TargetName::parse(text).map_err(|_| Refusal::NotFound(Thing::Target))
}

/// One target.
pub(super) async fn page(
    person: Person,
    Named(name): Named,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match gather(&person, &name, asked).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Targets, &[&name]);
            parts::show(&frame, name, parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person, name: &str, asked: Asked) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let target = authority.target(caller, &caller.realm, &name_of(name)?).await?;
    let frame = person.frame();
    let state = DeliveryState::from_name(&asked.state);
    let filter = DeliveryFilter { target: Some(target.name.clone()), state };
    let page = PageRequest { limit: ROWS, after: asked.after };
    let found = authority.deliveries(caller, &caller.realm, filter, page).await?;
    let here = format!("/admin/targets/{}", escaped(name));
    let mut states = vec![(String::new(), frame.say("filter-any"), state.is_none())];
    states.extend(DELIVERY_STATES.map(|one| {
        let name = one.name();
        (name.to_owned(), frame.say(&format!("delivery-{name}")), Some(one) == state)
    }));
    let filters = Form::filters("filter", &here)
        .with(Field::choice("state", frame.say("token-state"), states))
        .ending(Button::quiet(frame.say("filter-do")));
    let mut table = deliveries(person, &frame, &found.items);
    table.next =
        found.next.map(|after| address(&here, &[("after", &after), ("state", &asked.state)]));
    table.next_words = frame.say("older");
    let quiet = |words, act| Button::quiet(words).sends("act", act);
    let mut acts = Form::acts("", format!("{here}/act"))
        .ending(quiet(frame.say("target-test"), "test"))
        .ending(quiet(frame.say("target-retry"), "retry"));
    if !target.kind.takes_messages() {
        acts = acts
            .ending(quiet(frame.say("target-compare"), "compare"))
            .ending(Button::plain(frame.say("target-repair")).sends("act", "repair"));
    }
    Ok(vec![
        Part::Facts(vec![
            (frame.say("token-kind"), Cell::text(target.kind.name())),
            (frame.say("target-mode"), Cell::text(target.mode.name())),
            (frame.say("target-order"), Cell::text(target.order)),
        ]),
        Part::Form(acts),
        Part::Form(filters),
        Part::Table(table),
        Part::Form(
            Form::acts("delete", format!("{here}/act"))
                .folded(frame.say("target-delete"))
                .ending(Button::danger(frame.say("target-delete-do")).sends("act", "delete")),
        ),
    ])
}

fn deliveries(person: &Person, frame: &Frame, found: &[Delivery]) -> Table {
    let now = person.visit.state.authority.now();
    let heads = vec![
        frame.say("delivery-object"),
        frame.say("token-state"),
        frame.say("delivery-since"),
        frame.say("delivery-attempts"),
        frame.say("delivery-error"),
    ];
    let caption = frame.say("deliveries-title");
    let mut table = Table::new(caption, heads, frame.say("deliveries-none"));
    table.rows.extend(found.iter().map(|one| {
        let class = match one.state {
            DeliveryState::Done => "good",
            DeliveryState::Waiting | DeliveryState::Held => "waits",
            DeliveryState::Retrying => "held",
            DeliveryState::Dead => "over",
        };
        let words = frame.say(&format!("delivery-{}", one.state.name()));
        vec![
            Cell::text(one.key.object.name()),
            Cell::state(words, class),
            Cell::when(Moment::of(person.visit.language, one.since, now)),
            Cell::text(one.attempts),
            Cell::maybe(one.error.as_ref()),
        ]
    }));
    table
}

/// Tests a target, tries again what failed, or compares it with what is here.
pub(super) async fn act(Named(name): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    let state = &person.visit.state;
    let (authority, caller) = (&state.authority, person.caller());
    let courier: &Arc<dyn Courier> = &state.courier;
    let done = async {
        let (realm, of) = (&caller.realm, name_of(&name)?);
        let target = authority.target(caller, realm, &of).await?;
        let frame = person.admin_frame(Section::Targets, &[&name]);
        let page = PageRequest::first(COMPARED);
        let mut parts = match fields.get("act") {
            "delete" => {
                authority.delete_target(caller, realm, &of).await?;
                return Ok(see_other(Section::Targets.path()));
            }
            "retry" => {
                authority.retry_deliveries(caller, realm, &of).await?;
                return Ok(see_other(&format!("/admin/targets/{}", escaped(&name))));
            }
            "test" => {
                let found = authority.test_target(caller, courier, &target).await?;
                vec![Part::Table(findings(&frame, found))]
            }
            act @ ("compare" | "repair") => {
                let repair = act == "repair";
                let part = authority.reconcile(caller, courier, realm, &of, repair, page).await?;
                compared(&frame, part)
            }
            _ => return Err(Refusal::invalid("act", "is none of those on offer")),
        };
        let back = format!("/admin/targets/{}", escaped(&name));
        parts.push(Part::Links(vec![Link::button(back, frame.say("target-back"))]));
        Ok(parts::show(&frame, name.clone(), parts))
    };
    done.await.unwrap_or_else(|refusal: Refusal| person.failed(refusal))
}

fn findings(frame: &Frame, found: Vec<Finding>) -> Table {
    let heads = vec![
        frame.say("finding-check"),
        frame.say("token-state"),
        frame.say("finding-what"),
        frame.say("finding-remedy"),
    ];
    let mut table = Table::new(frame.say("target-tested"), heads, frame.say("target-no-finding"));
    table.rows.extend(found.into_iter().map(|one| {
        let class = if one.severity == Severity::Fine { "good" } else { "held" };
        vec![
            Cell::text(one.check),
            Cell::state(one.severity.name().to_owned(), class),
            Cell::text(one.what),
            Cell::maybe(one.remedy),
        ]
    }));
    table
}

fn compared(frame: &Frame, part: Reconciled) -> Vec<Part> {
    let sums = format!("{} / {}", part.differences.len(), part.checked);
    let mut parts = vec![Part::Text(frame.about("target-compared", sums))];
    if part.repairing > 0 {
        parts.push(Part::Good(frame.about("target-repairing", part.repairing)));
    }
    if part.next.is_some() {
        parts.push(Part::Alert(frame.about("target-compared-part", part.checked)));
    }
    let heads =
        vec![frame.say("delivery-object"), frame.say("target-place"), frame.say("target-changes")];
    let caption = frame.say("target-differences");
    let mut table = Table::new(caption, heads, frame.say("target-no-difference"));
    table.rows.extend(part.differences.into_iter().map(|one| {
        vec![Cell::text(one.object), Cell::maybe(one.place), Cell::text(one.changes.join(", "))]
    }));
    parts.push(Part::Table(table));
    parts
}
