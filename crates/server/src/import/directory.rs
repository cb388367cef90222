//! Entries of a live directory, read once, page by page.

use std::sync::Arc;
use std::time::Duration;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry};
use zeroize::Zeroizing;

use super::ldif::Entry;
use super::rows::Place;
use crate::provision::is_loopback;

/// Entries that are asked for at a time.
const ENTRIES_PER_PAGE: i32 = 500;
/// How long the directory is given to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the entries are, and who may read them.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// `ldap://` or `ldaps://`.
    pub(crate) url: String,
    /// Whether TLS begins on the plain port, before anything is said.
    pub(crate) start_tls: bool,
    /// Who asks.
    pub(crate) bind_dn: String,
    /// Below which entry.
    pub(crate) base: String,
    /// Only entries that have this attribute.
    pub(crate) attribute: String,
}

/// Reads the entries that have the attribute.
pub(crate) async fn read(source: &Source, password: &str) -> Result<Vec<Entry>, String> {
    let is_plain = source.url.starts_with("ldap://") && !source.start_tls;
    if is_plain && !is_loopback(&source.url) {
        return Err(format!("{}: a password in clear; use --start-tls or ldaps://", source.url));
    }
    if password.is_empty() {
        // RFC 4513 section 5.1.2: it would succeed, and mean nothing.
        return Err(format!("{}: the password is empty", source.url));
    }
    let failed = |error: ldap3::LdapError| format!("{}: {error}", source.url);
    let settings = LdapConnSettings::new().set_conn_timeout(TIMEOUT).set_starttls(source.start_tls);
    let (connection, mut ldap) =
        LdapConnAsync::with_settings(settings, &source.url).await.map_err(failed)?;
    let driving = tokio::spawn(async move { connection.drive().await });
    let bound = ldap.with_timeout(TIMEOUT).simple_bind(&source.bind_dn, password).await;
    bound.and_then(ldap3::LdapResult::success).map_err(failed)?;
    let adapters: Vec<Box<dyn Adapter<_, _>>> =
        vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(ENTRIES_PER_PAGE))];
    let filter = format!("({}=*)", source.attribute);
    let search = ldap
        .with_timeout(TIMEOUT)
        .streaming_search_with(adapters, &source.base, Scope::Subtree, &filter, vec!["*"])
        .await;
    let mut search = search.map_err(failed)?;
    let file: Arc<str> = source.url.as_str().into();
    let mut entries = Vec::new();
    while let Some(found) = search.next().await.map_err(failed)? {
        let found = SearchEntry::construct(found);
        let mut entry = Entry::new(Place { file: Arc::clone(&file), line: entries.len() + 1 });
        for (name, values) in found.attrs {
            for value in values {
                entry.push(&name, Zeroizing::new(value));
            }
        }
        entries.push(entry);
    }
    search.finish().await.success().map_err(failed)?;
    // A directory that does not say goodbye has said everything all the same.
    drop(ldap.unbind().await);
    driving.abort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_password_crosses_a_network_in_clear_and_none_is_empty() {
        let refused = async |url: &str, start_tls: bool, password: &str| {
            let text = |text: &str| text.to_owned();
            let (bind_dn, base) = (text("cn=reader"), text("dc=example"));
            let attribute = text("description");
            let source = Source { url: text(url), start_tls, bind_dn, base, attribute };
            read(&source, password).await.err().unwrap()
        };
        let said = refused("ldap://directory.invalid", false, "secret").await;
        assert!(said.contains("in clear"), "{said}");
        for (url, start_tls) in [("ldap://127.0.0.1:1", false), ("ldap://directory.invalid", true)]
        {
            let said = refused(url, start_tls, "secret").await;
            assert!(!said.contains("in clear"), "{said}");
            assert!(refused(url, start_tls, "").await.contains("is empty"));
        }
    }
}
