//! What a repository tells of its tokens, and how that is read: one reading for every driver.
//!
//! The names are those of the protocol (docs/reference/counterfoil-repo-1.md). Rows of a database
//! use the same ones; case and underscores do not count there, because databases change them.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Capabilities, Capability};
use crate::clock::{DayEdge, Timestamp};
use crate::names::{RealmName, ServiceLabel};
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::service::Services;

/// The protocol that an HTTP repository speaks.
pub const PROTOCOL: &str = "counterfoil-repo/1";
/// Bytes of an id at most.
const ID_BYTES_MAX: usize = 128;
/// Bytes of a person's name, a version or a cursor at most.
const TEXT_BYTES_MAX: usize = 512;
/// Entries of a list in a record at most.
const LIST_MAX: usize = 64;
/// Attributes of a token at most; there are two dozen.
const ATTRIBUTES_MAX: usize = 64;

/// The attributes that a token of a repository can have, as the Airlock model names them. What is
/// read here is what is written back with a change: a limit that was left out would be lifted.
const ATTRIBUTES: [&str; 22] = [
    "serialId",
    "validFrom",
    "validTo",
    "generationDate",
    "activationDate",
    "firstUsageDate",
    "latestUsageDate",
    "totalUsages",
    "maxUsages",
    "trackingId",
    "genericDataElement1",
    "genericDataElement2",
    "genericDataElement3",
    "genericDataElement4",
    "genericDataElement5",
    "genericDataElement6",
    "genericDataElement7",
    "genericDataElement8",
    "genericDataElement9",
    "genericDataElement10",
    "genericDataElement11",
    "genericDataElement12",
];

/// The name of a token in its repository: 1 to 128 bytes without control characters.
///
/// Invariant: as said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignId(Arc<str>);

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 128 bytes and no control characters")]
pub struct BadForeignId;

impl ForeignId {
    /// Recognises an id.
    pub fn parse(text: &str) -> Result<Self, BadForeignId> {
        let shaped = (1..=ID_BYTES_MAX).contains(&text.len());
        let plain = !text.chars().any(|c| c.is_control() || crate::text::is_hidden(c));
        if shaped && plain { Ok(Self(text.into())) } else { Err(BadForeignId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id under which the token is known here: made from its place and name, so that it is
    /// the same on every node and after every restart.
    pub fn token_id(&self, realm: &RealmName, repository: &str) -> TokenId {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"counterfoil repository 1");
        for part in [realm.as_str(), repository, self.as_str()] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        TokenId::of_digest(context.finish().as_ref())
    }
}

impl std::fmt::Display for ForeignId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A field of what was told makes no sense. Names the field, and shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field {0} cannot be read")]
pub struct BadRecord(pub &'static str);

/// A token as verify needs it, told by its repository.
#[derive(Clone)]
pub struct VerifyRecord {
    /// Its id there.
    pub id: ForeignId,
    /// Whose it is; nobody's tokens open nothing.
    pub user: Option<String>,
    /// The hash of its secret, for [`super::Proof`]. `None` after a delegated comparison.
    pub hash: Option<Zeroizing<String>>,
    /// Switched on. Absent: it is.
    pub enabled: bool,
    /// Locked.
    pub locked: bool,
    /// Revoked for good.
    pub revoked: bool,
    /// From when it counts.
    pub valid_from: Option<Timestamp>,
    /// Until when it counts.
    pub valid_to: Option<Timestamp>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Uses allowed in all.
    pub max_usages: Option<u64>,
    /// What it is good for, among what the repository may speak for. `None`: all of that.
    pub services: Option<Services>,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
    /// Networks it may be used from; empty: any.
    pub networks: Vec<ipnet::IpNet>,
    /// Finer permissions, as JSON text.
    pub permissions: Option<String>,
}

impl std::fmt::Debug for VerifyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyRecord").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A token as it is managed.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignToken {
    /// Its id there.
    pub id: ForeignId,
    /// Changes with each change, if the repository tells.
    pub version: Option<String>,
    /// Whose it is.
    pub user: Option<String>,
    /// Switched on.
    pub enabled: bool,
    /// Revoked for good.
    pub revoked: bool,
    /// Its other attributes, under the names of the Airlock model.
    pub attributes: BTreeMap<String, Value>,
}

/// A token to add.
#[derive(Clone)]
pub struct ForeignDraft {
    /// For whom; `None`: for the stock.
    pub user: Option<String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, Value>,
    /// The public part of its secret, where the repository is asked by it.
    pub selector: Option<String>,
    /// The hash of its secret. The secret itself never leaves.
    pub hash: Option<Zeroizing<String>>,
    /// The same for a repetition of the same request.
    pub idempotency_key: String,
}

impl std::fmt::Debug for ForeignDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignDraft").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What is to change of a token: attributes by name, null clears.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ForeignChange {
    /// The attributes.
    pub attributes: BTreeMap<String, Value>,
}

/// Which tokens to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Those of this person.
    pub user: Option<String>,
    /// Attributes and the text that each has.
    pub filter: Vec<(String, String)>,
    /// Attributes in whose order; true: descending.
    pub sort: Vec<(String, bool)>,
    /// So many at most.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// A page of tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ForeignPage {
    /// The tokens.
    pub tokens: Vec<ForeignToken>,
    /// Where the next one begins; `None`: this is the last.
    pub next: Option<String>,
}

/// What a repository says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is, for people.
    pub software: String,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// The fields of one object, by names in which case and underscores do not count.
struct Fields<'a>(&'a Map<String, Value>);

fn same_name(a: &str, b: &str) -> bool {
    let plain = |text: &'_ str| {
        text.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    plain(a) == plain(b)
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, what: &'static str) -> Result<Self, BadRecord> {
        value.as_object().map(Self).ok_or(BadRecord(what))
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        let exact = self.0.get(name);
        let found = exact.or_else(|| {
            self.0.iter().find(|(known, _)| same_name(known, name)).map(|(_, value)| value)
        });
        found.filter(|value| !value.is_null())
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, BadRecord> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| text.len() <= TEXT_BYTES_MAX);
        text.map(Some).ok_or(BadRecord(name))
    }

    /// Databases without booleans have 0 and 1.
    fn flag(&self, name: &'static str, absent: bool) -> Result<bool, BadRecord> {
        match self.find(name) {
            None => Ok(absent),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => match value.as_i64() {
                Some(0) => Ok(false),
                Some(1) => Ok(true),
                _ => Err(BadRecord(name)),
            },
        }
    }

    fn time(&self, name: &'static str) -> Result<Option<Timestamp>, BadRecord> {
        self.find(name).map(|value| instant(value).ok_or(BadRecord(name))).transpose()
    }

    /// A list, or a text whose words are one.
    fn list(&self, name: &'static str) -> Result<Vec<&'a str>, BadRecord> {
        let words = match self.find(name) {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) => text.split([' ', ',']).filter(|w| !w.is_empty()).collect(),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().ok_or(BadRecord(name)))
                .collect::<Result<Vec<_>, _>>()?,
            Some(_) => return Err(BadRecord(name)),
        };
        if words.len() > LIST_MAX { Err(BadRecord(name)) } else { Ok(words) }
    }

    /// An id may be a number where it is a row's.
    fn id(&self) -> Result<ForeignId, BadRecord> {
        let bad = BadRecord("id");
        match self.find("id") {
            Some(Value::String(text)) => ForeignId::parse(text).map_err(|_| bad),
            Some(Value::Number(number)) => ForeignId::parse(&number.to_string()).map_err(|_| bad),
            _ => Err(bad),
        }
    }

    fn user(&self) -> Result<Option<String>, BadRecord> {
        Ok(self.text("user")?.filter(|user| !user.is_empty()).map(str::to_owned))
    }

    fn version(&self) -> Result<Option<String>, BadRecord> {
        match self.find("version") {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            _ => Ok(self.text("version")?.map(str::to_owned)),
        }
    }
}

/// An instant: RFC 3339 with its offset, or seconds since 1970.
pub fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) if text.len() > 10 => {
            Timestamp::parse(text, "UTC", DayEdge::Start).ok()
        }
        Value::Number(number) => number.as_i64().map(Timestamp::from_seconds),
        _ => None,
    }
}

impl VerifyRecord {
    /// Reads what a repository told.
    ///
    /// # Errors
    ///
    /// When a field makes no sense: the whole is no answer then.
    pub fn read(value: &Value) -> Result<Self, BadRecord> {
        let fields = Fields::of(value, "record")?;
        let hash = fields.text("hash")?.map(|text| Zeroizing::new(text.to_owned()));
        let permissions = fields.find("permissions").map(|value| match value {
            Value::String(text) => serde_json::from_str(text).map_err(|_| BadRecord("permissions")),
            other => Ok(other.clone()),
        });
        let permissions = permissions.transpose()?;
        let permissions = permissions
            .map(|value| crate::permission::check(&value).map_err(|_| BadRecord("permissions")));
        let limit =
            fields.find("maxUsages").map(|value| value.as_u64().ok_or(BadRecord("maxUsages")));
        Ok(Self {
            id: fields.id()?,
            user: fields.user()?,
            hash,
            enabled: fields.flag("enabled", true)?,
            locked: fields.flag("locked", false)?,
            revoked: fields.flag("revoked", false)?,
            valid_from: fields.time("validFrom")?,
            valid_to: fields.time("validTo")?,
            created_at: fields.time("generationDate")?,
            max_usages: limit.transpose()?,
            services: services(&fields)?,
            scopes: parsed(&fields, "scopes", |text| Scope::parse(text).ok())?,
            networks: parsed(&fields, "networks", |text| text.parse().ok())?,
            permissions: permissions.transpose()?,
        })
    }
}

fn services(fields: &Fields<'_>) -> Result<Option<Services>, BadRecord> {
    if fields.find("services").is_none() {
        return Ok(None);
    }
    if fields.list("services")? == ["*"] {
        return Ok(Some(Services::All));
    }
    let named = parsed(fields, "services", |text| ServiceLabel::parse(text).ok())?;
    Ok(Some(Services::Named(named)))
}

fn parsed<T>(
    fields: &Fields<'_>,
    name: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, BadRecord> {
    fields.list(name)?.into_iter().map(|text| parse(text).ok_or(BadRecord(name))).collect()
}

impl ForeignToken {
    /// Reads what a repository told: attributes in an object of their own, or beside the id as
    /// columns are. What has no known name is left out, and so is a hash.
    ///
    /// # Errors
    ///
    /// When a field makes no sense.
    pub fn read(value: &Value) -> Result<Self, BadRecord> {
        let fields = Fields::of(value, "token")?;
        let attributes = match fields.find("attributes") {
            Some(value) => Fields::of(value, "attributes")?,
            None => Fields(fields.0),
        };
        if attributes.0.len() > ATTRIBUTES_MAX {
            return Err(BadRecord("attributes"));
        }
        let known = ATTRIBUTES.iter().filter_map(|name| {
            attributes.find(name).map(|value| ((*name).to_owned(), value.clone()))
        });
        Ok(Self {
            id: fields.id()?,
            version: fields.version()?,
            user: fields.user()?,
            enabled: fields.flag("enabled", true)?,
            revoked: fields.flag("revoked", false)?,
            attributes: known.collect(),
        })
    }
}

impl ForeignPage {
    /// Reads `{"tokens": [..], "next": ..}`.
    ///
    /// # Errors
    ///
    /// When a token makes no sense, or there are more than were asked for.
    pub fn read(value: &Value, limit: u32) -> Result<Self, BadRecord> {
        let fields = Fields::of(value, "page")?;
        let tokens = fields.find("tokens").and_then(Value::as_array).ok_or(BadRecord("tokens"))?;
        if tokens.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(BadRecord("tokens"));
        }
        let tokens = tokens.iter().map(ForeignToken::read).collect::<Result<_, _>>()?;
        Ok(Self { tokens, next: fields.text("next")?.map(str::to_owned) })
    }
}

impl Descriptor {
    /// Reads a descriptor.
    ///
    /// # Errors
    ///
    /// When it is of another protocol or version, or names a capability that there is not.
    pub fn read(value: &Value) -> Result<Self, BadRecord> {
        let fields = Fields::of(value, "descriptor")?;
        if fields.text("protocol")? != Some(PROTOCOL) {
            return Err(BadRecord("protocol"));
        }
        let names = fields.list("capabilities")?;
        let known = names.into_iter().map(Capability::from_name).collect::<Option<Vec<_>>>();
        let capabilities = Capabilities::of(&known.ok_or(BadRecord("capabilities"))?);
        let software = fields.text("software")?.unwrap_or("unnamed").to_owned();
        Ok(Self { software, capabilities })
    }
}

#[cfg(test)]
mod tests;
