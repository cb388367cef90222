//! Who holds tokens: people and machine clients, their groups, units, roles and grants.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::AccessSettings;
use crate::clock::Timestamp;
use crate::lock::Locks;
use crate::names::{ClientName, GroupName, RealmName, ServiceLabel, Username};
use crate::scope::{ApiScope, ApiScopes};
use crate::service::{Service, Viewer};

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A person.
    User(Username),
    /// A machine client; owns its client key.
    Client(ClientName),
}

impl Owner {
    /// The owner's bare name.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) => name.as_str(),
            Self::Client(name) => name.as_str(),
        }
    }

    /// The person, if it is one.
    pub const fn user(&self) -> Option<&Username> {
        match self {
            Self::User(name) => Some(name),
            Self::Client(_) => None,
        }
    }

    /// The letter that tells the two apart in the store and in actor names: `u` or `c`.
    pub const fn letter(&self) -> char {
        match self {
            Self::User(_) => 'u',
            Self::Client(_) => 'c',
        }
    }

    /// `user:alice` or `client:gate`, as events name their actors.
    pub fn actor(&self) -> String {
        match self {
            Self::User(name) => format!("user:{name}"),
            Self::Client(name) => format!("client:{name}"),
        }
    }
}

/// Whether a person may use what is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// Everything of theirs counts.
    Active,
    /// Nothing of theirs counts until they are active again.
    Suspended,
    /// Their affiliation ended; the same effect as suspended.
    Expired,
}

impl UserStatus {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
        }
    }

    /// The status of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Expired].into_iter().find(|s| s.name() == name)
    }
}

/// What an identity provider said of a person or group, beyond what the rules need (RFC 7643): kept
/// so that it reads back what it wrote, and looked at by nothing that decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provisioned {
    /// What the provider calls the record (RFC 7643 section 3.1); not unique, because each provider
    /// has names of its own.
    pub external_id: Option<String>,
    /// Its further attributes, by the names of their schemas.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

impl Provisioned {
    /// Whether a provider calls the record so.
    pub fn is(&self, external_id: &str) -> bool {
        self.external_id.as_deref() == Some(external_id)
    }
}

/// A person of a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The realm they belong to.
    pub realm: RealmName,
    /// Their name, unique in the realm.
    pub username: Username,
    /// What to call them.
    pub display_name: Option<String>,
    /// Their addresses, the first one being the one to write to.
    pub emails: Vec<String>,
    /// Free attributes, for templates and mappings.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// Whether they count.
    pub status: UserStatus,
    /// The unit they belong to.
    pub unit: Option<String>,
    /// Names of the groups they are in; kept by the store, ignored on insert and update.
    pub groups: Vec<GroupName>,
    /// Where their tokens are locked, whenever they were issued.
    pub locks: Locks,
    /// What an identity provider said of them.
    pub provisioned: Provisioned,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Rises by one with each change; the `ETag`.
    pub version: i64,
}

/// A group of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The realm it belongs to.
    pub realm: RealmName,
    /// Its name, unique in the realm.
    pub name: GroupName,
    /// What it is for.
    pub description: Option<String>,
    /// How many people are in it; kept by the store.
    pub members: u64,
    /// Whether people join and leave it by themselves. Said when it is made and never changed; a
    /// group that is open has no roles.
    pub open: bool,
    /// What an identity provider said of it.
    pub provisioned: Provisioned,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it or its membership last changed.
    pub updated_at: Timestamp,
    /// Rises by one with each change of it or of its membership; the `ETag` of SCIM.
    pub version: i64,
}

/// An organisational unit or customer inside a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The realm it belongs to.
    pub realm: RealmName,
    /// Its opaque id.
    pub id: String,
    /// Its name, unique in the realm.
    pub name: String,
    /// Sentinel's customer identifier.
    pub identifier: Option<String>,
    /// The id of the customer in another system.
    pub external_id: Option<String>,
    /// The id of the unit above it.
    pub parent: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Rises by one with each change; the `ETag`.
    pub version: i64,
}

/// A role: a bundle of API scopes with a reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The whole installation.
    Operator,
    /// One realm.
    RealmAdmin,
    /// One unit of a realm.
    UnitAdmin,
    /// One service of a realm.
    ServiceManager,
    /// May ask whether tokens are good for its services.
    Verifier,
    /// Reads everything of a realm.
    Auditor,
}

/// Every role, strongest first.
pub const ROLES: [Role; 6] = [
    Role::Operator,
    Role::RealmAdmin,
    Role::UnitAdmin,
    Role::ServiceManager,
    Role::Verifier,
    Role::Auditor,
];

impl Role {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::RealmAdmin => "realm-admin",
            Self::UnitAdmin => "unit-admin",
            Self::ServiceManager => "service-manager",
            Self::Verifier => "verifier",
            Self::Auditor => "auditor",
        }
    }

    /// The role of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        ROLES.into_iter().find(|role| role.name() == name)
    }

    /// The API scopes that the role carries, inside its reach.
    pub fn scopes(self) -> ApiScopes {
        match self {
            Self::Operator | Self::RealmAdmin => ApiScopes::ALL,
            Self::UnitAdmin => ApiScopes::of(&[
                ApiScope::TokensWrite,
                ApiScope::RegistrationTokensWrite,
                ApiScope::UsersWrite,
                ApiScope::ServicesRead,
            ]),
            Self::ServiceManager => ApiScopes::of(&[
                ApiScope::TokensWrite,
                ApiScope::ServicesWrite,
                ApiScope::UsersRead,
            ]),
            Self::Verifier => ApiScopes::of(&[ApiScope::Verify]),
            Self::Auditor => ApiScopes::of(&[
                ApiScope::TokensRead,
                ApiScope::UsersRead,
                ApiScope::ServicesRead,
                ApiScope::AuditRead,
            ]),
        }
    }
}

/// Bounds on what a grant or client may hand out. `None` bounds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Units that tokens may be issued for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<Vec<String>>,
    /// Largest `count` of a registration token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_max: Option<u64>,
    /// Longest life of an issued token, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds_max: Option<i64>,
}

/// Who receives a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantSubject {
    /// A person.
    User(Username),
    /// A client.
    Client(ClientName),
    /// Everybody in a group.
    Group(GroupName),
}

/// A role given to somebody, with its reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The realm in which it counts.
    pub realm: RealmName,
    /// Its opaque id.
    pub id: String,
    /// Who has it.
    pub subject: GrantSubject,
    /// What they have.
    pub role: Role,
    /// The unit it is limited to; required for `unit-admin`.
    pub unit: Option<String>,
    /// The service it is limited to; required for `service-manager`.
    pub service: Option<ServiceLabel>,
    /// Further bounds.
    pub limits: Limits,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it, as an actor name.
    pub created_by: String,
}

/// A machine client: a verifier, a provisioner, an administrator's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The realm it belongs to.
    pub realm: RealmName,
    /// Its name, unique in the realm.
    pub name: ClientName,
    /// What it is for.
    pub description: Option<String>,
    /// Its roles, inside its realm (`operator`: everywhere).
    pub roles: Vec<Role>,
    /// If set, it may do no more than these scopes of its roles.
    pub scopes: Option<ApiScopes>,
    /// Services it may verify for or manage; `None`: any of the realm.
    pub services: Option<Vec<ServiceLabel>>,
    /// The unit that its `unit-admin` role is for.
    pub unit: Option<String>,
    /// Further bounds on what it may hand out.
    pub limits: Limits,
    /// How its access tokens are to be, where that is not the installation's choice.
    pub access: AccessSettings,
    /// Whether its keys count.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Rises by one with each change; the `ETag`.
    pub version: i64,
}

/// What verify needs to know of a token's owner, shared by all their cached tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerFacts {
    /// A person.
    User(UserFacts),
    /// A client.
    Client(Arc<Client>),
    /// The owner's record is gone: nothing of theirs counts.
    Gone,
}

impl OwnerFacts {
    /// Whether a service exists for the owner by itself, whatever their roles: it is not for
    /// administrators only, nor for the people of another unit or group. Clients see all.
    pub(crate) fn may_see(&self, service: &Service) -> bool {
        let Self::User(UserFacts { groups, unit, .. }) = self else { return true };
        service.would_be_seen_by(Viewer::Person { groups, unit: unit.as_deref() })
    }
}

/// A person as verify and the identity headers need them.
///
/// In this order, because every verify reads the first of it, and waits for each line of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct UserFacts {
    /// Their name.
    pub username: Username,
    /// Whether they count.
    pub status: UserStatus,
    /// Where their tokens are locked.
    pub locks: Locks,
    /// The groups they are in.
    pub groups: Vec<GroupName>,
    /// The unit they belong to.
    pub unit: Option<String>,
    /// What to call them.
    pub display_name: Option<String>,
    /// Their first address.
    pub email: Option<String>,
}

impl From<User> for UserFacts {
    fn from(user: User) -> Self {
        Self {
            username: user.username,
            display_name: user.display_name,
            email: user.emails.into_iter().next(),
            status: user.status,
            unit: user.unit,
            groups: user.groups,
            locks: user.locks,
        }
    }
}

impl UserFacts {
    /// What verify needs of a person's record.
    pub fn of(user: User) -> Self {
        Self {
            username: user.username,
            display_name: user.display_name,
            email: user.emails.into_iter().next(),
            status: user.status,
            unit: user.unit,
            groups: user.groups,
            locks: user.locks,
        }
    }

    /// Whether anything of theirs counts.
    pub fn counts(&self) -> bool {
        self.status == UserStatus::Active && !self.locks.everywhere
    }
}
