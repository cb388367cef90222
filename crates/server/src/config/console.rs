//! The console's sections: how long sessions last, and who else may say who somebody is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use counterfoil_authority::names::{MAIN_REALM, RealmName};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::single_sign_on::{Accounts, RoleRule};
use http::HeaderName;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::{Config, networks, realm, secret};
use crate::provision::ldap::connection::is_loopback;
use crate::sign_on::{OidcSettings, ProxySettings, RelyingParty};

/// The console.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// How long a session lasts, in seconds.
    pub session_seconds: i64,
    /// How long a session lasts that nobody uses, in seconds.
    pub idle_seconds: i64,
    /// How long what somebody proved counts, in seconds; 0: for as long as the session.
    pub step_up_seconds: i64,
    /// Realms whose people need a passkey beside their password.
    #[serde(deserialize_with = "realms")]
    pub passkey_realms: Vec<RealmName>,
    /// The OpenID provider.
    pub oidc: Oidc,
    /// The reverse proxy.
    pub proxy: Proxy,
}

/// The OpenID provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Its name.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Ours.
    #[serde(default)]
    pub client_id: Option<String>,
    /// What proves it.
    #[serde(default, deserialize_with = "secret")]
    pub client_secret: Option<ClearSecret>,
    /// What is asked for.
    pub scopes: String,
    /// The claim with the user name.
    pub username_claim: String,
    /// The claim with the groups.
    pub groups_claim: String,
    /// What members of groups may do.
    #[serde(deserialize_with = "roles")]
    pub roles: Vec<RoleRule>,
    /// Who may come in.
    #[serde(deserialize_with = "accounts")]
    pub accounts: Accounts,
    /// What stands on the button.
    pub label: String,
    /// Where it leads.
    #[serde(deserialize_with = "realm")]
    pub realm: RealmName,
    /// Certificates to trust.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// The reverse proxy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Where it sends from.
    #[serde(deserialize_with = "networks")]
    pub networks: Vec<IpNet>,
    /// The header with the user name.
    #[serde(deserialize_with = "header")]
    pub user_header: HeaderName,
    /// The header with what to call the person.
    #[serde(deserialize_with = "header")]
    pub name_header: HeaderName,
    /// The header with their address.
    #[serde(deserialize_with = "header")]
    pub email_header: HeaderName,
    /// The header with their groups.
    #[serde(deserialize_with = "header")]
    pub groups_header: HeaderName,
    /// What members of groups may do.
    #[serde(deserialize_with = "roles")]
    pub roles: Vec<RoleRule>,
    /// Who may come in.
    #[serde(deserialize_with = "accounts")]
    pub accounts: Accounts,
    /// Where it leads.
    #[serde(deserialize_with = "realm")]
    pub realm: RealmName,
}

impl Console {
    /// The provider, if there is one.
    pub fn oidc_settings(&self) -> Option<OidcSettings> {
        let oidc = &self.oidc;
        Some(OidcSettings {
            issuer: oidc.issuer.clone()?,
            client_id: oidc.client_id.clone()?,
            client_secret: oidc.client_secret.clone(),
            scopes: oidc.scopes.clone(),
            username_claim: oidc.username_claim.clone(),
            groups_claim: oidc.groups_claim.clone(),
            roles: oidc.roles.clone(),
            accounts: oidc.accounts,
            label: oidc.label.clone(),
            realm: oidc.realm.clone(),
            ca: oidc.ca.clone(),
        })
    }

    /// The proxy, if there is one.
    pub fn proxy_settings(&self) -> Option<ProxySettings> {
        let proxy = &self.proxy;
        (!proxy.networks.is_empty()).then(|| ProxySettings {
            networks: proxy.networks.clone(),
            user_header: proxy.user_header.clone(),
            name_header: proxy.name_header.clone(),
            email_header: proxy.email_header.clone(),
            groups_header: proxy.groups_header.clone(),
            roles: proxy.roles.clone(),
            accounts: proxy.accounts,
            realm: proxy.realm.clone(),
        })
    }
}

/// What is wrong between keys of the console that are each right.
pub(super) fn contradictions(config: &Config) -> Vec<String> {
    let Console { oidc, proxy, .. } = &config.console;
    let mut faults = Vec::new();
    if oidc.issuer.is_some() != oidc.client_id.is_some() {
        let what = "`console.oidc.issuer` and `console.oidc.client_id` go together";
        faults.push(format!("{what}: set both or none"));
    }
    if let Some(issuer) = &oidc.issuer {
        if issuer.starts_with("http:") && !is_loopback(issuer) {
            let what = "`console.oidc.issuer` must be https";
            faults.push(format!("{what}: otherwise anybody on the way could answer for it"));
        }
        if !oidc.scopes.split_ascii_whitespace().any(|scope| scope == "openid") {
            faults.push("`console.oidc.scopes` must hold openid".to_owned());
        }
        if config.server.public_url.is_none() && !config.server.listen.ip().is_loopback() {
            faults.push(
                "`console.oidc.issuer` needs `server.public_url`: the provider sends \
                         people back there"
                    .to_owned(),
            );
        }
    }
    if !config.console.passkey_realms.is_empty()
        && let Err(why) = RelyingParty::at(&config.public_url(config.server.listen))
    {
        let what = "`console.passkey_realms` needs another `server.public_url`";
        faults.push(format!("{what}: {why}"));
    }
    for (name, realm, roles) in
        [("oidc", &oidc.realm, &oidc.roles), ("proxy", &proxy.realm, &proxy.roles)]
    {
        if realm.as_str() != MAIN_REALM && roles.iter().any(RoleRule::is_operator) {
            let what = format!("`console.{name}.roles` gives operator, a role over every realm");
            faults.push(format!("{what}, to people of the realm {realm}"));
        }
    }
    if let Some(all) = proxy.networks.iter().find(|network| network.prefix_len() == 0) {
        let what = "`console.proxy.networks` must name where the proxy sends from";
        faults.push(format!("{what}: with {all} everybody is whoever they say they are"));
    }
    faults
}

fn realms<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<RealmName>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let parsed = names.iter().map(|name| RealmName::parse(name));
    parsed.collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

fn roles<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<RoleRule>, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(from)?;
    let rule = |(group, role): (&String, &String)| RoleRule::parse(group, role);
    table.iter().map(rule).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

fn accounts<'de, D: Deserializer<'de>>(from: D) -> Result<Accounts, D::Error> {
    let word = String::deserialize(from)?;
    Accounts::from_name(&word).ok_or_else(|| serde::de::Error::custom("no such choice"))
}

fn header<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderName, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}
