//! Taking over many records of another system at once.

use async_trait::async_trait;

use super::{OtpIssue, TokenIssue, Unavailable};
use crate::event::Event;
use crate::names::{GroupName, RealmName, Username};
use crate::service::Service;
use crate::subject::{Group, Unit, User};

/// Records in one batch at most: a transaction that holds others up for no longer than a moment.
pub const IMPORT_BATCH_MAX: usize = 200;

/// A record that is to arrive.
#[derive(Debug, Clone)]
pub enum Arriving {
    /// A group.
    Group(Group, Event),
    /// A unit.
    Unit(Unit, Event),
    /// A service.
    Service(Service, Event),
    /// A person.
    User(User, Event),
    /// A membership.
    Member {
        /// The tenant.
        realm: RealmName,
        /// The group.
        group: GroupName,
        /// The person.
        user: Username,
        /// What is recorded.
        event: Event,
    },
    /// A token with its secret.
    Token(TokenIssue),
    /// A token that proves itself by codes.
    Codes(Box<OtpIssue>),
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// Every record of it is stored.
    Done,
    /// None of it is stored, because this one, counted from 0, could not be.
    Refused {
        /// Which one.
        index: usize,
        /// What stood in its way.
        why: &'static str,
    },
}

/// Taking over records.
#[async_trait]
pub trait ImportStore {
    /// Stores a batch in the order given, all of it or nothing. Limits of tokens hold.
    async fn import(&self, batch: Vec<Arriving>) -> Result<Imported, Unavailable>;
}
