//! `/admin/policies`: policy sets in the manner of AM, and why a decision is what it is.

use std::net::IpAddr;

use axum::response::Response;
use counterfoil_authority::am::{AmDocument, AmKind, AmObject};
use counterfoil_authority::authority::{AmExplained, AmFault, AmTest, AmTestToken};
use counterfoil_authority::names::Username;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::TokenId;

use super::parts::{self, Button, Cell, Field, Form, Part, Table};
use super::{Section, is_whole, policy_new};
use crate::http::console::page::Frame;
use crate::http::console::posted::{Fields, Posted};
use crate::http::console::visit::Person;

/// Bytes of a resource at most, as in the API.
const RESOURCE_BYTES_MAX: usize = 8_192;

/// The sets and their policies.
pub(super) async fn list(person: Person) -> Response {
    match gather(&person).await {
        Ok(parts) => {
            let frame = person.admin_frame(Section::Policies, &[]);
            parts::show(&frame, frame.say("admin-policies"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person) -> Result<Vec<Part>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let realm = &caller.realm;
    let sets = authority.am_objects(caller, realm, AmKind::PolicySet).await?;
    let policies = authority.am_objects(caller, realm, AmKind::Policy).await?;
    let frame = person.frame();
    let names: Vec<String> = sets.iter().map(|set| set.name.clone()).collect();
    let writes = is_whole(caller, ApiScope::PoliciesWrite);
    let mut parts = Vec::new();
    if writes {
        let types = authority.am_objects(caller, realm, AmKind::ResourceType).await?;
        parts.push(Part::Form(test_form(&frame, &names)));
        parts.push(Part::Form(policy_new::policy_form(&frame, &sets, &types)));
        parts.push(Part::Form(policy_new::set_form(&frame, &types)));
    }
    parts.push(Part::Table(sets_table(&frame, &sets, &policies, writes)));
    parts.push(Part::Table(policies_table(&frame, &policies, writes)));
    Ok(parts)
}

/// The head over the buttons that remove something, where there are any.
fn acts_head(frame: &Frame, writes: bool) -> Option<String> {
    writes.then(|| frame.say("device-acts"))
}

fn sets_table(frame: &Frame, sets: &[AmObject], policies: &[AmObject], writes: bool) -> Table {
    let mut heads = vec![
        frame.say("field-name"),
        frame.say("field-description"),
        frame.say("token-services"),
        frame.say("policies-number"),
    ];
    heads.extend(acts_head(frame, writes));
    let mut table = Table::new(frame.say("policy-sets"), heads, frame.say("policies-none"));
    table.rows.extend(sets.iter().map(|set| {
        let number =
            policies.iter().filter(|one| one.document.policy_set() == Some(&set.name)).count();
        let (description, service) = match &set.document {
            AmDocument::PolicySet(document) => {
                (document.description.as_ref(), document.service.as_ref())
            }
            _ => (None, None),
        };
        vec![
            Cell::text(&set.name),
            Cell::maybe(description),
            Cell::maybe(service),
            Cell::text(number),
            policy_new::removal(frame, set, writes),
        ]
    }));
    table
}

fn policies_table(frame: &Frame, policies: &[AmObject], writes: bool) -> Table {
    let mut heads = vec![
        frame.say("field-name"),
        frame.say("policy-set"),
        frame.say("policy-resources"),
        frame.say("policy-actions"),
        frame.say("token-state"),
    ];
    heads.extend(acts_head(frame, writes));
    let mut rules = Table::new(frame.say("admin-policies"), heads, frame.say("policies-none"));
    for policy in policies {
        let AmDocument::Policy(document) = &policy.document else { continue };
        let actions = document.action_values.iter().map(|(action, allowed)| {
            let word =
                if *allowed { frame.say("policy-allows") } else { frame.say("policy-denies") };
            format!("{action}: {word}")
        });
        let state = if document.active {
            Cell::state(frame.say("state-active"), "good")
        } else {
            Cell::state(frame.say("state-disabled"), "held")
        };
        rules.rows.push(vec![
            Cell::text(&policy.name),
            Cell::text(&document.application_name),
            Cell::text(document.resources.join(" ")),
            Cell::text(actions.collect::<Vec<_>>().join(", ")),
            state,
            policy_new::removal(frame, policy, writes),
        ]);
    }
    rules
}

fn test_form(frame: &Frame, sets: &[String]) -> Form {
    let sets = sets.iter().enumerate();
    let sets = sets.map(|(place, name)| (name.clone(), name.clone(), place == 0)).collect();
    Form::acts("test", "/admin/policies/test".to_owned())
        .titled(frame.say("policy-test"))
        .with(Field::text("user", frame.say("field-username"), "").required())
        .with(Field::choice("set", frame.say("policy-set"), sets))
        .with(Field::text("resource", frame.say("policy-resource"), "").longer().required())
        .with(Field::text("action", frame.say("policy-action"), "GET").required())
        .with(Field::text("token", frame.say("policy-token"), "").longer())
        .with(Field::text("address", frame.say("audit-source"), ""))
        .ending(Button::plain(frame.say("policy-test-do")))
}

/// Explains a decision. Counts nothing.
pub(super) async fn test(Posted { person, fields }: Posted) -> Response {
    match explained(&person, &fields).await {
        Ok(explained) => {
            let frame =
                person.admin_frame(Section::Policies, &[&person.frame().say("policy-test")]);
            let parts = vec![
                if explained.allowed {
                    Part::Good(frame.say("policy-allowed"))
                } else {
                    Part::Alert(frame.say("policy-denied"))
                },
                Part::Table(steps(&frame, explained)),
            ];
            let mut all = parts;
            let back = Section::Policies.path().to_owned();
            all.push(Part::Links(vec![parts::Link::button(back, frame.say("policy-back"))]));
            parts::show(&frame, frame.say("policy-test"), all)
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn explained(person: &Person, fields: &Fields) -> Result<AmExplained, Refusal> {
    let state = &person.visit.state;
    let caller = person.caller();
    caller.require_whole(&caller.realm, ApiScope::PoliciesWrite)?;
    let username = Username::parse(fields.get("user").trim());
    let username = username.map_err(|bad| Refusal::invalid("user", bad))?;
    let resource = fields.get("resource").trim();
    if resource.len() > RESOURCE_BYTES_MAX {
        return Err(Refusal::invalid("resource", "is too long"));
    }
    let token = fields.text("token").map(|id| {
        let id = TokenId::parse(&id).ok_or_else(|| Refusal::invalid("token", "is no token's id"));
        id.map(AmTestToken::Id)
    });
    let address = fields.text("address").map(|text| {
        let address: Result<IpAddr, _> = text.parse();
        address.map_err(|_| Refusal::invalid("address", "is no IP address"))
    });
    let test = AmTest {
        username: &username,
        resource,
        action: fields.get("action").trim(),
        set: fields.get("set"),
        token: token.transpose()?,
        address: address.transpose()?,
        directory: counterfoil_authority::authority::AmDirectory(&*state.courier),
    };
    let explained = state.authority.am_explain(caller, &caller.realm, &test).await;
    explained.map_err(|fault| match fault {
        AmFault::Resource(bad) => Refusal::invalid("resource", bad),
        AmFault::Other(refusal) => refusal,
    })
}

fn steps(frame: &Frame, explained: AmExplained) -> Table {
    let heads = vec![
        frame.say("finding-check"),
        frame.say("field-name"),
        frame.say("policy-holds"),
        frame.say("policy-why"),
    ];
    let mut table = Table::new(frame.say("policy-steps"), heads, String::new());
    table.rows.extend(explained.steps.into_iter().map(|step| {
        let holds = if step.holds {
            Cell::state(frame.say("policy-yes"), "good")
        } else {
            Cell::state(frame.say("policy-no"), "over")
        };
        vec![Cell::text(step.what), Cell::maybe(step.name), holds, Cell::text(step.why)]
    }));
    table
}
