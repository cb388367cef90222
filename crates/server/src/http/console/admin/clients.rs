//! `/admin/clients`: programs with keys of their own. A key is shown by the answer to the form.

use std::sync::Arc;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use counterfoil_authority::access::AccessSettings;
use counterfoil_authority::authority::{ClientAnswered, ClientDraft, ClientEdit, ClientReplay};
use counterfoil_authority::names::{ClientName, ServiceLabel};
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::subject::{Client, Limits, Owner, ROLES};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::lists::{heads, row};
use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::{ROWS, Section, address, escaped, unit_choices};
use crate::http::console::page::Frame;
use crate::http::console::posted::{Fields, PostedLately};
use crate::http::console::secrets::{nonce, replay};
use crate::http::console::times::Moment;
use crate::http::console::visit::{Person, see_other};
use crate::http::query::Named;
use crate::http::wire::Paragraphs;

/// What the address of the list may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: Option<String>,
}

fn roles_of(client: &Client) -> String {
    client.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

fn state_of(frame: &Frame, client: &Client) -> Cell {
    if client.enabled {
        Cell::state(frame.say("state-active"), "good")
    } else {
        Cell::state(frame.say("state-disabled"), "held")
    }
}

/// The clients of the realm.
pub(super) async fn list(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let after = asked.map(|Query(asked)| asked.after).unwrap_or_default();
    match gather_list(&person, after).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Clients, &[]);
            parts::show(&frame, frame.say("admin-clients"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather_list(person: &Person, after: Option<String>) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    caller.require_whole(&caller.realm, ApiScope::ClientsWrite)?;
    let frame = person.frame();
    let page = PageRequest { limit: ROWS, after };
    let found = authority.clients(caller, &caller.realm, page).await?;
    let heads = vec![
        frame.say("field-name"),
        frame.say("field-description"),
        frame.say("client-roles"),
        frame.say("token-state"),
    ];
    let mut table = Table::new(frame.say("admin-clients"), heads, frame.say("clients-none"));
    table.rows.extend(found.items.iter().map(|client| {
        vec![
            Cell::link(&client.name, format!("/admin/clients/{}", escaped(client.name.as_str()))),
            Cell::maybe(client.description.as_ref()),
            Cell::text(roles_of(client)),
            state_of(&frame, client),
        ]
    }));
    table.next = found.next.map(|after| address(Section::Clients.path(), &[("after", &after)]));
    table.next_words = frame.say("clients-more");
    let roles = std::iter::once((String::new(), frame.say("client-no-role"), true));
    let roles = roles.chain(ROLES.iter().map(|role| {
        let name = role.name();
        (name.to_owned(), frame.say(&format!("role-{name}")), false)
    }));
    let units = unit_choices(person, frame.say("unit-none"), "").await?;
    let form = Form::acts("create", Section::Clients.path().to_owned())
        .titled(frame.say("client-new"))
        .with(Field::hidden("once", nonce(authority.entropy())?))
        .with(Field::text("name", frame.say("field-name"), "").required())
        .with(Field::area("description", frame.say("field-description"), "", 3))
        .with(Field::choice("role", frame.say("client-roles"), roles.collect()))
        .with(
            Field::text("services", frame.say("token-services"), "")
                .longer()
                .hinted(frame.say("client-services-hint")),
        )
        .with(Field::choice("unit", frame.say("field-unit"), units))
        .ending(Button::plain(frame.say("client-do")));
    Ok(vec![Part::Table(table), Part::Form(form)])
}

fn draft(fields: &Fields) -> Result<ClientDraft, Refusal> {
    let missing = || Refusal::invalid("name", "must not be empty");
    let labels = fields.get("services").split([' ', ',']).filter(|label| !label.is_empty());
    let labels: Vec<ServiceLabel> = labels
        .map(|label| ServiceLabel::parse(label).map_err(|bad| Refusal::invalid("services", bad)))
        .collect::<Result<_, _>>()?;
    Ok(ClientDraft {
        name: fields.word("name")?.ok_or_else(missing)?,
        description: fields.word::<Paragraphs>("description")?.map(|text| text.0),
        roles: fields.word("role")?.into_iter().collect(),
        scopes: None,
        services: (!labels.is_empty()).then_some(labels),
        unit: fields.text("unit"),
        limits: Limits::default(),
        access: AccessSettings::default(),
    })
}

/// Makes a client and shows its first key.
pub(super) async fn create(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let made = async {
        let (draft, kept) = (draft(&fields)?, replay(&fields)?);
        let name = draft.name.clone();
        let replay = ClientReplay {
            key: kept.key,
            fingerprint: kept.fingerprint,
            render: Arc::new(|_, _, secret| secret.reveal().as_bytes().to_vec()),
        };
        let answered = authority.create_client(caller, &caller.realm, draft, Some(replay)).await?;
        let secret = Zeroizing::new(match answered {
            ClientAnswered::Fresh { secret, .. } => secret.reveal().to_owned(),
            ClientAnswered::Replayed(bytes) => {
                String::from_utf8_lossy(&Zeroizing::new(bytes)).into_owned()
            }
        });
        Ok::<_, Refusal>((name, secret))
    };
    match made.await {
        Ok((name, secret)) => {
            let frame = person.admin_frame(Section::Clients, &[name.as_str()]);
            let parts = vec![
                Part::Alert(frame.about("secret-what", &name)),
                Part::Secret(secret.to_string()),
                Part::Text(frame.say("secret-as-bearer")),
                Part::Links(vec![Link::button(
                    format!("/admin/clients/{}", escaped(name.as_str())),
                    frame.say("secret-saved"),
                )]),
            ];
            parts::show(&frame, frame.say("secret-title"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

fn name_of(text: &str) -> Result<ClientName, Refusal> {
    ClientName::parse(text).map_err(|_| Refusal::NotFound(Thing::Client))
}

/// One client with its keys.
pub(super) async fn page(person: Person, Named(name): Named) -> Response {
    match gather(&person, &name).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Clients, &[&name]);
            parts::show(&frame, name, parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person, name: &str) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let realm = &caller.realm;
    caller.require_whole(realm, ApiScope::ClientsWrite)?;
    let client = authority.client(caller, realm, &name_of(name)?).await?;
    let frame = person.frame();
    let owner = Some(Owner::Client(client.name.clone()));
    let filter = TokenFilter { owner, ..TokenFilter::default() };
    let keys = authority.tokens(caller, realm, filter, PageRequest::first(ROWS)).await?;
    let now = authority.now();
    let services = client
        .services
        .as_ref()
        .map(|labels| labels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let created = Moment::of(person.visit.language, client.created_at, now);
    let mut table =
        Table::new(frame.say("client-keys"), heads(&frame, false), frame.say("client-no-key"));
    table.rows.extend(keys.items.iter().map(|token| row(person, &frame, token, None)));
    let switch = if client.enabled {
        Button::quiet(frame.say("token-disable")).sends("act", "disable")
    } else {
        Button::quiet(frame.say("token-enable")).sends("act", "enable")
    };
    let action = format!("/admin/clients/{}/act", escaped(client.name.as_str()));
    let delete = Form::acts("delete", action.clone())
        .folded(frame.say("client-delete"))
        .ending(Button::danger(frame.say("client-delete-do")).sends("act", "delete"));
    Ok(vec![
        Part::Facts(vec![
            (frame.say("token-state"), state_of(&frame, &client)),
            (frame.say("field-description"), Cell::maybe(client.description.as_ref())),
            (frame.say("client-roles"), Cell::text(roles_of(&client))),
            (frame.say("token-services"), Cell::maybe(services)),
            (frame.say("field-unit"), Cell::maybe(client.unit.as_ref())),
            (frame.say("token-created"), Cell::when(created)),
        ]),
        Part::Text(frame.say("client-rotate-hint")),
        Part::Table(table),
        Part::Form(Form::acts("", action).ending(switch)),
        Part::Form(delete),
    ])
}

/// Switches a client on or off, or removes it.
pub(super) async fn act(Named(name): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let done = async {
        let (realm, of) = (&caller.realm, name_of(&name)?);
        let enabled = match fields.get("act") {
            "enable" => true,
            "disable" => false,
            "delete" => {
                authority.delete_client(caller, realm, &of).await?;
                return Ok(see_other(Section::Clients.path()));
            }
            _ => return Err(Refusal::invalid("act", "is none of those on offer")),
        };
        let edit = ClientEdit { enabled: Some(enabled), ..ClientEdit::default() };
        authority.edit_client(caller, realm, &of, edit, None).await?;
        Ok(see_other(&format!("/admin/clients/{}", escaped(of.as_str()))))
    };
    done.await.unwrap_or_else(|refusal: Refusal| person.failed(refusal))
}
