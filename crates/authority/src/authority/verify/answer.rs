//! What verify says, and the facts of a token that is good.

use std::sync::Arc;

use crate::access::{AccessFacts, Confirmation};
use crate::cache::{OwnerCell, Profile, ServiceCell};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{GroupName, Username};
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::service::Services;
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
    pub(super) access: Option<Arc<AccessFacts>>,
    /// When what it issues must end at the latest.
    pub(super) issues_until: Option<Timestamp>,
    /// The token it was derived from.
    pub(super) parent: Option<TokenId>,
    /// The repository of somebody else that keeps it.
    pub(super) kept_by: Option<Arc<str>>,
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

    /// Who speaks through it, if that is its owner: an enrolled device speaks for itself, and the
    /// owner of its token is only who let it in.
    fn person(&self) -> Option<&OwnerFacts> {
        let device = self.access().is_some_and(AccessFacts::is_of_device);
        (!device).then_some(&self.owner.facts)
    }

    /// The person it belongs to.
    pub fn username(&self) -> Option<&str> {
        match self.person() {
            Some(OwnerFacts::User(user)) => Some(user.username.as_str()),
            _ => None,
        }
    }

    /// The same as the name itself, which is shared.
    pub fn user(&self) -> Option<&Username> {
        match self.person() {
            Some(OwnerFacts::User(user)) => Some(&user.username),
            _ => None,
        }
    }

    /// The client it belongs to.
    pub fn client(&self) -> Option<&str> {
        match self.person() {
            Some(OwnerFacts::Client(client)) => Some(client.name.as_str()),
            _ => None,
        }
    }

    /// What to call the person.
    pub fn display_name(&self) -> Option<&str> {
        match self.person() {
            Some(OwnerFacts::User(user)) => user.display_name.as_deref(),
            _ => None,
        }
    }

    /// The person's first address.
    pub fn email(&self) -> Option<&str> {
        match self.person() {
            Some(OwnerFacts::User(user)) => user.email.as_deref(),
            _ => None,
        }
    }

    /// The person's groups.
    pub fn groups(&self) -> &[GroupName] {
        match self.person() {
            Some(OwnerFacts::User(user)) => &user.groups,
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

    /// What it says of itself, if it is an access token.
    pub fn access(&self) -> Option<&AccessFacts> {
        self.access.as_deref()
    }

    /// The key that its sender must prove to hold, if there is one.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.access().map(|access| &access.confirmation).filter(|key| !key.is_bearer())
    }

    /// Whether whoever holds it may use it without more.
    pub fn is_bearer(&self) -> bool {
        self.confirmation().is_none()
    }

    /// The services that it was issued for.
    pub fn services(&self) -> &Services {
        &self.profile.services
    }

    /// The token it stands for in the audit: itself, or what an access token was made from.
    pub fn root(&self) -> TokenId {
        self.access().map_or(self.id, |access| access.parent)
    }

    /// When what it issues must end at the latest; an access token issues for its parent.
    pub const fn issues_until(&self) -> Option<Timestamp> {
        self.issues_until
    }

    /// The repository of somebody else that keeps it; `None`: it is ours. Nothing is made from
    /// such a token, because nothing here would end with it.
    pub fn kept_by(&self) -> Option<&str> {
        self.kept_by.as_deref()
    }

    pub(in crate::authority) const fn owner(&self) -> &Arc<OwnerCell> {
        &self.owner
    }
}
