//! Activation letters: what makes a token of a repository good for its owner, on paper.

use async_trait::async_trait;

use super::{Page, PageRequest, Unavailable};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::{RealmName, RepositoryName, Username};
use crate::secret::TokenId;
use crate::secret_hash::{Mac256, SecretHash};
use crate::token::Token;

/// How a letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LetterState {
    /// Somebody asked for it. It has no secret yet.
    Ordered,
    /// It was printed, and its secret shown to who printed it.
    Printed,
    /// It made its token active.
    Redeemed,
    /// It was taken back, or its token went elsewhere.
    Cancelled,
}

impl LetterState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Ordered, Self::Printed, Self::Redeemed, Self::Cancelled];

    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Printed => "printed",
            Self::Redeemed => "redeemed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it may still activate its token.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Ordered | Self::Printed)
    }
}

/// A letter as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its name; sorts by the time of the order.
    pub id: String,
    /// The tenant.
    pub realm: RealmName,
    /// The repository of its token.
    pub repository: RepositoryName,
    /// The token that it activates.
    pub token: TokenId,
    /// To whom it goes: the token's owner when it was ordered.
    pub owner: Username,
    /// How it stands.
    pub state: LetterState,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// By whom.
    pub ordered_by: String,
    /// Until when it can be redeemed, exclusive.
    pub expires_at: Timestamp,
    /// When it was printed.
    pub printed_at: Option<Timestamp>,
    /// By whom.
    pub printed_by: Option<String>,
    /// When it was redeemed or cancelled.
    pub ended_at: Option<Timestamp>,
    /// The hash of its secret, always a keyed one; there is none before it is printed.
    pub hash: Option<SecretHash>,
}

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LetterFilter {
    /// To this person.
    pub owner: Option<Username>,
    /// In this state.
    pub state: Option<LetterState>,
    /// For tokens of this repository.
    pub repository: Option<RepositoryName>,
}

/// What came of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterOrdered {
    /// It is ordered.
    Done,
    /// The token has an open letter.
    Already,
    /// The token is not one of that owner's that waits to be activated.
    NotPending,
}

/// A printing.
#[derive(Debug, Clone)]
pub struct LetterPrint {
    /// The tenant.
    pub realm: RealmName,
    /// The letter.
    pub id: String,
    /// The hash of the secret that was drawn for it.
    pub hash: SecretHash,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What is recorded.
    pub event: Event,
}

/// A redemption.
#[derive(Debug, Clone)]
pub struct LetterRedeem {
    /// The tenant.
    pub realm: RealmName,
    /// The letter.
    pub id: String,
    /// Its token.
    pub token: TokenId,
    /// When.
    pub at: Timestamp,
    /// What is recorded.
    pub event: Event,
}

/// Letters of every realm.
#[async_trait]
pub trait LetterStore {
    /// Orders a letter: its token must wait, not be revoked, and be its owner's; and it has no
    /// other open letter.
    async fn letter_order(
        &self,
        letter: Letter,
        event: Event,
    ) -> Result<LetterOrdered, Unavailable>;
    /// Finds a letter.
    async fn letter_find(&self, realm: &RealmName, id: &str)
    -> Result<Option<Letter>, Unavailable>;
    /// Finds the letter with this secret.
    async fn letter_by_hash(&self, mac: Mac256) -> Result<Option<Letter>, Unavailable>;
    /// Lists letters in the order of their orders.
    async fn letter_list(
        &self,
        realm: &RealmName,
        filter: LetterFilter,
        page: PageRequest,
    ) -> Result<Page<Letter>, Unavailable>;
    /// Gives an ordered letter its secret: of any number who print it at the same time one gets
    /// it. `None`: it is not there to be printed (any more).
    async fn letter_print(&self, print: LetterPrint) -> Result<Option<Letter>, Unavailable>;
    /// Takes an open letter back; `None` if it is not open (any more).
    async fn letter_cancel(
        &self,
        realm: &RealmName,
        id: &str,
        at: Timestamp,
        event: Event,
    ) -> Result<Option<Letter>, Unavailable>;
    /// Redeems a printed letter and activates its token: of any number of redemptions at the same
    /// time one is done, by one conditional statement. `None`: it is not printed, its time is
    /// over, or its token no longer waits for it.
    async fn letter_redeem(&self, redeem: LetterRedeem) -> Result<Option<Token>, Unavailable>;
}
