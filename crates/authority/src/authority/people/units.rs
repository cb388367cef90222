//! Units: the organisational units or customers inside a realm.

use crate::authority::Authority;
use crate::authority::realms::{EDIT_ATTEMPTS_MAX, expect_version, missing};
use crate::caller::Caller;
use crate::event::time_ordered_id;
use crate::names::RealmName;
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::store::{Inserted, Page, PageRequest};
use crate::subject::Unit;

/// Levels of units above one another at most: whoever walks them up must arrive.
const UNIT_DEPTH_MAX: u32 = 32;

/// A unit to create.
#[derive(Debug, Clone)]
pub struct UnitDraft {
    /// Its name.
    pub name: String,
    /// Sentinel's customer identifier.
    pub identifier: Option<String>,
    /// The id of the customer in another system.
    pub external_id: Option<String>,
    /// The id of the unit above it.
    pub parent: Option<String>,
}

/// What to change of a unit; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct UnitEdit {
    /// Its name.
    pub name: Option<String>,
    /// Sentinel's customer identifier.
    pub identifier: Option<Option<String>>,
    /// The id of the customer in another system.
    pub external_id: Option<Option<String>>,
    /// The id of the unit above it.
    pub parent: Option<Option<String>>,
}

impl Authority {
    /// Lists units: a realm's, or only those that the caller has to do with.
    pub async fn units(
        &self,
        caller: &Caller,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Unit>, Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersRead)?;
        self.realm_facts(realm).await?;
        if reach.whole {
            return Ok(self.store().unit_list(realm, page).await?);
        }
        let mut items = Vec::new();
        for id in reach.units.iter().chain(caller.unit.as_ref()) {
            let seen = items.iter().any(|unit: &Unit| unit.id == *id);
            if !seen && let Some(unit) = self.store().unit_find(realm, id).await? {
                items.push(unit);
            }
        }
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Page { items, next: None })
    }

    /// Shows a unit.
    pub async fn unit(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
    ) -> Result<Unit, Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersRead)?;
        let mine = reach.units.iter().chain(caller.unit.as_ref()).any(|unit| unit == id);
        if !reach.whole && !mine {
            return Err(Refusal::NotFound(Thing::Unit));
        }
        self.unit_known(realm, id).await
    }

    /// Creates a unit.
    pub async fn create_unit(
        &self,
        caller: &Caller,
        realm: &RealmName,
        draft: UnitDraft,
    ) -> Result<Unit, Refusal> {
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        self.realm_facts(realm).await?;
        self.refuse_tokens_in_unit(&draft)?;
        let at = self.now();
        let unit = Unit {
            realm: realm.clone(),
            id: time_ordered_id(at, self.entropy())?,
            name: draft.name,
            identifier: draft.identifier,
            external_id: draft.external_id,
            parent: draft.parent,
            created_at: at,
            updated_at: at,
            version: 1,
        };
        self.check_ancestors(&unit).await?;
        let event = self
            .event("unit.created", realm, &caller.origin, at)?
            .with_subject(format!("unit:{}", unit.id));
        match self.store().unit_insert(unit.clone(), event).await? {
            Inserted::Done => Ok(unit),
            Inserted::Exists => Err(Refusal::Exists(Thing::Unit)),
            Inserted::Missing(what) => Err(missing(what)),
        }
    }

    /// Changes a unit.
    pub async fn edit_unit(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
        edit: UnitEdit,
        if_match: Option<i64>,
    ) -> Result<Unit, Refusal> {
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        self.refuse_tokens_in_unit_edit(&edit)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let current = self.unit_known(realm, id).await?;
            expect_version(if_match, current.version)?;
            let at = self.now();
            let changed = Unit {
                name: edit.name.clone().unwrap_or(current.name),
                identifier: edit.identifier.clone().unwrap_or(current.identifier),
                external_id: edit.external_id.clone().unwrap_or(current.external_id),
                parent: edit.parent.clone().unwrap_or(current.parent),
                updated_at: at,
                ..current
            };
            self.check_ancestors(&changed).await?;
            let event = self
                .event("unit.updated", realm, &caller.origin, at)?
                .with_subject(format!("unit:{id}"));
            let updated = self.store().unit_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::Unit) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                settled => return settled,
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// Removes a unit to which nothing belongs any more.
    pub async fn delete_unit(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
    ) -> Result<(), Refusal> {
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        let event = self
            .event("unit.deleted", realm, &caller.origin, self.now())?
            .with_subject(format!("unit:{id}"));
        match self.store().unit_delete(realm, id, event).await? {
            Inserted::Done => Ok(()),
            Inserted::Exists => Err(Refusal::NotEmpty(Thing::Unit)),
            Inserted::Missing(_) => Err(Refusal::NotFound(Thing::Unit)),
        }
    }

    async fn unit_known(&self, realm: &RealmName, id: &str) -> Result<Unit, Refusal> {
        self.store().unit_find(realm, id).await?.ok_or(Refusal::NotFound(Thing::Unit))
    }

    /// Refuses a unit that would stand above itself.
    async fn check_ancestors(&self, unit: &Unit) -> Result<(), Refusal> {
        let mut above = unit.parent.clone();
        for _ in 0..UNIT_DEPTH_MAX {
            let Some(id) = above else { return Ok(()) };
            if id == unit.id {
                return Err(Refusal::invalid("parent", "a unit cannot stand above itself"));
            }
            let found = self.store().unit_find(&unit.realm, &id).await?;
            let found = found.ok_or_else(|| Refusal::invalid("parent", "there is no such unit"))?;
            above = found.parent;
        }
        Err(Refusal::invalid("parent", format!("at most {UNIT_DEPTH_MAX} levels of units")))
    }
}
