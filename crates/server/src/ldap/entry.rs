//! Entries: what people, groups, services and clients look like to somebody who searches.
//!
//! People are `inetOrgPerson` (RFC 2798) with `memberOf`, groups are `groupOfNames` (RFC 4519
//! section 3.5). Nothing here holds a secret, and `userPassword` does not exist.

use counterfoil_authority::subject::{Client, Group, User};
use ldap3_proto::proto::{LdapPartialAttribute, LdapSearchResultEntry};

use super::dn::{Dn, same};
use super::tree::Tree;
use counterfoil_authority::authority::ShownService;

/// Object classes of a person.
pub(crate) const PERSON: [&str; 4] = ["top", "person", "organizationalPerson", "inetOrgPerson"];
/// Object classes of a group.
pub(crate) const GROUP: [&str; 2] = ["top", "groupOfNames"];
/// Asks for every attribute that describes a thing (RFC 4511 section 4.5.1.8).
const ALL: &str = "*";
/// Asks for every attribute that the server keeps (RFC 3673).
const OPERATIONAL: &str = "+";
/// Asks for none (RFC 4511 section 4.5.1.8).
const NONE: &str = "1.1";

/// An attribute with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// Its name as the schema writes it.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) values: Vec<String>,
    /// Whether only who asks for it gets it.
    pub(crate) operational: bool,
}

/// An entry of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) dn: Dn,
    /// What it says.
    pub(crate) attributes: Vec<Attribute>,
}

/// Long names and OIDs of the attributes that occur here (RFC 4519, RFC 4524).
const ALIASES: [(&str, &str); 14] = [
    ("userid", "uid"),
    ("0.9.2342.19200300.100.1.1", "uid"),
    ("commonname", "cn"),
    ("2.5.4.3", "cn"),
    ("surname", "sn"),
    ("2.5.4.4", "sn"),
    ("rfc822mailbox", "mail"),
    ("0.9.2342.19200300.100.1.3", "mail"),
    ("organizationalunitname", "ou"),
    ("2.5.4.11", "ou"),
    ("domaincomponent", "dc"),
    ("2.5.4.0", "objectclass"),
    ("2.5.4.31", "member"),
    ("2.5.4.13", "description"),
];

/// An attribute's name as it is compared: short, in lower case.
pub(crate) fn attribute_name(asked: &str) -> String {
    let lower = asked.to_ascii_lowercase();
    let short = ALIASES.iter().find(|(alias, _)| *alias == lower).map(|(_, short)| *short);
    short.map_or(lower, str::to_owned)
}

/// Whether the values of an attribute are names of entries.
pub(crate) fn is_name(attribute: &str) -> bool {
    matches!(attribute, "member" | "memberof" | "entrydn")
}

impl Entry {
    /// An entry of these classes that says nothing yet.
    pub(crate) fn new(dn: Dn, classes: &[&str]) -> Self {
        let entry_dn = dn.to_string();
        let entry = Self { dn, attributes: Vec::new() };
        let entry = entry.with("objectClass", classes.iter().map(|class| (*class).to_owned()));
        entry.with_operational("entryDN", [entry_dn])
    }

    /// The same with an attribute, unless it would have no values.
    #[must_use]
    pub(crate) fn with(self, name: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        self.push(name, values, false)
    }

    /// The same with an attribute that only who asks for it gets.
    #[must_use]
    pub(crate) fn with_operational(
        self,
        name: &'static str,
        values: impl IntoIterator<Item = String>,
    ) -> Self {
        self.push(name, values, true)
    }

    fn push(
        mut self,
        name: &'static str,
        values: impl IntoIterator<Item = String>,
        operational: bool,
    ) -> Self {
        let mut distinct: Vec<String> = Vec::new();
        for value in values {
            // An attribute is a set (RFC 4512 section 2.3), and no value may be empty here.
            if !value.is_empty() && !distinct.iter().any(|known| same(known, &value)) {
                distinct.push(value);
            }
        }
        if !distinct.is_empty() {
            self.attributes.push(Attribute { name, values: distinct, operational });
        }
        self
    }

    /// The values of an attribute, by its name as [`attribute_name`] writes it.
    pub(crate) fn values(&self, name: &str) -> Option<&[String]> {
        let is = |attribute: &&Attribute| attribute.name.eq_ignore_ascii_case(name);
        self.attributes.iter().find(is).map(|attribute| attribute.values.as_slice())
    }

    /// A person under a name.
    pub(crate) fn person(dn: Dn, user: &User, tree: &Tree, label: &str) -> Self {
        let name = user.username.as_str();
        let shown = user.display_name.as_deref().unwrap_or(name);
        // `sn` must be there and nobody knows it: the last word of what they are called.
        let surname = shown.split_whitespace().next_back().unwrap_or(name);
        let groups = user.groups.iter().map(|group| tree.group(label, group.as_str()).to_string());
        Self::new(dn, &PERSON)
            .with("uid", [name.to_owned()])
            .with("cn", [shown.to_owned()])
            .with("sn", [surname.to_owned()])
            .with("displayName", user.display_name.clone())
            .with("mail", user.emails.iter().cloned())
            .with("memberOf", groups)
    }

    /// A group with its members, as far as they are asked for.
    pub(crate) fn group(group: &Group, members: Vec<String>, tree: &Tree, label: &str) -> Self {
        Self::new(tree.group(label, group.name.as_str()), &GROUP)
            .with("cn", [group.name.as_str().to_owned()])
            .with("description", group.description.clone())
            .with("member", members)
    }

    /// A client.
    pub(crate) fn client(dn: Dn, client: &Client) -> Self {
        Self::new(dn, &["top", "applicationProcess"])
            .with("cn", [client.name.as_str().to_owned()])
            .with("description", client.description.clone())
    }

    /// A service, as the place of its people.
    pub(crate) fn service(shown: &ShownService, tree: &Tree) -> Self {
        let label = shown.label().as_str();
        Self::unit(tree.service(label)).with("description", [shown.name().to_owned()])
    }

    /// A place in the tree.
    pub(crate) fn unit(dn: Dn) -> Self {
        let value = dn.parts().first().map(|part| part.value.clone());
        Self::new(dn, &["top", "organizationalUnit"]).with("ou", value)
    }

    /// The top of the tree.
    pub(crate) fn base(dn: Dn) -> Self {
        let class = match dn.parts().first().map(|part| part.kind.as_ref()) {
            Some("dc") => "domain",
            Some("o") => "organization",
            Some("ou") => "organizationalUnit",
            _ => "extensibleObject",
        };
        let first = dn.parts().first().cloned();
        let entry = Self::new(dn, &["top", class]);
        match first {
            Some(part) if part.is_a("dc") => entry.with("dc", [part.value]),
            Some(part) if part.is_a("o") => entry.with("o", [part.value]),
            Some(part) if part.is_a("ou") => entry.with("ou", [part.value]),
            _ => entry,
        }
    }
}

/// Which attributes somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    all: bool,
    operational: bool,
    names: Vec<String>,
    types_only: bool,
}

impl Selection {
    /// Reads the attributes of a search; none at all means all (RFC 4511 section 4.5.1.8).
    pub(crate) fn of(asked: &[String], types_only: bool) -> Self {
        let has = |word: &str| asked.iter().any(|name| name == word);
        let names = asked.iter().filter(|name| ![ALL, OPERATIONAL, NONE].contains(&name.as_str()));
        Self {
            all: asked.is_empty() || has(ALL),
            operational: has(OPERATIONAL),
            names: names.map(|name| attribute_name(name)).collect(),
            types_only,
        }
    }

    /// Whether it takes an attribute.
    pub(crate) fn takes(&self, name: &str, operational: bool) -> bool {
        let wide = if operational { self.operational } else { self.all };
        wide || self.names.iter().any(|asked| asked.eq_ignore_ascii_case(name))
    }

    /// What goes out of an entry.
    pub(crate) fn cut(&self, entry: Entry) -> LdapSearchResultEntry {
        let dn = entry.dn.to_string();
        let taken = entry.attributes.into_iter();
        let taken = taken.filter(|attribute| self.takes(attribute.name, attribute.operational));
        let written = |attribute: Attribute| {
            let values = if self.types_only { Vec::new() } else { attribute.values };
            LdapPartialAttribute {
                atype: attribute.name.to_owned(),
                vals: values.into_iter().map(String::into_bytes).collect(),
            }
        };
        LdapSearchResultEntry { dn, attributes: taken.map(written).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: &[&str]) -> String {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        let entry = Entry::new(Dn::parse("uid=a,dc=b").unwrap(), &PERSON)
            .with("uid", ["a".to_owned(), "A".to_owned()])
            .with("mail", Vec::new());
        let cut = Selection::of(&asked, false).cut(entry);
        cut.attributes
            .iter()
            .map(|a| format!("{}={}", a.atype, a.vals.len()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn attributes_are_selected_as_the_standard_says() {
        assert_eq!(names(&[]), "objectClass=4 uid=1");
        assert_eq!(names(&["*"]), "objectClass=4 uid=1");
        assert_eq!(names(&["+"]), "entryDN=1");
        assert_eq!(names(&["*", "+"]), "objectClass=4 entryDN=1 uid=1");
        assert_eq!(names(&["1.1"]), "");
        assert_eq!(names(&["1.1", "UserID"]), "uid=1");
        assert_eq!(names(&["UID", "userPassword", "mail"]), "uid=1");
    }
}
