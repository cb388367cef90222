//! Templates of names and values: `{username}`, `{attributes.sn}`, `{emails}`.

use counterfoil_authority::provision::{PersonState, Target};
use counterfoil_authority::subject::{User, UserStatus};
use serde_json::Value;

use super::Attributes;

/// The distinguished name of a person's entry; `None` if something that it needs is missing.
pub(super) fn dn(target: &Target, state: &PersonState) -> Option<String> {
    let template = target.config.dn.as_deref()?;
    let mut dn = String::new();
    for part in parts(template) {
        match part {
            Part::Text(text) => dn.push_str(text),
            Part::Field(name) => {
                let value = match &state.user {
                    Some(user) => values_of(user, name, None).into_iter().next(),
                    None if name == "username" => Some(state.username.clone()),
                    None => None,
                };
                dn.push_str(&ldap3::dn_escape(value?.as_str()));
            }
        }
    }
    Some(dn)
}

/// The attributes that the target's map gives a person's entry. Those of a service come last.
pub(super) fn attributes(target: &Target, state: &PersonState) -> Attributes {
    let Some(user) = &state.user else { return Vec::new() };
    let mut plain = Vec::new();
    let mut labelled = Vec::new();
    for (name, texts) in &target.config.attributes {
        if name.contains("{service}") {
            for label in state.values.keys() {
                let name = name.replace("{service}", label);
                labelled.push((name, filled(texts.all(), user, Some(label))));
            }
        } else {
            plain.push((name.clone(), filled(texts.all(), user, None)));
        }
    }
    plain.extend(labelled);
    plain
}

fn filled(templates: &[String], user: &User, service: Option<&str>) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for template in templates {
        for value in fill(template, user, service) {
            if !value.is_empty() && !values.contains(&value) {
                values.push(value);
            }
        }
    }
    values
}

/// A template that is nothing but a field has all its values; any other one has the first, and
/// none at all where a field is missing.
fn fill(template: &str, user: &User, service: Option<&str>) -> Vec<String> {
    let parts = parts(template);
    if let [Part::Field(name)] = parts.as_slice() {
        return values_of(user, name, service);
    }
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(fixed) => text.push_str(fixed),
            Part::Field(name) => match values_of(user, name, service).into_iter().next() {
                Some(value) => text.push_str(&value),
                None => return Vec::new(),
            },
        }
    }
    vec![text]
}

enum Part<'a> {
    Text(&'a str),
    Field(&'a str),
}

fn parts(template: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, after)) = behind.split_once('}') else { break };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Field(name));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

fn values_of(user: &User, name: &str, service: Option<&str>) -> Vec<String> {
    let one = |text: Option<&str>| text.map(ToOwned::to_owned).into_iter().collect();
    match name {
        "username" => vec![user.username.to_string()],
        "display_name" => one(user.display_name.as_deref()),
        "email" => one(user.emails.first().map(String::as_str)),
        "emails" => user.emails.clone(),
        "groups" => user.groups.iter().map(ToString::to_string).collect(),
        "unit" => one(user.unit.as_deref()),
        "service" => one(service),
        // As voPersonStatus has it.
        "status" => vec![
            match user.status {
                UserStatus::Active => "Active",
                UserStatus::Suspended => "Suspended",
                UserStatus::Expired => "Expired",
            }
            .to_owned(),
        ],
        other => match other.strip_prefix("attributes.").and_then(|key| user.attributes.get(key)) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
            }
            Some(Value::Number(number)) => vec![number.to_string()],
            Some(Value::Bool(flag)) => vec![flag.to_string().to_uppercase()],
            _ => Vec::new(),
        },
    }
}
