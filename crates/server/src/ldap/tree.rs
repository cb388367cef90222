//! Where everything is: the names of people, groups, services and clients below the base.

use counterfoil_authority::names::{ClientName, ServiceLabel};

use super::dn::{Dn, prepared};
use super::limits::DN_BYTES_MAX;

/// Stands for the user name in a template.
pub(crate) const USER: &str = "{user}";
/// Stands for the service's label in a template.
pub(crate) const SERVICE: &str = "{service}";

/// Who wants to bind, by the name that they gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// A person of a service.
    Person {
        /// The name as it was given; the authority brings it to its form.
        user: &'a str,
        /// The service.
        service: ServiceLabel,
        /// The template that the name follows; `None`: the tree's own form.
        template: Option<usize>,
    },
    /// A client.
    Client(ClientName),
}

/// The tree of one door.
#[derive(Debug, Clone)]
pub struct Tree {
    base: Dn,
    services: Dn,
    /// What stands behind a service in a name, as this server writes it.
    below_services: String,
    clients: Dn,
    templates: Vec<Dn>,
}

impl Tree {
    /// The tree below `base`, and further names under which people may bind.
    pub fn new(base: Dn, templates: Vec<Dn>) -> Self {
        let (services, clients) = (base.child("ou", "services"), base.child("ou", "clients"));
        let below_services = format!(",{services}");
        Self { base, services, below_services, clients, templates }
    }

    /// Whether a template names both a person and a service, each as a whole value.
    pub fn is_template(dn: &Dn) -> bool {
        let holds = |value: &str| dn.parts().iter().filter(|part| part.value == value).count() == 1;
        holds(USER) && holds(SERVICE)
    }

    /// The top.
    pub const fn base(&self) -> &Dn {
        &self.base
    }

    /// Above all services.
    pub const fn services(&self) -> &Dn {
        &self.services
    }

    /// A service.
    pub fn service(&self, label: &str) -> Dn {
        self.services.child("ou", label)
    }

    /// Above the groups that a service sees.
    pub fn groups(&self, label: &str) -> Dn {
        self.service(label).child("ou", "groups")
    }

    /// A group as a service sees it.
    pub fn group(&self, label: &str, name: &str) -> Dn {
        self.groups(label).child("cn", name)
    }

    /// A person as a service sees them, which is the name they bind with.
    pub fn person(&self, label: &str, name: &str) -> Dn {
        self.service(label).child("uid", name)
    }

    /// A person by the template with which they came.
    pub(crate) fn person_by(&self, template: Option<usize>, label: &str, name: &str) -> Dn {
        match template.and_then(|index| self.templates.get(index)) {
            None => self.person(label, name),
            Some(template) => template.map(|value| match value {
                USER => name.to_owned(),
                SERVICE => label.to_owned(),
                other => other.to_owned(),
            }),
        }
    }

    /// A client.
    pub fn client(&self, name: &str) -> Dn {
        self.clients.child("cn", name)
    }

    /// Who a name claims to be that is written as this server writes it and needs no escapes, as
    /// nearly every client does: without taking it apart. `None` where a closer look is needed.
    pub(crate) fn claim_at_sight<'a>(&self, text: &'a str) -> Option<Claim<'a>> {
        let name =
            text.strip_suffix(&*self.below_services).filter(|_| text.len() <= DN_BYTES_MAX)?;
        let (user, service) = name.strip_prefix("uid=")?.split_once(",ou=")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if user.is_empty() || !user.bytes().all(plain) {
            return None;
        }
        let service = ServiceLabel::parse(service).ok()?;
        Some(Claim::Person { user, service, template: None })
    }

    /// Who a name claims to be; `None` if nobody can have it.
    pub(crate) fn claim<'a>(&self, dn: &'a Dn) -> Option<Claim<'a>> {
        if let Some([person, service]) = dn.below(&self.services)
            && person.is_a("uid")
            && service.is_a("ou")
        {
            let service = label(&service.value)?;
            return Some(Claim::Person { user: &person.value, service, template: None });
        }
        if let Some([client]) = dn.below(&self.clients)
            && client.is_a("cn")
        {
            return ClientName::parse(&prepared(&client.value)).ok().map(Claim::Client);
        }
        self.templates.iter().enumerate().find_map(|(index, template)| {
            let (user, service) = held_against(dn, template)?;
            Some(Claim::Person { user, service: label(service)?, template: Some(index) })
        })
    }
}

fn label(value: &str) -> Option<ServiceLabel> {
    // Usually it is written in the one form that labels have.
    if let Ok(label) = ServiceLabel::parse(value) {
        return Some(label);
    }
    ServiceLabel::parse(&prepared(value)).ok()
}

/// The user and the service of a name that follows a template.
fn held_against<'a>(dn: &'a Dn, template: &Dn) -> Option<(&'a str, &'a str)> {
    if dn.parts().len() != template.parts().len() {
        return None;
    }
    let (mut user, mut service) = (None, None);
    for (given, wanted) in dn.parts().iter().zip(template.parts()) {
        match wanted.value.as_str() {
            _ if given.kind != wanted.kind => return None,
            USER => user = Some(given.value.as_str()),
            SERVICE => service = Some(given.value.as_str()),
            _ if given.is(wanted) => {}
            _ => return None,
        }
    }
    user.zip(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let dn = |text: &str| Dn::parse(text).unwrap();
        let template = dn("spn={user},app={service},ou=apps,dc=example,dc=org");
        assert!(Tree::is_template(&template) && !Tree::is_template(&dn("uid={user},dc=org")));
        Tree::new(dn("dc=counterfoil,dc=local"), vec![template])
    }

    fn claim(dn: &Dn) -> Option<Claim<'_>> {
        tree().claim(dn)
    }

    #[test]
    fn at_sight_nobody_is_somebody_else() {
        let plain = "uid=Alice.B-c_1,ou=git,ou=services,dc=counterfoil,dc=local";
        let git = ServiceLabel::parse("git").unwrap();
        let person = Claim::Person { user: "Alice.B-c_1", service: git, template: None };
        assert_eq!(tree().claim_at_sight(plain), Some(person.clone()));
        assert_eq!(claim(&Dn::parse(plain).unwrap()), Some(person));
        let long = format!("uid={},{}", "a".repeat(DN_BYTES_MAX), &plain[16..]);
        for name in [
            "",
            "uid=,ou=git,ou=services,dc=counterfoil,dc=local",
            "uid=alice,ou=,ou=services,dc=counterfoil,dc=local",
            "uid=alice,ou=services,dc=counterfoil,dc=local",
            "uid=a\\,ou=b,ou=git,ou=services,dc=counterfoil,dc=local",
            "uid=alice+cn=a,ou=git,ou=services,dc=counterfoil,dc=local",
            "uid= alice,ou=git,ou=services,dc=counterfoil,dc=local",
            "uid=alice,ou=git,ou=git,ou=services,dc=counterfoil,dc=local",
            "uid=alice,ou=Git,ou=services,dc=counterfoil,dc=local",
            "UID=alice,ou=git,ou=services,dc=counterfoil,dc=local",
            "uid=alice,ou=git,ou=services,dc=counterfoil,dc=local ",
            "xuid=alice,ou=git,ou=services,dc=counterfoil,dc=local",
            &*long,
        ] {
            assert_eq!(tree().claim_at_sight(name), None, "{name}");
        }
    }

    #[test]
    fn people_and_clients_are_claimed_by_their_names() {
        let git = ServiceLabel::parse("git").unwrap();
        let person = |template| Claim::Person { user: "Alice", service: git.clone(), template };
        for (name, template) in [
            ("uid=Alice,ou=git,ou=services,dc=counterfoil,dc=local", None),
            ("UID=Alice, OU=Git, OU=Services, DC=Counterfoil, DC=Local", None),
            ("spn=Alice,app=git,ou=Apps,dc=example,dc=org", Some(0)),
        ] {
            assert_eq!(claim(&Dn::parse(name).unwrap()), Some(person(template)), "{name}");
            let shown = tree().person_by(template, "git", "alice");
            assert!(shown.is(&Dn::parse(name).unwrap()), "{shown}");
        }
        let gate = ClientName::parse("gate").unwrap();
        let name = "cn=Gate,ou=clients,dc=counterfoil,dc=local";
        assert_eq!(claim(&Dn::parse(name).unwrap()), Some(Claim::Client(gate)));
    }

    #[test]
    fn other_names_are_nobodys() {
        for name in [
            "dc=counterfoil,dc=local",
            "uid=alice,ou=services,dc=counterfoil,dc=local",
            "cn=alice,ou=git,ou=services,dc=counterfoil,dc=local",
            "uid=alice,ou=a b,ou=services,dc=counterfoil,dc=local",
            "uid=alice,ou=groups,ou=git,ou=services,dc=counterfoil,dc=local",
            "uid=gate,ou=clients,dc=counterfoil,dc=local",
            "uid=alice,ou=git,ou=services,dc=example,dc=org",
            "spn=alice,app=git,ou=other,dc=example,dc=org",
            "uid=alice,app=git,ou=apps,dc=example,dc=org",
        ] {
            assert_eq!(claim(&Dn::parse(name).unwrap()), None, "{name}");
        }
    }
}
