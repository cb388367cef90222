//! Whether services take new tokens of a person: one that could never be used would be found out
//! only by its owner, far from here.

use std::sync::Arc;

use crate::authority::Authority;
use crate::cache::ServiceCell;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::service::ServiceStatus;
use crate::subject::Owner;

impl Authority {
    /// Whether one of the services at least is active and has the person in the group that it asks
    /// for. The others are judged when the token is used, as they may open later.
    ///
    /// What is drawn later or by others is not judged here at all.
    pub(in crate::authority) async fn check_open(
        &self,
        realm: &RealmName,
        owner: &Owner,
        kind: Kind,
        services: &[Arc<ServiceCell>],
    ) -> Result<(), Refusal> {
        if !matches!(kind, Kind::ServiceToken | Kind::PersonalAccessToken) || services.is_empty() {
            return Ok(());
        }
        let active = |cell: &&Arc<ServiceCell>| cell.service.status == ServiceStatus::Active;
        let active: Vec<&Arc<ServiceCell>> = services.iter().filter(active).collect();
        if active.is_empty() {
            return Err(Refusal::NotOpen("the service is suspended".into()));
        }
        let Owner::User(name) = owner else { return Ok(()) };
        if active.iter().any(|cell| cell.service.group.is_none()) {
            return Ok(());
        }
        // Who is unknown is told apart when the token is stored.
        let Some(user) = self.store.user_find(realm, name).await? else { return Ok(()) };
        let mut groups = active.iter().filter_map(|cell| cell.service.group.as_ref());
        if groups.any(|group| user.groups.contains(group)) {
            return Ok(());
        }
        Err(Refusal::NotOpen("the service is for members of its group".into()))
    }
}
