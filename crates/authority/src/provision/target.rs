//! Targets: where things are brought, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Owned;
use super::letter::LetterTemplate;
use super::scheme::Scheme;
use crate::clock::Timestamp;
use crate::names::{RealmName, TargetName};

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// An attribute of entries that somebody else keeps in an LDAP directory.
    Ldap,
    /// Whole entries in an LDAP directory.
    Entry,
    /// Records of personal access tokens on an attribute of entries that somebody else keeps.
    ProfileAttribute,
    /// A program that is told of events by HTTP.
    Webhook,
    /// People, who are told of their own tokens by mail.
    Mail,
}

/// Every kind of target.
pub const TARGET_KINDS: [TargetKind; 5] = [
    TargetKind::Ldap,
    TargetKind::Entry,
    TargetKind::ProfileAttribute,
    TargetKind::Webhook,
    TargetKind::Mail,
];

impl TargetKind {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
            Self::Entry => "entry",
            Self::ProfileAttribute => "profile_attribute",
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        TARGET_KINDS.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is told of events, each on its own, instead of being brought to a state.
    pub const fn takes_messages(self) -> bool {
        matches!(self, Self::Webhook | Self::Mail)
    }
}

/// When a target is brought up to date (COmanage's A, E, M, Q, QE, X).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetMode {
    /// With every change.
    Automatic,
    /// When somebody arrives or a token is issued.
    Enrollment,
    /// When somebody asks for it.
    Manual,
    /// With every change. Here everything goes through a queue, so it is the same as automatic.
    Queue,
    /// The same.
    QueueOnError,
    /// Never.
    Disabled,
}

/// Every mode.
pub const TARGET_MODES: [TargetMode; 6] = [
    TargetMode::Automatic,
    TargetMode::Enrollment,
    TargetMode::Manual,
    TargetMode::Queue,
    TargetMode::QueueOnError,
    TargetMode::Disabled,
];

impl TargetMode {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Enrollment => "enrollment",
            Self::Manual => "manual",
            Self::Queue => "queue",
            Self::QueueOnError => "queue_on_error",
            Self::Disabled => "disabled",
        }
    }

    /// The mode of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        TARGET_MODES.into_iter().find(|mode| mode.name() == name)
    }
}

/// What becomes of an entry when its person is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The entry goes.
    #[default]
    Entry,
    /// The entry stays, without what was written there.
    Attributes,
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Texts {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// How a target is reached and what it holds. Which fields count depends on its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    /// `ldap://`, `ldaps://`, or for a webhook `https://`.
    pub url: String,
    /// Whether `ldap://` becomes TLS before anything is said; absent: unless on loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_tls: Option<bool>,
    /// A file with certificates of the authorities to trust, instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// As whom to bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_dn: Option<String>,
    /// Where people are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_dn: Option<String>,
    /// How a person is found below it; absent: `(uid={username})`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_filter: Option<String>,
    /// Where hashes go: `voPersonApplicationPassword` or `userPassword`; of a profile attribute its
    /// name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// Schemes of the hashes; each one is written.
    pub schemes: Vec<Scheme>,
    /// The services it is for; absent: all of the realm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// Services it was for earlier: their values are still taken away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub former_services: Vec<String>,
    /// The distinguished name of an entry, with `{username}` or `{attributes.name}` in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dn: Option<String>,
    /// Object classes of an entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub object_classes: Vec<String>,
    /// Attributes of an entry, by their names, as templates. `{service}` in a name stands for each
    /// service of which the person has a token.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Texts>,
    /// What becomes of an entry when its person is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
    /// Kinds of events that a webhook or a person is told of; empty: all that record a change, and
    /// of a person's those of [`super::letter::LETTER_EVENTS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The realm's own words for letters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<LetterTemplate>,
    /// Failed attempts after which a delivery is dead, where the target answered; absent: 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u32>,
    /// Milliseconds within which the target has to answer; absent: 10 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
}

impl TargetConfig {
    /// Whether the target is for this service.
    pub fn is_for(&self, label: &str) -> bool {
        self.services.as_ref().is_none_or(|named| named.iter().any(|one| one == label))
    }

    /// Which labels' values are ours to take away.
    pub fn owned(&self) -> Owned {
        match &self.services {
            None => Owned::All,
            Some(named) => {
                Owned::These(named.iter().chain(&self.former_services).cloned().collect())
            }
        }
    }
}

/// A system that is brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The realm it belongs to.
    pub realm: RealmName,
    /// Its name, unique in the realm.
    pub name: TargetName,
    /// What it is.
    pub kind: TargetKind,
    /// When it is brought up to date.
    pub mode: TargetMode,
    /// Its place among the targets: lower ones first, and last when something is removed.
    pub order: i64,
    /// How it is reached.
    pub config: TargetConfig,
    /// The password to bind with, or the key that signs; sealed.
    pub secret: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Rises by one with each change; the `ETag`.
    pub version: i64,
}

impl Target {
    /// What its secret is sealed to.
    pub fn secret_row(&self) -> String {
        format!("target {} {}", self.realm, self.name)
    }
}
