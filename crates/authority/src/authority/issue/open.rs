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
    /// Whether each service is active, and the person in the group that it asks for.
    ///
    /// What is drawn later or by others is not judged here but when it is used.
    pub(super) async fn check_open(
        &self,
        realm: &RealmName,
        owner: &Owner,
        kind: Kind,
        services: &[Arc<ServiceCell>],
    ) -> Result<(), Refusal> {
        if !matches!(kind, Kind::ServiceToken | Kind::PersonalAccessToken) {
            return Ok(());
        }
        let suspended = services.iter().find(|cell| cell.service.status != ServiceStatus::Active);
        if let Some(cell) = suspended {
            let label = &cell.service.label;
            return Err(Refusal::NotOpen(format!("{label} is suspended")));
        }
        let Owner::User(name) = owner else { return Ok(()) };
        if services.iter().all(|cell| cell.service.group.is_none()) {
            return Ok(());
        }
        // Who is unknown is told apart when the token is stored.
        let Some(user) = self.store.user_find(realm, name).await? else { return Ok(()) };
        let outside = services.iter().find(|cell| {
            cell.service.group.as_ref().is_some_and(|group| !user.groups.contains(group))
        });
        match outside {
            Some(cell) => {
                let label = &cell.service.label;
                Err(Refusal::NotOpen(format!("{label} is for members of its group")))
            }
            None => Ok(()),
        }
    }
}
