//! Grants: roles given to people, clients and groups.

use crate::authority::Authority;
use crate::authority::clients::{check_limits, require_sight};
use crate::authority::rank::may_give;
use crate::authority::realms::missing;
use crate::caller::{Caller, Powers};
use crate::event::time_ordered_id;
use crate::names::{RealmName, ServiceLabel};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::store::{Inserted, Page, PageRequest};
use crate::subject::{Grant, GrantSubject, Limits, Role};

/// A grant to make.
#[derive(Debug, Clone)]
pub struct GrantDraft {
    /// Who receives it.
    pub subject: GrantSubject,
    /// What they receive.
    pub role: Role,
    /// The unit it is limited to.
    pub unit: Option<String>,
    /// The service it is limited to.
    pub service: Option<ServiceLabel>,
    /// Further bounds.
    pub limits: Limits,
}

impl Authority {
    /// Lists grants.
    pub async fn grants(
        &self,
        caller: &Caller,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Grant>, Refusal> {
        require_sight(caller, realm)?;
        self.realm_facts(realm).await?;
        Ok(self.store().grant_list(realm, page).await?)
    }

    /// Gives a role. Nobody gives more than they have.
    pub async fn create_grant(
        &self,
        caller: &Caller,
        realm: &RealmName,
        draft: GrantDraft,
    ) -> Result<Grant, Refusal> {
        caller.require_whole(realm, ApiScope::ClientsWrite)?;
        self.realm_facts(realm).await?;
        self.refuse_tokens_in_grant(&draft)?;
        let at = self.now();
        let grant = Grant {
            realm: realm.clone(),
            id: time_ordered_id(at, self.entropy())?,
            subject: draft.subject,
            role: draft.role,
            unit: draft.unit,
            service: draft.service,
            limits: draft.limits,
            created_at: at,
            created_by: caller.origin.actor.to_string(),
        };
        check_shape(&grant)?;
        if let GrantSubject::Group(name) = &grant.subject
            && self.store().group_find(realm, name).await?.is_some_and(|group| group.open)
        {
            return Err(Refusal::invalid(
                "subject",
                "an open group has no roles: anybody joins it",
            ));
        }
        may_give(caller, &Powers::of_user(std::slice::from_ref(&grant)))?;
        let event = self
            .event("grant.created", realm, &caller.origin, at)?
            .with_subject(subject_name(&grant.subject))
            .with_detail(serde_json::json!({ "grant": grant.id, "role": grant.role.name() }));
        match self.store().grant_insert(grant.clone(), event).await? {
            Inserted::Done => Ok(grant),
            Inserted::Exists => Err(Refusal::Exists(Thing::Grant)),
            Inserted::Missing(what) => Err(missing(what)),
        }
    }

    /// Takes a role away. Nobody takes what they could not have given.
    pub async fn delete_grant(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
    ) -> Result<(), Refusal> {
        caller.require_whole(realm, ApiScope::ClientsWrite)?;
        let found = self.store().grant_find(realm, id).await?;
        let grant = found.ok_or(Refusal::NotFound(Thing::Grant))?;
        may_give(caller, &Powers::of_user(std::slice::from_ref(&grant)))?;
        let event = self
            .event("grant.deleted", realm, &caller.origin, self.now())?
            .with_subject(subject_name(&grant.subject))
            .with_detail(serde_json::json!({ "grant": grant.id, "role": grant.role.name() }));
        if self.store().grant_delete(realm, id, event).await? {
            Ok(())
        } else {
            Err(Refusal::NotFound(Thing::Grant))
        }
    }
}

/// Checks that the role has exactly the reach that it can have.
fn check_shape(grant: &Grant) -> Result<(), Refusal> {
    let (needs_unit, needs_service, takes_service) = match grant.role {
        Role::Operator | Role::RealmAdmin | Role::Auditor => (false, false, false),
        Role::UnitAdmin => (true, false, false),
        Role::ServiceManager => (false, true, true),
        Role::Verifier => (false, false, true),
    };
    let role = grant.role.name();
    if needs_unit != grant.unit.is_some() {
        let why = if needs_unit { "needs a unit" } else { "takes no unit" };
        return Err(Refusal::invalid("unit", format!("the role {role} {why}")));
    }
    if needs_service && grant.service.is_none() {
        return Err(Refusal::invalid("service", format!("the role {role} needs a service")));
    }
    if !takes_service && grant.service.is_some() {
        return Err(Refusal::invalid("service", format!("the role {role} takes no service")));
    }
    // Whoever may change a group's members would otherwise make operators.
    if grant.role == Role::Operator && matches!(grant.subject, GrantSubject::Group(_)) {
        return Err(Refusal::invalid("subject.group", "a group cannot be operator"));
    }
    check_limits(&grant.limits)
}

fn subject_name(subject: &GrantSubject) -> String {
    match subject {
        GrantSubject::User(name) => format!("user:{name}"),
        GrantSubject::Client(name) => format!("client:{name}"),
        GrantSubject::Group(name) => format!("group:{name}"),
    }
}
