//! Drivers of repositories that somebody else keeps, and the kit that tries them.

mod check;
mod http;
mod ldap;

use std::path::Path;
use std::sync::Arc;

use counterfoil_authority::clock::Clock;
use counterfoil_authority::custom::{Elsewhere, Guarded, TokenRepository};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_store::NamedStatements;
use zeroize::Zeroizing;

pub(crate) use self::check::{Check, check};
pub(crate) use self::http::{HttpRepository, HttpSettings, Proves};
use self::ldap::{Form, LdapRepository, LdapSettings};
use crate::config::{Config, DriverConfig, Kept, kept_elsewhere};

/// A repository, or an old system, that cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
#[error("{section}.{name}: {why}")]
pub struct NotSetUp {
    /// What it is in the configuration.
    pub section: &'static str,
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

impl NotSetUp {
    /// The same of an old system that is asked beside us.
    pub(crate) fn shadow(name: &str, why: String) -> Self {
        Self { section: "shadow", name: name.to_owned(), why }
    }
}

/// Sets up the repositories of a configuration. None of them is asked for anything: a server
/// starts without them.
///
/// # Errors
///
/// When a file that is named cannot be used.
pub fn elsewhere(config: &Config, clock: &Arc<dyn Clock>) -> Result<Elsewhere, NotSetUp> {
    let mut all = Vec::new();
    for kept in kept_elsewhere(config) {
        let name = kept.settings.name.to_string();
        let driver =
            driver(&kept, clock).map_err(|why| NotSetUp { section: "repository", name, why })?;
        all.push(Arc::new(Guarded::new(kept.settings, driver)));
    }
    Ok(Elsewhere::new(all))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The driver of one repository.
pub(crate) fn driver(
    kept: &Kept,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn TokenRepository>, String> {
    let timeout = kept.settings.timeout;
    Ok(match &kept.driver {
        DriverConfig::Http { url, secret, bearer, identity, ca } => {
            let proves = match (secret.clone(), bearer) {
                (None, _) => Proves::Nothing,
                (Some(secret), true) => Proves::Bearer(secret),
                (Some(secret), false) => Proves::Signature(secret),
            };
            let identity = identity.as_deref().map(read).transpose()?.map(Zeroizing::new);
            let ca = ca.as_deref().map(read).transpose()?;
            let settings = HttpSettings { url: url.clone(), proves, identity, ca, timeout };
            Arc::new(HttpRepository::new(settings, Arc::clone(clock))?)
        }
        DriverConfig::Sql { url, password, statements } => {
            let password = password.as_ref().map(ClearSecret::reveal);
            let made = NamedStatements::new(url, password, statements, timeout);
            Arc::new(made.map_err(|bad| bad.to_string())?)
        }
        DriverConfig::Ldap {
            url,
            start_tls,
            ca,
            bind_dn,
            secret,
            base_dn,
            filter,
            attribute,
            pats,
        } => Arc::new(LdapRepository::new(LdapSettings {
            url: url.clone(),
            start_tls: *start_tls,
            ca: ca.as_ref().map(|path| path.to_string_lossy().into_owned()),
            bind_dn: bind_dn.clone(),
            secret: secret.clone(),
            base_dn: base_dn.clone(),
            filter: filter.clone(),
            attribute: attribute.clone(),
            form: if *pats { Form::Pat } else { Form::Hash },
            timeout,
        })),
    })
}
