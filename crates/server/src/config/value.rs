//! What each sort of configuration value accepts, and how it reads in an environment variable.

use std::net::{IpAddr, SocketAddr};

use counterfoil_authority::names::{ClientName, RealmName, ServiceLabel};
use counterfoil_authority::secret::Prefix;
use counterfoil_authority::single_sign_on::RoleRule;
use counterfoil_store::DatabaseUrl;
use toml::Value;

use super::keys::Sort;
use crate::ldap::{Dn, Tree};

/// Longest name of a machine (RFC 1035 section 2.3.4).
const HOST_LEN_MAX: usize = 253;
/// Characters of a wrong value that are shown.
const SHOWN_CHARS_MAX: usize = 60;

impl Sort {
    /// Reads the text of an environment variable or flag.
    ///
    /// # Errors
    ///
    /// Says what would have been right.
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Flag => match text {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err(format!("must be true or false, not `{text}`")),
            },
            Self::Count { .. } => text
                .parse()
                .map(Value::Integer)
                .map_err(|_| format!("must be a whole number, not `{text}`")),
            Self::Networks
            | Self::Prefixes
            | Self::Headers
            | Self::Words(_)
            | Self::Labels
            | Self::Realms => {
                Ok(Value::Array(parts(text).map(|part| Value::String(part.to_owned())).collect()))
            }
            // A comma is part of each.
            Self::DnTemplates => {
                let templates = text.split(';').map(str::trim).filter(|part| !part.is_empty());
                Ok(Value::Array(templates.map(|part| Value::String(part.to_owned())).collect()))
            }
            Self::HostRealms => parts(text)
                .map(|part| match part.split_once('=') {
                    Some((host, realm)) => Ok((host.to_owned(), Value::String(realm.to_owned()))),
                    None => Err(format!("must be a list of host=realm, not `{part}`")),
                })
                .collect::<Result<toml::Table, _>>()
                .map(Value::Table),
            Self::NetworkClients => parts(text)
                .map(|part| match part.split_once('=') {
                    Some((net, client)) => Ok((net.to_owned(), Value::String(client.to_owned()))),
                    None => Err(format!("must be a list of network=client, not `{part}`")),
                })
                .collect::<Result<toml::Table, _>>()
                .map(Value::Table),
            // Names of groups have commas and equals signs in them; roles have neither.
            Self::Roles => text
                .split(';')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| match part.rsplit_once('=') {
                    Some((group, role)) => Ok((group.to_owned(), Value::String(role.to_owned()))),
                    None => Err(format!("must be a list of group=role, not `{part}`")),
                })
                .collect::<Result<toml::Table, _>>()
                .map(Value::Table),
            _ => Ok(Value::String(text.to_owned())),
        }
    }

    /// Whether `value` is one that this sort accepts.
    ///
    /// # Errors
    ///
    /// Says what would have been right. Never shows the value of a secret.
    pub(super) fn check(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Flag, Value::Boolean(_)) => Ok(()),
            (Self::Flag, _) => Err(found("must be true or false", value)),
            (Self::Count { min, max }, Value::Integer(number)) => check_bounds(*number, min, max),
            (Self::Count { .. }, _) => Err(found("must be a whole number", value)),
            (Self::Networks, Value::Array(items)) => each(items, check_network),
            (Self::Networks, _) => {
                Err(found("must be a list of networks such as [\"10.0.0.0/8\"]", value))
            }
            (Self::Prefixes, Value::Array(items)) => each(items, check_prefix),
            (Self::Prefixes, _) => {
                Err(found("must be a list of prefixes such as [\"cfl\"]", value))
            }
            (Self::Headers, Value::Array(items)) => each(items, check_header),
            (Self::Headers, _) => {
                Err(found("must be a list of header names such as [\"X-API-Key\"]", value))
            }
            (Self::Words(known), Value::Array(items)) => items.iter().try_for_each(|item| {
                let is_known = item.as_str().is_some_and(|word| known.contains(&word));
                let wrong = || format!("must be a list of some of {}", known.join(", "));
                if is_known { Ok(()) } else { Err(wrong()) }
            }),
            (Self::Words(known), _) => {
                Err(found(&format!("must be a list of some of {}", known.join(", ")), value))
            }
            (Self::Labels, Value::Array(items)) => each(items, |text| {
                ServiceLabel::parse(text).map(drop).map_err(|bad| format!("`{text}`: {bad}"))
            }),
            (Self::Labels, _) => Err(found("must be a list of services such as [\"vpn\"]", value)),
            (Self::Realms, Value::Array(items)) => each(items, |text| {
                RealmName::parse(text).map(drop).map_err(|bad| format!("`{text}`: {bad}"))
            }),
            (Self::Realms, _) => Err(found("must be a list of realms such as [\"main\"]", value)),
            (Self::DnTemplates, Value::Array(items)) => each(items, check_template),
            (Self::DnTemplates, _) => Err("must be a list of distinguished names".into()),
            (Self::HostRealms, Value::Table(table)) => check_host_realms(table),
            (Self::HostRealms, _) => {
                Err(found("must be a table such as { \"tokens.example.org\" = \"main\" }", value))
            }
            (Self::NetworkClients, Value::Table(table)) => check_network_clients(table),
            (Self::NetworkClients, _) => {
                Err(found("must be a table such as { \"10.0.0.5/32\" = \"radius1\" }", value))
            }
            (Self::Roles, Value::Table(table)) => check_roles(table),
            (Self::Roles, _) => {
                Err(found("must be a table such as { \"admins\" = \"realm-admin\" }", value))
            }
            (_, Value::String(text)) => self.check_text(text),
            (Self::Secret | Self::Database, _) => Err("must be a text in quotation marks".into()),
            _ => Err(found("must be a text in quotation marks", value)),
        }
    }

    fn check_text(self, text: &str) -> Result<(), String> {
        match self {
            Self::Address => match text.parse::<SocketAddr>() {
                Ok(_) => Ok(()),
                Err(_) => Err(format!(
                    "must be an address and a port such as 127.0.0.1:8780 or [::1]:8780, not `{text}`"
                )),
            },
            Self::Url => check_url(text),
            Self::Choice(words) if words.contains(&text) => Ok(()),
            Self::Choice(words) => {
                Err(format!("must be one of {}, not `{text}`", words.join(", ")))
            }
            Self::Prefix => check_prefix(text),
            Self::ClientId => check_client_id(text),
            Self::Database => check_database(text),
            Self::Dn => check_dn(text),
            Self::Realm => RealmName::parse(text).map(drop).map_err(|bad| bad.to_string()),
            Self::Host => check_host(text),
            Self::Header => check_header(text),
            Self::Mailbox => check_mailbox(text),
            Self::Line if text.trim().is_empty() || text.contains(char::is_control) => {
                Err("must be one line that is not empty".into())
            }
            Self::Duration => match milliseconds(text) {
                Some(_) => Ok(()),
                None => Err(format!("must be a time such as 800ms, 30s or 365d, not `{text}`")),
            },
            Self::Path | Self::Secret if text.is_empty() => Err("must not be empty".into()),
            _ => Ok(()),
        }
    }
}

/// What would have been right, and what was there instead.
fn found(wanted: &str, value: &Value) -> String {
    let text: String = value.to_string().chars().take(SHOWN_CHARS_MAX).collect();
    format!("{wanted}, not `{text}`")
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn each(items: &[Value], check: fn(&str) -> Result<(), String>) -> Result<(), String> {
    items.iter().try_for_each(|item| match item {
        Value::String(text) => check(text),
        other => Err(format!("must be a list of texts; `{other}` is none")),
    })
}

fn check_bounds(number: i64, min: u64, max: u64) -> Result<(), String> {
    match u64::try_from(number) {
        Ok(number) if (min..=max).contains(&number) => Ok(()),
        _ => Err(format!("must be between {min} and {max}, not {number}")),
    }
}

fn check_network(text: &str) -> Result<(), String> {
    match network(text) {
        Some(_) => Ok(()),
        None => Err(format!("must hold networks such as 10.0.0.0/8 or fd00::/8, not `{text}`")),
    }
}

/// A network, or an address as the network that holds just it.
pub(super) fn network(text: &str) -> Option<ipnet::IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(ipnet::IpNet::from))
}

/// A time with its unit, in milliseconds; `None` if it is none, or longer than a hundred years.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let time = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (time <= 36_525 * 86_400_000).then_some(time)
}

/// Characters of a client's name at most.
const CLIENT_ID_LEN_MAX: usize = 128;

fn check_client_id(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
    if (1..=CLIENT_ID_LEN_MAX).contains(&text.len()) && text.chars().all(plain) {
        return Ok(());
    }
    Err(format!("must be 1 to {CLIENT_ID_LEN_MAX} letters, digits, `.`, `_`, `~` or `-`"))
}

fn check_host(text: &str) -> Result<(), String> {
    let named = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let fits = !text.is_empty() && text.len() <= HOST_LEN_MAX && text.chars().all(named);
    if fits || text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(format!("must be the name or address of a machine, not `{text}`"))
}

fn check_mailbox(text: &str) -> Result<(), String> {
    match text.parse::<lettre::message::Mailbox>() {
        Ok(_) if !text.contains(char::is_control) => Ok(()),
        _ => {
            Err(format!("must be a mail address such as Tokens <tokens@example.org>, not `{text}`"))
        }
    }
}

fn check_prefix(text: &str) -> Result<(), String> {
    Prefix::parse(text).map(drop).map_err(|bad| format!("`{text}`: {bad}"))
}

fn check_header(text: &str) -> Result<(), String> {
    // These two carry the credential of the person or of the browser already.
    let taken = ["authorization", "cookie"].iter().any(|name| text.eq_ignore_ascii_case(name));
    match text.parse::<http::HeaderName>() {
        Ok(_) if !taken => Ok(()),
        _ => Err(format!("must hold header names such as X-API-Key, not `{text}`")),
    }
}

fn check_roles(table: &toml::Table) -> Result<(), String> {
    table.iter().try_for_each(|(group, role)| {
        let Value::String(role) = role else {
            return Err(format!("the role of `{group}` must be a text in quotation marks"));
        };
        RoleRule::parse(group, role).map(drop)
    })
}

fn check_host_realms(table: &toml::Table) -> Result<(), String> {
    table.iter().try_for_each(|(host, realm)| {
        if host.is_empty() || host.contains('/') {
            return Err(format!("`{host}` is not a host name"));
        }
        let Value::String(realm) = realm else {
            return Err(format!("the realm of `{host}` must be a text in quotation marks"));
        };
        RealmName::parse(realm).map(drop).map_err(|bad| format!("`{realm}`: {bad}"))
    })
}

fn check_network_clients(table: &toml::Table) -> Result<(), String> {
    table.iter().try_for_each(|(text, client)| {
        if network(text).is_none() {
            return Err(format!("`{text}` is not a network such as 10.0.0.5/32"));
        }
        let Value::String(client) = client else {
            return Err(format!("the client of `{text}` must be a text in quotation marks"));
        };
        ClientName::parse(client).map(drop).map_err(|bad| format!("`{client}`: {bad}"))
    })
}

fn check_url(text: &str) -> Result<(), String> {
    let wrong = || format!("must be a URL such as https://tokens.example.org, not `{text}`");
    let url: http::Uri = text.parse().map_err(|_| wrong())?;
    let scheme = matches!(url.scheme_str(), Some("http" | "https"));
    let plain = url.query().is_none() && !text.contains('#') && !text.contains('@');
    if scheme && plain && url.host().is_some_and(|host| !host.is_empty()) {
        Ok(())
    } else {
        Err(wrong())
    }
}

fn check_dn(text: &str) -> Result<(), String> {
    match Dn::parse(text) {
        Ok(dn) if !dn.is_root() => Ok(()),
        _ => Err(format!("must be a distinguished name such as dc=example,dc=org, not `{text}`")),
    }
}

fn check_template(text: &str) -> Result<(), String> {
    match Dn::parse(text) {
        Ok(dn) if Tree::is_template(&dn) => Ok(()),
        _ => Err(format!(
            "must hold names such as spn={{user}},app={{service}},dc=example,dc=org, not `{text}`"
        )),
    }
}

fn check_database(text: &str) -> Result<(), String> {
    // The address may hold a password, so it is not repeated.
    match DatabaseUrl::parse(text) {
        Ok(_) => Ok(()),
        Err(_) => Err("must be sqlite:PATH or postgres://USER@HOST/NAME".into()),
    }
}
