//! Locking a person, a service, or a person at a service: what they have and what they will get.

use std::collections::BTreeMap;

use super::Authority;
use super::realms::EDIT_ATTEMPTS_MAX;
use crate::caller::{Caller, Reach};
use crate::lock::Locks;
use crate::names::{COUNTERFOIL, RealmName, ServiceLabel, Username};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::service::Service;
use crate::subject::{Owner, Provisioned, User};

/// A lock to put on or take off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockAct {
    /// On, or off.
    pub on: bool,
    /// Why, in the words of who does it.
    pub reason: Option<String>,
}

impl Authority {
    /// Locks or unlocks every token of a person, at one service or everywhere, whenever it was or
    /// will be issued. Idempotent: only a change is an event.
    ///
    /// For administrators of the person; at one service also for who looks after it.
    ///
    /// # Errors
    ///
    /// [`Refusal::BeyondGrant`] for the person themselves, and for those who stand below them.
    /// [`Refusal::NotFound`] for who looks after a service and names somebody who cannot use it:
    /// they learn of nobody else whether there is such a person.
    pub async fn lock_user(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &Username,
        service: Option<&ServiceLabel>,
        act: &LockAct,
    ) -> Result<User, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensWrite)?;
        self.check_reason(act)?;
        let owner = Owner::User(name.clone());
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let found = self.store().user_find(realm, name).await?;
            let user = found.ok_or(Refusal::NotFound(Thing::User))?;
            let administrates =
                reach.whole || user.unit.as_ref().is_some_and(|unit| reach.units.contains(unit));
            if caller.is(&owner, realm) {
                let why = "nobody locks or unlocks themselves: another administrator does";
                return Err(Refusal::BeyondGrant(why));
            }
            if !administrates && !self.looks_after(&reach, &user, service).await? {
                return Err(Refusal::NotFound(Thing::User));
            }
            self.require_above(caller, realm, &owner).await?;
            if let Some(label) = service
                && act.on
                && self.store().service_find(realm, label).await?.is_none()
            {
                return Err(Refusal::invalid("service", format!("there is no service {label}")));
            }
            let told = |user: User| {
                let label = service.filter(|_| !administrates);
                label.map_or_else(|| user.clone(), |label| as_known_at(label, &user))
            };
            let locks = user.locks.clone().with(service, act.on);
            if locks == user.locks {
                return Ok(told(user));
            }
            let at = self.now();
            let kind = if act.on { "user.locked" } else { "user.unlocked" };
            let mut event =
                self.event(kind, realm, &caller.origin, at)?.with_subject(owner.actor());
            if let Some(label) = service {
                event = event.with_service(label.as_str());
            }
            if let Some(reason) = &act.reason {
                event = event.with_reason(reason.clone());
            }
            let changed = User { locks, updated_at: at, ..user };
            let updated = self.store().user_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::User) {
                Err(Refusal::VersionMismatch) => {}
                settled => return settled.map(told),
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// Whether a service within reach is one that this person can use, or is locked at.
    async fn looks_after(
        &self,
        reach: &Reach,
        user: &User,
        service: Option<&ServiceLabel>,
    ) -> Result<bool, Refusal> {
        let Some(label) = service else { return Ok(false) };
        if label.as_str() == COUNTERFOIL || !reach.services.contains(label) {
            return Ok(false);
        }
        let found = self.store().service_find(&user.realm, label).await?;
        let member = |service: &Service| {
            service.group.as_ref().is_none_or(|group| user.groups.contains(group))
        };
        Ok(user.locks.services.contains(label) || found.is_some_and(|service| member(&service)))
    }

    /// Locks or unlocks every token at a service, whenever it was or will be issued. Idempotent.
    ///
    /// # Errors
    ///
    /// [`Refusal::BuiltIn`] for `counterfoil`: nobody could unlock it again.
    pub async fn lock_service(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
        act: &LockAct,
    ) -> Result<Service, Refusal> {
        let reach = caller.reach(realm, ApiScope::ServicesWrite)?;
        self.check_reason(act)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let service = self.service_in_reach(&reach, realm, label).await?;
            if label.as_str() == COUNTERFOIL {
                return Err(Refusal::BuiltIn(Thing::Service));
            }
            if service.locked == act.on {
                return Ok(service);
            }
            let at = self.now();
            let kind = if act.on { "service.locked" } else { "service.unlocked" };
            let mut event =
                self.event(kind, realm, &caller.origin, at)?.with_service(label.as_str());
            if let Some(reason) = &act.reason {
                event = event.with_reason(reason.clone());
            }
            let changed = Service { locked: act.on, updated_at: at, ..service };
            let updated = self.store().service_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::Service) {
                Err(Refusal::VersionMismatch) => {}
                settled => return settled,
            }
        }
        Err(Refusal::VersionMismatch)
    }

    fn check_reason(&self, act: &LockAct) -> Result<(), Refusal> {
        act.reason.as_deref().map_or(Ok(()), |reason| self.refuse_token("reason", reason))
    }
}

/// A person as those see them who look after a service and nothing else: their tokens name them,
/// and what else there is to know about them is nobody's business there.
fn as_known_at(label: &ServiceLabel, user: &User) -> User {
    User {
        display_name: None,
        emails: Vec::new(),
        attributes: BTreeMap::new(),
        unit: None,
        groups: Vec::new(),
        provisioned: Provisioned::default(),
        locks: Locks::default().with(Some(label), user.locks.hold_at(label)),
        ..user.clone()
    }
}
