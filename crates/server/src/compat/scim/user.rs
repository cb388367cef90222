//! People as SCIM knows them, and what it says of them as this server keeps it.
//!
//! A person's record holds what the rules need: a name, what to call them, addresses, whether they
//! count. What a provider says beyond that is kept beside it as it was said, so that it reads back
//! what it wrote; what was changed here since wins over it.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_authority::authority::{UserDraft, UserEdit};
use counterfoil_authority::names::Username;
use counterfoil_authority::subject::{Provisioned, User, UserStatus};
use serde_json::{Map, Value};

use super::fault::Fault;
use crate::http::wire::{ATTRIBUTES_BYTES_MAX, Email, Line, Word as _};

/// What a provider wants a person to be.
pub(super) struct Wanted {
    username: Username,
    display_name: Option<String>,
    emails: Vec<String>,
    /// Whether they are to count; `None`: it was not said.
    active: Option<bool>,
    provisioned: Provisioned,
}

impl Wanted {
    /// Reads what is wanted out of a resource that the table has been through.
    pub(super) fn of(mut resource: Map<String, Value>) -> Result<Self, Fault> {
        let name = resource.get("userName").and_then(Value::as_str);
        let name = name.ok_or_else(|| Fault::value("userName", "is missing"))?;
        let username = Username::parse(name).map_err(|why| Fault::value("userName", why))?;
        let external_id = taken(&mut resource, "externalId");
        let active = resource.remove("active").and_then(|active| active.as_bool());
        let emails = addresses(&resource);
        for email in &emails {
            Email::read(email).map_err(|why| Fault::value("emails", why))?;
        }
        let display_name = called(&resource);
        if let Some(name) = &display_name {
            Line::read(name).map_err(|why| Fault::value("displayName", why))?;
        }
        fits(&resource, ATTRIBUTES_BYTES_MAX)?;
        let attributes: BTreeMap<String, Value> = resource.into_iter().collect();
        let provisioned = Provisioned { external_id, attributes };
        Ok(Self { username, display_name, emails, active, provisioned })
    }

    /// As somebody new.
    pub(super) fn draft(self) -> UserDraft {
        UserDraft {
            username: self.username,
            display_name: self.display_name,
            emails: self.emails,
            attributes: BTreeMap::new(),
            status: status(self.active.unwrap_or(true)),
            unit: None,
            provisioned: self.provisioned,
        }
    }

    /// Whether it is said that they do not count.
    pub(super) fn is_to_rest(&self) -> bool {
        self.active == Some(false)
    }

    /// As a change of somebody, and of no later namesake; `None` if they are so already.
    pub(super) fn edit(self, user: &User) -> Result<Option<UserEdit>, Fault> {
        if self.username != user.username {
            let why = "a person keeps the name that they were made with";
            return Err(Fault::mutability("userName", why));
        }
        let active = self.active.filter(|active| *active != is_active(user));
        let edit = UserEdit {
            display_name: (self.display_name != user.display_name).then_some(self.display_name),
            emails: (self.emails != user.emails).then_some(self.emails),
            status: active.map(status),
            provisioned: (self.provisioned != user.provisioned).then_some(self.provisioned),
            created_at: Some(user.created_at),
            ..UserEdit::default()
        };
        let is_nothing = edit.display_name.is_none()
            && edit.emails.is_none()
            && edit.status.is_none()
            && edit.provisioned.is_none();
        Ok((!is_nothing).then_some(edit))
    }
}

/// Refuses more than is kept of one person.
fn fits(resource: &Map<String, Value>, most: usize) -> Result<(), Fault> {
    let length = serde_json::to_string(resource).map_or(usize::MAX, |text| text.len());
    if length > most {
        let why = format!("what is said of one person has at most {ATTRIBUTES_BYTES_MAX} bytes");
        return Err(Fault::value("User", why));
    }
    Ok(())
}

/// Refuses what has grown too large between two changes of one request: the next one goes through
/// all of it. Twice as much as is kept may stand there, because what is said in another place, and
/// what a later change takes out, counts here, too.
pub(super) fn fits_meanwhile(resource: &Map<String, Value>) -> Result<(), Fault> {
    fits(resource, 2 * ATTRIBUTES_BYTES_MAX)
}

fn status(active: bool) -> UserStatus {
    if active { UserStatus::Active } else { UserStatus::Suspended }
}

fn is_active(user: &User) -> bool {
    user.status == UserStatus::Active
}

fn taken(resource: &mut Map<String, Value>, name: &str) -> Option<String> {
    match resource.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// A person as a provider may write them: without what only the server says.
pub(super) fn resource_of(user: &User) -> Map<String, Value> {
    let kept = &user.provisioned.attributes;
    let mut resource: Map<String, Value> =
        kept.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let said = kept.get("userName").and_then(Value::as_str);
    let same = said.is_some_and(|said| Username::parse(said).as_ref() == Ok(&user.username));
    if !same {
        resource.insert("userName".to_owned(), user.username.as_str().into());
    }
    if let Some(id) = &user.provisioned.external_id {
        resource.insert("externalId".to_owned(), id.as_str().into());
    }
    resource.insert("active".to_owned(), is_active(user).into());
    if called(&resource) != user.display_name {
        match &user.display_name {
            Some(name) => drop(resource.insert("displayName".to_owned(), name.as_str().into())),
            None => drop(resource.remove("displayName")),
        }
    }
    if addresses(&resource) != user.emails {
        let emails = emails_now(&resource, &user.emails);
        resource.insert("emails".to_owned(), emails);
    }
    resource
}

/// The addresses as they stand, each as it was said where it was.
fn emails_now(resource: &Map<String, Value>, addresses: &[String]) -> Value {
    let said = resource.get("emails").and_then(Value::as_array);
    let each = addresses.iter().enumerate().map(|(index, address)| {
        let found = said.into_iter().flatten().find(|one| address_of(one) == Some(address));
        let mut parts = found.and_then(Value::as_object).cloned().unwrap_or_default();
        parts.insert("value".to_owned(), address.as_str().into());
        parts.insert("primary".to_owned(), (index == 0).into());
        Value::Object(parts)
    });
    each.collect()
}

fn address_of(email: &Value) -> Option<&str> {
    email.get("value").and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The addresses of a resource, the one to write to first, each once.
fn addresses(resource: &Map<String, Value>) -> Vec<String> {
    let said = resource.get("emails").and_then(Value::as_array);
    let said: Vec<&Value> = said.into_iter().flatten().collect();
    let (first, rest): (Vec<_>, Vec<_>) =
        said.into_iter().partition(|email| super::values::is_primary(email));
    let mut seen = BTreeSet::new();
    let all = first.into_iter().chain(rest).filter_map(address_of);
    all.filter(|address| seen.insert(*address)).map(str::to_owned).collect()
}

/// What to call somebody: as it is said, or from the parts of the name.
fn called(resource: &Map<String, Value>) -> Option<String> {
    let text = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let part = |name: &str| text(resource.get("name").and_then(|parts| parts.get(name)));
    text(resource.get("displayName")).or_else(|| part("formatted")).or_else(|| {
        let both = [part("givenName"), part("familyName")];
        let both: Vec<String> = both.into_iter().flatten().collect();
        (!both.is_empty()).then(|| both.join(" "))
    })
}
