//! `/admin/services`: services with their policies, and whom a stricter policy would hit.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::authority::{LockAct, PolicyEdit, ServiceDraft, ServiceEdit};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::notice::NOTICES_DAYS;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::service::{Service, ServiceStatus, Visibility};
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::token::State;
use serde::Deserialize;

use super::lists;
use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::settings::{self, carried, first_hits, hits, patch};
use super::{ROWS, Section, address, is_whole, reaches_others, unit_choices};
use crate::http::console::page::Frame;
use crate::http::console::posted::{Fields, PostedLately};
use crate::http::console::visit::{Person, see_other};
use crate::http::query::Named;
use crate::http::wire::{Paragraphs, WebAddress};

const VISIBILITIES: [Visibility; 4] =
    [Visibility::Administrators, Visibility::Group, Visibility::Realm, Visibility::Public];

/// What the address of the list may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: Option<String>,
}

fn require_sight(person: &Person) -> Result<(), Refusal> {
    if Section::Services.is_for(person.caller()) {
        Ok(())
    } else {
        Err(Refusal::Forbidden(ApiScope::ServicesWrite))
    }
}

fn status_of(frame: &Frame, service: &Service) -> Cell {
    if service.locked {
        return Cell::state(frame.say("state-locked"), "held");
    }
    match service.status {
        ServiceStatus::Active => Cell::state(frame.say("service-active"), "good"),
        ServiceStatus::Suspended => Cell::state(frame.say("service-suspended"), "held"),
    }
}

/// The services that somebody looks after.
pub(super) async fn list(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let after = asked.map(|Query(asked)| asked.after).unwrap_or_default();
    match gather_list(&person, after).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Services, &[]);
            parts::show(&frame, frame.say("admin-services"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather_list(person: &Person, after: Option<String>) -> Result<Vec<Part>, Refusal> {
    require_sight(person)?;
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let frame = person.frame();
    let page = PageRequest { limit: ROWS, after };
    let found = authority.services(caller, &caller.realm, page).await?;
    let heads = vec![
        frame.say("service-label"),
        frame.say("field-name"),
        frame.say("token-state"),
        frame.say("service-visibility"),
        frame.say("admin-tokens"),
    ];
    let mut table = Table::new(frame.say("admin-services"), heads, frame.say("services-none"));
    let theirs = found.items.into_iter().filter(|service| is_looked_after(caller, service));
    table.rows.extend(theirs.map(|service| {
        let label = service.label.to_string();
        let status = status_of(&frame, &service);
        vec![
            Cell::link(&label, format!("/admin/services/{label}")),
            Cell::text(service.name),
            status,
            Cell::text(frame.say(&format!("visibility-{}", service.visibility.name()))),
            Cell::link(
                frame.say("admin-tokens"),
                address(Section::Tokens.path(), &[("service", &label)]),
            ),
        ]
    }));
    table.next = found.next.map(|after| address(Section::Services.path(), &[("after", &after)]));
    table.next_words = frame.say("services-more");
    let mut parts = vec![Part::Table(table)];
    if is_whole(caller, ApiScope::ServicesWrite) {
        let form = Form::acts("create", Section::Services.path().to_owned())
            .titled(frame.say("service-new"))
            .with(
                Field::text("label", frame.say("service-label"), "")
                    .required()
                    .hinted(frame.say("service-label-hint")),
            )
            .with(Field::text("name", frame.say("field-name"), ""))
            .with(Field::area("description", frame.say("field-description"), "", 3))
            .with(Field::text("url", frame.say("service-url"), "").longer())
            .ending(Button::plain(frame.say("service-do")));
        parts.push(Part::Form(form));
    }
    Ok(parts)
}

fn label_of(text: &str) -> Result<ServiceLabel, Refusal> {
    ServiceLabel::parse(text).map_err(|_| Refusal::NotFound(Thing::Service))
}

fn paragraphs(fields: &Fields) -> Result<Option<String>, Refusal> {
    Ok(fields.word::<Paragraphs>("description")?.map(|text| text.0))
}

fn url(fields: &Fields) -> Result<Option<String>, Refusal> {
    Ok(fields.word::<WebAddress>("url")?.map(|url| url.0))
}

/// Makes a service.
pub(super) async fn create(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let made = async {
        let missing = || Refusal::invalid("label", "must not be empty");
        let mut draft = ServiceDraft::new(fields.word("label")?.ok_or_else(missing)?);
        if let Some(name) = fields.line("name")? {
            draft.name = name;
        }
        draft.description = paragraphs(&fields)?;
        draft.url = url(&fields)?;
        authority.create_service(caller, &caller.realm, draft).await
    };
    match made.await {
        Ok(service) => see_other(&format!("/admin/services/{}", service.label)),
        Err(refusal) => person.failed(refusal),
    }
}

/// One service.
pub(super) async fn page(person: Person, Named(label): Named) -> Response {
    match gather(&person, &label).await {
        Ok((name, parts)) => {
            let frame = person.admin_frame(Section::Services, &[&label]);
            parts::show(&frame, name, parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

fn covers(caller: &Caller, service: &Service, scope: ApiScope) -> bool {
    let reach = caller.reach(&service.realm, scope);
    reach.is_ok_and(|reach| reach.covers_service(&service.label, service.unit.as_ref()))
}

/// Whether somebody has to do with a service beyond what they see of it as a person.
fn is_looked_after(caller: &Caller, service: &Service) -> bool {
    [ApiScope::ServicesWrite, ApiScope::TokensRead].iter().any(|&one| covers(caller, service, one))
}

async fn gather(person: &Person, label: &str) -> Result<(String, Vec<Part>), Refusal> {
    require_sight(person)?;
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let (frame, realm, label) = (person.frame(), &caller.realm, label_of(label)?);
    let (service, effective) = authority.token_settings(caller, realm, &label).await?;
    let writes = covers(caller, &service, ApiScope::ServicesWrite);
    if !is_looked_after(caller, &service) {
        return Err(Refusal::NotFound(Thing::Service));
    }
    let mut parts = vec![
        Part::Facts(vec![
            (frame.say("service-label"), Cell::code(&service.label)),
            (frame.say("token-state"), status_of(&frame, &service)),
            (frame.say("field-description"), Cell::maybe(service.description.as_ref())),
            (frame.say("service-contact"), Cell::maybe(service.contact.as_ref())),
        ]),
        Part::Links(vec![Link::button(
            address(Section::Tokens.path(), &[("service", label.as_str())]),
            frame.say("service-tokens"),
        )]),
    ];
    if reaches_others(caller, ApiScope::TokensRead) {
        parts.extend(ends(person, &frame, &label).await?);
        let page = first_hits();
        let blocked = authority.blocked_tokens(caller, realm, Some(label.clone()), page).await;
        match blocked {
            Ok(blocked) => parts.push(Part::Table(settings::table(&frame, &blocked.items))),
            Err(Refusal::Forbidden(_) | Refusal::Invalid { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    if writes {
        let policy = Form::acts("policy", format!("/admin/services/{label}/policy"))
            .titled(frame.say("policy-title"))
            .with(Field::hidden("version", service.version));
        let policy = settings::fields(&frame, &service.token_policy, policy)
            .ending(Button::quiet(frame.say("policy-preview")).sends("do", "preview"));
        parts.push(Part::Text(frame.say("policy-what")));
        parts.push(Part::Form(policy));
        parts.push(Part::Form(edit_form(person, &frame, &service).await?));
    }
    let effective = effective.stated(&service.token_policy);
    parts.push(Part::Heading(frame.say("policy-effective")));
    parts.push(Part::Code(serde_json::to_string_pretty(&effective).unwrap_or_default()));
    Ok((service.name, parts))
}

/// What ends soon at a service, and whose it is.
async fn ends(
    person: &Person,
    frame: &Frame,
    label: &ServiceLabel,
) -> Result<Option<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let filter = TokenFilter {
        service: Some(label.clone()),
        state: Some(State::Active),
        expires_before: Some(authority.now().plus_seconds(NOTICES_DAYS[0] * 86_400)),
        ..TokenFilter::default()
    };
    let found = match authority.tokens(caller, &caller.realm, filter, first_hits()).await {
        Ok(found) => found,
        Err(Refusal::Forbidden(_) | Refusal::BeyondGrant(_) | Refusal::Invalid { .. }) => {
            return Ok(None);
        }
        Err(refusal) => return Err(refusal),
    };
    let heads = lists::heads(frame, false);
    let mut table = Table::new(frame.say("service-ends"), heads, frame.say("service-ends-none"));
    table.rows.extend(found.items.iter().map(|token| lists::row(person, frame, token, None)));
    Ok(Some(Part::Table(table)))
}

async fn edit_form(person: &Person, frame: &Frame, service: &Service) -> Result<Form, Refusal> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let visibilities = VISIBILITIES.map(|one| {
        let name = one.name();
        (name.to_owned(), frame.say(&format!("visibility-{name}")), one == service.visibility)
    });
    let statuses = [ServiceStatus::Active, ServiceStatus::Suspended].map(|one| {
        let name = one.name();
        (name.to_owned(), frame.say(&format!("service-{name}")), one == service.status)
    });
    let group = service.group.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut form = Form::acts("edit", format!("/admin/services/{}", service.label))
        .titled(frame.say("service-edit"))
        .with(Field::hidden("version", service.version))
        .with(Field::text("name", frame.say("field-name"), &service.name).required())
        .with(Field::area(
            "description",
            frame.say("field-description"),
            &text(&service.description),
            3,
        ))
        .with(Field::text("url", frame.say("service-url"), &text(&service.url)).longer())
        .with(Field::text("contact", frame.say("service-contact"), &text(&service.contact)))
        .with(Field::choice("visibility", frame.say("service-visibility"), visibilities.into()))
        .with(Field::text("group", frame.say("service-group"), &group))
        .with(Field::choice("status", frame.say("token-state"), statuses.into()));
    if is_whole(person.caller(), ApiScope::ServicesWrite) {
        let unit = text(&service.unit);
        let units = unit_choices(person, frame.say("unit-none"), &unit).await?;
        form = form.with(Field::choice("unit", frame.say("field-unit"), units));
    }
    let (words, value) = if service.locked {
        (frame.say("bulk-act-unlock"), "unlock")
    } else {
        (frame.say("service-lock"), "lock")
    };
    Ok(form
        .ending(Button::plain(frame.say("save")).sends("do", "save"))
        .ending(Button::danger(words).sends("do", value)))
}

/// Changes a service, or locks it.
pub(super) async fn edit(Named(label): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    match edited(&person, &label, &fields).await {
        Ok(service) => see_other(&format!("/admin/services/{}", service.label)),
        Err(refusal) => person.failed(refusal),
    }
}

async fn edited(person: &Person, label: &str, fields: &Fields) -> Result<Service, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let (realm, label) = (&caller.realm, label_of(label)?);
    if let on @ ("lock" | "unlock") = fields.get("do") {
        let act = LockAct { on: on == "lock", reason: None };
        return authority.lock_service(caller, realm, &label, &act).await;
    }
    let missing = |field: &'static str| move || Refusal::invalid(field, "must not be empty");
    let moves = is_whole(caller, ApiScope::ServicesWrite);
    let edit = ServiceEdit {
        name: Some(fields.title("name")?),
        description: Some(paragraphs(fields)?),
        url: Some(url(fields)?),
        contact: Some(fields.line("contact")?),
        visibility: Some(fields.word("visibility")?.ok_or_else(missing("visibility"))?),
        group: Some(fields.word("group")?),
        status: Some(fields.word("status")?.ok_or_else(missing("status"))?),
        unit: moves.then(|| fields.text("unit")),
        ..ServiceEdit::default()
    };
    authority.edit_service(caller, realm, &label, edit, fields.version()).await
}

/// Says whom a policy would hit, or makes it the policy.
pub(super) async fn policy(Named(label): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let done = async {
        let (realm, of) = (&caller.realm, label_of(&label)?);
        let token_policy = Some(PolicyEdit::Merge(patch(&fields)?));
        let edit = ServiceEdit { token_policy, ..ServiceEdit::default() };
        if fields.get("do") == "save" {
            authority.edit_service(caller, realm, &of, edit, fields.version()).await?;
            return Ok(see_other(&format!("/admin/services/{of}")));
        }
        let found = authority.preview_service(caller, realm, &of, edit, first_hits()).await?;
        let frame = person.admin_frame(Section::Services, &[&label]);
        let mut parts = hits(&person, &frame, &found);
        let here = format!("/admin/services/{of}");
        let form = carried(&fields, Form::acts("save", format!("{here}/policy")))
            .ending(Button::plain(frame.say("policy-save")).sends("do", "save"));
        parts.push(Part::Form(form));
        parts.push(Part::Links(vec![Link::to(here, frame.say("cancel"))]));
        Ok(parts::show(&frame, frame.say("policy-preview-title"), parts))
    };
    done.await.unwrap_or_else(|refusal: Refusal| person.failed(refusal))
}
