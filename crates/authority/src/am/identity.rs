//! Whom a policy speaks of: the subject of a request, and how policies name people and groups.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document::BadDocument;
use crate::names::{GroupName, Username};

/// Subjects and conditions inside each other at most.
pub(super) const DEPTH_MAX: usize = 16;
/// Values of one subject or condition at most.
pub(super) const VALUES_MAX: usize = 256;

/// On whose behalf a decision is asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asker {
    /// Their name, if they have one here.
    pub uid: Option<String>,
    /// The groups they are in.
    pub groups: Vec<String>,
    /// Whether a session or key of theirs was proved.
    pub is_authenticated: bool,
    /// Whether that name is a client's and not a person's.
    pub is_client: bool,
    /// What a JWT or the request says of them. Nobody has verified it but who asks.
    pub claims: Map<String, Value>,
}

/// The person that a decision about a token is about: its owner.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Their name.
    pub username: &'a str,
    /// The groups they are in.
    pub groups: &'a [GroupName],
}

/// Whom a policy speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Subject {
    /// Whoever has proved who they are.
    AuthenticatedUsers {},
    /// These people, and whoever is in these groups.
    Identity {
        /// Names, or AM's universal ids.
        #[serde(rename = "subjectValues", default)]
        values: Vec<String>,
    },
    /// Whoever's claim has this value.
    JwtClaim {
        /// The claim.
        #[serde(rename = "claimName")]
        name: String,
        /// Its value.
        #[serde(rename = "claimValue")]
        value: String,
    },
    /// Nobody.
    #[default]
    #[serde(rename = "NONE")]
    Nobody,
    /// Whomever the other does not speak of.
    #[serde(rename = "NOT")]
    Not {
        /// The other.
        subject: Box<Subject>,
    },
    /// Whomever all of them speak of.
    #[serde(rename = "AND")]
    All {
        /// The others.
        subjects: Vec<Subject>,
    },
    /// Whomever any of them speaks of.
    #[serde(rename = "OR")]
    Any {
        /// The others.
        subjects: Vec<Subject>,
    },
}

impl Subject {
    /// Refuses one that is too deep or too long.
    ///
    /// # Errors
    ///
    /// [`BadDocument`] of the field `subject`.
    pub fn check(&self, depth: usize) -> Result<(), BadDocument> {
        let bad = |why: &str| Err(BadDocument::new("subject", why));
        if depth > DEPTH_MAX {
            return bad("is nested too deeply");
        }
        match self {
            Self::Identity { values } if values.is_empty() || values.len() > VALUES_MAX => {
                bad("subjectValues is empty or too long")
            }
            Self::JwtClaim { name, .. } if name.is_empty() => bad("claimName is empty"),
            Self::AuthenticatedUsers {}
            | Self::Nobody
            | Self::Identity { .. }
            | Self::JwtClaim { .. } => Ok(()),
            Self::Not { subject } => subject.check(depth + 1),
            Self::All { subjects } | Self::Any { subjects } => {
                if subjects.is_empty() || subjects.len() > VALUES_MAX {
                    return bad("subjects is empty or too long");
                }
                subjects.iter().try_for_each(|subject| subject.check(depth + 1))
            }
        }
    }

    /// Whether it speaks of the asker.
    pub fn holds(&self, asker: &Asker) -> bool {
        match self {
            Self::AuthenticatedUsers {} => asker.is_authenticated,
            // A name that somebody merely claims is nobody's.
            Self::Identity { values } => {
                let groups: Vec<&str> = asker.groups.iter().map(String::as_str).collect();
                asker.is_authenticated
                    && values.iter().any(|value| names(value, asker.uid.as_deref(), &groups))
            }
            Self::JwtClaim { name, value } => match asker.claims.get(name) {
                Some(Value::String(text)) => text == value,
                Some(Value::Array(texts)) => texts.iter().any(|text| text == value.as_str()),
                Some(Value::Bool(flag)) => flag.to_string() == *value,
                Some(Value::Number(number)) => number.to_string() == *value,
                _ => false,
            },
            Self::Nobody => false,
            Self::Not { subject } => !subject.holds(asker),
            Self::All { subjects } => subjects.iter().all(|subject| subject.holds(asker)),
            Self::Any { subjects } => subjects.iter().any(|subject| subject.holds(asker)),
        }
    }

    /// What AM's documents call it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AuthenticatedUsers {} => "AuthenticatedUsers",
            Self::Identity { .. } => "Identity",
            Self::JwtClaim { .. } => "JwtClaim",
            Self::Nobody => "NONE",
            Self::Not { .. } => "NOT",
            Self::All { .. } => "AND",
            Self::Any { .. } => "OR",
        }
    }
}

/// Whether a value of a policy names this person or one of their groups: a plain name, or a
/// universal id such as `id=alice,ou=user,o=main,ou=services,dc=example`.
pub(super) fn names(value: &str, uid: Option<&str>, groups: &[&str]) -> bool {
    let is_uid = |name: &str| {
        let canonical = Username::parse(name).ok();
        uid.is_some_and(|uid| canonical.as_ref().map_or(name, Username::as_str) == uid)
    };
    let is_group = |name: &str| {
        let canonical = GroupName::parse(name).ok();
        let name = canonical.as_ref().map_or(name, GroupName::as_str);
        groups.contains(&name)
    };
    let Some(id) = value.strip_prefix("id=") else { return is_uid(value) || is_group(value) };
    let (name, rest) = id.split_once(',').unwrap_or((id, ""));
    match rest.split(',').next().unwrap_or_default() {
        "ou=group" => is_group(name),
        _ => is_uid(name),
    }
}
