//! Which repositories there are, what each can do, and how those of other keepers stand.

use std::sync::Arc;

use crate::authority::Authority;
use crate::caller::Caller;
use crate::custom::{Capabilities, Capability, Health};
use crate::names::{RealmName, RepositoryName};
use crate::refusal::Refusal;
use crate::repository::{Repository, RepositoryKind};
use crate::scope::ApiScope;

/// What every repository of ours can do.
const OURS: [Capability; 9] = [
    Capability::Lookup,
    Capability::List,
    Capability::Create,
    Capability::Update,
    Capability::Delete,
    Capability::Enable,
    Capability::Filter,
    Capability::Sort,
    Capability::AtomicConsume,
];

/// A repository as its callers see it.
#[derive(Debug, Clone)]
pub struct RepositoryStanding {
    /// The repository.
    pub repository: Arc<Repository>,
    /// What it can do; `None`: it did not say so lately.
    pub capabilities: Option<Capabilities>,
    /// How it stands, if somebody else keeps it. Why it failed is told to who sees the whole realm.
    pub health: Option<Health>,
}

impl Authority {
    /// The repositories of a realm, by name. None of them is asked anything.
    pub async fn repository_standings(
        &self,
        caller: &Caller,
        realm: &RealmName,
    ) -> Result<Vec<RepositoryStanding>, Refusal> {
        let whole = caller.reach(realm, ApiScope::TokensRead)?.whole;
        self.realm_facts(realm).await?;
        let here = self.repositories().all().filter(|one| self.is_of_realm(realm, one));
        Ok(here.map(|one| self.standing(realm, one, whole)).collect())
    }

    /// One of them; somebody else's is asked what it can do, unless it said so lately.
    pub async fn repository_standing(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &RepositoryName,
    ) -> Result<RepositoryStanding, Refusal> {
        let repository = self.repository(caller, realm, name).await?;
        let whole = caller.reach(realm, ApiScope::TokensRead)?.whole;
        if let Some(kept) = self.repository_elsewhere(realm, name.as_str()) {
            // That it does not answer is what its health says.
            drop(kept.descriptor(self.clock.as_ref()).await);
        }
        Ok(self.standing(realm, &repository, whole))
    }

    fn standing(
        &self,
        realm: &RealmName,
        repository: &Arc<Repository>,
        whole: bool,
    ) -> RepositoryStanding {
        let kept = self.repository_elsewhere(realm, repository.name.as_str());
        let capabilities = match (&repository.kind, &kept) {
            (RepositoryKind::Token(_), _) => Some(Capabilities::of(&OURS).with(Capability::Assign)),
            (RepositoryKind::Credential(rules), _) => {
                let ours = Capabilities::of(&OURS);
                Some(if rules.support_next { ours.with(Capability::CurrentNext) } else { ours })
            }
            (RepositoryKind::Custom(_), Some(kept)) => kept.described(self.clock.now()),
            (RepositoryKind::Custom(_), None) => None,
        };
        let health = kept.map(|kept| kept.health()).map(|health| {
            let failure = health.failure.clone().filter(|_| whole);
            Health { failure, ..health }
        });
        RepositoryStanding { repository: Arc::clone(repository), capabilities, health }
    }
}
