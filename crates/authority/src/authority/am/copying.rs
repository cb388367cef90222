//! Copies of policies under another name or in another policy set, and moving them there: all that
//! are asked for, or none.

use super::super::Authority;
use super::super::realms::missing;
use super::documents::{subject_of, thing};
use crate::am::document::check_name;
use crate::am::{AmDocument, AmKind, AmObject, Policy, builtin};
use crate::caller::Caller;
use crate::names::RealmName;
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::store::{AmChange, AmChanged, AmDeleted, Inserted};

/// Policies of one request at most: they are stored in one transaction.
const COPIES_MAX: usize = 1_000;

/// Where a policy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmCopy {
    /// Which policy.
    pub from: String,
    /// What it is called there.
    pub name: String,
    /// The policy set; its own, if absent.
    pub policy_set: Option<String>,
    /// The resource type; its own, if absent.
    pub resource_type: Option<String>,
}

impl Authority {
    /// Copies policies within a realm; with `moves` the originals are gone with it.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub async fn am_copy(
        &self,
        caller: &Caller,
        realm: &RealmName,
        copies: &[AmCopy],
        moves: bool,
    ) -> Result<Vec<AmObject>, Refusal> {
        caller.require_whole(realm, ApiScope::PoliciesWrite)?;
        if copies.len() > COPIES_MAX {
            return Err(Refusal::invalid("from", format!("are more than {COPIES_MAX} policies")));
        }
        let (mut changes, mut made) = (Vec::new(), Vec::new());
        for copy in copies {
            let original = self.am_object(caller, realm, AmKind::Policy, &copy.from).await?;
            if moves && builtin::is_built_in(AmKind::Policy, &copy.from) {
                return Err(Refusal::BuiltIn(Thing::Policy));
            }
            let object = self.copied(caller, &original, copy, moves).await?;
            let event = |kind, name: &str| {
                let event = self.event(kind, realm, &caller.origin, object.updated_at)?;
                Ok::<_, Refusal>(event.with_subject(subject_of(AmKind::Policy, name)))
            };
            if moves {
                let gone = event("am-document.deleted", &copy.from)?;
                changes.push(AmChange::Delete(original.kind(), copy.from.clone(), gone));
            }
            let told = event("am-document.created", &object.name)?;
            changes.push(AmChange::Insert(object.clone(), told));
            made.push(object);
        }
        match self.store.am_change(realm, changes).await? {
            AmChanged::Done => Ok(made),
            AmChanged::NotInserted(Inserted::Missing(what)) => Err(missing(what)),
            AmChanged::NotInserted(_) => Err(Refusal::Exists(thing(AmKind::Policy))),
            AmChanged::NotDeleted(AmDeleted::InUse(_)) => {
                Err(Refusal::NotEmpty(thing(AmKind::Policy)))
            }
            // Somebody else was faster.
            AmChanged::NotDeleted(_) => Err(Refusal::NotFound(thing(AmKind::Policy))),
        }
    }

    async fn copied(
        &self,
        caller: &Caller,
        original: &AmObject,
        copy: &AmCopy,
        moves: bool,
    ) -> Result<AmObject, Refusal> {
        let AmDocument::Policy(policy) = &original.document else {
            return Err(Refusal::NotFound(Thing::Policy));
        };
        check_name(&copy.name)?;
        self.refuse_tokens_in_document(&copy.name, &original.document)?;
        if builtin::is_built_in(AmKind::Policy, &copy.name) {
            return Err(Refusal::Exists(thing(AmKind::Policy)));
        }
        let own = |named: &Option<String>, own: &String| named.as_ref().unwrap_or(own).clone();
        let policy = Policy {
            application_name: own(&copy.policy_set, &policy.application_name),
            resource_type_uuid: own(&copy.resource_type, &policy.resource_type_uuid),
            ..policy.clone()
        };
        let document = self.checked_document(&original.realm, AmDocument::Policy(policy)).await?;
        let (at, actor) = (self.now(), caller.origin.actor.to_string());
        let (created_at, created_by) = if moves {
            (original.created_at, original.created_by.clone())
        } else {
            (at, actor.clone())
        };
        Ok(AmObject {
            realm: original.realm.clone(),
            name: copy.name.clone(),
            document,
            created_at,
            created_by,
            updated_at: at,
            updated_by: actor,
            version: 1,
        })
    }
}
