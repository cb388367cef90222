//! The LDAP driver: tokens as values of an attribute of their owner's entry.
//!
//! Two forms are read. `hash`: each value is a hash, `{SSHA}` or `{CRYPT}`, of an application
//! password; an option `;app-x` says for which service. `pat`: each value is a personal access
//! token of ForgeRock AM in clear, with its permissions; what leaves this file is its SHA-256.
//!
//! A value has no name, so a token is called by its person and a digest of the value. It has no
//! attributes either. A new token is another hash on its person's entry; one in the form `pat` would
//! have to be known in clear, so there none is made.

use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::custom::{
    BadRecord, Capabilities, Capability, Descriptor, ForeignDraft, ForeignId, ForeignPage,
    ForeignToken, ListQuery, RepositoryError, Selector, TokenRepository, VerifyRecord,
    directory_text, sha256_text,
};
use counterfoil_authority::secret::ClearSecret;
use data_encoding::HEXLOWER;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Mod, Scope, SearchEntry};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use zeroize::Zeroizing;

use crate::import::forgerock::pats_of;

/// How an option begins that names an application (voPerson 2.0).
const APP: &str = ";app-";
/// Hexadecimal digits of the digest that a value is called by: 64 bits.
const NAME_DIGITS: usize = 16;
/// What to ask for when only the name of an entry is wanted (RFC 4511 section 4.5.1.8).
const NO_ATTRIBUTES: &str = "1.1";
/// Results of a directory (RFC 4511 appendix A).
const NO_SUCH_ATTRIBUTE: u32 = 16;
const VALUE_EXISTS: u32 = 20;
const NO_SUCH_OBJECT: u32 = 32;
const OBJECT_CLASS_VIOLATION: u32 = 65;

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Hashes of application passwords.
    Hash,
    /// Personal access tokens of ForgeRock AM.
    Pat,
}

/// What the driver needs to be told.
pub(crate) struct LdapSettings {
    pub(crate) url: String,
    pub(crate) start_tls: bool,
    pub(crate) ca: Option<String>,
    pub(crate) bind_dn: Option<String>,
    pub(crate) secret: Option<ClearSecret>,
    pub(crate) base_dn: String,
    /// With `{username}` in it.
    pub(crate) filter: String,
    pub(crate) attribute: String,
    pub(crate) form: Form,
    pub(crate) timeout: Duration,
}

/// A repository in a directory.
pub(crate) struct LdapRepository {
    settings: LdapSettings,
    open: tokio::sync::Mutex<Option<Ldap>>,
}

/// A value and where it stands.
struct Held {
    dn: String,
    /// The attribute with its options, as the directory spells it.
    attribute: String,
    /// The service that an option names.
    service: Option<String>,
    value: Zeroizing<String>,
}

fn away(why: &str) -> RepositoryError {
    RepositoryError::unavailable(why)
}

fn failed(error: &LdapError) -> RepositoryError {
    match error {
        LdapError::Timeout { .. } => away("the directory did not answer in time"),
        LdapError::LdapResult { result } => {
            RepositoryError::unavailable(format!("the directory answered {}", result.rc))
        }
        LdapError::FilterParsing => away("filter is no LDAP filter"),
        _ => away("the directory cannot be reached"),
    }
}

fn not_modified(rc: u32) -> RepositoryError {
    RepositoryError::unavailable(format!("the modification ended with result {rc}"))
}

fn unreadable(bad: BadRecord) -> RepositoryError {
    RepositoryError::unavailable(format!("a value makes no sense: {bad}"))
}

impl LdapRepository {
    /// A repository; nothing is connected yet.
    pub(crate) fn new(settings: LdapSettings) -> Self {
        Self { settings, open: tokio::sync::Mutex::default() }
    }

    async fn connect(&self) -> Result<Ldap, RepositoryError> {
        let settings = &self.settings;
        let mut connecting = LdapConnSettings::new()
            .set_conn_timeout(settings.timeout)
            .set_starttls(settings.start_tls);
        if let Some(file) = &settings.ca {
            let config = crate::provision::ldap::connection::trusting(file)
                .map_err(|failed| away(&failed.what))?;
            connecting = connecting.set_config(config);
        }
        let (connection, mut ldap) = LdapConnAsync::with_settings(connecting, &settings.url)
            .await
            .map_err(|error| failed(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to a directory ended");
            }
        });
        if let Some(dn) = &settings.bind_dn {
            let secret = settings.secret.as_ref().map_or("", ClearSecret::reveal);
            if secret.is_empty() {
                // RFC 4513 section 5.1.2: it would succeed, and mean nothing.
                return Err(away("there is no secret to bind with"));
            }
            let bound = ldap.with_timeout(settings.timeout).simple_bind(dn, secret).await;
            let bound = bound.map_err(|error| failed(&error))?;
            if bound.rc != 0 {
                let why = format!("the bind ended with result {}", bound.rc);
                return Err(RepositoryError::unavailable(why));
            }
        }
        Ok(ldap)
    }

    /// A share of the connection. Whoever waits for it to be made may stop waiting.
    async fn session(&self) -> Result<Ldap, RepositoryError> {
        let mut open = self.open.lock().await;
        if let Some(ldap) = open.as_mut()
            && !ldap.is_closed()
        {
            return Ok(ldap.clone());
        }
        let ldap = self.connect().await?;
        *open = Some(ldap.clone());
        Ok(ldap)
    }

    /// The entries of one person, with an attribute.
    async fn entries(
        &self,
        user: &str,
        attribute: &str,
    ) -> Result<Vec<SearchEntry>, RepositoryError> {
        let settings = &self.settings;
        let filter = settings.filter.replace("{username}", &ldap3::ldap_escape(user));
        let mut ldap = self.session().await?;
        let found = ldap
            .with_timeout(settings.timeout)
            .search(&settings.base_dn, Scope::Subtree, &filter, vec![attribute])
            .await;
        let ldap3::SearchResult(entries, result) = match found {
            Ok(found) => found,
            Err(error) => {
                // What went wrong on a connection is not asked again on it.
                *self.open.lock().await = None;
                return Err(failed(&error));
            }
        };
        match result.rc {
            0 => {}
            NO_SUCH_OBJECT => return Err(away("base_dn does not exist")),
            rc => return Err(RepositoryError::unavailable(format!("the search ended with {rc}"))),
        }
        let entries =
            entries.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        Ok(entries.map(SearchEntry::construct).collect())
    }

    /// The values of one person's entries.
    async fn held(&self, user: &str) -> Result<Vec<Held>, RepositoryError> {
        let entries = self.entries(user, &self.settings.attribute).await?;
        Ok(entries.into_iter().flat_map(|entry| self.values(entry)).collect())
    }

    fn values(&self, entry: SearchEntry) -> Vec<Held> {
        let own = self.settings.attribute.to_lowercase();
        let binary = entry.bin_attrs.into_iter().map(|(name, values)| {
            let texts = values.into_iter().filter_map(|value| String::from_utf8(value).ok());
            (name, texts.collect::<Vec<_>>())
        });
        let mut held = Vec::new();
        for (name, values) in entry.attrs.into_iter().chain(binary) {
            let lower = name.to_lowercase();
            let rest = lower.strip_prefix(&own);
            let service = match rest {
                Some("") => None,
                Some(options) => match options.strip_prefix(APP) {
                    Some(label) => Some(label.to_owned()),
                    None => continue,
                },
                None => continue,
            };
            held.extend(values.into_iter().map(|value| Held {
                dn: entry.dn.clone(),
                attribute: name.clone(),
                service: service.clone(),
                value: Zeroizing::new(value),
            }));
        }
        held
    }

    /// What a value says, as records of the protocol.
    fn records(&self, user: &str, held: &Held) -> Vec<Value> {
        let mut records = Vec::new();
        match self.settings.form {
            Form::Hash => {
                let hash = held.value.replacen("(CRYPT)", "{CRYPT}", 1);
                let mut record = record(user, &held.value, &hash);
                if let Some(service) = &held.service {
                    record.insert("services".into(), json!([service]));
                }
                records.push(Value::Object(record));
            }
            // Other values stand on the same attribute; what is no token is none.
            Form::Pat => {
                for (token, permissions) in pats_of(&held.value).unwrap_or_default() {
                    let mut record = record(user, &token, &sha256_text(&token));
                    record.insert("permissions".into(), permissions);
                    records.push(Value::Object(record));
                }
            }
        }
        records
    }

    async fn told(&self, user: &str) -> Result<Vec<Value>, RepositoryError> {
        let mut records = Vec::new();
        for held in self.held(user).await? {
            records.extend(self.records(user, &held));
        }
        Ok(records)
    }

    /// The person of an id, and the value that it calls.
    async fn found(&self, id: &ForeignId) -> Result<Option<(String, Held)>, RepositoryError> {
        let Some((user, name)) = id.as_str().rsplit_once('/') else { return Ok(None) };
        for held in self.held(user).await? {
            let records = self.records(user, &held);
            if records.iter().any(|record| record["id"] == format!("{user}/{name}")) {
                return Ok(Some((user.to_owned(), held)));
            }
        }
        Ok(None)
    }

    async fn modify(&self, dn: &str, change: Mod<Vec<u8>>) -> Result<u32, RepositoryError> {
        let mut ldap = self.session().await?;
        let done = ldap.with_timeout(self.settings.timeout).modify(dn, vec![change]).await;
        Ok(done.map_err(|error| failed(&error))?.rc)
    }
}

/// What a value is called by, and the record of it.
fn record(user: &str, value: &str, hash: &str) -> Map<String, Value> {
    let digest = HEXLOWER.encode(&Sha256::digest(value.as_bytes()));
    let name = digest.get(..NAME_DIGITS).unwrap_or_default();
    let mut record = Map::new();
    record.insert("id".into(), json!(format!("{user}/{name}")));
    record.insert("user".into(), json!(user));
    record.insert("hash".into(), json!(hash));
    record
}

#[async_trait]
impl TokenRepository for LdapRepository {
    fn driver(&self) -> &'static str {
        "ldap"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        self.session().await?;
        let capabilities =
            Capabilities::of(&[Capability::Lookup, Capability::List, Capability::Delete]);
        let capabilities = match self.settings.form {
            Form::Hash => capabilities.with(Capability::Create),
            Form::Pat => capabilities,
        };
        Ok(Descriptor { software: "directory".to_owned(), capabilities })
    }

    async fn lookup(&self, selector: &Selector) -> Result<Vec<VerifyRecord>, RepositoryError> {
        let Selector::User { user, .. } = selector else {
            return Err(RepositoryError::Unsupported(Capability::Lookup));
        };
        let told = self.told(user).await?;
        told.iter().map(|record| VerifyRecord::read(record).map_err(unreadable)).collect()
    }

    async fn list(&self, query: &ListQuery) -> Result<ForeignPage, RepositoryError> {
        let Some(user) = &query.user else {
            return Err(RepositoryError::Unsupported(Capability::Filter));
        };
        let mut tokens = Vec::new();
        for record in self.told(user).await? {
            tokens.push(ForeignToken::read(&record).map_err(unreadable)?);
        }
        tokens.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(cursor) = &query.cursor {
            tokens.retain(|token| token.id.as_str() > cursor.as_str());
        }
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = tokens.len() > limit;
        tokens.truncate(limit);
        let next = tokens.last().filter(|_| more).map(|token| token.id.to_string());
        Ok(ForeignPage { tokens, next })
    }

    async fn find(&self, id: &ForeignId) -> Result<Option<ForeignToken>, RepositoryError> {
        let Some((user, held)) = self.found(id).await? else { return Ok(None) };
        let records = self.records(&user, &held);
        let own = records.iter().find(|record| record["id"] == id.as_str());
        own.map(|record| ForeignToken::read(record).map_err(unreadable)).transpose()
    }

    async fn create(&self, draft: &ForeignDraft) -> Result<ForeignToken, RepositoryError> {
        let invalid = |attribute: &str| Err(RepositoryError::Invalid(attribute.to_owned()));
        if self.settings.form == Form::Pat {
            return Err(RepositoryError::Unsupported(Capability::Create));
        }
        if let Some((name, _)) = draft.attributes.iter().find(|(_, value)| !value.is_null()) {
            return invalid(name);
        }
        // A value stands on an entry, so there is no stock of them.
        let Some(user) = &draft.user else { return invalid("user") };
        let Some(hash) = &draft.hash else { return invalid("hash") };
        let Some(value) = directory_text(hash).map(Zeroizing::new) else { return invalid("hash") };
        let entries = self.entries(user, NO_ATTRIBUTES).await?;
        // Of several entries nobody has said which one it is.
        let [entry] = &entries[..] else { return invalid("user") };
        let values = HashSet::from([value.as_bytes().to_vec()]);
        let change = Mod::Add(self.settings.attribute.as_bytes().to_vec(), values);
        match self.modify(&entry.dn, change).await? {
            // The same hash is the same token: who asks again gets what there is.
            0 | VALUE_EXISTS => {}
            OBJECT_CLASS_VIOLATION => return invalid("user"),
            rc => return Err(not_modified(rc)),
        }
        let record = Value::Object(record(user, &value, &value));
        ForeignToken::read(&record).map_err(unreadable)
    }

    async fn delete(&self, id: &ForeignId, _: Option<&str>) -> Result<(), RepositoryError> {
        let Some((_, held)) = self.found(id).await? else {
            return Err(RepositoryError::NotFound);
        };
        let value = HashSet::from([held.value.as_bytes().to_vec()]);
        match self.modify(&held.dn, Mod::Delete(held.attribute.into_bytes(), value)).await? {
            0 => Ok(()),
            NO_SUCH_ATTRIBUTE => Err(RepositoryError::NotFound),
            rc => Err(not_modified(rc)),
        }
    }
}
