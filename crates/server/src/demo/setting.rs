//! What there is beside people: services, machine clients with their keys, and policies of the
//! AM door.

use std::collections::BTreeMap;

use counterfoil_authority::access::AccessSettings;
use counterfoil_authority::authority::{ClientAnswered, ClientDraft, ServiceDraft};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::{ClientName, GroupName, ServiceLabel};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::Visibility;
use counterfoil_authority::subject::Limits;
use counterfoil_authority::verdict::Door;

use super::organisation::ServiceOf;
use super::people::{Company, role};
use super::{DemoError, Stage};

/// A machine client and its key.
pub(super) struct Machine {
    pub(super) caller: Caller,
    key: ClearSecret,
}

/// Machine clients by their names, and who asks for which service.
#[derive(Default)]
pub(super) struct Clients {
    machines: BTreeMap<String, Machine>,
    verifiers: BTreeMap<String, String>,
}

impl Clients {
    /// A client by its name.
    pub(super) fn named(&self, name: &str) -> Result<&Caller, DemoError> {
        let missing = || DemoError::Missing(format!("client {name}"));
        Ok(&self.machines.get(name).ok_or_else(missing)?.caller)
    }

    /// Who asks about tokens of a service.
    pub(super) fn verifier(&self, service: &str) -> Result<&Caller, DemoError> {
        let missing = || DemoError::Missing(format!("verifier of {service}"));
        self.named(self.verifiers.get(service).ok_or_else(missing)?)
    }
}

impl Stage {
    /// Makes the services.
    pub(super) async fn services(&self, boss: &Caller) -> Result<(), DemoError> {
        for service in &self.organisation.service {
            let draft = drafted(service)?;
            self.authority.create_service(boss, &self.realm, draft).await?;
        }
        Ok(())
    }

    /// Makes the machine clients.
    pub(super) async fn clients(&self, company: &Company) -> Result<Clients, DemoError> {
        let mut clients = Clients::default();
        for client in &self.organisation.client {
            let services = client.services.as_ref().map(|all| {
                all.iter().map(|label| ServiceLabel::parse(label)).collect::<Result<Vec<_>, _>>()
            });
            let draft = ClientDraft {
                name: ClientName::parse(&client.name)?,
                description: Some(client.description.clone()),
                roles: client.roles.iter().map(|name| role(name)).collect::<Result<_, _>>()?,
                scopes: None,
                services: services.transpose()?,
                unit: None,
                limits: Limits::default(),
                access: AccessSettings::default(),
            };
            let boss = company.administrator()?;
            let made = self.authority.create_client(boss, &self.realm, draft, None).await?;
            // Nothing was repeated, so nothing is replayed.
            let ClientAnswered::Fresh { secret: key, .. } = made else { continue };
            let context = Self::context(Door::Api);
            let caller = self.authority.authenticate(key.reveal(), context).await?;
            clients.machines.insert(client.name.clone(), Machine { caller, key });
            for label in client.services.iter().flatten() {
                clients.verifiers.insert(label.clone(), client.name.clone());
            }
        }
        Ok(clients)
    }

    /// Every client presents its key.
    pub(super) async fn keys_are_used(&self, clients: &Clients) -> Result<(), DemoError> {
        for machine in clients.machines.values() {
            let context = Self::context(Door::Api);
            self.authority.authenticate(machine.key.reveal(), context).await?;
        }
        Ok(())
    }

    /// Writes the policies of the AM door.
    pub(super) async fn documents(&self, company: &Company) -> Result<(), DemoError> {
        for (name, document) in self.organisation.documents() {
            let boss = company.administrator()?;
            self.authority.am_create(boss, &self.realm, name, document).await?;
        }
        Ok(())
    }
}

fn drafted(service: &ServiceOf) -> Result<ServiceDraft, DemoError> {
    let group = match &service.group {
        Some(group) => Some(GroupName::parse(group)?),
        None => None,
    };
    let visibility = match &service.visibility {
        Some(name) => Visibility::from_name(name)
            .ok_or_else(|| DemoError::Missing(format!("visibility {name}")))?,
        None => Visibility::Realm,
    };
    Ok(ServiceDraft {
        name: service.name.clone(),
        description: Some(service.description.clone()),
        url: service.url.clone(),
        contact: Some(service.contact.clone()),
        visibility,
        group,
        token_policy: service.token_policy.clone(),
        forward_auth: service.forward_auth.clone(),
        ..ServiceDraft::new(ServiceLabel::parse(&service.label)?)
    })
}
