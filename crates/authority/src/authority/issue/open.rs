//! Whether services take new tokens of a person: one that could never be used would be found out
//! only by its owner, far from here.

use std::sync::Arc;

use super::{no_such_service, services_field};
use crate::authority::Authority;
use crate::cache::ServiceCell;
use crate::caller::{Caller, Reach};
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName, ServiceLabel};
use crate::refusal::Refusal;
use crate::service::{Service, ServiceStatus, Viewer};
use crate::subject::Owner;

/// Who asks for a token, for whom, and of what kind.
pub(in crate::authority) struct Asking<'a> {
    pub(in crate::authority) caller: &'a Caller,
    pub(in crate::authority) reach: &'a Reach,
    pub(in crate::authority) owner: &'a Owner,
    pub(in crate::authority) kind: Kind,
    pub(in crate::authority) own: bool,
}

impl Authority {
    /// Whether the services that a token is to name are there for the caller, and one at least
    /// takes it: it is active, and has the person in the group that it asks for. The others are
    /// judged when the token is used, as they may open later.
    ///
    /// What is drawn later or by others is not judged by their groups at all.
    pub(in crate::authority) async fn check_open(
        &self,
        realm: &RealmName,
        asking: &Asking<'_>,
        services: &[Arc<ServiceCell>],
    ) -> Result<(), Refusal> {
        let Some(first) = services.first() else { return Ok(()) };
        let services = services.iter().map(|cell| &cell.service);
        if let Some(unknown) = services.clone().find(|service| !asking.knows(service)) {
            return Err(no_such_service(services_field(asking.kind), &unknown.label));
        }
        asking.check_groups(services.clone())?;
        let active: Vec<&Service> = services.filter(|one| is_active(one)).collect();
        if active.is_empty() {
            let why = format!("the service {} is suspended", first.service.label);
            return Err(Refusal::NotOpen(why));
        }
        if !matches!(asking.kind, Kind::ServiceToken | Kind::PersonalAccessToken) {
            return Ok(());
        }
        let Owner::User(name) = asking.owner else { return Ok(()) };
        if active.iter().any(|service| service.group.is_none()) {
            return Ok(());
        }
        // Who is unknown is told apart when the token is stored.
        let Some(user) = self.store.user_find(realm, name).await? else { return Ok(()) };
        let mut groups = active.iter().filter_map(|service| service.group.as_ref());
        if groups.any(|group| user.groups.contains(group)) {
            return Ok(());
        }
        Err(Refusal::NotOpen("the service is for members of its group".into()))
    }
}

impl Authority {
    /// The services that somebody names, with their policies. One that they may not see is as
    /// unknown as one that does not exist, whatever stands beside it.
    pub(in crate::authority) async fn cells_known_to(
        &self,
        realm: &RealmName,
        labels: &[&ServiceLabel],
        asking: &Asking<'_>,
        field: &'static str,
    ) -> Result<Vec<Arc<ServiceCell>>, Refusal> {
        let mut cells = Vec::with_capacity(labels.len());
        for &label in labels {
            let found = self.service_facts(realm, label).await?;
            let known = found.filter(|cell| asking.knows(&cell.service));
            cells.push(known.ok_or_else(|| no_such_service(field, label))?);
        }
        Ok(cells)
    }
}

impl Asking<'_> {
    /// Whether visibility, unit and group have a say: for a person who asks for themselves, and
    /// does not administer the service.
    fn is_bound_by(&self, service: &Service) -> bool {
        self.own
            && self.caller.subject.user().is_some()
            && self.kind != Kind::RegistrationToken
            && service.label.as_str() != COUNTERFOIL
            && !self.reach.covers_service(&service.label, service.unit.as_ref())
    }

    /// Whether the service exists for them.
    fn knows(&self, service: &Service) -> bool {
        let groups = self.caller.groups.as_slice();
        let viewer = Viewer::Person { groups, unit: self.caller.unit.as_deref() };
        !self.is_bound_by(service) || service.would_be_seen_by(viewer)
    }

    /// Whether they are in the group that each service asks for.
    fn check_groups<'a>(&self, services: impl Iterator<Item = &'a Service>) -> Result<(), Refusal> {
        let bound = services.filter(|service| self.is_bound_by(service));
        let mut groups = bound.filter_map(|service| service.group.as_ref());
        if groups.all(|group| self.caller.groups.contains(group)) {
            return Ok(());
        }
        let said = "only members of its group have tokens for a service";
        Err(Refusal::NotOpen(said.to_owned()))
    }
}

fn is_active(service: &Service) -> bool {
    service.status == ServiceStatus::Active
}
