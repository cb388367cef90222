//! The beginning of an installation, and the way back in for whoever lost the last key.

use super::Authority;
use crate::access::AccessSettings;
use crate::clock::Timestamp;
use crate::event::{Origin, time_ordered_id};
use crate::keys::{KEY_PURPOSES, KeyRing};
use crate::names::{COUNTERFOIL, ClientName, MAIN_REALM, RealmName, ServiceLabel};
use crate::policy::TokenPolicy;
use crate::refusal::{Refusal, Thing};
use crate::secret::ClearSecret;
use crate::service::{ForwardAuth, Realm, Service, ServiceStatus, Visibility};
use crate::store::{
    ClientCreated, Initialised, Installation, KeyRecord, NewClient, NewInstallation,
};
use crate::subject::{Client, Limits, Role};
use crate::verdict::Door;

/// The key of an administrator, shown this once.
#[derive(Debug)]
pub struct FirstKey {
    /// The client it belongs to.
    pub client: ClientName,
    /// The key.
    pub secret: ClearSecret,
}

/// The records that every realm begins with.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The realm.
    pub realm: Realm,
    /// Its built-in service.
    pub service: Service,
}

impl Seed {
    /// A realm with the built-in service `counterfoil`.
    pub fn new(
        name: &RealmName,
        display_name: Option<String>,
        at: Timestamp,
    ) -> Result<Self, Refusal> {
        let label = ServiceLabel::parse(COUNTERFOIL).map_err(|e| Refusal::invalid("service", e))?;
        let realm = Realm {
            name: name.clone(),
            display_name,
            enabled: true,
            zone: "UTC".into(),
            token_policy: TokenPolicy::default(),
            created_at: at,
            updated_at: at,
            version: 1,
        };
        let service = Service {
            realm: name.clone(),
            label,
            name: "Counterfoil".into(),
            description: Some("The API of this installation itself.".into()),
            url: None,
            contact: None,
            logo_url: None,
            visibility: Visibility::Administrators,
            group: None,
            entitlement_uri: None,
            status: ServiceStatus::Active,
            locked: false,
            unit: None,
            token_policy: TokenPolicy::default(),
            forward_auth: ForwardAuth::default(),
            created_at: at,
            updated_at: at,
            version: 1,
        };
        Ok(Self { realm, service })
    }
}

/// What the store keeps of each key of a ring.
pub fn key_records(ring: &KeyRing, at: Timestamp) -> Vec<KeyRecord> {
    let of_purpose = |purpose| {
        ring.keys(purpose).iter().map(move |key| KeyRecord {
            purpose,
            id: key.id(),
            fingerprint: key.fingerprint(purpose),
            created_at: at,
        })
    };
    KEY_PURPOSES.into_iter().flat_map(of_purpose).collect()
}

impl Authority {
    /// Initialises an empty store: the realm `main`, and an operator named `admin`.
    ///
    /// `None` if it was initialised already; nothing changes then.
    pub async fn initialise(&self, admin: &ClientName) -> Result<Option<FirstKey>, Refusal> {
        let now = self.now();
        let origin = Origin::system(Door::Cli);
        let name = RealmName::parse(MAIN_REALM).map_err(|e| Refusal::invalid("realm", e))?;
        let seed = Seed::new(&name, None, now)?;
        let client = operator(&name, admin, now);
        let (key, secret) = self.new_client_key(&name, admin, &origin, now, None)?;
        let new = NewInstallation {
            installation: Installation {
                id: time_ordered_id(now, self.entropy())?,
                created_at: now,
            },
            keys: key_records(&self.keys(), now),
            realm: seed.realm,
            service: seed.service,
            admin: NewClient { client, key },
            event: self.event("installation.initialised", &name, &origin, now)?,
        };
        Ok(match self.store.initialise(new).await? {
            Initialised::Done => Some(FirstKey { client: admin.clone(), secret }),
            Initialised::Already => None,
        })
    }

    /// A new operator key, for whoever holds the key directory. `name` must be free.
    pub async fn recover_admin(&self, name: &ClientName) -> Result<FirstKey, Refusal> {
        let now = self.now();
        let origin = Origin::system(Door::Cli);
        let realm = RealmName::parse(MAIN_REALM).map_err(|e| Refusal::invalid("realm", e))?;
        let (key, secret) = self.new_client_key(&realm, name, &origin, now, None)?;
        let new = NewClient { client: operator(&realm, name, now), key };
        let event = self.event("admin.recovered", &realm, &origin, now)?;
        let event = event.with_subject(format!("client:{name}"));
        match self.store.client_insert(new, event).await? {
            ClientCreated::Done(_) => Ok(FirstKey { client: name.clone(), secret }),
            ClientCreated::Exists => Err(Refusal::Exists(Thing::Client)),
            _ => Err(Refusal::NotFound(Thing::Realm)),
        }
    }
}

fn operator(realm: &RealmName, name: &ClientName, at: Timestamp) -> Client {
    Client {
        realm: realm.clone(),
        name: name.clone(),
        description: Some("Administrator of the whole installation.".into()),
        roles: vec![Role::Operator],
        scopes: None,
        services: None,
        unit: None,
        limits: Limits::default(),
        access: AccessSettings::default(),
        enabled: true,
        created_at: at,
        updated_at: at,
        version: 1,
    }
}
