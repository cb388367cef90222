//! Connections to directories: one for each target, kept open, with TLS before anything is said.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::names::{RealmName, TargetName};
use counterfoil_authority::provision::{Failed, Fault, Target};
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::result::LdapResult;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Mod, Scope, SearchEntry};
use parking_lot::Mutex;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::entry::Entry;
use super::plan::{Modification, Plan};

/// How long a directory is given to answer, unless its target says otherwise.
const TIMEOUT_MS: u32 = 10_000;
/// Entries that are asked for at a time where there may be many.
const ENTRIES_PER_PAGE: i32 = 500;
/// LDAP result codes (RFC 4511 appendix A).
const NO_SUCH_OBJECT: u32 = 32;
const INVALID_CREDENTIALS: u32 = 49;
const ATTRIBUTE_OR_VALUE_EXISTS: u32 = 20;
const ENTRY_ALREADY_EXISTS: u32 = 68;
/// Those that say that it may go better later: operationsError, timeLimitExceeded,
/// adminLimitExceeded, busy, unavailable, unwillingToPerform (a read-only database), other (a
/// full disk).
const LATER: [u32; 7] = [1, 3, 11, 51, 52, 53, 80];

/// Connections that are open, by target and the version of its settings.
#[derive(Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<(RealmName, TargetName), (i64, Ldap)>>,
    /// Whoever finds none waits for the one that is being made.
    opening: tokio::sync::Mutex<()>,
}

/// A share of a connection.
pub(super) struct Session {
    ldap: Ldap,
    timeout: Duration,
}

impl Connections {
    /// A share of the target's connection, which is opened if there is none.
    pub(super) async fn session(
        &self,
        target: &Target,
        secret: Option<&str>,
    ) -> Result<Session, Failed> {
        let timeout = timeout(target);
        if let Some(ldap) = self.known(target) {
            return Ok(Session { ldap, timeout });
        }
        let _turn = self.opening.lock().await;
        if let Some(ldap) = self.known(target) {
            return Ok(Session { ldap, timeout });
        }
        let session = open(target, secret).await?;
        let key = (target.realm.clone(), target.name.clone());
        self.open.lock().insert(key, (target.version, session.ldap.clone()));
        Ok(session)
    }

    fn known(&self, target: &Target) -> Option<Ldap> {
        let open = self.open.lock();
        let (version, ldap) = open.get(&(target.realm.clone(), target.name.clone()))?;
        let mut ldap = ldap.clone();
        (*version == target.version && !ldap.is_closed()).then_some(ldap)
    }

    /// A connection on which something went wrong is not used again.
    pub(super) fn after(&self, target: &Target, _: &Session, failed: Option<&Failed>) {
        let broken =
            failed.is_some_and(|failed| matches!(failed.fault, Fault::Away | Fault::Unanswered));
        if broken {
            self.open.lock().remove(&(target.realm.clone(), target.name.clone()));
        }
    }
}

fn timeout(target: &Target) -> Duration {
    Duration::from_millis(u64::from(target.config.timeout_ms.unwrap_or(TIMEOUT_MS)))
}

/// Whether a URL leads to this machine, where nobody listens on the way.
pub(crate) fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address = bare.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether the connection becomes TLS by `StartTLS`.
pub(super) fn starts_tls(target: &Target) -> bool {
    let config = &target.config;
    let plain = config.url.starts_with("ldap://");
    plain && config.start_tls.unwrap_or_else(|| !is_loopback(&config.url))
}

/// A connection of its own without a bind.
pub(super) async fn connect(target: &Target) -> Result<Session, Failed> {
    let timeout = timeout(target);
    let mut settings =
        LdapConnSettings::new().set_conn_timeout(timeout).set_starttls(starts_tls(target));
    if let Some(file) = &target.config.ca_file {
        settings = settings.set_config(trusting(file)?);
    }
    let connecting = LdapConnAsync::with_settings(settings, &target.config.url);
    // StartTLS and the handshake have no limit of their own.
    let connected = tokio::time::timeout(timeout, connecting).await;
    let (connection, ldap) = match connected {
        Ok(connected) => connected.map_err(|error| failed(&error, true))?,
        Err(_) => return Err(Failed::new(Fault::Away, "the directory does not answer")),
    };
    tokio::spawn(async move {
        if let Err(error) = connection.drive().await {
            tracing::debug!(%error, "a connection to a directory ended");
        }
    });
    Ok(Session { ldap, timeout })
}

/// A connection of its own, bound as the target says.
pub(super) async fn open(target: &Target, secret: Option<&str>) -> Result<Session, Failed> {
    let mut session = connect(target).await?;
    let Some(dn) = target.config.bind_dn.as_deref() else { return Ok(session) };
    let secret = secret.unwrap_or("");
    if secret.is_empty() {
        // RFC 4513 section 5.1.2: it would succeed, and mean nothing.
        return Err(Failed::new(Fault::Away, "there is no bind_password"));
    }
    let code = session.bind(dn, secret).await?;
    match code.rc {
        0 => Ok(session),
        rc => Err(Failed::new(Fault::Away, said("the bind", rc, &code.text))),
    }
}

fn trusting(file: &str) -> Result<Arc<ClientConfig>, Failed> {
    let unusable = |what: String| Failed::new(Fault::Away, format!("ca_file: {what}"));
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(file).map_err(|e| unusable(e.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
        roots.add(certificate).map_err(|e| unusable(e.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(e.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// A directory's answer that is no failure of the connection.
pub(super) struct Code {
    /// The result code.
    pub(super) rc: u32,
    /// What the directory added.
    pub(super) text: String,
}

impl From<LdapResult> for Code {
    fn from(result: LdapResult) -> Self {
        Self { rc: result.rc, text: result.text }
    }
}

fn said(what: &str, rc: u32, text: &str) -> String {
    let colon = if text.is_empty() { "" } else { ": " };
    format!("{what} ended with result {rc} ({}){colon}{text}", name_of(rc))
}

const fn name_of(rc: u32) -> &'static str {
    match rc {
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        19 => "constraintViolation",
        20 => "attributeOrValueExists",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        65 => "objectClassViolation",
        68 => "entryAlreadyExists",
        _ => "see RFC 4511",
    }
}

fn failed(error: &LdapError, connecting: bool) -> Failed {
    match error {
        LdapError::Timeout { .. } if !connecting => {
            Failed::new(Fault::Unanswered, "the directory did not answer in time")
        }
        LdapError::LdapResult { result } => {
            Failed::new(Fault::Away, said("the connection", result.rc, &result.text))
        }
        LdapError::Io { .. } if connecting => {
            Failed::new(Fault::Away, format!("the directory cannot be reached: {error}"))
        }
        LdapError::FilterParsing => Failed::new(Fault::Refused, "person_filter is no LDAP filter"),
        _ if connecting => Failed::new(Fault::Away, format!("no connection: {error}")),
        // It was open and broke: what was sent may have been done.
        _ => Failed::new(Fault::Unanswered, "the connection broke"),
    }
}

fn judged(what: &str, code: &Code) -> Result<(), Failed> {
    match code.rc {
        0 => Ok(()),
        rc if LATER.contains(&rc) => Err(Failed::new(Fault::Busy, said(what, rc, &code.text))),
        INVALID_CREDENTIALS => Err(Failed::new(Fault::Away, said(what, code.rc, &code.text))),
        rc => Err(Failed::new(Fault::Refused, said(what, rc, &code.text))),
    }
}

fn set(values: &[String]) -> HashSet<Vec<u8>> {
    values.iter().map(|value| value.clone().into_bytes()).collect()
}

impl Session {
    fn ldap(&mut self) -> &mut Ldap {
        self.ldap.with_timeout(self.timeout)
    }

    /// Binds, and says what the directory answered.
    pub(super) async fn bind(&mut self, dn: &str, secret: &str) -> Result<Code, Failed> {
        let bound = self.ldap().simple_bind(dn, secret).await;
        bound.map(Code::from).map_err(|error| failed(&error, true))
    }

    /// The entries that a search finds; none where its base does not exist.
    pub(super) async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
    ) -> Result<Vec<Entry>, Failed> {
        let found = self.ldap().search(base, scope, filter, attributes.to_vec()).await;
        let ldap3::SearchResult(found, result) = found.map_err(|error| failed(&error, false))?;
        if result.rc == NO_SUCH_OBJECT && scope == Scope::Base {
            return Ok(Vec::new());
        }
        judged("the search", &result.into())?;
        let entries = found.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        Ok(entries.map(|entry| Entry::of(SearchEntry::construct(entry))).collect())
    }

    /// The same, page by page, where there may be many.
    pub(super) async fn search_all(
        &mut self,
        base: &str,
        filter: &str,
        attributes: &[&str],
    ) -> Result<Vec<Entry>, Failed> {
        let adapters: Vec<Box<dyn Adapter<'_, &str, Vec<&str>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(ENTRIES_PER_PAGE))];
        let away = |error: LdapError| failed(&error, false);
        let asked = attributes.to_vec();
        let search =
            self.ldap().streaming_search_with(adapters, base, Scope::Subtree, filter, asked);
        let mut stream = search.await.map_err(away)?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.next().await.map_err(away)? {
            entries.push(Entry::of(SearchEntry::construct(entry)));
        }
        judged("the search", &stream.finish().await.into())?;
        Ok(entries)
    }

    /// What a modification is answered.
    pub(super) async fn modify(&mut self, dn: &str, mods: &[Modification]) -> Result<Code, Failed> {
        let mods = mods.iter().map(|change| match change {
            Modification::Replace(name, values) => {
                Mod::Replace(name.clone().into_bytes(), set(values))
            }
            Modification::Add(name, values) => Mod::Add(name.clone().into_bytes(), set(values)),
            Modification::Delete(name, values) => {
                Mod::Delete(name.clone().into_bytes(), set(values))
            }
        });
        let changed = self.ldap().modify(dn, mods.collect()).await;
        changed.map(Code::from).map_err(|error| failed(&error, false))
    }

    /// What adding an entry is answered.
    pub(super) async fn add(
        &mut self,
        dn: &str,
        attributes: &[(String, Vec<String>)],
    ) -> Result<Code, Failed> {
        let attributes = attributes
            .iter()
            .map(|(name, values)| (name.clone().into_bytes(), set(values)))
            .collect();
        let added = self.ldap().add(dn, attributes).await;
        added.map(Code::from).map_err(|error| failed(&error, false))
    }

    /// What removing an entry is answered.
    pub(super) async fn delete(&mut self, dn: &str) -> Result<Code, Failed> {
        let deleted = self.ldap().delete(dn).await;
        deleted.map(Code::from).map_err(|error| failed(&error, false))
    }

    async fn rename(&mut self, from: &str, to: &str) -> Result<(), Failed> {
        let split = |dn: &str| match split_dn(dn) {
            Some((rdn, parent)) => (rdn.to_owned(), parent.to_owned()),
            None => (dn.to_owned(), String::new()),
        };
        let ((_, old), (rdn, new)) = (split(from), split(to));
        let parent = (!old.eq_ignore_ascii_case(&new)).then_some(new.as_str());
        let moved = self.ldap().modifydn(from, &rdn, true, parent).await;
        judged("the renaming", &moved.map_err(|error| failed(&error, false))?.into())
    }

    /// Sends what is planned.
    pub(super) async fn apply(&mut self, plan: &Plan) -> Result<(), Failed> {
        match plan {
            Plan::Nothing(_) => Ok(()),
            Plan::Add { dn, attributes } => {
                let code = self.add(dn, attributes).await?;
                // Somebody else was quicker: the next attempt finds it and changes what differs.
                if code.rc == ENTRY_ALREADY_EXISTS {
                    return Err(Failed::new(Fault::Busy, said("adding", code.rc, &code.text)));
                }
                judged("adding the entry", &code)
            }
            Plan::Delete { dn } => match self.delete(dn).await? {
                code if code.rc == NO_SUCH_OBJECT => Ok(()),
                code => judged("deleting the entry", &code),
            },
            Plan::Modify { dn, mods, rename } => {
                if let Some(to) = rename {
                    self.rename(dn, to).await?;
                }
                if mods.is_empty() {
                    return Ok(());
                }
                let dn = rename.as_deref().unwrap_or(dn);
                let code = self.modify(dn, mods).await?;
                if [ATTRIBUTE_OR_VALUE_EXISTS, NO_SUCH_OBJECT].contains(&code.rc) {
                    // The entry changed since it was read.
                    let what = said("the modification", code.rc, &code.text);
                    return Err(Failed::new(Fault::Busy, what));
                }
                judged("the modification", &code)
            }
        }
    }
}

/// The first part of a distinguished name, and the rest; an escaped comma divides nothing.
fn split_dn(dn: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (place, character) in dn.char_indices() {
        match character {
            '\\' if !escaped => escaped = true,
            ',' if !escaped => return Some((&dn[..place], dn[place + 1..].trim_start())),
            _ => escaped = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_only_begins_like_this_machine_is_another_one() {
        let own = ["localhost", "LOCALHOST:389", "127.0.0.1", "127.8.0.1:3890", "[::1]:389"];
        for host in own {
            assert!(is_loopback(&format!("ldap://{host}")), "{host}");
            assert!(is_loopback(&format!("ldap://{host}/dc=org")), "{host}");
        }
        for host in [
            "localhost.example.org",
            "localhost.example.org:389",
            "127.example.org",
            "127.0.0.1.example.org",
            "[::1].example.org",
            "localhost@example.org",
            "10.0.0.1",
            "[2001:db8::1]",
            "",
        ] {
            assert!(!is_loopback(&format!("ldap://{host}")), "{host}");
        }
    }

    #[test]
    fn a_name_is_split_at_a_comma_that_is_none_of_its_value() {
        assert_eq!(split_dn(r"cn=Lee\, Pat,ou=People"), Some((r"cn=Lee\, Pat", "ou=People")));
        assert_eq!(split_dn("dc=org"), None);
    }
}
