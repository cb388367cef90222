//! Repositories: named sources of generic tokens, as the operator's configuration describes them.
//!
//! A [`Repository`] is immutable while the server runs. What it holds are ordinary tokens of the
//! kind `generic` that carry a [`Membership`]; so verify, state, usage, revocation, events and
//! lists are those of every token. What the repository adds is here: the names under which a
//! token's attributes are shown ([`mapping`]), how many of them a person may hold, and the two
//! places, `current` and `next`, of a credential.

pub mod attribute;
pub mod custom;
pub(crate) mod foreign;
pub mod mapping;
pub mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use attribute::{Attribute, ValueType};
pub use custom::CustomRules;
pub use mapping::{Mapped, Mapping};
pub use values::{Value, Values, Writes, values_of};

use crate::names::{RepositoryName, ServiceLabel, Username};

/// Tokens of one person in a repository of tokens, unless configured otherwise (as Airlock IAM).
pub const DEFAULT_TOKENS_PER_USER: u32 = 1;

/// A source of generic tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Repository {
    /// Its name, which is the type of its tokens at the Airlock door.
    pub name: RepositoryName,
    /// What sort it is, with what is set for that sort.
    pub kind: RepositoryKind,
    /// The services that its tokens are good for; empty: none, so that only a verifier that is
    /// bound to no service accepts them.
    pub services: Vec<ServiceLabel>,
    /// Under which names attributes are shown, and what may be written to them.
    pub attributes: Mapping,
}

impl Repository {
    /// Whether the token of a person waits for its activation letter.
    pub const fn activates_by_letter(&self) -> bool {
        match &self.kind {
            RepositoryKind::Token(rules) => rules.activation_letter,
            RepositoryKind::Credential(_) | RepositoryKind::Custom(_) => false,
        }
    }
}

/// The three sorts of repository.
#[derive(Debug, Clone, PartialEq)]
pub enum RepositoryKind {
    /// Tokens, a number of them for each person.
    Token(TokenRules),
    /// A current and a next credential for each person.
    Credential(CredentialRules),
    /// Tokens that are kept elsewhere.
    Custom(CustomRules),
}

impl RepositoryKind {
    /// The name in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Credential(_) => "credential",
            Self::Custom(_) => "custom",
        }
    }
}

/// What is set for a repository of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// Tokens of one person at most. Those that are revoked do not count, disabled ones do.
    pub max_tokens_per_user: u32,
    /// Whether expired ones count too.
    pub count_expired: bool,
    /// Whether a token that is created without data gets a secret, shown once.
    pub generate_secret: bool,
    /// Whether the token of a person is good for nothing before its activation letter is
    /// redeemed.
    pub activation_letter: bool,
}

/// What is set for a repository of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRules {
    /// Whether there is a `next` beside the `current` one.
    pub support_next: bool,
    /// Whether `next` becomes `current` when that one is deleted.
    pub use_next_as_current_on_deletion: bool,
    /// When `next` becomes `current` besides.
    pub promote_next_on: Vec<Promotion>,
    /// How long a credential still counts after the next one took its place, in seconds.
    pub retire_grace_seconds: i64,
    /// Whether a credential that is created without data gets a secret, shown once.
    pub generate_secret: bool,
}

impl CredentialRules {
    /// Whether `next` takes the place on this occasion.
    pub fn promotes_on(&self, occasion: Promotion) -> bool {
        let on_deletion = occasion == Promotion::Deletion && self.use_next_as_current_on_deletion;
        self.support_next && (on_deletion || self.promote_next_on.contains(&occasion))
    }
}

/// On what occasion `next` becomes `current`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// The current credential is deleted.
    Deletion,
    /// The next one is used for the first time.
    FirstUse,
    /// The next one's time begins.
    AtDate,
    /// Somebody says so, and on no other occasion.
    Manual,
}

impl Promotion {
    /// Every occasion.
    pub const ALL: [Self; 4] = [Self::Deletion, Self::FirstUse, Self::AtDate, Self::Manual];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::FirstUse => "first_use",
            Self::AtDate => "at_date",
            Self::Manual => "manual",
        }
    }

    /// The occasion of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|occasion| occasion.name() == name)
    }
}

/// Where a token stands in its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Assigned to its owner.
    Held,
    /// Assigned to nobody: it waits, and `owner` is only who put it there.
    Stock,
    /// A person's current credential.
    Current,
    /// The credential that will become the current one.
    Next,
}

impl Place {
    /// The name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Stock => "stock",
            Self::Current => "current",
            Self::Next => "next",
        }
    }

    /// The place of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Held, Self::Stock, Self::Current, Self::Next]
            .into_iter()
            .find(|place| place.name() == name)
    }

    /// The place that a credential's id at the Airlock door names, `<username>-current`.
    ///
    /// The last suffix counts and the rest must be the person: the next credential of `bob` and
    /// the current one of `bob-next` are told apart.
    pub fn of_credential(id: &str, user: &Username) -> Option<Self> {
        [Self::Current, Self::Next].into_iter().find(|place| {
            let prefix = id.strip_suffix(place.name()).and_then(|rest| rest.strip_suffix('-'));
            prefix == Some(user.as_str())
        })
    }
}

/// Which repository a token is in, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The repository.
    pub name: RepositoryName,
    /// Its place there.
    pub place: Place,
}

/// A limit on the tokens of one person in a repository, for [`crate::store::ActiveLimit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryLimit {
    /// The repository whose tokens are counted.
    pub name: RepositoryName,
    /// Whether expired ones count.
    pub count_expired: bool,
}

/// Every repository that is configured. Immutable while the server runs.
#[derive(Debug, Clone, Default)]
pub struct Repositories(BTreeMap<RepositoryName, Arc<Repository>>);

impl Repositories {
    /// The repositories of a configuration; of two with the same name the later one stands.
    pub fn new(all: impl IntoIterator<Item = Repository>) -> Self {
        Self(all.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect())
    }

    /// The repository of a name.
    pub fn find(&self, name: &RepositoryName) -> Option<&Arc<Repository>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Repository>> {
        self.0.values()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether secrets of few bits may open this service, because a repository takes chosen data.
    pub fn take_chosen_data(&self, label: &ServiceLabel) -> bool {
        self.all().any(|repository| {
            let hashed = repository.attributes.find(Attribute::Data).is_some_and(|m| m.write_only);
            hashed && repository.services.as_slice() == std::slice::from_ref(label)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_told_by_its_last_suffix_and_its_person() {
        let place = |id, user| Place::of_credential(id, &Username::parse(user).unwrap());
        assert_eq!(place("bob-current", "bob"), Some(Place::Current));
        assert_eq!(place("bob-next", "bob"), Some(Place::Next));
        assert_eq!(place("bob-next-current", "bob-next"), Some(Place::Current));
        assert_eq!(place("bob-next-next", "bob-next"), Some(Place::Next));
        for (id, user) in [("bob-next", "bob-next"), ("bob-next-current", "bob"), ("bob", "bob")] {
            assert_eq!(place(id, user), None, "{id} of {user}");
        }
        assert_eq!(place("-next", "bob"), None);
    }

    #[test]
    fn a3_a_name_has_one_to_twenty_two_characters() {
        assert!(RepositoryName::parse(&"A".repeat(22)).is_ok());
        assert!(RepositoryName::parse("EMAILOTP_2").is_ok());
        for bad in [&"A".repeat(23), "", "a-b", "a b", "ä"] {
            assert!(RepositoryName::parse(bad).is_err(), "{bad}");
        }
    }
}
