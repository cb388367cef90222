//! Token repositories that somebody else keeps: the border to them, and what is held against it.
//!
//! [`TokenRepository`] is a border as [`crate::store::Store`] is one: what speaks HTTP, SQL or
//! LDAP stands behind it, and so does a crate that somebody compiles in. It is stable: methods
//! are added with a default only. Everything that a repository says is held against its answer's
//! shape, its time and its share of requests by [`Guarded`], whatever stands behind it, and what
//! it cannot answer is [`RepositoryError::Unavailable`]: never a yes, and never a no.

mod addressing;
mod breaker;
mod guard;
mod proof;
mod record;
mod registry;
mod remembered;
mod uses;

use async_trait::async_trait;
use zeroize::Zeroizing;

pub use self::addressing::{Addressing, SECRET_LENGTH_MIN, SELECTOR_LENGTH_MIN, Selector};
pub use self::guard::{Figures, Guarded, Health};
pub(crate) use self::proof::hash_text;
pub use self::proof::{BadProof, Proof, ProofKey, directory_text, sha256_text};
pub use self::record::{
    BadForeignId, BadRecord, Descriptor, ForeignChange, ForeignDraft, ForeignId, ForeignPage,
    ForeignToken, ListQuery, PROTOCOL, VerifyRecord, instant,
};
pub use self::registry::{
    CACHE_SECONDS, CACHE_SECONDS_MAX, Elsewhere, IN_FLIGHT_MAX, Settings, TIMEOUT_MS, UsageKept,
    VerifyMode,
};
pub(crate) use self::remembered::Remembered;
pub(crate) use self::uses::Uses;

use crate::clock::Timestamp;
use crate::names::Username;

/// What a repository can do. An operation outside of its set is refused before it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Says by a selector which hashes there are, so that they are compared here.
    Lookup,
    /// Lists tokens and shows one.
    List,
    /// Takes new tokens.
    Create,
    /// Changes attributes.
    Update,
    /// Removes tokens.
    Delete,
    /// Switches tokens on and off.
    Enable,
    /// Gives tokens to people and takes them back.
    Assign,
    /// Filters a list itself.
    Filter,
    /// Sorts a list itself.
    Sort,
    /// Takes counted uses.
    UsageWrite,
    /// Counts a use of a limited token with the check in one step.
    AtomicConsume,
    /// Compares a secret itself. It then receives the secret in clear.
    DelegatedVerify,
    /// Keeps a current and a next credential.
    CurrentNext,
    /// Keeps activation letters.
    Letters,
}

/// Every capability.
pub const CAPABILITIES: [Capability; 14] = [
    Capability::Lookup,
    Capability::List,
    Capability::Create,
    Capability::Update,
    Capability::Delete,
    Capability::Enable,
    Capability::Assign,
    Capability::Filter,
    Capability::Sort,
    Capability::UsageWrite,
    Capability::AtomicConsume,
    Capability::DelegatedVerify,
    Capability::CurrentNext,
    Capability::Letters,
];

impl Capability {
    /// What a repository without it does not do, for who asked for it.
    pub const fn lacking(self) -> &'static str {
        match self {
            Self::Lookup | Self::DelegatedVerify => "this repository verifies nothing",
            Self::List => "this repository shows no tokens",
            Self::Create => "this repository takes no new tokens",
            Self::Update => "this repository changes no tokens",
            Self::Delete => "this repository removes no tokens",
            Self::Enable => "this repository switches no tokens on or off",
            Self::Assign => "this repository gives no tokens to people",
            Self::Filter => "this repository filters no lists",
            Self::Sort => "this repository sorts no lists",
            Self::UsageWrite | Self::AtomicConsume => "this repository counts no uses",
            Self::CurrentNext => "this repository keeps no next credentials",
            Self::Letters => "this repository keeps no activation letters",
        }
    }

    /// The name in a descriptor.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lookup => "LOOKUP",
            Self::List => "LIST",
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Enable => "ENABLE",
            Self::Assign => "ASSIGN",
            Self::Filter => "FILTER",
            Self::Sort => "SORT",
            Self::UsageWrite => "USAGE_WRITE",
            Self::AtomicConsume => "ATOMIC_CONSUME",
            Self::DelegatedVerify => "DELEGATED_VERIFY",
            Self::CurrentNext => "CURRENT_NEXT",
            Self::Letters => "LETTERS",
        }
    }

    /// The capability of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        CAPABILITIES.into_iter().find(|capability| capability.name() == name)
    }
}

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u16);

impl Capabilities {
    /// None.
    pub const NONE: Self = Self(0);

    /// These.
    pub fn of(capabilities: &[Capability]) -> Self {
        capabilities.iter().fold(Self::NONE, |set, one| set.with(*one))
    }

    /// One more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << (capability as u16))
    }

    /// Whether it is among them.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << (capability as u16)) != 0
    }

    /// All of them, in the order of [`CAPABILITIES`].
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        CAPABILITIES.into_iter().filter(move |one| self.contains(*one))
    }
}

/// Why a repository gave no answer, or refused one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// It cannot answer: down, late, garbage, too much, another version. The text is for the
    /// log and for `doctor`, and holds nothing that the repository sent.
    #[error("{0}")]
    Unavailable(String),
    /// It does not do this.
    #[error("the repository does not support {}", .0.name())]
    Unsupported(Capability),
    /// It has no such token.
    #[error("the repository has no such token")]
    NotFound,
    /// A value that must be unique is taken.
    #[error("the repository has such a token already")]
    Conflict,
    /// The token changed since it was read.
    #[error("the token was changed since it was read")]
    VersionMismatch,
    /// The person may hold no more tokens there.
    #[error("the repository takes no more tokens of this person")]
    LimitReached,
    /// An attribute makes no sense to it.
    #[error("the repository refuses the attribute {0}")]
    Invalid(String),
}

impl RepositoryError {
    /// It cannot answer, for this reason.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable(why.into())
    }

    /// Whether it is no answer at all.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// What came of counting a use there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignConsumed {
    /// It is counted; so many are used now.
    Done(u64),
    /// All are used.
    Exhausted,
    /// The token does not count at all, the repository says.
    NotActive,
}

/// Uses of one token that were counted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignUse {
    /// The token.
    pub id: ForeignId,
    /// Accepted uses since the last report.
    pub accepted: u64,
    /// The first of them.
    pub first_at: Timestamp,
    /// The last of them.
    pub last_at: Timestamp,
}

/// A secret to be compared by the repository itself.
pub struct DelegatedQuestion {
    /// Who is said to present it.
    pub username: Option<String>,
    /// For which service.
    pub service: Option<String>,
    /// The secret in clear.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for DelegatedQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelegatedQuestion")
            .field("username", &self.username)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// Where tokens are kept by somebody else.
///
/// An implementation neither retries what is not idempotent nor remembers answers; it need not
/// limit its time, because [`Guarded`] does. Whatever is no answer is
/// [`RepositoryError::Unavailable`]; "there is none" is an empty answer.
#[async_trait]
pub trait TokenRepository: Send + Sync {
    /// What it is, for people: `http`, `sql`, `ldap`, or the name of a crate.
    fn driver(&self) -> &'static str;

    /// What it can do, and whether it is there.
    async fn describe(&self) -> Result<Descriptor, RepositoryError>;

    /// The tokens that a selector leads to, with hashes of their secrets. Empty if there are
    /// none. Idempotent.
    async fn lookup(&self, selector: &Selector) -> Result<Vec<VerifyRecord>, RepositoryError> {
        let _ = selector;
        Err(RepositoryError::Unsupported(Capability::Lookup))
    }

    /// A page of tokens. Idempotent.
    async fn list(&self, query: &ListQuery) -> Result<ForeignPage, RepositoryError> {
        let _ = query;
        Err(RepositoryError::Unsupported(Capability::List))
    }

    /// One token. Idempotent.
    async fn find(&self, id: &ForeignId) -> Result<Option<ForeignToken>, RepositoryError> {
        let _ = id;
        Err(RepositoryError::Unsupported(Capability::List))
    }

    /// Adds a token, once for one `draft.idempotency_key`.
    async fn create(&self, draft: &ForeignDraft) -> Result<ForeignToken, RepositoryError> {
        let _ = draft;
        Err(RepositoryError::Unsupported(Capability::Create))
    }

    /// Changes attributes if the token still has this version.
    async fn update(
        &self,
        id: &ForeignId,
        change: &ForeignChange,
        if_version: Option<&str>,
    ) -> Result<ForeignToken, RepositoryError> {
        let _ = (id, change, if_version);
        Err(RepositoryError::Unsupported(Capability::Update))
    }

    /// Switches a token on or off. Idempotent.
    async fn set_enabled(
        &self,
        id: &ForeignId,
        enabled: bool,
    ) -> Result<ForeignToken, RepositoryError> {
        let _ = (id, enabled);
        Err(RepositoryError::Unsupported(Capability::Enable))
    }

    /// Gives a token to a person, or to nobody.
    async fn assign(
        &self,
        id: &ForeignId,
        to: Option<&Username>,
    ) -> Result<ForeignToken, RepositoryError> {
        let _ = (id, to);
        Err(RepositoryError::Unsupported(Capability::Assign))
    }

    /// Removes a token if it still has this version.
    async fn delete(
        &self,
        id: &ForeignId,
        if_version: Option<&str>,
    ) -> Result<(), RepositoryError> {
        let _ = (id, if_version);
        Err(RepositoryError::Unsupported(Capability::Delete))
    }

    /// Counts a use of a limited token and checks it, in one step.
    async fn consume(
        &self,
        id: &ForeignId,
        limit: u64,
        at: Timestamp,
    ) -> Result<ForeignConsumed, RepositoryError> {
        let _ = (id, limit, at);
        Err(RepositoryError::Unsupported(Capability::AtomicConsume))
    }

    /// Takes note of uses that were counted here. May be told twice of the same ones if the
    /// first answer was lost.
    async fn record_usage(&self, uses: &[ForeignUse]) -> Result<(), RepositoryError> {
        let _ = uses;
        Err(RepositoryError::Unsupported(Capability::UsageWrite))
    }

    /// Compares a secret there; the token it belongs to, without a hash, or none.
    async fn verify_delegated(
        &self,
        question: &DelegatedQuestion,
    ) -> Result<Option<VerifyRecord>, RepositoryError> {
        let _ = question;
        Err(RepositoryError::Unsupported(Capability::DelegatedVerify))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it_and_names_are_unique() {
        let set = Capabilities::of(&[Capability::Lookup, Capability::Letters]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Capability::Lookup, Capability::Letters]);
        for capability in CAPABILITIES {
            assert_eq!(Capability::from_name(capability.name()), Some(capability));
        }
        assert_eq!(Capability::from_name("lookup"), None);
    }
}
