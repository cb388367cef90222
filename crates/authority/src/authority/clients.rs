//! Machine clients: verifiers, provisioners, administrators, each with keys of its own.

use std::sync::Arc;

use super::rank::may_give;
use super::realms::{EDIT_ATTEMPTS_MAX, expect_version, missing};
use super::{Answered, Authority, Replay};
use crate::access::{AccessSettings, LIFETIME_SECONDS_MAX as ACCESS_SECONDS_MAX};
use crate::caller::{Caller, Powers};
use crate::names::{ClientName, RealmName, ServiceLabel};
use crate::policy::LIFETIME_SECONDS_MAX;
use crate::refusal::{Refusal, Thing};
use crate::scope::{ApiScope, ApiScopes};
use crate::secret::ClearSecret;
use crate::store::{ClientCreated, NewClient, Page, PageRequest};
use crate::subject::{Client, Limits, Role};
use crate::token::Token;

/// A client to create.
#[derive(Debug, Clone)]
pub struct ClientDraft {
    /// Its name.
    pub name: ClientName,
    /// What it is for.
    pub description: Option<String>,
    /// Its roles.
    pub roles: Vec<Role>,
    /// If set, it may do no more than these scopes of its roles.
    pub scopes: Option<ApiScopes>,
    /// Services it may verify for or manage.
    pub services: Option<Vec<ServiceLabel>>,
    /// The unit of its `unit-admin` role.
    pub unit: Option<String>,
    /// Further bounds.
    pub limits: Limits,
    /// How its access tokens are to be.
    pub access: AccessSettings,
}

/// What to change of a client; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct ClientEdit {
    /// What it is for.
    pub description: Option<Option<String>>,
    /// Its roles.
    pub roles: Option<Vec<Role>>,
    /// Bound on its scopes.
    pub scopes: Option<Option<ApiScopes>>,
    /// Services it may verify for or manage.
    pub services: Option<Option<Vec<ServiceLabel>>>,
    /// The unit of its `unit-admin` role.
    pub unit: Option<Option<String>>,
    /// Further bounds.
    pub limits: Option<Limits>,
    /// How its access tokens are to be.
    pub access: Option<AccessSettings>,
    /// Whether its keys count.
    pub enabled: Option<bool>,
}

/// The `Idempotency-Key` of a creation, with the exact answer to keep for it.
#[derive(Clone)]
pub struct ClientReplay {
    /// The header.
    pub key: String,
    /// SHA-256 over route and body.
    pub fingerprint: [u8; 32],
    /// Writes the answer.
    pub render: ClientRender,
}

/// Writes the answer to a creation.
pub type ClientRender = Arc<dyn Fn(&Client, &Token, &ClearSecret) -> Vec<u8> + Send + Sync>;

/// What came of creating a client.
#[derive(Debug)]
pub enum ClientAnswered {
    /// It is new.
    Fresh {
        /// The client.
        client: Box<Client>,
        /// Its first key, in clear for this one answer.
        secret: ClearSecret,
    },
    /// The same request was answered before, with this.
    Replayed(Vec<u8>),
}

impl Authority {
    /// Lists clients.
    pub async fn clients(
        &self,
        caller: &Caller,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Client>, Refusal> {
        require_sight(caller, realm)?;
        self.realm_facts(realm).await?;
        Ok(self.store().client_list(realm, page).await?)
    }

    /// Shows a client. Every client may look at itself.
    pub async fn client(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Client, Refusal> {
        require_sight(caller, realm)?;
        let found = self.store().client_find(realm, name).await?;
        found.ok_or(Refusal::NotFound(Thing::Client))
    }

    /// Creates a client with its first key.
    pub async fn create_client(
        &self,
        caller: &Caller,
        realm: &RealmName,
        draft: ClientDraft,
        replay: Option<ClientReplay>,
    ) -> Result<ClientAnswered, Refusal> {
        caller.require_whole(realm, ApiScope::ClientsWrite)?;
        self.realm_facts(realm).await?;
        self.refuse_tokens_in_client(&draft)?;
        let at = self.now();
        let client = Client {
            realm: realm.clone(),
            name: draft.name,
            description: draft.description,
            roles: draft.roles,
            scopes: draft.scopes,
            services: draft.services,
            unit: draft.unit,
            limits: draft.limits,
            access: draft.access,
            enabled: true,
            created_at: at,
            updated_at: at,
            version: 1,
        };
        check_client(&client)?;
        may_give(caller, &Powers::of_client(&client, &[]))?;
        self.check_services_exist(realm, client.services.as_deref()).await?;
        let replay = replay.map(|replay| {
            let client = client.clone();
            Replay {
                key: replay.key,
                fingerprint: replay.fingerprint,
                render: Arc::new(move |token: &Token, secret: &ClearSecret| {
                    (replay.render)(&client, token, secret)
                }),
            }
        });
        let kept = replay.as_ref().map(|replay| (replay, caller));
        let (key, secret) = self.new_client_key(realm, &client.name, &caller.origin, at, kept)?;
        let event = self
            .event("client.created", realm, &caller.origin, at)?
            .with_subject(format!("client:{}", client.name));
        let new = NewClient { client: client.clone(), key };
        match self.store().client_insert(new, event).await? {
            ClientCreated::Done(_) => {
                Ok(ClientAnswered::Fresh { client: Box::new(client), secret })
            }
            ClientCreated::Replayed(sealed) => match self.replayed_client(caller, &sealed)? {
                Answered::Replayed(answer) => Ok(ClientAnswered::Replayed(answer)),
                Answered::Fresh { .. } => Err(Refusal::KeyReused),
            },
            ClientCreated::KeyReused => Err(Refusal::KeyReused),
            ClientCreated::Exists => Err(Refusal::Exists(Thing::Client)),
            ClientCreated::Missing(what) => Err(missing(what)),
        }
    }

    /// Changes a client. Nobody changes one that may do more than they may themselves.
    pub async fn edit_client(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &ClientName,
        edit: ClientEdit,
        if_match: Option<i64>,
    ) -> Result<Client, Refusal> {
        caller.require_whole(realm, ApiScope::ClientsWrite)?;
        self.refuse_tokens_in_client_edit(&edit)?;
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let current = self.client_below(caller, realm, name).await?;
            expect_version(if_match, current.version)?;
            let at = self.now();
            let changed = Client { updated_at: at, ..apply(current, &edit) };
            check_client(&changed)?;
            let grants = self.store().grants_of_client(realm, name).await?;
            may_give(caller, &Powers::of_client(&changed, &grants))?;
            self.check_services_exist(realm, changed.services.as_deref()).await?;
            let event = self
                .event("client.updated", realm, &caller.origin, at)?
                .with_subject(format!("client:{name}"));
            let updated = self.store().client_update(changed, event).await?;
            match Refusal::unless_updated(updated, Thing::Client) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                settled => return settled,
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// Removes a client and revokes its keys.
    pub async fn delete_client(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<(), Refusal> {
        caller.require_whole(realm, ApiScope::ClientsWrite)?;
        self.client_below(caller, realm, name).await?;
        let at = self.now();
        let event = self
            .event("client.deleted", realm, &caller.origin, at)?
            .with_subject(format!("client:{name}"));
        if self.store().client_delete(realm, name, at, event).await? {
            Ok(())
        } else {
            Err(Refusal::NotFound(Thing::Client))
        }
    }

    /// A client that may do no more than the caller.
    pub(crate) async fn client_below(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Client, Refusal> {
        let found = self.store().client_find(realm, name).await?;
        let client = found.ok_or(Refusal::NotFound(Thing::Client))?;
        let grants = self.store().grants_of_client(realm, name).await?;
        may_give(caller, &Powers::of_client(&client, &grants))?;
        Ok(client)
    }

    async fn check_services_exist(
        &self,
        realm: &RealmName,
        services: Option<&[ServiceLabel]>,
    ) -> Result<(), Refusal> {
        for (index, label) in services.into_iter().flatten().enumerate() {
            if self.store().service_find(realm, label).await?.is_none() {
                let field = format!("services[{index}]");
                return Err(Refusal::invalid(field, format!("there is no service {label}")));
            }
        }
        Ok(())
    }
}

/// Clients and grants are seen by those who change them, and by auditors.
pub(super) fn require_sight(caller: &Caller, realm: &RealmName) -> Result<(), Refusal> {
    let auditor = caller.require_whole(realm, ApiScope::AuditRead);
    auditor.or_else(|_| caller.require_whole(realm, ApiScope::ClientsWrite))
}

fn apply(client: Client, edit: &ClientEdit) -> Client {
    Client {
        description: edit.description.clone().unwrap_or(client.description),
        roles: edit.roles.clone().unwrap_or(client.roles),
        scopes: edit.scopes.unwrap_or(client.scopes),
        services: edit.services.clone().unwrap_or(client.services),
        unit: edit.unit.clone().unwrap_or(client.unit),
        limits: edit.limits.clone().unwrap_or(client.limits),
        access: edit.access.clone().unwrap_or(client.access),
        enabled: edit.enabled.unwrap_or(client.enabled),
        ..client
    }
}

fn check_client(client: &Client) -> Result<(), Refusal> {
    if client.roles.contains(&Role::UnitAdmin) && client.unit.is_none() {
        return Err(Refusal::invalid("unit", "the role unit-admin needs a unit"));
    }
    if client.roles.contains(&Role::ServiceManager) && client.services.is_none() {
        return Err(Refusal::invalid("services", "the role service-manager needs services"));
    }
    check_access(&client.access)?;
    check_limits(&client.limits)
}

fn check_access(access: &AccessSettings) -> Result<(), Refusal> {
    let lifetime = access.access_token_lifetime_seconds;
    if lifetime.is_some_and(|seconds| !(1..=ACCESS_SECONDS_MAX).contains(&seconds)) {
        let why = format!("must be from 1 to {ACCESS_SECONDS_MAX} seconds");
        return Err(Refusal::invalid("oauth.access_token_lifetime_seconds", why));
    }
    Ok(())
}

/// The largest count that every JSON reader understands (RFC 8259 section 6).
const COUNT_MAX: u64 = (1 << 53) - 1;

/// Refuses limits that would allow nothing or mean nothing.
pub(super) fn check_limits(limits: &Limits) -> Result<(), Refusal> {
    let lifetime = limits.lifetime_seconds_max;
    if lifetime.is_some_and(|seconds| !(1..=LIFETIME_SECONDS_MAX).contains(&seconds)) {
        let why = "must be from 1 second to 100 years";
        return Err(Refusal::invalid("limits.lifetime_seconds_max", why));
    }
    if limits.count_max.is_some_and(|count| count > COUNT_MAX) {
        return Err(Refusal::invalid("limits.count_max", format!("must be at most {COUNT_MAX}")));
    }
    Ok(())
}
