//! Who there is and what there is, as `organisation.toml` beside this file tells it.

use counterfoil_authority::am::{AmDocument, document};
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::service::ForwardAuth;
use serde::Deserialize;

use super::DemoError;

const TEXT: &str = include_str!("organisation.toml");

/// The organisation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Organisation {
    pub(super) name: String,
    pub(super) zone: String,
    pub(super) domain: String,
    pub(super) first_names: Vec<String>,
    pub(super) last_names: Vec<String>,
    /// How many people are drawn beside those that stand here.
    pub(super) colleagues: usize,
    pub(super) colleague_units: Vec<String>,
    pub(super) unit: Vec<UnitOf>,
    pub(super) group: Vec<GroupOf>,
    pub(super) service: Vec<ServiceOf>,
    pub(super) person: Vec<PersonOf>,
    pub(super) client: Vec<ClientOf>,
    pub(super) registration: Vec<RegistrationOf>,
    am_resource_type: Vec<Named<document::ResourceType>>,
    am_policy_set: Vec<Named<document::PolicySet>>,
    am_policy: Vec<Named<document::Policy>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnitOf {
    pub(super) name: String,
    pub(super) identifier: Option<String>,
    pub(super) external_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupOf {
    pub(super) name: String,
    pub(super) description: String,
    /// Whether people join and leave it by themselves.
    #[serde(default)]
    pub(super) open: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceOf {
    pub(super) label: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) url: Option<String>,
    pub(super) contact: String,
    pub(super) visibility: Option<String>,
    pub(super) group: Option<String>,
    #[serde(default)]
    pub(super) token_policy: TokenPolicy,
    #[serde(default)]
    pub(super) forward_auth: ForwardAuth,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonOf {
    pub(super) username: String,
    pub(super) display_name: String,
    pub(super) unit: String,
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) roles: Vec<RoleOf>,
    /// What they are, for who reads how to sign in.
    pub(super) title: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleOf {
    pub(super) role: String,
    pub(super) unit: Option<String>,
    pub(super) service: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientOf {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) roles: Vec<String>,
    pub(super) services: Option<Vec<String>>,
}

/// A registration token, and what becomes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrationOf {
    pub(super) name: String,
    pub(super) by: String,
    pub(super) unit: String,
    pub(super) scopes: Vec<String>,
    pub(super) count: Option<u64>,
    /// Devices that draw from it.
    pub(super) draws: usize,
    /// Devices that are refused.
    #[serde(default)]
    pub(super) refused: usize,
    /// Devices whose request waits for approval at the end.
    #[serde(default)]
    pub(super) waiting: usize,
    /// What its devices are called.
    pub(super) device: String,
    /// On which day it is issued.
    pub(super) day: i64,
    /// How many days it lives.
    pub(super) days: i64,
    pub(super) reference: Option<String>,
    pub(super) constraints: Option<String>,
    pub(super) approval: Option<String>,
    /// Why it was revoked.
    pub(super) revoked: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named<T> {
    name: String,
    document: T,
}

impl Organisation {
    /// Reads it.
    pub(super) fn read() -> Result<Self, DemoError> {
        Ok(toml::from_str(TEXT)?)
    }

    /// The documents of the AM door, in the order in which they name each other.
    pub(super) fn documents(&self) -> Vec<(&str, AmDocument)> {
        let types = self.am_resource_type.iter();
        let types = types.map(|one| (&*one.name, AmDocument::ResourceType(one.document.clone())));
        let sets = self.am_policy_set.iter();
        let sets = sets.map(|one| (&*one.name, AmDocument::PolicySet(one.document.clone())));
        let policies = self.am_policy.iter();
        let policies = policies.map(|one| (&*one.name, AmDocument::Policy(one.document.clone())));
        types.chain(sets).chain(policies).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_organisation_can_be_read_and_names_only_what_it_has() {
        let all = Organisation::read().unwrap();
        let units: Vec<&str> = all.unit.iter().map(|unit| &*unit.name).collect();
        let groups: Vec<&str> = all.group.iter().map(|group| &*group.name).collect();
        for person in &all.person {
            assert!(units.contains(&&*person.unit), "{person:?}");
            assert!(person.groups.iter().all(|group| groups.contains(&&**group)), "{person:?}");
        }
        for one in &all.registration {
            assert!(all.person.iter().any(|person| person.username == one.by), "{one:?}");
            assert!(units.contains(&&*one.unit), "{one:?}");
        }
        assert!(all.first_names.len().min(all.last_names.len()) >= all.colleagues);
        assert!(all.documents().len() >= 4);
    }
}
