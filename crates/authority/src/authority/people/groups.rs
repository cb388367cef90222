//! Groups, and who is in them. A group can hold roles, so letting somebody in is giving them.

use crate::authority::Authority;
use crate::authority::rank::may_give;
use crate::authority::realms::missing;
use crate::caller::{Caller, Powers};
use crate::clock::Timestamp;
use crate::names::{GroupName, RealmName, ServiceLabel, Username};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::store::{GroupRemoval, Inserted, MemberChange, Page, PageRequest};
use crate::subject::{GrantSubject, Group, Provisioned};

/// Grants read at a time while looking for those of one group.
const GRANT_PAGE: u32 = 1000;

/// A group to create.
#[derive(Debug, Clone)]
pub struct GroupDraft {
    /// Its name.
    pub name: GroupName,
    /// What it is for.
    pub description: Option<String>,
    /// Whether people join and leave it by themselves.
    pub open: bool,
}

impl Authority {
    /// Lists groups. Groups belong to the whole realm, and so does the right to see them.
    pub async fn groups(
        &self,
        caller: &Caller,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Group>, Refusal> {
        caller.require_whole(realm, ApiScope::UsersRead)?;
        self.realm_facts(realm).await?;
        Ok(self.store().group_list(realm, page).await?)
    }

    /// Shows a group.
    pub async fn group(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &GroupName,
    ) -> Result<Group, Refusal> {
        caller.require_whole(realm, ApiScope::UsersRead)?;
        let found = self.store().group_find(realm, name).await?;
        found.ok_or(Refusal::NotFound(Thing::Group))
    }

    /// Creates a group. What is said of it holds no token.
    pub async fn create_group(
        &self,
        caller: &Caller,
        realm: &RealmName,
        draft: GroupDraft,
    ) -> Result<Group, Refusal> {
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        self.realm_facts(realm).await?;
        self.refuse_tokens_in_group(&draft.name, draft.description.as_deref())?;
        let at = self.now();
        let group = Group {
            realm: realm.clone(),
            name: draft.name,
            description: draft.description,
            members: 0,
            open: draft.open,
            provisioned: Provisioned::default(),
            created_at: at,
            updated_at: at,
            version: 1,
        };
        let event = self
            .event("group.created", realm, &caller.origin, at)?
            .with_subject(format!("group:{}", group.name));
        match self.store().group_insert(group.clone(), event).await? {
            Inserted::Done => Ok(group),
            Inserted::Exists => Err(Refusal::Exists(Thing::Group)),
            Inserted::Missing(what) => Err(missing(what)),
        }
    }

    /// Removes a group with its memberships; with `created_at` only the one that was made then,
    /// and not a later namesake.
    ///
    /// # Errors
    ///
    /// [`Refusal::VersionMismatch`] if it has another version than `if_match`.
    pub async fn delete_group(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &GroupName,
        created_at: Option<Timestamp>,
        if_match: Option<i64>,
    ) -> Result<(), Refusal> {
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        // A group's roles go with it: only who could have given them takes them.
        self.may_give_membership(caller, realm, name).await?;
        let event = self
            .event("group.deleted", realm, &caller.origin, self.now())?
            .with_subject(format!("group:{name}"));
        let (realm, name) = (realm.clone(), name.clone());
        let removal = GroupRemoval { realm, name, created_at, version: if_match, event };
        Refusal::unless_updated(self.store().group_remove(removal).await?, Thing::Group)
    }

    /// Lists the people of a group.
    pub async fn group_members(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &GroupName,
        page: PageRequest,
    ) -> Result<Page<Username>, Refusal> {
        self.group(caller, realm, name).await?;
        Ok(self.store().group_members(realm, name, page).await?)
    }

    /// Puts a person into a group or takes them out; the same again changes nothing.
    pub async fn set_group_member(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &GroupName,
        user: &Username,
        member: bool,
    ) -> Result<(), Refusal> {
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        self.may_give_membership(caller, realm, name).await?;
        let kind = if member { "group.member-added" } else { "group.member-removed" };
        let event = self
            .event(kind, realm, &caller.origin, self.now())?
            .with_subject(format!("user:{user}"))
            .with_detail(serde_json::json!({ "group": name.as_str() }));
        match self.store().group_member_set(realm, name, user, member, event).await? {
            MemberChange::Done | MemberChange::Unchanged => Ok(()),
            MemberChange::NoGroup => Err(Refusal::NotFound(Thing::Group)),
            MemberChange::NoUser => Err(Refusal::NotFound(Thing::User)),
        }
    }

    /// Joins the group of a service that the caller sees, or leaves it: theirs to do where the
    /// group is open. The same again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::BeyondGrant`] where the group is not open or there is none.
    pub async fn set_own_membership(
        &self,
        caller: &Caller,
        label: &ServiceLabel,
        member: bool,
    ) -> Result<(), Refusal> {
        let realm = &caller.realm;
        // Whoever could make tokens of their own may also say where they belong.
        caller.reach(realm, ApiScope::TokensWrite)?;
        let closed = || Refusal::BeyondGrant("nobody joins or leaves this group by themselves");
        let Some(user) = caller.subject.user() else { return Err(closed()) };
        let group = self.service(caller, realm, label).await?.group.ok_or_else(closed)?;
        let kind = if member { "group.member-added" } else { "group.member-removed" };
        let event = self
            .event(kind, realm, &caller.origin, self.now())?
            .with_subject(caller.subject.actor())
            .with_detail(serde_json::json!({ "group": group.as_str() }));
        match self.store().group_join(realm, &group, user, member, event).await? {
            MemberChange::Done | MemberChange::Unchanged => Ok(()),
            MemberChange::NoGroup => Err(closed()),
            MemberChange::NoUser => Err(Refusal::NotFound(Thing::User)),
        }
    }

    /// Who may change people could otherwise make administrators through a group.
    pub(super) async fn may_give_membership(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &GroupName,
    ) -> Result<(), Refusal> {
        let mut page = PageRequest::first(GRANT_PAGE);
        loop {
            let grants = self.store().grant_list(realm, page).await?;
            let mut of_group = grants.items;
            of_group.retain(
                |grant| matches!(&grant.subject, GrantSubject::Group(group) if group == name),
            );
            may_give(caller, &Powers::of_user(&of_group))?;
            let Some(next) = grants.next else {
                return Ok(());
            };
            page = PageRequest { limit: GRANT_PAGE, after: Some(next) };
        }
    }
}
