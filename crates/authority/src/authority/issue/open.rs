//! Whether services take new tokens of a person: one that could never be used would be found out
//! only by its owner, far from here.

use std::sync::Arc;

use super::{no_such_service, services_field};
use crate::authority::Authority;
use crate::cache::ServiceCell;
use crate::caller::{Caller, Reach};
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName};
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
    /// To somebody who may not see a service it does not exist. What is drawn later or by others
    /// is not judged by their groups at all.
    pub(in crate::authority) async fn check_open(
        &self,
        realm: &RealmName,
        asking: &Asking<'_>,
        services: &[Arc<ServiceCell>],
    ) -> Result<(), Refusal> {
        let Some(first) = services.first() else { return Ok(()) };
        let services = services.iter().map(|cell| &cell.service);
        asking.check_seen(services.clone())?;
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

impl Asking<'_> {
    /// Whether a person who asks for themselves may know of the services, and is in the group that
    /// each of them asks for. Who administers a service sees it anyway.
    fn check_seen<'a>(&self, services: impl Iterator<Item = &'a Service>) -> Result<(), Refusal> {
        let caller = self.caller;
        let person = self.own && caller.subject.user().is_some();
        if !person || self.kind == Kind::RegistrationToken {
            return Ok(());
        }
        let groups = caller.groups.as_slice();
        let viewer = Viewer::Person { groups, unit: caller.unit.as_deref() };
        for service in services.filter(|service| service.label.as_str() != COUNTERFOIL) {
            if self.reach.covers_service(&service.label, service.unit.as_ref()) {
                continue;
            }
            if !service.would_be_seen_by(viewer) {
                return Err(no_such_service(services_field(self.kind), &service.label));
            }
            if service.group.as_ref().is_some_and(|group| !groups.contains(group)) {
                let said = "only members of its group have tokens for a service";
                return Err(Refusal::NotOpen(said.to_owned()));
            }
        }
        Ok(())
    }
}

fn is_active(service: &Service) -> bool {
    service.status == ServiceStatus::Active
}
