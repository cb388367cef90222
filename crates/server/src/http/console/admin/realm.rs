//! `/admin/realm`: the settings of the realm, and whom a stricter policy would hit.

use axum::response::Response;
use counterfoil_authority::authority::RealmEdit;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;

use super::parts::{self, Button, Cell, Field, Form, Link, Part};
use super::settings::{self, carried, first_hits, hits, patch};
use super::{Section, address};
use crate::http::console::posted::{Fields, PostedLately};
use crate::http::console::visit::{Person, see_other};

/// The page.
pub(super) async fn page(person: Person) -> Response {
    match gather(&person).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Realm, &[]);
            parts::show(&frame, frame.say("admin-realm"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    caller.require_whole(&caller.realm, ApiScope::PoliciesWrite)?;
    let realm = authority.realm(caller, &caller.realm).await?;
    let frame = person.frame();
    let here = Section::Realm.path().to_owned();
    let name = realm.display_name.clone().unwrap_or_default();
    let edit = Form::acts("edit", here.clone())
        .titled(frame.say("realm-edit"))
        .with(Field::hidden("version", realm.version))
        .with(Field::text("display_name", frame.say("field-name"), &name))
        .with(
            Field::text("zone", frame.say("realm-zone"), &realm.zone)
                .required()
                .hinted(frame.say("realm-zone-hint")),
        )
        .ending(Button::plain(frame.say("save")).sends("do", "save"));
    let policy = Form::acts("policy", here)
        .titled(frame.say("policy-title"))
        .with(Field::hidden("version", realm.version));
    let policy = settings::fields(&frame, &realm.token_policy, policy)
        .ending(Button::quiet(frame.say("policy-preview")).sends("do", "preview"));
    let stated = serde_json::to_string_pretty(&realm.token_policy).unwrap_or_default();
    Ok(vec![
        Part::Facts(vec![
            (frame.say("realm-name"), Cell::code(&realm.name)),
            (frame.say("realm-zone"), Cell::text(&realm.zone)),
        ]),
        Part::Form(edit),
        Part::Text(frame.say("policy-what-realm")),
        Part::Form(policy),
        Part::Heading(frame.say("policy-stated")),
        Part::Code(stated),
        Part::Links(vec![Link::to(
            address(Section::Audit.path(), &[("kind", "realm.updated")]),
            frame.say("realm-history"),
        )]),
    ])
}

fn edit_of(fields: &Fields) -> Result<RealmEdit, Refusal> {
    if matches!(fields.get("do"), "preview" | "save-policy") {
        return Ok(RealmEdit { token_policy: Some(patch(fields)?), ..RealmEdit::default() });
    }
    Ok(RealmEdit {
        display_name: Some(fields.line("display_name")?),
        zone: fields.text("zone"),
        ..RealmEdit::default()
    })
}

/// Changes the realm, or says whom its policy would hit.
pub(super) async fn edit(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let done = async {
        let (realm, edit) = (&caller.realm, edit_of(&fields)?);
        if fields.get("do") != "preview" {
            authority.edit_realm(caller, realm, edit, fields.version()).await?;
            return Ok(see_other(Section::Realm.path()));
        }
        let found = authority.preview_realm(caller, realm, edit, first_hits()).await?;
        let frame = person.admin_frame(Section::Realm, &[]);
        let mut parts = hits(&person, &frame, &found);
        let here = Section::Realm.path().to_owned();
        let form = carried(&fields, Form::acts("save", here.clone()))
            .ending(Button::plain(frame.say("policy-save")).sends("do", "save-policy"));
        parts.push(Part::Form(form));
        parts.push(Part::Links(vec![Link::to(here, frame.say("cancel"))]));
        Ok(parts::show(&frame, frame.say("policy-preview-title"), parts))
    };
    done.await.unwrap_or_else(|refusal: Refusal| person.failed(refusal))
}
