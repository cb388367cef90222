//! Provisioning: what stands in other systems because of what stands here.
//!
//! A [`Target`] is such a system. A [`Delivery`] says that an object is to be brought to it: a
//! person as they are now (desired state, so that many changes are one delivery), or a message,
//! each on its own and in order. A [`Courier`] knows the target's protocol and no rule.

mod courier;
pub mod letter;
pub mod routing;
pub mod scheme;
mod target;

use crate::clock::Timestamp;
use crate::names::{RealmName, TargetName};

pub use courier::{
    Arrived, Courier, Failed, Fault, Finding, Freight, Holding, Looked, Owned, PersonState,
    Severity, TokenRecord,
};
pub use target::{
    OnDelete, TARGET_KINDS, TARGET_MODES, Target, TargetConfig, TargetKind, TargetMode, Texts,
};

/// What is to be brought to a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A person, `user:alice`.
    User(String),
    /// Everybody of the realm: stands for as many deliveries as there are people.
    Everyone,
    /// Those whom an event concerns, who are found out when they are told: the owner of its token,
    /// who looks after its services. Stands for as many deliveries.
    Concerned,
    /// Whatever else an event may be about: messages about it keep their order.
    Other(String),
}

/// How [`Object::Everyone`] is written.
const EVERYONE: &str = "everyone";
/// How [`Object::Concerned`] is written.
const CONCERNED: &str = "concerned";
/// How [`Object::User`] begins.
const USER: &str = "user:";

impl Object {
    /// The name in the store and on the wire.
    pub fn name(&self) -> String {
        match self {
            Self::User(name) => format!("{USER}{name}"),
            Self::Everyone => EVERYONE.to_owned(),
            Self::Concerned => CONCERNED.to_owned(),
            Self::Other(name) => name.clone(),
        }
    }

    /// The object of a name.
    pub fn from_name(name: &str) -> Self {
        match name.strip_prefix(USER) {
            Some(user) => Self::User(user.to_owned()),
            None if name == EVERYONE => Self::Everyone,
            None if name == CONCERNED => Self::Concerned,
            None => Self::Other(name.to_owned()),
        }
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryState {
    /// It is due, or under way.
    Waiting,
    /// It failed and is tried again.
    Retrying,
    /// The target is as it should be.
    Done,
    /// It failed for good: it is tried again when something of it changes, or when asked for.
    Dead,
    /// The target is brought up to date by hand.
    Held,
}

/// Every state of a delivery.
pub const DELIVERY_STATES: [DeliveryState; 5] = [
    DeliveryState::Waiting,
    DeliveryState::Retrying,
    DeliveryState::Done,
    DeliveryState::Dead,
    DeliveryState::Held,
];

impl DeliveryState {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Held => "held",
        }
    }

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        DELIVERY_STATES.into_iter().find(|state| state.name() == name)
    }
}

/// Which delivery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The tenant.
    pub realm: RealmName,
    /// The target.
    pub target: TargetName,
    /// What is to be brought there.
    pub object: Object,
    /// The event that a message tells of; empty for desired state.
    pub message: String,
}

/// That a delivery is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which.
    pub key: DeliveryKey,
    /// Whether it waits for somebody to ask for it.
    pub held: bool,
}

/// One object's way to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub key: DeliveryKey,
    /// How it stands.
    pub state: DeliveryState,
    /// Rises each time it is wanted, so that an attempt knows whether it was the last word.
    pub wanted: i64,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// Since when it is wanted.
    pub since: Timestamp,
    /// Attempts that failed since then.
    pub attempts: u32,
    /// What the target said the last time.
    pub error: Option<String>,
    /// Where the object stands there, a distinguished name say.
    pub place: Option<String>,
    /// How far an object that stands for many has come.
    pub progress: Option<String>,
    /// Attempts whose end nobody knows: the target may yet act on them.
    pub unanswered: u32,
    /// When the target was last found as it should be.
    pub done_at: Option<Timestamp>,
}
