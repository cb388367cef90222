//! Conditions on who may draw: each off, warned of, or strict.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::glob::matches_glob;
use super::stamp::plain;
use super::{Confirmation, DeviceFacts};
use crate::clock::Timestamp;

/// Entries of one list at most.
const ENTRIES_MAX: usize = 1_000;
/// Characters of one pattern at most: a host name has no more (RFC 1035 section 2.3.4).
const PATTERN_CHARS_MAX: usize = 255;

/// How seriously a condition is taken (a safe way to introduce one).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Not looked at.
    Off,
    /// Looked at; who breaks it is told of and passes.
    Warn,
    /// Who breaks it is refused.
    #[default]
    Strict,
}

/// A condition with its mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule<T> {
    /// How seriously it is taken.
    pub mode: Mode,
    /// What it asks for.
    pub value: T,
}

/// A bare value is meant strictly; an object names its mode.
impl<'de, T: DeserializeOwned> Deserialize<'de> for Rule<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Spelt<T> {
            #[serde(default)]
            mode: Mode,
            value: T,
        }
        let value = serde_json::Value::deserialize(deserializer)?;
        let read = if value.is_object() {
            serde_json::from_value::<Spelt<T>>(value).map(|s| Self { mode: s.mode, value: s.value })
        } else {
            serde_json::from_value(value).map(|value| Self { mode: Mode::Strict, value })
        };
        read.map_err(serde::de::Error::custom)
    }
}

/// What happens when a device draws that already has a living auth token of this registration
/// token (reference rule S5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// It gets another one.
    #[default]
    Allow,
    /// It gets a new secret for the one it has; nothing is counted.
    ReturnExisting,
    /// It gets another one, and the former ends.
    Replace,
    /// It is refused.
    Reject,
}

/// The conditions of a registration token.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Constraints {
    /// Networks that a draw must come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Rule<Vec<IpNet>>>,
    /// Patterns of host names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Rule<Vec<String>>>,
    /// Patterns of system users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Rule<Vec<String>>>,
    /// Expected devices: one of these must be its subject, host name, hardware address,
    /// identifier, or the thumbprint of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Rule<Vec<String>>>,
    /// Draws in any hour at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Rule<u64>>,
    /// Living auth tokens of one device at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_device: Option<Rule<u64>>,
    /// What happens when a device draws again.
    pub on_duplicate_device: OnDuplicate,
    /// The first instant of a draw, RFC 3339 with offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Rule<String>>,
}

/// A condition by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// `networks`.
    Networks,
    /// `hosts`.
    Hosts,
    /// `users`.
    Users,
    /// `devices`.
    Devices,
    /// `per_hour`.
    PerHour,
    /// `per_device`.
    PerDevice,
    /// `on_duplicate_device`.
    DuplicateDevice,
    /// `not_before`.
    NotBefore,
}

/// Every condition.
pub const CONSTRAINTS: [Constraint; 8] = [
    Constraint::NotBefore,
    Constraint::Networks,
    Constraint::Hosts,
    Constraint::Users,
    Constraint::Devices,
    Constraint::PerHour,
    Constraint::PerDevice,
    Constraint::DuplicateDevice,
];

impl Constraint {
    /// The name on the wire and in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Hosts => "hosts",
            Self::Users => "users",
            Self::Devices => "devices",
            Self::PerHour => "per_hour",
            Self::PerDevice => "per_device",
            Self::DuplicateDevice => "on_duplicate_device",
            Self::NotBefore => "not_before",
        }
    }
}

impl Constraints {
    /// Reads conditions from JSON text.
    ///
    /// # Errors
    ///
    /// A field name and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (&'static str, String)> {
        let read: Self =
            serde_json::from_str(text).map_err(|error| ("constraints", plain(&error)))?;
        let lists = [
            ("constraints.hosts", &read.hosts),
            ("constraints.users", &read.users),
            ("constraints.devices", &read.devices),
        ];
        for (field, rule) in lists {
            let Some(rule) = rule else { continue };
            let long = |text: &String| text.chars().count() > PATTERN_CHARS_MAX;
            if rule.value.len() > ENTRIES_MAX || rule.value.iter().any(long) {
                let why = format!(
                    "must have at most {ENTRIES_MAX} entries of {PATTERN_CHARS_MAX} characters"
                );
                return Err((field, why));
            }
        }
        for (field, rule) in
            [("constraints.per_hour", &read.per_hour), ("constraints.per_device", &read.per_device)]
        {
            if rule.as_ref().is_some_and(|rule| rule.value == 0) {
                return Err((field, "must be at least 1".to_owned()));
            }
        }
        let bad = |rule: &Rule<String>| instant(&rule.value).is_none();
        if read.not_before.as_ref().is_some_and(bad) {
            let why = "must be an RFC 3339 date-time with offset".to_owned();
            return Err(("constraints.not_before", why));
        }
        Ok(read)
    }

    /// The conditions of a registration token. Such that cannot be read would be a defect of the
    /// store; then nobody draws.
    pub fn of(text: Option<&str>) -> Option<Self> {
        text.map_or_else(|| Some(Self::default()), |text| serde_json::from_str(text).ok())
    }

    /// As the store keeps them.
    pub fn stored(&self) -> String {
        // Numbers and strings cannot fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Which conditions a draw breaks, as far as no other draw has a say in it.
    pub fn broken(
        &self,
        facts: &DeviceFacts,
        confirmation: Option<&Confirmation>,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Vec<(Constraint, Mode)> {
        let early = |at: &String| instant(at).is_none_or(|at| now < at);
        let outside = |networks: &Vec<IpNet>| {
            // An unknown address is inside no network.
            !source.is_some_and(|address| {
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            })
        };
        let unlike = |patterns: &Vec<String>, fact: Option<&String>| {
            !fact.is_some_and(|fact| patterns.iter().any(|p| matches_glob(p, fact)))
        };
        let unexpected = |expected: &Vec<String>| {
            let thumbprint = confirmation.map(Confirmation::thumbprint);
            let names = [
                Some(facts.subject.as_str()),
                facts.hostname.as_deref(),
                facts.mac_address.as_deref(),
                facts.identifier.as_deref(),
                thumbprint,
            ];
            !names
                .into_iter()
                .flatten()
                .any(|name| expected.iter().any(|device| device.eq_ignore_ascii_case(name)))
        };
        let mut broken = Vec::new();
        let mut note = |constraint, mode: Option<Mode>| {
            broken.extend(mode.filter(|&mode| mode != Mode::Off).map(|mode| (constraint, mode)));
        };
        note(Constraint::NotBefore, mode_if(self.not_before.as_ref(), early));
        note(Constraint::Networks, mode_if(self.networks.as_ref(), outside));
        let hosts = |patterns: &Vec<String>| unlike(patterns, facts.hostname.as_ref());
        note(Constraint::Hosts, mode_if(self.hosts.as_ref(), hosts));
        let users = |patterns: &Vec<String>| unlike(patterns, facts.system_user.as_ref());
        note(Constraint::Users, mode_if(self.users.as_ref(), users));
        note(Constraint::Devices, mode_if(self.devices.as_ref(), unexpected));
        broken
    }
}

/// The mode of a condition that is broken.
fn mode_if<T>(rule: Option<&Rule<T>>, broken: impl FnOnce(&T) -> bool) -> Option<Mode> {
    rule.filter(|rule| broken(&rule.value)).map(|rule| rule.mode)
}

fn instant(text: &str) -> Option<Timestamp> {
    // A date alone would need a zone that this rule does not have.
    let long_enough = text.len() > 10;
    Timestamp::parse(text, "UTC", crate::clock::DayEdge::Start).ok().filter(|_| long_enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> DeviceFacts {
        DeviceFacts {
            subject: "jdoe".into(),
            hostname: Some("ws-17.acme.example".into()),
            system_user: Some("svc-build".into()),
            ..DeviceFacts::default()
        }
    }

    fn broken(text: &str) -> Vec<(Constraint, Mode)> {
        let source = "192.0.2.7".parse().ok();
        let now = Timestamp::from_seconds(1_000);
        Constraints::parse(text).unwrap().broken(&facts(), None, source, now)
    }

    #[test]
    fn a_bare_value_is_strict_and_an_object_names_its_mode() {
        assert_eq!(broken(r#"{"networks":["192.0.2.0/24"],"hosts":["*.acme.example"]}"#), []);
        assert_eq!(
            broken(
                r#"{"networks":["10.0.0.0/8"],"users":{"mode":"warn","value":["root"]},
                "devices":{"mode":"off","value":["other"]}}"#
            ),
            [(Constraint::Networks, Mode::Strict), (Constraint::Users, Mode::Warn)]
        );
        assert_eq!(broken(r#"{"devices":["WS-17.acme.example"]}"#), []);
        assert_eq!(
            broken(r#"{"not_before":"2026-11-21T00:00:00Z"}"#),
            [(Constraint::NotBefore, Mode::Strict)]
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let field = |text| Constraints::parse(text).unwrap_err().0;
        assert_eq!(field(r#"{"per_hour":0}"#), "constraints.per_hour");
        assert_eq!(field(r#"{"not_before":"2026-11-21"}"#), "constraints.not_before");
        assert_eq!(field(r#"{"networks":["10.0.0.0/40"]}"#), "constraints");
        assert_eq!(field(r#"{"colour":1}"#), "constraints");
    }

    #[test]
    fn conditions_come_back_as_they_were_stored() {
        let read = Constraints::parse(r#"{"per_hour":3,"on_duplicate_device":"replace"}"#).unwrap();
        assert_eq!(Constraints::of(Some(&read.stored())), Some(read));
        assert_eq!(Constraints::of(None), Some(Constraints::default()));
        assert_eq!(Constraints::of(Some("no JSON")), None);
    }
}
