//! Resource types, policy sets and policies: looking at them, and changing them.

use super::super::Authority;
use super::super::issue::no_such_service;
use super::super::realms::{expect_version, missing};
use crate::am::document::check_name;
use crate::am::{AmDocument, AmKind, AmObject, BadDocument, builtin};
use crate::caller::Caller;
use crate::names::{COUNTERFOIL, RealmName};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::store::{AmDeleted, Inserted};

/// What a document is called where it is missing.
pub(super) const fn thing(kind: AmKind) -> Thing {
    match kind {
        AmKind::ResourceType => Thing::ResourceType,
        AmKind::PolicySet => Thing::PolicySet,
        AmKind::Policy => Thing::Policy,
    }
}

impl From<BadDocument> for Refusal {
    fn from(bad: BadDocument) -> Self {
        Self::Invalid { field: bad.field, why: bad.why }
    }
}

/// Whether the caller may read the documents of a realm: AM's `PolicyAdmin`, or who reads
/// everything.
fn may_read(caller: &Caller, realm: &RealmName) -> Result<(), Refusal> {
    match caller.require_whole(realm, ApiScope::PoliciesWrite) {
        Err(Refusal::Forbidden(scope)) => {
            caller.require_whole(realm, ApiScope::AuditRead).map_err(|_| Refusal::Forbidden(scope))
        }
        said => said,
    }
}

impl Authority {
    /// The documents of a kind, by key.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub async fn am_objects(
        &self,
        caller: &Caller,
        realm: &RealmName,
        kind: AmKind,
    ) -> Result<Vec<AmObject>, Refusal> {
        may_read(caller, realm)?;
        let documents = self.am_documents(realm).await?;
        Ok(documents.objects(kind).map(|object| AmObject::clone(object)).collect())
    }

    /// One document.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub async fn am_object(
        &self,
        caller: &Caller,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
    ) -> Result<AmObject, Refusal> {
        may_read(caller, realm)?;
        let documents = self.am_documents(realm).await?;
        let found = documents.object(kind, name).map(|object| AmObject::clone(object));
        found.ok_or(Refusal::NotFound(thing(kind)))
    }

    /// Adds a document.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub async fn am_create(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &str,
        document: AmDocument,
    ) -> Result<AmObject, Refusal> {
        caller.require_whole(realm, ApiScope::PoliciesWrite)?;
        check_name(name)?;
        self.refuse_tokens_in_document(name, &document)?;
        let document = self.checked_document(realm, document).await?;
        if builtin::is_built_in(document.kind(), name) {
            return Err(Refusal::Exists(thing(document.kind())));
        }
        let at = self.now();
        let actor = caller.origin.actor.to_string();
        let object = AmObject {
            realm: realm.clone(),
            name: name.to_owned(),
            document,
            created_at: at,
            created_by: actor.clone(),
            updated_at: at,
            updated_by: actor,
            version: 1,
        };
        self.am_added(caller, object, "am-document.created").await
    }

    async fn am_added(
        &self,
        caller: &Caller,
        object: AmObject,
        kind: &'static str,
    ) -> Result<AmObject, Refusal> {
        let event = self.event(kind, &object.realm, &caller.origin, object.updated_at)?;
        let event = event.with_subject(subject_of(object.kind(), &object.name));
        match self.store.am_insert(object.clone(), event).await? {
            Inserted::Done => Ok(object),
            Inserted::Exists => Err(Refusal::Exists(thing(object.kind()))),
            Inserted::Missing(what) => Err(missing(what)),
        }
    }

    /// Replaces a document. One that is built in is stored with its first change.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub async fn am_replace(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &str,
        document: AmDocument,
        if_match: Option<i64>,
    ) -> Result<AmObject, Refusal> {
        caller.require_whole(realm, ApiScope::PoliciesWrite)?;
        self.refuse_tokens_in_document(name, &document)?;
        let kind = document.kind();
        let current = self.am_object(caller, realm, kind, name).await?;
        expect_version(if_match, current.version)?;
        if kind == AmKind::ResourceType && builtin::is_built_in(kind, name) {
            return Err(Refusal::BuiltIn(Thing::ResourceType));
        }
        let document = self.checked_document(realm, document).await?;
        let at = self.now();
        let updated_by = caller.origin.actor.to_string();
        let changed = AmObject { document, updated_at: at, updated_by, ..current };
        if changed.version == 0 {
            let first = AmObject { version: 1, ..changed };
            return self.am_added(caller, first, "am-document.updated").await;
        }
        let event = self.event("am-document.updated", realm, &caller.origin, at)?;
        let event = event.with_subject(subject_of(kind, name));
        let updated = self.store.am_update(changed, event).await?;
        Refusal::unless_updated(updated, thing(kind))
    }

    /// Removes a document that no other names, and that is not built in; with `if_match`, if it is
    /// of that version still.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub async fn am_remove(
        &self,
        caller: &Caller,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
        if_match: Option<i64>,
    ) -> Result<(), Refusal> {
        caller.require_whole(realm, ApiScope::PoliciesWrite)?;
        if builtin::is_built_in(kind, name) {
            return Err(Refusal::BuiltIn(thing(kind)));
        }
        let event = self.event("am-document.deleted", realm, &caller.origin, self.now())?;
        let event = event.with_subject(subject_of(kind, name));
        match self.store.am_delete(realm, kind, name, if_match, event).await? {
            AmDeleted::Done => Ok(()),
            AmDeleted::NotFound => Err(Refusal::NotFound(thing(kind))),
            AmDeleted::VersionMismatch => Err(Refusal::VersionMismatch),
            AmDeleted::InUse(_) => Err(Refusal::NotEmpty(thing(kind))),
        }
    }

    /// A document in its canonical form, if it makes sense beside the others.
    pub(super) async fn checked_document(
        &self,
        realm: &RealmName,
        document: AmDocument,
    ) -> Result<AmDocument, Refusal> {
        Ok(match document {
            AmDocument::ResourceType(sort) => AmDocument::ResourceType(sort.checked()?),
            AmDocument::PolicySet(set) => {
                let set = set.checked()?;
                if let Some(label) = set.service_label() {
                    // No token that is presented here is for the API.
                    let found = match label.as_str() {
                        COUNTERFOIL => None,
                        _ => self.service_facts(realm, &label).await?,
                    };
                    found.ok_or_else(|| no_such_service("service", &label))?;
                }
                AmDocument::PolicySet(set)
            }
            AmDocument::Policy(policy) => {
                let documents = self.am_documents(realm).await?;
                let uuid = &policy.resource_type_uuid;
                let sort = documents.object(AmKind::ResourceType, uuid);
                let sort = sort.and_then(|object| object.resource_type());
                let sort = sort.ok_or_else(|| missing("resource type"))?;
                let set = documents.object(AmKind::PolicySet, &policy.application_name);
                let set = set.and_then(|object| object.policy_set());
                let set = set.ok_or_else(|| missing("policy set"))?;
                if !set.resource_type_uuids.contains(uuid) {
                    let why = "is none of the resource types of the policy set";
                    return Err(Refusal::invalid("resourceTypeUuid", why));
                }
                let policy = AmDocument::Policy(policy.checked(sort)?);
                self.check_directory(realm, &policy).await?;
                policy
            }
        })
    }
}

pub(super) fn subject_of(kind: AmKind, name: &str) -> String {
    format!("{}:{name}", kind.name())
}
