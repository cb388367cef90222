//! Services: what tokens are good for, with their own limits and their forward-auth rules.

use serde_json::{Map, Value};

use super::compliance::Planned;
use super::realms::{EDIT_ATTEMPTS_MAX, check_policy, expect_version, merged, missing};
use super::{Authority, Hits};
use crate::caller::{Caller, Reach};
use crate::clock::Timestamp;
use crate::names::{COUNTERFOIL, GroupName, RealmName, ServiceLabel};
use crate::policy::{EffectivePolicy, TokenPolicy};
use crate::refusal::{Refusal, Thing};
use crate::scope::{ApiScope, Scope};
use crate::service::{ForwardAuth, Service, ServiceStatus, Viewer, Visibility, holds_escape};
use crate::store::{Inserted, Page, PageRequest, ServiceDeleted};

/// Forward-auth rules per service at most: each request is held against all of them.
const FORWARD_AUTH_RULES_MAX: usize = 100;

/// A service to create.
#[derive(Debug, Clone)]
pub struct ServiceDraft {
    /// Its label.
    pub label: ServiceLabel,
    /// What to call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Its picture.
    pub logo_url: Option<String>,
    /// Who sees it.
    pub visibility: Visibility,
    /// The group that may use it.
    pub group: Option<GroupName>,
    /// The entitlement that its users receive.
    pub entitlement_uri: Option<String>,
    /// Whether its tokens count.
    pub status: ServiceStatus,
    /// The unit it belongs to.
    pub unit: Option<String>,
    /// Its own limits.
    pub token_policy: TokenPolicy,
    /// What forward-auth requires.
    pub forward_auth: ForwardAuth,
}

impl ServiceDraft {
    /// A service called as its label, for everybody of the realm, without settings of its own.
    pub fn new(label: ServiceLabel) -> Self {
        Self {
            name: label.to_string(),
            label,
            description: None,
            url: None,
            contact: None,
            logo_url: None,
            visibility: Visibility::Realm,
            group: None,
            entitlement_uri: None,
            status: ServiceStatus::Active,
            unit: None,
            token_policy: TokenPolicy::default(),
            forward_auth: ForwardAuth::default(),
        }
    }

    /// The service as it is created at `at`.
    pub(super) fn into_service(self, realm: &RealmName, at: Timestamp) -> Service {
        Service {
            realm: realm.clone(),
            label: self.label,
            name: self.name,
            description: self.description,
            url: self.url,
            contact: self.contact,
            logo_url: self.logo_url,
            visibility: self.visibility,
            group: self.group,
            entitlement_uri: self.entitlement_uri,
            status: self.status,
            locked: false,
            unit: self.unit,
            token_policy: self.token_policy,
            forward_auth: self.forward_auth,
            created_at: at,
            updated_at: at,
            version: 1,
        }
    }
}

/// What to change of a service; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct ServiceEdit {
    /// What to call it.
    pub name: Option<String>,
    /// What it is.
    pub description: Option<Option<String>>,
    /// Where it is.
    pub url: Option<Option<String>>,
    /// Whom to ask.
    pub contact: Option<Option<String>>,
    /// Its picture.
    pub logo_url: Option<Option<String>>,
    /// Who sees it.
    pub visibility: Option<Visibility>,
    /// The group that may use it.
    pub group: Option<Option<GroupName>>,
    /// The entitlement that its users receive.
    pub entitlement_uri: Option<Option<String>>,
    /// Whether its tokens count.
    pub status: Option<ServiceStatus>,
    /// The unit it belongs to.
    pub unit: Option<Option<String>>,
    /// What becomes of its own limits.
    pub token_policy: Option<PolicyEdit>,
    /// Merged into the forward-auth settings as RFC 7396 says; its lists are replaced.
    pub forward_auth: Option<Map<String, Value>>,
}

/// What to make of a service's policy.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyEdit {
    /// Merged into the policy as RFC 7396 says.
    Merge(Map<String, Value>),
    /// Put into its place: what is left out is inherited.
    Replace(Box<TokenPolicy>),
}

/// What a service offers to who asks for a token of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The service.
    pub label: ServiceLabel,
    /// What holds for its tokens.
    pub policy: EffectivePolicy,
}

impl Authority {
    /// Lists the services that the caller may see. A page may hold fewer than its limit.
    pub async fn services(
        &self,
        caller: &Caller,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Service>, Refusal> {
        let sight = self.sight(caller, realm).await?;
        let mut page = self.store().service_list(realm, page).await?;
        page.items.retain(|service| sight.shows(service));
        Ok(page)
    }

    /// Shows a service.
    pub async fn service(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<Service, Refusal> {
        let sight = self.sight(caller, realm).await?;
        let found = self.store().service_find(realm, label).await?;
        found.filter(|service| sight.shows(service)).ok_or(Refusal::NotFound(Thing::Service))
    }

    /// Checks that a service is there for who asks about its tokens. Needs `tokens:read`, as the
    /// list of them does, and shows nothing of the service.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] for one that is not there, and for one that the caller does not see.
    pub async fn service_of_tokens(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<(), Refusal> {
        let sight = self.sight_by(caller, realm, ApiScope::TokensRead).await?;
        let found = self.store().service_find(realm, label).await?;
        let shown = found.is_some_and(|service| sight.shows(&service));
        if shown { Ok(()) } else { Err(Refusal::NotFound(Thing::Service)) }
    }

    /// Creates a service.
    pub async fn create_service(
        &self,
        caller: &Caller,
        realm: &RealmName,
        draft: ServiceDraft,
    ) -> Result<Service, Refusal> {
        let reach = caller.reach(realm, ApiScope::ServicesWrite)?;
        if !reach.whole && !draft.unit.as_ref().is_some_and(|unit| reach.units.contains(unit)) {
            return Err(Refusal::Forbidden(ApiScope::ServicesWrite));
        }
        self.realm_facts(realm).await?;
        self.refuse_tokens_in_service(&draft)?;
        let at = self.now();
        let service = draft.into_service(realm, at);
        self.check_service(&service).await?;
        let event = self
            .event("service.created", realm, &caller.origin, at)?
            .with_service(service.label.as_str());
        match self.store().service_insert(service.clone(), event).await? {
            Inserted::Done => Ok(service),
            Inserted::Exists => Err(Refusal::Exists(Thing::Service)),
            Inserted::Missing(what) => Err(missing(what)),
        }
    }

    /// Changes a service. The built-in one keeps its name in the world: only its description
    /// and its limits change.
    pub async fn edit_service(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
        edit: ServiceEdit,
        if_match: Option<i64>,
    ) -> Result<Service, Refusal> {
        let reach = caller.reach(realm, ApiScope::ServicesWrite)?;
        self.refuse_tokens_in_service_edit(&edit)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let current = self.service_in_reach(&reach, realm, label).await?;
            expect_version(if_match, current.version)?;
            let at = self.now();
            let changed = Service { updated_at: at, ..apply(current, &edit)? };
            if !reach.covers_service(label, changed.unit.as_ref()) {
                return Err(Refusal::Forbidden(ApiScope::ServicesWrite));
            }
            if edit.unit.is_some() && !reach.whole {
                return Err(Refusal::BeyondGrant("only a realm administrator moves a service"));
            }
            self.check_service(&changed).await?;
            let event = self
                .event("service.updated", realm, &caller.origin, at)?
                .with_service(label.as_str());
            let updated = self.store().service_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::Service) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                settled => return settled,
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// Which tokens an edit would have refused at use. For who may make it; nothing is changed.
    pub async fn preview_service(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
        edit: ServiceEdit,
        page: PageRequest,
    ) -> Result<Hits, Refusal> {
        let reach = caller.reach(realm, ApiScope::ServicesWrite)?;
        self.refuse_tokens_in_service_edit(&edit)?;
        let current = self.service_in_reach(&reach, realm, label).await?;
        let changed = apply(current, &edit)?;
        self.check_service(&changed).await?;
        self.hit_by(caller, realm, Planned::Service(Box::new(changed)), page).await
    }

    /// What a service offers to who asks for a token of it: its policy with that of its realm.
    pub async fn offer(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<Offer, Refusal> {
        let service = self.service(caller, realm, label).await?;
        let found = self.store().realm_find(realm).await?;
        let found = found.ok_or(Refusal::NotFound(Thing::Realm))?;
        let policy = service.token_policy.effective(&found.token_policy);
        Ok(Offer { label: service.label, policy })
    }

    /// Removes a service that no live token names.
    pub async fn delete_service(
        &self,
        caller: &Caller,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<(), Refusal> {
        let reach = caller.reach(realm, ApiScope::ServicesWrite)?;
        let service = self.service_in_reach(&reach, realm, label).await?;
        if label.as_str() == COUNTERFOIL {
            return Err(Refusal::BuiltIn(Thing::Service));
        }
        // Who looks after a service may change it; whether it exists is the realm's matter.
        if !reach.whole && !service.unit.as_ref().is_some_and(|unit| reach.units.contains(unit)) {
            return Err(Refusal::BeyondGrant("only a realm administrator removes a service"));
        }
        let event = self
            .event("service.deleted", realm, &caller.origin, self.now())?
            .with_service(label.as_str());
        match self.store().service_delete(realm, label, event).await? {
            ServiceDeleted::Done => Ok(()),
            ServiceDeleted::NotFound => Err(Refusal::NotFound(Thing::Service)),
            ServiceDeleted::InUse(tokens) => Err(Refusal::InUse(tokens)),
        }
    }

    pub(super) async fn service_in_reach(
        &self,
        reach: &Reach,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<Service, Refusal> {
        let found = self.store().service_find(realm, label).await?;
        found
            .filter(|service| reach.covers_service(label, service.unit.as_ref()))
            .ok_or(Refusal::NotFound(Thing::Service))
    }

    /// What the caller sees of a realm's services.
    pub(super) async fn sight(&self, caller: &Caller, realm: &RealmName) -> Result<Sight, Refusal> {
        self.sight_by(caller, realm, ApiScope::ServicesRead).await
    }

    /// What they see as far as this scope of theirs reaches.
    async fn sight_by(
        &self,
        caller: &Caller,
        realm: &RealmName,
        scope: ApiScope,
    ) -> Result<Sight, Refusal> {
        let reach = caller.reach(realm, scope)?;
        self.realm_facts(realm).await?;
        let person = reach.own.as_ref().and_then(|owner| owner.user());
        let own = match person {
            Some(name) if !reach.whole => {
                let found = self.store().user_find(realm, name).await?;
                Some(found.map(|user| (user.groups, user.unit)).unwrap_or_default())
            }
            _ => None,
        };
        Ok(Sight { reach, own })
    }

    /// Checks everything about a service that needs no look at who asks.
    pub(super) async fn check_service(&self, service: &Service) -> Result<(), Refusal> {
        check_policy(&service.token_policy)?;
        check_forward_auth(&service.forward_auth)?;
        let realm = self.store().realm_find(&service.realm).await?;
        let realm = realm.ok_or(Refusal::NotFound(Thing::Realm))?;
        check_tightens(&service.token_policy, &realm.token_policy)?;
        if service.label.as_str() != COUNTERFOIL {
            return Ok(());
        }
        // Without it nobody could call the API to switch it on again.
        let usable = service.status == ServiceStatus::Active
            && service.group.is_none()
            && service.unit.is_none()
            && service.token_policy.enabled != Some(false);
        if usable { Ok(()) } else { Err(Refusal::BuiltIn(Thing::Service)) }
    }
}

/// What one caller sees of a realm's services.
pub(super) struct Sight {
    reach: Reach,
    /// The caller's groups and unit, if it is a person who sees services as one of the realm.
    own: Option<(Vec<GroupName>, Option<String>)>,
}

impl Sight {
    pub(super) fn shows(&self, service: &Service) -> bool {
        if self.reach.covers_service(&service.label, service.unit.as_ref()) {
            return true;
        }
        let Some((groups, unit)) = &self.own else {
            return false;
        };
        service.is_seen_by(Viewer::Person { groups, unit: unit.as_deref() })
    }
}

fn apply(service: Service, edit: &ServiceEdit) -> Result<Service, Refusal> {
    let token_policy = match &edit.token_policy {
        Some(PolicyEdit::Merge(patch)) => merged(&service.token_policy, patch, "token_policy")?,
        Some(PolicyEdit::Replace(policy)) => TokenPolicy::clone(policy),
        None => service.token_policy,
    };
    let forward_auth = match &edit.forward_auth {
        Some(patch) => merged(&service.forward_auth, patch, "forward_auth")?,
        None => service.forward_auth,
    };
    Ok(Service {
        name: edit.name.clone().unwrap_or(service.name),
        description: edit.description.clone().unwrap_or(service.description),
        url: edit.url.clone().unwrap_or(service.url),
        contact: edit.contact.clone().unwrap_or(service.contact),
        logo_url: edit.logo_url.clone().unwrap_or(service.logo_url),
        visibility: edit.visibility.unwrap_or(service.visibility),
        group: edit.group.clone().unwrap_or(service.group),
        entitlement_uri: edit.entitlement_uri.clone().unwrap_or(service.entitlement_uri),
        status: edit.status.unwrap_or(service.status),
        unit: edit.unit.clone().unwrap_or(service.unit),
        token_policy,
        forward_auth,
        ..service
    })
}

/// A limit above the realm's would be without effect; who sets one is better told.
fn check_tightens(service: &TokenPolicy, realm: &TokenPolicy) -> Result<(), Refusal> {
    let lifetimes = (service.max_lifetime_seconds, realm.max_lifetime_seconds);
    if let (Some(asked), Some(allowed)) = lifetimes
        && asked > allowed
    {
        let why = format!("the realm allows at most {allowed}");
        return Err(Refusal::invalid("token_policy.max_lifetime_seconds", why));
    }
    let counts = (service.max_active_per_user, realm.max_active_per_user);
    if let (Some(asked), Some(allowed)) = counts
        && asked > allowed
    {
        let why = format!("the realm allows at most {allowed}");
        return Err(Refusal::invalid("token_policy.max_active_per_user", why));
    }
    if service.show_to_issuer == Some(true) && realm.show_to_issuer != Some(true) {
        let why = "the realm shows no secret to who issues for somebody else";
        return Err(Refusal::invalid("token_policy.show_to_issuer", why));
    }
    if service.must_expire == Some(false) && realm.must_expire == Some(true) {
        let why = "the realm demands that tokens expire";
        return Err(Refusal::invalid("token_policy.must_expire", why));
    }
    Ok(())
}

fn check_forward_auth(config: &ForwardAuth) -> Result<(), Refusal> {
    if config.rules.len() > FORWARD_AUTH_RULES_MAX {
        let why = format!("at most {FORWARD_AUTH_RULES_MAX} rules");
        return Err(Refusal::invalid("forward_auth.rules", why));
    }
    let check_scopes = |field: String, scopes: &[String]| -> Result<(), Refusal> {
        match scopes.iter().find_map(|scope| Scope::parse(scope).err()) {
            Some(bad) => Err(Refusal::invalid(field, bad)),
            None => Ok(()),
        }
    };
    check_scopes("forward_auth.required_scopes".into(), &config.required_scopes)?;
    for (index, rule) in config.rules.iter().enumerate() {
        let field = format!("forward_auth.rules[{index}]");
        let upper = |method: &String| {
            !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
        };
        if !rule.methods.iter().all(upper) {
            let why = "a method is written in upper case, as in POST";
            return Err(Refusal::invalid(format!("{field}.methods"), why));
        }
        // A path in another form than the normalised one would silently never match.
        if !rule.path.starts_with('/') || rule.path.contains("//") || rule.path.contains("/..") {
            let why = "starts with / and holds neither // nor ..; may end with *";
            return Err(Refusal::invalid(format!("{field}.path"), why));
        }
        if holds_escape(&rule.path) || rule.path.contains(|c: char| c == '\\' || c.is_control()) {
            let why = "is held against decoded paths: write the character itself, not its escape";
            return Err(Refusal::invalid(format!("{field}.path"), why));
        }
        check_scopes(format!("{field}.scopes"), &rule.scopes)?;
    }
    Ok(())
}
