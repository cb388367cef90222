//! From the section of a custom repository to how it is used and by what it is reached.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use counterfoil_authority::custom::{Addressing, ProofKey, Settings, UsageKept, VerifyMode};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::Services;
use counterfoil_store::{DatabaseUrl, NamedStatements};

use super::value::milliseconds;
use super::{Config, RepositorySection};
use crate::provision::ldap::connection::is_loopback;

/// The attribute of voPerson that holds application passwords.
const VO_PERSON_PASSWORD: &str = "voPersonApplicationPassword";
/// How a person is found, unless configured otherwise.
const PERSON_FILTER: &str = "(uid={username})";
/// The realm that a repository of the configuration belongs to, unless it says otherwise.
const REALM: &str = "main";

/// A repository that somebody else keeps.
#[derive(Debug, Clone)]
pub struct Kept {
    /// How it is used.
    pub settings: Settings,
    /// By what it is reached.
    pub driver: DriverConfig,
}

/// By what a repository is reached.
#[derive(Debug, Clone)]
pub enum DriverConfig {
    /// `counterfoil-repo/1`.
    Http {
        /// Where it is.
        url: String,
        /// What it is shown.
        secret: Option<ClearSecret>,
        /// Whether that is a bearer token; otherwise it signs.
        bearer: bool,
        /// Certificate and key of this server.
        identity: Option<PathBuf>,
        /// Certificates to trust.
        ca: Option<PathBuf>,
    },
    /// Named statements.
    Sql {
        /// The database.
        url: DatabaseUrl,
        /// Its password.
        password: Option<ClearSecret>,
        /// The statements.
        statements: BTreeMap<String, String>,
    },
    /// A directory.
    Ldap {
        /// Where it is.
        url: String,
        /// Whether the connection becomes TLS.
        start_tls: bool,
        /// Certificates to trust.
        ca: Option<PathBuf>,
        /// As whom to bind.
        bind_dn: Option<String>,
        /// With what.
        secret: Option<ClearSecret>,
        /// Below which people are found.
        base_dn: String,
        /// How.
        filter: String,
        /// The attribute that holds the tokens.
        attribute: String,
        /// Whether its values are personal access tokens in clear.
        pats: bool,
    },
}

impl RepositorySection {
    /// What it says of a repository that somebody else keeps, or everything that is wrong.
    fn kept(&self, name: &str) -> Result<Kept, Vec<String>> {
        let at = |what: String| format!("repository.{name}: {what}");
        let settings = self.settings(name).map_err(|why| vec![at(why)])?;
        let driver = self.driver_config(settings.timeout).map_err(|why| vec![at(why)])?;
        let generates = self.generates(&driver).map_err(|why| vec![at(why)])?;
        let settings = Settings { generates, ..settings };
        let by_user = settings.addressing == Addressing::User;
        if matches!(driver, DriverConfig::Ldap { .. }) && !by_user {
            return Err(vec![at("a directory is asked by `selector = \"user\"`".to_owned())]);
        }
        Ok(Kept { settings, driver })
    }

    /// Whether new tokens get a secret: where the hash of it has a place to go to.
    fn generates(&self, driver: &DriverConfig) -> Result<bool, String> {
        let delegated = self.verify.as_deref() == Some("delegated");
        let takes = match driver {
            DriverConfig::Sql { statements, .. } => {
                statements.get("insert").is_some_and(|text| NamedStatements::binds(text, "hash"))
            }
            DriverConfig::Http { .. } | DriverConfig::Ldap { .. } => true,
        };
        match self.generate_secret {
            Some(true) if delegated => {
                Err("`generate_secret`: who compares secrets makes them, too".to_owned())
            }
            Some(true) if !takes => {
                Err("`generate_secret` needs a statement `insert` with :hash".to_owned())
            }
            Some(generates) => Ok(generates),
            None => Ok(takes && !delegated),
        }
    }

    fn settings(&self, name: &str) -> Result<Settings, String> {
        let realm = RealmName::parse(self.realm.as_deref().unwrap_or(REALM));
        let realm = realm.map_err(|bad| format!("`realm`: {bad}"))?;
        let labels = self.services.iter().map(|text| ServiceLabel::parse(text));
        let labels = labels.collect::<Result<Vec<_>, _>>().map_err(|bad| bad.to_string())?;
        // One that names neither services nor a prefix is managed here and verifies nowhere.
        let all = labels.is_empty() && self.prefix.is_some();
        let services = if all { Services::All } else { Services::Named(labels) };
        let mut settings = Settings::new(name, realm, services);
        settings.prefix.clone_from(&self.prefix);
        settings.addressing = match self.selector.as_deref() {
            None | Some("user") => Addressing::User,
            Some("sha256") => Addressing::Sha256,
            _ => Addressing::Prefix(self.selector_length.ok_or("needs `selector_length`")?),
        };
        settings.token_kind = match self.token_kind.as_deref() {
            Some("personal_access_token") => Kind::PersonalAccessToken,
            Some("generic") => Kind::Generic,
            _ => Kind::ServiceToken,
        };
        if self.verify.as_deref() == Some("delegated") {
            settings.verify = VerifyMode::Delegated;
        }
        if self.usage.as_deref() == Some("there") {
            settings.usage = UsageKept::There;
        }
        if let Some(ms) = self.timeout.as_deref().and_then(milliseconds) {
            settings.timeout = Duration::from_millis(ms);
        }
        settings.in_flight_max = self.in_flight_max.unwrap_or(settings.in_flight_max);
        settings.cache_seconds = self.cache_seconds.unwrap_or(settings.cache_seconds);
        let key = self.hash_key.as_ref();
        settings.hash_key = key.map(|key| ProofKey::new(key.reveal().as_bytes().to_vec()));
        Ok(settings)
    }

    fn driver_config(&self, timeout: Duration) -> Result<DriverConfig, String> {
        let url = self.url.clone().ok_or("needs `url`")?;
        match self.driver.as_deref() {
            Some("http") => {
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    return Err("`url` begins with http:// or https://".to_owned());
                }
                if url.starts_with("http://") && !is_loopback(&url) {
                    return Err("`url` without TLS is for this machine only".to_owned());
                }
                Ok(DriverConfig::Http {
                    url,
                    secret: self.secret.clone(),
                    bearer: self.auth.as_deref() == Some("bearer"),
                    identity: self.client_identity.clone(),
                    ca: self.ca_file.clone(),
                })
            }
            Some("sql") => {
                let url = DatabaseUrl::parse(&url).map_err(|bad| bad.to_string())?;
                let password = self.secret.as_ref().map(ClearSecret::reveal);
                let made = NamedStatements::new(&url, password, &self.statements, timeout);
                let made = made.map_err(|bad| bad.to_string())?;
                if self.usage.as_deref() == Some("there") && !made.counts_atomically() {
                    let why = "`usage = \"there\"` needs a statement `consume` that is one \
                               conditional update";
                    return Err(why.to_owned());
                }
                let (password, statements) = (self.secret.clone(), self.statements.clone());
                Ok(DriverConfig::Sql { url, password, statements })
            }
            Some("ldap") => {
                if self.usage.as_deref() == Some("there") {
                    return Err("a directory counts nothing: `usage = \"here\"`".to_owned());
                }
                let start_tls = url.starts_with("ldap://")
                    && self.start_tls.unwrap_or_else(|| !is_loopback(&url));
                let or = |text: &Option<String>, usual: &str| {
                    text.clone().unwrap_or_else(|| usual.to_owned())
                };
                Ok(DriverConfig::Ldap {
                    start_tls,
                    ca: self.ca_file.clone(),
                    bind_dn: self.bind_dn.clone(),
                    secret: self.secret.clone(),
                    base_dn: self.base_dn.clone().ok_or("needs `base_dn`")?,
                    filter: or(&self.filter, PERSON_FILTER),
                    attribute: or(&self.attribute, VO_PERSON_PASSWORD),
                    pats: self.form.as_deref() == Some("pat"),
                    url,
                })
            }
            _ => Err("needs `driver`: http, sql or ldap".to_owned()),
        }
    }
}

fn custom(config: &Config) -> impl Iterator<Item = (&String, &RepositorySection)> {
    config.repository.iter().filter(|(_, section)| section.kind.as_deref() == Some("custom"))
}

/// Everything that is wrong with the sections of custom repositories.
pub(super) fn contradictions(config: &Config) -> Vec<String> {
    let own = config.tokens.accepted();
    let mut faults = Vec::new();
    for (name, section) in custom(config) {
        match section.kept(name) {
            Err(wrong) => faults.extend(wrong),
            Ok(kept) => {
                let wrong = kept.settings.faults(&own);
                faults.extend(wrong.into_iter().map(|why| format!("repository.{name}: {why}")));
            }
        }
    }
    faults
}

/// The repositories that somebody else keeps.
pub fn kept_elsewhere(config: &Config) -> Vec<Kept> {
    custom(config).filter_map(|(name, section)| section.kept(name).ok()).collect()
}
