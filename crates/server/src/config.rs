//! The configuration: `counterfoil.toml`, environment, flags, and the values that result.
//!
//! [`keys`] is the one table of what can be set; the structs here are what the
//! rest of the server reads. A test holds the two together.
//!
//! Length: one struct for each section of the file, and nothing but their fields.

mod audit;
mod console;
mod console_keys;
pub mod document;
mod elsewhere;
pub mod keys;
mod load;
pub mod repository;
mod repository_keys;
mod shadow;
mod value;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use counterfoil_authority::access::{AccessFormat, SigningAlg};
use counterfoil_authority::names::{ClientName, RealmName, ServiceLabel};
use counterfoil_authority::secret::{ClearSecret, Prefix};
use counterfoil_store::DatabaseUrl;
use http::HeaderName;
use ipnet::IpNet;
use lettre::message::Mailbox;
use serde::{Deserialize, Deserializer};

use crate::ldap::Dn;
use crate::provision::MailTls;

pub use audit::Audit;
pub use console::{Console, Oidc, Proxy};
pub use elsewhere::{DriverConfig, Kept, kept_elsewhere};
pub use load::{ConfigError, Sources, load};
pub use repository::RepositorySection;
pub use shadow::{OldConfig, OldWay, ShadowSection, old_systems};

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP listener.
    pub server: Server,
    /// What is served.
    pub doors: Doors,
    /// Where everything is kept.
    pub data: Data,
    /// How token strings look.
    pub tokens: Tokens,
    /// The memory of verify.
    pub cache: Cache,
    /// Argon2id.
    pub hashing: Hashing,
    /// Failed attempts.
    pub abuse: Abuse,
    /// The OAuth door.
    pub oauth: Oauth,
    /// The console.
    pub console: Console,
    /// The log.
    pub log: Log,
    /// Prometheus metrics.
    #[serde(default)]
    pub metrics: Metrics,
    /// Traces of requests.
    pub telemetry: Telemetry,
    /// The Sentinel EMS door.
    pub sentinel: Sentinel,
    /// The COmanage door.
    pub comanage: Comanage,
    /// The ForgeRock AM door.
    pub am: Am,
    /// The privacyIDEA door.
    pub validate: Validate,
    /// The LDAP door.
    pub ldap: Ldap,
    /// The mail server.
    pub mail: Mail,
    /// Reports of leaked tokens.
    pub leaks: Leaks,
    /// The audit logs.
    pub audit: Audit,
    /// Repositories of generic tokens, by name.
    #[serde(default)]
    pub repository: BTreeMap<String, RepositorySection>,
    /// Old systems that are asked beside us, by name.
    #[serde(default)]
    pub shadow: BTreeMap<String, ShadowSection>,
}

/// The HTTP listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How it is reached from outside, without a slash at the end; `None`: by the listener.
    #[serde(default, deserialize_with = "url")]
    pub public_url: Option<String>,
    /// Whose forwarding headers are believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Headers in which trusted proxies pass on the certificate of a TLS client.
    #[serde(deserialize_with = "header_names")]
    pub client_certificate_headers: Vec<HeaderName>,
    /// Realms of host names, in lower case.
    #[serde(deserialize_with = "host_realms")]
    pub realm_by_host: BTreeMap<String, RealmName>,
    /// Connections at the same time.
    pub connections_max: usize,
    /// Connections at the same time from one source that is no trusted proxy.
    pub connections_per_source_max: usize,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    /// Largest request head, in bytes.
    pub header_bytes_max: u32,
    /// Time for a request's head, and between requests, in seconds.
    pub header_timeout_seconds: u64,
    /// Time for running requests at the end, in seconds.
    pub shutdown_seconds: u64,
    /// Certificate and key.
    #[serde(default)]
    pub tls: Tls,
}

/// TLS by files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file with the chain.
    pub cert: Option<PathBuf>,
    /// PEM file with the key.
    pub key: Option<PathBuf>,
    /// Whether clients are asked for a certificate.
    pub client_certificates: ClientCertificates,
    /// PEM file with the certificates of those who sign clients' ones.
    pub client_ca: Option<PathBuf>,
}

/// Which certificates of clients are taken. Nobody needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Nobody is asked.
    #[default]
    Off,
    /// Any, known by its thumbprint.
    Any,
    /// Those that were signed by a known authority.
    Trusted,
}

/// Which doors are open.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Doors {
    /// The native API.
    pub api: bool,
    /// The Airlock IAM door.
    pub airlock: bool,
    /// Forward-auth.
    pub forward_auth: bool,
    /// OAuth 2.0.
    pub oauth: bool,
    /// LDAP.
    pub ldap: bool,
    /// The Sentinel EMS door.
    pub sentinel: bool,
    /// The COmanage door.
    pub comanage: bool,
    /// The ForgeRock AM door.
    pub am: bool,
    /// The privacyIDEA door.
    pub validate: bool,
    /// The SCIM door.
    pub scim: bool,
    /// The console.
    pub console: bool,
    /// The API's description.
    pub docs: bool,
    /// Headers besides `Authorization` in which forward-auth accepts a token.
    #[serde(deserialize_with = "header_names")]
    pub api_key_headers: Vec<HeaderName>,
}

/// Where everything is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data directory.
    pub dir: PathBuf,
    /// `sqlite:PATH` or `postgres://..`; `None`: in the data directory.
    pub database: Option<String>,
    /// Bytes of an embedded database that are mapped into memory by each reader.
    pub mmap_bytes: u64,
}

impl Data {
    /// The directory of the keys.
    pub fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    /// The database.
    pub fn url(&self) -> DatabaseUrl {
        let named = self.database.as_deref().and_then(|url| DatabaseUrl::parse(url).ok());
        named.unwrap_or_else(|| DatabaseUrl::sqlite(&self.dir.join("counterfoil.db")))
    }
}

/// How token strings look.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// The prefix of new ones.
    #[serde(deserialize_with = "prefix")]
    pub prefix: Prefix,
    /// Prefixes that are still accepted.
    #[serde(deserialize_with = "prefixes")]
    pub retired_prefixes: Vec<Prefix>,
    /// How long a one-time link can be opened.
    pub link_lifetime_seconds: i64,
}

impl Tokens {
    /// Every accepted prefix, the one for new tokens first.
    pub fn accepted(&self) -> Vec<Prefix> {
        std::iter::once(&self.prefix).chain(&self.retired_prefixes).cloned().collect()
    }
}

/// The memory of verify.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Memory for cached tokens, in bytes.
    pub budget_bytes: u64,
}

/// Argon2id.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashing {
    /// Memory of one computation, in KiB.
    pub memory_kib: u32,
    /// Passes of one computation.
    pub passes: u32,
    /// Computations at the same time; 0: by the number of processors.
    pub workers: usize,
    /// Computations that may wait.
    pub queue: usize,
}

impl Hashing {
    /// Computations at the same time, on this machine if not set: half of the processors, so
    /// that the fast path keeps the other half.
    pub fn workers(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        if self.workers == 0 { (processors / 2).max(1) } else { self.workers }
    }
}

/// Failed attempts.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abuse {
    /// Whether refusals are delayed for who fails often.
    pub throttle: bool,
}

/// The OAuth door.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oauth {
    /// How access tokens look.
    pub access_token_format: AccessFormat,
    /// What signs them.
    pub access_token_signing_alg: SigningAlg,
    /// How long they live, in seconds.
    pub access_token_lifetime_seconds: i64,
    /// How long a former signing key verifies, in seconds.
    pub key_overlap_seconds: i64,
    /// Whether the token endpoint takes a personal access token as somebody's password.
    pub password_grant: bool,
    /// Whether a DPoP proof must hold a nonce of the server.
    pub dpop_nonce: bool,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Its form.
    pub format: LogFormat,
    /// The least important lines to write.
    pub level: String,
}

/// Prometheus metrics.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// An own listener.
    pub listen: Option<SocketAddr>,
    /// The credential on the HTTP listener.
    #[serde(deserialize_with = "secret")]
    pub bearer: Option<ClearSecret>,
}

/// Traces of requests.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The collector, without a slash at the end; `None`: no traces.
    #[serde(default, deserialize_with = "url")]
    pub otlp_endpoint: Option<String>,
    /// What it wants to read in `Authorization`.
    #[serde(default, deserialize_with = "secret")]
    pub otlp_authorization: Option<ClearSecret>,
    /// How many requests in a hundred are traced.
    pub sample_percent: u64,
}

/// The Sentinel EMS door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentinel {
    /// Days ahead that a registration token may end there.
    pub max_validity_days: u32,
    /// The client that programs are told to log in as.
    pub client_id: String,
}

/// The COmanage door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comanage {
    /// The number of the CO that a realm is shown as.
    pub co_id: u32,
}

/// The ForgeRock AM door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Am {
    /// How long a session lasts, in seconds.
    pub session_seconds: i64,
    /// How long a session lasts that nobody uses, in seconds.
    pub idle_seconds: i64,
    /// How its header and its cookie are called.
    pub cookie_name: String,
    /// The attribute in which clients look for a person's tokens.
    pub pat_attribute: String,
    /// What tokens become good for that are put there.
    #[serde(default, deserialize_with = "service")]
    pub import_service: Option<ServiceLabel>,
}

/// The privacyIDEA door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// Networks whose requests count as those of a client.
    #[serde(deserialize_with = "network_clients")]
    pub clients: Vec<(IpNet, ClientName)>,
    /// Whether an empty password sends a code by mail.
    pub email_challenge: bool,
}

/// The LDAP door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ldap {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it listens inside TLS.
    #[serde(default)]
    pub tls_listen: Option<SocketAddr>,
    /// The name of the tree.
    #[serde(deserialize_with = "dn")]
    pub base_dn: Dn,
    /// Further names under which people may bind.
    #[serde(deserialize_with = "dns")]
    pub bind_templates: Vec<Dn>,
    /// The realm that is served.
    #[serde(deserialize_with = "realm")]
    pub realm: RealmName,
    /// Whether credentials are taken in clear text from other machines.
    pub allow_plaintext: bool,
    /// Connections at the same time on each listener.
    pub connections_max: usize,
    /// Connections at the same time from one source that is no trusted proxy.
    pub connections_per_source_max: usize,
    /// How long a bound connection may stay idle, in seconds.
    pub idle_seconds: u64,
    /// Certificate and key, if not those of the HTTP listener.
    #[serde(default)]
    pub tls: Tls,
}

/// The mail server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server.
    #[serde(default)]
    pub host: Option<String>,
    /// Its port.
    pub port: u16,
    /// When the connection becomes TLS.
    pub tls: MailTls,
    /// Certificates to trust instead of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// As whom to log in.
    #[serde(default)]
    pub user: Option<String>,
    /// With what.
    #[serde(default, deserialize_with = "secret")]
    pub password: Option<ClearSecret>,
    /// Who letters are from.
    #[serde(default, deserialize_with = "mailbox")]
    pub from: Option<Mailbox>,
    /// Whom an answer goes to.
    #[serde(default, deserialize_with = "mailbox")]
    pub reply_to: Option<Mailbox>,
}

/// Reports of leaked tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaks {
    /// Whether those of GitHub are taken.
    pub github: bool,
    /// Where its keys are asked for.
    pub github_keys_url: String,
    /// A file with them.
    #[serde(default)]
    pub github_keys_file: Option<PathBuf>,
}

impl Mail {
    fn contradictions(&self) -> Vec<String> {
        let Some(host) = &self.host else { return Vec::new() };
        let mut faults = Vec::new();
        if self.from.is_none() {
            faults.push("`mail.host` needs `mail.from`".into());
        }
        if self.user.is_some() != self.password.is_some() {
            faults.push("`mail.user` and `mail.password` go together: set both or none".into());
        }
        let address = host.parse::<IpAddr>();
        let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if self.tls == MailTls::None && !local {
            let what = "`mail.tls = \"none\"` is for a mail server on this machine";
            faults.push(format!("{what}: letters and passwords would cross the network in clear"));
        }
        faults
    }
}

impl Config {
    /// What is wrong between keys that are each right.
    fn contradictions(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let tls = &self.server.tls;
        if tls.cert.is_some() != tls.key.is_some() {
            faults.push(
                "`server.tls.cert` and `server.tls.key` go together: set both or none".into(),
            );
        }
        let tls = &self.ldap.tls;
        if tls.cert.is_some() != tls.key.is_some() {
            faults.push("`ldap.tls.cert` and `ldap.tls.key` go together: set both or none".into());
        }
        if self.ldap.tls_listen.is_some() && self.ldap_tls().cert.is_none() {
            faults.push("`ldap.tls_listen` needs `ldap.tls.cert` or `server.tls.cert`".into());
        }
        if self.tokens.retired_prefixes.contains(&self.tokens.prefix) {
            faults.push(
                "`tokens.retired_prefixes` holds `tokens.prefix`, which is not retired".into(),
            );
        }
        if self
            .metrics
            .listen
            .is_some_and(|listen| listen == self.server.listen && listen.port() != 0)
        {
            faults.push("`metrics.listen` and `server.listen` are the same address".into());
        }
        faults.extend(self.mail.contradictions());
        faults.extend(self.audit.contradictions());
        faults.extend(self.in_clear());
        faults.extend(repository::contradictions(&self.repository));
        faults.extend(elsewhere::contradictions(self));
        faults.extend(shadow::contradictions(self));
        faults.extend(console::contradictions(self));
        faults
    }

    /// Other addresses that need HTTPS: who stands between would say which keys are GitHub's, or
    /// read what the collector wants to read.
    fn in_clear(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if audit::crosses_in_clear(&self.leaks.github_keys_url) {
            faults.push("`leaks.github_keys_url` needs https:// unless it is this machine".into());
        }
        let endpoint = self.telemetry.otlp_endpoint.as_deref();
        if self.telemetry.otlp_authorization.is_some()
            && endpoint.is_some_and(audit::crosses_in_clear)
        {
            let what = "`telemetry.otlp_endpoint` needs https:// unless it is this machine";
            faults.push(format!("{what}: `telemetry.otlp_authorization` would cross in clear"));
        }
        faults
    }

    /// The certificate of the LDAP listeners: their own, or that of the HTTP listener.
    pub const fn ldap_tls(&self) -> &Tls {
        if self.ldap.tls.cert.is_some() { &self.ldap.tls } else { &self.server.tls }
    }

    /// The URL under which people reach the server that listens on `bound`.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        if let Some(url) = &self.server.public_url {
            return url.clone();
        }
        let scheme = if self.server.tls.cert.is_some() { "https" } else { "http" };
        // Nobody can open a connection to "every address"; on the machine itself localhost works.
        if bound.ip().is_unspecified() {
            format!("{scheme}://localhost:{}", bound.port())
        } else {
            format!("{scheme}://{bound}")
        }
    }
}

/// The defaults, as with an empty file.
impl Default for Config {
    #[expect(clippy::expect_used, reason = "the table of keys is constant; a test loads it")]
    fn default() -> Self {
        load(&Sources::default()).expect("the defaults are a configuration")
    }
}

fn url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.map(|text| text.trim_end_matches('/').to_owned()))
}

fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let network = |text: &String| {
        value::network(text).ok_or_else(|| serde::de::Error::custom("not a network"))
    };
    texts.iter().map(network).collect()
}

fn host_realms<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, RealmName>, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(from)?;
    let realm = |(host, realm): (String, String)| {
        let realm = RealmName::parse(&realm).map_err(serde::de::Error::custom)?;
        Ok((host.to_ascii_lowercase(), realm))
    };
    table.into_iter().map(realm).collect()
}

fn service<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ServiceLabel>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| ServiceLabel::parse(&text)).transpose().map_err(serde::de::Error::custom)
}

/// The narrowest network first: of two that hold an address it counts.
fn network_clients<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<(IpNet, ClientName)>, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(from)?;
    let pair = |(network, client): (String, String)| {
        let network =
            value::network(&network).ok_or_else(|| serde::de::Error::custom("not a network"))?;
        Ok((network, ClientName::parse(&client).map_err(serde::de::Error::custom)?))
    };
    let mut pairs = table.into_iter().map(pair).collect::<Result<Vec<_>, D::Error>>()?;
    pairs.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
    Ok(pairs)
}

fn realm<'de, D: Deserializer<'de>>(from: D) -> Result<RealmName, D::Error> {
    RealmName::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn dn<'de, D: Deserializer<'de>>(from: D) -> Result<Dn, D::Error> {
    Dn::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn dns<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Dn>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| Dn::parse(text).map_err(serde::de::Error::custom)).collect()
}

fn prefix<'de, D: Deserializer<'de>>(from: D) -> Result<Prefix, D::Error> {
    Prefix::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn prefixes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Prefix>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| Prefix::parse(text).map_err(serde::de::Error::custom)).collect()
}

fn header_names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<HeaderName>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

fn mailbox<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Mailbox>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let parsed = |text: String| text.parse().map_err(serde::de::Error::custom);
    text.map(parsed).transpose()
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ClearSecret>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(ClearSecret::new))
}

#[cfg(test)]
mod tests;
