//! What a directory shows: to a verifier the people and groups of its services, to a person their
//! own entry, and for as long only as the token stands with which they came.

use super::Authority;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::names::{GroupName, RealmName, ServiceLabel, Username};
use crate::refusal::Refusal;
use crate::secret::TokenId;
use crate::service::{Service, ServiceStatus};
use crate::store::{Page, PageRequest, UserFilter};
use crate::subject::{Client, Group, OwnerFacts, User, UserStatus};
use crate::token::State;

/// Services read at a time, and people of a group.
const PAGE: u32 = 1000;

/// A service whose people and groups somebody may look at.
///
/// Invariant: it was found by [`Authority::shown_services`] for who looks.
#[derive(Debug, Clone)]
pub struct ShownService {
    service: Service,
}

impl ShownService {
    /// Its label.
    pub const fn label(&self) -> &ServiceLabel {
        &self.service.label
    }

    /// What to call it.
    pub fn name(&self) -> &str {
        &self.service.name
    }

    /// Whether only the members of a group may use it.
    pub const fn is_for_a_group(&self) -> bool {
        self.service.group.is_some()
    }

    /// Whether a person may use the service: with a group, its members; without, everybody. Those
    /// whose status ended cannot, and are not shown.
    fn has(&self, user: &User) -> bool {
        let within = self.service.group.as_ref().is_none_or(|group| user.groups.contains(group));
        user.status == UserStatus::Active && within && !user.locks.hold_at(&self.service.label)
    }
}

impl Authority {
    /// The caller as they stand now: what they may do can have changed since they presented their
    /// token. `None` once the token or its owner does not count any more.
    ///
    /// For protocols in which somebody presents a token once and then asks many questions.
    pub async fn recall(&self, caller: &Caller) -> Result<Option<Caller>, Refusal> {
        let Some(entry) = self.standing_entry(&caller.realm, caller.token).await? else {
            return Ok(None);
        };
        let standing = match entry.owner.standing.get() {
            Some(standing) => standing.clone(),
            None => self.standing_anew(&caller.realm, &entry.owner).await?,
        };
        Ok(Some(Caller { standing, ..caller.clone() }))
    }

    /// Whether a token that was presented before still counts. Its uses are not asked about: one
    /// of them was this one.
    pub async fn stands(&self, realm: &RealmName, token: TokenId) -> Result<bool, Refusal> {
        Ok(self.standing_entry(realm, token).await?.is_some())
    }

    async fn standing_entry(
        &self,
        realm: &RealmName,
        token: TokenId,
    ) -> Result<Option<std::sync::Arc<crate::cache::Entry>>, Refusal> {
        let now: Timestamp = self.now();
        let Some(entry) = self.entry(token).await? else { return Ok(None) };
        let active = entry.state_facts().state(now) == State::Active;
        let orphan = entry.rest.as_ref().is_some_and(|rest| rest.parent_revoked);
        let owner = match &entry.owner.facts {
            OwnerFacts::User(user) => user.counts(),
            OwnerFacts::Client(client) => client.enabled,
            OwnerFacts::Gone => false,
        };
        let here = entry.owner.realm == *realm && self.realm_facts(realm).await?.realm.enabled;
        Ok((active && !orphan && owner && here).then_some(entry))
    }

    /// A person's own entry, for themselves.
    pub async fn own_person(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Option<User>, Refusal> {
        Ok(self.store().user_find(realm, name).await?)
    }

    /// A client's own record, for itself.
    pub async fn own_client(&self, caller: &Caller) -> Result<Option<Client>, Refusal> {
        let crate::subject::Owner::Client(name) = &caller.subject else { return Ok(None) };
        Ok(self.store().client_find(&caller.realm, name).await?)
    }

    /// The services of a verifier, those that are active, in the order of their labels.
    ///
    /// Refused to who verifies nothing.
    pub async fn shown_services(
        &self,
        caller: &Caller,
        realm: &RealmName,
    ) -> Result<Vec<ShownService>, Refusal> {
        let labels = self.verifiable(caller, realm)?;
        let mut found = Vec::new();
        if let Some(labels) = labels {
            let mut labels = labels.into_owned();
            labels.sort();
            labels.dedup();
            for label in &labels {
                found.extend(self.store().service_find(realm, label).await?);
            }
        } else {
            let mut page = PageRequest::first(PAGE);
            loop {
                let services = self.store().service_list(realm, page).await?;
                found.extend(services.items);
                let Some(next) = services.next else { break };
                page = PageRequest { limit: PAGE, after: Some(next) };
            }
        }
        found.retain(|service| service.status == ServiceStatus::Active && !service.locked);
        Ok(found.into_iter().map(|service| ShownService { service }).collect())
    }

    /// A person who may use the service.
    pub async fn shown_person(
        &self,
        shown: &ShownService,
        name: &Username,
    ) -> Result<Option<User>, Refusal> {
        let found = self.store().user_find(&shown.service.realm, name).await?;
        Ok(found.filter(|user| shown.has(user)))
    }

    /// The people who may use the service, in the order of their names.
    pub async fn shown_people(
        &self,
        shown: &ShownService,
        page: PageRequest,
    ) -> Result<Page<User>, Refusal> {
        let filter = UserFilter {
            status: Some(UserStatus::Active),
            group: shown.service.group.clone(),
            ..UserFilter::default()
        };
        Ok(self.store().user_list(&shown.service.realm, filter, page).await?)
    }

    /// A group of the realm.
    pub async fn shown_group(
        &self,
        shown: &ShownService,
        name: &GroupName,
    ) -> Result<Option<Group>, Refusal> {
        Ok(self.store().group_find(&shown.service.realm, name).await?)
    }

    /// The groups of the realm, in the order of their names.
    pub async fn shown_groups(
        &self,
        shown: &ShownService,
        page: PageRequest,
    ) -> Result<Page<Group>, Refusal> {
        Ok(self.store().group_list(&shown.service.realm, page).await?)
    }

    /// Those of a group who may use the service; `None` if there are more than `most`.
    pub async fn shown_members(
        &self,
        shown: &ShownService,
        group: &GroupName,
        most: usize,
    ) -> Result<Option<Vec<Username>>, Refusal> {
        let filter = UserFilter {
            status: Some(UserStatus::Active),
            group: Some(group.clone()),
            ..UserFilter::default()
        };
        let mut page = PageRequest::first(PAGE);
        let mut members = Vec::new();
        loop {
            let users = self.store().user_list(&shown.service.realm, filter.clone(), page).await?;
            let within = users.items.into_iter().filter(|user| shown.has(user));
            members.extend(within.map(|user| user.username));
            if members.len() > most {
                return Ok(None);
            }
            let Some(next) = users.next else { return Ok(Some(members)) };
            page = PageRequest { limit: PAGE, after: Some(next) };
        }
    }
}
