//! `/admin`: how many tokens there are and how they are, what runs out, and how busy the doors are.

use axum::response::Response;
use counterfoil_authority::authority::{Overview, REFUSAL_HOURS};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::KINDS;
use counterfoil_authority::provision::DeliveryState;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::store::{Backlog, RefusalTally};
use counterfoil_authority::token::{STATES, State};

use super::charts::{Chart, Wanted, bars, columns};
use super::parts::{self, Cell, Figure, Link, Part, Table};
use super::{Section, address, escaped, is_whole, reaches_others};
use crate::http::console::home::class_of;
use crate::http::console::page::{Frame, administers};
use crate::http::console::times::Moment;
use crate::http::console::visit::Person;

/// Kinds of refusal that the chart names; the others are one.
const REASONS_SHOWN: usize = 8;
/// Registration tokens that the page names.
const SCARCE_SHOWN: usize = 8;

/// The page.
pub(super) async fn page(person: Person) -> Response {
    match gather(&person).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Overview, &[]);
            parts::show(&frame, frame.say("admin-overview"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person) -> Result<Vec<Part>, Refusal> {
    let (state, caller) = (&person.visit.state, person.caller());
    if !administers(caller) {
        return Err(Refusal::Forbidden(ApiScope::TokensRead));
    }
    let (authority, realm) = (&state.authority, &caller.realm);
    let frame = person.frame();
    let mut parts = Vec::new();
    if let Some(overview) = authority.overview(caller, realm).await? {
        of_tokens(person, &frame, &overview, &mut parts);
    } else {
        parts.push(Part::Text(frame.say("overview-services")));
        let mut links = vec![Link::button("/admin/tokens".to_owned(), frame.say("admin-tokens"))];
        if reaches_others(caller, ApiScope::ServicesWrite) {
            links.push(Link::button("/admin/services".to_owned(), frame.say("admin-services")));
        }
        parts.push(Part::Links(links));
    }
    if caller.require_whole(&state.main_realm, ApiScope::AuditRead).is_ok() {
        parts.push(Part::Chart(verifications(person, &frame)));
    }
    if is_whole(caller, ApiScope::TargetsWrite) {
        let (targets, backlog) =
            (authority.targets(caller, realm).await?, authority.backlog(caller, realm).await?);
        let names = targets.iter().map(|target| target.name.to_string()).collect();
        parts.push(Part::Chart(provisioning(&frame, names, &backlog)));
    }
    Ok(parts)
}

fn of_tokens(person: &Person, frame: &Frame, overview: &Overview, parts: &mut Vec<Part>) {
    let language = person.visit.language;
    let Some(counted_at) = overview.counted_at else {
        parts.push(Part::Alert(frame.say("overview-counting")));
        return;
    };
    let now = person.visit.state.authority.now();
    let in_state = |wanted: State| -> u64 {
        overview.tokens.iter().filter(|(_, state, _)| *state == wanted).map(|(.., n)| n).sum()
    };
    let figure = |number: u64, words: String, fields: &[(&str, &str)]| Figure {
        number: number.to_string(),
        words,
        href: Some(address("/admin/tokens", fields)),
    };
    parts.push(Part::Figures(vec![
        figure(in_state(State::Active), frame.say("overview-active"), &[("state", "active")]),
        figure(overview.ending, frame.say("overview-ending"), &[("ending", "14")]),
        figure(overview.unused, frame.say("overview-unused"), &[("unused", "90")]),
        figure(in_state(State::Pending), frame.say("overview-pending"), &[("state", "pending")]),
        figure(in_state(State::Locked), frame.say("overview-locked"), &[("state", "locked")]),
    ]));
    parts.push(Part::Chart(by_kind(frame, overview)));
    parts.push(Part::Table(scarce(frame, overview)));
    if let Some(refusals) = &overview.refusals {
        parts.push(Part::Chart(refusals_by_hour(frame, refusals, now)));
        parts.push(Part::Chart(refusals_by_reason(frame, refusals)));
    }
    let when = Moment::of(language, counted_at, now);
    parts.push(Part::Text(frame.about("overview-counted", when.words)));
}

fn by_kind(frame: &Frame, overview: &Overview) -> Chart {
    let mut wanted: Vec<Wanted> = Vec::new();
    let groups = [
        ("good", frame.say("chart-active")),
        ("waits", frame.say("chart-waiting")),
        ("held", frame.say("chart-held")),
        ("over", frame.say("chart-over")),
    ];
    for kind in KINDS {
        let of_kind = || overview.tokens.iter().filter(move |(own, ..)| *own == kind);
        if of_kind().next().is_none() {
            continue;
        }
        let parts = groups.iter().map(|(class, words)| {
            let states = STATES.into_iter().filter(|state| class_of(*state) == *class);
            let number = states
                .map(|state| {
                    of_kind().filter(|(_, own, _)| *own == state).map(|t| t.2).sum::<u64>()
                })
                .sum();
            (*class, number, words.clone())
        });
        let label = frame.say(&format!("kind-{}", kind.name()));
        let href = address("/admin/tokens", &[("kind", kind.name())]);
        wanted.push((label, Some(href), parts.collect()));
    }
    let empty = if wanted.is_empty() { frame.say("overview-no-token") } else { String::new() };
    let title = frame.say("chart-kinds");
    Chart { title, shape: bars(wanted), legend: groups.to_vec(), empty }
}

fn scarce(frame: &Frame, overview: &Overview) -> Table {
    let heads = vec![frame.say("field-name"), frame.say("registration-used")];
    let caption = frame.say("overview-scarce");
    let mut table = Table::new(caption, heads, frame.say("overview-scarce-none"));
    for one in overview.scarce.iter().take(SCARCE_SHOWN) {
        let name = one.name.clone().unwrap_or_else(|| one.id.to_string());
        let share = one.taken.saturating_mul(100) / one.most.max(1);
        table.rows.push(vec![
            Cell::link(name, format!("/admin/registration-tokens/{}", one.id)),
            Cell {
                bar: Some(share.min(100)),
                ..Cell::text(format!("{} / {}", one.taken, one.most))
            },
        ]);
    }
    table
}

fn refusals_by_hour(frame: &Frame, refusals: &[RefusalTally], now: Timestamp) -> Chart {
    let this = now.micros() / 3_600_000_000;
    let spans = (this - REFUSAL_HOURS + 1..=this).map(|hour| {
        let number = refusals.iter().filter(|one| one.hour == hour).map(|one| one.count).sum();
        (format!("{:02}:00", hour.rem_euclid(24)), vec![("over", number)])
    });
    let heads = vec![frame.say("chart-hour"), frame.say("chart-refusals")];
    let shape = columns(spans.collect(), heads, frame, |number| number.to_string());
    let empty = if refusals.is_empty() { frame.say("chart-no-refusal") } else { String::new() };
    Chart { title: frame.say("chart-refusals-day"), shape, legend: Vec::new(), empty }
}

fn refusals_by_reason(frame: &Frame, refusals: &[RefusalTally]) -> Chart {
    let mut reasons: Vec<(String, String, u64)> = Vec::new();
    for one in refusals {
        let reason = one.reason.clone().unwrap_or_else(|| "–".to_owned());
        match reasons.iter_mut().find(|(kind, own, _)| (kind, own) == (&one.kind, &reason)) {
            Some((.., count)) => *count += one.count,
            None => reasons.push((one.kind.clone(), reason, one.count)),
        }
    }
    reasons.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
    let others: u64 = reasons.iter().skip(REASONS_SHOWN).map(|(.., count)| count).sum();
    reasons.truncate(REASONS_SHOWN);
    let word = frame.say("chart-refusals");
    let mut wanted: Vec<Wanted> = Vec::new();
    for (kind, reason, count) in reasons {
        let href = address("/admin/audit", &[("outcome", "refused"), ("kind", &kind)]);
        let parts = vec![("over", count, word.clone())];
        wanted.push((format!("{kind}: {reason}"), Some(href), parts));
    }
    if others > 0 {
        wanted.push((frame.say("chart-others"), None, vec![("over", others, word)]));
    }
    let empty = if wanted.is_empty() { frame.say("chart-no-refusal") } else { String::new() };
    Chart { title: frame.say("chart-reasons"), shape: bars(wanted), legend: Vec::new(), empty }
}

/// A number of tenths as a decimal fraction.
fn decimal(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn verifications(person: &Person, frame: &Frame) -> Chart {
    let state = &person.visit.state;
    let now = state.authority.now();
    let (rates, total) = state.metrics.verify_rates(now);
    let spans = rates.iter().map(|rate| {
        let label = Moment::of(person.visit.language, rate.at, now).words;
        (label, vec![("good", rate.accepted), ("over", rate.refused)])
    });
    let (yes, no) = (frame.say("chart-accepted"), frame.say("chart-refused"));
    let heads = vec![frame.say("chart-minute"), yes.clone(), no.clone()];
    let shape = columns(spans.collect(), heads, frame, |tenths| {
        frame.about("chart-per-second", decimal(tenths))
    });
    let sums = format!("{} {yes}, {} {no}", total.accepted, total.refused);
    let title = frame.about("chart-verifications", sums);
    let empty = if rates.is_empty() { frame.say("chart-too-early") } else { String::new() };
    Chart { title, shape, legend: vec![("good", yes), ("over", no)], empty }
}

fn provisioning(frame: &Frame, targets: Vec<String>, backlog: &[Backlog]) -> Chart {
    let groups = [
        ("waits", DeliveryState::Waiting, frame.say("delivery-waiting")),
        ("held", DeliveryState::Retrying, frame.say("delivery-retrying")),
        ("over", DeliveryState::Dead, frame.say("delivery-dead")),
        ("rest2", DeliveryState::Held, frame.say("delivery-held")),
    ];
    let none = targets.is_empty();
    let mut wanted: Vec<Wanted> = Vec::new();
    for name in targets {
        let parts: Vec<(&'static str, u64, String)> = groups
            .iter()
            .map(|(class, state, words)| {
                let of = backlog.iter().filter(|one| one.target.as_str() == name);
                let number = of.filter(|one| one.state == *state).map(|one| one.count).sum();
                (*class, number, words.clone())
            })
            .collect();
        let idle = parts.iter().all(|(_, number, _)| *number == 0);
        let label = if idle { frame.about("target-in-step", &name) } else { name.clone() };
        wanted.push((label, Some(format!("/admin/targets/{}", escaped(&name))), parts));
    }
    let empty = if none { frame.say("targets-none") } else { String::new() };
    let legend = groups.into_iter().map(|(class, _, words)| (class, words)).collect();
    Chart { title: frame.say("chart-provisioning"), shape: bars(wanted), legend, empty }
}
