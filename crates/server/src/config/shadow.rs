//! `[shadow.NAME]`: an old system that is asked beside us while an organisation moves in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use counterfoil_authority::names::{RealmName, ServiceLabel, ShadowName};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::Services;
use counterfoil_authority::shadow::ShadowSettings;
use counterfoil_authority::verdict::Door;
use serde::Deserialize;

use super::Config;
use super::audit::crosses_in_clear;
use super::keys::{Key, Sort};
use super::value::milliseconds;
use crate::provision::ldap::connection::is_loopback;

/// The realm that a shadow listens to, unless it says otherwise.
const REALM: &str = "main";
/// How long an old system may take, unless configured otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The doors through which a credential is presented for a service.
const LISTENED_DOORS: &[&str] = &["api", "forward-auth", "ldap", "oauth", "am", "validate"];
/// Where the name of a person stands in `bind_dn`.
const USER: &str = "{user}";

/// Every key of a shadow's section.
pub const SHADOW_KEYS: &[Key] = &[
    Key::optional(
        "shadow.*.kind",
        Sort::Choice(&["introspection", "http", "ldap"]),
        "\"ldap\"",
        "How the old system is asked: by token introspection (RFC 7662), by any request that it \
         answers with 2xx or with 401, 403 or 404, or by a bind.",
    ),
    Key::optional(
        "shadow.*.url",
        Sort::Line,
        "\"ldaps://ldap.example.org\"",
        "Where it is: `https://` or `ldaps://`. Without TLS only on this machine, but `ldap://` \
         becomes TLS by StartTLS elsewhere.",
    ),
    Key::optional(
        "shadow.*.realm",
        Sort::Realm,
        "\"main\"",
        "The realm whose presentations it hears; main if not set.",
    ),
    Key::optional(
        "shadow.*.services",
        Sort::Labels,
        "[\"mail\"]",
        "The services whose presentations it hears. All of them if not set, and what is asked \
         without a service too.",
    ),
    Key::optional(
        "shadow.*.doors",
        Sort::Words(LISTENED_DOORS),
        "[\"ldap\", \"forward-auth\"]",
        "The doors whose presentations it hears; all of these if not set.",
    ),
    Key::optional(
        "shadow.*.share",
        Sort::Count { min: 1, max: 1_000_000 },
        "10",
        "One in so many presentations is asked about; each one if not set.",
    ),
    Key::optional(
        "shadow.*.in_flight_max",
        Sort::Count { min: 1, max: 1_000 },
        "8",
        "Questions to it at the same time; 8 if not set.",
    ),
    Key::optional(
        "shadow.*.queue_max",
        Sort::Count { min: 1, max: 100_000 },
        "1000",
        "Questions that wait, in memory, for ten seconds at most; 1000 if not set. Further ones \
         are not asked.",
    ),
    Key::optional(
        "shadow.*.timeout",
        Sort::Duration,
        "\"2s\"",
        "How long it may take to answer; 2s if not set. Ours never waits for it.",
    ),
    Key::optional(
        "shadow.*.wrong_every",
        Sort::Duration,
        "\"15m\"",
        "How long it is left alone about a person after a question that may be wrong there; 15m \
         if not set. For an old system that locks: the window in which it counts wrong passwords, \
         by how many it allows, times the nodes.",
    ),
    Key::optional(
        "shadow.*.own_tokens",
        Sort::Flag,
        "false",
        "Whether it is asked about tokens of our own form, too: it knows them only if they are \
         provisioned there.",
    ),
    Key::optional(
        "shadow.*.client_id",
        Sort::Line,
        "\"counterfoil\"",
        "As whom to ask (introspection).",
    ),
    Key::optional(
        "shadow.*.secret",
        Sort::Secret,
        "\"file:/etc/counterfoil/old.secret\"",
        "What proves that (introspection).",
    ),
    Key::optional(
        "shadow.*.method",
        Sort::Choice(&["GET", "POST"]),
        "\"GET\"",
        "The method of the request (http); GET if not set.",
    ),
    Key::optional(
        "shadow.*.present",
        Sort::Choice(&["bearer", "basic"]),
        "\"bearer\"",
        "What is presented stands in `Authorization` (http) as a bearer token, or as the password \
         of the user name that came with it; bearer if not set.",
    ),
    Key::optional(
        "shadow.*.bind_dn",
        Sort::Line,
        "\"uid={user},ou=people,dc=example,dc=org\"",
        "As whom to bind (ldap); `{user}` is the user name.",
    ),
    Key::optional(
        "shadow.*.start_tls",
        Sort::Flag,
        "true",
        "Whether `ldap://` becomes TLS first; unless on loopback, if not set.",
    ),
    Key::optional(
        "shadow.*.ca_file",
        Sort::Path,
        "\"/etc/counterfoil/old-ca.pem\"",
        "Certificates to trust instead of the system's.",
    ),
];

/// A shadow as the file has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShadowSection {
    /// How it is asked.
    pub kind: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// The realm that it listens to.
    pub realm: Option<String>,
    /// The services that it listens to.
    pub services: Vec<String>,
    /// The doors that it listens to.
    pub doors: Vec<String>,
    /// One in so many is asked about.
    pub share: Option<u64>,
    /// Questions at the same time.
    pub in_flight_max: Option<usize>,
    /// Questions that wait.
    pub queue_max: Option<usize>,
    /// How long it may take.
    pub timeout: Option<String>,
    /// How long it is left alone about a person.
    pub wrong_every: Option<String>,
    /// Whether our own tokens are asked about.
    pub own_tokens: bool,
    /// As whom to ask.
    pub client_id: Option<String>,
    /// What proves that.
    #[serde(deserialize_with = "super::secret")]
    pub secret: Option<ClearSecret>,
    /// The method of a request.
    pub method: Option<String>,
    /// How what is presented is sent.
    pub present: Option<String>,
    /// As whom to bind.
    pub bind_dn: Option<String>,
    /// Whether the connection becomes TLS.
    pub start_tls: Option<bool>,
    /// Certificates to trust.
    pub ca_file: Option<PathBuf>,
}

/// An old system that is asked.
#[derive(Debug, Clone)]
pub struct OldConfig {
    /// What it hears.
    pub settings: ShadowSettings,
    /// How it is asked.
    pub way: OldWay,
    /// Where it is.
    pub url: String,
    /// How long it may take.
    pub timeout: Duration,
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// How an old system is asked.
#[derive(Debug, Clone)]
pub enum OldWay {
    /// RFC 7662.
    Introspection {
        /// As whom.
        client_id: String,
        /// What proves that.
        secret: ClearSecret,
    },
    /// A request.
    Http {
        /// Whether by POST.
        post: bool,
        /// Whether the user name is sent, too.
        basic: bool,
    },
    /// A bind.
    Ldap {
        /// As whom, with `{user}` in it.
        bind_dn: String,
        /// Whether the connection becomes TLS.
        start_tls: bool,
    },
}

impl ShadowSection {
    fn old(&self, name: &str) -> Result<OldConfig, String> {
        let name = ShadowName::parse(name).map_err(|bad| bad.to_string())?;
        let realm = RealmName::parse(self.realm.as_deref().unwrap_or(REALM));
        let realm = realm.map_err(|bad| format!("`realm`: {bad}"))?;
        let url = self.url.clone().ok_or("needs `url`")?;
        let way = self.way(&url)?;
        let mut settings = ShadowSettings::new(name, realm);
        if !self.services.is_empty() {
            let labels = self.services.iter().map(|text| ServiceLabel::parse(text));
            let labels = labels.collect::<Result<Vec<_>, _>>();
            settings.services = Services::Named(labels.map_err(|bad| bad.to_string())?);
        }
        settings.doors = self.doors.iter().filter_map(|name| Door::from_name(name)).collect();
        settings.share = self.share.unwrap_or(settings.share);
        settings.in_flight_max = self.in_flight_max.unwrap_or(settings.in_flight_max);
        settings.queue_max = self.queue_max.unwrap_or(settings.queue_max);
        settings.own_tokens = self.own_tokens;
        settings.by_name = matches!(way, OldWay::Ldap { .. } | OldWay::Http { basic: true, .. });
        settings.attests_name = matches!(way, OldWay::Ldap { .. });
        if let Some(ms) = self.wrong_every.as_deref().and_then(milliseconds) {
            let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
            // Less would be no rest at all.
            if !(1..=86_400).contains(&seconds) {
                return Err("`wrong_every` is a second to a day".to_owned());
            }
            settings.wrong_every_seconds = seconds;
        }
        let timeout = self.timeout.as_deref().and_then(milliseconds);
        let timeout = timeout.map_or(TIMEOUT, Duration::from_millis);
        Ok(OldConfig { settings, way, url, timeout, ca: self.ca_file.clone() })
    }

    fn way(&self, url: &str) -> Result<OldWay, String> {
        let kind = self.kind.as_deref().ok_or("needs `kind`: introspection, http or ldap")?;
        if kind == "ldap" {
            return self.bind(url);
        }
        let parsed = reqwest::Url::parse(url).ok();
        if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            return Err("`url` begins with http:// or https://".to_owned());
        }
        if crosses_in_clear(url) {
            return Err("`url` without TLS is for this machine only".to_owned());
        }
        if kind == "introspection" {
            return Ok(OldWay::Introspection {
                client_id: self.client_id.clone().ok_or("needs `client_id`")?,
                secret: self.secret.clone().ok_or("needs `secret`")?,
            });
        }
        Ok(OldWay::Http {
            post: self.method.as_deref() == Some("POST"),
            basic: self.present.as_deref() == Some("basic"),
        })
    }

    fn bind(&self, url: &str) -> Result<OldWay, String> {
        let is_plain = url.starts_with("ldap://");
        if !is_plain && !url.starts_with("ldaps://") {
            return Err("`url` begins with ldap:// or ldaps://".to_owned());
        }
        let start_tls = is_plain && self.start_tls.unwrap_or_else(|| !is_loopback(url));
        if is_plain && !start_tls && !is_loopback(url) {
            return Err("`url` without TLS is for this machine only".to_owned());
        }
        let bind_dn = self.bind_dn.clone().ok_or("needs `bind_dn`")?;
        if !bind_dn.contains(USER) {
            return Err("`bind_dn` needs {user}, where the user name stands".to_owned());
        }
        Ok(OldWay::Ldap { bind_dn, start_tls })
    }
}

fn all(sections: &BTreeMap<String, ShadowSection>) -> Vec<(&String, Result<OldConfig, String>)> {
    sections.iter().map(|(name, section)| (name, section.old(name))).collect()
}

/// Everything that is wrong with the sections of shadows.
pub(super) fn contradictions(config: &Config) -> Vec<String> {
    let wrong = |(name, old): (&String, Result<OldConfig, String>)| {
        old.err().map(|why| format!("shadow.{name}: {why}"))
    };
    all(&config.shadow).into_iter().filter_map(wrong).collect()
}

/// The old systems that are asked.
pub fn old_systems(config: &Config) -> Vec<OldConfig> {
    all(&config.shadow).into_iter().filter_map(|(_, old)| old.ok()).collect()
}
