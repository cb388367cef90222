//! Targets: setting them up, and what of theirs is secret.

use serde_json::{Map, Value};

use crate::authority::Authority;
use crate::authority::realms::{EDIT_ATTEMPTS_MAX, expect_version, merged, missing};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::names::{COUNTERFOIL, RealmName, ServiceLabel, TargetName};
use crate::provision::letter::{LETTER_EVENTS, LETTER_EVENTS_MORE, TEMPLATES_MAX};
use crate::provision::{Delivery, Target, TargetConfig, TargetKind, TargetMode};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::secret::ClearSecret;
use crate::store::{Backlog, DeliveryFilter, Inserted, Page, PageRequest};

/// Longest time that a target is given to answer: a worker's turn is not much longer.
const TIMEOUT_MS_MAX: u32 = 12_000;
/// Services that are read at once, to tell which ones a target was for.
const SERVICES_PER_LOOK: u32 = 1000;

/// A target to set up.
#[derive(Debug, Clone)]
pub struct TargetDraft {
    /// Its name.
    pub name: TargetName,
    /// What it is.
    pub kind: TargetKind,
    /// When it is brought up to date.
    pub mode: TargetMode,
    /// Its place among the targets; behind the others unless given.
    pub order: Option<i64>,
    /// How it is reached.
    pub config: TargetConfig,
    /// The password to bind with, or the key that signs.
    pub secret: Option<ClearSecret>,
}

/// What to change of a target; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct TargetEdit {
    /// When it is brought up to date.
    pub mode: Option<TargetMode>,
    /// Its place among the targets.
    pub order: Option<i64>,
    /// Merged into the settings as RFC 7396 says.
    pub config: Map<String, Value>,
    /// The password to bind with, or the key that signs.
    pub secret: Option<Option<ClearSecret>>,
}

impl Authority {
    /// Lists the targets of a realm.
    pub async fn targets(
        &self,
        caller: &Caller,
        realm: &RealmName,
    ) -> Result<Vec<Target>, Refusal> {
        caller.require_whole(realm, ApiScope::TargetsWrite)?;
        self.realm_facts(realm).await?;
        Ok(self.store.target_list(realm).await?)
    }

    /// Shows a target.
    pub async fn target(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &TargetName,
    ) -> Result<Target, Refusal> {
        caller.require_whole(realm, ApiScope::TargetsWrite)?;
        let found = self.store.target_find(realm, name).await?;
        found.ok_or(Refusal::NotFound(Thing::Target))
    }

    /// Sets a target up. Everybody of the realm is brought there, unless its mode says otherwise.
    pub async fn create_target(
        &self,
        caller: &Caller,
        realm: &RealmName,
        draft: TargetDraft,
    ) -> Result<Target, Refusal> {
        let target = self.drafted_target(caller, realm, draft).await?;
        let event = self
            .event("target.created", realm, &caller.origin, target.created_at)?
            .with_subject(format!("target:{}", target.name));
        match self.store.target_insert(target.clone(), event).await? {
            Inserted::Done => Ok(target),
            Inserted::Exists => Err(Refusal::Exists(Thing::Target)),
            Inserted::Missing(what) => Err(missing(what)),
        }
    }

    /// A target as it would be set up, checked and not stored.
    pub async fn drafted_target(
        &self,
        caller: &Caller,
        realm: &RealmName,
        draft: TargetDraft,
    ) -> Result<Target, Refusal> {
        caller.require_whole(realm, ApiScope::TargetsWrite)?;
        self.realm_facts(realm).await?;
        self.refuse_tokens_in_target(&draft)?;
        let at = self.now();
        let known = self.store.target_list(realm).await?;
        let last = known.iter().map(|target| target.order).max().unwrap_or(0);
        let mut target = Target {
            realm: realm.clone(),
            name: draft.name,
            kind: draft.kind,
            mode: draft.mode,
            order: draft.order.unwrap_or(last + 1),
            config: draft.config,
            secret: None,
            created_at: at,
            updated_at: at,
            version: 1,
        };
        check(&target)?;
        target.secret = self.sealed_secret(&target, draft.secret.as_ref())?;
        Ok(target)
    }

    /// Changes a target, and brings everybody there anew.
    pub async fn edit_target(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &TargetName,
        edit: TargetEdit,
        if_match: Option<i64>,
    ) -> Result<Target, Refusal> {
        caller.require_whole(realm, ApiScope::TargetsWrite)?;
        self.refuse_tokens_in_target_edit(&edit)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let current = self.target(caller, realm, name).await?;
            expect_version(if_match, current.version)?;
            let at = self.now();
            // Only who changes the services can leave values of one behind.
            let before = if edit.config.contains_key("services") {
                self.labels_of(&current).await?
            } else {
                Vec::new()
            };
            let changed = self.applied(current, &before, &edit, at)?;
            let event = self
                .event("target.updated", realm, &caller.origin, at)?
                .with_subject(format!("target:{name}"));
            let updated = self.store.target_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::Target) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                settled => return settled,
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// Removes a target. What stands there stays there.
    pub async fn delete_target(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &TargetName,
    ) -> Result<(), Refusal> {
        caller.require_whole(realm, ApiScope::TargetsWrite)?;
        let event = self
            .event("target.deleted", realm, &caller.origin, self.now())?
            .with_subject(format!("target:{name}"));
        if self.store.target_delete(realm, name, event).await? {
            Ok(())
        } else {
            Err(Refusal::NotFound(Thing::Target))
        }
    }

    /// Lists deliveries.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        realm: &RealmName,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Refusal> {
        caller.require_whole(realm, ApiScope::TargetsWrite)?;
        self.realm_facts(realm).await?;
        Ok(self.store.delivery_list(realm, filter, page).await?)
    }

    /// What is on its way to the targets of a realm and not there, by target and state.
    pub async fn backlog(
        &self,
        caller: &Caller,
        realm: &RealmName,
    ) -> Result<Vec<Backlog>, Refusal> {
        caller.require_whole(realm, ApiScope::TargetsWrite)?;
        self.realm_facts(realm).await?;
        let mut backlog = self.store.delivery_backlog().await?;
        backlog.retain(|one| one.realm == *realm);
        Ok(backlog)
    }

    /// The clear text of a target's secret.
    ///
    /// # Errors
    ///
    /// [`crate::keys::Unsealable`] as a failure of the store: the key is missing on this node.
    pub fn target_secret(
        &self,
        target: &Target,
    ) -> Result<Option<ClearSecret>, crate::store::Unavailable> {
        let Some(sealed) = &target.secret else { return Ok(None) };
        let opened = self.keys().open(&target.secret_row(), sealed);
        let opened = opened.map_err(crate::store::Unavailable::new)?;
        Ok(Some(ClearSecret::new(String::from_utf8_lossy(&opened).into_owned())))
    }

    fn sealed_secret(
        &self,
        target: &Target,
        clear: Option<&ClearSecret>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(clear) = clear else { return Ok(None) };
        let row = target.secret_row();
        Ok(Some(self.keys().seal(&row, clear.reveal().as_bytes(), self.entropy())?))
    }

    /// The services that a target is for, by their labels.
    async fn labels_of(&self, target: &Target) -> Result<Vec<String>, Refusal> {
        if let Some(named) = &target.config.services {
            return Ok(named.clone());
        }
        if !matches!(target.kind, TargetKind::Ldap | TargetKind::Entry) {
            return Ok(Vec::new());
        }
        let mut labels = Vec::new();
        let mut page = PageRequest::first(SERVICES_PER_LOOK);
        loop {
            let found = self.store.service_list(&target.realm, page).await?;
            let others = found.items.into_iter().map(|service| service.label.to_string());
            labels.extend(others.filter(|label| label != COUNTERFOIL));
            let Some(after) = found.next else { return Ok(labels) };
            page = PageRequest { limit: SERVICES_PER_LOOK, after: Some(after) };
        }
    }

    fn applied(
        &self,
        target: Target,
        before: &[String],
        edit: &TargetEdit,
        at: Timestamp,
    ) -> Result<Target, Refusal> {
        let mut config: TargetConfig = merged(&target.config, &edit.config, "config")?;
        // Who moves a target must know its secret: it would be told to whoever listens there.
        if config.url != target.config.url && target.secret.is_some() && edit.secret.is_none() {
            let why = "goes elsewhere; give the secret of the target again";
            return Err(Refusal::invalid("url", why));
        }
        // Values of services that it is for no longer must go, and only we know that they are ours.
        let gone = before.iter().filter(|label| !config.is_for(label.as_str()));
        config.former_services.extend(gone.cloned().collect::<Vec<_>>());
        let named = config.services.clone().unwrap_or_default();
        config.former_services.retain(|label| !named.contains(label));
        config.former_services.sort();
        config.former_services.dedup();
        let mut changed = Target {
            mode: edit.mode.unwrap_or(target.mode),
            order: edit.order.unwrap_or(target.order),
            config,
            updated_at: at,
            ..target
        };
        check(&changed)?;
        if let Some(secret) = &edit.secret {
            changed.secret = self.sealed_secret(&changed, secret.as_ref())?;
        }
        Ok(changed)
    }
}

/// Whether the settings make sense for the kind.
fn check(target: &Target) -> Result<(), Refusal> {
    let config = &target.config;
    let required = |field: &'static str, value: &Option<String>| {
        let given = value.as_deref().is_some_and(|text| !text.trim().is_empty());
        if given { Ok(()) } else { Err(Refusal::invalid(field, "is needed for this kind")) }
    };
    let allowed: &[&str] = match target.kind {
        TargetKind::Mail => return check_mail(config),
        TargetKind::Webhook => &["http://", "https://"],
        _ => &["ldap://", "ldaps://"],
    };
    if !allowed.iter().any(|scheme| config.url.starts_with(scheme)) {
        let why = format!("begins with {}", allowed.join(" or "));
        return Err(Refusal::invalid("url", why));
    }
    check_common(config)?;
    if !config.templates.is_empty() {
        return Err(Refusal::invalid("templates", "are for targets of kind mail"));
    }
    if target.kind == TargetKind::Webhook {
        return Ok(());
    }
    required("base_dn", &config.base_dn)?;
    if config.schemes.is_empty() {
        return Err(Refusal::invalid("schemes", "name at least one, SSHA512 say"));
    }
    if config.person_filter.as_ref().is_some_and(|filter| !filter.contains("{username}")) {
        return Err(Refusal::invalid("person_filter", "holds {username}"));
    }
    let attribute = config.attribute.as_deref();
    match target.kind {
        TargetKind::Ldap | TargetKind::Entry => {
            let known = ["voPersonApplicationPassword", "userPassword"];
            if attribute.is_some_and(|name| !known.contains(&name)) {
                return Err(Refusal::invalid("attribute", format!("is {}", known.join(" or "))));
            }
            let one = config.services.as_ref().is_some_and(|named| named.len() == 1);
            if attribute == Some("userPassword") && !one {
                let why = "names exactly one service: a password in userPassword opens the \
                           whole directory";
                return Err(Refusal::invalid("services", why));
            }
        }
        TargetKind::ProfileAttribute => required("attribute", &config.attribute)?,
        TargetKind::Webhook | TargetKind::Mail => {}
    }
    if target.kind == TargetKind::Entry {
        required("dn", &config.dn)?;
        if config.object_classes.is_empty() {
            return Err(Refusal::invalid("object_classes", "are needed for this kind"));
        }
    }
    Ok(())
}

/// What every kind has.
fn check_common(config: &TargetConfig) -> Result<(), Refusal> {
    if config.timeout_ms.is_some_and(|ms| !(100..=TIMEOUT_MS_MAX).contains(&ms)) {
        return Err(Refusal::invalid("timeout_ms", format!("is 100 to {TIMEOUT_MS_MAX}")));
    }
    for label in config.services.iter().flatten() {
        ServiceLabel::parse(label).map_err(|bad| Refusal::invalid("services", bad))?;
    }
    Ok(())
}

/// Where mail goes is the server's configuration: a realm cannot send its people's through another.
fn check_mail(config: &TargetConfig) -> Result<(), Refusal> {
    if !config.url.is_empty() {
        let why = "is for the other kinds: mail goes where the server's [mail] says";
        return Err(Refusal::invalid("url", why));
    }
    check_common(config)?;
    let known = || LETTER_EVENTS.into_iter().chain(LETTER_EVENTS_MORE);
    if config.events.iter().any(|event| !known().any(|one| one == event)) {
        let names: Vec<&str> = known().collect();
        return Err(Refusal::invalid("events", format!("are of {}", names.join(", "))));
    }
    if config.templates.len() > TEMPLATES_MAX {
        return Err(Refusal::invalid("templates", format!("are at most {TEMPLATES_MAX}")));
    }
    for (index, template) in config.templates.iter().enumerate() {
        template.check().map_err(|(field, what)| {
            Refusal::invalid(format!("templates[{index}].{field}"), what)
        })?;
    }
    Ok(())
}
