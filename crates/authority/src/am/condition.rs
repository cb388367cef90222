//! When a policy counts: by time, address, scope or membership.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::document::BadDocument;
use super::identity::{Asker, DEPTH_MAX, Person, VALUES_MAX, names};
use super::time::SimpleTime;
use crate::clock::Timestamp;
use crate::names::GroupName;

/// Bytes of a filter at most.
const FILTER_LEN_MAX: usize = 1_024;

/// A condition that this version does not have, and why.
const ABSENT: &[(&str, &str)] = &[
    (
        "Script",
        "there is no script engine; a personal access token is checked wherever the resource is \
         one, without a condition",
    ),
    ("AuthLevel", "sessions have no level here"),
    ("LEAuthLevel", "sessions have no level here"),
    ("AuthScheme", "there is one way to authenticate at this door"),
    ("AuthenticateToRealm", "there is one way to authenticate at this door"),
    ("AuthenticateToService", "there is one way to authenticate at this door"),
    ("ResourceEnvIP", "write an IPv4 or IPv6 condition instead"),
    ("Session", "sessions end by themselves here"),
    ("SessionProperty", "sessions have no properties here"),
];

/// When a policy counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Condition {
    /// At certain times.
    SimpleTime(SimpleTime),
    /// For clients at these IPv4 addresses, or of these host names.
    #[serde(rename = "IPv4")]
    Ipv4(Addresses),
    /// For clients at these IPv6 addresses, or of these host names.
    #[serde(rename = "IPv6")]
    Ipv6(Addresses),
    /// For tokens with all these scopes.
    OAuth2Scope {
        /// The scopes.
        #[serde(rename = "requiredScopes")]
        required: Vec<String>,
    },
    /// For these people, and whoever is in these groups.
    #[serde(rename = "AMIdentityMembership")]
    Membership {
        /// Names, or AM's universal ids.
        #[serde(rename = "amIdentityName")]
        names: Vec<String>,
    },
    /// For people whose entry in the realm's directory this filter matches (RFC 4515).
    #[serde(rename = "LDAPFilter")]
    InDirectory {
        /// The filter.
        #[serde(rename = "ldapFilter")]
        filter: String,
    },
    /// Whenever the other does not.
    #[serde(rename = "NOT")]
    Not {
        /// The other.
        condition: Box<Condition>,
    },
    /// Whenever all do.
    #[serde(rename = "AND")]
    All {
        /// The others.
        conditions: Vec<Condition>,
    },
    /// Whenever any does.
    #[serde(rename = "OR")]
    Any {
        /// The others.
        conditions: Vec<Condition>,
    },
}

/// A range of addresses, or names of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Addresses {
    /// The first address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ip: Option<IpAddr>,
    /// The last address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ip: Option<IpAddr>,
    /// Kept for tools that write it; always empty.
    pub ip_range: Vec<String>,
    /// Host names, `*.example.com` for all below.
    pub dns_name: Vec<String>,
}

impl Addresses {
    fn check(&self, is_v4: bool) -> Result<(), &'static str> {
        if !self.ip_range.is_empty() {
            return Err("write startIp and endIp instead of ipRange");
        }
        if self.dns_name.len() > VALUES_MAX {
            return Err("too many names in dnsName");
        }
        let fits = |address: &IpAddr| address.is_ipv4() == is_v4;
        match (&self.start_ip, &self.end_ip) {
            (None, None) if self.dns_name.is_empty() => Err("needs startIp and endIp, or dnsName"),
            (None, None) => Ok(()),
            (Some(start), Some(end)) if fits(start) && fits(end) && start <= end => Ok(()),
            _ => Err("startIp and endIp are two addresses of its family, in order"),
        }
    }

    fn holds(&self, circumstances: &Circumstances<'_>) -> bool {
        let by_address = match (self.start_ip, self.end_ip, circumstances.address) {
            (Some(start), Some(end), Some(address)) => {
                let address = address.to_canonical();
                address.is_ipv4() == start.is_ipv4() && (start..=end).contains(&address)
            }
            _ => false,
        };
        let by_name = || {
            let name = circumstances.dns_name?.to_ascii_lowercase();
            let is = |pattern: &String| {
                let pattern = pattern.to_ascii_lowercase();
                match pattern.strip_prefix('*') {
                    Some(tail) => name.ends_with(tail) && name.len() > tail.len(),
                    None => name == pattern,
                }
            };
            Some(self.dns_name.iter().any(is))
        };
        by_address || by_name().unwrap_or(false)
    }
}

/// What a condition is held against.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The one reading of the clock.
    pub now: Timestamp,
    /// The zone of conditions that name none.
    pub zone: &'a str,
    /// The end client's address, as who asks says.
    pub address: Option<IpAddr>,
    /// The end client's host name, as who asks says.
    pub dns_name: Option<&'a str>,
    /// Scopes: of the presented token where there is one, else as who asks says.
    pub scopes: &'a [&'a str],
    /// On whose behalf is asked.
    pub asker: &'a Asker,
    /// The owner of the presented token.
    pub person: Option<Person<'a>>,
    /// What the directory says of each filter that may be asked about.
    pub filters: &'a [(String, bool)],
}

impl Condition {
    /// Why a type is not among the conditions here; `None` if it is, or nobody knows it.
    pub fn absent(kind: &str) -> Option<&'static str> {
        ABSENT.iter().find(|(name, _)| *name == kind).map(|(_, why)| *why)
    }

    /// Refuses one that makes no sense.
    ///
    /// # Errors
    ///
    /// [`BadDocument`] of the field `condition`.
    pub fn check(&self, depth: usize) -> Result<(), BadDocument> {
        let bad = |why: &str| BadDocument::new("condition", why);
        if depth > DEPTH_MAX {
            return Err(bad("is nested too deeply"));
        }
        let count = |values: usize, why: &str| {
            if (1..=VALUES_MAX).contains(&values) { Ok(()) } else { Err(bad(why)) }
        };
        match self {
            Self::SimpleTime(time) => time.check().map_err(bad),
            Self::Ipv4(addresses) => addresses.check(true).map_err(bad),
            Self::Ipv6(addresses) => addresses.check(false).map_err(bad),
            Self::OAuth2Scope { required } => {
                count(required.len(), "requiredScopes is empty or too long")
            }
            Self::Membership { names } => count(names.len(), "amIdentityName is empty or too long"),
            Self::InDirectory { filter } => {
                let odd = filter.chars().any(char::is_control) || !filter.starts_with('(');
                let fits = (1..=FILTER_LEN_MAX).contains(&filter.len()) && !odd;
                if fits { Ok(()) } else { Err(bad("ldapFilter is no filter, or too long")) }
            }
            Self::Not { condition } => condition.check(depth + 1),
            Self::All { conditions } | Self::Any { conditions } => {
                count(conditions.len(), "conditions is empty or too long")?;
                conditions.iter().try_for_each(|condition| condition.check(depth + 1))
            }
        }
    }

    /// Whether it holds.
    pub fn holds(&self, circumstances: &Circumstances<'_>) -> bool {
        match self {
            Self::SimpleTime(time) => time.holds(circumstances.now, circumstances.zone),
            Self::Ipv4(addresses) | Self::Ipv6(addresses) => addresses.holds(circumstances),
            Self::OAuth2Scope { required } => {
                required.iter().all(|scope| circumstances.scopes.contains(&scope.as_str()))
            }
            Self::Membership { names: values } => is_member(values, circumstances),
            Self::InDirectory { filter } => {
                let mut said = circumstances.filters.iter();
                said.any(|(asked, matches)| asked == filter && *matches)
            }
            Self::Not { condition } => !condition.holds(circumstances),
            Self::All { conditions } => conditions.iter().all(|one| one.holds(circumstances)),
            Self::Any { conditions } => conditions.iter().any(|one| one.holds(circumstances)),
        }
    }

    /// Until when the answer cannot change by itself; `None`: for ever.
    pub fn holds_until(&self, circumstances: &Circumstances<'_>) -> Option<Timestamp> {
        match self {
            Self::SimpleTime(time) => time.next_edge(circumstances.now, circumstances.zone),
            Self::Not { condition } => condition.holds_until(circumstances),
            Self::All { conditions } | Self::Any { conditions } => {
                conditions.iter().filter_map(|one| one.holds_until(circumstances)).min()
            }
            // Nobody tells when an entry changes: it holds no longer than now.
            Self::InDirectory { .. } => Some(circumstances.now),
            Self::Ipv4(_) | Self::Ipv6(_) | Self::OAuth2Scope { .. } | Self::Membership { .. } => {
                None
            }
        }
    }

    /// Adds the filters that a directory has to be asked about.
    pub fn add_filters<'a>(&'a self, filters: &mut Vec<&'a str>) {
        match self {
            Self::InDirectory { filter } if !filters.contains(&filter.as_str()) => {
                filters.push(filter);
            }
            Self::Not { condition } => condition.add_filters(filters),
            Self::All { conditions } | Self::Any { conditions } => {
                for condition in conditions {
                    condition.add_filters(filters);
                }
            }
            _ => {}
        }
    }

    /// What AM's documents call it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SimpleTime(_) => "SimpleTime",
            Self::Ipv4(_) => "IPv4",
            Self::Ipv6(_) => "IPv6",
            Self::OAuth2Scope { .. } => "OAuth2Scope",
            Self::Membership { .. } => "AMIdentityMembership",
            Self::InDirectory { .. } => "LDAPFilter",
            Self::Not { .. } => "NOT",
            Self::All { .. } => "AND",
            Self::Any { .. } => "OR",
        }
    }
}

fn is_member(values: &[String], circumstances: &Circumstances<'_>) -> bool {
    let asker = circumstances.asker;
    let (uid, groups): (Option<&str>, Vec<&str>) = if let Some(person) = circumstances.person {
        (Some(person.username), person.groups.iter().map(GroupName::as_str).collect())
    } else {
        (asker.uid.as_deref(), asker.groups.iter().map(String::as_str).collect())
    };
    values.iter().any(|value| names(value, uid, &groups))
}
