//! What verify says, and the facts of a token that is good.

use std::sync::Arc;

use super::Binding;
use crate::access::{AccessFacts, Confirmation};
use crate::brownout::Window;
use crate::cache::{Entry, OwnerCell, ServiceCell};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{GroupName, Username};
use crate::otp::Method;
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::service::Services;
use crate::subject::OwnerFacts;
use crate::use_notes::LastNote;
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
    /// What is remembered of it. The entry alone is held, which few ask for at the same time, and
    /// not its profile and its service, which all cores would have to count up and down.
    pub(super) entry: Arc<Entry>,
    pub(super) found: Found,
    /// What it may do, where that is less than its entry says: of an ordinary token it never is.
    pub(super) narrowed: Option<Box<Narrowed>>,
    pub(super) remaining: Option<u64>,
    pub(super) former_secret: bool,
    /// When what it issues must end at the latest.
    pub(super) issues_until: Option<Timestamp>,
    /// The next brown-out that waits for it.
    pub(super) brown_out: Option<Window>,
    /// How an authentication token has proved itself.
    pub(super) method: Option<Method>,
    /// The repository of somebody else that keeps it.
    pub(super) kept_by: Option<Arc<str>>,
    /// Whether something that it came from is bound to networks.
    pub(super) bound_above: bool,
}

/// What is left to a token where something that it came from has lost some since.
#[derive(Debug)]
pub(super) struct Narrowed {
    pub(super) services: Services,
    pub(super) scopes: Vec<Scope>,
    pub(super) permissions: Option<String>,
}

/// The service that a token was found good for.
#[derive(Debug)]
pub(super) enum Found {
    /// None was checked.
    Unchecked,
    /// The one that was asked about.
    AsAsked,
    /// One of several.
    Among(Arc<ServiceCell>),
}

impl Active {
    /// What was last noted of its uses.
    pub(in crate::authority) fn last_note(&self) -> &LastNote {
        &self.entry.last_note
    }

    /// The token's id.
    pub fn token(&self) -> TokenId {
        self.entry.id
    }

    /// How it has proved itself, if by a code.
    pub const fn method(&self) -> Option<Method> {
        self.method
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.entry.kind
    }

    /// Who speaks through it, if that is its owner: an enrolled device speaks for itself, and the
    /// owner of its token is only who let it in.
    fn person(&self) -> Option<&OwnerFacts> {
        let device = self.access().is_some_and(AccessFacts::is_of_device);
        (!device).then_some(&self.entry.owner.facts)
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

    /// The next short refusal before its end, where its policy has any.
    pub const fn brown_out(&self) -> Option<Window> {
        self.brown_out
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

    /// The service it was found good for by who asked with this binding; `None` if none was
    /// checked.
    pub fn service<'a>(&'a self, asked: &Binding<'a>) -> Option<&'a str> {
        match (&self.found, asked) {
            (Found::Among(cell), _) => Some(cell.service.label.as_str()),
            (Found::AsAsked, Binding::Service(label)) => Some(label.as_str()),
            (Found::AsAsked | Found::Unchecked, _) => None,
        }
    }

    /// Whether a service was checked at all.
    pub const fn service_checked(&self) -> bool {
        !matches!(self.found, Found::Unchecked)
    }

    /// Its scopes.
    pub fn scopes(&self) -> &[Scope] {
        self.narrowed.as_ref().map_or(&self.entry.profile.scopes, |left| &left.scopes)
    }

    /// Whether something that it came from has lost some of what it was given.
    pub const fn is_narrowed(&self) -> bool {
        self.narrowed.is_some()
    }

    /// Its permissions, as JSON text.
    pub fn permissions(&self) -> Option<&str> {
        match &self.narrowed {
            Some(left) => left.permissions.as_deref(),
            None => self.entry.profile.permissions.as_deref(),
        }
    }

    /// When it ends, by itself or with what it came from.
    pub fn expires_at(&self) -> Option<Timestamp> {
        sooner(self.entry.validity.expires_at(), self.issues_until)
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
        self.entry.access().map(|facts| &**facts)
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
        self.narrowed.as_ref().map_or(&self.entry.profile.services, |left| &left.services)
    }

    /// Whether it, or something that it came from, is bound to networks. What an access token
    /// remembers of its parent may be out of date; what was seen above it is not.
    pub(in crate::authority) fn is_bound(&self) -> bool {
        self.bound_above || !self.entry.profile.networks.is_empty()
    }

    /// The token it stands for in the audit: itself, or what an access token was made from.
    pub fn root(&self) -> TokenId {
        self.access().map_or(self.entry.id, |access| access.parent)
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

    pub(in crate::authority) fn owner(&self) -> &Arc<OwnerCell> {
        &self.entry.owner
    }
}

/// The sooner one of two ends; `None` is never.
pub(super) fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
