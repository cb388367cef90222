//! Which services a short-lived token may be made for.
//!
//! They are judged when it is made, as at every use: who verifies a JWT by itself never asks.

use std::net::IpAddr;

use super::Authority;
use super::verify::network_allowed;
use crate::cache::{Entry, ServiceCell};
use crate::caller::RequestContext;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::service::{ServiceStatus, Services};
use crate::subject::OwnerFacts;

/// Whose token it is to be, as far as a service has a say in it.
pub(super) struct Holder<'a> {
    owner: &'a OwnerFacts,
    scopes: &'a [Scope],
    for_everything: bool,
    derived: bool,
    /// A client's key is bounded by its role; policies are about people and devices.
    of_key: bool,
    /// From when to when, of a token that is issued and not drawn.
    life: Option<(Timestamp, Option<Timestamp>)>,
    /// Where the request came from; `None`: that is judged elsewhere.
    source: Option<Source>,
}

struct Source(Option<IpAddr>);

impl<'a> Holder<'a> {
    /// The owner of a token. What is drawn has a life of its own, which its registration token's
    /// policy bounded when that one was issued.
    pub(super) fn of(entry: &'a Entry, context: Option<&RequestContext>) -> Self {
        let drawn = matches!(entry.kind, Kind::RegistrationToken | Kind::AuthToken);
        Self {
            owner: &entry.owner.facts,
            scopes: &entry.profile.scopes,
            for_everything: entry.profile.services == Services::All,
            derived: entry.kind == Kind::DerivedToken,
            of_key: entry.is_of_key(),
            life: (!drawn).then(|| (entry.created_at, entry.validity.expires_at())),
            source: context.map(|context| Source(context.source)),
        }
    }

    fn is_taken_by(&self, cell: &ServiceCell) -> bool {
        if cell.service.status != ServiceStatus::Active || cell.is_locked_for(self.owner) {
            return false;
        }
        if let (Some(group), OwnerFacts::User(user)) = (&cell.service.group, self.owner)
            && !user.groups.contains(group)
        {
            return false;
        }
        if self.for_everything && !self.owner.may_see(&cell.service) {
            return false;
        }
        self.of_key || self.is_within_policy(cell)
    }

    fn is_within_policy(&self, cell: &ServiceCell) -> bool {
        let policy = &cell.policy;
        let lives = self.life.is_none_or(|(from, to)| {
            policy.allows_lifetime(from.micros(), to.map(Timestamp::micros))
        });
        let inside = self.source.as_ref().is_none_or(|Source(source)| {
            policy.networks.iter().all(|networks| network_allowed(networks, *source))
        });
        let derivable = !self.derived || policy.takes_derived_for_everything();
        let agreed =
            !self.for_everything || (derivable && policy.agrees_to_everything(self.scopes));
        policy.enabled && lives && inside && agreed
    }
}

impl Authority {
    /// Those of the named services that take tokens of the holder now; `None` if not one does.
    /// Who names none, or all, has nobody who could refuse.
    pub(super) async fn living_services(
        &self,
        realm: &RealmName,
        services: &Services,
        holder: &Holder<'_>,
    ) -> Result<Option<Services>, Refusal> {
        let Services::Named(labels) = services else { return Ok(Some(Services::All)) };
        let mut living = Vec::with_capacity(labels.len());
        for label in labels {
            let cell = self.service_facts(realm, label).await?;
            if cell.is_some_and(|cell| holder.is_taken_by(&cell)) {
                living.push(label.clone());
            }
        }
        let some = labels.is_empty() || !living.is_empty();
        Ok(some.then_some(Services::Named(living)))
    }
}
