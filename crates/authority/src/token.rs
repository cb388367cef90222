//! The token: the record of one long-lived credential, and the states it can be in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::enrolment::Device;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::otp::Method;
use crate::repository::Membership;
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::secret_hash::SecretHash;
use crate::service::Services;
use crate::subject::Owner;
use crate::validity::{Phase, Validity};
use crate::verdict::{Door, Reason};

/// Secrets kept per token at most: one current, and former ones for overlap and alarms.
///
/// The oldest former ones go first; a script that rotates in a loop must not grow a token
/// without bound.
pub const SECRETS_PER_TOKEN_MAX: usize = 64;
/// How long a former secret's hash is kept after its overlap, so that its use raises an alarm.
pub const RETIRED_SECRET_RETENTION_SECONDS: i64 = 90 * 86_400;

/// The record of one long-lived credential. Stores facts; [`Token::state`] derives the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Public name, the same everywhere.
    pub id: TokenId,
    /// The tenant.
    pub realm: RealmName,
    /// What sort of token it is.
    pub kind: Kind,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whose it is.
    pub owner: Owner,
    /// What it is good for.
    pub services: Services,
    /// What it may ask for there.
    pub scopes: Vec<Scope>,
    /// Finer permissions: resource pattern to list of actions, as JSON text.
    pub permissions: Option<String>,
    /// Networks it may be used from; empty: any.
    pub networks: Vec<ipnet::IpNet>,
    /// Doors it may be presented at; `None`: any.
    pub doors: Option<Vec<Door>>,
    /// Switched on.
    pub enabled: bool,
    /// Locked by an administrator.
    pub locked: bool,
    /// Waits for activation or approval.
    pub pending: bool,
    /// When it counts.
    pub validity: Validity,
    /// Revoked for good.
    pub revocation: Option<Revocation>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Who issued it, as an actor name.
    pub created_by: String,
    /// When it was activated.
    pub activated_at: Option<Timestamp>,
    /// Bookkeeping of its use.
    pub usage: Usage,
    /// Uses allowed in all; `None`: unlimited.
    pub max_usages: Option<u64>,
    /// Counted uses, or draws of a registration token.
    pub used: u64,
    /// Free text of the owner, for filters.
    pub labels: BTreeMap<String, String>,
    /// Attributes of the Airlock token model.
    pub airlock: AirlockAttributes,
    /// The repository that it is in, and its place there; none but generic tokens have one.
    pub repository: Option<Membership>,
    /// How it proves itself, if it has codes in place of a secret.
    pub otp: Option<Method>,
    /// Attributes of the Sentinel registration and auth token.
    pub sentinel: SentinelAttributes,
    /// The unit it belongs to.
    pub unit: Option<String>,
    /// The token it was derived from, and dies with.
    pub parent: Option<TokenId>,
    /// Who drew it, if it is an auth token.
    pub device: Option<Box<Device>>,
    /// When it was last edited, switched or rotated; `None` if it never was.
    pub changed_at: Option<Timestamp>,
    /// Rises by one with each change; the `ETag`.
    pub version: i64,
    /// Its secrets: current first, then next, then former ones, newest first.
    pub secrets: Vec<SecretFacts>,
}

/// Airlock IAM's attributes beyond the common ones.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AirlockAttributes {
    /// The serial id printed on or known of the token.
    pub serial: Option<String>,
    /// The id by which a shipment is tracked.
    pub tracking_id: Option<String>,
    /// Whether token data is stored; the data itself is never shown.
    pub data_present: bool,
    /// How the data is to be read: `STRING` or `BINARY`.
    pub data_encoding: Option<String>,
    /// Free elements 1 to 12.
    pub generic_data: BTreeMap<u8, String>,
    /// When it was delivered.
    pub delivery_date: Option<Timestamp>,
}

/// Sentinel EMS's attributes beyond the common ones.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SentinelAttributes {
    /// Auth tokens that may be drawn; `None`: unlimited.
    pub count: Option<u64>,
    /// Draws held for requests that wait for approval.
    pub reserved: u64,
    /// Draws an administrator gave back.
    pub returned: u64,
    /// Which thresholds have been told of, each once.
    pub told: Told,
    /// The identifier on the wire.
    pub identifier: Option<String>,
    /// First reference id.
    pub ref_id_1: Option<String>,
    /// Second reference id.
    pub ref_id_2: Option<String>,
    /// Conditions on who may draw, as JSON text.
    pub constraints: Option<String>,
    /// What every child receives, as JSON text.
    pub stamp: Option<String>,
    /// How drawing is approved.
    pub approval: Option<String>,
    /// The registration token it was drawn from.
    pub registration_token: Option<TokenId>,
}

/// Which thresholds of a registration token's count have been told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told(pub u32);

impl Told {
    /// Most of the count is taken.
    pub const NEARLY: u32 = 1;
    /// All of the count is taken.
    pub const EXHAUSTED: u32 = 2;
    /// Somebody was refused after that.
    pub const REFUSED: u32 = 4;

    /// Whether this one has been told of.
    pub const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// Revocation is final and says by whom and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Who, as an actor name.
    pub by: String,
    /// Why, in the words of the revoker.
    pub reason: Option<String>,
}

/// When a token was used, and how often. Bookkeeping, never a limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// First accepted use; never changes once set.
    pub first_at: Option<Timestamp>,
    /// Latest accepted use; never goes backwards.
    pub last_at: Option<Timestamp>,
    /// The client's address at the latest use.
    pub last_ip: Option<IpAddr>,
    /// Accepted uses.
    pub total: u64,
    /// Refusals of the right secret.
    pub denied_total: u64,
}

/// Which of a token's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// The one to use.
    Current,
    /// Handed out already, counts from its own start.
    Next,
    /// Replaced; counts until its own end.
    Previous,
}

impl Slot {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }

    /// The slot of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Current, Self::Next, Self::Previous].into_iter().find(|s| s.name() == name)
    }
}

/// What may be known of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFacts {
    /// Which one.
    pub slot: Slot,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it counts, beside the token's own validity.
    pub not_before: Option<Timestamp>,
    /// Until when it counts, beside the token's own validity.
    pub expires_at: Option<Timestamp>,
}

/// A secret as the store keeps it: facts and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// Its row: opaque, ordered by time.
    pub id: String,
    /// What may be known of it.
    pub facts: SecretFacts,
    /// Its hash.
    pub hash: SecretHash,
    /// Whether it is found by its hash, because its form carries no token id.
    pub found_by_hash: bool,
    /// What was derived of it for directories. Written with it, and never read with it.
    pub directory: Vec<crate::store::DirectoryHash>,
}

/// The derived state. First match wins, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Ended for good.
    Revoked,
    /// Locked by an administrator.
    Locked,
    /// Switched off.
    Disabled,
    /// Waits for activation or approval.
    Pending,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// All uses are taken.
    Exhausted,
    /// Good.
    Active,
}

/// Every state, in the order of precedence.
pub const STATES: [State; 8] = [
    State::Revoked,
    State::Locked,
    State::Disabled,
    State::Pending,
    State::NotYetValid,
    State::Expired,
    State::Exhausted,
    State::Active,
];

impl State {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Locked => "locked",
            Self::Disabled => "disabled",
            Self::Pending => "pending",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Exhausted => "exhausted",
            Self::Active => "active",
        }
    }

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        STATES.into_iter().find(|state| state.name() == name)
    }

    /// Why a token in this state is refused; `None` when it is active.
    pub const fn refusal(self) -> Option<Reason> {
        match self {
            Self::Revoked => Some(Reason::Revoked),
            Self::Locked => Some(Reason::Locked),
            Self::Disabled => Some(Reason::Disabled),
            Self::Pending => Some(Reason::Pending),
            Self::NotYetValid => Some(Reason::NotYetValid),
            Self::Expired => Some(Reason::Expired),
            Self::Exhausted => Some(Reason::Exhausted),
            Self::Active => None,
        }
    }
}

/// The facts that a state is derived from, wherever they are kept.
#[derive(Debug, Clone, Copy)]
pub struct StateFacts {
    /// Revoked for good.
    pub revoked: bool,
    /// Locked.
    pub locked: bool,
    /// Switched on.
    pub enabled: bool,
    /// Waits.
    pub pending: bool,
    /// When it counts.
    pub validity: Validity,
    /// No use is left.
    pub exhausted: bool,
}

impl StateFacts {
    /// The state at `now`: the one place that knows the order.
    pub fn state(self, now: Timestamp) -> State {
        if self.revoked {
            return State::Revoked;
        }
        if self.locked {
            return State::Locked;
        }
        if !self.enabled {
            return State::Disabled;
        }
        if self.pending {
            return State::Pending;
        }
        match self.validity.phase(now) {
            Phase::Before => State::NotYetValid,
            Phase::After => State::Expired,
            Phase::Within if self.exhausted => State::Exhausted,
            Phase::Within => State::Active,
        }
    }
}

impl Token {
    /// A token as it is issued when nothing is asked for: active, without bounds of its own, and
    /// without secrets.
    pub fn new(
        (id, kind): (TokenId, Kind),
        realm: RealmName,
        owner: Owner,
        services: Services,
        validity: Validity,
        (created_at, created_by): (Timestamp, String),
    ) -> Self {
        Self {
            id,
            realm,
            kind,
            name: None,
            description: None,
            owner,
            services,
            scopes: Vec::new(),
            permissions: None,
            networks: Vec::new(),
            doors: None,
            enabled: true,
            locked: false,
            pending: false,
            validity,
            revocation: None,
            created_at,
            created_by,
            activated_at: Some(created_at),
            usage: Usage::default(),
            max_usages: None,
            used: 0,
            labels: BTreeMap::new(),
            airlock: AirlockAttributes::default(),
            sentinel: SentinelAttributes::default(),
            unit: None,
            parent: None,
            device: None,
            changed_at: None,
            repository: None,
            otp: None,
            version: 1,
            secrets: Vec::new(),
        }
    }

    /// The token's own state at `now`; owner, service and realm are looked at by verify.
    pub fn state(&self, now: Timestamp) -> State {
        StateFacts {
            revoked: self.revocation.is_some(),
            locked: self.locked,
            enabled: self.enabled,
            pending: self.pending,
            validity: self.validity,
            exhausted: self.remaining() == Some(0),
        }
        .state(now)
    }

    /// When it was last of use to anybody: issued, activated, used, or given a new secret.
    pub fn last_active(&self) -> Timestamp {
        let secrets = self.secrets.iter().map(|secret| secret.created_at);
        let others = [self.activated_at, self.usage.last_at].into_iter().flatten();
        secrets.chain(others).fold(self.created_at, Timestamp::max)
    }

    /// Uses or draws left; `None`: unlimited.
    pub fn remaining(&self) -> Option<u64> {
        let limit = match self.kind {
            Kind::RegistrationToken => self.sentinel.count,
            _ => self.max_usages,
        };
        let taken = (self.used + self.sentinel.reserved).saturating_sub(self.sentinel.returned);
        limit.map(|limit| limit.saturating_sub(taken))
    }

    /// The labels of its services, `*` for all.
    pub fn service_labels(&self) -> Vec<&str> {
        self.services.labels()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_state_wins() {
        let at = Timestamp::from_micros;
        let validity = Validity::new(at(10), Some(at(20))).unwrap();
        let all = StateFacts {
            revoked: true,
            locked: true,
            enabled: false,
            pending: true,
            validity,
            exhausted: true,
        };
        assert_eq!(all.state(at(15)), State::Revoked);
        let facts = StateFacts { revoked: false, ..all };
        assert_eq!(facts.state(at(15)), State::Locked);
        let facts = StateFacts { locked: false, ..facts };
        assert_eq!(facts.state(at(15)), State::Disabled);
        let facts = StateFacts { enabled: true, ..facts };
        assert_eq!(facts.state(at(15)), State::Pending);
        let facts = StateFacts { pending: false, ..facts };
        assert_eq!(facts.state(at(5)), State::NotYetValid);
        assert_eq!(facts.state(at(20)), State::Expired);
        assert_eq!(facts.state(at(15)), State::Exhausted);
        let facts = StateFacts { exhausted: false, ..facts };
        assert_eq!(facts.state(at(15)), State::Active);
    }
}
