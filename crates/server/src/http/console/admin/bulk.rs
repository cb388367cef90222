//! Acts on many tokens: what would be changed, the job that changes it, and how far it is.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::authority::{JobAct, JobPlan, JobSelection, JobWish};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Job, JobState, PageRequest};
use serde::Deserialize;

use super::lists::{Wanted, heads, row};
use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::{ROWS, Section, address, reaches_others};
use crate::http::console::page::Frame;
use crate::http::console::posted::{Fields, Posted, PostedLately};
use crate::http::console::times::Moment;
use crate::http::console::visit::{Person, see_other};
use crate::http::query::Named;

/// The form that the boxes of a list belong to.
pub(super) const FORM: &str = "bulk";
/// Tokens that a preview shows.
const SHOWN: usize = 50;

/// The acts on offer.
const ACTS: [&str; 5] = ["disable", "enable", "lock", "unlock", "revoke"];

/// What may be done to the tokens of a list.
pub(super) fn form(frame: &Frame, wanted: &Wanted) -> Form {
    let acts = ACTS
        .iter()
        .enumerate()
        .map(|(place, act)| ((*act).to_owned(), frame.say(&format!("bulk-act-{act}")), place == 0));
    let which = vec![
        ("ticked".to_owned(), frame.say("bulk-ticked"), true),
        ("all".to_owned(), frame.say("bulk-all"), false),
    ];
    let mut form = Form::acts(FORM, "/admin/bulk".to_owned()).titled(frame.say("bulk-title"));
    for (name, value) in wanted.pairs() {
        form = form.with(Field::hidden(name, value));
    }
    form.with(Field::choice("act", frame.say("bulk-act"), acts.collect()))
        .with(
            Field::choice("which", frame.say("bulk-which"), which)
                .hinted(frame.say("bulk-which-hint")),
        )
        .with(Field::text("reason", frame.say("revoke-reason"), ""))
        .ending(Button::quiet(frame.say("bulk-preview")))
}

fn act_of(fields: &Fields) -> Result<JobAct, Refusal> {
    let reason = fields.line("reason")?;
    Ok(match fields.get("act") {
        "enable" => JobAct::Enable,
        "disable" => JobAct::Disable,
        "lock" => JobAct::Lock,
        "unlock" => JobAct::Unlock,
        "revoke" => JobAct::Revoke { reason },
        _ => return Err(Refusal::invalid("act", "is none of those on offer")),
    })
}

fn wish(person: &Person, fields: &Fields) -> Result<JobWish, Refusal> {
    let act = act_of(fields)?;
    let now = person.visit.state.authority.now();
    let selection = match fields.get("which") {
        "ticked" => {
            let ids = fields.all("id").map(|text| {
                TokenId::parse(text).ok_or_else(|| Refusal::invalid("id", "is no id of a token"))
            });
            JobSelection::Ids(ids.collect::<Result<_, _>>()?)
        }
        "all" => JobSelection::Tokens(Box::new(Wanted::of(fields).filter(now)?)),
        _ => return Err(Refusal::invalid("which", "is ticked or all")),
    };
    Ok(JobWish { act, selection, users: Vec::new() })
}

/// Says what would be changed. Nothing is.
pub(super) async fn preview(Posted { person, fields }: Posted) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let planned = async {
        let wish = wish(&person, &fields)?;
        let plan = authority.job_preview(caller, &caller.realm, &wish).await?;
        Ok::<_, Refusal>((wish.act.name(), plan))
    };
    match planned.await {
        Ok((act, plan)) => {
            let frame = person.admin_frame(Section::Tokens, &[&person.frame().say("bulk-title")]);
            let parts = previewed(&person, &frame, act, &plan, &fields);
            parts::show(&frame, frame.say("bulk-preview-title"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

fn previewed(
    person: &Person,
    frame: &Frame,
    act: &'static str,
    plan: &JobPlan,
    fields: &Fields,
) -> Vec<Part> {
    let total = i64::try_from(plan.tokens.len()).unwrap_or(i64::MAX);
    let language = person.visit.language;
    let what = frame.say(&format!("bulk-act-{act}"));
    let mut parts = vec![Part::Alert(format!("{what}: {}", language.count("bulk-tokens", total)))];
    if plan.refused > 0 {
        parts.push(Part::Text(frame.about("bulk-refused", plan.refused)));
    }
    if plan.more {
        parts.push(Part::Text(frame.say("bulk-more")));
    }
    let (caption, empty) = (frame.say("bulk-shown"), frame.say("bulk-nothing"));
    let mut table = Table::new(caption, heads(frame, false), empty);
    let shown = plan.tokens.iter().take(SHOWN);
    table.rows.extend(shown.map(|(token, _)| row(person, frame, token, None)));
    parts.push(Part::Table(table));
    let back =
        Link::to(address(Section::Tokens.path(), &Wanted::of(fields).pairs()), frame.say("cancel"));
    if total > 0 {
        let mut form = Form::acts("start", "/admin/bulk/start".to_owned());
        for name in ["act", "which", "reason"] {
            form = form.with(Field::hidden(name, fields.get(name)));
        }
        for (name, value) in Wanted::of(fields).pairs() {
            form = form.with(Field::hidden(name, value));
        }
        for id in fields.all("id") {
            form = form.with(Field::hidden("id", id));
        }
        let words = frame.say("bulk-start");
        let button = if act == "revoke" { Button::danger(words) } else { Button::plain(words) };
        parts.push(Part::Form(form.ending(button)));
    }
    parts.push(Part::Links(vec![back]));
    parts
}

/// Starts the job, and goes on to its page.
pub(super) async fn start(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let started = async {
        let wish = wish(&person, &fields)?;
        authority.job_start(caller, &caller.realm, &wish).await
    };
    match started.await {
        Ok((job, _)) => see_other(&format!("/admin/jobs/{}", job.id)),
        Err(refusal) => person.failed(refusal),
    }
}

/// Where a list of jobs begins.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
}

fn act_words(frame: &Frame, job: &Job) -> String {
    let act = serde_json::from_str::<JobAct>(&job.act);
    act.map_or_else(|_| "–".to_owned(), |act| frame.say(&format!("bulk-act-{}", act.name())))
}

fn state_cell(frame: &Frame, job: &Job) -> Cell {
    let class = match job.state {
        JobState::Running => "waits",
        JobState::Done => "good",
        JobState::Cancelled | JobState::Stopped => "over",
    };
    Cell::state(frame.say(&format!("job-{}", job.state.name())), class)
}

fn progress(job: &Job) -> Cell {
    let counts = job.counts;
    let (total, came_to) = (counts.total(), counts.total() - counts.waiting);
    let share = (came_to * 100).checked_div(total).unwrap_or(100);
    // A bar that grows warns of nothing.
    Cell { bar: Some(share.min(79)), ..Cell::text(format!("{came_to} / {total}")) }
}

/// The jobs of the realm.
pub(super) async fn jobs(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let after = asked.map(|Query(asked)| asked.after).unwrap_or_default();
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let page = PageRequest { limit: ROWS, after };
    match authority.jobs(caller, &caller.realm, page).await {
        Ok(found) => {
            let frame = person.admin_frame(Section::Tokens, &[&person.frame().say("jobs-title")]);
            let now = authority.now();
            let heads = vec![
                frame.say("bulk-act"),
                frame.say("token-state"),
                frame.say("job-progress"),
                frame.say("job-actor"),
                frame.say("token-created"),
            ];
            let mut table = Table::new(frame.say("jobs-title"), heads, frame.say("jobs-none"));
            let tokens = Section::Tokens.path().to_owned();
            table.empty_link = Some(Link::to(tokens, frame.say("admin-tokens")));
            table.rows.extend(found.items.iter().map(|job| {
                let when = Moment::of(person.visit.language, job.created_at, now);
                vec![
                    Cell::link(act_words(&frame, job), format!("/admin/jobs/{}", job.id)),
                    state_cell(&frame, job),
                    progress(job),
                    Cell::text(&job.actor),
                    Cell::when(when),
                ]
            }));
            table.next = found.next.map(|after| address("/admin/jobs", &[("after", &after)]));
            table.next_words = frame.say("older");
            parts::show(&frame, frame.say("jobs-title"), vec![Part::Table(table)])
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// How far a job is. While it runs, a button looks again: a page that loads itself anew takes
/// the place away from who reads it.
pub(super) async fn job(person: Person, Named(id): Named) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let found = async {
        let job = authority.job(caller, &caller.realm, &id).await?;
        let failures = authority.job_failures(&job).await?;
        Ok::<_, Refusal>((job, failures))
    };
    let (job, failures) = match found.await {
        Ok(found) => found,
        Err(refusal) => return person.failed(refusal),
    };
    let frame = person.admin_frame(Section::Tokens, &[&person.frame().say("job-title")]);
    let mut parts = vec![Part::Facts(vec![
        (frame.say("bulk-act"), Cell::text(act_words(&frame, &job))),
        (frame.say("token-state"), state_cell(&frame, &job)),
        (frame.say("job-progress"), progress(&job)),
        (frame.say("job-done"), Cell::text(job.counts.done)),
        (frame.say("job-skipped"), Cell::text(job.counts.skipped)),
        (frame.say("job-failed"), Cell::text(job.counts.failed)),
        (frame.say("job-actor"), Cell::text(&job.actor)),
    ])];
    let heads = vec![frame.say("token-id"), frame.say("token-state"), frame.say("job-reason")];
    let mut table = Table::new(frame.say("job-failures"), heads, frame.say("job-no-failure"));
    table.rows.extend(failures.into_iter().map(|item| {
        vec![
            Cell::link(item.token, format!("/tokens/{}", item.token)),
            Cell::text(frame.say(&format!("job-{}", item.state.name()))),
            Cell::maybe(item.reason),
        ]
    }));
    let runs = job.state == JobState::Running;
    if runs {
        let here = format!("/admin/jobs/{}", job.id);
        parts.push(Part::Links(vec![Link::button(here, frame.say("job-again"))]));
    }
    if runs && reaches_others(caller, ApiScope::TokensWrite) {
        let form = Form::acts("", format!("/admin/jobs/{}/cancel", job.id));
        parts.push(Part::Form(form.ending(Button::danger(frame.say("job-cancel")))));
    }
    parts.push(Part::Table(table));
    let tokens = Section::Tokens.path().to_owned();
    parts.push(Part::Links(vec![Link::to(tokens, frame.say("admin-tokens"))]));
    parts::show(&frame, frame.say("job-title"), parts)
}

/// Stops a job.
pub(super) async fn cancel(Named(id): Named, form: Posted) -> Response {
    let person = form.person;
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    match authority.job_cancel(caller, &caller.realm, &id).await {
        Ok(job) => see_other(&format!("/admin/jobs/{}", job.id)),
        Err(refusal) => person.failed(refusal),
    }
}
