//! What is wrong with an installation, and what to do about it.
//!
//! Reads only: a schema of an earlier version is a finding, and stays as it is.

mod audit;

use std::sync::Arc;

use counterfoil_authority::clock::{Clock, Timestamp};
use counterfoil_authority::custom::{Capability, VerifyMode};
use counterfoil_authority::service::Services;
use counterfoil_authority::shadow::ShadowSettings;
use counterfoil_authority::store::{Installation as Identity, InstallationStore, ServiceStore};
use counterfoil_store::{OpenError, SqlStore};
use serde::Serialize;

use crate::clock::OsClock;
use crate::config::{Config, Tls, kept_elsewhere, old_systems};
use crate::installation::{InstallationError, Lock, admin_key_left, open_store};
use crate::keydir::{self, KeyDirectory};
use crate::private_file;
use crate::restored;
use crate::tls::Certificates;

/// 2026-01-01: a clock before this program was written stands wrong.
const WRITTEN_SECONDS: i64 = 1_767_225_600;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Works, but somebody should look at it.
    Warn,
    /// Does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub status: Health,
    /// What was found.
    pub found: String,
    /// What to do; empty if nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Finding {
    /// It is as it should be.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, status: Health::Ok, found: found.into(), advice: String::new() }
    }

    fn warn(check: &'static str, found: impl Into<String>, advice: &str) -> Self {
        Self { check, status: Health::Warn, found: found.into(), advice: advice.into() }
    }

    /// It does not work.
    pub fn fail(check: &'static str, found: impl Into<String>, advice: &str) -> Self {
        Self { check, status: Health::Fail, found: found.into(), advice: advice.into() }
    }
}

/// Looks at everything. `deep` also reads the whole database.
pub async fn examine(config: &Config, deep: bool) -> Vec<Finding> {
    let mut findings = vec![clock()];
    findings.extend(listener(config));
    findings.push(tls("tls", &config.server.tls));
    findings.extend(ldap(config));
    findings.push(mail(config));
    findings.extend(directory(config));
    findings.extend(repositories(config).await);
    findings.extend(shadows(config).await);
    match open_store(config, false).await {
        Err(error) => findings.push(closed(&error)),
        Ok(store) => {
            let version = store.schema_version();
            let found = format!("{}, schema version {version}", config.data.url());
            findings.push(Finding::ok("database", found));
            findings.extend(inside(config, &store, deep).await);
            store.close().await;
        }
    }
    findings
}

/// The old systems that are asked beside us, each asked for nothing that is about anybody.
async fn shadows(config: &Config) -> Vec<Finding> {
    let advice = "see that it runs; until then nothing is compared, and our answers stay the same";
    let elsewhere = "correct `url`: name what refuses those it does not know; until then the \
                     report means nothing, and our answers stay the same";
    let mut findings = Vec::new();
    for old in old_systems(config) {
        let name = &old.settings.name;
        let way = match crate::shadow::way(&old) {
            Ok(way) => way,
            Err(why) => {
                findings.push(Finding::fail("shadow", format!("{name}: {why}"), advice));
                continue;
            }
        };
        findings.push(match tokio::time::timeout(old.timeout, way.reach()).await {
            Ok(Ok(())) => Finding::ok("shadow", format!("{name} answers")),
            Ok(Err(why)) => {
                let advice = if why.is_elsewhere() { elsewhere } else { advice };
                Finding::warn("shadow", format!("{name}: {why}"), advice)
            }
            Err(_) => Finding::warn("shadow", format!("{name} does not answer in time"), advice),
        });
    }
    findings
}

/// Shadows of realms and services that there are none of: they would hear nothing, and report
/// nothing.
async fn unheard(config: &Config, store: &SqlStore) -> Vec<Finding> {
    let mut findings = Vec::new();
    for old in old_systems(config) {
        let (name, realm) = (&old.settings.name, &old.settings.realm);
        match store.realm_find(realm).await {
            Ok(Some(_)) => findings.extend(unheard_services(&old.settings, store).await),
            Ok(None) => findings.push(Finding::warn(
                "shadow",
                format!("{name} listens to the realm {realm}, and there is none"),
                "correct `realm`, or make the realm; until then nothing is compared",
            )),
            Err(error) => findings.push(unavailable("shadow", &error)),
        }
    }
    findings
}

/// Services that a shadow listens to, and that its realm has none of.
async fn unheard_services(settings: &ShadowSettings, store: &SqlStore) -> Vec<Finding> {
    let ShadowSettings { name, realm, services, .. } = settings;
    let Services::Named(labels) = services else { return Vec::new() };
    let mut findings = Vec::new();
    for label in labels {
        match store.service_find(realm, label).await {
            Ok(Some(_)) => {}
            Ok(None) => findings.push(Finding::warn(
                "shadow",
                format!("{name} listens to the service {label} of {realm}, and there is none"),
                "correct `services`, or make the service; until then nothing of it is compared",
            )),
            Err(error) => findings.push(unavailable("shadow", &error)),
        }
    }
    findings
}

/// The repositories that somebody else keeps, each asked what it is.
async fn repositories(config: &Config) -> Vec<Finding> {
    let clock: Arc<dyn Clock> = Arc::new(OsClock);
    let mut findings = Vec::new();
    for kept in kept_elsewhere(config) {
        let name = &kept.settings.name;
        let advice = "see that it runs; until then its tokens are unavailable, and no others";
        let driver = match crate::custom::driver(&kept, &clock) {
            Ok(driver) => driver,
            Err(why) => {
                findings.push(Finding::fail("repository", format!("{name}: {why}"), advice));
                continue;
            }
        };
        let asked = tokio::time::timeout(kept.settings.timeout, driver.describe()).await;
        findings.push(match asked {
            Ok(Ok(known)) => {
                let names: Vec<_> = known.capabilities.iter().map(Capability::name).collect();
                let can = names.join(" ");
                Finding::ok("repository", format!("{name} ({}) answers: {can}", driver.driver()))
            }
            Ok(Err(why)) => Finding::warn("repository", format!("{name}: {why}"), advice),
            Err(_) => {
                Finding::warn("repository", format!("{name} does not answer in time"), advice)
            }
        });
        if kept.settings.verify == VerifyMode::Delegated {
            findings.push(Finding::warn(
                "repository",
                format!("{name} is sent secrets in clear text"),
                "set verify = \"local\" if it can tell hashes",
            ));
        }
    }
    findings
}

/// Why the database was not opened.
fn closed(error: &OpenError) -> Finding {
    let advice = match error {
        OpenError::Older { .. } => "take a copy of the files, then run `counterfoil migrate`",
        OpenError::Moved { .. } => "name the database that is served now",
        OpenError::Away { .. } | OpenError::Unavailable(_) | OpenError::Address(_) => {
            "see that the database runs, and that data.database and the network lead to it"
        }
        OpenError::UnfinishedCopy => "run the copy again, or serve the database it came from",
        OpenError::Newer { .. } => "run the version that last served it, or a later one",
        _ => "check --data and --database; `counterfoil serve` or `init` makes a new installation",
    };
    Finding::fail("database", crate::cli::with_causes(error), advice)
}

fn clock() -> Finding {
    let now = OsClock.now();
    if now < Timestamp::from_seconds(WRITTEN_SECONDS) {
        return Finding::fail(
            "clock",
            format!("it is {now} by this machine's clock"),
            "set the clock (NTP): tokens count or end at the wrong time",
        );
    }
    Finding::ok("clock", now.to_string())
}

fn listener(config: &Config) -> Vec<Finding> {
    let server = &config.server;
    let mut findings = Vec::new();
    let local = server.listen.ip().is_loopback();
    if local || server.tls.cert.is_some() {
        findings.push(Finding::ok("listener", server.listen.to_string()));
    } else {
        findings.push(Finding::warn(
            "listener",
            format!("{} serves tokens in clear text", server.listen),
            "set server.tls.cert and server.tls.key, or listen on 127.0.0.1 behind a proxy",
        ));
    }
    if server.public_url.is_none() && !local {
        findings.push(Finding::warn(
            "public_url",
            "not set, so links name the listener",
            "set server.public_url to the URL that people use",
        ));
    }
    findings
}

fn tls(check: &'static str, files: &Tls) -> Finding {
    match Certificates::load(files) {
        Ok(None) => Finding::ok(check, "not configured"),
        Ok(Some(_)) => Finding::ok(check, "certificate and key belong together"),
        Err(error) => {
            Finding::fail(check, crate::cli::with_causes(&error), "give PEM files that match")
        }
    }
}

/// What is configured; `target test` is what talks to the mail server.
fn mail(config: &Config) -> Finding {
    let mail = &config.mail;
    match &mail.host {
        None => Finding::ok("mail", "not configured"),
        Some(host) if config.server.public_url.is_none() => Finding::warn(
            "mail",
            format!("{host}:{}", mail.port),
            "set server.public_url: a link in a letter leads there",
        ),
        Some(host) => Finding::ok("mail", format!("{host}:{}", mail.port)),
    }
}

fn ldap(config: &Config) -> Vec<Finding> {
    if !config.doors.ldap {
        return vec![Finding::ok("ldap", "switched off")];
    }
    let (listen, files) = (config.ldap.listen, config.ldap_tls());
    let inside = config.ldap.tls_listen.map(|at| format!(" and {at} (TLS)")).unwrap_or_default();
    let found = format!("{listen}{inside}, below {}", config.ldap.base_dn);
    let (local, certified) = (listen.ip().is_loopback(), files.cert.is_some());
    let mut findings = vec![if config.ldap.allow_plaintext && !local {
        let advice = "switch ldap.allow_plaintext off; clients can use StartTLS or LDAPS";
        Finding::warn("ldap", format!("{found}; tokens in clear text are taken"), advice)
    } else if !local && !certified {
        let advice = "set ldap.tls.cert and ldap.tls.key: without TLS nobody can bind from there";
        Finding::warn("ldap", format!("{found}, without a certificate"), advice)
    } else {
        Finding::ok("ldap", found)
    }];
    if config.ldap.tls.cert.is_some() {
        findings.push(tls("ldap tls", files));
    }
    findings
}

fn directory(config: &Config) -> Vec<Finding> {
    let dir = &config.data.dir;
    let shown = dir.display().to_string();
    let mut findings = Vec::new();
    match private_file::is_open_to_others(dir) {
        Err(error) => {
            findings.push(Finding::fail(
                "data directory",
                format!("{shown}: {error}"),
                "check --data",
            ));
            return findings;
        }
        Ok(true) => findings.push(Finding::warn(
            "data directory",
            format!("{shown} is open to other users"),
            "run chmod 700 on it",
        )),
        Ok(false) => findings.push(Finding::ok("data directory", shown)),
    }
    match Lock::take(dir) {
        Ok(_) => findings.push(Finding::ok("server", "none is running on this directory")),
        Err(InstallationError::Locked(_)) => {
            findings.push(Finding::ok("server", "one is running on this directory"));
        }
        Err(error) => findings.push(Finding::fail(
            "server",
            error.to_string(),
            "the user of the server must own the directory",
        )),
    }
    if let Some(path) = admin_key_left(dir) {
        findings.push(Finding::warn(
            "admin key",
            format!("{} holds the first administrator's key in clear", path.display()),
            "keep the key elsewhere and delete the file",
        ));
    }
    if let Some(restored) = restored::left(dir) {
        findings.push(Finding::warn(
            "restore",
            restored.in_words(),
            "run `counterfoil audit replay` with exports of the lost logs, or with --acknowledge \
             where there are none",
        ));
    }
    findings
}

/// What the store says about itself.
async fn inside(config: &Config, store: &SqlStore, deep: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    match store.installation().await {
        Ok(Some(installation)) => findings.push(identity(&installation)),
        Ok(None) => {
            findings.push(Finding::fail(
                "installation",
                "the database is empty",
                "run `counterfoil serve` or `counterfoil init`",
            ));
            return findings;
        }
        Err(error) => findings.push(unavailable("installation", &error)),
    }
    findings.push(keys(config, store).await);
    findings.extend(unheard(config, store).await);
    findings.extend(rows(store).await);
    findings.extend(audit::logs(config, store, deep).await);
    if deep {
        findings.push(match store.integrity_check().await {
            Ok(faults) if faults.is_empty() => Finding::ok("integrity", "no damage found"),
            Ok(faults) => {
                Finding::fail("integrity", faults.join("; "), "stop serving and restore a backup")
            }
            Err(error) => unavailable("integrity", &error),
        });
    }
    findings
}

fn identity(installation: &Identity) -> Finding {
    let found = format!("{} since {}", installation.id, installation.created_at);
    if OsClock.now() < installation.created_at {
        let advice = "the clock stands before the installation was made: set it (NTP)";
        return Finding::fail("installation", found, advice);
    }
    Finding::ok("installation", found)
}

async fn keys(config: &Config, store: &SqlStore) -> Finding {
    let dir = KeyDirectory::at(config.data.keys());
    let known = match store.key_list().await {
        Ok(known) => known,
        Err(error) => return unavailable("keys", &error),
    };
    let compared = dir.read().and_then(|found| {
        let new = keydir::reconcile(&dir, &found, &known)?.len();
        Ok((found.len(), new))
    });
    match compared {
        Ok((all, 0)) => Finding::ok("keys", format!("{all} keys, all of this installation")),
        Ok((all, new)) => Finding::ok("keys", format!("{all} keys, {new} not yet taken up")),
        Err(error) => Finding::fail(
            "keys",
            error.to_string(),
            "the server does not start like this; put back the key directory of this installation",
        ),
    }
}

/// How many rows each key holds, and what that means.
async fn rows(store: &SqlStore) -> Vec<Finding> {
    let usage = match store.key_use().await {
        Ok(usage) => usage,
        Err(error) => return vec![unavailable("rows per key", &error)],
    };
    usage
        .iter()
        .map(|key| {
            let (purpose, id) = (key.purpose, key.id);
            let newest =
                usage.iter().filter(|other| other.purpose == purpose).all(|other| other.id <= id);
            let rows = if key.rows == 1 { "row" } else { "rows" };
            let found = format!("{purpose}-{id} holds {} {rows}", key.rows);
            if newest || key.rows == 0 {
                return Finding::ok("rows per key", found);
            }
            Finding {
                advice: "rows move to the current key as their tokens are used; if this key was \
                         disclosed, revoke and re-issue those tokens"
                    .into(),
                ..Finding::ok("rows per key", found)
            }
        })
        .collect()
}

fn unavailable(check: &'static str, error: &counterfoil_authority::store::Unavailable) -> Finding {
    Finding::fail(check, crate::cli::with_causes(error), "the database does not answer")
}
