//! Groups as an identity provider keeps them: a group and everybody in it, changed as one.

use std::collections::BTreeMap;

use super::users::expect_same;
use crate::authority::Authority;
use crate::authority::realms::{EDIT_ATTEMPTS_MAX, expect_version};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::names::{GroupName, RealmName, Username};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::store::{Entrant, GroupBasis, GroupChange, GroupChanged, PageRequest, UserFilter};
use crate::subject::{Group, Provisioned};

/// People that one change names at most: it is one transaction, for which others wait.
pub const MEMBERS_NAMED_MAX: usize = 20_000;
/// Up to so many people are looked up one by one; beyond, all members are read.
const LOOKED_UP_MAX: usize = 100;
/// Members read at a time.
const PAGE: u32 = 1000;

/// Whether somebody is to be in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// When the record of the person who is meant was made: a later namesake is somebody else.
    pub created_at: Timestamp,
    /// Whether they are to be in it.
    pub member: bool,
}

/// Who is to be in a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembersEdit {
    /// Of these it is said.
    pub named: BTreeMap<Username, Membership>,
    /// Whether everybody else leaves it.
    pub others_leave: bool,
}

impl MembersEdit {
    /// Somebody is to be in it, or not; what was said before counts no more.
    pub fn set(&mut self, username: Username, created_at: Timestamp, member: bool) {
        self.named.insert(username, Membership { created_at, member });
    }

    /// Nobody is to be in it but who is named from here on.
    pub fn clear(&mut self) {
        self.named.clear();
        self.others_leave = true;
    }

    fn is_empty(&self) -> bool {
        self.named.is_empty() && !self.others_leave
    }
}

/// What to change of a group.
#[derive(Debug, Clone, Default)]
pub struct GroupEdit {
    /// What an identity provider says of it.
    pub provisioned: Option<Provisioned>,
    /// Who is to be in it.
    pub members: MembersEdit,
    /// When the record of the one that is meant was made: a later namesake is another. `None`:
    /// whichever has the name.
    pub created_at: Option<Timestamp>,
}

/// Who enters and who leaves.
#[derive(Default)]
struct Moves {
    entering: Vec<(Username, Timestamp)>,
    leaving: Vec<Username>,
}

impl Authority {
    /// Creates a group together with those who are in it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Exists`] if the name is taken, [`Refusal::Invalid`] with the field `members` if
    /// one of them does not exist.
    pub async fn create_group_with(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: GroupName,
        edit: GroupEdit,
    ) -> Result<Group, Refusal> {
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        self.realm_facts(realm).await?;
        check_size(&edit)?;
        self.refuse_tokens_in_group(&name, None)?;
        self.refuse_tokens_in_group_edit(&edit)?;
        let at = self.now();
        let group = Group {
            realm: realm.clone(),
            name,
            description: None,
            members: 0,
            open: false,
            provisioned: edit.provisioned.unwrap_or_default(),
            created_at: at,
            updated_at: at,
            version: 1,
        };
        let named = edit.members.named.into_iter();
        let entering = named.filter(|(_, to)| to.member).map(|(name, to)| (name, to.created_at));
        let moves = Moves { entering: entering.collect(), leaving: Vec::new() };
        let change = self.group_change(caller, group, GroupBasis::New, moves)?;
        match self.store().group_change(change).await? {
            GroupChanged::Done(group) => Ok(group),
            other => Err(refusal_of(other)),
        }
    }

    /// Changes a group and who is in it: all of it or none. What is so already changes nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::VersionMismatch`] if the group has another version than `if_match`,
    /// [`Refusal::BeyondGrant`] if the group has a role that the caller could not give.
    pub async fn edit_group(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &GroupName,
        edit: &GroupEdit,
        if_match: Option<i64>,
    ) -> Result<Group, Refusal> {
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        check_size(edit)?;
        self.refuse_tokens_in_group_edit(edit)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let found = self.store().group_find(realm, name).await?;
            let current = found.ok_or(Refusal::NotFound(Thing::Group))?;
            expect_same(edit.created_at, current.created_at, Thing::Group)?;
            expect_version(if_match, current.version)?;
            let moves = self.moves(&current, &edit.members).await?;
            let provisioned = edit.provisioned.as_ref().unwrap_or(&current.provisioned).clone();
            if moves.entering.is_empty()
                && moves.leaving.is_empty()
                && provisioned == current.provisioned
            {
                return Ok(current);
            }
            // Whoever is let in gets what the group may do.
            self.may_give_membership(caller, realm, name).await?;
            let depends = edit.provisioned.is_some() || edit.members.others_leave;
            let basis = if depends || if_match.is_some() {
                GroupBasis::Version(current.version)
            } else {
                GroupBasis::Any
            };
            let changed = Group { provisioned, updated_at: self.now(), ..current };
            let change = self.group_change(caller, changed, basis, moves)?;
            match self.store().group_change(change).await? {
                GroupChanged::Done(group) => return Ok(group),
                GroupChanged::VersionMismatch if if_match.is_none() => {}
                other => return Err(refusal_of(other)),
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// What has to happen so that those are in a group who are to be.
    async fn moves(&self, group: &Group, edit: &MembersEdit) -> Result<Moves, Refusal> {
        if edit.is_empty() {
            return Ok(Moves::default());
        }
        let members = if edit.others_leave || edit.named.len() > LOOKED_UP_MAX {
            self.all_members(group).await?
        } else {
            self.members_among(group, edit.named.keys()).await?
        };
        let mut moves = Moves::default();
        for (name, to) in &edit.named {
            let is_in = members.get(name) == Some(&to.created_at);
            match (is_in, to.member) {
                (false, true) => moves.entering.push((name.clone(), to.created_at)),
                (true, false) => moves.leaving.push(name.clone()),
                (true, true) | (false, false) => {}
            }
        }
        if edit.others_leave {
            let others = members.into_keys().filter(|name| !edit.named.contains_key(name));
            moves.leaving.extend(others);
        }
        Ok(moves)
    }

    async fn members_among(
        &self,
        group: &Group,
        names: impl Iterator<Item = &Username>,
    ) -> Result<BTreeMap<Username, Timestamp>, Refusal> {
        let mut members = BTreeMap::new();
        for name in names {
            let found = self.store().user_find(&group.realm, name).await?;
            if let Some(user) = found.filter(|user| user.groups.contains(&group.name)) {
                members.insert(user.username, user.created_at);
            }
        }
        Ok(members)
    }

    async fn all_members(&self, group: &Group) -> Result<BTreeMap<Username, Timestamp>, Refusal> {
        let filter = UserFilter { group: Some(group.name.clone()), ..UserFilter::default() };
        let mut request = PageRequest::first(PAGE);
        let mut members = BTreeMap::new();
        loop {
            let page = self.store().user_list(&group.realm, filter.clone(), request).await?;
            members.extend(page.items.into_iter().map(|user| (user.username, user.created_at)));
            let Some(after) = page.next else { return Ok(members) };
            request = PageRequest { limit: PAGE, after: Some(after) };
        }
    }

    fn group_change(
        &self,
        caller: &Caller,
        group: Group,
        basis: GroupBasis,
        moves: Moves,
    ) -> Result<GroupChange, Refusal> {
        let (realm, at) = (&group.realm, self.now());
        let is_new = basis == GroupBasis::New;
        let kind = if is_new { "group.created" } else { "group.updated" };
        let event = self
            .event(kind, realm, &caller.origin, at)?
            .with_subject(format!("group:{}", group.name));
        let about = |kind, user: &Username| {
            let event = self.event(kind, realm, &caller.origin, at)?;
            let event = event.with_subject(format!("user:{user}"));
            let detail = serde_json::json!({ "group": group.name.as_str() });
            Ok::<_, Refusal>(event.with_detail(detail))
        };
        let mut entering = Vec::with_capacity(moves.entering.len());
        for (username, created_at) in moves.entering {
            let event = about("group.member-added", &username)?;
            entering.push(Entrant { username, created_at, event });
        }
        let mut leaving = Vec::with_capacity(moves.leaving.len());
        for username in moves.leaving {
            let event = about("group.member-removed", &username)?;
            leaving.push((username, event));
        }
        Ok(GroupChange { group, basis, entering, leaving, event })
    }
}

fn check_size(edit: &GroupEdit) -> Result<(), Refusal> {
    if edit.members.named.len() > MEMBERS_NAMED_MAX {
        let why = format!("at most {MEMBERS_NAMED_MAX} people in one request");
        return Err(Refusal::invalid("members", why));
    }
    Ok(())
}

fn refusal_of(changed: GroupChanged) -> Refusal {
    match changed {
        GroupChanged::Exists => Refusal::Exists(Thing::Group),
        GroupChanged::NoRealm => Refusal::NotFound(Thing::Realm),
        GroupChanged::NoUser(name) => {
            Refusal::invalid("members", format!("there is no such person as {name}"))
        }
        GroupChanged::VersionMismatch => Refusal::VersionMismatch,
        // What is there would have been answered with.
        GroupChanged::NotFound | GroupChanged::Done(_) => Refusal::NotFound(Thing::Group),
    }
}
