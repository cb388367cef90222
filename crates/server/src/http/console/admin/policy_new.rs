//! Policy sets and policies made and removed at `/admin/policies`, as far as a form can say them.
//! Conditions and response attributes are documents of the AM door and the API.

use axum::response::Response;
use counterfoil_authority::am::builtin::is_built_in;
use counterfoil_authority::am::{AmDocument, AmKind, AmObject, Policy, PolicySet, Subject};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;

use super::Section;
use super::parts::{Button, Cell, Field, Form};
use crate::http::console::page::Frame;
use crate::http::console::posted::{Fields, PostedLately};
use crate::http::console::visit::{Person, see_other};

fn named(objects: &[AmObject]) -> Vec<(String, String, bool)> {
    let objects = objects.iter().enumerate();
    objects.map(|(place, one)| (one.name.clone(), words_of(one), place == 0)).collect()
}

/// A resource type is called otherwise than its key.
fn words_of(object: &AmObject) -> String {
    match &object.document {
        AmDocument::ResourceType(kind) => kind.name.clone(),
        _ => object.name.clone(),
    }
}

/// A form for a policy set; `types`: the resource types that there are.
pub(super) fn set_form(frame: &Frame, types: &[AmObject]) -> Form {
    Form::acts("set", Section::Policies.path().to_owned())
        .folded(frame.say("policy-set-new"))
        .with(Field::text("name", frame.say("field-name"), "").required())
        .with(Field::text("description", frame.say("field-description"), ""))
        .with(Field::choice("type", frame.say("policy-type"), named(types)))
        .with(
            Field::text("service", frame.say("filter-service"), "")
                .hinted(frame.say("policy-set-service-hint")),
        )
        .ending(Button::plain(frame.say("policy-set-do")).sends("do", "set"))
}

/// A form for a policy.
pub(super) fn policy_form(frame: &Frame, sets: &[AmObject], types: &[AmObject]) -> Form {
    Form::acts("policy", Section::Policies.path().to_owned())
        .folded(frame.say("policy-new"))
        .with(Field::text("name", frame.say("field-name"), "").required())
        .with(Field::text("description", frame.say("field-description"), ""))
        .with(Field::choice("set", frame.say("policy-set"), named(sets)))
        .with(Field::choice("type", frame.say("policy-type"), named(types)))
        .with(
            Field::area("resources", frame.say("policy-resources"), "", 3)
                .hinted(frame.say("policy-resources-hint")),
        )
        .with(
            Field::text("allows", frame.say("policy-allows-actions"), "GET")
                .hinted(frame.say("policy-actions-hint")),
        )
        .with(Field::text("denies", frame.say("policy-denies-actions"), ""))
        .with(Field::text("who", frame.say("policy-who"), "").hinted(frame.say("policy-who-hint")))
        .ending(Button::plain(frame.say("policy-do")).sends("do", "policy"))
}

/// A button that removes a document, where that can be done.
pub(super) fn removal(frame: &Frame, object: &AmObject, writes: bool) -> Cell {
    let (kind, name) = (object.document.kind(), &object.name);
    if !writes || is_built_in(kind, name) {
        return Cell::default();
    }
    let act = if kind == AmKind::Policy { "remove-policy" } else { "remove-set" };
    let form = Form::acts("", Section::Policies.path().to_owned())
        .with(Field::hidden("name", name))
        .ending(Button::danger(frame.say("policy-remove")).sends("do", act).about(name));
    Cell::act(form)
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split([' ', ',', '\r', '\n', '\t']).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn set_of(fields: &Fields) -> Result<AmDocument, Refusal> {
    Ok(AmDocument::PolicySet(PolicySet {
        display_name: None,
        description: fields.line("description")?,
        resource_type_uuids: vec![fields.get("type").to_owned()],
        service: fields.line("service")?,
    }))
}

fn policy_of(fields: &Fields) -> Result<AmDocument, Refusal> {
    let who: Vec<String> = words(fields.get("who")).collect();
    let subject = if who.is_empty() {
        Subject::AuthenticatedUsers {}
    } else {
        Subject::Identity { values: who }
    };
    let says = |field: &'static str, value| words(fields.get(field)).map(move |one| (one, value));
    // What is named twice is denied.
    let action_values = says("allows", true).chain(says("denies", false)).collect();
    Ok(AmDocument::Policy(Policy {
        active: true,
        description: fields.line("description")?,
        application_name: fields.get("set").to_owned(),
        resource_type_uuid: fields.get("type").to_owned(),
        resources: words(fields.get("resources")).collect(),
        action_values,
        subject,
        condition: None,
        resource_attributes: Vec::new(),
    }))
}

/// Makes or removes one.
pub(super) async fn act(PostedLately { person, fields }: PostedLately) -> Response {
    match acted(&person, &fields).await {
        Ok(()) => see_other(Section::Policies.path()),
        Err(refusal) => person.failed(refusal),
    }
}

async fn acted(person: &Person, fields: &Fields) -> Result<(), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let realm = &caller.realm;
    caller.require_whole(realm, ApiScope::PoliciesWrite)?;
    let name = fields.line("name")?.ok_or_else(|| Refusal::invalid("name", "is missing"))?;
    let document = match fields.get("do") {
        "set" => set_of(fields)?,
        "policy" => policy_of(fields)?,
        "remove-set" => {
            return authority.am_remove(caller, realm, AmKind::PolicySet, &name, None).await;
        }
        "remove-policy" => {
            return authority.am_remove(caller, realm, AmKind::Policy, &name, None).await;
        }
        _ => return Err(Refusal::invalid("do", "is none of those on offer")),
    };
    authority.am_create(caller, realm, &name, document).await.map(drop)
}
