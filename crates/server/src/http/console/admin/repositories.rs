//! `/admin/repositories`: the repositories of generic tokens, ours and those of others.

use axum::response::Response;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;

use super::Section;
use super::parts::{self, Cell, Part, Table};
use crate::http::console::times::Moment;
use crate::http::console::visit::Person;

/// The page.
pub(super) async fn list(person: Person) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let found = async {
        caller.require_whole(&caller.realm, ApiScope::TokensRead)?;
        authority.repository_standings(caller, &caller.realm).await
    };
    let standings = match found.await {
        Ok(standings) => standings,
        Err(refusal) => {
            let refusal: Refusal = refusal;
            return person.failed(refusal);
        }
    };
    let frame = person.admin_frame(Section::Repositories, &[]);
    let now = authority.now();
    let heads = vec![
        frame.say("field-name"),
        frame.say("token-kind"),
        frame.say("token-services"),
        frame.say("repository-health"),
        frame.say("repository-answered"),
    ];
    let mut table =
        Table::new(frame.say("admin-repositories"), heads, frame.say("repositories-none"));
    table.rows.extend(standings.into_iter().map(|standing| {
        let repository = &standing.repository;
        let services: Vec<&str> = repository
            .services
            .iter()
            .map(counterfoil_authority::names::ServiceLabel::as_str)
            .collect();
        let health = standing.health.as_ref();
        let failed = health.is_some_and(|health| health.failed_at > health.answered_at);
        let state = match (health, failed) {
            (None, _) => Cell::state(frame.say("repository-ours"), "good"),
            (Some(health), true) => {
                let why = health.failure.clone();
                Cell::state(why.unwrap_or_else(|| frame.say("repository-failed")), "over wraps")
            }
            (Some(_), false) => Cell::state(frame.say("repository-answers"), "good"),
        };
        let answered = health.and_then(|health| health.answered_at);
        let answered = answered.map(|at| Moment::of(person.visit.language, at, now));
        vec![
            Cell::text(&repository.name),
            Cell::text(repository.kind.name()),
            Cell::text(services.join(", ")),
            state,
            Cell::when_or(answered, "–".to_owned()),
        ]
    }));
    parts::show(&frame, frame.say("admin-repositories"), vec![Part::Table(table)])
}
