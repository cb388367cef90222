//! The portal: which services somebody sees, and which of them would take tokens of theirs.

use std::collections::BTreeMap;

use super::Authority;
use crate::caller::Caller;
use crate::names::{COUNTERFOIL, GroupName, RealmName};
use crate::refusal::{Refusal, Thing};
use crate::service::{Service, ServiceStatus, Viewer};
use crate::store::{Page, PageRequest};

/// A service as somebody sees it in the portal.
#[derive(Debug, Clone, PartialEq)]
pub struct PortalService {
    /// The service.
    pub service: Service,
    /// Whether they are in its group.
    pub member: bool,
    /// Whether they could have a token for it.
    pub usable: bool,
    /// Whether they join and leave its group by themselves.
    pub open: bool,
}

impl Authority {
    /// Says of each service whether the caller joins and leaves its group by themselves.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn with_openings(
        &self,
        caller: &Caller,
        mut services: Vec<PortalService>,
    ) -> Result<Vec<PortalService>, Refusal> {
        let mut known: BTreeMap<GroupName, bool> = BTreeMap::new();
        for one in &mut services {
            let Some(name) = &one.service.group else { continue };
            if !known.contains_key(name) {
                let group = self.store().group_find(&caller.realm, name).await?;
                known.insert(name.clone(), group.is_some_and(|group| group.open));
            }
            one.open = known.get(name) == Some(&true);
        }
        Ok(services)
    }

    /// Lists the services that somebody sees; `None` is whoever has not said who they are.
    ///
    /// Suspended services are shown to nobody, and who administers services sees those that they
    /// administer, whatever their visibility. A page may hold fewer than its limit.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] where there is nothing for somebody unknown to see, so that nobody
    /// learns which realms there are.
    pub async fn portal(
        &self,
        caller: Option<&Caller>,
        realm: &RealmName,
        mut request: PageRequest,
    ) -> Result<Page<PortalService>, Refusal> {
        let sight = match caller {
            Some(caller) => Some(self.sight(caller, realm).await?),
            None => None,
        };
        loop {
            let limit = request.limit;
            let page = self.store().service_list(realm, request).await?;
            let shown = page.items.into_iter().filter(|service| {
                service.status == ServiceStatus::Active
                    && service.label.as_str() != COUNTERFOIL
                    && match &sight {
                        Some(sight) => sight.shows(service),
                        None => service.is_seen_by(Viewer::Anybody),
                    }
            });
            let items: Vec<PortalService> = shown
                .map(|service| {
                    let groups = caller.map(|caller| caller.groups.as_slice()).unwrap_or_default();
                    let within = service.group.as_ref().is_some_and(|own| groups.contains(own));
                    let person = caller.is_some_and(|caller| caller.subject.user().is_some());
                    let open = service.group.is_none() || within;
                    let usable = person
                        && open
                        && !service.locked
                        && service.token_policy.enabled != Some(false);
                    PortalService { member: within, usable, open: false, service }
                })
                .collect();
            match page.next {
                // An empty page would tell whoever asks for it that the realm exists.
                Some(next) if items.is_empty() => {
                    request = PageRequest { limit, after: Some(next) };
                }
                None if items.is_empty() && caller.is_none() => {
                    return Err(Refusal::NotFound(Thing::Realm));
                }
                next => return Ok(Page { items, next }),
            }
        }
    }
}
