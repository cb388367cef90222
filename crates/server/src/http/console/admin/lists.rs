//! `/admin/tokens`: tokens of everybody within reach, filtered, and what may be done to many.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::{KINDS, Kind};
use counterfoil_authority::names::{ServiceLabel, Username};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{STATES, State, Token};
use serde::Deserialize;

use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::{
    LOOK_AT_MOST, ROWS, Section, address, bulk, escaped, given, is_whole, reaches_others,
    require_others, unit_choices,
};
use crate::http::console::home::class_of;
use crate::http::console::page::Frame;
use crate::http::console::posted::Fields;
use crate::http::console::times::Moment;
use crate::http::console::visit::Person;

const DAY: i64 = 86_400;
/// Days ahead or back that a filter may name.
const DAYS_MAX: i64 = 36_600;

/// What a list is filtered by, as its address and the forms of bulk acts say it.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) state: String,
    pub(super) kind: String,
    pub(super) service: String,
    pub(super) unit: String,
    pub(super) user: String,
    pub(super) label: String,
    /// Ends within so many days.
    pub(super) ending: String,
    /// Not used for so many days.
    pub(super) unused: String,
    pub(super) after: Option<String>,
}

impl Wanted {
    /// The filters by their names, without the place.
    pub(super) fn pairs(&self) -> [(&'static str, &str); 8] {
        [
            ("state", &self.state),
            ("kind", &self.kind),
            ("service", &self.service),
            ("unit", &self.unit),
            ("user", &self.user),
            ("label", &self.label),
            ("ending", &self.ending),
            ("unused", &self.unused),
        ]
    }

    /// The same as a form holds it.
    pub(super) fn of(fields: &Fields) -> Self {
        let get = |name| fields.get(name).trim().to_owned();
        Self {
            state: get("state"),
            kind: get("kind"),
            service: get("service"),
            unit: get("unit"),
            user: get("user"),
            label: get("label"),
            ending: get("ending"),
            unused: get("unused"),
            after: None,
        }
    }

    /// What the store is asked.
    pub(super) fn filter(&self, now: Timestamp) -> Result<TokenFilter, Refusal> {
        let none =
            |field: &'static str| move || Refusal::invalid(field, "is none of those there are");
        let days = |field: &'static str, text: &str| -> Result<Option<i64>, Refusal> {
            let Some(text) = given(text) else { return Ok(None) };
            let days = text.parse().ok().filter(|days| (0..=DAYS_MAX).contains(days));
            days.map(Some).ok_or_else(|| Refusal::invalid(field, "is a number of days"))
        };
        let state = given(&self.state);
        let state = state.map(|name| State::from_name(&name).ok_or_else(none("state")));
        let kind = given(&self.kind);
        let kind = kind.map(|name| Kind::from_name(&name).ok_or_else(none("kind")));
        let service = given(&self.service).filter(|label| label != "*");
        let service = service.map(|label| {
            ServiceLabel::parse(&label).map_err(|bad| Refusal::invalid("service", bad))
        });
        let user = given(&self.user);
        let user =
            user.map(|name| Username::parse(&name).map_err(|bad| Refusal::invalid("user", bad)));
        let label = given(&self.label).map(|label| match label.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(Refusal::invalid("label", "is written name=value")),
        });
        let ending = days("ending", &self.ending)?;
        let unused = days("unused", &self.unused)?;
        let state = state.transpose()?;
        Ok(TokenFilter {
            owner: user.transpose()?.map(Owner::User),
            service: service.transpose()?,
            for_everything: self.service.trim() == "*",
            kind: kind.transpose()?,
            // Whoever asks what ends soon, or rests, asks about what still works.
            state: state.or_else(|| (ending.or(unused).is_some()).then_some(State::Active)),
            labels: label.transpose()?.into_iter().collect(),
            unit: given(&self.unit),
            expires_before: ending.map(|days| now.plus_seconds(days * DAY)),
            unused_since: unused.map(|days| now.plus_seconds(-days * DAY)),
            ..TokenFilter::default()
        })
    }
}

/// Says to the store what part of a reach is meant, where the address names none: the first unit,
/// or the only service.
pub(super) fn within_unit(caller: &Caller, filter: &mut TokenFilter) -> Result<(), Refusal> {
    let reach = caller.reach(&caller.realm, ApiScope::TokensRead)?;
    if reach.whole || filter.unit.is_some() || filter.owner.is_some() {
        return Ok(());
    }
    match (reach.units.as_slice(), reach.services.as_slice()) {
        ([_] | [], []) => {}
        ([first, ..], _) => filter.unit = Some(first.clone()),
        ([], [only]) if filter.service.is_none() => filter.service = Some(only.clone()),
        ([], _) => {}
    }
    Ok(())
}

/// Tokens within reach that match, in each of the units that somebody administers.
pub(super) async fn within_reach(
    person: &Person,
    filter: TokenFilter,
    limit: u32,
) -> Result<Vec<Token>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let reach = caller.reach(&caller.realm, ApiScope::TokensRead)?;
    let page = PageRequest::first(limit);
    if reach.whole || reach.units.len() < 2 {
        let mut filter = filter;
        within_unit(caller, &mut filter)?;
        return Ok(authority.tokens(caller, &caller.realm, filter, page).await?.items);
    }
    let mut found = Vec::new();
    for unit in &reach.units {
        let filter = TokenFilter { unit: Some(unit.clone()), ..filter.clone() };
        found.extend(authority.tokens(caller, &caller.realm, filter, page.clone()).await?.items);
    }
    Ok(found)
}

/// The heads of a list of tokens.
pub(super) fn heads(frame: &Frame, ticks: bool) -> Vec<String> {
    let mut heads = if ticks { vec![frame.say("bulk-tick")] } else { Vec::new() };
    heads.extend([
        frame.say("field-name"),
        frame.say("token-kind"),
        frame.say("token-owner"),
        frame.say("token-services"),
        frame.say("token-state"),
        frame.say("token-last-use"),
        frame.say("token-end"),
    ]);
    heads
}

/// Where a token has its page.
pub(super) fn page_of(token: &Token) -> String {
    if token.kind == Kind::RegistrationToken {
        format!("/admin/registration-tokens/{}", token.id)
    } else {
        format!("/tokens/{}", token.id)
    }
}

/// What a token is good for, in words.
pub(super) fn services_of(frame: &Frame, token: &Token) -> String {
    match &token.services {
        Services::All => frame.say("token-every-service"),
        Services::Named(labels) => {
            labels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The owner of a token, with the way to them.
pub(super) fn owner_of(token: &Token) -> Cell {
    match &token.owner {
        Owner::User(name) => Cell::link(name, format!("/admin/people/{}", escaped(name.as_str()))),
        Owner::Client(name) => {
            Cell::link(name, format!("/admin/clients/{}", escaped(name.as_str())))
        }
    }
}

/// The state of a token.
pub(super) fn state_of(frame: &Frame, token: &Token, now: Timestamp) -> Cell {
    let state = token.state(now);
    Cell::state(frame.say(&format!("state-{}", state.name())), class_of(state))
}

/// A row of a list of tokens; `form` is the one that its box belongs to.
pub(super) fn row(
    person: &Person,
    frame: &Frame,
    token: &Token,
    form: Option<&'static str>,
) -> Vec<Cell> {
    let now = person.visit.state.authority.now();
    let moment = |at| Moment::of(person.visit.language, at, now);
    let name = token.name.clone().unwrap_or_else(|| token.id.to_string());
    let tick = form.map(|form| Cell::tick("id", token.id.to_string(), form, &name));
    let mut row: Vec<Cell> = tick.into_iter().collect();
    row.extend([
        Cell::link(&name, page_of(token)),
        Cell::text(frame.say(&format!("kind-{}", token.kind.name()))),
        owner_of(token),
        Cell::text(services_of(frame, token)),
        state_of(frame, token, now),
        Cell::when_or(token.usage.last_at.map(moment), frame.say("token-never-used")),
        Cell::when_or(token.validity.expires_at().map(moment), frame.say("token-no-end")),
    ]);
    row
}

/// A list to choose from: nothing, and each of these names by the words of its id.
fn choices<'a>(
    frame: &Frame,
    prefix: &str,
    names: impl IntoIterator<Item = &'a str>,
    chosen: &str,
) -> Vec<(String, String, bool)> {
    let mut choices = vec![(String::new(), frame.say("filter-any"), chosen.is_empty())];
    choices.extend(
        names
            .into_iter()
            .map(|name| (name.to_owned(), frame.say(&format!("{prefix}-{name}")), name == chosen)),
    );
    choices
}

async fn filters(person: &Person, frame: &Frame, wanted: &Wanted) -> Result<Form, Refusal> {
    let units = unit_choices(person, frame.say("filter-any"), &wanted.unit).await?;
    let states = STATES.iter().map(|state| state.name());
    let kinds = KINDS.iter().map(|kind| kind.name());
    let mut form = Form::filters("filter", Section::Tokens.path())
        .with(Field::choice(
            "state",
            frame.say("token-state"),
            choices(frame, "state", states, &wanted.state),
        ))
        .with(Field::choice(
            "kind",
            frame.say("token-kind"),
            choices(frame, "kind", kinds, &wanted.kind),
        ))
        .with(Field::text("service", frame.say("filter-service"), &wanted.service))
        .with(Field::text("user", frame.say("field-username"), &wanted.user));
    if units.len() > 1 {
        form = form.with(Field::choice("unit", frame.say("field-unit"), units));
    }
    Ok(form
        .with(Field::text("label", frame.say("filter-label"), &wanted.label))
        .with(Field::number("ending", frame.say("filter-ending"), &wanted.ending))
        .with(Field::number("unused", frame.say("filter-unused"), &wanted.unused))
        .ending(Button::quiet(frame.say("filter-do"))))
}

/// The list.
pub(super) async fn page(person: Person, asked: Result<Query<Wanted>, QueryRejection>) -> Response {
    let wanted = asked.map(|Query(wanted)| wanted).unwrap_or_default();
    match gather(&person, &wanted).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Tokens, &[]);
            parts::show(&frame, frame.say("admin-tokens"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person, wanted: &Wanted) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    require_others(caller, ApiScope::TokensRead)?;
    let frame = person.frame();
    let mut filter = wanted.filter(authority.now())?;
    within_unit(caller, &mut filter)?;
    filter.look_at_most = Some(LOOK_AT_MOST);
    let page = PageRequest { limit: ROWS, after: wanted.after.clone() };
    let found = authority.tokens(caller, &caller.realm, filter, page).await?;
    let acts = reaches_others(caller, ApiScope::TokensWrite);
    let (caption, empty) = (frame.say("tokens-caption"), frame.say("tokens-none"));
    let mut table = Table::new(caption, heads(&frame, acts), empty);
    let box_of = acts.then_some(bulk::FORM);
    table.rows.extend(found.items.iter().map(|token| row(person, &frame, token, box_of)));
    if found.next.is_some() && table.rows.is_empty() {
        table.empty = frame.say("tokens-look-on");
    }
    let filtered = wanted.pairs().iter().any(|(_, value)| !value.is_empty());
    if filtered {
        let all = Section::Tokens.path().to_owned();
        table.empty_link = Some(Link::to(all, frame.say("tokens-all")));
    }
    table.next = found.next.map(|after| {
        let mut pairs = wanted.pairs().to_vec();
        pairs.push(("after", &after));
        address(Section::Tokens.path(), &pairs)
    });
    table.next_words = frame.say("older");
    let any = !table.rows.is_empty();
    let mut parts = vec![Part::Form(filters(person, &frame, wanted).await?), Part::Table(table)];
    if acts && any {
        parts.push(Part::Form(bulk::form(&frame, wanted)));
    }
    if is_whole(caller, ApiScope::TokensRead) {
        let jobs = Link::to("/admin/jobs".to_owned(), frame.say("jobs-title"));
        parts.push(Part::Links(vec![jobs]));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_or_refused() {
        let now = Timestamp::from_seconds(1_000_000);
        let wanted = Wanted {
            state: "locked".into(),
            kind: "auth_token".into(),
            service: "git".into(),
            label: "team = web".into(),
            ..Wanted::default()
        };
        let filter = wanted.filter(now).unwrap();
        assert_eq!((filter.state, filter.kind), (Some(State::Locked), Some(Kind::AuthToken)));
        assert_eq!(filter.labels, [("team".to_owned(), "web".to_owned())]);
        let resting = Wanted { unused: "90".into(), ..Wanted::default() }.filter(now).unwrap();
        assert_eq!(resting.state, Some(State::Active));
        assert_eq!(resting.unused_since, Some(now.plus_seconds(-90 * DAY)));
        for bad in [
            Wanted { state: "odd".into(), ..Wanted::default() },
            Wanted { kind: "odd".into(), ..Wanted::default() },
            Wanted { label: "team".into(), ..Wanted::default() },
            Wanted { ending: "-1".into(), ..Wanted::default() },
            Wanted { unused: "99999999999999999999".into(), ..Wanted::default() },
            Wanted { service: "not a label".into(), ..Wanted::default() },
        ] {
            assert!(bad.filter(now).is_err(), "{bad:?}");
        }
    }
}
