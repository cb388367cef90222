//! What administrators write: resource types, policy sets and policies, in the fields of AM's own
//! documents, so that what a tool stores is what it reads again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::identity::Subject;
use super::resource::{PAT, Pattern};
use crate::clock::Timestamp;
use crate::names::{RealmName, ServiceLabel};

/// Documents in one realm at most: all of them are kept compiled in memory.
pub const OBJECTS_PER_REALM_MAX: u32 = 10_000;
/// Characters of a name at most.
const NAME_LEN_MAX: usize = 255;
/// Characters of a description at most.
const DESCRIPTION_LEN_MAX: usize = 2048;
/// Patterns, resources, actions and attributes of one document at most.
const ITEMS_MAX: usize = 256;
/// What a name must not hold, in AM's own list.
const NAME_FORBIDS: &[char] = &['"', '+', ',', '<', '=', '>', '\\', '/', ';', '\0'];

/// Which sort of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AmKind {
    /// Patterns and actions that policies may use.
    ResourceType,
    /// A group of policies; AM's "application".
    PolicySet,
    /// Who may do what, when.
    Policy,
}

impl AmKind {
    /// The name in the store and in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResourceType => "resource-type",
            Self::PolicySet => "policy-set",
            Self::Policy => "policy",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ResourceType, Self::PolicySet, Self::Policy].into_iter().find(|k| k.name() == name)
    }
}

/// A field of a document that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct BadDocument {
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

impl BadDocument {
    /// A field, and what is wrong with it.
    pub fn new(field: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self { field: field.into(), why: why.to_string() }
    }
}

/// Patterns and actions that policies may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceType {
    /// Its name, unique in the realm; what others name is its id.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the resources of its policies must look like.
    pub patterns: Vec<String>,
    /// Its actions, each with the value that a new policy gives it.
    pub actions: BTreeMap<String, bool>,
}

/// A group of policies; AM's "application".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySet {
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The ids of the resource types that its policies may use.
    pub resource_type_uuids: Vec<String>,
    /// The one service that tokens presented here must be good for. `None`: any of the
    /// evaluator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl PolicySet {
    /// The service it is tied to.
    pub fn service_label(&self) -> Option<ServiceLabel> {
        self.service.as_deref().and_then(|label| ServiceLabel::parse(label).ok())
    }
}

/// Who may do what with which resources, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Whether it counts.
    pub active: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The policy set it belongs to.
    pub application_name: String,
    /// The id of its resource type.
    pub resource_type_uuid: String,
    /// The resources it speaks of, canonical, wildcards included.
    pub resources: Vec<String>,
    /// What it says of each action.
    pub action_values: BTreeMap<String, bool>,
    /// Whom it speaks of.
    #[serde(default)]
    pub subject: Subject,
    /// When it counts; `None`: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// What a decision tells beside the actions.
    #[serde(default)]
    pub resource_attributes: Vec<ResponseAttribute>,
}

/// Where the values of a response attribute come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeKind {
    /// The policy names them.
    Static,
    /// They are the person's.
    User,
}

/// Something that a decision tells beside the actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResponseAttribute {
    /// Where the values come from.
    #[serde(rename = "type")]
    pub kind: AttributeKind,
    /// Its name.
    pub property_name: String,
    /// The values of a static one.
    #[serde(default)]
    pub property_values: Vec<String>,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AmDocument {
    /// A resource type; its key is its id.
    ResourceType(ResourceType),
    /// A policy set; its key is its name.
    PolicySet(PolicySet),
    /// A policy; its key is its name.
    Policy(Policy),
}

impl AmDocument {
    /// Its sort.
    pub const fn kind(&self) -> AmKind {
        match self {
            Self::ResourceType(_) => AmKind::ResourceType,
            Self::PolicySet(_) => AmKind::PolicySet,
            Self::Policy(_) => AmKind::Policy,
        }
    }

    /// The policy set it belongs to.
    pub fn policy_set(&self) -> Option<&str> {
        match self {
            Self::Policy(policy) => Some(&policy.application_name),
            _ => None,
        }
    }

    /// The resource types that it names.
    pub fn resource_types(&self) -> &[String] {
        match self {
            Self::Policy(policy) => std::slice::from_ref(&policy.resource_type_uuid),
            Self::PolicySet(set) => &set.resource_type_uuids,
            Self::ResourceType(_) => &[],
        }
    }

    /// As JSON, for the store.
    ///
    /// # Errors
    ///
    /// Never, for these types; the signature is that of the library.
    pub fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::ResourceType(document) => serde_json::to_string(document),
            Self::PolicySet(document) => serde_json::to_string(document),
            Self::Policy(document) => serde_json::to_string(document),
        }
    }

    /// From the JSON of the store.
    ///
    /// # Errors
    ///
    /// If it is no document of that kind.
    pub fn from_json(kind: AmKind, text: &str) -> serde_json::Result<Self> {
        Ok(match kind {
            AmKind::ResourceType => Self::ResourceType(serde_json::from_str(text)?),
            AmKind::PolicySet => Self::PolicySet(serde_json::from_str(text)?),
            AmKind::Policy => Self::Policy(serde_json::from_str(text)?),
        })
    }
}

/// A document with its key and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmObject {
    /// The tenant.
    pub realm: RealmName,
    /// Its key: the id of a resource type, the name of a policy set or policy.
    pub name: String,
    /// What it says.
    pub document: AmDocument,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it, as an actor name.
    pub created_by: String,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who changed it.
    pub updated_by: String,
    /// Rises by one with each change; 0 for a built-in one that nobody changed.
    pub version: i64,
}

impl AmObject {
    /// Its sort.
    pub const fn kind(&self) -> AmKind {
        self.document.kind()
    }

    /// The policy, if it is one.
    pub const fn policy(&self) -> Option<&Policy> {
        match &self.document {
            AmDocument::Policy(policy) => Some(policy),
            _ => None,
        }
    }

    /// The policy set, if it is one.
    pub const fn policy_set(&self) -> Option<&PolicySet> {
        match &self.document {
            AmDocument::PolicySet(set) => Some(set),
            _ => None,
        }
    }

    /// The resource type, if it is one.
    pub const fn resource_type(&self) -> Option<&ResourceType> {
        match &self.document {
            AmDocument::ResourceType(sort) => Some(sort),
            _ => None,
        }
    }
}

/// Refuses a name that AM would refuse.
///
/// # Errors
///
/// [`BadDocument`] of the field `name`.
pub fn check_name(name: &str) -> Result<(), BadDocument> {
    let odd = name.contains(NAME_FORBIDS) || name.chars().any(char::is_control);
    if name.trim().is_empty() || name.chars().count() > NAME_LEN_MAX {
        return Err(BadDocument::new("name", format!("has 1 to {NAME_LEN_MAX} characters")));
    }
    if odd || name.trim() != name {
        let why = "holds none of \" + , < = > \\ / ; and no spaces at its ends";
        return Err(BadDocument::new("name", why));
    }
    Ok(())
}

fn check_text(field: &str, text: Option<&String>) -> Result<(), BadDocument> {
    if text.is_some_and(|text| text.chars().count() > DESCRIPTION_LEN_MAX) {
        let why = format!("has at most {DESCRIPTION_LEN_MAX} characters");
        return Err(BadDocument::new(field, why));
    }
    Ok(())
}

fn check_count(field: &str, count: usize, least: usize) -> Result<(), BadDocument> {
    if (least..=ITEMS_MAX).contains(&count) {
        Ok(())
    } else {
        Err(BadDocument::new(field, format!("takes {least} to {ITEMS_MAX} of them")))
    }
}

/// The patterns in their canonical form, each once.
fn canonical(field: &str, patterns: &[String]) -> Result<Vec<String>, BadDocument> {
    let mut seen = BTreeSet::new();
    let mut canonical = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        if pattern.is_empty() || pattern.len() > super::resource::RESOURCE_BYTES_MAX {
            return Err(BadDocument::new(field, "a resource is neither empty nor that long"));
        }
        let parsed = Pattern::parse(pattern).map_err(|bad| BadDocument::new(field, bad))?;
        if seen.insert(parsed.canonical().to_owned()) {
            canonical.push(parsed.canonical().to_owned());
        }
    }
    Ok(canonical)
}

impl ResourceType {
    /// The same with canonical patterns.
    ///
    /// # Errors
    ///
    /// [`BadDocument`].
    pub fn checked(mut self) -> Result<Self, BadDocument> {
        check_name(&self.name)?;
        check_text("description", self.description.as_ref())?;
        check_count("patterns", self.patterns.len(), 1)?;
        check_count("actions", self.actions.len(), 1)?;
        check_actions("actions", &self.actions)?;
        // A resource type is kept as it is written; only what is no pattern is refused.
        canonical("patterns", &self.patterns)?;
        self.patterns.dedup();
        Ok(self)
    }

    /// Whether it is one of personal access tokens: only its policies speak of them.
    pub fn is_of_pats(&self) -> bool {
        let parsed = self.patterns.iter().filter_map(|pattern| Pattern::parse(pattern).ok());
        parsed.into_iter().any(|pattern| pattern.names_scheme(PAT))
    }

    fn covers(&self, resource: &str) -> bool {
        let Ok(resource) = Pattern::parse(resource) else { return false };
        // What is wider than tokens says nothing of them, so nobody should believe it did.
        if resource.names_scheme(PAT) && !self.is_of_pats() {
            return false;
        }
        let mut parsed = self.patterns.iter().filter_map(|pattern| Pattern::parse(pattern).ok());
        parsed.any(|pattern| pattern.covers(&resource))
    }
}

fn check_actions(field: &str, actions: &BTreeMap<String, bool>) -> Result<(), BadDocument> {
    let odd = |name: &String| name.is_empty() || name.chars().count() > NAME_LEN_MAX;
    match actions.keys().find(|name| odd(name)) {
        Some(_) => Err(BadDocument::new(field, "a name of an action is empty or too long")),
        None => Ok(()),
    }
}

impl PolicySet {
    /// The same, if it makes sense.
    ///
    /// # Errors
    ///
    /// [`BadDocument`].
    pub fn checked(self) -> Result<Self, BadDocument> {
        check_text("displayName", self.display_name.as_ref())?;
        check_text("description", self.description.as_ref())?;
        check_count("resourceTypeUuids", self.resource_type_uuids.len(), 1)?;
        if let Some(service) = &self.service {
            ServiceLabel::parse(service).map_err(|bad| BadDocument::new("service", bad))?;
        }
        Ok(self)
    }
}

impl Policy {
    /// The same with canonical resources, if it fits its resource type.
    ///
    /// # Errors
    ///
    /// [`BadDocument`].
    pub fn checked(mut self, resource_type: &ResourceType) -> Result<Self, BadDocument> {
        check_text("description", self.description.as_ref())?;
        check_count("resources", self.resources.len(), 1)?;
        check_count("actionValues", self.action_values.len(), 0)?;
        check_count("resourceAttributes", self.resource_attributes.len(), 0)?;
        self.resources = canonical("resources", &self.resources)?;
        if let Some(odd) = self.resources.iter().find(|r| !resource_type.covers(r)) {
            let why = format!("{odd} fits no pattern of the resource type {}", resource_type.name);
            return Err(BadDocument::new("resources", why));
        }
        let known = |action: &&String| !resource_type.actions.contains_key(*action);
        if let Some(action) = self.action_values.keys().find(known) {
            let why = format!("{action} is no action of the resource type {}", resource_type.name);
            return Err(BadDocument::new("actionValues", why));
        }
        self.subject.check(0)?;
        if let Some(condition) = &self.condition {
            condition.check(0)?;
        }
        Ok(self)
    }
}
