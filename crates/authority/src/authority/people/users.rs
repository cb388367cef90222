//! People: who they are, and whether what is theirs counts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::authority::Authority;
use crate::authority::realms::{EDIT_ATTEMPTS_MAX, expect_version, missing};
use crate::caller::{Caller, Reach};
use crate::clock::Timestamp;
use crate::lock::Locks;
use crate::names::{RealmName, Username};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::store::{Inserted, Page, PageRequest, UserFilter, UserRemoval};
use crate::subject::{Owner, Provisioned, User, UserStatus};

/// A person to create.
#[derive(Debug, Clone)]
pub struct UserDraft {
    /// Their name.
    pub username: Username,
    /// What to call them.
    pub display_name: Option<String>,
    /// Their addresses.
    pub emails: Vec<String>,
    /// Free attributes.
    pub attributes: BTreeMap<String, Value>,
    /// Whether they count.
    pub status: UserStatus,
    /// The unit they belong to.
    pub unit: Option<String>,
    /// What an identity provider says of them.
    pub provisioned: Provisioned,
}

impl UserDraft {
    /// Somebody who counts, and of whom nothing is known but the name.
    pub fn new(username: Username) -> Self {
        Self {
            username,
            display_name: None,
            emails: Vec::new(),
            attributes: BTreeMap::new(),
            status: UserStatus::Active,
            unit: None,
            provisioned: Provisioned::default(),
        }
    }
}

/// What to change of a person; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct UserEdit {
    /// What to call them.
    pub display_name: Option<Option<String>>,
    /// Their addresses.
    pub emails: Option<Vec<String>>,
    /// Free attributes.
    pub attributes: Option<BTreeMap<String, Value>>,
    /// Whether they count.
    pub status: Option<UserStatus>,
    /// The unit they belong to.
    pub unit: Option<Option<String>>,
    /// What an identity provider says of them.
    pub provisioned: Option<Provisioned>,
    /// When the record of who is meant was made: a later namesake is somebody else. `None`:
    /// whoever has the name.
    pub created_at: Option<Timestamp>,
}

impl Authority {
    /// Lists the people that the caller may see: a realm's, a unit's, or only themselves.
    pub async fn users(
        &self,
        caller: &Caller,
        realm: &RealmName,
        mut filter: UserFilter,
        page: PageRequest,
    ) -> Result<Page<User>, Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersRead)?;
        self.realm_facts(realm).await?;
        if reach.whole {
            return Ok(self.store().user_list(realm, filter, page).await?);
        }
        if reach.units.is_empty() {
            return self.only_self(&reach, realm, &filter).await;
        }
        match (&filter.unit, reach.units.as_slice()) {
            (Some(asked), units) if units.contains(asked) => {}
            (None, [only]) => filter.unit = Some(only.clone()),
            (None, _) => {
                return Err(Refusal::invalid("unit", "name one of the units that you administer"));
            }
            (Some(_), _) => return Err(Refusal::Forbidden(ApiScope::UsersRead)),
        }
        Ok(self.store().user_list(realm, filter, page).await?)
    }

    async fn only_self(
        &self,
        reach: &Reach,
        realm: &RealmName,
        filter: &UserFilter,
    ) -> Result<Page<User>, Refusal> {
        let Some(name) = reach.own.as_ref().and_then(Owner::user) else {
            return Err(Refusal::Forbidden(ApiScope::UsersRead));
        };
        let found = self.store().user_find(realm, name).await?;
        let matches = |user: &User| {
            filter.status.is_none_or(|status| status == user.status)
                && filter.group.as_ref().is_none_or(|group| user.groups.contains(group))
                && filter.unit.as_ref().is_none_or(|unit| user.unit.as_ref() == Some(unit))
                && filter.external_id.as_ref().is_none_or(|id| user.provisioned.is(id))
                && filter
                    .prefix
                    .as_ref()
                    .is_none_or(|start| user.username.as_str().starts_with(start))
        };
        Ok(Page { items: found.filter(matches).into_iter().collect(), next: None })
    }

    /// Shows a person.
    pub async fn user(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &Username,
    ) -> Result<User, Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersRead)?;
        self.user_in_reach(&reach, realm, name).await
    }

    /// Creates a person. What is said of them holds no token.
    pub async fn create_user(
        &self,
        caller: &Caller,
        realm: &RealmName,
        draft: UserDraft,
    ) -> Result<User, Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersWrite)?;
        self.realm_facts(realm).await?;
        if !reach.whole && !draft.unit.as_ref().is_some_and(|unit| reach.units.contains(unit)) {
            return Err(Refusal::BeyondGrant("name one of the units that you administer"));
        }
        self.refuse_tokens_in_draft(&draft)?;
        let at = self.now();
        let user = User {
            realm: realm.clone(),
            username: draft.username,
            display_name: draft.display_name,
            emails: draft.emails,
            attributes: draft.attributes,
            status: draft.status,
            unit: draft.unit,
            groups: Vec::new(),
            locks: Locks::default(),
            provisioned: draft.provisioned,
            created_at: at,
            updated_at: at,
            version: 1,
        };
        let event = self
            .event("user.created", realm, &caller.origin, at)?
            .with_subject(format!("user:{}", user.username));
        match self.store().user_insert(user.clone(), event).await? {
            Inserted::Done => Ok(user),
            Inserted::Exists => Err(Refusal::Exists(Thing::User)),
            Inserted::Missing(what) => Err(missing(what)),
        }
    }

    /// Changes a person. Whoever moves one between units administers both of them. Who does not
    /// count any more is signed out of the console for good, in the same transaction: coming back,
    /// they sign in anew. What is said of them holds no token.
    pub async fn edit_user(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &Username,
        edit: UserEdit,
        if_match: Option<i64>,
    ) -> Result<User, Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersWrite)?;
        self.refuse_tokens_in_edit(&edit)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let current = self.user_in_reach(&reach, realm, name).await?;
            expect_same(edit.created_at, current.created_at, Thing::User)?;
            expect_version(if_match, current.version)?;
            let at = self.now();
            let before = current.clone();
            let edited = apply(current, &edit);
            // Suspending or moving somebody must not be a way around those above, and neither
            // must their addresses, which letters with links to their secrets go to.
            let touched = edited != before;
            let changed = User { updated_at: at, ..edited };
            if touched {
                self.require_above(caller, realm, &Owner::User(name.clone())).await?;
            }
            if !reach.covers_user(&Owner::User(name.clone()), changed.unit.as_ref()) {
                return Err(Refusal::BeyondGrant("the new unit is not one that you administer"));
            }
            let event = self
                .event("user.updated", realm, &caller.origin, at)?
                .with_subject(format!("user:{name}"))
                .with_detail(serde_json::json!({ "status": changed.status.name() }));
            let updated = self.store().user_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::User) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                settled => return settled,
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// Ends what somebody who does not count is signed in with at the console, if anything began
    /// since they were told not to count. Whoever counts stays signed in.
    pub async fn sign_out_inactive(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &Username,
    ) -> Result<(), Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersWrite)?;
        let user = self.user_in_reach(&reach, realm, name).await?;
        if user.status == UserStatus::Active {
            return Ok(());
        }
        self.end_sessions_of(caller, realm, name).await
    }

    /// Removes a person and revokes every token of theirs; with `created_at` only who was made
    /// then, and not a later namesake.
    ///
    /// # Errors
    ///
    /// [`Refusal::VersionMismatch`] if they have another version than `if_match`.
    pub async fn delete_user(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &Username,
        created_at: Option<Timestamp>,
        if_match: Option<i64>,
    ) -> Result<(), Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersWrite)?;
        let found = self.user_in_reach(&reach, realm, name).await?;
        expect_same(created_at, found.created_at, Thing::User)?;
        self.require_above(caller, realm, &Owner::User(name.clone())).await?;
        let at = self.now();
        let event = self
            .event("user.deleted", realm, &caller.origin, at)?
            .with_subject(format!("user:{name}"));
        let removal = UserRemoval {
            realm: realm.clone(),
            username: name.clone(),
            // Who was found to be within reach, and nobody who came after them.
            created_at: Some(found.created_at),
            version: if_match,
            at,
            event,
        };
        Refusal::unless_updated(self.store().user_remove(removal).await?, Thing::User)
    }

    pub(in crate::authority) async fn user_in_reach(
        &self,
        reach: &Reach,
        realm: &RealmName,
        name: &Username,
    ) -> Result<User, Refusal> {
        let owner = Owner::User(name.clone());
        let found = self.store().user_find(realm, name).await?;
        found
            .filter(|user| reach.covers_user(&owner, user.unit.as_ref()))
            .ok_or(Refusal::NotFound(Thing::User))
    }
}

/// Refuses a namesake of who or what is meant.
pub(super) fn expect_same(
    meant: Option<Timestamp>,
    created_at: Timestamp,
    thing: Thing,
) -> Result<(), Refusal> {
    match meant {
        Some(meant) if meant != created_at => Err(Refusal::NotFound(thing)),
        _ => Ok(()),
    }
}

fn apply(user: User, edit: &UserEdit) -> User {
    User {
        display_name: edit.display_name.clone().unwrap_or(user.display_name),
        emails: edit.emails.clone().unwrap_or(user.emails),
        attributes: edit.attributes.clone().unwrap_or(user.attributes),
        status: edit.status.unwrap_or(user.status),
        unit: edit.unit.clone().unwrap_or(user.unit),
        provisioned: edit.provisioned.clone().unwrap_or(user.provisioned),
        ..user
    }
}
