//! Where the database is: the URL as the hosts that may be it.
//!
//! The URL is libpq's (PostgreSQL manual, 34.1.1.2): several hosts with their
//! ports, `sslmode`, `sslrootcert`, `connect_timeout` and so on. Which host is
//! asked for writes is found by asking, so `target_session_attrs` may be left out.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::Trust;

/// How long one host may take to accept a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// How long sent data may stay unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
/// How long a silent connection stays before the other side is asked for a sign of life.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
/// Where a server on this machine listens if the URL names no host.
const SOCKET_DIRECTORY: &str = "/var/run/postgresql";

/// Why a URL cannot be used. Never shows the URL, in which a password may stand.
#[derive(Debug, thiserror::Error)]
pub enum BadAddress {
    /// The driver does not understand it.
    #[error("the database URL cannot be read")]
    Url(#[source] tokio_postgres::Error),
    /// There is no such mode.
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    SslMode,
    /// The certificates to trust cannot be used.
    #[error("the certificates of sslrootcert cannot be used")]
    RootCertificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing to verify against.
    #[error("sslmode verify-ca and verify-full need sslrootcert=FILE")]
    NoRootCertificate,
}

/// The hosts of a URL, each as the driver wants it, and whom to trust.
pub(super) struct Address {
    /// One per host, in the order of the URL.
    pub(super) hosts: Vec<Config>,
    /// How their certificates are looked at.
    pub(super) trust: Trust,
}

impl Address {
    /// Reads a URL.
    pub(super) fn parse(url: &str) -> Result<Self, BadAddress> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut root = None;
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|text| !text.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "sslmode" => mode = Some(value),
                "sslrootcert" => root = Some(percent_decode_str(value).decode_utf8_lossy()),
                _ => rest.push(parameter),
            }
        }
        let config: Config =
            format!("{base}?{}", rest.join("&")).parse().map_err(BadAddress::Url)?;
        let (mode, trust) = Trust::of(mode, root.as_deref())?;
        Ok(Self { hosts: hosts_of(&config, mode), trust })
    }
}

fn hosts_of(config: &Config, mode: SslMode) -> Vec<Config> {
    let mut hosts = Vec::new();
    for (place, host) in config.get_hosts().iter().enumerate() {
        let mut one = common(config, mode);
        match host {
            Host::Tcp(name) => one.host(name),
            Host::Unix(path) => one.host_path(path),
        };
        if let Some(address) = config.get_hostaddrs().get(place) {
            one.hostaddr(*address);
        }
        let ports = config.get_ports();
        if let Some(port) = ports.get(place).or(ports.first()) {
            one.port(*port);
        }
        hosts.push(one);
    }
    if hosts.is_empty() {
        let mut one = common(config, mode);
        one.host_path(SOCKET_DIRECTORY);
        if let Some(port) = config.get_ports().first() {
            one.port(*port);
        }
        hosts.push(one);
    }
    hosts
}

/// What all hosts of a URL share.
fn common(config: &Config, mode: SslMode) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(name) = config.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    one.application_name(config.get_application_name().unwrap_or("counterfoil"));
    one.ssl_mode(mode).ssl_negotiation(config.get_ssl_negotiation());
    one.channel_binding(config.get_channel_binding());
    one.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT_WAIT));
    one.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(UNACKNOWLEDGED_MAX));
    one.keepalives(config.get_keepalives()).keepalives_idle(KEEPALIVE_AFTER);
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str) -> Vec<(String, u16)> {
        let hosts = Address::parse(url).unwrap().hosts;
        let name = |config: &Config| match &config.get_hosts()[0] {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let port = |config: &Config| config.get_ports().first().copied().unwrap_or(5432);
        hosts.iter().map(|config| (name(config), port(config))).collect()
    }

    #[test]
    fn every_host_of_a_list_becomes_an_address_of_its_own() {
        let both = [("db1".to_owned(), 5433), ("db2".to_owned(), 5434)];
        assert_eq!(named("postgres://me:pw@db1:5433,db2:5434/cf?sslmode=require"), both);
        assert_eq!(named("postgres:///cf"), [(SOCKET_DIRECTORY.to_owned(), 5432)]);
        assert_eq!(named("postgresql://%2Fsrv%2Frun/cf"), [("/srv/run".to_owned(), 5432)]);
    }

    #[test]
    fn a_mode_that_promises_more_than_it_can_keep_is_refused() {
        let refused = |url| Address::parse(url).err().unwrap();
        assert!(matches!(refused("postgres://h/cf?sslmode=maybe"), BadAddress::SslMode));
        let verified = refused("postgres://h/cf?sslmode=verify-full");
        assert!(matches!(verified, BadAddress::NoRootCertificate));
        let missing = refused("postgres://h/cf?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem");
        assert!(matches!(missing, BadAddress::RootCertificate(_)));
        let said = format!("{:?}", refused("postgres://me:hunter2@h:port/cf"));
        assert!(!said.contains("hunter2"), "{said}");
    }
}
