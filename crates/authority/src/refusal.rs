//! Why an act was not done: one enum for every act, from which each door writes its own errors.

use crate::clock::NoEntropy;
use crate::scope::ApiScope;
use crate::store::{LinkEnd, Unavailable, Updated};
use crate::token::State;

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A realm.
    Realm,
    /// A person.
    User,
    /// A group.
    Group,
    /// A unit.
    Unit,
    /// A grant.
    Grant,
    /// A service.
    Service,
    /// A client.
    Client,
    /// A token.
    Token,
    /// A one-time link.
    Link,
    /// An activation letter.
    Letter,
    /// A job.
    Job,
    /// A repository of generic tokens.
    Repository,
    /// A target of provisioning.
    Target,
    /// A resource type of the AM door.
    ResourceType,
    /// A policy set of the AM door.
    PolicySet,
    /// A policy of the AM door.
    Policy,
    /// A passkey of a person.
    Passkey,
    /// A checkpoint of the audit log.
    Checkpoint,
    /// An event in the audit log.
    Event,
}

impl Thing {
    /// The noun, for messages and problem slugs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Realm => "realm",
            Self::User => "user",
            Self::Group => "group",
            Self::Unit => "unit",
            Self::Grant => "grant",
            Self::Service => "service",
            Self::Client => "client",
            Self::Token => "token",
            Self::Link => "link",
            Self::Letter => "activation letter",
            Self::Job => "job",
            Self::Repository => "repository",
            Self::Target => "target",
            Self::ResourceType => "resource type",
            Self::PolicySet => "policy set",
            Self::Policy => "policy",
            Self::Passkey => "passkey",
            Self::Checkpoint => "checkpoint",
            Self::Event => "event",
        }
    }
}

/// Why an act was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The store, or a repository that somebody else keeps, could not answer; nothing is known to
    /// have happened. Never a denial.
    #[error("the store or a repository is not reachable, try again")]
    Unavailable(#[from] Unavailable),
    /// The queue of slow hashes is full; try again. Never a denial.
    #[error("too many slow hashes are waiting, try again")]
    Overloaded,
    /// The operating system's generator failed.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The caller's credential does not carry the scope for this act here.
    #[error("this needs the scope {}", .0.name())]
    Forbidden(ApiScope),
    /// The caller may do this sort of thing, but not to this extent.
    #[error("{0}")]
    BeyondGrant(&'static str),
    /// There is no such thing, or it is not the caller's to know of.
    #[error("there is no such {}", .0.name())]
    NotFound(Thing),
    /// The name is taken.
    #[error("a {} of that name exists", .0.name())]
    Exists(Thing),
    /// `If-Match` names another version.
    #[error("it was changed since it was read")]
    VersionMismatch,
    /// A field of the request makes no sense.
    #[error("{field}: {why}")]
    Invalid {
        /// The field, as a path in the request body or query.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// A policy of the service or realm forbids it.
    #[error("{0}")]
    Policy(String),
    /// A service takes no new tokens, or none of this person.
    #[error("{0}")]
    NotOpen(String),
    /// The person holds as many active tokens as the policy allows.
    #[error("the limit of {0} active tokens per person is reached")]
    AtLimit(u32),
    /// The repository takes no more tokens of the person; how many it takes, it does not tell.
    #[error("the repository takes no more tokens of this person")]
    RepositoryFull,
    /// Another token of the repository has this serial.
    #[error("another token of the repository has this serial")]
    SerialTaken,
    /// The person has this credential of the repository already.
    #[error("the person has this credential already")]
    PlaceTaken,
    /// The repository does not do this at all.
    #[error("{0}")]
    NotSupported(&'static str),
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// The token has ended for good.
    #[error("the token is {}", .0.name())]
    Ended(State),
    /// The right one-time link, too late.
    #[error("{}", match .0 {
        LinkEnd::Opened => "this link was opened before; if not by you, tell who sent it",
        LinkEnd::Expired => "this link has expired; ask for a new one",
        LinkEnd::TokenEnded => "the token behind this link has ended; ask for a new one",
    })]
    LinkEnded(LinkEnd),
    /// The right activation letter, too late or not yet.
    #[error("{0}")]
    LetterEnded(&'static str),
    /// Live tokens still name the service.
    #[error("{0} tokens that are not revoked still name this service")]
    InUse(u64),
    /// Others still belong to it.
    #[error("the {} is not empty", .0.name())]
    NotEmpty(Thing),
    /// Cannot be changed or removed because the installation depends on it.
    #[error("the built-in {} cannot be changed like this", .0.name())]
    BuiltIn(Thing),
}

impl Refusal {
    /// A field of the request that makes no sense.
    pub fn invalid(field: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Invalid { field: field.into(), why: format!("{why}") }
    }

    /// Turns what a conditional update said into its record or a refusal.
    pub fn unless_updated<T>(updated: Updated<T>, thing: Thing) -> Result<T, Self> {
        match updated {
            Updated::Done(record) => Ok(record),
            Updated::NotFound => Err(Self::NotFound(thing)),
            Updated::VersionMismatch => Err(Self::VersionMismatch),
            Updated::Exists => Err(Self::Exists(thing)),
            Updated::Missing(what) => Err(Self::invalid(what, format!("there is no such {what}"))),
        }
    }
}
