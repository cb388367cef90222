//! `/admin/people`: everybody within reach, and what one person has: tokens of all services,
//! sessions, locks, and what somebody who takes over from them has to know.
//!
//! Length: one page with everything about a person, part by part.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::authority::{Answered, Delivery, LockAct, UserEdit};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::Username;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::store::{PageRequest, TokenFilter, UserFilter};
use counterfoil_authority::subject::{Owner, User, UserStatus};
use counterfoil_authority::token::{State, Token};
use serde::Deserialize;

use super::lists::{heads, row};
use super::mint::kept_of;
use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::{
    CHOICES, ROWS, Section, address, escaped, reaches_others, require_others, unit_choices,
};
use crate::http::console::page::Frame;
use crate::http::console::posted::{Fields, PostedLately};
use crate::http::console::secrets::{lifetimes, nonce, replay, wish};
use crate::http::console::services::offered;
use crate::http::console::times::Moment;
use crate::http::console::visit::{Person, see_other};
use crate::http::links::link_url;
use crate::http::query::Named;

/// What the address of the list may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: Option<String>,
    starts: String,
    unit: String,
    status: String,
}

const STATUSES: [UserStatus; 3] = [UserStatus::Active, UserStatus::Suspended, UserStatus::Expired];

const fn class_of(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "good",
        UserStatus::Suspended => "held",
        UserStatus::Expired => "over",
    }
}

fn status_of(frame: &Frame, user: &User) -> Cell {
    if user.locks.everywhere {
        return Cell::state(frame.say("state-locked"), "held");
    }
    Cell::state(frame.say(&format!("user-{}", user.status.name())), class_of(user.status))
}

/// The people that somebody administers.
pub(super) async fn list(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match gather_list(&person, asked).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::People, &[]);
            parts::show(&frame, frame.say("admin-title"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather_list(person: &Person, asked: Asked) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    require_others(caller, ApiScope::UsersRead)?;
    let frame = person.frame();
    let reach = caller.reach(&caller.realm, ApiScope::UsersRead)?;
    let own_unit = reach.units.first().filter(|_| !reach.whole && reach.units.len() > 1).cloned();
    let status = UserStatus::from_name(&asked.status);
    let filter = UserFilter {
        prefix: super::given(&asked.starts).map(|starts| starts.to_lowercase()),
        unit: super::given(&asked.unit).or(own_unit),
        status,
        ..UserFilter::default()
    };
    let page = PageRequest { limit: ROWS, after: asked.after };
    let found = authority.users(caller, &caller.realm, filter, page).await?;
    let units = unit_choices(person, frame.say("filter-any"), &asked.unit).await?;
    let mut table = people_table(&frame, found.items, &units);
    table.next = found.next.map(|after| {
        let fields = [
            ("after", &*after),
            ("starts", &*asked.starts),
            ("unit", &*asked.unit),
            ("status", &*asked.status),
        ];
        address(Section::People.path(), &fields)
    });
    table.next_words = frame.say("people-more");
    let mut statuses = vec![(String::new(), frame.say("filter-any"), status.is_none())];
    statuses.extend(STATUSES.map(|one| {
        let name = one.name().to_owned();
        (name.clone(), frame.say(&format!("user-{name}")), Some(one) == status)
    }));
    let mut filters = Form::filters("filter", Section::People.path())
        .with(Field::text("starts", frame.say("people-search"), &asked.starts))
        .with(Field::choice("status", frame.say("token-state"), statuses));
    if units.len() > 1 {
        filters = filters.with(Field::choice("unit", frame.say("field-unit"), units));
    }
    let filters = filters.ending(Button::quiet(frame.say("people-search-do")));
    let mut parts = vec![Part::Form(filters), Part::Table(table)];
    if reaches_others(caller, ApiScope::UsersWrite) {
        parts.push(Part::Form(invitation(person, &frame).await?));
    }
    Ok(parts)
}

fn people_table(frame: &Frame, people: Vec<User>, units: &[(String, String, bool)]) -> Table {
    let heads = vec![
        frame.say("field-username"),
        frame.say("field-display-name"),
        frame.say("token-state"),
        frame.say("field-unit"),
    ];
    let mut table = Table::new(frame.say("people-title"), heads, frame.say("people-none"));
    table.rows.extend(people.into_iter().map(|user| {
        let unit = user.unit.as_ref();
        let name = units.iter().find(|(id, ..)| Some(id) == unit).map(|(_, name, _)| name);
        vec![
            Cell::link(
                &user.username,
                format!("/admin/people/{}", escaped(user.username.as_str())),
            ),
            Cell::maybe(user.display_name.as_ref()),
            status_of(frame, &user),
            Cell::maybe(name.or(unit)),
        ]
    }));
    table
}

async fn invitation(person: &Person, frame: &Frame) -> Result<Form, Refusal> {
    let mut units = unit_choices(person, frame.say("unit-none"), "").await?;
    if let [_, only] = units.as_mut_slice() {
        only.2 = true;
    }
    let mut form = Form::acts("invite", "/admin/people".to_owned())
        .titled(frame.say("invite-title"))
        .with(
            Field::text("username", frame.say("field-username"), "")
                .required()
                .hinted(frame.say("invite-what")),
        )
        .with(Field::text("display_name", frame.say("field-display-name"), ""));
    if units.len() > 1 {
        form = form.with(Field::choice("unit", frame.say("field-unit"), units));
    }
    Ok(form.ending(Button::plain(frame.say("invite-do"))))
}

/// Where the list of a person's tokens begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Below {
    after: Option<String>,
}

/// The page of a person.
pub(super) async fn page(
    person: Person,
    Named(username): Named,
    asked: Result<Query<Below>, QueryRejection>,
) -> Response {
    let after = asked.map(|Query(asked)| asked.after).unwrap_or_default();
    match gather(&person, &username, after).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::People, &[&username]);
            parts::show(&frame, username, parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn found(person: &Person, username: &str) -> Result<User, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    require_others(caller, ApiScope::UsersRead)?;
    let name = Username::parse(username).map_err(|_| Refusal::NotFound(Thing::User))?;
    authority.user(caller, &caller.realm, &name).await
}

async fn gather(
    person: &Person,
    username: &str,
    after: Option<String>,
) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let user = found(person, username).await?;
    let (frame, realm) = (person.frame(), &caller.realm);
    let filter =
        TokenFilter { owner: Some(Owner::User(user.username.clone())), ..TokenFilter::default() };
    let page = PageRequest { limit: ROWS, after };
    let tokens = authority.tokens(caller, realm, filter, page).await?;
    let units = unit_choices(person, String::new(), "").await?;
    let here = format!("/admin/people/{}", escaped(user.username.as_str()));
    let mut parts = vec![Part::Facts(facts(&frame, &user, &units))];
    if reaches_others(caller, ApiScope::TokensWrite) {
        let new = Link::button(format!("{here}/new"), frame.say("person-issue"));
        parts.push(Part::Links(vec![new]));
    }
    let caption = frame.say("person-tokens");
    let mut table = Table::new(caption, heads(&frame, false), frame.say("person-no-token"));
    table.rows.extend(tokens.items.iter().map(|token| row(person, &frame, token, None)));
    let handed = hand_over(person, &frame, &tokens.items, tokens.next.is_some());
    table.next = tokens.next.map(|after| address(&here, &[("after", &after)]));
    table.next_words = frame.say("older");
    parts.push(Part::Table(table));
    parts.push(handed);
    if let Some(sessions) = sessions(person, &frame, &user).await? {
        parts.push(Part::Table(sessions));
    }
    if let Some(passkeys) = passkeys(person, &frame, &user).await? {
        parts.push(Part::Table(passkeys));
    }
    parts.extend(acts(person, &frame, &user, &here));
    Ok(parts)
}

fn facts(frame: &Frame, user: &User, units: &[(String, String, bool)]) -> Vec<(String, Cell)> {
    let joined = |names: Vec<String>| Some(names.join(", ")).filter(|text| !text.is_empty());
    let unit = user.unit.as_ref();
    let unit_name = units.iter().find(|(id, ..)| Some(id) == unit).map(|(_, name, _)| name);
    let groups = user.groups.iter().map(ToString::to_string).collect();
    let locked = user.locks.services.iter().map(ToString::to_string).collect();
    vec![
        (frame.say("token-state"), status_of(frame, user)),
        (frame.say("field-display-name"), Cell::maybe(user.display_name.as_ref())),
        (frame.say("person-mail"), Cell::maybe(joined(user.emails.clone()))),
        (frame.say("field-unit"), Cell::maybe(unit_name.or(unit))),
        (frame.say("person-groups"), Cell::maybe(joined(groups))),
        (frame.say("person-locked-at"), Cell::maybe(joined(locked))),
    ]
}

/// What goes on, and what ends, when somebody leaves.
fn hand_over(person: &Person, frame: &Frame, tokens: &[Token], more: bool) -> Part {
    let now = person.visit.state.authority.now();
    let live: Vec<&Token> = tokens
        .iter()
        .filter(|token| !matches!(token.state(now), State::Revoked | State::Expired))
        .collect();
    let mut services: Vec<String> =
        live.iter().flat_map(|token| token.service_labels()).map(str::to_owned).collect();
    services.sort();
    services.dedup();
    let of_kind = |kind: Kind| live.iter().filter(|token| token.kind == kind).count();
    let drawn: u64 = live
        .iter()
        .filter(|token| token.kind == Kind::RegistrationToken)
        .map(|token| token.used)
        .sum();
    let number = if more { format!("{}+", live.len()) } else { live.len().to_string() };
    Part::Facts(vec![
        (frame.say("handover-live"), Cell::text(number)),
        (
            frame.say("handover-services"),
            Cell::maybe(Some(services.join(", ")).filter(|text| !text.is_empty())),
        ),
        (
            frame.say("handover-registrations"),
            Cell::text(format!("{} ({drawn})", of_kind(Kind::RegistrationToken))),
        ),
    ])
}

/// Where somebody is signed in; nobody sees that of who may do more than they.
async fn sessions(person: &Person, frame: &Frame, user: &User) -> Result<Option<Table>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let found = authority.console_sessions_of(caller, &caller.realm, &user.username).await;
    let found = match found {
        Ok(found) => found,
        Err(Refusal::Forbidden(_) | Refusal::BeyondGrant(_) | Refusal::NotFound(_)) => {
            return Ok(None);
        }
        Err(refusal) => return Err(refusal),
    };
    let heads = vec![
        frame.say("session-agent"),
        frame.say("audit-source"),
        frame.say("session-began"),
        frame.say("token-last-use"),
    ];
    let mut table = Table::new(frame.say("person-sessions"), heads, frame.say("person-no-session"));
    let now = authority.now();
    let moment = |at| Moment::of(person.visit.language, at, now);
    table.rows.extend(found.into_iter().map(|session| {
        vec![
            Cell::maybe(session.agent),
            Cell::maybe(session.source),
            Cell::when(moment(session.created_at)),
            Cell::when(moment(session.used_at)),
        ]
    }));
    Ok(Some(table))
}

/// By which passkeys they sign in; seen by whom may see where they are signed in.
async fn passkeys(person: &Person, frame: &Frame, user: &User) -> Result<Option<Table>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let found = authority.passkeys_of(caller, &caller.realm, &user.username).await;
    let found = match found {
        Ok(found) => found,
        Err(Refusal::Forbidden(_) | Refusal::BeyondGrant(_) | Refusal::NotFound(_)) => {
            return Ok(None);
        }
        Err(refusal) => return Err(refusal),
    };
    if found.is_empty() {
        return Ok(None);
    }
    let heads =
        vec![frame.say("new-name"), frame.say("passkey-added"), frame.say("token-last-use")];
    let mut table = Table::new(frame.say("person-passkeys"), heads, frame.say("passkeys-none"));
    let now = authority.now();
    let moment = |at| Cell::when(Moment::of(person.visit.language, at, now));
    table.rows.extend(found.into_iter().map(|passkey| {
        let never = || Cell::text(frame.say("token-never-used"));
        let last = passkey.used_at.map_or_else(never, moment);
        vec![Cell::text(passkey.name), moment(passkey.created_at), last]
    }));
    Ok(Some(table))
}

fn acts(person: &Person, frame: &Frame, user: &User, here: &str) -> Vec<Part> {
    let caller = person.caller();
    let action = format!("{here}/act");
    let mut parts = Vec::new();
    let quiet = |words, act| Button::quiet(words).sends("act", act);
    if reaches_others(caller, ApiScope::UsersWrite) {
        let link = Form::acts("", format!("{here}/link"));
        parts.push(Part::Form(link.ending(Button::quiet(frame.say("people-link")))));
        let mut form = Form::acts("", action.clone());
        form = if user.status == UserStatus::Active {
            form.ending(quiet(frame.say("person-suspend"), "suspend"))
                .ending(quiet(frame.say("person-expire"), "expire"))
        } else {
            form.ending(quiet(frame.say("person-activate"), "activate"))
        };
        form = form
            .ending(quiet(frame.say("session-end-all"), "end-sessions"))
            .ending(quiet(frame.say("person-passkeys-remove"), "remove-passkeys"));
        parts.push(Part::Form(form));
    }
    if reaches_others(caller, ApiScope::TokensWrite) {
        let at = Field::text("service", frame.say("person-lock-at"), "")
            .hinted(frame.say("person-lock-hint"));
        let form = Form::acts("lock", action)
            .folded(frame.say("person-lock-title"))
            .with(at)
            .with(Field::text("reason", frame.say("revoke-reason"), ""))
            .ending(Button::danger(frame.say("bulk-act-lock")).sends("act", "lock"))
            .ending(quiet(frame.say("bulk-act-unlock"), "unlock"));
        parts.push(Part::Form(form));
    }
    parts
}

/// Locks or unlocks somebody, changes whether they count, or signs them out.
pub(super) async fn act(Named(username): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    match acted(&person, &username, &fields).await {
        Ok(()) => see_other(&format!("/admin/people/{}", escaped(&username))),
        Err(refusal) => person.failed(refusal),
    }
}

async fn acted(person: &Person, username: &str, fields: &Fields) -> Result<(), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let realm = &caller.realm;
    let name = Username::parse(username).map_err(|_| Refusal::NotFound(Thing::User))?;
    let status = match fields.get("act") {
        "suspend" => UserStatus::Suspended,
        "activate" => UserStatus::Active,
        "expire" => UserStatus::Expired,
        "end-sessions" => return authority.console_end_all_of(caller, realm, &name).await,
        "remove-passkeys" => {
            return authority.remove_passkeys_of(caller, realm, &name).await.map(drop);
        }
        on @ ("lock" | "unlock") => {
            let (service, reason) = (fields.word("service")?, fields.line("reason")?);
            let act = LockAct { on: on == "lock", reason };
            return authority
                .lock_user(caller, realm, &name, service.as_ref(), &act)
                .await
                .map(drop);
        }
        _ => return Err(Refusal::invalid("act", "is none of those on offer")),
    };
    let edit = UserEdit { status: Some(status), ..UserEdit::default() };
    authority.edit_user(caller, realm, &name, edit, None).await.map(drop)
}

/// For which service a token is to be.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct For {
    service: String,
}

/// The form for a token of somebody else: first for which service, then the rest.
pub(super) async fn form(
    person: Person,
    Named(username): Named,
    asked: Result<Query<For>, QueryRejection>,
) -> Response {
    let service = asked.map(|Query(asked)| asked.service).unwrap_or_default();
    match gather_form(&person, &username, &service).await {
        Ok(form) => {
            let frame = person.admin_frame(Section::People, &[&username]);
            let title = frame.about("person-issue-for", &username);
            parts::show(&frame, title, vec![Part::Form(form)])
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather_form(person: &Person, username: &str, service: &str) -> Result<Form, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    require_others(caller, ApiScope::TokensWrite)?;
    let user = found(person, username).await?;
    let frame = person.frame();
    let here = format!("/admin/people/{}/new", escaped(user.username.as_str()));
    if service.is_empty() {
        let page = PageRequest::first(CHOICES);
        let services = authority.services(caller, &caller.realm, page).await?.items;
        let choices = services.into_iter().map(|service| {
            (service.label.to_string(), format!("{} ({})", service.name, service.label), false)
        });
        let form = Form::filters("service", &here)
            .with(Field::choice("service", frame.say("person-issue-service"), choices.collect()))
            .ending(Button::plain(frame.say("setup-do")));
        return Ok(form);
    }
    let (service, offer) = offered(person, service).await?;
    let lifetimes = lifetimes(person, &offer.policy);
    let lifetimes = lifetimes.into_iter().map(|one| (one.value, one.words, one.chosen)).collect();
    let kinds = vec![
        ("service_token".to_owned(), frame.say("new-kind-password"), true),
        ("personal_access_token".to_owned(), frame.say("new-kind-token"), false),
    ];
    let ways = vec![
        ("link".to_owned(), frame.say("person-by-link"), true),
        ("response".to_owned(), frame.say("person-by-hand"), false),
    ];
    Ok(Form::acts("issue", here)
        .with(Field::hidden("once", nonce(authority.entropy())?))
        .with(Field::hidden("service", &service.label))
        .with(Field::text("name", frame.say("new-name"), "").required())
        .with(Field::choice("kind", frame.say("new-kind"), kinds))
        .with(Field::choice("expires", frame.say("new-expires"), lifetimes))
        .with(Field::text("scope", frame.say("new-scopes"), "").longer().hinted(
            offer.policy.scopes.map_or_else(
                || frame.say("new-scopes-hint"),
                |scopes| frame.about("person-scopes", scopes.join(" ")),
            ),
        ))
        .with(Field::choice("delivery", frame.say("person-delivery"), ways))
        .ending(Button::plain(frame.say("new-do"))))
}

/// Makes a token for somebody else, and shows its secret or the link to it.
pub(super) async fn issue(Named(username): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    match issued(&person, &username, &fields).await {
        Ok(answered) => shown(&person, &username, answered),
        Err(refusal) => person.failed(refusal),
    }
}

async fn issued(person: &Person, username: &str, fields: &Fields) -> Result<Answered, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let name = Username::parse(username).map_err(|_| Refusal::NotFound(Thing::User))?;
    let mut request = wish(fields.get("service"), fields)?;
    request.user = Some(name);
    request.delivery = match fields.get("delivery") {
        "link" => Delivery::Link,
        "response" => Delivery::Response,
        _ => return Err(Refusal::invalid("delivery", "is none of those on offer")),
    };
    let replay = replay(fields)?;
    authority.issue(caller, &caller.realm, request, Some(replay)).await
}

fn shown(person: &Person, username: &str, answered: Answered) -> Response {
    let state = &person.visit.state;
    let (id, secret) = match kept_of(answered) {
        Ok(kept) => kept,
        Err(refusal) => return person.failed(refusal),
    };
    let frame = person.admin_frame(Section::People, &[username]);
    let clear = ClearSecret::new(secret.to_string());
    let (what, secret) = if state.authority.is_link(&clear) {
        (frame.about("person-link-what", username), link_url(&state.settings.public_url, &clear))
    } else {
        (frame.about("secret-what", username), secret.to_string())
    };
    let parts = vec![
        Part::Alert(what),
        Part::Secret(secret),
        Part::Links(vec![
            Link::button(format!("/admin/people/{}", escaped(username)), frame.say("secret-saved")),
            Link::to(format!("/tokens/{id}"), frame.say("person-token")),
        ]),
    ];
    parts::show(&frame, frame.say("secret-title"), parts)
}
