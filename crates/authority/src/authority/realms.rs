//! Realms: the tenants of an installation, and the limits each sets for all of its services.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::compliance::Planned;
use super::{Authority, Hits, Seed};
use crate::caller::Caller;
use crate::clock::zone_is_known;
use crate::names::{MAIN_REALM, RealmName};
use crate::policy::TokenPolicy;
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::service::Realm;
use crate::store::{Inserted, Page, PageRequest};

/// How often an edit without `If-Match` is tried again when others edit the same record.
pub(super) const EDIT_ATTEMPTS_MAX: u32 = 16;

/// A realm to create.
#[derive(Debug, Clone)]
pub struct RealmDraft {
    /// Its name.
    pub name: RealmName,
    /// What to call it.
    pub display_name: Option<String>,
    /// IANA time zone of dates without time.
    pub zone: String,
    /// Limits for all its services.
    pub token_policy: TokenPolicy,
}

/// What to change of a realm; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct RealmEdit {
    /// What to call it.
    pub display_name: Option<Option<String>>,
    /// Whether anything in it counts.
    pub enabled: Option<bool>,
    /// IANA time zone of dates without time.
    pub zone: Option<String>,
    /// Merged into the policy as RFC 7396 says.
    pub token_policy: Option<Map<String, Value>>,
}

impl Authority {
    /// Lists the realms that the caller may know of: all for an operator, else their own.
    pub async fn realms(&self, caller: &Caller, page: PageRequest) -> Result<Page<Realm>, Refusal> {
        if caller.require_operator(ApiScope::PoliciesWrite).is_ok() {
            return Ok(self.store().realm_list(page).await?);
        }
        let own = self.realm(caller, &caller.realm).await?;
        Ok(Page { items: vec![own], next: None })
    }

    /// Shows a realm to whoever may see its services or change its policy.
    pub async fn realm(&self, caller: &Caller, name: &RealmName) -> Result<Realm, Refusal> {
        // Whoever issues there must be able to learn the zone and the limits.
        if let Err(refusal) = caller.reach(name, ApiScope::ServicesRead) {
            caller.reach(name, ApiScope::PoliciesWrite).map_err(|_| refusal)?;
        }
        let found = self.store().realm_find(name).await?;
        found.ok_or(Refusal::NotFound(Thing::Realm))
    }

    /// Creates a realm with its built-in service. Operators only.
    pub async fn create_realm(&self, caller: &Caller, draft: RealmDraft) -> Result<Realm, Refusal> {
        caller.require_operator(ApiScope::PoliciesWrite)?;
        self.refuse_tokens_in_realm(&draft)?;
        check_zone(&draft.zone)?;
        check_policy(&draft.token_policy)?;
        let at = self.now();
        let seed = Seed::new(&draft.name, draft.display_name, at)?;
        let realm = Realm { zone: draft.zone, token_policy: draft.token_policy, ..seed.realm };
        let event = self
            .event("realm.created", &realm.name, &caller.origin, at)?
            .with_subject(format!("realm:{}", realm.name));
        match self.store().realm_insert(realm.clone(), seed.service, event).await? {
            Inserted::Done => Ok(realm),
            Inserted::Exists => Err(Refusal::Exists(Thing::Realm)),
            Inserted::Missing(what) => Err(missing(what)),
        }
    }

    /// Changes a realm. Only an operator switches one on or off, and never `main`: the
    /// installation's own administrators live there.
    pub async fn edit_realm(
        &self,
        caller: &Caller,
        name: &RealmName,
        edit: RealmEdit,
        if_match: Option<i64>,
    ) -> Result<Realm, Refusal> {
        caller.require_whole(name, ApiScope::PoliciesWrite)?;
        if edit.enabled.is_some() {
            caller.require_operator(ApiScope::PoliciesWrite)?;
        }
        if edit.enabled == Some(false) && name.as_str() == MAIN_REALM {
            return Err(Refusal::BuiltIn(Thing::Realm));
        }
        self.refuse_tokens_in_realm_edit(&edit)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let found = self.store().realm_find(name).await?;
            let current = found.ok_or(Refusal::NotFound(Thing::Realm))?;
            expect_version(if_match, current.version)?;
            let at = self.now();
            let changed = Realm { updated_at: at, ..apply(current, &edit)? };
            let event = self
                .event("realm.updated", name, &caller.origin, at)?
                .with_subject(format!("realm:{name}"));
            let updated = self.store().realm_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::Realm) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                settled => return settled,
            }
        }
        Err(Refusal::VersionMismatch)
    }
}

impl Authority {
    /// Which tokens an edit of the realm would have refused at use. For who may make it; nothing
    /// is changed.
    pub async fn preview_realm(
        &self,
        caller: &Caller,
        name: &RealmName,
        edit: RealmEdit,
        page: PageRequest,
    ) -> Result<Hits, Refusal> {
        caller.require_whole(name, ApiScope::PoliciesWrite)?;
        self.refuse_tokens_in_realm_edit(&edit)?;
        let found = self.store().realm_find(name).await?;
        let current = found.ok_or(Refusal::NotFound(Thing::Realm))?;
        let changed = apply(current, &edit)?;
        self.hit_by(caller, name, Planned::Realm(Box::new(changed)), page).await
    }
}

fn apply(realm: Realm, edit: &RealmEdit) -> Result<Realm, Refusal> {
    let zone = edit.zone.clone().unwrap_or(realm.zone);
    check_zone(&zone)?;
    let token_policy = match &edit.token_policy {
        Some(patch) => merged(&realm.token_policy, patch, "token_policy")?,
        None => realm.token_policy,
    };
    check_policy(&token_policy)?;
    Ok(Realm {
        display_name: edit.display_name.clone().unwrap_or(realm.display_name),
        enabled: edit.enabled.unwrap_or(realm.enabled),
        zone,
        token_policy,
        ..realm
    })
}

fn check_zone(zone: &str) -> Result<(), Refusal> {
    if zone_is_known(zone) {
        Ok(())
    } else {
        Err(Refusal::invalid("zone", "not a zone of the IANA time zone database"))
    }
}

/// Refuses a policy whose fields make no sense, naming the field.
pub(super) fn check_policy(policy: &TokenPolicy) -> Result<(), Refusal> {
    policy.check().map_err(|bad| Refusal::invalid(format!("token_policy.{}", bad.field), bad.why))
}

/// Refuses an edit that was made on the basis of another version.
pub(super) fn expect_version(if_match: Option<i64>, version: i64) -> Result<(), Refusal> {
    match if_match {
        Some(expected) if expected != version => Err(Refusal::VersionMismatch),
        _ => Ok(()),
    }
}

/// The refusal for a reference to something that does not exist.
pub(super) fn missing(what: &'static str) -> Refusal {
    Refusal::invalid(what, format!("there is no such {what}"))
}

/// `current` with a JSON merge patch applied (RFC 7396): `null` removes, objects merge,
/// everything else replaces.
pub(super) fn merged<T: Serialize + DeserializeOwned>(
    current: &T,
    patch: &Map<String, Value>,
    field: &'static str,
) -> Result<T, Refusal> {
    let mut value = serde_json::to_value(current).map_err(|e| Refusal::invalid(field, e))?;
    merge(&mut value, patch);
    serde_json::from_value(value).map_err(|e| Refusal::invalid(field, e))
}

/// Bounded by the depth of `patch`, which the door has limited.
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(fields.remove(name)),
            Value::Object(inner) => {
                merge(fields.entry(name.as_str()).or_insert(Value::Null), inner);
            }
            other => drop(fields.insert(name.clone(), other.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_null_clears() {
        let policy = TokenPolicy {
            max_lifetime_seconds: Some(60),
            must_expire: Some(true),
            ..TokenPolicy::default()
        };
        let patch = json!({ "max_lifetime_seconds": 30, "must_expire": null });
        let changed = merged(&policy, patch.as_object().unwrap(), "token_policy").unwrap();
        assert_eq!(changed.max_lifetime_seconds, Some(30));
        assert_eq!(changed.must_expire, None);
        let unknown = json!({ "max_lifetime": 30 });
        assert!(merged(&policy, unknown.as_object().unwrap(), "token_policy").is_err());
    }
}
