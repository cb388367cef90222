//! What a target is told, and what it may answer: the seam between rules and protocols.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::Target;
use super::letter::Letter;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::Username;
use crate::secret::TokenId;
use crate::subject::User;

/// The labels whose values are ours to take away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// Every label.
    All,
    /// These.
    These(BTreeSet<String>),
}

impl Owned {
    /// Whether a label's values are ours.
    pub fn includes(&self, label: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(labels) => labels.contains(label),
        }
    }
}

/// A personal access token, as a profile attribute tells of it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The token.
    pub id: TokenId,
    /// What it is called.
    pub name: Option<String>,
    /// What it is good for.
    pub services: Vec<String>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Its hash.
    pub hash: String,
}

/// How a person is to stand at a target, at one instant.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonState {
    /// Their user name.
    pub username: String,
    /// Their record; `None`: they are gone.
    pub user: Option<User>,
    /// Hashes by service, only of tokens that count at this instant.
    pub values: BTreeMap<String, Vec<String>>,
    /// Personal access tokens that count at this instant.
    pub records: Vec<TokenRecord>,
    /// Which labels are ours.
    pub owned: Owned,
    /// When something of it begins or ends.
    pub again_at: Option<Timestamp>,
    /// Tokens that have no hash of a scheme that the target asks for, and which scheme.
    pub lacking: Vec<(TokenId, &'static str)>,
}

impl PersonState {
    /// Whether nothing of theirs counts: for this, targets are gone through in descending order.
    pub fn is_removal(&self) -> bool {
        let status = crate::subject::UserStatus::Active;
        self.user.as_ref().is_none_or(|user| user.status != status)
    }
}

/// What is to be brought.
pub enum Freight {
    /// A person as they are to stand.
    Person(Box<PersonState>),
    /// An event to tell of.
    Message(Box<Event>),
    /// A letter to send.
    Letter(Box<Letter>),
}

/// What a courier did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrived {
    /// Where the object stands now, if anywhere.
    pub place: Option<String>,
    /// Whether anything had to be changed.
    pub changed: bool,
}

/// What a courier found without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looked {
    /// Where the object stands, if anywhere.
    pub place: Option<String>,
    /// What would have to be changed, without any value.
    pub changes: Vec<String>,
}

/// An entry that holds values of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Where it is.
    pub place: String,
    /// Whose it seems to be.
    pub username: Option<String>,
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// It works, and something is to be considered.
    Warning,
    /// It does not work.
    Failure,
}

impl Severity {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One thing that a test of a target found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, as a stable word.
    pub check: &'static str,
    /// How it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// What to do about it, as lines for the target's configuration.
    pub remedy: Option<String>,
}

/// Why a courier did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The target cannot be reached or does not let us in: nothing else will arrive there either.
    Away,
    /// No answer in time: the target may yet act on what it was sent.
    Unanswered,
    /// The target is there and cannot at the moment, or not to this extent.
    Busy,
    /// The target refuses this object.
    Refused,
    /// The target refuses this object, and will tomorrow: trying again is of no use.
    Final,
}

/// Why a courier did not arrive, in words for administrators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failed {
    /// How it is to be taken.
    pub fault: Fault,
    /// What the target said. Never a secret.
    pub what: String,
}

impl Failed {
    /// A failure of a sort, in words.
    pub fn new(fault: Fault, what: impl Into<String>) -> Self {
        Self { fault, what: what.into() }
    }
}

/// Brings things to targets of some kinds.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Brings it to the target. Idempotent: what is so already is left alone.
    ///
    /// `secret` is the target's own; `place` is where the object stood the last time.
    async fn bring(
        &self,
        target: &Target,
        secret: Option<&str>,
        freight: &Freight,
        place: Option<&str>,
    ) -> Result<Arrived, Failed>;

    /// What [`Courier::bring`] would change.
    async fn look(
        &self,
        target: &Target,
        secret: Option<&str>,
        freight: &Freight,
    ) -> Result<Looked, Failed>;

    /// Every place at the target that holds values of ours.
    async fn holders(&self, target: &Target, secret: Option<&str>) -> Result<Vec<Holding>, Failed>;

    /// Takes our values from a place, whoever it belongs to.
    async fn clear(&self, target: &Target, secret: Option<&str>, place: &str)
    -> Result<(), Failed>;

    /// Whether the entry of a person matches a filter (RFC 4515), soon: somebody waits for the
    /// decision. Only directories can tell.
    async fn matches(
        &self,
        target: &Target,
        secret: Option<&str>,
        username: &Username,
        filter: &str,
    ) -> Result<bool, Failed> {
        let _ = (target, secret, username, filter);
        Err(Failed::new(Fault::Refused, "the target is no directory"))
    }

    /// Looks whether the target can be used as it is set up. Changes nothing that stays.
    async fn test(&self, target: &Target, secret: Option<&str>) -> Vec<Finding>;
}
