//! `/admin/targets/new`: sets up where people and tokens are brought to, of the kinds that a form
//! can describe. The others have templates, which are text for the API and the command line.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::authority::TargetDraft;
use counterfoil_authority::names::TargetName;
use counterfoil_authority::provision::{TARGET_MODES, Target, TargetKind, TargetMode};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::ClearSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::parts::{self, Button, Field, Form, Part};
use super::{Section, escaped};
use crate::http::console::page::Frame;
use crate::http::console::posted::{Fields, PostedLately};
use crate::http::console::visit::{Person, see_other};

/// Where the form is.
pub(super) const HERE: &str = "/admin/targets/new";
/// The kinds that a form describes.
const KINDS: [TargetKind; 3] = [TargetKind::Ldap, TargetKind::Webhook, TargetKind::Mail];
/// Where hashes may go.
const ATTRIBUTES: [&str; 2] = ["voPersonApplicationPassword", "userPassword"];
/// Settings that are one text each, by the names they have in the API.
const TEXTS: [&str; 5] = ["url", "bind_dn", "base_dn", "person_filter", "attribute"];
/// Settings that are lists of words.
const LISTS: [&str; 3] = ["schemes", "services", "events"];

/// Of which kind it is to be.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    kind: String,
}

fn kind_of(name: &str) -> Option<TargetKind> {
    TargetKind::from_name(name).filter(|kind| KINDS.contains(kind))
}

/// The form: first of which kind, then the rest.
pub(super) async fn form(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let caller = person.caller();
    if let Err(refusal) = caller.require_whole(&caller.realm, ApiScope::TargetsWrite) {
        return person.failed(refusal);
    }
    let words = person.frame().say("target-new");
    let frame = person.admin_frame(Section::Targets, &[&words]);
    let kind = asked.ok().and_then(|Query(asked)| kind_of(&asked.kind));
    let form = kind.map_or_else(|| choice(&frame), |kind| settings(&frame, kind));
    let parts = vec![Part::Text(frame.say("target-new-what")), Part::Form(form)];
    parts::show(&frame, words, parts)
}

fn choice(frame: &Frame) -> Form {
    let kinds = KINDS.iter().enumerate().map(|(place, kind)| {
        let name = kind.name();
        (name.to_owned(), frame.say(&format!("target-kind-{name}")), place == 0)
    });
    Form::filters("kind", HERE)
        .with(Field::choice("kind", frame.say("token-kind"), kinds.collect()))
        .ending(Button::plain(frame.say("setup-do")))
}

fn settings(frame: &Frame, kind: TargetKind) -> Form {
    let form = Form::acts("target", Section::Targets.path().to_owned())
        .titled(frame.say(&format!("target-kind-{}", kind.name())))
        .with(Field::hidden("kind", kind.name()))
        .with(
            Field::text("name", frame.say("field-name"), "")
                .required()
                .hinted(frame.say("service-label-hint")),
        );
    let form = match kind {
        TargetKind::Ldap => of_directory(frame, form),
        TargetKind::Webhook => form
            .with(Field::text("url", frame.say("target-url"), "https://").required())
            .with(
                Field::secret("secret", frame.say("target-signing-key"))
                    .hinted(frame.say("target-signing-key-hint")),
            )
            .with(
                Field::text("events", frame.say("target-events"), "")
                    .hinted(frame.say("target-events-hint")),
            ),
        _ => form,
    };
    let modes = TARGET_MODES.iter().map(|mode| {
        let name = mode.name();
        let words = frame.say(&format!("target-mode-{}", name.replace('_', "-")));
        (name.to_owned(), words, *mode == TargetMode::Automatic)
    });
    form.with(Field::choice("mode", frame.say("target-mode"), modes.collect()))
        .ending(Button::plain(frame.say("target-new-do")))
}

fn of_directory(frame: &Frame, form: Form) -> Form {
    let attributes = ATTRIBUTES.iter().enumerate();
    let attributes =
        attributes.map(|(place, name)| ((*name).to_owned(), (*name).to_owned(), place == 0));
    form.with(Field::text("url", frame.say("target-url"), "ldaps://").required())
        .with(Field::text("bind_dn", frame.say("target-bind-dn"), "").required())
        .with(Field::secret("secret", frame.say("target-bind-password")))
        .with(Field::text("base_dn", frame.say("target-base-dn"), "").required())
        .with(
            Field::text("person_filter", frame.say("target-person-filter"), "(uid={username})")
                .required(),
        )
        .with(Field::choice("attribute", frame.say("target-attribute"), attributes.collect()))
        .with(
            Field::text("schemes", frame.say("target-schemes"), "SSHA")
                .hinted(frame.say("target-schemes-hint")),
        )
        .with(
            Field::text("services", frame.say("token-services"), "")
                .hinted(frame.say("target-services-hint")),
        )
}

fn draft(fields: &Fields) -> Result<TargetDraft, Refusal> {
    let kind = kind_of(fields.get("kind"));
    let mode = TargetMode::from_name(fields.get("mode"));
    let none = |field: &'static str| move || Refusal::invalid(field, "is none of those on offer");
    let name = TargetName::parse(fields.get("name").trim());
    let mut config = Map::new();
    for field in TEXTS {
        if let Some(text) = fields.line(field)? {
            config.insert(field.to_owned(), Value::String(text));
        }
    }
    for field in LISTS {
        let words = fields.get(field).split([' ', ',']).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        if !words.is_empty() {
            config.insert(field.to_owned(), json!(words));
        }
    }
    let secret = fields.get("secret");
    Ok(TargetDraft {
        name: name.map_err(|bad| Refusal::invalid("name", bad))?,
        kind: kind.ok_or_else(none("kind"))?,
        mode: mode.ok_or_else(none("mode"))?,
        order: None,
        config: serde_json::from_value(Value::Object(config))
            .map_err(|bad| Refusal::invalid("schemes", bad))?,
        secret: (!secret.is_empty()).then(|| ClearSecret::new(secret.to_owned())),
    })
}

/// Sets a target up.
pub(super) async fn create(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let made = async {
        caller.require_whole(&caller.realm, ApiScope::TargetsWrite)?;
        authority.create_target(caller, &caller.realm, draft(&fields)?).await
    };
    match made.await {
        Ok(Target { name, .. }) => see_other(&format!("/admin/targets/{}", escaped(name.as_str()))),
        Err(refusal) => person.failed(refusal),
    }
}
