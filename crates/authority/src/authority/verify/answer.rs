//! What verify says, and the facts of a token that is good.

use std::sync::Arc;

use crate::cache::{OwnerCell, Profile, ServiceCell};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::GroupName;
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::subject::OwnerFacts;
use crate::verdict::Reason;

/// What verify says.
#[derive(Debug)]
pub enum Verdict {
    /// It is good.
    Active(Active),
    /// It is not.
    Inactive {
        /// Why, for those who may know.
        reason: Reason,
        /// The token, if the right secret was presented.
        token: Option<TokenId>,
    },
}

/// The facts of a token that is good.
#[derive(Debug)]
pub struct Active {
    pub(super) id: TokenId,
    pub(super) kind: Kind,
    pub(super) owner: Arc<OwnerCell>,
    pub(super) profile: Arc<Profile>,
    pub(super) service: Option<Arc<ServiceCell>>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) remaining: Option<u64>,
    pub(super) former_secret: bool,
}

impl Active {
    /// The token's id.
    pub const fn token(&self) -> TokenId {
        self.id
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The person it belongs to.
    pub fn username(&self) -> Option<&str> {
        match &self.owner.facts {
            OwnerFacts::User(user) => Some(user.username.as_str()),
            _ => None,
        }
    }

    /// The client it belongs to.
    pub fn client(&self) -> Option<&str> {
        match &self.owner.facts {
            OwnerFacts::Client(client) => Some(client.name.as_str()),
            _ => None,
        }
    }

    /// What to call the person.
    pub fn display_name(&self) -> Option<&str> {
        match &self.owner.facts {
            OwnerFacts::User(user) => user.display_name.as_deref(),
            _ => None,
        }
    }

    /// The person's first address.
    pub fn email(&self) -> Option<&str> {
        match &self.owner.facts {
            OwnerFacts::User(user) => user.email.as_deref(),
            _ => None,
        }
    }

    /// The person's groups.
    pub fn groups(&self) -> &[GroupName] {
        match &self.owner.facts {
            OwnerFacts::User(user) => &user.groups,
            _ => &[],
        }
    }

    /// The service it was found good for; `None` if none was checked.
    pub fn service(&self) -> Option<&str> {
        self.service.as_ref().map(|cell| cell.service.label.as_str())
    }

    /// Whether a service was checked at all.
    pub const fn service_checked(&self) -> bool {
        self.service.is_some()
    }

    /// Its scopes.
    pub fn scopes(&self) -> &[Scope] {
        &self.profile.scopes
    }

    /// Its permissions, as JSON text.
    pub fn permissions(&self) -> Option<&str> {
        self.profile.permissions.as_deref()
    }

    /// When it ends.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Uses left after this one; `None`: unlimited.
    pub const fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Whether a former secret was presented, inside its overlap.
    pub const fn former_secret(&self) -> bool {
        self.former_secret
    }

    pub(in crate::authority) const fn owner(&self) -> &Arc<OwnerCell> {
        &self.owner
    }
}
